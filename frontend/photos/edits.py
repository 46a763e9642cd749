"""What pages change in the library. Each change is told in a sentence, with an Undo beside it.

`place` names the page that asks, and keeps what is told there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import job_panel
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown, join_names
from tagger.jobs.requests import RetagRequest
from tagger.library.records import Photo
from tagger.text import count_noun


@dataclass(frozen=True)
class Done:
    """What was done last, and the runs that did it. `undoing` where that was an undo itself."""

    message: str
    runs: tuple[int, ...]
    undoing: bool = False


def change_tags(
    place: str, ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> None:
    """Say that tags belong to photos, or do not. Raises OptionError for what cannot be a tag."""
    run = open_library().edit_tags(ids, add, remove)
    many = count_noun(len(ids), "photo")
    told = [f"Added {join_names(add)} to {many}."] if add else []
    told += [f"Removed {join_names(remove)} from {many}."] if remove else []
    note(place, " ".join(told), run)


def confirm(place: str, photos: Iterable[Photo]) -> None:
    """Say that the tags which photos have belong to them."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for photo in photos:
        for tag in photo.tags:
            if not tag.by_person:
                by_label[tag.label].append(photo.id)
    library = open_library()
    runs = [library.edit_tags(ids, add=[label]) for label, ids in by_label.items()]
    confirmed = {photo for ids in by_label.values() for photo in ids}
    if runs:
        many = count_noun(len(confirmed), "photo")
        note(place, f"Confirmed {join_names(list(by_label))} on {many}.", *runs)
    else:
        note(place, "There was no tag to confirm.")


def take_back(place: str, photo: Photo, label: str) -> None:
    """Take back what a person said of a tag."""
    run = open_library().withdraw_annotations([photo.id], [label])
    note(place, f"Took back what was said of {label}.", run)


def delete(place: str, ids: Sequence[int]) -> None:
    """Delete photos from the library, not from the disk."""
    run = open_library().delete(ids)
    many = count_noun(len(ids), "photo")
    note(place, f"Deleted {many} from the library. Undo brings back what was deleted.", run)


def tag_again(place: str, ids: Sequence[int], model: str) -> None:
    """Let a model tag photos anew, in the background. Raises OptionError where there are none."""
    run = job_panel.start_job(RetagRequest(model=model, ids=ids))
    st.session_state.pop(_done_key(place), None)
    st.session_state[_work_key(place)] = run


def note(place: str, message: str, *runs: int, undoing: bool = False) -> None:
    """Tell on the page from now on what was done last; `message` is plain text."""
    st.session_state.pop(_work_key(place), None)
    st.session_state[_done_key(place)] = Done(message, runs, undoing)


def show_work(place: str) -> None:
    """How far the work is that was begun last on this page."""
    if (work := st.session_state.get(_work_key(place))) is not None:
        job_panel.show_job(work, key=f"{place}-work")


def show_done(place: str) -> None:
    """What was done last on this page, with a button that takes it back."""
    done: Done | None = st.session_state.get(_done_key(place))
    if done is None:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"{place}-done-line"
    ):
        st.markdown(f":material/check: {escape_markdown(done.message)}", width="content")
        if any(open_library().operation(run).undoable for run in done.runs):
            st.button(
                "Redo" if done.undoing else "Undo",
                key=f"{place}-undo",
                icon=":material/redo:" if done.undoing else ":material/undo:",
                on_click=run_action,
                args=(undo, place, done),
            )
        st.button(
            "Dismiss", key=f"{place}-dismiss", type="tertiary", on_click=_forget, args=(place,)
        )


def undo(place: str, done: Done) -> None:
    """Take back what was done, the last of it first."""
    undone = [open_library().undo(run) for run in reversed(done.runs)]
    left = max((one.left_alone for one in undone), default=0)
    kept = f" {count_noun(left, 'photo')} changed since and left alone." if left else ""
    message = done.message.removeprefix("Undone: ") if done.undoing else f"Undone: {done.message}"
    runs = (one.operation_id for one in undone)
    note(place, f"{message}{kept}", *runs, undoing=not done.undoing)


def _forget(place: str) -> None:
    st.session_state.pop(_done_key(place), None)


def _done_key(place: str) -> str:
    return f"{place}-done"


def _work_key(place: str) -> str:
    return f"{place}-work"
