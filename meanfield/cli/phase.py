"""``meanfield phase``: the phase diagram of an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, check_word, figure, formula, one_of, parameters, sigma_b_grid, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.theory.phase_diagram import PhaseDiagram

QUANTITIES = ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad")
LARGEST_PLANE = 1_000_000
_LETTERS = {
    "O": "O ordered: χ₁ < 1, inputs grow alike and gradients vanish.",
    "X": "X critical: χ₁ = 1.",
    "C": "C chaotic: χ₁ > 1, inputs that are close part and gradients explode.",
    "D": "D divergent: the variance grows without bound from q = 1.",
}
_BESIDE_MAP = 24  # the columns left of it
_TALLEST_MAP = 60


@command("phase tanh", "phase relu --quantity chi_1 -o phases.png")
@formula
@click.option("--sigma-w", default="0.5:3:0.1", metavar="GRID", help="σ_w: 1.5, or 1,1.5,2, or start:stop:step with the stop included.")
@sigma_b_grid
@click.option(
    "--quantity",
    default="xi_c",
    metavar="NAME",
    shell_complete=one_of(QUANTITIES),
    help=f"What to draw and to sum up: {', '.join(QUANTITIES)}.",
)
@parameters
@as_json(": every quantity, rows for σ_b, columns for σ_w")
@as_csv(": every quantity, a row for each (σ_b, σ_w)")
@figure("the diagram")
@verbose
def phase(
    activation: str,
    sigma_w: str,
    sigma_b: str,
    quantity: str,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """The phase diagram: ordered or chaotic at each (σ_w, σ_b), with q*, χ₁, c* and the depth scales.

    σ's are standard deviations. A formula that starts with '-' goes after '--', at the end: meanfield phase --sigma-b 0.2 -- "-x".
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress
    from meanfield.cli.sigma_grid import sigma_grid

    check_one_format(as_json, as_csv)
    check_word("--quantity", quantity, QUANTITIES)
    across, up = sorted(set(sigma_grid(sigma_w, "--sigma-w"))), sorted(set(sigma_grid(sigma_b, "--sigma-b")))
    if len(across) * len(up) > LARGEST_PLANE:
        raise DomainError(
            f"--sigma-w and --sigma-b ask for {len(across):,} × {len(up):,} points; give at most {LARGEST_PLANE:,} in all, "
            "or use meanfield.phase_diagram from Python"
        )
    path = figure_path(output)
    if path is not None and min(len(across), len(up)) < 2:
        raise DomainError(f"-o {output!r}: a picture needs two or more σ_w and σ_b; there are {len(across)} and {len(up)}")
    show_progress(verbose)

    phi = named_activation(activation, parameter)  # a slip is told before the theory is loaded
    import sys

    import numpy as np

    from meanfield.theory.phase_diagram import phase_diagram

    diagram = phase_diagram(phi, sigma_w=np.array(across), sigma_b=np.array(up), progress=sys.stderr.isatty())
    if path is not None:
        _draw(diagram, quantity, path)
    if as_json:
        _print_json(diagram)
    elif as_csv:
        _print_csv(diagram)
    elif path is not None:
        _print_summary(diagram, quantity)  # the picture is the map
    else:
        _print_map(diagram, quantity)


def _print_json(diagram: PhaseDiagram) -> None:
    from meanfield.cli.machine_output import write_answer

    write_answer(diagram.activation, {name: getattr(diagram, name) for name in ("sigma_w", "sigma_b", *QUANTITIES, "phase")})


def _print_csv(diagram: PhaseDiagram) -> None:
    import numpy as np

    from meanfield.cli.machine_output import write_csv

    up, across = np.meshgrid(diagram.sigma_b, diagram.sigma_w, indexing="ij")
    columns = [up, across, *(getattr(diagram, name) for name in QUANTITIES), diagram.phase]
    write_csv(("sigma_b", "sigma_w", *QUANTITIES, "phase"), zip(*(column.ravel().tolist() for column in columns), strict=True))


def _print_map(diagram: PhaseDiagram, quantity: str) -> None:
    """A letter for each cell, σ_b falling down the page as on a picture; with the exact critical σ_w of each row."""
    import numpy as np

    from meanfield.cli.table import number, print_table
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    letters = _letters(diagram)
    rows = _thinned(diagram.sigma_b.size, _TALLEST_MAP)[::-1]
    columns = _thinned(diagram.sigma_w.size, _widest())
    critical = edge_of_chaos(diagram.activation, sigma_b=diagram.sigma_b[rows])
    first, last = number(float(diagram.sigma_w[0])), number(float(diagram.sigma_w[-1]))
    shown = np.unique(letters).tolist()
    notes = [meaning for letter, meaning in _LETTERS.items() if letter in shown]
    if "repelling" in critical.status.tolist():
        notes.append("(r): χ₁ = 1 at a variance that repels; inputs don't stay at this point.")
    if columns.size < diagram.sigma_w.size or rows.size < diagram.sigma_b.size:
        notes.append(f"The map shows {columns.size} of {diagram.sigma_w.size} σ_w and {rows.size} of {diagram.sigma_b.size} σ_b.")
    notes += ["", *_summary(diagram, letters, quantity)]
    print_table(
        title=f"Phase diagram of {diagram.activation.name}",
        header=("σ_b", "critical σ_w", f"σ_w from {first} to {last}"),
        rows=[
            (
                number(float(diagram.sigma_b[row])),
                _critical(float(critical.sigma_w[place]), str(critical.status[place])),
                "".join(letters[row, columns].tolist()),
            )
            for place, row in enumerate(rows.tolist())
        ],
        notes=notes,
    )


def _letters(diagram: PhaseDiagram) -> Any:
    import numpy as np

    return np.where(np.isposinf(diagram.q_star), "D", np.array(["O", "X", "C"])[diagram.phase + 1])


def _print_summary(diagram: PhaseDiagram, quantity: str) -> None:
    """How many cells of each phase, and the range of the quantity."""
    from meanfield.cli.standard_output import write_out

    lines = [f"Phase diagram of {diagram.activation.name}", *_summary(diagram, _letters(diagram), quantity)]
    write_out("\n".join(lines) + "\n")


def _critical(sigma_w: float, status: str) -> str:
    from meanfield.cli.table import number

    return number(sigma_w) + (" (r)" if status == "repelling" else "")


def _summary(diagram: PhaseDiagram, letters: Any, quantity: str) -> list[str]:
    """For each phase how many cells, and the range of the quantity."""
    import numpy as np

    values = getattr(diagram, quantity)
    lines = []
    for letter, meaning in _LETTERS.items():
        cells = values[letters == letter]
        if cells.size:
            word = meaning.split(":")[0].split(" ", 1)[1]
            known = np.sort(cells[~np.isnan(cells)])  # nan: φ has too many features there, or the map no limit
            if not known.size:
                lines.append(f"{word}: {cells.size} of {values.size} cells; {quantity} is nan")
                continue
            low, middle, high = (float(known[i]) for i in (0, known.size // 2, -1))
            spread = f"from {low:.6g} to {high:.6g}, median {middle:.6g}" if low != high else f"is {low:.6g}"
            lines.append(f"{word}: {cells.size} of {letters.size} cells; {quantity} {spread}")
    return lines


def _thinned(count: int, most: int) -> Any:
    """Evenly spread indices, both ends among them."""
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _widest() -> int:
    """How many letters a row may have: a folded map could not be read."""
    from meanfield.cli.table import page_width

    return max(page_width() - _BESIDE_MAP, 20)


def _draw(diagram: PhaseDiagram, quantity: str, path: Path) -> None:
    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.phase_diagram import phase_diagram as draw

    axes = draw(diagram, quantity, ax=detached_axes())
    write_figure(axes, path)
