"""`contents`, for photos that were edited in place; `photos.missing`; photos found by path."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "photos", sa.Column("missing", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("ix_photos_path", "photos", ["path"], unique=False, postgresql_using="hash")
    op.create_table(
        "contents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["ended_by"], ["runs.id"], name=op.f("fk_contents_ended_by")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_contents_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_contents_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contents")),
    )
    op.create_index("ix_contents_ended", "contents", ["ended_by", "photo_id"], unique=False)
    op.create_index("ix_contents_photo", "contents", ["photo_id", "id"], unique=False)
    op.create_index("ix_contents_run", "contents", ["run_id", "photo_id"], unique=False)
    op.create_index(
        "uq_contents_current",
        "contents",
        ["photo_id"],
        unique=True,
        sqlite_where=sa.text("ended_by IS NULL"),
        postgresql_where=sa.text("ended_by IS NULL"),
    )
