"""Classifiers on frozen features, beside the fine-tuned network, on the same photos.

    python bench/heads.py --json heads.json

Each head is trained by `train.py --head NAME` on pets/train, calibrated on pets/val, and tested on
photos of another collection. The fine-tuned network is the bundled `pets`, trained on the same
photos: its figures are read from its card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import measuring
from measuring import Row, Run

from tagger.models.heads import HEAD_NAMES
from tagger.paths import MODELS


def main() -> None:
    options = measuring.make_parser(__doc__).parse_args()
    data = measuring.data_folder()
    rows: list[Row] = []
    runs: dict[str, list[Run]] = {}
    with measuring.temporary_folder() as folder:
        for name in HEAD_NAMES:
            run, scores = train(name, data, folder)
            runs[name] = [run]
            seconds = sum(scores["seconds"].values())
            rows.append(make_row(name, scores["validation"], scores["test"], seconds))
    card = json.loads((MODELS / "pets.json").read_text(encoding="utf-8"))
    scores = card["scores"]
    rows.append(make_row("fine-tuned", scores["validation"], scores["test"], None))
    measuring.publish("Heads on pets", rows, runs, options.json)


def train(name: str, data: Path, folder: Path) -> tuple[Run, dict[str, Any]]:
    """One training, and its metrics.json."""
    options = ["--data", data / "pets", "--test", data / "pets_other_source", "--head", name]
    output = ["--output", folder / f"{name}.h5", "--runs", folder / name]
    run = measuring.run(*measuring.TRAIN, *map(str, [*options, *output]))
    (metrics,) = (folder / name).glob("*/metrics.json")
    return run, json.loads(metrics.read_text(encoding="utf-8"))


def make_row(
    name: str, validation: Mapping[str, Any], test: Mapping[str, Any], seconds: float | None
) -> Row:
    """Accuracy and expected calibration error in percent, on the two collections."""
    row: Row = {"head": name}
    for collection, scores in (("val", validation), ("other", test)):
        calibration = scores.get("calibration") or scores
        row[f"{collection} right"] = f"{scores['accuracy']:.2%}"
        row[f"{collection} ECE"] = f"{calibration['ece_after']:.2%}"
    return {**row, "seconds": seconds}


if __name__ == "__main__":
    main()
