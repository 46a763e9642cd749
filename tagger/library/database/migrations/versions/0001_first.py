"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint("folded", name=op.f("uq_labels_folded")),
        sa.UniqueConstraint("name", name=op.f("uq_labels_name")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("first_used_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("sha256", name=op.f("uq_models_sha256")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("paced_at", sa.DateTime(), nullable=True),
        sa.Column("paced_from", sa.Integer(), nullable=False),
        sa.Column("undoes", sa.Integer(), nullable=True),
        sa.Column("undone_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=True),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("stop_asked", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["undoes"], ["runs.id"], name=op.f("fk_runs_undoes")),
        sa.ForeignKeyConstraint(["undone_by"], ["runs.id"], name=op.f("fk_runs_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_status", "runs", ["status"], unique=False)
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "photos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("added_by", sa.Integer(), nullable=False),
        sa.Column("deleted_by", sa.Integer(), nullable=True),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("doubt", sa.Float(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("tag_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["runs.id"], name=op.f("fk_photos_added_by")),
        sa.ForeignKeyConstraint(["deleted_by"], ["runs.id"], name=op.f("fk_photos_deleted_by")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_photos_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        sa.UniqueConstraint("sha256", name=op.f("uq_photos_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_photos_added",
        "photos",
        [
            "deleted_by",
            "added_at",
            "id",
            "taken_at",
            "unknown",
            "reviewed",
            "tag_count",
            "model_id",
            "name_folded",
        ],
        unique=False,
    )
    op.create_index(
        "ix_photos_confidence", "photos", ["deleted_by", "confidence", "id"], unique=False
    )
    op.create_index(
        "ix_photos_doubt", "photos", ["deleted_by", "doubt", "id", "reviewed"], unique=False
    )
    op.create_index("ix_photos_name", "photos", ["deleted_by", "name_folded", "id"], unique=False)
    op.create_index("ix_photos_taken", "photos", ["deleted_by", "taken_at", "id"], unique=False)
    op.create_table(
        "embeddings",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_embeddings_model_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_embeddings_photo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", "photo_id", name=op.f("pk_embeddings")),
    )
    op.create_index("ix_embeddings_photo", "embeddings", ["photo_id"], unique=False)
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_files_photo_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_files_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index("ix_files_photo", "files", ["photo_id"], unique=False)
    op.create_index("ix_files_run_outcome", "files", ["run_id", "outcome", "id"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("ood_score", sa.Float(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_predictions_ended_by")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_predictions_model_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_predictions_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_predictions_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    op.create_index("ix_predictions_ended", "predictions", ["ended_by", "photo_id"], unique=False)
    op.create_index("ix_predictions_photo", "predictions", ["photo_id", "id"], unique=False)
    op.create_index("ix_predictions_run", "predictions", ["run_id", "photo_id"], unique=False)
    op.create_index(
        "uq_predictions_current",
        "predictions",
        ["photo_id"],
        unique=True,
        sqlite_where=sa.text("ended_by IS NULL"),
        postgresql_where=sa.text("ended_by IS NULL"),
    )
    op.create_table(
        "presences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_presences_ended_by")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_presences_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_presences_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presences")),
    )
    op.create_index("ix_presences_ended", "presences", ["ended_by", "photo_id"], unique=False)
    op.create_index("ix_presences_photo", "presences", ["photo_id", "id"], unique=False)
    op.create_index("ix_presences_run", "presences", ["run_id", "photo_id"], unique=False)
    op.create_index(
        "uq_presences_current",
        "presences",
        ["photo_id"],
        unique=True,
        sqlite_where=sa.text("ended_by IS NULL"),
        postgresql_where=sa.text("ended_by IS NULL"),
    )
    op.create_table(
        "tags",
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_tags_label_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_tags_model_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_tags_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tags_run_id")),
        sa.PrimaryKeyConstraint("photo_id", "label_id", name=op.f("pk_tags")),
    )
    op.create_index(
        "ix_tags_label", "tags", ["label_id", "photo_id", "by_person", "score"], unique=False
    )
    op.create_index(
        "ix_tags_person",
        "tags",
        ["photo_id"],
        unique=False,
        sqlite_where=sa.text("by_person = 1"),
        postgresql_where="by_person",
    )
    op.create_table(
        "undone",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.String(length=16), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("after", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["after"], ["runs.id"], name=op.f("fk_undone_after")),
        sa.ForeignKeyConstraint(["before"], ["runs.id"], name=op.f("fk_undone_before")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_undone_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_undone_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undone")),
    )
    op.create_index("ix_undone_photo", "undone", ["photo_id"], unique=False)
    op.create_index("ix_undone_run", "undone", ["run_id", "layer", "photo_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_verdicts_ended_by")),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_verdicts_label_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_verdicts_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_verdicts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index("ix_verdicts_ended", "verdicts", ["ended_by", "photo_id"], unique=False)
    op.create_index("ix_verdicts_photo", "verdicts", ["photo_id", "label_id", "id"], unique=False)
    op.create_index("ix_verdicts_run", "verdicts", ["run_id", "photo_id"], unique=False)
    op.create_index(
        "uq_verdicts_current",
        "verdicts",
        ["photo_id", "label_id"],
        unique=True,
        sqlite_where=sa.text("ended_by IS NULL"),
        postgresql_where=sa.text("ended_by IS NULL"),
    )
