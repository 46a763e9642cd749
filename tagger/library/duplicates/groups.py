"""Groups of near copies: the best photo of each, and those that are copies of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from tagger.concurrency import chunks
from tagger.library.database.schema import CHUNK, photos, verdicts
from tagger.library.records import Photo

LARGER = 1.05  # times the pixels: less is the same resolution
SHARPER = 1.2  # times the sharpness, see `images.quality`: less is as sharp

_JUDGED = ("id", "missing", "width", "height", "size", "rating", "caption")  # columns

Merit = Literal["there", "larger", "sharper", "tagged"]


@dataclass(frozen=True)
class Candidate:
    """What a photo of a group is judged by.

    `pixels` are width times height, `size` is in bytes, `sharpness` as in `images.quality` or None,
    and `answers` is the number of tags, ratings and captions that a person gave it.
    """

    id: int
    missing: bool
    pixels: int
    size: int
    sharpness: float | None
    answers: int


@dataclass(frozen=True)
class Group:
    """Near copies: photos' ids, the best first. `merits` are why: what it has and no other has.

    `removable` is the size in bytes of the others.
    """

    ids: tuple[int, ...]
    merits: tuple[Merit, ...]
    removable: int


@dataclass(frozen=True)
class DuplicateGroup:
    """A group with its photos, the best first, and the sharpness of each, where it is known."""

    photos: tuple[Photo, ...]
    merits: tuple[Merit, ...]
    sharpness: tuple[float | None, ...]


def load_candidates(
    connection: Connection, ids: Sequence[int], sharpness: Mapping[int, float]
) -> dict[int, Candidate]:
    """The candidates among these photos, by id; deleted photos are none."""
    candidates: dict[int, Candidate] = {}
    for chunk in chunks(ids, CHUNK):
        answers = _count_answers(connection, chunk)
        is_candidate = photos.c.id.in_(chunk), photos.c.deleted_by.is_(None)
        query = select(*(photos.c[name] for name in _JUDGED)).where(*is_candidate)
        for row in connection.execute(query):
            candidates[row.id] = Candidate(
                id=row.id,
                missing=row.missing,
                pixels=row.width * row.height,
                size=row.size,
                sharpness=sharpness.get(row.id),
                answers=answers[row.id] + bool(row.rating) + (row.caption is not None),
            )
    return candidates


def group_pairs(
    pairs: Iterable[tuple[int, int]],
    candidates: Mapping[int, Candidate],
    answered: Iterable[Sequence[int]] = (),
) -> list[Group]:
    """Groups of the near copies among the candidates; the one with the highest id comes first.

    Each photo of a group is a near copy of its best one. Photos of an `answered` set are different,
    as a person said, and never in one group.
    """
    different: dict[int, set[int]] = defaultdict(set)
    for ids in answered:
        for photo_id in ids:
            different[photo_id].update(ids)
    copies: dict[int, set[int]] = defaultdict(set)
    for first, second in pairs:
        if first in candidates and second in candidates and second not in different[first]:
            copies[first].add(second)
            copies[second].add(first)
    groups = []
    remaining = set(copies)
    for best in sort_best_first([candidates[each] for each in copies]):
        if best.id not in remaining:
            continue
        rest: list[Candidate] = []
        for other in sort_best_first([candidates[each] for each in copies[best.id] & remaining]):
            if not any(member.id in different[other.id] for member in rest):
                rest.append(other)
        if rest:
            remaining -= {best.id, *(other.id for other in rest)}
            groups.append(_make_group(best, rest))
    return sorted(groups, key=lambda group: -max(group.ids))


def sort_best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By resolution, sharpness, what a person said of it, size of the file, and age.

    A photo whose file is missing comes after all others.
    """
    by_age = sorted(candidates, key=lambda each: (-each.answers, -each.size, each.id))
    ranks = {each.id: rank for rank, each in enumerate(by_age)}
    by_pixels = sorted(by_age, key=lambda each: (each.missing, -each.pixels))
    ranked: list[Candidate] = []
    for alike in _split(by_pixels, LARGER):
        alike.sort(key=lambda each: -(each.sharpness or 0))
        for as_sharp in _split_sharpness(alike):
            ranked += sorted(as_sharp, key=lambda each: ranks[each.id])
    return ranked


def _split(candidates: Sequence[Candidate], factor: float) -> list[list[Candidate]]:
    """Runs of candidates that have about the pixels of the first, of those sorted by pixels."""
    runs: list[list[Candidate]] = []
    for each in candidates:
        first = runs[-1][0] if runs else None
        is_alike = (
            first is not None
            and first.missing == each.missing
            and first.pixels < factor * each.pixels
        )
        if is_alike:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _split_sharpness(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Runs of candidates that are about as sharp as the first, of those sorted by sharpness."""
    runs: list[list[Candidate]] = []
    for each in candidates:
        first = (runs[-1][0].sharpness or 0) if runs else math.inf
        own = each.sharpness or 0
        if first < SHARPER * own or first == own:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _make_group(best: Candidate, rest: Sequence[Candidate]) -> Group:
    merits: list[Merit] = []
    if any(other.missing for other in rest) and not best.missing:
        merits.append("there")
    if all(best.pixels >= LARGER * other.pixels for other in rest):
        merits.append("larger")
    if best.sharpness and all(
        other.sharpness is not None and best.sharpness >= SHARPER * other.sharpness
        for other in rest
    ):
        merits.append("sharper")
    if best.answers and not any(other.answers for other in rest):
        merits.append("tagged")
    ids = (best.id, *(other.id for other in rest))
    return Group(ids, tuple(merits), sum(other.size for other in rest))


def _count_answers(connection: Connection, photo_ids: Sequence[int]) -> dict[int, int]:
    """How many answers about tags a person gave, by photo."""
    query = (
        select(verdicts.c.photo_id, func.count().label("answers"))
        .where(
            verdicts.c.photo_id.in_(photo_ids),
            verdicts.c.ended_by.is_(None),
            verdicts.c.present.is_not(None),
        )
        .group_by(verdicts.c.photo_id)
    )
    counts: dict[int, int] = dict.fromkeys(photo_ids, 0)
    row: Row[Any]
    for row in connection.execute(query):
        counts[row.photo_id] = row.answers
    return counts
