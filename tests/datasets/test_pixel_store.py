"""The pixel store: rows are read as they were written, and the file is deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.pixel_store import PixelStore


def noise(seed: int, side: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_photos_are_read_by_row(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 6)
    assert [store.append(noise(seed)) for seed in range(5)] == [0, 1, 2, 3, 4]
    assert len(store) == 5
    for pixels, seed in zip(store.rows([4, 0, 2, 2]), [4, 0, 2, 2], strict=True):
        np.testing.assert_array_equal(pixels, noise(seed))
    store.append(noise(9))  # after reading elsewhere in the file
    np.testing.assert_array_equal(store[5], noise(9))
    np.testing.assert_array_equal(store[1], noise(1))
    store.close()


def test_pixels_of_any_memory_layout_are_stored_correctly(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 6)
    store.append(noise(1)[:, ::-1, ::-1])
    np.testing.assert_array_equal(store[0], noise(1)[:, ::-1, ::-1])
    store.close()


@pytest.mark.parametrize("row", [-1, 1, 100])
def test_a_missing_row_is_an_error(tmp_path: Path, row: int) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 6)
    store.append(noise(1))
    with pytest.raises(IndexError, match=f"row {row} of 1"):
        store[row]
    store.close()


def test_threads_may_write_and_read_at_once(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 64)
    photos = [noise(seed, 64) for seed in range(300)]

    def write_and_read(photo: np.ndarray) -> bool:
        row = store.append(photo)
        return all((store[row] == photo).all() for _ in range(3))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, photos))
    assert len(store) == 300
    store.close()


def test_closing_deletes_the_file(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 6)
    store.append(noise(1))
    assert (tmp_path / "pixels.u8").exists()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_left_by_a_killed_run_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "pixels.u8").write_bytes(b"old" * 1000)
    store = PixelStore(tmp_path / "pixels.u8", 6)
    assert len(store) == 0
    store.append(noise(1))
    np.testing.assert_array_equal(store[0], noise(1))
    store.close()


def test_pixels_of_another_size_are_an_error(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.u8", 6)
    try:
        with pytest.raises(ValueError, match="rows of 6"):
            store.append(np.zeros((5, 5, 3), np.uint8))
    finally:
        store.close()
