"""Model card: what a model was trained on, its scores, its weaknesses, the command to repeat it."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any

from tagger import provenance
from tagger.datasets.dataset import Dataset
from tagger.evaluation.calibration import (
    CERTAIN_SHARE,
    IN_DISTRIBUTION_SHARE,
    SELECTED_SHARE,
    Calibration,
)
from tagger.evaluation.metrics import MIN_POSITIVES
from tagger.evaluation.results import (
    AcceptedShare,
    MultiLabelScores,
    OodScores,
    Scores,
    SingleLabelScores,
    to_json,
)
from tagger.evaluation.tag_selection import TagSelection
from tagger.images.transforms import PREPROCESSING
from tagger.inference.model_file import Card
from tagger.paths import public_path
from tagger.training.evaluate import Evaluation

MAX_WEAKNESSES = 3  # of each kind
_UNQUOTED = re.compile(r"[\w./+-]+|\$TAGGER_DATA[\w./+-]*", re.ASCII)  # safe in a shell
_OPTION_NAMES = {"epochs": "fine_tune"}  # settings with another name on the command line
_PATHS = (
    *("data", "output", "unrelated", "test", "weights", "captions", "leave_out"),
    "none_of_these",
)


def build_card(
    settings: dict[str, Any],
    collection: Dataset,
    evaluation: Evaluation,
    calibration: Calibration,
    selection: TagSelection | None = None,
) -> Card:
    """The card without the decision rule and the digests, which the model file adds.

    `selection` chose the labels among more, as `collection.keep_labels` did.
    """
    is_selected = settings["least_precision"] is not None
    thresholds = (
        {"certain_share_kept": CERTAIN_SHARE}
        if evaluation.kind == "single"
        else {"thresholds": "least precision" if is_selected else "best F1"}
    )
    return {
        "name": evaluation.model,
        "about": settings["about"],
        "backbone": settings["backbone"],
        "preprocessing": PREPROCESSING,
        "trained_on": {
            "collection": collection.root.resolve().name,
            "photos": collection.counts(),
            "sizes": collection.sizes(),
            "fingerprint": collection.fingerprint,
        },
        "precision": to_json(evaluation.conversion),
        "started_from": public_path(evaluation.started_from),
        "fine_tuning": to_json(evaluation.fine_tuning),
        "scores": {
            "validation": _summarize(evaluation.validation),
            "typical": _summarize(evaluation.typical) if evaluation.typical else None,
            "descriptions": to_json(evaluation.descriptions),
            "test": _summarize(evaluation.test) if evaluation.test else None,
            "unknown": to_json(evaluation.unknown),
        },
        "rule_fitted_on": {
            "validation_photos": evaluation.validation.photos,
            "out_of_fold_training_photos": calibration.out_of_fold,
            "familiar_share_kept": SELECTED_SHARE if is_selected else IN_DISTRIBUTION_SHARE,
            **thresholds,
        },
        "tags": _count_predictions(collection, selection) if selection else None,
        "weakest": _weaknesses(evaluation.validation, evaluation.unknown, evaluation.test),
        "settings": {
            key: public_path(value) if key in _PATHS and value else value
            for key, value in settings.items()
        },
        "versions": provenance.versions(),
        "command": _command(settings),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _count_predictions(collection: Dataset, selection: TagSelection) -> dict[str, dict[str, float]]:
    """How many validation photos each tag was predicted for, and the share of them that have it.

    Photos for which nobody looked do not count. The figures are cross-fitted.
    """
    return {
        name: {
            "predicted": int(selection.predicted[tag]),
            "precision": round(float(selection.precisions[tag]), 4),
        }
        for name, tag in zip(collection.labels.names, selection.kept, strict=True)
    }


def _command(settings: dict[str, Any]) -> str:
    """The command that repeats the training, also of one that the app started."""
    words = ["python train.py"]
    for key, value in settings.items():
        option = f"--{_OPTION_NAMES.get(key, key).replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False and value not in (None, ""):
            text = str(public_path(value) if key in _PATHS else value)
            words.append(f"{option} {text if _UNQUOTED.fullmatch(text) else shlex.quote(text)}")
    return " ".join(words)


def _summarize(scores: Scores) -> dict[str, Any]:
    """The scores that a card keeps, with calibration and decision shares on one level."""
    values = to_json(scores)
    by_label = values.pop("by_label")
    calibration = {k: v for k, v in values.pop("calibration").items() if k != "temperature"}
    decision = values.pop("decision")
    del values["mistakes"]
    if isinstance(scores, SingleLabelScores):
        values["confusion"] = _sparse_confusion(scores)
    else:
        values["ap"] = {name: row["ap"] for name, row in by_label.items()}
    f1 = {name: row["f1"] for name, row in by_label.items()}
    return {**values, "f1": f1, **calibration, **decision}


def _sparse_confusion(scores: SingleLabelScores) -> dict[str, dict[str, int]]:
    """Photos by true and predicted label, without the zeros that most of a large table are."""
    names = list(scores.by_label)
    return {
        name: {names[column]: count for column, count in enumerate(row) if count}
        for name, row in zip(names, scores.confusion, strict=True)
    }


def _weaknesses(validation: Scores, unknown: OodScores | None, test: Scores | None) -> list[str]:
    """Sentences about the labels with the worst recall and AP, and the kinds most accepted."""
    labels = sorted(validation.by_label.items(), key=lambda item: item[1].recall)
    lines = [
        f"finds {row.recall:.1%} of {name} ({row.photos} validation photos)"
        for name, row in [item for item in labels if item[1].photos][:MAX_WEAKNESSES]
        if row.recall < 1
    ]
    if isinstance(test, MultiLabelScores):
        ranked = sorted(
            (row.ap, name, row.photos)
            for name, row in test.by_label.items()
            if row.ap is not None and row.photos >= MIN_POSITIVES
        )
        lines += [
            f"ranks {name} with an average precision of {ap:.2f} on test photos ({photos} have it)"
            for ap, name, photos in ranked[:MAX_WEAKNESSES]
        ]
    kinds = [
        (name, row)
        for name, row in (unknown.by_kind if unknown else {}).items()
        if isinstance(row, AcceptedShare)
    ]
    kinds.sort(key=lambda item: -item[1].accepted)
    return lines + [
        f"calls {row.accepted:.1%} of unrelated {kind} known ({row.photos} photos)"
        for kind, row in kinds[:MAX_WEAKNESSES]
        if row.accepted
    ]
