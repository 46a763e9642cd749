"""What a model says of ordinary photos: right and missed tags, absurd ones, and descriptions found.

    TAGGER_DATA=... python bench/ordinary.py [--model everyday] [--photos 50] [--json FILE]

The photos are those of `ordinary/` that no model was taught with, each described by five people. A
tag is right if one of them mentions it, its kinds or its synonyms; it is missed if three do and it
is not said. A tag of a single thing that nobody mentions is absurd: people do name a chain saw or a
zebra. Descriptions are the five of each photo: which place has the photo among all of them?
With `--photos N`, the tags of N photos and one description of each are printed, to be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Row, table
from numpy.typing import NDArray

from tagger.errors import DescriptionError
from tagger.evaluation import metrics
from tagger.evaluation.descriptions import score_descriptions
from tagger.inference import vocabulary
from tagger.inference.embeddings import Embedding
from tagger.inference.words import Words
from tagger.tagger import Prediction, Tagger

SPLIT = "val"
RIGHT = 1  # of five people: a tag that so many mention is right
MOST = 3  # of five people: a tag that so many mention is missed if it is not said
AGREED = 2  # of five people: from here on a photo has the tag, for average precision
MIN_SAID = 5  # times, before a tag's precision counts
MIN_PHOTOS = 5  # with a tag, before its average precision counts
MIN_SHOWN = 3  # photos with a tag, before its name counts as a description
AVERAGED = (  # tags of the mean average precision
    *("person", "dog", "child", "man", "woman", "water", "snow", "grass", "beach", "rock"),
    *("mountain", "forest", "tree", "street", "bicycle", "car", "motorcycle", "boat", "horse"),
    *("ball", "soccer", "swimming pool", "climbing", "swimming", "bench", "hat", "building"),
    "playground",
)
BARS = {
    "absurd": ("photos with an absurd tag", "<=", 0.01),
    "untagged": ("photos without a tag", "<=", 0.04),
    "median_tags": ("tags a photo, median", ">=", 3),
    "map": (f"mean AP of {len(AVERAGED)} tags", ">=", 0.66),
    "person_recall": ("person: recall", ">=", 0.95),
    "person_precision": ("person: precision", ">=", 0.95),
    "dog_recall": ("dog: recall", ">=", 0.93),
    "dog_precision": ("dog: precision", ">=", 0.95),
    "first_1": ("described photo is the first", ">=", 0.28),
    "first_5": ("described photo is among the first 5", ">=", 0.57),
    "first_10": ("described photo is among the first 10", ">=", 0.69),
}


@dataclass(frozen=True)
class OrdinaryPhoto:
    """A photo, its descriptions, and how many of them mention each candidate tag."""

    path: Path
    captions: tuple[str, ...]
    mentions: dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="everyday")
    parser.add_argument("--photos", type=int, default=0, help="print the tags of so many photos")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds ordinary/")
    photos = load_photos(Path(os.environ["TAGGER_DATA"]) / "ordinary")
    tagger = Tagger.load(options.model)
    predictions = [tagger.tag(photo.path, top=None) for photo in photos]
    results = measure_descriptions(tagger, photos) | measure(photos, predictions)
    report(results)
    show_photos(photos, predictions, options.photos)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def load_photos(root: Path, split: str = SPLIT) -> list[OrdinaryPhoto]:
    """The photos of a split of `ordinary/`."""
    captions: dict[str, list[str]] = defaultdict(list)
    with open(root / "captions.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions[row["image"]].append(row["caption"])
    with open(root / "mentions.csv", newline="", encoding="utf-8") as file:
        return [
            OrdinaryPhoto(
                root / row["image"],
                tuple(captions[row["image"]]),
                {tag: int(cell) for tag, cell in row.items() if tag not in ("image", "split")},
            )
            for row in csv.DictReader(file)
            if row["split"] == split
        ]


def measure(photos: Sequence[OrdinaryPhoto], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Figures of the tags, and a row for each tag that is said, missed or mentioned."""
    tags = [[score.label for score in prediction.tags] for prediction in predictions]
    texts = [spaced(" / ".join(photo.captions)) for photo in photos]
    names = list(dict.fromkeys(score.label for score in predictions[0].scores))
    scored = [{score.label: score.score for score in each.scores} for each in predictions]
    rows: dict[str, dict[str, Any]] = {}
    absurd: list[list[str]] = [[] for _ in photos]
    for name in names:
        mentioned = count_mentions(name, photos)
        predicted = np.array([name in labels for labels in tags])
        right = predicted & (mentioned >= RIGHT)
        scores = np.array([by_name[name] for by_name in scored])
        present = mentioned >= AGREED
        agreed = mentioned >= MOST
        rows[name] = {
            "said": int(predicted.sum()),
            "right": int(right.sum()),
            "missed": int((~predicted & agreed).sum()),
            "recall": float(predicted[agreed].mean()) if agreed.any() else None,
            "precision": float(right.sum() / predicted.sum()) if predicted.any() else None,
            "mentioned": int(present.sum()),
            "ap": average_precision(scores, present),
        }
        if vocabulary.load().is_thing(name):
            for index in np.flatnonzero(predicted & ~is_named(name, texts) & (mentioned == 0)):
                absurd[index].append(name)
    averaged = [
        rows[name]["ap"] if name in rows else 0.0
        for name in AVERAGED
        if (count_mentions(name, photos) >= AGREED).sum() >= MIN_PHOTOS
    ]
    return {
        "photos": len(photos),
        "absurd": float(np.mean([bool(labels) for labels in absurd])),
        "absurd_tags": Counter(name for labels in absurd for name in labels).most_common(),
        "untagged": float(np.mean([not labels for labels in tags])),
        "median_tags": float(np.median([len(labels) for labels in tags])),
        "map": float(np.mean(averaged)),
        "lacking": [name for name in AVERAGED if name not in rows],
        **{
            f"{name}_{figure}": rows[name][figure] if name in rows else None
            for name in ("person", "dog")
            for figure in ("recall", "precision")
        },
        "tags": rows,
    }


def count_mentions(name: str, photos: Sequence[OrdinaryPhoto]) -> NDArray[np.int64]:
    """How many of the five mention a tag: as counted in the data, or by the vocabulary's names."""
    if name in photos[0].mentions:
        return np.array([photo.mentions[name] for photo in photos])
    return np.array([count_named(name, photo.captions) for photo in photos])


def count_named(name: str, captions: Iterable[str]) -> int:
    names = vocabulary.load().names(name)
    return sum(mentions_any(names, spaced(caption)) for caption in captions)


def spaced(text: str) -> str:
    """A text as lower-case words between spaces."""
    return f" {' '.join(re.findall('[a-z]+', text.lower()))} "


def mentions_any(names: Iterable[str], text: str) -> bool:
    return any(f" {name} " in text for name in names)


def is_named(name: str, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Whether anybody mentions the tag, one of its kinds or what it is a kind of."""
    table = vocabulary.load()
    above = [tag for own in table.lookup(name) for tag in table.ancestors(own)]
    names = {*table.names(name), *(each for tag in above for each in table.spellings(tag))}
    return np.array([mentions_any(names, text) for text in texts])


def average_precision(scores: NDArray[Any], present: NDArray[np.bool_]) -> float | None:
    (value,) = metrics.average_precisions(scores[:, None], present[:, None].astype(np.int8))
    return value


def measure_descriptions(tagger: Tagger, photos: Sequence[OrdinaryPhoto]) -> dict[str, Any]:
    """The share of descriptions whose photo is among the first of all, and `measure_floor`."""
    if tagger.words is None:
        return dict.fromkeys(("first_1", "first_5", "first_10"))
    vectors = np.stack([tagger.embed(photo.path) for photo in photos])  # (N, D)
    scores = score_descriptions(tagger.words, vectors, [photo.captions for photo in photos])
    assert scores is not None  # there are captions
    return asdict(scores) | {"floor": measure_floor(tagger.words, vectors, photos)}


def measure_floor(
    words: Words, vectors: Embedding, photos: Sequence[OrdinaryPhoto]
) -> dict[str, float]:
    """What is above the floor: of each description, and of tags of the vocabulary as descriptions.

    A tag that three photos show for two people each should find them; a thing that nobody mentions
    should find nothing.
    """

    def above(text: str) -> NDArray[np.bool_]:
        description = words.describe(text)
        likeness = words.likeness(description.vector, vectors @ description.vector)
        return likeness >= words.floor

    by_caption = [above(caption) for photo in photos for caption in photo.captions]
    listed = np.stack(by_caption)  # (descriptions, N)
    own = np.repeat(np.arange(len(photos)), [len(photo.captions) for photo in photos])
    is_own = listed[np.arange(len(own)), own]
    texts = [spaced(" / ".join(photo.captions)) for photo in photos]
    recalls, precisions, empty = [], [], []
    for tag in vocabulary.load().entries:
        mentioned = count_mentions(tag, photos)
        shows = (mentioned >= AGREED).sum() >= MIN_SHOWN
        absent = vocabulary.load().is_thing(tag) and not is_named(tag, texts).any()
        if not (shows or absent) or not is_known(words, tag):
            continue
        hits = above(tag)
        if absent:
            empty.append(not hits.any())
            continue
        recalls.append(hits[mentioned >= AGREED].mean())
        if hits.any():
            precisions.append((mentioned[hits] >= RIGHT).mean())
    return {
        "own": float(is_own.mean()),
        "others": float((listed.sum() - is_own.sum()) / len(own)),
        "shown_tags": len(recalls),
        "recall": float(np.mean(recalls)),
        "precision": float(np.mean(precisions)),
        "absent_things": len(empty),
        "empty": float(np.mean(empty)),
    }


def is_known(words: Words, text: str) -> bool:
    """Whether the model knows all words of a text."""
    try:
        return not words.describe(text).unknown_words
    except DescriptionError:
        return False


def report(results: dict[str, Any]) -> None:
    report_tags(results)
    report_floor(results)
    print(f"\n{table(bar_rows(BARS, results))}")


def report_floor(results: Mapping[str, Any]) -> None:
    if (floor := results.get("floor")) is None:
        return
    print(f"\ndescriptions with their own photo above the floor: {floor['own']:.0%}")
    print(f"other photos above it: {floor['others']:.1f} a description")
    print(
        f"{floor['shown_tags']} tags as descriptions: of the photos that show them above the floor"
        f" {floor['recall']:.0%}, right {floor['precision']:.0%}"
    )
    print(f"{floor['absent_things']} things that nobody mentions: nothing for {floor['empty']:.0%}")


def report_tags(results: dict[str, Any]) -> None:
    print(f"{results['photos']} ordinary photos\n")
    print("tag                  said  right  missed  precision     AP")
    rows = results["tags"].items()
    for name, row in sorted(rows, key=lambda item: -item[1]["said"]):
        if row["said"] or row["missed"]:
            precision = "" if row["precision"] is None else f"{row['precision']:.2f}"
            ap = "" if row["ap"] is None else f"{row['ap']:.2f}"
            weak = "  < 0.7" if row["said"] >= MIN_SAID and row["precision"] < 0.7 else ""
            print(
                f"{name:20} {row['said']:4} {row['right']:6} {row['missed']:7} {precision:>10}"
                f" {ap:>6}{weak}"
            )
    if results["absurd_tags"]:
        print("\nabsurd:", ", ".join(f"{name} {n}" for name, n in results["absurd_tags"]))
    if results["lacking"]:
        print("\nnot among its tags:", ", ".join(results["lacking"]))


def bar_rows(bars: Mapping[str, tuple[str, str, float]], results: Mapping[str, Any]) -> list[Row]:
    """Figures beside their bars; `bars` has the name, "<=" or ">=", and the bar of each."""
    rows: list[Row] = []
    for key, (name, comparison, bar) in bars.items():
        value = results[key]
        met = value is not None and (value <= bar if comparison == "<=" else value >= bar)
        verdict = f"{comparison} {bar:g}: {'met' if met else 'MISSED'}"
        rows.append(
            {"figure": name, "measured": "none" if value is None else value, "bar": verdict}
        )
    return rows


def show_photos(
    photos: Sequence[OrdinaryPhoto], predictions: Sequence[Prediction], count: int
) -> None:
    """The tags of `count` photos, spread over all, beside a description of each."""
    for index in np.linspace(0, len(photos) - 1, count).astype(int).tolist():
        photo, prediction = photos[index], predictions[index]
        tags = ", ".join(f"{tag.label} {tag.score:.0%}" for tag in prediction.tags)
        print(f"\n{photo.path.name}\n  {photo.captions[0]}\n  {tags or prediction.reason}")


if __name__ == "__main__":
    main()
