"""Published image files: MNIST's idx, CIFAR-10's pickled batches, and folders of pictures. What they hold is data: nothing in them is run.

A file that is cut short, of another kind, or made to do harm gets a ``DomainError`` that names it. Nothing is read beyond what the
head of a packed file promises, and no promise beyond ``LARGEST`` bytes is believed.
"""

from __future__ import annotations

import gzip
import io
import pickletools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import DomainError

LARGEST = 2**29  # bytes in one file, unpacked; MNIST's largest has 47 million, a batch of CIFAR-10 31 million
CIFAR_SHAPE = (3, 32, 32)
SMALL_SIDE = 37  # of the pictures in Small-ImageNet, section 2.2 of Glorot & Bengio (2010)
LARGEST_PICTURE = 2**26  # pixels
_BROKEN_PICTURE = (OSError, ValueError, SyntaxError, EOFError, zlib.error, struct.error)  # what decoders raise
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".pgm": "PPM", ".ppm": "PPM"}

Bytes = NDArray[np.uint8]


def _refuse(path: Path, why: str) -> NoReturn:
    raise DomainError(f"{path}: {why}")


# MNIST


def read_idx(path: Path) -> Bytes:
    """One idx file of unsigned bytes, packed by gzip or not: 0, 0, 8, the number of axes, their lengths, the numbers."""
    try:
        with path.open("rb") as plain, _unpacked(plain) as file:
            return _idx(path, file)
    except (OSError, EOFError, zlib.error) as error:
        _refuse(path, f"can't be read: {error}")


def _unpacked(file: BinaryIO) -> BinaryIO:
    """By its first two bytes; a name can say anything."""
    start = file.read(2)
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if start == b"\x1f\x8b" else file


def _idx(path: Path, file: BinaryIO) -> Bytes:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != 8 or magic[3] == 0:
        _refuse(path, f"is no idx file of unsigned bytes: it begins with {magic.hex(' ') or 'nothing'}, not 00 00 08 and a number of axes")
    head = file.read(4 * magic[3])
    if len(head) < 4 * magic[3]:
        _refuse(path, f"is cut short within the lengths of its {magic[3]} axes")
    shape = struct.unpack(f">{magic[3]}I", head)
    size = prod(shape)  # of Python's integers: this can't overflow
    if size > LARGEST:
        _refuse(path, f"promises {size} numbers, shape {shape}; at most {LARGEST} are read")
    data = file.read(size + 1)  # one more, to see that nothing follows
    if len(data) != size:
        _refuse(path, f"has {'more' if len(data) > size else 'less'} than the {size} numbers that its head promises, shape {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def mnist(folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Images (n, 28·28) and labels (n,), for training and for testing, from the four files in a folder."""
    found = []
    for part in ("train", "t10k"):
        images, labels = (_mnist_file(folder, f"{part}-{what}") for what in ("images", "labels"))
        pixels, classes = read_idx(images), read_idx(labels)
        if pixels.ndim != 3 or 0 in pixels.shape:
            _refuse(images, f"holds numbers of shape {pixels.shape}; images are (count, rows, columns)")
        if classes.shape != pixels.shape[:1]:
            _refuse(labels, f"has labels of shape {classes.shape}, which don't go with images of shape {pixels.shape} in {images.name}")
        found += [pixels.reshape(len(pixels), -1), classes]
    return found[0], found[1], found[2], found[3]


def _mnist_file(folder: Path, stem: str) -> Path:
    """train-images-idx3-ubyte, with a dot before idx or not, packed or not."""
    found = sorted(path for path in folder.glob(f"{stem}*idx*ubyte*") if path.suffix in ("", ".gz") or "idx" in path.suffix)
    if not found:
        _refuse(folder, f"holds no {stem}-idx…-ubyte or {stem}-idx…-ubyte.gz, as MNIST's files are called")
    return found[0]


# CIFAR-10


def cifar10(folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Images (n, 3072), a plane for each colour, and labels (n,), for training and for testing, from CIFAR-10's "python version"."""
    batches = sorted(path for path in folder.glob("data_batch_*") if path.suffix == "")
    if not batches or not (folder / "test_batch").is_file():
        _refuse(folder, "holds no data_batch_1 … and test_batch, as the files of CIFAR-10's python version are called")
    read = [read_cifar_batch(path) for path in batches]
    pixels, labels = (np.concatenate([batch[part] for batch in read]) for part in (0, 1))
    return pixels, labels, *read_cifar_batch(folder / "test_batch")


def read_cifar_batch(path: Path) -> tuple[Bytes, Bytes]:
    """One pickled batch: images (n, 3072) and labels (n,). The pickle is read as data; see ``_unpickled``."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            _refuse(path, f"has {size} bytes; at most {LARGEST} are read")
        batch = _unpickled(path.read_bytes())
    except _Unfit as error:
        _refuse(path, f"is no batch of CIFAR-10: {error}")
    except OSError as error:
        _refuse(path, f"can't be read: {error}")
    if not isinstance(batch, dict):
        _refuse(path, "is no batch of CIFAR-10: it does not hold a dictionary")
    entries = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        _refuse(path, "is no batch of CIFAR-10: it has no 'data' and 'labels'")
    columns = prod(CIFAR_SHAPE)
    if len(data.shape) != 2 or data.shape[1] != columns or len(labels) != data.shape[0] or not labels:
        _refuse(path, f"has data of shape {data.shape} and {len(labels)} labels; a batch has as many labels as rows of {columns}")
    if not all(isinstance(label, int) and 0 <= label < 10 for label in labels):
        _refuse(path, "has labels other than the integers from 0 to 9")
    pixels = np.frombuffer(data.numbers, np.uint8).reshape(data.shape, order="F" if data.by_columns else "C")
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.uint8)


class _Unfit(Exception):
    """A pickle that holds something which no batch holds."""


@dataclass
class _Array:
    """What a pickle says of an array of bytes. No numpy object is made while it is read."""

    shape: tuple[int, ...] = ()
    numbers: bytes = b""
    by_columns: bool = False


@dataclass(frozen=True)
class _Name:
    """A global that a pickle asks for, as a name alone. Nothing is imported."""

    module: str
    name: str


class _Kind:
    """A dtype: of unsigned bytes, or the reading ends."""


_RECONSTRUCT = {_Name(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")}
_NDARRAY, _DTYPE = _Name("numpy", "ndarray"), _Name("numpy", "dtype")
_MARK = object()


def _unpickled(data: bytes) -> object:
    """What a pickle of dictionaries, lists, numbers, words and arrays of bytes holds.

    ``pickle`` would run what a file asks for. Here the file's steps are listed by ``pickletools``, which runs nothing, and followed
    on a stack of plain values. Of globals three names are known, numpy's for arrays, and they are only compared with. Any other step,
    name or argument ends the reading.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name == "STOP":
                if len(stack) != 1:
                    raise _Unfit("its stack is not empty at the end")
                return stack[0]
            step = _STEPS.get(opcode.name)
            if step is None:
                raise _Unfit(f"it has a step {opcode.name}, which batches don't have")
            step(stack, memo, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _Unfit(f"it is cut short or damaged ({error})") from None
    raise _Unfit("it is cut short")


def _push(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    stack.append(argument)


def _constant(make: Callable[[], object]) -> Callable[[list[Any], dict[int, Any], Any], None]:
    return lambda stack, memo, argument: stack.append(make())


def _put(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    memo[len(memo) if argument is None else argument] = stack[-1]


def _get(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    stack.append(memo[argument])


def _above_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
        if place < 0:
            raise _Unfit("a mark is missing")
    found = stack[place + 1 :]
    del stack[place:]
    return found


def _tuple_of(count: int) -> Callable[[list[Any], dict[int, Any], Any], None]:
    def step(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
        items = tuple(stack[len(stack) - count :])
        if len(items) != count:
            raise _Unfit("a tuple's items are missing")
        del stack[len(stack) - count :]
        stack.append(items)

    return step


def _append(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    item = stack.pop()
    _plain(stack[-1], list).append(item)


def _appends(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    items = _above_mark(stack)
    _plain(stack[-1], list).extend(items)


def _set_item(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    value, key = stack.pop(), stack.pop()
    _plain(stack[-1], dict)[_word(key)] = value


def _set_items(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    items = _above_mark(stack)
    _plain(stack[-1], dict).update(zip(map(_word, items[::2]), items[1::2], strict=True))


def _word(key: Any) -> Any:
    # Tuples within tuples could be keys too deep, or too many times over, to be hashed.
    if not isinstance(key, (bytes, str)):
        raise _Unfit(f"it has a key that is a {type(key).__name__}")
    return key


def _plain(thing: Any, kind: type) -> Any:
    if type(thing) is not kind:
        raise _Unfit(f"it puts items into a {type(thing).__name__}")
    return thing


def _global(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    if argument is None:  # STACK_GLOBAL, of newer protocols
        name, module = stack.pop(), stack.pop()
    else:
        module, _, name = argument.partition(" ")
    found = _Name(str(module), str(name))
    if found not in (*_RECONSTRUCT, _NDARRAY, _DTYPE):
        raise _Unfit(f"it asks for {found.module}.{found.name}, which batches don't need")
    stack.append(found)


def _call(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    arguments, function = stack.pop(), stack.pop()
    if not isinstance(function, _Name):
        raise _Unfit(f"it calls a {type(function).__name__}")
    if function in _RECONSTRUCT and arguments[0] == _NDARRAY:
        stack.append(_Array())
    elif function == _DTYPE and arguments[0] in (b"u1", "u1"):
        stack.append(_Kind())
    else:
        raise _Unfit(f"it calls {function.module}.{function.name} for something else than an array of bytes")


def _build(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    state, thing = stack.pop(), stack[-1]
    if isinstance(thing, _Kind):
        return  # the byte order and alignment of bytes
    if not isinstance(thing, _Array):
        raise _Unfit(f"it sets the state of a {type(thing).__name__}")
    _, shape, kind, by_columns, numbers = state
    if not isinstance(kind, _Kind) or not isinstance(numbers, bytes):
        raise _Unfit("its array is not one of bytes")
    if len(shape) != 2 or not all(type(length) is int and length >= 0 for length in shape):
        raise _Unfit("its array is not a table")
    if prod(shape) != len(numbers):
        raise _Unfit(f"its array of shape {shape} has {len(numbers)} numbers")
    thing.shape, thing.numbers, thing.by_columns = tuple(shape), numbers, bool(by_columns)


def _bytes(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    # pickletools hands out the strings of Python 2 as text, byte by byte.
    stack.append(argument.encode("latin-1") if isinstance(argument, str) else argument)


def _nothing(stack: list[Any], memo: dict[int, Any], argument: Any) -> None:
    """A frame or a protocol's number."""


_STEPS: dict[str, Callable[[list[Any], dict[int, Any], Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "BINUNICODE", "SHORT_BINUNICODE"), _push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"), _bytes),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _global),
    "NONE": _constant(lambda: None),
    "NEWTRUE": _constant(lambda: True),
    "NEWFALSE": _constant(lambda: False),
    "MARK": _constant(lambda: _MARK),
    "EMPTY_LIST": _constant(list),
    "EMPTY_DICT": _constant(dict),
    "EMPTY_TUPLE": _constant(tuple),
    "TUPLE": lambda stack, memo, argument: stack.append(tuple(_above_mark(stack))),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "REDUCE": _call,
    "BUILD": _build,
}


# Folders of pictures


def picture_folder(folder: Path, side: int = SMALL_SIDE) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Grey images (n, side²) and labels (n,), for training and for testing, from FOLDER/train/CLASS/… and FOLDER/test/CLASS/….

    Classes are the folders' names in alphabetical order, the same in both. Pictures are made grey and brought to one size, as
    Small-ImageNet is.
    """
    names = sorted(path.name for path in (folder / "train").glob("*") if path.is_dir())
    if not 2 <= len(names) <= 256:
        _refuse(folder, f"has {len(names)} folders train/CLASS; from 2 to 256 are needed, and the same ones in test")
    found = []
    for part in ("train", "test"):
        pixels, labels = [], []
        for number, name in enumerate(names):
            files = sorted(path for path in (folder / part / name).glob("*") if path.suffix.lower() in PICTURES)
            pixels += [read_picture(path, side) for path in files]
            labels += [number] * len(files)
        if not pixels:
            _refuse(folder / part, f"holds no pictures ({', '.join(PICTURES)}) in the folders of the classes {', '.join(names)}")
        found += [np.stack(pixels), np.array(labels, dtype=np.uint8)]
    return found[0], found[1], found[2], found[3]


def read_picture(path: Path, side: int = SMALL_SIDE) -> Bytes:
    """One picture as side² grey levels. Its name says its kind; another kind inside is refused."""
    from PIL import Image

    kind = PICTURES.get(path.suffix.lower())
    if kind is None:
        _refuse(path, f"is no picture of a kind that is read: {', '.join(PICTURES)}")
    try:
        with Image.open(path, formats=(kind,)) as picture:
            if picture.width * picture.height > LARGEST_PICTURE:  # said by its head; nothing is unpacked yet
                _refuse(path, f"has {picture.width} × {picture.height} pixels; at most {LARGEST_PICTURE} are read")
            grey = picture.convert("L").resize((side, side), Image.Resampling.BOX)
        return np.asarray(grey, dtype=np.uint8).ravel()
    except DomainError:
        raise
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        zlib.error,
        struct.error,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        _refuse(path, f"can't be read as a picture: {error}")
