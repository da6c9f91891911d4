"""`prove_proposition4`: Proposition 4 of Hayou et al. (2018) for every q at once, as theorems; None where none applies.

The prover finds what the theorems of docs/proofs.md need, over exact pieces and expansions of φ. What it found becomes a certificate, and
nothing is called proved that the check of the certificate (check.py, which shares no code with this) does not confirm.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import Activation, shortened
from meanfield.activations.formula.tree import Node
from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.proof.balls import ProofError, ball, flint, precision, require
from meanfield.proof.check import FORMAT, verified
from meanfield.proof.document import THEOREMS, Proof, Step
from meanfield.proof.function import BITS, STARTS, Function, function_of, one_sided, tail
from meanfield.proof.jets import real
from meanfield.proof.kernel import Cells, Clock, Kernel, cells_for_a_fall, far_out, settled_by_grid
from meanfield.proof.patterns import KERNELS, Pattern
from meanfield.proof.pieces import occurring, polynomial
from meanfield.proof.search import DoubleMoments
from meanfield.proof.taylor import taylor

_ORDER = 6
_MOST_CELLS, _FEW_CELLS = 12_000, 600
_AMPLE = 60.0  # seconds: no limit for so few cells
_ABOUT = {"stability": "the stability along the edge", "fixed_points": "the number of fixed points", "chi_1": "how χ₁ goes with q"}
_AT = tuple(Fraction(n, 8) for n in (8, -8, 4, -4, 16, -16, 1, -1, 40, -40, 200, -200, 800, -800))


def prove_proposition4(activation: Any, time_limit: float = 10.0) -> Proof:
    """Prove or disprove conditions (i)–(iv) of Proposition 4 of Hayou et al. (2018), under both readings.

    Parameters
    ----------
    activation : str, SymPy expression or Activation
        Anything `meanfield.activation` accepts. A callable has no formula: the answer is None.
    time_limit : float
        Seconds of computing after which the search stops with None; the check of what was found takes about as long again at most.

    Returns
    -------
    Proof
        `satisfied` and `satisfied_strictly`, True, False or None each, and the steps; readable as text, LaTeX and JSON.

    Raises
    ------
    MeanFieldError
        Without python-flint, the extra "proof".
    ActivationError
        If the activation can't be understood.
    DomainError
        If the time limit is not a positive number.

    Notes
    -----
    True and False are theorems: the hypotheses (φ locally absolutely continuous, φ' locally bounded, with limits at 0±, growth) are
    checked. None means that no theorem here applies, and `undecided` says why.

    References
    ----------
    Hayou, Doucet, Rousseau (2018), Proposition 4; Johansson (2018), rigorous integration in Arb.

    Examples
    --------
    >>> import meanfield as mf
    >>> silu = mf.prove_proposition4("silu")
    >>> silu.satisfied, silu.satisfied_strictly
    (True, False)
    """
    require()
    if isinstance(time_limit, (bool, str)) or not isinstance(time_limit, (int, float)) or not 0 < time_limit < math.inf:
        raise DomainError(f"time_limit must be a positive number of seconds, not {time_limit!r}")
    return _proved(find_activation(activation), float(time_limit), _MOST_CELLS)


def quick_proof(act: Activation) -> Proof:
    """What can be proved with little work, the same whatever else the machine does: one sweep over few cells."""
    if act not in _quick:
        _quick[act] = _proved(act, _AMPLE, _FEW_CELLS)
    return _quick[act]


_quick: Kept[Proof] = Kept("quick proof")


def _proved(act: Activation, seconds: float, cells: int) -> Proof:
    clock = Clock(seconds)
    began = time.thread_time()
    with precision(BITS):
        try:
            function = function_of(act)
        except ProofError as error:
            return _without(act, str(error), began)
        prover = _Prover(act, function, clock, cells)
        prover.run()
    return prover.proof(began)


def _without(act: Activation, why: str, began: float) -> Proof:
    step = Step("Proposition 4 is undecided", "", why, time.thread_time() - began)
    return Proof(act.name, "", None, None, (step,), (why,), "")


class _Prover:
    def __init__(self, act: Activation, function: Function, clock: Clock, most: int) -> None:
        self.act, self.function, self.clock, self.most = act, function, clock, most
        self.claims: dict[str, dict[str, Any]] = {}
        self.evidence: dict[str, tuple[str, float]] = {}
        self.undecided: list[str] = []
        self.open_signs: list[str] = []
        self.last = time.thread_time()

    def claim(self, name: str, data: dict[str, Any], evidence: str) -> None:
        now = time.thread_time()
        self.claims[name] = data
        self.evidence[name] = (evidence, now - self.last)
        self.last = now

    def attempt(self, what: str, step: Callable[[], bool]) -> bool:
        """Whether a step went through; why not is kept."""
        try:
            return step()
        except (ProofError, ZeroDivisionError, ValueError, OverflowError, FloatingPointError) as error:
            self.undecided.append(f"{what}: {error}")
            return False

    def run(self) -> None:
        """The steps in order, up to the first that decides."""
        if self.attempt("jumps", self.jumps) or self.attempt("φ(0)", self.away_from_zero) or self.attempt("growth", self.grows):
            return
        if not self.attempt("φ(0)", self.zero):
            return
        if self.attempt("lines", self.two_lines) or self.attempt("slopes at 0", self.flat_at_zero):
            return
        steps = (("slopes at 0", self.slopes), ("lines", self.not_two_lines))
        if not all(self.attempt(what, step) for what, step in steps):
            return
        if not self.attempt("F' for every q", self.variance):
            return
        if "falls" in self.claims:
            return
        if not self.attempt("the strict reading", self.concave):
            self.attempt("the strict reading", self.near_zero)
        if self.most != _FEW_CELLS:
            self.signs()

    # -- (i)

    def at_zero(self) -> list[Any]:
        return [jet[0] for jet in one_sided(self.function, 1)]

    def away_from_zero(self) -> bool:
        values = self.at_zero()
        if not all(v > 0 or v < 0 for v in values):
            return False
        self.claim("away_from_zero", {}, f"φ(0) ∈ {values[0].str(12)}")
        return True

    def zero(self) -> bool:
        values = self.at_zero()
        if not all(v.is_zero() for v in values):
            raise ProofError("φ(0) is 0 to many digits, but not exactly so by arithmetic with balls")
        self.claim("zero", {}, "the formula at 0, in exact arithmetic")
        return True

    def slopes(self) -> bool:
        kernel, width = Kernel(self.function, self.clock), Fraction(1, 16)
        for _ in range(40):
            jets = [kernel.jets(Fraction(0), width, side) for side in (0, 1)]
            if all(len(found) == 1 for found in jets) and any(found[0][1] > 0 or found[0][1] < 0 for found in jets):
                right, left = one_sided(self.function, 1)
                self.claim("slopes", {"width": str(width)}, f"φ'(0+) ∈ {right[1].str(12)}, φ'(0−) ∈ {left[1].str(12)}")
                return True
            width /= 2
        raise ProofError("both slopes at 0 may be 0")

    def flat_at_zero(self) -> bool:
        slopes = [jet[1] for jet in one_sided(self.function, 1)]
        if not all(s.is_zero() for s in slopes):
            return False
        self.claim("flat_at_zero", {}, "φ'(0±) = 0, in exact arithmetic")
        return True

    def jumps(self) -> bool:
        if self.function.jumps() is None:
            raise ProofError("whether φ is continuous where it switches can't be decided exactly")
        if not self.function.jumps():
            return False
        i = self.function.continuous.index(False)
        at = self.function.pieces.cuts[i].at
        centre = at.rational if at.rational is not None else Fraction(float(at.ball()))
        left, right = (p.tree for p in self.function.pieces.pieces[i : i + 2])
        for k in range(4, 100, 2):
            half = Fraction(1, 2**k)
            a, b = centre - half, centre + half
            x = ball(a).union(ball(b))
            jets = real(left, x, 1), real(right, x, 1)
            if not all(value.is_finite() for jet in jets for value in jet):
                continue
            steep = jets[0][1].abs_upper().max(jets[1][1].abs_upper())
            difference = abs(real(right, ball(b), 0)[0] - real(left, ball(a), 0)[0])
            if difference > 2 * ball(b - a) * steep and self.alone(i, a, b):
                self.claim("jumps", {"low": str(a), "high": str(b)}, f"at x = {float(centre):.6g}, by {difference.str(6)}")
                return True
        raise ProofError("φ jumps, but the jump is too small to be shown")

    def alone(self, index: int, a: Fraction, b: Fraction) -> bool:
        """Whether no other cut is between."""
        return not any(ball(a) < c.at.ball() < ball(b) for j, c in enumerate(self.function.pieces.cuts) if j != index)

    def grows(self) -> bool:
        for side, pieces in ((1, self.function.pieces), (-1, self.function.pieces.mirrored())):
            try:
                end = tail(pieces, 0)
            except ProofError:
                continue
            value = end.jet[0]
            if value.terms and not value.terms[0][1].ball.contains(0):
                size = value.terms[0][0]
                if any(c.sign() == 1 for _, c in size.exponent[:1]) or (not size.exponent and size.power > 1):
                    self.claim("grows", {"start": end.start}, f"as x → {'∞' if side > 0 else '−∞'}, from |x| = {end.start} on")
                    return True
        return False

    # -- (ii)

    def two_lines(self) -> bool:
        pieces = self.function.pieces
        if any(cut.at.terms for cut in pieces.cuts):
            return False
        forms = [polynomial(piece.tree) for piece in pieces.pieces]
        if not all(form is not None and set(form) <= {1} for form in forms):
            return False
        self.claim("two_lines", {}, "φ is a multiple of x on each side of 0, by its form")
        return True

    def not_two_lines(self) -> bool:
        for a in _AT:
            values = []
            for t in (a, 2 * a):
                jets = Kernel(self.function, self.clock).jets(abs(t), abs(t), 0 if t > 0 else 1)
                values.append([jet[0] for jet in jets])
            if all(len(v) == 1 for v in values):
                rest = values[1][0] - 2 * values[0][0]
                if rest > 0 or rest < 0:
                    self.claim("not_two_lines", {"at": str(a)}, f"φ({float(2 * a):g}) − 2φ({float(a):g}) ∈ {rest.str(8)}")
                    return True
        raise ProofError("φ is not shown to be anything but linear on both sides of 0")

    # -- (iii)

    def variance(self) -> bool:
        """The cells, the tails, and the sign of E[xφφ'] at every q."""
        if self.function.jumps() is not False:
            raise ProofError("φ is not shown to be continuous")
        right, left, start = self.tails()
        kernel = Kernel(self.function, self.clock)
        marks = self.marks()
        cells = Cells(kernel, start, marks, Fraction(1, 2), 1.0, self.most) if self.waves() else self.cells(kernel, start, marks)
        regular = {"points": [str(p) for p in cells.points], "cuts": [str(t) for t in self.cut_places()]}
        self.claim("regular", regular, f"φ and φ' over {2 * len(cells.points)} cells of [−{start}, {start}]")
        self.claim("tails", {"start": start}, f"expansions of φ and φ' for |x| ≥ {start}")
        if "waves" in self.claims:
            return True
        tail_of_k = far_out(right, left)
        sign = tail_of_k.sign()
        if not cells.negative.size and sign in (0, 1):
            self.claim(
                "rises", {"points": regular["points"], "start": start, "q": []}, f"k ≥ 0 on {len(cells.points)} cells and beyond {start}"
            )
            return True
        if self.most == _FEW_CELLS:
            raise ProofError("φφ' changes its sign, or is too close to 0")
        falling = self.a_fall(cells)
        if falling is not None:
            points = cells_for_a_fall(kernel, start, marks, falling, tail_of_k, sign)
            data = {"points": [str(p) for p in points], "start": start, "q": str(Fraction(falling))}
            self.claim("falls", data, f"E[xφφ'] < 0 at q = {falling:.6g}, over {len(points)} cells")
            return True
        for fine in (Fraction(1, 64), Fraction(1, 512)):
            try:
                finer = Cells(kernel, start, marks, fine, 0.1)
                grid = settled_by_grid(finer, sign, tail_of_k)
                break
            except ProofError:
                if fine == Fraction(1, 512):
                    raise
        data = {"points": [str(p) for p in finer.points], "start": start, "q": [str(Fraction(q)) for q in grid]}
        changes = f"{len(grid)} intervals of q up to {grid[-1]:.4g}, {len(finer.points)} cells, and both ends"
        self.claim("rises", data, f"the positive part of k outweighs the negative one: {changes}")
        return True

    def tails(self) -> tuple[Any, Any, int]:
        """The expansions on both sides, from the first place where they tell the sign of k, or from the first where they hold."""
        why: ProofError | None = None
        held: tuple[Any, Any, int] | None = None
        for start in STARTS:
            self.clock.check()
            if self.function.last_cut() >= start:
                continue
            try:
                right = tail(self.function.pieces, 1, (start,))
                left = tail(self.function.pieces.mirrored(), 1, (start,))
                told = far_out(right, left).sign() is not None
            except ProofError as error:
                why = error
                continue
            for end in (right, left):
                if end.jet[0].terms:
                    size = end.jet[0].terms[0][0]
                    if (size.exponent and size.exponent[0][1].sign() == 1) or (not size.exponent and (size.power, size.logs) > (1, 0)):
                        raise ProofError("|φ(x)/x| is not shown to be bounded")
            held = held or (right, left, start)
            if told:
                return right, left, start
        if held is None:
            raise why or ProofError("the formula switches too far out")
        return held

    def cells(self, kernel: Kernel, start: int, marks: list[Fraction]) -> Cells:
        """Cells on which k has one sign, as far as that is seen without much work."""
        cells = Cells(kernel, start, marks, Fraction(1, 256), 1.0, self.most)
        small = cells.negative.size and float(np.min(cells.least_k)) > -1e-3 and cells.negative.size < 200
        return Cells(kernel, start, marks, Fraction(1, 2**14), 1.0, self.most) if small else cells

    def marks(self) -> list[Fraction]:
        return sorted({abs(t) for t in self.cut_places() if t})

    def cut_places(self) -> list[Fraction]:
        places = []
        for cut in self.function.pieces.cuts:
            t = cut.at.rational
            if t is None:
                if occurring(self.function.tree) & {"where", "sign", "heaviside"}:
                    continue  # a place that a certificate can't name exactly; the check sees whether it matters
                t = Fraction(float(cut.at.ball()))
            places.append(t)
        return places

    def a_fall(self, cells: Cells) -> float | None:
        """A q where F' < 0, if doubles see one."""
        moments = DoubleMoments(self.act)
        best = None
        for q in 2.0 ** np.arange(-20.0, 40.0, 0.25):
            self.clock.check()
            share = moments("rise", float(q)) / max(moments("v", float(q)), 1e-300)
            if share < -1e-9 and (best is None or share < best[0]):
                best = (share, float(q))
        return None if best is None else best[1]

    def waves(self) -> bool:
        if not occurring(self.function.tree) & {"sin", "cos"} or not _waves(self.act.formula):
            return False
        self.claim("waves", {}, "the frequencies of φ², by its form")
        return True

    # -- the strict reading

    def concave(self) -> bool:
        pieces = self.function.pieces
        forms = [polynomial(p.tree) for p in pieces.pieces]
        if len(forms) < 2 or not all(f is not None and set(f) <= {0, 1} for f in forms):
            return False
        if any(cut.at.rational is None for cut in pieces.cuts):
            return False
        self.claim("concave", {"marks": [str(m) for m in self.marks()]}, "φ is piecewise linear; k/x² never rises")
        return self._concave()

    def _concave(self) -> bool:
        marks = [Fraction(0), *self.marks()]
        before = None
        for low, high in zip(marks, [*marks[1:], None], strict=True):
            inside = low + 1 if high is None else (low + high) / 2
            lines = []
            for pieces in (self.function.pieces, self.function.pieces.mirrored()):
                piece = next(p for p in reversed(pieces.pieces) if p.low is None or p.low.ball() < ball(inside))
                form = polynomial(piece.tree) or {}
                values = [form.get(n) for n in (0, 1)]
                lines.append(tuple(Fraction(0) if v is None else v.rational for v in values))
            if any(a is None or b is None or a * b < 0 for a, b in lines):
                del self.claims["concave"]
                return False
            known = [(a or Fraction(0), b or Fraction(0)) for a, b in lines]
            if before is not None and sum(b * b + a * b / low for a, b in known) > sum(b * b + a * b / low for a, b in before):
                del self.claims["concave"]
                return False
            before = known
        return True

    def near_zero(self) -> bool:
        pieces = self.function.pieces.pieces
        right = next(p for p in pieces if p.high is None or p.high.sign() == 1)
        left = next(p for p in reversed(pieces) if p.low is None or p.low.sign() == -1)
        a = taylor(right.tree, _ORDER + 1)
        b = [c if n % 2 == 0 else -c for n, c in enumerate(taylor(left.tree, _ORDER + 1))]
        smooth = right is left
        curved = [_times_second(a, n) + _times_second(b, n) for n in range(_ORDER)]
        for n in range(1, _ORDER):
            if (smooth and n % 2) or curved[n].is_zero():
                continue
            if curved[n] > 0 or curved[n] < 0:
                sign = 1 if curved[n] > 0 else -1
                text = f"φφ'' summed over both sides of 0 begins with ({curved[n].str(8)}) x^{n}"
                self.claim("near_zero", {"order": _ORDER, "stability": sign}, text)
                return True
            raise ProofError(f"the coefficient of x^{n} in φφ'' at 0 may be 0")
        raise ProofError("φφ'' vanishes to high order at 0")

    # -- for every q

    def signs(self) -> None:
        """How F' − 1, V'' and the slope of V[φ'] go with q, from the signs of their kernels."""
        if "waves" in self.claims:  # they follow from the frequencies, or not at all
            return
        for name in KERNELS:
            try:
                data, said = Pattern(name, self.function, self.clock, self.marks()).claim()
            except (ProofError, ZeroDivisionError, ValueError, OverflowError) as error:
                self.open_signs.append(f"{_ABOUT[name]}: {error}")
                continue
            self.claim(name, data, said)

    # -- the end

    def proof(self, began: float) -> Proof:
        """Whatever the check confirms."""
        data: dict[str, Any] = {
            "format": FORMAT,
            "name": self.act.name,
            "formula": _listed(self.function.tree),
            "text": shortened(str(getattr(self.act, "text", self.act.name)), 400),
            "claims": self.claims,
        }
        before = time.thread_time()
        data["satisfied"], data["satisfied_strictly"] = None, None
        found = verified(json.dumps(data), self.clock.end + max(5.0, self.clock.end - began))
        dropped = [reason for reason in found.reasons if reason.startswith("NOT")]
        if dropped:
            why = [f"the check does not confirm what was found: {reason}" for reason in dropped]
            self.undecided += why
            if self.claims.keys() - set(found.confirmed) <= set(KERNELS):
                self.open_signs += why
            self.claims = {name: claim for name, claim in self.claims.items() if name in found.confirmed}
            data["claims"] = self.claims
        data["satisfied"], data["satisfied_strictly"] = found.satisfied, found.satisfied_strictly
        checked = time.thread_time() - before
        steps = [Step(*THEOREMS[name], *self.evidence[name]) for name in self.claims]
        if steps:
            steps.append(Step(*THEOREMS["checked"], "by code that shares nothing with the search", checked))
        undecided = tuple(self.undecided) if None in (found.satisfied, found.satisfied_strictly) else ()
        return Proof(
            self.act.name,
            data["text"],
            found.satisfied,
            found.satisfied_strictly,
            tuple(steps),
            undecided,
            json.dumps(data, ensure_ascii=False),
            found.confirmed,
            found.signs,
            found.exact,
            tuple(self.open_signs),
        )


def _times_second(a: list[Any], n: int) -> Any:
    """The n-th coefficient of φφ''."""
    total = flint.arb(0)
    for j in range(2, n + 3):
        if j < len(a):
            total = total + a[n - j + 2] * a[j] * (j * (j - 1))
    return total


def _listed(node: Node) -> list[Any]:
    """The formula as nested lists."""
    if node.op == "number":
        return ["number", str(node.number)]
    return [node.op, *map(_listed, node.args)]


def _waves(expression: Any) -> bool:
    """Whether φ = ax + T, with T² a sum of waves (even where a ≠ 0) whose cosines let V rise: Theorem 5."""
    import sympy

    (x,) = expression.free_symbols or {sympy.Symbol("x")}
    if expression.count_ops() > 60:
        return False
    slope = sympy.expand(expression).coeff(x, 1) if expression.is_Add else sympy.Integer(0)
    waves = expression - slope * x
    if (
        not slope.is_number
        or waves.has(sympy.Piecewise, sympy.Max, sympy.Abs)
        or (slope != 0 and sympy.expand(waves - waves.subs(x, -x)) != 0)
    ):
        return False
    square = sympy.powsimp(sympy.expand(sympy.expand((waves**2).rewrite(sympy.exp), power_exp=False)))
    total: dict[Any, Any] = {}
    for term in sympy.Add.make_args(square):
        weight, wave = term.as_independent(x)
        if wave == 1:
            continue
        if wave.func is not sympy.exp or sympy.expand(wave.args[0] - wave.args[0].coeff(x) * x) != 0:
            return False
        rate = wave.args[0].coeff(x)
        if sympy.re(rate) != 0:
            return False
        frequency = sympy.Abs(sympy.im(rate))
        total[frequency] = total.get(frequency, 0) + sympy.re(weight)
    falling = sum(c * w**2 / 2 for w, c in total.items() if c > 0)
    return bool(falling <= slope**2) and (slope != 0 or any(c < 0 for c in total.values()))
