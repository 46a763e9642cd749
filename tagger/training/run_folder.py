"""The folder a training run keeps: its settings, how far it is, its numbers."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagger.errors import OptionError
from tagger.files import write_atomically
from tagger.provenance import command, versions

CONFIG, METRICS, HISTORY = "config.json", "metrics.json", "history.csv"
COLLECTION, FINDINGS = "collection.sha256", "findings.json"
_JUDGING_ONLY = ("about", "test", "unrelated")  # settings that may change on the way


def open_run(runs: Path, name: str, settings: Mapping[str, Any], resume: bool) -> Path:
    """A new folder `<time>-<name>` with the settings in it; with `resume`, the unfinished one.

    Raises OptionError when there is nothing to resume, or when it was begun otherwise.
    """
    if resume:
        return _unfinished(runs, name, settings)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        folder = runs / (f"{stamp}.{attempt}-{name}" if attempt else f"{stamp}-{name}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        config = {**settings, "versions": versions(), "command": command()}
        write_atomically(folder / CONFIG, json.dumps(config, indent=2) + "\n")
        return folder
    raise OptionError(f"{runs}: could not make a new run folder")


def check_collection(run: Path, fingerprint: str) -> None:
    """Note what the run trains on; OptionError where it was begun on other photos or labels."""
    note = run / COLLECTION
    if not note.is_file():
        write_atomically(note, fingerprint)
    elif note.read_text(encoding="utf-8") != fingerprint:
        raise OptionError(
            f"{run} was begun on other photos or labels than are there now; start anew without"
            " --resume"
        )


def read_findings(run: Path) -> Any:
    """What was found wrong with the photos, as `Findings.to_dict` tells it; None if unknown."""
    path = run / FINDINGS
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError as error:
        raise OptionError(f"{path}: cannot be read as JSON ({error})") from None


def discard_unused(run: Path) -> None:
    """Remove the folder of a run that ended before there was anything in it to go on from."""
    if {path.name for path in run.iterdir()} <= {CONFIG, COLLECTION, FINDINGS}:
        shutil.rmtree(run)


def write_history(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line an epoch."""
    if not rows:
        return
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(run / HISTORY, out.getvalue())


def peak_memory_mb() -> float | None:
    """The most this process has held so far, in MB of 10^6 bytes.

    None where the system does not tell (Windows).
    """
    try:  # Linux: getrusage would count what the process that started this one held
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _unfinished(runs: Path, name: str, settings: Mapping[str, Any]) -> Path:
    begun = [
        folder
        for folder in sorted(runs.glob("*-*-*"))
        if folder.name.split("-", 2)[2] == name
        and (folder / CONFIG).is_file()
        and not (folder / METRICS).is_file()
    ]
    if not begun:
        raise OptionError(f"nothing to resume: {runs} has no unfinished run for {name}")
    before = json.loads((begun[-1] / CONFIG).read_text(encoding="utf-8"))
    now = json.loads(json.dumps(dict(settings)))
    changed = [k for k in now if now[k] != before.get(k) and k not in _JUDGING_ONLY]
    if changed:
        told = ", ".join(f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in changed)
        raise OptionError(f"{begun[-1]} was begun with other settings ({told}); use the same")
    return begun[-1]
