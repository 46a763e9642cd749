"""What tagging photos again would change, before it is done.

`page` names the page in session state. The page calls `show_question`; `ask` lets that open the
dialog, whose button starts the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import job_panel, photo_gallery
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, run_action
from frontend.ui.models import load_tagger
from frontend.ui.text import escape_markdown
from tagger.inference.registry import display_name
from tagger.jobs.requests import RetagRequest
from tagger.library.models.retagging import RetagPreview, TagChange
from tagger.text import count_noun

MAX_TAGS = 12  # listed of those that would come, and of those that would go
MAX_EXAMPLES = 12  # photos
PROGRESS_STEP = 10  # photos between two updates of the progress bar


@dataclass(frozen=True)
class _Question:
    """Whether to tag these photos again with these models; `job_key` is where the job's id goes."""

    ids: tuple[int, ...]
    models: tuple[str, ...]
    job_key: str

    @property
    def title(self) -> str:
        names = " and ".join(map(display_name, self.models))
        return f"Re-tag {count_noun(len(self.ids), 'photo')} with {names}"


def ask(page: str, ids: Sequence[int], models: Sequence[str], job_key: str) -> None:
    """Ask whether to tag photos again, the next time that the page is drawn."""
    st.session_state[_question_key(page)] = _Question(tuple(ids), tuple(models), job_key)
    st.session_state.pop(_preview_key(page), None)


def show_question(page: str) -> None:
    """The dialog, if there is a question."""
    question: _Question | None = st.session_state.get(_question_key(page))
    if question is None:
        return
    with_title = st.dialog(
        escape_markdown(question.title), width="large", on_dismiss=lambda: _close(page)
    )
    with_title(_show_dialog)(page, question)


def explain_preview(preview: RetagPreview) -> list[str]:
    """What would change, in sentences."""
    added, removed = preview.added(), preview.removed()
    going, coming = (sum(count for _, count in tags) for tags in (removed, added))
    if not preview.is_exact:
        sample = f"judging by {preview.sample:,} of {preview.total:,} photos"
        first = f"Removes about {count_noun(going, 'tag')}, adds about {coming:,}, {sample}."
    elif going or coming:
        first = f"Removes {count_noun(going, 'tag')}, adds {coming:,}."
    else:
        first = "No tag changes."
    sentences = [f"{first} Your own tags are kept, and those of other models."]
    about = "" if preview.is_exact else ", about"
    for title, tags in (("Added", added), ("Removed", removed)):
        if tags:
            sentences.append(f"{title}{about}: {_list_counts(tags)}.")
    if preview.unreadable:
        photos = count_noun(preview.unreadable, "photo")
        sentences.append(f"{photos} cannot be read and would stay the same.")
    return sentences


def describe_change(change: TagChange) -> str:
    """The tags of one photo that would come and go: "+ person, tree − chain saw"."""
    parts = [("+", change.added), ("−", change.removed)]
    return " ".join(f"{sign} {', '.join(tags)}" for sign, tags in parts if tags)


def _show_examples(changes: Sequence[TagChange], key: str) -> None:
    """A dozen of the changes, of photos that lose tags and of photos that get some."""
    for title, name, chosen in (
        ("Tags removed", "removed", [change for change in changes if change.removed]),
        ("Tags added", "added", [change for change in changes if change.added]),
    ):
        if chosen:
            st.markdown(f"**{title}**")
            captions = {change.photo.id: describe_change(change) for change in chosen}
            photos = [change.photo for change in chosen[:MAX_EXAMPLES]]
            photo_gallery.show_grid(
                photos, key=f"{key}-{name}", captions=captions, only_captions=True
            )


def _show_dialog(page: str, question: _Question) -> None:
    with catch_errors():
        preview = _load_preview(page, question)
        for sentence in explain_preview(preview):
            st.markdown(escape_markdown(sentence))
        with st.container(horizontal=True, gap="small", key=f"{page}-changes-actions"):
            st.button(
                f"Re-tag {count_noun(preview.total, 'photo')}",
                key=f"{page}-confirm-retag",
                type="primary",
                icon=":material/autorenew:",
                on_click=run_action,
                args=(_start, page),
            )
            st.button(
                "Cancel", key=f"{page}-cancel-retag", on_click=run_action, args=(_close, page)
            )
        _show_examples(preview.changes, f"{page}-changes")


def _start(page: str) -> None:
    """Answer the question with yes, once even if the button was clicked twice."""
    question: _Question | None = st.session_state.get(_question_key(page))
    _close(page)
    if question is not None:
        request = RetagRequest(models=question.models, ids=question.ids)
        st.session_state[question.job_key] = job_panel.start_job(request)


def _load_preview(page: str, question: _Question) -> RetagPreview:
    preview: RetagPreview | None = st.session_state.get(_preview_key(page))
    if preview is None:
        bar = st.progress(0.0, text="Looking at what would change …")

        def report(done: int, total: int) -> None:
            if done % PROGRESS_STEP == 0 or done == total:
                photos = count_noun(total, "photo")
                text = f"Looking at what would change: {done:,} of {photos}"
                bar.progress(done / total, text=text)

        taggers = [load_tagger(model) for model in question.models]
        preview = open_library().retagging.preview(taggers, question.ids, report=report)
        bar.empty()
        st.session_state[_preview_key(page)] = preview
    return preview


def _close(page: str) -> None:
    st.session_state.pop(_question_key(page), None)
    st.session_state.pop(_preview_key(page), None)


def _list_counts(tags: Sequence[tuple[str, int]]) -> str:
    rest = len(tags) - MAX_TAGS
    listed = ", ".join(f"{tag} ({count:,})" for tag, count in tags[:MAX_TAGS])
    return listed + (f" and {rest:,} more" if rest > 0 else "")


def _question_key(page: str) -> str:
    return f"{page}-retag-question"


def _preview_key(page: str) -> str:
    return f"{page}-retag-preview"
