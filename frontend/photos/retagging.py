"""Offer to tag photos again that an earlier version of the active model tagged."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components import photo_grid
from frontend.photos import details, edits
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors
from frontend.ui.models import load_tagger, needs_building
from frontend.ui.text import escape_markdown
from tagger.errors import TaggerError
from tagger.library.retagging import RetagPreview, TagChange
from tagger.tagger import Tagger
from tagger.text import count_noun

MAX_TAGS = 12  # listed of those that would come, and of those that would go
MAX_EXAMPLES = 12  # photos
PREVIEW_KEY, DISMISSED_KEY = "retagging-preview", "retagging-dismissed"  # session state


def offer_retagging(page: str) -> None:
    """How many photos an earlier version tagged, what would change, and a button that does it."""
    tagger = _load_active()
    library = open_library()
    if tagger is None or st.session_state.get(DISMISSED_KEY) == tagger.sha256:
        return
    count = library.count_outdated(tagger)
    if not count or library.operations(limit=1, kinds=["retag"], active=True):
        return
    with st.container(border=True, key=f"{page}-outdated"):
        photos = count_noun(count, "photo")
        verb = "was" if count == 1 else "were"
        message = f"{photos} {verb} tagged by an earlier version of {tagger.name}."
        st.markdown(escape_markdown(message))
        with st.container(horizontal=True, gap="small", key=f"{page}-outdated-actions"):
            if st.button("Show what would change", key=f"{page}-outdated-preview"):
                with catch_errors(), st.spinner("Looking at some of them …"):
                    preview = library.preview_retagging(tagger)
                    st.session_state[PREVIEW_KEY] = tagger.sha256, preview
            if st.button(
                f"Tag {photos} again", key=f"{page}-outdated-go", icon=":material/autorenew:"
            ):
                with catch_errors():
                    ids = library.find_outdated(tagger)
                    edits.retag_photos(page, ids, library.active_model())
                    st.session_state.pop(PREVIEW_KEY, None)
                    st.rerun()
            if st.button("Not now", key=f"{page}-outdated-dismiss", type="tertiary"):
                st.session_state[DISMISSED_KEY] = tagger.sha256
                st.rerun()
        version, preview = st.session_state.get(PREVIEW_KEY, (None, None))
        if preview is not None and version == tagger.sha256:
            _show_preview(preview, count, page)


def _load_active() -> Tagger | None:
    """The active model; None if it cannot be used, which the sidebar and other pages say."""
    try:
        model = open_library().active_model()
        if needs_building(model):
            return None
        tagger = load_tagger(model)
        _ = tagger.sha256  # read now, in case the file changes
        return tagger
    except (TaggerError, OSError):
        return None


def _show_preview(preview: RetagPreview, count: int, page: str) -> None:
    for sentence in explain_preview(preview, count):
        st.markdown(escape_markdown(sentence))
    changes = preview.changes[:MAX_EXAMPLES]
    captions = {change.photo.id: describe_change(change) for change in changes}
    photos = [change.photo for change in changes]
    key = f"{page}-outdated-examples"
    opened = photo_grid.show_grid(photos, key=key, captions=captions, selectable=False).opened
    if opened is not None:
        details.open_photo(opened)
        st.rerun()


def explain_preview(preview: RetagPreview, count: int) -> list[str]:
    """What would change, in sentences; `count` photos would be tagged again."""
    photos = count_noun(preview.sample, "photo")
    looked_at = f"Of {photos} out of {count:,}" if preview.sample < count else f"Of {photos}"
    sentences = [
        f"{looked_at}, {len(preview.changes)} would get other tags. Tags that you gave or removed"
        " stay as they are."
    ]
    for title, tags in (("Would come", preview.added()), ("Would go", preview.removed())):
        if tags:
            sentences.append(f"{title}: {_list_counts(tags)}.")
    if preview.unreadable:
        photos = count_noun(preview.unreadable, "photo")
        sentences.append(f"{photos} cannot be read, and would keep the tags.")
    return sentences


def _list_counts(tags: Sequence[tuple[str, int]]) -> str:
    rest = len(tags) - MAX_TAGS
    listed = ", ".join(f"{tag} ({count})" for tag, count in tags[:MAX_TAGS])
    return listed + (f" and {rest:,} more" if rest > 0 else "")


def describe_change(change: TagChange) -> str:
    """The tags of one photo that would come and go: "+ person, tree − chain saw"."""
    parts = [("+", change.added), ("−", change.removed)]
    return " ".join(f"{sign} {', '.join(tags)}" for sign, tags in parts if tags)
