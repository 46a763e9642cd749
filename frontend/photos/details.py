"""One photo, large: what it is, where it lives, its tags and where each comes from, all editable.

A page shows it in its own place while `?photo=ID` is in the address, so that it can be bookmarked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import streamlit as st

from frontend.components import photo_grid
from frontend.components.html_blocks import show_bars
from frontend.photos import edits, large_photo
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import run_action, show_errors
from frontend.ui.text import escape_markdown, format_size, format_time
from tagger.errors import OptionError, QueryError
from tagger.library.records import Annotation, Photo, Sort, StoredPrediction, Tag
from tagger.text import confidence_percent, escape_controls

PHOTO, PLACE = "photo", "at"  # of the address: which photo, and which of those found it was
NEAREST = 6
AROUND = 24  # places before and after in which a photo is looked for that moved

SORTS = {  # of tagger.records.Sort, in words
    "newest": "Newest first",
    "oldest": "Oldest first",
    "taken": "Last taken first",
    "name": "By name",
    "surest": "Surest first",
    "doubtful": "Most doubtful first",
}


@dataclass(frozen=True)
class Found:
    """The search that a photo was opened from, for what comes before and after it."""

    query: str
    sort: str
    page_size: int


def asked() -> int | None:
    """The photo that the address names, None where it names none."""
    return url_state.number(PHOTO)


def open_photo(photo_id: int, place: int | None = None) -> None:
    """Show a photo large, the one at `place` (from 0) of those found."""
    url_state.say(photo=photo_id, at=place)


def close_photo(found: Found) -> None:
    """Back to the page that the photo is on."""
    at = url_state.number(PLACE)
    turned = url_state.said(url_state.NUMBER) if at is None else str(at // found.page_size + 1)
    url_state.say(photo=None, at=None, page=None if turned == "1" else turned)


def show_photo(photo_id: int, page: str, found: Found) -> None:
    """The whole view, with the way back. `page` tells apart what several pages keep."""
    at = url_state.number(PLACE)
    before, after = (None, None) if at is None else _beside(photo_id, at, found)
    with st.container(horizontal=True, key=f"{page}-ways"):
        st.button(
            "Back",
            key=f"{page}-back",
            icon=":material/arrow_back:",
            on_click=close_photo,
            args=(found,),
        )
        if at is not None:
            _offer(before, "Previous", "chevron_left", "Left", page)
            _offer(after, "Next", "chevron_right", "Right", page)
    edits.show_work(page)
    edits.show_done(page)
    with show_errors():
        photo = open_library().photo(photo_id)
        prediction = open_library().prediction(photo_id)
        st.subheader(escape_markdown(photo.name), anchor=False)
        left, right = st.columns([5, 4], gap="medium")
        with left:
            large_photo.show_picture(photo, prediction, key=f"{page}-heatmap")
        with right:
            _show_tags(photo, page)
            _offer_tag(photo, page)
            if prediction is not None:
                _show_answer(prediction)
        _show_facts(photo)
        _offer_deleting(photo, page, after or before, found)
        _show_nearest(photo, page)


Step = tuple[int, int]  # a photo, and its place among those found


def _beside(photo_id: int, at: int, found: Found) -> tuple[Step | None, Step | None]:
    """The photos before and after one that was found at a place, or that is gone from there."""
    first = max(0, at - AROUND)
    sort = cast(Sort, found.sort) if found.sort in SORTS else "newest"
    try:
        here = open_library().search(found.query, sort, first, 2 * AROUND + 1).photos
    except QueryError:
        return None, None
    ids = [photo.id for photo in here]
    there = photo_id in ids
    index = ids.index(photo_id) if there else min(at - first, len(ids))
    previous, following = index - 1, index + 1 if there else index
    return (
        (ids[previous], first + previous) if previous >= 0 else None,
        (ids[following], first + following) if following < len(ids) else None,
    )


def _offer(step: Step | None, title: str, icon: str, key: str, page: str) -> None:
    st.button(
        title,
        key=f"{page}-{title.lower()}",
        icon=f":material/{icon}:",
        icon_position="right" if key == "Right" else "left",
        shortcut=key,
        disabled=step is None,
        on_click=open_photo,
        args=step,
    )


def _show_facts(photo: Photo) -> None:
    facts = [f"{photo.width:,} × {photo.height:,} pixels", format_size(photo.size)]
    if photo.taken_at is not None:
        facts.append(f"taken {format_time(photo.taken_at)}")
    facts.append(f"added {format_time(photo.added_at.astimezone())}")
    facts.append("a copy of the library's own" if photo.stored else "left where it was")
    st.caption(escape_markdown(" · ".join(facts)))
    st.code(escape_controls(str(photo.path)), language=None, wrap_lines=True)


def _offer_deleting(photo: Photo, page: str, instead: Step | None, found: Found) -> None:
    if st.button("Delete", key=f"{page}-delete-{photo.id}", icon=":material/delete:"):
        edits.delete(page, [photo.id])
        if instead is None:
            close_photo(found)
        else:
            open_photo(*instead)
        st.rerun()


def _show_tags(photo: Photo, page: str) -> None:
    st.markdown("#### Tags")
    verdicts = open_library().annotations(photo.id)
    if not photo.tags:
        nothing = "Unknown to its model" if photo.unknown else "None yet"
        st.markdown(f"{nothing}. Add the tags that belong to it below.")
    for tag in photo.tags:
        _show_tag(photo, tag, page)
    for verdict in verdicts:
        if not verdict.present:
            _show_refusal(photo, verdict, page)


def _show_tag(photo: Photo, tag: Tag, page: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mark = ":material/check: " if tag.by_person else ""
        st.markdown(f"{mark}**{escape_markdown(tag.label)}**")
        key = f"{photo.id}-{tag.label}"
        if tag.by_person:
            _act("Take back", "undo", f"{page}-withdraw-{key}", page, photo, tag.label)
        else:
            _act("Confirm", "check", f"{page}-confirm-{key}", page, photo, tag.label)
        _act("Remove", "close", f"{page}-remove-{key}", page, photo, tag.label)
    st.caption(escape_markdown(origin(tag)))


def _show_refusal(photo: Photo, verdict: Annotation, page: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"Not {escape_markdown(verdict.label)}")
        key = f"{page}-withdraw-{photo.id}-{verdict.label}"
        _act("Take back", "undo", key, page, photo, verdict.label)
    st.caption(f"You said so, {format_time(verdict.made_at.astimezone())}")


def _act(title: str, icon: str, key: str, page: str, photo: Photo, label: str) -> None:
    """A button that does something to one tag of a photo."""
    st.button(
        title,
        key=key,
        icon=f":material/{icon}:",
        type="tertiary",
        on_click=run_action,
        args=(_ACTIONS[title], page, photo, label),
    )


_ACTIONS = {
    "Confirm": lambda page, photo, label: edits.change_tags(page, [photo.id], add=[label]),
    "Remove": lambda page, photo, label: edits.change_tags(page, [photo.id], remove=[label]),
    "Take back": edits.take_back,
}


def origin(tag: Tag) -> str:
    """Where a tag comes from: a model, when and in which run, or a person."""
    when = format_time(tag.made_at.astimezone())
    said = "" if tag.score is None else f"{tag.model} was {confidence_percent(tag.score)} sure"
    if tag.by_person:
        return f"You said so, {when}" + (f"; {said}" if said else "")
    run = open_library().operation(tag.operation_id).title
    needed = "" if tag.threshold is None else f", and it needs {confidence_percent(tag.threshold)}"
    return f"{said}{needed}. {when}, by “{run}”"


def _offer_tag(photo: Photo, page: str) -> None:
    """A tag to add, of those there are or a new one."""
    here = {tag.label for tag in photo.tags}
    others = [label for label in open_library().labels() if label not in here]
    with (
        st.form(f"{page}-form-{photo.id}", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        label = st.selectbox(
            "Add a tag",
            others,
            index=None,
            placeholder="Choose one, or type one and press Enter",
            accept_new_options=True,
            key=f"{page}-tag-{photo.id}",
        )
        if st.form_submit_button("Add", key=f"{page}-add-{photo.id}"):
            with show_errors():
                if not label:  # what was typed is gone once the field is left
                    raise OptionError("no tag was chosen: after typing one, press Enter, then Add")
                edits.change_tags(page, [photo.id], add=[label])
                st.rerun()


def _show_answer(prediction: StoredPrediction) -> None:
    st.markdown(f"#### What {escape_markdown(prediction.model)} says")
    if prediction.reason is not None:
        st.markdown(escape_markdown(why_unknown(prediction)))
    show_bars((label, score, confidence_percent(score)) for label, score in prediction.scores)
    when = format_time(prediction.made_at.astimezone())
    run = open_library().operation(prediction.operation_id).title
    st.caption(escape_markdown(f"{when}, by “{run}”; model file {prediction.model_sha256[:12]}"))


def why_unknown(prediction: StoredPrediction) -> str:
    """Why a model knew no label, in a sentence."""
    best, score = prediction.scores[0]
    if prediction.reason == "unfamiliar":
        return (
            f"Unknown: unlike every photo that {prediction.model} was taught with. Its best guess"
            f" would be {best}, {confidence_percent(score)}."
        )
    return (
        f"Unknown: not sure enough of any label; {best} comes nearest, {confidence_percent(score)}."
    )


def _show_nearest(photo: Photo, page: str) -> None:
    near = open_library().find_similar_to(photo, NEAREST)
    if not near:
        return
    st.markdown("#### Nearest in your library")
    captions = {other.id: f"{max(0.0, alike):.0%} alike" for other, alike in near}
    found = [other for other, _ in near]
    opened = photo_grid.show_grid(
        found, key=f"{page}-nearest", captions=captions, selectable=False
    ).opened
    if opened is not None:
        open_photo(opened)
        st.rerun()
