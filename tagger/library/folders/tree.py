"""The folders of this computer, for a person to choose from: where to start, and what is inside.

Hidden folders and those of the system and of other programs are left out.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tagger.files import has_photo_extension, is_own_folder, walk_folders
from tagger.text import fold

MAX_LISTED = 1_000  # subfolders of one folder
COUNT_SECONDS = 0.5  # to count the photos of a folder

# Folders of the system, none of which holds anybody's photos.
_SYSTEM = frozenset(
    (
        *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run"),
        *("/sbin", "/snap", "/sys", "/tmp", "/usr", "/var", "/System", "/Library", "/Applications"),
        *("/private", "/cores"),
    )
)
_SYSTEM_NAMES = frozenset(("windows", "program files", "program files (x86)", "programdata"))
_DRIVES = ("/media/*/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")
_PICTURES = re.compile(r'^XDG_PICTURES_DIR="(?:\$HOME/)?(.+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Folder:
    """A folder by its absolute path. `reason` says why it cannot be opened, if it cannot."""

    path: str
    name: str
    has_folders: bool = False
    photos: int = 0
    reason: str | None = None


def list_starts() -> list[Folder]:
    """Where to start: home, the folder of pictures, drives, and the whole computer."""
    home = Path.home()
    pictures = _find_pictures(home)
    starts = [("Home", home), *([(pictures.name, pictures)] if pictures else [])]
    for pattern in _DRIVES:
        drives = sorted(Path("/").glob(pattern.lstrip("/")))
        starts += [(drive.name, drive) for drive in drives if drive.is_dir()]
    starts += [(f"{letter}:", Path(f"{letter}:\\")) for letter in _drive_letters()]
    starts.append(("Computer", Path(home.anchor or "/")))
    return [_look_into(str(path), name) for name, path in starts]


def list_folders(path: str) -> tuple[list[Folder], int]:
    """The folders in a folder, by name, and how many more there are; none if it cannot be opened.

    Links to folders are among them.
    """
    try:
        with os.scandir(path) as entries:
            inside = [entry for entry in entries if _is_offered(entry, path)]
    except (OSError, ValueError):
        return [], 0
    inside.sort(key=lambda entry: _sort_key(entry.name))
    listed = [_look_into(entry.path, entry.name) for entry in inside[:MAX_LISTED]]
    return listed, len(inside) - len(listed)


def count_photos(path: str, seconds: float = COUNT_SECONDS) -> tuple[int, bool]:
    """The number of photos in a folder and those inside; and whether that is all of them."""
    deadline = time.monotonic() + seconds
    count = 0
    for _, entries in walk_folders(path):
        count += sum(has_photo_extension(entry.name) for entry in entries)
        if time.monotonic() > deadline:
            return count, False
    return count, True


def _is_offered(entry: os.DirEntry[str], parent: str) -> bool:
    try:
        return _is_folder_of_people(entry.path, parent) and entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_folder_of_people(path: str, parent: str) -> bool:
    name = os.path.basename(path)
    is_hidden = name.startswith(".") or is_own_folder(name, os.path.basename(parent))
    is_of_system = path in _SYSTEM or name.lower() in _SYSTEM_NAMES
    return not (is_hidden or is_of_system)


def _look_into(path: str, name: str) -> Folder:
    photos, has_folders = 0, False
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not has_folders and _is_offered(entry, path):
                    has_folders = True
                elif has_photo_extension(entry.name) and not entry.name.startswith("."):
                    photos += 1
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Folder(path, name, reason=reason or "it cannot be opened")
    return Folder(path, name, has_folders, photos)


def _find_pictures(home: Path) -> Path | None:
    """The folder that the desktop keeps pictures in, or else the one of that name."""
    names: Iterable[str] = ("Pictures",)
    try:
        settings = (home / ".config" / "user-dirs.dirs").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        settings = ""
    if match := _PICTURES.search(settings):
        names = (match[1], "Pictures")
    return next((home / name for name in names if (home / name).is_dir()), None)


def _drive_letters() -> list[str]:
    list_drives = getattr(os, "listdrives", None)  # of Windows, from Python 3.12 on
    return [drive[0] for drive in list_drives()] if list_drives else []


def _sort_key(name: str) -> list[tuple[int, int | str]]:
    """By name without regard to case, "2" before "10"."""
    parts = re.split(r"(\d+)", fold(name))
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
