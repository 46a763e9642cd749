"""Photos in profiles that are far from sRGB, and near it."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tagger.images import decode, transforms
from tagger.library.storage import Storage
from tests.conftest import draw_smooth_colours

Point = tuple[float, float]
D65, D50 = (0.3127, 0.329), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
# Primaries, white point, gamma
FAR: dict[str, tuple[tuple[Point, Point, Point], Point, float]] = {
    "ProPhoto RGB": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), D50, 1.8),
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 2.2),
    "Rec. 2020": (((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)), D65, 2.2),
    "red and blue swapped": (SRGB[::-1], D65, 2.2),
    "linear": (SRGB, D65, 1.0),
}
NEAR: dict[str, tuple[tuple[Point, Point, Point], Point, float]] = {
    "sRGB": (SRGB, D65, 2.2),
    "Display P3": (((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65, 2.2),
    "PAL": (((0.64, 0.33), (0.29, 0.6), (0.15, 0.06)), D65, 2.2),
}


def make_profile(primaries: tuple[Point, ...], white: Point, gamma: float) -> bytes:
    """An ICC profile, version 2.4, of three primaries and a gamma."""
    cone = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    pcs = np.array([0.9642, 1, 0.8249])
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*primaries, white)]).T
    matrix = xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
    adapted = np.linalg.inv(cone) @ np.diag(cone @ pcs / (cone @ xyz[:, 3])) @ cone @ matrix

    def pack_xyz(values: np.ndarray) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + pack_xyz(pcs),
    }
    for column, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + pack_xyz(adapted[:, column])
        tags[name + b"TRC"] = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI12s", 128 + len(table) + len(body), b"lcms", 0x02400000, b"mntrRGB XYZ "
    )
    return (head + bytes(12) + b"acsp" + bytes(28) + pack_xyz(pcs)).ljust(128, b"\0") + table + body


def convert(rgb: decode.Pixels, profile: bytes) -> decode.Pixels:
    """From sRGB into a profile, as a camera or an editor would."""
    source, target = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(rgb), source, target))


def save(rgb: decode.Pixels, file_format: str, profile: bytes) -> bytes:
    out = io.BytesIO()
    best: dict[str, dict[str, object]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    options = best.get(file_format, {})
    Image.fromarray(rgb).save(out, file_format, icc_profile=profile, **options)
    return out.getvalue()


def photo() -> decode.Pixels:
    return (draw_smooth_colours(1, 96) * 0.5 + 64).astype(np.uint8)  # colours that all can show


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("kind", FAR)
def test_a_profile_far_from_srgb_is_converted(kind: str, file_format: str) -> None:
    profile = make_profile(*FAR[kind])
    data = save(convert(photo(), profile), file_format, profile)
    plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(plain.astype(int) - photo()).mean() > 3  # what it looks like without
    for side in (None, 48):
        rgb = transforms.fit(decode.read(data, side), 48).astype(int)
        assert np.abs(rgb - transforms.fit(photo(), 48)).mean() < 2


@pytest.mark.parametrize("kind", NEAR)
def test_a_profile_near_srgb_leaves_the_pixels_alone(kind: str) -> None:
    data = save(photo(), "PNG", make_profile(*NEAR[kind]))
    np.testing.assert_array_equal(decode.read(data), photo())


def test_thumbnails_are_converted_alike(tmp_path: Path) -> None:
    profile = make_profile(*FAR["ProPhoto RGB"])
    data = save(convert(photo(), profile), "PNG", profile)
    jpeg = Storage(tmp_path).write_thumbnail("a" * 64, decode.read(data, 320))
    rgb = np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)
    assert "icc_profile" not in Image.open(io.BytesIO(jpeg)).info
    assert np.abs(rgb - photo()).mean() < 3


@pytest.mark.parametrize(
    "profile",
    [b"", b"x", bytes(200), make_profile(*FAR["linear"])[:200], bytes(5 * 2**20)],
    ids=["empty", "short", "zeros", "cut", "huge"],
)
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    np.testing.assert_array_equal(decode.read(save(photo(), "TIFF", profile)), photo())


def test_profiles_with_flipped_bytes_are_used_or_ignored() -> None:
    profile = make_profile(*FAR["ProPhoto RGB"])
    rng = np.random.default_rng(5)
    began = time.process_time()
    for _ in range(20):
        broken = bytearray(profile)
        for position in rng.integers(0, len(profile), 4):
            broken[position] = rng.integers(256)
        assert decode.read(save(photo()[:8, :8], "PNG", bytes(broken))).shape == (8, 8, 3)
    assert time.process_time() - began < 8


def test_grey_and_cmyk_profiles_are_left_alone() -> None:
    grey = Image.fromarray(photo()[..., 0])
    out = io.BytesIO()
    grey.save(out, "PNG", icc_profile=make_profile(*FAR["linear"]).replace(b"RGB ", b"GRAY", 1))
    np.testing.assert_array_equal(decode.read(out.getvalue())[..., 0], photo()[..., 0])


def test_a_lab_tiff_is_read() -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(photo()),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    out = io.BytesIO()
    lab.save(out, "TIFF")
    assert np.abs(decode.read(out.getvalue()).astype(int) - photo()).mean() < 2
