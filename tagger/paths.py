"""The folders of the project and of the user, independent of the working directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATASET = ROOT / "dataset"
MODELS = ROOT / "model"
RUNS = ROOT / "runs"
LIBRARY = ROOT / "library"


def library_home() -> Path:
    """The folder of the user's photo library: `TAGGER_HOME`, or `library/` in the project."""
    return Path(os.environ.get("TAGGER_HOME") or LIBRARY).absolute()


def cache_home() -> Path:
    """The cache folder: `TAGGER_CACHE`, or the platform's own. Its content can be made again."""
    if chosen := os.environ.get("TAGGER_CACHE"):
        return Path(chosen).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "image-tagger"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-tagger"


def public_path(path: str | Path) -> str:
    """A path as a model's card records it: relative to the project or to `$TAGGER_DATA`.

    Any other absolute path is cut to its last part: a card does not reveal a person's folders.
    """
    path = Path(path)
    if not path.is_absolute():
        return path.as_posix()
    for folder, name in ((os.environ.get("TAGGER_DATA"), "$TAGGER_DATA"), (ROOT, "")):
        if folder and path.resolve().is_relative_to(Path(folder).resolve()):
            inside = path.resolve().relative_to(Path(folder).resolve())
            return (Path(name) / inside).as_posix()
    return path.name
