"""Long work as it is planned: a queued run in the catalogue, which `tagger.jobs` then does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from tagger.errors import OptionError
from tagger.inference import registry
from tagger.library import operations, photos
from tagger.library.database.database import Database
from tagger.library.importer import add_files
from tagger.library.operations import MAX_ACTIVE, Kind
from tagger.library.search import planner
from tagger.library.storage import Storage
from tagger.text import escape_controls

MAX_MODEL_NAME = 60  # characters


@dataclass(frozen=True)
class Training:
    """A training to plan: a labelled folder, and the name the model is to have.

    The rest as in `tagger.options.Options`; `epochs` of fine-tuning, 0 for the head alone.
    """

    data: str
    name: str
    epochs: int = 8
    image_size: int = 192
    weights: str = "imagenet"
    seed: int = 42
    about: str = ""


def folder_import(catalogue: Database, folder: str, copy: bool, model: str) -> int:
    """See `Library.plan_folder_import`."""
    place = Path(folder.strip()).expanduser()
    if not folder.strip() or not place.is_absolute():
        raise OptionError(f"{folder or 'nothing'}: give the whole path of a folder, from / on")
    if not place.is_dir():
        raise OptionError(f"{place}: no such folder on this machine")
    place = place.resolve()
    options = {"folder": str(place), "copy": copy, "model": model, "listed": False}
    return _plan(catalogue, "import", f"Import {escape_controls(str(place))}", options)


def upload_import(
    catalogue: Database, shelf: Storage, uploads: Iterable[tuple[str, BinaryIO]], model: str
) -> int:
    """See `Library.plan_upload_import`."""
    waiting, received = shelf.save_uploads(uploads)
    if not received:
        raise OptionError("no files were given: choose some photos first")
    what = received[0][1] if len(received) == 1 else f"{len(received):,} photos"
    options = {"uploads": waiting, "copy": True, "model": model, "listed": True}
    with catalogue.write_transaction() as connection:
        run_id = _queue(connection, "import", f"Import {what}", options, len(received))
        add_files(connection, run_id, ((path, name, None) for path, name in received))
    return run_id


def retag(catalogue: Database, query: str, model: str, ids: Sequence[int] | None) -> int:
    """See `Library.plan_retag`."""
    options = {"model": model, "query": query, "listed": True}
    with catalogue.write_transaction() as connection:
        found = (
            planner.find_ids(connection, query)
            if ids is None
            else photos.filter_existing(connection, ids)
        )
        if not found:
            raise OptionError("no photos to tag again: nothing in the library matches")
        what = "1 photo" if len(found) == 1 else f"{len(found):,} photos"
        title = f"Tag {what} again with {Path(model).stem}"
        run_id = _queue(connection, "retag", title, options, len(found))
        named = photos.load_names(connection, found)
        add_files(connection, run_id, (("", named[photo], photo) for photo in found))
    return run_id


def check(catalogue: Database, data: str) -> int:
    """See `Library.plan_check`."""
    return _plan(
        catalogue, "check", f"Check {escape_controls(data)}", {"data": str(Path(data).expanduser())}
    )


def training(catalogue: Database, request: Training) -> int:
    """See `Library.plan_training`."""
    name = request.name
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    if not plain or len(name) > MAX_MODEL_NAME:
        raise OptionError(
            f"{name!r}: a model's name is 1 to {MAX_MODEL_NAME} letters, digits, - and _"
        )
    if name.casefold() in (*registry.BUNDLED, registry.IMAGENET):  # some file systems know no case
        raise OptionError(f"{name} comes with Image Tagger: give yours another name")
    options = asdict(request) | {"data": str(Path(request.data).expanduser())}
    with catalogue.write_transaction() as connection:
        for run in operations.list_latest(connection, MAX_ACTIVE, ("train",), active=True):
            if run.options["name"].casefold() == name.casefold():
                raise OptionError(f"{name} is being trained already: wait, or give another name")
        return _queue(connection, "train", f"Train {name}", options)


def again(catalogue: Database, run_id: int) -> int:
    """See `Library.plan_again`."""
    with catalogue.write_transaction() as connection:
        run = operations.get(connection, run_id)
        if not run.resumable:
            raise OptionError(f"run {run_id} ({run.title}) is {run.status}: nothing to go on with")
        if operations.was_undone(connection, run_id):
            raise OptionError(f"run {run_id} ({run.title}) was undone: begin anew instead")
        operations.set_columns(
            connection,
            run_id,
            status="queued",
            stop_asked=False,
            finished_at=None,
            error=None,
            claim=None,
            attempts=0,
            heartbeat_at=datetime.now(UTC),
        )
    return run_id


def _plan(catalogue: Database, kind: Kind, title: str, options: dict[str, Any]) -> int:
    with catalogue.write_transaction() as connection:
        return _queue(connection, kind, title, options)


def _queue(
    connection: Connection, kind: Kind, title: str, options: dict[str, Any], total: int = 0
) -> int:
    run_id = operations.create(connection, kind, title, options, queued=True, total=total)
    # As if it had just been at work: whoever looks for runs left behind passes it over for now.
    operations.set_columns(connection, run_id, heartbeat_at=datetime.now(UTC))
    return run_id
