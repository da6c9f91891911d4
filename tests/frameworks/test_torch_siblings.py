"""Diagnosis by siblings, of zeros by design, of small ends; faults planted in models of several kinds."""

from __future__ import annotations

import importlib.util
import itertools
import math

import pytest

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
nn, F = torch.nn, torch.nn.functional

from meanfield.frameworks.torch import diagnose, init_  # noqa: E402
from meanfield.frameworks.torch.siblings import odd_weights, outliers  # noqa: E402
from tests.frameworks.planted_faults import FAULTS, named  # noqa: E402
from tests.frameworks.public_models import own  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_one_that_is_unlike_the_others_is_found():
    sizes = {f"blocks.{i}.fc1": 1.0 for i in range(8)} | {f"blocks.{i}.fc2": 2.0 for i in range(8)}
    assert not outliers(sizes, {})
    assert outliers(sizes | {"blocks.3.fc1": 3.0}, {}) == {"blocks.3.fc1": (3.0, 1.0)}
    assert outliers(sizes | {"blocks.3.fc1": 0.0}, {}) == {"blocks.3.fc1": (0.0, 1.0)}
    assert not outliers(sizes | {"blocks.3.fc1": 1.55}, {})
    # fc1 and fc2 of a block are no siblings: 2 is as they are there.
    assert outliers(sizes | {"blocks.3.fc1": 2.0}, {}) == {"blocks.3.fc1": (2.0, 1.0)}
    # Two alike are a design.
    assert not outliers(sizes | {"blocks.0.fc1": 3.0, "blocks.1.fc1": 3.1}, {})
    assert set(outliers(sizes | {"blocks.0.fc1": 3.0, "blocks.1.fc1": 6.0}, {})) == {"blocks.0.fc1", "blocks.1.fc1"}
    # Few numbers spread: of 8, 5 standard deviations are a factor of e^(5/4).
    assert not outliers(sizes | {"blocks.3.fc1": 3.0}, {}, dict.fromkeys(sizes, 8))
    assert outliers(sizes | {"blocks.3.fc1": 3.0}, {}, dict.fromkeys(sizes, 800))
    # Three are too few to tell.
    assert not outliers({"a.0.x": 1.0, "a.1.x": 1.0, "a.2.x": 9.0}, {})


class Pyramid(nn.Module):
    """Narrow and ever wider layers by turns: what is alike by one convention is so by no other."""

    def __init__(self, law):
        super().__init__()
        widths = [32, 64, 32, 128, 32, 256, 32, 512, 32]
        self.stages = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        for layer in self.stages:
            layer.weight.data = normal(*layer.weight.shape, seed=layer.in_features) * law(layer.in_features, layer.out_features)


LAWS = {
    "fan-in": lambda a, b: math.sqrt(2 / a),
    "constant": lambda a, b: 0.02,
    "fan-out": lambda a, b: math.sqrt(2 / b),
    "mean of both": lambda a, b: math.sqrt(2 / (a + b)),
}


@pytest.mark.parametrize("law", LAWS)
def test_weights_as_drawn_by_any_convention_fit_their_siblings(law):
    model = Pyramid(LAWS[law])
    assert not odd_weights(model, set())
    model.stages[4].weight.data *= 4.0
    found = odd_weights(model, set())
    assert set(found) == {"stages.4"}
    size, usual = found["stages.4"]
    assert size / usual == pytest.approx(4.0, rel=0.15)  # siblings lie within 15 % of each other
    assert not odd_weights(model, {"stages.4"})
    model.stages[4].weight.data *= 0.8  # a factor of 3.2
    assert not odd_weights(model, set(), {"stages.4"})
    assert odd_weights(model, set())


def test_weights_of_attentions_and_embeddings_have_siblings_too():
    model, tokens = own(0)["GPT"]
    assert diagnose(model, tokens).healthy, diagnose(model, tokens).verdict
    model.blocks[2].self_attn.in_proj_weight.data *= 5.0
    found = diagnose(model, tokens)
    assert [name for name, _ in found.faults] == [""]
    assert "blocks.2.self_attn.in_proj_weight: σ_w" in found.verdict


class Zeroed(nn.Module):
    """Two branches that are added, one of which ends in 0; and a head that a gradient reaches past it."""

    def __init__(self, width=64, blocks=4):
        super().__init__()
        self.stem, self.head = nn.Linear(20, width), nn.Linear(width, 5)
        self.ones, self.twos, self.sides = (nn.ModuleList(nn.Linear(width, width) for _ in range(blocks)) for _ in range(3))
        for two in self.twos:
            nn.init.zeros_(two.weight)
            nn.init.zeros_(two.bias)

    def forward(self, x):
        x = self.stem(x)
        for one, two, side in zip(self.ones, self.twos, self.sides, strict=True):
            x = two(torch.tanh(one(x))) + side(torch.tanh(x))
        return self.head(torch.tanh(x))


def test_a_branch_beside_another_may_start_at_zero():
    model = Zeroed()
    init_(model, seed=0)
    assert not any(bool(two.weight.any()) for two in model.twos)
    found = diagnose(model, normal(32, 20))
    assert not any("no gradient" in fault.reason or "all its weights are 0" in fault.reason for _, fault in found.faults), found.verdict
    for side in model.sides:
        nn.init.zeros_(side.weight)
        nn.init.zeros_(side.bias)
    assert not diagnose(model, normal(32, 20)).healthy  # now nothing goes on


@pytest.mark.parametrize(("factor", "healthy"), [(0.003, True), (1.0, True), (100.0, False)])
def test_a_small_head_is_no_fault(factor, healthy):
    model = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 6))
    init_(model, seed=0)
    model[4].weight.data *= factor
    found = diagnose(model, normal(64, 20))
    assert [name for name, _ in found.faults if name] == ([] if healthy else ["4"]), found.verdict


def test_biases_of_the_first_layer():
    model = nn.Sequential(
        nn.Linear(2, 128), nn.Tanh(), *(part for _ in range(3) for part in (nn.Linear(128, 128), nn.Tanh())), nn.Linear(128, 1)
    )
    init_(model, seed=0)
    for wanted, size, shift in ((True, 0.8, 0.0), (True, 0.0, 0.0), (False, 0.0, 3.0)):
        model[0].bias.data = size * normal(128, seed=5) + shift
        found = diagnose(model, normal(64, 2))
        assert found.healthy == wanted, found.verdict


class Behind(nn.Module):
    """An activation of a sum of normalised branches, as MobileOne has it."""

    def __init__(self, width=64):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.one, self.two = (nn.Conv2d(width, width, 1, groups=width, bias=False) for _ in range(2))
        self.a, self.b = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.head = nn.Conv2d(width, 10, 1)
        nn.init.constant_(self.one.weight, -1.0)  # all values negative: in front of the normalisation that says nothing

    def forward(self, x):
        x = F.relu(self.stem(x))
        return self.head(F.relu(self.a(self.one(x)) + self.b(self.two(x))))


def test_units_are_dead_by_what_the_activation_sees():
    torch.manual_seed(0)
    found = diagnose(Behind(), normal(16, 3, 8, 8))
    assert "dead units" not in found.kinds, found.verdict
    # Inputs of very different norms: a mixture, not a Gaussian.
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 10))
    init_(model, seed=0)
    x = normal(256, 64) * torch.where(torch.arange(256) < 205, 0.05, 2.2)[:, None]
    mixed = diagnose(model, x)["0"]
    assert mixed.flat_fraction == pytest.approx(mixed.expected_flat_fraction, abs=0.05)
    assert mixed.expected_flat_fraction < 0.12  # a Gaussian of that variance has more


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.library == "own"], ids=lambda fault: f"{fault.model} {fault.part}")
def test_planted_faults_are_found_and_named(fault):
    found, others = named(fault)
    assert found
    assert not others


@pytest.mark.parametrize("name", list(own(0)))
def test_models_as_they_are_published_raise_no_alarm(name):
    torch.manual_seed(0)
    model, x = own(0)[name]
    found = diagnose(model, x)
    assert found.healthy, found.verdict
    init_(model, example=x, seed=0)
    assert diagnose(model, x).healthy, diagnose(model, x).verdict


PUBLIC = ("resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x1_0")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_architectures(name):
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from tests.frameworks.real_models import outside, started

    model, x = started("torchvision", name, 64, 0)
    for again in (False, True):
        if again:
            init_(model, example=x, seed=0)
        assert diagnose(model, x).healthy, diagnose(model, x).verdict
        assert outside(model, x, 0)[:2] == (0, 0)
