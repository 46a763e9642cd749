"""Bar at the foot of the window with actions for the photos selected in a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import photo_grid
from frontend.photos import edits
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors
from frontend.ui.models import list_models, model_title
from tagger.library.records import Photo, PhotoPage
from tagger.text import count_noun


@dataclass(frozen=True)
class Selection:
    """The `selected` photos of a page of results, or with a `query` all that it finds."""

    results: PhotoPage
    selected: Sequence[int]
    query: str | None

    def photos(self) -> Iterable[Photo]:
        if self.query is not None:
            return open_library().photos(self.query)
        return (photo for photo in self.results.photos if photo.id in self.selected)

    def ids(self) -> list[int]:
        return [photo.id for photo in self.photos()]

    def ids_with_tags(self, labels: Sequence[str]) -> list[int]:
        """The ids of photos that have at least one of the tags."""
        return [p.id for p in self.photos() if any(tag.label in labels for tag in p.tags)]

    def labels(self) -> list[str]:
        if self.query is not None:
            return [label for label, _ in open_library().label_counts(self.query)]
        return sorted({tag.label for photo in self.photos() for tag in photo.tags})


def show_selection_bar(
    page: str, grid_key: str, results: PhotoPage, selected: Sequence[int], query: str
) -> None:
    """Actions for the selected photos; while none is selected, the message of the last edit.

    `page` names the page in session state, `results` are the photos in its grid.
    """
    with st.bottom:
        if selected:
            _SelectionBar(page, grid_key).draw(results, selected, query)
        else:
            edits.show_last_edit(page)


@dataclass(frozen=True)
class _SelectionBar:
    page: str
    grid_key: str

    def draw(self, results: PhotoPage, selected: Sequence[int], query: str) -> None:
        with st.container(
            horizontal=True, vertical_alignment="center", gap="xsmall", key=self._key("edits")
        ):
            is_everything = False
            if len(selected) == len(results.photos) < results.total:
                is_everything = st.checkbox(
                    f"All {results.total:,} found, on every page", key=self._key("everything")
                )
            photos = count_noun(results.total if is_everything else len(selected), "photo")
            st.markdown(f"**{photos}**", width="content")
            selection = Selection(results, selected, query if is_everything else None)
            self._offer_adding(selection, photos)
            self._offer_removing(selection, photos)
            if st.button("Confirm", key=self._key("confirm"), icon=":material/check:"):
                self._edit(lambda: edits.confirm_tags(self.page, selection.photos()))
            self._offer_retagging(selection, photos)
            if st.button("Delete", key=self._key("delete"), icon=":material/delete:"):
                self._edit(lambda: edits.delete_photos(self.page, selection.ids()))

    def _offer_adding(self, selection: Selection, photos: str) -> None:
        with (
            st.popover("Add tags", icon=":material/label:"),
            st.form(self._key("add"), border=False, clear_on_submit=True),
        ):
            labels = st.multiselect(
                "Tags to add",
                open_library().labels(),
                placeholder="Choose some, or type new ones",
                accept_new_options=True,
                select_all=False,  # one Enter too many would add every tag there is
                key=self._key("add-labels"),
            )
            if st.form_submit_button(f"Add to {photos}", key=self._key("add-go")):
                self._edit(lambda: edits.change_tags(self.page, selection.ids(), add=labels))

    def _offer_removing(self, selection: Selection, photos: str) -> None:
        with (
            st.popover("Remove tags", icon=":material/label_off:"),
            st.form(self._key("remove"), border=False, clear_on_submit=True),
        ):
            labels = st.multiselect(
                "Tags to remove",
                selection.labels(),
                placeholder="Choose some",
                select_all=False,
                key=self._key("remove-labels"),
            )
            if st.form_submit_button(f"Remove from {photos}", key=self._key("remove-go")):
                self._edit(
                    lambda: edits.change_tags(
                        self.page, selection.ids_with_tags(labels), remove=labels
                    )
                )

    def _offer_retagging(self, selection: Selection, photos: str) -> None:
        with st.popover("Tag again", icon=":material/autorenew:"):
            models, active = list_models(), open_library().active_model()
            model = st.selectbox(
                "With which model?",
                models,
                index=models.index(active) if active in models else 0,
                format_func=model_title,
                key=self._key("retag-model"),
            )
            st.caption("What you said of tags stays as it is.")
            if st.button(f"Tag {photos} again", key=self._key("retag-go")):
                self._edit(lambda: edits.retag_photos(self.page, selection.ids(), model))

    def _edit(self, action: Callable[[], object]) -> None:
        """Call `action`, then draw the page again with nothing selected."""
        with catch_errors():
            action()
            photo_grid.clear_selection(self.grid_key)
            st.rerun()

    def _key(self, name: str) -> str:
        return f"{self.page}-{name}"
