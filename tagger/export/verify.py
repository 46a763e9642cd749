"""Export a model, and keep each file only if it predicts what the original predicts.

Each file is written under a temporary name, opened by its own runtime and run on real photos one
at a time. A faithful one then moves to its path.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
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
    Description,
    Format,
    NamedOutputs,
    RunNetwork,
    build_outputs,
    check_formats,
    describe_model,
)
from tagger.export.photos import CheckPhotos, Labels
from tagger.files import write_atomically
from tagger.inference.decision import DecisionRule
from tagger.inference.model_file import ModelFile
from tagger.models.convert import accuracy, agreement
from tagger.models.weights import rebuild

if TYPE_CHECKING:
    import keras

MIN_AGREEMENT = 0.99  # with the original
MAX_DIFFERENCE = 0.01  # of any probability from the original's
MAX_ACCURACY_LOSS = 0.01  # replaces both limits for int8 on labelled photos
BATCH = 50  # photos the original predicts at once


@dataclass(frozen=True)
class ExportCheck:
    """Measurements of an exported file on `photos` photos.

    `agreement` in [0, 1] is the share of photos with the original's label; for tags, the share of
    the tags decided by either that both decide. `difference` is the largest difference of any
    probability. `accuracy` in [0, 1], mAP for tags, is None for unlabelled photos. `milliseconds`
    is the median processor time of one photo, which other load hardly changes.
    """

    megabytes: float
    milliseconds: float
    photos: int
    agreement: float
    difference: float
    accuracy: float | None
    original_accuracy: float | None


@dataclass(frozen=True)
class ExportResult:
    """An export in one format.

    `refusal` is why it was not kept, or empty. `check` is None if writing or running it failed.
    """

    format: str
    path: Path
    check: ExportCheck | None
    refusal: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "format": self.format,
            "path": str(self.path),
            "check": asdict(self.check) if self.check else None,
            "refused": self.refusal,
        }


def export_model(
    model: ModelFile,
    formats: Sequence[str],
    photos: CheckPhotos,
    folder: Path,
    progress: Progress = silent,
) -> list[ExportResult]:
    """Export a model into `folder` in each of `formats`.

    An existing export is replaced only by a faithful one. Raises OptionError for unknown formats
    and missing folders, ModelError if the network cannot be rebuilt.
    """
    check_formats(formats)
    targets = export_paths(folder / model.path.name, formats)
    with open(model.path, "rb") as file:
        description = describe_model(model, hashlib.file_digest(file, "sha256").hexdigest())
    network = rebuild(model)
    original = _predict_batches(build_outputs(network, description, None), photos)
    exporter = _Exporter(network, model.rule, description, photos, original, progress)
    return [exporter.export(name, path) for name, path in targets.items()]


def export_paths(beside: Path, formats: Sequence[str]) -> dict[str, Path]:
    """The path of each format's export beside a model file, which need not exist.

    Raises OptionError for a missing folder, and if anything but an earlier export is in the way.
    """
    paths = {name: beside.with_name(f"{beside.stem}{FORMATS[name].ending}") for name in formats}
    for name, path in paths.items():
        if not path.parent.is_dir():
            raise OptionError(f"{path}: there is no folder {path.parent}")
        marker = path / "saved_model.pb" if name == "saved_model" else path
        if path.exists() and not marker.is_file():
            raise OptionError(f"{path}: something else is there; move it away first")
    return paths


@dataclass(frozen=True)
class _Exporter:
    network: keras.Model
    rule: DecisionRule
    description: Description
    photos: CheckPhotos
    original: NamedOutputs
    progress: Progress

    def export(self, name: str, path: Path) -> ExportResult:
        format = FORMATS[name]
        with _temporary_path(path) as temporary:
            try:
                format.write(self.network, temporary, self.description, self.photos.ranges)
                check = self._check(format, temporary, f"Checking {name}")
            except Exception as error:  # noqa: BLE001 - converters and runtimes fail in many ways
                reason = " ".join(str(error).split())[:200]
                return ExportResult(name, path, None, f"{type(error).__name__}: {reason}")
            refusal = _refusal(format, check)
            if not refusal:
                _move(temporary, path)
                summary = {"format": name, **self.description.to_dict(), "check": asdict(check)}
                json_path = path.with_name(f"{path.name}.json")
                write_atomically(json_path, json.dumps(summary, indent=2) + "\n")
        return ExportResult(name, path, check, refusal)

    def _check(self, format: Format, path: Path, stage: str) -> ExportCheck:
        outputs, seconds = self._predict_singly(format.open(path), stage)
        decided, expected = (_decide(self.rule, o) for o in (outputs, self.original))
        differences = np.abs(outputs["probabilities"] - self.original["probabilities"])
        return ExportCheck(
            megabytes=_count_bytes(path) / 1e6,
            milliseconds=1000 * median(seconds),
            photos=len(decided),
            agreement=agreement(decided, expected),
            difference=float(differences.max()),
            accuracy=_measure_accuracy(outputs, self.photos.truth),
            original_accuracy=_measure_accuracy(self.original, self.photos.truth),
        )

    def _predict_singly(self, run: RunNetwork, stage: str) -> tuple[NamedOutputs, list[float]]:
        """The outputs for all photos, and each photo's seconds of processor time."""
        outputs, seconds = [], []
        total = len(self.original["logits"])
        for pixels in self.progress(self.photos.pixels(), total, stage):
            began = time.process_time()
            outputs.append(run(pixels[None]))
            seconds.append(time.process_time() - began)
        return _concatenate(outputs), seconds


def _predict_batches(outputs: keras.Model, photos: CheckPhotos) -> NamedOutputs:
    return _concatenate(
        [outputs.predict_on_batch(np.stack(batch)) for batch in chunks(photos.pixels(), BATCH)]
    )


def _concatenate(batches: Sequence[NamedOutputs]) -> NamedOutputs:
    if not batches:
        raise OptionError("no photos to check an export with")
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _decide(rule: DecisionRule, outputs: NamedOutputs) -> NDArray[Any]:
    """The likeliest label of each photo `(N,)`, or whether it has each tag `(N, C)`."""
    if rule.kind == "single":
        labels: NDArray[Any] = outputs["logits"].argmax(axis=1)
        return labels
    tags: NDArray[Any] = outputs["probabilities"] >= np.asarray(rule.thresholds)
    return tags


def _measure_accuracy(outputs: NamedOutputs, truth: Labels | None) -> float | None:
    if truth is None:
        return None
    if truth.ndim == 1:
        return accuracy(outputs["logits"], truth)
    return mean_average_precision(outputs["logits"], truth)


def _refusal(format: Format, check: ExportCheck) -> str:
    """Why an export cannot be kept; empty if it can."""
    if not format.exact and check.accuracy is not None and check.original_accuracy is not None:
        loss = check.original_accuracy - check.accuracy
        if loss <= MAX_ACCURACY_LOSS + 1e-9:
            return ""
        return f"accuracy falls by {100 * loss:.2f} points; at most {100 * MAX_ACCURACY_LOSS:g}"
    if not check.agreement >= MIN_AGREEMENT:
        return f"agrees with the original in {check.agreement:.2%}; at least {MIN_AGREEMENT:.0%}"
    if format.exact and not check.difference <= MAX_DIFFERENCE:  # refuses NaN, too
        return f"a probability is off by {check.difference:.3f}; at most {MAX_DIFFERENCE}"
    return ""


@contextmanager
def _temporary_path(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; whatever is left there is removed."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
    finally:
        _remove(temporary)


def _move(temporary: Path, path: Path) -> None:
    """Replace `path`: a file atomically, a folder after renaming the old one."""
    old = path.with_name(f".{os.getpid()}.old.{path.name}")
    if path.is_dir():
        os.replace(path, old)
    os.replace(temporary, path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _count_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def format_results(exports: Sequence[ExportResult], model: ModelFile) -> str:
    """A table of all exports as text, and why any was not kept."""
    refused = [f"{e.format}: not kept: {e.refusal}" for e in exports if e.refusal]
    return "\n".join([_table(exports, model), *refused])


def _table(exports: Sequence[ExportResult], model: ModelFile) -> str:
    """A row for the original, then one for each export that could be checked."""
    multi = model.labels.kind == "multi"
    same, metric = ("same tags", "mAP") if multi else ("same label", "accuracy")
    rows = [("format", "file", "MB", "ms/photo", same, "off by", metric)]
    checks = [(export, export.check) for export in exports if export.check]
    if checks:
        original_accuracy = _percent(checks[0][1].original_accuracy)
        size = f"{_count_bytes(model.path) / 1e6:.1f}"
        rows += [("keras", model.path.name, size, "", "", "", original_accuracy)]
    rows += [
        (
            export.format,
            "(not kept)" if export.refusal else export.path.name,
            f"{check.megabytes:.1f}",
            f"{check.milliseconds:.2f}",
            _percent(check.agreement),
            f"{check.difference:.6f}",
            _percent(check.accuracy),
        )
        for export, check in checks
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
