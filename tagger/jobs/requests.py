"""Job requests: what each kind of job is asked to do, stored as the operation's `options`.

A job is an operation that a process of its own carries out; see `tagger.jobs.worker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from sqlalchemy import Connection

from tagger.errors import OptionError
from tagger.files import is_gone
from tagger.inference import registry
from tagger.library import job_files, operations, photos, vectors
from tagger.library.folders.changes import FolderChanges
from tagger.library.folders.watched import resolve_folder
from tagger.library.library import Library
from tagger.library.operations import MAX_ACTIVE, Kind, Operation
from tagger.library.storage import base_name
from tagger.text import count_noun, escape_controls

MAX_MODEL_NAME = 60  # characters
EMBED_TITLE = "Prepare photos for search by description"
COMPARE_TITLE = "Look for duplicates"
_NOT_STORED = ("files", "ids")  # they become rows of the table `files`


@dataclass(frozen=True)
class _Request:
    """Conversion between a request and the JSON in the operation's `options`."""

    KIND: ClassVar[Kind]

    def to_options(self) -> dict[str, Any]:
        """The stored form, plain JSON values; fields that are None are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_STORED}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Self:
        """The request that was stored. Raises KeyError where a field without default is missing."""
        names = [f.name for f in fields(cls) if f.name in options or f.default is MISSING]
        return cls(**{name: options[name] for name in names})


@dataclass(frozen=True)
class ImportFolderRequest(_Request):
    """Import every photo in a folder of this machine, given by its absolute path.

    Photos stay where they are and are never changed; with `copy` the library keeps copies. They are
    tagged by `model`, or by several `models`, by default those in use. `listed`: the folder's files
    are in the database. `watched`: they are the changes in a watched folder, see `submit_changes`.
    """

    KIND = "import"

    folder: str
    copy: bool = False
    model: str | None = None
    listed: bool = False
    models: Sequence[str] | None = None
    watched: bool = False


@dataclass(frozen=True)
class ImportUploadsRequest(_Request):
    """Import files given by name and content, as copies.

    `uploads` is the folder in the library where they wait for the import, set by `submit`.
    """

    KIND = "import"

    files: Iterable[tuple[str, BinaryIO]] = ()
    model: str | None = None
    uploads: str = ""
    copy: bool = True
    listed: bool = True
    models: Sequence[str] | None = None


@dataclass(frozen=True)
class RetagRequest(_Request):
    """Tag photos again: those with the ids given, or those that the query finds.

    Each of the `models`, by default those in use, replaces the tags of its own earlier versions
    alone. Annotations stay, and photos that this very model has tagged are skipped.
    """

    KIND = "retag"

    query: str = ""
    model: str | None = None
    ids: Sequence[int] | None = None
    listed: bool = True
    models: Sequence[str] | None = None


@dataclass(frozen=True)
class CheckRequest(_Request):
    """Audit a labelled folder before training on it; `merge_case` as in `TrainingConfig`."""

    KIND = "check"

    data: str
    merge_case: bool = False


@dataclass(frozen=True)
class TrainRequest(_Request):
    """Train a model called `name` on a labelled folder; other fields as in `TrainingConfig`.

    `epochs` of fine-tuning; 0 trains the head alone. While the job runs, `folder` is its run
    folder and `epoch` the epoch that is under way, counted from 1.
    """

    KIND = "train"

    data: str
    name: str
    epochs: int = 8
    image_size: int = 192
    weights: str = registry.IMAGENET
    seed: int = 42
    about: str = ""
    merge_case: bool = False
    none_of_these: str | None = None
    folder: str | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class EmbedRequest(_Request):
    """Give every photo a vector in the space of a model, for descriptions and similar photos.

    Nothing is tagged. `model` is its file, `space` is `Tagger.space`.
    """

    KIND = "embed"

    model: str
    space: str


@dataclass(frozen=True)
class CompareRequest(_Request):
    """Look for near copies among the photos that were not compared with the others yet."""

    KIND = "compare"


TaggingRequest = ImportFolderRequest | ImportUploadsRequest | RetagRequest
JobRequest = TaggingRequest | EmbedRequest | CompareRequest | CheckRequest | TrainRequest


def list_models(request: TaggingRequest) -> list[str]:
    """The models of a submitted request, in order."""
    return list(request.models or [request.model or ""])


def load_request(job: Operation) -> JobRequest:
    """The request that a job was queued with."""
    match job.kind:
        case "import" if "uploads" in job.options:
            return ImportUploadsRequest.from_options(job.options)
        case "import":
            return ImportFolderRequest.from_options(job.options)
        case "retag":
            return RetagRequest.from_options(job.options)
        case "embed":
            return EmbedRequest.from_options(job.options)
        case "compare":
            return CompareRequest.from_options(job.options)
        case "check":
            return CheckRequest.from_options(job.options)
        case "train":
            return TrainRequest.from_options(job.options)
    raise ValueError(f"operation {job.id} is no job: {job.kind}")


def submit(library: Library, request: JobRequest) -> int:
    """Queue a job; its id. `worker.start` begins it.

    Raises OptionError where it has nothing to work on, and for a model name that is not allowed.
    """
    if isinstance(request, TaggingRequest):
        models = [request.model] if request.model else request.models or library.models_in_use()
        request = replace(request, model=models[0], models=list(models) if models[1:] else None)
    if isinstance(request, ImportUploadsRequest):
        return _submit_uploads(library, request)
    if isinstance(request, ImportFolderRequest):
        request = replace(request, folder=resolve_folder(request.folder))
    ids = _find_photos(library, request) if isinstance(request, RetagRequest) else []
    with library.database.write_transaction() as connection:
        match request:
            case ImportFolderRequest(folder):
                return _queue(connection, request, f"Import {escape_controls(folder)}")
            case RetagRequest():
                return _queue_retag(connection, request, ids)
            case EmbedRequest():
                return _queue(connection, request, EMBED_TITLE)
            case CompareRequest():
                return _queue_comparison(connection, request)
            case CheckRequest(data):
                request = replace(request, data=str(Path(data).expanduser()))
                return _queue(connection, request, f"Check {escape_controls(data)}")
            case TrainRequest():
                return _queue_training(connection, request)


def submit_changes(
    library: Library, changes: FolderChanges, *, copy: bool = False, remove_missing: bool = False
) -> int:
    """Queue the import of what changed in a watched folder; its id.

    Photos whose files are gone are marked as missing, or removed from the library, at once.
    Raises OptionError where there are no changes.
    """
    if not changes.count:
        raise OptionError(f"{escape_controls(changes.folder)}: nothing has changed")
    models = library.models_in_use()
    request = ImportFolderRequest(
        changes.folder,
        copy,
        models[0],
        listed=True,
        models=models if models[1:] else None,
        watched=True,
    )
    rows = [(path, base_name(path), None) for path in changes.paths()]
    missing = [each for each in changes.missing if is_gone(each.path)]
    gone = [each.photo_id for each in missing]
    title = f"Update {escape_controls(Path(changes.folder).name)}: {changes.describe()}"
    with library.database.write_transaction() as connection:
        job_id = _queue(connection, request, title, rows)
        job_files.add_files(
            connection,
            job_id,
            ((each.path, base_name(each.path), each.photo_id) for each in missing),
            job_files.REMOVED if remove_missing else job_files.MISSING,
        )
        photos.mark_missing(connection, gone)
        if remove_missing:
            photos.delete_photos(connection, job_id, gone)
    return job_id


def submit_embedding(library: Library) -> int | None:
    """Queue the job for photos without a vector in the library's space; its id.

    A job that has ended is queued again, so that a library has one for each space; one for another
    space is told to stop where this one begins. None if there are no such photos, if such a job is
    active, or an import, which is followed by one, or if a person has stopped the last one.
    """
    space = library.space()
    if space is None:
        return None
    with library.database.read_transaction() as connection:
        space_id = vectors.find_space_id(connection, space.sha256)
        if not vectors.find_missing(connection, space_id, limit=1):
            return None
    request = EmbedRequest(str(space.model), space.sha256)
    kinds = ImportFolderRequest.KIND, RetagRequest.KIND
    with library.database.write_transaction() as connection:
        if operations.list_latest(connection, 1, kinds, active=True):
            return None
        is_active = False
        for job in operations.list_latest(connection, MAX_ACTIVE, (request.KIND,), active=True):
            if job.options != request.to_options():
                operations.set_columns(connection, job.id, stop_asked=True)
            elif not job.stop_asked:
                is_active = True
        if is_active:
            return None
        for job in operations.list_latest(connection, 1, (request.KIND,)):
            if job.options == request.to_options():
                if job.status == "stopped":
                    return None
                _queue_again(connection, job.id)
                operations.set_columns(connection, job.id, done=0, result=None)
                return job.id
        return _queue(connection, request, EMBED_TITLE)


def resume(library: Library, job_id: int) -> None:
    """Queue a stopped or failed import, re-tagging or embedding again; it goes on where it was.

    Raises OptionError for a job that cannot.
    """
    with library.database.write_transaction() as connection:
        job = operations.get(connection, job_id)
        if not job.resumable:
            raise OptionError(f"run {job_id} ({job.title}) is {job.status}: nothing to go on with")
        if operations.was_undone(connection, job_id):
            raise OptionError(f"run {job_id} ({job.title}) was undone: begin anew instead")
        _queue_again(connection, job_id)


def _queue_again(connection: Connection, job_id: int) -> None:
    operations.set_columns(
        connection,
        job_id,
        status="queued",
        stop_asked=False,
        finished_at=None,
        error=None,
        claim=None,
        attempts=0,
        heartbeat_at=datetime.now(UTC),
    )


def _submit_uploads(library: Library, request: ImportUploadsRequest) -> int:
    folder, files = library.storage.save_uploads(request.files)
    if not files:
        raise OptionError("no files were given: choose some photos first")
    request = replace(request, uploads=folder)
    title = f"Import {files[0][1] if len(files) == 1 else count_noun(len(files), 'photo')}"
    with library.database.write_transaction() as connection:
        return _queue(connection, request, title, [(path, name, None) for path, name in files])


def _find_photos(library: Library, request: RetagRequest) -> Sequence[int]:
    return library.find_ids(request.query) if request.ids is None else request.ids


def _queue_retag(connection: Connection, request: RetagRequest, ids: Sequence[int]) -> int:
    ids = photos.filter_existing(connection, ids)
    if not ids:
        raise OptionError("no photos to tag again: nothing in the library matches")
    title = f"Re-tag {count_noun(len(ids), 'photo')} with {_name_models(request)}"
    names = photos.load_names(connection, ids)
    return _queue(connection, request, title, [("", names[photo_id], photo_id) for photo_id in ids])


def _name_models(request: TaggingRequest) -> str:
    return " and ".join(map(registry.display_name, list_models(request)))


def _queue_comparison(connection: Connection, request: CompareRequest) -> int:
    if operations.list_latest(connection, 1, (request.KIND,), active=True):
        raise OptionError("duplicates are being looked for already")
    return _queue(connection, request, COMPARE_TITLE)


def _queue_training(connection: Connection, request: TrainRequest) -> int:
    name = request.name
    allowed = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    if not allowed or len(name) > MAX_MODEL_NAME:
        raise OptionError(
            f"{name!r}: a model's name is 1 to {MAX_MODEL_NAME} letters, digits, - and _"
        )
    if name.casefold() in (*registry.BUNDLED, registry.IMAGENET):  # some file systems know no case
        raise OptionError(f"{name} is built in: choose another name")
    for job in operations.list_latest(connection, MAX_ACTIVE, ("train",), active=True):
        if job.options["name"].casefold() == name.casefold():
            raise OptionError(f"{name} is being trained already: wait, or give another name")
    data = str(Path(request.data).expanduser())
    return _queue(connection, replace(request, data=data), f"Train {name}")


def _queue(
    connection: Connection,
    request: JobRequest,
    title: str,
    rows: Sequence[tuple[str, str, int | None]] = (),
) -> int:
    """Create the operation, with the files that it is to process; see `add_files`."""
    options, total = request.to_options(), len(rows)
    job_id = operations.create(connection, request.KIND, title, options, queued=True, total=total)
    # A first heartbeat gives the worker process time to start before the job counts as stale.
    operations.set_columns(connection, job_id, heartbeat_at=datetime.now(UTC))
    job_files.add_files(connection, job_id, rows)
    return job_id
