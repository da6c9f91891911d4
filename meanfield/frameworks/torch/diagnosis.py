"""What a model shows on a batch beside what it should, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.result import Result, folded, paged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.arrays import Array

KINDS = (
    "normalisation",
    "missing activation",
    "dead units",
    "identical units",
    "saturated",
    "wrong scale",
    "wrong bias",
    "wrong variance",
    "vanishing",
    "exploding",
)


@dataclass(frozen=True, eq=False, repr=False)
class Finding(Result):
    """A departure from theory.

    Attributes
    ----------
    kind : str
        "normalisation", "missing activation", "dead units", "identical units", "saturated", "wrong scale", "wrong bias", "wrong variance",
        "vanishing" or "exploding".
    reason : str
    severity : str
        "note": good to know; "warning": other than the theory would have it, and no harm is seen; "fault": it harms.
    remedy : str
        What to do about it.
    """

    kind: str
    reason: str
    severity: str = "fault"
    remedy: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class LayerDiagnosis(Result):
    """One layer.

    Attributes
    ----------
    name, activation : str
        activation is "" for an output layer, "(none)" where it is missing, "?" where it can't be told.
    units : int
    sigma_w, sigma_b : float
        As measured: root mean squares of the weights times √fan_in, and of the biases.
    expected_sigma_w, expected_sigma_b : float
        As they should be.
    variance, expected_variance : float
        Mean of h² on the batch; σ_b² + σ_w² E[a²] with the σ's that should be and the layer's own inputs a.
    variance_z : float
        How far apart these are, in standard deviations of a layer of that many units.
    correlation, expected_correlation : float
        Mean over pairs of inputs, likewise; nan for a batch of one.
    gradient, expected_gradient : float
        |∂E/∂h|² over that of the last layer; expected_gradient is the product of σ_w² V[φ'](q) of the layers above, nan where
        the model is no plain chain.
    flat_fraction, expected_flat_fraction : float
        Of pre-activations where |φ'| is below a tenth of its maximum; saturated or dead. 0 for output layers.
    findings : tuple of Finding
    """

    name: str
    activation: str
    units: int
    sigma_w: float
    sigma_b: float
    expected_sigma_w: float
    expected_sigma_b: float
    variance: float
    expected_variance: float
    variance_z: float
    correlation: float
    expected_correlation: float
    gradient: float
    expected_gradient: float
    flat_fraction: float
    expected_flat_fraction: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Result):
    """A model on a batch against theory; ``str`` is a table, `plot` a picture.

    Attributes
    ----------
    layers : tuple of LayerDiagnosis
        In the order of their calls.
    findings : tuple of Finding
        About the model as a whole.
    notes : tuple of str
        What could not be looked at, and why.
    threshold : float
        |z| from which a layer departs.
    false_alarm : float
        Probability that any layer of a healthy model does.
    unjudged : tuple of (str, str)
        Layers whose σ's and variance are not held against theory, and why.
    """

    layers: tuple[LayerDiagnosis, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    threshold: float
    false_alarm: float
    unjudged: tuple[tuple[str, str], ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether there is no fault; notes and warnings are none."""
        return not any(finding.severity == "fault" for finding in self._every())

    def _every(self) -> Iterator[Finding]:
        yield from self.findings
        for layer in self.layers:
            yield from layer.findings

    @property
    def faults(self) -> tuple[tuple[str, Finding], ...]:
        """The faults, each with its layer's name, "" for the model as a whole."""
        own = [("", finding) for finding in self.findings]
        own += [(layer.name, finding) for layer in self.layers for finding in layer.findings]
        return tuple((name, finding) for name, finding in own if finding.severity == "fault")

    @property
    def departures(self) -> tuple[LayerDiagnosis, ...]:
        """The layers about which something was found."""
        return tuple(layer for layer in self.layers if layer.findings)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of everything that was found."""
        return frozenset(finding.kind for finding in (*self.findings, *(found for layer in self.layers for found in layer.findings)))

    def _columns(self) -> dict[str, Any]:
        names = ("name", "activation", *_NUMBERS)
        found = [", ".join(dict.fromkeys(finding.kind for finding in layer.findings)) for layer in self.layers]
        return {name: [getattr(layer, name) for layer in self.layers] for name in names} | {"found": found}

    def column(self, field: str) -> Array:
        """A number of every layer: ``column("variance")``."""
        if field not in _NUMBERS:
            raise DomainError(f"field = {field!r} is unknown; give one of {', '.join(_NUMBERS)}")
        return np.array([getattr(layer, field) for layer in self.layers], dtype=np.float64)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerDiagnosis]:
        return iter(self.layers)

    def __getitem__(self, name: str | int) -> LayerDiagnosis:
        if isinstance(name, int):
            return self.layers[name]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DomainError(f"{name!r} names no layer that was measured; there are {', '.join(layer.name for layer in self.layers)}")

    def plot(self, ax: Axes | None = None, quantity: str = "variance") -> Axes:
        """Draw it: see `meanfield.plot.diagnosis`."""
        from meanfield.plot.diagnosis import diagnosis

        return diagnosis(self, ax, quantity=quantity)

    def _counts(self) -> tuple[int, int]:
        """How many layers were judged, and how many there are."""
        left = {name for name, _ in self.unjudged}
        total = len({layer.name for layer in self.layers} | left)
        return total - len(left), total

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        if not any(finding.severity != "note" for finding in self._every()):
            judged, total = self._counts()
            if judged == 0:
                return f"None of {total} layers could be judged."
            which = f"{total} layers" if judged == total else f"the {judged} of {total} layers that were judged"
            return f"Nothing departs from theory in {which}."
        lines = [f"the model: {_said(finding)}" for finding in self.findings if finding.severity != "note"]
        grouped: dict[Finding, list[str]] = {}
        for layer in self.departures:
            for finding in layer.findings:
                if finding.severity == "note":
                    continue
                grouped.setdefault(finding, []).append(layer.name or "the layer")
        for finding, names in grouped.items():
            lines.append(f"{_several(names)}: {_said(finding)}")
        if self.unjudged:
            judged, total = self._counts()
            lines.append(f"{judged} of {total} layers were judged.")
        return "\n".join(lines)

    def __str__(self) -> str:
        rows = folded([(layer.name or "the layer", _row(layer)) for layer in self.layers], ROWS)
        wide = min(max([5, *(len(name) for name, _ in rows)]), 26)
        remedies = [f"remedy: {text}" for text in dict.fromkeys(f.remedy for f in self._every() if f.remedy and f.severity != "note")]
        remarks: dict[str, list[str]] = {}
        for layer in self.layers:
            for finding in layer.findings:
                if finding.severity == "note":
                    remarks.setdefault(finding.reason, []).append(layer.name or "the layer")
        groups: dict[str, list[str]] = {}
        for name, why in self.unjudged:
            groups.setdefault(why, []).append(name or "the layer")
        said = [f"not judged: {_several(names)}: {why}" for why, names in groups.items()]
        said += [f"note: {_several(names)}: {why}" for why, names in remarks.items()] + [f"note: {note}" for note in self.notes]
        lines = [
            *_few(self.verdict.splitlines(), 8),
            *_few(remedies, 4),
            "",
            f"{len(self.layers)} layers: measured / expected; a layer departs from |z| = {self.threshold:.2f} on",
            f"{'layer':<{wide}}  {'act.':<8}"
            + "".join(f" {head:>11}" for head in ("σ_w", "σ_b", "variance"))
            + f" {'gradient':>15}"
            + f" {'z':>7}",
        ]
        lines += [f"{_cut_name(name, wide):<{wide}}  {text}".rstrip() for name, text in rows]
        return paged("\n".join([*lines, *_few(said, 6)]), hang=2)


ROWS = 12  # of the table that a person is shown; `column` and `to_frame` have all


def _row(layer: LayerDiagnosis) -> str:
    """Measured over expected, and z."""
    values = (
        (layer.sigma_w, layer.expected_sigma_w),
        (layer.sigma_b, layer.expected_sigma_b),
        (layer.variance, layer.expected_variance),
    )
    cells = "".join(" " + f"{_number(a)}/{_number(b)}".rjust(11) for a, b in values)
    cells += " " + f"{_number(layer.gradient, 2)}/{_number(layer.expected_gradient, 2)}".rjust(15)
    return f"{_cut_name(layer.activation or '(output)', 8):<8}{cells} {layer.variance_z:>7.2f}"


def _cut_name(name: str, room: int) -> str:
    return name if len(name) <= room else name[: room - 1] + "…"


def _few(lines: list[str], most: int) -> list[str]:
    """The first lines, and how many more there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"({len(lines) - most + 1} more)"]


_NUMBERS = tuple(name for name, kind in LayerDiagnosis.__annotations__.items() if kind in ("float", "int"))


def _said(finding: Finding) -> str:
    word = "" if finding.severity == "fault" else f" ({finding.severity})"
    return f"{finding.kind}{word}: {finding.reason}"


def _several(names: list[str]) -> str:
    return ", ".join(names if len(names) <= 4 else [*names[:2], "…", names[-1]]) + (f" ({len(names)} layers)" if len(names) > 4 else "")


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}g}"
