"""The catalogue's tables.

Three layers hold what was said, and none overwrites another: that a photo is in the library
(`presences`), what models said of it (`predictions`), what people said (`verdicts`). A row holds
from the run that made it, `run_id`, until the run `ended_by`; nothing else of it ever changes. An
undoing ends rows and lets others hold again, and notes in `undone` what they were: that is what
makes every run undoable, and every undoing. `tags`, and the columns of `photos` below "derived",
are what the layers amount to, for searching.
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
    """A point in time: stored in UTC without an offset, read back as an aware datetime."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class FilePath(TypeDecorator[str]):
    """A path as the system gives it. Bytes that are no valid text survive as private-use signs."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return re.sub("[\uf6ff\uf780-\uf7ff]", "\uf6ff\\g<0>", value).translate(_TO_PRIVATE_USE)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return re.sub("\uf6ff(.)|([\uf780-\uf7ff])", _original, value)


# Python spells byte 0x80 of an undecodable name as U+DC80, which no database takes as text: it is
# kept as U+F780, and what is that by itself with U+F6FF before it.
_TO_PRIVATE_USE = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}


def _original(found: re.Match[str]) -> str:
    return found[1] or chr(ord(found[2]) - 0xF700 + 0xDC00)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _run(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey("runs.id"), nullable=nullable)


# What was done to the library, by whom or what; jobs are runs that a process of their own does.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # of history.Kind
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),  # of history.Status
    Column("options", JSON, nullable=False),
    Column("result", JSON),  # what it came to
    Column("error", Text),  # the sentence, where it failed
    Column("stage", Text),  # what it is doing now
    Column("total", Integer, nullable=False, default=0),
    Column("done", Integer, nullable=False, default=0),
    Column("paced_at", Moment),  # since when, and from how many done, its pace is reckoned
    Column("paced_from", Integer, nullable=False, default=0),
    Column("undoes", Integer, ForeignKey("runs.id")),
    Column("undone_by", Integer, ForeignKey("runs.id")),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("heartbeat_at", Moment),
    Column("claim", String(32)),  # of the process at work on it
    Column("stop_asked", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Index("ix_runs_status", "status"),
)

# Every file an import was given, and what became of it: how it resumes, and what it reports.
files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    _run("run_id"),
    Column("path", FilePath, nullable=False),
    Column("name", Text, nullable=False),
    Column("outcome", String(16)),  # as `importing` says; null: still to do
    Column("reason", Text),  # the sentence, where it failed
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="SET NULL")),
    Index("ix_files_run_outcome", "run_id", "outcome", "id"),
    Index("ix_files_photo", "photo_id"),
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),  # of the model file
    Column("first_used_at", Moment, nullable=False),
)

photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),  # of the file's bytes
    Column("name", Text, nullable=False),  # as it was called when it came
    Column("name_folded", Text, nullable=False),  # by query.fold, for searching
    Column("path", FilePath, nullable=False),  # absolute; relative to the library where `stored`
    Column("stored", Boolean, nullable=False),  # whether the library keeps a copy of its own
    Column("size", Integer, nullable=False),  # bytes
    Column("width", Integer, nullable=False),  # pixels, upright
    Column("height", Integer, nullable=False),
    Column("added_at", Moment, nullable=False),
    Column("taken_at", DateTime),  # by the camera's clock, which knows no time zone
    _run("added_by"),
    # derived
    _run("deleted_by", nullable=True),
    Column("unknown", Boolean, nullable=False, default=False),  # to its model, and nobody said more
    Column("reviewed", Boolean, nullable=False, default=False),  # a person said something
    Column("confidence", Float),  # of its model's answer, in [0, 1]
    Column("doubt", Float),  # in [0, 2], higher: sooner to be reviewed
    Column("model_id", Integer, ForeignKey("models.id")),
    Column("tag_count", Integer, nullable=False, default=0),
    Column("highest", Float),  # score of its tags, in [0, 1]; a tag that a person gave scores 1
    Column("lowest", Float),
    Index(  # all that a search may ask for: it goes through this rather than through the table
        "ix_photos_added",
        *("deleted_by", "added_at", "id"),
        *("taken_at", "unknown", "reviewed", "tag_count", "model_id", "name_folded"),
        *("highest", "lowest"),
    ),
    Index("ix_photos_taken", "deleted_by", "taken_at", "id"),
    Index("ix_photos_name", "deleted_by", "name_folded", "id"),
    Index("ix_photos_confidence", "deleted_by", "confidence", "id"),
    Index("ix_photos_doubt", "deleted_by", "doubt", "id", "reviewed"),
    sqlite_autoincrement=True,  # an id once seen in an export never means another photo
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("folded", Text, nullable=False, unique=True),  # by query.fold
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("model_id", Integer, ForeignKey("models.id"), nullable=False),
    _run("run_id"),  # that computed it
    Column("made_at", Moment, nullable=False),
    Column("label", Text),  # null: unknown
    Column("confidence", Float, nullable=False),
    Column("reason", String(16)),
    Column("ood_score", Float),
    Column("tags", JSON, nullable=False),  # [[label, score, threshold], ...] decided
    Column("scores", JSON, nullable=False),  # [[label, score], ...] the likeliest few
    _run("ended_by", nullable=True),
    Index("ix_predictions_photo", "photo_id", "id"),
    Index("ix_predictions_run", "run_id", "photo_id"),
    Index("ix_predictions_ended", "ended_by", "photo_id"),
)
Index(
    "uq_predictions_current",
    predictions.c.photo_id,
    unique=True,
    sqlite_where=predictions.c.ended_by.is_(None),
    postgresql_where=predictions.c.ended_by.is_(None),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    Column("label_id", Integer, ForeignKey("labels.id"), nullable=False),
    Column("present", Boolean, nullable=False),  # the tag belongs there, or does not
    _run("run_id"),
    Column("made_at", Moment, nullable=False),
    _run("ended_by", nullable=True),
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

# What a photo's tags are now: its model's, less those a person took away, and a person's own.
tags = Table(
    "tags",
    metadata,
    Column("photo_id", ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True),
    Column("label_id", ForeignKey("labels.id"), primary_key=True),
    Column("score", Float),  # in [0, 1]; null where no model decided it
    Column("threshold", Float),
    Column("by_person", Boolean, nullable=False),
    Column("model_id", ForeignKey("models.id")),
    _run("run_id"),
    Column("made_at", Moment, nullable=False),
    Index("ix_tags_label", "label_id", "photo_id", "by_person", "score"),
)
Index(
    "ix_tags_person",
    tags.c.photo_id,
    sqlite_where=text("by_person = 1"),  # word for word as it is asked for
    postgresql_where=tags.c.by_person,
)

# That a photo is in the library, and not deleted.
presences = Table(
    "presences",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    _run("run_id"),
    _run("ended_by", nullable=True),
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

# What an undoing changed: which row was ended by which run, before and after.
undone = Table(
    "undone",
    metadata,
    Column("id", Integer, primary_key=True),
    _run("run_id"),
    Column("layer", String(16), nullable=False),
    Column("row_id", Integer, nullable=False),
    Column("photo_id", Integer, ForeignKey("photos.id", ondelete="CASCADE"), nullable=False),
    _run("before", nullable=True),
    _run("after", nullable=True),
    Index("ix_undone_run", "run_id", "layer", "photo_id"),
    Index("ix_undone_photo", "photo_id"),
)

# A short vector for each photo and model, for the photos nearest to one.
embeddings = Table(
    "embeddings",
    metadata,
    Column("model_id", ForeignKey("models.id"), primary_key=True),
    Column("photo_id", ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float16
    Index("ix_embeddings_photo", "photo_id"),
)

# What the service answered. Photos it was asked about are no part of the library.
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
    Column("seconds", Float, nullable=False),  # from the last byte of the photo to the answer
    Column("client", String(64)),  # as it called itself
    Column("kept", Text),  # where the photo is, relative to the library; null: nowhere
    Index("ix_served_answered", "answered_at"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)
