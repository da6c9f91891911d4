"""Lines that stay apart in a grey print: shades of falling darkness, dashes, markers, and names as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MARKERS = "os^Dv<>Pp*X"
DASHED = (0, (4, 2))
STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))


def shades(count: int) -> NDArray[np.float64]:
    """Colours of falling darkness, so that a grey print keeps them apart; the ends are left out, yellow as too pale for a line on
    white, violet as too dark for one on black.

    Examples
    --------
    >>> shades(3).shape
    (3, 4)
    """
    import matplotlib as mpl
    import numpy as np

    colours: NDArray[np.float64] = mpl.colormaps["viridis"](np.linspace(0.18, 0.8, count) if count > 1 else np.array([0.25]))
    return colours


def line_looks(count: int) -> list[dict[str, Any]]:
    """Colour, dashes and width for each of ``count`` lines, as keywords of ``Axes.plot``.

    Examples
    --------
    >>> [looks["linestyle"] for looks in line_looks(2)]
    ['-', (0, (5, 1.5))]
    """
    return [{"color": colour, "linestyle": STYLES[i % len(STYLES)], "linewidth": 1.3} for i, colour in enumerate(shades(count))]


def draw_legend(ax: Axes, **more: Any) -> None:
    """The legend that all pictures have: small, without a frame, its samples long enough to tell dashes apart."""
    ax.legend(**{"fontsize": 7, "handlelength": 2.4, "labelspacing": 0.3, "handletextpad": 0.6, "frameon": False, **more})


def runs(mask: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Start and stop (exclusive) of each run of True.

    Examples
    --------
    >>> import numpy as np
    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def plain_label(name: str) -> str:
    """A name that Matplotlib prints as it stands: no mathematics, no leading underscore (which would hide it), not too long.

    Examples
    --------
    >>> plain_label("_mine")
    ' _mine'
    """
    short = name if len(name) <= 40 else name[:37] + "..."
    escaped = short.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def given_labels(labels: Sequence[str] | None, count: int) -> list[str] | None:
    """The labels that a caller gave, one for each line, or None.

    Examples
    --------
    >>> given_labels(["a", "b"], 2)
    ['a', 'b']
    """
    if labels is None:
        return None
    if isinstance(labels, str):
        labels = [labels]
    if len(labels) != count:
        raise DomainError(f"labels = {list(labels)!r} holds {len(labels)} labels for {count} lines; give one for each")
    return list(labels)


def one_or_many(items: Any, what: str, single: tuple[type, ...] = ()) -> list[Any]:
    """``items`` as a list, whether one was given or several.

    Examples
    --------
    >>> one_or_many("tanh", "activations"), one_or_many(["tanh", "erf"], "activations")
    (['tanh'], ['tanh', 'erf'])
    """
    many = isinstance(items, Iterable) and not isinstance(items, (str, *single)) and not callable(items)
    found = list(items) if many else [items]
    if not found:
        raise DomainError(f"{what} = {items!r} is empty; give at least one")
    return found
