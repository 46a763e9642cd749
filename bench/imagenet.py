"""`imagenet` and an int8 version of it, compared with plain Keras on TAGGER_DATA/imagenet_samples.

    TAGGER_DATA=... python bench/imagenet.py [--json FILE]

All get the same pixels: shorter side to 224, centre crop. Keras is MobileNetV2 with its ImageNet
weights and preprocessing. int8 takes the ranges of activations from random squares of the photos
inside scikit-image, the only ones that every user has.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.images import decode, transforms
from tagger.images.decode import Pixels
from tagger.inference.litert import Runtime
from tagger.models import convert, imagenet
from tagger.models.weights import rebuild

RANGE_PHOTOS = 200
MIN_SHARE = 0.4  # side of a square, as a share of a photo's shorter side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds imagenet_samples/")
    pixels, truth = load_samples(Path(os.environ["TAGGER_DATA"]) / "imagenet_samples")
    rows = compare(pixels, truth)
    for row in rows:
        print(
            f"{row['network']:12} top-1 {row['top_1']:.1%}  top-5 {row['top_5']:.1%}"
            f"  as Keras {row['as_keras']:.1%}  at {imagenet.DEFAULT_THRESHOLD:.2f} known"
            f" {row['known']:.1%}, right of those {row['right_of_known']:.1%}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def load_samples(folder: Path) -> tuple[list[Pixels], NDArray[np.int64]]:
    """The prepared photos and their class indices (N,)."""
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    pixels = [transforms.prepare(folder / row["image"], imagenet.IMAGE_SIZE) for row in rows]
    return pixels, np.array([int(row["class_index"]) for row in rows])


def compare(pixels: list[Pixels], truth: NDArray[np.int64]) -> list[dict[str, Any]]:
    """A row for Keras, for the model file, and for its int8 version."""
    keras_probabilities = predict_with_keras(pixels)
    model = imagenet.load()
    int8 = convert.to_litert(rebuild(model), random_squares())
    rows = [make_row("plain Keras", keras_probabilities, keras_probabilities, truth)]
    for name, network in (("imagenet", model.network), ("its int8", int8)):
        runtime = Runtime(network)
        logits = np.stack([output.logits for output in runtime.run_all(pixels)])
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = shares / shares.sum(axis=1, keepdims=True)
        rows.append(make_row(name, probabilities, keras_probabilities, truth))
    return rows


def predict_with_keras(pixels: list[Pixels]) -> NDArray[np.float32]:
    """Probabilities (N, 1000)."""
    import keras

    network = keras.applications.MobileNetV2(weights="imagenet")
    scaled = keras.applications.mobilenet_v2.preprocess_input(np.stack(pixels).astype(np.float32))
    return np.asarray(network.predict(scaled, batch_size=50, verbose=0))


def make_row(
    name: str,
    probabilities: NDArray[np.float32],
    keras_probabilities: NDArray[np.float32],
    truth: NDArray[np.int64],
) -> dict[str, Any]:
    order = np.argsort(-probabilities, axis=1)
    correct = order[:, 0] == truth
    decided = probabilities.max(axis=1) >= imagenet.DEFAULT_THRESHOLD
    return {
        "network": name,
        "top_1": float(correct.mean()),
        "top_5": float((order[:, :5] == truth[:, None]).any(axis=1).mean()),
        "as_keras": float((order[:, 0] == keras_probabilities.argmax(axis=1)).mean()),
        "known": float(decided.mean()),
        "right_of_known": float(correct[decided].mean()),
    }


def random_squares() -> list[Pixels]:
    """Random squares of scikit-image's photos, half of them mirrored; the same on each run."""
    spec = find_spec("skimage")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data"
    paths = (path for path in decode.find_photos(folder) if path.suffix in (".png", ".jpg"))
    photos = [decode.read(path) for path in paths]
    rng = np.random.default_rng(0)
    squares: list[Pixels] = []
    while len(squares) < RANGE_PHOTOS:
        photo = photos[rng.integers(len(photos))]
        side = int(min(photo.shape[:2]) * rng.uniform(MIN_SHARE, 1))
        top, left = (int(rng.integers(0, length - side + 1)) for length in photo.shape[:2])
        square = transforms.fit(photo[top : top + side, left : left + side], imagenet.IMAGE_SIZE)
        squares.append(square if rng.random() < 0.5 else square[:, ::-1].copy())
    return squares


if __name__ == "__main__":
    main()
