"""Photos that a check doubts, shown, so that a person can say who is right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.ui.pages import GALLERY, REVIEW
from frontend.ui.text import escape_markdown
from tagger import ImageError
from tagger.images import decode, transforms
from tagger.text import data_uri, escape_controls

SIDE = 160  # pixels of a picture
KEPT = 500  # pictures in memory


def show(folder: Path, doubts: Sequence[dict[str, Any]], written_as: str, ours: bool) -> None:
    """Each kind of doubt about a folder's photos, with the first of them, and what to do.

    `written_as` is how its labels are written down: "folders", "CSV"; `ours` that the library
    wrote it.
    """
    if not doubts:
        return
    st.markdown(f"Have a look at these before you train. {_advice(written_as, ours)}")
    if ours:
        st.page_link(REVIEW, label="Review photos", icon=":material/fact_check:")
        st.page_link(GALLERY, label="Gallery", icon=":material/photo_library:")
    for place, doubt in enumerate(doubts):
        with st.expander(escape_markdown(doubt["line"]), expanded=place == 0):
            figures = (_figure(folder, photo, told) for photo, told in doubt["photos"])
            st.html(f'<div class="it-figures">{"".join(figures)}</div>')


def _advice(written_as: str, ours: bool) -> str:
    """Where a wrong label is mended so that it stays mended."""
    if ours:
        return (
            "Correct a wrong tag in Review or in the Gallery, take your tag off a photo that should"
            " not be there, then check again: these are copies, written anew from what you say"
            " there. Change nothing in their folder."
        )
    if written_as in ("", "folders"):
        mend = "Move a photo with a wrong label into the right folder"
    elif written_as == "CSV":
        mend = "Change the row of a photo with a wrong label in the table of labels"
    else:
        mend = f"Correct a wrong label where it is written down ({escape_markdown(written_as)})"
    return (
        f"{mend}, take out what should not be there, then check again. Nothing is changed for you."
    )


def _figure(folder: Path, photo: str, told: str) -> str:
    words = f"{_text(told)}<br><code>{_text(photo)}</code>"
    try:
        path = folder / photo
        source = _picture(str(path), path.stat().st_mtime_ns)
        shown = f'<img src="{source}" alt="">'
    except (ImageError, OSError, ValueError):
        shown = "<p>Cannot be shown: it may have been moved.</p>"
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


@st.cache_data(show_spinner=False, max_entries=KEPT)
def _picture(path: str, changed: int) -> str:
    rgb = decode.read(path, shorter_side=SIDE)
    picture = decode.encode(transforms.fit(rgb, SIDE), "JPEG")
    return data_uri(picture, "image/jpeg")


def _text(text: str) -> str:
    return escape(escape_controls(text))
