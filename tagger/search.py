"""Searches put to the catalogue: which photos, in which order, how many, with which tags.

Nothing of a search's text becomes SQL: a tree of `tagger.query` becomes conditions of SQLAlchemy,
and what was typed is only ever a parameter.
"""

from __future__ import annotations

import operator
import re
from datetime import UTC

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)

from tagger.query import And, Condition, Everything, Flag, Label, Not, Or, Query, fold, parse, span
from tagger.records import Sort
from tagger.schema import labels, models, photos, predictions, presences, tags, verdicts

Where = ColumnElement[bool]

_HERE = photos.c.deleted_by.is_(None)
_ORDERS: dict[Sort, tuple[ColumnElement[object], ...]] = {
    "newest": (photos.c.added_at.desc(), photos.c.id.desc()),
    "oldest": (photos.c.added_at, photos.c.id),
    "taken": (photos.c.taken_at.desc().nulls_last(), photos.c.id.desc()),
    "name": (photos.c.name_folded, photos.c.id),
    "surest": (photos.c.confidence.desc().nulls_last(), photos.c.id.desc()),
    "doubtful": (photos.c.doubt.desc().nulls_last(), photos.c.id.desc()),
}
_STATES: dict[str, Where] = {
    "unknown": photos.c.unknown,
    "reviewed": photos.c.reviewed,
    "tagged": photos.c.tag_count > 0,
    "untagged": photos.c.tag_count == 0,
}
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def find(
    connection: Connection, query: str | Query, sort: Sort, offset: int, limit: int
) -> tuple[list[int], int]:
    """Some of the photos found, by id in the order asked for, and how many there are in all.

    Raises QueryError.
    """
    where = _where(_tree(query))
    page = select(photos.c.id).where(_HERE, where).order_by(*_ORDERS[sort])
    found = connection.scalars(page.limit(limit).offset(offset)).all()
    return list(found), _count(connection, where)


def ids(connection: Connection, query: str | Query) -> list[int]:
    """Every photo found, by id, in order. Raises QueryError."""
    where = _where(_tree(query))
    return list(connection.scalars(select(photos.c.id).where(_HERE, where).order_by(photos.c.id)))


def count(connection: Connection, query: str | Query) -> int:
    """How many photos are found. Raises QueryError."""
    return _count(connection, _where(_tree(query)))


def label_counts(connection: Connection, query: str | Query) -> list[tuple[str, int]]:
    """The tags of the photos found and how many have each, the most frequent first, then by name.

    Raises QueryError.
    """
    found = select(photos.c.id).where(_HERE, _where(_tree(query)))
    number = func.count()
    counted = (
        select(labels.c.name, number)
        .join_from(tags, labels, labels.c.id == tags.c.label_id)
        .where(tags.c.photo_id.in_(found))
        .group_by(labels.c.id, labels.c.name)
        .order_by(number.desc(), labels.c.name)
    )
    return [(str(name), int(times)) for name, times in connection.execute(counted)]


def _count(connection: Connection, where: Where) -> int:
    counted = select(func.count()).select_from(photos).where(_HERE, where)
    return int(connection.execute(counted).scalar_one())


def _tree(query: str | Query) -> Query:
    return parse(query) if isinstance(query, str) else query


def _where(tree: Query, scope: tuple[Where, ...] = ()) -> Where:
    """The condition on `photos`; only tags within `scope` count."""
    match tree:
        case Everything():
            return true()
        case Label():
            return _tagged(_called(tree), *scope)
        case Flag(name):
            return _STATES[name]
        case Not(term):
            return not_(_where(term))
        case Or(terms):
            return or_(*(_where(term, scope) for term in terms))
        case And(terms):
            return _all_of(terms, scope)
        case Condition():
            return _tagged(_counts(tree), *scope) if _is_about_tags(tree) else _condition(tree)


def _all_of(terms: tuple[Query, ...], scope: tuple[Where, ...]) -> Where:
    asked = any(map(_asks_for_tags, terms))
    about = [t for t in terms if _is_about_tags(t) and (asked or not isinstance(t, Not))]
    rest = [term for term in terms if term not in about]
    own = (*scope, *map(_counts, about))
    alone = [_tagged(*own)] if about and not asked else []
    return and_(*alone, *(_where(term, own) for term in rest))


def _asks_for_tags(tree: Query) -> bool:
    """Whether there are tags here for `score` and `by` to be about."""
    return isinstance(tree, Label) or (
        isinstance(tree, And | Or) and any(map(_asks_for_tags, tree.terms))
    )


def _is_about_tags(tree: Query) -> bool:
    """Whether it says nothing but which tags count."""
    match tree:
        case Condition(field):
            return field in ("score", "by")
        case Not(term):
            return _is_about_tags(term)
        case And(terms) | Or(terms):
            return all(map(_is_about_tags, terms))
        case _:
            return False


def _tagged(*conditions: Where) -> Where:
    """Has a tag for which all of the conditions hold."""
    return photos.c.id.in_(select(tags.c.photo_id).where(*conditions))


def _called(label: Label) -> Where:
    """The condition on `tags` that its label is called so."""
    folded = fold(label.name)
    if not label.wildcard:
        return tags.c.label_id.in_(select(labels.c.id).where(labels.c.folded == folded))
    pattern = "%".join(map(_literally, folded.split("*")))
    alike = labels.c.folded.like(pattern, escape=_ESCAPE)
    return tags.c.label_id.in_(select(labels.c.id).where(alike))


def _counts(tree: Query) -> Where:
    """The condition on `tags` of a tree that `_is_about_tags`. It is never null, even for NOT."""
    match tree:
        case Condition("by", _, who):
            return tags.c.by_person if who == "person" else not_(tags.c.by_person)
        case Condition(_, comparison, value):
            given = or_(tags.c.by_person, tags.c.score.is_(None))
            score = case((given, literal(1.0)), else_=tags.c.score)
            counts: Where = _COMPARE[comparison](score, float(value))
            return counts
        case Not(term):
            return not_(_counts(term))
        case And(terms):
            return and_(*map(_counts, terms))
        case Or(terms):
            return or_(*map(_counts, terms))
        case _:
            raise TypeError(f"{tree} is not about tags")


def _condition(condition: Condition) -> Where:
    """The condition on `photos` of any other field."""
    match condition.field:
        case "added" | "taken":
            return _when(condition)
        case "id":
            return photos.c.id == int(condition.value)
        case "run":
            return photos.c.id.in_(_touched_by(int(condition.value)))
        case "model":
            alike = func.lower(models.c.name) == func.lower(condition.value)
            called = select(models.c.id).where(alike)
            return and_(photos.c.model_id.is_not(None), photos.c.model_id.in_(called))
        case "folder":
            # A slash has to follow, so that the file's own name is no folder.
            text = _literally(condition.value)
            inside = text if text.endswith("/") else f"{text}%/"
            return photos.c.path.ilike(f"%{inside}%", escape=_ESCAPE)
        case _:
            text = _literally(fold(condition.value))
            return photos.c.name_folded.like(f"%{text}%", escape=_ESCAPE)


def _when(condition: Condition) -> Where:
    begin, end = span(condition.value)
    column = photos.c.taken_at
    if condition.field == "added":
        column = photos.c.added_at
        begin, end = begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    within: dict[str, Where] = {
        "<": column < begin,
        "<=": column < end,
        "=": and_(column >= begin, column < end),
        ">=": column >= begin,
        ">": column >= end,
    }
    return and_(column.is_not(None), within[condition.comparison])


def _touched_by(run: int) -> CompoundSelect[tuple[int]]:
    """Photos that a run added, deleted, brought back, or said or took back something of."""
    layers = [
        select(layer.c.photo_id).where(mark == run)
        for layer in (presences, predictions, verdicts)
        for mark in (layer.c.placed_by, layer.c.ended_by)
    ]
    return union_all(*layers)


def _literally(text: str) -> str:
    """Text for a LIKE pattern in which nothing stands for anything else."""
    return re.sub(r"([%_\\])", r"\\\1", text)


_ESCAPE = "\\"
