"""Rewriting a tree into one of the same value that neither cancels nor overflows in double precision."""

from __future__ import annotations

from fractions import Fraction

from meanfield.activations.formula.tree import ONE, TWO, ZERO, Node, call, has_x, neg, number, tape

_POSITIVE = frozenset(("abs", "exp", "cosh", "logcosh", "sech2", "sigmoid", "softplus", "erfc"))
_SIGNED = frozenset(
    ("+", "*", "sin", "cos", "tan", "log", "log1p", "expm1", "sinh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "erf")
)
_SMALL = 512  # bits: exact folding stops beyond


def rewritten(node: Node) -> Node:
    """The tree with numbers folded, known cancelling forms replaced, and 0 for constants like sin(pi)."""
    done: dict[int, Node] = {}
    varying: dict[int, bool] = {}

    def visit(part: Node) -> Node:
        if id(part) not in done:
            args = tuple(visit(arg) for arg in part.args)
            varying[id(part)] = part.op == "x" or any(varying[id(arg)] for arg in part.args)
            simple = _simplified(Node(part.op, args, part.number))
            done[id(part)] = ZERO if part.args and not varying[id(part)] and _vanishes(simple) else simple
        return done[id(part)]

    return visit(node)


def _simplified(node: Node) -> Node:
    rule = _RULES.get(node.op)
    return rule(node) if rule else node


def _vanishes(node: Node) -> bool:
    """Whether a constant is 0, but for the rounding of double precision. Left as it is, each x would ask for many digits."""
    if node.op not in _SIGNED:
        return False
    from meanfield.activations.formula.precise import vanishes

    return vanishes(tape(node))


def _fits(value: Fraction) -> bool:
    return value.numerator.bit_length() < _SMALL and value.denominator.bit_length() < _SMALL


def scaled(coefficient: Fraction, node: Node) -> Node:
    """coefficient · node."""
    if coefficient == 0:
        return ZERO
    if node.number is not None and _fits(node.number * coefficient):
        return number(node.number * coefficient)
    inner, rest = _coefficient(node)
    total = coefficient * inner
    if total == 1:
        return rest
    if total == -1:
        return neg(rest)
    return call("*", number(total), rest)


def _coefficient(node: Node) -> tuple[Fraction, Node]:
    """The node as (number, rest), number · rest."""
    if node.op == "neg":
        inner, rest = _coefficient(node.args[0])
        return -inner, rest
    if node.op == "*" and node.args[0].number is not None:
        return node.args[0].number, node.args[1]
    return Fraction(1), node


def _terms(node: Node) -> tuple[Fraction, list[tuple[Fraction, Node]]]:
    """A sum as its constant and its (number, term) pairs, like terms together."""
    constant, terms = Fraction(0), []
    stack = [(Fraction(1), node)]
    while stack:
        factor, part = stack.pop()
        if part.number is not None:
            constant += factor * part.number
        elif part.op == "+":
            stack.extend((factor, arg) for arg in reversed(part.args))
        elif part.op in ("neg", "*") and _coefficient(part)[0] != 1:
            inner, rest = _coefficient(part)
            if rest.op == "+":
                stack.append((factor * inner, rest))
            else:
                terms.append((factor * inner, rest))
        else:
            terms.append((factor, part))
    merged: dict[Node, Fraction] = {}
    for factor, part in terms:
        merged[part] = merged.get(part, Fraction(0)) + factor
    return constant, [(factor, part) for part, factor in merged.items() if factor]


def total(constant: Fraction, terms: list[tuple[Fraction, Node]]) -> Node:
    """The sum with that constant and those terms."""
    parts = [scaled(factor, part) for factor, part in terms]
    if constant or not parts:
        parts.append(number(constant))
    result = parts[0]
    for part in parts[1:]:
        result = call("+", result, part)
    return result


def _sum(node: Node) -> Node:
    constant, terms = _terms(node)
    if not _fits(constant) or not all(_fits(factor) for factor, _ in terms):
        return node
    if constant:
        for index, (factor, part) in enumerate(terms):
            replaced = _with_constant(constant, factor, part)
            if replaced is not None:
                others = terms[:index] + terms[index + 1 :]
                return _sum(total(Fraction(0), [*others, (Fraction(1), replaced)])) if others else replaced
    for i, (factor, part) in enumerate(terms):
        for j, (factor2, part2) in enumerate(terms):
            replaced = _pair(factor, part, factor2, part2) if i != j else None
            if replaced is not None:
                others = [term for k, term in enumerate(terms) if k not in (i, j)]
                return _sum(total(constant, [*others, (Fraction(1), replaced)]))
    return total(constant, terms)


def _with_constant(k: Fraction, c: Fraction, part: Node) -> Node | None:
    """k + c · part, where that is a function of its own."""
    same, opposite = k == c, k == -c
    u = part.args[0] if part.args else part
    if part.op == "exp" and opposite:
        return scaled(c, call("expm1", u))
    if part.op == "tanh" and (same or opposite):
        return scaled(2 * k, call("sigmoid", scaled(Fraction(2 if same else -2), u)))
    if part.op == "erf" and (same or opposite):
        return scaled(k, call("erfc", neg(u) if same else u))
    if part.op == "sigmoid" and opposite:
        return scaled(k, call("sigmoid", neg(u)))
    if part.op == "cos" and (same or opposite):
        half = call("cos" if same else "sin", scaled(Fraction(1, 2), u))
        return scaled(2 * k, call("**", half, TWO))
    if part.op == "cosh" and opposite:
        return scaled(2 * c, call("**", call("sinh", scaled(Fraction(1, 2), u)), TWO))
    if part.op == "sqrt" and opposite:
        constant, terms = _terms(u)
        if constant == 1:
            return scaled(c, call("sqrt1pm1", total(Fraction(0), terms)))
    if part.op == "**" and opposite and part.args[1] == TWO and u.op == "tanh":
        return scaled(k, call("sech2", u.args[0]))
    return None


def _pair(a: Fraction, first: Node, b: Fraction, second: Node) -> Node | None:
    """a · first + b · second, where that is a function of its own."""
    if second.op == "tanh" and _ratio(second.args[0], first) is not None:
        ratio = _ratio(second.args[0], first)
        if ratio is not None and a == -b * ratio:  # a·first + b·tanh(ratio·first), a = −b·ratio
            return scaled(-b, call("tanhshrink", second.args[0]))
    if first.op == second.op == "exp" and a in (b, -b) and scaled(Fraction(-1), first.args[0]) == second.args[0]:
        return scaled(2 * a, call("cosh" if a == b else "sinh", first.args[0]))
    if second.op == "sqrt" and a in (b, -b):
        constant, terms = _terms(second.args[0])
        if constant > 0 and terms == [(Fraction(1), call("**", first, TWO))]:
            return scaled(b, call("plusroot", first if a == b else neg(first), number(constant)))
    return None


def _ratio(node: Node, base: Node) -> Fraction | None:
    """node / base where that is a number."""
    a, first = _coefficient(node)
    b, second = _coefficient(base)
    return a / b if first == second and b else None


def _product(node: Node) -> Node:
    a, b = node.args
    (c1, first), (c2, second) = (_factor(a), _factor(b))
    coefficient = c1 * c2
    if not _fits(coefficient):
        return node
    if first is None or second is None:
        rest = first or second
        return number(coefficient) if rest is None else scaled(coefficient, rest)
    if first.op == second.op == "exp":
        return scaled(coefficient, call("exp", _sum(call("+", first.args[0], second.args[0]))))
    if first == second and first.op != "**":
        return scaled(coefficient, call("**", first, TWO))
    return scaled(coefficient, call("*", first, second))


def _factor(node: Node) -> tuple[Fraction, Node | None]:
    if node.number is not None:
        return node.number, None
    return _coefficient(node)


def _quotient(node: Node) -> Node:
    top, bottom = node.args
    if bottom.number is not None and bottom.number != 0 and _fits(bottom.number):
        return scaled(1 / bottom.number, top)
    c1, first = _factor(top)
    c2, second = _factor(bottom)
    if second is None or c2 == 0:
        return node
    ratio = c1 / c2
    if not _fits(ratio):
        return node
    numerator = ONE if first is None else first
    special = _special_quotient(numerator, second)
    if special is not None:
        return scaled(ratio, special)
    return scaled(ratio, call("/", numerator, second))


def _special_quotient(top: Node, bottom: Node) -> Node | None:
    if top == bottom and has_x(top):
        return ONE
    constant, terms = _terms(bottom)
    if len(terms) == 1 and constant:
        factor, part = terms[0]
        if factor == constant and part.op == "exp":
            w = part.args[0]
            if top == part:
                return scaled(1 / constant, call("sigmoid", w))
            if top == call("expm1", w):
                return scaled(1 / constant, call("tanh", scaled(Fraction(1, 2), w)))
            gate = call("sigmoid", scaled(Fraction(-1), w))
            return scaled(1 / constant, gate if top == ONE else _product(call("*", top, gate)))
        if constant == 1 and factor == 1 and part == call("abs", top):
            return call("softsign", top)
    if top.op == "sinh" and bottom == call("cosh", *top.args):
        return call("tanh", *top.args)
    if bottom.op == "exp":
        inverse = call("exp", scaled(Fraction(-1), bottom.args[0]))
        return inverse if top == ONE else _product(call("*", top, inverse))
    if bottom.op == "sqrt":
        constant, terms = _terms(bottom.args[0])
        if constant > 0 and len(terms) == 1 and terms[0][0] > 0 and terms[0][1] == call("**", top, TWO):
            a = terms[0][0]  # u/√(k + a u²) = (1/√a) · u/√(k/a + u²)
            return call("*", call("**", number(a), number(Fraction(-1, 2))), call("isru", top, number(constant / a)))
    if bottom.op == "**" and bottom.args[0].op == "cosh" and bottom.args[1] == TWO:
        gate = call("sech2", bottom.args[0].args[0])
        return gate if top == ONE else call("*", top, gate)
    return None


def _power(node: Node) -> Node:
    base, exponent = node.args
    if exponent.number is not None:
        n = exponent.number
        if n == 1:
            return base
        if n == 0 and not has_x(base):
            return node if base == ZERO else ONE
        if n == 0:
            return ONE
        if n == Fraction(1, 2):
            return _root(call("sqrt", base))
        if base.number is not None and n.denominator == 1 and abs(n) <= 64 and (base.number or n > 0):
            value = base.number ** int(n)
            if _fits(value):
                return number(value)
        if base.op == "exp":
            return call("exp", scaled(n, base.args[0]))
        return node
    if has_x(exponent):
        if base.op == "e":
            return call("exp", exponent)
        return call("exp", _product(call("*", exponent, _log(call("log", base)))))
    return node


def _log(node: Node) -> Node:
    (u,) = node.args
    if u == ONE:
        return ZERO
    if u.op == "e":
        return ONE
    if u.op == "exp":
        return u.args[0]
    if u.op == "sigmoid":
        return neg(call("softplus", neg(u.args[0])))
    if u.op == "cosh":
        return call("logcosh", u.args[0])
    constant, terms = _terms(u)
    if constant == 1 and terms:
        return _log1p(call("log1p", total(Fraction(0), terms)))
    if constant == 1:
        return ZERO
    return node


def _log1p(node: Node) -> Node:
    (u,) = node.args
    return call("softplus", u.args[0]) if u.op == "exp" else node


def _root(node: Node) -> Node:
    (u,) = node.args
    if u.op == "**" and u.args[1] == TWO:
        return call("abs", u.args[0])
    return node


def _absolute(node: Node) -> Node:
    (u,) = node.args
    return u if u.op in _POSITIVE else node


def _negative(node: Node) -> Node:
    return scaled(Fraction(-1), node.args[0])


def _exponential(node: Node) -> Node:
    (u,) = node.args
    if u == ZERO:
        return ONE
    if u.op == "log" and u.args[0].number is not None and u.args[0].number > 0:
        return u.args[0]
    return node


_RULES = {
    "+": _sum,
    "*": _product,
    "/": _quotient,
    "**": _power,
    "neg": _negative,
    "abs": _absolute,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _root,
    "exp": _exponential,
}
