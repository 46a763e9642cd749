"""Make a folder of JPEGs to tag: 500 x 375 ("small") or 12 megapixels ("large").

python bench/photos.py FOLDER --size small --photos 2000

Random cuts, the same on each run, of the photos in TAGGER_DATA (pets for small, camera for large)
or of those inside scikit-image. A few hundred small or a few large files are made; the rest are
hard links to them.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tagger.images.decode import find_photos

QUALITY = 90
SAMPLES = ("astronaut", "coffee", "chelsea", "rocket")  # in scikit-image's package
MIN_SHARE = 0.85  # of an original's largest window; cuts of one original differ


@dataclass(frozen=True)
class Size:
    """`pixels` (W, H) of each photo; `distinct` files; `source` folder under TAGGER_DATA."""

    pixels: tuple[int, int]
    distinct: int
    source: str


SIZES = {
    "small": Size((500, 375), 200, "pets/train"),
    "large": Size((4000, 3000), 6, "camera"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder of JPEGs to tag.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--distinct", type=int, help="files that differ; the rest are links")
    options = parser.parse_args()
    size = SIZES[options.size]
    if options.distinct:
        size = replace(size, distinct=options.distinct)
    make(options.folder, size, options.photos)


def make(folder: Path, size: Size, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    distinct = min(size.distinct, count)
    for number, original in enumerate(islice(cycle(originals(size)), distinct)):
        cut(original, size.pixels, number).save(photo_path(folder, number), quality=QUALITY)
    for number in range(distinct, count):
        os.link(photo_path(folder, number % distinct), photo_path(folder, number))


def originals(size: Size) -> list[Image.Image]:
    """At most `size.distinct` photos, spread over the source; decoded when they are cut."""
    if data := os.environ.get("TAGGER_DATA"):
        paths = list(find_photos(Path(data, size.source)))
        return [Image.open(path) for path in paths[:: max(1, len(paths) // size.distinct)]]
    import skimage.data

    return [Image.fromarray(getattr(skimage.data, name)()) for name in SAMPLES]


def cut(original: Image.Image, pixels: tuple[int, int], seed: int) -> Image.Image:
    """A random window of the original, resized to `pixels` (W, H), mirrored in half of the cuts."""
    random = np.random.default_rng(seed)
    upright = ImageOps.exif_transpose(original).convert("RGB")
    scale = min(upright.width / pixels[0], upright.height / pixels[1])
    scale *= random.uniform(MIN_SHARE, 1)
    width, height = pixels[0] * scale, pixels[1] * scale
    left = random.uniform(0, upright.width - width)
    top = random.uniform(0, upright.height - height)
    window = (left, top, left + width, top + height)
    resized = upright.resize(pixels, Image.Resampling.LANCZOS, box=window)
    return ImageOps.mirror(resized) if random.random() < 0.5 else resized


def photo_path(folder: Path, number: int) -> Path:
    return folder / f"photo_{number:06}.jpg"


if __name__ == "__main__":
    main()
