"""Query planner: a search tree becomes SQL for a page of photos, their number, or their tags.

Text of a query never becomes SQL: the tree becomes SQLAlchemy conditions, in which it is a bound
parameter.

Designed for 100,000 photos and 500,000 tags in SQLite: each condition is a list of ids from a
covering index, and counting starts from the smallest list, such as the tags of one label, rather
than from all photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

from tagger.concurrency import chunks
from tagger.inference.vocabulary import Vocabulary
from tagger.library.database.schema import CHUNK, labels, photos, tags
from tagger.library.photos import TAG_ORDER
from tagger.library.records import FAVOURITE, Sort
from tagger.library.search import conditions
from tagger.library.search.conditions import DELETED, LabelIds, Where
from tagger.library.search.grammar import (
    And,
    Condition,
    Everything,
    Flag,
    Label,
    Like,
    Listed,
    Not,
    Or,
    Query,
    label_terms,
    single_terms,
)

MAX_SORTED = 2000  # matches: up to this many, all are sorted for a page
MAX_PROBED = 2000  # photos in order: up to this many, each is tested for a match
PROBE_FACTOR = 4  # times as many are tested as needed if matches were spread evenly

Ids = Select[tuple[int]] | CompoundSelect[tuple[int]]

_PRESENT = photos.c.deleted_by.is_(None)
# The same, written so that SQLite scans the covering index, or the table, and never looks up rows
# of the table one by one in the order of another index.
_PRESENT_BY_SCAN = (photos.c.deleted_by + 0).is_(None)
_ORDERS: dict[Sort, tuple[ColumnElement[Any], ...]] = {
    "newest": (photos.c.added_at.desc(), photos.c.id.desc()),
    "oldest": (photos.c.added_at, photos.c.id),
    "timeline": (photos.c.dated_at.desc(), photos.c.id.desc()),
    "rating": (photos.c.rating.desc(), photos.c.dated_at.desc(), photos.c.id.desc()),
    "taken": (photos.c.taken_at.desc().nulls_last(), photos.c.id.desc()),
    "name": (photos.c.name_folded, photos.c.id),
    "surest": (photos.c.confidence.desc().nulls_last(), photos.c.id.desc()),
    "doubtful": (photos.c.doubt.desc().nulls_last(), photos.c.id.desc()),
}
_ORDERS["likeness"] = _ORDERS["newest"]  # of photos that no description ranks
_STATES: dict[str, Where] = {
    "unknown": photos.c.unknown,
    "reviewed": photos.c.reviewed,
    "tagged": photos.c.tag_count > 0,
    "untagged": photos.c.tag_count == 0,
    "missing": photos.c.missing,
    "favourite": photos.c.rating == FAVOURITE,
}


def find_page(
    connection: Connection,
    tree: Query,
    vocabulary: Vocabulary,
    sort: Sort,
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    """The ids of a page of matching photos in order, and the number of all."""
    plan = _plan_query(connection, tree, vocabulary)
    total = _count(connection, plan)
    return (
        _find_page(connection, plan, total, sort, offset, limit) if offset < total else []
    ), total


def find_ranked_page(
    connection: Connection,
    tree: Query,
    vocabulary: Vocabulary,
    ranked: Sequence[int],
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    """As `find_page`, with the photos in `ranked` first, in their order, then the newest.

    `ranked` photos that do not match are left out.
    """
    plan = _plan_query(connection, tree, vocabulary)
    total = _count(connection, plan)
    listed = _ListFilter(tuple(ranked))
    matching: set[object] = set(connection.scalars(_select_ids(_join_and([listed, plan]))))
    first = [photo_id for photo_id in ranked if photo_id in matching]
    ids = first[offset : offset + limit]
    if len(ids) < limit and offset + len(ids) < total:
        unranked, number = _join_and([plan, _Not(listed)]), total - len(first)
        start = max(0, offset - len(first))
        ids += _find_page(connection, unranked, number, "newest", start, limit - len(ids))
    return ids, total


def find_ids(connection: Connection, tree: Query, vocabulary: Vocabulary) -> list[int]:
    """The ids of all matching photos, ascending."""
    plan = _plan_query(connection, tree, vocabulary)
    return sorted(set(connection.scalars(_select_ids(plan))))


def count_photos(connection: Connection, tree: Query, vocabulary: Vocabulary) -> int:
    """The number of matching photos."""
    return _count(connection, _plan_query(connection, tree, vocabulary))


def has_match(connection: Connection, tree: Query, vocabulary: Vocabulary) -> bool:
    """Whether any photo matches."""
    plan = _plan_query(connection, tree, vocabulary)
    return connection.scalar(_select_ids(plan).limit(1)) is not None


def count_labels(
    connection: Connection, tree: Query, vocabulary: Vocabulary
) -> list[tuple[str, int]]:
    """The tags of matching photos and how often each occurs, most frequent first, then by name."""
    plan = _plan_query(connection, tree, vocabulary)
    if plan is _EVERYTHING:
        is_match = tags.c.photo_id.not_in(DELETED)
    else:
        matches = _select_ids(plan).subquery()
        is_match = tags.c.photo_id.in_(select(matches.c.id))
    number = func.count().label("number")
    counted = select(tags.c.label_id, number).where(is_match).group_by(tags.c.label_id).subquery()
    counts = (
        select(labels.c.name, counted.c.number)
        .join(counted, counted.c.label_id == labels.c.id)
        .where(~labels.c.hidden)
        .order_by(counted.c.number.desc(), labels.c.name)
    )
    return [(str(name), int(times)) for name, times in connection.execute(counts)]


def find_matching_tags(
    connection: Connection, tree: Query, vocabulary: Vocabulary, photo_ids: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    """The tags for which a query finds photos, by photo, as `Photo.tags` are ordered.

    Photos that are found for something else are left out.
    """
    terms = list(label_terms(tree))
    if not terms:
        return {}
    label_ids = conditions.find_label_ids(connection, terms, vocabulary)
    wheres = list(_tag_conditions(tree, label_ids))
    by_photo: dict[int, list[str]] = {}
    for chunk in chunks(photo_ids if wheres else (), CHUNK):
        matching = (
            select(tags.c.photo_id, labels.c.name)
            .join(labels, labels.c.id == tags.c.label_id)
            .where(tags.c.photo_id.in_(chunk), or_(*wheres))
            .order_by(*TAG_ORDER)
        )
        for photo_id, name in connection.execute(matching):
            by_photo.setdefault(photo_id, []).append(name)
    return {photo_id: tuple(names) for photo_id, names in by_photo.items()}


def _tag_conditions(
    tree: Query, label_ids: LabelIds, scope: tuple[Where, ...] = ()
) -> Iterator[Where]:
    """A condition on `tags` for each label that is not negated, with its `score` and `by`."""
    match tree:
        case Label():
            yield and_(conditions.label_condition([tree], label_ids), *scope)
        case Or(terms):
            for term in terms:
                yield from _tag_conditions(term, label_ids, scope)
        case And(terms):
            about = _scope_terms(terms)
            own = (*scope, *map(conditions.tag_condition, about))
            for term in terms:
                if term not in about:
                    yield from _tag_conditions(term, label_ids, own)


def _plan_query(connection: Connection, tree: Query, vocabulary: Vocabulary) -> Plan:
    return _plan(tree, conditions.find_label_ids(connection, label_terms(tree), vocabulary))


def _find_page(
    connection: Connection, plan: Plan, total: int, sort: Sort, offset: int, limit: int
) -> list[int]:
    """A page of ids. Few matches are sorted; for many, the index of the order is scanned."""
    order = _ORDERS[sort]
    page = select(photos.c.id).order_by(*order).limit(limit).offset(offset)
    if total <= MAX_SORTED:
        matches = _select_ids(plan).subquery()
        return list(connection.scalars(page.where(photos.c.id.in_(select(matches.c.id)))).all())
    last = connection.scalar(select(func.max(photos.c.id)))
    probes = PROBE_FACTOR * (offset + limit) * (last or 0) // total
    if probes <= MAX_PROBED and not isinstance(plan, _PhotoFilter):
        first = select(photos.c.id).where(_PRESENT).order_by(*order).limit(probes).subquery()
        probed = page.join(first, first.c.id == photos.c.id)
        ids = connection.scalars(probed.where(_condition(plan, photos.c.id, few=True))).all()
        if len(ids) == limit:
            return list(ids)
    return list(connection.scalars(page.where(_PRESENT, _condition(plan, photos.c.id))).all())


# A plan: the tree in terms of conditions on rows of `tags` and of `photos`.


@dataclass(frozen=True)
class _TagFilter:
    """Photos with a tag for which `where` is true.

    `by_photo` is the same for tags that are looked up by photo; None if it names no labels.
    """

    where: Where
    by_photo: Where | None

    @property
    def by_label(self) -> bool:
        """Whether the index of labels has few tags for it."""
        return self.by_photo is not None


@dataclass(frozen=True)
class _PhotoFilter:
    """Photos for which `where` is true; `index_where` is the same for a scan of an index."""

    where: Where
    index_where: Where | None = None


@dataclass(frozen=True)
class _ListFilter:
    """The photos with these ids."""

    ids: tuple[int, ...]

    def where(self, photo: ColumnElement[int]) -> Where:
        """`photo` is one of them."""
        return conditions.listed_condition(photo, self.ids)


@dataclass(frozen=True)
class _Not:
    term: Plan


@dataclass(frozen=True)
class _And:
    terms: tuple[Plan, ...]


@dataclass(frozen=True)
class _Or:
    terms: tuple[Plan, ...]


Plan = _TagFilter | _PhotoFilter | _ListFilter | _Not | _And | _Or
_EVERYTHING = _PhotoFilter(true())


def _plan(tree: Query, label_ids: LabelIds, scope: tuple[Where, ...] = ()) -> Plan:
    """The plan of a tree. `scope` are the `score` and `by` conditions that its tags must meet."""
    match tree:
        case Everything():
            return _EVERYTHING
        case Flag(name):
            return _PhotoFilter(_STATES[name])
        case Label(name, wildcard):
            if wildcard and not scope and not name.strip("*"):
                return _PhotoFilter(_STATES["tagged"])
            return _any_label([tree], label_ids, scope)
        case Condition():
            if _is_about_tags(tree):
                return _any_tag((tree,), scope)
            return _PhotoFilter(conditions.photo_condition(tree), conditions.index_condition(tree))
        case Like(text):
            raise TypeError(f"{text!r} is to be looked up first, by library.descriptions")
        case Listed(ids):
            return _ListFilter(ids)
        case Not(term):
            plan = _plan(term, label_ids)
            return _PhotoFilter(not_(plan.where)) if isinstance(plan, _PhotoFilter) else _Not(plan)
        case Or(terms):
            words = [term for term in terms if isinstance(term, Label) and not term.wildcard]
            plans = [_plan(term, label_ids, scope) for term in terms if term not in words]
            return _join_or([*plans, *([_any_label(words, label_ids, scope)] if words else [])])
        case And(terms):
            return _join_and(_plan_group(terms, label_ids, scope))


def _plan_group(
    terms: tuple[Query, ...], label_ids: LabelIds, scope: tuple[Where, ...]
) -> list[Plan]:
    """The terms of an AND group; its `score` and `by` conditions are the scope of the others."""
    has_labels, about = any(map(_has_labels, terms)), _scope_terms(terms)
    own = (*scope, *map(conditions.tag_condition, about))
    plans = [_plan(term, label_ids, own) for term in terms if term not in about]
    return [_any_tag(about, scope), *plans] if about and not has_labels else plans


def _scope_terms(terms: tuple[Query, ...]) -> tuple[Query, ...]:
    """The terms of an AND group that are `score` and `by` conditions on the tags of the others."""
    has_labels = any(map(_has_labels, terms))
    return tuple(t for t in terms if _is_about_tags(t) and (has_labels or not isinstance(t, Not)))


def _any_label(terms: Sequence[Label], label_ids: LabelIds, scope: tuple[Where, ...]) -> _TagFilter:
    """Photos with a tag that one of the labels matches and that meets the scope."""
    where, by_photo = (
        and_(conditions.label_condition(terms, label_ids, by_photo), *scope)
        for by_photo in (False, True)
    )
    return _TagFilter(where, by_photo)


def _any_tag(about: tuple[Query, ...], scope: tuple[Where, ...]) -> Plan:
    """Photos with any tag that meets all of these conditions."""
    alone = conditions.any_tag_condition(about[0]) if len(about) == 1 and not scope else None
    if alone is not None:
        return _PhotoFilter(alone)
    return _TagFilter(and_(*scope, *map(conditions.tag_condition, about)), by_photo=None)


def _join_or(plans: list[Plan]) -> Plan:
    """OR, with at most one condition on photos and one on tags."""
    flat = [t for plan in plans for t in (plan.terms if isinstance(plan, _Or) else (plan,))]
    on_photos = [plan for plan in flat if isinstance(plan, _PhotoFilter)]
    on_tags = [plan for plan in flat if isinstance(plan, _TagFilter)]
    terms: list[Plan] = [plan for plan in flat if not isinstance(plan, _PhotoFilter | _TagFilter)]
    if on_photos:
        terms.append(_PhotoFilter(or_(*(plan.where for plan in on_photos))))
    if on_tags:
        by_photo = [plan.by_photo for plan in on_tags if plan.by_photo is not None]
        is_by_label = len(by_photo) == len(on_tags)
        where = or_(*(plan.where for plan in on_tags))
        terms.append(_TagFilter(where, or_(*by_photo) if is_by_label else None))
    return terms[0] if len(terms) == 1 else _Or(tuple(terms))


def _join_and(plans: list[Plan]) -> Plan:
    """AND, with at most one condition on photos, the first term."""
    flat = [t for plan in plans for t in (plan.terms if isinstance(plan, _And) else (plan,))]
    on_photos = [plan for plan in flat if isinstance(plan, _PhotoFilter)]
    rest = [plan for plan in flat if not isinstance(plan, _PhotoFilter)]
    if len(on_photos) > 1:
        on_photos = [_PhotoFilter(and_(*(plan.where for plan in on_photos)))]
    terms: list[Plan] = [*on_photos, *rest]
    return terms[0] if len(terms) == 1 else _And(tuple(terms))


def _has_labels(tree: Query) -> bool:
    """Whether there are labels in this group for `score` and `by` to apply to."""
    return isinstance(tree, Label) or (
        isinstance(tree, And | Or) and any(map(_has_labels, tree.terms))
    )


def _is_about_tags(tree: Query) -> bool:
    """Whether it consists of `score` and `by` only."""
    return all(
        isinstance(term, Condition) and term.field in ("score", "by")
        for term, _ in single_terms(tree)
    )


def _select_ids(plan: Plan) -> Ids:
    """The ids of matching photos, possibly with repeats."""
    if isinstance(plan, _Or):
        return union_all(*map(_select_ids, plan.terms))
    terms = plan.terms if isinstance(plan, _And) else (plan,)
    if lists := [term for term in terms if isinstance(term, _ListFilter)]:
        shortest = min(lists, key=lambda term: len(term.ids))
        rest = [term for term in terms if term is not shortest]
        match rest:
            case [_TagFilter(_, by_photo)] if by_photo is not None:  # no row of `photos` is read
                is_match = by_photo, shortest.where(tags.c.photo_id)
                present = tags.c.photo_id.not_in(DELETED)
                return select(tags.c.photo_id.label("id")).where(*is_match, present)
        where = [_condition(term, photos.c.id, few=True) for term in rest]
        where += [shortest.where(photos.c.id), _PRESENT_BY_SCAN]
        return select(photos.c.id).where(*where)
    drivers = [t for t in terms if isinstance(t, _TagFilter) and (t.by_label or len(terms) == 1)]
    if not drivers:
        present = _PRESENT if plan is _EVERYTHING else _PRESENT_BY_SCAN
        return select(photos.c.id).where(present, *(_condition(t, photos.c.id) for t in terms))
    driver = drivers[0]
    rest = [term for term in terms if term is not driver]
    conditions = [driver.where, *(_condition(term, tags.c.photo_id) for term in rest)]
    if not any(isinstance(term, _PhotoFilter) for term in rest):
        conditions.append(tags.c.photo_id.not_in(DELETED))
    return select(tags.c.photo_id.label("id")).where(*conditions)


def _condition(plan: Plan, photo: Column[int], few: bool = False) -> Where:
    """The condition on rows of `photos` or `tags`; `photo` is the column with the photo's id.

    For `few` rows each is looked up. For many, the condition is a list of ids; adding 0 to the
    column keeps SQLite from looking up rows for each entry of the list.
    """
    on_photos = photo.table is photos
    match plan:
        case _PhotoFilter(where, _) if on_photos:
            return where
        case _PhotoFilter(where, index_where):
            terms = (_PRESENT_BY_SCAN, where) if index_where is None else (_PRESENT, index_where)
            return (photo + 0).in_(select(photos.c.id).where(*terms))
        case _TagFilter(where, by_photo) if on_photos and (few or by_photo is None):
            return exists().where(tags.c.photo_id == photo, where).correlate(photos)
        case _TagFilter(where):
            return (photo + 0).in_(select(tags.c.photo_id).where(where))
        case _ListFilter():
            return plan.where(photo + 0)
        case _Not(term):
            return not_(_condition(term, photo, few))
        case _And(terms):
            return and_(*(_condition(term, photo, few) for term in terms))
        case _Or(terms):
            return or_(*(_condition(term, photo, few) for term in terms))


def _count(connection: Connection, plan: Plan) -> int:
    """The number of matches; often all photos less the others is faster."""
    if isinstance(plan, _Not):
        return _count(connection, _EVERYTHING) - _count(connection, plan.term)
    if isinstance(plan, _TagFilter):
        # Grouping sorts, which is faster than DISTINCT, which looks up each row.
        each = select(tags.c.photo_id).where(plan.where).group_by(tags.c.photo_id).subquery()
        number = select(func.count()).select_from(each)
        is_tagged = exists().where(tags.c.photo_id == photos.c.id, plan.where).correlate(photos)
        deleted = select(func.count()).where(photos.c.deleted_by.is_not(None), is_tagged)
        return _number(connection, number) - _number(connection, deleted)
    matches = _select_ids(plan).subquery()
    repeats = not isinstance(plan, _PhotoFilter)
    number = select(func.count(matches.c.id.distinct() if repeats else matches.c.id))
    return _number(connection, number)


def _number(connection: Connection, query: Select[int]) -> int:
    return int(connection.execute(query).scalar_one())
