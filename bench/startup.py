"""Time from the command to the prediction for one photo, in a new process, alternating.

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
    make_parser,
    make_photos,
    medians,
    publish,
    run,
    temporary_folder,
    tiny_baseline,
)

BAR = 0.12  # times the baseline


def main() -> None:
    options = parse()
    with temporary_folder() as folder:
        (photo,) = make_photos(folder / "photo", "small", 1)
        ours, baseline = alternate(
            (*PREDICT, photo, "--model", options.model),
            (*BASELINE, "predict", options.baseline_model or tiny_baseline(folder), photo),
            options.repeats,
        )
    report(ours, baseline, options.json)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--model", default="pets", help="a model's name or file")
    parser.add_argument("--baseline-model", type=Path, help="default: one taught with a few photos")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def alternate(
    first: tuple[str | Path, ...], second: tuple[str | Path, ...], repeats: int
) -> tuple[list[Run], list[Run]]:
    """Run both in turn, after one run of each that only fills the disk cache."""
    pairs = [(run(*first), run(*second)) for _ in range(repeats + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def report(ours: list[Run], baseline: list[Run], file: Path | None) -> None:
    our_seconds, baseline_seconds = medians(ours).seconds, medians(baseline).seconds
    ratio = our_seconds / baseline_seconds
    publish(
        f"Start-up: one photo of 500 x 375, median of {len(ours)}",
        [
            {
                "what": "seconds to the answer",
                "ours": our_seconds,
                "baseline": baseline_seconds,
                "ratio": ratio,
                "bar": at_most(ratio, BAR),
            }
        ],
        {"ours": ours, "baseline": baseline},
        file,
    )


if __name__ == "__main__":
    main()
