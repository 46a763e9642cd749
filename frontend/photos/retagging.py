"""Offer to tag photos again that an earlier version of a model in use tagged."""

from __future__ import annotations

import streamlit as st

from frontend.photos import edits
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.models import load_tagger, needs_building
from frontend.ui.text import escape_markdown
from tagger.errors import TaggerError
from tagger.inference.registry import display_name
from tagger.tagger import Tagger
from tagger.text import count_noun

DISMISSED_KEY = "retagging-dismissed"  # session state: digests of models


def offer_retagging(page: str) -> None:
    """How many photos an earlier version tagged, and a button that shows what would change."""
    library = open_library()
    for model in library.models_in_use():
        tagger = _load(model)
        if tagger is None or tagger.sha256 in st.session_state.get(DISMISSED_KEY, ()):
            continue
        count = library.retagging.count_outdated(tagger)
        if count and not library.operations(limit=1, kinds=["retag"], active=True):
            _show_offer(page, model, tagger, count)
            return


def _show_offer(page: str, model: str, tagger: Tagger, count: int) -> None:
    with st.container(border=True, key=f"{page}-outdated"):
        verb = "was" if count == 1 else "were"
        name = display_name(model)
        message = f"{count_noun(count, 'photo')} {verb} tagged by an earlier version of {name}."
        st.markdown(escape_markdown(message))
        with st.container(horizontal=True, gap="small", key=f"{page}-outdated-actions"):
            st.button(
                "Re-tag …",
                key=f"{page}-outdated-go",
                icon=":material/autorenew:",
                on_click=run_action,
                args=(_ask_to_retag, page, model, tagger),
            )
            st.button(
                "Not now",
                key=f"{page}-outdated-dismiss",
                type="tertiary",
                on_click=run_action,
                args=(_dismiss, tagger.sha256),
            )


def _ask_to_retag(page: str, model: str, tagger: Tagger) -> None:
    edits.retag_photos(page, open_library().retagging.find_outdated(tagger), model)


def _dismiss(sha256: str) -> None:
    st.session_state[DISMISSED_KEY] = (*st.session_state.get(DISMISSED_KEY, ()), sha256)


def _load(model: str) -> Tagger | None:
    """A model in use; None if it cannot be used, which the sidebar and other pages say."""
    try:
        if needs_building(model):
            return None
        tagger = load_tagger(model)
        _ = tagger.sha256  # read now, in case the file changes
        return tagger
    except (TaggerError, OSError):
        return None
