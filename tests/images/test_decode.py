"""Photo decoding: formats, orientation, limits, errors, metadata."""

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
from PIL import Image

from tagger.errors import ImageError
from tagger.images import decode, transforms
from tests.conftest import draw_smooth_colours

RED, GREEN, BLUE, YELLOW = (210, 40, 40), (40, 170, 60), (50, 60, 200), (220, 200, 50)
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX system")


def scene(height: int = 48, width: int = 80) -> decode.Pixels:
    """Red and green above blue and yellow."""
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[: height // 2, : width // 2], canvas[: height // 2, width // 2 :] = RED, GREEN
    canvas[height // 2 :, : width // 2], canvas[height // 2 :, width // 2 :] = BLUE, YELLOW
    return canvas


def write_photo(path: Path, rgb: decode.Pixels, orientation: int = 1) -> Path:
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


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def assert_is_scene(rgb: decode.Pixels, tolerance: int = 25) -> None:
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 80, 3)
    corners = rgb[[12, 12, 36, 36], [20, 60, 20, 60]].astype(int)
    assert np.abs(corners - [RED, GREEN, BLUE, YELLOW]).max() <= tolerance


def grey_png(width: int, height: int, content: bytes) -> bytes:
    """An 8-bit grey PNG whose header gives this size, with any pixel data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def decode_error(path: Path) -> str:
    """The reason in the error that names the path."""
    with pytest.raises(ImageError) as caught:
        decode.read(path)
    error = caught.value
    assert error.source == str(path) and "\n" not in error.reason
    assert str(error) == f"{path}: {error.reason}"
    return error.reason


# --- formats


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif"])
def test_every_format_is_upright_rgb(tmp_path: Path, ending: str) -> None:
    path = write_photo(tmp_path / f"photo.{ending}", scene())
    assert_is_scene(decode.read(path))
    assert_is_scene(decode.read(str(path)))
    assert_is_scene(decode.read(path.read_bytes()))


def test_the_format_is_found_by_content_not_extension(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "photo.png", scene())
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
    path = write_photo(tmp_path / f"photo.{ending}", np.ascontiguousarray(stored), orientation)
    assert_is_scene(decode.read(path))
    small = decode.read(path, shorter_side=24)
    assert small.shape[1] > small.shape[0]
    assert np.abs(small[4, 4].astype(int) - RED).max() <= 40


def test_an_invalid_orientation_is_ignored(tmp_path: Path) -> None:
    assert_is_scene(decode.read(write_photo(tmp_path / "photo.jpg", scene(), orientation=77)))


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, ending: str) -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (80, 48), "black")
    path = tmp_path / f"moving.{ending}"
    first.save(path, save_all=True, append_images=[second, second], duration=100)
    assert_is_scene(decode.read(path))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    cmyk = Image.fromarray(scene()).convert("CMYK")
    assert_is_scene(decode.read(save(tmp_path / "print.jpg", cmyk, quality=95)), tolerance=40)
    assert_is_scene(decode.read(save(tmp_path / "print.tif", cmyk)))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path, ending: str) -> None:
    ramp = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(4, 256)
    rgb = decode.read(save(tmp_path / f"scan.{ending}", Image.fromarray(ramp)))
    np.testing.assert_array_equal(rgb, (ramp >> 8)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_int32_and_float_values_are_stretched_from_their_range(tmp_path: Path, kind: type) -> None:
    ramp = np.linspace(-500, 70_000, 400).astype(kind).reshape(20, 20)
    rgb = decode.read(save(tmp_path / "measured.tif", Image.fromarray(ramp)))
    assert rgb[0, 0].tolist() == [0, 0, 0] and rgb[-1, -1].tolist() == [255, 255, 255]
    assert (np.diff(rgb[..., 0].ravel().astype(int)) >= 0).all()


def test_palette_grey_and_black_and_white_become_rgb(tmp_path: Path) -> None:
    photo = Image.fromarray(scene())
    assert_is_scene(decode.read(save(tmp_path / "palette.png", photo.quantize(16))))
    grey = decode.read(save(tmp_path / "grey.jpg", photo.convert("L")))
    assert grey.shape == (48, 80, 3) and (grey.max(axis=2) == grey.min(axis=2)).all()
    halves = Image.fromarray(scene()[..., 0] > 128)
    bits = decode.read(save(tmp_path / "bits.png", halves))
    assert bits[12, 20].tolist() == [255] * 3 and bits[12, 60].tolist() == [0] * 3


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "avif"])
def test_transparent_pixels_become_white(tmp_path: Path, ending: str) -> None:
    rgba = np.dstack([scene(), np.full((48, 80), 255, np.uint8)])
    rgba[:, :40, 3] = 0
    rgba[24:, 40:, 3] = 128
    path = save(tmp_path / f"cut.{ending}", Image.fromarray(rgba), quality=95)
    for rgb in (decode.read(path), decode.read(path, shorter_side=48)):
        assert rgb[12, 20].min() >= 253
        assert np.abs(rgb[12, 60].astype(int) - GREEN).max() <= 25
        assert np.abs(rgb[36, 60].astype(int) - (np.array(YELLOW) + 255) // 2).max() <= 25


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    palette = Image.fromarray(scene()).quantize(4)
    path = save(tmp_path / "logo.gif", palette, transparency=palette.getpixel((20, 12)))
    rgb = decode.read(path)
    assert rgb[12, 20].tolist() == [255] * 3
    assert np.abs(rgb[12, 60].astype(int) - GREEN).max() <= 25


# --- arrays


def test_an_array_of_pixels_is_returned_unchanged() -> None:
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
def test_an_array_of_another_shape_or_type_is_an_error(array: decode.Pixels) -> None:
    with pytest.raises(ImageError, match="uint8") as caught:
        decode.read(array)
    assert f"{array.dtype} {array.shape}" in str(caught.value)


# --- errors


def write_truncated(path: Path) -> None:
    data = decode.encode(draw_smooth_colours(1), "JPEG")
    path.write_bytes(data[: len(data) // 2])


def write_damaged_png(path: Path) -> None:
    data = bytearray(decode.encode(draw_smooth_colours(1)))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder, not a photo"),
        (lambda path: path.touch(), "an empty file"),
        (lambda path: path.write_text("Dear diary,\n" * 99), "not a JPEG, PNG"),
        (lambda path: path.write_bytes(decode.encode(scene(), "JPEG")[:20]), "broken at its start"),
        (write_truncated, "cut short"),
        (write_damaged_png, "the file is damaged"),
    ],
    ids=["missing", "folder", "empty", "text", "header", "truncated", "damaged"],
)
def test_a_file_that_is_no_photo_gives_a_reason(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "photo.jpg"
    make(path)
    assert reason in decode_error(path)


@posix
def test_a_pipe_is_an_error_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    assert decode_error(tmp_path / "photo.jpg") == "not a regular file"


def test_an_impossible_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\\x00b\.jpg: cannot be opened"):
        decode.read(tmp_path / "a\0b.jpg")
    assert "cannot be opened" in decode_error(tmp_path / ("a" * 5000))


def test_errors_call_bytes_photo() -> None:
    for data in (b"", b"GIF89a", b"\xff\xd8\xff"):
        with pytest.raises(ImageError, match=r"^photo: .+"):
            decode.read(data)


@posix
def test_postscript_is_an_error_and_starts_no_program(tmp_path: Path) -> None:
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
    assert ran.exists()  # the fake program works


# --- limits


def test_a_huge_picture_is_an_error_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(grey_png(20_000, 20_000, bytes(20_001 * 1000)))
    began = time.process_time()
    assert "megapixels" in decode_error(path)
    assert time.process_time() - began < 8


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_over_our_own_limit_is_an_error_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(grey_png(11_000, 11_000, bytes(11_001)))
    assert decode_error(path).startswith("11000x11000 pixels; PNG photos up to 120 megapixels")


def test_a_picture_with_too_long_a_side_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    path.write_bytes(grey_png(decode.MAX_SIDE + 1, 1, bytes(decode.MAX_SIDE + 2)))
    assert f"{decode.MAX_SIDE + 1}x1 pixels" in decode_error(path)
    path.write_bytes(grey_png(decode.MAX_SIDE, 1, bytes(decode.MAX_SIDE + 1)))
    assert transforms.prepare(path, 16).shape == (16, 16, 3)


def test_a_file_over_the_limit_is_an_error_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with open(path, "wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    tracemalloc.start()
    try:
        assert "MB; photos up to 256 MB are opened" in decode_error(path)
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

read, failed, slowest = 0, 0, 0.0
for path in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file()):
    began = time.monotonic()
    try:
        assert transforms.prepare(path, 192).shape == (192, 192, 3), path
        read += 1
    except ImageError as error:
        assert str(error).startswith(f"{path}: ") and "\\n" not in str(error), error
        failed += 1
    slowest = max(slowest, time.monotonic() - began)
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(read, failed, slowest, int(peak) / 2**10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_hostile_files_take_little_time_and_memory(data: Path) -> None:
    files = [path for path in (data / "hostile").rglob("*") if path.is_file()]
    command = [sys.executable, "-c", HOSTILE, str(data / "hostile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    read, failed, slowest, peak_mb = (float(word) for word in done.stdout.split())
    assert read + failed == len(files) >= 648
    assert read > 450
    assert slowest < 10
    assert peak_mb < 2048


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_a_reduced_decode_looks_like_a_full_one(tmp_path: Path, ending: str) -> None:
    path = write_photo(tmp_path / f"large.{ending}", draw_smooth_colours(6, 1700)[:1300])
    whole = transforms.fit(decode.read(path), 192).astype(int)
    assert decode.read(path).shape == (1300, 1700, 3)
    assert 182 <= min(decode.read(path, shorter_side=192).shape[:2]) < 800
    difference = np.abs(transforms.prepare(path, 192) - whole)
    assert difference.mean() < 2
    assert difference.max() < 25


# --- finding photos


def test_photos_are_found_by_extension_in_order(tmp_path: Path) -> None:
    photos = ["B.JPG", "a.png", "deep/er/c.HeIc", "deep/d.jpeg", "deep/z.tiff", "ä/b.webp"]
    ignored = [".hidden.jpg", ".git/e.jpg", "deep/.cache/f.png", "notes.txt", "jpg", "g.jpg.part"]
    for name in photos + ignored:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in decode.find_photos(tmp_path)]
    assert names == ["B.JPG", "a.png", "deep/d.jpeg", "deep/z.tiff", "deep/er/c.HeIc", "ä/b.webp"]
    assert list(decode.find_photos(str(tmp_path))) == list(decode.find_photos(tmp_path))


# --- encoding


def test_encoded_photos_can_be_read_again() -> None:
    np.testing.assert_array_equal(decode.read(decode.encode(scene())), scene())
    jpeg = decode.encode(scene(), "JPEG")
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    assert_is_scene(decode.read(jpeg))


def test_reading_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(decode.encode(scene()))
    tracemalloc.start()
    try:
        decode.read_bytes(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_transparent_rgb_colour_becomes_white_at_any_size() -> None:
    rgb = np.full((1200, 1200, 3), (200, 10, 10), np.uint8)
    rgb[::2, ::2] = (0, 255, 0)
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", transparency=(0, 255, 0))
    whole = transforms.fit(decode.read(out.getvalue()), 100).astype(int)
    assert np.abs(transforms.prepare(out.getvalue(), 100) - whole).max() < 5


def test_transparent_sixteen_bit_grey_becomes_white() -> None:
    out = io.BytesIO()
    grey = np.full((8, 8), 40_000, np.uint16)
    Image.fromarray(grey).save(out, "PNG", transparency=40_000)
    assert decode.read(out.getvalue()).min() == 255


def test_an_avif_of_the_generic_brand_is_read() -> None:
    out = io.BytesIO()
    Image.fromarray(scene()).save(out, "AVIF")
    data = out.getvalue()
    assert b"avif" in data[16:32]
    assert decode.read(data[:8] + b"mif1" + data[12:]).shape == (48, 80, 3)


def test_an_error_is_one_line_for_any_file_name(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        decode.read(tmp_path / "a\nb.jpg")
    assert "\n" not in str(caught.value)


def with_exif(pixels: decode.Pixels, fields: dict[int, object]) -> bytes:
    """A JPEG with EXIF fields; those above 0x9000 go into the EXIF IFD, as cameras do."""
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
def test_metadata_has_the_time_of_capture(
    fields: dict[int, object], taken: datetime | None
) -> None:
    metadata = decode.read_metadata(with_exif(np.zeros((20, 30, 3), np.uint8), fields))
    assert (metadata.width, metadata.height, metadata.taken_at) == (30, 20, taken)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_metadata_has_the_upright_size(orientation: int) -> None:
    data = with_exif(np.zeros((20, 30, 3), np.uint8), {0x0112: orientation})
    metadata = decode.read_metadata(data)
    assert (metadata.height, metadata.width) == decode.read(data).shape[:2]


@pytest.mark.parametrize("data", [b"", b"no photo"])
def test_metadata_of_no_photo_is_an_error(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^photo: "):
        decode.read_metadata(data)
