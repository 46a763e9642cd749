"""Run folder of a training: config.json, history.csv, findings.json, metrics.json, checkpoints."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tagger.audit.findings import Findings
from tagger.errors import OptionError
from tagger.files import write_atomically
from tagger.provenance import command, versions

CONFIG, METRICS, HISTORY = "config.json", "metrics.json", "history.csv"
COLLECTION, FINDINGS = "collection.sha256", "findings.json"
# What fine-tuning does not read: a resumed run computes anew whatever follows from these. The head
# and the tags do, which are fitted and chosen after the last epoch, and kept by no checkpoint.
_MAY_CHANGE = ("about", "test", "unrelated", "least_precision", "typical")


def open_run(runs: Path, name: str, settings: Mapping[str, Any], resume: bool) -> Path:
    """Create the folder `<time>-<name>` with its config.json, or `resume` the unfinished one.

    Settings that a resumed run may change are changed in its config.json.
    Raises OptionError where there is nothing to resume, or only with other settings.
    """
    if resume:
        return _find_unfinished(runs, name, settings)
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


def _find_unfinished(runs: Path, name: str, settings: Mapping[str, Any]) -> Path:
    unfinished = [
        folder
        for folder in sorted(runs.glob("*-*-*"))
        if folder.name.split("-", 2)[2] == name
        and (folder / CONFIG).is_file()
        and not (folder / METRICS).is_file()
    ]
    if not unfinished:
        raise OptionError(f"nothing to resume: {runs} has no unfinished run for {name}")
    latest = unfinished[-1]
    before = _read_json(latest / CONFIG)
    if not isinstance(before, dict):
        raise OptionError(f"{latest / CONFIG}: damaged; start anew without --resume")
    read_findings(latest)  # the report needs them, at the end
    now = json.loads(json.dumps(dict(settings)))
    changes = [
        f"{key} was {before.get(key)!r}, is {value!r}"
        for key, value in now.items()
        if value != before.get(key) and key not in _MAY_CHANGE
    ]
    if changes:
        raise OptionError(
            f"{latest} was begun with other settings ({', '.join(changes)}); use the same"
        )
    write_atomically(latest / CONFIG, json.dumps({**before, **now}, indent=2) + "\n")
    return latest


def check_collection(run: Path, fingerprint: str) -> None:
    """Record the collection's fingerprint; OptionError if the run was begun on another one."""
    path = run / COLLECTION
    if not path.is_file():
        write_atomically(path, fingerprint)
    elif path.read_text(encoding="utf-8", errors="replace") != fingerprint:
        raise OptionError(
            f"{run} was begun on other photos or labels than are there now; start anew without"
            " --resume"
        )


def read_findings(run: Path) -> Findings | None:
    """What the audit found; None where it was not done. Raises OptionError."""
    path = run / FINDINGS
    if not path.exists():
        return None
    try:
        return Findings.from_dict(_read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise OptionError(f"{path}: damaged; start anew without --resume") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{path}: cannot be read as JSON ({error})") from None


def discard_unused(run: Path) -> None:
    """Remove the run folder if nothing was trained in it yet."""
    if {path.name for path in run.iterdir()} <= {CONFIG, COLLECTION, FINDINGS}:
        shutil.rmtree(run)


@dataclass(frozen=True)
class Epoch:
    """One row of history.csv; epoch 0 is the network before fine-tuning, without a `loss`.

    `val_map` is the mean average precision on validation photos, of tags only.
    """

    epoch: int
    loss: float | None = None
    val_loss: float = 0.0
    val_accuracy: float = 0.0
    learning_rate: float = 0.0
    seconds: float = 0.0
    val_map: float | None = None


def write_history(run: Path, history: Sequence[Epoch]) -> None:
    """Write history.csv, one row an epoch; nothing without epochs."""
    if not history:
        return
    out = io.StringIO()
    names = [field.name for field in fields(Epoch)]
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_atomically(run / HISTORY, out.getvalue())


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of a history.csv, NaN for an empty cell; no rows where there is no file."""
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [
                {name: float(cell or "nan") for name, cell in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(f"{path}: cannot be read as a training history ({error})") from None


@contextmanager
def tensorboard_logger(run: Path, enabled: bool) -> Iterator[Callable[[Epoch], None]]:
    """A function that logs an epoch for TensorBoard in the run folder; one that does nothing."""
    if not enabled:
        yield lambda row: None
        return
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(run / "tensorboard"))

    def log(row: Epoch) -> None:
        with writer.as_default(step=row.epoch):
            for name, value in asdict(row).items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(name, value)
        writer.flush()

    try:
        yield log
    finally:
        writer.close()


def peak_memory_mb() -> float | None:
    """Peak memory of this process in MB of 10^6 bytes; None on Windows."""
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
