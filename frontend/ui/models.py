"""The models to choose from, loaded once for all pages."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from frontend.ui.library import open_library, start_embedding
from frontend.ui.messages import notify
from tagger import TaggerError
from tagger.inference import model_file
from tagger.inference.registry import IMAGENET, display_name, find_model, model_names
from tagger.models import imagenet
from tagger.tagger import Tagger
from tagger.text import count_noun

MAX_LOADED = 4  # models in memory


def load_tagger(model: str | None = None) -> Tagger:
    """A model by name or file, by default the active one, from memory if it is loaded.

    Builds `imagenet` at its first use. Raises ModelError, or WeightsUnavailableError.
    """
    model = model or open_library().active_model()
    path = find_model(model)
    if needs_building(model):
        with st.spinner(imagenet.MAKING):
            imagenet.load()
    path = path.resolve()
    stat = path.stat()
    return _load_tagger(str(path), stat.st_mtime_ns, stat.st_size)


@st.cache_resource(show_spinner=False, max_entries=MAX_LOADED)
def _load_tagger(path: str, modified: int, size: int) -> Tagger:
    return Tagger.load(path)


def list_models() -> list[str]:
    """The names of all models, and the path of the active one if it has no name."""
    return sorted({*model_names(), IMAGENET, open_library().active_model()})


def needs_building(model: str) -> bool:
    """Whether it is `imagenet` and has not been built yet."""
    return model == IMAGENET and not find_model(model).is_file()


def activate_model(model: str) -> None:
    """Tag new photos with this model alone. Raises as `load_tagger` does.

    Says which models were in use beside another one, as they tag no new photos any more.
    """
    load_tagger(model)
    before = open_library().models_in_use()
    open_library().use_model(model)
    dropped = [display_name(name) for name in before if name != model]
    if len(before) > 1 and dropped:
        names = " and ".join(dropped)
        notify(f"New photos are tagged by {display_name(model)} alone, no more by {names}.")
    start_embedding(open_library())  # in its space, if it understands descriptions


def model_title(model: str) -> str:
    """A model in a list: "Pets · 2 labels", with its folder if that is not `model/`."""
    path = Path(model)
    name = f"{path.stem} in {path.parent}" if path.is_absolute() else display_name(model)
    try:
        if needs_building(model):
            return f"{name} · {count_noun(imagenet.CLASSES, 'label')}, built when first used"
        path = find_model(model)
        labels = len(_read_labels(str(path), path.stat().st_mtime_ns))
        return f"{name} · {count_noun(labels, 'label')}"
    except (TaggerError, OSError):
        return f"{name} · cannot be read"


def models_with_backbone(backbone: str) -> list[str]:
    """The models that a training with this backbone can start from."""
    models = []
    for model in list_models():
        with suppress(TaggerError, OSError):
            path = find_model(model)
            if _read_backbone(str(path), path.stat().st_mtime_ns) == backbone:
                models.append(model)
    return models


@st.cache_resource(show_spinner=False)
def _read_backbone(path: str, modified: int) -> str:
    return str(model_file.load_card(path)["backbone"])


def list_labels() -> list[str]:
    """The labels of the models in use; none of a model that cannot be read or is not built yet."""
    labels: list[str] = []
    for model in open_library().models_in_use():
        with suppress(TaggerError, OSError):
            path = find_model(model)
            labels += _read_labels(str(path), path.stat().st_mtime_ns)
    return labels


@st.cache_resource(show_spinner=False)
def _read_labels(path: str, modified: int) -> list[str]:
    return list(map(str, model_file.load_card(path)["labels"]))
