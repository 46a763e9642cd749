"""`photos.highest` and `photos.lowest`: the range of tag scores, so that searches read no tags."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# The score of a tag: 1 if a person gave it.
SCORE = "CASE WHEN by_person OR score IS NULL THEN 1.0 ELSE score END"
SCORES = f"""
    UPDATE photos SET (highest, lowest) = (
        SELECT max({SCORE}), min({SCORE}) FROM tags WHERE photo_id = photos.id
    )
"""


def upgrade() -> None:
    op.drop_index("ix_photos_added", "photos")  # or each change below would rebuild it
    op.add_column("photos", sa.Column("highest", sa.Float(), nullable=True))
    op.add_column("photos", sa.Column("lowest", sa.Float(), nullable=True))
    op.execute(SCORES)
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
            "highest",
            "lowest",
        ],
        unique=False,
    )
