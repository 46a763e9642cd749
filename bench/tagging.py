"""Tagging a folder, start-up included: ours, the baseline, and the least time possible.

python bench/tagging.py --size small
python bench/tagging.py --size large --baseline-photos 200

The floor is decoding alone and the network alone, each on every core at once, without start-up.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from measuring import (
    BASELINE,
    FLOOR,
    PREDICT,
    Row,
    Run,
    at_least,
    make_parser,
    make_photos,
    medians,
    publish,
    run,
    temporary_folder,
    tiny_baseline,
)

BAR = 0.75  # floor over ours
SPEEDUP_BAR = {"small": 20.0, "large": 8.0}  # over the baseline
PIXELS = {"small": "500 x 375", "large": "4000 x 3000"}


@dataclass
class Runs:
    """All runs; the seconds of the floor are measured inside floor.py, without start-up."""

    ours: list[Run] = field(default_factory=list)
    baseline: list[Run] = field(default_factory=list)
    decode: list[Run] = field(default_factory=list)
    network: list[Run] = field(default_factory=list)


def main() -> None:
    options = parse()
    with temporary_folder() as folder:
        photos = make_photos(folder / "photos", options.size, options.photos)
        runs = Runs()
        for _ in range(options.repeats):
            measure(runs, options.model, photos[0].parent, folder / "tags.csv")
        model = options.baseline_model or tiny_baseline(folder)
        runs.baseline = baseline_runs(options, model, photos)
    report(runs, options)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--size", choices=PIXELS, default="small", help="500 x 375 or 12-megapixel JPEGs")
    add("--photos", type=int, default=2000)
    add("--repeats", type=int, default=3, help="of ours and the floor")
    add("--model", default="pets", help="a model's name or file")
    add("--baseline-photos", type=int, metavar="N", help="default: all; fewer: extrapolated")
    add("--baseline-repeats", type=int, default=1)
    add("--baseline-model", type=Path, help="default: one taught with a few photos")
    options = parser.parse_args()
    options.baseline_photos = min(options.baseline_photos or options.photos, options.photos)
    return options


def measure(runs: Runs, model: str, photos: Path, table: Path) -> None:
    """One run of ours, then one of each part of the floor."""
    runs.ours.append(run(*PREDICT, photos, "--model", model, "--csv", table))
    for part, part_runs in (("decode", runs.decode), ("network", runs.network)):
        alone = run(*FLOOR, part, photos, "--model", model)
        part_runs.append(Run(float(alone.output), alone.peak_mb))


def baseline_runs(options: argparse.Namespace, model: Path, photos: list[Path]) -> list[Run]:
    """Runs over all photos; from runs over fewer, extrapolated by the time of one more photo."""
    chosen = photos[: options.baseline_photos]
    command = (*BASELINE, "predict", model)
    runs = [run(*command, *chosen) for _ in range(options.baseline_repeats)]
    if len(chosen) == len(photos):
        return runs
    first = run(*command, photos[0]).seconds
    factor = (len(photos) - 1) / max(len(chosen) - 1, 1)
    return [Run(first + (run.seconds - first) * factor, run.peak_mb) for run in runs]


def report(runs: Runs, options: argparse.Namespace) -> None:
    ours, baseline = medians(runs.ours).seconds, medians(runs.baseline).seconds
    decode, network = medians(runs.decode).seconds, medians(runs.network).seconds
    floor, speedup = decode + network, baseline / ours

    def time_row(what: str, seconds: float) -> Row:
        speed = options.photos / seconds
        return {"what": what, "seconds": seconds, "photos/s": speed, "ratio": None, "bar": ""}

    def ratio_row(what: str, ratio: float, bar: str = "") -> Row:
        return {"what": what, "seconds": None, "photos/s": None, "ratio": ratio, "bar": bar}

    fewer = options.baseline_photos < options.photos
    extrapolated = f" (from {options.baseline_photos:,} photos)" if fewer else ""
    publish(
        f"Tagging: {options.photos:,} photos of {PIXELS[options.size]}, start-up included",
        [
            time_row("ours", ours),
            time_row(f"baseline{extrapolated}", baseline),
            time_row("floor: decode alone", decode),
            time_row("floor: network alone", network),
            time_row("floor: both", floor),
            ratio_row("baseline / ours", speedup, at_least(speedup, SPEEDUP_BAR[options.size])),
            ratio_row("floor / ours", floor / ours, at_least(floor / ours, BAR)),
        ],
        vars(runs),
        options.json,
    )


if __name__ == "__main__":
    main()
