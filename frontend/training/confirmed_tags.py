"""What a person said of the library's photos, exported as a dataset to train on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from frontend.components.tables import show_table
from frontend.training import dataset_check, written_folders
from frontend.ui.library import open_library
from frontend.ui.messages import act_on_click, keep_click
from frontend.ui.pages import REVIEW
from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import finish_first
from tagger.library import export
from tagger.library.export import PhotoLabels
from tagger.text import count_noun

KIND = "confirmed"  # of the folders that are written
CHECK_KEY = "train-check-confirmed"
MAX_SKIPPED = 200  # photos listed
SEVERAL, SINGLE = "Any number of tags", "One tag each"


def choose_confirmed_photos() -> str | None:
    """A button that exports and checks the photos; the dataset's folder, None before."""
    answers = open_library().teaching.all_answers()
    count = sum(bool(present) for present, _ in answers.values())
    if not count:
        st.info("No confirmed tags yet. Review some photos first.")
        st.page_link(REVIEW, label="Review photos", icon=dataset_check.CHECK_ICON)
        return None
    st.markdown(
        f"{count_noun(count, 'photo')} with a tag that you added or confirmed. They are copied into"
        " a folder, with all your answers."
    )
    labels = _choose_labels(answers)
    st.button(
        dataset_check.CHECK,
        key=CHECK_KEY,
        icon=dataset_check.CHECK_ICON,
        on_click=keep_click,
        args=(CHECK_KEY,),
    )
    act_on_click(CHECK_KEY, _check, labels)
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
        with st.expander(title, key="train-left-out"):
            rows = skipped[:MAX_SKIPPED]
            show_table(["photo", "reason"], rows, title, key="train-skipped", numbers=False)
    return str(data)


def _check(labels: Mapping[int, PhotoLabels]) -> None:
    """Export the photos and check them."""
    with st.spinner("Copying the photos …"):
        folder, skipped, changed = _write_dataset(labels)
    with finish_first():
        st.session_state["train-left"] = skipped
        st.session_state["train-confirmed"] = str(folder)
        st.session_state["train-kept"] = [str(path) for path in changed]
        dataset_check.start_check(str(folder))


def is_confirmed_dataset(data: str) -> bool:
    """Whether a folder is an export of confirmed photos."""
    return written_folders.is_written(Path(data))


def _choose_labels(answers: Mapping[int, tuple[list[str], list[str]]]) -> dict[int, PhotoLabels]:
    """What the dataset says of each photo, as the person chooses that a photo may have."""
    has_several = any(len(present) > 1 for present, _ in answers.values())
    kind = SEVERAL
    if not has_several:
        kind = st.radio(
            "A photo can have",
            [SINGLE, SEVERAL],
            captions=[
                "It has to decide between the tags, or say that it does not know.",
                "Also several or none: “not this” answers count, and other tags are left open.",
            ],
            key="train-confirmed-kind",
            persist_state="session",
        )
    tags = {tag for present, _ in answers.values() for tag in present}
    if kind == SINGLE:
        return {
            photo_id: PhotoLabels(tuple(present))
            for photo_id, (present, _) in answers.items()
            if present
        }
    labels = {
        photo_id: PhotoLabels(tuple(present), tuple(tag for tag in absent if tag in tags))
        for photo_id, (present, absent) in answers.items()
    }
    return {id: each for id, each in labels.items() if each.present or each.absent}


def _write_dataset(
    labels: Mapping[int, PhotoLabels],
) -> tuple[Path, list[tuple[str, str]], list[Path]]:
    """Export the photos; the folder, the skipped photos, and older folders changed by hand."""
    library = open_library()
    photos = [photo for photo in library.photos("reviewed") if photo.id in labels]
    lines = (f"{photo.sha256} {labels[photo.id]}" for photo in photos)

    def fill(folder: Path) -> list[tuple[str, str]]:
        return export.write_collection(
            photos,
            library.read_original,
            folder,
            lambda photo: labels[photo.id],
            names_absent=any(each.absent is not None for each in labels.values()),
        ).skipped

    return written_folders.write(KIND, lines, fill)
