"""Review: the photos most worth asking about, one at a time, with a key for each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.components import review_queue, teach_offer
from frontend.components.tag_field import show_tag_field
from frontend.photos import exports, large_photo
from frontend.photos.answers import explain_unknown
from frontend.ui.library import open_library
from frontend.ui.messages import run_action, show_status
from frontend.ui.pages import GALLERY, IMPORT, TEACH, TRAIN, link_photo
from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import draw_page
from tagger.library.labels.names import validate_label
from tagger.library.records import Photo, StoredPrediction
from tagger.library.teaching.review import Question
from tagger.text import count_noun, whole_percent

REVIEWED = "reviewed"  # query: photos with annotations
NEXT_PHOTOS = 5  # thumbnails of the next photos
QUEUE_SIZE = 60  # photos that are put in order at once
VERSION_KEY = "review-version"  # session state: counts how often the page was drawn
ANSWERS_KEY, DRAFT_KEY = "review-answers", "review-draft"
QUEUE_KEY = "review-photos"  # the ids of the next photos
WITH_SKIPPED_KEY = "review-with-skipped"

YES, NO, OPEN = ":material/check:", ":material/close:", ":material/question_mark:"

# Keeps the answer buttons visible beside or below a tall photo; on a phone they stay above the bar
# of pages. The line above the photo has a height of its own, so that the photo stays where it is
# when there is something to undo.
_STYLE = """<style>
.st-key-review-photo img { max-height: 62vh; object-fit: contain; }
.st-key-review-last { height: 3rem; flex-wrap: nowrap; }
.st-key-review-last > * { min-width: 0; }
.st-key-review-last p { line-height: 1.4; overflow-wrap: anywhere; }
.st-key-review-chips button { min-height: 2.1rem; padding: 0.15rem 0.85rem; border-radius: 1.1rem; }
@media (max-width: 640px) {
  .st-key-review-photo img { max-height: 40vh; }
  .st-key-review-last { height: 4rem; gap: 0.6rem; }
  .st-key-review-last p { font-size: 0.85rem; line-height: 1.25; }
  [data-testid="stLayoutWrapper"]:has(> .st-key-review-actions) {
    position: sticky; bottom: var(--it-bottom-bar, 0); z-index: 1;
  }
  .st-key-review-actions { padding-block: 0.5rem; background: light-dark(#fbf9f5, #191715); }
}
@media (hover: none) { .stMain [aria-label^="Shortcut"] { display: none; } }
</style>"""


@dataclass(frozen=True)
class Answer:
    """A recorded answer: its photo, its message and its operation."""

    photo_id: int
    message: str
    operation_id: int


@dataclass(frozen=True)
class Draft:
    """What is chosen so far for a photo: tags that are right or wrong, and those typed.

    A tag that is neither is not answered.
    """

    photo_id: int
    right: frozenset[str]
    wrong: frozenset[str] = frozenset()
    typed: tuple[str, ...] = ()

    def icon(self, label: str) -> str:
        """Whether the answer is yes, no or left open."""
        return YES if label in self.right else NO if label in self.wrong else OPEN

    def turn(self, label: str) -> Draft:
        """The next answer about a tag: yes, then no, then none again."""
        if label in self.right:
            return replace(self, right=self.right - {label}, wrong=self.wrong | {label})
        if label in self.wrong:
            return replace(self, wrong=self.wrong - {label})
        return replace(self, right=self.right | {label})


def show() -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.title("Review", anchor=False, width="content")
        st.page_link(
            TEACH,
            label="Check one tag …",
            icon=":material/rule:",
            help="Its photos together, the likeliest mistakes first",
            query_params={"view": "Check"},
        )
    st.html(_STYLE)
    library = open_library()
    if not library.count():
        st.markdown("Your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        return
    counts = library.teaching.count_open()
    with_skipped = bool(st.session_state.get(WITH_SKIPPED_KEY))
    left = counts.left + (counts.skipped if with_skipped else 0)
    loaded = (library.teaching.load_question(id) for id in _next_ids(with_skipped))
    questions = [each for each in loaded if each is not None]
    _show_last_answer(left)
    if questions:
        _ask(questions)
    else:
        if counts.skipped:
            _offer_skipped(counts.skipped)
        else:
            _show_end()
        _show_next_photos([], _undo_keys())
    _offer_dataset()


@st.fragment
def _ask(questions: Sequence[Question]) -> None:
    """The first question, and the photos after it. Choosing tags draws nothing else anew."""
    queue = st.session_state[QUEUE_KEY]
    if not queue or queue[0] != questions[0].photo.id:
        draw_page()  # it was answered
    keys = _undo_keys() + _show_question(questions[0])
    _show_next_photos([each.photo for each in questions], keys)


def _undo_keys() -> list[str]:
    return ["U"] if _answers() else []


def _next_ids(with_skipped: bool) -> list[int]:
    """The next photos. They are put in order anew when few are left."""
    teaching = open_library().teaching
    queue: list[int] = st.session_state.get(QUEUE_KEY, [])
    queue = teaching.filter_open(queue, with_skipped)
    if len(queue) <= NEXT_PHOTOS:
        queue += [id for id in teaching.review_queue(QUEUE_SIZE, with_skipped) if id not in queue]
    st.session_state[QUEUE_KEY] = queue
    return queue[: 1 + NEXT_PHOTOS]


def _show_end() -> None:
    """Nothing is left to ask: all was answered, or models gave no hint of what it may be."""
    library = open_library()
    rest = library.count("NOT reviewed")
    if not rest:
        st.markdown("All photos are reviewed.")
        return
    verb = "has" if rest == 1 else "have"
    st.markdown(
        f"Nothing is left that is worth asking. {count_noun(rest, 'photo')} {verb} no tag that is"
        " likely enough."
    )
    st.page_link(
        GALLERY,
        label="Show it" if rest == 1 else "Show them",
        icon=":material/grid_view:",
        query_params={"show": "NOT reviewed"},
    )


def _show_next_photos(photos: Sequence[Photo], keys: Sequence[str]) -> None:
    """The photos after the first, and the queue of keys pressed early."""
    version = st.session_state[VERSION_KEY] = st.session_state.get(VERSION_KEY, 0) + 1
    review_queue.show_queue(photos[1 : 1 + NEXT_PHOTOS], keys, version, key="review-ahead")


def _answers() -> list[Answer]:
    answers: list[Answer] = st.session_state.setdefault(ANSWERS_KEY, [])
    return answers


def _show_last_answer(left: int) -> None:
    """The number of photos left, and the last answer with its undo."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key="review-last"
    ):
        st.markdown(f"**{count_noun(left, 'photo')}** left", width="content")
        answers = _answers()
        with st.container():
            if answers:
                show_status(answers[-1].message)
            else:
                st.markdown("")  # keeps Undo at the right
        for offer in teach_offer.find(answers[-1].operation_id)[:1] if answers else ():
            teach_offer.show(offer)
        st.button(
            "Undo",
            key="review-undo",
            icon=":material/undo:",
            shortcut="U",
            disabled=not answers,
            on_click=run_action,
            args=(_undo,),
        )


def _undo() -> None:
    answer = _answers().pop()
    open_library().undo(answer.operation_id)
    queue = st.session_state.get(QUEUE_KEY, [])
    st.session_state[QUEUE_KEY] = [answer.photo_id, *(id for id in queue if id != answer.photo_id)]


def _offer_skipped(count: int) -> None:
    st.markdown(f"Only skipped photos left: {count_noun(count, 'photo')}.")
    st.button(
        "Review skipped photos",
        key="review-again",
        on_click=st.session_state.__setitem__,
        args=(WITH_SKIPPED_KEY, True),
    )


def _show_question(question: Question) -> list[str]:
    """Show a photo and the buttons for its answer; the keys of the buttons."""
    photo = question.photo
    prediction = open_library().prediction(photo.id)
    left, right = st.columns([5, 4], gap="medium")
    with left, st.container(key="review-photo"):
        large_photo.show_large_photo(photo)
        st.caption(escape_markdown(photo.name))
    with right:
        st.subheader(_question(photo), anchor=False)
        is_multi_label = _is_multi_label(question, prediction)
        st.caption(_describe_saving(photo, is_multi_label))
        if prediction is not None and prediction.reason is not None:
            reason = explain_unknown(prediction.reason, prediction.model, prediction.scores)
            st.caption(escape_markdown(reason))
        return _offer_labels(question) if is_multi_label else _offer_label(question)


def _skip(question: Question) -> None:
    """Note that the tags were asked about and not answered."""
    photo = question.photo
    if not _is_open(photo):
        return
    operation_id = open_library().edit_tags([photo.id], skip=list(question.scores))
    _note(photo, "Skipped", operation_id)


def _question(photo: Photo) -> str:
    if not photo.tags:
        return "What’s in this photo?"
    return "Is this right?" if len(photo.tags) == 1 else "Are these right?"


def _describe_saving(photo: Photo, is_multi_label: bool) -> str:
    """What is stored of the tags, before it is: those that are not chosen are answered, too."""
    if is_multi_label:
        return (
            f"{YES} yes · {NO} no · {OPEN} no answer: the model is not sure enough, and some tags"
            " must be surer than others. A click changes it."
        )
    names = escape_markdown(", ".join(tag.label for tag in photo.tags))
    rest = f" If you choose another, “no” is saved for {names}." if names else ""
    return f"Choose the right one: “yes” is saved for it.{rest}"


def _is_multi_label(question: Question, prediction: StoredPrediction | None) -> bool:
    """Whether a photo may have several of the tags: not those of a model that gives one alone.

    An answer to one model says nothing about the tags of another, of a head or of a person.
    """
    photo = question.photo
    if prediction is None or question.scores.keys() - {name for name, _ in prediction.scores}:
        return True
    tagger = large_photo.load_tagger_of(prediction)
    if tagger is not None:
        return tagger.labels.kind == "multi"
    return len(photo.tags) > 1 or sum(score for _, score in prediction.scores) > 1.001


def _offer_label(question: Question) -> list[str]:
    """Chips for a single label or none; each records an answer."""
    photo, scores = question.photo, question.scores
    tags = [tag.label for tag in photo.tags]
    with _chips():
        for number, (label, score) in enumerate(scores.items(), 1):
            action = partial(_record_answer, photo, [label], _without(tags, [label]))
            _offer_chip(photo, label, score, number, label in tags, action)
    _offer_field(photo, _record_other_label)
    right = tags if len(tags) == 1 else []
    title = f"Save: {escape_markdown(right[0])}" if right else "Save"
    return _number_keys(scores) + _offer_actions(question, title, right, [], list(scores))


def _offer_labels(question: Question) -> list[str]:
    """A chip for each label, which a click answers, a field for more, and a button that saves."""
    photo = question.photo
    draft = _load_draft(photo)
    scores = {**question.scores, **dict.fromkeys(draft.typed)}
    with _chips():
        for number, (label, score) in enumerate(scores.items(), 1):
            action = partial(_save_draft, draft.turn(label))
            is_right = label in draft.right
            _offer_chip(photo, label, score, number, is_right, action, draft.icon(label))
    _offer_field(photo, _add_to_draft)
    right = [label for label in scores if label in draft.right]
    wrong = [label for label in scores if label in draft.wrong]
    counts = [
        f"{len(labels)} {answer}" for labels, answer in ((right, "yes"), (wrong, "no")) if labels
    ]
    title = f"Save: {', '.join(counts)}" if counts else "Save"
    return _number_keys(scores) + _offer_actions(question, title, right, wrong, list(scores))


def _offer_actions(
    question: Question, title: str, right: list[str], wrong: list[str], every: list[str]
) -> list[str]:
    """Buttons that save an answer, "no" for `every` tag, or none; the keys of those that can."""
    photo = question.photo
    with st.container(key="review-actions", gap="small"):
        st.button(
            title,
            key=f"review-{photo.id}-yes",
            type="primary",
            shortcut="Y",
            width="stretch",
            help="Y or Enter" if right or wrong else "Choose a tag first",
            disabled=not right and not wrong,
            on_click=run_action,
            args=(_record_answer, photo, right, wrong),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"None of these: {len(every)} no",
                key=f"review-{photo.id}-none",
                shortcut="N",
                on_click=run_action,
                args=(_record_answer, photo, [], every, "None of these"),
            )
            st.button(
                "Skip",
                key=f"review-{photo.id}-skip",
                shortcut="S",
                on_click=run_action,
                args=(_skip, question),
            )
            link_photo(photo.id, "Open")
    return ["Y", "N", "S"] if right or wrong else ["N", "S"]


def _describe_answer(right: Sequence[str], wrong: Sequence[str]) -> str:
    """An answer in words: "dog, cat, not sofa"."""
    return ", ".join([*right, *(f"not {label}" for label in wrong)])


def _chips() -> DeltaGenerator:
    return st.container(horizontal=True, gap="xsmall", key="review-chips")


def _without(labels: Iterable[str], right: Sequence[str]) -> list[str]:
    return [label for label in labels if label not in right]


def _number_keys(scores: Mapping[str, float | None]) -> list[str]:
    """The number keys of the first nine labels."""
    return [str(number) for number in range(1, min(len(scores), 9) + 1)]


def _load_draft(photo: Photo) -> Draft:
    """What is chosen for a photo: at first the tags that it has."""
    draft: Draft | None = st.session_state.get(DRAFT_KEY)
    if draft is not None and draft.photo_id == photo.id:
        return draft
    return Draft(photo.id, frozenset(tag.label for tag in photo.tags))


def _save_draft(draft: Draft) -> None:
    st.session_state[DRAFT_KEY] = draft


def _add_to_draft(photo: Photo, label: str) -> None:
    draft = _load_draft(photo)
    label = validate_label(label)
    right, wrong = draft.right | {label}, draft.wrong - {label}
    _save_draft(Draft(photo.id, right, wrong, (*draft.typed, label)))


def _offer_chip(
    photo: Photo,
    label: str,
    score: float | None,
    number: int,
    is_on: bool,
    action: partial[None],
    icon: str | None = None,
) -> None:
    percent = "" if score is None else f" · {whole_percent(score)}"
    st.button(
        f"{escape_markdown(label)}{percent}",
        key=f"review-{photo.id}-{number}",
        type="primary" if is_on else "secondary",
        icon=icon,
        shortcut=str(number) if number <= 9 else None,
        on_click=run_action,
        args=(action,),
        kwargs={"whole_page": False},
    )


def _offer_field(photo: Photo, add: Callable[[Photo, str], None]) -> None:
    """A field for a tag that is not offered. Each photo has its own, so that keys work again."""
    add_tag = partial(run_action, add, photo, whole_page=False)
    show_tag_field("Other tag", key=f"review-other-{photo.id}", add=add_tag)


def _record_other_label(photo: Photo, label: str) -> None:
    label = validate_label(label)
    _record_answer(photo, [label], _without([tag.label for tag in photo.tags], [label]))


def _record_answer(
    photo: Photo, right: list[str], wrong: list[str], message: str | None = None
) -> None:
    """Annotate a photo, once even if the key was pressed repeatedly."""
    if not _is_open(photo):
        return
    operation_id = open_library().edit_tags([photo.id], add=right, remove=wrong)
    _note(photo, message or _describe_answer(right, wrong), operation_id)


def _is_open(photo: Photo) -> bool:
    """Whether nobody answered about a photo meanwhile."""
    return bool(open_library().teaching.filter_open([photo.id], skipped=True))


def _note(photo: Photo, answer: str, operation_id: int) -> None:
    """Keep an answer for Undo, and go on to the next photo."""
    _answers().append(Answer(photo.id, answer, operation_id))
    queue = st.session_state.get(QUEUE_KEY, [])
    st.session_state[QUEUE_KEY] = [photo_id for photo_id in queue if photo_id != photo.id]


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
    with st.expander("Save as training folder", key="review-save"):
        exports.offer_dataset(REVIEWED, count, key="review-collection")
    st.page_link(TRAIN, label="Train a model", icon=":material/school:")


show()
