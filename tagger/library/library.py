"""The photo library: one method for each action that ends at once.

Long work (importing, tagging again, training) is submitted to `tagger.jobs`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tagger import paths
from tagger.concurrency import chunks
from tagger.errors import ModelError
from tagger.images.decode import Source
from tagger.inference import vocabulary
from tagger.inference.embeddings import Embedding
from tagger.inference.vocabulary import Vocabulary
from tagger.library import (
    descriptions,
    edits,
    operations,
    photos,
    single_photo,
    statistics,
    timeline,
    vectors,
)
from tagger.library.database import version
from tagger.library.database.database import Database, absolute_url, sqlite_url
from tagger.library.database.schema import CHUNK
from tagger.library.descriptions import ResolvedQuery, Space
from tagger.library.duplicates.duplicates import Duplicates
from tagger.library.folders.watched import WatchedFolders
from tagger.library.history import entries
from tagger.library.history.entries import Kind as EntryKind
from tagger.library.history.undo import UndoResult
from tagger.library.labels import edits as tag_edits
from tagger.library.labels import names
from tagger.library.labels.edits import TagEdits
from tagger.library.models import edits as model_edits
from tagger.library.models import in_use as used_models
from tagger.library.models.in_use import ModelUse
from tagger.library.models.retagging import Retagging
from tagger.library.operations import Operation, OperationFile
from tagger.library.photos import MAX_ID
from tagger.library.records import AddedPhoto, Annotation, Photo, PhotoPage, Sort, StoredPrediction
from tagger.library.search import interpretation, planner, suggestions
from tagger.library.search.grammar import label_terms, parse
from tagger.library.search.interpretation import Interpretation
from tagger.library.search.suggestions import Suggestion
from tagger.library.statistics import Statistics
from tagger.library.storage import Storage, make_home, read_original
from tagger.library.teaching.teacher import Teacher
from tagger.library.timeline import PhotoList
from tagger.library.trash import Trash
from tagger.library.vectors import VectorCache
from tagger.tagger import Tagger


class Library:
    """A folder with a database, thumbnails and copies of photos. Safe to share between threads."""

    def __init__(self, home: Path, url: str, database: Database) -> None:
        self.home = home
        self.url = url
        self.database = database
        self.storage = Storage(home)
        self.trash = Trash(database, self.storage)
        self.tags = TagEdits(database, home)
        self.retagging = Retagging(database, home)
        self.duplicates = Duplicates(database, home)
        self.folders = WatchedFolders(database, home)
        self._vectors = VectorCache()
        self.teaching = Teacher(database, home, self._vectors, used_models.load_space)

    @classmethod
    def open(cls, home: Path | None = None, url: str | None = None) -> Library:
        """The library at `home` (`TAGGER_HOME`), its database at `url` (`TAGGER_DATABASE`).

        By default `library/` beside `model/`, with SQLite in it. Created if it does not exist.
        Raises LibraryError.
        """
        home = paths.library_home() if home is None else home.absolute()
        make_home(home)
        url = url or os.environ.get("TAGGER_DATABASE") or sqlite_url(home / "catalogue.db")
        url = absolute_url(url)
        return cls(home, url, Database.open(url))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # Models

    def active_model(self) -> str:
        """The name or file of the first model in use."""
        return self.models_in_use()[0]

    def models_in_use(self) -> list[str]:
        """The names or files of the models that tag new photos, in order.

        Models whose file is gone are left out; if all are, it is the default model.
        """
        with self.database.read_transaction() as connection:
            return used_models.find_names(connection)

    def use_model(self, model: str) -> int | None:
        """Tag new photos with this model alone, by name or file; the operation, if that is new.

        Photos keep the tags of the others, until `turn_off_model`. Raises ModelError.
        """
        return model_edits.use(self.database, model)

    def add_model(self, model: str) -> int | None:
        """Tag new photos with this model too, after the others in use; the operation, if any.

        Raises ModelError.
        """
        return model_edits.add(self.database, model)

    def move_model_up(self, model: str) -> int | None:
        """Let a model in use come before the one in front of it; the operation, if any."""
        return model_edits.move_up(self.database, model)

    def turn_off_model(self, model: str) -> int | None:
        """Tag nothing with this model and hide its tags, which come back when it is used again.

        The operation, if that is new. Raises OptionError for the only one in use.
        """
        return model_edits.turn_off(self.database, model)

    def model_uses(self) -> dict[str, ModelUse]:
        """What each model gave the library, by the models' names."""
        with self.database.read_transaction() as connection:
            return used_models.count_uses(connection)

    def space(self) -> Space | None:
        """The space of descriptions and similar photos.

        That is the first model's in use that understands words, else the bundled model's. None if
        none does or a model's file is broken: a search with a description says which.
        """
        with self.database.read_transaction() as connection, suppress(ModelError):
            return used_models.load_space(connection)
        return None

    # Jobs; see `tagger.jobs`

    def stop(self, operation_id: int) -> None:
        """Ask a job to stop. What it has done stays."""
        with self.database.write_transaction() as connection:
            operations.ask_to_stop(connection, operation_id)

    # Edits

    def add_photo(
        self,
        name: str,
        data: bytes,
        taggers: Tagger | Sequence[Tagger],
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> AddedPhoto:
        """Tag a photo and keep a copy of it, and say which tags belong to it, in one operation.

        One that is there already gets these tags alone, see `edit_tags`. Raises ImageError if it
        cannot be read, OptionError for an invalid tag.
        """
        taggers = [taggers] if isinstance(taggers, Tagger) else list(taggers)
        space, heads = self.space(), self.teaching.learn_active()
        added = single_photo.add(
            self.database, self.storage, name, data, taggers, space, heads, add, remove
        )
        if added.operation_id is not None:
            self.teaching.follow(added.operation_id)
        return AddedPhoto(self.photo(added.photo_id), added.is_duplicate, added.operation_id)

    def edit_tags(
        self,
        ids: Sequence[int],
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        skip: Sequence[str] = (),
    ) -> int:
        """Annotate photos: tags that belong to them, and tags that do not. The operation's id.

        Adding a tag that a model gave confirms it. Annotations outlive later predictions. The head
        of an added tag follows, see `Teacher.answer`. Tags in `skip` were asked about and not
        answered: nothing follows, and an answer stays. Raises OptionError for an invalid tag, and
        if there is nothing to change.
        """
        return self.teaching.follow(edits.edit_tags(self.database, ids, add, remove, skip))

    def confirm_tags(self, ids: Sequence[int]) -> int | None:
        """Confirm all tags of photos, see `edit_tags`; the operation's id, None without any."""
        operation_id = edits.confirm_tags(self.database, ids)
        return None if operation_id is None else self.teaching.follow(operation_id)

    def rate(self, ids: Sequence[int], rating: int) -> int:
        """Rate photos from 1 to 5, which is a favourite; 0 removes it. The operation's id.

        Raises OptionError for another number, and if no photo is in the library.
        """
        return edits.rate(self.database, ids, rating)

    def set_caption(self, photo_id: int, text: str) -> int:
        """Set what a photo's caption says; nothing removes it. The operation's id.

        Raises OptionError for a text that is too long, or if the photo is not in the library.
        """
        return edits.set_caption(self.database, photo_id, text)

    def entries(self, kind: EntryKind) -> dict[str, Any]:
        """The current entries of a kind by key; see `tagger.library.history.entries`."""
        with self.database.read_transaction() as connection:
            return entries.load(connection, kind)

    def save_entry(self, kind: EntryKind, key: str, value: Any, title: str) -> int:
        """Set an entry, or remove it with None; the operation, of this title.

        Raises OptionError for a key that is too long.
        """
        return edits.save_entries(self.database, kind, {key: value}, title)

    def withdraw_annotations(self, ids: Sequence[int], labels: Sequence[str]) -> int:
        """Withdraw annotations, so that the model's tags count again. The operation's id."""
        return edits.withdraw_annotations(self.database, ids, labels)

    def delete(self, ids: Sequence[int]) -> int:
        """Move photos to the trash, not their files; can be undone. The operation's id."""
        return edits.delete(self.database, ids)

    def undo(self, operation_id: int) -> UndoResult:
        """Undo an operation, except for what was changed again since. An undo can be undone.

        Raises OptionError if the operation cannot be undone, NothingLeftError if nothing of it is
        left to undo.
        """
        return edits.undo(self.database, operation_id)

    def last_edit(self, before: int = MAX_ID) -> Operation | None:
        """The latest edit or deletion, of those `before` an operation, that can be undone.

        Nothing may be left to undo of it where other operations changed the same since.
        """
        with self.database.read_transaction() as connection:
            return operations.find_last_edit(connection, before)

    def last_undo(self) -> Operation | None:
        """The latest undo of an edit or deletion, if nothing was edited since and it holds."""
        with self.database.read_transaction() as connection:
            return operations.find_last_undo(connection)

    # Search and photos

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of searches: the built-in one, the library's own, and edits of tags.

        Its own is the file `vocabulary.csv` in its folder. Raises VocabularyError, as a search for
        a word does.
        """
        with self.database.read_transaction() as connection:
            return self._load_vocabulary(connection)

    def search(
        self, query: str = "", sort: Sort | None = None, offset: int = 0, limit: int = 48
    ) -> PhotoPage:
        """A page of the photos that match a query, and their number. Raises QueryError.

        Words that find nothing are read as plain words, by this method alone, as it says so: as the
        tags that they name, see `PhotoPage.tag_query`, or else as a description, see
        `DescriptionSummary`. The default order is "likeness" for a query with a description, else
        "newest".
        """
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            part = sort, offset, limit
            ids, total = descriptions.find_page(connection, resolved, words, *part)
            load = partial(used_models.load_space, connection)
            reading = descriptions.read_words(connection, query, total, words, load, self._vectors)
            if reading is not None:
                resolved = reading
                ids, total = descriptions.find_page(connection, resolved, words, *part)
            return PhotoPage(
                tuple(photos.load_photos(connection, ids, self.home)),
                total,
                resolved.summary,
                {id: resolved.likeness[id] for id in ids if id in resolved.likeness},
                planner.find_matching_tags(connection, resolved.tree, words, ids),
                resolved.tag_query,
            )

    def photos(self, query: str = "", sort: Sort | None = None) -> Iterator[Photo]:
        """Every photo that matches a query, loaded in chunks. Raises QueryError."""
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            total = planner.count_photos(connection, resolved.tree, words)
            ids, _ = descriptions.find_page(connection, resolved, words, sort, 0, total)
        for chunk in chunks(ids, CHUNK):
            with self.database.read_transaction() as connection:
                loaded = list(photos.load_photos(connection, chunk, self.home))
            yield from loaded

    def find_ids(self, query: str = "") -> list[int]:
        """The ids of all photos that match a query, ascending. Raises QueryError."""
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            return planner.find_ids(connection, resolved.tree, words)

    def list_photos(self, query: str = "", sort: Sort = "timeline") -> PhotoList:
        """The ids of all photos that a query finds, in order, and their months. Raises QueryError.

        Words are tags and nothing else; see `search`.
        """
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            ids, _ = descriptions.find_page(connection, resolved, words, sort, 0, MAX_ID)
            is_ranked = bool(resolved.likeness) and sort == "likeness"
            months = () if is_ranked else timeline.count_months(connection, ids, sort)
            return PhotoList(ids, months)

    def load_matches(self, query: str, ids: Sequence[int]) -> PhotoPage:
        """Photos by id, in this order, and why a query that `list_photos` read finds each.

        Those that were deleted meanwhile are left out. Raises QueryError.
        """
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            existing = photos.filter_existing(connection, ids)
            return PhotoPage(
                tuple(photos.load_photos(connection, existing, self.home)),
                len(existing),
                resolved.summary,
                {id: resolved.likeness[id] for id in existing if id in resolved.likeness},
                planner.find_matching_tags(connection, resolved.tree, words, existing),
            )

    def count(self, query: str = "") -> int:
        """The number of photos that match a query. Raises QueryError."""
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            return planner.count_photos(connection, resolved.tree, words)

    def explain(self, query: str) -> list[Interpretation]:
        """The tags that each word of a query finds. Raises QueryError."""
        with self.database.read_transaction() as connection:
            words = self._vocabulary_for(connection, query)
            return interpretation.explain(connection, query, words)

    def suggest_tags(self, query: str) -> list[Suggestion]:
        """Tags and words to try for each word of a query that finds nothing. Raises QueryError."""
        with self.database.read_transaction() as connection:
            return suggestions.suggest(connection, query, self._vocabulary_for(connection, query))

    def label_counts(self, query: str = "") -> list[tuple[str, int]]:
        """The tags of the photos that match a query, most frequent first. Raises QueryError."""
        with self.database.read_transaction() as connection:
            resolved, words = self._resolve(connection, query)
            return planner.count_labels(connection, resolved.tree, words)

    def labels(self) -> list[str]:
        """Every label that photos can show, in alphabetical order: none renamed or hidden."""
        with self.database.read_transaction() as connection:
            return names.list_shown(connection)

    def photo(self, photo_id: int) -> Photo:
        """A photo by id. Raises OptionError if there is none, or it is deleted."""
        with self.database.read_transaction() as connection:
            return photos.load_photo(connection, photo_id, self.home)

    def find_by_digest(self, sha256: str) -> Photo | None:
        """The photo with this digest, if the library has it."""
        with self.database.read_transaction() as connection:
            existing = photos.find_by_digest(connection, [sha256]).get(sha256)
            if existing is None or existing.deleted:
                return None
            return next(photos.load_photos(connection, [existing.id], self.home), None)

    def prediction(self, photo_id: int) -> StoredPrediction | None:
        """A photo's current prediction by the first of its models."""
        return next(iter(self.predictions(photo_id)), None)

    def predictions(self, photo_id: int) -> list[StoredPrediction]:
        """A photo's current predictions, in the order of the models; heads last."""
        with self.database.read_transaction() as connection:
            return photos.load_predictions(connection, photo_id)

    def annotations(self, photo_id: int) -> list[Annotation]:
        """A photo's current annotations, by label."""
        with self.database.read_transaction() as connection:
            return photos.load_annotations(connection, photo_id)

    def read_original(self, photo: Photo) -> bytes:
        """The bytes of a photo's file. Raises ImageError if it is missing or was changed."""
        return read_original(photo)

    def read_thumbnail(self, photo: Photo) -> bytes:
        """A JPEG of at most 320 pixels a side; a missing one is made again from the photo.

        If the photo cannot be read, it is grey.
        """
        return self.storage.read_thumbnail(photo)

    def embed(self, photo: Source) -> tuple[Embedding, str] | None:
        """A photo's vector in the library's space, and that space; None if there is none.

        Raises ImageError for a photo that cannot be read, ModelError if the model is gone.
        """
        space = self.space()
        return None if space is None else descriptions.embed(space, photo)

    def find_similar(
        self, embedding: Embedding, space: str, count: int = 6, exclude: int | None = None
    ) -> list[tuple[Photo, float]]:
        """The photos most similar to an embedding, with cosine similarity in [-1, 1].

        `embedding` is from `Tagger.tag_with_embeddings` or `Tagger.embed`, and `space` that
        tagger's: photos with a vector in this space are compared.
        """
        with self.database.read_transaction() as connection:
            neighbours = self._vectors.nearest(connection, embedding, space, count, exclude)
            similar = photos.load_photos(connection, [id for id, _ in neighbours], self.home)
            return list(zip(similar, (similarity for _, similarity in neighbours), strict=True))

    def find_similar_to(self, photo: Photo, count: int = 6) -> list[tuple[Photo, float]]:
        """The photos most similar to a photo of the library; see `find_similar`.

        They are compared in `space`, or where the photo has no vector there yet, in the latest
        that it has one in.
        """
        space = self.space()
        with self.database.read_transaction() as connection:
            stored = vectors.load(connection, photo.id, space.sha256 if space else None)
        return [] if stored is None else self.find_similar(*stored, count, exclude=photo.id)

    # Operations

    def operations(
        self, limit: int = 50, kinds: Sequence[str] | None = None, active: bool = False
    ) -> list[Operation]:
        """The latest operations, newest first; with `active`, only queued and running ones."""
        with self.database.read_transaction() as connection:
            return operations.list_latest(connection, limit, kinds, active)

    def operation(self, operation_id: int) -> Operation:
        """An operation by id. Raises OptionError if there is none."""
        with self.database.read_transaction() as connection:
            return operations.get(connection, operation_id)

    def edited_photos(self, operation_ids: Sequence[int]) -> dict[int, dict[int, str]]:
        """By operation, the names by id of the photos that it changed; without deleted ones."""
        with self.database.read_transaction() as connection:
            return operations.load_edited_photos(connection, operation_ids)

    def operation_files(
        self, operation_id: int, outcome: str, limit: int = 200
    ) -> list[OperationFile]:
        """The files of an import or re-tagging with an `job_files.Outcome` such as "failed"."""
        with self.database.read_transaction() as connection:
            return operations.list_files(connection, operation_id, outcome, limit)

    def version(self) -> str:
        """Another one after each change of photos, their tags, or what tags are called."""
        with self.database.read_transaction() as connection:
            return version.load(connection)

    def statistics(self) -> Statistics:
        """Counts over the library."""
        with self.database.read_transaction() as connection:
            return statistics.gather(connection)

    def _resolve(self, connection: Connection, query: str) -> tuple[ResolvedQuery, Vocabulary]:
        """A query without its descriptions, and the vocabulary of its words."""
        words = self._vocabulary_for(connection, query)
        load = partial(used_models.load_space, connection)
        return descriptions.resolve(connection, query, words, load, self._vectors), words

    def _vocabulary_for(self, connection: Connection, query: str) -> Vocabulary:
        """The vocabulary; the built-in one where it makes no difference, so that none is broken."""
        terms = label_terms(parse(query))
        is_used = any(not (term.exact or term.wildcard) for term in terms)
        return self._load_vocabulary(connection) if is_used else vocabulary.load()

    def _load_vocabulary(self, connection: Connection) -> Vocabulary:
        return tag_edits.load_vocabulary(self.home, entries.load(connection, "tag"))
