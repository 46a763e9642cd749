"""Audit findings of a dataset with their photos, and advice where to correct them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from frontend.components.html_blocks import escape_text
from frontend.ui.pages import GALLERY, REVIEW
from frontend.ui.text import escape_markdown
from tagger import ImageError
from tagger.images import decode, transforms
from tagger.text import data_uri

SIDE = 160  # pixels of a thumbnail
MAX_CACHED = 500  # thumbnails in memory


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one kind: a summary, and the first photos with details, by relative path."""

    summary: str
    photos: Sequence[tuple[str, str]]


def show_findings(
    folder: Path, groups: Sequence[FindingGroup], label_format: str, is_export: bool
) -> None:
    """Show each group of findings with its photos.

    `label_format` is the dataset's ("folders", "CSV"); `is_export` if the library wrote it.
    """
    if not groups:
        return
    st.markdown(f"Look at these before you train. {_advice(label_format, is_export)}")
    if is_export:
        st.page_link(REVIEW, label="Review photos", icon=":material/fact_check:")
        st.page_link(GALLERY, label="Gallery", icon=":material/photo_library:")
    for index, group in enumerate(groups):
        title = escape_markdown(group.summary)
        with st.expander(title, key=f"train-finding-{index}-{group.summary}", expanded=index == 0):
            figures = (_figure(folder, photo, details) for photo, details in group.photos)
            st.html(f'<div class="it-figures">{"".join(figures)}</div>')


def _advice(label_format: str, is_export: bool) -> str:
    """Where to correct a wrong label so that it stays correct."""
    if is_export:
        return (
            "Correct wrong tags in Review or the Gallery, then check again. Don’t change this"
            " folder: it holds copies."
        )
    if label_format in ("", "folders"):
        advice = "Move photos with a wrong label to the right folder"
    elif label_format == "CSV":
        advice = "Correct wrong labels in the CSV file"
    else:
        advice = f"Correct wrong labels in the {escape_markdown(label_format)} file"
    return (
        f"{advice}, remove what doesn’t belong, then check again. Nothing is changed automatically."
    )


def _figure(folder: Path, photo: str, details: str) -> str:
    caption = f"{escape_text(details)}<br><code>{escape_text(photo)}</code>"
    try:
        path = folder / photo
        source = _thumbnail_uri(str(path), path.stat().st_mtime_ns)
        image = f'<img src="{source}" alt="">'
    except (ImageError, OSError, ValueError):
        image = "<p>Can’t be shown: the file may have been moved.</p>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


@st.cache_data(show_spinner=False, max_entries=MAX_CACHED)
def _thumbnail_uri(path: str, modified: int) -> str:
    rgb = decode.read(path, shorter_side=SIDE)
    return data_uri(decode.encode(transforms.fit(rgb, SIDE), "JPEG"), "image/jpeg")
