"""A proof as a document: its steps with the theorem behind each, as text, LaTeX and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meanfield.result import Result, paged

_SHOWN = {True: "proved", False: "disproved", None: "undecided"}

# Claim in words, theorem (docs/proofs.md).
THEOREMS: dict[str, tuple[str, str]] = {
    "zero": ("φ(0) = 0", "arithmetic"),
    "away_from_zero": ("φ(0) ≠ 0, so that (i) fails", "arithmetic"),
    "slopes": ("the slopes φ'(0±) exist and are not both 0", "arithmetic of balls"),
    "flat_at_zero": ("φ'(0+) = φ'(0−) = 0, so that (i) fails", "arithmetic"),
    "regular": ("φ is continuous, and Lipschitz on bounded intervals, hence locally absolutely continuous", "arithmetic of balls"),
    "jumps": ("φ jumps: f'(1) = ∞ at every q, no point is on the edge of chaos, and (ii) fails", "Theorem 1"),
    "tails": (
        "|φ(x)/x| ≤ K for some K, which with φ(0) = 0 and the slopes is (i); E[φ²] and E[φ'²] are finite at every q",
        "expansions far out",
    ),
    "grows": ("|φ(x)/x| has no bound, so that (i) fails", "expansions far out"),
    "not_two_lines": (
        "φ is not linear on both sides of 0, so that σ_b² = q − V[φ]/V[φ'] > 0 at every q > 0, and → 0 as q → 0: (ii) at a fixed point, "
        "and q → 0 in (iii)",
        "Theorem 2",
    ),
    "two_lines": ("φ is linear on both sides of 0: σ_b² = 0 at every q of the edge, and (ii) fails", "Theorem 2"),
    "rises": ("E[xφφ'] > 0 at every q > 0: F' > 0, which is (iii)", "Theorem 4"),
    "waves": ("φ² is a constant minus cosines with weights ≥ 0: F' > 0 at every q, which is (iii)", "Theorem 5"),
    "falls": ("E[xφφ'] < 0 at some q: F falls there, and (iii) fails", "arithmetic of balls"),
    "concave": (
        "V is concave: with σ_b > 0 each F has one fixed point, and F' < 1 there, so that the strict reading holds wherever the other does",
        "Theorem 6",
    ),
    "near_zero": (
        "the sign of F' − 1 on the edge is that of φφ'' next to 0 for all small q: negative, and the points with small σ_b attract; "
        "positive, and they repel, so that the strict reading fails",
        "Theorem 7",
    ),
    "stability": ("F' − 1 changes its sign along the edge no more often than φφ'' + ψψ'' does on x > 0, ψ(x) = φ(−x)", "Theorem 8"),
    "fixed_points": ("V'' changes its sign no more often than φ² + ψ² bends as a function of x²", "Theorem 8"),
    "chi_1": ("E[φ'²] turns no more often than φ'² + ψ'² does on x > 0", "Theorem 8"),
    "checked": ("every claim above is confirmed, and the verdicts follow; (iv) holds for every φ with 0 < E[φ²] < ∞", "Theorem 3"),
}


def meaning(name: str, signs: str, exact: bool) -> str:
    """What the signs of a kernel say, for every q."""
    changes = len(signs) - 1
    if name == "stability":
        if not changes:
            return "every point of the edge attracts, F' < 1" if signs == "-" else "every point of the edge repels, F' > 1"
        if signs == "+-":
            one = "one half-stable point" if exact else "at most one half-stable point"
            return f"the edge has {one}: below its q points repel, above they attract"
        return f"at most {changes} half-stable points; for small q points {'repel' if signs[0] == '+' else 'attract'}"
    if name == "fixed_points":
        concave = "V is concave: " if signs == "-" else ""
        most = most_fixed_points(signs)
        return f"{concave}at every σ_w and σ_b > 0 F has at most {most} fixed point{'s' if most > 1 else ''}"
    if not changes:
        return f"E[φ'²], and χ₁ at a given σ_w, {'falls' if signs == '-' else 'rises'} with q"
    first, times = "rises" if signs[0] == "+" else "falls", "once" if changes == 1 else f"{changes} times"
    return f"E[φ'²], and χ₁ at a given σ_w, first {first} with q and turns at most {times}"


def most_fixed_points(signs: str) -> int:
    """The bound on the fixed points of F, σ_b > 0, from the signs of the bend of φ² in x²."""
    return len(signs) + (signs[0] == "+")


@dataclass(frozen=True)
class Step:
    """One step of a proof.

    Attributes
    ----------
    claim : str
        What is shown.
    theorem : str
        By which theorem of docs/proofs.md, or by what kind of arithmetic.
    evidence : str
        What was computed for it.
    seconds : float
        How long it took.
    """

    claim: str
    theorem: str
    evidence: str
    seconds: float = field(compare=False)


@dataclass(frozen=True, eq=False, repr=False)
class Proof(Result):
    """A proof or disproof of Proposition 4 for one activation, or why there is none.

    Attributes
    ----------
    name, formula : str
        The activation.
    satisfied : bool or None
        Whether (i)–(iv) hold with q a fixed point of F where χ₁ = 1: a theorem either way. None: no theorem here applies.
    satisfied_strictly : bool or None
        The same with q the limit of the variance recursion from small inputs.
    steps : tuple of Step
    undecided : tuple of str
        Why, where a verdict is None.
    certificate : str
        The JSON text that `check_proof` verifies; "" where there is none.
    confirmed : tuple of str
        The names of the claims in it.
    signs : dict of str to str
        Where `satisfied` is True, as far as shown: how the sign of a kernel goes on x > 0, like "+-". "stability": φφ'', so of F' − 1
        along the edge; "fixed_points": of the second derivative of φ² in x², so of V''; "chi_1": xφ'φ'', so of the slope of χ₁ in q. The
        first sign is that for small q, and there are no more changes for q than for x.
    exact : tuple of str
        Those of `signs` with as many changes for q.
    open_signs : tuple of str
        Why others are not shown.
    """

    name: str
    formula: str
    satisfied: bool | None
    satisfied_strictly: bool | None
    steps: tuple[Step, ...]
    undecided: tuple[str, ...] = ()
    certificate: str = field(default="", repr=False)
    confirmed: tuple[str, ...] = field(default=(), repr=False)
    signs: dict[str, str] = field(default_factory=dict)
    exact: tuple[str, ...] = field(default=(), repr=False)
    open_signs: tuple[str, ...] = ()

    @property
    def half_stable_points(self) -> int | None:
        """How many points of the edge have F' = 1, over all q > 0; None where it is not shown."""
        signs = self.signs.get("stability", "")
        return len(signs) - 1 if signs and "stability" in self.exact else None

    @property
    def most_fixed_points(self) -> int | None:
        """How many fixed points F has at most, at any σ_w and σ_b > 0; None where it is not shown."""
        signs = self.signs.get("fixed_points", "")
        return most_fixed_points(signs) if signs else None

    @property
    def verdict(self) -> str:
        """What is proved, in words: the two readings of (i)–(iv), then what holds for every q."""
        lines = [
            f"(i)–(iv), q a fixed point with χ₁ = 1: {_SHOWN[self.satisfied]}.",
            f"(i)–(iv), q the limit of the recursion: {_SHOWN[self.satisfied_strictly]}.",
        ]
        return "\n".join(lines + [f"For every q: {said}." for said in self.for_every_q()])

    def to_json(self) -> str:
        """The certificate, for `check_proof`."""
        return self.certificate

    def _columns(self) -> dict[str, list[Any]]:
        return {name: [getattr(step, name) for step in self.steps] for name in ("claim", "theorem", "evidence", "seconds")}

    def __str__(self) -> str:
        return "\n".join(paged(line, hang=3 if line[:1].isdigit() or line[:1] == " " else 0) for line in self._said().splitlines())

    def _said(self) -> str:
        """All of it, a line for each sentence."""
        lines = [f"Proposition 4 of Hayou et al. (2018) for φ(x) = {self.formula or self.name}", ""]
        for number, step in enumerate(self.steps, 1):
            by = f" [{step.theorem}]" if step.theorem else ""
            lines += [f"{number}. {step.claim}.{by}", f"   {step.evidence} ({step.seconds:.2g} s)"]
        lines += [""] * bool(self.steps) + self.verdict.splitlines()
        lines += [f"Not settled: {why}." for why in (*self.undecided, *self.open_signs)]
        return "\n".join(lines)

    def for_every_q(self) -> list[str]:
        """What the signs say, in words."""
        return [meaning(name, signs, name in self.exact) for name, signs in self.signs.items()]

    def to_latex(self) -> str:
        """The proof as LaTeX, for a document with amsthm."""
        items = [
            rf"  \item {_latex(step.claim)}"
            + (rf" (\emph{{{_latex(step.theorem)}}})" if step.theorem else "")
            + f": {_latex(step.evidence)}."
            for step in self.steps
        ]
        named = rf"\texttt{{{_latex(self.formula or self.name)}}}"
        head = rf"\begin{{proposition}} For $\varphi(x) = $ {named} conditions (i)--(iv) of Proposition 4 are"
        weak = f" {_SHOWN[self.satisfied]} at a fixed point and {_SHOWN[self.satisfied_strictly]} at the limit of the recursion."
        items += [rf"  \item For every $q$: {_latex(said)}." for said in self.for_every_q()]
        body = "\n".join(items)
        return f"{head}{weak}\n\\end{{proposition}}\n\\begin{{proof}}\n\\begin{{enumerate}}\n{body}\n\\end{{enumerate}}\n\\end{{proof}}\n"


_PLAIN = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    "$": r"\$",
    "<": r"$<$",
    ">": r"$>$",
    "φ": r"$\varphi$",
    "ψ": r"$\psi$",
    "σ": r"$\sigma$",
    "χ": r"$\chi$",
    "₁": r"$_1$",
    "²": r"$^2$",
    "±": r"$\pm$",
    "≠": r"$\neq$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∈": r"$\in$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "−": "$-$",
    "–": "--",
}


def _latex(text: str) -> str:
    return "".join(_PLAIN.get(letter, letter) for letter in text)
