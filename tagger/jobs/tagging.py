"""The jobs that tag: importing files, and tagging photos again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update

from tagger.concurrency import AHEAD, chunks, ordered_map, worker_count
from tagger.errors import OptionError
from tagger.files import visible
from tagger.images import decode
from tagger.jobs import crash_probe
from tagger.jobs.lease import Claim
from tagger.library import photos
from tagger.library.contents import ImportFile
from tagger.library.database.schema import files
from tagger.library.importer import (
    NO_PHOTO,
    Importer,
    ImportResult,
    add_files,
    pending_files,
    register_model,
)
from tagger.library.operations import count_outcomes
from tagger.library.storage import base_name
from tagger.tagger import Tagger

Result = dict[str, Any]

FATAL = "opening it ends the program that does: left out"
TOGETHER = 16  # files looked at at a time
_RECORDED = 64  # files recorded at a time, at most
_RECORD_SECONDS = 0.3  # after which fewer are: a crash undoes no more, and progress shows
_LISTED = 512  # rows read at a time


def tag_files(claim: Claim) -> Result:
    """Import the files of a run, or tag its photos again; how many came to which outcome."""
    options = claim.run.options
    tagger = Tagger.load(options["model"], lambda told: claim.tell(stage=told))
    if not options["listed"]:
        _list_folder(claim, Path(options["folder"]))
    library = claim.library
    copy = bool(options.get("copy"))
    importer = Importer(library.database, library.storage, tagger, copy)
    with claim.writing() as connection:
        model = register_model(connection, tagger)
    if claim.run.attempts > 1:  # the last one ended without getting on
        _set_fatal_aside(claim, tagger.image_size)
    claim.begin_stage("Tagging")
    for seen in _gathered(ordered_map(importer.read_and_tag, chunks(_waiting(claim), TOGETHER))):
        with claim.writing() as connection:
            importer.record(connection, claim.run_id, model, seen)
            claim.advance(connection, len(seen))
    if uploads := options.get("uploads"):
        shutil.rmtree(uploads, ignore_errors=True)
    with library.database.read_transaction() as connection:
        return dict(count_outcomes(connection, claim.run_id))


def _gathered(looked: Iterable[list[ImportResult]]) -> Iterator[list[ImportResult]]:
    """Several lists at once where they come quickly: a transaction costs the same for any of them.

    What comes slowly waits for nothing.
    """
    gathered: list[ImportResult] = []
    recorded = time.monotonic()
    for seen in looked:
        gathered += seen
        if len(gathered) >= _RECORDED or time.monotonic() - recorded > _RECORD_SECONDS:
            yield gathered
            gathered = []
            recorded = time.monotonic()
    if gathered:
        yield gathered


def _list_folder(claim: Claim, folder: Path) -> None:
    """Write down every file of a folder, all anew if a crash left the list half written."""
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder on this machine")
    with claim.writing() as connection:
        connection.execute(delete(files).where(files.c.run_id == claim.run_id))
    claim.tell(stage="Looking for photos")
    total = 0
    for some in chunks(_files_of(claim, folder), _LISTED):
        named_so = [path for path in some if decode.is_named_so(path)]
        others = [path for path in some if not decode.is_named_so(path)]
        with claim.writing() as connection:
            add_files(connection, claim.run_id, _rows(named_so))
            add_files(connection, claim.run_id, _rows(others), NO_PHOTO)
        total += len(named_so)
    claim.tell(total=total, options={**claim.run.options, "listed": True})


def _files_of(claim: Claim, folder: Path) -> Iterator[Path]:
    """What a person keeps in a folder, without what the library keeps in its own."""
    own = claim.library.home.resolve()
    inside = folder.is_relative_to(own)
    return (path for path in visible(folder) if inside or not path.is_relative_to(own))


def _rows(paths: Iterable[Path]) -> list[tuple[str, str, None]]:
    return [(str(path), base_name(path.name), None) for path in paths]


def _set_fatal_aside(claim: Claim, side: int) -> None:
    """Let those files fail, of the next few, that bring down whatever process opens them."""
    claim.begin_stage("Finding out which file broke it off")
    held = (worker_count() * AHEAD + 1) * TOGETHER + _RECORDED  # as many as may be begun or done
    with claim.library.database.read_transaction() as connection:
        some = pending_files(connection, claim.run_id, held)
        ids = [file.photo_id for file in some if file.photo_id is not None]
        kept = {p.id: str(p.path) for p in photos.load_photos(connection, ids, claim.library.home)}
    paths = [file.path or kept.get(file.photo_id or 0, "") for file in some]
    if found := crash_probe.fatal(paths, side):
        with claim.writing() as connection:
            connection.execute(
                update(files)
                .where(files.c.id.in_([some[place].id for place in found]))
                .values(outcome="failed", reason=FATAL)
            )
            claim.advance(connection, len(found))


def _waiting(claim: Claim) -> Iterator[ImportFile]:
    after = 0
    while True:
        with claim.library.database.read_transaction() as connection:
            some = pending_files(connection, claim.run_id, _LISTED, after)
        if not some:
            return
        yield from some
        after = some[-1].id
