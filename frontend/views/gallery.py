"""Gallery: every photo of the library, to look at, open, and edit many at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import address
import counts
import details
import edits
import grid
import shared
import streamlit as st
from details import Found

from tagger.files import spelled_out
from tagger.query import Label, spell
from tagger.records import Page, Photo, Sort

PAGE_SIZE = 48  # fills rows of two, three, four and six
PAGE = "gallery"
GRID = "gallery-grid"
SHOW, SORT = "show", "sort"  # of the address: a search that says which photos, and their order
STATES = ("unknown", "untagged")


@dataclass(frozen=True)
class Chosen:
    """Photos to edit: those `selected` on a page, or with a `query` all that it finds."""

    page: Page
    selected: Sequence[int]
    query: str | None

    def photos(self) -> Iterable[Photo]:
        if self.query is not None:
            return shared.library().photos(self.query)
        return (photo for photo in self.page.photos if photo.id in self.selected)

    def ids(self) -> list[int]:
        return [photo.id for photo in self.photos()]

    def having(self, labels: Sequence[str]) -> list[int]:
        """The ids of those that have one of the tags."""
        return [p.id for p in self.photos() if any(tag.label in labels for tag in p.tags)]

    def labels(self) -> list[str]:
        if self.query is not None:
            return [label for label, _ in shared.library().label_counts(self.query)]
        return sorted({tag.label for photo in self.photos() for tag in photo.tags})


def show() -> None:
    """The whole page: one photo where the address names one, otherwise the grid."""
    if (photo := details.asked()) is not None:
        found = Found(address.said(SHOW) or "", address.said(SORT) or "", PAGE_SIZE)
        details.show_photo(photo, PAGE, found)
        return
    st.title("Gallery", anchor=False)
    edits.show_work(PAGE)
    total = shared.library().count()
    if total:
        _show_photos(total)
    else:
        _show_empty()


def _show_empty() -> None:
    st.markdown("Your library is empty. Import photos of yours, or begin with four samples.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(shared.IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        if st.button("Add the sample photos", key="gallery-samples"):
            with shared.guard():
                samples = ((name, io.BytesIO(d)) for name, d in shared.sample_photos().items())
                shared.start(shared.library().plan_upload_import(samples))
                st.rerun()
    for run in shared.library().runs(limit=3, kinds=["import"], active=True):
        shared.show_run(run.id, key=PAGE)


def _show_photos(total: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="gallery-choose"):
        query = address.choose("Show", SHOW, _choices(total), width=300)
        sort = cast(Sort, address.choose("Order", SORT, details.SORTS, width=220))
    many = shared.library().count(query)
    if not many:
        st.markdown("No photo is like that.")
        st.button("Show all photos", key="gallery-all", on_click=address.link(**{SHOW: ""}))
        edits.show_done(PAGE)
        return
    place = st.container()
    first = (address.choose_page(-(-many // PAGE_SIZE)) - 1) * PAGE_SIZE
    page = shared.library().search(query, sort, first, PAGE_SIZE)
    with place:
        answer = grid.photo_grid(page.photos, key=GRID)
    if answer.opened is not None:
        ids = [photo.id for photo in page.photos]
        details.open_photo(answer.opened, first + ids.index(answer.opened))
        st.rerun()
    with st.bottom:  # in sight wherever on the page the photos are
        if answer.selected:
            _offer_edits(page, answer.selected, query)
        else:
            edits.show_done(PAGE)


def _choices(total: int) -> dict[str, str]:
    """Which photos can be shown, as a search and in words: all, those without, those of a tag."""
    library = shared.library()
    choices = {"": f"All photos · {total:,}"}
    choices |= {state: f"{state.title()} · {library.count(state):,}" for state in STATES}
    for label, many in counts.label_counts():
        choices[spell(Label(label))] = f"{spelled_out(label)} · {many:,}"
    return choices


def _offer_edits(page: Page, selected: Sequence[int], query: str) -> None:
    """What can be done with the photos selected on this page, or with all that were found."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key="gallery-edits"
    ):
        everything = False
        if len(selected) == len(page.photos) < page.total:
            everything = st.checkbox(
                f"All {page.total:,} found, on every page", key="gallery-everything"
            )
        many = page.total if everything else len(selected)
        st.markdown(f"**{shared.count_of(many, 'photo')}**", width="content")
        chosen = Chosen(page, selected, query if everything else None)
        _offer_adding(chosen, many)
        _offer_removing(chosen, many)
        if st.button("Confirm", key="gallery-confirm", icon=":material/check:"):
            _do(lambda: edits.confirm(PAGE, chosen.photos()))
        _offer_tagging_again(chosen, many)
        if st.button("Delete", key="gallery-delete", icon=":material/delete:"):
            _do(lambda: edits.delete(PAGE, chosen.ids()))


def _offer_adding(chosen: Chosen, many: int) -> None:
    with (
        st.popover("Add tags", icon=":material/label:"),
        st.form("gallery-add", border=False, clear_on_submit=True),
    ):
        labels = st.multiselect(
            "Tags to add",
            shared.library().labels(),
            placeholder="Choose some, or type new ones",
            accept_new_options=True,
            select_all=False,  # one Enter too many would add every tag there is
            key="gallery-add-labels",
        )
        if st.form_submit_button(f"Add to {shared.count_of(many, 'photo')}", key="gallery-add-go"):
            _do(lambda: edits.change_tags(PAGE, chosen.ids(), add=labels))


def _offer_removing(chosen: Chosen, many: int) -> None:
    with (
        st.popover("Remove tags", icon=":material/label_off:"),
        st.form("gallery-remove", border=False, clear_on_submit=True),
    ):
        labels = st.multiselect(
            "Tags to remove",
            chosen.labels(),
            placeholder="Choose some",
            select_all=False,
            key="gallery-remove-labels",
        )
        told = f"Remove from {shared.count_of(many, 'photo')}"
        if st.form_submit_button(told, key="gallery-remove-go"):
            _do(lambda: edits.change_tags(PAGE, chosen.having(labels), remove=labels))


def _offer_tagging_again(chosen: Chosen, many: int) -> None:
    with st.popover("Tag again", icon=":material/autorenew:"):
        model = st.selectbox(
            "With which model?",
            shared.models(),
            format_func=shared.model_title,
            key="gallery-retag-model",
        )
        st.caption("What you said of tags stays as it is.")
        told = f"Tag {shared.count_of(many, 'photo')} again"
        if st.button(told, key="gallery-retag-go"):
            _do(lambda: edits.tag_again(PAGE, chosen.ids(), model))


def _do(action: Callable[[], object]) -> None:
    """Edit, and let the page begin anew with nothing selected."""
    with shared.guard():
        action()
        grid.clear_selection(GRID)
        st.rerun()


show()
