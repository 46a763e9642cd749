"""Teach a tagger: labelled photos → model/NAME.h5 and a report.

    python train.py                                 # photos in dataset/<label>/, or a table
    python train.py --data shop/ --output model/shop.h5
    python train.py --fine-tune 0                   # the head alone: about a minute
    python train.py --backbone small_cnn            # small photos: a network from nothing
    python train.py --check --data shop/            # what is wrong with the photos
    python train.py --resume                        # go on where it was stopped

Photos are read once and split; their features from a pretrained backbone give a first head in
seconds; then every convolution is fine-tuned. What ships is converted to the fast runtime, and
"unknown" is fitted to that.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagger import console
from tagger.audit import audit
from tagger.audit.audit import AuditConfig
from tagger.cli import sagemaker
from tagger.errors import TaggerError
from tagger.models import classifiers
from tagger.models.backbones import BACKBONES
from tagger.text import count_noun
from tagger.training import trainer
from tagger.training.config import TrainingConfig, default_config
from tagger.training.events import ProgressEvent
from tagger.training.report import html, summary

CHECKING = ("check", "json", "fix")
EXAMINED = ("data", "weights", "image_size", "leave_out", "validation_share", "seed", "workers")
LIST, FIX = Path("leave-out.csv"), "write a list of what to leave out"


def main() -> int:
    """Exit status: 0 trained, 1 but some photos or exports failed, 2 nothing could start."""
    interrupted = "Interrupted."
    with console.quiet_libraries():
        try:
            chosen = parse(sagemaker.spelled(sys.argv[1:]))
            if chosen.check:
                return check(chosen)
            interrupted += " --resume goes on from the last finished epoch, if any."
            trained = trainer.teach(options(chosen), console.progress, write_event)
            page = html.write(trained.run)
        except (TaggerError, OSError) as error:
            return console.refuse(error)
        except KeyboardInterrupt:
            print(interrupted, file=sys.stderr)
            return console.INTERRUPTED
        console.write("\n".join([*summary.lines(trained), f"Report: {page}"]))
        return 0 if trained.complete else 1


def parse(given: list[str]) -> argparse.Namespace:
    start = argparse.ArgumentParser(add_help=False)  # the other options' defaults depend on these
    start.add_argument("--backbone", default=TrainingConfig.backbone, help=", ".join(BACKBONES))
    start.add_argument("--weights", help="imagenet, none, a model's name or a file")
    usual = replace(default_config(**vars(start.parse_known_args(given)[0])), **sagemaker.places())
    start.set_defaults(weights=usual.weights)
    what, shown = "Teach a tagger with labelled photos.", console.Help
    parser = argparse.ArgumentParser(description=what, formatter_class=shown, parents=[start])
    recipe, add = usual.hyperparameters, parser.add_argument
    add("--data", type=Path, default=usual.data, help="folders, CSV, COCO, VOC or YOLO labels")
    add("--output", type=sagemaker.model_file, default=usual.output, help="model file to write")
    add("--image-size", type=int, default=usual.image_size, help="pixels a side")
    add("--fine-tune", type=int, default=recipe.epochs, metavar="EPOCHS", help="0: head alone")
    add("--head", choices=classifiers.NAMES, help="that on frozen features, not fine-tuned")
    add("--batch-size", type=int, default=recipe.batch_size, help="photos a step")
    add("--learning-rate", type=float, default=recipe.learning_rate, help="at its highest")
    add("--weight-decay", type=float, default=recipe.weight_decay, help="times the learning rate")
    add("--patience", type=int, default=recipe.patience, help="epochs to wait for a better one")
    add("--precision", default=recipe.precision, help="of training: float32 or bfloat16")
    add("--seed", type=int, default=recipe.seed, help="equal seeds make equal models")
    add("--validation-share", type=float, default=usual.validation_share, help="without a val/")
    add("--unrelated", type=Path, help="photos of other things, to judge unknown by")
    add("--test", type=Path, default=usual.test, help="labelled photos from elsewhere, to test on")
    add("--about", default="", help="a sentence for the card: what the photos are")
    add("--export", nargs="+", default=(), metavar="FORMAT", help="such as onnx; see export.py")
    add("--runs", type=Path, default=usual.runs, help="where each run keeps its folder")
    add("--workers", type=int, help="threads that decode and tag; default: one a core")
    add("--resume", action="store_true", help="go on with the run that was stopped")
    add("--tensorboard", action="store_true", help="write logs for TensorBoard into the run")
    add("--leave-out", type=Path, metavar="FILE", help="list of photos not to train on")
    add("--check", action="store_true", help="say what is wrong with the photos; train nothing")
    add("--json", action="store_true", help="with --check: as JSON")
    add("--fix", type=Path, nargs="?", const=LIST, metavar="FILE", help=f"with --check: {FIX}")
    chosen = parser.parse_args(given)
    if (chosen.json or chosen.fix) and not chosen.check:
        parser.error("--json and --fix go with --check")
    heeded = (*CHECKING, *EXAMINED, "backbone")
    named = (k for k, v in vars(chosen).items() if k not in heeded and v != parser.get_default(k))
    if chosen.check and (idle := [f"--{key.replace('_', '-')}" for key in named]):
        parser.error(f"--check trains nothing: leave out {', '.join(idle)}")
    return chosen


def options(chosen: argparse.Namespace) -> TrainingConfig:
    given: dict[str, Any] = {k: v for k, v in vars(chosen).items() if k not in CHECKING}
    recipe = default_config(chosen.backbone, chosen.weights).hyperparameters
    numbers = ("batch_size", "learning_rate", "weight_decay", "patience", "precision", "seed")
    recipe = replace(recipe, epochs=given.pop("fine_tune"), **{k: given.pop(k) for k in numbers})
    return TrainingConfig(hyperparameters=recipe, **given)


def write_event(event: ProgressEvent) -> None:
    for line in event.lines():
        console.write(line)


def check(chosen: argparse.Namespace) -> int:
    """Say what is wrong with the photos; exit status 1 where some, or all, cannot be trained on."""
    asked = AuditConfig(**{key: getattr(chosen, key) for key in EXAMINED})
    examined = audit.run_audit(asked, console.progress, console.remark)
    console.write(json.dumps(examined.to_dict(), indent=2) if chosen.json else examined.text())
    found = examined.findings
    if chosen.fix:
        listed = count_noun(found.write_list(chosen.fix), "photo")
        console.remark(f"{chosen.fix}: {listed} to leave out; look it over, then --leave-out it")
    return 1 if examined.training_obstacle or found.of_kind("unreadable") else 0


if __name__ == "__main__":
    sys.exit(main())
