"""The open library, shared by all pages and sessions."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import streamlit as st

from tagger.datasets.sample_photos import write_samples
from tagger.errors import TaggerError
from tagger.jobs import worker
from tagger.library.library import Library
from tagger.library.statistics import Statistics

RESUME_SECONDS = 15  # between two checks for jobs whose process died


def open_library() -> Library:
    """The library of `TAGGER_HOME` and `TAGGER_DATABASE`. Raises LibraryError."""
    library = _open_library(os.environ.get("TAGGER_HOME"), os.environ.get("TAGGER_DATABASE"))
    _resume_jobs(library.url, library)
    return library


@st.cache_resource(show_spinner=False, on_release=Library.close)
def _open_library(home: str | None, url: str | None) -> Library:
    library = Library.open(Path(home) if home else None, url or None)
    # In threads, so that the first page does not wait for them.
    Thread(target=library.storage.delete_stale_files, daemon=True).start()
    start_embedding(library)
    return library


def start_embedding(library: Library) -> None:
    """Start looking at photos that descriptions cannot find yet, if there are any."""

    def start() -> None:
        with suppress(TaggerError, OSError):  # the next start of the app tries again
            worker.start_embedding(library)

    Thread(target=start, daemon=True).start()


@st.cache_resource(show_spinner=False, ttl=RESUME_SECONDS)
def _resume_jobs(url: str, _library: Library) -> list[int]:
    return worker.resume_stale(_library)


def count_tags() -> list[tuple[str, int]]:
    """Every tag with its number of photos, the most frequent first; cached until a change."""
    library = open_library()
    return _count_tags(library.url, library.version(), library)


@st.cache_resource(show_spinner=False, max_entries=4)
def _count_tags(url: str, version: str, _library: Library) -> list[tuple[str, int]]:
    return _library.label_counts()


def load_statistics() -> Statistics:
    """Counts over the library; cached until a change."""
    library = open_library()
    return _load_statistics(library.url, library.version(), library)


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_statistics(url: str, version: str, _library: Library) -> Statistics:
    return _library.statistics()


@st.cache_resource(show_spinner=False)
def load_sample_photos() -> dict[str, bytes]:
    """The four sample photos by file name. Raises OptionError where they are not installed."""
    with TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in write_samples(Path(folder))}
