"""The library's confirmed tags, exported as a dataset to train on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import streamlit as st

from frontend.components.html_blocks import show_table
from frontend.training import dataset_check
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors
from frontend.ui.pages import REVIEW
from frontend.ui.text import escape_markdown
from tagger.files import walk_files, write_atomically
from tagger.library import export
from tagger.text import count_noun

CONFIRMED = "by:person"  # query: photos with a tag that a person added or confirmed
DATASETS = "collections"  # in the library's folder
FINGERPRINT = ".written"  # in a dataset: its fingerprint when it was written
MAX_SKIPPED = 200  # photos listed


def choose_confirmed_photos() -> str | None:
    """A button that exports and checks the confirmed photos; the dataset's folder, None before."""
    count = open_library().count(CONFIRMED)
    if not count:
        st.info("No confirmed tags yet. Review some photos first.")
        st.page_link(REVIEW, label="Review photos", icon=dataset_check.CHECK_ICON)
        return None
    st.markdown(
        f"{count_noun(count, 'photo')} with a tag that you added or confirmed, copied"
        " into a folder for each first tag."
    )
    if st.button(dataset_check.CHECK, key="train-check-confirmed", icon=dataset_check.CHECK_ICON):
        with catch_errors(), st.spinner("Copying the photos …"):
            folder, st.session_state["train-left"], changed = _write_dataset()
            st.session_state["train-confirmed"] = str(folder)
            st.session_state["train-kept"] = [str(path) for path in changed]
            dataset_check.start_check(str(folder))
    data = st.session_state.get("train-confirmed")
    if data is None or not Path(data).is_dir():  # another tab has written a newer one
        return None
    if changed_folders := st.session_state.get("train-kept"):
        names = ", ".join(map(escape_markdown, changed_folders))
        st.info(
            f"Kept, because it was changed by hand: {names}. To train with it, choose it as a"
            " folder."
        )
    if skipped := st.session_state["train-left"]:
        title = f"{count_noun(len(skipped), 'photo')} skipped"
        with st.expander(title):
            show_table(["photo", "reason"], skipped[:MAX_SKIPPED], title, numbers=False)
    return str(data)


def is_confirmed_dataset(data: str) -> bool:
    """Whether a folder is an export of confirmed photos."""
    return Path(data).parent == open_library().home / DATASETS


def _write_dataset() -> tuple[Path, list[tuple[str, str]], list[Path]]:
    """Export the confirmed photos to a new folder, named by a digest of photos and tags.

    The folder, the skipped photos, and older folders that were changed by hand. Unchanged older
    folders are removed.
    """
    library = open_library()
    photos = list(library.photos(CONFIRMED))
    lines = "\n".join(sorted(f"{photo.sha256} {photo.tags[0].label}" for photo in photos))
    digest = hashlib.sha256(lines.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    parent = library.home / DATASETS
    changed = []
    for path in sorted(parent.glob("confirmed-*")):
        if _is_changed(path):
            changed.append(path)
        else:
            shutil.rmtree(path)
    folder = next(path for path in _candidate_paths(parent, digest) if not path.exists())
    skipped = export.write_collection(photos, library.read_original, folder).skipped
    write_atomically(folder / FINGERPRINT, _fingerprint(folder))
    return folder, skipped, changed


def _is_changed(folder: Path) -> bool:
    """Whether a dataset's files have changed since it was written."""
    try:
        return (folder / FINGERPRINT).read_text(encoding="utf-8") != _fingerprint(folder)
    except (OSError, UnicodeDecodeError):
        return True  # unknown: keep it


def _candidate_paths(parent: Path, digest: str) -> Iterator[Path]:
    yield parent / f"confirmed-{digest}"
    yield from (parent / f"confirmed-{digest}-{number}" for number in range(2, 1_000_000))


def _fingerprint(folder: Path) -> str:
    """SHA-256 of path, size and modification time of all files but hidden ones."""
    digest = hashlib.sha256()
    for path in walk_files(folder):
        stat = path.stat()
        line = f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
