"""Teach a tagger: labelled photos → model/NAME.h5 and a report.

    python train.py                                 # photos in dataset/<label>/, or a table
    python train.py --data shop/ --output model/shop.h5
    python train.py --fine-tune 0                   # the head alone: under a minute
    python train.py --resume                        # go on where it was stopped

Photos are read once and split; their features from a pretrained backbone give a first head in
seconds; then every convolution is fine-tuned. What ships is converted to the fast runtime, and
"unknown" is fitted to what that puts out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tagger import charts, report, terminal, training
from tagger.backbones import BACKBONES
from tagger.dataset import too_few_to_check
from tagger.errors import TaggerError
from tagger.fine_tuning import Recipe
from tagger.training import Options, Trained

DEFAULTS = Options()
NAMED = 5  # unreadable files that the terminal tells of


def main() -> int:
    """Exit status: 0 trained, 1 some photos could not be read, 2 nothing could start."""
    chosen = parse()
    with terminal.quiet_libraries():
        try:
            trained = training.teach(options(chosen), terminal.progress, terminal.write)
            page = report.write(trained.run)
        except (TaggerError, OSError) as error:
            return terminal.refuse(error)
        except KeyboardInterrupt:
            print(
                "Interrupted. --resume goes on from the last finished epoch, if any.",
                file=sys.stderr,
            )
            return terminal.INTERRUPTED
        tell(trained, page)
        return 1 if trained.metrics["problems"]["unreadable"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Teach a tagger with labelled photos: folders, CSV, COCO, VOC or YOLO.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    recipe, add, known = Recipe(), parser.add_argument, ", ".join(BACKBONES)
    add("--data", type=Path, default=DEFAULTS.data, help="folder of labelled photos")
    add("--output", type=Path, default=DEFAULTS.output, help="model file to write")
    add("--backbone", default=DEFAULTS.backbone, help=f"network to build on: {known}")
    add("--image-size", type=int, default=DEFAULTS.image_size, help="pixels a side")
    add("--weights", default=DEFAULTS.weights, help="imagenet, none, a model's name or a file")
    add("--fine-tune", type=int, default=recipe.epochs, metavar="EPOCHS", help="0: head alone")
    add("--batch-size", type=int, default=recipe.batch_size, help="photos a step")
    add("--learning-rate", type=float, default=recipe.learning_rate, help="of fine-tuning")
    add("--weight-decay", type=float, default=recipe.weight_decay, help="of fine-tuning")
    add("--patience", type=int, default=recipe.patience, help="epochs to wait for a better one")
    add("--seed", type=int, default=recipe.seed, help="equal seeds make equal models")
    add("--unrelated", type=Path, help="photos of other things, to judge unknown by")
    add("--test", type=Path, help="labelled photos from elsewhere, to test on")
    add("--about", default="", help="a sentence for the card: what the photos are")
    add("--runs", type=Path, default=DEFAULTS.runs, help="where each run keeps its folder")
    add("--workers", type=int, help="threads that decode and tag; default: one a core")
    add("--resume", action="store_true", help="go on with the run that was stopped")
    add("--tensorboard", action="store_true", help="write logs for TensorBoard into the run")
    return parser.parse_args()


def options(chosen: argparse.Namespace) -> Options:
    given: dict[str, Any] = vars(chosen)
    recipe = Recipe(
        epochs=given.pop("fine_tune"),
        **{key: given.pop(key) for key in ("batch_size", "learning_rate", "weight_decay")},
        **{key: given.pop(key) for key in ("patience", "seed")},
    )
    return Options(recipe=recipe, **given)


def tell(trained: Trained, page: Path) -> None:
    """The numbers that matter, and where the rest is."""
    found = trained.metrics
    for split in ("validation", "test"):
        if judged := found[split]:
            decided = judged["decision"]
            right = f"{judged['accuracy']:.2%} right"
            if found["kind"] == "multi":
                right = f"F1 {judged['micro_f1']:.4f}, mAP {charts.score(judged['map'])}"
            print(
                f"{split.title()}: {right} of {judged['photos']:,} photos,"
                f" {decided['unfamiliar'] + decided['uncertain']:.2%} called unknown"
            )
    if unknown := found["unknown"]:
        accepted = unknown["accepted"]
        told = "" if accepted is None else f", {accepted:.2%} of them called known"
        print(
            f"Unknown: AUROC {unknown['auroc']:.4f}, FPR95 {unknown['fpr95']:.2%}"
            f" on {unknown['photos']:,} {unknown['measured_on']}{told}"
        )
    if warning := too_few_to_check(found["photos"]["val"]):
        print(f"{warning}.")
    unreadable = found["problems"]["unreadable"]
    for path, reason in unreadable[:NAMED]:
        terminal.write(f"Left out: {path}: {reason}")
    if len(unreadable) > NAMED:
        print(f"and {len(unreadable) - NAMED:,} more; all in report.html")
    precision, seconds = found["conversion"]["precision"], sum(found["seconds"].values())
    print(f"Model:  {trained.model} ({precision}, {seconds:.0f} s to train)")
    print(f"Report: {page}")


if __name__ == "__main__":
    sys.exit(main())
