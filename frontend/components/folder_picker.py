"""Folder picker component: the folders of this computer as a tree, by mouse and keyboard.

Names reach the page as text only (see folder_picker.js). The browser reports which folders are
open and which one is selected; what is inside is looked up here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components.registration import ignore_change, register
from frontend.ui.uninterrupted import finish_first
from tagger.library.folders.tree import Folder, list_folders, list_starts
from tagger.text import escape_controls, is_text

MAX_OPEN = 200  # folders
MAX_PATH = 4_096  # characters

_component = register("folder_picker")


def pick_folder(key: str) -> str | None:
    """Show the tree; the path of the selected folder."""
    opened = _read_paths(_read_state(key).get("opened"))
    starts = list_starts()
    nodes = list(_list_nodes(starts, opened, 1, frozenset()))
    _component(
        key=key,
        data={"nodes": nodes},
        on_opened_change=ignore_change,
        on_selected_change=ignore_change,
    )
    return _read_selected(key)


def take_selected(key: str, field_key: str) -> str | None:
    """The path of the folder that is selected in the tree `key`: also for callbacks.

    When another one is selected it goes into the text field `field_key`, before that is drawn; a
    path that is no text empties the field.
    """
    selected, taken_key = _read_selected(key), f"{key}-taken"
    if selected != st.session_state.get(taken_key):
        with finish_first():
            if selected is not None:
                st.session_state[field_key] = selected if is_text(selected) else ""
            st.session_state[taken_key] = selected
    return selected


def _read_selected(key: str) -> str | None:
    return next(iter(_read_paths([_read_state(key).get("selected")])), None)


def _read_state(key: str) -> Any:
    return st.session_state.get(key) or {}


def _list_nodes(
    folders: Iterable[Folder], opened: frozenset[str], level: int, above: frozenset[str]
) -> Iterable[dict[str, Any]]:
    """Folders in the order in which they are shown; an open one is followed by what is inside.

    A folder that was reached twice, as from home and from the whole computer, is open twice.
    """
    listed = list(folders)
    for position, folder in enumerate(listed, 1):
        is_open = folder.path in opened and folder.has_folders and folder.path not in above
        yield {
            "path": folder.path,
            "name": escape_controls(folder.name),
            "level": level,
            "position": position,
            "siblings": len(listed),
            "open": is_open,
            "folders": folder.has_folders,
            "photos": folder.photos,
            "reason": folder.reason or "",
        }
        if is_open:
            inside, more = list_folders(folder.path)
            yield from _list_nodes(inside, opened, level + 1, above | {folder.path})
            if more:
                yield {"more": more, "level": level + 1}


def _read_paths(paths: object) -> frozenset[str]:
    """The paths that the browser reported, of those that can be one."""
    if not isinstance(paths, list):
        return frozenset()
    return frozenset(
        path
        for path in paths[:MAX_OPEN]
        if isinstance(path, str) and 0 < len(path) <= MAX_PATH and "\0" not in path
        if Path(path).is_absolute()
    )
