"""An ensemble's moments on disk, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.simulation.statistics import names
from meanfield.simulation.streaming import Moments

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.simulation.ensemble import Ensemble
    from meanfield.simulation.statistics import Statistics

FORMAT = 1  # of the file and of the order in which random numbers are drawn
SECONDS = 5.0  # between two writes
PROBES = np.array([-7.3, -2.1, -0.9, -0.25, -1e-3, 0.0, 1e-3, 0.25, 0.9, 2.1, 7.3])


class Checkpoint:
    """The file of one ensemble."""

    def __init__(self, path: Any, ensemble: Ensemble) -> None:
        try:
            self.path = Path(path)
        except TypeError:
            raise DomainError(f"checkpoint must be the path of a file, not {type(path).__name__} {path!r}") from None
        if self.path.is_dir() or not self.path.absolute().parent.is_dir():
            raise DomainError(f"checkpoint = {str(path)!r} must be the path of a file in a folder that exists")
        if not os.access(self.path.absolute().parent, os.W_OK):
            raise DomainError(f"checkpoint = {str(path)!r} is in a folder that cannot be written to")
        self.ensemble = ensemble
        self.arguments = describe(ensemble)
        self._written = time.monotonic()

    def load(self) -> tuple[int, Statistics | None]:
        """Blocks done and their moments; (0, None) where there is no file yet."""
        if not self.path.exists():
            return 0, None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
            header = json.loads(str(content["arguments"][()]))
            done = int(content["done"][()])
            kept = {name: Moments(*(content[f"{name}.{part}"] for part in ("count", "mean", "squares"))) for name in names(self.ensemble)}
        except KeyError as error:
            if "header" in locals():
                self._compare(header)
            raise self._foreign() from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise self._foreign() from error
        self._compare(header)
        return done, kept

    def _foreign(self) -> DomainError:
        return DomainError(f"checkpoint = {str(self.path)!r} holds no ensemble that can be read: remove the file or name another")

    def _compare(self, header: Any) -> None:
        if header == self.arguments:
            return
        ours = self.arguments
        differ = [key for key in ours if not isinstance(header, dict) or header.get(key) != ours[key]]
        told = "; ".join(
            f"{key} was {_short(header.get(key) if isinstance(header, dict) else None)} and is {_short(ours[key])}" for key in differ
        )
        raise DomainError(f"checkpoint = {str(self.path)!r} belongs to a run with other arguments: {told}")

    def save_now_and_then(self, done: int, kept: Statistics) -> None:
        """Write if the last time is some seconds ago."""
        if time.monotonic() - self._written >= SECONDS:
            self.save(done, kept)

    def save(self, done: int, kept: Statistics) -> None:
        """Write to a file beside it and rename: whoever reads finds the old content or the new, never half of one."""
        parts = {f"{name}.{part}": getattr(moments, part) for name, moments in kept.items() for part in ("count", "mean", "squares")}
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                np.savez(file, arguments=np.array(json.dumps(self.arguments)), done=np.array(done), **parts)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        finally:
            with suppress(OSError):
                beside.unlink()
        self._written = time.monotonic()


def describe(ensemble: Ensemble) -> dict[str, Any]:
    """Everything that decides the numbers, as JSON knows it."""
    widths = list(ensemble.widths)
    return {
        "format": FORMAT,
        "activation": _identity(ensemble.activation),
        "sigma_w": ensemble.sigma_w,
        "sigma_b": ensemble.sigma_b,
        "widths": widths,
        "networks": ensemble.networks,
        "seed": ensemble.seed,
        "method": ensemble.method,
        "weights": ensemble.weights,
        "gradients": ensemble.gradients,
        "start": ensemble.start.tolist(),
        "inputs": None if ensemble.inputs is None else _digest(ensemble.inputs),
        "backend": ensemble.backend,
        "device": ensemble.device,
    }


def _identity(act: Activation) -> str:
    """The name, and the values at a few points: a callable's name says nothing about its parameters."""
    values = np.concatenate([act.values(PROBES, k) for k in (0, 1)])
    digits = np.array([float(f"{value:.6e}") for value in values])  # libraries differ in the last bits from machine to machine
    return f"{act.name} {_digest(digits)}"


def _digest(array: Any) -> str:
    return hashlib.sha256(repr(np.shape(array)).encode() + np.ascontiguousarray(array, dtype="<f8").tobytes()).hexdigest()[:16]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
