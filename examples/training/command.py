"""What the scripts' command lines share: sizes, device, cores, where the files go, progress, and a clean end at Ctrl-C."""

from __future__ import annotations

import argparse
import csv
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from meanfield.errors import DomainError
from training.checkpoint import Kept
from training.cores import go_on
from training.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.progress import Progress

log = logging.getLogger("training")
ROOT = Path(__file__).resolve().parents[2]


def parser(description: str | None) -> argparse.ArgumentParser:
    """--smoke, --full, --seeds, --device, --out."""
    words = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = words.add_mutually_exclusive_group()
    size.add_argument("--smoke", action="store_true", help="seconds: see that it runs; the numbers mean nothing")
    size.add_argument(
        "--full", action="store_true", help="the papers' sizes: days on a CPU, hours on a GPU; each part says how long it takes"
    )
    words.add_argument("--seeds", type=_positive, help="networks for each setting")
    words.add_argument("--device", help="cpu, cuda, mps, …; a GPU is taken where there is one")
    words.add_argument("--cores", type=_positive, help="cores of a CPU to use at once, two if there are; the numbers are the same")
    words.add_argument("--out", type=Path, help="folder for the figure and the CSV, instead of docs/images and examples/results")
    return words


def image_parser(description: str | None) -> argparse.ArgumentParser:
    """With --mnist, --cifar and --folder: other images than those that a script has by default."""
    words = parser(description)
    other = words.add_mutually_exclusive_group()
    other.add_argument("--mnist", type=Path, metavar="FOLDER", help="learn MNIST, from its four idx files")
    other.add_argument("--cifar", type=Path, metavar="FOLDER", help="learn 10,000 images of CIFAR-10's python version")
    other.add_argument("--folder", type=Path, metavar="FOLDER", help="learn pictures in FOLDER/train/CLASS and FOLDER/test/CLASS")
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


def cores(given: argparse.Namespace, device: torch.device) -> int:
    """How many parts of a run go on at once: on a CPU those asked for, else two where there are two cores; on a GPU one."""
    if device.type != "cpu":
        return 1
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: int = given.cores or min(2, mine)
    return found


def save(given: argparse.Namespace, name: str, figure: Figure, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """The figure as NAME.png and each table as CSV; either the whole file or none. Other sizes than the default get names of their own."""
    size = size_name(given)
    suffix = "" if size == "default" else f"_{size}"
    images, results = _folders(given)
    for table, rows in tables.items():
        with whole_file(results / f"{table}{suffix}.csv") as place:
            _write(place, list(rows))
        log.info("wrote %s", results / f"{table}{suffix}.csv")
    with whole_file(images / f"{name}{suffix}.png") as place:
        figure.savefig(place, dpi=200, format="png")
    log.info("wrote %s", images / f"{name}{suffix}.png")


def kept(given: argparse.Namespace, name: str, size: object, device: torch.device, data: str) -> Kept:
    """Where this run keeps what it has reached. ``save`` it all first, then ``remove`` it."""
    found = Kept(_folders(given)[1], name, {"size": size, "device": device.type, "data": data, "torch": torch.__version__})
    if found.folder.exists():
        log.info("going on from what %s holds; remove it to begin again", found.folder)
    return found


def _folders(given: argparse.Namespace) -> tuple[Path, Path]:
    """For figures and for tables. With rates, depths, steps, seeds or data of the caller's own: --out, or the current folder.

    So the pages' numbers are not overwritten.
    """
    own = any(getattr(given, name, None) for name in ("rates", "depths", "steps", "seeds", "mnist", "cifar", "folder"))
    here = Path.cwd() if given.smoke or own else None
    return given.out or here or ROOT / "docs" / "images", given.out or here or ROOT / "examples" / "results"


def _write(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A function to call at each step: a bar in a terminal, and a line in the log at the end. It raises Stopped once the run has ended."""
    if not sys.stderr.isatty():
        yield go_on
    else:
        with _bars.shown(label, total) as advance:

            def tick() -> None:
                go_on()
                advance()

            yield tick

    log.info("%s", label)


class _Bars:
    """A terminal has room for one display: parts that run at once share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._display: Progress | None = None

    @contextmanager
    def shown(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar, and a function that moves it on."""
        from rich.console import Console
        from rich.progress import Progress

        with self._lock:
            if self._display is None:
                self._display = Progress(console=Console(stderr=True))
                self._display.start()
            display, self._users = self._display, self._users + 1
        task = display.add_task(label, total=total)
        try:
            yield lambda: display.advance(task)
        finally:
            display.remove_task(task)
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    display.stop()
                    self._display = None


class _Lines(logging.Handler):
    """Lines on the standard error as it is at that moment: a display of bars has them go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


_bars = _Bars()


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """The script's main function, with a log on the standard error and no traceback at Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=[_Lines()])
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    try:
        main(None)
    except KeyboardInterrupt:
        log.warning("stopped: the same command goes on from here")
        raise SystemExit(130) from None
    except DomainError as error:
        raise SystemExit(str(error)) from None
