"""PNGs with broken, oversized and needless chunks."""

from __future__ import annotations

import io
import struct
import time
import zlib
from datetime import datetime

import numpy as np
import pytest
from PIL import Image, ImageCms

from tagger.errors import ImageError
from tagger.images import decode
from tests.conftest import draw_smooth_colours


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    check = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def encode(rgb: decode.Pixels, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", **options)
    return out.getvalue()


def with_chunks(data: bytes, chunks: bytes, before: bytes = b"IDAT") -> bytes:
    """A PNG with more chunks before that of a kind."""
    start = data.index(before) - 4
    return data[:start] + chunks + data[start:]


HUGE = zlib.compress(bytes(80 * 2**20))
SRGB = zlib.compress(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
BROKEN = {
    "a large text": chunk(b"tEXt", b"workflow\0" + b"x" * 3 * 2**20),
    "a text that inflates": chunk(b"zTXt", b"Comment\0\0" + HUGE),
    "an international text that inflates": chunk(b"iTXt", b"Comment\0\1\0\0\0" + HUGE),
    "many large texts": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 9))) * 70,
    "a text with a bad checksum": chunk(b"tEXt", b"Title\0x", 1),
    "a text packed in an unknown way": chunk(b"zTXt", b"Comment\0\7abc"),
    "a profile that inflates": chunk(b"iCCP", b"icc\0\0" + HUGE),
    "a profile with a bad checksum": chunk(b"iCCP", b"icc\0\0" + SRGB, 1),
    "a profile that is cut": chunk(b"iCCP", b"icc\0\0" + SRGB[: len(SRGB) // 2]),
    "a profile packed in an unknown way": chunk(b"iCCP", b"icc\0\7" + SRGB),
    "an empty profile": chunk(b"iCCP", b""),
    "EXIF with a bad checksum": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0", 1),
    "a short gamma": chunk(b"gAMA", b"\0"),
    "short chromaticities": chunk(b"cHRM", b"\0" * 5),
    "an empty rendering intent": chunk(b"sRGB", b""),
    "a short resolution": chunk(b"pHYs", b"\0"),
    "a resolution with a bad checksum": chunk(b"pHYs", bytes(9), 1),
    "a short transparency": chunk(b"tRNS", b"\0"),
    "an animation without frames": chunk(b"acTL", bytes(8)),
    "frames out of order": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", b"\xff" * 26),
    "an unknown chunk": chunk(b"abCd", b"x" * 99, 1),
}


@pytest.mark.parametrize("chunks", BROKEN.values(), ids=BROKEN)
def test_a_chunk_that_is_not_needed_does_not_spoil_the_photo(chunks: bytes) -> None:
    rgb = draw_smooth_colours(1, 40)
    for before in (b"IDAT", b"IEND"):
        data = with_chunks(encode(rgb), chunks, before)
        np.testing.assert_array_equal(decode.read(data), rgb)
        assert decode.read_metadata(data).width == 40


def test_a_png_without_its_end_is_read() -> None:
    rgb = draw_smooth_colours(1, 40)
    data = encode(rgb)
    np.testing.assert_array_equal(decode.read(data[:-12]), rgb)
    np.testing.assert_array_equal(decode.read(data[:-6]), rgb)


def test_a_broken_picture_or_header_is_still_an_error() -> None:
    data = encode(draw_smooth_colours(1, 40))
    for broken in (data[:60], data[: len(data) // 2], data.replace(b"IHDR", b"IHDS", 1)):
        with pytest.raises(ImageError):
            decode.read(broken)
    damaged = bytearray(data)
    damaged[16] ^= 1  # in the header, whose checksum is right no more
    with pytest.raises(ImageError, match="broken at its start"):
        decode.read(bytes(damaged))


@pytest.mark.parametrize("after", [False, True], ids=["before the picture", "after it"])
def test_exif_is_kept(after: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 12:30:59"
    rgb = draw_smooth_colours(1, 40)[:30]
    body = exif.tobytes()
    chunks = chunk(b"eXIf", body.removeprefix(b"Exif\0\0")) + BROKEN["a large text"]
    data = with_chunks(encode(rgb), chunks, b"IEND" if after else b"IDAT")
    assert decode.read(data).shape == (40, 30, 3)
    if not after:
        assert decode.read_metadata(data).taken_at == datetime(2024, 5, 31, 12, 30, 59)
    text = f"\nexif\n{len(body)}\n{body.hex()}\n".encode()
    for kind, packed in ((b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text))):
        old = with_chunks(encode(rgb), chunk(kind, b"Raw profile type exif\0" + packed))
        assert decode.read(old).shape == (40, 30, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_an_orientation_in_xmp_is_kept_once_and_if_it_is_small(packed: bool) -> None:
    def xmp(text: bytes) -> bytes:
        body = b"\1\0\0\0" + zlib.compress(text) if packed else b"\0\0\0\0" + text
        return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + body)

    rgb = draw_smooth_colours(1, 40)[:30]
    sideways = xmp(b'<x:xmpmeta><rdf tiff:Orientation="6"/></x:xmpmeta>')
    assert decode.read(with_chunks(encode(rgb), sideways)).shape == (40, 30, 3)
    for more in (xmp(b" " * 900_000) * 90, BROKEN["an international text that inflates"]):
        assert decode.read(with_chunks(encode(rgb), sideways + more)).shape == (40, 30, 3)
    for broken in (xmp(b" " * 3 * 2**20), chunk(b"iTXt", b"XML:com.adobe.xmp\0")):
        assert decode.read(with_chunks(encode(rgb), broken)).shape == (30, 40, 3)


def test_transparency_is_kept() -> None:
    grey = Image.fromarray(np.full((8, 8), 9, np.uint8))
    out = io.BytesIO()
    grey.save(out, "PNG", transparency=9)
    assert decode.read(with_chunks(out.getvalue(), BROKEN["a large text"])).min() == 255


def test_an_animation_gives_its_first_frame_though_others_are_broken() -> None:
    first, second = (Image.fromarray(draw_smooth_colours(seed, 40)) for seed in (1, 2))
    out = io.BytesIO()
    first.save(out, "PNG", save_all=True, append_images=[second], duration=100)
    data = bytearray(out.getvalue())
    np.testing.assert_array_equal(decode.read(bytes(data)), np.asarray(first))
    data[data.index(b"fcTL", data.index(b"IDAT")) + 8] ^= 0xFF
    np.testing.assert_array_equal(decode.read(bytes(data)), np.asarray(first))


def test_a_million_chunks_are_refused_soon() -> None:
    data = with_chunks(encode(draw_smooth_colours(1, 40)), chunk(b"abCd", b"") * 10**6)
    began = time.process_time()
    with pytest.raises(ImageError, match="pieces"):
        decode.read(data)
    assert time.process_time() - began < 8


def test_an_alpha_channel_that_nobody_filled_is_ignored() -> None:
    rgb = draw_smooth_colours(1, 40)
    for file_format in ("PNG", "TIFF", "WEBP", "BMP"):
        out = io.BytesIO()
        rgba = Image.fromarray(np.dstack([rgb, np.zeros((40, 40), np.uint8)]))
        rgba.save(
            out, file_format, **({"lossless": True, "exact": True} if file_format == "WEBP" else {})
        )
        np.testing.assert_array_equal(decode.read(out.getvalue()), rgb, file_format)
    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(out, "PNG")
    assert decode.read(out.getvalue()).min() == 255  # nothing there: the background


@pytest.mark.parametrize("alpha", ["1 everywhere", "one pixel", "noise"])
def test_an_alpha_channel_that_hides_nearly_all_of_a_photo_is_ignored(alpha: str) -> None:
    rgb = draw_smooth_colours(1, 40)
    channel = np.full((40, 40), alpha == "1 everywhere", np.uint8)
    if alpha == "one pixel":
        channel[7, 9] = 255
    if alpha == "noise":
        channel[::3] = 20
    for file_format in ("PNG", "TIFF", "WEBP", "BMP"):
        out = io.BytesIO()
        options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
        Image.fromarray(np.dstack([rgb, channel])).save(out, file_format, **options)
        np.testing.assert_array_equal(decode.read(out.getvalue()), rgb, file_format)
    palette = Image.fromarray(rgb).quantize(32)
    out = io.BytesIO()
    palette.save(out, "PNG", transparency=bytes(31) + b"\xff")
    counts = palette.histogram()
    if counts[31] <= 8:
        np.testing.assert_array_equal(decode.read(out.getvalue()), palette.convert("RGB"))


def test_a_small_thing_on_a_transparent_canvas_keeps_its_background() -> None:
    canvas = np.zeros((100, 100, 4), np.uint8)
    canvas[40:44, 40:44] = (200, 10, 10, 255)
    canvas[39, 40:44] = (200, 10, 10, 20)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "PNG")
    rgb = decode.read(out.getvalue())
    assert rgb[0, 0].tolist() == [255] * 3 and rgb[41, 41].tolist() == [200, 10, 10]
    erased = np.dstack([draw_smooth_colours(1, 100), np.zeros((100, 100), np.uint8)])
    erased[40:60, 40:60, 3] = 255  # all but the part that is meant
    out = io.BytesIO()
    Image.fromarray(erased).save(out, "PNG")
    assert decode.read(out.getvalue())[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize("header_size", [40, 56, 108, 124])
def test_a_bmp_with_alpha_0_everywhere_is_the_photo_without_it(header_size: int) -> None:
    rgb = draw_smooth_colours(1, 400)
    bgra = np.dstack([rgb[..., ::-1], np.zeros((400, 400), np.uint8)])[::-1]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", header_size, 400, 400, 1, 32, 3, bgra.size, 0, 0, 0, 0)
    head = info + (masks + bytes(124))[: max(header_size - 40, 12)]
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + bgra.tobytes()
    np.testing.assert_array_equal(decode.read(data), rgb)
    small = decode.read(data, shorter_side=40)
    assert small.shape == (80, 80, 3) and abs(int(small.mean()) - int(rgb.mean())) <= 1


def test_a_huge_run_length_bmp_is_refused_from_its_header() -> None:
    """Pillow decodes it in Python: a few bytes a row would hold a core for minutes."""
    for width, refused in ((400, False), (60_000, True)):
        info = struct.pack("<IiiHHIIiiII", 40, width, 1_000, 1, 8, 1, 0, 0, 0, 256, 0)
        colours = bytes(range(256)) * 4
        data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1_024) + info + colours
        data += b"\1\7\0\0" * 1_000
        began = time.process_time()
        if refused:
            with pytest.raises(ImageError, match="run-length BMP photos up to 8 megapixels"):
                decode.read(data)
        else:
            assert decode.read(data).shape == (1_000, 400, 3)
        assert time.process_time() - began < 8
