"""Review: the photos that the model is least sure of, one at a time, with a key for each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from frontend.components import review_queue
from frontend.photos import exports, large_photo
from frontend.photos.photo_details import explain_unknown
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.pages import IMPORT, TRAIN, link_photo
from frontend.ui.text import escape_markdown
from tagger.library.records import Photo, StoredPrediction
from tagger.text import count_noun, whole_percent

REVIEWED = "reviewed"  # query: photos with annotations
NEXT_PHOTOS = 5  # thumbnails of the next photos
VERSION_KEY = "review-version"  # session state: counts how often the page was drawn
ANSWERS_KEY, SKIPPED_KEY, DRAFT_KEY = "review-answers", "review-skipped", "review-draft"

# Keeps the answer buttons visible beside or below a tall photo.
_STYLE = """<style>
.st-key-review-photo img { max-height: 62vh; object-fit: contain; }
@media (max-width: 640px) { .st-key-review-photo img { max-height: 40vh; } }
</style>"""


@dataclass(frozen=True)
class Answer:
    """A recorded answer: its message and its operation."""

    message: str
    operation_id: int


def show() -> None:
    st.title("Review", anchor=False)
    st.html(_STYLE)
    library = open_library()
    if not library.count():
        st.markdown("Your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        return
    skipped = _skipped()
    queue = library.review_queue(limit=len(skipped) + 1 + NEXT_PHOTOS)
    photos = [photo for photo in queue.photos if photo.id not in skipped]
    _show_last_answer(queue.total)
    keys = ["U"] if _answers() else []
    if photos:
        keys += _show_question(photos[0])
    elif queue.total:
        _offer_skipped(queue.total)
    else:
        st.markdown("All photos are reviewed.")
    _show_next_photos(photos, keys)
    _offer_dataset()


def _show_next_photos(photos: Sequence[Photo], keys: Sequence[str]) -> None:
    """The photos after the first, and the queue of keys pressed early."""
    version = st.session_state[VERSION_KEY] = st.session_state.get(VERSION_KEY, 0) + 1
    review_queue.show_queue(photos[1 : 1 + NEXT_PHOTOS], keys, version, key="review-ahead")


def _skipped() -> set[int]:
    skipped: set[int] = st.session_state.setdefault(SKIPPED_KEY, set())
    return skipped


def _answers() -> list[Answer]:
    answers: list[Answer] = st.session_state.setdefault(ANSWERS_KEY, [])
    return answers


def _show_last_answer(left: int) -> None:
    """The number of photos left, and the last answer with its undo."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key="review-last"
    ):
        st.markdown(f"**{count_noun(left, 'photo')}** left, least certain first", width="content")
        if answers := _answers():
            st.markdown(f":material/check: {escape_markdown(answers[-1].message)}", width="content")
            st.button(
                "Undo",
                key="review-undo",
                icon=":material/undo:",
                shortcut="U",
                on_click=run_action,
                args=(_undo,),
            )


def _undo() -> None:
    open_library().undo(_answers().pop().operation_id)


def _offer_skipped(count: int) -> None:
    st.markdown(f"Only skipped photos left: {count_noun(count, 'photo')}.")
    st.button("Review skipped photos", key="review-again", on_click=_skipped().clear)


def _show_question(photo: Photo) -> list[str]:
    """Show a photo and the buttons for its answer; the keys of the buttons."""
    prediction = open_library().prediction(photo.id)
    left, right = st.columns([5, 4], gap="medium")
    with left, st.container(key="review-photo"):
        large_photo.show_large_photo(photo)
        st.caption(escape_markdown(photo.name))
    with right:
        st.markdown(f"#### {escape_markdown(_question(photo))}")
        if prediction is not None and prediction.reason is not None:
            st.caption(escape_markdown(explain_unknown(prediction)))
        if prediction is not None and _is_multi_label(photo, prediction):
            keys = _offer_labels(photo, prediction)
        else:
            keys = _offer_label(photo, prediction)
        _offer_other_label(photo)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Skip",
                key=f"review-{photo.id}-skip",
                shortcut="S",
                on_click=_skip,
                args=(photo.id,),
            )
            link_photo(photo.id, "Open")
    return ["S", *keys]


def _skip(photo_id: int) -> None:
    _skipped().add(photo_id)


def _question(photo: Photo) -> str:
    if not photo.tags:
        return "What’s in this photo?"
    labels = [tag.label for tag in photo.tags]
    question = "Is this right" if len(labels) == 1 else "Are these right"
    return f"{question}? {', '.join(labels)}"


def _is_multi_label(photo: Photo, prediction: StoredPrediction) -> bool:
    """Whether the model that tagged the photo is a multi-label model."""
    tagger = large_photo.load_tagger_of(prediction)
    if tagger is not None:
        return tagger.labels.kind == "multi"
    return len(photo.tags) > 1 or sum(score for _, score in prediction.scores) > 1.001


def _label_scores(photo: Photo, prediction: StoredPrediction | None) -> dict[str, float | None]:
    """The labels to choose from: the likeliest by score, and the photo's other tags."""
    scores = {} if prediction is None else dict(prediction.scores)
    return {**scores, **{tag.label: tag.score for tag in photo.tags if tag.label not in scores}}


def _offer_label(photo: Photo, prediction: StoredPrediction | None) -> list[str]:
    """Buttons for a single label or none; each records an answer."""
    scores = _label_scores(photo, prediction)
    tags = [tag.label for tag in photo.tags]
    for number, (label, score) in enumerate(scores.items(), 1):
        wrong = [tag for tag in tags if tag != label]
        action = partial(_record_answer, photo, [label], wrong)
        _offer_button(photo, label, score, number, label in tags, action)
    if scores:
        st.button(
            "None of these",
            key=f"review-{photo.id}-none",
            shortcut="N",
            width="stretch",
            on_click=run_action,
            args=(_record_answer, photo, [], list(scores)),
        )
    return [*_number_keys(scores), "N"] if scores else []


def _offer_labels(photo: Photo, prediction: StoredPrediction) -> list[str]:
    """A toggle for each label, and a button that records the selection."""
    scores = _label_scores(photo, prediction)
    draft_of, draft = st.session_state.get(DRAFT_KEY, (None, frozenset()))
    if draft_of != photo.id:
        draft = frozenset(tag.label for tag in photo.tags)
    for number, (label, score) in enumerate(scores.items(), 1):
        action = partial(_set_draft, photo, draft ^ {label})
        _offer_button(photo, label, score, number, label in draft, action)
    right = [label for label in scores if label in draft]
    wrong = [tag.label for tag in photo.tags if tag.label not in draft]
    st.button(
        f"Save: {escape_markdown(', '.join(right))}" if right else "None of these",
        key=f"review-{photo.id}-yes",
        type="primary",
        shortcut="Y" if right else "N",
        width="stretch",
        on_click=run_action,
        args=(_record_answer, photo, right, wrong if right else list(scores)),
    )
    return [*_number_keys(scores), "Y" if right else "N"]


def _number_keys(scores: Mapping[str, float | None]) -> list[str]:
    """The number keys of the first nine labels."""
    return [str(number) for number in range(1, min(len(scores), 9) + 1)]


def _set_draft(photo: Photo, draft: frozenset[str]) -> None:
    st.session_state[DRAFT_KEY] = (photo.id, draft)


def _offer_button(
    photo: Photo, label: str, score: float | None, number: int, is_on: bool, action: partial[None]
) -> None:
    percent = "" if score is None else f" · {whole_percent(score)}"
    st.button(
        f"{escape_markdown(label)}{percent}",
        key=f"review-{photo.id}-{number}",
        type="primary" if is_on else "secondary",
        shortcut=str(number) if number <= 9 else None,
        width="stretch",
        on_click=run_action,
        args=(action,),
    )


def _offer_other_label(photo: Photo) -> None:
    key = f"review-other-{photo.id}"
    st.selectbox(
        "Other tag",
        open_library().labels(),
        index=None,
        placeholder="Choose or type a tag",
        accept_new_options=True,
        key=key,
        on_change=run_action,
        args=(_record_other_label, photo, key),
    )


def _record_other_label(photo: Photo, key: str) -> None:
    label = st.session_state[key]
    if label is not None:
        _record_answer(photo, [label], [tag.label for tag in photo.tags if tag.label != label])


def _record_answer(photo: Photo, right: list[str], wrong: list[str]) -> None:
    """Annotate a photo, once even if the key was pressed repeatedly."""
    if open_library().photo(photo.id).reviewed:
        return
    operation_id = open_library().edit_tags([photo.id], add=right, remove=wrong)
    answer = ", ".join(right) if right else "none of these"
    _answers().append(Answer(f"{photo.name}: {answer}", operation_id))
    _skipped().discard(photo.id)


def _offer_dataset() -> None:
    """Export of the reviewed photos as a dataset, and the way to the Train page."""
    count = open_library().count(REVIEWED)
    if not count:
        return
    st.subheader("Train with your answers", anchor=False)
    st.markdown(
        f"You reviewed {count_noun(count, 'photo')}. Save those with a tag as a training folder,"
        " and train a model with it."
    )
    with st.expander("Save as training folder"):
        exports.offer_dataset(REVIEWED, count, key="review-collection")
    st.page_link(TRAIN, label="Train a model", icon=":material/school:")


show()
