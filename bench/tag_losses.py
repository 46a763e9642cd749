"""Losses for rare tags, compared on a linear head over frozen features.

    TAGGER_DATA=... python bench/tag_losses.py [--epochs 40] [--seeds 3] [--json FILE]

Trained on `everyday/train` with ImageNet's MobileNetV2 features, evaluated on `everyday/val`: mAP,
F1 with thresholds fitted on the other half of the photos, and calibration error after one
temperature for all tags.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.datasets import dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import PRESENT, UNSEEN, tag_matrix, to_targets
from tagger.evaluation import metrics
from tagger.evaluation.calibration import fit_tag_thresholds, fit_temperature
from tagger.inference.decision import to_probabilities
from tagger.inference.litert import Runtime
from tagger.models import convert, networks
from tagger.models.heads import class_weights, prior_correction
from tagger.models.weights import load_imagenet

IMAGE_SIZE = 192
BATCH, LEARNING_RATE, WEIGHT_DECAY = 256, 2e-3, 1e-3

Floats = NDArray[np.floating[Any]]
Loss = Callable[[Any, Any], Any]  # of cells and logits (N, C); a number for each cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds everyday/")
    train, validation = features(Path(os.environ["TAGGER_DATA"]) / "everyday")
    rows = []
    print(f"{'loss':34} {'mAP':>7} {'macro F1':>9} {'micro F1':>9} {'ECE':>7} {'s':>6}")
    for name, loss in losses(train[1]).items():
        runs = [study(loss, train, validation, options.epochs, s) for s in range(options.seeds)]
        row = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        rows.append({"loss": name, **row})
        print(
            f"{name:34} {row['map']:7.4f} {row['macro_f1']:9.4f} {row['micro_f1']:9.4f}"
            f" {row['ece']:7.4f} {row['seconds']:6.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def features(root: Path) -> list[tuple[Floats, NDArray[np.int8]]]:
    """Features `(N, D)` and cells `(N, C)` of training and of validation photos."""
    network = networks.build("mobilenet_v2", IMAGE_SIZE, 2)
    load_imagenet(network, "mobilenet_v2")
    runtime = Runtime(convert.to_litert(network))
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore(Path(folder) / "pixels", IMAGE_SIZE)
        collection = dataset.load(root, store)
        parts = []
        for split in ("train", "val"):
            samples = collection.split(split)
            outputs = runtime.run_all(store.rows(sample.row for sample in samples))
            split_features = np.stack([output.features for output in outputs])
            parts.append((split_features, tag_matrix(samples, len(collection.labels))))
        store.close()
    return parts


def losses(train_cells: NDArray[np.int8]) -> dict[str, Loss]:
    """Losses by name and paper."""
    from keras import ops

    of_present, of_absent = class_weights(to_targets(train_cells))

    def plain(truth: Any, logits: Any) -> Any:
        return ops.softplus(ops.where(truth > 0, -logits, logits))

    def weighted(truth: Any, logits: Any) -> Any:
        return ops.where(truth > 0, of_present, of_absent) * plain(truth, logits)

    def focal(truth: Any, logits: Any) -> Any:
        likelihood = ops.sigmoid(ops.where(truth > 0, logits, -logits))
        return ops.where(truth > 0, 0.25, 0.75) * (1 - likelihood) ** 2 * plain(truth, logits)

    def asymmetric(truth: Any, logits: Any) -> Any:
        shifted = ops.maximum(ops.sigmoid(logits) - 0.05, 0.0)
        absent = -(shifted**4) * ops.log(ops.maximum(1 - shifted, 1e-8))
        return ops.where(truth > 0, ops.softplus(-logits), absent)

    return {
        "binary cross-entropy": plain,
        "weighted by halves (default)": weighted,
        "focal (arXiv:1708.02002)": focal,
        "asymmetric (arXiv:2009.14119)": asymmetric,
    }


def study(
    loss: Loss,
    train: tuple[Floats, NDArray[np.int8]],
    validation: tuple[Floats, NDArray[np.int8]],
    epochs: int,
    seed: int,
) -> dict[str, float]:
    began = time.monotonic()
    head = fit(loss, *train, epochs, seed)
    logits, truth = head(validation[0]), validation[1]
    if loss.__name__ == "weighted":
        logits = logits + prior_correction(to_targets(train[1]))
    return {
        "map": metrics.mean_average_precision(logits, truth),
        **evaluate(logits, truth, seed),
        "seconds": time.monotonic() - began,
    }


def fit(
    loss: Loss, features: Floats, truth: NDArray[np.int8], epochs: int, seed: int
) -> Callable[[Floats], NDArray[np.float32]]:
    import keras
    from keras import ops

    keras.utils.set_random_seed(seed)

    def masked(cells: Any, logits: Any) -> Any:
        annotated = ops.cast(cells >= 0, "float32")
        return ops.sum(loss(cells, logits) * annotated) / ops.sum(annotated)

    model = keras.Sequential(
        [keras.Input((features.shape[1],)), keras.layers.Dense(truth.shape[1])]
    )
    steps = epochs * -(-len(features) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer, masked, jit_compile=False)
    model.fit(features, truth.astype(np.float32), batch_size=BATCH, epochs=epochs, verbose=0)
    return lambda inputs: np.asarray(model.predict(inputs, verbose=0))


def evaluate(logits: NDArray[np.float32], truth: NDArray[np.int8], seed: int) -> dict[str, float]:
    """F1 and calibration, each half of the photos by thresholds fitted on the other."""
    halves = np.random.default_rng(seed).permutation(len(truth)) % 2 == 0
    predicted, probabilities = np.zeros(truth.shape, bool), np.zeros(truth.shape)
    for half in (halves, ~halves):
        temperature = fit_temperature(logits[~half], truth[~half])
        fitted = fit_tag_thresholds(
            to_probabilities(logits[~half], "multi", temperature), truth[~half]
        )
        probabilities[half] = to_probabilities(logits[half], "multi", temperature)
        predicted[half] = probabilities[half] >= np.array(fitted)
    counts = metrics.tag_counts(predicted, truth)
    annotated = truth != UNSEEN
    return {
        "macro_f1": float(np.mean(metrics.f1(*counts)[(truth == PRESENT).any(axis=0)])),
        "micro_f1": float(metrics.f1(*(count.sum() for count in counts))),
        "ece": metrics.expected_calibration_error(
            probabilities[annotated], truth[annotated] == PRESENT
        ),
    }


if __name__ == "__main__":
    main()
