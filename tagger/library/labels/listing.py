"""The tags of a library, with how many photos have them, covers, and what a person made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from tagger.library.database.schema import labels, tags
from tagger.library.history import entries
from tagger.library.photos import load_photos
from tagger.library.records import Photo
from tagger.library.search.conditions import DELETED
from tagger.text import fold

COVER_CHOICE = 200  # photos of a tag, the latest, of which the surest is its cover


@dataclass(frozen=True)
class TagSummary:
    """A tag: how many photos have it, and how many of these a person gave it or confirmed it.

    `names` are the other names that it has: those of tags that were renamed to it or merged into
    it; `merged` are those of the latter. `hidden` and `never`, as a person chose; `parents` and
    `synonyms` are None if they are those of the vocabulary.
    """

    name: str
    count: int
    by_person: int
    names: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    hidden: bool = False
    never: bool = False
    parents: tuple[str, ...] | None = None
    synonyms: tuple[str, ...] | None = None


def list_tags(connection: Connection) -> list[TagSummary]:
    """Every tag that photos have or that a person edited, by name, in alphabetical order."""
    edits = entries.load(connection, "tag")
    counted = (
        select(
            tags.c.label_id,
            func.count().label("number"),
            func.count().filter(tags.c.by_person).label("by_person"),
        )
        .where(tags.c.photo_id.not_in(DELETED))
        .group_by(tags.c.label_id)
    )
    counts = {row.label_id: row for row in connection.execute(counted)}
    rows = connection.execute(select(labels).order_by(labels.c.folded)).all()
    names: dict[int, list[str]] = {}
    merged: dict[int, list[str]] = {}
    for row in rows:
        if row.shown_as is not None:
            names.setdefault(row.shown_as, []).append(row.name)
            if edits.get(row.folded, {}).get("merged"):
                merged.setdefault(row.shown_as, []).append(row.name)
    return [
        TagSummary(
            name=row.name,
            count=counts[row.id].number if row.id in counts else 0,
            by_person=counts[row.id].by_person if row.id in counts else 0,
            names=tuple(names.get(row.id, ())),
            merged=tuple(merged.get(row.id, ())),
            hidden=row.hidden,
            never=row.never,
            **_search_words(edits.get(row.folded, {})),
        )
        for row in rows
        if row.shown_as is None
        and (row.id in counts or row.id in names or row.folded in edits or row.hidden or row.never)
    ]


def find_covers(connection: Connection, names: Iterable[str], home: Path) -> dict[str, Photo]:
    """A photo for each tag by name: one that a person confirmed, or the surest of the latest.

    No photo is the cover of two tags, as long as they have others.
    """
    folded = {fold(name): name for name in names}
    query = select(labels.c.folded, labels.c.id).where(labels.c.folded.in_(list(folded)))
    ids = {row.folded: row.id for row in connection.execute(query)}
    chosen: dict[str, int] = {}
    for name, label_id in ((folded[key], ids[key]) for key in folded if key in ids):
        is_tag = tags.c.label_id == label_id, tags.c.photo_id.not_in(DELETED)
        latest = (
            select(tags.c.photo_id, tags.c.by_person, tags.c.score)
            .where(*is_tag)
            .order_by(tags.c.photo_id.desc())
            .limit(COVER_CHOICE)
            .subquery()
        )
        order = latest.c.by_person.desc(), latest.c.score.desc().nulls_last()
        best = connection.scalars(select(latest.c.photo_id).order_by(*order)).all()
        free = (photo_id for photo_id in best if photo_id not in chosen.values())
        cover = next(free, best[0] if best else None)
        if cover is not None:
            chosen[name] = cover
    photos = {
        photo.id: photo for photo in load_photos(connection, list(set(chosen.values())), home)
    }
    return {name: photos[photo_id] for name, photo_id in chosen.items() if photo_id in photos}


def _search_words(edit: Mapping[str, Any]) -> dict[str, Any]:
    """The parents and synonyms that a person gave a tag; None where they gave none."""
    return {
        field: tuple(edit[field]) if field in edit else None for field in ("parents", "synonyms")
    }
