"""The page in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.report.blocks import Section, Table, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.report.subject import Subject

_DEPTH = 100
_TOLD = 3  # stretches of one kind that are worth listing


def section(subject: Subject) -> Section:
    """Edge of chaos, law, verdict, initialisation.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> dict(section(make_subject("tanh", 0)).blocks[0].rows)["Edge of chaos"]
    'for every σ_b in [0, 1], attracting'
    """
    told = {
        "Edge of chaos": _edge,
        "On it, 1 − c falls as": _law,
        "Proposition 4": _verdict,
        f"Initialise {_DEPTH} layers with": _advice,
    }
    rows = tuple((name, _told(tell, subject)) for name, tell in told.items())
    return Section("summary", "In short", (Table("", ("", ""), "ll", rows),))


def _told(tell: Callable[[Subject], str], subject: Subject) -> str:
    """One line; the theory's refusal where it refuses."""
    from meanfield.errors import MeanFieldError

    try:
        return tell(subject)
    except MeanFieldError as error:
        return str(error)


def _edge(subject: Subject) -> str:
    import numpy as np

    status = subject.edge.status
    there = status != "none"
    if not subject.points:
        return f"none: {subject.edge.reason[0]}"
    if not there.any():
        return f"at σ_b = {number(subject.points[0].sigma_b)} and beyond"
    if there.sum() == 1:
        index = int(there.argmax())
        return f"one point, σ_b = {number(subject.edge.sigma_b[index])}, σ_w = {number(subject.edge.sigma_w[index])}"
    grid = subject.edge.sigma_b
    where = "for every σ_b in [0, 1]" if there.all() else f"for σ_b from {grid[there][0]:.3g} to {grid[there][-1]:.3g}"
    kinds = status[there]
    turns = (np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist()
    if not turns:
        return f"{where}, {kinds[0]}"
    starts = [0, *turns]
    if len(starts) > _TOLD:
        return f"{where}, partly attracting" if "attracting" in kinds else f"{where}, nowhere attracting"
    return f"{where}: " + ", ".join(f"{kinds[start]} from σ_b = {grid[there][start]:.3g}" for start in starts)


def _law(subject: Subject) -> str:
    from meanfield.theory.asymptotics import asymptotics

    if subject.point is None:
        return "nothing: there is no edge of chaos"
    law = asymptotics(subject.activation, sigma_b=subject.point.sigma_b)
    if law.exponent == 0.0:
        return "nothing: the correlation map is the identity"
    power = "ℓ" if law.exponent == 1.0 else "ℓ²"
    return f"{number(law.constant, 4)}/{power} at layer ℓ, with σ_b = {number(law.sigma_b)} ({law.kind})"


def _verdict(subject: Subject) -> str:
    words = {True: "satisfied", False: "not satisfied", None: "undecided"}
    found = subject.verdict
    told = words[found.satisfied]
    if found.satisfied != found.satisfied_strictly:
        told += f" as stated; {words[found.satisfied_strictly]} at the limit of the recursion"
    broken = [f"({name})" for name, condition in found.conditions.items() if condition.holds is False]
    return told + (f": {' and '.join(broken)} fail{'s' if len(broken) == 1 else ''}" if broken else "")


def _advice(subject: Subject) -> str:
    best = subject.advice[_DEPTH]
    if isinstance(best, str):
        return "no initialisation keeps signals that deep"
    return f"σ_w = {number(best.sigma_w)}, σ_b = {number(best.sigma_b)}"
