"""Import: many photos at once, uploaded or from a folder of this machine, as a background job."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import BinaryIO

import streamlit as st

from frontend.components import job_panel
from frontend.ui.library import load_sample_photos, open_library
from frontend.ui.messages import catch_errors
from frontend.ui.pages import GALLERY
from tagger.images import decode
from tagger.jobs.requests import ImportFolderRequest, ImportUploadsRequest
from tagger.text import count_noun

FILES, FOLDER = "Files", "Folder"
RECENT_IMPORTS = 8  # listed below
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
    _list_recent()


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
        if st.button(label, key="import-start", type="primary", disabled=not count):
            _start_import((file.name, file) for file in files)
        if st.button(
            "Add sample photos",
            key="import-samples",
            help="A cat, an astronaut, a cup of coffee and a rocket",
        ):
            _start_import((name, io.BytesIO(data)) for name, data in load_sample_photos().items())


def _start_import(uploads: Iterable[tuple[str, BinaryIO]]) -> None:
    with catch_errors(), st.spinner("Uploading …"):
        job_panel.start_job(ImportUploadsRequest(uploads))
        st.session_state[VERSION_KEY] += 1
        st.rerun()


def _offer_folder() -> None:
    with st.form("import-folder", border=False):
        folder = st.text_input(
            "Folder", placeholder="/home/me/Pictures", help="Includes its subfolders"
        )
        copy = st.checkbox(
            "Copy the photos into the library",
            help="Otherwise photos stay where they are. Your files are never changed.",
        )
        if st.form_submit_button("Import folder", key="import-folder-start", type="primary"):
            with catch_errors():
                job_panel.start_job(ImportFolderRequest(folder.strip(), copy))
                st.rerun()


def _list_recent() -> None:
    operations = open_library().operations(RECENT_IMPORTS, kinds=["import"])
    st.subheader("Recent imports", anchor=False)
    if not operations:
        st.markdown("None yet. Drop some photos above, or start with the samples.")
        return
    st.page_link(GALLERY, label="See your photos", icon=":material/grid_view:")
    for operation in operations:
        job_panel.show_job(operation.id, key="import")


show()
