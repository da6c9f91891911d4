"""``meanfield check``: whether an activation meets the conditions of Proposition 4 of Hayou et al. (2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_json, formula, parameters, verbose

if TYPE_CHECKING:
    from meanfield.theory.conditions import Condition, Proposition4

EXIT_STATUS = {True: 0, False: 1, None: 3}


@command("check tanh", "check 'x*tanh(exp(x))' --json")
@formula
@click.option(
    "--strict", is_flag=True, help="Let the exit status tell whether (ii) holds at the limit of the recursion, not at any fixed point."
)
@parameters
@as_json()
@verbose
def check(
    activation: str,
    strict: bool,
    parameter: tuple[str, ...],
    as_json: bool,
    verbose: bool,
) -> None:
    """The conditions under which a deep network on the edge of chaos passes information on, each with its reason.

    Exit status: 0 satisfied, 1 not, 3 undecided. A formula that starts with '-' goes after '--', at the end: meanfield check -- "-x".
    """
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress

    show_progress(verbose)

    from meanfield.theory.conditions import check_proposition4

    result = check_proposition4(named_activation(activation, parameter))
    if as_json:
        _print_json(result)
    else:
        _print_table(result)
    raise click.exceptions.Exit(EXIT_STATUS[result.satisfied_strictly if strict else result.satisfied])


def _print_json(result: Proposition4) -> None:
    from meanfield.cli.machine_output import write_answer

    write_answer(
        result.activation,
        {
            "satisfied": result.satisfied,
            "satisfied_strictly": result.satisfied_strictly,
            "conditions": {name: _plain(condition) for name, condition in result.conditions.items()},
            "conclusion": _plain(result.conclusion),
            "propositions": {name: _plain(condition) for name, condition in result.propositions.items()},
            "caveats": result.caveats,
        },
    )


def _plain(condition: Condition) -> dict[str, Any]:
    names = ("statement", "holds", "proof", "reason", "evidence", "witness")
    return {name: getattr(condition, name) for name in names}


def _print_table(result: Proposition4) -> None:
    from meanfield.cli.table import print_table
    from meanfield.theory.conditions.condition import SHOWN

    rows = [(f"({name})", SHOWN[c.holds], c.proof, c.reason) for name, c in result.conditions.items()]
    rows.append(("conclusion", SHOWN[result.conclusion.holds], result.conclusion.proof, result.conclusion.reason))
    rows += [(f"Prop. {name}", SHOWN[c.holds], c.proof, c.reason) for name, c in result.propositions.items()]
    print_table(
        title=f"Proposition 4 of Hayou et al. (2018) for {result.activation.name}",
        header=("condition", "holds", "proof", "reason"),
        rows=rows,
        notes=(
            f"Satisfied, with q a fixed point where χ₁ = 1: {SHOWN[result.satisfied]}.",
            f"Satisfied strictly, with q the limit of the variance recursion: {SHOWN[result.satisfied_strictly]}.",
            *result.caveats,
        ),
    )
