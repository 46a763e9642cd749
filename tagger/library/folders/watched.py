"""Watched folders: which there are, and what changed in them.

Each is an entry of the kind "folder" (see `tagger.library.history.entries`), so that adding and
removing one can be undone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import OptionError
from tagger.library import edits
from tagger.library.database.database import Database
from tagger.library.folders.changes import FolderChanges, find_changes, load_photos
from tagger.library.folders.memory import FolderMemory
from tagger.library.history import entries
from tagger.text import escape_controls

FILE = "watched.json"  # in the library's folder


@dataclass(frozen=True)
class WatchedFolder:
    """A folder, by its absolute path; `copy`: the library keeps copies of its photos."""

    path: str
    copy: bool = False


class WatchedFolders:
    """The watched folders of a library."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home
        self._file = home / FILE

    def list_all(self) -> list[WatchedFolder]:
        """Every watched folder, by path."""
        with self._database.read_transaction() as connection:
            stored = entries.load(connection, "folder")
        return [WatchedFolder(path, bool(stored[path].get("copy"))) for path in sorted(stored)]

    def add(self, path: str, copy: bool = False) -> int:
        """Watch a folder from now on; the operation.

        Raises OptionError for what is no folder, and one that is watched already, lies in one that
        is, or has one inside.
        """
        folder = resolve_folder(path)
        if Path(folder).is_relative_to(self._home.resolve()):
            raise OptionError(f"{folder}: the library's own folder is not watched")
        for watched in self.list_all():
            if folder == watched.path:
                raise OptionError(f"{escape_controls(folder)} is watched already")
            if Path(folder).is_relative_to(watched.path):
                raise OptionError(
                    f"{escape_controls(folder)} lies in {escape_controls(watched.path)}, which is"
                    " watched already"
                )
            if Path(watched.path).is_relative_to(folder):
                raise OptionError(
                    f"{escape_controls(watched.path)} lies in it and is watched already: stop"
                    " watching that first"
                )
        title = f"Started watching {escape_controls(folder)}"
        return edits.save_entries(self._database, "folder", {folder: {"copy": copy}}, title)

    def remove(self, path: str) -> int:
        """Stop watching a folder; its photos stay. The operation.

        Raises OptionError for one that is not watched.
        """
        if path not in (watched.path for watched in self.list_all()):
            raise OptionError(f"{escape_controls(path)} is not watched")
        title = f"Stopped watching {escape_controls(path)}"
        return edits.save_entries(self._database, "folder", {path: None}, title)

    def find_changes(self, folders: Sequence[str] | None = None) -> list[FolderChanges]:
        """What changed in watched folders, by default in all. Nothing is changed by looking."""
        paths = [watched.path for watched in self.list_all()]
        if folders is not None:
            paths = [path for path in paths if path in folders]
        if not paths:
            return []
        with self._database.read_transaction() as connection:
            stored = [load_photos(connection, path) for path in paths]
        # Outside the transaction: a walk may take minutes, and SQLite's log would grow with every
        # write meanwhile.
        memory = FolderMemory.load(self._file)
        changes = find_changes(stored, memory, str(self._home.resolve()))
        memory.save(self._file)
        return changes


def resolve_folder(path: str) -> str:
    """A folder of this computer that a person names, as an absolute path without links.

    Raises OptionError if there is none.
    """
    typed = Path(path if os.path.isdir(path) else path.strip())  # a name may end in a space
    try:
        folder = typed.expanduser()
    except RuntimeError:
        raise OptionError(f"{path}: there is no such user on this computer") from None
    if not folder.is_absolute():
        raise OptionError(f"{path or 'nothing'}: give the full path of a folder, starting with /")
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder on this computer")
    return str(folder.resolve())
