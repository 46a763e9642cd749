"""What is made of a photo's pixels."""

import numpy as np
import pytest

from tagger.images import decode, hashing, transforms
from tests.conftest import picture


def photo() -> decode.Pixels:
    """60 x 100 pixels, none of them black."""
    return (np.arange(60 * 100 * 3) % 199 + 50).reshape(60, 100, 3).astype(np.uint8)


def apart(a: decode.Pixels, b: decode.Pixels) -> int:
    return (hashing.perceptual_hash(a) ^ hashing.perceptual_hash(b)).bit_count()


@pytest.mark.parametrize("seed", range(10))
def test_copies_hash_close_and_other_pictures_far(seed: int) -> None:
    original = picture(seed)
    again = decode.read(decode.encode(original, "JPEG"))
    assert apart(original, again) <= 3
    assert apart(original, transforms.fit(original, 120)) <= 3
    assert apart(original, np.clip(original * 0.8 + 20, 0, 255).astype(np.uint8)) <= 4
    assert min(apart(original, picture(other)) for other in range(100, 120)) > 10
    assert 0 <= hashing.perceptual_hash(original) < 2**64


def test_overlay_leaves_the_photo_where_there_is_no_heat() -> None:
    rgb = photo()
    painted = transforms.overlay(rgb, np.zeros((7, 7), np.float32))
    assert painted.shape == rgb.shape and painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[:, 20:80], rgb[:, 20:80])
    assert (painted[:, :20] < rgb[:, :20]).all() and (painted[:, 80:] < rgb[:, 80:]).all()


def test_overlay_colours_where_the_heat_is() -> None:
    rgb = photo()
    heat = np.zeros((6, 6), np.float32)
    heat[1, 1] = 1  # centre at row 15, column 20 + 15
    changed = np.abs(transforms.overlay(rgb, heat).astype(int) - rgb).sum(axis=2)
    assert changed[15, 35] > 60
    assert changed[30:, 20:80].max() <= 12 and changed[:, 55:80].max() <= 12
    faint = np.abs(transforms.overlay(rgb, heat, opacity=0.1).astype(int) - rgb).sum(axis=2)
    assert 0 < faint[15, 35] < changed[15, 35] / 3


@pytest.mark.parametrize(("height", "width"), [(400, 300), (300, 4000), (10, 10), (1, 900)])
def test_a_thumbnail_shows_the_whole_photo(height: int, width: int) -> None:
    small = transforms.thumbnail(np.zeros((height, width, 3), np.uint8), 320)
    assert max(small.shape[:2]) == min(320, max(height, width))
    assert small.shape[0] / small.shape[1] == pytest.approx(height / width, rel=0.1, abs=0.01)
