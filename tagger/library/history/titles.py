"""Titles of operations, in plain words: "Added dog to 5 photos". `photos` is "5 photos"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagger.library.records import FAVOURITE
from tagger.text import count_noun


@dataclass(frozen=True)
class TagEdit:
    """The tags of an edit, by what it did with them.

    `confirmed` tags were on every photo already; `denied` ones were on none before they were
    marked as absent.
    """

    confirmed: Sequence[str] = ()
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    denied: Sequence[str] = ()
    skipped: Sequence[str] = ()


def edited_tags(edit: TagEdit, photos: str) -> str:
    """The title of an edit of tags."""
    parts = [
        (verb, preposition, names)
        for verb, preposition, names in (
            ("confirmed", "on", edit.confirmed),
            ("added", "to", edit.added),
            ("removed", "from", edit.removed),
            ("said no to", "on", edit.denied),
            ("skipped", "on", edit.skipped),
        )
        if names
    ]
    *first, last = [f"{verb} {_name_tags(names)}" for verb, _, names in parts]
    text = f"{', '.join(first)} and {last}" if first else last
    preposition = parts[0][1] if len(parts) == 1 else "on"
    return f"{text[0].upper()}{text[1:]} {preposition} {photos}"


def confirmed(names: Sequence[str], photos: str) -> str:
    """The title of the confirmation of tags that models gave."""
    return f"Confirmed {_name_tags(names)} on {photos}"


def cleared(names: Sequence[str], photos: str) -> str:
    """The title of the withdrawal of annotations."""
    return f"Cleared your answer about {_name_tags(names)} on {photos}"


def taught(tag: str, added: int, confirmed: int, wrong: int) -> str:
    """The title of answers about one tag: how many photos got it, had it already, and have not."""
    parts = []
    if added:
        parts.append(f"added {tag} to {count_noun(added, 'photo')}")
    if confirmed:
        named = f"it on {confirmed:,}" if added else f"{tag} on {count_noun(confirmed, 'photo')}"
        parts.append(f"confirmed {named}")
    if wrong:
        parts.append(f"marked {f'{wrong:,}' if parts else count_noun(wrong, 'photo')} as not {tag}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}"


def rated(rating: int, photos: str) -> str:
    """The title of a rating."""
    if not rating:
        return f"Removed the rating of {photos}"
    if rating == FAVOURITE:
        return f"Made {photos} a favourite" if photos == "1 photo" else f"Made {photos} favourites"
    return f"Rated {photos} with {count_noun(rating, 'star')}"


def _name_tags(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else count_noun(len(unique), "tag")


def chose_copies(removed: int, kept: int) -> str:
    """The title of what was kept and removed of groups of near copies."""
    if not removed:
        return f"Kept {count_noun(kept, 'photo')} as different"
    copies = "1 near copy" if removed == 1 else f"{removed:,} near copies"
    return f"Removed {copies} from the library"
