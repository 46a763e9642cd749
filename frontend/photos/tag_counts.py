"""How many photos have each tag, counted again only when something was done to the library."""

from __future__ import annotations

import streamlit as st

from frontend.ui import shared
from tagger.library.library import Library

Counts = list[tuple[str, int]]


def label_counts() -> Counts:
    """The tags of the library, the most frequent first."""
    library = shared.library()
    # Whatever is done is a run: a new one, or one that goes on and counts what it has done.
    runs = [*library.operations(limit=1), *library.operations(active=True)]
    return _counted(library.url, tuple((run.id, run.status, run.done) for run in runs), library)


@st.cache_resource(show_spinner=False, max_entries=4)
def _counted(url: str, state: tuple[tuple[int, str, int], ...], _library: Library) -> Counts:
    return _library.label_counts()
