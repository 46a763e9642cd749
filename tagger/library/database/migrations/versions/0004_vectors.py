"""`spaces` and `vectors` in place of `embeddings`: vectors of a space rather than of a model."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SPACES = """
    INSERT INTO spaces (sha256)
    SELECT sha256 FROM models WHERE id IN (SELECT model_id FROM embeddings) ORDER BY id
"""
VECTORS = """
    INSERT INTO vectors (space_id, photo_id, vector)
    SELECT spaces.id, embeddings.photo_id, embeddings.vector
    FROM embeddings
    JOIN models ON models.id = embeddings.model_id
    JOIN spaces ON spaces.sha256 = models.sha256
    ORDER BY embeddings.photo_id
"""


def upgrade() -> None:
    op.create_table(
        "spaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spaces")),
        sa.UniqueConstraint("sha256", name=op.f("uq_spaces_sha256")),
    )
    op.create_table(
        "vectors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=op.f("fk_vectors_space_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_vectors_photo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vectors")),
    )
    op.execute(SPACES)
    op.execute(VECTORS)
    op.create_index("uq_vectors_photo", "vectors", ["photo_id", "space_id"], unique=True)
    op.create_index("ix_vectors_space", "vectors", ["space_id", "id"], unique=False)
    op.drop_table("embeddings")
