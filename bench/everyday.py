"""How good are the tags of `everyday`, and do they hold on photos of another kind?

    TAGGER_DATA=... python bench/everyday.py [--model everyday] [--json FILE]

Average precision on its validation photos, on `coco128` for the tags both have (with intervals
from 1,000 bootstrap samples of the photos) beside what ImageNet's own network makes of cars there,
and what it says of `unrelated`, folder by folder: most of these show something it has a tag for,
the textures do not. Last, which tags it adds to cats and dogs: nobody looked for those when the
photos it was taught with were labelled, and few of these photos show any of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.datasets import dataset, evaluation_set
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import PRESENT, Sample, tag_matrix
from tagger.evaluation import metrics
from tagger.evaluation.ood import run_on_folder
from tagger.inference import model_file
from tagger.inference.decision import to_probabilities
from tagger.inference.litert import Runtime
from tagger.inference.registry import find_model
from tagger.labels import LabelSet
from tagger.models import imagenet

BOOTSTRAPS = 1_000
INTERVAL = (0.025, 0.975)
BAR_MAP = 0.95
BARS = {"person": 0.70, "car": 0.50}  # of AP on coco128
SHOWN_IN = {  # tags, any of which fits the photos of a folder of `unrelated`
    "cars": ("car",),
    "clothing": (
        *("clothing", "dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes"),
        *("shorts", "skirt", "t-shirt"),
    ),
    "faces": ("person",),
    "flowers": ("flower", "daisy", "dandelion", "rose", "sunflower", "tulip"),
    "groceries": ("fruit", "vegetable", "packaged food"),
    "rooms": ("bathroom", "bedroom", "kitchen", "house"),
}

CARS = (  # ImageNet's classes that are cars
    *("beach wagon", "cab", "convertible", "grille", "jeep", "limousine", "minivan", "Model T"),
    *("passenger car", "pickup", "racer", "sports car"),
)
ADDED_SHARE = 0.01  # of cats and dogs: tags added to fewer are not shown

Floats = NDArray[np.floating[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="everyday")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds everyday/, coco128/ and unrelated/")
    found = study(options.model, Path(os.environ["TAGGER_DATA"]))
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def study(model: str, data: Path) -> dict[str, Any]:
    loaded = model_file.load(find_model(model))
    runtime = Runtime(loaded.network)
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder) / "pixels", loaded.image_size)
        collection = dataset.load(data / "everyday", store)
        if collection.labels != loaded.labels:
            sys.exit(f"{model} has other labels than everyday/")
        validation = score(runtime, loaded, store, collection.split("val"))
        known = tag_matrix(collection.split("val"), len(loaded.labels))
        test, _ = evaluation_set.load(data / "coco128", loaded.labels, store)
        elsewhere = score(runtime, loaded, store, test)
        store.close()
    return {
        "validation": by_tag(loaded.labels, validation, known),
        "map": metrics.mean_average_precision(validation, known),
        "coco128": by_tag(loaded.labels, elsewhere, tag_matrix(test, len(loaded.labels)), True),
        "imagenet_cars": imagenet_cars(data / "coco128", loaded.labels),
        "unrelated": strangers(loaded, runtime, data / "unrelated"),
        "added_to_pets": added(loaded, runtime, data / "pets" / "val"),
    }


def imagenet_cars(root: Path, labels: LabelSet) -> float | None:
    """AP of car by the probabilities that ImageNet's own network gives its classes of cars."""
    model = imagenet.load()
    runtime = Runtime(model.network)
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder) / "pixels", model.image_size)
        photos, _ = evaluation_set.load(root, labels, store)
        logits = score(runtime, model, store, photos)
        store.close()
    cars = [index for index, name in enumerate(model.labels.names) if name in CARS]
    chance = to_probabilities(logits, "single")[:, cars].sum(axis=1, keepdims=True)
    known = tag_matrix(photos, len(labels))[:, [labels.names.index("car")]]
    return metrics.average_precisions(chance, known)[0]


def added(model: model_file.ModelFile, runtime: Runtime, root: Path) -> dict[str, float]:
    """Shares of photos of cats and dogs that get other tags, the most frequent first."""
    seen = run_on_folder(runtime, root)
    decisions = model.rule.decide(seen.logits, seen.features)
    said = Counter(model.labels.names[tag] for one in decisions for tag in one.tags)
    return {
        name: count / len(decisions)
        for name, count in said.most_common()
        if name not in ("cat", "dog") and count >= ADDED_SHARE * len(decisions)
    }


def score(
    runtime: Runtime, model: model_file.ModelFile, store: PixelStore, samples: list[Sample]
) -> Floats:
    outputs = runtime.run_all(store.rows(sample.row for sample in samples))
    return np.stack([output.logits for output in outputs])


def by_tag(
    labels: LabelSet, scores: Floats, known: NDArray[np.int8], interval: bool = False
) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    precisions = metrics.average_precisions(scores, known)
    for index, (name, ap) in enumerate(zip(labels.names, precisions, strict=True)):
        if ap is not None:
            rows[name] = {"ap": ap, "photos": int((known[:, index] == PRESENT).sum())}
            if interval:
                rows[name]["interval"] = bootstrap(scores[:, index], known[:, index])
    return rows


def bootstrap(scores: Floats, known: NDArray[np.int8]) -> list[float]:
    """The middle 95 % of AP over samples of the photos, drawn with replacement."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(BOOTSTRAPS):
        rows = rng.integers(0, len(known), len(known))
        (ap,) = metrics.average_precisions(scores[rows, None], known[rows, None])
        if ap is not None:
            found.append(ap)
    return [float(np.quantile(found, q)) for q in INTERVAL]


def strangers(
    model: model_file.ModelFile, runtime: Runtime, root: Path
) -> dict[str, dict[str, float]]:
    seen = run_on_folder(runtime, root)
    decisions = model.rule.decide(seen.logits, seen.features)
    said = [{model.labels.names[tag] for tag in decision.tags} for decision in decisions]
    kinds = np.array(seen.kinds)
    rows = {}
    for kind in sorted(set(seen.kinds)):
        mine = [said[row] for row in np.flatnonzero(kinds == kind)]
        fits = set(SHOWN_IN.get(kind, ()))
        rows[kind] = {
            "photos": len(mine),
            "unknown": float(np.mean([not tags for tags in mine])),
            "fitting": float(np.mean([bool(tags & fits) for tags in mine])),
            "others_a_photo": float(np.mean([len(tags - fits) for tags in mine])),
        }
    return rows


def show(found: dict[str, Any]) -> None:
    print("validation photos of everyday")
    for name, row in sorted(found["validation"].items(), key=lambda item: item[1]["ap"]):
        few = "  (too few to count)" if row["photos"] < metrics.MIN_POSITIVES else ""
        print(f"  {name:16} AP {row['ap']:.3f}  {row['photos']:4} photos{few}")
    met = "met" if found["map"] >= BAR_MAP else "MISSED"
    print(f"  {'mAP':16}    {found['map']:.4f}  >= {BAR_MAP}: {met}\n")
    print("coco128, tags both have")
    for name, row in found["coco128"].items():
        low, high = row["interval"]
        bar = BARS.get(name)
        told = "" if bar is None else f"  >= {bar}: {'met' if row['ap'] >= bar else 'MISSED'}"
        print(
            f"  {name:16} AP {row['ap']:.3f} [{low:.2f}, {high:.2f}]  {row['photos']} photos{told}"
        )
    print(f"  ImageNet's own network, its classes of cars: AP {found['imagenet_cars']:.3f}")
    print("\nunrelated            photos  unknown  a fitting tag  other tags a photo")
    for kind, row in found["unrelated"].items():
        print(
            f"  {kind:18} {row['photos']:6} {row['unknown']:8.1%} {row['fitting']:14.1%}"
            f" {row['others_a_photo']:19.2f}"
        )
    shares = [f"{name} {share:.1%}" for name, share in found["added_to_pets"].items()]
    print(f"\nadded to the cats and dogs of pets/val: {', '.join(shares) or 'nothing'}")


if __name__ == "__main__":
    main()
