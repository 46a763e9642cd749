"""Whether an exported network says what the original says: checked on real photos, or not kept.

Each export is written beside its place, opened by its own runtime and shown every photo singly;
only then, if it is faithful, does it move into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, chunks, silent
from tagger.errors import OptionError
from tagger.evaluation.metrics import mean_average_precision
from tagger.export.formats import (
    FORMATS,
    Answer,
    Description,
    Format,
    Network,
    build_outputs,
    check_formats,
    describe_model,
)
from tagger.export.photos import Photos, Truth
from tagger.files import write_atomically
from tagger.inference.decision import DecisionRule
from tagger.inference.model_file import ModelFile, load
from tagger.models.weights import rebuild

if TYPE_CHECKING:
    import keras

MIN_AGREEMENT = 0.99  # with the original
MAX_DIFFERENCE = 0.01  # of any probability, from the original's
MAX_ACCURACY_LOSS = 0.01  # of int8, instead of both, where labels are known
BATCH = 50  # photos the original sees at once


@dataclass(frozen=True)
class Check:
    """What an export was found to be on `photos` photos.

    `agreement` in [0, 1] is the share of photos with the original's label; for several tags, of
    the tags that either decides, the share that both do. `difference` is the largest of any
    probability. `accuracy` in [0, 1] is the share of right labels, for several tags mAP; None
    where nothing is known of the photos. `milliseconds` is the median of the processor time that
    one photo takes alone, which other work on the machine hardly changes.
    """

    megabytes: float
    milliseconds: float
    photos: int
    agreement: float
    difference: float
    accuracy: float | None
    original_accuracy: float | None


@dataclass(frozen=True)
class Export:
    """One format. `refused` is why it was not kept, empty if it was; without `check`, it failed."""

    format: str
    path: Path
    check: Check | None
    refusal: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "format": self.format,
            "path": str(self.path),
            "check": asdict(self.check) if self.check else None,
            "refused": self.refusal,
        }


def export(
    model: ModelFile,
    formats: Sequence[str],
    photos: Photos,
    folder: Path,
    progress: Progress = silent,
) -> list[Export]:
    """Export the network of a model file into `folder`, in each of `formats`.

    What is there already stays as it is unless its successor is faithful. Raises OptionError for
    formats and folders that there are not, ModelError where the network cannot be rebuilt.
    """
    check_formats(formats)
    targets = export_paths(folder / model.path.name, formats)
    with open(model.path, "rb") as file:
        description = describe_model(model, hashlib.file_digest(file, "sha256").hexdigest())
    network = rebuild(model)
    original = _ask_original(build_outputs(network, description, None), photos)
    exporter = _Exporter(network, model.rule, description, photos, original, progress)
    return [exporter.export(name, place) for name, place in targets.items()]


def export_beside(
    path: Path,
    formats: Sequence[str],
    photos: Photos,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Export]:
    """Export the model file at `path` into its own folder."""
    model = load(path)
    say(f"Exporting to {', '.join(formats)}.")
    exports = export(model, formats, photos, path.parent, progress)
    say(format_results(exports, model))
    return exports


def export_paths(beside: Path, formats: Sequence[str]) -> dict[str, Path]:
    """Where the exports of a model file go that lies, or would lie, there.

    Raises OptionError where something else is in the way, or no folder.
    """
    found = {name: beside.with_name(f"{beside.stem}{FORMATS[name].ending}") for name in formats}
    for name, path in found.items():
        if not path.parent.is_dir():
            raise OptionError(f"{path}: there is no folder {path.parent}")
        own = (path / "saved_model.pb").is_file() if name == "saved_model" else path.is_file()
        if path.exists() and not own:
            raise OptionError(f"{path}: something else is there; move it away first")
    return found


@dataclass(frozen=True)
class _Exporter:
    network: keras.Model
    rule: DecisionRule
    description: Description
    photos: Photos
    original: Answer
    progress: Progress

    def export(self, name: str, path: Path) -> Export:
        made = FORMATS[name]
        with _beside(path) as unfinished:
            try:
                made.write(self.network, unfinished, self.description, self.photos.ranges)
                found = self._check(made, unfinished, f"Checking {name}")
            except Exception as error:  # noqa: BLE001 - converters and runtimes fail in many ways
                reason = " ".join(str(error).split())[:200]
                return Export(name, path, None, f"{type(error).__name__}: {reason}")
            refused = _refusal(made, found)
            if not refused:
                _move(unfinished, path)
                told = {"format": name, **self.description, "check": asdict(found)}
                beside = path.with_name(f"{path.name}.json")
                write_atomically(beside, json.dumps(told, indent=2) + "\n")
        return Export(name, path, found, refused)

    def _check(self, made: Format, path: Path, what: str) -> Check:
        answer, seconds = self._ask(made.open(path), what)
        mine, theirs = (_decided(self.rule, a) for a in (answer, self.original))
        differences = np.abs(answer["probabilities"] - self.original["probabilities"])
        return Check(
            megabytes=_bytes(path) / 1e6,
            milliseconds=1000 * median(seconds),
            photos=len(mine),
            agreement=_agreement(mine, theirs),
            difference=float(differences.max()),
            accuracy=_accuracy(answer, self.photos.truth),
            original_accuracy=_accuracy(self.original, self.photos.truth),
        )

    def _ask(self, network: Network, what: str) -> tuple[Answer, list[float]]:
        """What it says of each photo, and how long it took."""
        answers, seconds = [], []
        total = len(self.original["logits"])
        for pixels in self.progress(self.photos.pixels(), total, what):
            began = time.process_time()
            answers.append(network(pixels[None]))
            seconds.append(time.process_time() - began)
        return _joined(answers), seconds


def _ask_original(outputs: keras.Model, photos: Photos) -> Answer:
    return _joined(
        [outputs.predict_on_batch(np.stack(batch)) for batch in chunks(photos.pixels(), BATCH)]
    )


def _joined(answers: Sequence[Answer]) -> Answer:
    if not answers:
        raise OptionError("no photos to check an export with")
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _decided(rule: DecisionRule, answer: Answer) -> NDArray[Any]:
    """The likeliest label of each photo (N,), or which tags it has (N, C)."""
    if rule.kind == "single":
        labels: NDArray[Any] = answer["logits"].argmax(axis=1)
        return labels
    tags: NDArray[Any] = answer["probabilities"] >= np.asarray(rule.thresholds)
    return tags


def _agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.ndim == 1:
        return float((one == other).mean())
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def _accuracy(answer: Answer, truth: Truth | None) -> float | None:
    if truth is None:
        return None
    if truth.ndim == 1:
        return float((answer["logits"].argmax(axis=1) == truth).mean())
    return mean_average_precision(answer["logits"], truth)


def _refusal(made: Format, found: Check) -> str:
    """Why an export cannot be kept; empty if it can."""
    if not made.exact and found.accuracy is not None and found.original_accuracy is not None:
        loss = found.original_accuracy - found.accuracy
        if loss <= MAX_ACCURACY_LOSS + 1e-9:
            return ""
        return f"accuracy falls by {100 * loss:.2f} points; at most {100 * MAX_ACCURACY_LOSS:g}"
    if not found.agreement >= MIN_AGREEMENT:
        return f"agrees with the original in {found.agreement:.2%}; at least {MIN_AGREEMENT:.0%}"
    if made.exact and not found.difference <= MAX_DIFFERENCE:  # nor where it is not a number
        return f"a probability is off by {found.difference:.3f}; at most {MAX_DIFFERENCE}"
    return ""


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name next to `path` to write to; whatever is left there is removed."""
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield unfinished
    finally:
        _remove(unfinished)


def _move(unfinished: Path, path: Path) -> None:
    """Into place, whole: a file over a file, a folder after the old one has stepped aside."""
    old = path.with_name(f".{os.getpid()}.old.{path.name}")
    if path.is_dir():
        os.replace(path, old)
    os.replace(unfinished, path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def format_results(exports: Sequence[Export], model: ModelFile) -> str:
    """What was found, as lines: a table, and why any was not kept."""
    refused = [f"{e.format}: not kept: {e.refusal}" for e in exports if e.refusal]
    return "\n".join([_table(exports, model), *refused])


def _table(exports: Sequence[Export], model: ModelFile) -> str:
    """In columns, the original, then each export that could be checked."""
    same, right = (
        ("same tags", "mAP") if model.labels.kind == "multi" else ("same label", "accuracy")
    )
    rows = [("format", "file", "MB", "ms/photo", same, "off by", right)]
    checks = [(export, export.check) for export in exports if export.check]
    if checks:
        accuracy = _percent(checks[0][1].original_accuracy)
        size = f"{_bytes(model.path) / 1e6:.1f}"
        rows += [("keras", model.path.name, size, "", "", "", accuracy)]
    rows += [
        (
            made.format,
            "(not kept)" if made.refusal else made.path.name,
            f"{found.megabytes:.1f}",
            f"{found.milliseconds:.2f}",
            _percent(found.agreement),
            f"{found.difference:.6f}",
            _percent(found.accuracy),
        )
        for made, found in checks
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
