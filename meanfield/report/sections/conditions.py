"""Proposition 4 of Hayou et al. (2018), condition by condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.report.blocks import Block, Paragraph, Section, Table, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meanfield.report.subject import Subject
    from meanfield.theory.conditions import Condition

_WORDS = {True: "yes", False: "no", None: "undecided"}


def section(subject: Subject) -> Section:
    """Verdicts with their reasons, evidence, witnesses and caveats.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> section(make_subject("relu", 0)).blocks[0].text
    'As stated in the paper: no. With the fixed point required to be the limit of the recursion: no.'
    """
    found = subject.verdict
    conditions = [*found.conditions.values(), found.conclusion]
    names = [*(f"({name})" for name in found.conditions), "conclusion"]
    rows = tuple(
        (name, condition.statement, _WORDS[condition.holds], condition.proof, _because(condition))
        for name, condition in zip(names, conditions, strict=True)
    )
    verdict = (
        f"As stated in the paper: {_WORDS[found.satisfied]}. "
        f"With the fixed point required to be the limit of the recursion: {_WORDS[found.satisfied_strictly]}."
    )
    blocks: list[Block] = [
        Paragraph(verdict),
        Table(
            "The conditions of Proposition 4 (Hayou et al. 2018, arXiv 1805.08266), each with how it was decided.",
            ("", "statement", "holds", "shown by", "because"),
            "lllll",
            rows,
        ),
        *(Paragraph(str(caveat), tone="caution") for caveat in found.caveats),
    ]
    return Section("proposition-4", "Proposition 4: does information go deep?", tuple(blocks))


def _because(condition: Condition) -> str:
    """The reason in a sentence and the witness; the numbers where no sentence sums them up."""
    if not condition.reason:
        return evidence(condition.evidence, condition.witness)
    witness = evidence({}, condition.witness)
    return f"{condition.reason.removesuffix('.')}. {witness}".strip()


def evidence(found: Mapping[str, Any], witness: Any) -> str:
    """Evidence and witness as one line of words.

    Examples
    --------
    >>> evidence({"phi(0)": 0.5, "ok": True}, {"x": 0.0})
    'phi(0) = 0.5; ok: yes. Witness: x = 0'
    """
    text = "; ".join(_said(str(name), value) for name, value in found.items())
    if witness is None or witness == {} or witness == "":
        return text
    shown = "; ".join(_said(str(name), value) for name, value in witness.items()) if isinstance(witness, dict) else _value(witness)
    return f"{text}. Witness: {shown}" if text else f"Witness: {shown}"


def _said(name: str, value: Any) -> str:
    if value is None or isinstance(value, (bool, str)):
        return f"{name}: {_WORDS[value] if not isinstance(value, str) else value}"
    return f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    import numpy as np

    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return "; ".join(_said(str(name), item) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        shown = [_value(item) for item in (value if len(value) <= 6 else [*value[:3], *value[-2:]])]
        if len(value) > 6:
            shown.insert(3, "…")
        return ", ".join(shown)
    if isinstance(value, float):
        return number(value)
    return str(value)
