"""The card: what a model was trained on, how it scores, where it fails, how to make it again."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any

from tagger import provenance
from tagger.datasets.dataset import Dataset
from tagger.evaluation.calibration import CERTAIN_SHARE, IN_DISTRIBUTION_SHARE, Calibration
from tagger.evaluation.metrics import MIN_POSITIVES
from tagger.images.transforms import PREPROCESSING
from tagger.inference.model_file import Card
from tagger.labels import Kind
from tagger.paths import public_path

WORST_SHOWN = 3
_PLAIN = re.compile(r"[\w./+-]+|\$TAGGER_DATA[\w./+-]*", re.ASCII)  # to a shell
_OPTIONS = {"epochs": "fine_tune"}  # settings that train.py calls otherwise
_OF_TAGS = ("map", "map_least_photos", "accuracy_of_silence", "micro_f1", "macro_f1")
_PATHS = ("data", "output", "unrelated", "test", "weights", "leave_out")


def write(
    name: str,
    settings: dict[str, Any],
    collection: Dataset,
    metrics: dict[str, Any],
    calibration: Calibration,
) -> Card:
    """Everything but the decision rule and the digests, which the model file adds."""
    return {
        "name": name,
        "about": settings["about"],
        "backbone": settings["backbone"],
        "preprocessing": PREPROCESSING,
        "trained_on": {
            "collection": collection.root.resolve().name,
            "photos": collection.counts(),
            "sizes": collection.sizes(),
            "fingerprint": collection.fingerprint,
        },
        "precision": metrics["conversion"],
        "started_from": public_path(metrics["started_from"]),
        "fine_tuning": metrics["fine_tuning"],
        "scores": {
            "validation": summary(metrics["validation"]),
            "test": metrics["test"] and summary(metrics["test"]),
            "unknown": metrics["unknown"],
        },
        "rule_fitted_on": {
            "validation_photos": metrics["validation"]["photos"],
            "out_of_fold_training_photos": calibration.out_of_fold,
            "familiar_share_kept": IN_DISTRIBUTION_SHARE,
            **_certain(collection.labels.kind),
        },
        "weakest": weakest(metrics["validation"], metrics["unknown"], metrics["test"]),
        "settings": {k: public_path(v) if k in _PATHS and v else v for k, v in settings.items()},
        "versions": provenance.versions(),
        "command": _command(settings),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _certain(kind: Kind) -> dict[str, Any]:
    """What the thresholds on certainty were fitted for."""
    return {"certain_share_kept": CERTAIN_SHARE} if kind == "single" else {"thresholds": "best F1"}


def _command(settings: dict[str, Any]) -> str:
    """What makes it again, whether `train.py` made it or the app did."""
    words = ["python train.py"]
    for key, value in settings.items():
        if value not in (None, ""):
            told = str(public_path(value) if key in _PATHS else value)
            option = _OPTIONS.get(key, key).replace("_", "-")
            words.append(f"--{option} {told if _PLAIN.fullmatch(told) else shlex.quote(told)}")
    return " ".join(words)


def summary(judgement: dict[str, Any]) -> dict[str, Any]:
    """The part of a judgement that a card keeps."""
    calibration = judgement["calibration"]
    own: dict[str, Any]
    if "map" in judgement:
        own = {key: judgement[key] for key in _OF_TAGS}
        own["ap"] = {name: row["ap"] for name, row in judgement["by_label"].items()}
    else:
        own = {"top_3": judgement["top_3"], "confusion": _confusion(judgement)}
    return {
        "photos": judgement["photos"],
        "accuracy": judgement["accuracy"],
        **own,
        "f1": {name: row["f1"] for name, row in judgement["by_label"].items()},
        "ece_before": calibration["ece_before"],
        "ece_after": calibration["ece_after"],
        "reliability_before": calibration["reliability_before"],
        "reliability_after": calibration["reliability_after"],
        **judgement["decision"],
    }


def _confusion(judgement: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Photos by true and predicted label, without the zeros that most of a large table are."""
    names = list(judgement["by_label"])
    return {
        name: {names[column]: count for column, count in enumerate(row) if count}
        for name, row in zip(names, judgement["confusion"], strict=True)
    }


def weakest(
    judgement: dict[str, Any],
    unknown: dict[str, Any] | None,
    test: dict[str, Any] | None = None,
) -> list[str]:
    """Where a model fails, in sentences: its worst labels, and what it takes for known."""
    rows = sorted(judgement["by_label"].items(), key=lambda row: row[1]["recall"])
    lines = [
        f"finds {row['recall']:.1%} of {name} ({row['photos']} validation photos)"
        for name, row in [row for row in rows if row[1]["photos"]][:WORST_SHOWN]
        if row["recall"] < 1
    ]
    if test and "map" in test:
        told = [(row["ap"], n, row["photos"]) for n, row in test["by_label"].items()]
        ranked = sorted(row for row in told if row[0] is not None and row[2] >= MIN_POSITIVES)
        lines += [
            f"ranks {name} with an average precision of {ap:.2f} on test photos ({photos} have it)"
            for ap, name, photos in ranked[:WORST_SHOWN]
        ]
    kinds = (unknown or {}).get("by_kind", {})
    accepted = sorted(kinds.items(), key=lambda row: -row[1].get("accepted", 0))
    return lines + [
        f"calls {row['accepted']:.1%} of unrelated {kind} known ({row['photos']} photos)"
        for kind, row in accepted[:WORST_SHOWN]
        if row.get("accepted")
    ]
