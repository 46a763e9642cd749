"""Model cards of the model files, and the run folders that they come from.

Values are read tolerantly: a card may be older, or of another program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from tagger import TaggerError, paths
from tagger.errors import describe_error
from tagger.inference import model_file, registry
from tagger.training import run_folder


@dataclass(frozen=True)
class Model:
    """A model file with its card, or with the error that prevents reading it."""

    id: str  # its name, or the path of a file outside `model/`; see `list_models`
    path: Path
    size: int = 0  # bytes
    card: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    error: str | None = None

    @property
    def name(self) -> str:
        """The file name without its extension."""
        return self.path.stem


def read_model(model_id: str) -> Model:
    """A model by its id."""
    if model_id.endswith(".h5"):
        path = Path(model_id)
    elif model_id == registry.IMAGENET:
        path = registry.find_model(model_id)
    else:
        path = paths.MODELS / f"{model_id}.h5"
    try:
        stat = path.stat()
        card, labels = _read_card(str(path), stat.st_mtime_ns, stat.st_size)
        return Model(model_id, path, stat.st_size, card, labels)
    except (TaggerError, OSError) as error:
        return Model(model_id, path, error=describe_error(error))


@st.cache_resource(show_spinner=False)
def _read_card(path: str, modified: int, size: int) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    card = model_file.load_card(path)
    return card, tuple(card["labels"])


def get_value(data: Any, *keys: str) -> Any:
    """A value by its path of keys, None where one is missing."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def get_number(data: Any, *keys: str) -> float | None:
    """A number by its path of keys; None where there is none."""
    value = get_value(data, *keys)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def get_text(data: Any, *keys: str) -> str | None:
    """A text by its path of keys; None where there is none or it is empty."""
    value = get_value(data, *keys)
    return value.strip() if isinstance(value, str) and value.strip() else None


def first_sentence(about: str) -> str:
    """A description up to the end of its first sentence: what comes after tells how it was made."""
    sentence = re.match(r".*?\w{4}\)?[.!?](?=\s)", about, re.DOTALL)
    return about if sentence is None else sentence.group()


def confusion_counts(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Photos by true and predicted label, from a card (by name) or metrics.json (rows)."""
    matrix, names = (
        get_value(evaluation, "confusion"),
        list(get_value(evaluation, "by_label") or ()),
    )
    if isinstance(matrix, list):
        matrix = {
            name: dict(zip(names, row, strict=False))
            for name, row in zip(names, matrix, strict=False)
            if isinstance(row, list)
        }
    if not isinstance(matrix, Mapping) or not all(isinstance(r, Mapping) for r in matrix.values()):
        return {}
    return {
        str(name): {str(other): get_number(row, other) or 0 for other in row}
        for name, row in matrix.items()
    }


def reliability_bins(evaluation: Mapping[str, Any], name: str) -> list[dict[str, float]]:
    """The complete bins of a reliability diagram, from a card or metrics.json."""
    rows = get_value(evaluation, name) or get_value(evaluation, "calibration", name)
    keys = ("confidence", "accuracy", "photos")
    bins = [
        {key: value for key in keys if (value := get_number(row, key)) is not None}
        for row in (rows if isinstance(rows, list) else [])
    ]
    return [bin for bin in bins if len(bin) == len(keys)]


def find_run_folder(model: Model) -> Path | None:
    """The newest run folder on this machine that this very model comes from."""
    for folder in sorted(paths.RUNS.glob("*-*-*"), reverse=True):
        if folder.name.split("-", 2)[2] != model.name:
            continue
        accuracy = get_number(_read_metrics(folder), "validation", "accuracy")
        if accuracy is None or accuracy != get_number(
            model.card, "scores", "validation", "accuracy"
        ):
            continue
        note = folder / run_folder.COLLECTION
        fingerprint = get_text(model.card, "trained_on", "fingerprint")
        recorded = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else ""
        if fingerprint and recorded.startswith(fingerprint):  # the captions' own may follow
            return folder
    return None


def _read_metrics(folder: Path) -> Any:
    try:
        return json.loads((folder / run_folder.METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_validation(model: Model, folder: Path | None) -> Mapping[str, Any]:
    """The evaluation on validation photos: from the card, or from the run folder of an old card."""
    validation = get_value(model.card, "scores", "validation")
    is_old = not isinstance(validation, Mapping) or not {"confusion", "map"} & validation.keys()
    if is_old and folder is not None:
        validation = get_value(_read_metrics(folder), "validation")
    return validation if isinstance(validation, Mapping) else {}
