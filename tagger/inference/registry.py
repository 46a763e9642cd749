"""Models by name: those that come with the project, the user's own, and `imagenet`."""

from __future__ import annotations

from pathlib import Path

from tagger import paths
from tagger.errors import ModelNotFoundError

BUNDLED = ("everyday", "pets", "cifar10")  # the models that come with the project
BUNDLED_MODEL = paths.MODELS / f"{BUNDLED[0]}.h5"  # the default until the user trains a model
OWN_MODEL = paths.MODELS / "image_tagger.h5"  # the default output of train.py
IMAGENET = "imagenet"  # made by `tagger.models.imagenet` at its first use

_DISPLAY_NAMES = {
    "everyday": "Everyday",
    "pets": "Pets",
    "cifar10": "CIFAR-10",
    IMAGENET: "ImageNet",
}


def imagenet_model() -> Path:
    """The file of the model `imagenet`, whether or not it has been made."""
    return paths.cache_home() / f"{IMAGENET}.h5"


def find_model(name: str | Path | None = None) -> Path:
    """The file of a model, by name ("pets") or path; by default the user's own, else the bundled.

    A user's model called `imagenet` comes before the one in the cache, which need not exist yet.
    Raises ModelNotFoundError, which lists the available models.
    """
    if name is None:
        return OWN_MODEL if OWN_MODEL.is_file() else find_model(BUNDLED_MODEL)
    path = Path(name)
    if path.suffix == ".h5" or path.parent != Path():
        if path.is_file():
            return path
        raise ModelNotFoundError(f"{path}: no such model file{_available()}")
    in_project = paths.MODELS / f"{path}.h5"
    if in_project.is_file():
        return in_project
    if str(name) == IMAGENET:
        return imagenet_model()
    raise ModelNotFoundError(f"no model is called {name!r}{_available()}")


def model_names() -> list[str]:
    """Names of the models in `model/`, sorted; without hidden files, which are being written."""
    return sorted(path.stem for path in paths.MODELS.glob("*.h5") if not path.name.startswith("."))


def model_name(path: Path) -> str:
    """The argument of `find_model` that finds this file: its name where possible, else its path."""
    has_name = path.parent == paths.MODELS or path == imagenet_model()
    return path.stem if has_name else str(path)


def display_name(model: str) -> str:
    """A model's name, or that of its file, as people read it: "Everyday", "ImageNet"."""
    stem = Path(model).stem
    return _DISPLAY_NAMES.get(stem, stem)


def _available() -> str:
    return f"; {paths.MODELS} has {', '.join(model_names()) or 'none'}, and there is {IMAGENET}"
