"""Model files as pages show them: what a card tells, whatever it holds, and its training here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.ui.messages import describe_error
from tagger import TaggerError, paths
from tagger.inference import model_file, registry
from tagger.training import run_folder


@dataclass(frozen=True)
class Model:
    """A model file: its card, or the sentence that says why it has none to show."""

    id: str  # as `list_models` gives it: a name, or the path of a file elsewhere
    path: Path
    size: int = 0
    card: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    error: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read(model: str) -> Model:
    """A model by its id."""
    named = (
        registry.find_model(model) if model == registry.IMAGENET else paths.MODELS / f"{model}.h5"
    )
    path = Path(model) if model.endswith(".h5") else named
    try:
        info = path.stat()
        card, labels = _card(str(path), info.st_mtime_ns, info.st_size)
        return Model(model, path, info.st_size, card, labels)
    except (TaggerError, OSError) as error:
        return Model(model, path, error=describe_error(error))


@st.cache_resource(show_spinner=False)
def _card(path: str, changed: int, size: int) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    model = model_file.load(path)
    return model.card, model.labels.names


def number(found: Any, *keys: str) -> float | None:
    """A number by its keys in a card or in metrics; None where there is none."""
    value = dig(found, *keys)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def dig(found: Any, *keys: str) -> Any:
    """A value by its keys, None on the way where one is missing: a card may be of any kind."""
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def text(found: Any, *keys: str) -> str | None:
    """Words by their keys; None where there are none."""
    value = dig(found, *keys)
    return value.strip() if isinstance(value, str) and value.strip() else None


def confusion_cells(judged: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Photos by true and predicted label, of a card (by name) or of metrics (a list of rows)."""
    found, names = dig(judged, "confusion"), list(dig(judged, "by_label") or ())
    if isinstance(found, list):
        found = {
            name: dict(zip(names, row, strict=False))
            for name, row in zip(names, found, strict=False)
            if isinstance(row, list)
        }
    if not isinstance(found, Mapping) or not all(isinstance(r, Mapping) for r in found.values()):
        return {}
    return {
        str(name): {str(other): number(row, other) or 0 for other in row}
        for name, row in found.items()
    }


def reliability_bins(judged: Mapping[str, Any], name: str) -> list[dict[str, float]]:
    """The bins of a reliability diagram, of a card or of metrics."""
    found = dig(judged, name) or dig(judged, "calibration", name)
    rows = found if isinstance(found, list) else []
    read = [{key: number(row, key) for key in ("confidence", "accuracy", "photos")} for row in rows]
    return [
        {key: value for key, value in row.items() if value is not None}
        for row in read
        if None not in row.values()
    ]


def training_of(model: Model) -> Path | None:
    """The newest run on this machine that made this very model."""
    for folder in sorted(paths.RUNS.glob("*-*-*"), reverse=True):
        if folder.name.split("-", 2)[2] != model.name:
            continue
        measured = _metrics(folder)
        accuracy = number(measured, "validation", "accuracy")
        if accuracy is None or accuracy != number(model.card, "scores", "validation", "accuracy"):
            continue
        note = folder / run_folder.COLLECTION
        fingerprint = text(model.card, "trained_on", "fingerprint")
        if note.is_file() and note.read_text(encoding="utf-8") == fingerprint:
            return folder
    return None


def _metrics(run: Path) -> Any:
    try:
        return json.loads((run / run_folder.METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def validation_of(model: Model, run: Path | None) -> Mapping[str, Any]:
    """What its card tells of the photos kept aside, or, where it is older than that, its run."""
    told = dig(model.card, "scores", "validation")
    old = not isinstance(told, Mapping) or not {"confusion", "map"} & told.keys()
    if old and run is not None:
        told = dig(_metrics(run), "validation")
    return told if isinstance(told, Mapping) else {}
