"""The one-file HTML datasheet of an activation.

Lives here: what stands on the page (one module for each section), the template, and the code that puts them together.
Not here: any computation (meanfield.theory, meanfield.simulation). Figures that other code can use are in meanfield.plot.
"""

from __future__ import annotations

from meanfield._callable import make_callable
from meanfield.report.datasheet import report

__all__ = ["report"]

make_callable(__name__)
