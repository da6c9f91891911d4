"""The training scripts run from end to end in their small size, and what they are built of does what it says."""

from __future__ import annotations

import csv
import importlib
import math
import os
import re
import subprocess
import sys
import time
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training scripts need PyTorch: pip install '.[torch]'")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
RESULTS = EXAMPLES / "results"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _scripts_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def _flags_put_back():
    """The scripts set one thread, and have vanishing numbers flushed to 0, for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


def check_files(name: str, tables: tuple[str, ...], folder: Path) -> None:
    """Nothing but the figure and these tables, each with the columns of the kept one."""
    assert {path.name for path in folder.iterdir()} == {f"train_{name}_smoke.png", *(f"train_{name}{part}_smoke.csv" for part in tables)}
    assert (folder / f"train_{name}_smoke.png").read_bytes().startswith(b"\x89PNG")
    for part in tables:
        rows = table(folder / f"train_{name}{part}_smoke.csv")
        assert rows
        kept = [path for path in (RESULTS / f"train_{name}{part}{size}.csv" for size in ("", "_full")) if path.exists()]
        assert len(kept) == 1
        assert list(rows[0]) == list(table(kept[0])[0])


TABLES = {
    "depth": ("", "_claims"),
    "sizes": ("", "_claims"),
    "phase": ("",),
    "shaped": ("", "_claims"),
    "initialisations": ("", "_comparisons"),
    "glorot": ("", "_layers", "_errors", "_claims"),
}


@pytest.mark.parametrize("name", ["depth", "sizes", "phase", "shaped", "initialisations"])
@pytest.mark.usefixtures("_flags_put_back")
def test_small_size_runs(name, tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install scikit-learn")
    importlib.import_module(f"train_{name}").main(["--smoke", "--device", "cpu", "--out", str(tmp_path)])
    check_files(name, TABLES[name], tmp_path)


@pytest.mark.parametrize(("name", "tables"), [("saturation", ("", "_histograms")), ("pretrained", ("", "_claims"))])
@pytest.mark.usefixtures("_flags_put_back")
def test_small_size_runs_on_shapes(name, tables, tmp_path):
    importlib.import_module(f"train_{name}").main(["--smoke", "--device", "cpu", "--out", str(tmp_path)])
    check_files(name, tables, tmp_path)


def test_small_size_runs_as_a_script(tmp_path):
    words = [str(EXAMPLES / "train_glorot.py"), "--smoke", "--device", "cpu", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    check_files("glorot", TABLES["glorot"], tmp_path)
    # There are fewer test images than the errors during training take: at the end they are those of the other table.
    during, after = (table(tmp_path / f"train_glorot{part}_smoke.csv") for part in ("_errors", ""))
    for activation, scheme in product(("sigmoid", "tanh", "softsign"), ("standard", "normalized")):
        kind = {"activation": activation, "scheme": scheme}
        errors = numbers(after, "test_error_percent", hidden_layers="3", **kind)
        assert numbers(during, "test_error_percent", **kind)[-1] == pytest.approx(np.mean(errors), rel=1e-4)
        assert numbers(during, "step", **kind) == [0, 2, 4]


@pytest.mark.usefixtures("_flags_put_back")
def test_rates_and_seeds_of_ones_own(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install scikit-learn")
    words = ["--smoke", "--seeds", "1", "--rates", "0.5", "--depths", "2", "--device", "cpu", "--out", str(tmp_path)]
    importlib.import_module("train_depth").main(words)
    rows = table(tmp_path / "train_depth_smoke.csv")
    assert {(row["depth"], row["seed"], row["rate_times_depth"]) for row in rows} == {("2", "0", "0.5")}


@pytest.mark.parametrize("rule", ["Plain", "Adam"])
@pytest.mark.usefixtures("_flags_put_back")
def test_interrupted_run_goes_on_with_the_same_bits(rule, tmp_path, monkeypatch):
    """Stopped twice, at any step, against a run in one piece: weights, losses and looks are equal bit for bit."""
    from training import descent, rules
    from training.checkpoint import Kept
    from training.descent import epochs
    from training.images import Images
    from training.networks import Start, networks

    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(0)
    data = Images(torch.randn(50, 6, generator=stream), torch.arange(50) % 3, torch.zeros(1, 6), torch.zeros(1, dtype=torch.long), "fifty")
    monkeypatch.setattr(descent, "KEEP_EVERY", 0.0)

    def run(kept, stop=math.inf):
        nets = networks([6, 9, 9, 3], "tanh", [Start(1.5, 0.1, seed) for seed in (0, 1)], CPU)
        calls = []

        def tick():
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt

        def look(nets, step):
            return {"weights": np.stack([weight.detach().abs().sum(dim=(1, 2)).numpy() for weight in nets.weights], axis=1)}

        draw, chosen = epochs(data, (0, 1), 8), getattr(rules, rule)
        course = descent.descend(
            nets, draw, (0.1, 0.3), 40, rule=chosen, look=look, when=(0, 7, 30, 40), kept=kept, key="a, b", progress=tick
        )
        return course, nets

    whole, nets = run(None)
    kept = Kept(tmp_path, "run", {"size": 1})
    for stop in (11, 25):
        with pytest.raises(KeyboardInterrupt):
            run(kept, stop)
    again, resumed = run(kept)
    assert whole.loss.tobytes() == again.loss.tobytes()
    assert whole.looks["weights"].shape == (4, 2, 3)
    assert whole.looks["weights"].tobytes() == again.looks["weights"].tobytes()
    for one, other in zip(nets.parameters(), resumed.parameters(), strict=True):
        assert one.detach().numpy().tobytes() == other.detach().numpy().tobytes()
    finished, _ = run(kept)  # nothing is trained a second time
    assert finished.loss.tobytes() == whole.loss.tobytes()
    assert not Kept(tmp_path, "run", {"size": 2}).folder.exists()
    kept.remove()
    assert not list(tmp_path.iterdir())


def test_killed_script_goes_on_with_the_same_bits(tmp_path):
    """By SIGKILL once something is kept; the tables are those of a run in one piece."""
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install scikit-learn")
    program = "import sys; from training import descent; descent.KEEP_EVERY = 0.0; import train_depth; train_depth.main(sys.argv[1:])"
    words = [sys.executable, "-c", program, "--smoke", "--device", "cpu", "--seeds", "3", "--out"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(ROOT)])}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*words, str(whole)], check=True, capture_output=True, env=environment, timeout=300)
    process = subprocess.Popen([*words, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None and len(list(killed.glob(".train_depth-*/*.npz"))) < 3:
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=60)
    assert not list(killed.glob("*.csv"))
    subprocess.run([*words, str(killed)], check=True, capture_output=True, env=environment, timeout=300)
    name = "train_depth_smoke.csv"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert not list(killed.glob(".train_depth-*"))


def test_step_sizes_are_chosen_on_networks_that_are_not_tested(monkeypatch):
    import train_depth
    import train_glorot
    import train_shaped
    import train_sizes

    for module in (train_depth, train_sizes, train_shaped, train_glorot):
        for size in module.SIZES.values():
            assert size.seeds < module.CHOOSING
    seen = []

    def course(data, setting, depth, seeds, rates, size, kept, device):
        seen.append((list(seeds), tuple(rates)))
        accuracy = np.array([0.1, 0.9, 0.2, 0.3]).repeat(size.choosing) if len(rates) > 1 else np.ones(len(seeds))
        return train_depth.Course(np.zeros((1, len(accuracy))), {"train": accuracy[None], "test": accuracy[None]})

    monkeypatch.setattr(train_depth, "course", course)
    size = train_depth.replace(train_depth.SIZES["default"], choosing=2)
    found = train_depth.trained(None, train_depth.settings(10)[0], 10, size, None, CPU)
    assert found.rate == train_depth.RATES[1]
    assert seen == [([10_000, 10_001], train_depth.RATES), (list(range(10)), (train_depth.RATES[1],))]


def test_shaped_activations_have_their_own_weights():
    """He's σ_w keeps E|φ|² of ReLU; a shaped φ has the slope that σ_w = 1 needs: |φ(z)|² has the mean 1 for standard normal z."""
    import train_shaped

    name, sigma_w = train_shaped.prepared("gelu", "He", train_shaped.SIZES["default"])
    assert (name, sigma_w) == ("gelu, He", math.sqrt(2))
    name, sigma_w = train_shaped.prepared("gelu", "TAT", train_shaped.SIZES["default"])
    assert (name, sigma_w) == ("gelu, TAT", 1.0)
    z, weights = np.polynomial.hermite_e.hermegauss(80)
    values = train_shaped.ACTIVATIONS[name](torch.from_numpy(z)).numpy()
    assert weights @ values**2 / weights.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.usefixtures("_flags_put_back")
def test_steps_of_ones_own(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install scikit-learn")
    import train_sizes

    monkeypatch.chdir(tmp_path)
    train_sizes.main(["--smoke", "--seeds", "1", "--steps", "3", "1", "--device", "cpu"])
    rows = table(tmp_path / "train_sizes_smoke.csv")
    assert {(row["steps"], row["seed"]) for row in rows} == {("1", "0"), ("3", "0")}
    with pytest.raises(SystemExit):
        train_sizes.main(["--smoke", "--steps", "0"])


def test_the_default_is_a_part_of_the_full_table():
    """So the kept table holds for both."""
    import train_sizes

    default, full = train_sizes.SIZES["default"], train_sizes.SIZES["full"]
    assert default.shapes == full.shapes[:3]
    assert train_sizes.replace(default, shapes=full.shapes) == full


def test_each_horizon_has_the_step_size_that_was_best_by_then(monkeypatch):
    """The choice is made apart, on training accuracies; the tested networks are seen at the horizons of their step size."""
    import train_sizes

    seen = []
    train = {2: [0.1, 0.8, 0.8], 5: [0.1, 0.2, 0.9], 9: [0.3, 0.7, 0.6]}  # by horizon and step size; of equals the smaller is taken

    def course(data, setting, depth, seeds, rates, size, kept, device, *, when):
        seen.append((list(seeds), rates, size.steps, size.width, depth, list(when)))
        choice = np.array([train[steps] for steps in when]).repeat(size.choosing, axis=1)
        own = [[100 * rates[0] + steps + seed / 10 for seed in seeds] for steps in when]
        accuracy = np.array(own) if seeds[0] < train_sizes.CHOOSING else choice
        return train_sizes.train_depth.Course(np.zeros((1, 1)), {"train": accuracy, "test": accuracy + 0.01})

    monkeypatch.setattr(train_sizes, "course", course)
    size = train_sizes.Size(((6, 4),), (2, 5, 9), 8, 2, 2, (0.1, 0.2, 0.3))
    point = train_sizes.settings(4)[0]
    found = train_sizes.trained(None, point, (6, 4), size, None, CPU)
    assert [(item.steps, item.rate, item.shape) for item in found] == [(2, 0.2, (6, 4)), (5, 0.3, (6, 4)), (9, 0.2, (6, 4))]
    assert seen == [
        ([10_000, 10_001], (0.1, 0.2, 0.3), 9, 6, 4, [2, 5, 9]),
        ([0, 1], (0.2,), 9, 6, 4, [2, 9]),
        ([0, 1], (0.3,), 5, 6, 4, [5]),
    ]
    for item in found:
        assert item.train == pytest.approx([100 * item.rate + item.steps, 100 * item.rate + item.steps + 0.1])
        assert item.test == pytest.approx(item.train + 0.01)


def test_initialisations_choose_on_networks_that_are_not_tested(monkeypatch):
    """Of equals the smaller step size; and no seed is used in two cells of other architecture or activation."""
    import train_initialisations as script

    seen = []

    def course(data, architecture, activation, way, seeds, rates, size, kept, device, drawing):
        seen.append((list(seeds), tuple(rates)))
        accuracy = np.array([0.1, 0.9, 0.2, 0.9, 0.3]).repeat(size.choosing) if len(rates) > 1 else np.arange(len(seeds)) / 10
        return script.Course(np.arange(220.0)[:, None] + np.zeros(len(seeds)), {"train": accuracy[None], "test": accuracy[None] + 0.01})

    monkeypatch.setattr(script, "course", course)
    size = script.SIZES["default"]
    results = list(script.sweep(None, size, None, CPU, 1))
    assert seen[:2] == [([10_000, 10_001], script.RATES), ([0, 1, 2, 3, 4], (script.RATES[1],))]
    assert results[0].test == pytest.approx([0.01, 0.11, 0.21, 0.31, 0.41])
    assert results[0].loss == pytest.approx(np.full(5, np.mean(range(198, 220))))
    places = {}
    for item in results:
        for seed in item.seeds:
            places.setdefault(seed, set()).add((item.architecture, item.activation))
    assert all(len(found) == 1 for found in places.values())
    assert len(places) == 5 * 20
    assert max(places) < script.CHOOSING
    assert all(seeds[0] >= script.CHOOSING for seeds, rates in seen if len(rates) > 1)
    # What is tried where, and the number of comparisons that the plan has.
    tried = {
        str(shape): [item.way for item in results if (item.architecture, item.activation) == (shape, "gelu")]
        for shape, _ in size.architectures
    }
    usual = ["meanfield", "torch", "Kaiming", "Xavier", "LSUV"]
    assert tried == {
        "MLP, 50 layers": [*usual, "meanfield, orthogonal"],
        "MLP, 100 layers": usual,
        "CNN, 50 layers": [*usual, "meanfield, measured"],
        "residual MLP, 100 layers": [*usual, "Fixup"],
    }
    assert len(script.tested(results)) == 39


# Several cores


@pytest.mark.parametrize("cores", [1, 3])
def test_parts_come_in_their_order(cores):
    from training.cores import side_by_side

    def work(part):
        time.sleep(0.01 * (5 - part))
        return 10 * part

    assert list(side_by_side(work, range(5), cores)) == [0, 10, 20, 30, 40]


def test_parts_go_on_at_once_with_vanishing_numbers_at_0():
    """Two parts wait for each other, which one after the other would never end; and each thread has the flag of the scripts."""
    import threading

    from training.cores import side_by_side

    both = threading.Barrier(2, timeout=60)

    def work(part):
        both.wait()
        return float(torch.tensor(1e-40) * 0.5)

    assert list(side_by_side(work, range(2), 2)) == [0.0, 0.0]
    assert float(torch.tensor(1e-40) * 0.5) > 0  # this one has not


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_one_part_that_fails_ends_the_others(error):
    from training.cores import Stopped, go_on, side_by_side

    begun, ended = [], []

    def go_on_for_a_minute():
        for _ in range(60_000):
            time.sleep(0.001)
            go_on()

    def work(part):
        begun.append(part)
        if part == 0:
            while 1 not in begun:
                time.sleep(0.001)
            raise error
        with pytest.raises(Stopped):
            go_on_for_a_minute()
        ended.append(part)

    with pytest.raises(error):
        list(side_by_side(work, range(4), 2))
    assert ended[0] == 1
    assert 3 not in begun  # what had not begun never does
    go_on()  # outside nothing stops


@pytest.mark.usefixtures("_flags_put_back")
def test_two_cores_have_the_bits_of_one(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install scikit-learn")
    for cores in ("1", "2"):
        words = ["--smoke", "--device", "cpu", "--cores", cores, "--out", str(tmp_path / cores)]
        importlib.import_module("train_sizes").main(words)
        importlib.import_module("train_glorot").main(words)
    for name in ("train_sizes_smoke.csv", "train_glorot_smoke.csv", "train_glorot_layers_smoke.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_two_cores_by_default_where_there_are_two(monkeypatch):
    from training import command

    given = command.parser("").parse_args([])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert command.cores(given, CPU) == 2
    assert command.cores(given, torch.device("meta")) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert command.cores(given, CPU) == 1
    assert command.cores(command.parser("").parse_args(["--cores", "3"]), CPU) == 3


@pytest.mark.parametrize("own", ["rates", "depths", "steps", "seeds", "mnist", "cifar", "folder"])
def test_numbers_of_ones_own_do_not_overwrite_the_pages(own, tmp_path, monkeypatch):
    import argparse

    from training import command

    monkeypatch.chdir(tmp_path)
    given = argparse.Namespace(smoke=False, full=False, out=None)
    assert command._folders(given) == (ROOT / "docs" / "images", RESULTS)
    setattr(given, own, [3])
    assert command._folders(given) == (tmp_path, tmp_path)


def test_parts_at_once_share_one_display(monkeypatch):
    from training import command

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    with command.progress("one", 2) as one:
        with command.progress("two", 3) as two:
            shown = command._bars._display
            for tick in (one, two, two):
                tick()
            assert [(task.description, task.completed, task.total) for task in shown.tasks] == [("one", 1, 2), ("two", 2, 3)]
        assert shown.live.is_started
        assert [task.description for task in shown.tasks] == ["one"]
    assert command._bars._display is None
    assert not shown.live.is_started


def test_seeds_meet_the_shapes_in_orders_of_their_own():
    from train_glorot import Shapes

    data = Shapes(np.arange(40, dtype=np.uint8)[:, None], np.arange(40), torch.empty(0), torch.empty(0), 0.0, 1.0)
    draw = data.drawn([3, 4, 4], 10)
    steps = [draw(step)[1] for step in range(4)]
    assert all(torch.equal(labels[1], labels[2]) for labels in steps)
    assert not any(torch.equal(labels[0], labels[1]) for labels in steps)
    for member in (0, 1):
        assert sorted(torch.cat([labels[member] for labels in steps]).tolist()) == list(range(40))
    assert torch.equal(draw(2)[0].squeeze(2), draw(2)[1].float())


def test_interrupted_run_leaves_no_file(tmp_path):
    from training.files import whole_file

    def half_written():
        with whole_file(tmp_path / "table.csv") as place:
            place.write_text("half a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_written()
    assert not list(tmp_path.iterdir())


def test_interrupt_ends_without_traceback():
    from training.command import run

    def main(words):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 130


# Networks and descent


def reference_network(nets, member, activation):
    """The member-th network as torch.nn modules."""
    layers = []
    for weight, bias in zip(nets.weights, nets.biases, strict=True):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[2])
        layer.weight.data = weight[member].detach().T.clone()
        layer.bias.data = bias[member, 0].detach().clone()
        layers += [layer, activation()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(("name", "module"), [("tanh", torch.nn.Tanh), ("silu", torch.nn.SiLU), ("softsign", torch.nn.Softsign)])
def test_networks_side_by_side_descend_as_each_alone(name, module):
    from training.descent import descend
    from training.networks import Start, networks

    starts = [Start(1.3, 0.2, seed, distribution=kind) for seed in (0, 1) for kind in ("normal", "uniform")]
    nets = networks([5, 7, 7, 3], name, starts, CPU)
    alone = [reference_network(nets, member, module) for member in range(4)]
    rates = (0.1, 0.2, 0.3, 0.4)
    stream = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 6, 5, generator=stream), torch.randint(0, 3, (4, 6), generator=stream)) for _ in range(5)]
    seen = descend(nets, batches.__getitem__, rates, 5).loss
    for member, network in enumerate(alone):
        optimiser = torch.optim.SGD(network.parameters(), lr=rates[member])
        for step, (inputs, labels) in enumerate(batches):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(inputs[member]), labels[member])
            loss.backward()
            optimiser.step()
            assert float(seen[step][member]) == pytest.approx(loss.item(), rel=1e-4)


def test_adam_side_by_side_is_that_of_torch_for_each_alone():
    from training.rules import Adam

    stream, rates = torch.Generator().manual_seed(0), (0.01, 0.3)
    together = torch.randn(2, 3, 4, generator=stream)
    alone = [torch.nn.Parameter(each.clone()) for each in together]
    optimisers = [torch.optim.Adam([each], lr=rate) for each, rate in zip(alone, rates, strict=True)]
    adam = Adam([together], rates)
    for step in range(30):
        gradient = torch.randn(2, 3, 4, generator=stream) * 10.0 ** -(step % 12)  # down to where ε matters
        adam(step, [together], [gradient])
        for each, optimiser, its_own in zip(alone, optimisers, gradient, strict=True):
            each.grad = its_own.clone()
            optimiser.step()
        torch.testing.assert_close(together, torch.stack([each.detach() for each in alone]), rtol=1e-5, atol=1e-6)


def architecture_of(kind, width=12):
    from training.stacks import Architecture

    return Architecture(kind, 4, width)


@pytest.mark.parametrize(("kind", "fixup"), [("mlp", False), ("cnn", False), ("residual", False), ("residual", True)])
@pytest.mark.parametrize("inputs", [64, 147])  # 8×8 in grey, 7×7 in three colours
def test_stacks_compute_what_their_models_do(kind, fixup, inputs):
    """Logits and gradients, each member with its own weights and inputs."""
    from training.stacks import Stack

    stream = torch.Generator().manual_seed(0)
    architecture = architecture_of(kind)
    models = [architecture.model("mish", inputs, 5, fixup=fixup).double() for _ in range(3)]
    for model in models:
        for parameter in model.parameters():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
    stack = Stack(architecture, "mish", models, CPU)
    x = torch.randn(3, 6, inputs, generator=stream, dtype=torch.float64)
    logits = stack(x)
    assert logits.shape == (3, 6, 5)
    gradients = torch.autograd.grad(logits.square().sum(), list(stack.parameters()))
    for member, model in enumerate(models):
        own = model(x[member])
        torch.testing.assert_close(logits[member], own)
        for gradient, its_own in zip(gradients, torch.autograd.grad(own.square().sum(), list(model.parameters())), strict=True):
            torch.testing.assert_close(gradient[member], its_own)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "residual"])
def test_lsuv_gives_every_layer_unit_variance_on_its_batch(kind):
    """Within the published 0.1, and from orthogonal matrices."""
    from training.initialisations import initialise_, weight_layers

    batch = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    model = architecture_of(kind).model("gelu", 64, 5)
    initialise_(model, "LSUV", "gelu", 3, batch)
    variances = []
    hooks = [layer.register_forward_hook(lambda layer, x, y: variances.append(float(y.detach().var()))) for layer in weight_layers(model)]
    model(batch)
    assert len(hooks) == len(variances) == len(weight_layers(model))
    assert variances == pytest.approx([1.0] * len(variances), abs=0.101)
    for layer in weight_layers(model):
        assert not layer.bias.detach().any()
        weight = layer.weight.detach().flatten(1)
        short = weight if len(weight) <= weight.shape[1] else weight.T
        product = short @ short.T
        torch.testing.assert_close(product, product[0, 0] * torch.eye(len(product)), rtol=1e-4, atol=1e-4 * float(product[0, 0]))


def test_fixup_is_as_published():
    """Every branch is 0 and so is the output; the first layers are He's over √L; the numbers move at a tenth of Adam's step."""
    from training.initialisations import initialise_
    from training.rules import Adam
    from training.stacks import Architecture, Stack

    architecture = Architecture("residual", 32, 100)
    model = architecture.model("relu", 64, 5, fixup=True)
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    initialise_(model, "Fixup", "relu", 0, x)
    assert not model(x).detach().any()
    first = torch.stack([block[0].weight.detach() for block in model.blocks])
    # 160,000 numbers: their variance has a relative error of 0.0035; five of them fail by chance in 6·10⁻⁷.
    assert float(first.var()) == pytest.approx(2 / 100 / 16, rel=5 * 0.0036)
    assert float(model.first.weight.detach().var()) == pytest.approx(2 / 64, rel=5 * 0.018)
    for block in model.blocks:
        assert not block[2].weight.detach().any()
        assert block[0].bias is None
        assert block[2].bias is None
    assert model.numbers.shape == (16, 5)
    assert not model.numbers.detach().any()
    # One number moved: its multiplier, say, by a tenth of the step.
    stack = Stack(architecture, "relu", [model], CPU)
    parameters = list(stack.parameters())
    Adam(parameters, (0.5,))(0, [each.detach() for each in parameters], [-torch.ones_like(each) for each in parameters])
    moved = architecture.model("relu", 64, 5, fixup=True)
    moved.load_state_dict({name: values[0].detach() for name, values in stack.values.items()})
    block, h = moved.blocks[0], moved.first(x).detach()
    branch = block[2](torch.relu(block[0](h + 0.05) + 0.05) + 0.05)
    expected = h + 1.05 * branch + 0.05
    moved.blocks, moved.last = moved.blocks[:1], torch.nn.Identity()
    torch.testing.assert_close(moved(x), expected, rtol=1e-4, atol=1e-4)


GAINS = {
    ("Kaiming", "tanh"): 5 / 3,
    ("Kaiming", "mish"): math.sqrt(2),
    ("Kaiming", "relu"): math.sqrt(2),
    ("Xavier", "tanh"): 1.0,
    ("Xavier", "silu"): 1.0,
    ("Xavier", "relu"): math.sqrt(2),
}


@pytest.mark.parametrize(("way", "activation"), GAINS)
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_gains_of_the_rivals(way, activation, kind):
    """Over all hidden layers: fan_in for Kaiming, the mean of both fans for Xavier; in square layers the same."""
    from training.initialisations import initialise_, weight_layers

    model, gain = architecture_of(kind, 64).model(activation, 64, 5), GAINS[way, activation]
    initialise_(model, way, activation, 0, torch.empty(0))
    layers = weight_layers(model)
    for layer in layers[1:-1]:
        weight = layer.weight.detach()
        error = (2 / weight.numel()) ** 0.5
        assert float(weight.square().mean()) * weight[0].numel() == pytest.approx(gain**2, rel=5 * error)
    assert not any(layer.bias.detach().any() for layer in layers)
    last = layers[-1].weight.detach()
    fan = last.shape[1] if way == "Kaiming" else (last.shape[1] + last.shape[0]) / 2
    assert float(last.square().mean()) * fan == pytest.approx(gain**2, rel=5 * (2 / last.numel()) ** 0.5)


@pytest.mark.parametrize("way", ["meanfield", "meanfield, orthogonal", "meanfield, measured"])
def test_ours_is_init_(way):
    from training.initialisations import initialise_

    from meanfield.frameworks.torch import init_

    batch = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    one, other = (architecture_of("cnn").model("silu", 64, 5) for _ in range(2))
    initialise_(one, way, "silu", 7, batch)
    more = {"orthogonal": {"orthogonal": True}, "measured": {"example": batch, "method": "measure"}}
    init_(other, seed=7, **more.get(way.partition(", ")[2], {}))
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_rivals_draw_from_their_seed_and_leave_torchs_numbers():
    from training.initialisations import initialise_

    batch = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))

    def drawn(way, seed):
        model = architecture_of("residual").model("gelu", 64, 5, fixup=way == "Fixup")
        before = torch.get_rng_state()
        initialise_(model, way, "gelu", seed, batch)
        assert torch.equal(torch.get_rng_state(), before)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    for way in ("torch", "Kaiming", "Xavier", "LSUV", "Fixup"):
        assert torch.equal(drawn(way, 1), drawn(way, 1))
        assert not torch.equal(drawn(way, 1), drawn(way, 2))
    with pytest.raises(ValueError, match="'Fixup' does not apply to Sequential"):
        initialise_(architecture_of("mlp").model("gelu", 64, 5), "Fixup", "gelu", 0, batch)


def test_overflow_of_one_network_stays_its_own():
    from training.descent import accuracies, descend
    from training.networks import Start, networks

    nets = networks([4, 6, 6, 2], "relu", [Start(1.4, 0.0, 0), Start(1e20, 0.0, 1)], CPU)
    inputs, labels = torch.randn(20, 4, generator=torch.Generator().manual_seed(1)), torch.arange(20) % 2
    draw = lambda step: (inputs.expand(2, -1, -1), labels.expand(2, -1))  # noqa: E731
    loss = descend(nets, draw, (0.1, 0.1), 5).loss[-1]
    assert np.isfinite(loss).tolist() == [True, False]
    right = accuracies(nets, inputs, labels)
    assert right[0] > 0
    assert right[1] == 0


def test_first_variances_are_those_of_theory():
    """σ's as in the package: q of the first layers, 100 networks; |t| < 5 in 3 numbers fails by chance once in 10⁵ times."""
    from training.networks import Start, networks

    import meanfield as mf

    network = mf.MeanField("tanh", 1.5, 0.3)
    starts = [Start(1.5, 0.3, seed, first=0.8) for seed in range(100)]
    nets = networks([50, 200, 200, 200, 2], "tanh", starts, CPU)
    inputs = torch.full((1, 50), 1.0)  # |a|²/d = 1
    nets(inputs.expand(100, -1, -1), watch=True)
    expected = 0.8**2 + 0.3**2
    for h in nets.hidden:
        each = (h.detach() ** 2).mean(dim=(1, 2)).double().numpy()
        # The shift of the mean at width 200 is below a third of this standard error.
        assert abs(each.mean() - expected) / (each.std(ddof=1) / math.sqrt(100)) < 5
        expected = network.variance_map(expected)


def test_batches_are_epochs_in_random_order():
    from training.descent import epochs
    from training.images import Images

    data = Images(torch.arange(12.0)[:, None], torch.arange(12), torch.zeros(1, 1), torch.zeros(1, dtype=torch.long), "twelve")
    draw = epochs(data, [5, 5, 8], 4)
    steps = [draw(step)[1] for step in range(6)]
    assert all(torch.equal(labels[0], labels[1]) for labels in steps)
    assert not all(torch.equal(labels[0], labels[2]) for labels in steps)
    for half in (steps[:3], steps[3:]):
        assert sorted(torch.cat([labels[0] for labels in half]).tolist()) == list(range(12))


# Monitors


def test_monitors_against_one_example_at_a_time():
    from training.monitors import look
    from training.networks import Start, networks

    nets = networks([5, 6, 6, 3], "tanh", [Start(1.5, 0.0, 0), Start(3.0, 0.0, 1)], CPU)
    inputs, labels = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    layers = look(nets, inputs, labels)
    for member in range(2):
        network = reference_network(nets, member, torch.nn.Tanh)
        kept: list[list[torch.Tensor]] = [[], []]
        own: list[list[torch.Tensor]] = [[], []]
        values: list[list[torch.Tensor]] = [[], []]
        for row, label in zip(inputs, labels, strict=True):
            h1 = network[0](row)
            h2 = network[2](torch.tanh(h1))
            loss = torch.nn.functional.cross_entropy(network[4](torch.tanh(h2))[None], label[None])
            weights = torch.autograd.grad(loss, (network[0].weight, network[2].weight), retain_graph=True)
            for layer, (h, gradient) in enumerate(zip((h1, h2), torch.autograd.grad(loss, (h1, h2)), strict=True)):
                kept[layer].append(gradient)
                own[layer].append(weights[layer])
                values[layer].append(torch.tanh(h).detach())
        for layer in range(2):
            activations = torch.stack(values[layer])
            assert layers.gradient[member, layer] == pytest.approx(torch.stack(kept[layer]).std().item(), rel=1e-4)
            assert layers.weight_gradient[member, layer] == pytest.approx(torch.stack(own[layer]).std(correction=0).item(), rel=1e-4)
            low, high = np.quantile(activations, [0.01, 0.99])
            assert (layers.first_percentile[member, layer], layers.last_percentile[member, layer]) == pytest.approx((low, high), abs=1e-5)
            assert layers.mean[member, layer] == pytest.approx(activations.mean().item(), abs=1e-5)
            assert layers.saturated[member, layer] == pytest.approx((activations.abs() >= 0.9).float().mean().item(), abs=1e-6)
            assert layers.low_end[member, layer] == pytest.approx((activations <= -0.9).float().mean().item(), abs=1e-6)


def test_mean_singular_values_are_those_of_the_papers_jacobian():
    """∂z^{i+1}/∂z^i by automatic differentiation, and not diag(φ'(h^i)) on the other side of the weights."""
    from training.monitors import mean_singular_values
    from training.networks import Start, networks

    nets = networks([5, 8, 6, 7, 3], "tanh", [Start(2.0, 0.0, 0), Start(3.0, 0.5, 1)], CPU)
    inputs = torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
    for member, found in enumerate(mean_singular_values(nets, inputs)):
        network = reference_network(nets, member, torch.nn.Tanh)
        values = []
        for row in inputs:
            z1 = network[:2](row)
            z2 = network[2:4](z1)
            for z, layer in ((z1, network[2:4]), (z2, network[4:6])):
                values.append(torch.linalg.svdvals(torch.autograd.functional.jacobian(layer, z.detach())).mean().item())
        assert found == pytest.approx(np.mean(values), rel=1e-5)


def test_distributions_are_those_of_numpy():
    from training.monitors import BINS, DECADES, distributions
    from training.networks import Start, networks

    nets = networks([5, 6, 6, 3], "softsign", [Start(3.0, 0.0, 0)], CPU)
    inputs, labels = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 3
    found = distributions(nets, inputs, labels)
    network = reference_network(nets, 0, torch.nn.Softsign)
    values = network[:4](inputs).detach()
    counts, _ = np.histogram(values, bins=BINS, range=(-1, 1))
    np.testing.assert_allclose(found.activation[0, 1], counts / counts.sum(), atol=1e-6)
    logs = []
    for row, label in zip(inputs, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(network(row)[None], label[None])
        logs.append(torch.log10(torch.autograd.grad(loss, network[0].weight)[0].abs()).flatten())
    counts, _ = np.histogram(torch.cat(logs), bins=BINS, range=DECADES)
    np.testing.assert_allclose(
        found.weight_gradient[0, 0], counts / counts.sum(), atol=0.02
    )  # a number on a border may fall on its other side


def test_mean_singular_value_of_nearly_linear_layers():
    """tanh at tiny inputs is the identity: the mean singular value of a square Gaussian-like matrix tends to 8/(3π) σ_w."""
    from training.monitors import mean_singular_values
    from training.networks import Start, networks

    nets = networks([20, 200, 200, 200, 3], "tanh", [Start(0.7, 0.0, 0, distribution="uniform")], CPU)
    assert mean_singular_values(nets, torch.full((1, 20), 1e-3))[0] == pytest.approx(0.7 * 8 / (3 * math.pi), rel=0.01)


# Shapeset


def test_all_nine_classes_are_equally_likely():
    """χ² with 8 degrees of freedom below 35: fails by chance once in 4·10⁴ times."""
    from training.shapeset import shapeset

    pixels, labels = shapeset(3000, np.random.default_rng(0))
    counts = np.bincount(labels, minlength=9)
    assert np.sum((counts - 3000 / 9) ** 2 / (3000 / 9)) < 35
    assert pixels.shape == (3000, 1024)
    assert 0 <= pixels.min() <= pixels.max() <= 1
    assert [len(np.unique(image)) for image in pixels[:200]] == [2 if label < 3 else 3 for label in labels[:200]]


def test_objects_keep_the_limits():
    from training.shapeset import CONTRAST, HIDDEN, RADIUS, scenes, shapeset

    labels = np.arange(9).repeat(200)
    back, front, hidden = scenes(labels, np.random.default_rng(1))
    areas = np.concatenate([back.sum(axis=1), front[labels >= 3].sum(axis=1)])
    assert areas.max() < math.pi * RADIUS[1] ** 2 * 1.1
    assert areas.min() > math.pi * RADIUS[0] ** 2 * 0.7  # the pixels' own roughness
    assert hidden.max() <= HIDDEN
    assert np.quantile(hidden[labels >= 3], 0.9) > 0.2  # occlusion does happen
    assert not front[labels < 3].any()
    pixels, _ = shapeset(100, np.random.default_rng(2))
    for image in pixels:
        assert min(abs(a - b) for a, b in combinations(np.unique(image), 2)) >= CONTRAST * 0.999


def test_single_shapes_are_what_they_are_called():
    """4π √det(covariance) over the area: 1 for ellipses, π/3 for parallelograms, 2π/(3√3) for triangles."""
    from training.shapeset import SIDE, scenes

    labels = np.arange(3).repeat(600)
    back, _, _ = scenes(labels, np.random.default_rng(3))
    # π E r², r uniform; the spread of 600 areas' mean is 1%.
    assert back.sum(axis=1).reshape(3, 600).mean(axis=1) == pytest.approx(math.pi * (9**3 - 6**3) / 9, rel=0.05)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2)
    ratios = []
    for mask in back:
        covariance = np.cov(grid[mask].T, bias=True) + np.eye(2) / 12  # a pixel has an extent
        ratios.append(4 * math.pi * math.sqrt(np.linalg.det(covariance)) / mask.sum())
    mean = np.array(ratios).reshape(3, 600).mean(axis=1)
    assert mean == pytest.approx([2 * math.pi / (3 * math.sqrt(3)), math.pi / 3, 1.0], abs=0.015)


# Evidence


def test_exact_permutation_by_hand():
    from training.evidence import permutation_p

    assert permutation_p([3, 4, 5], [0, 1, 2]) == pytest.approx(1 / 20)
    assert permutation_p([0, 1, 2], [3, 4, 5]) == pytest.approx(1.0)
    numbers = [0.3, 0.9, 0.8, 0.1, 0.2, 0.5]
    deals = [np.mean([numbers[k] for k in chosen]) * 2 for chosen in combinations(range(6), 3)]
    ours = np.mean(numbers[:3]) * 2
    assert permutation_p(numbers[:3], numbers[3:]) == pytest.approx(np.mean(np.array(deals) >= ours - 1e-9))


def test_groups_too_small_or_too_large_for_all_deals():
    from training.evidence import permutation_p

    assert permutation_p([1.0], [0.0]) == 0.5
    assert permutation_p([0.0], [1.0]) == 1.0
    stream = np.random.default_rng(0)
    assert permutation_p(stream.normal(size=30) + 2, stream.normal(size=30)) < 1e-4


@pytest.mark.usefixtures("_flags_put_back")
def test_cells_of_the_phase_picture_are_where_they_belong(monkeypatch):
    """Whatever the groups and cores, each cell has what its own networks alone have: σ_w, depth, seeds and order of images."""
    import train_phase
    from training.descent import accuracies, descend, epochs
    from training.images import Images
    from training.networks import Start, networks

    import meanfield as mf

    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    inputs = torch.nn.functional.one_hot(labels, 6).float() + 0.3 * torch.randn(60, 6, generator=stream)
    data = Images(inputs, labels, inputs, labels, "sixty")
    size = train_phase.Size((1.0, 2.0, 3.0, 4.0), (2, 5), 7, 8, (3, 12), 2)
    found = {}
    for groups, cores in ((1, 1), (2, 2)):
        monkeypatch.setattr(train_phase, "GROUPS", groups)
        found[groups] = train_phase.trained(data, size, None, CPU, cores)
    assert found[1].accuracy.tobytes() == found[2].accuracy.tobytes()
    result = found[1]
    assert len(np.unique(result.accuracy)) > 10
    for column, sigma in enumerate(result.sigma_w):
        first = math.sqrt(mf.MeanField("tanh", float(sigma), train_phase.SIGMA_B).q_star - train_phase.SIGMA_B**2)
        for row, depth in enumerate(size.depths):
            starts = [Start(float(sigma), train_phase.SIGMA_B, 1000 * column + seed, first) for seed in range(2)]
            nets = networks([6, *[7] * depth, 3], "tanh", starts, CPU)
            draw = epochs(data, [start.seed for start in starts], 8)
            look = lambda nets, step: {"right": accuracies(nets, inputs, labels)}  # noqa: E731
            alone = descend(nets, draw, [train_phase.RATE / depth] * 2, 12, look=look, when=(3, 12)).looks["right"]
            np.testing.assert_array_equal(result.accuracy[:, row, column], alone)


def test_half_depth_is_read_off_a_straight_line():
    from train_phase import Trained, half_depths

    accuracy = np.array([[1.0, 0.9, 0.4], [0.8, 0.9, 0.1], [0.2, 0.9, 0.1]])[None, :, :, None]
    result = Trained(np.array([1.0, 1.3, 2.0]), np.array([10, 20, 40]), (5,), accuracy, np.array([30.0, math.inf, 20.0]), 1.3)
    assert half_depths(result)[0] == pytest.approx(30.0)
    assert np.isnan(half_depths(result)[1:]).all()


def test_pairs_by_hand():
    from training.evidence import paired_p

    assert paired_p([3, 4, 5], [0, 1, 2]) == 1 / 8
    assert paired_p([0, 1, 2], [3, 4, 5]) == 1.0
    assert paired_p([1, 2], [1, 2]) == 1.0
    # Of the 16 ways to give 4, 3, 2 and −1 signs two reach their sum.
    differences = np.array([4.0, 3.0, 2.0, -1.0])
    ways = [np.dot(signs, differences) for signs in product((1, -1), repeat=4)]
    assert paired_p(differences, np.zeros(4)) == np.mean(np.array(ways) >= 8) == 2 / 16


def test_ways_that_tie_do_so_in_single_precision_too():
    """Shares of 360 images: with counts for differences the ties are exact; single precision, which networks have, breaks them."""
    from training.evidence import paired_p

    stream = np.random.default_rng(5)
    for _ in range(20):
        worse = stream.integers(200, 300, 11)
        better = worse + stream.integers(-4, 8, 11)
        signs = 1 - 2 * (np.arange(2**11)[:, None] >> np.arange(11) & 1)
        exact = np.mean(signs @ (better - worse) >= np.sum(better - worse))
        for precision in (np.float32, np.float64):
            assert paired_p((better / 360).astype(precision), (worse / 360).astype(precision)) == exact
        assert paired_p((better / 360).tolist(), (worse / 360).tolist()) == paired_p(better, worse) == exact


def test_p_values_of_pairs_are_uniform_without_a_difference():
    """Of 2000 experiments with 8 pairs 5% have p ≤ 0.05, in 256ths 12: the z-score of the count is below 4, false in 6·10⁻⁵."""
    from training.evidence import _paired_p

    p = _paired_p(np.random.default_rng(0).standard_normal((2000, 8)))
    share = 12 / 256
    assert abs(np.mean(p <= 12 / 256 + 1e-9) - share) < 4 * math.sqrt(share * (1 - share) / 2000)


def test_more_pairs_than_can_be_dealt_out():
    from training.evidence import paired_p

    stream = np.random.default_rng(0)
    noise = stream.normal(size=20)
    assert paired_p(noise + 1.5, np.zeros(20)) < 1e-3
    few = 10
    exact = paired_p(noise[:few] + 0.3, np.zeros(few))
    assert 0.01 < exact < 0.99


def test_what_a_test_can_find():
    """With many pairs it is the z-test's reach: (z of the level + z of the power) standard errors."""
    from training.evidence import detectable

    stream = np.random.default_rng(3)
    differences = stream.normal(size=14)
    reach = (2.326 + 1.282) * differences.std(ddof=1) / math.sqrt(14)
    assert detectable(differences, np.zeros(14), 0.01) == pytest.approx(reach, rel=0.15)
    assert detectable([1.0, 2.0, 1.5], [0.0, 0.0, 0.0], 0.01) == math.inf


def test_claims_are_corrected_after_holm():
    from training.evidence import claims

    found = claims({"clear": ([3, 4, 5, 6, 5, 4, 3, 4], np.zeros(8)), "none": ([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8])})
    assert found[0].p == 2 / 256
    assert found[0].holds
    assert found[1].p == 1.0
    assert "does not hold" in str(found[1])


def test_comparisons_are_two_sided_and_corrected():
    from training.evidence import comparisons

    higher, level = np.array([3.0, 4, 5, 6, 5, 4, 3, 4, 5, 5]), np.zeros(10)
    found = comparisons({"ahead": (higher, level), "behind": (level, higher), "level": ([1, 2] * 5, [2, 1] * 5)})
    # 2⁻¹⁰ to either side; Holm's factors are 3, 2 and 1, and p do not fall.
    assert [item.p for item in found] == pytest.approx([6 / 1024, 6 / 1024, 1.0])
    assert [item.ahead for item in found] == ["first", "second", "neither"]
    assert "undecided" in str(found[2])
    # What nine of ten tests find: (z of 0.01/3, two-sided, + z of 0.9) standard errors.
    assert found[2].detectable == pytest.approx((2.9352 + 1.2816) * np.std([1, -1] * 5, ddof=1) / math.sqrt(10), rel=1e-4)


def test_stratified_permutation_is_blind_to_differences_between_strata():
    from training.evidence import stratified_p

    stream = np.random.default_rng(0)
    marks = np.array([True] * 4 + [False] * 4)
    levels = (0.0, 10.0, 20.0)
    assert stratified_p([level + stream.normal(size=8) for level in levels], [marks] * 3, 2000) > 0.01
    assert stratified_p([level + stream.normal(size=8) + 3 * marks for level in levels], [marks] * 3, 2000) < 0.001


# The page


@pytest.mark.parametrize("activation", ["tanh", "softsign"])
@pytest.mark.parametrize("scheme", ["standard", "normalized"])
def test_gradients_at_the_start_are_those_of_theory(activation, scheme):
    """Six networks of 64 units: the ratio over four layers within 8%."""
    from train_glorot import expected_gradients

    rows = table(RESULTS / "train_glorot_layers.csv")
    measured = np.array(
        [float(row["gradient_deviation"]) for row in rows if (row["activation"], row["scheme"], row["step"]) == (activation, scheme, "0")]
    )
    np.testing.assert_allclose(measured / measured[-1], expected_gradients(activation, scheme, 5, 64), rtol=0.08)


def numbers(rows: list[dict[str, str]], field: str, **fixed: str) -> list[float]:
    return [float(row[field]) for row in rows if all(row[key] == value for key, value in fixed.items())]


def test_page_shows_the_accuracies_of_the_table():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_depth.csv")
    for setting in dict.fromkeys(row["setting"] for row in rows):
        cells = []
        for depth in dict.fromkeys(row["depth"] for row in rows):
            found = 100 * np.array(numbers(rows, "test_accuracy", setting=setting, depth=depth))
            assert len(found) == 10
            cells.append(f"{found.mean():.1f} ± {found.std(ddof=1):.1f}")
        assert f"| {setting} | {' | '.join(cells)} |" in page


def sizes_right(rows: list[dict[str, str]], setting: str, width: str, steps: str) -> np.ndarray:
    """Shares of 360 test images, of which the table has five digits."""
    found = numbers(rows, "test_accuracy", setting=setting, width=width, steps=steps)
    assert len(found) == 11
    counts = np.round(360 * np.array(found))
    assert counts / 360 == pytest.approx(found, rel=1e-4)
    return counts / 360


def test_page_shows_the_accuracies_of_the_sizes():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_sizes_full.csv")
    shapes = dict.fromkeys((row["width"], row["depth"]) for row in rows)
    assert list(shapes) == [("10", "5"), ("20", "10"), ("40", "30"), ("60", "40")]
    for setting in dict.fromkeys(row["setting"] for row in rows):
        for steps in ("300", "3000"):
            each = [100 * sizes_right(rows, setting, width, steps) for width, _ in shapes]
            cells = " | ".join(f"{found.mean():.1f} ± {found.std(ddof=1):.1f}" for found in each)
            assert f"| {setting}, {steps} steps | {cells} |" in page


def test_committed_claims_on_sizes_are_those_of_the_pairs():
    """The kept claims against the kept accuracies, once by hand and once by the script."""
    import train_sizes
    from training.evidence import claims

    rows = table(RESULTS / "train_sizes_full.csv")
    groups, results = {}, []
    for steps in ("300", "3000"):
        for width, depth in (("10", "5"), ("20", "10"), ("40", "30"), ("60", "40")):
            edge, off, swish = (sizes_right(rows, name, width, steps) for name in ("ReLU, edge", "ReLU, ordered", "Swish, recommended"))
            groups[f"ReLU: the edge beats order, {depth} layers of {width}, {steps} steps"] = (edge, off)
            groups[f"Swish beats ReLU, {depth} layers of {width}, {steps} steps"] = (swish, edge)
            for point in (point for point in train_sizes.settings(int(depth)) if point.name in train_sizes.COMPARED):
                test = sizes_right(rows, point.name, width, steps)
                results.append(train_sizes.Trained(point, (int(width), int(depth)), int(steps), 0.1, test, test))
        deep = [[sizes_right(rows, name, width, steps) for width in ("40", "60")] for name in ("Swish, recommended", "Swish, edge")]
        better, worse = np.mean(deep, axis=1)
        groups[f"Swish, recommended, beats Swish at σ_b = 0.2, from 30 layers, {steps} steps"] = (better, worse)
    by_hand = {item.statement: item for item in claims(groups)}
    assert {item.statement: item for item in train_sizes.tested(results)} == by_hand
    kept = table(RESULTS / "train_sizes_claims_full.csv")
    assert {row["claim"]: float(row["p_holm"]) for row in kept} == {name: pytest.approx(item.p, rel=1e-3) for name, item in by_hand.items()}
    assert all(float(row["detectable"]) == pytest.approx(by_hand[row["claim"]].detectable, rel=1e-2) for row in kept)


def test_page_shows_the_numbers_of_the_phase_picture():
    """From the kept means; the p-values need the single networks, which are not kept."""
    from train_phase import SIGMA_B, Trained, findings

    import meanfield as mf

    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_phase.csv")
    variances, depths, steps = (list(dict.fromkeys(row[key] for row in rows)) for key in ("sigma_w_squared", "depth", "steps"))
    cells = {(row["steps"], row["depth"], row["sigma_w_squared"]): float(row["train_accuracy"]) for row in rows}
    accuracy = np.array([[[[cells[look, depth, v]] for v in variances] for depth in depths] for look in steps])
    six_xi = np.array([numbers(rows, "six_xi_c", sigma_w_squared=v)[0] for v in variances])
    edge = float(mf.edge_of_chaos("tanh", sigma_b=SIGMA_B).sigma_w)
    result = Trained(np.sqrt(np.array(variances, float)), np.array(depths, int), tuple(map(int, steps)), accuracy, six_xi, edge)
    found = [findings(result, look) for look in range(len(steps))]
    for line in (
        [f"{one['half_depth_over_xi_c']:.1f} ± {one['half_depth_over_xi_c_deviation']:.1f}" for one in found],
        [f"{one['inside']:.3f}, {one['outside']:.3f}" for one in found],
        [f"{one['edge']:.3f}, {one['off_edge']:.3f}" for one in found],
    ):
        assert f"| {' | '.join(line)} |" in page


SHAPED = ("gelu", "silu", "softplus", "leaky_relu")


def test_page_shows_the_accuracies_of_shaped_networks():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_shaped.csv")
    for name in SHAPED:
        cells = []
        for way in ("TAT", "DKS", "He"):
            found = 100 * np.array(numbers(rows, "test_accuracy", activation=name, way=way))
            assert len(found) == 10
            cells.append(f"{found.mean():.1f} ± {found.std(ddof=1):.1f}")
        assert f"| {name} | {' | '.join(cells)} |" in page
        shaped = numbers(rows, "train_accuracy", activation=name, way="TAT")
        assert np.median(shaped) > max(numbers(rows, "train_accuracy", activation=name, way="He"))
    # What the page says of networks that overflowed.
    lost = {way: [numbers(rows, "train_accuracy", activation=name, way=way).count(0.0) for name in SHAPED] for way in ("TAT", "DKS")}
    assert lost == {"TAT": [0, 1, 0, 0], "DKS": [2, 2, 5, 0]}
    assert "with two, two and five networks of ten that overflowed" in page
    assert "one in forty overflowed" in page


@pytest.mark.parametrize("worse", ["tanh, ordered", "tanh, chaotic"])
def test_committed_runs_train_on_the_edge_where_they_do_not_off_it(worse):
    """At the depths beyond 6 ξ_c of the setting that is to fail, from 30 on."""
    from training.evidence import paired_p

    rows = table(RESULTS / "train_depth.csv")
    reach = max(numbers(rows, "six_xi_c", setting=worse)[0], 29)
    depths = [depth for depth in dict.fromkeys(row["depth"] for row in rows) if int(depth) > reach]
    assert depths
    edge, off = (
        np.mean([numbers(rows, "train_accuracy", setting=name, depth=depth) for depth in depths], axis=0) for name in ("tanh, edge", worse)
    )
    assert 6 * paired_p(edge, off) < 0.01


@pytest.mark.parametrize("name", ["depth", "sizes", "glorot", "pretrained", "shaped"])
def test_page_shows_the_claims_of_the_table(name):
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    size = "_full" if name == "sizes" else ""
    for row in table(RESULTS / f"train_{name}_claims{size}.csv"):
        verdict = "holds" if float(row["p_holm"]) < 0.01 else "does not hold here"
        assert re.search(rf"\| {re.escape(row['claim'])} \|.*\| {float(row['p_holm']):.2g} \| {verdict}", page), row["claim"]


def test_committed_claims_are_those_of_the_pairs():
    from training.evidence import claims

    rows = table(RESULTS / "train_glorot.csv")

    def right(activation, scheme):
        return 1 - np.array(numbers(rows, "test_error_percent", activation=activation, scheme=scheme, hidden_layers="5")) / 100

    found = claims(
        {
            "normalized beats standard for tanh": (right("tanh", "normalized"), right("tanh", "standard")),
            "normalized beats standard for softsign": (right("softsign", "normalized"), right("softsign", "standard")),
            "tanh, standard, beats sigmoid, standard": (right("tanh", "standard"), right("sigmoid", "standard")),
            "softsign, standard, beats tanh, standard": (right("softsign", "standard"), right("tanh", "standard")),
        }
    )
    kept = {row["claim"]: float(row["p_holm"]) for row in table(RESULTS / "train_glorot_claims.csv")}
    assert kept == {item.statement: pytest.approx(item.p, rel=1e-4) for item in found}


def test_committed_claims_on_shaped_networks_are_those_of_the_pairs():
    from training.evidence import claims

    rows = table(RESULTS / "train_shaped.csv")
    right = {
        (name, way): np.array(numbers(rows, "train_accuracy", activation=name, way=way))
        for name in ("gelu", "silu", "softplus", "leaky_relu")
        for way in ("TAT", "DKS", "He")
    }
    found = claims(
        {f"{name}: shaped ({way}) trains where He's does not": (right[name, way], right[name, "He"]) for name, way in right if way != "He"}
    )
    kept = {row["claim"]: float(row["p_holm"]) for row in table(RESULTS / "train_shaped_claims.csv")}
    assert kept == {item.statement: pytest.approx(item.p, rel=1e-4) for item in found}


SHAPES = ("MLP, 50 layers", "MLP, 100 layers", "CNN, 50 layers", "residual MLP, 100 layers")
WAYS = ("meanfield", "torch", "Kaiming", "Xavier", "LSUV")
EXTRA = {"MLP, 50 layers": "meanfield, orthogonal", "CNN, 50 layers": "meanfield, measured", "residual MLP, 100 layers": "Fixup"}
PHI = ("tanh", "gelu", "silu", "mish", "relu")


def initialised_right(rows, shape, activation, way):
    """Shares of 360 test images, of which the table has five digits, by seed."""
    found = numbers(rows, "test_accuracy", architecture=shape, activation=activation, way=way)
    assert len(found) == 5
    counts = np.round(360 * np.array(found))
    assert counts / 360 == pytest.approx(found, rel=1e-4)
    return counts / 360


def test_page_shows_the_accuracies_of_initialisations():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_initialisations.csv")
    for shape, activation in product(SHAPES, PHI):
        ways = [*WAYS, *([EXTRA[shape]] if shape in EXTRA else [])]
        each = [100 * initialised_right(rows, shape, activation, way) for way in ways]
        cells = [f"{found.mean():.1f} ± {found.std(ddof=1):.1f}" for found in each] + (["–"] if shape not in EXTRA else [])
        assert f"| {shape}, {activation} | {' | '.join(cells)} |" in page
    for shape in SHAPES:
        ways = [*WAYS, *([EXTRA[shape]] if shape in EXTRA else [])]
        means = [f"{100 * np.mean([initialised_right(rows, shape, name, way) for name in PHI]):.1f}" for way in ways]
        assert f"| {shape} | {' | '.join([*means, *(['–'] if shape not in EXTRA else [])])} |" in page


def test_committed_comparisons_of_initialisations_are_those_of_the_pairs():
    """The kept comparisons against the kept accuracies, by hand and by the script; each row is on the page."""
    import train_initialisations as script
    from training.evidence import comparisons

    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_initialisations.csv")

    def pooled(shapes, activations, way):
        return np.concatenate([initialised_right(rows, shape, name, way) for shape in shapes for name in activations])

    groups = {}
    for shape in SHAPES:
        for rival in (*WAYS[1:], *(["Fixup"] if shape.startswith("residual") else [])):
            groups[f"{shape}: meanfield, {rival}"] = (pooled([shape], PHI, "meanfield"), pooled([shape], PHI, rival))
    for name, rival in product(PHI, WAYS[1:]):
        groups[f"{name}, plain: meanfield, {rival}"] = (pooled(SHAPES[:3], [name], "meanfield"), pooled(SHAPES[:3], [name], rival))
    for shape in ("MLP, 50 layers", "CNN, 50 layers"):
        groups[f"{shape}: {EXTRA[shape]}, LSUV"] = (pooled([shape], PHI, EXTRA[shape]), pooled([shape], PHI, "LSUV"))
    by_hand = {item.statement: item for item in comparisons(groups)}
    results = []
    for (architecture, further), activation in product(script.SIZES["default"].architectures, PHI):
        for way in (*WAYS, *([further] if further else [])):
            right = initialised_right(rows, str(architecture), activation, way)
            results.append(script.Trained(architecture, activation, way, 0.0, (0, 1, 2, 3, 4), right, right, right))
    again = {item.statement: item for item in script.tested(results)}
    assert again.keys() == by_hand.keys()
    kept = {row["comparison"]: row for row in table(RESULTS / "train_initialisations_comparisons.csv")}
    assert kept.keys() == by_hand.keys()
    for statement, item in by_hand.items():
        assert again[statement].p == pytest.approx(item.p, rel=1e-12)
        row = kept[statement]
        assert [float(row[key]) for key in ("first", "second", "p_holm", "detectable")] == pytest.approx(
            [item.first, item.second, item.p, item.detectable], rel=1e-3
        )
        p, reach = float(row["p_holm"]), float(row["detectable"])
        verdict = {"first": "the first", "second": "the second", "neither": f"undecided; {reach:.3f}"}[item.ahead]
        assert f"| {statement} | {item.first:.3f}, {item.second:.3f} | {p:.2g} | {verdict} |" in page


def test_tanh_saturates_layer_after_layer_and_softsign_does_not():
    rows = table(RESULTS / "train_saturation.csv")
    tanh = numbers(rows, "saturated_share", activation="tanh", scheme="standard", rate="0.03", step="40000")
    softsign = numbers(rows, "saturated_share", activation="softsign", step="40000")
    assert tanh[0] > 2 * tanh[1] > 3 * tanh[2] > 0.3
    assert max(softsign[1:]) < 1e-3
    early = numbers(rows, "saturated_share", activation="tanh", scheme="standard", rate="0.03", step="1000")
    assert early[0] > 0.3 > 0.005 > max(early[1:])


def test_weight_gradients_are_level_at_the_start_where_the_back_propagated_ones_fall():
    rows = table(RESULTS / "train_saturation.csv")
    at = {"activation": "tanh", "scheme": "standard", "rate": "0.03", "step": "0"}
    weights, back = (np.array(numbers(rows, f"{name}_deviation", **at)) for name in ("weight_gradient", "gradient"))
    assert weights.max() / weights.min() < 1.15
    assert back[-1] / back[0] > 10


def test_page_shows_the_errors_of_the_table():
    """Each mean ± deviation in the page's error table is that of the CSV beside it."""
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = table(RESULTS / "train_glorot.csv")
    for activation in ("sigmoid", "tanh", "softsign"):
        for scheme in ("standard", "normalized"):
            errors = [
                float(row["test_error_percent"])
                for row in rows
                if (row["activation"], row["scheme"], row["hidden_layers"]) == (activation, scheme, "5")
            ]
            assert len(errors) >= 3
            assert re.search(rf"\| {activation}, {scheme} \|.*{np.mean(errors):.1f} ± {np.std(errors, ddof=1):.1f}", page)
