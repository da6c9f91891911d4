"""What a run has reached, in npz files: after Ctrl-C or a kill the same command goes on from there, with the same bits."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.files import whole_file


class Kept:
    """A folder with one file for each group of networks.

    The folder's name holds a digest of everything that the numbers depend on, so that a run never goes on from another's.

    Parameters
    ----------
    folder : Path
        Where the run's results will go.
    name : str
        The script.
    decided : mapping
        Sizes, seeds, data, device: what makes two runs the same one.
    """

    def __init__(self, folder: Path, name: str, decided: Mapping[str, Any]) -> None:
        words = json.dumps({**decided, "numpy": np.__version__}, sort_keys=True, default=str)
        self.folder = folder / f".{name}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """What was saved under this key, or None."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise SystemExit(f"{path} can't be read ({error}); without it the run begins this part again") from None

    def save(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """The whole file or, if the process ends meanwhile, the one before it."""
        with whole_file(self._path(key)) as place, place.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Once the results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key.replace('/', '-').replace(' ', '-').replace(',', '')}.npz"
