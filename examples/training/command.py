"""What the scripts' command lines share: sizes, device, where the files go, progress, and a clean end at Ctrl-C."""

from __future__ import annotations

import argparse
import csv
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("training")
ROOT = Path(__file__).resolve().parents[2]


def parser(description: str | None) -> argparse.ArgumentParser:
    """--smoke, --full, --seeds, --device, --out."""
    words = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = words.add_mutually_exclusive_group()
    size.add_argument("--smoke", action="store_true", help="seconds: see that it runs; the numbers mean nothing")
    size.add_argument("--full", action="store_true", help="hours, or a GPU: the papers' sizes")
    words.add_argument("--seeds", type=_positive, help="networks for each setting")
    words.add_argument("--device", help="cpu, cuda, mps, …; a GPU is taken where there is one")
    words.add_argument("--out", type=Path, help="folder for the figure and the CSV, instead of docs/images and examples/results")
    return words


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is out of range: at least 1")
    return value


def size_name(given: argparse.Namespace) -> str:
    """Which of smoke, default and full was asked for."""
    return "smoke" if given.smoke else "full" if given.full else "default"


def device(given: argparse.Namespace) -> torch.device:
    """The device asked for, else a GPU, else the CPU with one thread."""
    name = given.device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise SystemExit(f"--device {name}: {str(error).splitlines()[0]}") from None
    if found.type == "cpu":
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)  # vanishing gradients are slow otherwise
    return found


def save(given: argparse.Namespace, name: str, figure: Figure, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """The figure as NAME.png and each table as CSV; either the whole file or none. Other sizes than the default get names of their own.

    With rates or depths of the caller's own they go to --out, or to the current folder: the pages' numbers are not overwritten.
    """
    size = size_name(given)
    suffix = "" if size == "default" else f"_{size}"
    own = any(getattr(given, name, None) for name in ("rates", "depths", "seeds", "mnist"))
    here = Path.cwd() if size == "smoke" or own else None
    images = given.out or here or ROOT / "docs" / "images"
    results = given.out or here or ROOT / "examples" / "results"
    for table, rows in tables.items():
        with whole_file(results / f"{table}{suffix}.csv") as place:
            _write(place, list(rows))
    with whole_file(images / f"{name}{suffix}.png") as place:
        figure.savefig(place, dpi=200, format="png")


def _write(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write to, that becomes ``path`` once all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    place = Path(name)
    try:
        yield place
        place.chmod(0o644)
        place.replace(path)
    finally:
        place.unlink(missing_ok=True)
    log.info("wrote %s", path)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A function to call at each step: a bar in a terminal, one line in the log elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        log.info("%s", label)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total)
        yield lambda: bars.advance(task)


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """The script's main function, with a log on the standard error and no traceback at Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    try:
        main(None)
    except KeyboardInterrupt:
        log.warning("stopped: files that were not complete were not written")
        raise SystemExit(130) from None
