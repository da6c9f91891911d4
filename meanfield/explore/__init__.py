"""The interactive page: a formula, a point of the phase diagram, and what a network there does, live in a browser on this machine.

Lives here: what the page asks (`view`), what is drawn of a point (`point`) and of the plane (`plane`), what the browser
is told of them (`drawn`), the process that computes it within a budget of time (`worker`), the page (`page`) and
its server (`served`). Not here: any theory (meanfield.theory).
"""

from __future__ import annotations

from meanfield._callable import make_callable
from meanfield.explore.served import Exploration, explore

__all__ = ["Exploration", "explore"]

make_callable(__name__)
