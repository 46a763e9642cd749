"""Vectors of photos: stored once for each space, read when they are needed, compared exactly."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.inference.decision import unit_vectors
from tagger.library import vectors
from tagger.library.library import Library
from tagger.library.vectors import VectorCache, nearest_rows, quantize
from tests.library.conftest import PhotoSpec, insert_photos

SPACE, OTHER = "a" * 64, "b" * 64
PHOTOS = 3_000
DIMENSIONS = 24


def make_vectors(count: int, seed: int = 1) -> NDArray[np.float32]:
    return unit_vectors(np.random.default_rng(seed).normal(size=(count, DIMENSIONS)))


@pytest.fixture
def filled(library: Library) -> Library:
    """A library of PHOTOS photos without vectors; every tenth is deleted."""
    with library.database.write_transaction() as connection:
        insert_photos(connection, [PhotoSpec(deleted=n % 10 == 0) for n in range(PHOTOS)])
    return library


def add(library: Library, space: str, rows: dict[int, NDArray[np.float32] | None]) -> None:
    with library.database.write_transaction() as connection:
        vectors.add(connection, vectors.register_space(connection, space), rows)


def load(library: Library, cache: VectorCache, space: str = SPACE) -> vectors.Vectors:
    with library.database.read_transaction() as connection:
        return cache.load(connection, space)


def number_rows(library: Library, seed: int = 1) -> dict[int, NDArray[np.float32] | None]:
    return dict(enumerate(make_vectors(PHOTOS, seed), 1))


@pytest.mark.parametrize("exact", [100_000, 1_000, 0])
def test_cosines_are_those_of_the_stored_vectors(
    filled: Library, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    monkeypatch.setattr(vectors, "MAX_EXACT", exact)
    monkeypatch.setattr(vectors, "BLOCK", 700)
    monkeypatch.setattr(vectors, "ROWS_READ", 256)
    rows = number_rows(filled)
    add(filled, SPACE, rows)
    add(filled, OTHER, number_rows(filled, seed=2))
    loaded = load(filled, VectorCache())
    assert loaded.photo_ids.tolist() == list(rows)
    queries = make_vectors(3, seed=3)
    expected = queries @ np.stack(list(rows.values())).T  # type: ignore[arg-type]
    assert loaded.cosines(queries) == pytest.approx(expected, abs=0.01 if exact < PHOTOS else 5e-4)


def test_new_vectors_are_read_alone(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MAX_EXACT", 200)
    rows, cache = number_rows(filled), VectorCache()
    assert load(filled, cache).cosines(make_vectors(1)).shape == (1, 0)
    before = None
    for first in (1, 101, 151, 260):  # the third makes them more than 200
        add(filled, SPACE, {number: rows[number] for number in range(first, first + 50)})
        loaded = load(filled, cache)
        assert loaded.photo_ids[-50:].tolist() == list(range(first, first + 50))
        expected = np.stack([rows[n] for n in loaded.photo_ids.tolist()])  # type: ignore[misc]
        query = make_vectors(1, seed=3)
        assert loaded.cosines(query)[0] == pytest.approx(expected @ query[0], abs=0.01)
        assert load(filled, cache) is loaded
        if before is not None:  # a search that began earlier goes on with what it has
            assert before.cosines(query).shape == (1, len(before.photo_ids))
        before = loaded


def test_a_photo_has_one_vector_in_a_space(filled: Library) -> None:
    first, second = make_vectors(2)
    add(filled, SPACE, {7: first, PHOTOS + 1: first})  # there is no such photo
    add(filled, SPACE, {7: second})
    add(filled, OTHER, {7: second})
    assert load(filled, VectorCache()).photo_ids.tolist() == [7]
    with filled.database.read_transaction() as connection:
        for space, vector in ((SPACE, first), (OTHER, second), (None, second)):
            stored = vectors.load(connection, 7, space)
            assert stored is not None and stored[1] == (space or OTHER)
            assert stored[0] == pytest.approx(vector, abs=5e-4)
        assert vectors.load(connection, 8, SPACE) is None


def test_photos_without_a_vector_are_listed_without_deleted_ones(filled: Library) -> None:
    add(filled, SPACE, {number: make_vectors(1)[0] for number in range(2, PHOTOS - 3)})
    add(filled, SPACE, {PHOTOS: None})  # could not be read
    with filled.database.read_transaction() as connection:
        space_id = vectors.find_space_id(connection, SPACE)
        assert space_id is not None
        missing = vectors.find_missing(connection, space_id, 10)
        assert missing == [PHOTOS - 3, PHOTOS - 2, PHOTOS - 1]  # 1 is deleted
        assert vectors.find_missing(connection, space_id, 1, after=PHOTOS - 3) == [PHOTOS - 2]
        assert vectors.count_missing(connection, space_id) == 3
        assert vectors.find_missing(connection, None, 1) == [2]
    loaded = load(filled, VectorCache())
    assert loaded.unreadable.tolist() == [PHOTOS]
    assert loaded.count_among(np.array([1, 2, PHOTOS - 1, PHOTOS, PHOTOS + 9])) == 2


def test_removed_photos_leave_memory(filled: Library) -> None:
    rows, cache = number_rows(filled), VectorCache()
    add(filled, SPACE, rows)
    assert len(load(filled, cache).photo_ids) == PHOTOS
    assert filled.trash.empty() == PHOTOS // 10
    assert len(load(filled, cache).photo_ids) == PHOTOS * 9 // 10


def test_vectors_of_other_spaces_are_deleted(filled: Library) -> None:
    cache = VectorCache()
    for space in (SPACE, OTHER, "c" * 64):
        add(filled, space, number_rows(filled))
    counts = []
    while not counts or counts[-1]:
        with filled.database.write_transaction() as connection:
            counts.append(vectors.delete_some(connection, [SPACE], 1_000))
    assert sum(counts) == 2 * PHOTOS and max(counts) == 1_000
    assert len(load(filled, cache).photo_ids) == PHOTOS
    assert len(load(filled, cache, OTHER).photo_ids) == 0


def test_a_space_that_is_used_again_begins_anew(filled: Library) -> None:
    cache = VectorCache()
    rows = number_rows(filled)
    first = {number: rows[number] for number in range(1, 1_501)}

    def delete_some(kept: str) -> int:
        with filled.database.write_transaction() as connection:
            return vectors.delete_some(connection, [kept], 1_000)

    for is_finished in (True, False):  # or while the old vectors are being deleted
        add(filled, OTHER, rows)
        add(filled, SPACE, first)
        assert load(filled, cache).photo_ids.tolist() == list(first)
        delete_some(OTHER)
        while is_finished and delete_some(OTHER):
            pass
        assert load(filled, cache).photo_ids.tolist() == []
        add(filled, SPACE, first)
        assert load(filled, cache).photo_ids.tolist() == list(first)
        while delete_some(SPACE):
            pass
        query = make_vectors(1, seed=3)[0]
        nearest = [photo.id for photo, _ in filled.find_similar(query, SPACE, 20)]
        assert len(nearest) == len(set(nearest)) == 20
        while delete_some("c" * 64):
            pass


def test_two_spaces_stay_in_memory(filled: Library) -> None:
    cache, third = VectorCache(), "c" * 64
    for space in (SPACE, OTHER, third):
        add(filled, space, number_rows(filled))
    loaded = load(filled, cache), load(filled, cache, OTHER)
    for _ in range(2):
        assert (load(filled, cache), load(filled, cache, OTHER)) == loaded
    assert load(filled, cache, "d" * 64).photo_ids.tolist() == []  # a space never used
    assert load(filled, cache) is loaded[0]
    load(filled, cache, third)
    assert load(filled, cache) is loaded[0]
    assert load(filled, cache, OTHER) is not loaded[1]


def test_the_nearest_photos_are_not_deleted_ones(filled: Library) -> None:
    rows = number_rows(filled)
    add(filled, SPACE, rows)
    query = make_vectors(1, seed=3)[0]
    cosines = {n: float(v @ query) for n, v in rows.items() if v is not None and n % 10 != 1}
    best = sorted(cosines, key=lambda number: -cosines[number])
    found_photos = filled.find_similar(query, SPACE, 20, exclude=best[0])
    assert [photo.id for photo, _ in found_photos] == best[1:21]
    assert [c for _, c in found_photos] == pytest.approx([cosines[n] for n in best[1:21]], abs=1e-3)


def test_threads_may_search_while_vectors_are_added(filled: Library) -> None:
    rows, cache = number_rows(filled), VectorCache()
    failed: list[Exception] = []
    query = make_vectors(1, seed=3)

    def search() -> None:
        try:
            for _ in range(20):
                loaded = load(filled, cache)
                expected = [rows[n] for n in loaded.photo_ids.tolist()]
                cosines = loaded.cosines(query)[0]
                if expected:
                    assert cosines == pytest.approx(np.stack(expected) @ query[0], abs=5e-4)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - checked below, on the main thread
            failed.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(1, PHOTOS, 100):
        add(filled, SPACE, {number: rows[number] for number in range(first, first + 100)})
    for thread in threads:
        thread.join()
    assert not failed


def test_bytes_keep_the_direction_of_vectors() -> None:
    exact = make_vectors(500)
    whole, scales = quantize(exact)
    assert whole.dtype == np.int8
    rounded = whole * scales[:, None]
    assert np.linalg.norm(rounded, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.einsum("nd,nd->n", rounded, exact).min() > 0.9999
    assert np.isfinite(quantize(np.zeros((2, 3)))[1]).all()


def test_the_nearest_rows_are_in_order() -> None:
    cosines = np.random.default_rng(1).permutation(100) / 100
    for count in (1, 7, 99, 100, 200):
        rows = nearest_rows(cosines, count)
        assert cosines[rows].tolist() == sorted(cosines, reverse=True)[:count]
    assert nearest_rows(np.empty(0), 3).tolist() == []
