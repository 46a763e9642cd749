"""What people wrote of photos: ratings and captions, a history (see `database.schema`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection, insert, update

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import derivation
from tagger.library.database.schema import CHUNK, fields

Field = Literal["rating", "caption"]

MAX_CAPTION = 2_000  # characters


def save(
    connection: Connection, operation_id: int, photo_ids: Sequence[int], field: Field, value: Any
) -> None:
    """Set a field of photos; None removes it."""
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(fields)
            .where(
                fields.c.photo_id.in_(chunk),
                fields.c.field == field,
                fields.c.ended_by.is_(None),
            )
            .values(ended_by=operation_id)
        )
        if value is not None:
            row = {"field": field, "value": value, "run_id": operation_id}
            connection.execute(insert(fields), [{"photo_id": each, **row} for each in chunk])
    derivation.refresh(connection, photo_ids)


def validate_caption(text: str) -> str | None:
    """A caption typed by a person, without spaces around it; None if it is empty.

    Raises OptionError for one that is too long, or not text.
    """
    caption = text.replace("\r\n", "\n").strip()
    if len(caption) > MAX_CAPTION:
        raise OptionError(f"a caption has at most {MAX_CAPTION:,} characters; got {len(caption):,}")
    if any(not each.isprintable() and each not in "\n\t\u200c\u200d" for each in caption):
        raise OptionError("a caption is text; it has characters that cannot be seen")
    return caption or None
