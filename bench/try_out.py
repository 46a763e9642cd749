"""How often a try-out says of a model that its tags are doubtful: of a good one, of a bad one.

TAGGER_DATA=... python bench/try_out.py

A photo is doubtful if its cosine to each training photo is below `UNLIKE`, and the page warns if
enough of the tagged photos are; see `is_doubtful` in frontend/training/try_out.py. For two
collections of 25 photos a label, other photos of their labels stand for tags that are right,
ordinary photos that nobody mentions the labels of for tags that are wrong. Of 10,000 try-outs each,
how many warn: where so many of the photos that a model tags are tagged rightly.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import Row, data_folder, make_parser, table
from numpy.typing import NDArray
from ordinary import load_photos

from frontend.training.try_out import PHOTOS, UNLIKE, is_doubtful
from tagger import Tagger
from tagger.images.decode import EXTENSIONS

LABEL_PHOTOS = 25
OTHERS = 300  # photos that stand for right tags, and for wrong ones
COSINES = (0.2, UNLIKE, 0.3, 0.35)
TAGGED = (4, 8, PHOTOS)  # photos that a model would tag
DRAWS = 10_000
FLOWERS = ("tulip", "rose", "sunflower")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """A collection to train on, other photos of its labels, and photos of other things."""

    name: str
    training: Sequence[Path]
    alike: Sequence[Path]
    unlike: Sequence[Path]


def main() -> None:
    """Print, for each collection, the share of doubtful photos and of try-outs that warn."""
    make_parser(__doc__).parse_args()
    root = data_folder()
    tagger = Tagger.load("everyday")
    rows: list[Row] = []
    for collection in (_pets(root), _flowers(root)):
        training = _embed(tagger, collection.training)
        alike, unlike = (
            (_embed(tagger, paths) @ training.T).max(axis=1)
            for paths in (collection.alike, collection.unlike)
        )
        for cosine in COSINES:
            right, wrong = alike < cosine, unlike < cosine
            rows.append(
                {
                    "collection": collection.name,
                    "cosine": cosine,
                    "right tags doubtful": round(float(right.mean()), 3),
                    "wrong tags doubtful": round(float(wrong.mean()), 3),
                    **{f"{n} of {n} right": _warns(right, wrong, n, n) for n in TAGGED},
                    **{f"{n // 2} of {n} right": _warns(right, wrong, n, n // 2) for n in TAGGED},
                }
            )
    print(table(rows))


def _warns(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], tagged: int, tagged_right: int
) -> float:
    """The share of try-outs that warn, where so many of the tagged photos are tagged rightly."""
    draws = np.random.default_rng(0)
    doubtful = draws.binomial(tagged_right, right.mean(), DRAWS)
    doubtful += draws.binomial(tagged - tagged_right, wrong.mean(), DRAWS)
    return round(sum(is_doubtful(int(count), tagged) for count in doubtful) / DRAWS, 3)


def _pets(root: Path) -> Collection:
    training, alike = [], []
    for label in ("cat", "dog"):
        paths = _photos(root / "pets" / "train" / label)
        training += random.Random(0).sample(paths, LABEL_PHOTOS)
        alike += random.Random(0).sample(_photos(root / "pets_other_source" / label), OTHERS // 4)
    everyday = load_photos(root / "ordinary", "train")
    dogs = [photo.path for photo in everyday if photo.mentions["dog"] >= 3]
    alike += random.Random(0).sample(dogs, OTHERS - len(alike))
    unlike = [p.path for p in everyday if not (p.mentions["dog"] or p.mentions["cat"])]
    return Collection("cats, dogs", training, alike, random.Random(0).sample(unlike, OTHERS))


def _flowers(root: Path) -> Collection:
    training, alike = [], []
    with open(root / "everyday" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for label in FLOWERS:
        paths = [root / "everyday" / row["image"] for row in rows if row[label] == "1"]
        random.Random(0).shuffle(paths)
        training += paths[:LABEL_PHOTOS]
        alike += paths[LABEL_PHOTOS : LABEL_PHOTOS + OTHERS // len(FLOWERS)]
    unlike = [
        photo.path
        for photo in load_photos(root / "ordinary", "train")
        if not photo.mentions["flower"]
    ]
    return Collection("flowers", training, alike, random.Random(0).sample(unlike, OTHERS))


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)


def _embed(tagger: Tagger, paths: Sequence[Path]) -> Floats:
    return np.stack([tagger.embed(path) for path in paths])


if __name__ == "__main__":
    main()
