"""Exports of search results: tables, a ZIP, a dataset to train on."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import streamlit as st

from frontend.photos import edits
from frontend.ui.library import open_library
from frontend.ui.messages import act_on_click, keep_click
from frontend.ui.pages import TRAIN, TRAIN_FOLDER_KEY
from frontend.ui.text import escape_markdown, format_size
from frontend.ui.uninterrupted import finish_first
from tagger.errors import OptionError
from tagger.library import export
from tagger.library.export import ExportSummary, LabelPhoto, PhotoLabels
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.text import count_noun, escape_controls

MAX_DOWNLOAD = 500_000_000  # bytes of a ZIP; Streamlit holds downloads in memory
MAX_SKIPPED = 200  # skipped photos listed by name
PROGRESS_STEP = 25  # photos between two updates of the progress bar
ZIP_KEY = "leaving-zip-written"  # session state

WriteTable = Callable[[Iterable[Photo], TextIO], None]
_TABLES: tuple[tuple[str, WriteTable, str, str], ...] = (
    ("CSV", partial(export.write_csv, details=True, bom=True), "photos.csv", "text/csv"),
    ("JSON Lines", export.write_json_lines, "photos.jsonl", "application/jsonl"),
)


@dataclass(frozen=True)
class Export:
    """A finished export of the photos that a query finds."""

    query: str
    path: Path
    summary: ExportSummary


def offer_tables(query: str) -> None:
    """Download buttons for CSV and JSON Lines."""
    library = open_library()
    for title, write, file_name, mime in _TABLES:
        st.download_button(
            title,
            table_download(library, query, write),
            file_name,
            mime,
            key=f"leaving-{file_name}",
            icon=":material/download:",
            on_click="ignore",
        )


def table_download(library: Library, query: str, write: WriteTable) -> Callable[[], bytes]:
    """A function for `st.download_button` that writes a table when the button is clicked.

    Streamlit calls it on a thread without the script's context.
    """

    def write_table() -> bytes:
        text = io.StringIO(newline="")
        write(library.photos(query), text)
        return text.getvalue().encode("utf-8", "backslashreplace")

    return write_table


def offer_zip(query: str, count: int) -> None:
    """A ZIP of the photos that a query finds; written to a file first, since it may be large."""
    zip_export: Export | None = st.session_state.get(ZIP_KEY)
    click = f"leaving-zip {query}"
    with st.container(horizontal=True, vertical_alignment="center", key="leaving-zip-line"):
        st.button(
            "Prepare ZIP",
            key="leaving-zip",
            icon=":material/folder_zip:",
            on_click=keep_click,
            args=(click,),
        )
        act_on_click(click, _write_zip, query, count)
        if zip_export is None or zip_export.query != query or not zip_export.path.is_file():
            return
        size = zip_export.path.stat().st_size
        if size <= MAX_DOWNLOAD:
            st.download_button(
                f"Download ZIP ({format_size(size)})",
                partial(open_library().storage.read_archive, zip_export.path),
                "photos.zip",
                "application/zip",
                key="leaving-photos.zip",
                type="primary",
                on_click="ignore",
            )
    photos = count_noun(zip_export.summary.written, "photo")
    message = f"{photos} in the ZIP, in a folder for each first tag."
    if size > MAX_DOWNLOAD:
        message += f" It is too large to download ({format_size(size)}); kept until tomorrow at:"
    st.markdown(escape_markdown(message))
    if size > MAX_DOWNLOAD:
        st.code(escape_controls(str(zip_export.path)), language=None, wrap_lines=True)
    _show_skipped(zip_export.summary, key="leaving-zip")


def _write_zip(query: str, count: int) -> None:
    library = open_library()
    library.storage.delete_stale_files()
    path = library.storage.new_archive_path()
    try:
        with open(path, "wb") as file:
            photos = _iterate_photos(query, count)
            label, names_absent = _choose_labels(query)
            summary = export.write_zip(photos, library.read_original, file, label, names_absent)
    except BaseException:  # also when the user leaves the page meanwhile
        path.unlink(missing_ok=True)
        raise
    st.session_state[ZIP_KEY] = Export(query, path, summary)


def offer_dataset(query: str, count: int, key: str) -> None:
    """A form that writes the photos of a query to a dataset folder, and a link to train on it."""
    default = open_library().home / "exports" / f"photos-{datetime.now():%Y-%m-%d-%H%M}"
    click = f"{key}-write {query}"
    with st.form(f"{key}-form", border=False):
        folder = st.text_input(
            "New folder on this computer",
            placeholder=str(default),
            key=f"{key}-folder",
            help="Photos are copied into a folder for each first tag. Empty = folder shown.",
        )
        st.form_submit_button(
            "Save photos",
            key=f"{key}-write",
            on_click=keep_click,
            args=(click,),
        )
    act_on_click(click, _save_dataset, query, folder.strip(), default, count, key)
    dataset: Export | None = st.session_state.get(f"{key}-written")
    if dataset is None:
        return
    st.markdown(f":material/check: {count_noun(dataset.summary.written, 'photo')} saved to")
    st.code(escape_controls(str(dataset.path)), language=None, wrap_lines=True)
    _show_skipped(dataset.summary, key=key)
    st.page_link(TRAIN, label="Train a model with them", icon=":material/school:")


def _save_dataset(query: str, folder: str, default: Path, count: int, key: str) -> None:
    new_export = _write_dataset(query, folder, default, count)
    with finish_first():
        st.session_state[f"{key}-written"] = new_export
        st.session_state[TRAIN_FOLDER_KEY] = str(new_export.path)


def _write_dataset(query: str, folder: str, default: Path, count: int) -> Export:
    path = Path(os.path.expanduser(folder)) if folder else default
    if not path.is_absolute():
        raise OptionError(f"{folder}: give the full path of a folder, starting with /")
    label, names_absent = _choose_labels(query)
    photos = _iterate_photos(query, count)
    read = open_library().read_original
    summary = export.write_collection(photos, read, path, label, names_absent)
    return Export(query, path, summary)


def _choose_labels(query: str) -> tuple[LabelPhoto, bool]:
    """What an export says of the photos that a query finds, and whether it names absent tags.

    It does if a person said only "not this" of some of them: else their tags are all there is to
    say.
    """
    library = open_library()
    every = sorted(label for label, _ in library.label_counts(query))
    answers, exported = library.teaching.all_answers(), set(every)
    rejected = {
        photo_id: tuple(label for label in answers[photo_id][1] if label in exported)
        for photo_id in library.find_ids(query)
        if photo_id in answers
    }
    ids = [photo_id for photo_id, labels in rejected.items() if labels]
    if all(photo.tags for photo in edits.load_photos(ids)):
        return export.own_labels, False

    def label(photo: Photo) -> PhotoLabels:
        present = export.own_labels(photo).present
        if not present:
            return PhotoLabels((), rejected.get(photo.id, ()))
        return PhotoLabels(present, tuple(tag for tag in every if tag not in present))

    return label, True


def _iterate_photos(query: str, count: int) -> Iterator[Photo]:
    """The photos that a query finds, with a progress bar."""
    bar = st.progress(0.0)
    for number, photo in enumerate(open_library().photos(query)):
        if number % PROGRESS_STEP == 0:
            bar.progress(min(1.0, number / count), text=f"{number:,} of {count:,}")
        yield photo
    bar.empty()


def _show_skipped(summary: ExportSummary, key: str) -> None:
    """The skipped photos with their reasons."""
    skipped = summary.skipped
    if not skipped:
        return
    unreadable = len(skipped) - summary.untagged
    parts = [f"{summary.untagged:,} without a tag"] if summary.untagged else []
    parts += [f"{unreadable:,} that can’t be read"] if unreadable else []
    title = f"{count_noun(len(skipped), 'photo')} skipped: {', '.join(parts)}"
    with st.expander(title, key=f"{key}-skipped"):
        for name, reason in skipped[:MAX_SKIPPED]:
            st.text(escape_controls(f"{name}: {reason}"))
        if len(skipped) > MAX_SKIPPED:
            st.caption(f"and {len(skipped) - MAX_SKIPPED:,} more")
