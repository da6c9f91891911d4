"""diagnose finds planted faults, names the layer, stays silent on healthy models, and leaves a model as it was."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import meanfield as mf

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
nn, F = torch.nn, torch.nn.functional

from meanfield.frameworks.torch import diagnose, init_  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mlp(activation, depth=12, width=120, inputs=64, outputs=10):
    sizes = [inputs, *[width] * (depth - 1)]
    return nn.Sequential(*[part for n in sizes[:-1] for part in (nn.Linear(n, width), activation())], nn.Linear(width, outputs))


def cnn(activation, depth=8, channels=40, mode="circular"):
    sizes = [1, *[channels] * (depth - 1)]
    parts = [part for n in sizes[:-1] for part in (nn.Conv2d(n, channels, 3, padding=1, padding_mode=mode), activation())]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * 64, 10))


def images(count=12, side=8, seed=0):
    """scikit-learn's digits where it is installed, else blobs; each image of mean square 1."""
    try:
        from sklearn.datasets import load_digits

        raw = load_digits().images[:count]
    except ImportError:
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:side, :side]
        centres, sizes = rng.uniform(1, side - 2, (count, 2)), rng.uniform(1.0, 2.0, count)
        raw = np.exp(-((rows - centres[:, :1, None]) ** 2 + (columns - centres[:, 1:, None]) ** 2) / (2 * sizes[:, None, None] ** 2))
    x = torch.from_numpy(np.asarray(raw, dtype=np.float32))[:, None]
    return x / x.square().mean((1, 2, 3), keepdim=True).sqrt()


@pytest.fixture(scope="module")
def healthy():
    models = {}
    for name, activation in (("tanh", nn.Tanh), ("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)):
        models[name] = mlp(activation)
        init_(models[name], seed=5)
    return models


X = images().flatten(1)


def wrong_gain(model):
    model[8].weight.data.mul_(1.3)


def doubled_in_one_layer(model):
    model[8].weight.data.mul_(2.0)


def doubled_everywhere(model):
    for part in model:
        if isinstance(part, nn.Linear):
            part.weight.data.mul_(2.0)


def missing_activation(model):
    model[9] = nn.Identity()


def dead_by_bias(model):
    model[8].bias.data.sub_(8.0)


def mostly_dead_by_bias(model):
    model[8].bias.data[:80] -= 8.0


def saturating_by_bias(model):
    model[8].bias.data.add_(60.0)


def saturating_by_weights(model):
    model[8].weight.data.mul_(20.0)


def saturating_sigmoid_among_tanh(model):
    model[9] = nn.Sigmoid()
    model[8].weight.data.mul_(10.0)


def normalised(model):
    model[9] = nn.Sequential(nn.BatchNorm1d(120), model[9])


def layer_normalised_behind(model):
    model[9] = nn.Sequential(model[9], nn.LayerNorm(120))


@pytest.mark.parametrize(
    ("name", "plant", "kind", "only"),
    [
        ("tanh", wrong_gain, "wrong scale", True),
        ("relu", wrong_gain, "wrong scale", True),
        ("tanh", doubled_in_one_layer, "wrong scale", True),
        ("sigmoid", doubled_in_one_layer, "wrong scale", True),
        ("tanh", doubled_everywhere, "wrong scale", False),
        ("relu", doubled_everywhere, "wrong scale", False),
        ("tanh", missing_activation, "missing activation", True),
        ("relu", missing_activation, "missing activation", True),
        ("relu", dead_by_bias, "dead units", True),
        ("relu", mostly_dead_by_bias, "dead units", True),
        ("sigmoid", saturating_by_bias, "saturated", True),
        ("sigmoid", saturating_by_weights, "saturated", True),
        ("tanh", saturating_sigmoid_among_tanh, "saturated", True),
    ],
)
def test_a_planted_fault_is_found_where_it_is(healthy, name, plant, kind, only):
    model = copy.deepcopy(healthy[name])
    assert diagnose(model, X).healthy
    plant(model)
    found = diagnose(model, X)
    assert not found.healthy
    assert kind in {finding.kind for finding in found["8"].findings}
    if only:
        assert [layer.name for layer in found.departures] == ["8"]
        assert f"8: {kind}" in " ".join(str(found).split())
    else:
        assert len(found.departures) == 12
    assert kind in found.kinds


@pytest.mark.parametrize(("name", "plant"), [("tanh", normalised), ("relu", layer_normalised_behind)])
def test_a_normalisation_is_noted_and_no_fault(healthy, name, plant):
    model = copy.deepcopy(healthy[name])
    plant(model)
    found = diagnose(model, X)
    assert found.healthy
    assert [(layer.name, layer.findings[0].kind, layer.findings[0].severity) for layer in found.departures] == [
        ("8", "normalisation", "note")
    ]
    assert "note: 8: " in " ".join(str(found).split())


def test_default_initialisation_of_torch_vanishes():
    torch.manual_seed(0)
    found = diagnose(mlp(nn.Tanh, depth=30), X)
    assert {"vanishing", "wrong scale"} <= found.kinds
    assert "edge of chaos of tanh" in found.verdict


def test_exploding():
    model = mlp(nn.ReLU, depth=30, width=60)
    init_(model, sigma_w=3.0, seed=0)
    found = diagnose(model, X)
    assert "exploding" in found.kinds
    assert diagnose(model, X, sigma_w=3.0).kinds == {"exploding"}  # as it was meant, and still


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.SiLU, nn.Mish, nn.Sigmoid])
def test_healthy_models_pass(activation):
    """5 activations × 4 models: with other seeds all together raise a false alarm in at most 2 runs of 100."""
    for seed, (model, x) in enumerate(
        [
            (mlp(activation, depth=50, width=100), X),
            (mlp(activation, depth=4, width=40), X),
            (cnn(activation), images()),
            (cnn(activation, mode="zeros"), images()),
        ]
    ):
        init_(model, seed=seed)
        found = diagnose(model, x)
        assert found.healthy, found.verdict
        assert "Nothing departs" in " ".join(str(found).split())
        assert np.abs(found.column("variance_z")).max() < found.threshold


def test_given_sigmas_are_what_is_expected():
    model = mlp(nn.Tanh)
    init_(model, sigma_w=1.8, sigma_b=0.3, seed=0)
    assert "wrong scale" in diagnose(model, X).kinds
    assert diagnose(model, X, sigma_w=1.8, sigma_b=0.3).healthy
    assert "wrong scale" in diagnose(model, X, sigma_w=1.2, sigma_b=0.3).kinds


def test_a_model_on_the_edge_passes_whoever_put_it_there():
    model = mlp(nn.Tanh, depth=20)
    init_(model, sigma_w=1.15, sigma_b=0.1, seed=0)  # ends not scaled
    assert diagnose(model, X).healthy
    relu = mlp(nn.ReLU, depth=20)
    for part in relu:
        if isinstance(part, nn.Linear):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="relu", generator=torch.Generator().manual_seed(0))
            nn.init.zeros_(part.bias)
    assert diagnose(relu, X).healthy


def test_measurements_are_what_a_forward_and_backward_pass_give():
    """Against plain NumPy: two layers, a ReLU that works in place."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)).double()
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = diagnose(model, x, seed=3)
    w1, b1, w2, b2 = (p.detach().numpy() for p in model.parameters())
    h1 = x.numpy() @ w1.T + b1
    a = np.maximum(h1, 0)
    h2 = a @ w2.T + b2
    delta2 = torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64).numpy()
    delta1 = (delta2 @ w2) * (h1 > 0)
    assert found["0"].variance == pytest.approx(np.mean(h1**2), rel=1e-12)
    assert found["2"].variance == pytest.approx(np.mean(h2**2), rel=1e-12)
    assert found["0"].gradient == pytest.approx(np.sum(delta1**2) / np.sum(delta2**2), rel=1e-12)
    pairs = [np.dot(h2[i], h2[i - 1]) / math.sqrt(np.dot(h2[i], h2[i]) * np.dot(h2[i - 1], h2[i - 1])) for i in range(4)]
    assert found["2"].correlation == pytest.approx(np.mean(pairs), rel=1e-12)
    assert found["2"].sigma_w == pytest.approx(math.sqrt(np.mean(w2**2) * 5), rel=1e-12)
    last = found["2"]
    assert last.expected_variance == pytest.approx(last.expected_sigma_b**2 + last.expected_sigma_w**2 * np.mean(a**2), rel=1e-12)
    first = found["0"]
    assert first.expected_gradient == pytest.approx(last.expected_sigma_w**2 * 0.5, rel=1e-12)  # V[relu'] = ½


def test_expected_variance_of_convolutions_counts_their_borders():
    """E[h²] over 800 draws of the weights, by z (|z| < 5: 6e-7)."""
    for layer, shape in (
        (nn.Conv2d(4, 6, 3, padding=2, stride=2, groups=2), (3, 4, 5, 5)),
        (nn.ConvTranspose1d(4, 6, 5, stride=2, groups=2), (3, 4, 5)),
    ):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        generator = torch.Generator().manual_seed(2)
        draws = []
        for _ in range(800):
            init_(layer, "tanh", sigma_w=1.3, sigma_b=0.4, generator=generator)
            draws.append(layer(x).detach().square().mean().item())
        expected = diagnose(layer, x, "tanh", sigma_w=1.3, sigma_b=0.4)[0].expected_variance
        assert abs(np.mean(draws) - expected) < 5 * np.std(draws) / math.sqrt(len(draws))


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(
        nn.Linear(64, 30), nn.BatchNorm1d(30), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 3)
    )
    model[1].eval()
    model[3].eval()
    model[0].weight.requires_grad_(False)
    model(X).sum().backward()
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    x = X.clone()
    first = diagnose(model, x)
    for p, grad in zip(model.parameters(), grads, strict=True):
        assert (p.grad is None) if grad is None else torch.equal(p.grad, grad)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks
    assert torch.equal(x, X)
    assert not x.requires_grad
    assert str(diagnose(model, x)) == str(first)  # dropout is off
    with torch.no_grad():
        assert str(diagnose(model, x)) == str(first)
    with pytest.raises(mf.DomainError, match="fails on it"):
        diagnose(model, X[:, :5])
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks
    assert [module.training for module in model.modules()] == modes


def test_a_model_that_cannot_be_traced():
    class Branching(nn.Module):
        def __init__(self, skip=-1):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))
            self.skip = skip

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                x = layer(x) if x.sum() > -1e9 else x
                x = x if i == self.skip else torch.tanh(x)
            return x

    model = Branching()
    init_(model, "tanh", seed=0)
    found = diagnose(model, X, "tanh")
    assert found.healthy, found.verdict
    assert any("traced" in note for note in found.notes)
    model.skip = 4
    assert [layer.name for layer in diagnose(model, X, "tanh").departures] == ["layers.4"]
    # Recorded on the batch, whatever its control flow is.
    model.skip = -1
    init_(model, seed=0, example=X)
    found = diagnose(model, X)
    assert found.healthy, found.verdict
    assert [layer.activation for layer in found] == ["tanh"] * 8
    model.skip = 4
    assert [(layer.name, layer.findings[0].kind) for layer in diagnose(model, X).departures] == [("layers.4", "missing activation")]


def test_residual_models_are_read():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Linear(64, 80), nn.Linear(80, 3)
            self.inner = nn.ModuleList(nn.Linear(80, 80) for _ in range(6))

        def forward(self, x):
            x = self.stem(x)
            for layer in self.inner:
                x = x + layer(F.gelu(x))
            return self.head(F.gelu(x))

    model = Residual()
    table = init_(model, seed=0)
    assert [row.activation for row in table] == ["gelu"] * 7 + [""]
    found = diagnose(model, X)
    assert np.isnan(found["stem"].expected_gradient)  # no plain chain
    assert "wrong scale" not in found.kinds


def test_picture(healthy):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    model = copy.deepcopy(healthy["tanh"])
    wrong_gain(model)
    found = diagnose(model, X)
    for quantity in ("variance", "correlation", "gradient"):
        ax = Figure().add_subplot()
        assert found.plot(ax, quantity) is ax
        measured = next(line for line in ax.get_lines() if line.get_label() == "measured")
        np.testing.assert_array_equal(measured.get_ydata(), found.column(quantity))
        assert any("8: wrong scale" in text.get_text() for text in ax.texts)
        ax.figure.canvas.draw()
    assert mf.plot.diagnosis(found, legend=False).get_legend() is None
    plt.close("all")
    with pytest.raises(mf.DomainError, match="quantity"):
        found.plot(Figure().add_subplot(), "depth")
    with pytest.raises(mf.DomainError, match="no diagnosis"):
        mf.plot.diagnosis(3, ax=Figure().add_subplot())


def test_bad_input(healthy):
    model = healthy["tanh"]
    broken = copy.deepcopy(model)
    broken[4].weight.data[0, 0] = float("inf")
    for call, words in (
        (lambda: diagnose(model, 3), "x must be a torch.Tensor"),
        (lambda: diagnose(model, X[:0]), "at least one input"),
        (lambda: diagnose(model, X * float("nan")), "not finite"),
        (lambda: diagnose(model, X, false_alarm=1.5), "false_alarm = 1.5"),
        (lambda: diagnose(model, X, seed=-1), "seed = -1"),
        (lambda: diagnose(model, X, sigma_w=-1), "sigma_w = -1"),
        (lambda: diagnose(3, X), "torch.nn.Module"),
        (lambda: diagnose(model, X)["nowhere"], "'nowhere' names no layer"),
        (lambda: diagnose(model, X).column("name"), "field = 'name'"),
        (lambda: diagnose(broken, X), "not finite"),
    ):
        with pytest.raises(mf.MeanFieldError, match=words):
            call()
    alone = diagnose(model, X[:1])
    assert np.isnan(alone.column("correlation")).all()
    assert alone.healthy


@pytest.mark.parametrize(("make", "x", "width"), [(mlp, X, 300), (cnn, images(2), 48)], ids=["mlp", "cnn"])
@pytest.mark.parametrize(("activation", "name"), [(nn.Tanh, "tanh"), (nn.ReLU, "relu"), (nn.Mish, "mish")])
def test_variances_lie_in_the_finite_width_band(make, x, width, activation, name):
    """After init_ each layer's mean h² is that of theory within the spread of one input at that width: |z| < 5, at most 6e-7 a layer.

    A batch, and the places of an image, average over less than independent copies: the spread of one is an upper bound.
    """
    depth = 16 if make is mlp else 8
    model = make(activation, depth, width)
    table = init_(model, seed=2)
    found = diagnose(model, x)
    row = table[1]
    band = mf.finite_width(name, row.sigma_w, row.sigma_b, depth - 2, q=row.q, c=0.0).at(width)
    measured = found.column("variance")[:-1]
    mean, spread = band.mean["q1"], band.standard_deviation["q1"]
    assert np.all(np.abs(np.log(measured / mean)) < 5 * spread / mean)
    np.testing.assert_allclose(table.q[:-1], row.q, rtol=1e-9)


def residual(branch, blocks=6):
    """x + branch(block's layers, x) between a stem and a head."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Linear(64, 80), nn.Linear(80, 5)
            self.first = nn.ModuleList(nn.Linear(80, 80) for _ in range(blocks))
            self.last = nn.ModuleList(nn.Linear(80, 80) for _ in range(blocks))
            self.norm = nn.ModuleList(nn.LayerNorm(80) for _ in range(blocks))
            self.gate = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(blocks))

        def forward(self, x):
            x = self.stem(x)
            for layers in zip(self.first, self.last, self.norm, self.gate, strict=True):
                x = x + branch(x, *layers)
            return self.head(x)

    return Model()


def test_zeros_by_design_are_named_and_no_fault():
    head = mlp(nn.ReLU)
    init_(head, seed=0)
    nn.init.zeros_(head[-1].weight)
    nn.init.zeros_(head[-1].bias)
    found = diagnose(head, X)
    assert found.healthy, found.verdict
    assert "11 of 12 layers that were judged" in found.verdict
    assert any("output layer '22' starts at 0" in note for note in found.notes)
    branches = residual(lambda x, a, b, n, g: b(torch.relu(a(x))))
    init_(branches, seed=0)
    for layer in branches.last:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    found = diagnose(branches, X)
    assert found.healthy, found.verdict
    assert "6 residual branches start at 0" in " ".join(str(found).split())
    assert dict(found.unjudged) == {f"last.{i}": "the end of a residual branch whose weights are all 0, by design" for i in range(6)}
    gated = residual(lambda x, a, b, n, g: g * b(torch.relu(a(x))))
    init_(gated, seed=0)
    found = diagnose(gated, X)
    assert found.healthy, found.verdict
    assert "6 residual branches start at 0" in " ".join(str(found).split())
    # Zeros elsewhere are a fault as before.
    nn.init.zeros_(head[8].weight)
    nn.init.ones_(head[-1].weight)
    assert "vanishing" in diagnose(head, X).kinds


def test_what_was_not_judged_is_said():
    model = residual(lambda x, a, b, n, g: b(torch.sigmoid(a(n(x))) * n(x)))
    found = diagnose(model, X)
    assert "wrong scale" not in {finding.kind for layer in found.layers[1:-1] for finding in layer.findings}
    plain = residual(lambda x, a, b, n, g: b(torch.relu(a(n(x)))))
    assert "residual branch with a normalisation" in dict(diagnose(plain, X).unjudged)["last.2"]
    why = dict(found.unjudged)
    assert set(why) >= {f"{part}.{i}" for part in ("first", "last") for i in range(6)}
    assert why["last.2"] == "followed by mul, which may be an activation or not"
    assert f"{14 - len(why)} of 14 layers" in found.verdict
    attention = nn.Sequential(nn.Linear(64, 64), nn.Softmax(-1), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    init_(attention, {"0": "linear"}, seed=0)
    found = diagnose(attention, X)
    assert "may be an activation or not" in dict(found.unjudged)["0"]
    assert {"2"}.isdisjoint(dict(found.unjudged))


def test_dropout_is_on_as_in_training():
    def model():
        return nn.Sequential(
            *[part for n in [64] + [150] * 34 for part in (nn.Linear(n, 150), nn.ReLU(), nn.Dropout(0.5))], nn.Linear(150, 5)
        )

    healthy = model()
    init_(healthy, seed=0)
    found = diagnose(healthy, X)
    assert found.healthy, found.verdict
    assert found["0"].expected_gradient == pytest.approx(found["105"].expected_sigma_w ** 2, rel=0.1)  # σ_w² ½ · 2, times 1 for the others
    he = model().eval()
    for part in he:
        if isinstance(part, nn.Linear):
            nn.init.kaiming_normal_(part.weight, generator=torch.Generator().manual_seed(0))
            nn.init.zeros_(part.bias)
    found = diagnose(he, X)
    assert {"exploding", "wrong scale"} <= found.kinds
    assert "with the dropout before it" in found.verdict
    assert not he[2].training


class Mobile(nn.Module):
    """An EfficientNet in small: inverted bottlenecks with batch normalisation, squeeze and excitation."""

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride=1):
            super().__init__()
            wide = 4 * inputs
            self.expand = nn.Sequential(nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
            self.deep = nn.Sequential(nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
            self.squeeze, self.excite = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
            self.project = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            self.skip = stride == 1 and inputs == outputs

        def forward(self, x):
            h = self.deep(self.expand(x))
            h = self.project(h * torch.sigmoid(self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(h, 1))))))
            return x + h if self.skip else h

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.blocks = nn.Sequential(self.Block(8, 8), self.Block(8, 12, 2), self.Block(12, 12))
        self.top = nn.Sequential(nn.Conv2d(12, 32, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 10))

    def forward(self, x):
        return self.head(self.top(self.blocks(self.stem(x))))


class Attending(nn.Module):
    """Layer normalisation, attention and an MLP, each in a residual branch."""

    def __init__(self, width=24):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * width, width))

    def attend(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(torch.softmax(q @ k.transpose(-2, -1) / 5, -1) @ v)

    def forward(self, x):
        x = x + self.attend(self.first(x))
        return x + self.mlp(self.second(x))


class Windowed(Attending):
    """Attention within windows of four, shifted by one."""

    def attend(self, x):
        x = torch.roll(x, 1, 1)
        return torch.roll(super().attend(x.reshape(-1, 4, 24)).reshape(x.shape), -1, 1)


class Vision(nn.Module):
    """A DeiT, or with windows a Swin, in small."""

    def __init__(self, block):
        super().__init__()
        self.patch, self.norm, self.head = nn.Conv2d(3, 24, 4, 4), nn.LayerNorm(24), nn.Linear(24, 10)
        self.blocks = nn.Sequential(*[block() for _ in range(3)])
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)

    def forward(self, x):
        x = self.blocks(self.patch(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(1))


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (
            Mobile,
            {"in a gate: mul": 2, "BatchNorm2d behind it": 11, "residual branch with a normalisation": 4, "behind AdaptiveAvgPool2d": 1},
        ),
        (lambda: Vision(Attending), {"followed by matmul": 3, "residual branch with a normalisation": 9, "behind mean": 1}),
        (lambda: Vision(Windowed), {"followed by matmul": 3, "residual branch with a normalisation": 9, "behind mean": 1}),
    ],
    ids=["EfficientNet", "DeiT", "Swin"],
)
def test_models_of_normalised_and_gated_layers_say_what_was_judged(make, reasons):
    torch.manual_seed(0)
    model = make()
    found = diagnose(model, torch.randn(8, 3, 16, 16))
    why = dict(found.unjudged)
    assert {words: sum(words in text for text in why.values()) for words in reasons} == reasons
    layers = [name for name, part in model.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d))]
    assert "Nothing departs" not in found.verdict
    judged = len(layers) - len(why)
    assert f"{judged} of {len(layers)} layers were judged" in found.verdict or f"None of {len(layers)} layers could be" in found.verdict
    assert not any(found[name].findings for name in why if "normalisation" not in {item.kind for item in found[name].findings})


def test_lazy_layers_and_failing_gradients_are_errors():
    lazy = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.Linear(4, 2))
    for call in (lambda: diagnose(lazy, X), lambda: init_(lazy)):
        with pytest.raises(mf.DomainError, match="'0' is lazy"):
            call()
    assert torch.nn.parameter.is_lazy(lazy[0].weight)  # the batch did not give it a shape
    init_(lazy, example=X)  # an example is there to do that
    assert not torch.nn.parameter.is_lazy(lazy[0].weight)

    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 2)

        def forward(self, x):
            h = torch.relu(self.a(x))
            h += x
            return self.b(h)

    with pytest.raises(mf.DomainError, match="backward pass fails on it, with RuntimeError"):
        diagnose(InPlace(), X)
