"""An empty dataset folder, a pixel store, and photos to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.datasets.pixel_store import PixelStore
from tagger.images import decode
from tests.conftest import draw_smooth_colours

SIDE = 24


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PixelStore]:
    pixels = PixelStore(tmp_path / "pixels.u8", SIDE)
    yield pixels
    pixels.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def write_photos(folder: Path, *seeds: int) -> None:
    """A photo for each seed, the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / f"{seed:03}.png").write_bytes(decode.encode(draw_smooth_colours(seed, 64)))
