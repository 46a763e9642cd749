"""Photos of every format, mutated with fixed seeds: read or refused, in bounded time and memory.

    python bench/mutated_photos.py [--seeds 1000] [--first 0]

A child process reads them all. Exit status 1 where it dies, hangs, raises anything but an
ImageError with a sentence, or takes more than the limits; the line says which photo and seed.
"""

from __future__ import annotations

import argparse
import io
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from tagger.errors import ImageError  # noqa: E402
from tagger.images import decode, transforms  # noqa: E402

SECONDS = 10.0  # of a core, for one photo
MEGABYTES = 1_000  # more than the process takes by itself
HANG_SECONDS = 120
SIDE = 64  # of the network


def make_photos() -> dict[str, bytes]:
    """A small photo of each format and kind."""
    rng = np.random.default_rng(1)
    ramp = np.add.outer(np.arange(90), np.arange(120))[..., None] + np.array([0, 20, 40])
    image = Image.fromarray((ramp + rng.integers(0, 9, ramp.shape)).clip(0, 255).astype(np.uint8))
    alpha = image.copy()
    alpha.putalpha(200)
    grey = np.asarray(image.convert("L"))
    wide = Image.fromarray(grey.astype(np.uint16) << 4)
    floats = Image.fromarray(grey.astype(np.float32) / 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 12:30:59"
    kinds: list[tuple[str, str, Image.Image, dict[str, object]]] = [
        ("jpeg", "JPEG", image, {"exif": exif}),
        ("jpeg progressive", "JPEG", image, {"progressive": True}),
        ("jpeg restarts", "JPEG", image, {"restart_marker_rows": 1}),
        ("jpeg cmyk", "JPEG", image.convert("CMYK"), {}),
        ("png", "PNG", image, {"exif": exif}),
        ("png palette", "PNG", image.quantize(64), {"transparency": 3}),
        ("png 16 bits", "PNG", wide, {}),
        ("png alpha", "PNG", alpha, {}),
        ("gif", "GIF", image.quantize(64), {}),
        ("bmp", "BMP", image, {}),
        ("bmp alpha", "BMP", alpha, {}),
        ("webp", "WEBP", image, {"exif": exif}),
        ("webp lossless", "WEBP", alpha, {"lossless": True}),
        ("avif", "AVIF", image, {"exif": exif}),
        ("tiff", "TIFF", image, {"exif": exif}),
        ("tiff lzw", "TIFF", image, {"compression": "tiff_lzw"}),
        ("tiff jpeg", "TIFF", image, {"compression": "jpeg"}),
        ("tiff deflate 16 bits", "TIFF", wide, {"compression": "tiff_adobe_deflate"}),
        ("tiff float", "TIFF", floats, {}),
        ("tiff group 4", "TIFF", image.convert("1"), {"compression": "group4"}),
    ]
    photos = {}
    for name, file_format, picture, options in kinds:
        out = io.BytesIO()
        picture.save(out, file_format, **options)
        photos[name] = out.getvalue()
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=80)
    return {**photos, "heic": out.getvalue()}


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8, 40))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def flip_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(min(len(data), 128))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))


def write_absurd_number(data: bytearray, rng: random.Random) -> None:
    number = rng.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(2**32)))
    size, order = rng.choice((2, 4)), rng.choice(("little", "big"))
    start = rng.randrange(max(1, min(len(data), 512) - size))
    data[start : start + size] = (number & (256**size - 1)).to_bytes(size, order)


def swap_blocks(data: bytearray, rng: random.Random) -> None:
    size = rng.randrange(1, max(2, len(data) // 4))
    first, second = (rng.randrange(max(1, len(data) - size)) for _ in range(2))
    left, right = bytes(data[first : first + size]), bytes(data[second : second + size])
    data[first : first + size], data[second : second + size] = right, left


def repeat_block(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    block = bytes(data[start : start + rng.randrange(1, 64)])
    data[start:start] = block * rng.choice((1, 10, 2_000))


def blank_block(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    size = min(len(data) - start, rng.randrange(1, 2_000))
    data[start : start + size] = rng.choice((b"\0", b"\xff")) * size


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(truncate, flip_bytes, flip_header, write_absurd_number),
    *(swap_blocks, repeat_block, blank_block),
)


def mutate(data: bytes, seed: str) -> bytes:
    """The photo with one to three mutations."""
    rng, changed = random.Random(seed), bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if changed:
            rng.choice(MUTATIONS)(changed, rng)
    return bytes(changed)


def read(data: bytes) -> bool:
    """Read a photo in every way; False if it is refused with a sentence."""
    try:
        decode.read_metadata(data)
        row = transforms.prepare_squares(data, SIDE)
    except ImageError as error:
        if not error.reason or "\n" in str(error) or len(str(error)) > 400:
            raise ValueError(f"no sentence: {error!r}") from error
        return False
    if row.dtype != np.uint8 or row.shape[0] != SIDE or row.shape[1] % SIDE or row.shape[2] != 3:
        raise ValueError(f"no picture: {row.dtype} {row.shape}")
    return True


def peak_megabytes() -> float:
    """The most memory that this process ever had; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    text = status.read_text() if status.exists() else "VmHWM: 0 kB"
    return int(text.split("VmHWM:")[1].split()[0]) / 2**10


def run_child(first: int, seeds: int) -> None:
    """Read every photo with every seed; a line before each, so that a death has a name."""
    warnings.simplefilter("ignore")
    outcomes = {True: 0, False: 0}
    slowest, base = 0.0, peak_megabytes()
    for name, data in make_photos().items():
        for seed in range(first, first + seeds):
            print(f"{name}, seed {seed}", flush=True)
            began = time.process_time()
            outcomes[read(mutate(data, f"{name} {seed}"))] += 1
            seconds = time.process_time() - began
            slowest = max(slowest, seconds)
            if seconds > SECONDS or peak_megabytes() - base > MEGABYTES:
                raise SystemExit(f"{seconds:.1f} s, peak {peak_megabytes():.0f} MB")
    memory = peak_megabytes() - base
    print(
        f"{outcomes[True]} read, {outcomes[False]} refused;"
        f" slowest {slowest:.2f} s, {memory:.0f} MB more at the peak"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(options.first, options.seeds)
        return 0
    command = [sys.executable, __file__, "--child"]
    command += [f"--seeds={options.seeds}", f"--first={options.first}"]
    timeout = HANG_SECONDS + options.seeds
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        output, error, status = done.stdout, done.stderr.strip(), done.returncode
    except subprocess.TimeoutExpired as hang:
        output, error, status = (hang.stdout or b"").decode(), f"no end within {timeout} s", 1
    print(output.splitlines()[-1] if output else "nothing read")
    if status:
        print(f"exit status {status}: {error.splitlines()[-1] if error else 'no message'}")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
