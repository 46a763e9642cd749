"""Teach: tags that are learnt from examples. One tag: photos that look like it, or may be wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from frontend.components import answer_grid, longer_names, tag_edits, undo_line
from frontend.components.answer_grid import GridAnswers, Mode
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, run_action
from frontend.ui.models import list_labels
from frontend.ui.pages import GALLERY, IMPORT
from frontend.ui.text import escape_markdown
from tagger.library.records import Photo
from tagger.library.search.grammar import Label, format_query
from tagger.library.teaching.examples import TagAnswers, TaughtTag
from tagger.library.teaching.heads import MIN_EXAMPLES, Head
from tagger.text import count_noun, fold

PAGE = "teach"
TAG, VIEW, ALL = "tag", "view", "all"  # query parameters
GRID_SIZE = 24  # photos answered together
MAX_ROWS = 20  # tags listed together
MORE, CHECK = "Find more", "Check"  # views
TITLES = {MORE: MORE, CHECK: "Check its photos"}
CHOICE_KEY = f"{PAGE}-choose"  # a widget's
DRAWN_KEY = f"{PAGE}-drawn"  # session state: the photos of the grid
HELP_LATER = (
    "Photos that you import are given this tag if they look like your examples. Nothing is"
    " trained: it is learnt anew from your answers each time."
)


def show() -> None:
    """The page: the tag that the URL names, or all that were taught."""
    name = url_state.get(TAG)
    if name:
        with catch_errors():
            _show_tag(open_library().teaching.answers(name))
            return
    _show_list()


def _show_list() -> None:
    is_check = url_state.get(VIEW) == CHECK
    if is_check:
        _show_back()
    st.title("Check a tag" if is_check else "Teach a tag", anchor=False)
    tag_edits.show(PAGE, "", with_offer=False)
    if not open_library().count():
        st.markdown("Your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        return
    if is_check:
        _choose_to_check()
        return
    st.markdown(
        f"Give a tag of your own to {MIN_EXAMPLES} photos. You are then shown others that look like"
        " them, and photos that you import later get the tag, too."
    )
    taught = open_library().teaching.list_taught()
    counts = _count_choices()
    st.selectbox(
        "Which tag?",
        list(counts),
        index=None,
        format_func=lambda name: _describe_choice(name, counts),
        accept_new_options=True,
        placeholder="Choose a tag, or type a new one",
        key=CHOICE_KEY,
        on_change=_open_chosen,
    )
    st.button(
        "Check one tag …",
        key=f"{PAGE}-check",
        icon=":material/rule:",
        type="tertiary",
        help="For any tag: its photos that you have not confirmed, the likeliest mistakes first",
        on_click=url_state.on_click(**{VIEW: CHECK}),
    )
    own = [each for each in taught if not each.by_models or each.is_on]
    _show_rows("Your tags", own)
    _show_rows(
        "Tags of models, with answers of yours", [each for each in taught if each not in own]
    )


def _choose_to_check() -> None:
    """A choice of the tags with photos that nobody has confirmed."""
    summaries = open_library().tags.list_all()
    counts = {
        each.name: each.count - each.by_person
        for each in summaries
        if not each.hidden and each.count > each.by_person
    }
    if not counts:
        st.markdown("You have confirmed all tags of your photos.")
        return
    st.markdown(
        "You see the photos with a tag that you have not confirmed, the likeliest mistakes first."
    )
    st.selectbox(
        "Which tag?",
        list(counts),
        index=None,
        format_func=lambda name: f"{name} · {count_noun(counts[name], 'photo')}",
        placeholder="Choose a tag",
        key=CHOICE_KEY,
        on_change=_open_chosen,
    )


def _open_chosen() -> None:
    tag = st.session_state.pop(CHOICE_KEY)
    if tag:
        url_state.update(**{TAG: " ".join(tag.split())})


def _count_choices() -> dict[str, int]:
    """The tags to choose from, each with its number of photos: the library's and its models'."""
    summaries = open_library().tags.list_all()
    counts = {each.name: each.count for each in summaries if not each.hidden}
    names = {fold(name) for each in summaries for name in (each.name, *each.names)}
    counts |= dict.fromkeys((label for label in list_labels() if fold(label) not in names), 0)
    return dict(sorted(counts.items(), key=lambda item: fold(item[0])))


def _describe_choice(tag: str, counts: Mapping[str, int]) -> str:
    """A tag in the list, with its number of photos; one that was typed has none."""
    return f"{tag} · {count_noun(counts[tag], 'photo')}" if counts.get(tag) else tag


def _show_rows(title: str, taught: Sequence[TaughtTag]) -> None:
    if taught:
        st.subheader(title, anchor=False)
    for each in taught[:MAX_ROWS]:
        _show_row(each)
    if len(taught) > MAX_ROWS:
        st.caption(f"and {len(taught) - MAX_ROWS:,} more: see Tags")


def _show_row(taught: TaughtTag) -> None:
    """A tag with its examples, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{PAGE}-row-{taught.tag}"):
        st.markdown(f"**{escape_markdown(taught.tag)}**", width=160)
        st.markdown(_describe_row(taught), width="stretch")
        enough = taught.examples >= MIN_EXAMPLES
        label = TITLES[CHECK] if taught.by_models else MORE if enough else "Add examples"
        opens = url_state.on_click(**{TAG: taught.tag, VIEW: ""})
        st.button(label, key=f"{PAGE}-more-{taught.tag}", on_click=opens)


def _describe_row(taught: TaughtTag) -> str:
    counts = f"{taught.counterexamples:,} not" if taught.counterexamples else ""
    if taught.by_models and not taught.is_on:
        return " · ".join(filter(None, [f"{taught.examples:,} confirmed or added", counts]))
    if taught.examples < MIN_EXAMPLES:
        return f"{taught.examples} of {MIN_EXAMPLES} examples"
    is_on = "tags later imports" if taught.is_on else "off"
    return " · ".join(filter(None, [count_noun(taught.examples, "example"), counts, is_on]))


# One tag


def _show_tag(answers: TagAnswers) -> None:
    tag = answers.tag
    _show_back()
    st.title(escape_markdown(tag), anchor=False)
    tag_edits.show(PAGE, url_state.get(TAG) or "", with_offer=False)
    is_learnt = len(answers.yes) >= MIN_EXAMPLES
    every = open_library().teaching.list_taught()
    taught = next((each for each in every if fold(each.tag) == fold(tag)), None)
    view, alike = MORE, 0
    by_models = taught is None or taught.by_models
    if is_learnt or (by_models and open_library().count(_query(tag))):
        # What models gave is checked first, before there are enough examples and after.
        views = [CHECK, MORE] if by_models else [MORE, CHECK]
        view = url_state.segmented_control("Show", VIEW, views, compact=True, titles=TITLES)
    with catch_errors():
        if view == CHECK:
            _check(answers)
        elif is_learnt:
            alike = _find_more(answers)
        else:
            _offer_examples(answers)
    if is_learnt and taught is not None:
        _show_switches(taught, alike > GRID_SIZE)


def _show_back() -> None:
    """A button that leads to the list of all tags that were taught."""
    st.button(
        "All taught tags",
        key=f"{PAGE}-back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=url_state.on_click(**{TAG: "", VIEW: "", ALL: ""}),
    )


def _query(tag: str) -> str:
    """The query that finds the photos with a tag."""
    return format_query(Label(tag, exact=True))


def _offer_examples(answers: TagAnswers) -> None:
    """Photos to choose the first examples from: those that look like the word, or the latest."""
    tag, count = answers.tag, len(answers.yes)
    if not answers.every:
        longer_names.offer(PAGE, tag, _count_choices(), lambda name: url_state.update(tag=name))
    missing = count_noun(MIN_EXAMPLES - count, "more photo" if count else "photo")
    st.markdown(escape_markdown(f"Click at least {missing} with {tag}. Enter saves."))
    grid = _keep_grid(answers, "right", _find_candidates(answers))
    if not grid.photos:
        st.markdown("No photo is left to choose from.")
        return
    _ask(grid, tag, "right")
    st.page_link(GALLERY, label="Or add the tag in the gallery", icon=":material/grid_view:")


def _find_candidates(answers: TagAnswers) -> list[Photo]:
    """Photos that look like the tag's name and its examples; else the latest ones."""
    library = open_library()
    if photos := library.teaching.find_candidates(answers.tag, GRID_SIZE):
        return photos
    latest = library.search(limit=GRID_SIZE + len(answers.every)).photos
    return [photo for photo in latest if photo.id not in answers.every][:GRID_SIZE]


def _find_more(answers: TagAnswers) -> int:
    """Photos that look like the examples; the number of these, without the closest of others."""
    tag = answers.tag
    every = url_state.get(ALL) is not None
    mode: Mode = "right" if every else "wrong"  # the closest are mostly something else
    suggested = open_library().teaching.find_more(tag, GRID_SIZE, above_threshold=not every)
    grid = _keep_grid(answers, mode, suggested.photos)
    total = max(suggested.total, len(grid.photos))
    if not total:
        st.markdown(escape_markdown(f"Nothing else looks like {tag}."))
        if not every:
            st.button(
                "Show the closest",
                key=f"{PAGE}-closest",
                on_click=url_state.on_click(**{ALL: "1"}),
            )
        return 0
    if every:
        text = f"The closest of the other photos. Click those with {tag}; Enter saves these."
        st.markdown(escape_markdown(text))
    else:
        verb = "looks" if total == 1 else "look"
        st.markdown(
            f"**{total:,} more {verb} like this.** Click the wrong ones; Enter saves"
            f" {'all' if total == len(grid.photos) else f'these {len(grid.photos)}'}."
        )
    _ask(grid, tag, mode)
    _describe_head(suggested.head)
    return 0 if every else total


def _check(answers: TagAnswers) -> None:
    tag = answers.tag
    suggested = open_library().teaching.find_doubtful(tag, GRID_SIZE)
    grid = _keep_grid(answers, "wrong", suggested.photos, suggested.scores)
    total = max(suggested.total, len(grid.photos))
    if not total:
        st.markdown(escape_markdown(f"You have confirmed every photo with {tag}."))
        return
    if total == 1:
        text = "One photo that you have not confirmed. Click it if it is wrong; Enter saves."
    else:
        count = len(grid.photos)
        photos = f"{count} photos" if total == count else f"{count} of {total:,} photos"
        text = (
            f"{photos} that you have not confirmed, the likeliest mistakes first. Click the wrong"
            " ones; Enter saves all."
        )
    st.markdown(escape_markdown(f"Is this {tag}? {text}"))
    _ask(grid, tag, "wrong")


@dataclass(frozen=True)
class _Grid:
    """Photos that a question is about, with scores in [0, 1] by id."""

    question: tuple[object, ...]
    photos: Sequence[Photo]
    scores: Mapping[int, float]


def _keep_grid(
    answers: TagAnswers, mode: Mode, photos: Sequence[Photo], scores: Mapping[int, float] = {}
) -> _Grid:
    """A grid of these photos, or that of before while its question is still open.

    A person may have marked photos of it: others that are added meanwhile do not take their place.
    Left out are those that were answered or deleted elsewhere.
    """
    edit = undo_line.last_edit(PAGE)
    address = (url_state.get(VIEW), url_state.get(ALL))
    question = (answers.tag, mode, *address, None if edit is None else edit.operation_id)
    before: _Grid | None = st.session_state.get(DRAWN_KEY)
    is_drawn = _grid_key(mode) in st.session_state  # else somebody comes from another page
    if before is not None and is_drawn and before.question == question:
        ids = [photo.id for photo in before.photos if photo.id not in answers.every]
        if kept := open_library().load_matches("", ids).photos:
            return replace(before, photos=kept)
    grid = st.session_state[DRAWN_KEY] = _Grid(question, photos, scores)
    return grid


def _ask(grid: _Grid, tag: str, mode: Mode) -> None:
    """A grid of photos; its answers are saved."""
    captions = {photo_id: f"{value:.0%}" for photo_id, value in grid.scores.items()}
    save = partial(run_action, _save, tag)
    key = _grid_key(mode)
    answer_grid.show_grid(grid.photos, tag, mode, key=key, save=save, captions=captions)


def _grid_key(mode: Mode) -> str:
    return f"{PAGE}-grid-{mode}"


def _save(tag: str, answers: GridAnswers) -> None:
    undo_line.record(PAGE, open_library().teaching.answer(tag, answers.right, answers.wrong))


def _describe_head(head: Head | None) -> None:
    if head is None:
        return
    text = (
        f"Learnt from {count_noun(head.examples, 'example')}. A test: each is left out once, and"
        f" should be recognised by the others. {head.examples_recognised:,} of {head.examples:,}"
        f" {'is' if head.examples_recognised == 1 else 'are'}"
    )
    if head.counterexamples:
        text += (
            f"; {head.counterexamples_mistaken:,} of"
            f" {count_noun(head.counterexamples, 'wrong one')} would be taken for it"
        )
    st.caption(f"{text}.")


def _show_switches(taught: TaughtTag, has_more: bool) -> None:
    """Whether later imports are tagged; tagging the whole library if more look like it.

    That is, if there are more of these than the grid shows.
    """
    tag = taught.tag
    key = f"{PAGE}-later-{tag}"
    st.session_state[key] = taught.is_on
    with st.container(horizontal=True, vertical_alignment="center", key=f"{PAGE}-switches"):
        st.toggle(
            "Tag photos that I import later",
            key=key,
            help=HELP_LATER,
            on_change=run_action,
            args=(_switch, tag, not taught.is_on),
        )
        if has_more:
            st.button(
                "Tag all that look like it",
                key=f"{PAGE}-all",
                help="Without looking at them first. You can undo this.",
                on_click=run_action,
                args=(_tag_library, tag),
            )
        st.page_link(
            GALLERY,
            label="Show its photos",
            icon=":material/grid_view:",
            query_params={"show": _query(tag)},
        )


def _switch(tag: str, on: bool) -> None:
    undo_line.record(PAGE, open_library().teaching.switch(tag, on))


def _tag_library(tag: str) -> None:
    undo_line.record(PAGE, open_library().teaching.tag_library(tag))


show()
