"""The arguments and options that commands share, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

from meanfield.errors import DomainError


def known_names(incomplete: str) -> list[str]:
    """The activations whose names begin so, for the shell's completion.

    Examples
    --------
    >>> known_names("hard")[:3]
    ['hardshrink', 'hardsigmoid', 'hardswish']
    """
    from meanfield.activations import activations

    return [name for name in activations() if name.startswith(incomplete)]


Formula = Annotated[
    str,
    typer.Argument(
        metavar="ACTIVATION",
        help="A name (see 'meanfield activations') or a formula in x, such as 'x*sigmoid(1.7*x)'.",
        autocompletion=known_names,
    ),
]
Formulas = Annotated[
    list[str],
    typer.Argument(
        metavar="ACTIVATION...", help="One or several: names (see 'meanfield activations') or formulas in x.", autocompletion=known_names
    ),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the activation; may be repeated.")
]
SigmaB = Annotated[str, typer.Option("--sigma-b", help="σ_b: 0.2, or 0,0.1,0.5, or start:stop:step with the stop included.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="One JSON object on stdout, numbers in full.")]
AsCsv = Annotated[bool, typer.Option("--csv", metavar="", help="CSV on stdout, numbers in full.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", metavar="", help="Say on stderr what is being done.")]


def figure_option(what: str) -> typer.models.OptionInfo:
    """``-o FILE``, for a picture of ``what``."""
    option: typer.models.OptionInfo = typer.Option("--output", "-o", metavar="FILE", help=f"Also draw {what} to a .png, .svg or .pdf file.")
    return option


def check_one_format(as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at a time.

    Examples
    --------
    >>> check_one_format(True, False)
    """
    if as_json and as_csv:
        raise DomainError("--json and --csv can't both be given; choose one")


def check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of those known.

    Examples
    --------
    >>> check_word("--quantity", "xi_c", ("xi_q", "xi_c"))
    """
    if word not in known:
        raise DomainError(f"{option} {word!r} is unknown; give one of {', '.join(known)}")
