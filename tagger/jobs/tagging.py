"""Tagging jobs: importing files, and tagging photos of the library again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, update

from tagger.concurrency import AHEAD, chunks, merge_batches, ordered_map, worker_count
from tagger.errors import OptionError
from tagger.files import Skipped, has_photo_extension, is_gone, walk_files
from tagger.jobs import crash_probe
from tagger.jobs.lease import Lease
from tagger.jobs.requests import (
    ImportFolderRequest,
    ImportUploadsRequest,
    RetagRequest,
    TaggingRequest,
    list_models,
)
from tagger.library import derivation, photos
from tagger.library.database.schema import files
from tagger.library.importer import Importer, register_model
from tagger.library.job_files import LEFT_OUT, NO_PHOTO, ImportFile, add_files, pending_files
from tagger.library.models import edits as model_edits
from tagger.library.operations import count_outcomes
from tagger.library.storage import base_name
from tagger.tagger import Tagger
from tagger.text import count_noun

CRASH_REASON = "opening it crashes the program: skipped"
BATCH_SIZE = 16  # files read and tagged together
_MAX_WRITTEN = 64  # results in a transaction
_WRITE_SECONDS = 0.3  # between two transactions; what a crash undoes, and how often progress shows
_MAX_LISTED = 512  # rows in a query or insertion


def tag_files(lease: Lease, request: TaggingRequest) -> dict[str, Any]:
    """Import or re-tag the files of a job; the number of files by outcome.

    Raises OptionError where the folder is gone, ModelError where the model is.
    """
    names = list_models(request)
    taggers = [
        Tagger.load(name, lambda message: lease.set_columns(stage=message)) for name in names
    ]
    if isinstance(request, ImportFolderRequest) and not request.listed:
        _list_folder(lease, request)
    library = lease.library
    copy = not isinstance(request, RetagRequest) and request.copy
    space = library.space()
    importer = Importer(
        library.database,
        library.storage,
        taggers,
        copy,
        space.sha256 if space else None,
        heads=[] if isinstance(request, RetagRequest) else library.teaching.learn_active(),
        records_moves=isinstance(request, ImportFolderRequest) and request.watched,
    )
    with lease.write_transaction() as connection:
        model_ids = [register_model(connection, tagger) for tagger in taggers]
        model_edits.show(connection, lease.job_id, names)
    derivation.refresh_stale(library.database)
    if lease.job.attempts > 1:  # the attempt before this one processed nothing
        _skip_crashing_files(lease, max(tagger.image_size for tagger in taggers))
    lease.start_stage("Tagging")
    postpone = True
    while _tag_pending(lease, importer, model_ids, postpone):
        postpone = False
    if isinstance(request, ImportUploadsRequest):
        shutil.rmtree(request.uploads, ignore_errors=True)
    with library.database.read_transaction() as connection:
        return dict(count_outcomes(connection, lease.job_id))


def _tag_pending(
    lease: Lease, importer: Importer, model_ids: Sequence[int], postpone: bool
) -> bool:
    """Read, tag and record the pending files; whether some are pending still."""
    read_and_tag = partial(importer.read_and_tag, postpone=postpone)
    batches = ordered_map(read_and_tag, chunks(_pending_files(lease), BATCH_SIZE))
    left = 0
    for results in merge_batches(batches, _MAX_WRITTEN, _WRITE_SECONDS):
        with lease.write_transaction() as connection:
            outcomes = importer.record(connection, lease.job_id, model_ids, results)
            lease.add_done(connection, done := sum(outcomes.values()))
        left += len(results) - done
    return left > 0


def _list_folder(lease: Lease, request: ImportFolderRequest) -> None:
    """Add every file of the folder to the job, from the start if a crash cut the list short.

    Photos of the library whose files are gone from the folder are missing from then on.
    """
    folder = Path(request.folder)
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder on this computer")
    with lease.write_transaction() as connection:
        connection.execute(delete(files).where(files.c.run_id == lease.job_id))
    lease.set_columns(stage="Looking for photos")
    total, skipped = 0, Skipped()
    for paths in chunks(_walk_folder(lease, folder, skipped), _MAX_LISTED):
        photo_paths = [path for path in paths if has_photo_extension(path.name)]
        other_paths = [path for path in paths if not has_photo_extension(path.name)]
        with lease.write_transaction() as connection:
            add_files(connection, lease.job_id, _file_rows(photo_paths))
            add_files(connection, lease.job_id, _file_rows(other_paths), NO_PHOTO)
        total += len(photo_paths)
    with lease.library.database.read_transaction() as connection:
        in_folder = photos.find_in_folder(connection, folder)
    gone = [photo_id for photo_id, path in in_folder if is_gone(path)]
    with lease.write_transaction() as connection:
        _add_skipped(connection, lease.job_id, folder, skipped)
        photos.mark_missing(connection, gone)
    lease.set_columns(total=total, options=replace(request, listed=True).to_options())


def _walk_folder(lease: Lease, folder: Path, skipped: Skipped) -> Iterator[Path]:
    """Its files, without the library's own unless the folder lies inside the library."""
    home = lease.library.home.resolve()
    return walk_files(folder, skipped, None if folder.is_relative_to(home) else home)


def _add_skipped(connection: Connection, job_id: int, folder: Path, skipped: Skipped) -> None:
    """Add what the walk did not enter: what failed to open, and what was left out, by name."""
    for path, reason in skipped.unopened:
        sentence = f"a folder that cannot be opened ({reason})"
        add_files(connection, job_id, _file_rows([folder / path]), "failed", sentence)
    by_name: dict[str, list[str]] = {}
    for path in skipped.own_folders:
        by_name.setdefault(os.path.basename(path), []).append(path)
    for paths in by_name.values():
        kind = f"{count_noun(len(paths), 'folder')}, hidden or of a file system or program"
        add_files(connection, job_id, _file_rows([folder / paths[0]]), LEFT_OUT, kind)
    for path, why in skipped.links:
        add_files(connection, job_id, _file_rows([folder / path]), LEFT_OUT, f"a link that {why}")
    hidden = _file_rows(folder / path for path in skipped.hidden_photos)
    add_files(connection, job_id, hidden, LEFT_OUT, "a hidden file")


def _file_rows(paths: Iterable[Path]) -> list[tuple[str, str, None]]:
    return [(str(path), base_name(path.name), None) for path in paths]


def _skip_crashing_files(lease: Lease, side: int) -> None:
    """Mark pending files that kill the process as failed; only the next few may have been read."""
    lease.start_stage("Finding out which file broke it off")
    count = (worker_count() * AHEAD + 1) * BATCH_SIZE + _MAX_WRITTEN
    with lease.library.database.read_transaction() as connection:
        pending = pending_files(connection, lease.job_id, count)
        ids = [file.photo_id for file in pending if file.photo_id is not None]
        loaded = photos.load_photos(connection, ids, lease.library.home)
        photo_paths = {photo.id: str(photo.path) for photo in loaded}
    paths = [file.path or photo_paths.get(file.photo_id or 0, "") for file in pending]
    if crashing := crash_probe.find_crashing(paths, side):
        with lease.write_transaction() as connection:
            connection.execute(
                update(files)
                .where(files.c.id.in_([pending[index].id for index in crashing]))
                .values(outcome="failed", reason=CRASH_REASON)
            )
            lease.add_done(connection, len(crashing))


def _pending_files(lease: Lease) -> Iterator[ImportFile]:
    last_id = 0
    while True:
        with lease.library.database.read_transaction() as connection:
            batch = pending_files(connection, lease.job_id, _MAX_LISTED, last_id)
        if not batch:
            return
        yield from batch
        last_id = batch[-1].id
