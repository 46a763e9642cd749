"""Importing files and tagging photos again.

A file takes two steps. `Importer.read_and_tag` reads and tags files, on any thread, and changes no
table. `Importer.record` writes a batch of results in one transaction, with each file's outcome: if
the process is killed, a file is either recorded completely or still pending. A file is read and
decoded once, however many models tag it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from sqlalchemy import Connection, insert, select

from tagger.errors import ImageError
from tagger.images import decode, transforms
from tagger.images.decode import Pixels
from tagger.inference.embeddings import Embedding
from tagger.library import contents, photos, tags, vectors
from tagger.library.contents import PhotoAtPath
from tagger.library.database.database import Database
from tagger.library.database.schema import models
from tagger.library.derivation import MODEL
from tagger.library.duplicates.hashes import format_hash
from tagger.library.import_results import (
    Duplicate,
    Failed,
    ImportResult,
    New,
    Postponed,
    Retagged,
    Unchanged,
)
from tagger.library.job_files import ImportFile, Outcome, save_outcomes
from tagger.library.photos import ExistingPhoto, NewPhoto
from tagger.library.records import Photo
from tagger.library.storage import Storage, read_original
from tagger.library.teaching.predictions import ActiveHead, predict
from tagger.tagger import Prediction, Tagger

BATCH_BYTES = 8 * 2**20  # of files held in memory before they are decoded; and one file more
_MIN_THUMBNAIL_SOURCE = 160  # pixels of the shorter side; smaller inputs make blurred thumbnails


@dataclass(frozen=True)
class FileContent:
    """A file's bytes and their SHA-256 digest."""

    file: ImportFile
    data: bytes
    sha256: str


@dataclass(frozen=True)
class _Untagged:
    """A photo, new or of the library, with the input of each network that is to see it."""

    file: ImportFile
    photo: NewPhoto | int
    pixels: Mapping[int, Pixels]
    edited: PhotoAtPath | None = None
    replaced: tuple[int, ...] = ()


class Importer:
    """Adds photos to a library and tags them. Threads may call `read_and_tag` at the same time."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        taggers: Sequence[Tagger],
        copy: bool = False,
        space: str | None = None,
        heads: Sequence[ActiveHead] = (),
        records_moves: bool = False,
    ) -> None:
        """`space` is the library's: vectors in another one would not be used and are not kept.

        Without one, they are those of the first of the `taggers`. `heads` tag new photos too.
        `records_moves`: that a photo's file is elsewhere now can be undone, and is an outcome of
        its own.
        """
        self._database = database
        self._storage = storage
        self._taggers = list(taggers)
        self._copy = copy
        self._heads = [each for each in heads if each.head.space == space]
        self._records_moves = records_moves
        spaces = [tagger.space for tagger in taggers]
        self._embeds = 0 if space is None else spaces.index(space) if space in spaces else None

    def read_and_tag(
        self, files: Sequence[ImportFile], postpone: bool = False
    ) -> list[ImportResult]:
        """Read and tag a few files, in order. Photos of the library are not decoded again.

        Without `postpone` no result is `Postponed`: all other files are imported.
        """
        prepared: list[ImportResult | _Untagged] = []
        for is_retag, group in groupby(files, lambda file: file.photo_id is not None):
            batch = list(group)
            prepared.extend(
                self._prepare_retag(batch) if is_retag else self._prepare_import(batch, postpone)
            )
        return self._tag(prepared)

    def record(
        self,
        connection: Connection,
        operation_id: int,
        model_ids: Sequence[int],
        results: Sequence[ImportResult],
    ) -> dict[Outcome, int]:
        """Write photos, predictions and outcomes to the database; the number of each outcome.

        `model_ids` are those of the taggers. Files without an outcome stay pending: postponed ones,
        and duplicates of a photo that has another content by now.
        """
        outcomes = self._save_photos(connection, operation_id, results)
        self._save_predictions(connection, operation_id, model_ids, results, outcomes)
        reasons = [result.reason if isinstance(result, Failed) else None for result in results]
        rows = zip((result.file.id for result in results), outcomes, reasons, strict=True)
        save_outcomes(
            connection,
            (
                (row, outcome, reason, id)
                for row, (outcome, id), reason in rows
                if outcome is not None
            ),
        )
        return dict(Counter(outcome for outcome, _ in outcomes if outcome is not None))

    def _prepare_import(
        self, files: Iterable[ImportFile], postpone: bool
    ) -> Iterator[ImportResult | _Untagged]:
        """Read new files, with one query per batch for those that the library has already."""
        for batch in read_batches(files):
            readable = [content for content in batch if isinstance(content, FileContent)]
            with self._database.read_transaction() as connection:
                existing = photos.find_by_digest(connection, [c.sha256 for c in readable])
                paths = {c.file.path for c in readable if c.file.path}
                at_path = contents.find_by_path(connection, paths)
            for content in batch:
                if isinstance(content, Failed):
                    yield content
                    continue
                try:
                    yield self._prepare_file(
                        content,
                        existing.get(content.sha256),
                        at_path.get(content.file.path, []),
                        postpone,
                    )
                except (ImageError, OSError) as error:
                    old = at_path.get(content.file.path, [])
                    replaced = tuple(photo.id for photo in old if photo.sha256 != content.sha256)
                    yield _failed(content.file, error, replaced)

    def _prepare_file(
        self,
        content: FileContent,
        existing: ExistingPhoto | None,
        at_path: Sequence[PhotoAtPath],
        postpone: bool,
    ) -> Duplicate | Postponed | _Untagged:
        file, data, sha256 = content.file, content.data, content.sha256
        if existing and not existing.deleted:
            replaced = tuple(old.id for old in at_path if old.id != existing.id)
            is_at_path = existing.path == file.path and not existing.missing
            is_there = is_at_path or contents.is_there(self._storage, existing, sha256)
            if postpone and not is_there and contents.has_file(self._storage, existing):
                return Postponed(file)
            if not is_there or (self._copy and not existing.stored):
                location = self._store(file, sha256, data)
                return Duplicate(file, existing.id, sha256, *location, replaced)
            return Duplicate(file, existing.id, sha256, replaced=replaced)
        every = range(len(self._taggers))
        metadata, (pixels, phash) = decode.read_metadata(data), self._decode(data, sha256, every)
        path, stored = self._store(file, sha256, data)
        photo = NewPhoto(sha256, file.name, path, stored, len(data), metadata, phash)
        candidates = [] if existing else at_path  # a deleted photo comes back as it is
        edited = contents.find_edited(self._storage, photo, candidates)
        replaced = tuple(old.id for old in at_path if old is not edited)
        return _Untagged(file, photo, pixels, edited, replaced)

    def _prepare_retag(self, files: Sequence[ImportFile]) -> Iterator[ImportResult | _Untagged]:
        """Read photos again for the models whose predictions they lack."""
        ids = [file.photo_id or 0 for file in files]
        missing: dict[int, list[int]] = {photo_id: [] for photo_id in ids}
        with self._database.read_transaction() as connection:
            for number, tagger in enumerate(self._taggers):
                model_id = find_model_id(connection, tagger)
                tagged = set()
                if model_id is not None:
                    tagged = photos.filter_tagged_by(connection, ids, model_id)
                for photo_id in missing.keys() - tagged:
                    missing[photo_id].append(number)
            untagged = [photo_id for photo_id, numbers in missing.items() if numbers]
            loaded = photos.load_photos(connection, untagged, self._storage.home)
            by_id = {photo.id: photo for photo in loaded}
        for file, photo_id in zip(files, ids, strict=True):
            if not missing[photo_id]:
                yield Unchanged(file, photo_id)
                continue
            try:
                yield self._prepare_photo(file, by_id.get(photo_id), missing[photo_id])
            except (ImageError, OSError) as error:
                yield _failed(file, error)

    def _prepare_photo(
        self, file: ImportFile, photo: Photo | None, numbers: Iterable[int]
    ) -> _Untagged:
        if photo is None:
            raise ImageError(file.path, "is no longer in the library")
        pixels, _ = self._decode(read_original(photo), photo.sha256, numbers)
        return _Untagged(file, photo.id, pixels)

    def _decode(
        self, data: bytes, sha256: str, numbers: Iterable[int]
    ) -> tuple[dict[int, Pixels], str]:
        """The input of each network, by its position, and the hash. Writes the thumbnail."""
        sides = {number: self._taggers[number].image_size for number in numbers}
        side = max(sides.values())
        rgb = decode.read(data, shorter_side=side)
        if not self._storage.thumbnail_path(sha256).is_file():
            small = side < _MIN_THUMBNAIL_SOURCE
            self._storage.write_thumbnail(
                sha256, decode.read(data, shorter_side=256) if small else rgb
            )
        # Small right away: a batch of them waits for the network.
        by_side = {size: transforms.fit_squares(rgb, size) for size in set(sides.values())}
        return {number: by_side[size] for number, size in sides.items()}, format_hash(rgb)

    def _store(self, file: ImportFile, sha256: str, data: bytes) -> tuple[str, bool]:
        """A photo's path from now on, and whether it is the library's own copy."""
        if self._copy:
            return self._storage.write_copy(sha256, file.name, data), True
        return file.path, False

    def _tag(self, prepared: Sequence[ImportResult | _Untagged]) -> list[ImportResult]:
        answers: list[dict[int, tuple[Prediction, Embedding]]] = [{} for _ in prepared]
        for number, tagger in enumerate(self._taggers):
            items = [
                (row, item.pixels[number])
                for row, item in enumerate(prepared)
                if isinstance(item, _Untagged) and number in item.pixels
            ]
            pixels = [each for _, each in items]
            tagged = tagger.tag_with_embeddings(pixels, top=tags.KEPT_SCORES)
            for (row, _), answer in zip(items, tagged, strict=True):
                answers[row][number] = answer
        results: list[ImportResult] = []
        for item, answer_of in zip(prepared, answers, strict=True):
            if not isinstance(item, _Untagged):
                results.append(item)
            elif isinstance(item.photo, NewPhoto):
                new = New(item.file, item.photo, answer_of, item.edited, item.replaced)
                results.append(new)
            else:
                results.append(Retagged(item.file, item.photo, answer_of))
        return results

    def _save_photos(
        self, connection: Connection, operation_id: int, results: Sequence[ImportResult]
    ) -> list[tuple[Outcome | None, int | None]]:
        """Add, restore and relocate photos; each file's outcome, or None, and photo id."""
        new = [result for result in results if isinstance(result, New)]
        saved = self._save_new(connection, operation_id, new)
        duplicates = [result for result in results if isinstance(result, Duplicate)]
        current = photos.find_by_digest(connection, {result.sha256 for result in duplicates})
        outcomes: list[tuple[Outcome | None, int | None]] = []
        for result in results:
            match result:
                case Failed():
                    photos.mark_missing(connection, result.replaced, result.file.path)
                    outcomes.append(("failed", result.file.photo_id))
                case Postponed():
                    outcomes.append((None, None))
                case Duplicate(_, _, sha256) if sha256 not in current:
                    outcomes.append((None, None))
                case Duplicate(file, photo_id, sha256, path, stored, replaced):
                    photos.mark_missing(connection, replaced, file.path)
                    is_elsewhere = path not in (None, current[sha256].path)
                    is_move = self._records_moves and is_elsewhere and not stored
                    if is_move:
                        contents.move(connection, operation_id, {photo_id: path or ""})
                    elif path is not None:
                        contents.relocate(connection, photo_id, path, stored)
                    if path is not None:
                        vectors.retry_unreadable(connection, [photo_id])
                    outcomes.append(("moved" if is_move else "duplicate", photo_id))
                case Unchanged(_, photo_id):
                    outcomes.append(("same", photo_id))
                case Retagged(_, photo_id):
                    outcomes.append(("tagged", photo_id))
                case New(_, photo):
                    outcome, photo_id = saved[photo.sha256]
                    outcomes.append((outcome, photo_id))
                    saved[photo.sha256] = "duplicate", photo_id  # the same content once more
        return outcomes

    def _save_new(
        self, connection: Connection, operation_id: int, results: Sequence[New]
    ) -> dict[str, tuple[Outcome, int]]:
        """Add and update photos, and restore deleted ones; outcome and photo id by digest."""
        first: dict[str, New] = {}
        for result in sorted(results, key=lambda result: result.edited is None):
            first.setdefault(result.photo.sha256, result)
        existing = photos.find_by_digest(connection, first)  # another import may have been faster
        saved: dict[str, tuple[Outcome, int]] = {
            sha256: ("restored" if old.deleted else "duplicate", old.id)
            for sha256, old in existing.items()
        }
        deleted = [first[sha256] for sha256, old in existing.items() if old.deleted]
        new = [result for sha256, result in first.items() if sha256 not in existing]
        edited = self._find_edited(connection, new)
        contents.change(connection, operation_id, {id: new.photo for id, new in edited.items()})
        for photo_id, result in edited.items():
            saved[result.photo.sha256] = "updated", photo_id
        new = [result for result in new if result.photo.sha256 not in saved]
        for result in (*new, *deleted, *edited.values()):
            self._ensure_copy(result)
        added = photos.add(connection, operation_id, [result.photo for result in new])
        saved |= {sha256: ("added", photo_id) for sha256, photo_id in added.items()}
        restored = [existing[result.photo.sha256].id for result in deleted]
        photos.restore(connection, operation_id, restored)
        vectors.retry_unreadable(connection, restored)
        for photo in (result.photo for result in deleted):
            old = existing[photo.sha256]
            if (
                photo.stored
                or not old.stored
                or not contents.is_there(self._storage, old, photo.sha256)
            ):
                contents.relocate(connection, old.id, photo.path, photo.stored)
        for result in results:
            photos.mark_missing(connection, result.replaced, result.file.path)
        return saved

    def _find_edited(self, connection: Connection, results: Sequence[New]) -> dict[int, New]:
        """The new contents of photos that still have the one from before, by photo."""
        edited = [(result.edited, result) for result in results if result.edited is not None]
        digests = [old.sha256 for old, _ in edited]
        current = photos.find_by_digest(connection, digests)
        return {
            old.id: result
            for old, result in edited
            if old.sha256 in current
            and not current[old.sha256].deleted
            and current[old.sha256].path == result.file.path
        }

    def _ensure_copy(self, result: New) -> None:
        """Write a photo's copy again if a purge has deleted it since the file was read."""
        file, photo = result.file, result.photo
        if photo.stored and not (self._storage.home / photo.path).is_file():
            self._store(file, photo.sha256, file.data or decode.read_bytes(file.path))

    def _save_predictions(
        self,
        connection: Connection,
        operation_id: int,
        model_ids: Sequence[int],
        results: Sequence[ImportResult],
        outcomes: Sequence[tuple[Outcome | None, int | None]],
    ) -> None:
        tagged = {
            photo_id: result
            for result, (outcome, photo_id) in zip(results, outcomes, strict=True)
            if isinstance(result, New | Retagged)
            if photo_id is not None and outcome != "duplicate"
        }
        predictions = {
            model_id: [
                (photo_id, tags.prediction_row(result.answers[number][0], tagger))
                for photo_id, result in tagged.items()
                if number in result.answers
            ]
            for number, (model_id, tagger) in enumerate(zip(model_ids, self._taggers, strict=True))
        }
        embeddings = {
            photo_id: result.answers[self._embeds][1]
            for photo_id, result in tagged.items()
            if self._embeds is not None and self._embeds in result.answers
        }
        new = {id: each for id, each in embeddings.items() if isinstance(tagged[id], New)}
        predictions |= predict(connection, self._heads, new)
        tags.save_predictions_of_models(connection, operation_id, predictions)
        if self._embeds is not None and embeddings:
            space_id = vectors.register_space(connection, self._taggers[self._embeds].space)
            vectors.add(connection, space_id, embeddings)


def read_batches(files: Iterable[ImportFile]) -> Iterator[list[FileContent | Failed]]:
    """Read files in batches of about `BATCH_BYTES`, to limit memory."""
    batch: list[FileContent | Failed] = []
    size = 0
    for content in map(_read, files):
        batch.append(content)
        size += len(content.data) if isinstance(content, FileContent) else 0
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(file: ImportFile) -> FileContent | Failed:
    try:
        data = decode.read_bytes(file.path) if file.data is None else file.data
    except ImageError as error:
        return Failed(file, error.reason)
    return FileContent(file, data, hashlib.sha256(data).hexdigest())


def _failed(
    file: ImportFile, error: ImageError | OSError, replaced: tuple[int, ...] = ()
) -> Failed:
    if isinstance(error, ImageError):
        return Failed(file, error.reason, replaced)
    return Failed(file, f"could not be kept ({error})", replaced)


def find_model_id(connection: Connection, tagger: Tagger) -> int | None:
    """The id of a model in the database, if it was ever used."""
    return connection.scalar(select(models.c.id).where(models.c.sha256 == tagger.sha256))


def register_model(connection: Connection, tagger: Tagger) -> int:
    """The id of a model in the database, added if it is new."""
    model_id = find_model_id(connection, tagger)
    if model_id is not None:
        return model_id
    row = insert(models).values(
        name=tagger.name, kind=MODEL, sha256=tagger.sha256, first_used_at=datetime.now(UTC)
    )
    return int(connection.execute(row.returning(models.c.id)).scalar_one())
