"""Teaching cats and dogs: time, memory and error, in turn A B A B, the backbone left as it is.

python bench/training.py --repeats 3
python bench/training.py --default      # train.py's default, fine-tuning, once beside it

Error is the share of photos whose likeliest label is wrong, "unknown" or not: on pets/val, and on
photos from another collection.
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
    medians,
    parser,
    publish,
    ratio,
    run,
    workplace,
)

TESTS = {"pets/val": "error on pets/val, %", "pets_other_source": "error on another collection, %"}

BARS = {"seconds": 2.0, **dict.fromkeys(TESTS.values(), 0.5)}  # ours over the baseline's, at most

ErrorOf = Callable[[Path, Path], float]  # of a model on labelled photos, in %


@dataclass(frozen=True)
class Taught:
    """Every run of one way to train, and its models' median error in % on each of TESTS."""

    runs: list[Run]
    errors: list[float]

    def numbers(self) -> list[float]:
        middle = medians(self.runs)
        return [middle.seconds, middle.peak_mb, *self.errors]


def main() -> None:
    options = parse()
    data = data_folder()
    with workplace() as folder:
        ours, baseline, default = train_all(data, folder, options)
        taught = {
            "ours": Taught(ours, errors(folder, "ours", our_error, data)),
            "baseline": Taught(baseline, errors(folder, "baseline", baseline_error, data)),
        }
        if default:
            taught["default"] = Taught(default, errors(folder, "default", our_error, data))
    report(taught, options)


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--default", action="store_true", help="time fine-tuning too, once")
    return made.parse_args()


def train_all(
    data: Path, folder: Path, options: argparse.Namespace
) -> tuple[list[Run], list[Run], list[Run]]:
    """Ours and the baseline in turn, then the default if asked for; models stay in the folder."""
    ours, baseline = [], []
    pets = data / "pets"
    for turn in range(options.repeats):
        model = folder / f"ours-{turn}.h5"
        ours.append(run(*TRAIN, "--fine-tune", "0", "--data", pets, "--output", model))
        baseline.append(run(*BASELINE, "train", pets, folder / f"baseline-{turn}.h5"))
    fine_tuned = (*TRAIN, "--data", pets, "--output", folder / "default-0.h5")
    return ours, baseline, [run(*fine_tuned)] if options.default else []


def errors(folder: Path, name: str, error: ErrorOf, data: Path) -> list[float]:
    """The median over the models of that name, for each of TESTS."""
    models = sorted(folder.glob(f"{name}-*.h5"))
    return [median(error(model, data / test) for model in models) for test in TESTS]


def our_error(model: Path, labelled: Path) -> float:
    from tagger import Prediction, Tagger
    from tagger.images.decode import find_photos

    paths = list(find_photos(labelled))
    found = Tagger.load(model).tag_many(paths, top=1)
    right = sum(
        isinstance(answer, Prediction) and answer.scores[0].label == path.parent.name
        for path, answer in zip(paths, found, strict=True)
    )
    return 100 * (1 - right / len(paths))


def baseline_error(model: Path, labelled: Path) -> float:
    return 100 * (1 - float(run(*BASELINE, "score", model, labelled).output))


def report(taught: dict[str, Taught], options: argparse.Namespace) -> None:
    default = taught.get("default")
    title = f"Training on pets, the backbone left as it is: median of {options.repeats}"
    publish(
        title + (", and fine-tuned by default, once" if default else ""),
        rows(taught["ours"], taught["baseline"], default),
        {name: each.runs for name, each in taught.items()},
        options.json,
    )


def rows(ours: Taught, baseline: Taught, default: Taught | None) -> list[Row]:
    found: list[Row] = []
    names = ["seconds", "peak memory, MB", *TESTS.values()]
    for what, a, b in zip(names, ours.numbers(), baseline.numbers(), strict=True):
        share = ratio(a, b)
        bar = at_most(share, BARS[what]) if what in BARS and share is not None else ""
        found.append({"what": what, "ours": a, "baseline": b, "ratio": share, "bar": bar})
    if default:
        for row, number in zip(found, default.numbers(), strict=True):
            row["ours, default"] = number
    return found


if __name__ == "__main__":
    main()
