"""The one preprocessing, thumbnails, and heatmaps over photos."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.images import decode, transforms
from tests.conftest import draw_smooth_colours


def photo() -> decode.Pixels:
    """60 x 100 pixels, none of them black."""
    return (np.arange(60 * 100 * 3) % 199 + 50).reshape(60, 100, 3).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (7, 500), (500, 7), (100, 100), (191, 193), (640, 480)])
def test_prepared_photos_are_square(shape: tuple[int, int]) -> None:
    rgb = transforms.prepare(np.full((*shape, 3), 90, np.uint8), 192)
    assert rgb.shape == (192, 192, 3) and rgb.dtype == np.uint8
    assert (rgb == 90).all()


def test_fit_leaves_a_square_of_that_size_unchanged() -> None:
    exact = draw_smooth_colours(3, 64)
    np.testing.assert_array_equal(transforms.fit(exact, 64), exact)
    wide = np.concatenate(
        [draw_smooth_colours(4, 64)[:, :11], exact, draw_smooth_colours(5, 64)[:, :12]], axis=1
    )
    np.testing.assert_array_equal(transforms.fit(wide, 64), exact)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 9), st.randoms(use_true_random=False))
def test_fit_averages_every_pixel_of_a_multiple(
    size: int, factor: int, margin: int, random: object
) -> None:
    side = size * factor
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    tall = rng.integers(0, 256, (side + margin, side, 3), dtype=np.uint8)
    square = tall[margin // 2 : margin // 2 + side].astype(float)
    means = square.reshape(size, factor, size, factor, 3).mean(axis=(1, 3))
    assert np.abs(transforms.fit(tall, size) - means).max() <= 1


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 96))
def test_fit_adds_no_new_colours(height: int, width: int, size: int) -> None:
    ramp = np.linspace(40, 200, height * width).reshape(height, width, 1).repeat(3, axis=2)
    rgb = transforms.fit(ramp.astype(np.uint8), size)
    assert rgb.shape == (size, size, 3)
    assert rgb.min() >= 39 and rgb.max() <= 200


def test_zero_heat_leaves_the_photo_unchanged() -> None:
    rgb = photo()
    painted = transforms.overlay(rgb, np.zeros((7, 7), np.float32))
    assert painted.shape == rgb.shape and painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[:, 20:80], rgb[:, 20:80])
    assert (painted[:, :20] < rgb[:, :20]).all() and (painted[:, 80:] < rgb[:, 80:]).all()


def test_heat_colours_the_photo_at_its_position() -> None:
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


@pytest.mark.parametrize(
    ("height", "width", "squares"),
    [
        (100, 249, 1),
        (100, 250, 3),
        (100, 300, 3),
        (100, 301, 5),
        (250, 100, 3),
        (900, 100, 9),
        (64, 6400, 9),
        (1, 700, 9),
        (100, 100, 1),
    ],
)
def test_tagging_looks_at_several_squares_of_a_panorama(
    height: int, width: int, squares: int
) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    row = transforms.prepare_squares(rgb, 32)
    assert row.shape == (32, squares * 32, 3)
    middle = squares // 2 * 32
    np.testing.assert_array_equal(row[:, middle : middle + 32], transforms.prepare(rgb, 32))
    np.testing.assert_array_equal(transforms.prepare_squares(row, 32), row)
    side = min(height, width)
    first, last = rgb[:side, :side], rgb[height - side :, width - side :]
    if squares > 1:
        np.testing.assert_array_equal(row[:, :32], transforms.fit(first, 32))
        np.testing.assert_array_equal(row[:, -32:], transforms.fit(last, 32))


def test_heat_is_painted_over_one_of_several_squares() -> None:
    rgb = np.full((40, 160, 3), 100, np.uint8)
    painted = transforms.overlay(rgb, np.ones((4, 4), np.float32), square=(2, 3))
    assert (painted[:, :120] == 50).all() and (painted[:, 120:] != 50).any(axis=2).all()
