"""What the benchmarks share: timed commands, medians, a text table, a JSON file.

Only the standard library is imported here: Linux counts what a parent holds when it starts a
child towards that child's peak, so a benchmark has to stay small to measure memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

BENCH = Path(__file__).resolve().parent
PREDICT = (sys.executable, str(BENCH.parent / "predict.py"))
TRAIN = (sys.executable, str(BENCH.parent / "train.py"))
BASELINE = (sys.executable, str(BENCH / "baseline.py"))
PHOTOS = (sys.executable, str(BENCH / "photos.py"))
FLOOR = (sys.executable, str(BENCH / "floor.py"))
TINY_PHOTOS = 20  # of each label, for a baseline that only has to run

Cell = str | int | float | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Run:
    """A finished command: wall seconds, peak resident memory in MB (10^6 bytes), its output."""

    seconds: float
    peak_mb: float
    output: str = ""


def run(*command: str | Path) -> Run:
    """Run a command and measure it from outside; SystemExit with its last words if it fails."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)  # this child's own usage, unlike wait()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(
                f"{' '.join(map(str, command))}: exit status {process.returncode}\n"
                f"{_text(errors)[-2000:]}"
            )
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_maxrss * unit / 1e6, _text(said))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def medians(runs: Sequence[Run]) -> Run:
    """One run of median time and median peak."""
    return Run(median(run.seconds for run in runs), median(run.peak_mb for run in runs))


def make_photos(folder: Path, size: str, count: int) -> list[Path]:
    """A folder of `count` "small" or "large" photos; see photos.py."""
    run(*PHOTOS, folder, "--size", size, "--photos", str(count))
    return sorted(folder.iterdir())


def tiny_baseline(folder: Path) -> Path:
    """A baseline model taught with a few photos: as fast, and as large, as one that knows more."""
    taught, model = folder / "taught", folder / "baseline.h5"
    for label in ("one", "other"):
        make_photos(taught / label, "small", TINY_PHOTOS)
    run(*BASELINE, "train", taught, model)
    return model


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder for photos and models, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="image-tagger-bench-") as folder:
        yield Path(folder)


def data_folder() -> Path:
    """Where the real photos are; SystemExit without TAGGER_DATA."""
    folder = Path(os.environ.get("TAGGER_DATA", ""))
    if not (folder / "pets" / "train").is_dir():
        raise SystemExit(
            "This benchmark needs labelled photos: set TAGGER_DATA to a folder with"
            " pets/train/LABEL, pets/val/LABEL and pets_other_source/LABEL."
        )
    return folder


def parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=(description or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    return made


def ratio(ours: float, baseline: float) -> float | None:
    """How many times the baseline; None of nothing."""
    return ours / baseline if baseline else None


def at_most(value: float, bar: float) -> str:
    return f"<= {bar:g}: {'met' if value <= bar else 'MISSED'}"


def at_least(value: float, bar: float) -> str:
    return f">= {bar:g}: {'met' if value >= bar else 'MISSED'}"


def publish(
    title: str, rows: Sequence[Row], runs: Mapping[str, Sequence[Run]], file: Path | None
) -> None:
    """Print the table; with a file, write it there with every run behind it."""
    print(f"{title}\n\n{table(rows)}")
    if file:
        every = {what: [_numbers(run) for run in measured] for what, measured in runs.items()}
        found = {"title": title, "rows": rows, "runs": every, "machine": machine()}
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """Rows with the same keys, which are the heading; all but the first column to the right."""
    lines = [list(rows[0]), *([shown(cell) for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def shown(cell: Cell) -> str:
    """Three digits that matter."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}" if abs(cell) >= 1 else f"{cell:.3f}"


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
    }


def _numbers(run: Run) -> dict[str, float]:
    return {"seconds": run.seconds, "peak_mb": run.peak_mb}
