"""The tags of `everyday`, measured on its validation photos and on photos from elsewhere.

    TAGGER_DATA=... python bench/everyday.py [--model everyday] [--json FILE]

Average precision on its validation photos, and on `coco128` for the tags both have, with intervals
from 1,000 bootstrap samples of the photos, and beside ImageNet's own network for cars. For each
folder of `unrelated`, the shares of unknown photos and of fitting tags: most folders show something
that has a tag, the textures do not. Last, the tags added to cats and dogs: they were unseen in the
training photos, and few of these photos show any of them.
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
FITTING_TAGS = {  # for the photos of a folder of `unrelated`
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
ADDED_SHARE = 0.01  # of cats and dogs; tags added to fewer are not printed

Floats = NDArray[np.floating[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="everyday")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds everyday/, coco128/ and unrelated/")
    results = measure(options.model, Path(os.environ["TAGGER_DATA"]))
    report(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(model: str, data: Path) -> dict[str, Any]:
    loaded = model_file.load(find_model(model))
    runtime = Runtime(loaded.network)
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder) / "pixels", loaded.image_size)
        collection = dataset.load(data / "everyday", store)
        if collection.labels != loaded.labels:
            sys.exit(f"{model} has other labels than everyday/")
        validation = score(runtime, loaded, store, collection.split("val"))
        cells = tag_matrix(collection.split("val"), len(loaded.labels))
        test, _ = evaluation_set.load(data / "coco128", loaded.labels, store)
        elsewhere = score(runtime, loaded, store, test)
        store.close()
    return {
        "validation": by_tag(loaded.labels, validation, cells),
        "map": metrics.mean_average_precision(validation, cells),
        "coco128": by_tag(loaded.labels, elsewhere, tag_matrix(test, len(loaded.labels)), True),
        "imagenet_cars": imagenet_cars(data / "coco128", loaded.labels),
        "unrelated": measure_unrelated(loaded, runtime, data / "unrelated"),
        "added_to_pets": added_tags(loaded, runtime, data / "pets" / "val"),
    }


def imagenet_cars(root: Path, labels: LabelSet) -> float | None:
    """AP of car, scored by the summed probabilities of the classes in CARS."""
    model = imagenet.load()
    runtime = Runtime(model.network)
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder) / "pixels", model.image_size)
        photos, _ = evaluation_set.load(root, labels, store)
        logits = score(runtime, model, store, photos)
        store.close()
    cars = [index for index, name in enumerate(model.labels.names) if name in CARS]
    probabilities = to_probabilities(logits, "single")[:, cars].sum(axis=1, keepdims=True)
    cells = tag_matrix(photos, len(labels))[:, [labels.names.index("car")]]
    return metrics.average_precisions(probabilities, cells)[0]


def added_tags(model: model_file.ModelFile, runtime: Runtime, root: Path) -> dict[str, float]:
    """The share of photos of cats and dogs that each other tag is added to, largest first."""
    outputs = run_on_folder(runtime, root)
    decisions = model.rule.decide(outputs.logits, outputs.features)
    counts = Counter(model.labels.names[tag] for decision in decisions for tag in decision.tags)
    return {
        name: count / len(decisions)
        for name, count in counts.most_common()
        if name not in ("cat", "dog") and count >= ADDED_SHARE * len(decisions)
    }


def score(
    runtime: Runtime, model: model_file.ModelFile, store: PixelStore, samples: list[Sample]
) -> Floats:
    outputs = runtime.run_all(store.rows(sample.row for sample in samples))
    return np.stack([output.logits for output in outputs])


def by_tag(
    labels: LabelSet, scores: Floats, cells: NDArray[np.int8], interval: bool = False
) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    precisions = metrics.average_precisions(scores, cells)
    for index, (name, ap) in enumerate(zip(labels.names, precisions, strict=True)):
        if ap is not None:
            rows[name] = {"ap": ap, "photos": int((cells[:, index] == PRESENT).sum())}
            if interval:
                rows[name]["interval"] = bootstrap(scores[:, index], cells[:, index])
    return rows


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


def measure_unrelated(
    model: model_file.ModelFile, runtime: Runtime, root: Path
) -> dict[str, dict[str, float]]:
    outputs = run_on_folder(runtime, root)
    decisions = model.rule.decide(outputs.logits, outputs.features)
    predicted = [{model.labels.names[tag] for tag in decision.tags} for decision in decisions]
    kinds = np.array(outputs.kinds)
    rows = {}
    for kind in sorted(set(outputs.kinds)):
        photos = [predicted[row] for row in np.flatnonzero(kinds == kind)]
        fitting = set(FITTING_TAGS.get(kind, ()))
        rows[kind] = {
            "photos": len(photos),
            "unknown": float(np.mean([not tags for tags in photos])),
            "fitting": float(np.mean([bool(tags & fitting) for tags in photos])),
            "others_a_photo": float(np.mean([len(tags - fitting) for tags in photos])),
        }
    return rows


def report(results: dict[str, Any]) -> None:
    print("validation photos of everyday")
    for name, row in sorted(results["validation"].items(), key=lambda item: item[1]["ap"]):
        few = "  (too few to count)" if row["photos"] < metrics.MIN_POSITIVES else ""
        print(f"  {name:16} AP {row['ap']:.3f}  {row['photos']:4} photos{few}")
    met = "met" if results["map"] >= BAR_MAP else "MISSED"
    print(f"  {'mAP':16}    {results['map']:.4f}  >= {BAR_MAP}: {met}\n")
    print("coco128, tags both have")
    for name, row in results["coco128"].items():
        low, high = row["interval"]
        bar = BARS.get(name)
        verdict = "" if bar is None else f"  >= {bar}: {'met' if row['ap'] >= bar else 'MISSED'}"
        print(
            f"  {name:16} AP {row['ap']:.3f} [{low:.2f}, {high:.2f}]  {row['photos']} photos"
            f"{verdict}"
        )
    print(f"  ImageNet's own network, its classes of cars: AP {results['imagenet_cars']:.3f}")
    print("\nunrelated            photos  unknown  a fitting tag  other tags a photo")
    for kind, row in results["unrelated"].items():
        print(
            f"  {kind:18} {row['photos']:6} {row['unknown']:8.1%} {row['fitting']:14.1%}"
            f" {row['others_a_photo']:19.2f}"
        )
    shares = [f"{name} {share:.1%}" for name, share in results["added_to_pets"].items()]
    print(f"\nadded to the cats and dogs of pets/val: {', '.join(shares) or 'nothing'}")


if __name__ == "__main__":
    main()
