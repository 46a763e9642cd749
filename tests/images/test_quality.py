"""Image quality: dark, blurred and tiny photos are found at every size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tagger.images import decode, quality
from tagger.images.decode import Pixels, find_photos
from tests.conftest import draw_scene


def faults(rgb: Pixels) -> set[str]:
    return set(quality.measure(rgb).faults(192))


@pytest.mark.parametrize("side", [128, 192, 480, 960])
def test_blur_is_found_at_every_size(side: int) -> None:
    sharp = draw_scene(0, side)
    assert quality.BLURRED not in faults(sharp)
    assert quality.BLURRED in faults(cv2.GaussianBlur(sharp, (0, 0), side * 0.03))


def test_a_dim_photo_with_sharp_edges_is_dark_but_not_blurred() -> None:
    dim = (draw_scene(1, 300) * 0.15).astype(np.uint8)
    assert faults(dim) == {quality.DARK}
    assert quality.DARK not in faults((draw_scene(1, 300) * 0.6).astype(np.uint8))


def test_an_empty_photo_counts_as_blurred() -> None:
    for value in (0, 255):
        assert quality.BLURRED in faults(np.full((200, 200, 3), value, np.uint8))


def test_a_photo_that_the_network_would_enlarge_more_than_twice_is_tiny() -> None:
    small = quality.measure(draw_scene(2, 95))
    assert quality.TINY in small.faults(192)
    assert quality.TINY not in small.faults(128)
    assert quality.TINY not in quality.measure(draw_scene(2, 96)).faults(192)
    assert "95 pixels where the network sees 192" in small.faults(192)[quality.TINY]


def test_real_photos_are_rarely_called_bad_and_blurred_copies_nearly_always(data: Path) -> None:
    photos = [decode.read(path, 192) for path in list(find_photos(data / "pets" / "val"))[::6]]
    everyday = list(find_photos(data / "everyday" / "images"))[::60]
    photos += [decode.read(path, 192) for path in everyday]
    photos += [decode.read(path, 192) for path in find_photos(data / "camera")]
    bad = [rgb for rgb in photos if faults(rgb) & {quality.BLURRED, quality.DARK}]
    assert len(bad) <= 0.02 * len(photos)
    blurred = [cv2.GaussianBlur(rgb, (0, 0), 0.02 * min(rgb.shape[:2])) for rgb in photos]
    assert sum(quality.BLURRED in faults(rgb) for rgb in blurred) >= 0.95 * len(photos)
