"""Shared by the benchmarks: timed commands, medians, a text table, a JSON file.

Only the standard library is imported: Linux counts the memory of a parent that starts a child
towards the child's peak, so a benchmark must stay small to measure memory.
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
TINY_PHOTOS = 20  # of each label, for a baseline whose predictions do not matter

Cell = str | int | float | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Run:
    """A finished command: wall seconds, peak resident memory in MB (10^6 bytes), its output."""

    seconds: float
    peak_mb: float
    output: str = ""


def run(*command: str | Path) -> Run:
    """Run a command and measure it from outside; SystemExit with its last output if it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)  # this child's own usage, unlike wait()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(
                f"{' '.join(map(str, command))}: exit status {process.returncode}\n"
                f"{_read_text(errors)[-2000:]}"
            )
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_maxrss * unit / 1e6, _read_text(output))


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def medians(runs: Sequence[Run]) -> Run:
    """A run with the median time and the median peak."""
    return Run(median(run.seconds for run in runs), median(run.peak_mb for run in runs))


def make_photos(folder: Path, size: str, count: int, distinct: int | None = None) -> list[Path]:
    """A folder of `count` "small" or "large" photos, of which `distinct` differ; see photos.py."""
    options = [] if distinct is None else ["--distinct", str(distinct)]
    run(*PHOTOS, folder, "--size", size, "--photos", str(count), *options)
    return sorted(folder.iterdir())


def tiny_baseline(folder: Path) -> Path:
    """A baseline model trained on a few photos: as fast and as large as any other."""
    data, model = folder / "taught", folder / "baseline.h5"
    for label in ("one", "other"):
        make_photos(data / label, "small", TINY_PHOTOS)
    run(*BASELINE, "train", data, model)
    return model


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for photos and models, deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="image-tagger-bench-") as folder:
        yield Path(folder)


def data_folder() -> Path:
    """The folder of real photos; SystemExit without TAGGER_DATA."""
    folder = Path(os.environ.get("TAGGER_DATA", ""))
    if not (folder / "pets" / "train").is_dir():
        raise SystemExit(
            "This benchmark needs labelled photos: set TAGGER_DATA to a folder with"
            " pets/train/LABEL, pets/val/LABEL and pets_other_source/LABEL."
        )
    return folder


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=(description or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    return parser


def ratio(ours: float, baseline: float) -> float | None:
    """Ours over the baseline; None for a baseline of 0."""
    return ours / baseline if baseline else None


def at_most(value: float, bar: float) -> str:
    return f"<= {bar:g}: {'met' if value <= bar else 'MISSED'}"


def at_least(value: float, bar: float) -> str:
    return f">= {bar:g}: {'met' if value >= bar else 'MISSED'}"


def publish(
    title: str, rows: Sequence[Row], runs: Mapping[str, Sequence[Run]], file: Path | None
) -> None:
    """Print the rows as a table; with a file, write them and all runs as JSON."""
    print(f"{title}\n\n{table(rows)}")
    if file:
        measured = {name: [_numbers(run) for run in group] for name, group in runs.items()}
        document = {"title": title, "rows": rows, "runs": measured, "machine": machine()}
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """A text table; the rows' common keys are the heading. All but the first column align right."""
    lines = [list(rows[0]), *([format_cell(cell) for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def format_cell(cell: Cell) -> str:
    """Three significant digits."""
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
