"""Photos in: every format, upright; limits; refusals in one line; what is drawn on them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagger.errors import ImageError
from tagger.images import decode, transforms
from tests.conftest import picture

RED, GREEN, BLUE, YELLOW = (210, 40, 40), (40, 170, 60), (50, 60, 200), (220, 200, 50)
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX system")


def scene(height: int = 48, width: int = 80) -> decode.Pixels:
    """Red and green above blue and yellow."""
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[: height // 2, : width // 2], canvas[: height // 2, width // 2 :] = RED, GREEN
    canvas[height // 2 :, : width // 2], canvas[height // 2 :, width // 2 :] = BLUE, YELLOW
    return canvas


def write(path: Path, rgb: decode.Pixels, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(rgb)
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path, quality=90, exif=exif.tobytes())
    elif path.suffix in (".gif", ".bmp"):
        image.save(path)
    else:
        image.save(path, quality=90, exif=exif)
    return path


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def assert_is_scene(rgb: decode.Pixels, tolerance: int = 25) -> None:
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 80, 3)
    corners = rgb[[12, 12, 36, 36], [20, 60, 20, 60]].astype(int)
    assert np.abs(corners - [RED, GREEN, BLUE, YELLOW]).max() <= tolerance


def grey_png(width: int, height: int, content: bytes) -> bytes:
    """An 8-bit grey PNG that claims a size, whatever it holds."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def refusal(path: Path) -> str:
    """The one line that says why, after the path."""
    with pytest.raises(ImageError) as caught:
        decode.read(path)
    error = caught.value
    assert error.source == str(path) and "\n" not in error.reason
    assert str(error) == f"{path}: {error.reason}"
    return error.reason


# --- formats


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif"])
def test_every_format_is_upright_rgb(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"photo.{ending}", scene())
    assert_is_scene(decode.read(path))
    assert_is_scene(decode.read(str(path)))
    assert_is_scene(decode.read(path.read_bytes()))


def test_the_content_decides_not_the_ending(tmp_path: Path) -> None:
    path = write(tmp_path / "photo.png", scene())
    assert_is_scene(decode.read(path.rename(tmp_path / "photo.jpg")))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, ending: str, orientation: int) -> None:
    upright = scene()
    sideways = upright.transpose(1, 0, 2)
    stored = {  # as the EXIF standard names where row 0 and column 0 belong
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: sideways,
        6: sideways[::-1],
        7: sideways[::-1, ::-1],
        8: sideways[:, ::-1],
    }[orientation]
    path = write(tmp_path / f"photo.{ending}", np.ascontiguousarray(stored), orientation)
    assert_is_scene(decode.read(path))
    small = decode.read(path, shorter_side=24)
    assert small.shape[1] > small.shape[0]
    assert np.abs(small[4, 4].astype(int) - RED).max() <= 40


def test_an_orientation_that_makes_no_sense_is_ignored(tmp_path: Path) -> None:
    assert_is_scene(decode.read(write(tmp_path / "photo.jpg", scene(), orientation=77)))


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_is_its_first_frame(tmp_path: Path, ending: str) -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (80, 48), "black")
    path = tmp_path / f"moving.{ending}"
    first.save(path, save_all=True, append_images=[second, second], duration=100)
    assert_is_scene(decode.read(path))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    cmyk = Image.fromarray(scene()).convert("CMYK")
    assert_is_scene(decode.read(saved(tmp_path / "print.jpg", cmyk, quality=95)), tolerance=40)
    assert_is_scene(decode.read(saved(tmp_path / "print.tif", cmyk)))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path, ending: str) -> None:
    ramp = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(4, 256)
    rgb = decode.read(saved(tmp_path / f"scan.{ending}", Image.fromarray(ramp)))
    np.testing.assert_array_equal(rgb, (ramp >> 8)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_values_without_a_fixed_range_use_their_own(tmp_path: Path, kind: type) -> None:
    ramp = np.linspace(-500, 70_000, 400).astype(kind).reshape(20, 20)
    rgb = decode.read(saved(tmp_path / "measured.tif", Image.fromarray(ramp)))
    assert rgb[0, 0].tolist() == [0, 0, 0] and rgb[-1, -1].tolist() == [255, 255, 255]
    assert (np.diff(rgb[..., 0].ravel().astype(int)) >= 0).all()


def test_palette_grey_and_black_and_white(tmp_path: Path) -> None:
    photo = Image.fromarray(scene())
    assert_is_scene(decode.read(saved(tmp_path / "palette.png", photo.quantize(16))))
    grey = decode.read(saved(tmp_path / "grey.jpg", photo.convert("L")))
    assert grey.shape == (48, 80, 3) and (grey.max(axis=2) == grey.min(axis=2)).all()
    halves = Image.fromarray(scene()[..., 0] > 128)
    bits = decode.read(saved(tmp_path / "bits.png", halves))
    assert bits[12, 20].tolist() == [255] * 3 and bits[12, 60].tolist() == [0] * 3


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "avif"])
def test_transparent_pixels_lie_on_white(tmp_path: Path, ending: str) -> None:
    rgba = np.dstack([scene(), np.full((48, 80), 255, np.uint8)])
    rgba[:, :40, 3] = 0
    rgba[24:, 40:, 3] = 128
    path = saved(tmp_path / f"cut.{ending}", Image.fromarray(rgba), quality=95)
    for rgb in (decode.read(path), decode.read(path, shorter_side=48)):
        assert rgb[12, 20].min() >= 253
        assert np.abs(rgb[12, 60].astype(int) - GREEN).max() <= 25
        assert np.abs(rgb[36, 60].astype(int) - (np.array(YELLOW) + 255) // 2).max() <= 25


def test_a_transparent_palette_colour_lies_on_white(tmp_path: Path) -> None:
    palette = Image.fromarray(scene()).quantize(4)
    path = saved(tmp_path / "logo.gif", palette, transparency=palette.getpixel((20, 12)))
    rgb = decode.read(path)
    assert rgb[12, 20].tolist() == [255] * 3
    assert np.abs(rgb[12, 60].astype(int) - GREEN).max() <= 25


# --- arrays


def test_an_array_of_pixels_is_taken_as_it_is() -> None:
    np.testing.assert_array_equal(decode.read(scene()), scene())
    assert transforms.prepare(scene()[::-1, :, ::-1], 32).shape == (32, 32, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_another_array_is_refused_by_its_shape(array: decode.Pixels) -> None:
    with pytest.raises(ImageError, match="uint8") as caught:
        decode.read(array)
    assert f"{array.dtype} {array.shape}" in str(caught.value)


# --- refusals


def cut_short(path: Path) -> None:
    data = decode.encode(picture(1), "JPEG")
    path.write_bytes(data[: len(data) // 2])


def damaged_png(path: Path) -> None:
    data = bytearray(decode.encode(picture(1)))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder, not a photo"),
        (lambda path: path.touch(), "an empty file"),
        (lambda path: path.write_text("Dear diary,\n" * 99), "not a JPEG, PNG"),
        (lambda path: path.write_bytes(decode.encode(scene(), "JPEG")[:20]), "broken at its start"),
        (cut_short, "cannot be decoded"),
        (damaged_png, "cannot be decoded"),
    ],
    ids=["missing", "folder", "empty", "text", "header", "truncated", "damaged"],
)
def test_what_is_no_photo_is_refused_in_a_line(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "photo.jpg"
    make(path)
    assert why in refusal(path)


@posix
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    assert refusal(tmp_path / "photo.jpg") == "not a regular file"


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\\x00b\.jpg: cannot be opened"):
        decode.read(tmp_path / "a\0b.jpg")
    assert "cannot be opened" in refusal(tmp_path / ("a" * 5000))


def test_bytes_are_refused_as_a_photo() -> None:
    for data in (b"", b"GIF89a", b"\xff\xd8\xff"):
        with pytest.raises(ImageError, match=r"^photo: .+"):
            decode.read(data)


@posix
def test_postscript_is_refused_and_starts_no_program(tmp_path: Path) -> None:
    ran, photo, fake = tmp_path / "ran", tmp_path / "photo.eps", tmp_path / "bin" / "gs"
    Image.fromarray(scene()).save(photo)
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"

    def run(code: str) -> str:
        started = [sys.executable, "-c", code, str(photo)]
        environment = {**os.environ, "PATH": path}
        return subprocess.run(started, capture_output=True, text=True, env=environment).stderr

    read = "import sys; from tagger.images import decode; decode.read(sys.argv[1])"
    assert "photo.eps: not a JPEG" in run(read)
    assert not ran.exists()
    run("import sys; from PIL import Image; Image.open(sys.argv[1]).load()")
    assert ran.exists()  # so the trap works


# --- limits


def test_a_huge_picture_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(grey_png(20_000, 20_000, bytes(20_001 * 1000)))
    began = time.monotonic()
    assert "megapixels" in refusal(path)
    assert time.monotonic() - began < 2


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_over_our_own_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(grey_png(11_000, 11_000, bytes(11_001)))
    assert refusal(path).startswith("11000x11000 pixels; PNG photos up to 120 megapixels")


def test_a_long_narrow_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    path.write_bytes(grey_png(decode.MAX_SIDE + 1, 1, bytes(decode.MAX_SIDE + 2)))
    assert f"{decode.MAX_SIDE + 1}x1 pixels" in refusal(path)
    path.write_bytes(grey_png(decode.MAX_SIDE, 1, bytes(decode.MAX_SIDE + 1)))
    assert transforms.prepare(path, 16).shape == (16, 16, 3)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with open(path, "wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    tracemalloc.start()
    try:
        assert "MB; photos up to 256 MB are opened" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(ImageError, match="larger than 256 MB"):
        decode.read(bytes(decode.MAX_BYTES + 1))


HOSTILE = """
import sys, time
from pathlib import Path
from tagger.images import transforms
from tagger.errors import ImageError

read, refused, slowest = 0, 0, 0.0
for path in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file()):
    began = time.monotonic()
    try:
        assert transforms.prepare(path, 192).shape == (192, 192, 3), path
        read += 1
    except ImageError as error:
        assert str(error).startswith(f"{path}: ") and "\\n" not in str(error), error
        refused += 1
    slowest = max(slowest, time.monotonic() - began)
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(read, refused, slowest, int(peak) / 2**10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_hostile_files_are_read_or_refused_in_little_time_and_memory(data: Path) -> None:
    files = [path for path in (data / "hostile").rglob("*") if path.is_file()]
    command = [sys.executable, "-c", HOSTILE, str(data / "hostile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused, slowest, peak_mb = (float(word) for word in done.stdout.split())
    assert read + refused == len(files) >= 648
    assert read > 450
    assert slowest < 10
    assert peak_mb < 2048


# --- preparing


@pytest.mark.parametrize("shape", [(1, 1), (7, 500), (500, 7), (100, 100), (191, 193), (640, 480)])
def test_prepared_photos_are_square(shape: tuple[int, int]) -> None:
    found = transforms.prepare(np.full((*shape, 3), 90, np.uint8), 192)
    assert found.shape == (192, 192, 3) and found.dtype == np.uint8
    assert (found == 90).all()


def test_fit_leaves_a_photo_of_the_size_alone() -> None:
    exact = picture(3, 64)
    np.testing.assert_array_equal(transforms.fit(exact, 64), exact)
    wide = np.concatenate([picture(4, 64)[:, :11], exact, picture(5, 64)[:, :12]], axis=1)
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
def test_fit_gives_the_size_and_no_colour_of_its_own(height: int, width: int, size: int) -> None:
    ramp = np.linspace(40, 200, height * width).reshape(height, width, 1).repeat(3, axis=2)
    found = transforms.fit(ramp.astype(np.uint8), size)
    assert found.shape == (size, size, 3)
    assert found.min() >= 39 and found.max() <= 200


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_decoding_at_a_fraction_looks_like_decoding_whole(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"large.{ending}", picture(6, 1700)[:1300])
    whole = transforms.fit(decode.read(path), 192).astype(int)
    assert decode.read(path).shape == (1300, 1700, 3)
    assert 182 <= min(decode.read(path, shorter_side=192).shape[:2]) < 800
    difference = np.abs(transforms.prepare(path, 192) - whole)
    assert difference.mean() < 2
    assert difference.max() < 25


# --- walking


def test_walk_finds_photos_by_ending_in_order(tmp_path: Path) -> None:
    wanted = ["B.JPG", "a.png", "deep/er/c.HeIc", "deep/d.jpeg", "deep/z.tiff", "ä/b.webp"]
    others = [".hidden.jpg", ".git/e.jpg", "deep/.cache/f.png", "notes.txt", "jpg", "g.jpg.part"]
    for name in wanted + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in decode.find_photos(tmp_path)]
    assert found == ["B.JPG", "a.png", "deep/d.jpeg", "deep/z.tiff", "deep/er/c.HeIc", "ä/b.webp"]
    assert list(decode.find_photos(str(tmp_path))) == list(decode.find_photos(tmp_path))


# --- encoding


def test_encoded_photos_can_be_read_again() -> None:
    np.testing.assert_array_equal(decode.read(decode.encode(scene())), scene())
    jpeg = decode.encode(scene(), "JPEG")
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    assert_is_scene(decode.read(jpeg))


def test_reading_a_small_file_takes_little_memory(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(decode.encode(scene()))
    tracemalloc.start()
    try:
        decode.read_bytes(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_transparent_rgb_colour_lies_on_white_at_any_size():
    rgb = np.full((1200, 1200, 3), (200, 10, 10), np.uint8)
    rgb[::2, ::2] = (0, 255, 0)
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", transparency=(0, 255, 0))
    whole = transforms.fit(decode.read(out.getvalue()), 100).astype(int)
    assert np.abs(transforms.prepare(out.getvalue(), 100) - whole).max() < 5


def test_transparent_sixteen_bit_grey_lies_on_white():
    out = io.BytesIO()
    grey = np.full((8, 8), 40_000, np.uint16)
    Image.fromarray(grey).save(out, "PNG", transparency=40_000)
    assert decode.read(out.getvalue()).min() == 255


def test_an_avif_of_the_generic_brand_is_read():
    out = io.BytesIO()
    Image.fromarray(scene()).save(out, "AVIF")
    data = out.getvalue()
    assert b"avif" in data[16:32]
    assert decode.read(data[:8] + b"mif1" + data[12:]).shape == (48, 80, 3)


def test_a_refusal_is_one_line_whatever_the_name(tmp_path):
    with pytest.raises(ImageError) as caught:
        decode.read(tmp_path / "a\nb.jpg")
    assert "\n" not in str(caught.value)


def with_exif(pixels: decode.Pixels, fields: dict[int, object]) -> bytes:
    """A JPEG with EXIF fields: those above 0x9000 in the part where cameras put them."""
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    for field, value in fields.items():
        (inner if field > 0x9000 else exif)[field] = value
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({}, None),
        ({0x9003: "2024:05:31 12:30:59"}, datetime(2024, 5, 31, 12, 30, 59)),
        ({0x0132: "2023:01:01 00:00:00"}, datetime(2023, 1, 1)),
        (
            {0x9003: "2024:05:31 12:30:59", 0x0132: "2025:01:01 00:00:00"},
            datetime(2024, 5, 31, 12, 30, 59),
        ),
        ({0x9003: "0000:00:00 00:00:00"}, None),
        ({0x9003: "    :  :     :  :  "}, None),
        ({0x9003: "yesterday", 0x9004: "2024:05:31 12:30:59\0"}, datetime(2024, 5, 31, 12, 30, 59)),
    ],
)
def test_when_a_photo_was_taken(fields: dict[int, object], taken: datetime | None) -> None:
    found = decode.read_metadata(with_exif(np.zeros((20, 30, 3), np.uint8), fields))
    assert (found.width, found.height, found.taken_at) == (30, 20, taken)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_facts_tell_the_upright_size(orientation: int) -> None:
    data = with_exif(np.zeros((20, 30, 3), np.uint8), {0x0112: orientation})
    found = decode.read_metadata(data)
    assert (found.height, found.width) == decode.read(data).shape[:2]


@pytest.mark.parametrize("data", [b"", b"no photo"])
def test_facts_of_no_photo_are_a_sentence(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^photo: "):
        decode.read_metadata(data)
