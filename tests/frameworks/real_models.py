"""What `init_`, `diagnose` and `predict` say of public architectures: python -m tests.frameworks.real_models --seeds 3

Each model has a process of its own, with a limit of time. A row says: how `init_` initialised how many layers, or why it refused; the
faults that `diagnose` finds at the model's own published initialisation (false alarms), and behind `init_`; and how many weight layers
lie outside of the band of `predict`, by variance and by gradient, at either initialisation, over all seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.frameworks.public_models import made, names, own

LIMIT = 900.0  # seconds for a model
COLUMNS = (
    "library",
    "model",
    "layers",
    "methods",
    "refused",
    "false_alarms",
    "faults_after",
    "variance_outside",
    "gradient_outside",
    "variance_outside_after",
    "gradient_outside_after",
    "checks",
    "worst",
    "init_s",
    "diagnose_s",
)


def started(library: str, name: str, side: int, seed: int) -> tuple[torch.nn.Module, Any]:
    """A model with its published weights, and a batch for it."""
    torch.manual_seed(seed)
    if library == "own":
        return own(seed)[name]
    return made(library, name), torch.randn(8 if side <= 128 else 4, 3, side, side, generator=torch.Generator().manual_seed(seed))


def outside(model: torch.nn.Module, x: Any, seed: int) -> tuple[int, int, int, tuple[float, str]]:
    """Layers outside by variance, by gradient, their count, and the worst of them."""
    from meanfield.frameworks.torch import predict

    found = predict(model, x, seed=seed)
    counts = []
    worst = (0.0, "")
    for word, band in (("variance", "band"), ("gradient", "gradient_band")):
        over = [(_over(getattr(r, word), getattr(r, f"expected_{word}"), getattr(r, band)), r) for r in found.layers]
        counts.append(sum(factor > 1.0 for factor, _ in over))
        factor, row = max(over, key=lambda pair: pair[0])
        if factor > 1.0:
            worst = max(worst, (factor, f"{word} {getattr(row, word):.3g}/{getattr(row, f'expected_{word}'):.3g} of {row.name}"))
    return counts[0], counts[1], len(found.layers), worst


def _over(found: float, expected: float, band: float) -> float:
    """By what factor a ratio exceeds its band."""
    if found == expected or found != found or expected != expected:
        return 0.0
    if found <= 0.0 or expected <= 0.0:
        return float("inf")
    ratio = found / expected
    return max(ratio, 1.0 / ratio) / band


def looked_at(library: str, name: str, side: int, seeds: int) -> dict[str, Any]:
    """A model's row."""
    from meanfield.errors import MeanFieldError
    from meanfield.frameworks.torch import diagnose, init_

    row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"library": library, "model": name}
    counts, counts_after, checks = [0, 0], [0, 0], 0
    alarms: list[str] = []
    after: list[str] = []
    worst: tuple[float, str] = (0.0, "")
    for seed in range(seeds):
        model, x = started(library, name, side, seed)
        try:
            begun = time.perf_counter()
            verdict = diagnose(model, x)
            row["diagnose_s"] = round(time.perf_counter() - begun, 2)
            alarms += [f"{layer or 'model'}: {fault.kind}" for layer, fault in verdict.faults]
            found = outside(model, x, seed)
            counts = [counts[0] + found[0], counts[1] + found[1]]
            checks += found[2]
            worst = max(worst, found[3])
            row["layers"] = found[2]
        except MeanFieldError as error:
            alarms.append(f"{type(error).__name__}: {str(error)[:120]}")
        try:
            begun = time.perf_counter()
            done = init_(model, example=x, seed=seed)
            row["init_s"] = round(time.perf_counter() - begun, 2)
            row["methods"] = " ".join(f"{word} {count}" for word, count in done.methods.items())
            after += [f"{layer or 'model'}: {fault.kind}" for layer, fault in diagnose(model, x).faults]
            found = outside(model, x, seed)
            counts_after = [counts_after[0] + found[0], counts_after[1] + found[1]]
            worst = max(worst, found[3])
        except MeanFieldError as error:
            row["refused"] = f"{type(error).__name__}: {str(error)[:160]}"
    row |= {"false_alarms": "; ".join(dict.fromkeys(alarms)), "faults_after": "; ".join(dict.fromkeys(after)), "checks": checks}
    row |= {"variance_outside": counts[0], "gradient_outside": counts[1]}
    row |= {"variance_outside_after": counts_after[0], "gradient_outside_after": counts_after[1]}
    return row | {"worst": f"{worst[1]} ({worst[0]:.2f} times the band)" if worst[1] else ""}


def page(rows: list[dict[str, Any]]) -> str:
    """The rows as the documentation has them."""
    lines = ["| model | weight layers | init_ | faults, published | faults, init_ | outside, published | outside, init_ |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        if row["refused"] and not row["layers"]:
            lines.append(f"| {row['model']} ({row['library']}) | | {row['refused']} | | | | |")
            continue
        counts = [f"{row['variance_outside' + when]}, {row['gradient_outside' + when]}" for when in ("", "_after")]
        alarms = [str(len(str(row[key]).split("; "))) if row[key] else "0" for key in ("false_alarms", "faults_after")]
        library = "" if row["library"] == "own" else f" ({row['library']})"
        how = row["refused"] or row["methods"]
        lines.append(f"| {row['model']}{library} | {row['layers']} | {how} | {alarms[0]} | {alarms[1]} | {counts[0]} | {counts[1]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, default=None, help="a CSV file to write")
    parser.add_argument("--page", type=Path, default=None, help="a CSV file that was kept: print it as a table")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th model from the i-th on")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    if arguments.page:
        with arguments.page.open(newline="", encoding="utf-8") as file:
            print(page(list(csv.DictReader(file))))
        return
    everything = [("own", name, 0) for name in own()] + names()
    if arguments.one:
        library, name, side = json.loads(arguments.one)
        print(json.dumps(looked_at(library, name, side, arguments.seeds)))
        return
    wanted = set(filter(None, arguments.only.split(",")))
    index, count = map(int, arguments.part.split("/"))
    chosen = [model for model in everything if not wanted or model[1] in wanted][index::count]
    rows = []
    for model in chosen:
        command = [sys.executable, "-m", "tests.frameworks.real_models", "--one", json.dumps(model), "--seeds", str(arguments.seeds)]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout.strip().splitlines()[-1]
            row = json.loads(said)
        except subprocess.TimeoutExpired:
            row = dict.fromkeys(COLUMNS, "") | {"library": model[0], "model": model[1], "refused": f"no answer in {LIMIT:.0f} s"}
        except subprocess.CalledProcessError as error:
            row = dict.fromkeys(COLUMNS, "") | {"library": model[0], "model": model[1], "refused": f"CRASH {error.stderr.strip()[-200:]}"}
        rows.append(row)
        print("\t".join(str(row[name]) for name in COLUMNS), flush=True)
        if arguments.keep:
            with arguments.keep.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
