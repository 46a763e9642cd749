"""From files to photos of the library: read once, tagged, added; and tagged again.

Work on a file comes in two halves. `look` reads and tags, on any thread, and changes no table;
`write` records what came of a few files in one transaction, with the outcome of each, so that a
file is either done or still to do however the process ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from tagger.concurrency import chunks
from tagger.errors import ImageError
from tagger.images import decode, transforms
from tagger.images.decode import Pixels
from tagger.inference.embeddings import Embedding
from tagger.library import photos, tags
from tagger.library.contents import FileContent, ImportFile, read_some
from tagger.library.database.database import Database
from tagger.library.database.schema import embeddings, files, models
from tagger.library.photos import NewPhoto
from tagger.library.records import Photo
from tagger.library.storage import Storage
from tagger.tagger import Prediction, Tagger

NO_PHOTO = "no_photo"  # the outcome of a folder's other files, which are only counted and named
_ROWS = 1_000  # per INSERT statement
THUMBNAIL_SIDE = 320  # pixels, of a thumbnail's longer side
_THUMBNAIL_LEAST = 160  # pixels, of the shorter side that a thumbnail is still made from

Outcome = tuple[str, int | None]  # what became of a file ("added", ...), and its photo if any


@dataclass(frozen=True)
class ImportResult:
    """What looking at a file gave.

    `failure` says why it could not be read. A photo that the library has already has a `photo_id`
    and no `arrival`; where its own file was lost, `found_at` is where it is now. `prediction` and
    `embedding` are None where nothing had to be tagged.
    """

    file: ImportFile
    failure: str | None = None
    photo_id: int | None = None
    found_at: tuple[str, bool] | None = None
    arrival: NewPhoto | None = None
    prediction: Prediction | None = None
    embedding: Embedding | None = None


Begun = tuple[ImportResult, Pixels | None]  # what is still to be tagged has pixels


class Importer:
    """Adds files to a library with one model's answers. `look` is safe from several threads."""

    def __init__(
        self, catalogue: Database, shelf: Storage, tagger: Tagger, copy: bool = False
    ) -> None:
        self._database = catalogue
        self._shelf = shelf
        self._tagger = tagger
        self._copy = copy

    def read_and_tag(self, some: Sequence[ImportFile]) -> list[ImportResult]:
        """Read and tag a few files; what the library has already is not decoded."""
        begun: list[Begun] = []
        for again, part in groupby(some, lambda file: file.photo_id is not None):
            alike = list(part)
            begun.extend(self._begun_again(alike) if again else self._begun(alike))
        return self._tagged(begun)

    def record(
        self, connection: Connection, run_id: int, model_id: int, seen: Sequence[ImportResult]
    ) -> dict[str, int]:
        """Record what came of files: photos, answers, and the outcome of each; how many of each."""
        settled = self._settle(connection, run_id, seen)
        answered = [
            (photo_id, one)
            for one, (outcome, photo_id) in zip(seen, settled, strict=True)
            if photo_id is not None and outcome in ("added", "restored", "tagged")
        ]
        self._answer(connection, run_id, model_id, answered)
        outcomes = [
            {"row": one.file.id, "came": outcome, "why": one.failure, "photo": photo_id}
            for one, (outcome, photo_id) in zip(seen, settled, strict=True)
        ]
        connection.execute(_OUTCOME, outcomes)
        kinds = [outcome for outcome, _ in settled]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def _begun(self, some: Iterable[ImportFile]) -> Iterator[Begun]:
        """Files to import, and the library asked about several of them at once."""
        for part in read_some(some):
            with self._database.read_transaction() as connection:
                known = photos.find_by_digest(connection, [one.sha256 for one in part])
            for one in part:
                yield _attempt(one.file, partial(self._read, one, known.get(one.sha256)))

    def _read(self, one: FileContent, known: photos.ExistingPhoto | None) -> Begun:
        if one.failure is not None:
            return ImportResult(one.file, failure=one.failure), None
        file, sha256, data = one.file, one.sha256, one.data
        if known and not known.deleted:
            wanted = self._copy and not known.stored
            place = self._place(file, sha256, data) if wanted or self._is_lost(known) else None
            return ImportResult(file, photo_id=known.id, found_at=place), None
        facts, rgb = decode.facts(data), self._pixels(data, sha256)
        path, stored = self._place(file, sha256, data)
        arrival = NewPhoto(sha256, file.name, path, stored, len(data), facts)
        return ImportResult(file, arrival=arrival), rgb

    def _begun_again(self, some: Sequence[ImportFile]) -> Iterator[Begun]:
        """Photos to tag again, those that the model has not tagged last."""
        ids = [file.photo_id or 0 for file in some]
        with self._database.read_transaction() as connection:
            current = self._current_model(connection)
            tagged = set() if current is None else photos.filter_tagged_by(connection, ids, current)
            wanted = [photo_id for photo_id in ids if photo_id not in tagged]
            found = {
                photo.id: photo
                for photo in photos.load_photos(connection, wanted, self._shelf.home)
            }
        for file, photo_id in zip(some, ids, strict=True):
            if photo_id in tagged:
                yield ImportResult(file, photo_id=photo_id), None
            else:
                yield _attempt(file, partial(self._read_again, file, found.get(photo_id)))

    def _read_again(self, file: ImportFile, photo: Photo | None) -> Begun:
        """A photo's pixels, if it is still what was added."""
        if photo is None:
            raise ImageError(file.path, "is no longer in the library")
        data = decode.read_bytes(photo.path)
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise ImageError(file.path, "has changed since it was added; import it again")
        return ImportResult(file, photo_id=photo.id), self._pixels(data, photo.sha256)

    def _pixels(self, data: bytes, sha256: str) -> Pixels:
        """What the network is to see. A thumbnail is kept on the way."""
        side = self._tagger.image_size
        rgb = decode.read(data, shorter_side=side)
        if not self._shelf.thumbnail_path(sha256).is_file():
            whole = rgb if side >= _THUMBNAIL_LEAST else decode.read(data, shorter_side=256)
            small = transforms.thumbnail(whole, THUMBNAIL_SIDE)
            self._shelf.write_thumbnail(sha256, decode.encode(small, "JPEG"))
        return decode.fit(rgb, side)  # small at once: several wait for each other

    def _is_lost(self, known: photos.ExistingPhoto) -> bool:
        """Whether a photo's file is gone, or cannot be the one that was added."""
        place = self._shelf.home / known.path if known.stored else Path(known.path)
        try:
            return place.stat().st_size != known.size
        except OSError:
            return True

    def _place(self, file: ImportFile, sha256: str, data: bytes) -> tuple[str, bool]:
        """Where the photo lives from now on, and whether that is the library's own copy."""
        if self._copy:
            return self._shelf.write_copy(sha256, file.name, data), True
        return file.path, False

    def _tagged(self, begun: Sequence[Begun]) -> list[ImportResult]:
        read = [rgb for _, rgb in begun if rgb is not None]
        found = iter(self._tagger.tag_with_embeddings(read, top=tags.KEPT_SCORES))
        seen = []
        for one, rgb in begun:
            if rgb is not None:
                prediction, embedding = next(found)
                one = replace(one, prediction=prediction, embedding=embedding)
            seen.append(one)
        return seen

    def _settle(
        self, connection: Connection, run_id: int, seen: Sequence[ImportResult]
    ) -> list[Outcome]:
        """What became of each file."""
        arrived = self._arrive(connection, run_id, seen)
        settled = []
        for one in seen:
            if one.arrival is None:
                settled.append(_settle_known(connection, one))
                continue
            outcome, photo_id = arrived[one.arrival.sha256]
            settled.append((outcome, photo_id))
            arrived[one.arrival.sha256] = "duplicate", photo_id  # should it come once more
        return settled

    def _arrive(
        self, connection: Connection, run_id: int, seen: Sequence[ImportResult]
    ) -> dict[str, Outcome]:
        """Add the photos that are new, bring back those deleted; what became of each digest."""
        first: dict[str, tuple[ImportFile, NewPhoto]] = {}
        for one in seen:
            if one.arrival is not None:
                first.setdefault(one.arrival.sha256, (one.file, one.arrival))
        held = photos.find_by_digest(connection, first)  # another run may have been quicker
        fresh = {sha256: one for sha256, one in first.items() if sha256 not in held}
        back = {
            sha256: one for sha256, one in first.items() if sha256 in held and held[sha256].deleted
        }
        for file, arrival in (*fresh.values(), *back.values()):
            self._keep_again(file, arrival)
        added = photos.add(connection, run_id, [arrival for _, arrival in fresh.values()])
        photos.restore(connection, run_id, [held[sha256].id for sha256 in back])
        for sha256, (_, arrival) in back.items():
            known = held[sha256]
            if arrival.stored or not known.stored or self._is_lost(known):
                photos.relocate(connection, known.id, arrival.path, arrival.stored)
        came: dict[str, Outcome] = {sha256: ("added", new) for sha256, new in added.items()}
        for sha256, known in held.items():
            came[sha256] = ("restored" if known.deleted else "duplicate"), known.id
        return came

    def _keep_again(self, file: ImportFile, arrival: NewPhoto) -> None:
        """Where a purge took the copy away that was there when this was looked at."""
        if arrival.stored and not (self._shelf.home / arrival.path).is_file():
            self._place(file, arrival.sha256, file.data or decode.read_bytes(file.path))

    def _answer(
        self,
        connection: Connection,
        run_id: int,
        model_id: int,
        answered: Sequence[tuple[int, ImportResult]],
    ) -> None:
        answers = [
            (photo_id, tags.prediction_row(one.prediction, self._tagger))
            for photo_id, one in answered
            if one.prediction is not None
        ]
        tags.save_predictions(connection, run_id, model_id, answers)
        rows = [
            {"model_id": model_id, "photo_id": photo_id, "vector": one.embedding.tobytes()}
            for photo_id, one in answered
            if one.embedding is not None
        ]
        if rows:
            connection.execute(
                delete(embeddings).where(
                    embeddings.c.model_id == model_id,
                    embeddings.c.photo_id.in_([row["photo_id"] for row in rows]),
                )
            )
            connection.execute(insert(embeddings), rows)

    def _current_model(self, connection: Connection) -> int | None:
        return connection.scalar(select(models.c.id).where(models.c.sha256 == self._tagger.sha256))


def _settle_known(connection: Connection, one: ImportResult) -> Outcome:
    """What became of a file that brought no new photo."""
    if one.failure is not None:
        return "failed", one.photo_id
    if one.found_at and one.photo_id:
        photos.relocate(connection, one.photo_id, *one.found_at)
    if one.file.photo_id is None:
        return "duplicate", one.photo_id
    return ("same" if one.prediction is None else "tagged"), one.photo_id


def _attempt(file: ImportFile, work: Callable[[], Begun]) -> Begun:
    """What work on a file gives, be it a failure."""
    try:
        return work()
    except ImageError as error:
        return ImportResult(file, failure=error.reason), None
    except OSError as error:
        return ImportResult(file, failure=f"could not be kept ({error})"), None


def add_files(
    connection: Connection,
    operation_id: int,
    rows: Iterable[tuple[str, str, int | None]],
    outcome: str | None = None,
) -> None:
    """Add files to an operation: (path, name, and the photo's id where it is tagged again).

    With an `outcome` they count as processed; without one they are pending.
    """
    for batch in chunks(rows, _ROWS):
        values = [
            {
                "run_id": operation_id,
                "path": path,
                "name": name,
                "photo_id": photo_id,
                "outcome": outcome,
            }
            for path, name, photo_id in batch
        ]
        connection.execute(insert(files), values)


def pending_files(
    connection: Connection, run_id: int, limit: int, after: int = 0
) -> list[ImportFile]:
    """Files of a run that are still to do, those whose row comes `after` one, in order."""
    query = (
        select(files.c.id, files.c.path, files.c.name, files.c.photo_id)
        .where(files.c.run_id == run_id, files.c.outcome.is_(None), files.c.id > after)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [
        ImportFile(row.id, row.path, row.name, row.photo_id) for row in connection.execute(query)
    ]


def register_model(connection: Connection, tagger: Tagger) -> int:
    """The model's row, made if it is new."""
    found = connection.scalar(select(models.c.id).where(models.c.sha256 == tagger.sha256))
    if found is not None:
        return int(found)
    new = insert(models).values(
        name=tagger.name, sha256=tagger.sha256, first_used_at=datetime.now(UTC)
    )
    return int(connection.execute(new.returning(models.c.id)).scalar_one())


_OUTCOME = (
    update(files)
    .where(files.c.id == bindparam("row"))
    .values(outcome=bindparam("came"), reason=bindparam("why"), photo_id=bindparam("photo"))
)
