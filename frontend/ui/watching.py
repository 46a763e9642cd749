"""Looking for changes in watched folders, in a thread: at the start of the app, and when asked."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import streamlit as st

from frontend.ui.library import open_library
from tagger.errors import TaggerError, describe_error
from tagger.library.folders.changes import FolderChanges
from tagger.library.library import Library


class FolderWatch:
    """The changes in the watched folders of a library, by path; threads may share it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._changes: dict[str, FolderChanges] = {}
        self._state: object = None  # of the library when it was looked at last
        self.error: str | None = None

    @property
    def looking(self) -> bool:
        """Whether the folders are being looked through."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def changes(self) -> Mapping[str, FolderChanges]:
        """The changes by folder, as of the last look; folders that it left out are missing."""
        return dict(self._changes)

    @property
    def count(self) -> int:
        """The number of changes in all folders."""
        return sum(changes.count for changes in self._changes.values())

    def refresh(self) -> None:
        """Look again if other folders are watched, or if photos were imported or undone since."""
        state = self._read_state()
        if state is not None and state != self._state:
            self.look()

    def look(self) -> None:
        """Look through the folders, unless somebody does already."""
        with self._lock:
            if self.looking:
                return
            self._state = self._read_state()
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until the folders were looked through, but no longer than that."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _look(self) -> None:
        try:
            changes = self._library.folders.find_changes()
            self._changes = {each.folder: each for each in changes}
            self.error = None
        except (TaggerError, OSError) as error:
            self.error = describe_error(error)

    def _read_state(self) -> object:
        """What the changes depend on; None while photos are being imported."""
        library = self._library
        folders = tuple(library.folders.list_all())
        if folders and library.operations(limit=1, kinds=["import"], active=True):
            return None
        latest = [library.operations(limit=1, kinds=[kind]) for kind in ("import", "undo")]
        return folders, [(each.id, each.status) for rows in latest for each in rows]


def open_watch() -> FolderWatch:
    """The watch of the open library, which looks again if something may have changed."""
    library = open_library()
    watch = _open_watch(library.url, library)
    watch.refresh()
    return watch


@st.cache_resource(show_spinner=False)
def _open_watch(url: str, _library: Library) -> FolderWatch:
    return FolderWatch(_library)
