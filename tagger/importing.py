"""From files to photos of the library: read once, tagged, added; and tagged again.

Work on a file comes in two halves. `look` reads and tags, on any thread, and changes no table;
`write` records what came of a few files in one transaction, with the outcome of each, so that a
file is either done or still to do however the process ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from tagger import images, photos, tags
from tagger.catalogue import Catalogue
from tagger.embeddings import Embedding
from tagger.errors import ImageError
from tagger.files import spelled_out
from tagger.images import Pixels
from tagger.photos import Arrival
from tagger.schema import embeddings, files, models, predictions
from tagger.shelf import Shelf
from tagger.tagger import Prediction, Tagger

NO_PHOTO = "no_photo"  # the outcome of a folder's other files, which are only counted and named
THUMBNAIL_SIDE = 320  # pixels, of a thumbnail's longer side
_THUMBNAIL_LEAST = 160  # pixels, of the shorter side that a thumbnail is still made from


@dataclass(frozen=True)
class File:
    """A file to import, or with `photo_id` a photo to tag again. `id` is its row in `files`.

    `data` is its content where that is at hand already.
    """

    id: int
    path: str
    name: str
    photo_id: int | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class Seen:
    """What looking at a file gave.

    `failure` says why it could not be read. A photo that the library has already has a `photo_id`
    and no `arrival`; where its own file was lost, `found_at` is where it is now. `prediction` and
    `embedding` are None where nothing had to be tagged.
    """

    file: File
    failure: str | None = None
    photo_id: int | None = None
    found_at: tuple[str, bool] | None = None
    arrival: Arrival | None = None
    prediction: Prediction | None = None
    embedding: Embedding | None = None


class Importer:
    """Adds files to a library with one model's answers. `look` is safe from several threads."""

    def __init__(
        self, catalogue: Catalogue, shelf: Shelf, tagger: Tagger, copy: bool = False
    ) -> None:
        self._catalogue = catalogue
        self._shelf = shelf
        self._tagger = tagger
        self._copy = copy

    def look(self, some: Sequence[File]) -> list[Seen]:
        """Read and tag a few files; what the library has already is not decoded."""
        begun: list[tuple[Seen, Pixels | None]] = []
        with self._catalogue.reading() as connection:
            current = self._current_model(connection)
            for file in some:
                try:
                    if file.photo_id is None:
                        begun.append(self._read(connection, file))
                    else:
                        begun.append(self._read_again(connection, file, current))
                except ImageError as error:
                    begun.append((Seen(file, failure=_bare(error, file.path)), None))
                except OSError as error:
                    begun.append((Seen(file, failure=f"could not be kept ({error})"), None))
        return self._tagged(begun)

    def write(
        self, connection: Connection, run_id: int, model_id: int, seen: Sequence[Seen]
    ) -> dict[str, int]:
        """Record what came of files: photos, answers, and the outcome of each; how many of each."""
        settled = [self._settle(connection, run_id, one) for one in seen]
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

    def _read(self, connection: Connection, file: File) -> tuple[Seen, Pixels | None]:
        data = images.read_bytes(file.path) if file.data is None else file.data
        sha256 = hashlib.sha256(data).hexdigest()
        known = photos.held(connection, sha256)
        if known and not known.deleted:
            wanted = self._copy and not known.stored
            place = self._place(file, sha256, data) if wanted or self._is_lost(known) else None
            return Seen(file, photo_id=known.id, found_at=place), None
        facts, rgb = images.facts(data), self._pixels(data, sha256)
        path, stored = self._place(file, sha256, data)
        arrival = Arrival(sha256, file.name, path, stored, len(data), facts)
        return Seen(file, arrival=arrival), rgb

    def _read_again(
        self, connection: Connection, file: File, current: int | None
    ) -> tuple[Seen, Pixels | None]:
        """A photo that the model has not tagged yet, if it is still what was added."""
        photo_id = file.photo_id or 0
        asked = select(predictions.c.model_id).where(
            predictions.c.photo_id == photo_id, predictions.c.ended_by.is_(None)
        )
        if current is not None and connection.scalar(asked) == current:
            return Seen(file, photo_id=photo_id), None
        photo = next(photos.read(connection, [photo_id], self._shelf.home), None)
        if photo is None:
            raise ImageError("is no longer in the library")
        try:
            data = images.read_bytes(photo.path)
        except ImageError as error:
            raise ImageError(_bare(error, str(photo.path))) from None
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise ImageError("has changed since it was added; import it again")
        return Seen(file, photo_id=photo_id), self._pixels(data, photo.sha256)

    def _pixels(self, data: bytes, sha256: str) -> Pixels:
        """What the network is to see. A thumbnail is kept on the way."""
        side = self._tagger.image_size
        rgb = images.read(data, shorter_side=side)
        if not self._shelf.thumbnail(sha256).is_file():
            whole = rgb if side >= _THUMBNAIL_LEAST else images.read(data, shorter_side=256)
            small = images.thumbnail(whole, THUMBNAIL_SIDE)
            self._shelf.keep_thumbnail(sha256, images.encode(small, "JPEG"))
        return images.fit(rgb, side)  # small at once: several wait for each other

    def _is_lost(self, known: photos.Held) -> bool:
        """Whether a photo's file is gone, or cannot be the one that was added."""
        place = self._shelf.home / known.path if known.stored else Path(known.path)
        try:
            return place.stat().st_size != known.size
        except OSError:
            return True

    def _place(self, file: File, sha256: str, data: bytes) -> tuple[str, bool]:
        """Where the photo lives from now on, and whether that is the library's own copy."""
        if self._copy:
            return self._shelf.keep_copy(sha256, file.name, data), True
        return file.path, False

    def _tagged(self, begun: Sequence[tuple[Seen, Pixels | None]]) -> list[Seen]:
        read = [rgb for _, rgb in begun if rgb is not None]
        found = iter(self._tagger.tag_with_embeddings(read, top=tags.KEPT_SCORES))
        seen = []
        for one, rgb in begun:
            if rgb is not None:
                prediction, embedding = next(found)
                one = replace(one, prediction=prediction, embedding=embedding)
            seen.append(one)
        return seen

    def _settle(self, connection: Connection, run_id: int, one: Seen) -> tuple[str, int | None]:
        """A file's outcome, and its photo if it has one."""
        if one.failure is not None:
            return "failed", one.photo_id
        if one.arrival is None:
            if one.found_at and one.photo_id:
                photos.relocate(connection, one.photo_id, *one.found_at)
            if one.file.photo_id is None:
                return "duplicate", one.photo_id
            return ("same" if one.prediction is None else "tagged"), one.photo_id
        known = photos.held(connection, one.arrival.sha256)  # another run may have been quicker
        if known is not None and not known.deleted:
            return "duplicate", known.id
        if one.arrival.stored and not (self._shelf.home / one.arrival.path).is_file():
            # A purge took the copy away that was there when this was looked at.
            self._place(
                one.file, one.arrival.sha256, one.file.data or images.read_bytes(one.file.path)
            )
        if known is None:
            return "added", photos.add(connection, run_id, one.arrival)
        photos.bring_back(connection, run_id, [known.id])
        if one.arrival.stored or not known.stored or self._is_lost(known):
            photos.relocate(connection, known.id, one.arrival.path, one.arrival.stored)
        return "restored", known.id

    def _answer(
        self,
        connection: Connection,
        run_id: int,
        model_id: int,
        answered: Sequence[tuple[int, Seen]],
    ) -> None:
        answers = [
            (photo_id, tags.answer(one.prediction, self._tagger))
            for photo_id, one in answered
            if one.prediction is not None
        ]
        tags.predict(connection, run_id, model_id, answers)
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


def waiting_files(connection: Connection, run_id: int, limit: int, after: int = 0) -> list[File]:
    """Files of a run that are still to do, those whose row comes `after` one, in order."""
    query = (
        select(files.c.id, files.c.path, files.c.name, files.c.photo_id)
        .where(files.c.run_id == run_id, files.c.outcome.is_(None), files.c.id > after)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [File(row.id, row.path, row.name, row.photo_id) for row in connection.execute(query)]


def model_id(connection: Connection, tagger: Tagger) -> int:
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


def _bare(error: ImageError, path: str) -> str:
    """Why a file failed, without the name that stands beside it anyway."""
    text = str(error)
    for name in ("photo", spelled_out(path)):
        text = text.removeprefix(f"{name}: ")
    return text
