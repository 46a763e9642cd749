"""Photos of the library that show none of the labels, for a model to learn from, by choice."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from frontend.components import photo_gallery
from frontend.training import written_folders
from frontend.ui.library import open_library
from tagger.errors import ImageError, OptionError
from tagger.images.decode import EXTENSIONS
from tagger.library.records import Photo
from tagger.library.search.grammar import Label, format_query
from tagger.library.storage import read_original
from tagger.text import count_noun

KIND = "none-of-these"  # of the folders that are written
SHOWN = 12  # photos to look at
MOST, LEAST = 1_000, 10  # photos
HELP = (
    "A model that saw only your labels takes everything for one of them. With photos that show none"
    " of them it learns to say so. A label is then a tag: a photo can have one, several or none."
)


def choose(labels: Sequence[str], photos: int) -> list[int]:
    """A switch, and then random photos without the labels, to look at; their ids.

    `photos` is the number of photos with labels.
    """
    if not st.toggle(
        "Also learn from photos that show none of these",
        key="train-none",
        help=HELP,
        persist_state="session",
    ):
        return []
    return pick(labels, photos, "train-none")


def pick(labels: Sequence[str], photos: int, key: str) -> list[int]:
    """How many photos without the labels, and a few of them to look at; their ids."""
    candidates = _find_candidates(labels)
    if len(candidates) < LEAST:
        st.caption("Your library has too few photos without these tags.")
        return []
    most = min(MOST, len(candidates))
    count = st.number_input(
        "How many photos of your library",
        min_value=LEAST,
        max_value=most,
        value=min(most, max(LEAST, photos // 2)),
        key=f"{key}-count-{most}",
    )
    number = st.session_state.setdefault(f"{key}-round", 0)
    chosen = random.Random(number).sample(candidates, int(count))
    library = open_library()
    st.caption(
        f"Random photos without these tags, {min(SHOWN, len(chosen))} of them to look at. None"
        " should show a label."
    )
    first = [library.photo(photo_id) for photo_id in chosen[:SHOWN]]
    photo_gallery.show_grid(first, key=f"{key}-grid")
    st.button(
        "Choose other photos",
        key=f"{key}-others",
        icon=":material/shuffle:",
        on_click=st.session_state.__setitem__,
        args=(f"{key}-round", number + 1),
    )
    return chosen


def write(ids: Sequence[int]) -> Path:
    """Copy the photos into a folder. Raises OptionError where none can be read."""
    library = open_library()
    photos = [library.photo(photo_id) for photo_id in ids]
    folder, written, _ = written_folders.write(
        KIND, (photo.sha256 for photo in photos), lambda folder: _copy(photos, folder)
    )
    if not written:
        shutil.rmtree(folder)
        raise OptionError(f"none of {count_noun(len(photos), 'photo')} can be read: choose others")
    return folder


def _find_candidates(labels: Sequence[str]) -> list[int]:
    """The photos that have none of the labels, nor a kind of them, as far as tags say."""
    library = open_library()
    tagged: set[int] = set()
    for label in labels:
        tagged.update(library.find_ids(format_query(Label(label))))
    return [photo_id for photo_id in library.find_ids() if photo_id not in tagged]


def _copy(photos: Sequence[Photo], folder: Path) -> int:
    """Copy the photos that can be read; how many."""
    folder.mkdir(parents=True)
    count = 0
    for photo in photos:
        try:
            data = read_original(photo)
        except (ImageError, OSError):
            continue
        extension = photo.path.suffix.lower()
        extension = extension if extension in EXTENSIONS else ".jpg"
        (folder / f"{photo.id}{extension}").write_bytes(data)
        count += 1
    return count
