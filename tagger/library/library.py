"""The photo library: what people do with it, one method each. Pages, CLI and API call these.

Long work is submitted to `tagger.jobs`, which runs it in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import delete, insert, select

from tagger import paths
from tagger.concurrency import chunks
from tagger.errors import ImageError, LibraryError, ModelError, OptionError
from tagger.inference import registry
from tagger.inference.embeddings import Embedding
from tagger.library import edits, operations, photos, statistics, tags
from tagger.library.database.database import Database, absolute_url, sqlite_url
from tagger.library.database.schema import labels, settings
from tagger.library.importer import (
    Duplicate,
    Failed,
    Importer,
    ImportFile,
    add_files,
    pending_files,
    register_model,
)
from tagger.library.operations import Operation, OperationFile
from tagger.library.records import AddedPhoto, Annotation, Photo, PhotoPage, Sort, StoredPrediction
from tagger.library.search import planner, suggestions
from tagger.library.search.suggestions import Suggestion
from tagger.library.similarity import SimilarityIndex
from tagger.library.statistics import Statistics
from tagger.library.storage import Storage, base_name, read_original
from tagger.library.undo import UndoResult
from tagger.tagger import Tagger
from tagger.text import escape_controls

ACTIVE_MODEL = "active_model"  # of the settings


class Library:
    """A folder with a catalogue, thumbnails and copies. Safe to share between threads."""

    def __init__(self, home: Path, url: str, database: Database) -> None:
        self.home = home
        self.url = url
        self.database = database
        self.storage = Storage(home)
        self._similarity = SimilarityIndex()

    @classmethod
    def open(cls, home: Path | None = None, url: str | None = None) -> Library:
        """The library at `home` (`TAGGER_HOME`), its database at `url` (`TAGGER_DATABASE`).

        By default `library/` beside `model/`, with SQLite in it. Made if new. Raises
        LibraryError.
        """
        home = paths.library_home() if home is None else home.absolute()
        try:
            str(home).encode()
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(f"{home}: no folder for a library ({error.strerror})") from None
        except UnicodeEncodeError:
            told = escape_controls(str(home))
            raise LibraryError(f"{told}: a library's folder needs a name that is text") from None
        url = url or os.environ.get("TAGGER_DATABASE") or sqlite_url(home / "catalogue.db")
        url = absolute_url(url)
        return cls(home, url, Database.open(url))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # Models

    def active_model(self) -> str:
        """The name or file of the model that tags; the default where the chosen one is gone."""
        with self.database.read_transaction() as connection:
            chosen = connection.scalar(
                select(settings.c.value).where(settings.c.name == ACTIVE_MODEL)
            )
        try:
            path = registry.find_model(chosen)
        except ModelError:
            path = registry.find_model()
        return registry.model_name(path)

    def set_active_model(self, model: str) -> None:
        """Let another model tag from now on. Raises ModelError."""
        Tagger.load(model)
        if model.endswith(".h5"):
            model = str(Path(model).absolute())
        with self.database.write_transaction() as connection:
            connection.execute(delete(settings).where(settings.c.name == ACTIVE_MODEL))
            connection.execute(insert(settings).values(name=ACTIVE_MODEL, value=model))

    # Jobs; see `tagger.jobs`

    def stop(self, operation_id: int) -> None:
        """Ask a run to stop; what it has done stays."""
        with self.database.write_transaction() as connection:
            if operations.get(connection, operation_id).active:
                operations.set_columns(connection, operation_id, stop_asked=True)

    # Changes at once

    def add_photo(self, name: str, data: bytes, tagger: Tagger) -> AddedPhoto:
        """Tag a photo and keep a copy of it. Raises ImageError if it cannot be read."""
        file = ImportFile(0, "", base_name(name), data=data)
        importer = Importer(self.database, self.storage, tagger, copy=True)
        (result,) = importer.read_and_tag([file])
        if isinstance(result, Failed):
            raise ImageError(file.name, result.reason)
        if isinstance(result, Duplicate) and result.path is None:
            return AddedPhoto(self.photo(result.photo_id), True, None)
        with self.database.write_transaction() as connection:
            options = {"model": tagger.name, "copy": True, "listed": True}
            operation_id = operations.create(
                connection, "import", f"Import {file.name}", options, total=1
            )
            add_files(connection, operation_id, [("", file.name, None)])
            (row,) = pending_files(connection, operation_id, 1)
            result = replace(result, file=replace(file, id=row.id))
            model_id = register_model(connection, tagger)
            (outcome,) = importer.record(connection, operation_id, model_id, [result])
            (added,) = operations.list_files(connection, operation_id, outcome, 1)
        return AddedPhoto(self.photo(added.photo_id or 0), outcome == "duplicate", operation_id)

    def edit_tags(
        self, ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> int:
        """Say of photos that tags belong to them, or do not; the run.

        Adding a tag that a model gave confirms it. This outlives whatever models say later.
        Raises OptionError for text that cannot be a tag, and where there is nothing to do.
        """
        return edits.edit_tags(self.database, ids, add, remove)

    def withdraw_annotations(self, ids: Sequence[int], labels: Sequence[str]) -> int:
        """Take back what people said of tags, so that the model's word counts again; the run."""
        return edits.withdraw_annotations(self.database, ids, labels)

    def delete(self, ids: Sequence[int]) -> int:
        """Delete photos from the library, not from the disk, until it is undone; the run."""
        return edits.delete(self.database, ids)

    def undo(self, operation_id: int) -> UndoResult:
        """Put back what a run changed, except what was changed again since.

        The undoing can be undone. Raises OptionError for a run that cannot be, or of which nothing
        is left to undo.
        """
        return edits.undo(self.database, operation_id)

    def purge(self) -> int:
        """Forget deleted photos for good, with the library's copies of them; how many.

        Files outside the library are not touched. This cannot be undone. Raises OptionError while
        photos are being imported.
        """
        return edits.purge(self.database, self.storage)

    # Seeing

    def search(
        self, query: str = "", sort: Sort = "newest", offset: int = 0, limit: int = 48
    ) -> PhotoPage:
        """Some of the photos a query finds, and how many there are. Raises QueryError."""
        with self.database.read_transaction() as connection:
            ids, total = planner.find_page(connection, query, sort, offset, limit)
            return PhotoPage(tuple(photos.load_photos(connection, ids, self.home)), total)

    def photos(self, query: str = "", sort: Sort = "newest") -> Iterator[Photo]:
        """Every photo a query finds, read some at a time. Raises QueryError."""
        with self.database.read_transaction() as connection:
            total = planner.count_photos(connection, query)
            ids, _ = planner.find_page(connection, query, sort, 0, total)
        for some in chunks(ids, tags.CHUNK):
            with self.database.read_transaction() as connection:
                found = list(photos.load_photos(connection, some, self.home))
            yield from found

    def count(self, query: str = "") -> int:
        """How many photos a query finds. Raises QueryError."""
        with self.database.read_transaction() as connection:
            return planner.count_photos(connection, query)

    def suggest_tags(self, query: str) -> list[Suggestion]:
        """For each tag asked for that no photo has, those it may have been meant for.

        Raises QueryError.
        """
        with self.database.read_transaction() as connection:
            return suggestions.suggest(connection, query)

    def label_counts(self, query: str = "") -> list[tuple[str, int]]:
        """The tags of the photos a query finds, the most frequent first. Raises QueryError."""
        with self.database.read_transaction() as connection:
            return planner.count_labels(connection, query)

    def labels(self) -> list[str]:
        """Every tag the library knows, in alphabetical order."""
        with self.database.read_transaction() as connection:
            return list(connection.scalars(select(labels.c.name).order_by(labels.c.folded)))

    def photo(self, photo_id: int) -> Photo:
        """A photo by id. Raises OptionError where there is none, or it is deleted."""
        with self.database.read_transaction() as connection:
            here = photos.filter_existing(connection, [photo_id])
            found = next(photos.load_photos(connection, here, self.home), None)
        if found is None:
            raise OptionError(
                f"photo {photo_id}: the library has none of that number, or it was deleted;"
                " Activity tells, and can bring it back"
            )
        return found

    def find_by_digest(self, sha256: str) -> Photo | None:
        """The photo whose file has this digest, if the library has it."""
        with self.database.read_transaction() as connection:
            held = photos.find_by_digest(connection, [sha256]).get(sha256)
            if held is None or held.deleted:
                return None
            return next(photos.load_photos(connection, [held.id], self.home), None)

    def prediction(self, photo_id: int) -> StoredPrediction | None:
        """What the last model to look at a photo says of it."""
        with self.database.read_transaction() as connection:
            return photos.load_prediction(connection, photo_id)

    def annotations(self, photo_id: int) -> list[Annotation]:
        """What people say of a photo now."""
        with self.database.read_transaction() as connection:
            return photos.load_annotations(connection, photo_id)

    def review_queue(self, limit: int = 1) -> PhotoPage:
        """Photos nobody has reviewed, those the model is least sure of first."""
        return self.search("NOT reviewed", "doubtful", 0, limit)

    def read_original(self, photo: Photo) -> bytes:
        """The photo's file. Raises ImageError where it is gone, or is not what was added."""
        return read_original(photo)

    def read_thumbnail(self, photo: Photo) -> bytes:
        """A JPEG, at most 320 pixels a side; made anew where it was lost, grey if it cannot be."""
        return self.storage.read_thumbnail(photo)

    def find_similar(
        self,
        embedding: Embedding,
        model_sha256: str,
        count: int = 6,
        exclude: int | None = None,
    ) -> list[tuple[Photo, float]]:
        """The photos most similar to an embedding, with cosine similarity in [-1, 1].

        `embedding` is from `Tagger.tag_with_embeddings`; only photos that this model tagged are
        compared.
        """
        with self.database.read_transaction() as connection:
            neighbours = self._similarity.search(
                connection, embedding, model_sha256, count, exclude
            )
            ids = [photo_id for photo_id, _ in neighbours]
            similar = list(photos.load_photos(connection, ids, self.home))
        return list(zip(similar, (similarity for _, similarity in neighbours), strict=True))

    def find_similar_to(self, photo: Photo, count: int = 6) -> list[tuple[Photo, float]]:
        """The photos most similar to a photo of the library; see `find_similar`."""
        with self.database.read_transaction() as connection:
            stored = self._similarity.load_embedding(connection, photo.id)
        return [] if stored is None else self.find_similar(*stored, count, exclude=photo.id)

    # Activity

    def operations(
        self, limit: int = 50, kinds: Sequence[str] | None = None, active: bool = False
    ) -> list[Operation]:
        """What was done, the newest first; with `active`, what is waiting or at work."""
        with self.database.read_transaction() as connection:
            return operations.list_latest(connection, limit, kinds, active)

    def operation(self, operation_id: int) -> Operation:
        """One of them. Raises OptionError where there is none."""
        with self.database.read_transaction() as connection:
            return operations.get(connection, operation_id)

    def operation_files(
        self, operation_id: int, outcome: str, limit: int = 200
    ) -> list[OperationFile]:
        """Files of an import or re-tagging by what became of them: "failed", "duplicate", ..."""
        with self.database.read_transaction() as connection:
            return operations.list_files(connection, operation_id, outcome, limit)

    def statistics(self) -> Statistics:
        """The library in numbers."""
        with self.database.read_transaction() as connection:
            return statistics.gather(connection)
