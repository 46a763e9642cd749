"""From the command to the answer for one photo, a fresh process each time, in turn A B A B.

python bench/startup.py --repeats 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import (
    BASELINE,
    PREDICT,
    Run,
    at_most,
    make_photos,
    medians,
    parser,
    publish,
    run,
    tiny_baseline,
    workplace,
)

BAR = 0.12  # times the baseline


def main() -> None:
    options = parse()
    with workplace() as folder:
        (photo,) = make_photos(folder / "photo", "small", 1)
        ours, baseline = in_turn(
            (*PREDICT, photo, "--model", options.model),
            (*BASELINE, "predict", options.baseline_model or tiny_baseline(folder), photo),
            options.repeats,
        )
    report(ours, baseline, options.json)


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--model", default="pets", help="a model's name or file")
    made.add_argument("--baseline-model", type=Path, help="default: one taught with a few photos")
    made.add_argument("--repeats", type=int, default=5)
    return made.parse_args()


def in_turn(
    first: tuple[str | Path, ...], second: tuple[str | Path, ...], repeats: int
) -> tuple[list[Run], list[Run]]:
    """A B A B, after one of each that only fills the disk cache."""
    pairs = [(run(*first), run(*second)) for _ in range(repeats + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def report(ours: list[Run], baseline: list[Run], file: Path | None) -> None:
    a, b = medians(ours).seconds, medians(baseline).seconds
    publish(
        f"Start-up: one photo of 500 x 375, median of {len(ours)}",
        [
            {
                "what": "seconds to the answer",
                "ours": a,
                "baseline": b,
                "ratio": a / b,
                "bar": at_most(a / b, BAR),
            }
        ],
        {"ours": ours, "baseline": baseline},
        file,
    )


if __name__ == "__main__":
    main()
