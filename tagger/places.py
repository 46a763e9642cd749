"""Where things live, whatever the current directory is."""

from __future__ import annotations

import os
from pathlib import Path

from tagger.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent
DATASET = ROOT / "dataset"
MODELS = ROOT / "model"
RUNS = ROOT / "runs"
LIBRARY = ROOT / "library"
OWN_MODEL = MODELS / "image_tagger.h5"  # what train.py writes unless told otherwise
BUNDLED_MODEL = MODELS / "pets.h5"


def library_home() -> Path:
    """The folder of the user's photo library: `TAGGER_HOME`, or `library/` in the project."""
    return Path(os.environ.get("TAGGER_HOME") or LIBRARY).absolute()


def find_model(name: str | Path | None = None) -> Path:
    """A model file by name ("pets") or path; by default the user's own, else the bundled one.

    Raises ModelError naming the models there are.
    """
    if name is None:
        return OWN_MODEL if OWN_MODEL.is_file() else find_model(BUNDLED_MODEL)
    path = Path(name)
    if path.suffix == ".h5" or path.parent != Path():
        if path.is_file():
            return path
        raise ModelError(f"{path}: no such model file{_known()}")
    named = MODELS / f"{path}.h5"
    if named.is_file():
        return named
    raise ModelError(f"no model is called {name!r}{_known()}")


def model_names() -> list[str]:
    """The models in `model/`, by name; what a training is just writing is none yet."""
    return sorted(path.stem for path in MODELS.glob("*.h5") if not path.name.startswith("."))


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
    names = model_names()
    return f"; {MODELS} has {', '.join(names)}" if names else f"; {MODELS} has none"
