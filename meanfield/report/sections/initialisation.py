"""Which weights and biases to start with, as lines to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.report.blocks import Block, Code, Paragraph, Section, Table, column

if TYPE_CHECKING:
    from meanfield.report.subject import Subject
    from meanfield.theory.recommend import Recommendation


def section(subject: Subject) -> Section:
    """Recommendations for depth 20, 100 and 1000, with PyTorch, JAX and NumPy lines.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> [block.title for block in section(make_subject("relu", 0)).blocks if block.kind == "code"]
    ['PyTorch', 'JAX', 'NumPy']
    """
    found = {depth: advice for depth, advice in subject.advice.items() if not isinstance(advice, str)}
    refused: dict[str, list[int]] = {}
    for depth, advice in subject.advice.items():
        if isinstance(advice, str):
            # The same refusal at several depths is told once.
            refused.setdefault(advice.removeprefix(f"depth = {depth}: "), []).append(depth)
    title = "Initialisation"
    blocks: list[Block] = []
    if found:
        blocks.append(_table(found))
        blocks += [Paragraph(f"{depth} layers: {best.reason}") for depth, best in found.items()]
    for message, depths in refused.items():
        blocks.append(Paragraph(f"Nothing to recommend for {_listed(depths)} layers: {message}.", tone="caution"))
    if found:
        blocks.append(
            Paragraph(
                "The lines below draw weights of standard deviation σ_w/√fan_in and biases of standard deviation σ_b. "
                "Scale the inputs so that the first layer's pre-activations have a variance of about q."
            )
        )
        blocks += [Code(name, "python", text) for name, text in snippets(found)]
    return Section("initialisation", title, tuple(blocks))


def _table(found: dict[int, Recommendation]) -> Table:
    from meanfield.theory.recommend import factor

    best = list(found.values())
    changes = [[factor(change) for change in (item.variance_change, item.gradient_change, item.correlation_change)] for item in best]
    rows = zip(
        map(str, found),
        column([item.sigma_w for item in best], 7),
        column([item.sigma_b for item in best], 7),
        column([item.q for item in best]),
        [item.status for item in best],
        *zip(*changes, strict=True),
        strict=True,
    )
    header = ("layers", "σ_w", "σ_b", "q", "q is", "variance", "gradient", "differences")
    caption = (
        "Where on the edge of chaos to start, and the factor by which variances, gradients and differences between inputs change at most "
        "from the first layer to the last, for inputs whose variance is within a factor of 2 of 1."
    )
    return Table(caption, header, "rrrrlrrr", tuple(rows))


def snippets(found: dict[int, Recommendation]) -> list[tuple[str, str]]:
    """(framework, code) for each framework; the code runs as it stands.

    Examples
    --------
    >>> import meanfield as mf
    >>> name, code = snippets({20: mf.recommend("relu", depth=20)})[2]
    >>> space = {}
    >>> exec(code, space)
    >>> space["dense"](100, 10)[0].shape
    (10, 100)
    """
    depths = sorted(found, key=lambda depth: abs(depth - 100))
    sigmas = "".join(f"    {depth}: ({found[depth].sigma_w:.10g}, {found[depth].sigma_b:.10g}),\n" for depth in sorted(found))
    others = f"  # or {_listed(sorted(depths[1:]), 'or')}" if len(depths) > 1 else ""
    choice = f"depth = {depths[0]}{others}\nsigma_w, sigma_b = {{\n{sigmas}}}[depth]\n"
    return [(name, f"{imports}\n\n{choice}\n{lines}") for name, imports, lines in (_PYTORCH, _JAX, _NUMPY)]


def _listed(depths: list[int], word: str = "and") -> str:
    words = [str(depth) for depth in depths]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {word} {words[-1]}"


_PYTORCH = (
    "PyTorch",
    "import torch",
    """\

def initialise(layer):  # for a model: model.apply(initialise)
    if isinstance(layer, torch.nn.Linear):
        torch.nn.init.normal_(layer.weight, std=sigma_w / layer.in_features**0.5)
        if layer.bias is not None:
            torch.nn.init.normal_(layer.bias, std=sigma_b)
""",
)
_JAX = (
    "JAX",
    "import jax",
    """\
# For flax.linen.Dense(..., kernel_init=kernel_init, bias_init=bias_init) and its like.
kernel_init = jax.nn.initializers.variance_scaling(sigma_w**2, "fan_in", "normal")
bias_init = jax.nn.initializers.normal(sigma_b)
""",
)
_NUMPY = (
    "NumPy",
    "import numpy as np",
    """\
generator = np.random.default_rng(0)


def dense(fan_in, fan_out):
    weights = generator.normal(0.0, sigma_w / np.sqrt(fan_in), (fan_out, fan_in))
    biases = generator.normal(0.0, sigma_b, fan_out)
    return weights, biases
""",
)
