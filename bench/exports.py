"""Size, speed and faithfulness of a model's exports, compared with plain Keras, alternating.

python bench/exports.py --repeats 3
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from measuring import (
    BENCH,
    Row,
    at_least,
    at_most,
    data_folder,
    make_parser,
    publish,
    run,
    temporary_folder,
)

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
        with temporary_folder() as folder:
            keras.append(run(*PLAIN_KERAS, options.model, photos))
            exporting.append(
                run(*EXPORT, options.model, *FORMATS, "--photos", photos, "--output", folder)
            )
            for path in folder.glob("*.json"):
                export = json.loads(path.read_text(encoding="utf-8"))
                checks[export["format"]].append(export["check"])
    keras_ms = median(float(json.loads(run.output)) for run in keras)
    publish(
        f"{options.model.name} as {checks['onnx'][0]['photos']} photos see it, one at a time,"
        f" one thread",
        [
            keras_row(options.model, keras_ms, checks["onnx"][0]),
            *(export_row(name, measured, keras_ms) for name, measured in checks.items()),
        ],
        {"keras": keras, "export.py": exporting},
        options.json,
    )


def keras_row(model: Path, keras_ms: float, check: Check) -> Row:
    return {
        "format": "keras, predict()",
        "MB": model.stat().st_size / 1e6,
        "ms": keras_ms,
        "ratio": None,
        "same label": None,
        "off by": None,
        "accuracy": check["original_accuracy"],
        "bar": None,
    }


def export_row(name: str, checks: list[Check], keras_ms: float) -> Row:
    check, ms = checks[0], median(check["milliseconds"] for check in checks)
    bar = at_least(check["agreement"], MIN_AGREEMENT)
    if name == "tflite-int8":
        bar = "loss " + at_most(check["original_accuracy"] - check["accuracy"], MAX_ACCURACY_LOSS)
    return {
        "format": name,
        "MB": check["megabytes"],
        "ms": ms,
        "ratio": ms / keras_ms,
        "same label": check["agreement"],
        "off by": f"{check['difference']:.1e}",
        "accuracy": check["accuracy"],
        "bar": bar,
    }


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    model = BENCH.parent / "model" / "pets.h5"
    parser.add_argument("--model", type=Path, default=model, help="a model's file")
    parser.add_argument("--photos", type=Path, help="default: $TAGGER_DATA/pets/val")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
