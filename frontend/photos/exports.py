"""What leaves the library by way of a page: tables, a ZIP, a collection to train on."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import streamlit as st

from frontend.ui.library import open_library
from frontend.ui.messages import show_errors
from frontend.ui.pages import TRAIN, TRAIN_FOLDER_KEY
from frontend.ui.text import escape_markdown, format_size
from tagger.errors import OptionError
from tagger.library import export
from tagger.library.export import ExportSummary
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.text import count_noun, escape_controls

LARGEST_DOWNLOAD = 500_000_000  # bytes of a ZIP; Streamlit holds what it sends in memory
LEFT_SHOWN = 200  # photos left out, by name
STEP = 25  # photos between two looks at how far it is


@dataclass(frozen=True)
class Written:
    """What a search's photos were written to, and those that were left out."""

    query: str
    place: Path
    left: ExportSummary


def offer_tables(query: str) -> None:
    """Downloads of what a search finds as a spreadsheet and as JSON Lines, made when clicked."""
    library = open_library()
    for title, write, file_name, mime in _TABLES:
        st.download_button(
            title,
            table(library, query, write),
            file_name,
            mime,
            key=f"leaving-{file_name}",
            icon=":material/download:",
            on_click="ignore",
        )


_TABLES: tuple[tuple[str, Callable[[Iterable[Photo], TextIO], None], str, str], ...] = (
    ("CSV", export.write_csv, "photos.csv", "text/csv"),
    ("JSON Lines", export.write_json_lines, "photos.jsonl", "application/jsonl"),
)


def table(
    library: Library, query: str, write: Callable[[Iterable[Photo], TextIO], None]
) -> Callable[[], bytes]:
    """A function that makes a table's bytes.

    Streamlit calls it when the button is clicked, on a thread that knows nothing of the page.
    """

    def made() -> bytes:
        text = io.StringIO(newline="")
        write(library.photos(query), text)
        return text.getvalue().encode("utf-8", "backslashreplace")

    return made


def offer_zip(query: str, many: int) -> None:
    """A ZIP of what a search finds, written to a file first, since it may be large."""
    written: Written | None = st.session_state.get(_ZIP)
    with st.container(horizontal=True, vertical_alignment="center", key="leaving-zip-line"):
        if st.button(
            "Prepare a ZIP of the photos", key="leaving-zip", icon=":material/folder_zip:"
        ):
            with show_errors():
                written = st.session_state[_ZIP] = _write_zip(query, many)
        if written is None or written.query != query or not written.place.is_file():
            return
        size = written.place.stat().st_size
        if size <= LARGEST_DOWNLOAD:
            st.download_button(
                f"Download the ZIP ({format_size(size)})",
                partial(open_library().storage.read_archive, written.place),
                "photos.zip",
                "application/zip",
                key="leaving-photos.zip",
                type="primary",
                on_click="ignore",
            )
    told = f"{count_noun(written.left.written, 'photo')} in the ZIP, in folders by first tag."
    if size > LARGEST_DOWNLOAD:
        told += f" It is too large to download ({format_size(size)}); until tomorrow it lies at:"
    st.markdown(escape_markdown(told))
    if size > LARGEST_DOWNLOAD:
        st.code(escape_controls(str(written.place)), language=None, wrap_lines=True)
    show_left(written.left)


_ZIP = "leaving-zip-written"


def _write_zip(query: str, many: int) -> Written:
    library = open_library()
    library.storage.delete_stale_files()
    place = library.storage.new_archive_path()
    try:
        with open(place, "wb") as file:
            left = export.write_zip(_counted(query, many), library.read_original, file)
    except BaseException:  # also where somebody goes to another page meanwhile
        place.unlink(missing_ok=True)
        raise
    return Written(query, place, left)


def offer_collection(query: str, many: int, key: str) -> None:
    """A folder to write what a search finds to, and then the way to training on it."""
    usual = open_library().home / "exports" / f"photos-{datetime.now():%Y-%m-%d-%H%M}"
    with st.form(f"{key}-form", border=False):
        folder = st.text_input(
            "A new folder on this machine",
            placeholder=str(usual),
            key=f"{key}-folder",
            help="Photos are copied into a folder for each first tag. Left empty: the one shown.",
        )
        if st.form_submit_button("Write the photos", key=f"{key}-write"):
            with show_errors():
                made = _write(query, folder.strip(), usual, many)
                st.session_state[f"{key}-written"] = made
                st.session_state[TRAIN_FOLDER_KEY] = str(made.place)  # for the Train page
    written: Written | None = st.session_state.get(f"{key}-written")
    if written is None:
        return
    st.markdown(f":material/check: {count_noun(written.left.written, 'photo')} written to")
    st.code(escape_controls(str(written.place)), language=None, wrap_lines=True)
    show_left(written.left)
    st.page_link(TRAIN, label="Teach a tagger with them", icon=":material/school:")


def _write(query: str, folder: str, usual: Path, many: int) -> Written:
    place = Path(folder).expanduser() if folder else usual
    if not place.is_absolute():
        raise OptionError(f"{folder}: give the whole path of a folder, from / on")
    photos = _counted(query, many)
    left = export.write_collection(photos, open_library().read_original, place)
    return Written(query, place, left)


def _counted(query: str, many: int) -> Iterator[Photo]:
    """The photos a search finds, with a bar for how far it is."""
    bar = st.progress(0.0)
    for number, photo in enumerate(open_library().photos(query)):
        if number % STEP == 0:
            bar.progress(min(1.0, number / many), text=f"{number:,} of {many:,}")
        yield photo
    bar.empty()


def show_left(left: ExportSummary) -> None:
    """The photos that did not come along, and why."""
    if not left.skipped:
        return
    reasons = Counter(reason for _, reason in left.skipped)
    none = reasons[export.UNTAGGED]
    unreadable = len(left.skipped) - none
    told = [f"{none:,} without a tag"] if none else []
    told += [f"{unreadable:,} that cannot be read"] if unreadable else []
    with st.expander(f"{count_noun(len(left.skipped), 'photo')} left out: {', '.join(told)}"):
        for name, reason in left.skipped[:LEFT_SHOWN]:
            st.text(escape_controls(f"{name}: {reason}"))
        if len(left.skipped) > LEFT_SHOWN:
            st.caption(f"and {len(left.skipped) - LEFT_SHOWN:,} more")
