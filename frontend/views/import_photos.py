"""Import: many photos at once, uploaded or from a folder of this machine, as a background job."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import BinaryIO

import streamlit as st

from frontend.components import job_panel, undo_line
from frontend.components.folder_picker import pick_folder, take_selected
from frontend.components.watched_folders import PAGE, show_watched_folders
from frontend.ui.library import load_sample_photos, open_library
from frontend.ui.messages import run_action
from frontend.ui.pages import GALLERY
from frontend.ui.text import escape_markdown
from tagger.images import decode
from tagger.jobs.requests import ImportFolderRequest, ImportUploadsRequest
from tagger.library.folders.tree import count_photos
from tagger.text import count_noun, is_text

FILES, FOLDER = "Files", "Folder"
RECENT_IMPORTS = 8  # listed below
COUNTED_SECONDS = 60  # while the number of photos of a folder is not counted again
PICKER_KEY, FOLDER_KEY = "import-picker", "import-folder-path"
COPY_KEY, WATCH_KEY = "import-copy", "import-watch"  # session state: check boxes
VERSION_KEY = "import-version"  # session state: counts imports; each gets a new, empty uploader


def show() -> None:
    st.title("Import photos", anchor=False)
    st.markdown("Tagged in the background; you can close this page.")
    source = st.segmented_control(
        "Import from", [FILES, FOLDER], default=FILES, required=True, key="import-source"
    )
    if source == FILES:
        _offer_files()
    else:
        _offer_folder()
    show_watched_folders()
    _list_recent(source)


def _offer_files() -> None:
    version = st.session_state.setdefault(VERSION_KEY, 0)
    files = st.file_uploader(
        "Drop photos here",
        type=sorted(decode.EXTENSIONS),
        accept_multiple_files=True,
        key=f"import-files-{version}",
    )
    st.caption("For thousands of photos, import the folder instead; nothing is uploaded.")
    count = len(files)
    label = f"Import {count_noun(count, 'photo')}" if count else "Import"
    with st.container(horizontal=True):
        st.button(
            label,
            key="import-start",
            type="primary",
            disabled=not count,
            on_click=run_action,
            args=(_start_import, version, [(file.name, file) for file in files]),
        )
        samples = [(name, io.BytesIO(data)) for name, data in load_sample_photos().items()]
        st.button(
            "Add sample photos",
            key="import-samples",
            help="A cat, an astronaut, a cup of coffee and a rocket",
            on_click=run_action,
            args=(_start_import, version, samples),
        )


def _start_import(version: int, uploads: Sequence[tuple[str, BinaryIO]]) -> None:
    """Import files, once even if the button was clicked twice."""
    if st.session_state.get(VERSION_KEY) == version:
        job_panel.start_job(ImportUploadsRequest(uploads))
        st.session_state[VERSION_KEY] += 1


@st.fragment
def _offer_folder() -> None:
    """A folder to pick from the tree, or to type, and how to import it."""
    pick_folder(PICKER_KEY)
    picked = take_selected(PICKER_KEY, FOLDER_KEY)
    if picked:
        st.caption(_describe_folder(picked))
    with st.form("import-folder", border=False):
        st.text_input(
            "Folder",
            key=FOLDER_KEY,
            placeholder="/home/me/Pictures",
            help="Select it above, or type its path. Includes its subfolders.",
        )
        st.checkbox(
            "Copy the photos into the library",
            key=COPY_KEY,
            help="Otherwise photos stay where they are. Your files are never changed.",
        )
        st.checkbox(
            "Watch this folder",
            key=WATCH_KEY,
            help="New, changed, moved and missing photos are listed whenever the app starts.",
        )
        st.form_submit_button(
            "Import folder",
            key="import-folder-start",
            type="primary",
            on_click=run_action,
            args=(_import_folder,),
        )


def _import_folder() -> None:
    folder, copy = _read_folder(take_selected(PICKER_KEY, FOLDER_KEY)), st.session_state[COPY_KEY]
    if st.session_state[WATCH_KEY]:
        undo_line.record(PAGE, open_library().folders.add(folder, copy))
    job_panel.start_job(ImportFolderRequest(folder, copy))


def _read_folder(picked: str | None) -> str:
    """The folder that was typed, else the one picked if its name cannot be typed."""
    typed: str = st.session_state[FOLDER_KEY].strip()
    return typed or (picked if picked and not is_text(picked) else "")


def _describe_folder(folder: str) -> str:
    count, is_all = _count_photos(os.fsencode(folder))
    name = escape_markdown(folder)
    photos = count_noun(count, "photo")
    return f"{photos} in {name}" if is_all else f"More than {photos} in {name}"


@st.cache_data(show_spinner=False, ttl=COUNTED_SECONDS)
def _count_photos(folder: bytes) -> tuple[int, bool]:
    """`folder` is encoded, as the cache takes no text that cannot be."""
    return count_photos(os.fsdecode(folder))


def _list_recent(source: str) -> None:
    operations = open_library().operations(RECENT_IMPORTS, kinds=["import"])
    with st.container(horizontal=True, vertical_alignment="center", key="import-recent"):
        st.subheader("Recent imports", anchor=False, width="content")
        if operations:
            st.page_link(GALLERY, label="See your photos", icon=":material/grid_view:")
    if not operations:
        drop = "Drop some photos above, or start with the samples."
        st.markdown(f"None yet. {drop if source == FILES else 'Choose a folder above.'}")
        return
    for operation in operations:
        job_panel.show_job(operation.id, key="import")


show()
