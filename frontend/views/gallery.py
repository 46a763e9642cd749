"""Gallery: every photo of the library, to look at, open, and edit many at once."""

from __future__ import annotations

import io
from typing import cast

import streamlit as st

from frontend.components import job_panel, photo_grid
from frontend.photos import details, edits, selection_bar
from frontend.photos.details import Found
from frontend.ui import url_state
from frontend.ui.library import count_tags, load_sample_photos, open_library
from frontend.ui.messages import show_errors
from frontend.ui.pages import IMPORT
from tagger.jobs.requests import ImportUploadsRequest
from tagger.library.records import Sort
from tagger.library.search.grammar import Label, format_query
from tagger.text import escape_controls

PAGE_SIZE = 48  # fills rows of two, three, four and six
PAGE = "gallery"
GRID = "gallery-grid"
SHOW, SORT = "show", "sort"  # of the address: a search that says which photos, and their order
STATES = ("unknown", "untagged")


def show() -> None:
    """The whole page: one photo where the address names one, otherwise the grid."""
    if (photo := details.asked()) is not None:
        found = Found(url_state.said(SHOW) or "", url_state.said(SORT) or "", PAGE_SIZE)
        details.show_photo(photo, PAGE, found)
        return
    st.title("Gallery", anchor=False)
    edits.show_work(PAGE)
    total = open_library().count()
    if total:
        _show_photos(total)
    else:
        _show_empty()


def _show_empty() -> None:
    st.markdown("Your library is empty. Import photos of yours, or begin with four samples.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        if st.button("Add the sample photos", key="gallery-samples"):
            with show_errors():
                samples = ((name, io.BytesIO(d)) for name, d in load_sample_photos().items())
                job_panel.start_job(ImportUploadsRequest(samples))
                st.rerun()
    for run in open_library().operations(limit=3, kinds=["import"], active=True):
        job_panel.show_job(run.id, key=PAGE)


def _show_photos(total: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="gallery-choose"):
        query = url_state.choose("Show", SHOW, _choices(total), width=300)
        sort = cast(Sort, url_state.choose("Order", SORT, details.SORTS, width=220))
    many = open_library().count(query)
    if not many:
        st.markdown("No photo is like that.")
        st.button("Show all photos", key="gallery-all", on_click=url_state.link(**{SHOW: ""}))
        edits.show_done(PAGE)
        return
    place = st.container()
    first = (url_state.choose_page(-(-many // PAGE_SIZE)) - 1) * PAGE_SIZE
    page = open_library().search(query, sort, first, PAGE_SIZE)
    with place:
        answer = photo_grid.show_grid(page.photos, key=GRID)
    if answer.opened is not None:
        ids = [photo.id for photo in page.photos]
        details.open_photo(answer.opened, first + ids.index(answer.opened))
        st.rerun()
    selection_bar.offer_edits(PAGE, GRID, page, answer.selected, query)


def _choices(total: int) -> dict[str, str]:
    """Which photos can be shown, as a search and in words: all, those without, those of a tag."""
    library = open_library()
    choices = {"": f"All photos · {total:,}"}
    choices |= {state: f"{state.title()} · {library.count(state):,}" for state in STATES}
    for label, many in count_tags():
        choices[format_query(Label(label))] = f"{escape_controls(label)} · {many:,}"
    return choices


show()
