"""Job panel: progress with a stop, then the result with an undo, or a redo once it is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from frontend.components import undo_line
from frontend.components.html_blocks import escape_text
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, notify, run_action, show_error
from frontend.ui.pages import ACTIVITY, SEARCH, TRASH, TRASH_ICON, link_photo
from frontend.ui.text import escape_markdown, format_time, time_left
from frontend.ui.uninterrupted import draw_page
from tagger.errors import NothingLeftError
from tagger.jobs import worker
from tagger.jobs.requests import JobRequest, resume, submit
from tagger.library.history.undo import UndoResult
from tagger.library.operations import Operation, OperationFile
from tagger.text import count_noun

MAX_FILES = 200  # listed for each outcome
MAX_NAMED = 3  # photos of an edit
REFRESH_SECONDS = 1.0  # of a job in progress
STOP_ICON = ":material/stop_circle:"

_OUTCOMES = {
    "added": "added",
    "updated": "updated (edited files)",
    "restored": "restored",
    "moved": "moved",
    "missing": "missing",
    "removed": "removed from the library",
    "duplicate": "already in library",
    "tagged": "tagged",
    "same": "already tagged by this model",
    "failed": "failed",
}
_LISTED_OUTCOMES = {
    "failed": "Files that failed",
    "updated": "Edited since they were added",
    "moved": "Moved files",
    "missing": "Missing files",
    "removed": "Missing files, removed from the library",
    "duplicate": "Already in library",
    "no_photo": "Skipped (not photos)",
    "left_out": "Skipped folders, links and hidden files",
}


def start_job(request: JobRequest) -> int:
    """Submit a job and start it in a process of its own; its id. Raises OptionError."""
    library = open_library()
    job_id = submit(library, request)
    worker.start(library, job_id)
    return job_id


def show_operations(operations: Sequence[Operation], *, key: str) -> None:
    """Show operations as `show_job` does, with links to the photos of edits."""
    few = [each.id for each in operations if _has_photos(each) and each.total <= MAX_NAMED]
    names = open_library().edited_photos(few)
    for operation in operations:
        show_job(operation.id, key=key, names=names.get(operation.id))


def show_job(
    operation_id: int, *, key: str = "run", names: Mapping[int, str] | None = None
) -> None:
    """Show a job, or any other operation, refreshed while it is in progress.

    `key` differs between two panels of one operation on a page; `names` by id are the photos to
    link to. The whole page is drawn again when the job ends.
    """
    with catch_errors():
        operation = open_library().operation(operation_id)
        every = REFRESH_SECONDS if operation.active else None
        with st.container(border=True, key=f"{key}-{operation_id}"):
            st.fragment(_draw_job, run_every=every)(operation_id, operation.active, key, names)


def _draw_job(
    operation_id: int, was_active: bool, key: str, names: Mapping[int, str] | None
) -> None:
    with catch_errors():
        operation = open_library().operation(operation_id)
        if was_active and not operation.active:
            draw_page()
        if operation.active:
            open_library()  # resumes the job if its process has died
            _draw_progress(operation, key)
        else:
            _draw_end(operation, key, names or {})
        for outcome, title in _LISTED_OUTCOMES.items():
            _draw_files(operation, outcome, title, key)


def _draw_progress(operation: Operation, key: str) -> None:
    st.markdown(f"**{escape_markdown(operation.title)}**")
    left = "" if operation.seconds_left is None else f" · {time_left(operation.seconds_left)}"
    done = f"{operation.done:,} of {operation.total:,}" if operation.total else "Starting"
    st.progress(operation.progress or 0.0, text=f"{done}{left}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if operation.stop_asked:
            st.caption("Stopping …", width="content")
        else:
            _button("Stop", f"{key}-stop-{operation.id}", STOP_ICON, stop_job, operation.id)
        if parts := [part for part in (operation.stage, describe_outcomes(operation)) if part]:
            st.caption(escape_markdown(" · ".join(parts)), width="content")


def _button(
    label: str, key: str, icon: str | None, action: Callable[[int], None], operation_id: int
) -> None:
    st.button(label, key=key, icon=icon, on_click=run_action, args=(action, operation_id))


def stop_job(operation_id: int) -> None:
    """Ask a job to stop."""
    open_library().stop(operation_id)


def _resume(operation_id: int) -> None:
    """Resume a job, once even if the button was clicked twice."""
    if open_library().operation(operation_id).resumable:
        resume(open_library(), operation_id)
        worker.start(open_library(), operation_id)


def _draw_end(operation: Operation, key: str, names: Mapping[int, str]) -> None:
    library = open_library()
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{escape_markdown(operation.title)}**")
            undo = None if operation.undone_by is None else library.operation(operation.undone_by)
            parts = [describe_end(operation, undo)]
            parts += [] if undo else [describe_outcomes(operation)]
            last = undo or operation  # what the button undoes
            is_spent = undo_line.has_nothing_left(last.id)
            if is_spent:
                verb = "redo" if undo else "undo"
                parts.append(f"nothing is left to {verb}: all of it was changed since")
            st.caption(escape_markdown(" · ".join(part for part in parts if part)))
            if removed := library.trash.count(operation.id):
                _link_removed(operation.id, removed, key)
            elif _has_photos(operation):
                _link_photos(operation, names)
        if operation.resumable:
            _button("Resume", f"{key}-again-{operation.id}", None, _resume, operation.id)
        if last.undoable and not is_spent:
            label, action = ("Redo", _redo) if undo else ("Undo", _undo)
            icon = f":material/{label.lower()}:"
            _button(label, f"{key}-{label.lower()}-{operation.id}", icon, action, operation.id)
    if operation.error:
        show_error(operation.error)


def _has_photos(operation: Operation) -> bool:
    """Whether it is an edit of photos that is not undone."""
    return operation.kind == "edit" and operation.total > 0 and not operation.undone_by


def _link_photos(operation: Operation, names: Mapping[int, str]) -> None:
    """Links to the photos that an edit changed, if they are few; else one to all of them."""
    if operation.total > MAX_NAMED:
        query = {"q": f"run:{operation.id}"}
        st.page_link(SEARCH, label="Show the photos", icon=":material/search:", query_params=query)
        return
    for photo_id, name in list(names.items())[:MAX_NAMED]:
        link_photo(photo_id, escape_markdown(name))


def _link_removed(operation_id: int, count: int, key: str) -> None:
    """A link to the photos in the trash that an operation removed, which names them if few.

    A link to the page that is shown would not change its address: there it is a button.
    """
    photos = count_noun(count, "photo")
    if count <= MAX_NAMED:
        trash = open_library().trash
        photos = ", ".join(photo.name for photo in trash.load(trash.find_ids(operation_id)))
    label = escape_markdown(f"{photos} in the trash")
    address = {TRASH: str(operation_id)}
    if not key.startswith(ACTIVITY.stem):
        st.page_link(ACTIVITY, label=label, icon=TRASH_ICON, query_params=address)
    else:
        st.button(
            label,
            key=f"{key}-trash-{operation_id}",
            icon=TRASH_ICON,
            type="tertiary",
            on_click=run_action,
            args=(url_state.on_click(**address),),
        )


def _undo(operation_id: int) -> None:
    """Undo a change, once even if the button was clicked twice."""
    operation = open_library().operation(operation_id)
    if not operation.undoable:
        return
    if (result := _take_back(operation_id)) is not None:
        is_restored = result.changed and operation.kind != "delete"
        _notify(result, f" {count_noun(result.changed, 'photo')} restored." if is_restored else "")


def _redo(operation_id: int) -> None:
    """Redo a change that was undone, once even if the button was clicked twice."""
    undo_id = open_library().operation(operation_id).undone_by
    if undo_id is not None and (result := _take_back(undo_id)) is not None:
        _notify(result)


def _take_back(operation_id: int) -> UndoResult | None:
    """Undo a change or an undo; None if nothing of it is left, which its card says from then on."""
    try:
        return open_library().undo(operation_id)
    except NothingLeftError:
        undo_line.note_nothing_left(operation_id)
        return None


def _notify(result: UndoResult, restored: str = "") -> None:
    message = f"{open_library().operation(result.operation_id).title}.{restored}"
    if result.left_alone:
        message += f" {result.left_alone:,} changed since then and stay as they are."
    notify(message)


def _draw_files(operation: Operation, outcome: str, title: str, key: str) -> None:
    count = operation.counts.get(outcome, 0)
    if not count:
        return
    name = f"{key}-{outcome}-{operation.id}"
    with st.expander(f"{title}: {count:,}", key=name, type="compact"):
        files = open_library().operation_files(operation.id, outcome, MAX_FILES)
        st.html(
            '<ul class="it-files" role="list">'
            + "".join(f'<li dir="auto">{_file_html(file, outcome)}</li>' for file in files)
            + "</ul>"
        )
        if count > MAX_FILES:
            st.caption(f"and {count - MAX_FILES:,} more")


def _file_html(file: OperationFile, outcome: str) -> str:
    """A file with the reason why it failed, or with a link to the photo that it is."""
    name = escape_text(file.name)
    if outcome in ("duplicate", "updated", "moved") and file.photo_id is not None:
        photo = escape_text(file.photo_name or file.name)
        link = f'<a href="gallery?photo={file.photo_id}">{photo}</a>'
        return f"{name} is the same photo as {link}"
    return f"{name}: {escape_text(file.reason)}" if file.reason else name


def describe_end(operation: Operation, undo: Operation | None = None) -> str:
    """How an operation ended and when: "finished 3 May 2024, 16:05"; by an `undo`: "undone …"."""
    ended = undo or operation
    words = {"done": "finished", "stopped": "stopped", "failed": "failed"}
    word = "undone" if undo else words.get(operation.status, operation.status)
    return f"{word} {format_time((ended.finished_at or ended.created_at).astimezone())}"


def describe_ended(operation: Operation) -> str:
    """That a job ended, in a sentence: "Import 12 photos: finished, 11 added · 1 failed"."""
    words = {"done": "finished", "stopped": "stopped", "failed": "failed"}
    parts = [words.get(operation.status, operation.status), describe_outcomes(operation)]
    return f"{operation.title}: {', '.join(filter(None, parts))}"


def describe_outcomes(operation: Operation) -> str:
    """The number of files by outcome: "12 added · 3 failed"."""
    has_outcome = operation.active or operation.error or operation.counts
    if operation.kind == "import" and not has_outcome:
        return "no photos"
    counts = [(operation.counts.get(outcome, 0), words) for outcome, words in _OUTCOMES.items()]
    return " · ".join(f"{count:,} {words}" for count, words in counts if count)
