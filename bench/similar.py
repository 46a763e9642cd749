"""From which cosine similarity on photos are alike: neighbours, judged by what people say of them.

    TAGGER_DATA=... python bench/similar.py [--model everyday] [--photos 1000]

Of each ordinary photo's six nearest, by cosine: do two of five people name the same thing in both,
other than a person? Beside it: how near is the nearest of them to a photo of `unrelated/`?
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from measuring import Row, table
from ordinary import AGREED, OrdinaryPhoto, load_photos

from tagger.concurrency import ordered_map
from tagger.files import has_photo_extension
from tagger.tagger import Tagger

NEAREST = 6
PEOPLE = {"person", "man", "woman", "child", "baby", "group of people", "crowd"}
EDGES = (-1.0, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="everyday")
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds ordinary/ and unrelated/")
    data = Path(os.environ["TAGGER_DATA"])
    photos = load_photos(data / "ordinary")[: options.photos]
    tagger = Tagger.load(options.model)
    vectors = embed(tagger, [photo.path for photo in photos])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, :NEAREST]  # (N, NEAREST)
    things = [things_in(photo) for photo in photos]
    similarity = np.take_along_axis(cosines, nearest, axis=1).ravel()
    share = np.array(
        [bool(things[i] & things[j]) for i, row in enumerate(nearest) for j in row]
    )  # (N * NEAREST,)
    named = np.array([bool(things[i]) for i in range(len(photos)) for _ in range(NEAREST)])
    chance = np.mean([bool(things[i] & things[-i - 1]) for i in range(len(photos)) if things[i]])
    unrelated = [
        path for path in sorted((data / "unrelated").rglob("*")) if has_photo_extension(path.name)
    ]
    strange = (embed(tagger, unrelated) @ vectors.T).max(axis=1)
    rows: list[Row] = [
        {"cosine": "at random", "pairs": None, "share a thing": chance, "unrelated": None}
    ]
    for low, high in pairwise(EDGES):
        of_bin = (similarity >= low) & (similarity < high) & named
        count = int(of_bin.sum())
        rows.append(
            {
                "cosine": f"{low:.2f} to {high:.2f}",
                "pairs": count,
                "share a thing": float(share[of_bin].mean()) if count else None,
                "unrelated": float(((strange >= low) & (strange < high)).mean()),
            }
        )
    print(table(rows))


def embed(tagger: Tagger, paths: list[Path]) -> np.ndarray:
    """Unit vectors (N, D)."""
    return np.stack(list(ordered_map(tagger.embed, paths)))


def things_in(photo: OrdinaryPhoto) -> set[str]:
    """What at least two of five people name, other than people."""
    return {tag for tag, count in photo.mentions.items() if count >= AGREED} - PEOPLE


if __name__ == "__main__":
    main()
