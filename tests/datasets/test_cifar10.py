"""CIFAR-10 as label folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.datasets import cifar10, dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.images import decode

pytestmark = pytest.mark.training


def make_photos(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    return pixels, (np.arange(count) % 10).astype(np.uint8)[:, None]


def test_the_photos_are_written_as_label_folders(tmp_path: Path) -> None:
    splits = {"train": make_photos(60, 1), "test": make_photos(20, 2)}
    folder = tmp_path / "cifar10"
    assert cifar10.write(folder, splits) == 80
    assert np.array_equal(decode.read(folder / "train/cat/00003.png"), splits["train"][0][3])
    store = PixelStore(tmp_path / "pixels.u8", 32)
    loaded = dataset.load(folder, store)
    store.close()
    assert loaded.labels.names == cifar10.LABELS
    assert loaded.counts()["test"] == dict.fromkeys(cifar10.LABELS, 2)
    assert sum(loaded.sizes().values()) == 80


def test_writing_again_adds_only_missing_files(tmp_path: Path) -> None:
    splits = {"test": make_photos(20, 2)}
    cifar10.write(tmp_path, splits)
    kept, lost = tmp_path / "test/dog/00005.png", tmp_path / "test/frog/00006.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert cifar10.write(tmp_path, splits) == 20
    assert lost.is_file() and kept.stat().st_mtime_ns == before
