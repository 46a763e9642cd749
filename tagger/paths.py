"""Where things live, whatever the current directory is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tagger.errors import ModelNotFoundError

ROOT = Path(__file__).resolve().parent.parent
DATASET = ROOT / "dataset"
MODELS = ROOT / "model"
RUNS = ROOT / "runs"
LIBRARY = ROOT / "library"
OWN_MODEL = MODELS / "image_tagger.h5"  # what train.py writes unless told otherwise
BUNDLED = ("everyday", "pets", "cifar10")  # the models that come with the project
BUNDLED_MODEL = MODELS / f"{BUNDLED[0]}.h5"  # that tags until there is one of the user's own
IMAGENET = "imagenet"  # the model that `tagger.imagenet` makes at its first use


def library_home() -> Path:
    """The folder of the user's photo library: `TAGGER_HOME`, or `library/` in the project."""
    return Path(os.environ.get("TAGGER_HOME") or LIBRARY).absolute()


def cache_home() -> Path:
    """The folder for what can be made again: `TAGGER_CACHE`, or the platform's place for such."""
    if chosen := os.environ.get("TAGGER_CACHE"):
        return Path(chosen).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "image-tagger"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-tagger"


def imagenet_model() -> Path:
    """Where the model `imagenet` is, once it has been made."""
    return cache_home() / f"{IMAGENET}.h5"


def find_model(name: str | Path | None = None) -> Path:
    """A model file by name ("pets") or path; by default the user's own, else the bundled one.

    `imagenet`, unless the user has one of that name, is where it is or will be made. Raises
    ModelNotFoundError naming the models there are.
    """
    if name is None:
        return OWN_MODEL if OWN_MODEL.is_file() else find_model(BUNDLED_MODEL)
    path = Path(name)
    if path.suffix == ".h5" or path.parent != Path():
        if path.is_file():
            return path
        raise ModelNotFoundError(f"{path}: no such model file{_known()}")
    named = MODELS / f"{path}.h5"
    if named.is_file():
        return named
    if str(name) == IMAGENET:
        return imagenet_model()
    raise ModelNotFoundError(f"no model is called {name!r}{_known()}")


def model_names() -> list[str]:
    """The models in `model/`, by name; what a training is just writing is none yet."""
    return sorted(path.stem for path in MODELS.glob("*.h5") if not path.name.startswith("."))


def model_name(path: Path) -> str:
    """What finds a model file again: its name if that does, else its path."""
    named = path.parent == MODELS or path == imagenet_model()
    return path.stem if named else str(path)


def shown(path: str | Path) -> str:
    """A path as a model's card tells it: from the project's folder or `$TAGGER_DATA`.

    Of any other absolute path only its last part, since where a person keeps things is theirs.
    """
    path = Path(path)
    if not path.is_absolute():
        return path.as_posix()
    for folder, name in ((os.environ.get("TAGGER_DATA"), "$TAGGER_DATA"), (ROOT, "")):
        if folder and path.resolve().is_relative_to(Path(folder).resolve()):
            inside = path.resolve().relative_to(Path(folder).resolve())
            return (Path(name) / inside).as_posix()
    return path.name


def _known() -> str:
    return f"; {MODELS} has {', '.join(model_names()) or 'none'}, and there is {IMAGENET}"
