"""Decoding of listed photos, for networks of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.concurrency import silent
from tagger.datasets.loading import decode_samples, relative_path
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.images import decode
from tests.conftest import draw_scene


@pytest.mark.parametrize("side", [32, 96, 192])
def test_quality_uses_the_size_of_the_photo_not_of_its_decode(tmp_path: Path, side: int) -> None:
    """Small networks get large photos decoded at a reduced size."""
    large, small = tmp_path / "large.jpg", tmp_path / "small.png"
    large.write_bytes(decode.encode(np.hstack([draw_scene(1, 600)] * 2), "JPEG"))
    small.write_bytes(decode.encode(draw_scene(2, 80)))
    store = PixelStore(tmp_path / "pixels.u8", side)
    samples, unreadable = decode_samples(
        tmp_path, [Sample(path, (0,), "train") for path in (large, small)], store, 1, silent
    )
    store.close()
    assert not unreadable and [sample.row for sample in samples] == [0, 1]
    assert [s.quality.shorter_side for s in samples if s.quality] == [600, 80]
    tiny = [bool(s.quality and "tiny" in s.quality.faults(192)) for s in samples]
    assert tiny == [False, True]


def test_unreadable_photos_come_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    broken = tmp_path / "a" / "broken.jpg"
    broken.write_bytes(b"no photo")
    store = PixelStore(tmp_path / "pixels.u8", 32)
    samples, unreadable = decode_samples(
        tmp_path, [Sample(broken, (0,), "train")], store, 1, silent
    )
    store.close()
    assert samples == [] and [path for path, _ in unreadable] == ["a/broken.jpg"]
    assert unreadable[0][1].startswith("not a JPEG")
    assert relative_path(tmp_path, broken) == "a/broken.jpg"
