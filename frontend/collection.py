"""What there is to train on: a folder, or the library's confirmed tags; what is wrong with it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import doubts
import scores
import shared
import streamlit as st

from tagger import exports, places
from tagger.dataset import MIN_PHOTOS, too_few_to_check

CONFIRMED = "by:person"  # a search for photos with a tag that a person added or confirmed
COLLECTIONS = "collections"  # in the library's folder
LEFT_SHOWN = 200

CHECKS_LOOKED_AT = 50
UNREADABLE_SHOWN = 200
ROWS_SHOWN = 60  # labels in the table of photos

REVIEW = Path(__file__).parent / "views" / "review.py"
CHECK, CHECK_ICON = "Check the photos", ":material/fact_check:"
_SPLITS = {"train": "to learn from", "val": "to check with", "test": "to test on"}


@dataclass(frozen=True)
class Checked:
    """What a check found in a folder."""

    photos: dict[str, dict[str, int]]
    problems: list[str]
    unreadable: list[tuple[str, str]]
    doubts: list[dict[str, Any]]
    error: str | None
    told: str = ""  # how the labels were read

    @property
    def count(self) -> int:
        """Photos to learn from and to check with."""
        return sum(sum(self.photos.get(split, {}).values()) for split in ("train", "val"))


def choose_folder() -> str | None:
    """A folder on this machine, and a button that has it checked; None while none is given."""
    st.session_state.setdefault(shared.FOLDER_KEY, str(places.DATASET))
    typed = st.text_input(
        "Folder on this machine",
        key=shared.FOLDER_KEY,
        help="With a folder in it for each label: cat/, dog/; or with labels.csv, COCO, Pascal VOC"
        " or YOLO labels. The photos are only read.",
        persist_state="session",
    )
    if not typed.strip():
        st.info("Give the folder that holds your labelled photos.")
        return None
    data = str(Path(typed.strip()).expanduser().absolute())
    if st.button(CHECK, key="train-check", icon=CHECK_ICON):
        _check(data)
    return data


def choose_confirmed() -> str | None:
    """The photos whose tags a person gave, written out as a collection; None until they are."""
    count = shared.library().count(CONFIRMED)
    if not count:
        st.info("You have not confirmed or added a tag yet. Do that first, photo by photo.")
        st.page_link(REVIEW, label="Review photos", icon=CHECK_ICON)
        return None
    st.markdown(
        f"{shared.count_of(count, 'photo')} with a tag that you added or confirmed. Each is copied"
        " into the folder of its first tag."
    )
    if st.button(CHECK, key="train-check-confirmed", icon=CHECK_ICON):
        with shared.guard(), st.spinner("Copying the photos …"):
            folder, st.session_state["train-left"] = _write_confirmed()
            st.session_state["train-confirmed"] = str(folder)
            _check(str(folder))
    data = st.session_state.get("train-confirmed")
    if data is None or not Path(data).is_dir():  # another tab has written a newer one
        return None
    if left := st.session_state["train-left"]:
        title = f"{shared.count_of(len(left), 'photo')} left out"
        with st.expander(title):
            scores.table(["photo", "why"], left[:LEFT_SHOWN], title, numbers=False)
    return str(data)


def is_confirmed(data: str) -> bool:
    """Whether a folder is one that `choose_confirmed` wrote."""
    return Path(data).parent == shared.library().home / COLLECTIONS


def _write_confirmed() -> tuple[Path, list[tuple[str, str]]]:
    """The folder, named for what is in it, and the photos left out; earlier ones are removed."""
    library = shared.library()
    photos = list(library.photos(CONFIRMED))
    told = "\n".join(sorted(f"{photo.sha256} {photo.tags[0].label}" for photo in photos))
    digest = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    folder = library.home / COLLECTIONS / f"confirmed-{digest}"
    for earlier in folder.parent.glob("confirmed-????????"):
        shutil.rmtree(earlier)
    return folder, exports.write_collection(photos, library.original, folder).out


def _check(data: str) -> None:
    with shared.guard():
        shared.start(shared.library().plan_check(data))


def checked(data: str) -> Checked | None:
    """What the newest check of a folder found; None, having said why, where there is none."""
    looked_at = shared.library().runs(limit=CHECKS_LOOKED_AT, kinds=["check"])
    run = next((run for run in looked_at if run.options.get("data") == data), None)
    if run is None:
        st.caption("Nothing is trained yet: checking reads every photo and says what is wrong.")
        return None
    if run.active or run.result is None:
        shared.show_run(run.id, key="train-check-run")
        return None
    st.caption(shared.plain(f"Checked: {shared.ending(run)}. Check again if photos changed since."))
    found = run.result
    return Checked(
        found["labels"],
        found["problems"],
        [(path, reason) for path, reason in found["unreadable"]],
        found.get("doubts", []),
        found["error"],
        found.get("told", ""),
    )


def show_check(data: str, checked: Checked) -> None:
    """The photos of a folder by label, what is wrong with them, and what to do."""
    names = list(checked.photos.get("train", {}))
    if checked.told:
        st.caption(shared.plain(f"Labels: {checked.told}."))
    if names:
        splits = [split for split in _SPLITS if split in checked.photos]
        counts = [[checked.photos[split].get(name, 0) for split in splits] for name in names]
        rows = [
            [name, *(f"{count:,}" for count in row)]
            for name, row in zip(names[:ROWS_SHOWN], counts, strict=False)
        ]
        if len(names) > ROWS_SHOWN:
            rest = [sum(column) for column in zip(*counts[ROWS_SHOWN:], strict=True)]
            more = shared.count_of(len(names) - ROWS_SHOWN, "more label")
            rows.append([more, *(f"{count:,}" for count in rest)])
        rows.append(["all", *(f"{sum(column):,}" for column in zip(*counts, strict=True))])
        scores.table(["label", *(_SPLITS[split] for split in splits)], rows, "Photos by label")
    if checked.error:
        st.error(shared.plain(checked.error), icon=":material/error:")
        st.markdown(
            f"Each label needs at least {MIN_PHOTOS} different photos, in a folder of its own or"
            " named by a file of labels; a hundred or more make a tagger to rely on. Mend that,"
            " then check again."
        )
    if told := _doubts(checked):
        st.warning("\n\n".join(map(shared.plain, told)), icon=":material/warning:")
    elif not checked.error:
        st.markdown(":material/check: Every photo can be used.")
    _show_unreadable(checked.unreadable)
    doubts.show(Path(data), checked.doubts)


def _doubts(checked: Checked) -> list[str]:
    """What is wrong with the photos, though one can learn from them, in sentences."""
    told = [f"{problem}." for problem in checked.problems]
    few = too_few_to_check(checked.photos.get("val", {}))
    if few and not checked.error:
        told.append(f"{few}. It will learn, but give it more photos before you rely on it.")
    return told


def _show_unreadable(unreadable: list[tuple[str, str]]) -> None:
    if not unreadable:
        return
    title = f"{shared.count_of(len(unreadable), 'file')} that cannot be read"
    with st.expander(title):
        scores.table(["file", "why"], unreadable[:UNREADABLE_SHOWN], title, numbers=False)
        if len(unreadable) > UNREADABLE_SHOWN:
            st.caption(f"and {len(unreadable) - UNREADABLE_SHOWN:,} more")
