"""The content of files to import: read once, with its digest, or why it could not be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tagger.errors import ImageError
from tagger.images import decode

HELD_BYTES = 8 * 2**20  # of files read before anything is done with them; and one file more


@dataclass(frozen=True)
class ImportFile:
    """A file to import, or with `photo_id` a photo to tag again. `id` is its row in `files`.

    `data` is its content where that is at hand already.
    """

    id: int
    path: str
    name: str
    photo_id: int | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class FileContent:
    """A file's bytes and their digest, or why there are none."""

    file: ImportFile
    data: bytes = b""
    sha256: str = ""
    failure: str | None = None


def read_some(files: Iterable[ImportFile]) -> Iterator[list[FileContent]]:
    """Files read a few at a time, so that their bytes stay within memory."""
    part: list[FileContent] = []
    size = 0
    for one in map(_read, files):
        part.append(one)
        size += len(one.data)
        if size >= HELD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _read(file: ImportFile) -> FileContent:
    try:
        data = decode.read_bytes(file.path) if file.data is None else file.data
    except ImageError as error:
        return FileContent(file, failure=error.reason)
    return FileContent(file, data, hashlib.sha256(data).hexdigest())
