"""Size, speed and faithfulness of a model's exports, beside plain Keras, in turn A B A B.

python bench/exports.py --repeats 3
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from measuring import BENCH, Row, at_least, at_most, data_folder, parser, publish, run, workplace

EXPORT = (sys.executable, str(BENCH.parent / "export.py"))
PLAIN_KERAS = (sys.executable, str(BENCH / "plain_keras.py"))
FORMATS = ("onnx", "saved_model", "tflite", "tflite-int8")
Check = dict[str, float]

MIN_AGREEMENT, MAX_ACCURACY_LOSS = 0.99, 0.01


def main() -> None:
    options = parse()
    photos = options.photos or data_folder() / "pets" / "val"
    keras, exporting = [], []
    checks: dict[str, list[Check]] = {name: [] for name in FORMATS}
    for _ in range(options.repeats):
        with workplace() as folder:
            keras.append(run(*PLAIN_KERAS, options.model, photos))
            exporting.append(
                run(*EXPORT, options.model, *FORMATS, "--photos", photos, "--output", folder)
            )
            for path in folder.glob("*.json"):
                told = json.loads(path.read_text(encoding="utf-8"))
                checks[told["format"]].append(told["check"])
    plain = median(float(json.loads(each.output)) for each in keras)
    publish(
        f"{options.model.name} as {checks['onnx'][0]['photos']} photos see it, one at a time,"
        f" one thread",
        [
            first_row(options.model, plain, checks["onnx"][0]),
            *(row(name, found, plain) for name, found in checks.items()),
        ],
        {"keras": keras, "export.py": exporting},
        options.json,
    )


def first_row(model: Path, plain: float, check: Check) -> Row:
    return {
        "format": "keras, predict()",
        "MB": model.stat().st_size / 1e6,
        "ms": plain,
        "ratio": None,
        "same label": None,
        "off by": None,
        "accuracy": check["original_accuracy"],
        "bar": None,
    }


def row(name: str, found: list[Check], plain: float) -> Row:
    check, ms = found[0], median(each["milliseconds"] for each in found)
    bar = at_least(check["agreement"], MIN_AGREEMENT)
    if name == "tflite-int8":
        bar = "loss " + at_most(check["original_accuracy"] - check["accuracy"], MAX_ACCURACY_LOSS)
    return {
        "format": name,
        "MB": check["megabytes"],
        "ms": ms,
        "ratio": ms / plain,
        "same label": check["agreement"],
        "off by": f"{check['difference']:.1e}",
        "accuracy": check["accuracy"],
        "bar": bar,
    }


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    model = BENCH.parent / "model" / "pets.h5"
    made.add_argument("--model", type=Path, default=model, help="a model's file")
    made.add_argument("--photos", type=Path, help="default: $TAGGER_DATA/pets/val")
    made.add_argument("--repeats", type=int, default=3)
    return made.parse_args()


if __name__ == "__main__":
    main()
