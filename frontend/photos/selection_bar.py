"""Photos selected in a grid, and what can be done with all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import photo_grid
from frontend.photos import edits
from frontend.ui.library import open_library
from frontend.ui.messages import show_errors
from frontend.ui.models import list_models, model_title
from tagger.library.records import Photo, PhotoPage
from tagger.text import count_noun


@dataclass(frozen=True)
class Chosen:
    """Photos to edit: those `selected` on a page, or with a `query` all that it finds."""

    page: PhotoPage
    selected: Sequence[int]
    query: str | None

    def photos(self) -> Iterable[Photo]:
        if self.query is not None:
            return open_library().photos(self.query)
        return (photo for photo in self.page.photos if photo.id in self.selected)

    def ids(self) -> list[int]:
        return [photo.id for photo in self.photos()]

    def having(self, labels: Sequence[str]) -> list[int]:
        """The ids of those that have one of the tags."""
        return [p.id for p in self.photos() if any(tag.label in labels for tag in p.tags)]

    def labels(self) -> list[str]:
        if self.query is not None:
            return [label for label, _ in open_library().label_counts(self.query)]
        return sorted({tag.label for photo in self.photos() for tag in photo.tags})


def offer_edits(
    place: str, grid_key: str, page: PhotoPage, selected: Sequence[int], query: str
) -> None:
    """What can be done with the photos selected on this page, or with all that were found.

    It stands at the foot of the window, in sight wherever on the page the photos are; where
    nothing is selected, what was done last. `place` names the page, `grid_key` its grid.
    """
    with st.bottom:
        if selected:
            _Edits(place, grid_key).offer(page, selected, query)
        else:
            edits.show_done(place)


@dataclass(frozen=True)
class _Edits:
    """The edits that one page offers."""

    place: str
    grid_key: str

    def offer(self, page: PhotoPage, selected: Sequence[int], query: str) -> None:
        with st.container(
            horizontal=True, vertical_alignment="center", gap="xsmall", key=self._key("edits")
        ):
            everything = False
            if len(selected) == len(page.photos) < page.total:
                everything = st.checkbox(
                    f"All {page.total:,} found, on every page", key=self._key("everything")
                )
            many = page.total if everything else len(selected)
            st.markdown(f"**{count_noun(many, 'photo')}**", width="content")
            chosen = Chosen(page, selected, query if everything else None)
            self._offer_adding(chosen, many)
            self._offer_removing(chosen, many)
            if st.button("Confirm", key=self._key("confirm"), icon=":material/check:"):
                self._do(lambda: edits.confirm(self.place, chosen.photos()))
            self._offer_tagging_again(chosen, many)
            if st.button("Delete", key=self._key("delete"), icon=":material/delete:"):
                self._do(lambda: edits.delete(self.place, chosen.ids()))

    def _offer_adding(self, chosen: Chosen, many: int) -> None:
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
            if st.form_submit_button(
                f"Add to {count_noun(many, 'photo')}", key=self._key("add-go")
            ):
                self._do(lambda: edits.change_tags(self.place, chosen.ids(), add=labels))

    def _offer_removing(self, chosen: Chosen, many: int) -> None:
        with (
            st.popover("Remove tags", icon=":material/label_off:"),
            st.form(self._key("remove"), border=False, clear_on_submit=True),
        ):
            labels = st.multiselect(
                "Tags to remove",
                chosen.labels(),
                placeholder="Choose some",
                select_all=False,
                key=self._key("remove-labels"),
            )
            told = f"Remove from {count_noun(many, 'photo')}"
            if st.form_submit_button(told, key=self._key("remove-go")):
                self._do(
                    lambda: edits.change_tags(self.place, chosen.having(labels), remove=labels)
                )

    def _offer_tagging_again(self, chosen: Chosen, many: int) -> None:
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
            told = f"Tag {count_noun(many, 'photo')} again"
            if st.button(told, key=self._key("retag-go")):
                self._do(lambda: edits.tag_again(self.place, chosen.ids(), model))

    def _do(self, action: Callable[[], object]) -> None:
        """Edit, and let the page begin anew with nothing selected."""
        with show_errors():
            action()
            photo_grid.clear_selection(self.grid_key)
            st.rerun()

    def _key(self, name: str) -> str:
        return f"{self.place}-{name}"
