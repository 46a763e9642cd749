"""The library's folder: thumbnails, copies, uploads that wait, archives to be downloaded."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from tagger.files import write_atomically
from tagger.images.decode import EXTENSIONS

MAX_NAME = 200  # characters of a photo's name
ABANDONED_SECONDS = 24 * 3600  # after which uploads that no run asks for are cleared away
KEPT_SECONDS = 24 * 3600  # after which an archive that was made to be downloaded is
HANDED_OUT_SECONDS = 600  # after which one that was downloaded is: somebody may click again
LEFTOVER_SECONDS = 3600  # after which what was being written is nobody's any more
_ARCHIVES = "exports/photos-*.zip"
_LEFTOVERS = (".*.tmp", *(f"{place}/.*.tmp" for place in ("exports", "collections")))
_LEFTOVERS += ("thumbnails/??/.*.tmp", "photos/??/.*.tmp")


@dataclass(frozen=True)
class Storage:
    """Where the files of the library at `home` are. Names come from digests, never from people."""

    home: Path

    def thumbnail_path(self, sha256: str) -> Path:
        """Where a photo's thumbnail is, or would be."""
        return self.home / "thumbnails" / sha256[:2] / f"{sha256}.jpg"

    def write_thumbnail(self, sha256: str, jpeg: bytes) -> None:
        """Write a thumbnail; it can be made again, so a power cut may lose it."""
        place = self.thumbnail_path(sha256)
        try:
            write_atomically(place, jpeg, durable=False)
        except FileNotFoundError:  # the first of its folder
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, jpeg, durable=False)

    def write_copy(self, sha256: str, name: str, data: bytes) -> str:
        """Keep a photo's bytes; where, relative to the library."""
        suffix = Path(name).suffix.lower()
        inside = f"photos/{sha256[:2]}/{sha256}{suffix if suffix in EXTENSIONS else ''}"
        place = self.home / inside
        if not place.is_file() or place.stat().st_size != len(data):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, data)
        return inside

    def delete_files(self, sha256: str, stored: str | None) -> None:
        """Remove a photo's thumbnail, and the copy at `stored` if there is one."""
        self.thumbnail_path(sha256).unlink(missing_ok=True)
        if stored is not None:
            (self.home / stored).unlink(missing_ok=True)

    def save_uploads(
        self, uploads: Iterable[tuple[str, BinaryIO]]
    ) -> tuple[str, list[tuple[str, str]]]:
        """Write uploads into a new waiting folder; the folder, and each file's path and name."""
        folder = self.home / "uploads" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        received = []
        for number, (name, file) in enumerate(uploads):
            place = folder / f"{number:06}"
            with open(place, "wb") as target:
                shutil.copyfileobj(file, target)
                target.flush()
                os.fsync(target.fileno())
            received.append((str(place), base_name(name)))
        return str(folder), received

    def delete_abandoned_uploads(self, waited_for: set[str]) -> None:
        """Remove waiting folders that are old and that none of the paths in `waited_for` is."""
        for folder in self._waiting():
            try:
                old = time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
            except FileNotFoundError:  # whoever imported it has just cleared it away
                continue
            if old and str(folder) not in waited_for:
                shutil.rmtree(folder, ignore_errors=True)

    def new_archive_path(self) -> Path:
        """Where to write an archive that is to be downloaded; it is cleared away in a day."""
        folder = self.home / "exports"
        folder.mkdir(exist_ok=True)
        return folder / f"photos-{time.time_ns()}.zip"

    def read_archive(self, archive: Path) -> bytes:
        """An archive's bytes. It is cleared away soon after."""
        data = archive.read_bytes()
        nearly = time.time() - KEPT_SECONDS + HANDED_OUT_SECONDS
        os.utime(archive, (nearly, nearly))
        return data

    def delete_stale_files(self) -> None:
        """Remove old archives, and what a process that was killed had half written.

        What one is writing now is young, and left alone; what cannot be removed is left for
        another time.
        """
        with suppress(OSError):
            for archive in self.home.glob(_ARCHIVES):
                if _age(archive) > KEPT_SECONDS:
                    archive.unlink(missing_ok=True)
            for left in (found for pattern in _LEFTOVERS for found in self.home.glob(pattern)):
                if left.is_dir():
                    if min(map(_age, [left, *left.rglob("*")])) > LEFTOVER_SECONDS:
                        shutil.rmtree(left, ignore_errors=True)
                elif _age(left) > LEFTOVER_SECONDS:
                    left.unlink(missing_ok=True)

    def _waiting(self) -> Iterator[Path]:
        uploads = self.home / "uploads"
        return (p for p in uploads.iterdir() if p.is_dir()) if uploads.is_dir() else iter(())


def _age(path: Path) -> float:
    """Seconds since it was last written to; 0 where it is gone, which somebody else saw to."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0


def base_name(name: str) -> str:
    """The last part of a file's name as it was given, fit to be stored as text."""
    last = PureWindowsPath(PurePosixPath(name.replace("\0", "")).name).name
    text = last.encode("utf-8", "backslashreplace").decode()
    return text[:MAX_NAME] or "photo"
