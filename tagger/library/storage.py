"""The library's folder: copies of photos, thumbnails, uploads to import, archives to download."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

import numpy as np

from tagger.errors import ImageError, LibraryError
from tagger.files import write_atomically
from tagger.images import decode, transforms
from tagger.images.decode import EXTENSIONS, Pixels
from tagger.library.records import Photo
from tagger.text import escape_controls

MAX_NAME = 200  # characters of a photo's name
THUMBNAIL_SIDE = 320  # pixels, of a thumbnail's longer side
UPLOAD_SECONDS = 24 * 3600  # until uploads without an active import are deleted
ARCHIVE_SECONDS = 24 * 3600  # until an archive that nobody downloaded is deleted
DOWNLOADED_SECONDS = 600  # until a downloaded archive is deleted: it may be downloaded again
TEMPORARY_SECONDS = 3600  # until a temporary file counts as left behind by a killed process
_ARCHIVES = "exports/photos-*.zip"
_TEMPORARY = (
    *(".*.tmp", "exports/.*.tmp", "collections/.*.tmp"),
    *("thumbnails/??/.*.tmp", "photos/??/.*.tmp"),
)


def make_home(home: Path) -> None:
    """Make the library's folder, if it does not exist. Raises LibraryError."""
    try:
        str(home).encode()
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"{home}: no folder for a library ({error.strerror})") from None
    except UnicodeEncodeError:
        name = escape_controls(str(home))
        raise LibraryError(f"{name}: a library's folder needs a name that is text") from None


@dataclass(frozen=True)
class Storage:
    """The files of the library at `home`. Photos' files are named by digest, not by a user."""

    home: Path

    def thumbnail_path(self, sha256: str) -> Path:
        """The path of a photo's thumbnail, which may not exist."""
        return self.home / "thumbnails" / sha256[:2] / f"{sha256}.jpg"

    def write_thumbnail(self, sha256: str, rgb: Pixels) -> bytes:
        """Write a photo's thumbnail; the JPEG. A power cut may lose it: it can be made again."""
        jpeg = decode.encode(transforms.thumbnail(rgb, THUMBNAIL_SIDE), "JPEG")
        path = self.thumbnail_path(sha256)
        try:
            write_atomically(path, jpeg, durable=False)
        except FileNotFoundError:  # the first of its folder
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, jpeg, durable=False)
        return jpeg

    def load_thumbnail(self, sha256: str) -> Pixels | None:
        """The pixels of a photo's thumbnail; None if there is none, or it is damaged."""
        try:
            return decode.read(self.thumbnail_path(sha256).read_bytes())
        except (ImageError, OSError):
            return None

    def read_thumbnail(self, photo: Photo) -> bytes:
        """A photo's thumbnail, made again if it is missing; grey if the photo cannot be read."""
        with suppress(FileNotFoundError):
            return self.thumbnail_path(photo.sha256).read_bytes()
        try:
            rgb = decode.read(read_original(photo), shorter_side=THUMBNAIL_SIDE)
        except ImageError:
            return _grey_thumbnail()
        return self.write_thumbnail(photo.sha256, rgb)

    def write_copy(self, sha256: str, name: str, data: bytes) -> str:
        """Keep a copy of a photo; its path relative to the library."""
        suffix = Path(name).suffix.lower()
        relative = f"photos/{sha256[:2]}/{sha256}{suffix if suffix in EXTENSIONS else ''}"
        path = self.home / relative
        if not path.is_file() or path.stat().st_size != len(data):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return relative

    def delete_files(self, sha256: str, copy: str | None) -> None:
        """Delete a photo's thumbnail, and the library's copy at this relative path if any."""
        self.thumbnail_path(sha256).unlink(missing_ok=True)
        if copy is not None:
            (self.home / copy).unlink(missing_ok=True)

    def save_uploads(
        self, uploads: Iterable[tuple[str, BinaryIO]]
    ) -> tuple[str, list[tuple[str, str]]]:
        """Write uploads to a new folder; the folder, and each file's path and name."""
        folder = self.home / "uploads" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        saved = []
        for number, (name, file) in enumerate(uploads):
            path = folder / f"{number:06}"
            with open(path, "wb") as target:
                shutil.copyfileobj(file, target)
                target.flush()
                os.fsync(target.fileno())
            saved.append((str(path), base_name(name)))
        return str(folder), saved

    def delete_abandoned_uploads(self, active: set[str]) -> None:
        """Delete old upload folders, except those whose paths are in `active`."""
        uploads = self.home / "uploads"
        folders = [path for path in uploads.iterdir() if path.is_dir()] if uploads.is_dir() else []
        for folder in folders:
            if _age(folder) > UPLOAD_SECONDS and str(folder) not in active:
                shutil.rmtree(folder, ignore_errors=True)

    def new_archive_path(self) -> Path:
        """A path for an archive to download, which is deleted after a day."""
        folder = self.home / "exports"
        folder.mkdir(exist_ok=True)
        return folder / f"photos-{time.time_ns()}.zip"

    def read_archive(self, archive: Path) -> bytes:
        """The bytes of an archive that is downloaded; it is deleted soon after."""
        data = archive.read_bytes()
        modified = time.time() - ARCHIVE_SECONDS + DOWNLOADED_SECONDS
        os.utime(archive, (modified, modified))
        return data

    def delete_stale_files(self) -> None:
        """Delete old archives, and temporary files of killed processes.

        Files that are being written are newer and stay. What cannot be deleted stays as well.
        """
        with suppress(OSError):
            for archive in self.home.glob(_ARCHIVES):
                if _age(archive) > ARCHIVE_SECONDS:
                    archive.unlink(missing_ok=True)
            for path in (path for pattern in _TEMPORARY for path in self.home.glob(pattern)):
                if path.is_dir():
                    if min(map(_age, [path, *path.rglob("*")])) > TEMPORARY_SECONDS:
                        shutil.rmtree(path, ignore_errors=True)
                elif _age(path) > TEMPORARY_SECONDS:
                    path.unlink(missing_ok=True)


def read_original(photo: Photo) -> bytes:
    """The bytes of a photo's file. Raises ImageError if it is missing or was changed."""
    data = decode.read_bytes(photo.path)
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        changed = "has changed since it was added; import it again"
        reason = "another picture is there now" if photo.missing else changed
        raise ImageError(str(photo.path), reason)
    return data


def base_name(name: str) -> str:
    """The last part of a file's path, whatever system it comes from, as valid text."""
    last = PureWindowsPath(PurePosixPath(name.replace("\0", "")).name).name
    text = last.encode("utf-8", "backslashreplace").decode()
    return text[:MAX_NAME] or "photo"


def _age(path: Path) -> float:
    """Seconds since the last modification; 0 for a file that was deleted meanwhile."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0


@cache
def _grey_thumbnail() -> bytes:
    return decode.encode(np.full((96, 96, 3), 128, np.uint8), "JPEG")
