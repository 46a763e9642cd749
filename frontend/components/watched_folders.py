"""Watched folders: what changed in each, listed before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from frontend.components import undo_line
from frontend.components.html_blocks import escape_text
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, run_action, show_error
from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import draw_page
from frontend.ui.watching import FolderWatch, open_watch
from tagger.jobs import worker
from tagger.jobs.requests import submit_changes
from tagger.library.folders.changes import FolderChanges
from tagger.library.folders.watched import WatchedFolder
from tagger.text import count_noun

PAGE = "import"  # names the page in session state
KEY = "watched"
MAX_LISTED = 50  # files of each kind
REFRESH_SECONDS = 1.0  # while the folders are looked through


def show_watched_folders() -> None:
    """All watched folders; nothing while there are none."""
    undo_line.show(PAGE)
    if not open_library().folders.list_all():
        return
    watch = open_watch()
    is_looking = watch.looking
    every = REFRESH_SECONDS if is_looking else None
    st.fragment(_draw, run_every=every)(watch, is_looking)


def _draw(watch: FolderWatch, was_looking: bool) -> None:
    with catch_errors():
        if was_looking != watch.looking:
            draw_page()  # with a timer, or without
        with st.container(horizontal=True, vertical_alignment="center", key=f"{KEY}-head"):
            st.subheader("Watched folders", anchor=False, width="content")
            if watch.looking:
                st.caption("Looking for changes …", width="content")
            else:
                st.button("Check now", key=f"{KEY}-check", type="tertiary", on_click=watch.look)
        if watch.error:
            show_error(watch.error)
        for number, folder in enumerate(open_library().folders.list_all()):
            with st.container(border=True, key=f"{KEY}-folder-{number}"):
                _draw_folder(folder, watch, number)


def _draw_folder(folder: WatchedFolder, watch: FolderWatch, number: int) -> None:
    changes = watch.changes.get(folder.path)
    name = Path(folder.path).name or folder.path
    summary = _summarize(changes, watch.looking)
    st.markdown(f"**{escape_markdown(name)}** · {escape_markdown(summary)}")
    notes = [folder.path, *(_list_notes(changes) if changes else [])]
    st.caption(escape_markdown(" · ".join(notes)))
    has_changes = changes is not None and changes.count > 0
    remove_key = f"{KEY}-remove-{number}"
    if changes is not None and changes.missing:
        missing = count_noun(len(changes.missing), "missing photo")
        st.checkbox(
            f"Remove {missing} from the library",
            key=remove_key,
            help="You can undo it. Else they stay, marked as missing until the files are back.",
        )
    with st.container(horizontal=True, gap="small", key=f"{KEY}-actions-{number}"):
        if has_changes and changes is not None:
            st.button(
                f"Import {changes.describe()}",
                key=f"{KEY}-import-{number}",
                type="primary",
                disabled=watch.looking,
                on_click=run_action,
                args=(_start_import, folder, changes, remove_key),
            )
        st.button(
            "Stop watching",
            key=f"{KEY}-stop-{number}",
            type="tertiary",
            on_click=run_action,
            args=(_stop_watching, folder.path),
        )
    if has_changes and changes is not None:
        _list_files(changes, number)


def _summarize(changes: FolderChanges | None, looking: bool) -> str:
    if changes is None:
        return "not checked yet"
    if changes.unavailable is not None:
        photos = count_noun(changes.unseen, "photo")
        stays = "stays as it is" if changes.unseen == 1 else "stay as they are"
        return f"{changes.unavailable} Its {photos} {stays}."
    if changes.count:
        return changes.describe()
    return "checking …" if looking else "up to date"


def _list_notes(changes: FolderChanges) -> list[str]:
    notes = list(changes.unopened)
    if changes.unopened and changes.unseen:
        notes.append(f"{count_noun(changes.unseen, 'photo')} there not checked")
    if changes.removed:
        notes.append(f"{changes.removed:,} left out: you removed them from the library")
    if changes.unreadable:
        notes.append(f"{count_noun(changes.unreadable, 'file')} cannot be read")
    return notes


def _start_import(folder: WatchedFolder, changes: FolderChanges, remove_key: str) -> None:
    library = open_library()
    remove_missing = bool(changes.missing) and st.session_state[remove_key]
    job_id = submit_changes(library, changes, copy=folder.copy, remove_missing=remove_missing)
    worker.start(library, job_id)


def _stop_watching(path: str) -> None:
    undo_line.record(PAGE, open_library().folders.remove(path))


def _list_files(changes: FolderChanges, number: int) -> None:
    folder = Path(changes.folder)
    kinds: dict[str, Iterable[str]] = {
        "New": changes.new,
        "Changed": changes.changed,
        "Moved": (
            f"{_relative(each.old_path, folder)} → {_relative(each.path, folder)}"
            for each in changes.moved
        ),
        "Back": (each.path for each in changes.returned),
        "Missing": (each.path for each in changes.missing),
    }
    with st.expander("See what changed", key=f"{KEY}-changes-{number}", type="compact"):
        for title, names in kinds.items():
            listed = [_relative(name, folder) for name in names]
            if not listed:
                continue
            st.markdown(f"{title}: {len(listed):,}")
            items = "".join(
                f"<li dir='auto'>{escape_text(each)}</li>" for each in listed[:MAX_LISTED]
            )
            st.html(f'<ul class="it-files" role="list">{items}</ul>')
            if len(listed) > MAX_LISTED:
                st.caption(f"and {len(listed) - MAX_LISTED:,} more")


def _relative(path: str, folder: Path) -> str:
    return path.removeprefix(f"{folder}/")
