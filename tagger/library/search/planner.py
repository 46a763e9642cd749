"""Searches put to the catalogue: which photos, in which order, how many, with which tags.

Nothing of a search's text becomes SQL: a tree of `tagger.query` becomes conditions of SQLAlchemy,
and what was typed is only ever a parameter.

What makes it quick, with 100,000 photos and 500,000 tags in SQLite: each condition is a list of
ids read from an index that holds all it asks for, and photos are counted by going through the
shortest way there is, the tags of a label rather than every photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    union_all,
)

from tagger.library.database.schema import labels, photos, tags
from tagger.library.records import Sort
from tagger.library.search import conditions
from tagger.library.search.conditions import LabelIds, Where
from tagger.library.search.grammar import (
    And,
    Condition,
    Everything,
    Flag,
    Label,
    Not,
    Or,
    Query,
    parse,
)

SPARSE = 2000  # photos found, up to which all of them are sorted for a page
NEAR = 2000  # first photos in order, up to which each is asked whether it is one of those found
AMPLE = 4  # times as many are asked as would do if those found were spread evenly

Ids = Select[tuple[int]] | CompoundSelect[tuple[int]]

_HERE = photos.c.deleted_by.is_(None)
# The same, said so that SQLite goes through all of the one index that has every column asked for,
# or through the table, and never looks up the table's rows one by one in an index's order.
_ALL_HERE = (photos.c.deleted_by + 0).is_(None)
_DELETED = select(photos.c.id).where(photos.c.deleted_by.is_not(None))
_ORDERS: dict[Sort, tuple[ColumnElement[Any], ...]] = {
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


def find_page(
    connection: Connection, query: str | Query, sort: Sort, offset: int, limit: int
) -> tuple[list[int], int]:
    """Some of the photos found, by id in the order asked for, and how many there are in all.

    Raises QueryError.
    """
    plan = _plan_of(connection, query)
    total = _count(connection, plan)
    return (_page(connection, plan, total, sort, offset, limit) if offset < total else []), total


def find_ids(connection: Connection, query: str | Query) -> list[int]:
    """Every photo found, by id, in order. Raises QueryError."""
    return sorted(set(connection.scalars(_ids(_plan_of(connection, query)))))


def count_photos(connection: Connection, query: str | Query) -> int:
    """How many photos are found. Raises QueryError."""
    return _count(connection, _plan_of(connection, query))


def count_labels(connection: Connection, query: str | Query) -> list[tuple[str, int]]:
    """The tags of the photos found and how many have each, the most frequent first, then by name.

    Raises QueryError.
    """
    plan = _plan_of(connection, query)
    if plan is _EVERYTHING:
        of_found = tags.c.photo_id.not_in(_DELETED)
    else:
        found = _ids(plan).subquery()
        of_found = tags.c.photo_id.in_(select(found.c.id))
    number = func.count().label("number")
    counted = select(tags.c.label_id, number).where(of_found).group_by(tags.c.label_id).subquery()
    named = (
        select(labels.c.name, counted.c.number)
        .join(counted, counted.c.label_id == labels.c.id)
        .order_by(counted.c.number.desc(), labels.c.name)
    )
    return [(str(name), int(times)) for name, times in connection.execute(named)]


def _plan_of(connection: Connection, query: str | Query) -> Plan:
    tree = parse(query) if isinstance(query, str) else query
    return _plan(tree, conditions.label_ids(connection, _labels(tree)))


def _labels(tree: Query) -> Iterator[Label]:
    match tree:
        case Label():
            yield tree
        case Not(term):
            yield from _labels(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from _labels(term)


def _page(
    connection: Connection, plan: Plan, total: int, sort: Sort, offset: int, limit: int
) -> list[int]:
    """Few are sorted. Of many, there are probably enough among the first photos in that order."""
    order = _ORDERS[sort]
    page = select(photos.c.id).order_by(*order).limit(limit).offset(offset)
    if total <= SPARSE:
        every = _ids(plan).subquery()
        return list(connection.scalars(page.where(photos.c.id.in_(select(every.c.id)))))
    last = connection.scalar(select(func.max(photos.c.id)))
    reach = AMPLE * (offset + limit) * (last or 0) // total
    if reach <= NEAR and not isinstance(plan, _Kept):
        near = select(photos.c.id).where(_HERE).order_by(*order).limit(reach).subquery()
        among = page.join(near, near.c.id == photos.c.id)
        found = connection.scalars(among.where(_holds(plan, photos.c.id, near=True))).all()
        if len(found) == limit:
            return list(found)
    return list(connection.scalars(page.where(_HERE, _holds(plan, photos.c.id))))


# What a tree amounts to in terms of tables: conditions on rows of `tags`, on rows of `photos`.


@dataclass(frozen=True)
class _Tagged:
    """Photos with a tag for which `where` holds; `labelled` if it says of which labels."""

    where: Where
    labelled: bool


@dataclass(frozen=True)
class _Kept:
    """Photos for which `where` holds; `by_index` says the same for a list of all of them."""

    where: Where
    by_index: Where | None = None


@dataclass(frozen=True)
class _Not:
    term: Plan


@dataclass(frozen=True)
class _Each:
    terms: tuple[Plan, ...]


@dataclass(frozen=True)
class _Either:
    terms: tuple[Plan, ...]


Plan = _Tagged | _Kept | _Not | _Each | _Either
_EVERYTHING = _Kept(true())


def _plan(tree: Query, known: LabelIds, scope: tuple[Where, ...] = ()) -> Plan:
    """Of the tags, only those within `scope` count."""
    match tree:
        case Everything():
            return _EVERYTHING
        case Flag(name):
            return _Kept(_STATES[name])
        case Label(name, wildcard):
            if wildcard and not scope and not name.strip("*"):
                return _Kept(_STATES["tagged"])
            return _Tagged(and_(conditions.called(tree, known), *scope), labelled=True)
        case Condition():
            if _is_about_tags(tree):
                return _any_tag((tree,), scope)
            return _Kept(conditions.holds(tree), conditions.by_index(tree))
        case Not(term):
            plan = _plan(term, known)
            return _Kept(not_(plan.where)) if isinstance(plan, _Kept) else _Not(plan)
        case Or(terms):
            return _either([_plan(term, known, scope) for term in terms])
        case And(terms):
            return _each(_plans(terms, known, scope))


def _plans(terms: tuple[Query, ...], known: LabelIds, scope: tuple[Where, ...]) -> list[Plan]:
    """Of the terms of a group, those that are about tags put in the scope of the others."""
    asked = any(map(_asks_for_tags, terms))
    about = tuple(t for t in terms if _is_about_tags(t) and (asked or not isinstance(t, Not)))
    own = (*scope, *map(conditions.counts, about))
    plans = [_plan(term, known, own) for term in terms if term not in about]
    return [_any_tag(about, scope), *plans] if about and not asked else plans


def _any_tag(about: tuple[Query, ...], scope: tuple[Where, ...]) -> Plan:
    """Photos with a tag, whichever, that all of this is so of."""
    alone = conditions.of_any_tag(about[0]) if len(about) == 1 and not scope else None
    if alone is not None:
        return _Kept(alone)
    return _Tagged(and_(*scope, *map(conditions.counts, about)), labelled=False)


def _either(plans: list[Plan]) -> Plan:
    """With one condition of each kind: on photos, on tags, and whatever else there is."""
    flat = [t for plan in plans for t in (plan.terms if isinstance(plan, _Either) else (plan,))]
    kept = [plan for plan in flat if isinstance(plan, _Kept)]
    tagged = [plan for plan in flat if isinstance(plan, _Tagged)]
    terms: list[Plan] = [plan for plan in flat if not isinstance(plan, _Kept | _Tagged)]
    if kept:
        terms.append(_Kept(or_(*(plan.where for plan in kept))))
    if tagged:
        labelled = all(plan.labelled for plan in tagged)
        terms.append(_Tagged(or_(*(plan.where for plan in tagged)), labelled))
    return terms[0] if len(terms) == 1 else _Either(tuple(terms))


def _each(plans: list[Plan]) -> Plan:
    """With at most one condition on photos, the first."""
    flat = [t for plan in plans for t in (plan.terms if isinstance(plan, _Each) else (plan,))]
    kept = [plan for plan in flat if isinstance(plan, _Kept)]
    rest = [plan for plan in flat if not isinstance(plan, _Kept)]
    if len(kept) > 1:
        kept = [_Kept(and_(*(plan.where for plan in kept)))]
    terms: list[Plan] = [*kept, *rest]
    return terms[0] if len(terms) == 1 else _Each(tuple(terms))


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


def _ids(plan: Plan) -> Ids:
    """The photos, some perhaps more than once."""
    if isinstance(plan, _Either):
        return union_all(*map(_ids, plan.terms))
    terms = plan.terms if isinstance(plan, _Each) else (plan,)
    ways = [t for t in terms if isinstance(t, _Tagged) and (t.labelled or len(terms) == 1)]
    if not ways:
        here = _HERE if plan is _EVERYTHING else _ALL_HERE
        return select(photos.c.id).where(here, *(_holds(t, photos.c.id) for t in terms))
    way, others = ways[0], [term for term in terms if term is not ways[0]]
    conditions = [way.where, *(_holds(term, tags.c.photo_id) for term in others)]
    if not any(isinstance(term, _Kept) for term in others):
        conditions.append(tags.c.photo_id.not_in(_DELETED))
    return select(tags.c.photo_id.label("id")).where(*conditions)


def _holds(plan: Plan, photo: Column[int], near: bool = False) -> Where:
    """The condition on rows of `photos` or `tags`, `photo` being the column that says which.

    `near` is for few of them: each is looked up by itself. Else there are lists, and adding
    nothing to the column keeps SQLite from looking up rows for every entry of a list.
    """
    on_photos = photo.table is photos
    match plan:
        case _Kept(where, _) if on_photos:
            return where
        case _Kept(where, by_index):
            listed = (_ALL_HERE, where) if by_index is None else (_HERE, by_index)
            return (photo + 0).in_(select(photos.c.id).where(*listed))
        case _Tagged(where, labelled) if on_photos and (near or not labelled):
            return exists().where(tags.c.photo_id == photo, where).correlate(photos)
        case _Tagged(where):
            return (photo + 0).in_(select(tags.c.photo_id).where(where))
        case _Not(term):
            return not_(_holds(term, photo, near))
        case _Each(terms):
            return and_(*(_holds(term, photo, near) for term in terms))
        case _Either(terms):
            return or_(*(_holds(term, photo, near) for term in terms))


def _count(connection: Connection, plan: Plan) -> int:
    """The whole less a part is often the shorter way."""
    if isinstance(plan, _Not):
        return _count(connection, _EVERYTHING) - _count(connection, plan.term)
    if isinstance(plan, _Tagged):
        # Grouped, since that sorts, which is faster than to look each up among those before.
        each = select(tags.c.photo_id).where(plan.where).group_by(tags.c.photo_id).subquery()
        number = select(func.count()).select_from(each)
        tagged = exists().where(tags.c.photo_id == photos.c.id, plan.where).correlate(photos)
        gone = select(func.count()).where(photos.c.deleted_by.is_not(None), tagged)
        return _number(connection, number) - _number(connection, gone)
    found = _ids(plan).subquery()
    repeats = not isinstance(plan, _Kept)
    number = select(func.count(found.c.id.distinct() if repeats else found.c.id))
    return _number(connection, number)


def _number(connection: Connection, query: Select[int]) -> int:
    return int(connection.execute(query).scalar_one())
