"""What is remembered of watched folders, in a file of the library's folder that may be lost.

It says on which folders drives were mounted: without its drive such a folder is empty, and its
photos are not missing. And which files were read and had the content of their photos, although they
were written after the import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tagger.files import write_atomically

MAX_VERIFIED = 200_000  # files


@dataclass
class FolderMemory:
    """Mount points by watched folder; size, time in nanoseconds and digest by verified path."""

    mounts: dict[str, list[str]] = field(default_factory=dict)
    verified: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> FolderMemory:
        """What a file says; nothing if there is none, or it is damaged."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            stored = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
            mounts = {str(key): [str(each) for each in v] for key, v in stored["mounts"].items()}
            verified = {
                str(key): (int(size), int(time), str(digest))
                for key, (size, time, digest) in stored["verified"].items()
            }
            return cls(mounts, verified)
        return cls()

    def save(self, path: Path) -> None:
        """Write the file."""
        stored = {"mounts": self.mounts, "verified": self.verified}
        write_atomically(path, json.dumps(stored), durable=False)

    def is_verified(self, path: str, size: int, modified: int, sha256: str) -> bool:
        """Whether a file was read before and had this content."""
        return self.verified.get(path) == (size, modified, sha256)

    def verify(self, path: str, size: int, modified: int, sha256: str) -> None:
        """Remember that a file has this content."""
        self.verified[path] = (size, modified, sha256)
        while len(self.verified) > MAX_VERIFIED:
            del self.verified[next(iter(self.verified))]

    def update_mounts(self, folder: str, mounted: Iterable[str], files: Iterable[str]) -> list[str]:
        """Remember the folders on which drives are mounted now; those on which one no longer is.

        A folder without its drive in which there are `files` is one that holds photos itself.
        """
        now = set(mounted)
        missing = [each for each in self.mounts.get(folder, ()) if each not in now]
        paths = sorted(files) if missing else []
        unmounted = [each for each in missing if not _has_file(each, paths)]
        self.mounts[folder] = sorted(now.union(unmounted))
        return unmounted


def _has_file(folder: str, paths: list[str]) -> bool:
    prefix = folder.rstrip(os.sep) + os.sep
    return any(path.startswith(prefix) for path in paths)
