"""Folders of photos that the app writes to train on, in the library's folder.

Older ones of the same kind are removed, unless somebody changed them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from frontend.ui.library import open_library
from tagger.files import walk_files, write_atomically

FOLDER = "collections"  # in the library's folder
FINGERPRINT = ".written"  # in a folder: its fingerprint when it was written

T = TypeVar("T")


def is_written(folder: Path) -> bool:
    """Whether the app has written a folder."""
    return folder.parent == open_library().home / FOLDER


def write(kind: str, lines: Iterable[str], fill: Callable[[Path], T]) -> tuple[Path, T, list[Path]]:
    """Write a new folder of a kind; `fill` makes it, and `lines` say what is in it.

    The folder, what `fill` returns, and older folders that were changed by hand.
    """
    text = "\n".join(sorted(lines))
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    parent = open_library().home / FOLDER
    changed = []
    for path in sorted(parent.glob(f"{kind}-*")):
        if _is_changed(path):
            changed.append(path)
        else:
            shutil.rmtree(path)
    folder = next(path for path in _candidates(parent, f"{kind}-{digest}") if not path.exists())
    result = fill(folder)
    write_atomically(folder / FINGERPRINT, _fingerprint(folder))
    return folder, result, changed


def _is_changed(folder: Path) -> bool:
    """Whether a folder's files have changed since it was written."""
    try:
        return (folder / FINGERPRINT).read_text(encoding="utf-8") != _fingerprint(folder)
    except (OSError, UnicodeDecodeError):
        return True  # unknown: keep it


def _candidates(parent: Path, name: str) -> Iterator[Path]:
    yield parent / name
    yield from (parent / f"{name}-{number}" for number in range(2, 1_000_000))


def _fingerprint(folder: Path) -> str:
    """SHA-256 of path, size and modification time of all files but hidden ones."""
    digest = hashlib.sha256()
    for path in walk_files(folder):
        stat = path.stat()
        line = f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
