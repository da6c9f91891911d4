"""Published image files are read as what they are, and what is damaged or hostile is refused by its name, with nothing run."""

from __future__ import annotations

import csv
import gzip
import os
import pickle
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(autouse=True)
def _scripts_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def refused(path: Path, reader, why: str) -> None:
    with pytest.raises(mf.DomainError, match=why) as found:
        reader(path)
    assert path.name in str(found.value)


# MNIST


def idx(numbers: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([numbers.ndim]) + struct.pack(f">{numbers.ndim}I", *numbers.shape) + numbers.tobytes()


def write_mnist(folder: Path, ending: dict[str, str] | None = None) -> dict[str, np.ndarray]:
    stream = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 30), ("t10k", 10)):
        arrays[f"{part}-images-idx3"] = stream.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1"] = stream.integers(0, 10, count, dtype=np.uint8)
    for name, numbers in arrays.items():
        packed = (ending or {}).get(name, "")
        (folder / f"{name}-ubyte{packed}").write_bytes(gzip.compress(idx(numbers)) if packed == ".gz" else idx(numbers))
    return arrays


def test_mnist_from_a_folder(tmp_path):
    from training.image_files import mnist

    arrays = write_mnist(tmp_path, {"train-images-idx3": ".gz", "t10k-labels-idx1": ".gz"})
    for found, expected in zip(mnist(tmp_path), arrays.values(), strict=True):
        np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_names_with_a_dot_and_packed_files_without_an_ending(tmp_path):
    from training.image_files import mnist, read_idx

    arrays = write_mnist(tmp_path)
    for name in arrays:
        (tmp_path / f"{name}-ubyte").rename(tmp_path / f"{name.replace('-idx', '.idx')}-ubyte")
    assert mnist(tmp_path)[0].shape == (30, 784)
    (tmp_path / "packed").write_bytes(gzip.compress(idx(arrays["t10k-labels-idx1"])))
    np.testing.assert_array_equal(read_idx(tmp_path / "packed"), arrays["t10k-labels-idx1"])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no idx file.*begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47"),
        (b"\0\0\x09\x01\0\0\0\x01\0", "is no idx file of unsigned bytes"),  # signed ones
        (b"\0\0\x08\0", "is no idx file"),
        (b"\0\0\x08\x03\0\0\0\x01", "cut short within the lengths of its 3 axes"),
        (b"\0\0\x08\x01\0\0\0\x09\0", "has less than the 9 numbers"),
        (b"\0\0\x08\x01\0\0\0\x01\0\0", "has more than the 1 numbers"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "promises 18446744065119617025 numbers"),  # overflows 64 bits with a sign
        (b"\0\0\x08\x04" + b"\0\1\0\0" * 4, "promises 18446744073709551616 numbers"),  # 2⁶⁴, which is 0 in 64 bits
        (b"\0\0\x08\x03" + b"\0\1\0\0" * 3, "promises"),
        (b"\0\0\x08\xff" + b"\0\0\0\x02" * 255, "promises"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x09", mtime=0)[:-12], "can't be read"),
        (gzip.compress(idx(np.zeros(5000, np.uint8)), mtime=0)[:-9], "can't be read|has less"),
        (b"\x1f\x8b\x08" + bytes(40), "can't be read"),
        (b"\x1f\x8b", "can't be read"),
    ],
)
def test_damaged_idx_file_is_named(tmp_path, content, why):
    from training.image_files import read_idx

    (tmp_path / "labels.bin").write_bytes(content)
    refused(tmp_path / "labels.bin", read_idx, why)


def test_what_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    """A megabyte that gzip would make a gigabyte of: no more is unpacked than its head promises."""
    from training.image_files import read_idx

    pack = zlib.compressobj(9, wbits=31)
    block = bytes(2**20)
    content = pack.compress(idx(np.zeros(4, np.uint8))) + b"".join(pack.compress(block) for _ in range(1024)) + pack.flush()
    assert len(content) < 2**21
    (tmp_path / "bomb.gz").write_bytes(content)
    tracemalloc.start()
    try:
        refused(tmp_path / "bomb.gz", read_idx, "has more than the 4 numbers")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_images_and_labels_that_do_not_go_together(tmp_path):
    from training.image_files import mnist

    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    refused(tmp_path / "t10k-labels-idx1-ubyte", lambda _: mnist(tmp_path), r"labels of shape \(9,\).*\(10, 28, 28\)")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((10, 784), np.uint8)))
    refused(tmp_path / "t10k-images-idx3-ubyte", lambda _: mnist(tmp_path), "images are")
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    refused(tmp_path, mnist, "holds no t10k-images-idx")


# CIFAR-10


def short(text: bytes) -> bytes:
    """A string of Python 2: a step U, its length in a byte, the bytes."""
    return b"U" + bytes([len(text)]) + text


def number(value: int) -> bytes:
    return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value) if value < 65536 else b"J" + struct.pack("<i", value)


def batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """Step by step what the published files hold: a pickle of protocol 2, written by Python 2 with an early numpy.

    {"batch_label": …, "labels": [6, 9, …], "data": array of uint8, "filenames": […]}.
    """
    rows, columns = pixels.shape
    memo = iter(range(1, 256))

    def put() -> bytes:
        return b"q" + bytes([next(memo)])

    words = b"\x80\x02}" + put() + b"("
    words += short(b"batch_label") + put() + short(b"training batch 1 of 5") + put()
    words += short(b"labels") + put() + b"]" + put() + b"(" + b"".join(number(label) for label in labels) + b"e"
    words += short(b"data") + put() + b"cnumpy.core.multiarray\n_reconstruct\n" + put() + b"cnumpy\nndarray\n" + put()
    words += number(0) + b"\x85" + put() + short(b"b") + b"\x87R" + put()
    words += b"(" + number(1) + number(rows) + number(columns) + b"\x86" + b"cnumpy\ndtype\n" + put() + short(b"u1") + number(0) + number(1)
    words += b"\x87R" + put() + b"(" + number(3) + short(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + number(0) + b"tb\x89"
    words += b"T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    words += short(b"filenames") + put() + b"]" + put() + b"("
    return words + b"".join(short(f"leptodactylus_s_{i:06}.png".encode()) for i in range(rows)) + b"eu."


def few(rows: int = 4) -> tuple[np.ndarray, list[int]]:
    stream = np.random.default_rng(rows)
    return stream.integers(0, 256, (rows, 3072), dtype=np.uint8), stream.integers(0, 10, rows).tolist()


def test_fixture_is_a_pickle_as_published():
    """Python's own reader, to which our own bytes may be given, finds the same in it."""
    pixels, labels = few()
    found = pickle.loads(batch(pixels, labels), encoding="bytes")
    assert list(found) == [b"batch_label", b"labels", b"data", b"filenames"]
    np.testing.assert_array_equal(found[b"data"], pixels)
    assert found[b"labels"] == labels


def test_cifar_from_a_folder(tmp_path):
    from training.image_files import cifar10

    parts = {f"data_batch_{part}": few(part + 1) for part in range(1, 6)}
    parts["test_batch"] = few(9)
    for name, (pixels, labels) in parts.items():
        (tmp_path / name).write_bytes(batch(pixels, labels))
    found = cifar10(tmp_path)
    np.testing.assert_array_equal(found[0], np.concatenate([parts[f"data_batch_{part}"][0] for part in range(1, 6)]))
    np.testing.assert_array_equal(found[1], np.concatenate([parts[f"data_batch_{part}"][1] for part in range(1, 6)]))
    np.testing.assert_array_equal(found[2], parts["test_batch"][0])
    np.testing.assert_array_equal(found[3], parts["test_batch"][1])
    (tmp_path / "test_batch").unlink()
    refused(tmp_path, cifar10, "holds no data_batch_1")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", [3, 4])
def test_batches_written_again_by_python_3(tmp_path, protocol, order):
    from training.image_files import read_cifar_batch

    pixels, labels = few()
    content = {b"labels": labels, b"data": np.array(pixels, order=order), b"filenames": [b"a.png"] * 4}
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content, protocol=protocol))
    found, classes = read_cifar_batch(tmp_path / "data_batch_1")
    np.testing.assert_array_equal(found, pixels)
    assert classes.tolist() == labels


class Runs:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


class Shouts:
    def __init__(self, call) -> None:
        self.call = call

    def __reduce__(self):
        return self.call


# 2⁶⁰ leaves: to hash it, to print it or to walk through it takes for ever.
TUPLES = b"N" + b"q\x00h\x00\x86" * 60
USES = {
    "as a key": (b"}", b"K\x01s."),
    "called": (b"", b"K\x01\x85R."),
    "as arguments": (b"cnumpy\ndtype\n", b"R."),
    "as a batch": (b"", b"."),
    "as labels": (b"}U\x06labels", b"s."),
    "as a state": (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x85R", b"b."),
    "as a shape": (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x85R(K\x01", b"cnumpy\ndtype\nU\x02u1\x85R\x89U\x00tb."),
}


def hostile(folder: Path) -> dict[str, bytes]:
    mark = folder / "ran"
    pixels, labels = few()
    good = batch(pixels, labels)
    inside = {b"labels": labels, b"data": Runs(mark)}
    return {
        "os.system, by hand": b"\x80\x02cos\nsystem\nU" + bytes([len(f"mkdir {mark}")]) + f"mkdir {mark}".encode() + b"\x85R.",
        "posix.system, protocol 0": f"cposix\nsystem\n(S'mkdir {mark}'\ntR.".encode(),
        **{f"mkdir, protocol {protocol}": pickle.dumps(Runs(mark), protocol) for protocol in range(6)},
        **{f"mkdir inside, protocol {protocol}": pickle.dumps(inside, protocol) for protocol in (2, 4, 5)},
        "eval": pickle.dumps(Shouts((eval, (f"__import__('os').mkdir({str(mark)!r})",))), 2),
        "a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.__new__\x93.",
        "ndarray called": b"\x80\x02cnumpy\nndarray\nK\x05\x85R.",
        "numpy.load": b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
        "objects in the array": good.replace(short(b"u1"), short(b"O8")),
        "floats in the array": good.replace(short(b"u1"), short(b"f8")),
        "a larger shape": good.replace(b"M\x00\x0c\x86", b"J\x00\x00\x00\x7f\x86"),
        "a negative shape": good.replace(b"K\x04M\x00\x0c\x86", b"J\xfc\xff\xff\xffM\x00\x0c\x86"),
        "a row too few": good.replace(b"K\x04M\x00\x0c\x86", b"K\x02M\x00\x18\x86"),
        "an instance": b"\x80\x02(cos\nsystem\nU\x04trueo.",
        "inst": b"(S'true'\nios\nsystem\n.",
        "newobj": b"\x80\x02cnumpy\nndarray\nK\x05\x85\x81.",
        "a persistent id": b"\x80\x02U\x01xQ.",
        "an extension": b"\x80\x02\x82\x01.",
        "a memo of gigabytes": b"\x80\x02}r\xff\xff\xff\xff(K\x01K\x01u.",
        "bytes of 2⁶² ": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        "bytes of a negative length": b"\x80\x02T\xff\xff\xff\xffx.",
        "a list of itself": b"\x80\x02]q\x01h\x01a.",
        "only marks": b"\x80\x02" + b"(" * 100_000 + b".",
        "nested lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
        **{f"tuples of tuples, {name}": b"\x80\x02" + start + TUPLES + end for name, (start, end) in USES.items()},
        "a key a hundred thousand tuples deep": b"\x80\x02}N" + b"\x85" * 100_000 + b"K\x01s.",
        "a hundred thousand axes": good.replace(b"K\x04M\x00\x0c\x86", b"(" + b"J\xff\xff\xff\x7f" * 100_000 + b"t"),
        "a state for a list": b"\x80\x02]}b.",
        "items into a number": b"\x80\x02K\x01K\x02K\x03s.",
        "nothing to take": b"\x80\x02\x87.",
        "no memo": b"\x80\x02h\x05.",
        "a number": b"\x80\x02K\x01.",
        "an empty dictionary": b"\x80\x02}.",
        "an unhashable key": b"\x80\x02}]K\x01s.",
        "no stop": good[:-1],
        "half of it": good[: len(good) // 2],
        "empty": b"",
        "text": b"not a pickle at all",
        "labels that are words": good.replace(b"K" + bytes([labels[0]]), b"U\x01", 1),
        "a label too large": good.replace(b"e" + short(b"data"), b"K\x0a" + b"e" + short(b"data")),
        "label 10": batch(pixels, [*labels[:-1], 10]),
        "a label too few": batch(pixels, labels[:-1]),
        "no images": batch(pixels[:0], []),
        "a column too few": batch(pixels[:, 1:], labels),
    }


@pytest.mark.parametrize("name", hostile(Path("/nowhere")))
def test_hostile_batch_is_named_and_nothing_is_run(tmp_path, name):
    from training.image_files import read_cifar_batch

    (tmp_path / "data_batch_1").write_bytes(hostile(tmp_path)[name])
    tracemalloc.start()
    try:
        refused(tmp_path / "data_batch_1", read_cifar_batch, "data_batch_1: (is no batch of CIFAR-10|has )")
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["data_batch_1"]


def test_hostile_pickles_would_run_otherwise(tmp_path):
    """What the test above can see: Python's own reader does run the same bytes."""
    pickle.loads(hostile(tmp_path)["mkdir, protocol 2"])
    assert (tmp_path / "ran").is_dir()


def test_every_cut_of_a_batch_is_refused(tmp_path):
    from training.image_files import read_cifar_batch

    pixels, labels = few(2)
    whole = batch(pixels, labels)
    cuts = [*range(0, 300, 7), *range(300, len(whole), 501), *range(len(whole) - 60, len(whole))]
    for cut in cuts:
        (tmp_path / "data_batch_2").write_bytes(whole[:cut])
        refused(tmp_path / "data_batch_2", read_cifar_batch, "is no batch of CIFAR-10")


def test_changed_bytes_never_do_more_than_be_refused(tmp_path):
    """Five hundred batches with a few steps changed by chance: images of the right shape, or the error that is meant for it."""
    from training.image_files import read_cifar_batch

    stream = np.random.default_rng(5)
    pixels, labels = few(1)
    whole = batch(pixels, labels)
    steps = np.r_[0:250, len(whole) - 60 : len(whole)]
    for _ in range(500):
        damaged = bytearray(whole)
        for place in stream.choice(steps, 3):
            damaged[place] = stream.integers(256)
        (tmp_path / "data_batch_3").write_bytes(damaged)
        try:
            found, _ = read_cifar_batch(tmp_path / "data_batch_3")
        except mf.DomainError:
            continue
        assert found.shape[1] == 3072


# Pictures


def write_pictures(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    stream = np.random.default_rng(0)
    for part, count in (("train", 3), ("test", 2)):
        for name in ("birds", "tools"):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                levels = stream.integers(0, 256, (50 + i, 40, 3), dtype=np.uint8)
                image.fromarray(levels).save(folder / part / name / f"{i}.{'png' if i else 'jpg'}")


def test_pictures_from_a_folder(tmp_path):
    from training.image_files import SMALL_SIDE, picture_folder, read_picture

    write_pictures(tmp_path)
    train, labels, test, test_labels = picture_folder(tmp_path)
    assert (train.shape, test.shape) == ((6, SMALL_SIDE**2), (4, SMALL_SIDE**2))
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test_labels.tolist() == [0, 0, 1, 1]
    image = pytest.importorskip("PIL.Image")
    flat = np.full((60, 60, 3), (10, 20, 30), dtype=np.uint8)
    image.fromarray(flat).save(tmp_path / "flat.png")
    assert set(read_picture(tmp_path / "flat.png").tolist()) == {round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)}


def test_damaged_pictures_are_named(tmp_path):
    from training.image_files import picture_folder, read_picture

    write_pictures(tmp_path)
    good = (tmp_path / "train" / "birds" / "1.png").read_bytes()
    wide = (
        good[:16]
        + struct.pack(">II", 100_000, 100_000)
        + good[24:29]
        + struct.pack(">I", zlib.crc32(b"IHDR" + struct.pack(">II", 100_000, 100_000) + good[24:29]))
    )
    cases = {
        "cut.png": good[: len(good) // 2],
        "empty.png": b"",
        "text.jpg": b"no picture",
        "other.jpg": good,  # a PNG that is called a JPEG
        "wide.png": wide + good[33:],
        "program.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(out) (w) file\n",  # which a larger reader would run
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, read_picture, "can't be read as a picture|at most")
    refused(tmp_path / "page.eps", read_picture, "is no picture of a kind that is read")
    (tmp_path / "train" / "tools" / "9.png").write_bytes(good[:100])
    refused(tmp_path / "train" / "tools" / "9.png", lambda _: picture_folder(tmp_path), "can't be read")
    refused(tmp_path / "test", picture_folder, "has 0 folders train/CLASS")


def test_scripts_take_them(tmp_path):
    """All three as inputs with |a|²/d = 1."""
    torch = pytest.importorskip("torch", reason="the training scripts need PyTorch: pip install '.[torch]'")
    from training.command import image_parser
    from training.images import images

    write_mnist(tmp_path)
    write_pictures(tmp_path)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(batch(*few()))
    sizes = {"--mnist": (30, 784), "--cifar": (4, 3072), "--folder": (6, 37**2)}
    for option, shape in sizes.items():
        data = images(image_parser(None).parse_args([option, str(tmp_path)]), torch.device("cpu"))
        assert data.inputs.shape == shape
        assert torch.allclose((data.inputs**2).mean(dim=1), torch.ones(shape[0]), atol=1e-4)


def test_a_script_ends_with_the_error_and_no_traceback(tmp_path, capsys):
    pytest.importorskip("torch", reason="the training scripts need PyTorch: pip install '.[torch]'")
    from training.command import run
    from training.image_files import mnist

    with pytest.raises(SystemExit, match="holds no train-images-idx"):
        run(lambda words: mnist(tmp_path))


def test_glorots_networks_learn_them(tmp_path, monkeypatch):
    """The other columns of the paper's table 1: the script runs to its end on each, with as many inputs and classes as they have."""
    torch = pytest.importorskip("torch", reason="the training scripts need PyTorch: pip install '.[torch]'")
    import train_glorot

    threads = torch.get_num_threads()
    sizes = {}
    networks = train_glorot.networks
    monkeypatch.setattr(train_glorot, "networks", lambda widths, *rest: sizes.setdefault(option, widths) and networks(widths, *rest))
    write_mnist(tmp_path)
    write_pictures(tmp_path)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(batch(*few()))
    for option in ("--mnist", "--cifar", "--folder"):
        out = tmp_path / f"out{option}"
        train_glorot.main(["--smoke", "--seeds", "1", "--cores", "1", "--device", "cpu", option, str(tmp_path), "--out", str(out)])
        assert (out / "train_glorot_smoke.png").read_bytes().startswith(b"\x89PNG")
        with (out / "train_glorot_smoke.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12  # 2 depths, 3 activations, 2 schemes
        assert not any(row["published_percent"] for row in rows)
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)
    classes = {option: widths[-1] for option, widths in sizes.items()}
    assert {option: widths[0] for option, widths in sizes.items()} == {"--mnist": 784, "--cifar": 3072, "--folder": 37**2}
    assert classes["--folder"] == 2


def test_glorots_inputs_are_scaled_as_the_images_to_learn_from(tmp_path):
    torch = pytest.importorskip("torch", reason="the training scripts need PyTorch: pip install '.[torch]'")
    from train_glorot import local_shapes
    from training.image_files import mnist

    write_mnist(tmp_path)
    pixels, labels, held_out, classes = mnist(tmp_path)
    data = local_shapes("these", (pixels, labels, held_out, classes), torch.device("cpu"))
    np.testing.assert_allclose(data.test, (held_out - pixels.mean()) / pixels.std(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(data.classes, classes)
    inputs, given = data.drawn([0, 1], 30)(0)
    for member in (0, 1):
        order = [int(np.flatnonzero(np.all(np.isclose(data.scaled(pixels), row, atol=1e-5), axis=1))[0]) for row in inputs[member]]
        assert sorted(order) == list(range(30))
        np.testing.assert_array_equal(given[member], labels[order])
    assert data.kinds == max(labels.max(), classes.max()) + 1
