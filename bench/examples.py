"""A tag from five examples: how many of the first ten photos are right, and how long it takes.

TAGGER_DATA=... python bench/examples.py
TAGGER_DATA=... python bench/examples.py --home /tmp/ordinary   # imports there once, and reuses it

All photos of `ordinary/` are imported, and `everyday`, whose vectors are compared, is not let tag
them. Then five random photos that three of five people mention a thing of are tagged with it, as a
person would, and the photos that look like them are asked for; after each draw the tags are undone.
A photo is right if any of the five mentions the thing. Seconds are of the tagging and the answer.

`everyday` was taught with the photos and captions of `train`, which are most of them. Held out are
those of `val`: with tags that enough of them have, examples and candidates are all of `val`, once
with a name that the model understands, and once with a name that it does not. Last, examples of
`train` teach, and the photos of `val` are tagged as if they were imported later.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import Row, at_least, at_most, data_folder, make_parser, table, temporary_folder
from numpy.typing import NDArray
from ordinary import OrdinaryPhoto, load_photos

from tagger.jobs import worker
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.library.library import Library
from tagger.library.vectors import VectorCache, Vectors

TAGS = ("guitar", "horse", "swimming pool", "snow", "bicycle", "motorcycle")
HELD_OUT = ("snow", "bicycle", "swimming pool", "boat", "beach", "mountain", "car", "climbing")
UNKNOWN_NAME = "qxz"  # no model knows the word
EXAMPLES, MENTIONS, RIGHT = 5, 3, 1
FIRST = 10
PRECISION_BAR, SECONDS_BAR = 0.75, 1.0


@dataclass(frozen=True)
class Draws:
    """Of one tag: precision of the first ten, and seconds, by draw."""

    precision: Sequence[float]
    seconds: Sequence[float]


@dataclass(frozen=True)
class Later:
    """Of one tag: of the photos tagged later, how many are right, and how many of all it tagged."""

    precision: Sequence[float]
    recall: Sequence[float]
    tagged: Sequence[int]


class Measurement:
    """A library of all photos of `ordinary/`, and what people mention of each."""

    def __init__(self, library: Library, draws: int, photos: Mapping[str, OrdinaryPhoto]) -> None:
        self.library = library
        self.draws = draws
        names = {photo.path.name: photo.id for photo in library.photos()}
        self.by_id = {names[name]: photo for name, photo in photos.items() if name in names}
        space = library.space()
        assert space is not None
        with library.database.read_transaction() as connection:
            self.vectors: Vectors = VectorCache().load(connection, space.sha256)

    def mentions(self, thing: str) -> NDArray[np.int64]:
        """How many people mention a thing, of each photo in the order of the vectors."""
        ids = self.vectors.photo_ids.tolist()
        return np.array([self.by_id[photo_id].mentions[thing] for photo_id in ids])

    def draw(self, thing: str, number: int, among: NDArray[np.bool_]) -> list[int]:
        """Five random photos with the thing."""
        candidates = self.vectors.photo_ids[among & (self.mentions(thing) >= MENTIONS)]
        chosen = np.random.default_rng(number).choice(candidates, EXAMPLES, replace=False)
        return sorted(chosen.tolist())

    def suggest(self, thing: str) -> Draws:
        """The first ten that the library suggests, of all photos."""
        everywhere = np.ones(len(self.vectors.photo_ids), np.bool_)
        precision, seconds = [], []
        for number in range(self.draws):
            examples = self.draw(thing, number, everywhere)
            began = time.perf_counter()
            operation_id = self.library.edit_tags(examples, [thing])
            suggested = self.library.teaching.find_more(thing, FIRST, above_threshold=False)
            seconds.append(time.perf_counter() - began)
            right = [self.by_id[photo.id].mentions[thing] >= RIGHT for photo in suggested.photos]
            precision.append(sum(right) / FIRST)
            self.library.undo(operation_id)
        return Draws(precision, seconds)

    def suggest_among(self, thing: str, name: str, among: NDArray[np.bool_]) -> list[float]:
        """Precision of the first ten by draw, with examples and candidates of some photos alone."""
        mentions, precision = self.mentions(thing), []
        for number in range(self.draws):
            examples = self.draw(thing, number, among)
            operation_id = self.library.edit_tags(examples, [name])
            logits = self.logits(name)
            logits[~among | np.isin(self.vectors.photo_ids, examples)] = -np.inf
            first = np.argsort(-logits, kind="stable")[:FIRST]
            precision.append(float((mentions[first] >= RIGHT).mean()))
            self.library.undo(operation_id)
        return precision

    def tag_later(self, thing: str, earlier: NDArray[np.bool_]) -> Later:
        """Examples of the `earlier` photos teach, and all others are tagged."""
        mentions = self.mentions(thing)
        later = Later([], [], [])
        for number in range(self.draws):
            operation_id = self.library.edit_tags(self.draw(thing, number, earlier), [thing])
            tagged = ~earlier & (self.logits(thing) >= 0)
            agreed = ~earlier & (mentions >= MENTIONS)
            if tagged.any():
                later.precision.append(float((mentions[tagged] >= RIGHT).mean()))
            later.recall.append(float(tagged[agreed].mean()))
            later.tagged.append(int(tagged.sum()))
            self.library.undo(operation_id)
        return later

    def logits(self, name: str) -> NDArray[np.float32]:
        head = self.library.teaching.learn(name)
        return head.logits(self.vectors.take(range(len(self.vectors.photo_ids))))


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--home", type=Path, help="where the library is, or will be made")
    arguments.add_argument("--draws", type=int, default=20)
    options = arguments.parse_args()
    root = data_folder() / "ordinary"
    with temporary_folder() as folder:
        library = prepare(options.home or folder / "library", root / "images")
        splits = {split: load_photos(root, split) for split in ("train", "val")}
        photos = {photo.path.name: photo for split in splits.values() for photo in split}
        measurement = Measurement(library, options.draws, photos)
        held_out = {photo.path.name for photo in splits["val"]}
        is_val = np.array(
            [
                measurement.by_id[photo_id].path.name in held_out
                for photo_id in measurement.vectors.photo_ids.tolist()
            ]
        )
        results = report(measurement, is_val)
        library.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def prepare(home: Path, images: Path) -> Library:
    """A library of the photos, with vectors and without tags."""
    library = Library.open(home, f"sqlite:///{home / 'catalogue.db'}")
    if not library.count():
        worker.run(library, submit(library, ImportFolderRequest(str(images), model="everyday")))
        library.use_model("pets")
        library.turn_off_model("everyday")
        print(f"imported {library.count():,} photos", file=sys.stderr)
    return library


def report(measurement: Measurement, is_val: NDArray[np.bool_]) -> dict[str, list[Row]]:
    """Print the three tables."""
    suggested = {thing: measurement.suggest(thing) for thing in TAGS}
    rows: list[Row] = [
        {
            "tag": thing,
            "first 10 right": float(np.mean(draws.precision)),
            "worst draw": min(draws.precision),
            "seconds, slowest": max(draws.seconds),
            "bar": "",
        }
        for thing, draws in suggested.items()
    ]
    mean = float(np.mean([np.mean(draws.precision) for draws in suggested.values()]))
    slowest = max(max(draws.seconds) for draws in suggested.values())
    rows.append(
        {
            "tag": "mean",
            "first 10 right": mean,
            "worst draw": None,
            "seconds, slowest": slowest,
            "bar": f"{at_least(mean, PRECISION_BAR)}; {at_most(slowest, SECONDS_BAR)}",
        }
    )
    count = len(measurement.vectors.photo_ids)
    print(f"Five examples, {measurement.draws} draws, {count:,} photos\n\n{table(rows)}\n")
    held_out: list[Row] = []
    for thing in HELD_OUT:
        named = measurement.suggest_among(thing, thing, is_val)
        unnamed = measurement.suggest_among(thing, UNKNOWN_NAME, is_val)
        right = int((is_val & (measurement.mentions(thing) >= RIGHT)).sum())
        held_out.append(
            {
                "tag": thing,
                "first 10 right": float(np.mean(named)),
                "without its word": float(np.mean(unnamed)),
                "right ones": right,
                "all at random": (right - EXAMPLES) / (int(is_val.sum()) - EXAMPLES),
            }
        )
    held_out.append(_mean_row(held_out))
    print(f"Held out: examples and candidates of {is_val.sum():,} photos\n\n{table(held_out)}\n")
    later: list[Row] = []
    for thing in HELD_OUT:
        tagged = measurement.tag_later(thing, ~is_val)
        later.append(
            {
                "tag": thing,
                "tagged": float(np.mean(tagged.tagged)),
                "of these right": float(np.mean(tagged.precision)),
                "of all it tagged": float(np.mean(tagged.recall)),
            }
        )
    later.append(_mean_row(later))
    print(f"Held out: {is_val.sum():,} photos tagged later\n\n{table(later)}")
    return {"suggested": rows, "held out": held_out, "later": later}


def _mean_row(rows: Sequence[Row]) -> Row:
    names = [name for name in rows[0] if name != "tag"]
    means = {name: float(np.mean([float(row[name] or 0) for row in rows])) for name in names}
    return {"tag": "mean", **means}


if __name__ == "__main__":
    main()
