"""The version of what a library shows: its photos, their tags, and what tags are called.

Pages keep lists and counts in memory for as long as it stays the same.
"""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, delete, insert, select

from tagger.library.database.schema import settings

NAME = "version"  # of the setting


def renew(connection: Connection) -> None:
    """Give the library another version, in the transaction of the change.

    It is no number: a library that is restored from a copy must not count to the same one again.
    """
    connection.execute(delete(settings).where(settings.c.name == NAME))
    connection.execute(insert(settings).values(name=NAME, value=uuid4().hex))


def load(connection: Connection) -> str:
    """The current version; empty before the first change."""
    return str(connection.scalar(select(settings.c.value).where(settings.c.name == NAME)) or "")
