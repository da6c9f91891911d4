"""From the text of a formula to its tree.

The text is checked token by token before Python's own parser turns it into a syntax tree, and that tree is read by a
whitelist. Nothing is ever run.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
from collections.abc import Mapping
from fractions import Fraction

from meanfield.activations.activation import shortened
from meanfield.activations.formula.tree import COMPARISONS, ONE, PI, UNDEFINED, ZERO, E, Node, X, call, depth, neg, number
from meanfield.errors import ActivationError

MAX_LENGTH = 10_000
MAX_TOKENS = 4_000
MAX_BRACKETS = 60
MAX_DEPTH = 150
MAX_TREE_DEPTH = 200

# Function name → (canonical name, fewest arguments, most arguments).
FUNCTIONS: dict[str, tuple[str, int, int]] = {
    **{
        name: (name, 1, 1)
        for name in [
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "abs",
            "sign",
            "heaviside",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "arcsin",
            "arccos",
            "arctan",
            "arcsinh",
            "arccosh",
            "arctanh",
            "erf",
            "erfc",
            "sigmoid",
            "softplus",
            "relu",
        ]
    },
    **{f"a{name}": (f"arc{name}", 1, 1) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "max": ("max", 2, 100),
    "min": ("min", 2, 100),
    "clip": ("clip", 3, 3),
    "where": ("where", 3, 3),
}

_CONSTANTS = {"x": X, "pi": PI, "e": E}
_RESERVED = frozenset((*FUNCTIONS, *_CONSTANTS))

# What SymPy prints for our own expressions, so that str(activation.formula) is a formula. A parameter may have any of these names.
_OF_SYMPY = {"Abs": "abs", "Max": "max", "Min": "min", "Heaviside": "heaviside"}
_RELATIONS_OF_SYMPY = {"Eq": "==", "Ne": "!="}
_WORDS_OF_SYMPY = frozenset((*_OF_SYMPY, *_RELATIONS_OF_SYMPY, "Piecewise", "E", "True", "False"))

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|<=|>=|==|!=|[-+*/(),<>&|~])"
)
_HINTS = {
    "^": "; write ** for powers",
    "=": "; parameters are given as keywords beside the formula, and equality in a condition is ==",
    "[": "; only round brackets are known",
    "{": "; only round brackets are known",
    ".": "; attributes are not part of the grammar",
    ":": "; write where(condition, a, b) for cases",
    "%": "; there is no remainder in the grammar",
}
_CONDITION_HINTS: dict[type, tuple[str, str]] = {
    ast.BitOr: ("|", "; write abs(x), or `or` in a condition"),
    ast.BitAnd: ("&", "; write `and` in a condition"),
}
_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def parse(text: str, parameters: Mapping[str, float] | None = None, *, unused: bool = False) -> Node:
    """The tree of a formula, its parameters replaced by their values.

    Parameters
    ----------
    text : str
        The formula.
    parameters : mapping, optional
        The values of the names in the formula other than x, pi and e.
    unused : bool
        Whether a parameter that does not occur is let pass.

    Raises
    ------
    ActivationError
        Where the text is not a formula; the message names the column.
    """
    reader = _Reader(text, dict(parameters or {}))
    tree = reader.read()
    if not unused:
        for name in reader.parameters:
            if name not in reader.used:
                raise ActivationError(f"the formula {shortened(text)!r} has no parameter {name!r}")
    return tree


def check_parameter_name(text: str, name: str) -> None:
    """Refuse a parameter whose name means something else already."""
    if name in _RESERVED:
        raise ActivationError(f"a parameter of the formula {shortened(text)!r} can't be called {name!r}: the grammar uses that name")
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        raise ActivationError(
            f"a parameter of the formula {shortened(text)!r} can't be called {shortened(name)!r}: it must be a plain ASCII name"
        )


def exact(value: float) -> Fraction:
    """The number that the shortest decimal of a float writes: 0.3 means 3/10."""
    return Fraction(repr(float(value)))


class _Reader:
    """Reads one formula; remembers the text for the messages."""

    def __init__(self, text: str, parameters: dict[str, float]) -> None:
        self.text = text
        self.parameters = parameters
        self.used: set[str] = set()
        for name in parameters:
            check_parameter_name(text[:200], name)

    def fail(self, column: int, what: str) -> ActivationError:
        return ActivationError(f"can't read the formula {shortened(self.text[:2000])!r}, column {column + 1}: {what}")

    def read(self) -> Node:
        if len(self.text) > MAX_LENGTH:
            raise ActivationError(
                f"a formula may have at most {MAX_LENGTH} characters, not {len(self.text)}: {shortened(self.text[:60])!r} …"
            )
        if not self.text.strip():
            raise ActivationError("the formula is empty")
        self.scan()
        flat = re.sub(r"[\t\r\n]", " ", self.text)
        self.margin = len(flat) - len(flat.lstrip())
        self.flat = flat.strip()
        try:
            tree = ast.parse(self.flat, mode="eval")
        except SyntaxError as error:
            message = (error.msg or "not a formula").partition(". ")[0]
            message += _CONDITION_HINTS[ast.BitOr][1] if "|" in self.flat else ""
            raise self.fail(self.margin + max((error.offset or 1) - 1, 0), message) from None
        except (ValueError, RecursionError, MemoryError, OverflowError):
            raise self.fail(0, "too deeply nested") from None
        result = self.node(tree.body, 0)
        if depth(result) > MAX_TREE_DEPTH:
            raise self.fail(0, f"nested more than {MAX_TREE_DEPTH} operations deep")
        return result

    def scan(self) -> None:
        """Refuse every character and every word that no formula has, before anything else looks at the text."""
        position = brackets = tokens = 0
        previous = "operator"
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                bad = self.text[position]
                shown = repr(bad) if bad.isascii() else f"{bad!a} ({bad!r}), not an ASCII character,"
                raise self.fail(position, f"{shown} is not part of the grammar{_HINTS.get(bad, '')}")
            kind, token = str(match.lastgroup), match.group()
            tokens += kind != "space"
            if tokens > MAX_TOKENS:
                raise self.fail(position, f"more than {MAX_TOKENS} tokens")
            if token == "(":
                brackets += 1
                if brackets > MAX_BRACKETS:
                    raise self.fail(position, f"brackets nested more than {MAX_BRACKETS} deep")
            elif token == ")":
                brackets -= 1
                if brackets < 0:
                    raise self.fail(position, "a bracket is closed that was not opened")
            elif kind == "word":
                if previous == "number" and token not in ("and", "or"):
                    raise self.fail(position, f"an operator is missing before {shortened(token)!r}; write * for products")
                self.check_word(position, token)
            elif kind == "number":
                if previous == "number":
                    raise self.fail(position, "an operator is missing between two numbers")
                self.check_number(position, token)
            if kind != "space":
                previous = kind
            position = match.end()
        if brackets:
            raise self.fail(len(self.text) - 1, "a bracket is not closed")

    def check_word(self, position: int, word: str) -> None:
        if word in _RESERVED or word in ("and", "or", "not"):
            return
        if word in self.parameters:
            self.used.add(word)
            return
        if word in _WORDS_OF_SYMPY:
            return
        if keyword.iskeyword(word):
            raise self.fail(position, f"the word {word!r} is not part of the grammar")
        near = difflib.get_close_matches(word[:50], [*_RESERVED, *self.parameters], n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; give parameters as keywords beside the formula"
        raise self.fail(position, f"unknown name {shortened(word)!r}{hint}")

    def check_number(self, position: int, token: str) -> None:
        digits, _, exponent = token.lower().partition("e")
        if len(digits) > 1_000 or len(exponent) > 5 or not _in_range(token):
            raise self.fail(position, f"the number {shortened(token)} is too large, too small or too long for double precision")

    def node(self, part: ast.expr, level: int) -> Node:
        column = self.margin + part.col_offset
        if level > MAX_DEPTH:
            raise self.fail(column, f"nested more than {MAX_DEPTH} deep")
        if isinstance(part, ast.Constant) and not isinstance(part.value, bool):
            return number(Fraction(self.flat[part.col_offset : part.end_col_offset]))
        if isinstance(part, ast.Name):
            return self.name(part.id, column)
        if isinstance(part, ast.BinOp):
            return self.binary(part, level, column)
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, (ast.USub, ast.UAdd)):
            value = self.node(part.operand, level + 1)
            return neg(value) if isinstance(part.op, ast.USub) else value
        if isinstance(part, ast.Call):
            return self.function(part, level, column)
        if _is_condition(part):
            raise self.fail(column, "a comparison belongs in the first argument of where(condition, a, b)")
        raise self.fail(column, "not part of the grammar")

    def name(self, word: str, column: int) -> Node:
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if word in self.parameters:
            return number(exact(self.parameters[word]))
        if word == "E":
            return E
        raise self.fail(column, f"{word} is a function: write {word}(…)")

    def binary(self, part: ast.BinOp, level: int, column: int) -> Node:
        op = _OPERATORS.get(type(part.op))
        if op is None:
            sign, hint = _CONDITION_HINTS.get(type(part.op), ("this", ""))
            raise self.fail(column, f"{sign} is not part of the grammar here{hint}")
        left, right = self.node(part.left, level + 1), self.node(part.right, level + 1)
        if op == "-":
            return call("+", left, neg(right))
        return call(op, left, right)

    def function(self, part: ast.Call, level: int, column: int) -> Node:
        name = part.func.id if isinstance(part.func, ast.Name) else ""
        if name == "Piecewise" and name not in self.parameters:
            return self.piecewise(part, level, column)
        if name not in self.parameters:
            name = _OF_SYMPY.get(name, name)
        if name not in FUNCTIONS:
            raise self.fail(column, f"{name or 'the expression before the bracket'} is not a function; write * for products")
        op, fewest, most = FUNCTIONS[name]
        if part.keywords or any(isinstance(arg, ast.Starred) for arg in part.args):
            raise self.fail(column, f"{name} takes plain arguments")
        if not fewest <= len(part.args) <= most:
            allowed = str(fewest) if fewest == most else f"{fewest} or more"
            raise self.fail(column, f"{name} takes {allowed} argument{'s' * (allowed != '1')}, not {len(part.args)}")
        if op == "where":
            condition = self.condition(part.args[0], level + 1)
            return call("where", condition, *(self.node(arg, level + 1) for arg in part.args[1:]))
        args = [self.node(arg, level + 1) for arg in part.args]
        if op == "clip":
            return call("min", call("max", args[0], args[1]), args[2])
        if op in ("max", "min"):
            result = args[0]
            for arg in args[1:]:
                result = call(op, result, arg)
            return result
        return call(op, *args)

    def piecewise(self, part: ast.Call, level: int, column: int) -> Node:
        """Piecewise((a, condition), …, (b, True)), as SymPy prints cases: undefined where no condition holds."""
        pairs = [arg.elts for arg in part.args if isinstance(arg, ast.Tuple) and len(arg.elts) == 2]
        if part.keywords or not pairs or len(pairs) != len(part.args):
            raise self.fail(column, "Piecewise takes pairs of a value and a condition; or write where(condition, a, b)")
        result = UNDEFINED
        for value, condition in reversed(pairs):
            piece = self.node(value, level + len(pairs))
            always = isinstance(condition, ast.Constant) and condition.value is True
            result = piece if always else call("where", self.condition(condition, level + len(pairs)), piece, result)
        return result

    def condition(self, part: ast.expr, level: int) -> Node:
        column = self.margin + part.col_offset
        if level > MAX_DEPTH:
            raise self.fail(column, f"nested more than {MAX_DEPTH} deep")
        if isinstance(part, ast.Compare):
            sides = [part.left, *part.comparators]
            ops = [_OPERATORS.get(type(op), "") for op in part.ops]
            if not set(ops) <= COMPARISONS:
                raise self.fail(column, "only < <= > >= == and != compare")
            nodes = [self.node(side, level + 1) for side in sides]
            result = call(ops[0], nodes[0], nodes[1])
            for op, left, right in zip(ops[1:], nodes[1:], nodes[2:], strict=False):
                result = call("and", result, call(op, left, right))
            return result
        if isinstance(part, ast.BoolOp):
            op = "and" if isinstance(part.op, ast.And) else "or"
            result = self.condition(part.values[0], level + 1)
            for value in part.values[1:]:
                result = call(op, result, self.condition(value, level + 1))
            return result
        if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.BitAnd, ast.BitOr)):  # as SymPy prints them
            op = "and" if isinstance(part.op, ast.BitAnd) else "or"
            return call(op, self.condition(part.left, level + 1), self.condition(part.right, level + 1))
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, (ast.Not, ast.Invert)):
            return call("not", self.condition(part.operand, level + 1))
        if isinstance(part, ast.Constant) and isinstance(part.value, bool):
            return call("<", ZERO, ONE if part.value else neg(ONE))
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in _RELATIONS_OF_SYMPY and len(part.args) == 2:
            return call(_RELATIONS_OF_SYMPY[part.func.id], *(self.node(arg, level + 1) for arg in part.args))
        raise self.fail(column, "the first argument of where is a comparison, such as x > 0")


def _is_condition(part: ast.expr) -> bool:
    if isinstance(part, ast.Constant):
        return isinstance(part.value, bool)
    return isinstance(part, (ast.Compare, ast.BoolOp)) or (isinstance(part, ast.UnaryOp) and isinstance(part.op, (ast.Not, ast.Invert)))


def _in_range(token: str) -> bool:
    size = float(token)
    if size == 0.0:
        return not any(digit in "123456789" for digit in token.lower().partition("e")[0])
    return 1e-300 <= size < float("inf")
