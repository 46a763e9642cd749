"""Values of more than eight bits, TIFFs of unusual kinds, and their limits."""

from __future__ import annotations

import io
import struct
import time
from itertools import product

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tagger.errors import ImageError, ImageFormatError, ImageTooLargeError
from tagger.images import decode
from tests.images.test_png import chunk

SHARES = np.add.outer(np.linspace(0, 0.5, 40), np.linspace(0, 0.5, 60))  # in [0, 1]


def tiff(values: NDArray[np.generic], **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **{"photometric": "minisblack", **options})
    return out.getvalue()


def wide_png(values: NDArray[np.generic], colour_type: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write in colour."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    import zlib

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def assert_shows(data: bytes, shares: NDArray[np.float64], tolerance: float = 2) -> None:
    """The photo is grey, and its brightness is `shares` in [0, 1]."""
    rgb = decode.read(data).astype(float)
    assert rgb.shape == (*shares.shape, 3)
    assert np.abs(rgb - 255 * shares[..., None]).max() <= tolerance


@pytest.mark.parametrize("bits", range(8, 17))
def test_16_bit_values_are_scaled_by_the_bits_in_use(bits: int) -> None:
    values = (SHARES * (2**bits - 1)).astype(np.uint16)
    colours = np.stack([values, values, values], axis=2)
    alpha = np.full_like(values, 65_535)[..., None]
    assert_shows(wide_png(values, 0), SHARES)
    assert_shows(wide_png(colours, 2), SHARES)
    assert_shows(wide_png(np.dstack([values[..., None], alpha]), 4), SHARES)
    assert_shows(wide_png(np.dstack([colours, alpha]), 6), SHARES)
    assert_shows(wide_png(np.dstack([colours, alpha >> (16 - bits)]), 6), SHARES)
    for order, compression in product("<>", (None, "zlib")):
        options = {"byteorder": order, "compression": compression}
        assert_shows(tiff(values, **options), SHARES)
        assert_shows(tiff(colours, photometric="rgb", **options), SHARES)
        four = np.dstack([colours, alpha])
        assert_shows(tiff(four, photometric="rgb", extrasamples=["unassalpha"], **options), SHARES)


def test_colours_of_few_bits_keep_their_proportions() -> None:
    colours = np.zeros((8, 8, 3), np.uint16) + np.array([4095, 2048, 1024], np.uint16)
    assert decode.read(wide_png(colours, 2))[0, 0].tolist() == [255, 128, 64]
    reddish = np.zeros((8, 8, 3), np.uint16) + np.array([200, 100, 0], np.uint16)
    assert decode.read(tiff(reddish, photometric="rgb"))[0, 0].tolist() == [200, 100, 0]


def encode_wide(values: NDArray[np.uint16]) -> list[bytes]:
    """Grey values as files of every kind that Pillow reads in its own way."""
    colours = np.stack([values, values, values], axis=2)
    # Hot in one colour, as sensors are.
    tinted = np.stack([values, values // 2, values // 2], axis=2)
    assert tinted.max() == values.max()
    return [
        wide_png(values, 0),
        tiff(values),
        wide_png(colours, 2),
        tiff(colours, photometric="rgb"),
    ]


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.004, 0.02])
@pytest.mark.parametrize("spread", [False, True], ids=["full", "spread"])
def test_hot_pixels_do_not_say_how_many_bits_are_in_use(
    bits: int, share: float, spread: bool
) -> None:
    rng = np.random.default_rng(bits)
    values = (SHARES * (2**bits - 1)).astype(np.uint16)
    hot = rng.random(values.shape) < share
    hot[3, 3] = hot[0, 0] = True
    values[hot] = rng.integers(2**bits, 65_536, hot.sum()) if spread else 65_535
    for data in encode_wide(values):
        rgb = decode.read(data).astype(float)
        assert np.abs(rgb - 255 * SHARES[..., None])[~hot].max() <= 2
        assert rgb[hot].min() >= 254


def test_a_hot_column_or_colour_does_not_say_how_many_bits_are_in_use() -> None:
    values = (SHARES * 4095).astype(np.uint16)
    column = values.copy()
    column[:, 31] = 65_535
    assert np.abs(decode.read(tiff(column))[:, 40:, 0] - 255 * SHARES[:, 40:]).max() <= 2
    colours = np.stack([values, values, values], axis=2)
    colours[9, 9, 1] = 50_000
    rest = np.arange(60) != 9
    for data in (wide_png(colours, 2), tiff(colours, photometric="rgb")):
        assert np.abs(decode.read(data)[:, rest] - 255 * SHARES[:, rest, None]).max() <= 2


@pytest.mark.parametrize("largest", [256, 512, 1024, 4096, 16_384, 32_768])
def test_values_may_reach_a_power_of_two(largest: int) -> None:
    values = np.round(SHARES * largest).astype(np.uint16)
    values[-9:, -9:] = largest  # whites that are clipped
    for data in encode_wide(values):
        rgb = decode.read(data).astype(float)[..., 0]
        assert np.abs(rgb - 255.0 * values / largest).max() <= 2


@pytest.mark.parametrize("lamps", [1, 4, 12])
@pytest.mark.parametrize("radius", [2, 4])
def test_a_dark_photo_with_a_few_lamps_stays_dark(lamps: int, radius: int) -> None:
    rng = np.random.default_rng(lamps)
    y, x = np.mgrid[:200, :300]
    values = rng.normal(1500, 300, (200, 300)).clip(0, 4000)
    for _ in range(lamps):
        distance = np.hypot(y - rng.integers(20, 180), x - rng.integers(20, 280))
        values = np.maximum(values, 65_535 * np.exp(-((distance / radius) ** 2)))
    for data in encode_wide(values.astype(np.uint16)):
        rgb = decode.read(data)[..., 0]
        assert np.abs(rgb - values / 257).max() <= 2


def test_eight_bits_in_the_upper_half_of_sixteen_are_not_made_brighter() -> None:
    values = ((SHARES * 60).astype(np.uint16)) << 8
    assert_shows(tiff(values), SHARES * 60 / 255)
    half = np.full((9, 9), 128 << 8, np.uint16)
    assert_shows(tiff(half), np.full((9, 9), 128 / 255))


@pytest.mark.parametrize("alpha", [16_383, 32_767, 65_535])
def test_alpha_of_sixteen_bits_is_scaled_like_the_colours_or_by_more_bits(alpha: int) -> None:
    values = (SHARES * 65_535).astype(np.uint16)
    four = np.dstack([values, values, values, np.full_like(values, alpha)])
    share = alpha / 65_535
    assert_shows(wide_png(four, 6), SHARES * share + 1 - share)


KINDS = {
    "u1": lambda shares: shares > 0.5,
    "u8": lambda shares: (shares * 255).astype(np.uint8),
    "u12 in 16": lambda shares: (shares * 4095).astype(np.uint16),
    "u16": lambda shares: (shares * 65_535).astype(np.uint16),
    "i8": lambda shares: (shares * 255 - 128).astype(np.int8),
    "i16": lambda shares: (shares * 65_535 - 32_768).astype(np.int16),
    "i32": lambda shares: (shares * (2**32 - 1) - 2**31).astype(np.int32),
    "u32": lambda shares: (shares * (2**32 - 1)).astype(np.uint32),
    "f32": lambda shares: (shares * 7 - 3).astype(np.float32),
}


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", KINDS)
def test_grey_tiffs_are_read_right_or_called_unread(kind: str, photometric: str) -> None:
    """Never as a negative, as noise or in halves: of any number, byte order, and layout."""
    values = KINDS[kind](SHARES)
    shares = SHARES if kind != "u1" else values.astype(float)
    if photometric == "miniswhite":
        shares = 1 - shares
    layouts: list[dict[str, object]] = [{}, {"compression": "zlib"}, {"bigtiff": True}]
    layouts += [{"tile": (16, 16)}, {"rowsperstrip": 1}]
    read = 0
    for order, layout in product("<>", layouts):
        if kind == "u1" and "tile" in layout:
            continue
        data = tiff(values, photometric=photometric, byteorder=order, **layout)
        try:
            assert_shows(data, shares)
            read += 1
        except ImageFormatError as error:
            assert "a valid TIFF, but of a kind that is not read: 1 sample of" in error.reason
    if (kind, photometric) == ("i8", "miniswhite"):
        assert read == 0
    else:  # Pillow reads no big-endian BigTIFF, and no big-endian 32 bits without sign
        assert read == {"u1": 7, "u32": 5}.get(kind, 9)


@pytest.mark.parametrize(
    ("values", "options", "kind"),
    [
        (SHARES, {}, "1 sample of 64 bits, float numbers, grey colours"),
        (SHARES.astype(np.float16), {}, "1 sample of 16 bits, float numbers"),
        (SHARES.astype(np.complex64), {}, "complex numbers"),
        (
            np.dstack([SHARES] * 3).astype(np.float32),
            {"photometric": "rgb"},
            "3 samples of 32 bits",
        ),
        (
            np.stack([SHARES * 65_535] * 3).astype(np.uint16),
            {"photometric": "rgb", "planarconfig": "separate"},
            "3 samples of 16 bits, a plane for each",
        ),
    ],
)
def test_a_valid_tiff_that_is_not_read_is_called_that(
    values: NDArray[np.generic], options: dict[str, object], kind: str
) -> None:
    for order in "<>":
        with pytest.raises(ImageFormatError) as caught:
            decode.read(tiff(values, byteorder=order, **options))
        assert kind in caught.value.reason and "broken" not in caught.value.reason


def test_planes_of_few_bits_are_called_unread_and_others_are_read() -> None:
    options = {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}
    for bits in (8, 10, 12):
        planes = np.stack([SHARES * (2**bits - 1)] * 3).astype(np.uint16)
        with pytest.raises(ImageFormatError, match=r"valid TIFF, but .* plane for each.* in use"):
            decode.read(tiff(planes, **options))
    assert_shows(tiff(np.stack([SHARES * 65_535] * 3).astype(np.uint16), **options), SHARES)
    dark = np.stack([SHARES * 40_000] * 3).astype(np.uint16)
    assert_shows(tiff(dark, **options), SHARES * 40_000 / 65_535)


def test_a_tiff_that_is_broken_is_called_that() -> None:
    data = tiff(SHARES.astype(np.float32))
    for broken in (data[:8], data[:12], b"II*\0\xff\xff\xff\xff" + data[8:], b"MM\0+" + bytes(40)):
        with pytest.raises(ImageFormatError, match="broken at its start"):
            decode.read(broken)


FLOATS = (SHARES * 3 + 5).astype(np.float32)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("outlier", [np.nan, np.inf, -np.inf, 1e6, -1e6, 3.4e38, -3.4e38, 0.0])
def test_outliers_do_not_spoil_a_float_image(outlier: float, photometric: str) -> None:
    values = FLOATS.copy()
    values[7, ::9] = outlier
    rgb = decode.read(tiff(values, photometric=photometric)).astype(float)
    expected = 255 * (SHARES if photometric == "minisblack" else 1 - SHARES)
    rows = [row for row in range(40) if row != 7]
    assert np.abs(rgb[rows, :, 0] - expected[rows]).max() <= 2


@pytest.mark.parametrize("share", [0.001, 0.004, 0.02])
@pytest.mark.parametrize("largest", [12.0, 30.0, 100.0, 1e6])
def test_spread_hot_pixels_do_not_spoil_a_float_image(share: float, largest: float) -> None:
    rng = np.random.default_rng(5)
    shares = np.add.outer(np.linspace(0, 0.5, 300), np.linspace(0, 0.5, 400))
    values = (shares * 3 + 5).astype(np.float32)
    hot = rng.random(values.shape) < share
    values[hot] = rng.uniform(5, largest, hot.sum())
    rgb = decode.read(tiff(values)).astype(float)[..., 0]
    assert np.abs(rgb - 255 * shares)[~hot].max() <= 16


@pytest.mark.parametrize("scale", [1, 255, 65_535])
@pytest.mark.parametrize("paper", [0.6, 0.94])
def test_the_paper_of_a_page_is_no_missing_value(scale: int, paper: float) -> None:
    page = np.ones((200, 200))
    page[: int(200 * (1 - paper))] = 0.10
    page[: int(200 * (1 - paper)) : 2] = 0.12
    rgb = decode.read(tiff((page * scale).astype(np.float32)))[..., 0]
    assert rgb[-1].min() == 255 and rgb[:10].max() < 20
    negative = decode.read(tiff(((1 - page) * scale).astype(np.float32)))[..., 0]
    assert negative[-1].max() == 0 and negative[:10].min() > 235


def test_thin_lines_of_a_float_image_stay() -> None:
    rng = np.random.default_rng(6)
    page = rng.normal(0.9, 0.01, (200, 200)).astype(np.float32)
    page[::40] = 0.1
    rgb = decode.read(tiff(page))[..., 0]
    assert rgb[::40].max() < 10 and rgb[1::40].min() > 200


@pytest.mark.parametrize("missing", [-9999.0, -32768.0, -3.4028234663852886e38, 1e20, np.nan])
def test_a_region_of_missing_values_does_not_spoil_a_float_image(missing: float) -> None:
    values = FLOATS.copy()
    values[:, :20] = missing
    values[0, 40] = -1234  # and an outlier that has nothing to do with it
    grey = decode.read(tiff(values))[1:, 20:, 0].astype(float)
    low, high = FLOATS[:, 20:].min(), FLOATS[:, 20:].max()
    assert np.abs(grey - 255 * (FLOATS[1:, 20:] - low) / (high - low)).max() <= 2


def test_the_tag_of_missing_values_is_obeyed() -> None:
    values = FLOATS.copy()
    values[:, :20] = 0  # near enough to the others to be one of them
    tag = (42113, "s", 0, "0", True)
    grey = decode.read(tiff(values, extratags=[tag]))[:, 20:, 0].astype(float)
    low, high = FLOATS[:, 20:].min(), FLOATS[:, 20:].max()
    assert np.abs(grey - 255 * (FLOATS[:, 20:] - low) / (high - low)).max() <= 2


def test_float_images_without_numbers_or_differences_do_not_fail_oddly() -> None:
    with pytest.raises(ImageError, match="no numbers"):
        decode.read(tiff(np.full((9, 9), np.nan, np.float32)))
    for value, grey in ((0.5, 127), (0, 0), (1, 255), (100, 100), (9e9, 255), (-3, 0)):
        rgb = decode.read(tiff(np.full((9, 9), value, np.float32)))
        assert rgb.min() == rgb.max() == grey
    halves = np.repeat(np.float32([[0, 1]]), 9, axis=0)
    assert decode.read(tiff(halves))[0, :, 0].tolist() == [0, 255]


def test_wide_kinds_are_refused_from_their_header() -> None:
    """0.8 MB that would take gigabytes: two of them, quickly."""
    rows = np.zeros((1, 11_900), np.float32)
    began = time.process_time()
    for type_ in (np.float32, np.int32, np.uint16):
        data = tiff(rows.astype(type_), rowsperstrip=1)
        huge = data.replace(
            struct.pack("<HHII", 257, 4, 1, 1), struct.pack("<HHII", 257, 4, 1, 10_000)
        )
        assert huge != data
        with pytest.raises(ImageTooLargeError, match="wide TIFF photos up to 60 megapixels"):
            decode.read(huge, 192)
    assert time.process_time() - began < 8


def test_a_tiff_of_a_million_pieces_is_refused_soon() -> None:
    data = tiff(np.zeros((1, 9), np.uint8))
    count = 2**20
    offset = struct.pack("<HHII", 273, 4, count, len(data))
    start = data.index(struct.pack("<HH", 273, 4))
    many = data[:start] + offset + data[start + 12 :] + b"\x08\0\0\0" * count
    began = time.process_time()
    with pytest.raises(ImageTooLargeError, match="pieces"):
        decode.read(many)
    assert time.process_time() - began < 8


def test_tiles_much_larger_than_the_picture_are_refused_and_count_as_memory() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    data = tiff(pixels, tile=(128, 128), compression="zlib")
    assert decode.read(data).shape == (100, 100, 3)

    def with_tiles(side: int) -> bytes:
        changed = data
        for tag in (322, 323):
            starts = [changed.find(struct.pack("<HHI", tag, kind, 1)) for kind in (3, 4)]
            start = max(starts)
            changed = (
                changed[:start] + struct.pack("<HHII", tag, 4, 1, side) + changed[start + 12 :]
            )
        return changed

    with pytest.raises(ImageTooLargeError, match="tiles"):
        decode.read(with_tiles(40_000))
    assert decode.estimate_cost(with_tiles(2048), 192).memory >= 2048**2


def test_sixteen_bits_a_channel_count_with_their_low_bytes() -> None:
    colours = np.stack([(SHARES * 4095).astype(np.uint16)] * 3, axis=2)
    assert decode.estimate_cost(wide_png(colours, 2), 192).memory >= 12 * SHARES.size


def test_large_images_are_converted_in_strips_like_small_ones() -> None:
    shares = np.add.outer(np.linspace(0, 0.5, 1300), np.linspace(0, 0.5, 1100))
    for values in ((shares * 4095).astype(np.uint16), shares.astype(np.float32)):
        assert_shows(tiff(values), shares)
    palette = Image.fromarray((shares * 255).astype(np.uint8)).convert("P")
    rgba = Image.fromarray((shares * 255).astype(np.uint8)).convert("RGBA")
    rgba.putpixel((0, 0), (0, 0, 0, 0))
    for image in (palette, rgba):
        out = io.BytesIO()
        image.save(out, "PNG")
        whole, small = decode.read(out.getvalue()), decode.read(out.getvalue(), 110)
        assert np.abs(whole[1:, 1:, 0] - 255 * shares[1:, 1:]).max() <= 2
        assert small.shape[:2] == (260, 220)
        blocks = whole.reshape(260, 5, 220, 5, 3).mean(axis=(1, 3))
        assert np.abs(small - blocks).max() <= 1.5
