"""The tables of the library's database.

Some names are older than the words of the code: `runs` are operations, `verdicts` annotations, and
a `run_id` is the id of an operation.

Six tables are histories, which no operation overwrites. Of photos: `presences` (it is in the
library), `contents` (of its file), `predictions` (by models), `verdicts` (annotations by people)
and `fields` (what people wrote of it). Of everything else: `entries`. A row is valid from the
operation `run_id` that added it until the operation `ended_by`, and only that column ever changes.
An undo changes it back, and notes in `undone` what it was: so every operation can be undone, undos
included (see `tagger.library.history.undo`). `tags`, and the columns of `photos` and `labels` below
"derived", follow from the current rows of the histories (see `tagger.library.derivation`); searches
read only those.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)


class Moment(TypeDecorator[datetime]):
    """A point in time: stored in UTC without an offset, loaded as an aware datetime."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class FilePath(TypeDecorator[str]):
    """A file path. Bytes that are not valid UTF-8 are stored as private-use characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or value.isascii():
            return value
        return re.sub("[\uf6ff\uf780-\uf7ff]", "\uf6ff\\g<0>", value).translate(_TO_PRIVATE_USE)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or value.isascii():
            return value
        return re.sub("\uf6ff(.)|([\uf780-\uf7ff])", _from_private_use, value)


# Python decodes an invalid byte 0x80 to the surrogate U+DC80, which databases refuse: it is stored
# as U+F780. A U+F780 of the path itself is stored with U+F6FF in front.
_TO_PRIVATE_USE = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}


def _from_private_use(match: re.Match[str]) -> str:
    return match[1] or chr(ord(match[2]) - 0xF700 + 0xDC00)


CHUNK = 500  # ids per statement: databases limit the number of parameters

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _operation_id(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey("runs.id"), nullable=nullable)


# Operations: changes to the library, and jobs, which a process of their own runs.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # operations.Kind
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),  # operations.Status
    Column("options", JSON, nullable=False),
    Column("result", JSON),
    Column("error", Text),  # a sentence, if it failed
    Column("stage", Text),  # what it does at the moment
    Column("total", Integer, nullable=False, default=0),
    Column("done", Integer, nullable=False, default=0),
    Column("paced_at", Moment),  # start of the stage; with `paced_from` gives the pace
    Column("paced_from", Integer, nullable=False, default=0),
    Column("undoes", Integer, ForeignKey("runs.id")),
    Column("undone_by", Integer, ForeignKey("runs.id")),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("heartbeat_at", Moment),
    Column("claim", String(32)),  # token of the process that runs it
    Column("stop_asked", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Index("ix_runs_status", "status"),
)

# What no single photo is about: which models tag, what tags are called, saved searches and so on.
# A key has at most one current row in each kind, which has its value.
entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # entries.Kind
    Column("key", FilePath, nullable=False),  # a tag, a name or a folder
    Column("value", JSON, nullable=False),
    _operation_id("run_id", nullable=True),  # null: from before there were entries
    _operation_id("ended_by", nullable=True),
    Index("ix_entries_key", "kind", "key", "id"),
    Index("ix_entries_run", "run_id"),
    Index("ix_entries_ended", "ended_by"),
)
Index(
    "uq_entries_current",
    entries.c.kind,
    entries.c.key,
    unique=True,
    sqlite_where=entries.c.ended_by.is_(None),
    postgresql_where=entries.c.ended_by.is_(None),
)

# The files of an import or re-tagging with their outcomes, from which a stopped one resumes.
files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    _operation_id("run_id"),
    Column("path", FilePath, nullable=False),
    Column("name", Text, nullable=False),
    Column("outcome", String(16)),  # job_files.Outcome; null: pending
    Column("reason", Text),  # a sentence, if it failed
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="SET NULL")),
    Index("ix_files_run_outcome", "run_id", "outcome", "id"),
    Index("ix_files_photo", "photo_id"),
)

# A model, or a version of one; or a person's own tag that was learnt from examples, its head.
models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),  # of a head: its tag
    Column("kind", String(16), nullable=False, default="model"),  # or "head"
    Column("sha256", String(64), nullable=False, unique=True),  # of the model file, or the head
    Column("first_used_at", Moment, nullable=False),
)

photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),  # of the file's bytes
    Column("name", Text, nullable=False),  # of the file when it was added
    Column("name_folded", Text, nullable=False),  # by grammar.fold, for searching
    Column("path", FilePath, nullable=False),  # absolute; if `stored`, relative to the library
    Column("stored", Boolean, nullable=False),  # the file is the library's own copy
    Column("size", Integer, nullable=False),  # bytes
    Column("width", Integer, nullable=False),  # pixels, upright
    Column("height", Integer, nullable=False),
    Column("added_at", Moment, nullable=False),
    Column("taken_at", DateTime),  # the camera's time, without a time zone
    _operation_id("added_by"),
    Column("missing", Boolean, nullable=False, default=False),  # the file, when last looked for
    Column("phash", String(16)),  # perceptual hash, 64 bits in hex; null: not computed yet
    # derived
    Column("dated_at", DateTime, nullable=False),  # `taken_at`, else `added_at` in UTC
    _operation_id("deleted_by", nullable=True),
    Column("unknown", Boolean, nullable=False, default=False),  # no label, not reviewed
    Column("reviewed", Boolean, nullable=False, default=False),  # has annotations
    Column("confidence", Float),  # of the prediction, in [0, 1]
    Column("doubt", Float),  # in [0, 2], the highest is reviewed first
    Column("model_id", Integer, ForeignKey("models.id")),  # of the first model
    Column("model_count", Integer, nullable=False, default=0),  # that looked at it, off or not
    Column("tag_count", Integer, nullable=False, default=0),
    Column("highest", Float),  # score of its tags, in [0, 1]; tags by a person count as 1
    Column("lowest", Float),
    Column("rating", Integer, nullable=False, default=0),  # by a person, 1 to 5; 0: none
    Column("caption", Text),  # by a person
    Column("caption_folded", Text),  # by grammar.fold, for searching
    Column("stale", Boolean, nullable=False, default=False),  # its tags are to be derived again
    Index(  # covers all columns that searches use, so that they scan it instead of the table
        "ix_photos_added",
        *("deleted_by", "added_at", "id"),
        *("taken_at", "unknown", "reviewed", "tag_count", "model_id", "name_folded"),
        *("highest", "lowest", "rating", "model_count"),
    ),
    Index("ix_photos_dated", "deleted_by", "dated_at", "id"),
    Index("ix_photos_rating", "deleted_by", "rating", "dated_at", "id"),
    Index("ix_photos_taken", "deleted_by", "taken_at", "id"),
    Index("ix_photos_name", "deleted_by", "name_folded", "id"),
    Index("ix_photos_confidence", "deleted_by", "confidence", "id"),
    Index("ix_photos_doubt", "deleted_by", "doubt", "id", "reviewed"),
    Index("ix_photos_path", "path", postgresql_using="hash"),  # paths may be too long for a B-tree
    sqlite_autoincrement=True,  # an id in an export never names another photo later
)

Index(
    "ix_photos_stale",
    photos.c.id,
    sqlite_where=text("stale = 1"),  # literally as in the queries, or SQLite would not use it
    postgresql_where=photos.c.stale,
)
Index(
    "ix_photos_caption",
    photos.c.id,
    sqlite_where=photos.c.caption_folded.is_not(None),
    postgresql_where=photos.c.caption_folded.is_not(None),
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("folded", Text, nullable=False, unique=True),  # by grammar.fold
    # derived from `entries`
    Column("shown_as", Integer, ForeignKey("labels.id")),  # the label that it was renamed to
    Column("hidden", Boolean, nullable=False, default=False),  # kept, but not listed
    Column("never", Boolean, nullable=False, default=False),  # models cannot give it to photos
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("model_id", Integer, ForeignKey("models.id"), nullable=False),
    _operation_id("run_id"),
    Column("made_at", Moment, nullable=False),
    Column("label", Text),  # null: unknown
    Column("confidence", Float, nullable=False),
    Column("reason", String(16)),
    Column("ood_score", Float),
    Column("tags", JSON, nullable=False),  # [[label, score, threshold], ...]
    Column("scores", JSON, nullable=False),  # [[label, score], ...] highest first
    _operation_id("ended_by", nullable=True),
    Index("ix_predictions_photo", "photo_id", "id"),
    Index("ix_predictions_run", "run_id", "photo_id"),
    Index("ix_predictions_ended", "ended_by", "photo_id"),
)
Index(
    "uq_predictions_current",
    predictions.c.photo_id,
    predictions.c.model_id,
    unique=True,
    sqlite_where=predictions.c.ended_by.is_(None),
    postgresql_where=predictions.c.ended_by.is_(None),
)

Index(
    "ix_predictions_model",
    predictions.c.model_id,
    predictions.c.photo_id,
    sqlite_where=predictions.c.ended_by.is_(None),
    postgresql_where=predictions.c.ended_by.is_(None),
)

# Annotations: a person's answer whether a tag belongs to a photo.
verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("label_id", Integer, ForeignKey("labels.id"), nullable=False),
    Column("present", Boolean),  # the tag belongs to the photo, or does not; null: no answer
    _operation_id("run_id"),
    Column("made_at", Moment, nullable=False),
    _operation_id("ended_by", nullable=True),
    Index("ix_verdicts_photo", "photo_id", "label_id", "id"),
    Index("ix_verdicts_run", "run_id", "photo_id"),
    Index("ix_verdicts_ended", "ended_by", "photo_id"),
)
Index(
    "uq_verdicts_current",
    verdicts.c.photo_id,
    verdicts.c.label_id,
    unique=True,
    sqlite_where=verdicts.c.ended_by.is_(None),
    postgresql_where=verdicts.c.ended_by.is_(None),
)

# What people wrote of a photo, by field.
fields = Table(
    "fields",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("field", String(16), nullable=False),  # "rating" or "caption"
    Column("value", JSON, nullable=False),
    _operation_id("run_id"),
    _operation_id("ended_by", nullable=True),
    Index("ix_fields_photo", "photo_id", "field", "id"),
    Index("ix_fields_run", "run_id", "photo_id"),
    Index("ix_fields_ended", "ended_by", "photo_id"),
)
Index(
    "uq_fields_current",
    fields.c.photo_id,
    fields.c.field,
    unique=True,
    sqlite_where=fields.c.ended_by.is_(None),
    postgresql_where=fields.c.ended_by.is_(None),
)

# Derived: the tags of a photo now, from its current predictions and annotations.
tags = Table(
    "tags",
    metadata,
    Column("photo_id", ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True),
    Column("label_id", ForeignKey("labels.id"), primary_key=True),
    Column("score", Float),  # in [0, 1]; null if only a person gave the tag
    Column("threshold", Float),
    Column("by_person", Boolean, nullable=False),
    Column("model_id", ForeignKey("models.id")),
    _operation_id("run_id"),
    Column("made_at", Moment, nullable=False),
    Index("ix_tags_label", "label_id", "photo_id", "by_person", "score"),
)
Index(
    "ix_tags_person",
    tags.c.photo_id,
    sqlite_where=text("by_person = 1"),  # literally as in the queries, or SQLite would not use it
    postgresql_where=tags.c.by_person,
)

# A current row: the photo is in the library and not deleted.
presences = Table(
    "presences",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    _operation_id("run_id"),
    _operation_id("ended_by", nullable=True),
    Index("ix_presences_photo", "photo_id", "id"),
    Index("ix_presences_run", "run_id", "photo_id"),
    Index("ix_presences_ended", "ended_by", "photo_id"),
)
Index(
    "uq_presences_current",
    presences.c.photo_id,
    unique=True,
    sqlite_where=presences.c.ended_by.is_(None),
    postgresql_where=presences.c.ended_by.is_(None),
)

# The content of a photo's file, from its first change on: until then `photos` alone has it, whose
# columns of these names are derived from the current row.
contents = Table(
    "contents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("taken_at", DateTime),
    Column("path", FilePath, nullable=False),
    Column("stored", Boolean, nullable=False),
    _operation_id("run_id"),
    _operation_id("ended_by", nullable=True),
    Index("ix_contents_photo", "photo_id", "id"),
    Index("ix_contents_run", "run_id", "photo_id"),
    Index("ix_contents_ended", "ended_by", "photo_id"),
)
Index(
    "uq_contents_current",
    contents.c.photo_id,
    unique=True,
    sqlite_where=contents.c.ended_by.is_(None),
    postgresql_where=contents.c.ended_by.is_(None),
)

# What an undo changed: the `ended_by` of a row of a history, before and after.
undone = Table(
    "undone",
    metadata,
    Column("id", Integer, primary_key=True),
    _operation_id("run_id"),
    Column("layer", String(16), nullable=False),  # the name of the history
    Column("row_id", Integer, nullable=False),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE")),  # null: an entry
    _operation_id("before", nullable=True),
    _operation_id("after", nullable=True),
    Index("ix_undone_run", "run_id", "layer", "photo_id"),
    Index("ix_undone_photo", "photo_id"),
)

# A space: vectors of one are comparable with each other, and never with those of another.
spaces = Table(
    "spaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),  # Tagger.space
)

# A photo's vector in a space, for descriptions and similar photos. It never changes.
vectors = Table(
    "vectors",
    metadata,
    Column("id", Integer, primary_key=True),  # ascending, so that new ones are read alone
    Column("space_id", Integer, ForeignKey("spaces.id"), nullable=False),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("vector", LargeBinary),  # float16; null: the photo could not be read
    Index("uq_vectors_photo", "photo_id", "space_id", unique=True),
    Index("ix_vectors_space", "space_id", "id"),
)

# Predictions of the HTTP service. Its photos are not part of the library.
served = Table(
    "served",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("answered_at", Moment, nullable=False),
    Column("sha256", String(64), nullable=False),  # of the photo's bytes
    Column("model_id", Integer, ForeignKey("models.id"), nullable=False),
    Column("label", Text),  # null: unknown
    Column("confidence", Float, nullable=False),
    Column("reason", String(16)),
    Column("ood_score", Float),
    Column("seconds", Float, nullable=False),  # from the last byte of the request to the response
    Column("client", String(64)),  # the name it gave
    Column("kept", Text),  # path of the kept photo, relative to the library; null: not kept
    Index("ix_served_answered", "answered_at"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)
