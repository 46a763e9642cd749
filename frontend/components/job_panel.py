"""A run as pages show it: begun, on its way, at its end, taken back."""

from __future__ import annotations

from html import escape

import streamlit as st

from frontend.ui.library import open_library
from frontend.ui.messages import notify, show_errors
from frontend.ui.text import escape_markdown, time_left
from tagger.jobs import worker
from tagger.jobs.requests import JobRequest, resume, submit
from tagger.library.operations import Operation, OperationFile
from tagger.text import count_noun, escape_controls

FILES_LISTED = 200  # of a run, by outcome
REFRESH_SECONDS = 1.0  # between two looks at a run that is going on

_OUTCOMES = {
    "added": "added",
    "restored": "brought back",
    "duplicate": "in the library already",
    "tagged": "tagged",
    "same": "tagged by this model already",
    "failed": "failed",
}
_LISTED = {
    "failed": "Files that failed",
    "duplicate": "Files that were in the library already",
    "no_photo": "Files left out, since they are no photos",
}


def start(request: JobRequest) -> int:
    """Submit a job and start it in a process of its own; its id. Raises OptionError."""
    library = open_library()
    job_id = submit(library, request)
    worker.start(library, job_id)
    return job_id


def show_run(run_id: int, *, key: str = "run") -> None:
    """A run: how far it is while it goes on, with a stop; then what it came to, with an undo.

    `key` tells two places apart that show the same run on one page. The page is drawn again when
    the run ends.
    """
    with show_errors():
        run = open_library().operation(run_id)
        every = REFRESH_SECONDS if run.active else None
        with st.container(border=True, key=f"{key}-{run_id}"):
            st.fragment(_draw_run, run_every=every)(run_id, run.active, key)


def _draw_run(run_id: int, was_active: bool, key: str) -> None:
    with show_errors():
        run = open_library().operation(run_id)
        if was_active and not run.active:
            st.rerun()
        if run.active:
            open_library()  # the process at work may have died: looks for that too
            _draw_progress(run, key)
        else:
            _draw_end(run, key)
        for outcome, title in _LISTED.items():
            _draw_files(run, outcome, title)


def _draw_progress(run: Operation, key: str) -> None:
    st.markdown(f"**{escape_markdown(run.title)}**")
    left = "" if run.seconds_left is None else f" · {time_left(run.seconds_left)}"
    done = f"{run.done:,} of {run.total:,}" if run.total else "Getting ready"
    st.progress(run.progress or 0.0, text=f"{done}{left}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.stop_asked:
            st.caption("Stopping …", width="content")
        else:
            stop_key = f"{key}-stop-{run.id}"
            st.button(
                "Stop", key=stop_key, icon=":material/stop_circle:", on_click=_stop, args=(run.id,)
            )
        told = " · ".join(part for part in (run.stage, outcomes(run)) if part)
        if told:
            st.caption(escape_markdown(told), width="content")


def _stop(run_id: int) -> None:
    with show_errors():
        open_library().stop(run_id)


def _draw_end(run: Operation, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{escape_markdown(run.title)}**")
            told = " · ".join(part for part in (ending(run), outcomes(run)) if part)
            st.caption(escape_markdown(told))
        if run.resumable and st.button("Go on", key=f"{key}-again-{run.id}"):
            resume(open_library(), run.id)
            worker.start(open_library(), run.id)
            st.rerun()
        undo_button(run, key=key)
    if run.error:
        st.error(escape_markdown(run.error), icon=":material/error:")


def _draw_files(run: Operation, outcome: str, title: str) -> None:
    count = run.counts.get(outcome, 0)
    if not count:
        return
    with st.expander(f"{title}: {count:,}", type="compact"):
        files = open_library().operation_files(run.id, outcome, FILES_LISTED)
        st.html(
            '<ul class="it-files" role="list">'
            + "".join(f'<li dir="auto">{_told(file, outcome)}</li>' for file in files)
            + "</ul>"
        )
        if count > FILES_LISTED:
            st.caption(f"and {count - FILES_LISTED:,} more")


def _told(file: OperationFile, outcome: str) -> str:
    """A file of a run as HTML: why it failed, or the photo that it is, to be opened."""
    name = escape(escape_controls(file.name))
    if outcome == "duplicate" and file.photo_id is not None:
        photo = escape(escape_controls(file.photo_name or file.name))
        return f'{name} is <a href="gallery?photo={file.photo_id}">{photo}</a>'
    return f"{name}: {escape(escape_controls(file.reason))}" if file.reason else name


def undo_button(run: Operation | int, *, key: str = "run") -> None:
    """A button that takes a run back; nothing where the run cannot be taken back."""
    with show_errors():
        run = open_library().operation(run) if isinstance(run, int) else run
        if not run.undoable:
            return
        if st.button("Undo", key=f"{key}-undo-{run.id}", icon=":material/undo:"):
            undone = open_library().undo(run.id)
            told = f"Undone: {run.title}. {count_noun(undone.changed, 'photo')} changed back."
            if undone.left_alone:
                told += f" {undone.left_alone:,} were changed since and stay as they are."
            notify(told)
            st.rerun()


def ending(run: Operation) -> str:
    """How a run ended and when, in a few words."""
    if run.undone_by:
        return "undone"
    words = {"done": "finished", "stopped": "stopped", "failed": "failed"}
    moment = run.finished_at or run.created_at
    moment = moment.astimezone()
    return f"{words.get(run.status, run.status)} {moment.day} {moment:%B %Y, %H:%M}"


def outcomes(run: Operation) -> str:
    """What became of the files of a run: "12 added · 3 failed"."""
    if run.kind == "import" and not run.active and not run.error and not run.counts:
        return "no photos there"
    counts = [(run.counts.get(outcome, 0), words) for outcome, words in _OUTCOMES.items()]
    return " · ".join(f"{count:,} {words}" for count, words in counts if count)
