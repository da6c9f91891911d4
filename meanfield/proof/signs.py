"""Signs on a whole interval: by balls that are halved until they tell, and by the leading term far out."""

from __future__ import annotations

from fractions import Fraction

from meanfield.proof.balls import ProofError, ball, flint, sign
from meanfield.proof.expansions import Expansions
from meanfield.proof.jets import evaluate, real
from meanfield.proof.piece import Piece

_SMALLEST = Fraction(1, 2**24)
_MOST = 3000


def constant_sign(piece: Piece) -> int | None:
    """The sign that an expression has throughout a piece; None where none is shown."""
    start = 16
    for end in (piece.low, piece.high):
        while end is not None and not abs(end.ball()) < start:
            start *= 2
            if start > 2**20:
                return None
    found: set[int | None] = set()
    try:
        for side, open_end in ((1, piece.high is None), (-1, piece.low is None)):
            if open_end:
                field = Expansions(start)
                x = field.x if side > 0 else -field.x
                found.add(evaluate(piece.tree, x, 0, field)[0].sign())
    except (ProofError, ZeroDivisionError, ValueError):
        return None
    low = -flint.arb(start) if piece.low is None else piece.low.ball()
    high = flint.arb(start) if piece.high is None else piece.high.ball()
    todo, count = [(low, high)], 0
    while todo:
        a, b = todo.pop()
        count += 1
        if count > _MOST:
            return None
        which = sign(real(piece.tree, a.union(b), 0)[0])
        if which is not None:
            found.add(which)
            continue
        if (b - a) < ball(_SMALLEST):
            return None
        middle = ((a + b) / 2).mid()
        todo += [(middle, b), (a, middle)]
    return found.pop() if len(found) == 1 else None
