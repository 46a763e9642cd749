"""Review: the photos that the model is least sure of, one after the other, a key for each answer.

What was said can be written out as a collection, and a model taught with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from frontend.components import review_queue
from frontend.photos import details, exports, large_photo
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.pages import IMPORT, TRAIN, link_photo
from frontend.ui.text import escape_markdown, join_names
from tagger.library.records import Photo, StoredPrediction
from tagger.text import count_noun

REVIEWED = "reviewed"  # a search for what a person said something of
AHEAD = 5  # photos shown that come next
TURN_KEY = "review-turn"  # counts how often the page was drawn
ANSWERS_KEY, SKIPPED_KEY, DRAFT_KEY = "review-answers", "review-skipped", "review-draft"

# The answers stay in sight beside a tall photo, or below it.
_STYLE = """<style>
.st-key-review-photo img { max-height: 62vh; object-fit: contain; }
@media (max-width: 640px) { .st-key-review-photo img { max-height: 40vh; } }
</style>"""


@dataclass(frozen=True)
class Answer:
    """What was said of a photo, and the run that recorded it."""

    message: str
    run_id: int


def show() -> None:
    """The whole page."""
    st.title("Review", anchor=False)
    st.html(_STYLE)
    library = open_library()
    if not library.count():
        st.markdown("There is nothing to review yet: your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        return
    skipped = _skipped()
    page = library.review_queue(limit=len(skipped) + 1 + AHEAD)
    left = [photo for photo in page.photos if photo.id not in skipped]
    _show_last(page.total)
    keys = ["U"] if _answers() else []
    if left:
        keys += _ask(left[0])
    elif page.total:
        _offer_skipped(page.total)
    else:
        st.markdown("You have looked at every photo. There is nothing left to do here.")
    _show_ahead(left, keys)
    _offer_collection()


def _show_ahead(left: Sequence[Photo], keys: Sequence[str]) -> None:
    """The photos after this one, and keys that were pressed for them already."""
    turn = st.session_state[TURN_KEY] = st.session_state.get(TURN_KEY, 0) + 1
    review_queue.show_queue(left[1 : 1 + AHEAD], keys, turn, key="review-ahead")


def _skipped() -> set[int]:
    found: set[int] = st.session_state.setdefault(SKIPPED_KEY, set())
    return found


def _answers() -> list[Answer]:
    found: list[Answer] = st.session_state.setdefault(ANSWERS_KEY, [])
    return found


def _show_last(left: int) -> None:
    """How many are left, and the last answer with its undo."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key="review-last"
    ):
        many = count_noun(left, "photo")
        st.markdown(f"**{many}** left, the most doubtful first", width="content")
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
    open_library().undo(_answers().pop().run_id)


def _offer_skipped(many: int) -> None:
    st.markdown(f"Only those are left that you skipped: {count_noun(many, 'photo')}.")
    st.button("Look at them again", key="review-again", on_click=_skipped().clear)


def _ask(photo: Photo) -> list[str]:
    """What is in it? The keys that answer."""
    prediction = open_library().prediction(photo.id)
    left, right = st.columns([5, 4], gap="medium")
    with left, st.container(key="review-photo"):
        large_photo.show_picture(photo)
        st.caption(escape_markdown(photo.name))
    with right:
        st.markdown(f"#### {escape_markdown(_question(photo, prediction))}")
        if prediction is not None and prediction.reason is not None:
            st.caption(escape_markdown(details.why_unknown(prediction)))
        if prediction is not None and _may_be_several(photo, prediction):
            keys = _offer_several(photo, prediction)
        else:
            keys = _offer_one(photo, prediction)
        _offer_other(photo)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Skip",
                key=f"review-{photo.id}-skip",
                shortcut="S",
                on_click=_skip,
                args=(photo.id,),
            )
            link_photo(photo.id, "Open it")
    return ["S", *keys]


def _skip(photo_id: int) -> None:
    _skipped().add(photo_id)


def _question(photo: Photo, prediction: StoredPrediction | None) -> str:
    if not photo.tags:
        return "What is in it?"
    named = join_names([tag.label for tag in photo.tags])
    model = "Its model" if prediction is None else prediction.model
    return f"{model} says {named}. Is it?"


def _may_be_several(photo: Photo, prediction: StoredPrediction) -> bool:
    """Whether its model gives a photo as many tags as fit, or one at most."""
    tagger = large_photo.tagger_of(prediction)
    if tagger is not None:
        return tagger.labels.kind == "multi"
    return len(photo.tags) > 1 or sum(score for _, score in prediction.scores) > 1.001


def _offered(photo: Photo, prediction: StoredPrediction | None) -> dict[str, float | None]:
    """The labels to choose from with their scores: the likeliest, and what else is there."""
    scores = {} if prediction is None else dict(prediction.scores)
    return {**scores, **{tag.label: tag.score for tag in photo.tags if tag.label not in scores}}


def _offer_one(photo: Photo, prediction: StoredPrediction | None) -> list[str]:
    """One label is right, or none: each is an answer, by a key of its own."""
    offered = _offered(photo, prediction)
    here = [tag.label for tag in photo.tags]
    for number, (label, score) in enumerate(offered.items(), 1):
        others = [other for other in here if other != label]
        action = partial(_answer, photo, [label], others)
        _button(photo, label, score, number, label in here, action)
    if offered:
        st.button(
            "None of these",
            key=f"review-{photo.id}-none",
            shortcut="N",
            width="stretch",
            on_click=run_action,
            args=(_answer, photo, [], list(offered)),
        )
    return [*_numbers(offered), "N"] if offered else []


def _offer_several(photo: Photo, prediction: StoredPrediction) -> list[str]:
    """Each label is right or not; a key turns one on or off, another says that it is so."""
    offered = _offered(photo, prediction)
    draft_of, draft = st.session_state.get(DRAFT_KEY, (None, frozenset()))
    if draft_of != photo.id:
        draft = frozenset(tag.label for tag in photo.tags)
    for number, (label, score) in enumerate(offered.items(), 1):
        action = partial(_turn, photo, draft ^ {label})
        _button(photo, label, score, number, label in draft, action)
    right = [label for label in offered if label in draft]
    wrong = [tag.label for tag in photo.tags if tag.label not in draft]
    st.button(
        f"Yes, {escape_markdown(join_names(right))}" if right else "None of these",
        key=f"review-{photo.id}-yes",
        type="primary",
        shortcut="Y" if right else "N",
        width="stretch",
        on_click=run_action,
        args=(_answer, photo, right, wrong if right else list(offered)),
    )
    return [*_numbers(offered), "Y" if right else "N"]


def _numbers(offered: Mapping[str, float | None]) -> list[str]:
    """The keys of as many labels as there are number keys for."""
    return [str(number) for number in range(1, min(len(offered), 9) + 1)]


def _turn(photo: Photo, draft: frozenset[str]) -> None:
    st.session_state[DRAFT_KEY] = (photo.id, draft)


def _button(
    photo: Photo, label: str, score: float | None, number: int, on: bool, action: partial[None]
) -> None:
    said = "" if score is None else f" · {score:.0%}"
    st.button(
        f"{escape_markdown(label)}{said}",
        key=f"review-{photo.id}-{number}",
        type="primary" if on else "secondary",
        shortcut=str(number) if number <= 9 else None,
        width="stretch",
        on_click=run_action,
        args=(action,),
    )


def _offer_other(photo: Photo) -> None:
    key = f"review-other-{photo.id}"
    st.selectbox(
        "Something else",
        open_library().labels(),
        index=None,
        placeholder="Choose a tag, or type one and press Enter",
        accept_new_options=True,
        key=key,
        on_change=run_action,
        args=(_answer_other, photo, key),
    )


def _answer_other(photo: Photo, key: str) -> None:
    label = st.session_state[key]
    if label is not None:
        _answer(photo, [label], [tag.label for tag in photo.tags if tag.label != label])


def _answer(photo: Photo, right: list[str], wrong: list[str]) -> None:
    """Record what a person said of a photo, once however often the key was pressed."""
    if open_library().photo(photo.id).reviewed:
        return
    run = open_library().edit_tags([photo.id], add=right, remove=wrong)
    said = join_names(right) if right else ", ".join(f"not “{label}”" for label in wrong)
    _answers().append(Answer(f"{photo.name}: {said}.", run))
    _skipped().discard(photo.id)


def _offer_collection() -> None:
    """What was said so far, to teach a model with."""
    many = open_library().count(REVIEWED)
    if not many:
        return
    st.subheader("Teach with what you said", anchor=False)
    st.markdown(
        f"You have looked at {count_noun(many, 'photo')}. Those with a tag can be written out"
        " as a collection, and a tagger taught with it."
    )
    with st.expander("Write them as a collection"):
        exports.offer_collection(REVIEWED, many, key="review-collection")
    st.page_link(TRAIN, label="Train", icon=":material/school:")


show()
