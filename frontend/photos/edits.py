"""Edits of photos, each with a message and an undo; see `undo_line`.

`page` names the page in session state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from frontend.components import job_panel, retag_dialog, undo_line
from frontend.ui.library import open_library
from tagger.concurrency import chunks
from tagger.library.database.schema import CHUNK
from tagger.library.records import FAVOURITE, Photo
from tagger.text import count_noun

MAX_NAMED = 3  # tags in a message


def change_tags(
    page: str, ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> None:
    """Annotate photos: the tags to `add` are right, those to `remove` wrong. Raises OptionError."""
    library = open_library()
    had = {tag.label for tag in library.photo(ids[0]).tags} if len(ids) == 1 else set()
    if remove and not add and len(ids) > 1:
        ids = ids_with_tags(ids, remove)
    operation_id = library.edit_tags(ids, add, remove)
    photos = "" if len(ids) == 1 else f" {count_noun(len(ids), 'photo')}"
    parts = []
    if add:
        verb = "Confirmed" if had.issuperset(add) else "Added"
        parts.append(f"{verb} {list_tags(add)}{photos and f' to{photos}'}")
    if remove:
        verb = "Removed" if photos or had.issuperset(remove) else "Not"
        parts.append(f"{verb} {list_tags(remove)}{photos and f' from{photos}'}")
    _record(page, ", ".join(parts), operation_id)


def list_tags(labels: Sequence[str]) -> str:
    """The first tags of a list: "dog, cat and 2 more"."""
    rest = len(labels) - MAX_NAMED
    return ", ".join(labels[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def load_photos(ids: Sequence[int]) -> Iterator[Photo]:
    """Photos by id, in chunks."""
    for chunk in chunks(ids, CHUNK):
        yield from open_library().load_matches("", chunk).photos


def ids_with_tags(ids: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The ids of photos that have at least one of the tags."""
    return [p.id for p in load_photos(ids) if any(tag.label in labels for tag in p.tags)]


def confirm_tags(page: str, ids: Sequence[int]) -> None:
    """Annotate all tags of the photos as right."""
    operation_id = open_library().confirm_tags(ids)
    _record(page, "" if operation_id else "No tags to confirm", operation_id)


def withdraw_annotation(page: str, ids: Sequence[int], label: str) -> None:
    """Remove the annotation of one tag."""
    operation_id = open_library().withdraw_annotations(ids, [label])
    _record(page, f"Cleared your answer about {label}", operation_id)


def rate_photos(page: str, ids: Sequence[int], rating: int) -> None:
    """Rate photos from 1 to 5, which is a favourite; 0 removes it. Raises OptionError."""
    every = list(load_photos(ids))
    photos = [photo for photo in every if photo.rating != rating]
    if every and not photos:
        stars = f"Already rated with {count_noun(rating, 'star')}" if rating else "No rating"
        _record(page, "Already a favourite" if rating == FAVOURITE else stars)
        return
    operation_id = open_library().rate([photo.id for photo in photos], rating)
    was_favourite = any(photo.rating == FAVOURITE for photo in photos)
    count = count_noun(len(photos), "photo") if len(ids) > 1 else ""
    if rating == FAVOURITE:
        message = f"Added {count} to favourites" if count else "Added to favourites"
    elif not rating and was_favourite:
        message = f"Removed {count} from favourites" if count else "Removed from favourites"
    elif not rating:
        message = f"Removed the rating of {count}" if count else "Removed the rating"
    else:
        message = f"Rated {f'{count} with ' if count else ''}{count_noun(rating, 'star')}"
    _record(page, message, operation_id)


def toggle_favourites(page: str, ids: Sequence[int]) -> None:
    """Make photos favourites, or if all of them are, no longer. Raises OptionError."""
    are_favourites = all(photo.rating == FAVOURITE for photo in load_photos(ids))
    rate_photos(page, ids, 0 if are_favourites else FAVOURITE)


def set_caption(page: str, photo_id: int, text: str) -> None:
    """Set a photo's caption, or remove it. Raises OptionError."""
    operation_id = open_library().set_caption(photo_id, text)
    _record(page, "Changed the caption" if text.strip() else "Removed the caption", operation_id)


def delete_photos(page: str, ids: Sequence[int]) -> None:
    """Delete photos from the library, not from the disk."""
    operation_id = open_library().delete(ids)
    photos = count_noun(len(ids), "photo")
    _record(page, f"Deleted {photos} from the library", operation_id)


def retag_photos(page: str, ids: Sequence[int], model: str) -> None:
    """Ask whether to tag photos again with a model, showing what would change."""
    undo_line.forget()
    retag_dialog.ask(page, ids, [model], _job_key(page))


def show_retag_job(page: str) -> None:
    """The question whether to tag photos again, and the panel of the job started last."""
    retag_dialog.show_question(page)
    if (job_id := st.session_state.get(_job_key(page))) is not None:
        job_panel.show_job(job_id, key=f"{page}-work")


def _record(page: str, message: str, operation_id: int | None = None) -> None:
    """Say what was done, by default the operation's title, instead of a job that has ended."""
    job_id = st.session_state.get(_job_key(page))
    if job_id is not None and not open_library().operation(job_id).active:
        del st.session_state[_job_key(page)]
    undo_line.record(page, operation_id, message)


def _job_key(page: str) -> str:
    return f"{page}-work"
