"""The files of an import or of tagging again: what is pending, and what became of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, insert, select, update

from tagger.concurrency import chunks
from tagger.library.database.schema import files

Outcome = Literal[
    "added",
    "updated",
    "restored",
    "moved",
    "missing",
    "removed",
    "duplicate",
    "tagged",
    "same",
    "failed",
    "no_photo",
    "left_out",
]

NO_PHOTO: Outcome = "no_photo"  # files of a folder that are not photos: only listed
LEFT_OUT: Outcome = "left_out"  # folders, links and hidden files that are not entered: likewise
MISSING: Outcome = "missing"  # photos of a watched folder whose files are gone: likewise
REMOVED: Outcome = "removed"  # such photos that were removed from the library
_ROWS = 1_000  # per INSERT statement


@dataclass(frozen=True)
class ImportFile:
    """A file to import, or with a `photo_id` a photo to tag again. `id` is its row in `files`.

    `data` is its content, if it is in memory already.
    """

    id: int
    path: str
    name: str
    photo_id: int | None = None
    data: bytes | None = None


def add_files(
    connection: Connection,
    operation_id: int,
    rows: Iterable[tuple[str, str, int | None]],
    outcome: Outcome | None = None,
    reason: str | None = None,
) -> None:
    """Add files to an operation: (path, name, and the photo's id where it is tagged again).

    With an `outcome`, and the `reason` for it, they count as processed; without one they are
    pending.
    """
    for batch in chunks(rows, _ROWS):
        values = [
            {
                "run_id": operation_id,
                "path": path,
                "name": name,
                "photo_id": photo_id,
                "outcome": outcome,
                "reason": reason,
            }
            for path, name, photo_id in batch
        ]
        connection.execute(insert(files), values)


def pending_files(
    connection: Connection, operation_id: int, limit: int, after: int = 0
) -> list[ImportFile]:
    """Files of an operation without an outcome, in order, from the row behind `after` on."""
    query = (
        select(files.c.id, files.c.path, files.c.name, files.c.photo_id)
        .where(files.c.run_id == operation_id, files.c.outcome.is_(None), files.c.id > after)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [
        ImportFile(row.id, row.path, row.name, row.photo_id) for row in connection.execute(query)
    ]


def save_outcomes(
    connection: Connection, outcomes: Iterable[tuple[int, Outcome, str | None, int | None]]
) -> None:
    """Set what became of files: (row, outcome, the reason if it failed, the photo's id)."""
    rows = [
        {"row": row, "new_outcome": outcome, "new_reason": reason, "new_photo": photo_id}
        for row, outcome, reason, photo_id in outcomes
    ]
    if rows:
        connection.execute(_SET_OUTCOME, rows)


_SET_OUTCOME = (
    update(files)
    .where(files.c.id == bindparam("row"))
    .values(
        outcome=bindparam("new_outcome"),
        reason=bindparam("new_reason"),
        photo_id=bindparam("new_photo"),
    )
)
