"""The check of a certificate: a reader of the JSON text and python-flint, and nothing of the prover.

What each claim takes to be confirmed: check_claims.py and check_signs.py. docs/proofs.md has the theorem behind each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from meanfield.proof import check_claims as claimed
from meanfield.proof.balls import precision, require
from meanfield.proof.check_signs import signs
from meanfield.result import Result, paged

FORMAT = "meanfield proof 1"
_BITS = 128
_MOST_LENGTH = 8_000_000
_ERRORS = (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError, OverflowError, AttributeError)


@dataclass(frozen=True, eq=False, repr=False)
class Check(Result):
    """What the check of a certificate found.

    Attributes
    ----------
    valid : bool
        Whether every claim was confirmed and the verdicts follow from them.
    satisfied, satisfied_strictly : bool or None
        What the confirmed claims show; None where they show nothing.
    reasons : tuple of str
        One line for each claim: confirmed, or why not.
    confirmed : tuple of str
        The names of the confirmed claims.
    signs : dict of str to str
        The signs, in their order on (0, ∞), of the kernels "stability", "fixed_points" and "chi_1", as far as they are confirmed.
    exact : tuple of str
        Which of them change as often as their mean over q does.
    """

    valid: bool
    satisfied: bool | None
    satisfied_strictly: bool | None
    reasons: tuple[str, ...]
    confirmed: tuple[str, ...] = ()
    signs: dict[str, str] = field(default_factory=dict)
    exact: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.valid

    def __str__(self) -> str:
        head = "the certificate holds" if self.valid else "the certificate does not hold"
        lines = [f"{head}: satisfied {self.satisfied}, strictly {self.satisfied_strictly}", *self.reasons]
        return "\n".join(paged(line, hang=3) for line in lines)

    def _columns(self) -> dict[str, list[Any]]:
        return {"reason": list(self.reasons), "confirmed": [reason.startswith("confirmed: ") for reason in self.reasons]}


def check_proof(json_text: str) -> Check:
    """Verify a certificate of `prove_proposition4` again, by other means.

    Parameters
    ----------
    json_text : str
        What `Proof.to_json()` gave, from whoever.

    Returns
    -------
    Check
        True in a condition exactly where every claim is confirmed and the verdicts follow. A text that is no certificate is False too.

    Raises
    ------
    MeanFieldError
        Without python-flint, the extra "proof".

    Notes
    -----
    Shares nothing with the prover but python-flint: the formula is read from the certificate, so compare `formula` with yours.

    Examples
    --------
    >>> import meanfield as mf
    >>> text = mf.prove_proposition4("tanh").to_json()
    >>> bool(mf.check_proof(text)), bool(mf.check_proof(text.replace('"tanh"', '"cosh"')))
    (True, False)
    """
    require()
    return verified(json_text, math.inf)


def verified(json_text: str, deadline: float) -> Check:
    """As `check_proof`, refusing what is not confirmed by the deadline of time.thread_time()."""
    held = claimed._deadline.set(deadline)
    try:
        with precision(_BITS):
            return _checked(json_text)
    except (claimed._Refused, *_ERRORS, RecursionError) as error:
        kind = "" if isinstance(error, claimed._Refused) else f"{type(error).__name__}: "
        return Check(False, None, None, (f"no certificate that can be followed: {kind}{str(error)[:200]}",))
    finally:
        claimed._deadline.reset(held)


def _checked(json_text: str) -> Check:
    if not isinstance(json_text, str) or len(json_text) > _MOST_LENGTH:
        raise claimed._Refused("not a text, or too long")
    data = json.loads(json_text)
    if data.get("format") != FORMAT:
        raise claimed._Refused("another format")
    tree = claimed._read(data["formula"])
    claims = data["claims"]
    reasons: list[str] = []
    confirmed: dict[str, Any] = {}
    sound = True
    for name in claims:
        if name not in _CLAIMS:
            raise claimed._Refused(f"an unknown claim, {name!r:.40}")
    for name, (verify, statement) in _CLAIMS.items():
        if name not in claims:
            continue
        try:
            confirmed[name] = verify(tree, claims[name], confirmed)
            reasons.append(f"confirmed: {statement}")
        except (claimed._Refused, *_ERRORS) as error:
            sound = False
            reasons.append(f"NOT confirmed: {statement}: {str(error)[:200]}")
    satisfied, strictly = _verdicts(confirmed)
    stated = data["satisfied"], data["satisfied_strictly"]
    if (satisfied, strictly) != stated:
        sound = False
        reasons.append(f"the claims show {satisfied}, {strictly}, and the certificate states {stated[0]}, {stated[1]}")
    signs = _signs_of(confirmed)
    exact = tuple(name for name, (_, exactly) in signs.items() if exactly)
    return Check(sound, satisfied, strictly, tuple(reasons), tuple(confirmed), {name: found for name, (found, _) in signs.items()}, exact)


def _signs_of(confirmed: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """The signs of the kernels, with whether the count is exact."""
    found = dict(confirmed.get("waves") or {})
    if "concave" in confirmed:
        found |= {"fixed_points": ("-", True)}
    found |= {name: confirmed[name] for name in _SIGNS if name in confirmed}
    return {name: found[name] for name in _SIGNS if name in found}


def _verdicts(confirmed: dict[str, Any]) -> tuple[bool | None, bool | None]:
    """What follows from the claims (docs/proofs.md, "The verdicts")."""
    against = ("away_from_zero", "flat_at_zero", "grows", "jumps", "falls")
    if any(name in confirmed for name in against):
        return False, False
    if "two_lines" in confirmed and "zero" in confirmed:
        return False, False
    needed = ("zero", "slopes", "regular", "tails", "not_two_lines")
    if not all(name in confirmed for name in needed) or not ("rises" in confirmed or "waves" in confirmed):
        return None, None
    signs = {name: found for name, (found, _) in _signs_of(confirmed).items()}
    if signs.get("fixed_points") == "-":  # V is concave
        return True, True
    if signs.get("stability", "").startswith("+"):  # F' > 1 at every point of the edge with small q
        return True, False
    if "near_zero" in confirmed:
        stability, settled = confirmed["near_zero"]
        if stability > 0:
            return True, False
        if stability < 0 and settled:
            return True, True
    return True, None


def _kernel_signs(name: str) -> Callable[[Any, Any, Any], tuple[str, bool]]:
    def verify(tree: Any, claim: Any, confirmed: Any) -> tuple[str, bool]:
        return signs(name, tree, claim, confirmed)

    return verify


_SIGNS = {
    "stability": "the signs of φφ'' on (0, ∞), both sides together",
    "fixed_points": "the signs of x(φφ')' − φφ' on (0, ∞), both sides together",
    "chi_1": "the signs of xφ'φ'' on (0, ∞), both sides together",
}
_CLAIMS: dict[str, tuple[Any, str]] = {
    "zero": (claimed._zero, "φ(0) = 0"),
    "away_from_zero": (claimed._away_from_zero, "φ(0) ≠ 0"),
    "slopes": (claimed._slopes, "the slopes φ'(0±) exist and are not both 0"),
    "flat_at_zero": (claimed._flat_at_zero, "both slopes at 0 are 0"),
    "regular": (claimed._regular, "φ is continuous and Lipschitz on bounded intervals"),
    "jumps": (claimed._jumps, "φ jumps"),
    "tails": (claimed._tails, "|φ(x)/x| is bounded, and E[φ'²] < ∞"),
    "grows": (claimed._grows, "|φ(x)/x| has no bound"),
    "not_two_lines": (claimed._not_two_lines, "φ is not linear on both sides of 0"),
    "two_lines": (claimed._two_lines, "φ is linear on both sides of 0"),
    "rises": (claimed._rises, "E[xφφ'] > 0 at every q > 0, so F' > 0"),
    "waves": (claimed._waves, "φ² is a constant minus cosines with weights ≥ 0, so F rises"),
    "falls": (claimed._falls, "F' < 0 at some q"),
    "concave": (claimed._concave, "V is concave, so F' < 1 on the edge, at the only fixed point"),
    "near_zero": (claimed._near_zero, "the sign of F' − 1 on the edge for small q"),
    **{name: (_kernel_signs(name), statement) for name, statement in _SIGNS.items()},
}
