"""network and predict: a model's layers as theory has them, against what it shows; monitor; schemes; initialising by measuring."""

from __future__ import annotations

import csv
import math
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
nn, F = torch.nn, torch.nn.functional

from meanfield.frameworks.torch import diagnose, init_, monitor, network, predict  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Block(nn.Module):
    """x + scale · W₂ φ(W₁ norm(x))."""

    def __init__(self, width, norm=True, scale=1.0):
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.one, self.two, self.scale = nn.Linear(width, 2 * width), nn.Linear(2 * width, width), scale

    def forward(self, x):
        return x + self.scale * self.two(F.gelu(self.one(self.norm(x))))


def blocks(count=6, width=200, **more):
    return nn.Sequential(nn.Linear(20, width), *(Block(width, **more) for _ in range(count)), nn.Linear(width, 10))


def drawn(model, seed=0, sigma_w=1.0, sigma_b=0.1):
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data.normal_(0.0, sigma_w / math.sqrt(layer.in_features), generator=generator)
            layer.bias.data.normal_(0.0, sigma_b, generator=generator)
    return model


def test_the_network_of_a_residual_model_is_the_one_written_down():
    model = drawn(blocks(scale=0.5), sigma_w=1.2, sigma_b=0.1)
    net = network(model, normal(32, 20))
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", *["Residual"] * 6, "Dense"]
    assert net.names[0] == "0"
    assert net.names[-1] == "7"
    # From the weights as they are: their root mean squares, 1 % at 4,000 and more of them.
    by_hand = mf.Network(
        L.Dense(1.2, 0.1),
        *(L.Residual(L.LayerNorm(1e-5), L.Dense(1.2, 0.1), "gelu", L.Dense(1.2, 0.1), scale=0.5) for _ in range(6)),
        L.Dense(1.2, 0.1),
    )
    found, expected = net.propagate(q=1.0, c=0.3), by_hand.propagate(q=1.0, c=0.3)
    np.testing.assert_allclose(found.q1[:-1], expected.q1[:-1], rtol=0.05)
    np.testing.assert_allclose(found.c[:-1], expected.c[:-1], atol=0.01)
    np.testing.assert_allclose(found.gradient[1:] / found.gradient[-2], expected.gradient[1:] / expected.gradient[-2], rtol=0.12)
    assert {kind for _, kind, _ in net.exactness} == {"exact"}
    assert isinstance(network(model, normal(32, 20)).layers[1], L.Residual)


class Parts(nn.Module):
    """A concatenation, a gate, a sum of two branches without a skip, a softmax."""

    def __init__(self, width=300):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(20, width), nn.Linear(width, width), nn.Linear(2 * width, width)
        self.left, self.right, self.one, self.two = (nn.Linear(width, width) for _ in range(4))
        self.soft, self.out = nn.Linear(width, width), nn.Linear(width, 10)

    def forward(self, x):
        x = torch.tanh(self.a(x))
        x = self.c(torch.cat([x, torch.relu(self.b(x))], -1))
        x = self.left(x) * torch.sigmoid(self.right(x))
        x = torch.relu(self.one(x) + 0.5 * self.two(x))
        return self.out(300 * torch.softmax(self.soft(x), -1))


def test_parts_of_all_kinds_and_what_no_theory_covers():
    model = drawn(Parts(), seed=1)
    net = network(model, normal(32, 20))
    kinds = [type(layer).__name__ for layer in net.layers]
    assert kinds == ["Dense", "Activation", "Concatenate", "Dense", "Gate", "Graph", "Activation", "Dense", "Given", "Scale", "Dense"]
    found = predict(model, normal(64, 20))
    assert [row.name for row in found] == ["a", "b", "c", "left", "right", "one", "two", "soft", "out"]
    assert not found.departures, str(found)
    assert [row.name for row in found.operations if row.method == "measured"] == ["softmax"]
    assert "softmax: no theory of it" in " ".join(str(found).split())
    with pytest.raises(mf.DomainError, match="no layer that random networks can be drawn of"):
        net.simulate(width=20, networks=2, progress=False)


@pytest.mark.parametrize("norm", [True, False])
def test_predictions_are_what_networks_show(norm):
    """Six models: the mean of ln(measured/expected), 20 layers' worth each, lies within 3 of its standard deviations (5/N a layer)."""
    logs, gradients = [], []
    for seed in range(6):
        x = normal(64, 20, seed=100 + seed)
        x = x / x.square().mean(1, keepdim=True).sqrt()  # inputs of one norm: E V(q) over several is no V(E q)
        found = predict(drawn(blocks(norm=norm), seed), x, seed=seed)
        assert not found.departures, str(found)
        logs.append(np.log(found.column("variance") / found.column("expected_variance"))[1:-1])
        gradients.append(np.log(found.column("gradient") / found.column("expected_gradient"))[1:-1])
    assert abs(np.mean(logs)) < 0.06
    assert abs(np.mean(gradients)) < 0.15  # the last layer has 10 units: √(5/10/6) of its own is divided out at the other end


def test_a_wrong_factor_would_be_seen():
    model = drawn(blocks(norm=False, scale=2.0), sigma_w=1.6)
    found = predict(model, normal(64, 20))
    assert not found.departures
    growth = found.column("expected_variance")
    assert growth[-2] / growth[1] > 30.0
    # x + F where F is not scaled by 2, as a network that misses the factor would have it.
    missed = predict(drawn(blocks(norm=False, scale=1.0), sigma_w=1.6), normal(64, 20)).column("expected_variance")
    assert missed[-2] < 0.5 * growth[-2]


def test_convolutions_count_their_borders_and_batch_normalisation_its_means():
    torch.manual_seed(0)
    parts = []
    for _ in range(5):
        parts += [nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), *parts, nn.Conv2d(64, 64, 3, padding=1))
    found = predict(model, normal(16, 3, 8, 8))
    assert not found.departures, str(found)
    ratio = found.column("variance") / found.column("expected_variance")
    assert np.abs(np.log(ratio[:-1])).max() < 0.2
    weights, biases = (float(part.detach().double().square().mean()) for part in (model[0].weight, model[0].bias))
    inside = (22 / 24) ** 2  # 8 places, 3 taps: 22 of 24 are inside along an axis
    size = float(normal(16, 3, 8, 8).double().square().mean())
    assert found["0"].expected_variance == pytest.approx(27 * weights * inside * size + biases, rel=1e-6)


class Odd(nn.Module):
    """Control flow on values, in place, functional weights, a buffer, a residual without weights."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(20, 200)
        self.weight = nn.Parameter(normal(200, 200) / 200**0.5)
        self.register_buffer("places", normal(200) * 0.5)

    def forward(self, x):
        h = self.a(x)
        if h.sum() > -1e9:
            h = F.linear(h, self.weight)
        h += self.places
        h = h.relu_()
        return h - 0.5 * h.tanh()


def test_a_model_that_fx_cannot_follow():
    found = predict(Odd(), normal(64, 20))
    rows = [row for row in found.operations if row.name != "sum"]  # of the condition
    assert [row.name for row in rows] == ["a", "linear", "add_", "sub(relu_(x), mul(tanh(relu_(x)), 0.5))"]
    for row in rows:
        assert row.method == "theory"
        assert row.within, str(found)


def test_attention_and_recurrent_layers_are_measured_and_said_so():
    encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    found = predict(encoder, normal(8, 10, 32))
    assert [row.name for row in found] == ["linear1", "linear2"]
    assert next(row for row in found.operations if row.name == "self_attn").method == "measured"
    assert not found.departures, str(found)
    table = init_(nn.LSTM(8, 16), seed=0)
    assert [row.name for row in table] == ["weight_ih_l0", "weight_hh_l0"]
    cell = nn.LSTM(8, 16)
    init_(cell, seed=0)
    for block in cell.weight_hh_l0.detach().split(16):
        np.testing.assert_allclose(block @ block.T, np.eye(16), atol=1e-6)
    assert cell.bias_ih_l0.detach().tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32


def test_the_model_is_as_it_was():
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2)).eval()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    predict(model, normal(8, 5))
    network(model, normal(8, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(mf.DomainError, match="fails on it"):
        predict(model, normal(8, 4))


def test_pictures():
    import matplotlib as mpl

    mpl.use("Agg")
    found = predict(drawn(blocks(2)), normal(16, 20))
    for quantity in ("variance", "correlation", "gradient"):
        axes = found.plot(quantity=quantity)
        assert len(axes.lines[1].get_ydata()) == len(found.operations)
        axes.figure.canvas.draw()
    with pytest.raises(mf.DomainError, match="quantity"):
        found.plot(quantity="colour")
    with pytest.raises(mf.DomainError, match="no prediction"):
        mf.plot.signal_propagation(3)
    with pytest.raises(mf.DomainError, match="names no layer"):
        found["nowhere"]


def test_measured_layers_have_the_variance_that_is_planned():
    class Attended(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out, self.head = nn.Linear(32, 96), nn.Linear(32, 64), nn.Linear(64, 3)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, -1)
            return self.head(F.relu(self.out(F.scaled_dot_product_attention(q, k, v))))

    model, x = Attended(), normal(16, 12, 32)
    table = init_(model, seed=0, example=x)
    assert (table["qkv"].method, table["out"].method, table["head"].method) == ("theory", "measured", "theory")
    seen = {}
    handle = model.out.register_forward_hook(lambda layer, inputs, output: seen.update(out=float(output.square().mean())))
    with torch.no_grad():
        model(x)
    handle.remove()
    assert seen["out"] == pytest.approx(table["out"].q, rel=1e-4)
    guess = init_(model, seed=0)
    assert guess["out"].method == "guess"
    assert guess["out"].sigma_w < 0.5 * table["out"].sigma_w  # what is averaged over 12 tokens is far smaller than was guessed
    every = init_(model, seed=0, example=x, method="measure")
    assert every.methods == {"measured": 3}
    with pytest.raises(mf.DomainError, match="method = 'other'"):
        init_(model, method="other")


def test_prenorm_branches_are_scaled_by_the_root_of_their_number_and_the_stream_stays_bounded():
    model = blocks(64, 64)
    table = init_(model, seed=0)
    ends = [row for row in table if row.name.endswith("two")]
    np.testing.assert_allclose([row.sigma_w for row in ends], ends[0].sigma_w, rtol=1e-12)
    assert "end of one of 64 residual branches behind a normalisation" in ends[0].note
    found = predict(model, normal(64, 20))
    stream = [row.expected_variance for row in found.operations if row.kind == "sum"]
    assert stream[-1] / stream[0] == pytest.approx(65 / 64 * 2 / (1 + 1 / 64), rel=0.1)
    assert found.column("expected_gradient")[0] < 10.0


def test_what_is_zero_by_design_is_kept():
    model = blocks(3, 32)
    for block in list(model)[1:-1]:
        block.two.weight.data.zero_()
    table = init_(model, seed=0)
    assert [row.name for row in table if row.method == "kept"] == ["1.two", "2.two", "3.two"]
    assert not model[1].two.weight.any()
    assert diagnose(model, normal(16, 20)).healthy


def test_schemes():
    model = blocks(8, 32, norm=False)
    fixup = init_(model, seed=0, scheme="fixup")
    assert not model[1].two.weight.any()
    assert not model[-1].weight.any()
    plain = init_(blocks(8, 32, norm=False), seed=0, scheme="rezero")
    assert fixup["1.one"].sigma_w == pytest.approx(plain["1.one"].sigma_w * 8**-0.5)  # m = 2: L^(−1/2)
    assert (plain["1.two"].sigma_w, plain["1.two"].method) == (0.0, "scheme")
    default = init_(model, seed=0, scheme="default")
    assert default["0"].sigma_w == pytest.approx(1 / math.sqrt(3), rel=0.05)
    again = model[0].weight.detach().clone()
    init_(model, seed=0, scheme="default")
    assert torch.equal(model[0].weight, again)
    for keywords, words in (
        ({"scheme": "tat"}, "plain chains"),
        ({"scheme": "none"}, "scheme = 'none'"),
        ({"scheme": "fixup", "sigma_w": 1.0}, "not both"),
    ):
        with pytest.raises(mf.DomainError, match=words):
            init_(model, **keywords)
    with pytest.raises(mf.DomainError, match="no residual sum"):
        init_(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)), scheme="fixup")


@pytest.mark.parametrize("scheme", ["dks", "tat"])
@pytest.mark.parametrize("act", [nn.GELU, nn.LeakyReLU])
def test_a_plain_model_is_shaped_for_its_depth(scheme, act):
    """50 layers of width 300: variances within the band of `predict`, and correlations along C(c) of the shaped activation."""
    parts = [part for _ in range(50) for part in (act(), nn.Linear(300, 300))]
    model = nn.Sequential(nn.Linear(20, 300), *parts, act(), nn.Linear(300, 10))
    done = init_(model, scheme=scheme, seed=0)
    assert done.scheme == scheme
    assert done.depth == 52
    assert f"became {scheme}(" in done.notes[0]
    np.testing.assert_allclose(done.q, 1.0, rtol=2e-6)
    np.testing.assert_allclose(done.sigma_w, 1.0, rtol=2e-6)
    assert not any(isinstance(part, act) for part in model)
    x = normal(64, 20)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    found = predict(model, x)
    assert not found.departures, str(found)
    assert diagnose(model, x, sigma_w=1.0, sigma_b=0.0).healthy
    shaped = mf.shape_activation("gelu" if act is nn.GELU else "leaky_relu", 52, scheme)
    assert torch.allclose(model[1](x.double()), torch.from_numpy(shaped(x.double().numpy())), atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that it will take scripts away, and that a GraphModule is annotated
        assert torch.jit.script(model[1])(x).shape == x.shape


def test_a_shaped_model_can_be_shaped_again():
    model = nn.Sequential(nn.Linear(5, 50), nn.GELU(), nn.Linear(50, 50), nn.GELU(), nn.Linear(50, 3))
    first = init_(model, scheme="dks", seed=0)
    before = model[1](torch.ones(1))
    assert init_(model, scheme="dks", seed=0).notes == first.notes
    assert torch.equal(model[1](torch.ones(1)), before)
    assert "depth=100" in init_(model, scheme="tat", depth=100).notes[0]


def test_weights_that_are_no_numbers_are_named():
    model = nn.Sequential(nn.Linear(5, 50), nn.GELU(), nn.Linear(50, 3))
    model[2].weight.data[0, 0] = math.nan
    with pytest.raises(mf.DomainError, match="the weights of '2' are not finite"):
        predict(model, normal(8, 5))


def test_what_cannot_be_shaped_is_said():
    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 50), nn.Linear(50, 5)

        def forward(self, x):
            return self.two(F.gelu(self.one(x)))

    with pytest.raises(mf.DomainError, match="gelu is called in forward"):
        init_(Called(), scheme="dks")
    with pytest.raises(mf.DomainError, match="not both"):
        init_(nn.Sequential(nn.Linear(5, 50), nn.GELU(), nn.Linear(50, 5)), scheme="dks", sigma_w=1.0)


def plant_scale(model):
    model[3].one.weight.data.mul_(3.0)
    return "3.one", "wrong scale"


def plant_zero(model):
    model[3].one.weight.data.zero_()
    return "3.one", "dead units"


def plant_equal(model):
    model[3].one.weight.data[:] = model[3].one.weight.data[:1]
    return "3.one", "identical units"


def plant_gamma(model):
    model[3].norm.weight.data.mul_(20.0)
    return "", "wrong scale"


def plant_beta(model):
    model[3].norm.bias.data.sub_(30.0)
    return "", "wrong scale"


@pytest.mark.parametrize("plant", [plant_scale, plant_zero, plant_equal, plant_gamma, plant_beta])
def test_faults_inside_a_normalised_residual_network_are_found(plant):
    model = blocks(6, 64)
    init_(model, seed=0)
    x = normal(32, 20)
    assert diagnose(model, x).healthy, diagnose(model, x).verdict
    where, kind = plant(model)
    found = diagnose(model, x)
    assert (where, kind) in [(name, finding.kind) for name, finding in found.faults], found.verdict
    assert {name for name, _ in found.faults} == {where}
    if where == "":
        assert "3.norm" in found.verdict
    assert "remedy: " in " ".join(str(found).split())
    init_(model, seed=1)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    assert diagnose(model, x).healthy  # as the remedies say


def test_what_is_off_the_edge_shows_the_edge_as_expected():
    model = nn.Sequential(*(part for _ in range(8) for part in (nn.Linear(60, 60), nn.ReLU())), nn.Linear(60, 3))
    torch.manual_seed(0)
    for part in model:
        if isinstance(part, nn.Linear):
            part.reset_parameters()
    found = diagnose(model, normal(32, 60))
    row = found["6"]
    assert row.findings[0].kind == "wrong scale"
    assert row.expected_sigma_w == pytest.approx(math.sqrt(2.0), rel=1e-3)
    assert row.sigma_w == pytest.approx(1 / math.sqrt(3), rel=0.05)


def test_training_is_watched(tmp_path):
    class Writer:
        def __init__(self):
            self.tags = []

        def add_scalar(self, tag, value, step):
            self.tags.append((tag, step))

    model, writer = blocks(2, 16), Writer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with monitor(model, every=5, path=tmp_path / "log.csv", writer=writer) as watched:
        for step in range(11):
            optimizer.zero_grad()
            loss = model(normal(8, 20, seed=step)).square().mean()
            loss.backward()
            optimizer.step()
            model.eval()
            model(normal(8, 20))  # is no step
            model.train()
    steps, values = watched.column("gradient", "1.two")
    assert steps.tolist() == [0, 5, 10]
    assert (values > 0.0).all()
    assert math.isnan(watched.column("update", "0")[1][0])
    assert (watched.column("update", "0")[1][1:] > 0.0).all()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 6 == len(watched.rows)
    assert float(rows[0]["variance"]) == watched.rows[0]["variance"]
    assert ("variance/0", 10) in writer.tags
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for quantity in ("variance", "mean", "correlation", "gradient", "weight", "update"):
        axes = watched.plot(quantity=quantity)
        assert len(axes.lines) == 6
        axes.figure.canvas.draw()  # labels are read only then
    for keywords, words in (({"every": 0}, "every = 0"), ({"writer": 3}, "add_scalar")):
        with pytest.raises(mf.DomainError, match=words):
            monitor(model, **keywords)
    with pytest.raises(mf.DomainError, match="no Linear"):
        monitor(nn.ReLU())
    with pytest.raises(mf.DomainError, match="nothing was recorded"):
        monitor(model).plot()
