"""Details of one photo: large view, tags and their origin, prediction, file, similar photos.

A page shows them instead of its grid while `?photo=ID` is in the URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import streamlit as st

from frontend.components import photo_grid
from frontend.components.html_blocks import show_bars
from frontend.photos import edits
from frontend.photos.large_photo import show_large_photo
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, run_action
from frontend.ui.text import escape_markdown, format_size, format_time
from tagger.errors import OptionError, QueryError
from tagger.library.records import Annotation, Photo, Sort, StoredPrediction, Tag
from tagger.text import confidence_percent, escape_controls

PHOTO, POSITION = "photo", "at"  # query parameters: photo id; position in the results, from 0
SIMILAR_PHOTOS = 6
SEARCH_RADIUS = 24  # positions before and after in which a photo that moved is searched for

SORTS = {  # titles of tagger.library.records.Sort, without that of descriptions
    "newest": "Newest first",
    "oldest": "Oldest first",
    "taken": "Last taken first",
    "name": "By name",
    "surest": "Surest first",
    "doubtful": "Most doubtful first",
}

Neighbour = tuple[int, int]  # photo id and position in the results


@dataclass(frozen=True)
class Results:
    """The search results that a photo was opened from; Previous and Next move through them."""

    query: str
    sort: str
    page_size: int


def photo_in_url() -> int | None:
    """The id of the photo to show, None where the URL names none."""
    return url_state.get_number(PHOTO)


def open_photo(photo_id: int, position: int | None = None) -> None:
    """Show a photo's details; `position` is its index in the results, from 0."""
    url_state.update(photo=photo_id, at=position)


def close_photo(results: Results) -> None:
    """Return to the page of results that the photo is on."""
    at = url_state.get_number(POSITION)
    page = url_state.get(url_state.PAGE) if at is None else str(at // results.page_size + 1)
    url_state.update(photo=None, at=None, page=None if page == "1" else page)


def show_details(photo_id: int, page: str, results: Results) -> None:
    """The whole view, with Back, Previous and Next. `page` names the page in widget keys."""
    at = url_state.get_number(POSITION)
    previous, following = (None, None) if at is None else _find_neighbours(photo_id, at, results)
    with st.container(horizontal=True, key=f"{page}-ways"):
        st.button(
            "Back",
            key=f"{page}-back",
            icon=":material/arrow_back:",
            on_click=close_photo,
            args=(results,),
        )
        if at is not None:
            _offer_neighbour(previous, "Previous", "chevron_left", "Left", page)
            _offer_neighbour(following, "Next", "chevron_right", "Right", page)
    edits.show_retag_job(page)
    edits.show_last_edit(page)
    with catch_errors():
        photo = open_library().photo(photo_id)
        prediction = open_library().prediction(photo_id)
        st.subheader(escape_markdown(photo.name), anchor=False)
        left, right = st.columns([5, 4], gap="medium")
        with left:
            show_large_photo(photo, prediction, heatmap_key=f"{page}-heatmap")
        with right:
            _show_tags(photo, page)
            _offer_new_tag(photo, page)
            if prediction is not None:
                _show_prediction(prediction)
        _show_file(photo)
        _offer_deleting(photo, page, following or previous, results)
        _show_similar(photo, page)


def _find_neighbours(
    photo_id: int, at: int, results: Results
) -> tuple[Neighbour | None, Neighbour | None]:
    """The photos on both sides of a photo near position `at`, or of `at` if it is gone."""
    first = max(0, at - SEARCH_RADIUS)
    sort = cast(Sort, results.sort) if results.sort in SORTS else None
    try:
        photos = open_library().search(results.query, sort, first, 2 * SEARCH_RADIUS + 1).photos
    except QueryError:
        return None, None
    ids = [photo.id for photo in photos]
    is_found = photo_id in ids
    index = ids.index(photo_id) if is_found else min(at - first, len(ids))
    previous, following = index - 1, index + 1 if is_found else index
    return (
        (ids[previous], first + previous) if previous >= 0 else None,
        (ids[following], first + following) if following < len(ids) else None,
    )


def _offer_neighbour(
    neighbour: Neighbour | None, title: str, icon: str, key: str, page: str
) -> None:
    st.button(
        title,
        key=f"{page}-{title.lower()}",
        icon=f":material/{icon}:",
        icon_position="right" if key == "Right" else "left",
        shortcut=key,
        disabled=neighbour is None,
        on_click=open_photo,
        args=neighbour,
    )


def _show_file(photo: Photo) -> None:
    facts = [f"{photo.width:,} × {photo.height:,} pixels", format_size(photo.size)]
    if photo.taken_at is not None:
        facts.append(f"taken {format_time(photo.taken_at)}")
    facts.append(f"added {format_time(photo.added_at.astimezone())}")
    facts.append("a copy of the library's own" if photo.stored else "left where it was")
    st.caption(escape_markdown(" · ".join(facts)))
    st.code(escape_controls(str(photo.path)), language=None, wrap_lines=True)


def _offer_deleting(photo: Photo, page: str, neighbour: Neighbour | None, results: Results) -> None:
    """A delete button, which moves on to the neighbour."""
    if st.button("Delete", key=f"{page}-delete-{photo.id}", icon=":material/delete:"):
        edits.delete_photos(page, [photo.id])
        if neighbour is None:
            close_photo(results)
        else:
            open_photo(*neighbour)
        st.rerun()


def _show_tags(photo: Photo, page: str) -> None:
    st.markdown("#### Tags")
    annotations = open_library().annotations(photo.id)
    if not photo.tags:
        state = "Unknown to its model" if photo.unknown else "None yet"
        st.markdown(f"{state}. Add the tags that belong to it below.")
    for tag in photo.tags:
        _show_tag(photo, tag, page)
    for annotation in annotations:
        if not annotation.present:
            _show_removed_tag(photo, annotation, page)


def _show_tag(photo: Photo, tag: Tag, page: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mark = ":material/check: " if tag.by_person else ""
        st.markdown(f"{mark}**{escape_markdown(tag.label)}**")
        key = f"{photo.id}-{tag.label}"
        if tag.by_person:
            _offer_action("Take back", "undo", f"{page}-withdraw-{key}", page, photo, tag.label)
        else:
            _offer_action("Confirm", "check", f"{page}-confirm-{key}", page, photo, tag.label)
        _offer_action("Remove", "close", f"{page}-remove-{key}", page, photo, tag.label)
    st.caption(escape_markdown(describe_origin(tag)))


def _show_removed_tag(photo: Photo, annotation: Annotation, page: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"Not {escape_markdown(annotation.label)}")
        key = f"{page}-withdraw-{photo.id}-{annotation.label}"
        _offer_action("Take back", "undo", key, page, photo, annotation.label)
    st.caption(f"You said so, {format_time(annotation.made_at.astimezone())}")


def _offer_action(title: str, icon: str, key: str, page: str, photo: Photo, label: str) -> None:
    """A button for one of `_ACTIONS` on one tag."""
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
    "Take back": edits.withdraw_annotation,
}


def describe_origin(tag: Tag) -> str:
    """Where a tag comes from: a person and when, or a model, its score, and the operation."""
    time = format_time(tag.made_at.astimezone())
    score = "" if tag.score is None else f"{tag.model} was {confidence_percent(tag.score)} sure"
    if tag.by_person:
        return f"You said so, {time}" + (f"; {score}" if score else "")
    title = open_library().operation(tag.operation_id).title
    needed = "" if tag.threshold is None else f", and it needs {confidence_percent(tag.threshold)}"
    return f"{score}{needed}. {time}, by “{title}”"


def _offer_new_tag(photo: Photo, page: str) -> None:
    labels = {tag.label for tag in photo.tags}
    with (
        st.form(f"{page}-form-{photo.id}", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        label = st.selectbox(
            "Add a tag",
            [label for label in open_library().labels() if label not in labels],
            index=None,
            placeholder="Choose one, or type one and press Enter",
            accept_new_options=True,
            key=f"{page}-tag-{photo.id}",
        )
        if st.form_submit_button("Add", key=f"{page}-add-{photo.id}"):
            with catch_errors():
                if not label:  # typed text is lost when the field loses focus
                    raise OptionError("no tag was chosen: after typing one, press Enter, then Add")
                edits.change_tags(page, [photo.id], add=[label])
                st.rerun()


def _show_prediction(prediction: StoredPrediction) -> None:
    st.markdown(f"#### What {escape_markdown(prediction.model)} says")
    if prediction.reason is not None:
        st.markdown(escape_markdown(explain_unknown(prediction)))
    show_bars((label, score, confidence_percent(score)) for label, score in prediction.scores)
    time = format_time(prediction.made_at.astimezone())
    title = open_library().operation(prediction.operation_id).title
    st.caption(escape_markdown(f"{time}, by “{title}”; model file {prediction.model_sha256[:12]}"))


def explain_unknown(prediction: StoredPrediction) -> str:
    """Why a prediction is "unknown", in a sentence."""
    label, score = prediction.scores[0]
    if prediction.reason == "unfamiliar":
        return (
            f"Unknown: unlike every photo that {prediction.model} was taught with. Its best guess"
            f" would be {label}, {confidence_percent(score)}."
        )
    confidence = confidence_percent(score)
    return f"Unknown: not sure enough of any label; {label} comes nearest, {confidence}."


def _show_similar(photo: Photo, page: str) -> None:
    similar = open_library().find_similar_to(photo, SIMILAR_PHOTOS)
    if not similar:
        return
    st.markdown("#### Nearest in your library")
    opened = photo_grid.show_similar_grid(similar, key=f"{page}-nearest").opened
    if opened is not None:
        open_photo(opened)
        st.rerun()
