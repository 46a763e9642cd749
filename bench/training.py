"""Training on cats and dogs with a frozen backbone: time, memory and error, beside the baseline.

python bench/training.py --repeats 3
python bench/training.py --default      # also train.py's default, fine-tuning, once

Both are trained in turn. Error is the share of photos whose likeliest label is wrong, "unknown"
or not, on pets/val and on another collection.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from measuring import (
    BASELINE,
    TRAIN,
    Row,
    Run,
    at_most,
    data_folder,
    make_parser,
    medians,
    publish,
    ratio,
    run,
    temporary_folder,
)

TESTS = {"pets/val": "error on pets/val, %", "pets_other_source": "error on another collection, %"}

# The largest ratios of ours to the baseline.
BARS = {"seconds": 2.0, **dict.fromkeys(TESTS.values(), 0.5)}

ErrorOf = Callable[[Path, Path], float]  # of a model file on labelled photos, in %


@dataclass(frozen=True)
class TrainingRuns:
    """The runs of one way to train, and its models' median error in % on each of TESTS."""

    runs: list[Run]
    errors: list[float]

    def numbers(self) -> list[float]:
        median_run = medians(self.runs)
        return [median_run.seconds, median_run.peak_mb, *self.errors]


def main() -> None:
    options = parse()
    data = data_folder()
    with temporary_folder() as folder:
        ours, baseline, default = train_all(data, folder, options)
        results = {
            "ours": TrainingRuns(ours, errors(folder, "ours", our_error, data)),
            "baseline": TrainingRuns(baseline, errors(folder, "baseline", baseline_error, data)),
        }
        if default:
            results["default"] = TrainingRuns(default, errors(folder, "default", our_error, data))
    report(results, options)


def parse() -> argparse.Namespace:
    arguments = make_parser(__doc__)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--default", action="store_true", help="time fine-tuning too, once")
    return arguments.parse_args()


def train_all(
    data: Path, folder: Path, options: argparse.Namespace
) -> tuple[list[Run], list[Run], list[Run]]:
    """Train ours and the baseline in turn, then the default once; models stay in `folder`."""
    ours, baseline = [], []
    pets = data / "pets"
    for turn in range(options.repeats):
        model = folder / f"ours-{turn}.h5"
        ours.append(run(*TRAIN, "--fine-tune", "0", "--data", pets, "--output", model))
        baseline.append(run(*BASELINE, "train", pets, folder / f"baseline-{turn}.h5"))
    fine_tuned = (*TRAIN, "--data", pets, "--output", folder / "default-0.h5")
    return ours, baseline, [run(*fine_tuned)] if options.default else []


def errors(folder: Path, name: str, error: ErrorOf, data: Path) -> list[float]:
    """Median error of the models `name-*.h5` on each of TESTS."""
    models = sorted(folder.glob(f"{name}-*.h5"))
    return [median(error(model, data / test) for model in models) for test in TESTS]


def our_error(model: Path, labelled: Path) -> float:
    from tagger import Prediction, Tagger
    from tagger.images.decode import find_photos

    paths = list(find_photos(labelled))
    predictions = Tagger.load(model).tag_many(paths, top=1)
    correct = sum(
        isinstance(prediction, Prediction) and prediction.scores[0].label == path.parent.name
        for path, prediction in zip(paths, predictions, strict=True)
    )
    return 100 * (1 - correct / len(paths))


def baseline_error(model: Path, labelled: Path) -> float:
    return 100 * (1 - float(run(*BASELINE, "score", model, labelled).output))


def report(results: dict[str, TrainingRuns], options: argparse.Namespace) -> None:
    default = results.get("default")
    title = f"Training on pets, the backbone left as it is: median of {options.repeats}"
    publish(
        title + (", and fine-tuned by default, once" if default else ""),
        rows(results["ours"], results["baseline"], default),
        {name: result.runs for name, result in results.items()},
        options.json,
    )


def rows(ours: TrainingRuns, baseline: TrainingRuns, default: TrainingRuns | None) -> list[Row]:
    table: list[Row] = []
    names = ["seconds", "peak memory, MB", *TESTS.values()]
    for what, a, b in zip(names, ours.numbers(), baseline.numbers(), strict=True):
        share = ratio(a, b)
        bar = at_most(share, BARS[what]) if what in BARS and share is not None else ""
        table.append({"what": what, "ours": a, "baseline": b, "ratio": share, "bar": bar})
    if default:
        for row, number in zip(table, default.numbers(), strict=True):
            row["ours, default"] = number
    return table


if __name__ == "__main__":
    main()
