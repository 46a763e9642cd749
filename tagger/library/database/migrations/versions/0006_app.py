"""`entries` and `fields`, ratings and captions; several models tag a photo; tags can be renamed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ACTIVE_MODEL = "active_model"  # the setting that `entries` replaces
COLUMNS = """
    UPDATE photos SET
        dated_at = coalesce(taken_at, added_at),
        model_count = CASE WHEN model_id IS NULL THEN 0 ELSE 1 END
"""
CURRENT = sa.text("ended_by IS NULL")


def upgrade() -> None:
    _create_histories()
    _alter_photos()
    _alter_predictions_and_labels()
    with op.batch_alter_table("verdicts") as verdicts:
        verdicts.alter_column("present", existing_type=sa.Boolean(), nullable=True)
    with op.batch_alter_table("undone") as undone:
        undone.alter_column("photo_id", existing_type=sa.Integer(), nullable=True)
    _carry_active_model()


def _create_histories() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_entries_ended_by")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_entries_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_ended", "entries", ["ended_by"])
    op.create_index("ix_entries_key", "entries", ["kind", "key", "id"])
    op.create_index("ix_entries_run", "entries", ["run_id"])
    _index_current("uq_entries_current", "entries", ["kind", "key"])
    op.create_table(
        "fields",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(16), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_fields_ended_by")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_fields_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_fields_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fields")),
    )
    op.create_index("ix_fields_ended", "fields", ["ended_by", "photo_id"])
    op.create_index("ix_fields_photo", "fields", ["photo_id", "field", "id"])
    op.create_index("ix_fields_run", "fields", ["run_id", "photo_id"])
    _index_current("uq_fields_current", "fields", ["photo_id", "field"])


def _alter_photos() -> None:
    op.drop_index("ix_photos_added", "photos")  # or each change below would rebuild it
    never = "1970-01-01 00:00:00.000000"  # until the statement below
    for column in (
        sa.Column("phash", sa.String(16), nullable=True),
        sa.Column("dated_at", sa.DateTime(), nullable=False, server_default=never),
        sa.Column("model_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("rating", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("caption_folded", sa.Text(), nullable=True),
        sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("photos", column)
    op.execute(COLUMNS)
    op.create_index(
        "ix_photos_added",
        "photos",
        [
            *("deleted_by", "added_at", "id"),
            *("taken_at", "unknown", "reviewed", "tag_count", "model_id", "name_folded"),
            *("highest", "lowest", "rating", "model_count"),
        ],
    )
    op.create_index("ix_photos_dated", "photos", ["deleted_by", "dated_at", "id"])
    op.create_index("ix_photos_rating", "photos", ["deleted_by", "rating", "dated_at", "id"])
    op.create_index(
        "ix_photos_stale",
        "photos",
        ["id"],
        sqlite_where=sa.text("stale = 1"),
        postgresql_where=sa.text("stale"),
    )
    has_caption = sa.text("caption_folded IS NOT NULL")
    op.create_index(
        "ix_photos_caption",
        "photos",
        ["id"],
        sqlite_where=has_caption,
        postgresql_where=has_caption,
    )


def _alter_predictions_and_labels() -> None:
    op.add_column(
        "models", sa.Column("kind", sa.String(16), nullable=False, server_default="model")
    )
    op.drop_index("uq_predictions_current", "predictions")
    _index_current("uq_predictions_current", "predictions", ["photo_id", "model_id"])
    op.create_index(
        "ix_predictions_model",
        "predictions",
        ["model_id", "photo_id"],
        sqlite_where=CURRENT,
        postgresql_where=CURRENT,
    )
    with op.batch_alter_table("labels") as labels:
        labels.add_column(sa.Column("shown_as", sa.Integer(), nullable=True))
        labels.add_column(
            sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        labels.add_column(
            sa.Column("never", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        labels.create_foreign_key(op.f("fk_labels_shown_as"), "labels", ["shown_as"], ["id"])


def _carry_active_model() -> None:
    """The model that tags becomes the one in use."""
    connection = op.get_bind()
    settings = sa.table("settings", sa.column("name"), sa.column("value", sa.JSON()))
    entries = sa.table(
        "entries", sa.column("kind"), sa.column("key"), sa.column("value", sa.JSON())
    )
    is_active_model = settings.c.name == ACTIVE_MODEL
    model = connection.scalar(sa.select(settings.c.value).where(is_active_model))
    if model:
        entry = {"kind": "models", "key": "in_use", "value": [model]}
        connection.execute(sa.insert(entries).values(entry))
    connection.execute(sa.delete(settings).where(is_active_model))


def _index_current(name: str, table: str, columns: list[str]) -> None:
    op.create_index(
        name, table, columns, unique=True, sqlite_where=CURRENT, postgresql_where=CURRENT
    )
