"""Audit a collection without training on it: read it, compute features, collect findings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.audit.findings import Findings, collect_findings, read_list
from tagger.concurrency import Progress, check_workers, silent
from tagger.datasets import dataset
from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.datasets.splits import SPLITS, subsample
from tagger.errors import DatasetError, OptionError, WeightsUnavailableError
from tagger.evaluation.outputs import run_network
from tagger.inference import model_file, registry
from tagger.inference.litert import Runtime
from tagger.models import imagenet
from tagger.models.heads import MAX_HEAD_PHOTOS
from tagger.models.weights import NO_WEIGHTS
from tagger.paths import DATASET
from tagger.text import escape_controls


@dataclass(frozen=True)
class AuditConfig:
    """What to audit, and with which network.

    `weights` names the model, by name or file, whose features find label errors; "none" skips
    that. `image_size`, in pixels, is that of the network to train. `leave_out` is a list written
    by `Findings.write_list`. `validation_share` is held out if the collection has no `val/`. With
    `merge_case`, labels that differ in case alone are one.
    Raises OptionError for values out of range.
    """

    data: Path = DATASET
    weights: str = registry.IMAGENET
    image_size: int = 192
    leave_out: Path | None = None
    validation_share: float = dataset.VALIDATION_SHARE
    seed: int = 42
    workers: int | None = None
    merge_case: bool = False

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise OptionError(f"image size {self.image_size}: give 1 pixel or more")
        if not 0 < self.validation_share < 1:
            raise OptionError(f"validation share {self.validation_share}: give one in (0, 1)")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}: give 0 or more")
        if self.workers is not None:
            check_workers(self.workers)


@dataclass(frozen=True)
class AuditReport:
    """A collection, its findings, and why it cannot be trained on (None if it can)."""

    collection: Dataset
    findings: Findings
    training_obstacle: str | None

    def text(self) -> str:
        """The report for a terminal."""
        lines = [f"Labels: {self.collection.describe_labels()}", *self.collection.problems.lines()]
        if self.training_obstacle:
            lines.append(f"Not enough to train on: {self.training_obstacle}")
        lines += self.collection.split_lines()
        return "\n".join([*map(escape_controls, lines), self.findings.text()])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        problems = self.collection.problems
        return {
            "labels": self.collection.describe_labels(),
            "counts": dict(self.collection.label_counts),
            "splits": dict.fromkeys(SPLITS, 0) | self.collection.sizes(),
            "lacking": self.training_obstacle,
            "problems": problems.lines(),
            "left_out": problems.to_dict(),
            **self.findings.to_dict(),
        }


def run_audit(
    config: AuditConfig,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda sentence: None,
) -> AuditReport:
    """Read and audit a collection.

    The bundled model replaces `imagenet` if its weights are neither cached nor downloadable;
    `say` gets a sentence about it. Raises TaggerError for collections, models and lists that
    cannot be read.
    """
    leave_out = read_list(config.leave_out) if config.leave_out else frozenset()
    runtime = None
    if config.weights != NO_WEIGHTS:
        runtime = Runtime(_load_model(config.weights, say).network)
    side = runtime.image_size if runtime else config.image_size
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(PixelStore(Path(folder) / "pixels.u8", side)) as store,
    ):
        collection = dataset.load(
            config.data,
            store,
            config.seed,
            config.workers,
            progress,
            config.validation_share,
            leave_out,
            require_enough=False,
            merge_case=config.merge_case,
        )
        features = None
        if runtime:
            features = _compute_features(runtime, store, collection, config, progress)
    findings = collect_findings(collection, config.image_size, features, config.seed)
    try:
        dataset.check_enough(collection)
        training_obstacle = None
    except DatasetError as error:
        training_obstacle = str(error)
    return AuditReport(collection, findings, training_obstacle)


def available_weights() -> str:
    """A model that needs no download: `imagenet` if it has been made, the bundled one, or any."""
    if registry.imagenet_model().is_file():
        return registry.IMAGENET
    if registry.BUNDLED_MODEL.is_file():
        return str(registry.BUNDLED_MODEL)
    return next(iter(registry.model_names()), NO_WEIGHTS)


def _load_model(weights: str, say: Callable[[str], None]) -> model_file.ModelFile:
    if weights != registry.IMAGENET:
        return model_file.load(registry.find_model(weights))
    try:
        return imagenet.load(say)
    except WeightsUnavailableError as error:
        bundled = registry.BUNDLED_MODEL
        if not bundled.is_file():
            raise
        say(f"{error}. Looking through {bundled.name} instead.")
        return model_file.load(bundled)


def _compute_features(
    runtime: Runtime,
    store: PixelStore,
    collection: Dataset,
    config: AuditConfig,
    progress: Progress,
) -> tuple[Sequence[Sample], NDArray[np.float32]]:
    samples = subsample(collection.samples, MAX_HEAD_PHOTOS, config.seed)
    features = np.empty((len(samples), runtime.feature_count), np.float32)
    outputs = run_network(runtime, store, samples, config.workers, progress, "Looking at photos")
    for row, output in enumerate(outputs):
        features[row] = output.features
    return samples, features
