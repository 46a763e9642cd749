"""Files that are there whole or not at all, and names that are safe to show."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write bytes, or text as UTF-8, so that `path` holds what it held before or all of it.

    Unless `durable`, a power cut (not a crash) may lose it: for what can be made again.
    """
    own = f"{os.getpid()}.{threading.get_ident()}"
    temporary = path.with_name(f".{path.name}.{own}.tmp")
    with open(temporary, "wb") as file:
        if isinstance(content, str):
            content = content.encode("utf-8", "backslashreplace")
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.replace(temporary, path)


def visible(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Files under a folder, sorted; what is hidden, and what is in hidden folders, left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))
