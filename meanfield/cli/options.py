"""The arguments and options that commands share, each said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.command import argument
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def known_names(context: click.Context | None, parameter: click.Parameter | None, incomplete: str) -> list[str]:
    """The activations whose names begin so, for the shell's completion.

    Examples
    --------
    >>> known_names(None, None, "hard")[:3]
    ['hardshrink', 'hardsigmoid', 'hardswish']
    """
    from meanfield.activations import activations

    return [name for name in activations() if name.startswith(incomplete)]


def file_names(context: click.Context | None, parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows the files.

    Examples
    --------
    >>> [item.type for item in file_names(None, None, "net")]
    ['file']
    """
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def one_of(words: tuple[str, ...]) -> Callable[[Any, Any, str], list[str]]:
    """Completion of an option's word.

    Examples
    --------
    >>> one_of(("xi_q", "xi_c", "chi_1"))(None, None, "xi")
    ['xi_q', 'xi_c']
    """
    return lambda context, parameter, incomplete: [word for word in words if word.startswith(incomplete)]


formula = argument(
    "activation",
    metavar="ACTIVATION",
    shell_complete=known_names,
    help="A name (see 'meanfield activations') or a formula in x, such as 'x*sigmoid(1.7*x)'.",
)
formulas = argument(
    "activation",
    nargs=-1,
    required=True,
    metavar="ACTIVATION...",
    shell_complete=known_names,
    help="One or several: names (see 'meanfield activations') or formulas in x.",
)
parameters = click.option("--parameter", "-p", multiple=True, metavar="NAME=VALUE", help="A parameter of the activation; may be repeated.")
sigma_b_grid = click.option(
    "--sigma-b", default="0:1:0.1", metavar="GRID", help="σ_b: 0.2, or 0,0.1,0.5, or start:stop:step with the stop included."
)
verbose = click.option("--verbose", "-v", is_flag=True, help="Say on stderr what is being done.")


def as_json(more: str = "") -> Decorator:
    """``--json``, with what there is to say about the object."""
    return click.option("--json", "as_json", is_flag=True, help=f"One JSON object on stdout, numbers in full{more}.")


def as_csv(more: str = "") -> Decorator:
    """``--csv``, with what there is to say about the rows."""
    return click.option("--csv", "as_csv", is_flag=True, help=f"CSV on stdout, numbers in full{more}.")


def figure(what: str) -> Decorator:
    """``-o FILE``, for a picture of ``what``."""
    return click.option("--output", "-o", metavar="FILE", shell_complete=file_names, help=f"Also draw {what} to a .png, .svg or .pdf file.")


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
