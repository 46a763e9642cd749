"""JPEGs without an end, with many scans, and of kinds that are not read."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from tagger.errors import ImageError, ImageTooLargeError
from tagger.images import decode, jpeg, transforms
from tests.conftest import draw_smooth_colours

END = b"\xff\xd9"
ENCODINGS: dict[str, dict[str, object]] = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "full colour": {"subsampling": 0, "quality": 95},
}


def encode(rgb: decode.Pixels, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", **options)
    return out.getvalue()


def photo(seed: int = 1) -> decode.Pixels:
    """Smooth colours under noise, so that every block holds detail."""
    noise = np.random.default_rng(seed).integers(-20, 20, (200, 300, 3))
    return (draw_smooth_colours(seed, 300)[:200] + noise).clip(0, 255).astype(np.uint8)


def frame(width: int, height: int, kind: int = 0xC0, bits: int = 8, channels: int = 1) -> bytes:
    """A start of frame: its marker and header."""
    body = bytes([bits, *height.to_bytes(2, "big"), *width.to_bytes(2, "big"), channels])
    body += b"".join(bytes([n + 1, 0x11, 0]) for n in range(channels))
    return bytes([0xFF, kind]) + (len(body) + 2).to_bytes(2, "big") + body


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header gives another size."""
    start = next(
        data.find(bytes([0xFF, kind])) for kind in (0xC0, 0xC2) if bytes([0xFF, kind]) in data
    )
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return data[: start + 5] + size + data[start + 9 :]


@pytest.mark.parametrize("side", [None, 48])
@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS)
def test_a_jpeg_without_its_end_is_the_same_photo(
    options: dict[str, object], side: int | None
) -> None:
    data = encode(photo(), **options)
    whole = decode.read(data, side)
    assert data.endswith(END)
    for ending in (b"", b"\xff", bytes(4096), b"the end", END + b"\0" * 99):
        np.testing.assert_array_equal(decode.read(data[:-2] + ending, side), whole)


@pytest.mark.parametrize("filler", [0, 4096], ids=["cut", "cut and filled with zeros"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS)
def test_a_jpeg_cut_in_its_data_is_refused(
    options: dict[str, object], share: float, filler: int
) -> None:
    data = encode(photo(2), **options)
    header = jpeg.read_header(data)
    assert header is not None
    kept = header.picture + int(share * (len(data) - header.picture))
    for side in (None, 48):
        with pytest.raises(ImageError, match="cut short"):
            decode.read(data[:kept] + bytes(filler), side)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("filler", [0, 4096], ids=["", "zeros"])
@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS)
def test_a_jpeg_cut_in_its_data_is_refused_though_it_has_an_end(
    options: dict[str, object], share: float, filler: int
) -> None:
    data = encode(photo(2), **options)
    header = jpeg.read_header(data)
    assert header is not None
    kept = header.picture + int(share * (len(data) - header.picture))
    cut = data[:kept] + bytes(filler) + END
    if "progressive" in options and share >= 0.5 and not filler:
        assert decode.read(cut).shape == (200, 300, 3)  # all there, though less sharp
        return
    for ending in (b"", b"behind", encode(photo(3))):
        for side in (None, 48):
            with pytest.raises(ImageError, match="cut short"):
                decode.read(cut + ending, side)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(64, 64), (65, 66), (121, 73)])
def test_a_whole_jpeg_that_ends_in_mid_grey_is_read(mode: str, size: tuple[int, int]) -> None:
    grey = Image.fromarray(photo(2)).resize(size)
    grey.paste((128, 128, 128), (16, 16, *size))
    for options in ENCODINGS.values():
        out = io.BytesIO()
        grey.convert(mode).save(out, "JPEG", **options)
        for data in (out.getvalue(), out.getvalue()[:-2] + b"junk" + END + b"junk"):
            assert decode.read(data).shape == (*size[::-1], 3)
            assert decode.read(data, 32).shape[2] == 3


def test_a_jpeg_with_endless_markers_behind_a_scan_is_refused_soon() -> None:
    data = encode(photo(), progressive=True)
    scan = data.index(b"\xff\xda")
    next_marker = data.index(b"\xff\xc4", scan)
    began = time.process_time()
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode.read(data[:next_marker] + b"\xff\x01" * 2**20 + data[next_marker:])
    assert time.process_time() - began < 8


def test_a_progressive_jpeg_cut_between_two_scans_is_refused() -> None:
    data = encode(photo(3), progressive=True)
    scans = [n for n in range(len(data)) if data[n : n + 2] == b"\xff\xda"]
    for start in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, start)  # a scan's Huffman tables stand before it
        for end in (start, tables):
            with pytest.raises(ImageError, match="cut short"):
                decode.read(data[:end])


def test_progressive_scans_are_counted_before_decoding() -> None:
    data = encode(draw_smooth_colours(4, 64), progressive=True)
    last = data.rfind(b"\xff\xda")
    scan = data[last:-2]
    assert decode.read(data[:-2] + scan * 60 + END).shape == (64, 64, 3)
    with pytest.raises(ImageTooLargeError, match="more than 100 scans"):
        decode.read(data[:-2] + scan * 200 + END)
    padded = scan.replace(b"\xff\xda", b"\xff\xff\xff\xda", 1)  # fill bytes before the marker
    hidden = b"\xff\xfe\x00\x04" + END  # a comment that holds an end
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode.read(data[:-2] + (hidden + padded) * 200 + END)


def test_scans_of_another_picture_do_not_count() -> None:
    first, second = encode(photo(), progressive=True), encode(photo(5), progressive=True)
    np.testing.assert_array_equal(decode.read(first + second * 30), decode.read(first))


def test_a_huge_progressive_jpeg_is_refused_from_its_header() -> None:
    began = time.process_time()
    for options in ({"progressive": True}, {"progressive": True, "quality": 1}):
        data = with_size(encode(photo(), **options), 13_300, 13_300)
        with pytest.raises(ImageTooLargeError, match="progressive JPEG photos up to 64 megapixels"):
            transforms.prepare(data, 192)
    assert time.process_time() - began < 8


def test_a_jpeg_whose_channels_come_one_after_another_counts_as_progressive() -> None:
    """The decoder keeps it whole, as it does a progressive one."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    data = b"\xff\xd8" + frame(13_300, 13_300, channels=3) + scan + bytes(64) + END
    with pytest.raises(ImageTooLargeError, match="progressive"):
        decode.read(data)


def test_a_baseline_jpeg_of_200_megapixels_is_read() -> None:
    grey = encode(np.full((8, 8), 128, np.uint8))
    header = jpeg.read_header(grey)
    assert header is not None
    blocks = bytes.fromhex("28a28a") * (2040 * 1530 // 4)  # each 6 bits: no difference, end
    start = with_size(grey, 16_320, 12_240)[: header.picture]  # a phone's 200 megapixels
    data = start + blocks + END
    assert transforms.prepare(data, 192).shape == (192, 192, 3)
    metadata = decode.read_metadata(data)
    assert (metadata.width, metadata.height) == (16_320, 12_240)
    with pytest.raises(ImageTooLargeError, match="up to 210 megapixels"):
        decode.read(with_size(data, 16_000, 14_000), 192)
    with pytest.raises(ImageTooLargeError, match="too large to show whole"):
        decode.read(data)


@pytest.mark.parametrize(("bits", "channels"), [(12, 3), (16, 1), (8, 2), (8, 5)])
def test_a_jpeg_of_a_kind_that_is_not_read_is_called_that(bits: int, channels: int) -> None:
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    data = b"\xff\xd8" + frame(64, 64, 0xC1, bits, channels) + scan + bytes(64) + END
    with pytest.raises(
        ImageError, match=f"kind that is not read: {bits} bits, {channels} channels"
    ):
        decode.read(data)


@pytest.mark.parametrize(
    "filler",
    [b"\0" * 2**22, b"\xff" * 2**22, b"\xff\xe5\0\2" * 2**20, b"\xff\xfe\0\2" * 2**20],
    ids=["zeros", "fill bytes", "segments", "comments"],
)
def test_a_jpeg_with_endless_segments_is_refused_soon(filler: bytes) -> None:
    data = encode(photo())
    began = time.process_time()
    with pytest.raises(ImageError, match="broken at its start"):
        decode.read(data[:2] + b"\xff\xe5\0\2" + filler + data[2:])
    assert time.process_time() - began < 8
