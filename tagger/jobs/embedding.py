"""Embedding jobs: vectors of photos for descriptions and similar photos.

No model tags them. Heads, which see vectors alone, tag those that were imported without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from tagger.concurrency import chunks, merge_batches, one_blas_thread, ordered_map
from tagger.errors import ImageError, ModelError
from tagger.inference.embeddings import Embedding
from tagger.jobs.lease import Lease
from tagger.jobs.requests import EmbedRequest
from tagger.library import photos, vectors
from tagger.library.models.in_use import used_spaces
from tagger.library.records import Photo
from tagger.library.storage import Storage, read_original
from tagger.library.teaching.predictions import tag_later
from tagger.tagger import Tagger

BATCH_SIZE = 16  # photos embedded together
_LISTED = 512  # photos in a query
_MAX_WRITTEN = 256  # vectors in a transaction
_WRITE_SECONDS = 0.5  # between two transactions


def embed_photos(lease: Lease, request: EmbedRequest) -> dict[str, Any]:
    """Give a vector to every photo without one; the number of photos, and of unreadable ones.

    A photo whose file is missing or was changed is looked at in its thumbnail. Vectors of spaces
    that are no longer used are deleted in the end. Raises ModelError where the model is gone.
    """
    tagger = Tagger.load(request.model)
    space, database = tagger.space, lease.library.database
    with lease.write_transaction() as connection:
        space_id = vectors.register_space(connection, space)
    with database.read_transaction() as connection:
        missing = vectors.count_missing(connection, space_id)
    lease.start_stage("Looking at photos", total=lease.job.done + missing)
    storage = lease.library.storage
    active = lease.library.teaching.learn_active()
    heads = [each for each in active if each.head.space == space]

    def embed(batch: Sequence[Photo]) -> list[tuple[int, Embedding | None]]:
        return [(photo.id, _embed(tagger, storage, photo)) for photo in batch]

    counts: Counter[str] = Counter()
    with one_blas_thread():
        batches = ordered_map(embed, chunks(_missing_photos(lease, space_id), BATCH_SIZE))
        for pairs in merge_batches(batches, _MAX_WRITTEN, _WRITE_SECONDS):
            embedded = dict(pairs)
            with lease.write_transaction() as connection:
                # Another job may have deleted the space, if its model was not active meanwhile.
                vectors.add(connection, vectors.register_space(connection, space), embedded)
                tag_later(connection, heads, embedded)
                lease.add_done(connection, len(embedded))
            counts["photos"] += len(embedded)
            counts["unreadable"] += sum(vector is None for vector in embedded.values())
    _delete_unused(lease, space)
    return dict(counts)


def _missing_photos(lease: Lease, space_id: int) -> Iterator[Photo]:
    """Photos without a vector, those included that are added in the meantime."""
    last_id = 0
    while True:
        with lease.library.database.read_transaction() as connection:
            ids = vectors.find_missing(connection, space_id, _LISTED, last_id)
            loaded = list(photos.load_photos(connection, ids, lease.library.home))
        if not ids:
            return
        yield from loaded
        last_id = ids[-1]


def _embed(tagger: Tagger, storage: Storage, photo: Photo) -> Embedding | None:
    """A photo's vector, from its file or else its thumbnail; None if neither can be read."""
    try:
        return tagger.embed(read_original(photo))
    except (ImageError, OSError):
        pass
    try:
        return tagger.embed(storage.thumbnail_path(photo.sha256).read_bytes())
    except (ImageError, OSError):
        return None


def _delete_unused(lease: Lease, space: str) -> None:
    """Delete vectors, little by little, except of this space and those that are used then.

    None are deleted while a model's file is broken, as it may come back.
    """
    deleted = True
    while deleted:
        with lease.write_transaction() as connection, suppress(ModelError):
            deleted = False
            kept = used_spaces(connection) | {space}
            deleted = bool(vectors.delete_some(connection, sorted(kept)))
