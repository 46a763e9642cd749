"""A training in a few lines: the numbers that matter, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tagger.audit.findings import MAX_LISTED
from tagger.datasets.dataset import too_few_to_check
from tagger.inference.registry import OWN_MODEL
from tagger.text import score
from tagger.training.trainer import TrainingResult


def lines(trained: TrainingResult) -> Iterator[str]:
    """What a person at a terminal wants to know of it."""
    found = trained.metrics
    for split in ("validation", "test"):
        if judged := found[split]:
            yield f"{split.title()}: {_judged(judged, found['kind'])}"
    if unknown := found["unknown"]:
        accepted = unknown["accepted"]
        told = "" if accepted is None else f", {accepted:.2%} of them called known"
        yield (
            f"Unknown: AUROC {unknown['auroc']:.4f}, FPR95 {unknown['fpr95']:.2%}"
            f" on {unknown['photos']:,} {unknown['measured_on']}{told}"
        )
    if warning := too_few_to_check(found["photos"]["val"]):
        yield f"{warning}."
    unreadable = found["problems"]["unreadable"]
    for path, reason in unreadable[:MAX_LISTED]:
        yield f"Left out: {path}: {reason}"
    if len(unreadable) > MAX_LISTED:
        yield f"and {len(unreadable) - MAX_LISTED:,} more; all in report.html"
    seconds = sum(found["seconds"].values())
    if conversion := found["conversion"]:
        yield f"Model:  {trained.model} ({conversion['precision']}, {seconds:.0f} s to train)"
        if trained.model.resolve() == OWN_MODEL.resolve():
            yield "It answers from now on wherever no other model is named or chosen."
    else:
        yield f"No model was written: a random forest is judged alone ({seconds:.0f} s to train)"


def _judged(judged: dict[str, Any], kind: str) -> str:
    decided = judged["decision"]
    right = f"{judged['accuracy']:.2%} right"
    if kind == "multi":
        right = f"F1 {judged['micro_f1']:.4f}, mAP {score(judged['map'])}"
    unknown = decided["unfamiliar"] + decided["uncertain"]
    return f"{right} of {judged['photos']:,} photos, {unknown:.2%} called unknown"
