"""Teach a tagger: labelled photos → model/NAME.h5 and a report.

    python train.py                                 # photos in dataset/<label>/, or a table
    python train.py --data shop/ --output model/shop.h5
    python train.py --fine-tune 0                   # the head alone: under a minute
    python train.py --backbone small_cnn            # small photos: a network from nothing
    python train.py --resume                        # go on where it was stopped

Photos are read once and split; their features from a pretrained backbone give a first head in
seconds; then every convolution is fine-tuned. What ships is converted to the fast runtime, and
"unknown" is fitted to that.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagger import charts, report, terminal, training
from tagger.backbones import BACKBONES
from tagger.dataset import too_few_to_check
from tagger.errors import TaggerError
from tagger.training import Options, Trained

NAMED = 5  # unreadable files that the terminal tells of


def main() -> int:
    """Exit status: 0 trained, 1 but some photos or exports failed, 2 nothing could start."""
    with terminal.quiet_libraries():
        try:
            trained = training.teach(options(parse()), terminal.progress, terminal.write)
            page = report.write(trained.run)
        except (TaggerError, OSError) as error:
            return terminal.refuse(error)
        except KeyboardInterrupt:
            resume = "--resume goes on from the last finished epoch, if any."
            print(f"Interrupted. {resume}", file=sys.stderr)
            return terminal.INTERRUPTED
        tell(trained, page)
        return 0 if trained.complete else 1


def parse() -> argparse.Namespace:
    start = argparse.ArgumentParser(add_help=False)  # the other options' defaults depend on these
    start.add_argument("--backbone", default=Options.backbone, help=", ".join(BACKBONES))
    start.add_argument("--weights", help="imagenet, none, a model's name or a file")
    usual = training.defaults(**vars(start.parse_known_args()[0]))
    start.set_defaults(weights=usual.weights)
    what, shown = "Teach a tagger with labelled photos.", argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=what, formatter_class=shown, parents=[start])
    recipe, add = usual.recipe, parser.add_argument
    add("--data", type=Path, default=usual.data, help="folders, CSV, COCO, VOC or YOLO labels")
    add("--output", type=Path, default=usual.output, help="model file to write")
    add("--image-size", type=int, default=usual.image_size, help="pixels a side")
    add("--fine-tune", type=int, default=recipe.epochs, metavar="EPOCHS", help="0: head alone")
    add("--batch-size", type=int, default=recipe.batch_size, help="photos a step")
    add("--learning-rate", type=float, default=recipe.learning_rate, help="at its highest")
    add("--weight-decay", type=float, default=recipe.weight_decay, help="times the learning rate")
    add("--patience", type=int, default=recipe.patience, help="epochs to wait for a better one")
    add("--precision", default=recipe.precision, help="of training: float32 or bfloat16")
    add("--seed", type=int, default=recipe.seed, help="equal seeds make equal models")
    add("--validation-share", type=float, default=usual.validation_share, help="without a val/")
    add("--unrelated", type=Path, help="photos of other things, to judge unknown by")
    add("--test", type=Path, help="labelled photos from elsewhere, to test on")
    add("--about", default="", help="a sentence for the card: what the photos are")
    add("--export", nargs="+", default=(), metavar="FORMAT", help="such as onnx; see export.py")
    add("--runs", type=Path, default=usual.runs, help="where each run keeps its folder")
    add("--workers", type=int, help="threads that decode and tag; default: one a core")
    add("--resume", action="store_true", help="go on with the run that was stopped")
    add("--tensorboard", action="store_true", help="write logs for TensorBoard into the run")
    return parser.parse_args()


def options(chosen: argparse.Namespace) -> Options:
    given: dict[str, Any] = vars(chosen)
    recipe = training.defaults(chosen.backbone, chosen.weights).recipe
    numbers = ("batch_size", "learning_rate", "weight_decay", "patience", "precision", "seed")
    recipe = replace(recipe, epochs=given.pop("fine_tune"), **{k: given.pop(k) for k in numbers})
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
