"""From an activation to the page."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, overload

from meanfield.errors import AccuracyWarning, DomainError, MeanFieldError
from meanfield.report.blocks import Figure, Paragraph, Section
from meanfield.report.subject import Subject, make_subject

_logger = logging.getLogger("meanfield")

_LONGEST_TITLE = 120


@dataclass(frozen=True)
class Datasheet:
    """All that stands on the page.

    Attributes
    ----------
    title : str
        The activation's name and parameters.
    sections : tuple of Section
    """

    title: str
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return "\n".join([f"Datasheet of {self.title}", *(f"  {section.title}" for section in self.sections)])

    @property
    def colours(self) -> dict[str, str]:
        """Every colour of the figures and what it becomes in the dark."""
        figures = (block for section in self.sections for block in section.blocks if isinstance(block, Figure))
        return dict(sorted((light, dark) for figure in figures for light, dark in figure.colours.items()))


@overload
def report(activation: Any, path: None = None, *, seed: int = 0) -> str: ...
@overload
def report(activation: Any, path: str | os.PathLike[str], *, seed: int = 0) -> Path: ...
def report(activation: Any, path: str | os.PathLike[str] | None = None, *, seed: int = 0) -> str | Path:
    """A datasheet of an activation: one HTML file with everything in it, to attach to a paper or a pull request.

    It shows the activation with its derivatives and breakpoints, the variance map, the edge of chaos, the phase diagram, the
    correlation map, a comparison with ReLU, tanh, Swish and GELU, Proposition 4 of Hayou et al. (2018), initialisations for
    depth 20, 100 and 1000 as lines to paste, a Monte-Carlo check, and how the page was made. It needs no network and no
    script, and reads on a phone, on paper and in the dark. The same call with the same versions gives the same bytes.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    path : str or path-like, optional
        Where to write the page, in UTF-8; a file that is there already is replaced. The file appears whole or not at all.
    seed : int
        Of the Monte-Carlo check, at least 0.

    Returns
    -------
    str or pathlib.Path
        The page itself where no path is given, else the path.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If path is a folder, or in a folder that does not exist; if seed is not a whole number ≥ 0.

    Examples
    --------
    >>> import meanfield as mf
    >>> page = mf.report("relu")  # doctest: +SKIP
    >>> mf.report("relu", "relu.html")  # doctest: +SKIP
    PosixPath('relu.html')
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise DomainError(f"seed = {seed!r} must be a whole number, 0 or above")
    place = None if path is None else checked_path(path)
    page = rendered(datasheet(activation, int(seed)))
    if place is None:
        return page
    write_page(page, place)
    return place


def datasheet(activation: Any, seed: int = 0) -> Datasheet:
    """Compute every section.

    Examples
    --------
    >>> print(datasheet("relu"))  # doctest: +ELLIPSIS
    Datasheet of relu
      In short
      The activation
      ...
      How this page was made
    """
    from meanfield.report.sections import (
        comparison,
        conditions,
        correlation,
        edge,
        initialisation,
        jacobian,
        monte_carlo,
        origin,
        plane,
        shape,
        summary,
        variance,
    )

    with _collected() as notes:
        subject = make_subject(activation, seed)
    makers: tuple[tuple[str, str, Callable[[Subject], Section]], ...] = (
        ("summary", "In short", summary.section),
        ("activation", "The activation", shape.section),
        ("variance", "Variance", variance.section),
        ("edge-of-chaos", "Edge of chaos", edge.section),
        ("phase-diagram", "Phase diagram", plane.section),
        ("correlation", "Correlation map on the edge of chaos", correlation.section),
        ("comparison", "Beside ReLU, tanh, Swish and GELU", comparison.section),
        ("proposition-4", "Proposition 4: does information go deep?", conditions.section),
        ("initialisation", "Initialisation", initialisation.section),
        ("jacobian", "Jacobian: how far lengths are kept", jacobian.section),
        ("monte-carlo", "Monte-Carlo check", monte_carlo.section),
        ("origin", "How this page was made", origin.section),
    )
    sections = [_made(subject, *maker, notes if index == 0 else []) for index, maker in enumerate(makers)]
    return Datasheet(_title(subject), tuple(sections))


def _title(subject: Subject) -> str:
    from meanfield.activations.activation import shortened
    from meanfield.report.sections.origin import parameters_shown

    act = subject.activation
    shown = ", ".join(f"{name} = {value}" for name, value in parameters_shown(act).items())
    return shortened(act.name, _LONGEST_TITLE) + (f" ({shown})" if shown else "")


def _made(subject: Subject, name: str, title: str, maker: Callable[[Subject], Section], notes: list[str]) -> Section:
    """The section; where the theory has no answer, the section that says so."""
    _logger.info("report: %s", title)
    with _collected() as warned:
        try:
            made = maker(subject)
        except MeanFieldError as error:
            made = Section(name, title, (Paragraph(f"This could not be computed: {error}.", tone="caution"),))
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            # One defect must not cost the reader the other sections; nor may it pass for a property of the activation.
            _logger.exception("report: the section %r failed", title)
            told = (
                f"This section is missing: meanfield failed here ({type(error).__name__}: {error}). That is a defect, not a property of φ."
            )
            made = Section(name, title, (Paragraph(told, tone="caution"),))
    remarks = (Paragraph(f"Accuracy: {note}", tone="caution") for note in dict.fromkeys([*notes, *warned]))
    return Section(made.name, made.title, (*made.blocks, *remarks))


@contextlib.contextmanager
def _collected() -> Iterator[list[str]]:
    """What AccuracyWarnings say while this is open: it belongs on the page. Other warnings go on to the caller."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    for warning in caught:
        if issubclass(warning.category, AccuracyWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def rendered(sheet: Datasheet) -> str:
    """The page as HTML.

    Examples
    --------
    >>> rendered(Datasheet("<b>", ())).count("&lt;b&gt;")
    2
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from meanfield.report.symbols import symbols

    environment = Environment(
        loader=PackageLoader("meanfield.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["symbols"] = symbols
    return environment.get_template("datasheet.html").render(sheet=sheet)


def checked_path(path: str | os.PathLike[str], called: str = "path") -> Path:
    """The path, checked before any work is done; errors call the argument `called`.

    Examples
    --------
    >>> checked_path("mish.html").name
    'mish.html'
    """
    try:
        place = Path(path)
        folder, is_folder = place.parent.is_dir(), place.is_dir()
        if "\0" in str(place):
            raise ValueError("it holds a null character")
    except (TypeError, ValueError) as error:
        raise DomainError(f"{called} = {path!r} is not the path of a file: {error}") from error
    if is_folder:
        raise DomainError(f"{called} = {str(path)!r} is a folder; give the name of a file")
    if not folder:
        raise DomainError(f"{called} = {str(path)!r}: there is no folder {str(place.parent)!r}")
    if place.suffix.lower() not in ("", ".html", ".htm"):
        raise DomainError(
            f"{called} = {str(path)!r} ends in {place.suffix!r}; the datasheet is one HTML page: give a name that ends in .html"
        )
    return place


def write_page(page: str, place: Path) -> None:
    """Write beside the place and move it there, so that a reader never meets half a page.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page("<p>", Path(folder) / "page.html")
    ...     [path.name for path in Path(folder).iterdir()]
    ['page.html']
    """
    target = place.resolve()  # through a link, to the file that it names
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "x", encoding="utf-8", newline="\n") as stream:
            stream.write(page)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
