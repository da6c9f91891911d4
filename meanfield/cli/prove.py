"""``meanfield prove``: Proposition 4 of Hayou et al. (2018) as a theorem, or the check of a certificate."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_json, formula, parameters

EXIT_STATUS = {True: 0, False: 1, None: 3}


@command("prove tanh")
@formula
@click.option("--strict", is_flag=True, help="Let the exit status tell about the limit of the recursion, not any fixed point.")
@click.option("--time-limit", default=10.0, help="Seconds after which the answer is: undecided.")
@click.option("--certificate", is_flag=True, help="ACTIVATION is a file with a certificate, written by --json: check it again.")
@click.option("--latex", is_flag=True, help="Print the proof as LaTeX.")
@parameters
@as_json()
def prove(
    activation: str,
    strict: bool,
    time_limit: float,
    certificate: bool,
    latex: bool,
    parameter: tuple[str, ...],
    as_json: bool,
) -> None:
    """Proposition 4 proved or disproved, by theorems and ball arithmetic; needs the extra "proof".

    --json prints the certificate. Exit status: 0 proved, 1 disproved, 3 undecided; of a check 0 where the certificate holds, else 1. A
    formula that starts with '-' goes after '--', at the end: meanfield prove -- "-x".
    """
    if certificate:
        _check(activation)
    from meanfield.cli.parameter import named_activation
    from meanfield.proof import prove_proposition4

    found = prove_proposition4(named_activation(activation, parameter), time_limit)
    if as_json and found.certificate:
        click.echo(found.to_json())
    else:
        click.echo(found.to_latex() if latex else _folded(found._said()))
    raise click.exceptions.Exit(EXIT_STATUS[found.satisfied_strictly if strict else found.satisfied])


def _folded(text: str) -> str:
    """Lines as wide as the page, what goes on set in by its line's own margin and three more."""
    from meanfield.cli.table import page_width

    lines = []
    for line in text.splitlines():
        margin = " " * (len(line) - len(line.lstrip()) + 3)
        lines += textwrap.wrap(line, page_width(), subsequent_indent=margin, break_on_hyphens=False) or [""]
    return "\n".join(lines)


def _check(path: str) -> None:
    from meanfield.errors import DomainError
    from meanfield.proof import check_proof

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DomainError(f"the certificate {path!r} can't be read: {error}") from error
    found = check_proof(text)
    click.echo(str(found))
    raise click.exceptions.Exit(0 if found else 1)
