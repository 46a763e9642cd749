"""Tagging a folder, start-up included: ours, the baseline, and the floor under ours.

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
    make_photos,
    medians,
    parser,
    publish,
    run,
    tiny_baseline,
    workplace,
)

BAR = 0.75  # floor over ours
FASTER = {"small": 20.0, "large": 8.0}  # than the baseline
PIXELS = {"small": "500 x 375", "large": "4000 x 3000"}


@dataclass
class Found:
    """Every run; the floor's seconds are those the parts measured themselves."""

    ours: list[Run] = field(default_factory=list)
    baseline: list[Run] = field(default_factory=list)
    decode: list[Run] = field(default_factory=list)
    network: list[Run] = field(default_factory=list)


def main() -> None:
    options = parse()
    with workplace() as folder:
        photos = make_photos(folder / "photos", options.size, options.photos)
        found = Found()
        for _ in range(options.repeats):
            measure(found, options.model, photos[0].parent, folder / "tags.csv")
        model = options.baseline_model or tiny_baseline(folder)
        found.baseline = baseline_runs(options, model, photos)
    report(found, options)


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    add = made.add_argument
    add("--size", choices=PIXELS, default="small", help="500 x 375 or 12-megapixel JPEGs")
    add("--photos", type=int, default=2000)
    add("--repeats", type=int, default=3, help="of ours and the floor")
    add("--model", default="pets", help="a model's name or file")
    add("--baseline-photos", type=int, metavar="N", help="default: all; fewer: extrapolated")
    add("--baseline-repeats", type=int, default=1)
    add("--baseline-model", type=Path, help="default: one taught with a few photos")
    options = made.parse_args()
    options.baseline_photos = min(options.baseline_photos or options.photos, options.photos)
    return options


def measure(found: Found, model: str, photos: Path, table: Path) -> None:
    """Ours and the floor, one right after the other."""
    found.ours.append(run(*PREDICT, photos, "--model", model, "--csv", table))
    for part, runs in (("decode", found.decode), ("network", found.network)):
        alone = run(*FLOOR, part, photos, "--model", model)
        runs.append(Run(float(alone.output), alone.peak_mb))


def baseline_runs(options: argparse.Namespace, model: Path, photos: list[Path]) -> list[Run]:
    """For all the photos; from a run over fewer, by what one more photo takes."""
    chosen = photos[: options.baseline_photos]
    command = (*BASELINE, "predict", model)
    runs = [run(*command, *chosen) for _ in range(options.baseline_repeats)]
    if len(chosen) == len(photos):
        return runs
    one = run(*command, photos[0]).seconds
    more = (len(photos) - 1) / max(len(chosen) - 1, 1)
    return [Run(one + (some.seconds - one) * more, some.peak_mb) for some in runs]


def report(found: Found, options: argparse.Namespace) -> None:
    ours, baseline = medians(found.ours).seconds, medians(found.baseline).seconds
    decode, network = medians(found.decode).seconds, medians(found.network).seconds
    floor = decode + network

    def row(what: str, seconds: float) -> Row:
        speed = options.photos / seconds
        return {"what": what, "seconds": seconds, "photos/s": speed, "ratio": None, "bar": ""}

    def share(what: str, ratio: float, bar: str = "") -> Row:
        return {"what": what, "seconds": None, "photos/s": None, "ratio": ratio, "bar": bar}

    fewer = options.baseline_photos < options.photos
    extrapolated = f" (from {options.baseline_photos:,} photos)" if fewer else ""
    publish(
        f"Tagging: {options.photos:,} photos of {PIXELS[options.size]}, start-up included",
        [
            row("ours", ours),
            row(f"baseline{extrapolated}", baseline),
            row("floor: decode alone", decode),
            row("floor: network alone", network),
            row("floor: both", floor),
            share(
                "baseline / ours", baseline / ours, at_least(baseline / ours, FASTER[options.size])
            ),
            share("floor / ours", floor / ours, at_least(floor / ours, BAR)),
        ],
        vars(found),
        options.json,
    )


if __name__ == "__main__":
    main()
