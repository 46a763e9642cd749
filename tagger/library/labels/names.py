"""Labels: the names of tags in the database, and what a person made of them.

A label may be renamed to, or merged into, another one: its tags are then shown as that one's.
Which labels are is derived from the entries of the kind "tag" (see `library.history.entries`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    cast,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library.database.schema import CHUNK, labels, photos, predictions, tags, verdicts
from tagger.library.history import entries
from tagger.text import fold, is_visible

MAX_LABEL = 100  # characters


@dataclass(frozen=True)
class LabelRules:
    """The labels that are not simply themselves, by id.

    `shown_as` is the label that one was renamed to or merged into. Tags of `hidden` labels are not
    listed. Models do not give the tags in `never`.
    """

    shown_as: Mapping[int, int]
    hidden: frozenset[int]
    never: frozenset[int]

    def resolve(self, label_id: int) -> int:
        """The label that this one is shown as: itself, unless it was renamed."""
        return self.shown_as.get(label_id, label_id)

    def is_never(self, label_id: int) -> bool:
        """Whether models do not give this tag, or the one that it is shown as."""
        return label_id in self.never or self.resolve(label_id) in self.never


def validate_label(text: str) -> str:
    """A label typed by a person, without extra spaces. Raises OptionError if it is not valid."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_LABEL or not is_visible(name):
        raise OptionError(
            f"a tag is 1 to {MAX_LABEL} characters that can be seen; got {text[:MAX_LABEL]!r}"
        )
    return name


def list_shown(connection: Connection) -> list[str]:
    """Every label that photos can show, in alphabetical order: none renamed or hidden."""
    is_listed = labels.c.shown_as.is_(None) & ~labels.c.hidden
    query = select(labels.c.name).where(is_listed).order_by(labels.c.folded)
    return list(connection.scalars(query))


def label_ids(connection: Connection, names: Iterable[str], add: bool = True) -> dict[str, int]:
    """Label ids by name; new labels are added, or left out if not `add`.

    Labels are case-insensitive: "Cat" is the label "cat" if that one exists. A renamed label is
    itself here, not the one that it is shown as.
    """
    folded = {name: fold(name) for name in names}
    ids: dict[str, int] = {}
    for chunk in chunks(sorted(set(folded.values())), CHUNK):
        query = select(labels.c.folded, labels.c.id).where(labels.c.folded.in_(chunk))
        ids.update((row.folded, row.id) for row in connection.execute(query))
    for name, key in folded.items():
        if key not in ids and add:
            new = insert(labels).values(name=name, folded=key).returning(labels.c.id)
            ids[key] = connection.execute(new).scalar_one()
    return {name: ids[key] for name, key in folded.items() if key in ids}


def load_rules(connection: Connection) -> LabelRules:
    """The labels that a person renamed, merged, hid or never wants."""
    is_special = or_(labels.c.shown_as.is_not(None), labels.c.hidden, labels.c.never)
    columns = labels.c.id, labels.c.shown_as, labels.c.hidden, labels.c.never
    rows = connection.execute(select(*columns).where(is_special)).all()
    return LabelRules(
        shown_as={row.id: row.shown_as for row in rows if row.shown_as is not None},
        hidden=frozenset(row.id for row in rows if row.hidden),
        never=frozenset(row.id for row in rows if row.never),
    )


def refresh_labels(connection: Connection) -> None:
    """Derive the columns of `labels` from the entries; mark the photos with such tags as stale."""
    edits = entries.load(connection, "tag")
    targets = {edit["shown_as"] for edit in edits.values() if edit.get("shown_as")}
    ids = label_ids(connection, [*edits, *targets])
    direct = {ids[key]: ids[e["shown_as"]] for key, e in edits.items() if e.get("shown_as")}
    before = load_rules(connection)
    after = LabelRules(
        shown_as=_resolve(direct),
        hidden=frozenset(ids[key] for key, edit in edits.items() if edit.get("hidden")),
        never=frozenset(ids[key] for key, edit in edits.items() if edit.get("never")),
    )
    every = {*before.shown_as, *before.hidden, *before.never}
    every |= {*after.shown_as, *after.hidden, *after.never}
    changed = {
        label_id
        for label_id in every
        if any(
            of(before, label_id) != of(after, label_id)
            for of in (LabelRules.resolve, LabelRules.is_never, _is_hidden)
        )
    }
    for label_id in sorted(every):
        columns: dict[str, Any] = {
            "shown_as": after.shown_as.get(label_id),
            "hidden": label_id in after.hidden,
            "never": label_id in after.never,
        }
        connection.execute(update(labels).where(labels.c.id == label_id).values(columns))
    _rename(connection, edits, ids)
    if changed:
        _mark_stale(connection, changed)


def find_aliases(connection: Connection, label_ids: Iterable[int]) -> dict[int, int]:
    """The labels that are shown as these, by id, with the label that each is shown as."""
    rules = load_rules(connection)
    targets = set(label_ids)
    return {
        label_id: rules.resolve(label_id)
        for label_id in rules.shown_as
        if rules.resolve(label_id) in targets
    }


def _resolve(direct: Mapping[int, int]) -> dict[int, int]:
    """The label at the end of each chain of renamed ones. What leads round is left out."""
    resolved: dict[int, int] = {}
    for label_id in direct:
        passed, last = {label_id}, direct[label_id]
        while last in direct and last not in passed:
            passed.add(last)
            last = direct[last]
        if last not in passed:
            resolved[label_id] = last
    return resolved


def _is_hidden(rules: LabelRules, label_id: int) -> bool:
    return label_id in rules.hidden


def _rename(connection: Connection, edits: Mapping[str, Any], ids: Mapping[str, int]) -> None:
    """Set how labels are written; `was` is how one was before its first change of that."""
    originals = {
        row.key: row.value["was"]
        for row in reversed(entries.load_history(connection, "tag"))
        if row.value.get("was")
    }
    for key, original in originals.items():
        name = edits.get(key, {}).get("written", original)
        is_label = labels.c.folded == key
        connection.execute(update(labels).where(is_label).values(name=name))


def _mark_stale(connection: Connection, label_ids: set[int]) -> None:
    """Mark the photos that have, or would have, one of the tags."""
    is_current = predictions.c.ended_by.is_(None)
    by_person = verdicts.c.label_id.in_(label_ids), verdicts.c.ended_by.is_(None)
    patterns = [json.dumps(name) for name in _find_spellings(connection, label_ids)]
    text = cast(predictions.c.tags, Text)  # as JSON, which is ASCII
    is_predicted = or_(false(), *(text.contains(each, autoescape=True) for each in patterns))
    queries = (
        select(tags.c.photo_id).where(tags.c.label_id.in_(label_ids)),
        select(verdicts.c.photo_id).where(*by_person),
        select(predictions.c.photo_id).where(is_current, is_predicted),
    )
    has_tag = or_(*(photos.c.id.in_(query) for query in queries))
    connection.execute(update(photos).where(has_tag).values(stale=True))


def _find_spellings(connection: Connection, label_ids: set[int]) -> list[str]:
    """How current predictions write these labels: databases do not fold all letters as we do."""
    is_postgresql = connection.dialect.name == "postgresql"
    split = func.json_array_elements if is_postgresql else func.json_each
    tag = split(predictions.c.tags).table_valued("value")
    name: ColumnElement[str] = tag.c.value.op("->>")(0)
    if not is_postgresql:
        name = func.json_extract(tag.c.value, "$[0]")
    query = select(name).select_from(predictions.join(tag, true())).distinct()
    names = connection.scalars(query.where(predictions.c.ended_by.is_(None)))
    keys = set(connection.scalars(select(labels.c.folded).where(labels.c.id.in_(label_ids))))
    return sorted(each for each in names if fold(each) in keys)
