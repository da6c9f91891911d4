"""What made the page: the call, the command, the versions."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from meanfield.report.blocks import Block, Code, Paragraph, Section, Table

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.report.subject import Subject

_LIBRARIES = ("numpy", "scipy", "numba", "sympy", "matplotlib", "jinja2")


def section(subject: Subject) -> Section:
    """How to make the same page again.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> section(make_subject("relu", 0)).blocks[1].text
    'meanfield report relu -o report.html'
    """
    blocks: list[Block] = [Code("In Python", "python", python_call(subject.activation, subject.seed))]
    command = shell_command(subject.activation, subject.seed)
    if command is not None:
        blocks.append(Code("On the command line", "sh", command))
    if _specification(subject.activation) is None:
        blocks.append(Paragraph("The activation is a function in code; the line above needs it under the name function."))
    blocks.append(Table("Versions.", ("", "version"), "ll", _versions()))
    blocks.append(
        Paragraph(
            "Notation: h = Wφ(h′) + b with W ~ N(0, σ_w²/fan_in) and b ~ N(0, σ_b²); q is the variance of h, c the correlation of two "
            "inputs. Sources: Poole et al. 2016 (arXiv 1606.05340), Schoenholz et al. 2017 (arXiv 1611.01232), "
            "Hayou et al. 2018 (arXiv 1805.08266)."
        )
    )
    return Section("origin", "How this page was made", tuple(blocks))


def python_call(act: Activation, seed: int) -> str:
    """The lines of Python that write the page.

    Examples
    --------
    >>> import meanfield as mf
    >>> print(python_call(mf.activation("leaky_relu", negative_slope=0.3), 0))
    import meanfield as mf
    <BLANKLINE>
    mf.report(mf.activation('leaky_relu', negative_slope=0.3), 'report.html')
    """
    found = _specification(act)
    if found is None:
        what = f"mf.activation(function, name={act.name!r})"
    else:
        text, parameters = found
        words = "".join(f", {name}={value!r}" for name, value in parameters.items())
        what = f"mf.activation({text!r}{words})" if words else repr(text)
    return f"import meanfield as mf\n\nmf.report({what}, 'report.html'{f', seed={seed}' if seed else ''})"


def shell_command(act: Activation, seed: int) -> str | None:
    """The command that writes the page, None where a command line can't name the activation.

    Examples
    --------
    >>> import meanfield as mf
    >>> shell_command(mf.activation("x*tanh(a*x)", a=2), 1)
    "meanfield report -p a=2.0 --seed 1 -o report.html 'x*tanh(a*x)'"
    """
    found = _specification(act)
    if found is None or any(isinstance(value, tuple) and len(value) == 1 for value in found[1].values()):
        return None
    text, parameters = found
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}={_typed(value)}")]
    words += ["--seed", str(seed)] if seed else []
    if text.startswith("-"):
        return shlex.join(["meanfield", "report", *words, "-o", "report.html", "--", text])
    if words:
        return shlex.join(["meanfield", "report", *words, "-o", "report.html", text])
    return shlex.join(["meanfield", "report", text, "-o", "report.html"])


def _typed(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(repr, value))
    return value if isinstance(value, str) else repr(value)


def _specification(act: Activation) -> tuple[str, dict[str, Any]] | None:
    """The text and the parameters that `meanfield.activation` makes the same function from; None where there are none."""
    import numpy as np

    from meanfield.activations import activation
    from meanfield.errors import ActivationError

    if act.formula is None:
        return None
    parameters = dict(act.parameters)
    x = np.linspace(-3.0, 3.0, 13)
    for text, words in ((act.name, {}), (act.name, parameters), (str(act.formula), {})):
        try:
            again = activation(text, **words)
            if again is act or np.allclose(again(x), act(x), rtol=1e-12, atol=1e-300):
                return text, words
        except ActivationError:
            continue
    return None


def parameters_shown(act: Activation) -> dict[str, Any]:
    """The parameters that are not at their defaults.

    Examples
    --------
    >>> import meanfield as mf
    >>> parameters_shown(mf.activation("elu")), parameters_shown(mf.activation("elu", alpha=0.5))
    ({}, {'alpha': 0.5})
    """
    found = _specification(act)
    return dict(act.parameters) if found is None else found[1]


def _versions() -> tuple[tuple[str, str], ...]:
    from meanfield import __version__

    rows = [("meanfield-nets", __version__), ("Python", platform.python_version())]
    for name in _LIBRARIES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:  # a copy without its metadata
            rows.append((name, "unknown"))
    return tuple(rows)
