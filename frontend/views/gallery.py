"""Gallery: all photos in a grid, filtered by tag, to open and edit."""

from __future__ import annotations

import io
from typing import cast

import streamlit as st

from frontend.components import job_panel, photo_grid
from frontend.photos import details, edits, retagging, selection_bar
from frontend.photos.details import Results
from frontend.ui import url_state
from frontend.ui.library import count_tags, load_sample_photos, open_library
from frontend.ui.messages import catch_errors
from frontend.ui.pages import IMPORT
from tagger.jobs.requests import ImportUploadsRequest
from tagger.library.records import Sort
from tagger.library.search.grammar import Label, format_query
from tagger.text import escape_controls

PAGE_SIZE = 48  # fills rows of two, three, four and six
PAGE = "gallery"
GRID_KEY = "gallery-grid"
FILTER, SORT = "show", "sort"  # query parameters: a search query, and the order
STATES = ("unknown", "untagged")


def show() -> None:
    """The page: the details of the photo that the URL names, or the grid."""
    if (photo_id := details.photo_in_url()) is not None:
        results = Results(url_state.get(FILTER) or "", url_state.get(SORT) or "", PAGE_SIZE)
        details.show_details(photo_id, PAGE, results)
        return
    st.title("Gallery", anchor=False)
    edits.show_retag_job(PAGE)
    total = open_library().count()
    if total:
        retagging.offer_retagging(PAGE)
        _show_photos(total)
    else:
        _show_empty()


def _show_empty() -> None:
    st.markdown("Your library is empty. Import photos of yours, or begin with four samples.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        if st.button("Add the sample photos", key="gallery-samples"):
            with catch_errors():
                samples = ((name, io.BytesIO(data)) for name, data in load_sample_photos().items())
                job_panel.start_job(ImportUploadsRequest(samples))
                st.rerun()
    for operation in open_library().operations(limit=3, kinds=["import"], active=True):
        job_panel.show_job(operation.id, key=PAGE)


def _show_photos(total: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="gallery-choose"):
        query = url_state.selectbox("Show", FILTER, _filters(total), width=300)
        sort = cast(Sort, url_state.selectbox("Order", SORT, details.SORTS, width=220))
    count = open_library().count(query)
    if not count:
        st.markdown("No photo is like that.")
        st.button("Show all photos", key="gallery-all", on_click=url_state.on_click(**{FILTER: ""}))
        edits.show_last_edit(PAGE)
        return
    slot = st.container()  # above the pagination
    first = (url_state.pagination(-(-count // PAGE_SIZE)) - 1) * PAGE_SIZE
    results = open_library().search(query, sort, first, PAGE_SIZE)
    with slot:
        events = photo_grid.show_grid(results.photos, key=GRID_KEY)
    if events.opened is not None:
        ids = [photo.id for photo in results.photos]
        details.open_photo(events.opened, first + ids.index(events.opened))
        st.rerun()
    selection_bar.show_selection_bar(PAGE, GRID_KEY, results, events.selected, query)


def _filters(total: int) -> dict[str, str]:
    """Titles by query: all photos, unknown, untagged, and each tag."""
    library = open_library()
    filters = {"": f"All photos · {total:,}"}
    filters |= {state: f"{state.title()} · {library.count(state):,}" for state in STATES}
    for label, count in count_tags():
        filters[format_query(Label(label, exact=True))] = f"{escape_controls(label)} · {count:,}"
    return filters


show()
