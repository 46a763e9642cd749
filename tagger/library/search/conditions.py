"""What a term of a search asks of a row of `tags` or of `photos`, as a condition of SQLAlchemy."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
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
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tagger.library.database.schema import (
    labels,
    models,
    photos,
    predictions,
    presences,
    tags,
    undone,
    verdicts,
)
from tagger.library.search.grammar import And, Condition, Label, Not, Or, Query, date_range, fold

Where = ColumnElement[bool]
LabelIds = Mapping[Label, tuple[int, ...]]

MANY = 500  # labels of one name with a star

_COMPARE: dict[str, Callable[[Any, float], Where]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def label_ids(connection: Connection, asked: Iterable[Label]) -> LabelIds:
    """The ids of the labels that are called so: a list of few is searched faster than a question.

    Left out is what more than `MANY` are called.
    """
    found: dict[Label, tuple[int, ...]] = {}
    for label in set(asked):
        wanted = select(labels.c.id).where(_alike(label)).limit(MANY + 1)
        ids = tuple(connection.scalars(wanted))
        if len(ids) <= MANY:
            found[label] = ids
    return found


def called(label: Label, known: LabelIds) -> Where:
    """The condition on `tags` that its label is called so."""
    if label not in known:
        return tags.c.label_id.in_(select(labels.c.id).where(_alike(label)))
    ids = known[label]
    return tags.c.label_id == ids[0] if len(ids) == 1 else tags.c.label_id.in_(ids)


def of_any_tag(tree: Query) -> Where | None:
    """The condition on `photos` that a tag scores so, or None where only `tags` can tell."""
    match tree:
        case Condition("score", ">" | ">=" as comparison, value):
            return _COMPARE[comparison](func.coalesce(photos.c.highest, -1.0), float(value))
        case Condition("score", "<" | "<=" as comparison, value):
            return _COMPARE[comparison](func.coalesce(photos.c.lowest, 2.0), float(value))
        case _:
            return None


def counts(tree: Query) -> Where:
    """The condition on `tags` of a tree that says which tags count; never null, even for NOT."""
    match tree:
        case Condition("by", _, who):
            return tags.c.by_person if who == "person" else not_(tags.c.by_person)
        case Condition(_, comparison, value):
            given = or_(tags.c.by_person, tags.c.score.is_(None))
            score = case((given, literal(1.0)), else_=tags.c.score)
            return _COMPARE[comparison](score, float(value))
        case Not(term):
            return not_(counts(term))
        case And(terms):
            return and_(*map(counts, terms))
        case Or(terms):
            return or_(*map(counts, terms))
        case _:
            raise TypeError(f"{tree} is not about tags")


def holds(condition: Condition) -> Where:
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
            return _LikeInAnyCase(photos.c.path, literal(_folder(condition)))
        case _:
            text = fold(condition.value)
            pattern = _pattern(text) if condition.wildcard else f"%{_literally(text)}%"
            return photos.c.name_folded.like(pattern, escape=_ESCAPE)


def by_index(condition: Condition) -> Where | None:
    """The same, said so that an index is entered where the range begins; None for no range."""
    if condition.field not in ("added", "taken"):
        return None
    column = photos.c.added_at if condition.field == "added" else photos.c.taken_at
    return _within(condition, column, column)


def _folder(condition: Condition) -> str:
    """The pattern of paths in a folder. A slash follows, so that a file's own name is no folder."""
    value = condition.value
    if condition.wildcard:
        above = value.removesuffix("*") if value.endswith("/*") else value
        return _pattern(f"{above.removesuffix('/')}/*")
    inside = _literally(value) if value.endswith("/") else f"{_literally(value)}%/"
    return f"%{inside}%"


def _when(condition: Condition) -> Where:
    """Never null. COALESCE also keeps SQLite from sorting all that a range holds for one page."""
    added = condition.field == "added"
    column = photos.c.added_at if added else photos.c.taken_at
    first, last = (
        moment.replace(tzinfo=UTC) if added else moment for moment in (datetime.min, datetime.max)
    )
    return _within(condition, func.coalesce(column, last), func.coalesce(column, first))


def _within(condition: Condition, before: ColumnElement[Any], after: ColumnElement[Any]) -> Where:
    begin, end = (
        moment.replace(tzinfo=UTC) if condition.field == "added" else moment
        for moment in date_range(condition.value)
    )
    within: dict[str, Where] = {
        "<": before < begin,
        "<=": before < end,
        "=": and_(after >= begin, after < end),
        ">=": after >= begin,
        ">": after >= end,
    }
    return within[condition.comparison]


def _touched_by(run: int) -> CompoundSelect[tuple[int]]:
    """Photos that a run added, deleted, brought back, or said or took back something of."""
    layers = [
        select(layer.c.photo_id).where(mark == run)
        for layer in (presences, predictions, verdicts)
        for mark in (layer.c.run_id, layer.c.ended_by)
    ]
    return union_all(*layers, select(undone.c.photo_id).where(undone.c.run_id == run))


def _alike(label: Label) -> Where:
    folded = fold(label.name)
    if label.wildcard:
        return labels.c.folded.like(_pattern(folded), escape=_ESCAPE)
    return labels.c.folded == folded


def _pattern(text: str) -> str:
    """Text for a LIKE pattern in which each `*` stands for any text."""
    return "%".join(map(_literally, text.split("*")))


def _literally(text: str) -> str:
    """Text for a LIKE pattern in which nothing stands for anything else."""
    return re.sub(r"([%_\\])", r"\\\1", text)


_ESCAPE = "\\"


class _LikeInAnyCase(FunctionElement[bool]):
    """A text and a pattern. As `ilike`, which on SQLite lowers both, though its LIKE needs none."""

    type = Boolean()
    inherit_cache = True


@compiles(_LikeInAnyCase)
def _like(element: _LikeInAnyCase, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = element.clauses
    alike = "ILIKE" if compiler.dialect.name == "postgresql" else "LIKE"
    return (
        f"({compiler.process(text, **options)} {alike} {compiler.process(pattern, **options)}"
        f" ESCAPE '{_ESCAPE}')"
    )
