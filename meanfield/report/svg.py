"""Matplotlib figures as SVG that lives inside an HTML page: no prologue, no name used twice, colours for light and dark."""

from __future__ import annotations

import colorsys
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RESOLUTION = 200  # dots per inch of what is rasterised, the cells of a phase diagram
_HEX = re.compile(r"#[0-9a-f]{6}\b")


def inline_svg(figure: Figure, name: str, *, grey_only: bool = False) -> tuple[str, dict[str, str]]:
    """The figure as one ``<svg>`` element, and the colours it uses.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Prefix of all ids, so that several figures can share a page. The same figure and name give the same bytes.
    grey_only : bool
        Let only greys change in the dark: for figures whose colours are numbers.

    Returns
    -------
    svg : str
        Text is drawn as paths: it looks the same everywhere. Colours are written ``var(--figure-rrggbb)``.
    colours : dict
        For each such rrggbb the colour to use on a dark page.

    Examples
    --------
    >>> from meanfield.plot.column_width import detached_axes
    >>> svg, colours = inline_svg(detached_axes().figure, "empty")
    >>> svg[:4], "http" in svg, colours["000000"]
    ('<svg', False, '#ffffff')
    """
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"meanfield-{name}", "svg.fonttype": "path"}):
        metadata: dict[str, None] = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(stream, format="svg", dpi=_RESOLUTION, transparent=True, metadata=metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Inside HTML the parser knows these namespaces; the size comes from the page.
    text = re.sub(r'\s(?:xmlns(?::xlink)?|version)="[^"]*"', "", text)
    text = re.sub(r'^<svg([^>]*?)\swidth="[^"]*"', r"<svg\1", text)
    text = re.sub(r'^<svg([^>]*?)\sheight="[^"]*"', r"<svg\1", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    colours: dict[str, str] = {}
    pieces = re.split(r'("data:[^"]*"|style="[^"]*")', text)  # colours are in style attributes, never in the bytes of a picture
    for index, piece in enumerate(pieces):
        if piece.startswith("style="):
            pieces[index] = _HEX.sub(lambda match: _variable(match[0], colours, grey_only), piece)
    return "".join(pieces).strip(), colours


def _variable(colour: str, colours: dict[str, str], grey_only: bool) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) / 255.0 for start in (1, 3, 5))
    if grey_only and max(red, green, blue) - min(red, green, blue) > 0.02:
        return colour
    colours[colour[1:]] = on_dark(colour)
    return f"var(--figure-{colour[1:]})"


def on_dark(colour: str) -> str:
    """The colour that does on a dark page what this one does on white: the same hue, lightness reversed.

    Examples
    --------
    >>> on_dark("#000000"), on_dark("#ffffff")
    ('#ffffff', '#000000')
    """
    channels = (int(colour[start : start + 2], 16) / 255.0 for start in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(*channels)
    back = colorsys.hls_to_rgb(hue, 1.0 - lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in back)
