"""The library's confirmed tags as a collection to train on: written out, and kept where changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import streamlit as st

from frontend.components.html_blocks import show_table
from frontend.training import dataset_check
from frontend.ui.library import open_library
from frontend.ui.messages import show_errors
from frontend.ui.pages import REVIEW
from frontend.ui.text import escape_markdown
from tagger.files import walk_files, write_atomically
from tagger.library import export
from tagger.text import count_noun

CONFIRMED = "by:person"  # a search for photos with a tag that a person added or confirmed
COLLECTIONS = "collections"  # in the library's folder
WRITTEN = ".written"  # in a collection: what it was when it was written
LEFT_SHOWN = 200


def choose() -> str | None:
    """The photos whose tags a person gave, written out as a collection; None until they are."""
    count = open_library().count(CONFIRMED)
    if not count:
        st.info("You have not confirmed or added a tag yet. Do that first, photo by photo.")
        st.page_link(REVIEW, label="Review photos", icon=dataset_check.CHECK_ICON)
        return None
    st.markdown(
        f"{count_noun(count, 'photo')} with a tag that you added or confirmed. Each is copied"
        " into the folder of its first tag."
    )
    if st.button(dataset_check.CHECK, key="train-check-confirmed", icon=dataset_check.CHECK_ICON):
        with show_errors(), st.spinner("Copying the photos …"):
            folder, st.session_state["train-left"], kept = _write()
            st.session_state["train-confirmed"] = str(folder)
            st.session_state["train-kept"] = [str(path) for path in kept]
            dataset_check.check(str(folder))
    data = st.session_state.get("train-confirmed")
    if data is None or not Path(data).is_dir():  # another tab has written a newer one
        return None
    if kept := st.session_state.get("train-kept"):
        named = ", ".join(map(escape_markdown, kept))
        st.info(
            f"Changed since it was written, so it was not removed: {named}. To train on it as it"
            " is, give it as a folder of photos."
        )
    if left := st.session_state["train-left"]:
        title = f"{count_noun(len(left), 'photo')} left out"
        with st.expander(title):
            show_table(["photo", "why"], left[:LEFT_SHOWN], title, numbers=False)
    return str(data)


def is_one(data: str) -> bool:
    """Whether a folder is one that `choose` wrote."""
    return Path(data).parent == open_library().home / COLLECTIONS


def _write() -> tuple[Path, list[tuple[str, str]], list[Path]]:
    """The folder, named for what is in it, the photos left out, and earlier folders.

    Those are the ones that somebody has changed since they were written; others are removed.
    """
    library = open_library()
    photos = list(library.photos(CONFIRMED))
    told = "\n".join(sorted(f"{photo.sha256} {photo.tags[0].label}" for photo in photos))
    digest = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    folders = library.home / COLLECTIONS
    earlier = {path: is_changed(path) for path in sorted(folders.glob("confirmed-*"))}
    for path in earlier:
        if not earlier[path]:
            shutil.rmtree(path)
    folder = next(path for path in _named(folders, digest) if not path.exists())
    left = export.write_collection(photos, library.read_original, folder).skipped
    write_atomically(folder / WRITTEN, _state(folder))
    return folder, left, [path for path in earlier if earlier[path]]


def is_changed(folder: Path) -> bool:
    """Whether a collection holds anything else than when it was written."""
    try:
        return (folder / WRITTEN).read_text(encoding="utf-8") != _state(folder)
    except (OSError, UnicodeDecodeError):
        return True  # nobody knows


def _named(folders: Path, digest: str) -> Iterator[Path]:
    yield folders / f"confirmed-{digest}"
    yield from (folders / f"confirmed-{digest}-{number}" for number in range(2, 1_000_000))


def _state(folder: Path) -> str:
    """A digest of every file's place, size and time of change; hidden files are a desktop's."""
    found = hashlib.sha256()
    for path in walk_files(folder):
        info = path.stat()
        told = f"{path.relative_to(folder)}\0{info.st_size}\0{info.st_mtime_ns}\n"
        found.update(told.encode("utf-8", "surrogateescape"))
    return found.hexdigest()
