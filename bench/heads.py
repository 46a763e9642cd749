"""Simple classifiers on frozen features beside the network that was fine-tuned, on the same photos.

    python bench/heads.py --json heads.json

Each head is trained by `train.py --head NAME` on pets/train, calibrated on pets/val, and tested on
photos of another collection. The fine-tuned network is the bundled `pets`, which was made from the
same photos: its figures are read from its card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import measuring
from measuring import Row, Run

from tagger.models.classifiers import NAMES
from tagger.paths import MODELS


def main() -> None:
    options = measuring.parser(__doc__).parse_args()
    data = measuring.data_folder()
    rows: list[Row] = []
    runs: dict[str, list[Run]] = {}
    with measuring.workplace() as folder:
        for name in NAMES:
            done, found = train(name, data, folder)
            runs[name] = [done]
            seconds = sum(found["seconds"].values())
            rows.append(row(name, found["validation"], found["test"], seconds))
    card = json.loads((MODELS / "pets.json").read_text(encoding="utf-8"))
    told = card["scores"]
    rows.append(row("fine-tuned", told["validation"], told["test"], None))
    measuring.publish("Heads on pets", rows, runs, options.json)


def train(name: str, data: Path, folder: Path) -> tuple[Run, dict[str, Any]]:
    """One training, and its metrics.json."""
    asked = ["--data", data / "pets", "--test", data / "pets_other_source", "--head", name]
    output = ["--output", folder / f"{name}.h5", "--runs", folder / name]
    done = measuring.run(*measuring.TRAIN, *map(str, [*asked, *output]))
    (metrics,) = (folder / name).glob("*/metrics.json")
    return done, json.loads(metrics.read_text(encoding="utf-8"))


def row(
    name: str, validation: Mapping[str, Any], test: Mapping[str, Any], seconds: float | None
) -> Row:
    """Accuracy and expected calibration error in percent, on the two collections."""
    found: Row = {"head": name}
    for where, judged in (("val", validation), ("other", test)):
        calibration = judged.get("calibration") or judged
        found[f"{where} right"] = f"{judged['accuracy']:.2%}"
        found[f"{where} ECE"] = f"{calibration['ece_after']:.2%}"
    return {**found, "seconds": seconds}


if __name__ == "__main__":
    main()
