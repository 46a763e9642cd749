"""A folder to train on: chosen, checked, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import job_panel
from frontend.components.html_blocks import show_table
from frontend.training import findings
from frontend.ui.library import open_library
from frontend.ui.messages import show_errors
from frontend.ui.pages import TRAIN_FOLDER_KEY
from frontend.ui.text import escape_markdown
from tagger import paths
from tagger.datasets.dataset import MIN_PHOTOS, too_few_to_check
from tagger.jobs.requests import CheckRequest
from tagger.text import count_noun

CHECKS_LOOKED_AT = 50
UNREADABLE_SHOWN = 200
ROWS_SHOWN = 60  # labels in the table of photos

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
    written_as: str = ""  # how they are written down: "folders", "CSV"
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Photos to learn from and to check with."""
        return sum(sum(self.photos.get(split, {}).values()) for split in ("train", "val"))


def choose_folder() -> str | None:
    """A folder on this machine, and a button that has it checked; None while none is given."""
    st.session_state.setdefault(TRAIN_FOLDER_KEY, str(paths.DATASET))
    typed = st.text_input(
        "Folder on this machine",
        key=TRAIN_FOLDER_KEY,
        help="With a folder in it for each label: cat/, dog/; or with labels.csv, COCO, Pascal VOC"
        " or YOLO labels. The photos are only read.",
        persist_state="session",
    )
    if not typed.strip():
        st.info("Give the folder that holds your labelled photos.")
        return None
    data = str(Path(typed.strip()).expanduser().absolute())
    if st.button(CHECK, key="train-check", icon=CHECK_ICON):
        check(data)
    return data


def check(data: str) -> None:
    with show_errors():
        job_panel.start_job(CheckRequest(data))


def checked(data: str) -> Checked | None:
    """What the newest check of a folder found; None, having said why, where there is none."""
    looked_at = open_library().operations(limit=CHECKS_LOOKED_AT, kinds=["check"])
    run = next(
        (run for run in looked_at if CheckRequest.from_options(run.options).data == data), None
    )
    if run is None:
        st.caption("Nothing is trained yet: checking reads every photo and says what is wrong.")
        return None
    if run.active or run.result is None:
        job_panel.show_job(run.id, key="train-check-run")
        return None
    st.caption(
        escape_markdown(
            f"Checked: {job_panel.describe_end(run)}. Check again if photos changed since."
        )
    )
    found = run.result
    return Checked(
        found["labels"],
        found["problems"],
        [(path, reason) for path, reason in found["unreadable"]],
        found.get("doubts", []),
        found["error"],
        found.get("told", ""),
        found.get("written_as", ""),
        tuple(found.get("notes", ())),
    )


def show_check(data: str, checked: Checked, ours: bool) -> None:
    """The photos of a folder by label, what is wrong with them, and what to do.

    `ours` says that the library wrote the folder.
    """
    names = list(checked.photos.get("train", {}))
    if checked.told:
        st.caption(escape_markdown(f"Labels: {checked.told}."))
    if names:
        splits = [split for split in _SPLITS if split in checked.photos]
        counts = [[checked.photos[split].get(name, 0) for split in splits] for name in names]
        rows = [
            [name, *(f"{count:,}" for count in row)]
            for name, row in zip(names[:ROWS_SHOWN], counts, strict=False)
        ]
        if len(names) > ROWS_SHOWN:
            rest = [sum(column) for column in zip(*counts[ROWS_SHOWN:], strict=True)]
            more = count_noun(len(names) - ROWS_SHOWN, "more label")
            rows.append([more, *(f"{count:,}" for count in rest)])
        rows.append(["all", *(f"{sum(column):,}" for column in zip(*counts, strict=True))])
        show_table(["label", *(_SPLITS[split] for split in splits)], rows, "Photos by label")
    if checked.error:
        st.error(escape_markdown(checked.error), icon=":material/error:")
        st.markdown(
            f"Each label needs at least {MIN_PHOTOS} different photos, in a folder of its own or"
            " named by a file of labels; a hundred or more make a tagger to rely on. Mend that,"
            " then check again."
        )
    if told := _doubts(checked):
        st.warning("\n\n".join(map(escape_markdown, told)), icon=":material/warning:")
    elif not checked.error:
        st.markdown(":material/check: Every photo can be used.")
    _show_unreadable(checked.unreadable)
    for note in checked.notes:
        st.caption(escape_markdown(f"{note[:1].upper()}{note[1:]}."))
    findings.show(Path(data), checked.doubts, checked.written_as, ours)


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
    title = f"{count_noun(len(unreadable), 'file')} that cannot be read"
    with st.expander(title):
        show_table(["file", "why"], unreadable[:UNREADABLE_SHOWN], title, numbers=False)
        if len(unreadable) > UNREADABLE_SHOWN:
            st.caption(f"and {len(unreadable) - UNREADABLE_SHOWN:,} more")
