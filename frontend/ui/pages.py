"""Paths of the pages, for links between them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from tagger.text import count_noun

_VIEWS = Path(__file__).resolve().parents[1] / "views"
ACTIVITY, GALLERY, IMPORT, REVIEW, SEARCH, TEACH, TRAIN = (
    _VIEWS / f"{name}.py"
    for name in ("activity", "gallery", "import_photos", "review", "search", "teach", "train")
)
TRASH, EVERY = "trash", "all"  # a query parameter of History, and its value for the whole trash
TRASH_ICON = ":material/delete:"
TRAIN_FOLDER_KEY = "train-folder"  # session state: the dataset folder of the Train page


def link_photo(photo_id: int, label: str = "Open in Gallery") -> None:
    """Link to the gallery with a photo open: `?photo=ID`."""
    st.page_link(
        GALLERY, label=label, icon=":material/grid_view:", query_params={"photo": str(photo_id)}
    )


def link_trash(count: int) -> None:
    """Link to the trash with so many photos, from other pages than History."""
    st.page_link(
        ACTIVITY,
        label=name_trash(count),
        icon=TRASH_ICON,
        query_params={TRASH: EVERY},
    )


def name_trash(count: int) -> str:
    """The title of the trash with so many photos."""
    return f"Trash: {count_noun(count, 'photo')}"
