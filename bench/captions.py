"""How many captions words take: a learning curve, and what a few add to the words of everyday.

    TAGGER_DATA=... python bench/captions.py

First, words are learned from nothing on the features of `everyday`, from more and more photos of
`ordinary/` with five captions each: the share of captions of other photos that find their photo
among the first 10. Then ten kinds of `objects/` get names that nobody knows, and the words of
`everyday` are taught these by captions of some photos of each: how many of the ten photos most
like a new name are right, and what is left of the old words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ordinary import load_photos
from teach_everyday import read_rows

from tagger.errors import DescriptionError
from tagger.images.transforms import prepare
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.inference.registry import BUNDLED_MODEL
from tagger.inference.words import Words
from tagger.training.caption_batches import choose_tokens, tokenize_captions
from tagger.training.word_space import build_words, fit_words

SEED = 42
PHOTOS = (250, 500, 1000, 2000, 4000, 7091)
NAMES = [
    "zorbel",
    "quandle",
    "mimpf",
    "trelk",
    "vossip",
    "gruntel",
    "plicket",
    "skarve",
    "umbo",
    "fenwick",
]
NAMED_PHOTOS = (5, 20, 60)  # of each kind
FIRST = 10

Texts = Sequence[tuple[str, ...]]
Features = NDArray[np.float32]


def main() -> None:
    if not os.environ.get("TAGGER_DATA"):
        sys.exit(__doc__)
    data = Path(os.environ["TAGGER_DATA"])
    model = model_file.load(BUNDLED_MODEL)
    words = model.words
    if words is None:
        sys.exit(f"{BUNDLED_MODEL.name} knows no words")
    runtime = Runtime(model.network)

    def features_of(paths: Sequence[Path]) -> Features:
        photos = (prepare(str(path), model.image_size) for path in paths)
        return np.stack([outputs.features for outputs in runtime.run_all(photos)])

    train, val = (load_photos(data / "ordinary", split) for split in ("train", "val"))
    of_train, of_val = (features_of([photo.path for photo in part]) for part in (train, val))
    captions, descriptions = ([photo.captions for photo in part] for part in (train, val))
    print(f"photos with captions, tokens, captions that find their photo among {FIRST}")
    order = np.random.default_rng(SEED).permutation(len(train))
    for count in PHOTOS:
        chosen = order[:count]
        learned = learn(of_train[chosen], [captions[photo] for photo in chosen])
        share = recall(learned, of_val, descriptions)
        print(f"{len(chosen):6,} {len(learned.tokens):6,} {share:7.1%}")

    rows = read_rows(data / "objects")
    kinds = sorted({row["label"] for row in rows})[:: len({r["label"] for r in rows}) // len(NAMES)]
    names = dict(zip(kinds, NAMES, strict=False))
    named = [row for row in rows if row["label"] in names]
    paths = [data / "objects" / row["image"] for row in named]
    of_named = features_of(paths)
    is_train = np.array([row["split"] == "train" for row in named])
    labels = np.array([row["label"] for row in named])
    candidates = features_of([data / "objects" / r["image"] for r in rows if r["split"] == "val"])
    background = [row["label"] for row in rows if row["split"] == "val"]
    print(f"\neveryday: {recall(words, of_val, descriptions):.1%} of the captions")
    print(f"photos of each new name, right among the first {FIRST}, captions as above")
    for count in NAMED_PHOTOS:
        chosen = np.concatenate(
            [np.flatnonzero(is_train & (labels == kind))[:count] for kind in names]
        )
        texts = [(f"a {names[labels[photo]]}",) for photo in chosen]
        taught = learn(of_named[chosen], texts, words)
        photos = taught.embed_photos(candidates)
        right = [
            np.mean([background[row] == kind for row in first(photos, taught, name)])
            for kind, name in names.items()
        ]
        print(f"{count:6} {np.mean(right):7.1%} {recall(taught, of_val, descriptions):7.1%}")


def learn(features: Features, texts: Texts, start: Words | None = None) -> Words:
    """Words taught by the captions of photos, as a training does after its last epoch."""
    first_tokens = start.tokens if start else ()
    every = [text for own in texts for text in own]
    tokens = choose_tokens(every, first_tokens)
    captions = tokenize_captions(texts, tokens)
    space = fit_words(features, captions, len(features), SEED, start)
    return build_words(space, tokens, features[:1])


def recall(words: Words, features: Features, texts: Texts) -> float:
    """The share of captions whose own photo is among the FIRST most like them."""
    photos = words.embed_photos(features)
    among = []
    for photo, own in enumerate(texts):
        for text in own:
            among.append(photo in first(photos, words, text))
    return float(np.mean(among))


def first(photos: Features, words: Words, text: str) -> NDArray[np.int64]:
    """The numbers of the FIRST photos most like a text; none for one without known words."""
    try:
        vector = words.describe(text).vector
    except DescriptionError:
        return np.array([], np.int64)
    return np.argsort(-(photos @ vector))[:FIRST]


if __name__ == "__main__":
    main()
