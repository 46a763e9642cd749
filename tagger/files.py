"""Atomic writes and directory walks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write bytes, or text as UTF-8, through a temporary file: all of it or nothing.

    Without `durable` the content is not synced to the disk, so a power cut may lose it.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with open_atomically(path, durable=durable) as file:
        file.write(content)


@contextmanager
def open_atomically(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A temporary file to write, which takes the place of `path` once all of it is written.

    After an error, such as a full disk, there is no temporary file, and `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def walk_files(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Files under a folder, sorted, without hidden files and folders."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))
