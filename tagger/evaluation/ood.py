"""Evaluation of out-of-distribution detection: does the model say "unknown" of other things?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, ordered_map, silent
from tagger.errors import DatasetError, ImageError
from tagger.evaluation import metrics
from tagger.evaluation.calibration import fit_reference_vectors
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import AcceptedShare, LeftOutScores, OodScores
from tagger.files import Skipped
from tagger.images import decode, transforms
from tagger.inference.decision import (
    DecisionRule,
    guided_distance,
    neighbour_distance,
    unit_vectors,
)
from tagger.inference.litert import Outputs, Runtime
from tagger.labels import LabelSet

MIN_LABELS_LEFT_OUT = 3  # of two labels, one left out leaves nothing to tell apart
MAX_LEFT_OUT_PHOTOS = 4_000  # training photos that each label's reference is fitted on


@dataclass(frozen=True)
class OodOutputs:
    """Outputs for M out-of-distribution photos: logits `(M, C)`, features `(M, D)`.

    `kinds` are the folders that the photos were in. `unread` is the number of other photos, and of
    folders, that could not be read.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    kinds: tuple[str, ...]
    unread: int = 0


def check_folder(root: Path, image_size: int) -> None:
    """Raise DatasetError unless a photo under `root` can be read, as `run_on_folder` does."""
    if not any(_can_prepare(path, image_size) for path in decode.find_photos(root)):
        raise DatasetError(f"{root}: no readable photos of unrelated things in it")


def _can_prepare(path: Path, image_size: int) -> bool:
    try:
        transforms.prepare(path, image_size)
    except ImageError:
        return False
    return True


def run_on_folder(
    runtime: Runtime, root: Path, workers: int | None = None, progress: Progress = silent
) -> OodOutputs:
    """Outputs for every readable photo under `root`. Raises DatasetError where there is none."""

    def run(path: Path) -> tuple[Outputs, str] | None:
        try:
            outputs = runtime.run(transforms.prepare(path, runtime.image_size))
        except ImageError:
            return None
        parts = path.relative_to(root).parts
        return outputs, parts[0] if len(parts) > 1 else root.name

    skipped = Skipped()
    paths = list(decode.find_photos(root, skipped))
    results = progress(ordered_map(run, paths, workers), len(paths), "Unrelated photos")
    rows = [row for row in results if row]
    if not rows:
        raise DatasetError(f"{root}: no readable photos of unrelated things in it")
    logits = np.stack([outputs.logits for outputs, _ in rows])
    features = np.stack([outputs.features for outputs, _ in rows])
    unread = len(paths) - len(rows) + len(skipped.unopened)
    return OodOutputs(logits, features, tuple(kind for _, kind in rows), unread)


def evaluate_unrelated(
    rule: DecisionRule, validation: LabelledOutputs, unrelated: OodOutputs
) -> OodScores:
    """How well `rule` separates out-of-distribution photos from validation photos."""
    decisions = rule.decide(unrelated.logits, unrelated.features)
    accepted = np.array([decision.reason is None for decision in decisions])
    in_distribution = rule.ood_distance(validation.logits, validation.features)
    out_of_distribution = rule.ood_distance(unrelated.logits, unrelated.features)
    rows = np.array(unrelated.kinds)
    return OodScores(
        measured_on="unrelated photos",
        photos=len(decisions),
        auroc=metrics.auroc(in_distribution, out_of_distribution),
        fpr95=metrics.fpr95(in_distribution, out_of_distribution),
        accepted=float(accepted.mean()),
        by_kind={
            kind: AcceptedShare(int((rows == kind).sum()), float(accepted[rows == kind].mean()))
            for kind in sorted(set(unrelated.kinds))
        },
    )


def evaluate_left_out(
    labels: LabelSet,
    train: LabelledOutputs,
    validation: LabelledOutputs,
    temperature: float,
    seed: int,
) -> OodScores | None:
    """Each label in turn as the out-of-distribution one; None for fewer than three, or for tags.

    The backbone was trained on the label left out, so other photos may fare differently.
    """
    if len(labels) < MIN_LABELS_LEFT_OUT or labels.kind == "multi":
        return None
    train = train.take(np.random.default_rng(seed).permutation(len(train))[:MAX_LEFT_OUT_PHOTOS])
    by_label = {}
    for index, name in enumerate(labels.names):
        left_out = validation.labels == index
        if not left_out.any() or left_out.all():
            continue
        scale, vectors = fit_reference_vectors(train.features[train.labels != index], seed)
        distances = neighbour_distance(unit_vectors(validation.features / scale), vectors)
        logits = np.delete(validation.logits, index, axis=1) / temperature
        ood_distances = guided_distance(distances, logits, labels.kind)
        in_distribution, out_of_distribution = ood_distances[~left_out], ood_distances[left_out]
        by_label[name] = LeftOutScores(
            photos=int(left_out.sum()),
            auroc=metrics.auroc(in_distribution, out_of_distribution),
            fpr95=metrics.fpr95(in_distribution, out_of_distribution),
        )
    return OodScores(
        measured_on="labels left out in turn",
        photos=len(validation),
        auroc=float(np.mean([scores.auroc for scores in by_label.values()])),
        fpr95=float(np.mean([scores.fpr95 for scores in by_label.values()])),
        accepted=None,
        by_kind=by_label,
    )
