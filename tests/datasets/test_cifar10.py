"""CIFAR-10: its photos as folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tagger.datasets import cifar10, dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.images import decode


def a_few(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    return pixels, (np.arange(count) % 10).astype(np.uint8)[:, None]


def test_its_photos_become_folders_that_can_be_learned_from(tmp_path: Path) -> None:
    splits = {"train": a_few(60, 1), "test": a_few(20, 2)}
    folder = tmp_path / "cifar10"
    assert cifar10.write(folder, splits) == 80
    assert np.array_equal(decode.read(folder / "train/cat/00003.png"), splits["train"][0][3])
    store = PixelStore(tmp_path / "pixels.u8", 32)
    found = dataset.load(folder, store)
    store.close()
    assert found.labels.names == cifar10.LABELS
    assert found.counts()["test"] == dict.fromkeys(cifar10.LABELS, 2)
    assert sum(found.sizes().values()) == 80


def test_writing_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    splits = {"test": a_few(20, 2)}
    cifar10.write(tmp_path, splits)
    kept, lost = tmp_path / "test/dog/00005.png", tmp_path / "test/frog/00006.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert cifar10.write(tmp_path, splits) == 20
    assert lost.is_file() and kept.stat().st_mtime_ns == before


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # a proxy that nobody runs
    done = subprocess.run(
        [sys.executable, "-m", "tagger.cifar10", str(tmp_path / "cifar10")],
        capture_output=True,
        text=True,
        env={
            "KERAS_HOME": str(tmp_path / "keras"),
            "https_proxy": nowhere,
            "PATH": "",
            "PYTHONPATH": str(Path(cifar10.__file__).parents[2]),
        },
    )
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("CIFAR-10 is not in Keras's cache and could not be downloaded (")
    assert not (tmp_path / "cifar10").exists()
