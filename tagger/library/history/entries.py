"""Entries: a history of what no single photo is about, such as the models that tag.

An entry has a kind, a key and a value. The kinds, what their keys are, and the values:

* "models": "in_use", the models that tag new photos, in order: names, or paths of files that have
  none; "off", the names of models whose tags are not shown;
* "tag": the folded name of a tag, and a dictionary of what a person made of it: `shown_as`, the
  tag that it was renamed to or merged into, and `merged`, which is true if photos had that one;
  `written`, its name in another case, and `was`, that before; `hidden` and `never`, which are true;
  `parents` and `synonyms`, lists of names;
* "folder": the absolute path of a watched folder;
* "search": the name of a saved search;
* "head": the folded name of a tag that was learnt from examples; False switches it off;
* "different": a digest of the `photos` that it lists, near copies that a person kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from tagger.errors import OptionError
from tagger.library.database.schema import entries

Kind = Literal["models", "tag", "folder", "search", "head", "different"]

MAX_KEY = 2_000  # bytes: PostgreSQL's indexes take no longer ones


def load(connection: Connection, kind: Kind) -> dict[str, Any]:
    """The current values of a kind by key, in the order in which they were set."""
    query = (
        select(entries.c.key, entries.c.value)
        .where(entries.c.kind == kind, entries.c.ended_by.is_(None))
        .order_by(entries.c.id)
    )
    return {row.key: row.value for row in connection.execute(query)}


def load_value(connection: Connection, kind: Kind, key: str) -> Any:
    """The current value of a key; None if it has none."""
    is_key = entries.c.kind == kind, entries.c.key == key
    return connection.scalar(select(entries.c.value).where(*is_key, entries.c.ended_by.is_(None)))


def load_history(connection: Connection, kind: Kind) -> Sequence[Row[Any]]:
    """Every row of a kind, also those that ended, the oldest first."""
    query = select(entries).where(entries.c.kind == kind).order_by(entries.c.id)
    return connection.execute(query).all()


def save(connection: Connection, operation_id: int, kind: Kind, key: str, value: Any) -> None:
    """Set the value of a key; None ends it. The caller derives what follows from it.

    Raises OptionError for a key that is too long.
    """
    if len(key.encode(errors="surrogatepass")) > MAX_KEY:
        raise OptionError(f"{key[:60]}…: too long a name; it may have {MAX_KEY:,} bytes")
    is_current = entries.c.kind == kind, entries.c.key == key, entries.c.ended_by.is_(None)
    connection.execute(update(entries).where(*is_current).values(ended_by=operation_id))
    if value is not None:
        row = {"kind": kind, "key": key, "value": value, "run_id": operation_id}
        connection.execute(insert(entries).values(row))
