"""Terms of a query as SQLAlchemy conditions on rows of `photos` or `tags`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tagger.concurrency import chunks
from tagger.inference.vocabulary import Vocabulary
from tagger.library.database.schema import (
    contents,
    fields,
    labels,
    models,
    photos,
    predictions,
    presences,
    tags,
    undone,
    verdicts,
)
from tagger.library.search.grammar import And, Condition, Label, Not, Or, Query, date_range
from tagger.text import fold

Where = ColumnElement[bool]
LabelIds = Mapping[Label, tuple[int, ...]]

MAX_LABEL_IDS = 500  # for a label with wildcards
MAX_NAMES = 900  # of labels in a statement: databases limit the number of parameters

SHOWN_AS = func.coalesce(labels.c.shown_as, labels.c.id)  # the label that one is shown as
_TARGETS = labels.alias()
_STORED_LABELS = select(labels.c.folded, _TARGETS.c.id, _TARGETS.c.name).join(
    _TARGETS, _TARGETS.c.id == SHOWN_AS
)
DELETED = select(photos.c.id).where(photos.c.deleted_by.is_not(None))
IS_USED = exists().where(tags.c.label_id == labels.c.id, tags.c.photo_id.not_in(DELETED))

_COMPARE: dict[str, Callable[[Any, float], Where]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True)
class StoredLabel:
    """A label of the database."""

    id: int
    name: str


def find_label_ids(
    connection: Connection, terms: Iterable[Label], vocabulary: Vocabulary
) -> LabelIds:
    """The ids of the matching labels: a short list of ids is faster than a subquery.

    Terms with a wildcard and more than `MAX_LABEL_IDS` matches are left out.
    """
    names: dict[Label, tuple[str, ...]] = {}
    label_ids: dict[Label, tuple[int, ...]] = {}
    for label in set(terms):
        if not label.wildcard:
            names[label] = label_names(label, vocabulary)
            continue
        query = select(SHOWN_AS).where(_matches(label)).distinct().limit(MAX_LABEL_IDS + 1)
        ids = tuple(connection.scalars(query))
        if len(ids) <= MAX_LABEL_IDS:
            label_ids[label] = ids
    existing = find_labels(connection, chain.from_iterable(names.values()))
    for label, each in names.items():
        label_ids[label] = tuple(existing[name].id for name in each if name in existing)
    return label_ids


def label_names(label: Label, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The folded names of the labels that a term without wildcard finds, nearest first."""
    return (fold(label.name),) if label.exact else vocabulary.names(label.name)


def find_labels(
    connection: Connection, names: Iterable[str], used: bool = False
) -> dict[str, StoredLabel]:
    """The labels of the database with these folded names, by folded name.

    In place of a label that was renamed or merged is the one that it is shown as. With `used`,
    only those that are tags of photos which are not deleted.
    """
    query = _STORED_LABELS
    if used:
        is_tag = tags.c.label_id == _TARGETS.c.id, tags.c.photo_id.not_in(DELETED)
        query = query.where(exists().where(*is_tag))
    return {
        row.folded: StoredLabel(row.id, row.name)
        for chunk in chunks(dict.fromkeys(names), MAX_NAMES)
        for row in connection.execute(query.where(labels.c.folded.in_(chunk)))
    }


def used_labels(connection: Connection) -> dict[str, str]:
    """The names of all labels that are tags of photos which are not deleted, by folded name."""
    rows = connection.execute(select(labels.c.folded, labels.c.name).where(IS_USED))
    return {row.folded: row.name for row in rows}


def label_condition(terms: Sequence[Label], label_ids: LabelIds, by_photo: bool = False) -> Where:
    """The condition on `tags` that one of the labels matches, with one list of ids for all.

    With `by_photo`, adding 0 keeps SQLite from looking up each of several labels for each photo:
    it scans the photo's tags.
    """
    column = tags.c.label_id + 0 if by_photo else tags.c.label_id
    ids = tuple(dict.fromkeys(id for label in terms for id in label_ids.get(label, ())))
    is_match = tags.c.label_id == ids[0] if len(ids) == 1 else column.in_(ids)
    too_many = [_matches(label) for label in terms if label not in label_ids]
    if not too_many:
        return is_match
    return or_(is_match, column.in_(select(SHOWN_AS).where(or_(*too_many))))


def any_tag_condition(tree: Query) -> Where | None:
    """The condition on `photos` for a comparison with any tag's score; None if it needs `tags`."""
    match tree:
        case Condition("score", ">" | ">=" as comparison, value):
            return _COMPARE[comparison](func.coalesce(photos.c.highest, -1.0), float(value))
        case Condition("score", "<" | "<=" as comparison, value):
            return _COMPARE[comparison](func.coalesce(photos.c.lowest, 2.0), float(value))
        case _:
            return None


def tag_condition(tree: Query) -> Where:
    """The condition on `tags` of a tree of `score` and `by`. Never null, so that NOT works."""
    match tree:
        case Condition("by", _, who):
            return tags.c.by_person if who == "person" else not_(tags.c.by_person)
        case Condition(_, comparison, value):
            is_certain = or_(tags.c.by_person, tags.c.score.is_(None))
            score = case((is_certain, literal(1.0)), else_=tags.c.score)
            return _COMPARE[comparison](score, float(value))
        case Not(term):
            return not_(tag_condition(term))
        case And(terms):
            return and_(*map(tag_condition, terms))
        case Or(terms):
            return or_(*map(tag_condition, terms))
        case _:
            raise TypeError(f"{tree} is not about tags")


def photo_condition(condition: Condition) -> Where:
    """The condition on `photos` of a field other than `score` and `by`."""
    match condition.field:
        case "added" | "taken":
            return _date_condition(condition)
        case "confidence":
            confidence = func.coalesce(photos.c.confidence, literal(-1.0))  # never null
            is_known = photos.c.confidence.is_not(None)
            return and_(
                is_known, _COMPARE[condition.comparison](confidence, float(condition.value))
            )
        case "id":
            return photos.c.id == int(condition.value)
        case "run":
            return photos.c.id.in_(_photos_of_operation(int(condition.value)))
        case "model":
            same_name = func.lower(models.c.name) == func.lower(condition.value)
            ids = select(models.c.id).where(same_name)
            is_first = and_(photos.c.model_id.is_not(None), photos.c.model_id.in_(ids))
            tagged = exists().where(
                predictions.c.photo_id == photos.c.id,
                predictions.c.model_id.in_(ids),
                predictions.c.ended_by.is_(None),
            )
            is_only = photos.c.model_id.is_not(None) & (photos.c.model_count < 2)
            return or_(is_first, and_(~is_only, tagged.correlate(photos)))
        case "folder":
            return _CaseInsensitiveLike(photos.c.path, literal(_folder_pattern(condition)))
        case "rating":
            return _COMPARE[condition.comparison](photos.c.rating, int(condition.value))
        case "caption":
            has_caption = photos.c.caption_folded.is_not(None)
            return and_(has_caption, _contains(photos.c.caption_folded, condition))
        case _:
            return _contains(photos.c.name_folded, condition)


def index_condition(condition: Condition) -> Where | None:
    """A date's condition as a range over its indexed column; None for other fields."""
    if condition.field not in ("added", "taken"):
        return None
    column = photos.c.added_at if condition.field == "added" else photos.c.taken_at
    return _compare_dates(condition, column, column)


def listed_condition(photo: ColumnElement[int], ids: Iterable[int]) -> Where:
    """`photo` is one of `ids`, of which there may be many thousands."""
    id_list = _IdList(literal(",".join(map(str, ids))))
    return photo.op("IN", is_comparison=True, return_type=Boolean())(id_list)


def _contains(column: ColumnElement[Any], condition: Condition) -> Where:
    """The text of a column, folded, has the value as a part, or is like it if that has a `*`."""
    text = fold(condition.value)
    pattern = _pattern(text) if condition.wildcard else f"%{_escape(text)}%"
    return column.like(pattern, escape=_ESCAPE_CHARACTER)


def _folder_pattern(condition: Condition) -> str:
    """The pattern of paths in a folder; a slash must follow, to leave out the files' own names."""
    value = condition.value
    if condition.wildcard:
        folder = value.removesuffix("*") if value.endswith("/*") else value
        return _pattern(f"{folder.removesuffix('/')}/*")
    part = _escape(value) if value.endswith("/") else f"{_escape(value)}%/"
    return f"%{part}%"


def _date_condition(condition: Condition) -> Where:
    """Never null. COALESCE also keeps SQLite from sorting the whole range for a single page."""
    is_added = condition.field == "added"
    column = photos.c.added_at if is_added else photos.c.taken_at
    first, last = (
        moment.replace(tzinfo=UTC) if is_added else moment
        for moment in (datetime.min, datetime.max)
    )
    where = _compare_dates(condition, func.coalesce(column, last), func.coalesce(column, first))
    from_first = condition.comparison in ("=", ">=") and date_range(condition.value)[0]
    if from_first == datetime.min:  # which stands for no date as well
        return and_(where, column.is_not(None))
    return where


def _compare_dates(
    condition: Condition, before: ColumnElement[Any], after: ColumnElement[Any]
) -> Where:
    """`before` is the column for < and <=, `after` for > and >=; they differ in what null is."""
    begin, end = (
        moment.replace(tzinfo=UTC) if condition.field == "added" else moment
        for moment in date_range(condition.value)
    )
    comparisons: dict[str, Where] = {
        "<": before < begin,
        "<=": before < end,
        "=": and_(after >= begin, after < end),
        ">=": after >= begin,
        ">": after >= end,
    }
    return comparisons[condition.comparison]


def _photos_of_operation(operation_id: int) -> CompoundSelect[tuple[int]]:
    """Photos for which an operation added, ended or restored rows of a history."""
    queries = [
        select(table.c.photo_id).where(column == operation_id)
        for table in (presences, contents, predictions, verdicts, fields)
        for column in (table.c.run_id, table.c.ended_by)
    ]
    restored = select(undone.c.photo_id).where(
        undone.c.run_id == operation_id, undone.c.photo_id.is_not(None)
    )
    return union_all(*queries, restored)


def _matches(label: Label) -> Where:
    """The condition on `labels` of a term with wildcards."""
    return labels.c.folded.like(_pattern(fold(label.name)), escape=_ESCAPE_CHARACTER)


def _pattern(text: str) -> str:
    """A LIKE pattern in which each `*` of the text matches any text."""
    return "%".join(map(_escape, text.split("*")))


def _escape(text: str) -> str:
    """A LIKE pattern that matches the text literally."""
    return re.sub(r"([%_\\])", r"\\\1", text)


_ESCAPE_CHARACTER = "\\"


class _CaseInsensitiveLike(FunctionElement[bool]):
    """`text LIKE pattern`, like `ilike`, which lowers both on SQLite, where LIKE ignores case."""

    type = Boolean()
    inherit_cache = True


@compiles(_CaseInsensitiveLike)
def _compile_like(element: _CaseInsensitiveLike, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = element.clauses
    like = "ILIKE" if compiler.dialect.name == "postgresql" else "LIKE"
    return (
        f"({compiler.process(text, **options)} {like} {compiler.process(pattern, **options)}"
        f" ESCAPE '{_ESCAPE_CHARACTER}')"
    )


class _IdList(FunctionElement[int]):
    """The numbers of a text such as "1,2,3": one parameter, as databases limit their number."""

    type = Integer()
    inherit_cache = True


@compiles(_IdList)
def _compile_list(element: _IdList, compiler: SQLCompiler, **options: Any) -> str:
    (ids,) = (compiler.process(clause, **options) for clause in element.clauses)
    if compiler.dialect.name == "postgresql":
        return f"(SELECT unnest(CAST(string_to_array({ids}, ',') AS integer[])))"
    return f"(SELECT value FROM json_each('[' || {ids} || ']'))"
