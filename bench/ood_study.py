"""Out-of-distribution scores compared: the study behind `tagger.inference.decision`.

    TAGGER_DATA=... python bench/ood_study.py [--model pets] [--json FILE]

Every score is fitted on the shipped network's features of `pets/train`, its threshold set to keep
99 % of `pets/val`. Reported: the share of unrelated photos that it accepts, and of cats and dogs
of another collection that it keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ood_methods import METHODS, Fit

from tagger.concurrency import ordered_map
from tagger.evaluation import calibration, metrics
from tagger.images import decode, transforms
from tagger.inference import model_file
from tagger.inference.decision import (
    DEFAULT_THRESHOLD,
    DecisionRule,
    guided_distance,
    neighbour_distance,
    to_probabilities,
    unit_vectors,
)
from tagger.inference.litert import Runtime
from tagger.inference.registry import find_model
from tagger.tagger import HEAD_WEIGHTS

SETS = ("pets/train", "pets/val", "pets_other_source", "unrelated")
KEPT = 0.99  # of pets/val
REFERENCE_SIZES = (128, 256, 1024)


@dataclass(frozen=True)
class PhotoOutputs:
    """The network's outputs for a set of photos."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not os.environ.get("TAGGER_DATA"):
        sys.exit("set TAGGER_DATA to the folder that holds pets/, pets_other_source/, unrelated/")
    rows = study(options.model, Path(os.environ["TAGGER_DATA"]))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def study(model: str, data: Path) -> list[dict[str, Any]]:
    path = find_model(model)
    loaded = model_file.load(path)
    runtime = Runtime(loaded.network)
    paths = {name: list(decode.find_photos(data / name)) for name in SETS}
    outputs = {name: run_network(runtime, photos) for name, photos in paths.items()}
    train = outputs["pets/train"]
    names = loaded.labels.names
    labels = np.array([names.index(photo.parent.name) for photo in paths["pets/train"]])
    arrays = model_file.read_arrays(path)
    fit = Fit(train.features, train.logits, labels, arrays[HEAD_WEIGHTS], arrays["head/head/bias"])
    rows = []
    for name, method in METHODS.items():
        method.fit(fit)
        scores = {key: method.score(s.features, s.logits) for key, s in outputs.items()}
        rows.append({"method": name, "paper": method.paper, **compare(scores)})
    rows += reference_rows(fit, loaded.rule, outputs)
    logits = {key: s.logits for key, s in outputs.items()}
    return [*rows, softmax_row(logits), shipped_row(loaded.rule, outputs)]


def run_network(runtime: Runtime, photos: list[Path]) -> PhotoOutputs:
    size = runtime.image_size
    outputs = list(ordered_map(lambda path: runtime.run(transforms.prepare(path, size)), photos))
    return PhotoOutputs(
        np.stack([o.logits for o in outputs]), np.stack([o.features for o in outputs])
    )


def compare(scores: dict[str, NDArray[Any]]) -> dict[str, float]:
    validation, other, unrelated = (
        scores[name] for name in ("pets/val", "pets_other_source", "unrelated")
    )
    threshold = np.quantile(validation, KEPT, method="higher")
    return {
        "auroc": metrics.auroc(validation, unrelated),
        "fpr95": metrics.fpr95(validation, unrelated),
        "unrelated_accepted": float((unrelated <= threshold).mean()),
        "other_source_kept": float((other <= threshold).mean()),
        "val_kept": float((validation <= threshold).mean()),
    }


def reference_rows(
    fit: Fit, rule: DecisionRule, outputs: dict[str, PhotoOutputs]
) -> list[dict[str, Any]]:
    """Steps from the nearest neighbour to the score that ships."""
    deviation = fit.features.std(axis=0)
    floor = deviation.mean() * calibration.DEVIATION_FLOOR
    scales = {
        "whole": np.ones_like(deviation),
        "/ sqrt(deviation)": np.sqrt(deviation + floor),
        "/ deviation": deviation + floor,
    }
    rows = []
    for name, scale in scales.items():
        means = calibration.cluster(
            unit_vectors(fit.features / scale), calibration.REFERENCE_SIZE, 42
        )
        points = {key: unit_vectors(s.features / scale) for key, s in outputs.items()}
        distances = {key: neighbour_distance(p, means) for key, p in points.items()}
        rows.append({"method": f"3 of 512 k-means, {name}", "paper": "", **compare(distances)})
        guided_by = {
            key: guided_distance(d, outputs[key].logits / rule.temperature, rule.kind)
            for key, d in distances.items()
        }
        rows.append({"method": "    guided by the margin", "paper": "", **compare(guided_by)})
    for size in REFERENCE_SIZES:
        scale, vectors = calibration.fit_reference_vectors(fit.features, seed=42, size=size)
        scores = {
            key: guided_distance(
                neighbour_distance(unit_vectors(s.features / scale), vectors),
                s.logits / rule.temperature,
                rule.kind,
            )
            for key, s in outputs.items()
        }
        rows.append({"method": f"shipped score, {size} k-means", "paper": "", **compare(scores)})
    return rows


def softmax_row(logits: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """The usual rule on the same network: a softmax of 0.70 or more."""
    accepted = {
        key: float((to_probabilities(values, "single").max(axis=1) >= DEFAULT_THRESHOLD).mean())
        for key, values in logits.items()
    }
    return {
        "method": "usual rule: softmax >= 0.70",
        "paper": "",
        "unrelated_accepted": accepted["unrelated"],
        "other_source_kept": accepted["pets_other_source"],
        "val_kept": accepted["pets/val"],
    }


def shipped_row(rule: DecisionRule, outputs: dict[str, PhotoOutputs]) -> dict[str, Any]:
    """The rule in the model file: in distribution and certain."""
    accepted = {
        key: float(np.mean([d.reason is None for d in rule.decide(s.logits, s.features)]))
        for key, s in outputs.items()
    }
    return {
        "method": "shipped: familiar and certain",
        "paper": "",
        "unrelated_accepted": accepted["unrelated"],
        "other_source_kept": accepted["pets_other_source"],
        "val_kept": accepted["pets/val"],
    }


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'score':30} {'AUROC':>7} {'FPR95':>7} {'accepted':>9} {'other kept':>11} {'val kept':>9}"
    )
    for row in rows:
        auroc = f"{row['auroc']:7.4f} {row['fpr95']:7.1%}" if "auroc" in row else " " * 15
        print(
            f"{row['method']:30} {auroc} {row['unrelated_accepted']:9.1%}"
            f" {row['other_source_kept']:11.1%} {row['val_kept']:9.1%}  {row['paper']}"
        )


if __name__ == "__main__":
    main()
