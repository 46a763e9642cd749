"""Comparing jobs: near copies among the photos of the library."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import chunks, merge_batches, one_blas_thread, ordered_map
from tagger.errors import ImageError
from tagger.images import decode, quality
from tagger.images.near_copy import Sketch, is_near_copy, make_sketch
from tagger.jobs.lease import JobStopped, Lease
from tagger.library import photos
from tagger.library.duplicates import hashes
from tagger.library.duplicates.candidates import Candidates, find_candidates
from tagger.library.duplicates.comparisons import Comparisons
from tagger.library.duplicates.hashes import Hashes
from tagger.library.records import Photo
from tagger.library.storage import Storage, read_original
from tagger.library.vectors import Ids, VectorCache, Vectors

MAX_SKETCHES = 2_000  # in memory, of about 25 kB
MEASURED_SIDE = 512  # pixels of the shorter side, at which sharpness is compared
SAVE_SECONDS = 5.0  # between two writes of what was compared: so much is lost at most
_LISTED = 512  # photos in a query
_BATCH = 16  # photos hashed together
_MAX_WRITTEN = 256  # hashes in a transaction
_WRITE_SECONDS = 0.5
_PAIRS = 65_536  # vectors compared together


def find_duplicates(lease: Lease) -> dict[str, Any]:
    """Compare the photos that were not compared yet; how many, and the near copies among them.

    Stopped or killed, it goes on from what was saved last.
    """
    library = lease.library
    _hash_photos(lease)
    with library.database.read_transaction() as connection:
        ids, values, _ = hashes.load_all(connection)
    space = library.space()
    loaded = None
    if space is not None:
        with library.database.read_transaction() as connection:
            loaded = VectorCache().load(connection, space.sha256)
    file = library.duplicates.file
    comparison = _Comparison(library.storage, ids, values, loaded, Comparisons.load(file))
    lease.start_stage("Comparing photos", done=0, total=int(comparison.is_new.sum()))
    saved, done = time.monotonic(), 0
    try:
        for count in comparison.run(lease):
            done += count
            lease.set_columns(done=done)
            with lease.write_transaction():  # raises JobStopped
                pass
            if time.monotonic() - saved > SAVE_SECONDS:
                comparison.compared.save(file)
                saved = time.monotonic()
    except JobStopped:
        comparison.compared.save(file)
        raise
    comparison.compared.save(file)
    comparison.measure_sharpness(lease)
    comparison.compared.save(file)
    return {"photos": done, "pairs": comparison.new_pairs}


class _Comparison:
    """Photos by row: `ids (N,)`, `values (N,)` their hashes, and which of them are new."""

    def __init__(
        self,
        storage: Storage,
        ids: Ids,
        values: Hashes,
        loaded: Vectors | None,
        earlier: Comparisons,
    ) -> None:
        self.ids = ids
        self.values = values
        self.compared = earlier.restrict(ids, values)
        self.new_pairs = 0
        self._loaded = loaded
        self._vector_rows = np.full(len(ids), -1) if loaded is None else loaded.find_rows(ids)
        if loaded is None:
            self._is_complete = np.ones(len(ids), np.bool_)
        else:
            self._is_complete = (self._vector_rows >= 0) | np.isin(ids, loaded.unreadable)
        was_complete = np.isin(ids, self.compared.ids[self.compared.complete])
        is_compared = np.isin(ids, self.compared.ids)
        self.is_new = ~is_compared | (self._is_complete & ~was_complete)
        self._sketches = _Sketches(storage)

    def run(self, lease: Lease) -> Iterator[int]:
        """Compare the new photos; how many, again and again."""
        with one_blas_thread():
            for candidates in find_candidates(self.values, self.is_new, self._cosines):
                digests = self._load_digests(lease, candidates)
                pairs = list(self._verify(candidates, digests))
                self.new_pairs += len(pairs)
                rows = candidates.rows
                self.compared = self.compared.add(
                    self.ids[rows],
                    self.values[rows],
                    self._is_complete[rows],
                    np.array(pairs, np.int64).reshape(-1, 2),
                )
                yield len(rows)

    def measure_sharpness(self, lease: Lease) -> None:
        """Measure the near copies that were not measured yet; the file says how sharp they are."""
        missing = np.setdiff1d(self.compared.pairs, self.compared.sharp_ids)
        lease.start_stage("Comparing sharpness", done=0, total=len(missing))
        done = 0
        for chunk in chunks(missing.tolist(), _LISTED):
            with lease.write_transaction() as connection:
                loaded = list(photos.load_photos(connection, chunk, lease.library.home))
            measured = ordered_map(_measure_sharpness, loaded)
            pairs = [
                (photo.id, sharpness)
                for photo, sharpness in zip(loaded, measured, strict=True)
                if sharpness is not None
            ]
            self.compared = self.compared.add_sharpness(
                np.array([photo_id for photo_id, _ in pairs], np.int64),
                np.array([sharpness for _, sharpness in pairs], np.float32),
            )
            done += len(chunk)
            lease.set_columns(done=done)

    def _cosines(self, first: Ids, second: Ids) -> NDArray[np.float32]:
        """Cosines of pairs `(P,)`, NaN where a photo has no vector."""
        cosines = np.full(len(first), np.nan, np.float32)
        if self._loaded is None:
            return cosines
        left, right = self._vector_rows[first], self._vector_rows[second]
        has_both = np.flatnonzero((left >= 0) & (right >= 0))
        for start in range(0, len(has_both), _PAIRS):
            part = has_both[start : start + _PAIRS]
            a, b = self._loaded.take(left[part]), self._loaded.take(right[part])
            cosines[part] = np.einsum("ij,ij->i", a, b)
        return cosines

    def _load_digests(self, lease: Lease, candidates: Candidates) -> dict[int, str]:
        """The digests of candidates by photo: their thumbnails are called so."""
        rows = np.unique(np.concatenate([candidates.first, candidates.second]))
        with lease.library.database.read_transaction() as connection:
            return photos.load_digests(connection, self.ids[rows].tolist())

    def _verify(self, candidates: Candidates, digests: dict[int, str]) -> Iterator[tuple[int, int]]:
        """The candidates that are near copies, as pairs of ids."""
        first, second = (self.ids[rows].tolist() for rows in (candidates.first, candidates.second))
        pairs = list(zip(first, second, strict=True))

        def verify(pair: tuple[int, int]) -> bool:
            left, right = (self._sketches.get(digests.get(each, "")) for each in pair)
            return left is not None and right is not None and is_near_copy(left, right)

        for pair, is_copy in zip(pairs, ordered_map(verify, pairs), strict=True):
            if is_copy:
                yield pair


class _Sketches:
    """The sketches of photos that were used last, by digest; None of those without thumbnail."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._latest: OrderedDict[str, Sketch | None] = OrderedDict()

    def get(self, sha256: str) -> Sketch | None:
        with self._lock:
            if sha256 in self._latest:
                self._latest.move_to_end(sha256)
                return self._latest[sha256]
        thumbnail = self._storage.load_thumbnail(sha256)
        sketch = None if thumbnail is None else make_sketch(thumbnail)
        with self._lock:
            self._latest[sha256] = sketch
            while len(self._latest) > MAX_SKETCHES:
                self._latest.popitem(last=False)
        return sketch


def _hash_photos(lease: Lease) -> None:
    """Give every photo a hash that has none, by its thumbnail or else its file."""
    database, storage = lease.library.database, lease.library.storage
    with database.read_transaction() as connection:
        missing = hashes.count_missing(connection)
    lease.start_stage("Looking at photos", done=0, total=missing)

    def hash_batch(batch: Sequence[Photo]) -> list[tuple[int, str, str]]:
        return [(photo.id, photo.sha256, _hash(storage, photo)) for photo in batch]

    batches = ordered_map(hash_batch, chunks(_photos_without_hash(lease), _BATCH))
    for rows in merge_batches(batches, _MAX_WRITTEN, _WRITE_SECONDS):
        with lease.write_transaction() as connection:
            hashes.save(connection, rows)
            lease.add_done(connection, len(rows))


def _photos_without_hash(lease: Lease) -> Iterable[Photo]:
    last_id = 0
    while True:
        with lease.library.database.read_transaction() as connection:
            ids = hashes.find_missing(connection, _LISTED, last_id)
            loaded = list(photos.load_photos(connection, ids, lease.library.home))
        if not ids:
            return
        yield from loaded
        last_id = ids[-1]


def _hash(storage: Storage, photo: Photo) -> str:
    thumbnail = storage.load_thumbnail(photo.sha256)
    if thumbnail is None:
        storage.read_thumbnail(photo)  # makes it again, if the file can be read
        thumbnail = storage.load_thumbnail(photo.sha256)
    return hashes.UNREADABLE if thumbnail is None else hashes.format_hash(thumbnail)


def _measure_sharpness(photo: Photo) -> float | None:
    """How sharp a photo's file is; None if it cannot be read."""
    try:
        rgb = decode.read(read_original(photo), shorter_side=MEASURED_SIDE)
    except (ImageError, OSError):
        return None
    return quality.measure(rgb, measured_side=MEASURED_SIDE).sharpness
