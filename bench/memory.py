"""Peak memory of each command: tagging with two workers, training, and the baseline's.

python bench/memory.py
python bench/memory.py --default      # train.py's default, fine-tuning, too
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import (
    BASELINE,
    PREDICT,
    TRAIN,
    Row,
    Run,
    at_most,
    data_folder,
    make_parser,
    make_photos,
    publish,
    run,
    temporary_folder,
)

TAGGING_BAR = 1000  # MB
TRAINING_BAR = 3000
WORKERS = 2
SIZES = {"small": "500 x 375", "large": "4000 x 3000"}

Pair = tuple[Run, Run | None]  # ours, the baseline's


def main() -> None:
    options = parse()
    pets = data_folder() / "pets"
    with temporary_folder() as folder:
        training = train(pets, folder, options.default)
        tagging = tag(folder, options)
    rows = [make_row(what, pair, TRAINING_BAR) for what, pair in training.items()]
    rows += [make_row(what, pair, TAGGING_BAR) for what, pair in tagging.items()]
    runs = {}
    for what, (ours, baseline) in (training | tagging).items():
        runs[f"{what}: ours"] = [ours]
        if baseline:
            runs[f"{what}: baseline"] = [baseline]
    publish("Peak memory, MB (10^6 bytes resident)", rows, runs, options.json)


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--model", default="pets", help="a model's name or file")
    parser.add_argument("--photos", type=int, default=500, help="of each size, to tag")
    parser.add_argument("--default", action="store_true", help="fine-tune, too")
    return parser.parse_args()


def train(pets: Path, folder: Path, default: bool) -> dict[str, Pair]:
    command = (*TRAIN, "--data", pets, "--output", folder / "ours.h5")
    baseline = run(*BASELINE, "train", pets, folder / "baseline.h5")
    pairs: dict[str, Pair] = {"training, head alone": (run(*command, "--fine-tune", "0"), baseline)}
    if default:
        pairs["training, fine-tuned"] = (run(*command), None)
    return pairs


def tag(folder: Path, options: argparse.Namespace) -> dict[str, Pair]:
    """Tag with ours, and with the baseline that `train` wrote into the folder."""
    pairs: dict[str, Pair] = {}
    for size, pixels in SIZES.items():
        photos = make_photos(folder / size, size, options.photos)[0].parent
        ours = (*PREDICT, photos, "--workers", str(WORKERS), "--model", options.model)
        baseline = (*BASELINE, "predict", folder / "baseline.h5", photos)
        pairs[f"tagging {options.photos} of {pixels}"] = (run(*ours), run(*baseline))
    return pairs


def make_row(what: str, pair: Pair, bar: float) -> Row:
    ours, baseline = pair
    return {
        "what": what,
        "ours": ours.peak_mb,
        "baseline": baseline.peak_mb if baseline else None,
        "ratio": ours.peak_mb / baseline.peak_mb if baseline else None,
        "bar": at_most(ours.peak_mb, bar),
    }


if __name__ == "__main__":
    main()
