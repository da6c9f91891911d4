"""init_ finds the layers and activations of a model and draws what the theory says."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
nn, F = torch.nn, torch.nn.functional

from meanfield.frameworks.torch import init_  # noqa: E402

Z = 5.0  # two-sided, 6e-7 a draw: fewer than 1e-4 false alarms for all draws of this file


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mlp(activation, depth=6, width=40, inputs=30, outputs=7, bias=True):
    sizes = [inputs, *[width] * (depth - 1)]
    hidden = [part for n in sizes[:-1] for part in (nn.Linear(n, width, bias=bias), activation())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs, bias=bias))


def check_draw(layer, row):
    """The weights' and biases' mean and mean square, by z."""
    w = layer.weight.detach().double().flatten()
    scale = row.sigma_w / math.sqrt(row.fan_in)
    assert abs(w.mean().item()) < Z * scale / math.sqrt(w.numel())
    assert abs((w**2).mean().item() / scale**2 - 1) < Z * math.sqrt(2 / w.numel())
    if row.sigma_b == 0.0 or layer.bias is None:
        assert layer.bias is None or not layer.bias.any()
    else:
        b = layer.bias.detach().double()
        # χ² of few degrees of freedom: Wilson and Hilferty's cube root is normal.
        n = b.numel()
        cube = ((b**2).mean().item() / row.sigma_b**2) ** (1 / 3)
        assert abs(cube - (1 - 2 / (9 * n))) < Z * math.sqrt(2 / (9 * n))


def test_recommended_for_every_hidden_layer():
    model = mlp(nn.Mish, depth=20)
    table = init_(model, seed=1)
    best = mf.recommend("mish", 20)
    assert [row.name for row in table] == [str(2 * i) for i in range(20)]
    assert [row.activation for row in table] == ["mish"] * 19 + [""]
    np.testing.assert_allclose(table.sigma_w[1:-1], best.sigma_w, rtol=1e-14)
    np.testing.assert_allclose(table.sigma_b[:-1], best.sigma_b, rtol=1e-14)
    np.testing.assert_allclose(table.q[:-1], best.q, rtol=1e-12)  # from the first layer on
    assert table.sigma_w[0] == pytest.approx(math.sqrt(best.q - best.sigma_b**2), rel=1e-14)
    # The output has variance 1.
    assert table.sigma_w[-1] ** 2 * float(mf.second_moment("mish", best.q)) == pytest.approx(1.0, rel=1e-12)
    assert (table.sigma_b[-1], table.q[-1]) == (0.0, pytest.approx(1.0))
    for row in table:
        check_draw(model.get_submodule(row.name), row)
        assert (row.kind, row.shape) == ("Linear", tuple(model.get_submodule(row.name).weight.shape))


def test_given_sigmas_go_to_every_layer():
    model = mlp(nn.Tanh)
    table = init_(model, sigma_w=1.3, sigma_b=0.2, seed=0)
    assert (table.sigma_w == 1.3).all()
    assert (table.sigma_b == 0.2).all()
    net = mf.MeanField("tanh", 1.3, 0.2)
    q = 0.2**2 + 1.3**2
    for row in table:
        assert row.q == pytest.approx(q, rel=1e-12)
        check_draw(model.get_submodule(row.name), row)
        q = net.variance_map(q)
    assert init_(model, sigma_w=1.3).sigma_b.tolist() == [0.0] * 6
    one = init_(model, sigma_b=0.2)
    assert one["2"].sigma_w == pytest.approx(float(mf.edge_of_chaos("tanh", 0.2).sigma_w))
    scaled = init_(model, sigma_w=1.3, sigma_b=0.2, scale_ends=True)
    np.testing.assert_allclose(scaled.q[:-1], net.q_star, rtol=1e-12)
    assert init_(model, input_variance=4.0).q[0] == pytest.approx(mf.recommend("tanh", 6).q)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (nn.SiLU, "silu"),
        (lambda: nn.LeakyReLU(0.3), "leaky_relu"),
        (lambda: nn.GELU("tanh"), None),
        (nn.PReLU, "prelu"),
        (lambda: nn.PReLU(40), "prelu"),
        (lambda: nn.Hardtanh(-2, 2), "hardtanh"),
        (lambda: nn.Sequential(nn.Identity(), nn.ELU(1.5), nn.Dropout(0.1)), "elu"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_modules_are_recognised_with_their_parameters(make, name):
    table = init_(mlp(make, depth=3), seed=0)
    module = make().double().eval()
    x = torch.linspace(-4, 4, 101, dtype=torch.float64)
    expected = module(x[:, None].expand(101, 40)).detach().numpy()[:, 0]
    from meanfield.frameworks.following import followed
    from meanfield.frameworks.torch.tracing import architecture_of

    for act in followed(architecture_of(mlp(make, depth=3)), None).follows.values():
        if act is not None:
            np.testing.assert_allclose(act(x.numpy()), expected, rtol=1e-9, atol=1e-12)
            assert name in (None, act.name)
    assert table[0].activation


def test_a_name_alone_makes_no_activation():
    class Mish(nn.Module):
        def forward(self, x):
            return x * torch.tanh(x)

    table = init_(mlp(Mish, depth=3), sigma_w=1.0, seed=0)
    said = init_(mlp(Mish, depth=3), Mish, sigma_w=1.0, seed=0)
    assert table[1].q == said[1].q == pytest.approx(float(mf.second_moment("x * tanh(x)", 1.0)), rel=1e-9)


class Functional(nn.Module):
    """Functions, methods, a formula, a residual sum, a normalisation and a default argument."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.left = nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=4)
        self.right = nn.Conv2d(8, 8, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.swish = nn.Linear(4, 16)
        self.formula = nn.Linear(16, 16)
        self.out = nn.Linear(16, 3)
        self.unused = nn.Linear(3, 3)

    def forward(self, x, mask=None):
        x = F.leaky_relu(self.stem(x), 0.2)
        y = self.left(x).tanh()
        y = self.norm(self.right(y))
        x = torch.relu(x + y)
        if mask is not None:
            x = x * mask
        x = F.relu_(self.up(x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = F.silu(self.swish(x))
        h = self.formula(x)
        x = h * torch.tanh(F.softplus(h))
        return F.log_softmax(self.out(x), dim=1)


def test_functions_methods_and_formulas():
    model = Functional()
    model.norm.weight.data.fill_(2.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    table = init_(model, seed=3)
    found = {row.name: row for row in table}
    assert list(found) == ["stem", "left", "right", "up", "swish", "formula", "out"]
    assert [found[name].activation for name in ("stem", "left", "right", "up", "swish", "out")] == [
        "leaky_relu",
        "tanh",
        "relu",
        "relu",
        "silu",
        "",
    ]
    assert found["formula"].activation == "mul(x, tanh(softplus(x)))"
    # fan_in: in_channels/groups · kernel, for the transposed one divided by the stride.
    assert [found[name].fan_in for name in ("stem", "left", "right", "up", "swish")] == [18, 6, 8, 8 * 16 / 4, 4]
    best = mf.recommend("mish", 4)  # up, swish, formula and out follow one another behind a sum with a normalised branch
    assert found["formula"].sigma_b == pytest.approx(best.sigma_b, rel=1e-6)
    assert "BatchNorm2d after it" in found["right"].note
    assert "sum" in found["up"].note
    assert "scaled on a batch" in found["swish"].note  # behind a pooling
    assert "unused" in " ".join(str(table).split())
    for row in table:
        check_draw(model.get_submodule(row.name), row)
    for name, value in model.state_dict().items():  # other layers are left alone
        if name.startswith(("norm", "unused")):
            assert torch.equal(value, before[name])
    assert model(torch.randn(2, 2, 6, 6)).shape == (2, 3)


class Broken(nn.Module):
    """NaN below 0."""

    def forward(self, x):
        return torch.sqrt(x)


def test_a_missing_wrong_or_unclear_activation_names_the_layer():
    a = nn.Linear(3, 3)
    for model, keywords, words in (
        (nn.Sequential(a, nn.Linear(3, 3)), {"activation": "relu"}, "'0'.*relu was given"),
        (nn.Sequential(a, nn.ReLU(), nn.Linear(3, 3)), {"activation": "tanh"}, "'0' is followed by relu, not by tanh"),
        (nn.Sequential(a, nn.ReLU(), nn.Linear(3, 3)), {"activation": {"0": nn.Tanh}}, "'0' is followed by relu, not by tanh"),
        (nn.Sequential(a, nn.ReLU(), nn.Linear(3, 3)), {"activation": {"2": "tanh"}}, "'2' is an output"),
        (nn.Sequential(a, Broken(), nn.Linear(3, 3)), {}, "after '0'.*not a number"),
        (nn.Sequential(a, nn.ReLU(), nn.Linear(3, 3)), {"activation": "no such"}, "no such"),
        (nn.Sequential(a, nn.ReLU(), nn.Linear(3, 3)), {"activation": {"0": "no such"}}, "layer '0'.*no such"),
    ):
        kept = a.weight.detach().clone()
        with pytest.raises(mf.ActivationError, match=words):
            init_(model, **keywords)
        assert torch.equal(a.weight, kept)


def test_a_linear_pair_a_softmax_and_a_gate_get_variance_one_and_it_is_said():
    for between, words in (
        (nn.Dropout(), "a linear pair: layer '2' reads it with no activation between"),
        (nn.Softmax(-1), "followed by 1 (Softmax), which may be an activation or not"),
        (nn.GLU(), "followed by 1 (GLU), which may be an activation or not"),
    ):
        model = nn.Sequential(nn.Linear(6, 6), between, nn.Linear(3 if isinstance(between, nn.GLU) else 6, 3))
        table = init_(model, seed=0)
        assert (table["0"].sigma_w, table["0"].sigma_b, table["0"].q) == (1.0, 0.0, 1.0)
        assert words in table["0"].note
        assert words in " ".join(str(table).split())
        check_draw(model[0], table["0"])


def test_slopes_that_differ_by_channel_count_by_their_mean_square():
    uneven = nn.PReLU(3)
    uneven.weight.data[:] = torch.tensor([0.1, 0.5, -0.7])
    row = init_(nn.Sequential(nn.Linear(3, 3), uneven, nn.Linear(3, 3)), seed=0, scale_ends=False)["2"]
    slope = (0.1**2 + 0.5**2 + 0.7**2) / 3
    assert row.sigma_w == pytest.approx(math.sqrt(2 / (1 + slope)), rel=1e-6)


def test_what_is_said_where_it_cannot_be_told():
    softmax = nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1), nn.Linear(3, 3))
    assert [row.activation for row in init_(softmax, {"0": "tanh"}, seed=0)] == ["tanh", ""]
    attention = init_(nn.TransformerEncoderLayer(16, 2, 32), "relu", seed=0)
    assert [row.name for row in attention] == ["linear1", "linear2", "self_attn.in_proj_weight", "self_attn.out_proj"]
    assert attention.left_alone == ()
    bottleneck = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    assert [row.activation for row in init_(bottleneck, {"0": "linear"}, seed=0)] == ["linear", "relu", ""]

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(5, 5) for _ in range(4))

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x)) if x.sum() > 0 else torch.tanh(layer(-x))
            return x

    recorded = init_(Branching(), seed=0)
    assert [row.activation for row in recorded] == ["tanh"] * 4
    assert "random inputs of shape 2×5" in " ".join(str(recorded).split())
    for said in ("tanh", nn.Tanh, nn.Tanh(), torch.tanh, F.tanh, lambda x: np.tanh(x)):
        table = init_(Branching(), said, seed=0)
        assert table["layers.1"].sigma_w == pytest.approx(mf.recommend("tanh", 4).sigma_w, rel=1e-6)
        assert table["layers.3"].activation == ""


def test_two_activations_are_joined_at_the_variance_of_the_second():
    model = nn.Sequential(nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 9), nn.SiLU(), nn.Linear(9, 9), nn.SiLU(), nn.Linear(9, 2))
    table = init_(model, depth=30)
    tanh, silu = mf.recommend("tanh", 30), mf.recommend("silu", 30)
    np.testing.assert_allclose(table.q[:3], [tanh.q, silu.q, silu.q], rtol=1e-12)
    assert table["2"].sigma_w ** 2 * mf.second_moment("tanh", tanh.q) + silu.sigma_b**2 == pytest.approx(silu.q, rel=1e-12)


def test_without_biases():
    tanh = init_(mlp(nn.Tanh, depth=30, bias=False), seed=0)
    assert (tanh["4"].sigma_w, tanh["4"].sigma_b) == (pytest.approx(1.0), 0.0)
    with pytest.warns(UserWarning, match=r"without bias.*edge of chaos"):
        mish = init_(mlp(nn.Mish, depth=300, width=4, bias=False), seed=0)
    best = mf.recommend("mish", 300)
    np.testing.assert_allclose(mish.q[:-1], best.q, rtol=1e-6)  # an unstable fixed point: rounding grows
    assert "no bias" in mish["4"].note
    given = init_(mlp(nn.Tanh, bias=False), sigma_w=1.2, sigma_b=0.3)
    assert (given["2"].sigma_b, "no bias" in given["2"].note) == (0.0, True)


def test_shared_layers_and_weights_are_drawn_once():
    layer, twin = nn.Linear(6, 6), nn.Linear(6, 6)
    twin.weight = layer.weight
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), twin, nn.Tanh(), nn.Linear(6, 2))
    table = init_(model, seed=0)
    assert [row.name for row in table] == ["0", "4", "6"]
    assert "used 2 times" in table["0"].note
    assert "drawn once" in table["4"].note
    assert table.depth == 4


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_kinds_of_numbers(dtype):
    layer = nn.Linear(50, 60, dtype=dtype)
    layer.weight.requires_grad_(False)
    row = init_(layer, "tanh", sigma_w=1.5, sigma_b=0.5, seed=0)[0]
    assert (layer.weight.dtype, layer.weight.requires_grad, layer.bias.requires_grad) == (dtype, False, True)
    square = layer.weight.detach().to(torch.complex128).abs().square().mean().item() * row.fan_in
    assert square == pytest.approx(1.5**2, abs=Z * 1.5**2 * math.sqrt(2 / 3000))
    if dtype.is_complex:
        assert layer.weight.imag.std().item() == pytest.approx(layer.weight.real.std().item(), rel=0.1)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")  # torch 2.2 says so
def test_meta_and_parametrised_and_lazy_layers():
    meta = mlp(nn.Tanh, depth=3).to("meta")
    assert "meta device" in init_(meta)["0"].note
    assert meta[0].weight.is_meta
    with pytest.raises(mf.DomainError, match="'0' is lazy"):
        init_(nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.Linear(4, 2)))
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(40, 50)), nn.Tanh(), nn.Linear(50, 2))
    table = init_(normed, seed=0)
    check_draw(normed[0], table["0"])
    assert table["0"].kind == "Linear"


def test_orthogonal():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 16, 3, groups=2), nn.Tanh(), nn.ConvTranspose1d(16, 10, 4, groups=2), nn.Tanh()
    )
    wide = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3))
    table = init_(wide, orthogonal=True, sigma_w=1.3, sigma_b=0.1, seed=0)
    assert "orthogonal" in " ".join(str(table).split())
    for name, gram in (("0", lambda w: w.T @ w), ("2", lambda w: w @ w.T), ("4", lambda w: w @ w.T)):
        w = wide.get_submodule(name).weight.detach()
        size = max(w.shape) / w.shape[1]  # entries keep the variance σ_w²/fan_in
        torch.testing.assert_close(gram(w), 1.3**2 * size * torch.eye(min(w.shape)), rtol=0, atol=1e-5)
    # What is not Linear or a 2-d convolution has its blocks too.
    init_(model[:4], orthogonal=True, sigma_w=1.0, seed=0)
    for block in model[2].weight.detach().reshape(2, 8, -1):
        torch.testing.assert_close(block @ block.T, torch.eye(8), rtol=0, atol=1e-5)
    layer = model[4]
    init_(layer, "tanh", orthogonal=True, sigma_w=1.0, seed=0)
    for block in layer.weight.detach().reshape(2, 8, 5, 4):
        rows = block.transpose(0, 1).reshape(5, -1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(5), rtol=0, atol=1e-5)


def test_the_draw_is_the_seeds():
    def drawn(**keywords):
        model = mlp(nn.Tanh, depth=3)
        init_(model, **keywords)
        return model[0].weight.detach().clone()

    state = torch.get_rng_state()
    first = drawn(seed=7)
    assert torch.equal(first, drawn(seed=7))
    assert torch.equal(first, drawn(generator=torch.Generator().manual_seed(7)))
    assert not torch.equal(first, drawn(seed=8))
    torch.set_rng_state(state)
    model = mlp(nn.Tanh, depth=3)
    state = torch.get_rng_state()
    init_(model, seed=7)
    assert torch.equal(torch.get_rng_state(), state)  # a seed leaves torch's own state alone
    init_(model)
    assert not torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"sigma_w": -1.0}, "sigma_w = -1.0"),
        ({"sigma_b": float("nan")}, "sigma_b"),
        ({"depth": 0}, "depth = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1, "generator": 3}, "not both"),
        ({"generator": 3}, "generator"),
        ({"input_variance": 0}, "input_variance = 0"),
        ({"activation": {"nowhere": "tanh"}}, "'nowhere' is no layer"),
    ],
)
def test_bad_arguments(keywords, words):
    with pytest.raises(mf.DomainError, match=words):
        init_(mlp(nn.Tanh, depth=3), **keywords)


def test_bad_models():
    for model, words in ((3, "int"), (nn.ReLU(), "no Linear")):
        with pytest.raises(mf.DomainError, match=words):
            init_(model)
    assert init_(mlp(nn.Softplus), sigma_w=1.0)["2"].sigma_w == 1.0
    kept = init_(mlp(nn.Softplus), seed=0)["2"]
    assert kept.sigma_w == pytest.approx(1 / math.sqrt(mf.second_moment("softplus", 1.0)), rel=1e-9)
    assert "softplus has no edge of chaos" in kept.note


def test_without_torch_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import meanfield as mf, meanfield.frameworks.torch as ours\n"
        "try: ours.init_(3)\n"
        "except mf.MeanFieldError as error: assert 'pip install' in str(error), error\n"
        "else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_torch_is_not_imported_before_it_is_used():
    code = "import sys, meanfield.frameworks.torch as ours; assert ours.init_ and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_model_of_the_readme_trains():
    """100 layers of Mish; with torch's own initialisation nothing is learnt in the same steps."""
    import re
    from pathlib import Path

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## In PyTorch", 1)[1]
    source = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)[0]
    assert len([line for line in source.splitlines() if line.strip()]) + 1 == 5  # with the line that installs
    torch.manual_seed(0)
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    x = torch.randn(128, 64)
    y = x[:, :10].argmax(1)

    def loss_after(model, steps):
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
        for _ in range(steps):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
        return loss.item()

    default = mlp(nn.Mish, depth=101, width=64, inputs=64, outputs=10)
    assert loss_after(names["model"], 40) < math.log(10) - 0.2
    assert loss_after(default, 40) > math.log(10) - 0.1


@pytest.mark.parametrize(
    ("dropout", "raises"), [(nn.Dropout(0.3), True), (nn.AlphaDropout(0.3), False), (nn.FeatureAlphaDropout(0.3), False)]
)
def test_alpha_dropout_is_not_said_to_raise_the_second_moment(dropout: nn.Module, raises: bool) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.SELU(), dropout, nn.Linear(8, 8), nn.SELU(), nn.Linear(8, 2))
    assert ("multiplies E[x²]" in str(init_(model))) is raises


def test_an_error_of_ours_is_not_taken_for_a_model_that_cannot_be_traced(monkeypatch):
    from meanfield.frameworks.torch import tracing

    class OfAUser(nn.Module):
        """Its forward fails under tracing, with an error of its own."""

        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            if not isinstance(x, torch.Tensor):
                raise KeyError("only tensors")
            return self.b(torch.tanh(self.a(x)))

    assert "can't be traced (KeyError: 'only tensors')" in " ".join(str(init_(OfAUser(), "tanh", seed=0)).split())

    def broken(*arguments, **keywords):
        raise ZeroDivisionError("ours")

    for owner, name in ((tracing._Reader, "read"), (tracing._Reader, "_module"), (tracing, "is_elementwise"), (tracing, "_role")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            with pytest.raises(ZeroDivisionError, match="ours"):
                init_(mlp(nn.Tanh, depth=3), "tanh")


def test_a_batch_in_the_activations_place():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with pytest.raises(mf.DomainError, match=r"activation is a tensor of shape \(5, 3\): a batch of inputs is given as example="):
        init_(model, torch.zeros(5, 3))
