"""Photos on a page."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tagger.text import data_uri


def show_jpeg(
    jpeg: bytes,
    alt: str,
    slot: DeltaGenerator | None = None,
    width: int | Literal["stretch", "content"] = "stretch",
) -> None:
    """Show a photo in `slot` or at the end of the page, as wide as `st.image` takes `width`.

    The page itself carries it. What Streamlit serves by an address of its own is gone as soon as
    any other tab's page is drawn meanwhile, and a slow browser then shows a broken picture.
    """
    (slot or st).image(data_uri(jpeg, "image/jpeg"), width=width, alt=alt)
