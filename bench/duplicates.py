"""Near copies among photos of a library: how many are found, and what else is called one.

TAGGER_DATA=... python bench/duplicates.py
TAGGER_DATA=... python bench/duplicates.py --scale 100000    # time and memory of the comparison

Among 2,000 ordinary photos are copies of some, each kind of others: resized, recompressed, cropped
by 5 % on each side, brightened, and all of it. Beside them are photos that are no copies: the next
ones that somebody took of the same scene, as far as there are any, and photos of which the subject
moved, the camera too, and the light a little. A copy counts as found if it is in the group of its
photo; a group is false if it has photos of two scenes, or two that are no copies of each other.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from measuring import (
    Row,
    Run,
    at_least,
    at_most,
    data_folder,
    make_parser,
    publish,
    temporary_folder,
)

from tagger.concurrency import one_blas_thread
from tagger.images import decode
from tagger.images.decode import Pixels
from tagger.jobs import worker
from tagger.jobs.requests import CompareRequest, ImportFolderRequest, submit
from tagger.library.duplicates import hashes
from tagger.library.duplicates.candidates import find_candidates
from tagger.library.library import Library
from tagger.library.vectors import Ids, VectorCache
from tagger.training.run_folder import peak_memory_mb

FOUND_BAR, FALSE_BAR = 0.95, 0.01
SHARE = 0.05  # of the copies' side that a crop cuts off on each side
SAME_SCENE = 30  # numbers that photos of one scene may be apart: they were uploaded together
# Photos of the collection that are crops of others in it: by eye.
REAL_COPIES = ("3050606344_af711c726c", "2637959357_dd64a03efa", "3656225270_cdf89e3240")


def resize(rgb: Pixels) -> Pixels:
    height, width = rgb.shape[:2]
    return _resize(rgb, width // 2, height // 2)


def crop(rgb: Pixels) -> Pixels:
    height, width = rgb.shape[:2]
    top, left = round(height * SHARE), round(width * SHARE)
    return np.ascontiguousarray(rgb[top : height - top, left : width - left])


def brighten(rgb: Pixels) -> Pixels:
    return np.clip(rgb * 1.15 + 15.0, 0, 255).astype(np.uint8)


def edit_all(rgb: Pixels) -> Pixels:
    cut = crop(rgb)
    return brighten(_resize(cut, round(cut.shape[1] * 0.7), round(cut.shape[0] * 0.7)))


@dataclass(frozen=True)
class Kind:
    """A kind of copy: an edit, and the quality of its JPEG."""

    edit: Callable[[Pixels], Pixels]
    quality: int = 90


KINDS = {
    "resized to half": Kind(resize),
    "recompressed": Kind(lambda rgb: rgb, 40),
    "cropped": Kind(crop),
    "brightened": Kind(brighten),
    "all of it": Kind(edit_all, 60),
}


def take_next(rgb: Pixels, seed: int) -> Pixels:
    """The next photo of a scene: the subject moved by 4 to 10 %, the camera by up to 1.5 %."""
    numbers = np.random.default_rng(seed)
    height, width = rgb.shape[:2]
    centre = (int(width * numbers.uniform(0.35, 0.65)), int(height * numbers.uniform(0.35, 0.65)))
    axes = (int(width * numbers.uniform(0.1, 0.18)), int(height * numbers.uniform(0.12, 0.22)))
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    behind = cv2.inpaint(rgb, cv2.dilate(mask, np.ones((5, 5))), 3, cv2.INPAINT_TELEA)
    angle, length = numbers.uniform(0, 2 * np.pi), numbers.uniform(0.04, 0.1) * width
    shift = np.float32([[1, 0, length * np.cos(angle)], [0, 1, length * np.sin(angle)]])
    size = (width, height)
    subject = cv2.warpAffine(rgb, shift, size, borderMode=cv2.BORDER_REFLECT)
    soft = cv2.warpAffine(cv2.GaussianBlur(mask / 255.0, (0, 0), 1.5), shift, size)[..., None]
    photo = (subject * soft + behind * (1 - soft)).astype(np.uint8)
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners + np.float32(numbers.uniform(-0.015, 0.015, (4, 2)) * size)
    view = cv2.getPerspectiveTransform(corners, moved)
    photo = cv2.warpPerspective(photo, view, size, borderMode=cv2.BORDER_REFLECT)
    noise = numbers.normal(0, 3, photo.shape)
    return np.clip(photo * numbers.uniform(0.95, 1.05) + noise, 0, 255).astype(np.uint8)


def main() -> None:
    arguments = make_parser(__doc__)
    add = arguments.add_argument
    add("--photos", type=int, default=2_000)
    add("--copies", type=int, default=100, help="of each kind")
    add("--next-photos", type=int, default=200, help="of scenes, with the subject moved")
    add("--seed", type=int, default=1)
    add("--scale", type=int, help="compare so many hashes and vectors, drawn from these photos")
    options = arguments.parse_args()
    with temporary_folder() as folder:
        source = data_folder() / "ordinary" / "images"
        originals = choose_photos(source, options.photos, options.seed)
        (folder / "photos").mkdir()
        write_photos(folder / "photos", originals, options)
        library = Library.open(folder / "library")
        try:
            measure(library, folder / "photos", options)
        finally:
            library.close()


def choose_photos(source: Path, count: int, seed: int) -> list[Path]:
    """Photos of which none is a copy of another; first those of scenes that there are several of.

    In random order, but for these.
    """
    every = [path for path in sorted(source.iterdir()) if path.stem not in REAL_COPIES]
    number = {path: int(path.stem.split("_")[0]) for path in every}
    in_order = sorted(every, key=number.__getitem__)
    together: dict[Path, None] = {}
    for first, second in pairwise(in_order):
        if number[second] - number[first] <= SAME_SCENE:
            together |= {first: None, second: None}
    unrelated = [path for path in every if path not in together]
    random.Random(seed).shuffle(unrelated)
    return [*together, *unrelated][:count]


def write_photos(folder: Path, originals: Sequence[Path], options: argparse.Namespace) -> None:
    """JPEGs of the photos, `NUMBER.jpg`, their copies and next photos: `NUMBER.KIND.jpg`."""
    numbers = list(range(len(originals)))
    random.Random(options.seed + 1).shuffle(numbers)
    kinds = iter(numbers)
    planned = {next(kinds): name for name in KINDS for _ in range(options.copies)}
    moved = {next(kinds) for _ in range(options.next_photos)}
    for number, path in enumerate(originals):
        rgb = decode.read(path.read_bytes())
        write(folder / f"{number:05}.jpg", rgb, 92)
        if number in planned:
            kind = KINDS[planned[number]]
            copy = kind.edit(rgb)
            write(folder / f"{number:05}.{planned[number]}.jpg", copy, kind.quality)
        if number in moved:
            write(folder / f"{number:05}.next.jpg", take_next(rgb, number), 92)


def write(path: Path, rgb: Pixels, quality: int) -> None:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    path.write_bytes(data.tobytes())


def measure(library: Library, folder: Path, options: argparse.Namespace) -> None:
    worker.run(library, submit(library, ImportFolderRequest(str(folder))))
    began = time.perf_counter()
    worker.run(library, submit(library, CompareRequest()))
    seconds = time.perf_counter() - began
    rows = count_found(library, options)
    runs = {"compare": [Run(seconds, peak_memory_mb() or 0.0)]}
    photos = library.count()
    title = f"Near copies among {photos:,} photos, compared in {seconds:.0f} s"
    if options.scale:
        rows, runs["scale"] = measure_scale(library, options.scale)
        title = f"Comparing {options.scale:,} photos"
    publish(title, rows, runs, options.json)


def count_found(library: Library, options: argparse.Namespace) -> list[Row]:
    names = {photo.id: photo.name for photo in library.photos()}
    groups = [
        [names[photo_id] for photo_id in group.ids]
        for group in library.duplicates.list_groups().groups
    ]
    group_of = {name: index for index, group in enumerate(groups) for name in group}
    hits: Counter[str] = Counter()
    for name in names.values():
        number, kind = [*name.split("."), ""][:2]
        original = f"{number}.jpg"
        if kind in KINDS and name in group_of and group_of[name] == group_of.get(original):
            hits[kind] += 1
    false = [group for group in groups if is_false(group)]
    for group in false:
        print("false:", *group)
    rows: list[Row] = [
        {"copies": kind, "planted": options.copies, "found": hits[kind], "share": None, "bar": ""}
        for kind in KINDS
    ]
    rows.append(
        {"copies": "all kinds", "planted": options.copies * len(KINDS), "found": hits.total()}
        | {"share": None, "bar": ""}
    )
    for row in rows:
        share = float(row["found"] or 0) / float(row["planted"] or 1)
        row |= {"share": f"{share:.1%}", "bar": at_least(share, FOUND_BAR)}
    share = len(false) / max(1, len(groups))
    rows.append(
        {"copies": "false groups", "planted": len(groups), "found": len(false)}
        | {"share": f"{share:.1%}", "bar": at_most(share, FALSE_BAR)}
    )
    return rows


def is_false(group: Sequence[str]) -> bool:
    """Whether it has photos of several scenes, or the next photo of one."""
    return len({name.split(".")[0] for name in group}) > 1 or any(".next." in g for g in group)


def measure_scale(library: Library, count: int) -> tuple[list[Row], list[Run]]:
    """Compare hashes and vectors like those of the library: each of them again, less alike."""
    with library.database.read_transaction() as connection:
        ids, values, _ = hashes.load_all(connection)
        space = library.space()
        loaded = VectorCache().load(connection, space.sha256 if space else "")
    numbers = np.random.default_rng(0)
    rows = numbers.integers(0, len(ids), count)
    flips = np.zeros(count, np.uint64)
    for _ in range(14):
        flips |= np.uint64(1) << numbers.integers(0, 64, count).astype(np.uint64)
    drawn = values[rows] ^ flips
    vectors = loaded.take(loaded.find_rows(ids[rows]))
    noise = numbers.normal(0, 1, vectors.shape).astype(np.float32)
    vectors += 0.9 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def cosines(first: Ids, second: Ids) -> np.ndarray:
        return np.einsum("ij,ij->i", vectors[first], vectors[second])

    runs, pairs = [], 0
    for new in (count, 1_000):
        is_new = np.zeros(count, np.bool_)
        is_new[-new:] = True
        began = time.perf_counter()
        with one_blas_thread():
            pairs = sum(len(each.first) for each in find_candidates(drawn, is_new, cosines))
        runs.append(Run(time.perf_counter() - began, peak_memory_mb() or 0.0, str(pairs)))
    table: list[Row] = [
        {"new photos": f"{new:,}", "seconds": run.seconds, "candidates": int(run.output)}
        | {"peak, MB": run.peak_mb}
        for new, run in zip((count, 1_000), runs, strict=True)
    ]
    return table, runs


def _resize(rgb: Pixels, width: int, height: int) -> Pixels:
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


if __name__ == "__main__":
    main()
