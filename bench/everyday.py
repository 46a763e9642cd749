"""What a model says of all validation photos, and of photos from elsewhere, beside the bars.

    TAGGER_DATA=... python bench/everyday.py [MODEL] [--json FILE]

MODEL is a name or a model file; by default `everyday`. The validation photos are those of
`ordinary/` (see ordinary.py), `everyday/`, `objects/` and `pets/`; `coco128/`, `unrelated/` and the
four sample photos are of other kinds. Labels and categories of another name mean the tag that the
vocabulary gives; what the model has no tag for is left out, and named.

A tag's precision is over all labelled photos together, where somebody looked for it: a photo of one
thing shows none of the other things, one of `coco128` none of the categories that it is not
labelled with, and a tag of an ordinary photo is right if anybody mentions it. Intervals are from
1,000 bootstrap samples of the photos.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import ordinary
from measuring import Row, table
from numpy.typing import NDArray
from ordinary import MIN_SAID, count_mentions
from teach_everyday import (
    Photo,
    everyday,
    only,
    read_rows,
    single_things,
    tag_columns,
    with_parents,
)

from tagger.datasets.sample import PRESENT, UNSEEN
from tagger.datasets.sample_photos import write_samples
from tagger.errors import ImageError
from tagger.evaluation import metrics
from tagger.images.decode import find_photos
from tagger.inference import vocabulary
from tagger.inference.registry import BUNDLED
from tagger.tagger import Prediction, Tagger

BOOTSTRAPS = 1_000
INTERVAL = (0.025, 0.975)
MIN_PHOTOS = 3  # of a category of coco128, before its average precision counts
ADDED_SHARE = 0.01  # of cats and dogs; tags added to fewer are not printed
LEAST_PRECISION = 0.70
CATEGORIES = ("person", "dog", "car")  # of coco128, with a bar each
BARS: dict[str, dict[str, tuple[str, str, float]]] = {  # by collection and figure
    "coco128": {
        "map": (f"mean AP of categories with {MIN_PHOTOS} photos", ">=", 0.48),
        "person": ("AP of person", ">=", 0.88),
        "dog": ("AP of dog", ">=", 0.70),
        "car": ("AP of car", ">=", 0.31),
    },
    "everyday": {"map": ("mAP of its tags", ">=", 0.94)},
    "objects": {"right": ("most likely of its kinds is right", ">=", 0.88)},
    "unrelated": {"textures": ("textures called unknown", ">=", 0.75)},
    "samples": {"right": ("photos with a true tag and no absurd one", ">=", 4)},
    "precision": {"lowest": (f"lowest of the tags said {MIN_SAID} times", ">=", LEAST_PRECISION)},
}
FITTING_TAGS = {  # for the photos of a folder of `unrelated`; so are those above and below them
    "cars": ("car",),
    "clothing": ("clothing",),
    "faces": ("person",),
    "flowers": ("flower",),
    "groceries": ("food", "drink"),
    "rooms": ("room", "house"),
}
TRUE_TAGS = {  # of the sample photos; so are those above them
    "cat.png": ("cat",),
    "astronaut.png": ("astronaut", "woman", "portrait", "smiling", "flag", "helmet", "uniform"),
    "coffee.png": ("coffee", "cup", "spoon", "plate", "table"),
    "rocket.jpg": ("rocket", "sky", "night", "tower", "lamp"),
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Collection:
    """N photos, with `scores`, `predicted` and `cells` for T tags, each `(N, T)`.

    A cell is PRESENT, ABSENT or UNSEEN.
    """

    scores: Floats
    predicted: NDArray[np.bool_]
    cells: NDArray[np.int8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=BUNDLED[0], help="a name, or a model file")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds ordinary/, everyday/, coco128/, ...")
    tagger = Tagger.load(options.model)
    results = measure(tagger, Path(os.environ["TAGGER_DATA"]))
    report(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(tagger: Tagger, data: Path) -> dict[str, Any]:
    tags = tuple(dict.fromkeys(map(tag_of, tagger.labels.names)))
    ordinary_photos = ordinary.load_photos(data / "ordinary")
    predictions = predict(tagger, [photo.path for photo in ordinary_photos])
    photos = {
        "everyday": [photo for photo in everyday(data, tags) if photo.split == "val"],
        "objects": [photo for photo in single_things(data, tags) if photo.split == "val"],
        "pets": pets(data, tags),
        "coco128": coco128(data, tags),
    }
    collections = {
        "ordinary": collect(tags, predictions, mentioned_cells(tags, ordinary_photos)),
        **{name: tag_photos(tagger, tags, each) for name, each in photos.items()},
    }
    return {
        "model": tagger.name,
        "tags": tags,
        "ordinary": ordinary.measure(ordinary_photos, predictions)
        | ordinary.measure_descriptions(tagger, ordinary_photos),
        "coco128": measure_coco128(data, tags, collections["coco128"]),
        "everyday": measure_everyday(data, tags, collections["everyday"]),
        "objects": measure_objects(data, tags, collections["objects"]),
        "unrelated": measure_unrelated(tagger, data / "unrelated"),
        "samples": measure_samples(tagger),
        "precision": measure_precision(tags, collections),
        "added_to_pets": added_tags(tags, collections["pets"]),
    }


# The photos and what is known of them


def tag_of(name: str) -> str:
    """The vocabulary's tag for a label or a category; the name itself if it has none."""
    return next(iter(vocabulary.load().lookup(name)), name)


def ancestors(names: Iterable[str]) -> set[str]:
    """The tags and all that are above them."""
    entries = vocabulary.load()
    return {tag for name in names for tag in (name, *entries.ancestors(name))}


def tags_below(tag: str) -> list[str]:
    """The tags below one."""
    entries = vocabulary.load()
    return [each for each in entries.entries if tag in entries.ancestors(each)]


def mentioned_cells(
    tags: Sequence[str], photos: Sequence[ordinary.OrdinaryPhoto]
) -> list[dict[str, float]]:
    """The cells of ordinary photos, right where ordinary.py counts a tag as right."""
    right = {tag: count_mentions(tag, photos) >= ordinary.RIGHT for tag in tags}
    return [{tag: float(right[tag][row]) for tag in tags} for row in range(len(photos))]


def object_rows(data: Path) -> list[dict[str, str]]:
    return [row for row in read_rows(data / "objects") if row["split"] == "val"]


def pets(data: Path, tags: Sequence[str]) -> list[Photo]:
    return [
        Photo(path, "val", cells)
        for label in ("cat", "dog")
        for cells in [only(label, tags)]
        for path in find_photos(data / "pets" / "val" / label)
    ]


def coco128(data: Path, tags: Sequence[str]) -> list[Photo]:
    """All photos of `coco128/`; a tag below an absent category is absent, too.

    A category that is only a synonym of its tag may be a part of it: a photo without a sports ball
    may show another ball, so nothing follows for what is below `ball`.
    """
    entries = vocabulary.load()
    photos = []
    for row in read_rows(data / "coco128"):
        labels = {name: float(row[name]) for name in categories(row)}
        cells = {tag_of(name): cell for name, cell in labels.items()}
        below = {
            tag: 0.0
            for name, cell in labels.items()
            if not cell and name in entries.entries
            for tag in tags_below(name)
        }
        path = data / "coco128" / "images" / row["image"]
        photos.append(Photo(path, "val", below | with_parents(cells, tags) | cells))
    return photos


def categories(row: Mapping[str, str]) -> list[str]:
    return [name for name in row if name not in ("image", "split")]


# What the model says of them


def predict(tagger: Tagger, paths: Iterable[Path]) -> list[Prediction]:
    predictions = []
    for prediction in tagger.tag_many(paths, top=None):
        if isinstance(prediction, ImageError):
            raise prediction
        predictions.append(prediction)
    return predictions


def tag_photos(tagger: Tagger, tags: Sequence[str], photos: Sequence[Photo]) -> Collection:
    predictions = predict(tagger, [photo.path for photo in photos])
    return collect(tags, predictions, [photo.cells for photo in photos])


def collect(
    tags: Sequence[str],
    predictions: Sequence[Prediction],
    cells: Sequence[Mapping[str, float]],
) -> Collection:
    columns = {tag: column for column, tag in enumerate(tags)}
    scores = np.zeros((len(predictions), len(tags)))
    predicted = np.zeros(scores.shape, bool)
    for row, prediction in enumerate(predictions):
        for score in prediction.scores:
            column = columns[tag_of(score.label)]
            scores[row, column] = max(scores[row, column], score.score)
        predicted[row, [columns[tag_of(score.label)] for score in prediction.tags]] = True
    states = [[int(each.get(tag, UNSEEN)) for tag in tags] for each in cells]
    return Collection(scores, predicted, np.array(states, np.int8))


# Figures


def measure_coco128(data: Path, tags: Sequence[str], photos: Collection) -> dict[str, Any]:
    """What is said of the categories that enough photos show, and what has no tag."""
    rows = read_rows(data / "coco128")
    counts = {name: sum(row[name] == "1" for row in rows) for name in categories(rows[0])}
    counts = {name: count for name, count in counts.items() if count >= MIN_PHOTOS}
    precisions = average_precisions(tags, photos)
    shared: dict[str, dict[str, Any]] = {}
    for name, count in counts.items():
        if (tag := tag_of(name)) in tags:
            column = tags.index(tag)
            predicted, cells = photos.predicted[:, column], photos.cells[:, column]
            shared[name] = {
                "tag": tag,
                "photos": count,
                "said": int(predicted.sum()),
                "right": int((predicted & (cells == PRESENT)).sum()),
                "ap": precisions[tag],
            }
    for name in shared.keys() & set(CATEGORIES):
        column = tags.index(tag_of(name))
        shared[name]["interval"] = bootstrap(photos.scores[:, column], photos.cells[:, column])
    return {
        "categories": shared,
        "left_out": [name for name in counts if name not in shared],
        "map": mean(row["ap"] for row in shared.values()),
        **{name: shared[name]["ap"] if name in shared else None for name in CATEGORIES},
    }


def measure_everyday(data: Path, tags: Sequence[str], photos: Collection) -> dict[str, Any]:
    columns = list(dict.fromkeys(tag_columns(data).values()))
    kept = [tags.index(tag) for tag in columns if tag in tags]
    precisions = average_precisions(tags, photos)
    return {
        "tags": {
            tags[column]: {
                "photos": int((photos.cells[:, column] == PRESENT).sum()),
                "ap": precisions[tags[column]],
            }
            for column in kept
        },
        "left_out": [tag for tag in columns if tag not in tags],
        "map": metrics.mean_average_precision(photos.scores[:, kept], photos.cells[:, kept]),
    }


def measure_objects(data: Path, tags: Sequence[str], photos: Collection) -> dict[str, Any]:
    """How often the most likely kind is right: the photo's own, or one above it (a plant)."""
    labels = [tag_of(row["label"]) for row in object_rows(data)]
    kinds = sorted(set(labels) & set(tags))
    rows: dict[str, dict[str, Any]] = {}
    if kinds:
        best = photos.scores[:, [tags.index(kind) for kind in kinds]].argmax(axis=1)
        answers = {kind: Counter[str]() for kind in kinds}
        for label, index in zip(labels, best.tolist(), strict=True):
            if label in answers:
                answers[label][kinds[index]] += 1
        for kind, counts in answers.items():
            rows[kind] = {
                "photos": counts.total(),
                "right": sum(counts[tag] for tag in ancestors([kind])),
                "own": counts[kind],
                "answers": dict(counts.most_common()),
            }
    total = sum(row["photos"] for row in rows.values())
    return {
        "kinds": rows,
        "photos": total,
        "left_out": Counter(label for label in labels if label not in kinds),
        "right": sum(row["right"] for row in rows.values()) / total if total else None,
        "own": sum(row["own"] for row in rows.values()) / total if total else None,
    }


def measure_unrelated(tagger: Tagger, root: Path) -> dict[str, Any]:
    """For each folder, the shares of unknown photos and of those with a fitting tag."""
    rows = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        names = FITTING_TAGS.get(folder.name, ())
        fitting = ancestors([*names, *chain.from_iterable(map(tags_below, names))])
        predictions = predict(tagger, find_photos(folder))
        predicted = [{tag_of(score.label) for score in each.tags} for each in predictions]
        rows[folder.name] = {
            "photos": len(predicted),
            "unknown": float(np.mean([not tags for tags in predicted])),
            "fitting": float(np.mean([bool(tags & fitting) for tags in predicted])),
            "others_a_photo": float(np.mean([len(tags - fitting) for tags in predicted])),
        }
    return {"folders": rows, "textures": rows["textures"]["unknown"]}


def measure_samples(tagger: Tagger) -> dict[str, Any]:
    """The tags of each sample photo, which of them are true, and which absurd."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_samples(Path(folder))
        predictions = predict(tagger, paths)
    rows: dict[str, dict[str, Any]] = {}
    for path, prediction in zip(paths, predictions, strict=True):
        true = ancestors(TRUE_TAGS[path.name])
        tags = {tag_of(score.label): score.score for score in prediction.tags}
        rows[path.name] = {
            "tags": tags,
            "reason": prediction.reason,
            "true": [tag for tag in tags if tag in true],
            "absurd": [tag for tag in tags if tag not in true and vocabulary.load().is_thing(tag)],
        }
    right = [bool(row["true"]) and not row["absurd"] for row in rows.values()]
    return {"photos": rows, "right": sum(right)}


def measure_precision(tags: Sequence[str], collections: Mapping[str, Collection]) -> dict[str, Any]:
    """How often each tag is said where somebody looked, and right, in all collections together."""
    rows: dict[str, dict[str, Any]] = {}
    for column, tag in enumerate(tags):
        counts = {name: count_right(each, column) for name, each in collections.items()}
        judged, right, unseen = (sum(count[i] for count in counts.values()) for i in range(3))
        rows[tag] = {
            "said": judged,
            "right": right,
            "unseen": unseen,
            "precision": right / judged if judged else None,
            "collections": {name: count[:2] for name, count in counts.items() if count[0]},
        }
    counted = {tag: row["precision"] for tag, row in rows.items() if row["said"] >= MIN_SAID}
    return {
        "tags": rows,
        "weak": [tag for tag, precision in counted.items() if precision < LEAST_PRECISION],
        "lowest": min(counted.values(), default=None),
    }


def count_right(photos: Collection, column: int) -> tuple[int, int, int]:
    """The photos with a tag where somebody looked for it, those that have it, and the others."""
    predicted, cells = photos.predicted[:, column], photos.cells[:, column]
    looked = int((predicted & (cells != UNSEEN)).sum())
    return looked, int((predicted & (cells == PRESENT)).sum()), int(predicted.sum()) - looked


def added_tags(tags: Sequence[str], photos: Collection) -> dict[str, float]:
    """The share of photos of cats and dogs that each other tag is added to, largest first."""
    true = ancestors(("cat", "dog"))
    shares = dict(zip(tags, photos.predicted.mean(axis=0).tolist(), strict=True))
    return {
        tag: shares[tag]
        for tag in sorted(shares, key=lambda tag: -shares[tag])
        if tag not in true and shares[tag] >= ADDED_SHARE
    }


def average_precisions(tags: Sequence[str], photos: Collection) -> dict[str, float | None]:
    precisions = metrics.average_precisions(photos.scores, photos.cells)
    return dict(zip(tags, precisions, strict=True))


def bootstrap(scores: Floats, cells: NDArray[np.int8]) -> list[float]:
    """The 95 % interval of AP over samples of the photos, drawn with replacement."""
    rng = np.random.default_rng(0)
    precisions = []
    for _ in range(BOOTSTRAPS):
        rows = rng.integers(0, len(cells), len(cells))
        (ap,) = metrics.average_precisions(scores[rows, None], cells[rows, None])
        if ap is not None:
            precisions.append(ap)
    return [float(np.quantile(precisions, q)) for q in INTERVAL]


def mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


# Text


def report(results: dict[str, Any]) -> None:
    print(f"{results['model']}: {len(results['tags'])} tags\n")
    ordinary.report_tags(results["ordinary"])
    ordinary.report_floor(results["ordinary"])
    report_average_precisions(results["coco128"], results["everyday"])
    report_objects(results["objects"])
    report_others(results["unrelated"], results["samples"], results["added_to_pets"])
    report_precision(results["precision"])
    bars = {"ordinary": ordinary.BARS, **BARS}
    rows: list[Row] = [
        {**row, "figure": f"{name}: {row['figure']}"}
        for name, figures in bars.items()
        for row in ordinary.bar_rows(figures, results[name])
    ]
    print_table("Bars", rows)


def report_average_precisions(coco: dict[str, Any], collection: dict[str, Any]) -> None:
    rows: list[Row] = []
    for name, row in by_ap(coco["categories"]):
        interval = " to ".join(f"{bound:.2f}" for bound in row.get("interval", ()))
        counts = {figure: row[figure] for figure in ("tag", "photos", "said", "right")}
        rows.append({"category": name, **counts, "AP": row["ap"], "95 %": interval})
    print_table(f"coco128, {len(rows)} categories with {MIN_PHOTOS} photos or more", rows)
    print_names("not tags of the model", coco["left_out"])
    rows = [
        {
            "tag": tag,
            "photos": row["photos"],
            "AP": row["ap"],
            "": "" if row["photos"] >= metrics.MIN_POSITIVES else "(too few to count)",
        }
        for tag, row in by_ap(collection["tags"])
    ]
    print_table("Validation photos of everyday", rows)
    print_names("not tags of the model", collection["left_out"])


def by_ap(rows: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Rows that have an average precision, lowest first."""
    ranked = [(name, row) for name, row in rows.items() if row["ap"] is not None]
    return sorted(ranked, key=lambda item: float(item[1]["ap"]))


def report_objects(results: dict[str, Any]) -> None:
    rows: list[Row] = []
    for kind, row in results["kinds"].items():
        wrong = [f"{tag} {n}" for tag, n in row["answers"].items() if tag != kind]
        if wrong:
            columns = {"kind": kind, "photos": row["photos"], "right": row["right"]}
            rows.append({**columns, "instead": ", ".join(wrong)})
    print_table("Most likely kind of objects, where it is not always their own", rows)
    if results["photos"]:
        print(
            f"photos: {results['photos']}, kinds: {len(results['kinds'])}; their own kind"
            f" {results['own']:.1%}, that or one above it {results['right']:.1%}"
        )
    missing = [f"{label} {n}" for label, n in results["left_out"].items()]
    print_names("photos of kinds that the model does not have", missing)


def report_others(
    unrelated: dict[str, Any], samples: dict[str, Any], added: Mapping[str, float]
) -> None:
    rows: list[Row] = [
        {
            "folder": folder,
            "photos": row["photos"],
            "unknown": f"{row['unknown']:.1%}",
            "a fitting tag": f"{row['fitting']:.1%}",
            "other tags a photo": row["others_a_photo"],
        }
        for folder, row in unrelated["folders"].items()
    ]
    print_table("Unrelated", rows)
    shares = [f"{tag} {share:.1%}" for tag, share in added.items()]
    print(f"\nAdded to the cats and dogs of pets/val: {', '.join(shares) or 'nothing'}")
    print("\nSamples\n")
    for name, row in samples["photos"].items():
        tags = ", ".join(f"{tag} {confidence:.1%}" for tag, confidence in row["tags"].items())
        absurd = f"  absurd: {', '.join(row['absurd'])}" if row["absurd"] else ""
        print(f"{name:14} {tags or row['reason']}{absurd}{'' if row['true'] else '  none true'}")


def report_precision(results: dict[str, Any]) -> None:
    tags = results["tags"]
    rows: list[Row] = [
        {"tag": tag, **{key: row[key] for key in ("said", "right", "precision", "unseen")}}
        for tag, row in sorted(tags.items(), key=lambda item: -item[1]["said"])
        if row["said"] or row["unseen"]
    ]
    print_table("All validation photos: tags where somebody looked for them, and where not", rows)
    print_names("never said", [tag for tag, row in tags.items() if not row["said"]])
    print(f"\nBelow {LEAST_PRECISION}, of those said {MIN_SAID} times: {len(results['weak'])}")
    for tag in sorted(results["weak"], key=lambda tag: float(tags[tag]["precision"])):
        counts = tags[tag]["collections"].items()
        shares = ", ".join(f"{name} {right} of {judged}" for name, (judged, right) in counts)
        print(f"  {tag:20} {tags[tag]['precision']:.2f}  {shares}")


def print_table(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}\n\n{table(rows) if rows else 'none'}")


def print_names(title: str, names: Sequence[str]) -> None:
    if names:
        print(f"{title}: {', '.join(names)}")


if __name__ == "__main__":
    main()
