"""Check of a dataset before training: choosing its folder, the check job, its result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import streamlit as st

from frontend.components import job_panel
from frontend.components.folder_picker import pick_folder, take_selected
from frontend.components.tables import show_table
from frontend.training.findings import FindingGroup, show_findings
from frontend.ui.library import open_library
from frontend.ui.messages import run_action, show_error
from frontend.ui.pages import TRAIN_FOLDER_KEY
from frontend.ui.text import escape_markdown
from tagger import paths
from tagger.datasets.dataset import MIN_PHOTOS, too_few_to_check
from tagger.jobs.requests import CheckRequest
from tagger.text import count_noun

RECENT_CHECKS = 50  # searched for the newest check of a folder
MAX_UNREADABLE = 200  # files listed
MAX_ROWS = 60  # labels in the table of photos
MAX_VARIANTS = 5  # groups of labels that differ in case alone, listed

PICKER_KEY = "train-picker"
CHECK, CHECK_ICON = "Check photos", ":material/fact_check:"
_SPLITS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class CheckResult:
    """The result of a check job. `photos` are counts by split and label."""

    photos: Mapping[str, Mapping[str, int]]
    problems: Sequence[str]
    unreadable: Sequence[tuple[str, str]]  # path and reason
    findings: Sequence[FindingGroup]
    error: str | None
    label_description: str
    label_format: str  # "folders", "CSV", ...
    notes: Sequence[str]
    case_variants: Sequence[Sequence[str]]

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> Self:
        """The result that the job stored; older ones lack some of the keys."""
        groups = [
            FindingGroup(group["line"], [(photo, details) for photo, details in group["photos"]])
            for group in result.get("doubts", [])
        ]
        return cls(
            result["labels"],
            result["problems"],
            [(path, reason) for path, reason in result["unreadable"]],
            groups,
            result["error"],
            result.get("told", ""),
            result.get("written_as", ""),
            result.get("notes", ()),
            result.get("case_variants", ()),
        )

    @property
    def count(self) -> int:
        """The number of photos to train and validate on."""
        return sum(sum(self.photos.get(split, {}).values()) for split in ("train", "val"))


def choose_folder() -> str | None:
    """A folder of this computer, typed or picked, and a button that checks it; None if empty."""
    st.session_state.setdefault(TRAIN_FOLDER_KEY, _default_folder())
    field = st.container()
    with st.container(horizontal=True, gap="small", key="train-folder-actions"):
        check = st.container(width="content")
        with st.popover("Browse …", icon=":material/folder_open:", key="train-browse"):
            pick_folder(PICKER_KEY)
    take_selected(PICKER_KEY, TRAIN_FOLDER_KEY)
    folder = field.text_input(
        "Folder on this computer",
        key=TRAIN_FOLDER_KEY,
        help="With a subfolder for each label (cat/, dog/), or with labels.csv, COCO, Pascal VOC or"
        " YOLO labels. Photos are never changed.",
        persist_state="session",
    )
    data = _read_folder(folder)
    if data is None:
        st.info("Choose the folder with your labelled photos.")
        return None
    check.button(
        CHECK, key="train-check", icon=CHECK_ICON, on_click=run_action, args=(_check_folder,)
    )
    return data


def _default_folder() -> str:
    """The folder `dataset`, if somebody has put photos into it."""
    has_folders = paths.DATASET.is_dir() and any(
        path.is_dir() and not path.name.startswith(".") for path in paths.DATASET.iterdir()
    )
    return str(paths.DATASET) if has_folders else ""


def _read_folder(text: str) -> str | None:
    """The full path of the folder in the field, None if it is empty."""
    return os.path.abspath(os.path.expanduser(text.strip())) if text.strip() else None


def _check_folder() -> None:
    """Check the folder in the field, which may have been typed just before."""
    take_selected(PICKER_KEY, TRAIN_FOLDER_KEY)
    if (data := _read_folder(st.session_state[TRAIN_FOLDER_KEY])) is not None:
        start_check(data)


def start_check(data: str) -> None:
    """Start a job that checks a dataset."""
    job_panel.start_job(CheckRequest(data, merge_case=merges_case(data)))


def merges_case(data: str) -> bool:
    """Whether labels of a dataset that differ in case alone are to be one."""
    return bool(st.session_state.get(_merge_key(data)))


def _merge_key(data: str) -> str:
    return f"train-merge-{data}"


def load_check(data: str) -> CheckResult | None:
    """The newest check of a dataset; None with a message if there is none or it is in progress."""
    checks = open_library().operations(limit=RECENT_CHECKS, kinds=["check"])
    requests = ((check, CheckRequest.from_options(check.options)) for check in checks)
    check = next((check for check, request in requests if request.data == data), None)
    if check is None:
        st.caption("Checking doesn’t train anything: it reads every photo and lists problems.")
        return None
    if check.active or check.result is None:
        job_panel.show_job(check.id, key="train-check-run")
        return None
    end = job_panel.describe_end(check)
    st.caption(escape_markdown(f"Check {end}. Check again if photos changed since then."))
    return CheckResult.from_json(check.result)


def show_check(data: str, check: CheckResult, is_export: bool) -> None:
    """Photos by label, problems and findings; `is_export` if the library wrote the dataset."""
    if check.label_description:
        st.caption(escape_markdown(f"Labels: {check.label_description}."))
    if labels := list(check.photos.get("train", {})):
        _show_counts(labels, check.photos)
    if check.error:
        show_error(check.error)
        st.markdown(
            f"Each label needs at least {MIN_PHOTOS} different photos, in its own folder or listed"
            " in a file of labels; a hundred or more are better. Fix that, then check again."
        )
    _offer_merging(data, check)
    if warnings := _list_warnings(check):
        st.warning("\n\n".join(map(escape_markdown, warnings)), icon=":material/warning:")
    elif not check.error:
        st.markdown(":material/check: All photos can be used.")
    _show_unreadable(check.unreadable)
    for note in check.notes:
        st.caption(escape_markdown(f"{note[:1].upper()}{note[1:]}."))
    show_findings(Path(data), check.findings, check.label_format, is_export)


def _offer_merging(data: str, check: CheckResult) -> None:
    """A switch for labels that differ in case alone, which are checked again as one."""
    if not check.case_variants and not merges_case(data):
        return
    groups = ", ".join(" and ".join(names) for names in check.case_variants[:MAX_VARIANTS])
    st.toggle(
        "Labels that differ only in upper and lower case are the same",
        key=_merge_key(data),
        on_change=run_action,
        args=(start_check, data),
        persist_state="session",
    )
    if groups:
        st.caption(escape_markdown(f"Here: {groups}."))


def _show_counts(labels: Sequence[str], photos: Mapping[str, Mapping[str, int]]) -> None:
    """A table of photos by label and split."""
    splits = [split for split in _SPLITS if split in photos]
    counts = [[photos[split].get(label, 0) for split in splits] for label in labels]
    rows = [[label, *row] for label, row in zip(labels[:MAX_ROWS], counts, strict=False)]
    if len(labels) > MAX_ROWS:
        rest = [sum(column) for column in zip(*counts[MAX_ROWS:], strict=True)]
        title = count_noun(len(labels) - MAX_ROWS, "more label")
        rows.append([title, *rest])
    rows.append(["all", *(sum(column) for column in zip(*counts, strict=True))])
    columns = ["label", *(_SPLITS[split] for split in splits)]
    show_table(columns, rows, "Photos by label", key="train-counts")


def _list_warnings(check: CheckResult) -> list[str]:
    """Problems that do not prevent training, in sentences."""
    warnings = [f"{problem}." for problem in check.problems]
    too_few = too_few_to_check(check.photos.get("val", {}))
    if too_few and not check.error:
        warnings.append(f"{too_few}. Add more photos before you rely on it.")
    return warnings


def _show_unreadable(unreadable: Sequence[tuple[str, str]]) -> None:
    if not unreadable:
        return
    title = f"{count_noun(len(unreadable), 'file')} that can’t be read"
    with st.expander(title, key="train-unreadable-files"):
        rows = unreadable[:MAX_UNREADABLE]
        show_table(["file", "reason"], rows, title, key="train-unreadable", numbers=False)
        if len(unreadable) > MAX_UNREADABLE:
            st.caption(f"and {len(unreadable) - MAX_UNREADABLE:,} more")
