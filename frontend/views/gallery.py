"""Gallery: all photos on a timeline, filtered by tag, to look at and edit."""

from __future__ import annotations

import io
from contextlib import suppress

import streamlit as st

from frontend.components import job_panel, undo_line
from frontend.photos import edits, gallery, retagging
from frontend.ui import url_state
from frontend.ui.library import count_tags, load_sample_photos, open_library
from frontend.ui.messages import run_action, show_error
from frontend.ui.pages import IMPORT
from frontend.ui.photo_lists import SORTS, read_sort
from tagger.errors import QueryError
from tagger.jobs.requests import ImportUploadsRequest
from tagger.library.search.grammar import Label, format_query
from tagger.text import escape_controls

PAGE = "gallery"
FILTER, SORT = "show", "sort"  # query parameters: a search query, and the order
STATES = {"is:favourite": "Favourites", "untagged": "No tags"}  # titles of queries
MORE_STATES = {  # offered only where the URL names them
    "unknown": "No tag found by the model",
    "reviewed": "Reviewed by you",
    "missing": "Original missing",
}


def show() -> None:
    """The page: the photos, or the first steps of an empty library."""
    gallery.keep_full_width()
    total = open_library().count()
    if not total:
        st.title("Gallery", anchor=False)
        edits.show_retag_job(PAGE)
        _show_empty()
        return
    query, sort = _choose_photos(total)
    edits.show_retag_job(PAGE)
    retagging.offer_retagging(PAGE)
    try:
        gallery.show_gallery(
            PAGE, query, read_sort(sort), empty="No photos match.", labels=bool(query)
        )
    except QueryError as error:
        show_error(str(error))


def _show_empty() -> None:
    st.markdown("Your library is empty. Import photos of yours, or begin with four samples.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        st.button(
            "Add the sample photos",
            key="gallery-samples",
            on_click=run_action,
            args=(_import_samples,),
        )
    for operation in open_library().operations(limit=3, kinds=["import"], active=True):
        job_panel.show_job(operation.id, key=PAGE)
    undo_line.show(PAGE)


def _import_samples() -> None:
    """Import the sample photos, once even if the button was clicked twice."""
    if not open_library().operations(limit=1, kinds=[ImportUploadsRequest.KIND], active=True):
        samples = ((name, io.BytesIO(data)) for name, data in load_sample_photos().items())
        job_panel.start_job(ImportUploadsRequest(samples))


def _choose_photos(total: int) -> tuple[str, str]:
    """The heading, and beside it the query of the filter and the order."""
    filters = _filters(total)
    with st.container(horizontal=True, vertical_alignment="center", key="gallery-head"):
        st.title("Gallery", anchor=False, width="stretch")
        with st.container(horizontal=True, width="content", key="filters"):
            query = url_state.selectbox("Filter", FILTER, filters, width=260, compact=True)
            sort = url_state.selectbox("Sort", SORT, SORTS, width=170, compact=True)
    return query, sort


def _filters(total: int) -> dict[str, str]:
    """Titles by query: all photos, favourites, those without tags, each tag; the address's own."""
    filters = {"": f"All photos · {total:,}"}
    filters |= {query: f"{t} · {open_library().count(query):,}" for query, t in STATES.items()}
    for label, count in count_tags():
        filters[format_query(Label(label, exact=True))] = f"{escape_controls(label)} · {count:,}"
    selected = url_state.get(FILTER)
    if selected and selected not in filters:
        with suppress(QueryError):
            if (count := open_library().count(selected)) or selected in MORE_STATES:
                title = MORE_STATES.get(selected, escape_controls(selected))
                filters[selected] = f"{title} · {count:,}"
    return filters


show()
