"""What people change at once: tags, deletions, undoings; each a run, its photos some at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import operations, photos, tags
from tagger.library import undo as undoing
from tagger.library.database.database import Database
from tagger.library.database.schema import settings
from tagger.library.operations import Kind, Operation
from tagger.library.storage import Storage
from tagger.library.undo import UndoResult

OWED = "files_to_discard"  # of the settings
TOGETHER = 1_000  # photos changed at a time, in about half a second


def edit_tags(
    catalogue: Database, ids: Sequence[int], add: Sequence[str], remove: Sequence[str]
) -> int:
    """See `Library.edit_tags`."""
    present = [tags.validate_label(label) for label in add]
    absent = [tags.validate_label(label) for label in remove]
    if not present and not absent:
        raise OptionError("no tags to add or remove: name one")
    told = [f"Add {label}" for label in present] + [f"Remove {label}" for label in absent]

    def judge(connection: Connection, run_id: int, some: Sequence[int]) -> None:
        tags.save_annotations(connection, run_id, some, present, absent)

    return _change(catalogue, "edit", ", ".join(told), ids, judge)


def withdraw(catalogue: Database, ids: Sequence[int], labels: Sequence[str]) -> int:
    """See `Library.withdraw`."""

    def take_back(connection: Connection, run_id: int, some: Sequence[int]) -> None:
        known = tags.label_ids(connection, labels, add=False)
        tags.end_annotations(connection, run_id, some, list(known.values()))
        tags.refresh_tags(connection, some)

    told = f"Take back what was said of {', '.join(labels)}"
    return _change(catalogue, "edit", told, ids, take_back)


def delete(catalogue: Database, ids: Sequence[int]) -> int:
    """See `Library.delete`."""
    return _change(catalogue, "delete", "Delete", ids, photos.delete_photos)


def undo(catalogue: Database, run_id: int) -> UndoResult:
    """See `Library.undo`."""
    with catalogue.read_transaction() as connection:
        touched = undoing.touched(connection, operations.get(connection, run_id))
    changed: set[int] = set()
    begun: tuple[Operation, int] | None = None
    for some in list(chunks(touched, TOGETHER)) or [[]]:
        with catalogue.write_transaction() as connection:
            begun = begun or undoing.begin(connection, run_id)
            changed |= undoing.undo_some(connection, *begun, some)
            operations.set_columns(connection, begun[1], total=len(changed), done=len(changed))
            if touched and not changed and some[-1] == touched[-1]:
                undoing.give_up(connection, *begun)
    if begun is None or (touched and not changed):
        raise OptionError("nothing is left to undo: all of it was changed again since")
    return UndoResult(begun[1], len(changed), len(touched) - len(changed))


def purge(catalogue: Database, shelf: Storage) -> int:
    """See `Library.purge`."""
    with catalogue.write_transaction() as connection:
        if operations.list_latest(
            connection, operations.MAX_ACTIVE, operations.RESUMABLE, active=True
        ):
            raise OptionError("photos are being imported or tagged: wait until that is over")
        gone = photos.purge(connection)
        _owe(connection, [*_owed(connection), *gone])
    with catalogue.write_transaction() as connection:  # nobody else counts on a copy meanwhile
        owed = _owed(connection)
        back = photos.find_by_digest(connection, [sha256 for sha256, _ in owed])
        for sha256, stored in owed:
            if sha256 not in back:
                shelf.delete_files(sha256, stored)
        _owe(connection, [])
    return len(gone)


def _owed(connection: Connection) -> list[tuple[str, str | None]]:
    """Photos that are forgotten but whose files may still be there; see `Shelf.discard`.

    Files go only after the forgetting is written: a kill in between leaves files too many, which
    the next purge removes, and never a photo whose file is gone.
    """
    found = connection.scalar(select(settings.c.value).where(settings.c.name == OWED))
    return [(sha256, stored) for sha256, stored in found or ()]


def _owe(connection: Connection, photos_gone: Sequence[tuple[str, str | None]]) -> None:
    connection.execute(settings.delete().where(settings.c.name == OWED))
    if photos_gone:
        value = [list(one) for one in photos_gone]
        connection.execute(settings.insert().values(name=OWED, value=value))


def _change(
    catalogue: Database,
    kind: Kind,
    title: str,
    ids: Sequence[int],
    work: Callable[[Connection, int, Sequence[int]], None],
) -> int:
    """A run that changes photos, some at a time, so that others need not wait for long.

    Raises OptionError where none of the photos is in the library.
    """
    with catalogue.read_transaction() as connection:
        found = photos.filter_existing(connection, ids)
    if not found:
        raise OptionError("nothing to change: no such photo is in the library")
    run_id = None
    for part in chunks(found, TOGETHER):
        with catalogue.write_transaction() as connection:
            if run_id is None:
                many = "1 photo" if len(found) == 1 else f"{len(found):,} photos"
                run_id = operations.create(connection, kind, f"{title} ({many})", total=len(found))
            work(connection, run_id, photos.filter_existing(connection, part))
    return run_id or 0
