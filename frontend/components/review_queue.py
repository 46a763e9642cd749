"""The photos that come next, and keys pressed before they are drawn, which wait for theirs.

A page answers a key with a run on the server; what is pressed meanwhile would fall on the photo
that was just answered. The browser keeps it back until the next one is there (see review_queue.js).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from frontend.components import photo_grid
from tagger.library.records import Photo

HERE = Path(__file__).resolve().parent

_component = st.components.v2.component(
    "photos_ahead",
    html=(HERE / "review_queue.html").read_text(encoding="utf-8"),
    css=(HERE / "review_queue.css").read_text(encoding="utf-8"),
    js=(HERE / "review_queue.js").read_text(encoding="utf-8"),
)


def photos_ahead(photos: Sequence[Photo], keys: Sequence[str], turn: int, *, key: str) -> None:
    """Small pictures of what comes next. Draw it after the buttons that `keys` press.

    `turn` differs each time the page is drawn, which is how a key is answered.
    """
    tiles = [photo_grid.tile(photo) for photo in photos]
    _component(key=key, data={"keys": list(keys), "turn": turn, "photos": tiles})
