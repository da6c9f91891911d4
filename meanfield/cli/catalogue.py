"""``meanfield activations``: the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format

if TYPE_CHECKING:
    from meanfield.activations import Activation


@command("activations", "activations --json")
@as_json()
@as_csv()
def activations(
    as_json: bool,
    as_csv: bool,
) -> None:
    """The activations known by name, with their parameters and the points where they have a jump or a kink."""
    check_one_format(as_json, as_csv)
    from meanfield.activations import activation as find
    from meanfield.activations import activations as names

    entries = [find(name) for name in names()]
    if as_json:
        _print_json(entries)
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(("name", "parameters", "breakpoints"), ((entry.name, _parameters(entry), _breakpoints(entry)) for entry in entries))
    else:
        from meanfield.cli.table import print_table

        print_table(
            title=f"{len(entries)} activations",
            header=("name", "parameters and defaults", "not smooth at"),
            rows=((entry.name, _parameters(entry), _breakpoints(entry)) for entry in entries),
            notes=("Anything else is read as a formula in x, such as 'x*sigmoid(1.7*x)'.",),
        )


def _print_json(entries: list[Activation]) -> None:
    from meanfield import __version__
    from meanfield.cli.machine_output import write_json

    write_json(
        {
            "activations": [
                {
                    "name": entry.name,
                    "parameters": entry.parameters,
                    "breakpoints": [
                        {"location": point.location, "value_jump": point.value_jump, "slope_jump": point.slope_jump}
                        for point in entry.breakpoints
                    ],
                }
                for entry in entries
            ],
            "version": __version__,
        }
    )


def _parameters(entry: Activation) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.parameters.items())


def _breakpoints(entry: Activation) -> str:
    return " ".join(f"{point.location:.10g}" for point in entry.breakpoints)
