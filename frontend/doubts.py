"""Photos that a check doubts, shown, so that a person can say who is right."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import shared
import streamlit as st

from tagger import ImageError, images
from tagger.files import spelled_out

SIDE = 160  # pixels of a picture
KEPT = 500  # pictures in memory


def show(folder: Path, doubts: Sequence[dict[str, Any]]) -> None:
    """Each kind of doubt about a folder's photos, with the first of them."""
    if not doubts:
        return
    st.markdown(
        "Have a look at these before you train. Move a photo with a wrong label into the right"
        " folder, take out what should not be there, then check again. Nothing is changed for you."
    )
    for place, doubt in enumerate(doubts):
        with st.expander(shared.plain(doubt["line"]), expanded=place == 0):
            figures = (_figure(folder, photo, told) for photo, told in doubt["photos"])
            st.html(f'<div class="it-figures">{"".join(figures)}</div>')


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
    rgb = images.read(path, shorter_side=SIDE)
    picture = images.encode(images.fit(rgb, SIDE), "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"


def _text(text: str) -> str:
    return escape(spelled_out(text))
