"""σ_w as people write it: with a subscript."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_SUBSCRIPT = re.compile(r"(?<!\w)([σξ])_([a-z])(?![A-Za-z0-9_])")
_SPELLED = re.compile(r"(?<!\w)sigma_([wb])(?![A-Za-z0-9_])")


def symbols(text: str) -> Markup:
    """The text, escaped, with σ_w, σ_b, ξ_q and ξ_c set with subscripts and ``sigma_w`` spelled σ.

    Examples
    --------
    >>> print(symbols("sigma_b < 1 and σ_w"))
    σ<sub>b</sub> &lt; 1 and σ<sub>w</sub>
    """
    escaped = str(escape(text))
    return Markup(_SUBSCRIPT.sub(r"\1<sub>\2</sub>", _SPELLED.sub(r"σ<sub>\1</sub>", escaped)))
