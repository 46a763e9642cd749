"""Train a model from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagger import console
from tagger.cli import sagemaker
from tagger.cli.check import AUDIT_OPTIONS, MERGE_CASE, add_options, check
from tagger.models.backbones import BACKBONES
from tagger.models.heads import HEAD_NAMES
from tagger.text import escape_controls
from tagger.training import trainer
from tagger.training.config import TrainingConfig, default_config
from tagger.training.events import ProgressEvent
from tagger.training.report import html, summary

CHECK_ONLY = ("check", "json", "fix")
HYPERPARAMETERS = (
    *("batch_size", "learning_rate", "weight_decay", "patience", "precision", "training_size"),
    *("distillation", "balance", "seed"),
)
RESUME_HINT = "Interrupted. --resume goes on from the last finished epoch, if any."


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 trained, 1 but some photos or exports failed, 2 nothing could start."""

    def program() -> int:
        arguments = sagemaker.script_options(sys.argv[1:] if argv is None else argv)
        options = parse(arguments, prog)
        return check(options) if options.check else train(options)

    return console.run(program)


def train(options: argparse.Namespace) -> int:
    """Train, write the report and print a summary."""
    try:
        trained = trainer.train(training_config(options), console.progress, write_event)
        report = html.write(trained.run_folder)
    except KeyboardInterrupt:
        console.note(RESUME_HINT)
        raise
    console.write("\n".join(map(escape_controls, [*summary.lines(trained), f"Report: {report}"])))
    return 0 if trained.evaluation.complete else 1


def write_event(event: ProgressEvent) -> None:
    """Print what an event has to say, if anything."""
    if lines := event.lines():
        console.write("\n".join(map(escape_controls, lines)))


def parse(argv: Sequence[str], prog: str | None = None) -> argparse.Namespace:
    """The options. Raises OptionError for a backbone there is not."""
    start = argparse.ArgumentParser(add_help=False)  # the other options' defaults depend on these
    start.add_argument("--backbone", default=TrainingConfig.backbone, help=", ".join(BACKBONES))
    start.add_argument(
        "--weights", help="imagenet, none, a model's name or a file; with --captions everyday"
    )
    captions = "descriptions of the photos, to learn words from: CSV, or COCO's JSON"
    start.add_argument("--captions", type=Path, metavar="FILE", help=captions)
    first, _ = start.parse_known_args(argv)
    default = default_config(first.backbone, first.weights, first.captions)
    start.set_defaults(weights=default.weights)
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Teach a tagger with labelled photos.",
        formatter_class=console.Help,
        parents=[start],
    )
    _add_files(parser, default)
    _add_recipe(parser, default)
    add = parser.add_argument
    add("--check", action="store_true", help="say what is wrong with the photos; train nothing")
    add_options(parser, prefix="with --check: ")
    options = parser.parse_args(argv)
    _refuse_unused(parser, options)
    return options


def _add_files(parser: argparse.ArgumentParser, default: TrainingConfig) -> None:
    """The options of what is read and written."""
    add = parser.add_argument
    add("--data", type=Path, default=default.data, help="folders, CSV, COCO, VOC or YOLO labels")
    held_out = "share of photos to validate on where there is no val/"
    add("--validation-share", type=float, default=default.validation_share, help=held_out)
    add("--leave-out", type=Path, metavar="FILE", help="list of photos not to train on")
    add("--merge-case", action="store_true", help=MERGE_CASE)
    nothing = "photos with none of the labels, to learn from; the labels are tags then"
    add("--none-of-these", type=Path, metavar="FOLDER", help=nothing)
    add("--unrelated", type=Path, help="photos of other things, to judge unknown by")
    add("--test", type=Path, help="labelled photos from elsewhere, to test on")
    add("--output", type=Path, default=default.output, help="model file to write")
    add("--about", default="", help="a sentence for the card: what the photos are")
    add("--export", nargs="+", default=(), metavar="FORMAT", help="such as onnx; see export.py")
    add("--runs", type=Path, default=default.runs, help="where each run keeps its folder")
    add("--resume", action="store_true", help="go on with the run that was stopped")
    add("--tensorboard", action="store_true", help="write logs for TensorBoard into the run")
    add("--workers", type=int, help="threads that decode and tag; default: one a core")


def _add_recipe(parser: argparse.ArgumentParser, default: TrainingConfig) -> None:
    """The options of how the network learns."""
    recipe, add = default.hyperparameters, parser.add_argument
    add("--image-size", type=int, default=default.image_size, help="pixels a side")
    add("--fine-tune", type=int, default=recipe.epochs, metavar="EPOCHS", help="0: head alone")
    add("--head", choices=HEAD_NAMES, help="fit it on frozen features; no fine-tuning")
    add("--batch-size", type=int, default=recipe.batch_size, help="photos a step")
    add("--learning-rate", type=float, default=recipe.learning_rate, help="at its highest")
    add("--weight-decay", type=float, default=recipe.weight_decay, help="times the learning rate")
    add("--patience", type=int, default=recipe.patience, help="epochs to wait for a better one")
    add("--precision", default=recipe.precision, help="of training: float32 or bfloat16")
    add("--training-size", type=int, help="pixels a side while training; default: --image-size")
    keep = "weight of the loss that keeps the answers of ImageNet's own network; 0: none"
    add("--distillation", type=float, default=recipe.distillation, help=keep)
    rare = "for tags, 0 to 1: at 1 photos with a tag weigh as much as all without it"
    add("--balance", type=float, default=recipe.balance, help=rare)
    right = "keep only tags that are right so often where they are said, such as 0.7"
    add("--least-precision", type=float, metavar="P", help=right)
    typical = "in --data: photos like those it will tag, by which --least-precision calibrates"
    add("--typical", metavar="FOLDER", help=typical)
    add("--seed", type=int, default=recipe.seed, help="equal seeds make equal models")


def _refuse_unused(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program if there are options that are for `--check` alone, or not for it."""
    if (options.json or options.fix) and not options.check:
        parser.error("--json and --fix go with --check")
    used_by_check = (*CHECK_ONLY, *AUDIT_OPTIONS, "backbone")
    unused = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in used_by_check and value != parser.get_default(name)
    ]
    if options.check and unused:
        parser.error(f"--check trains nothing: leave out {', '.join(unused)}")


def training_config(options: argparse.Namespace) -> TrainingConfig:
    """The training that the options describe. Raises OptionError."""
    values: dict[str, Any] = {k: v for k, v in vars(options).items() if k not in CHECK_ONLY}
    recipe = replace(
        default_config(options.backbone, options.weights).hyperparameters,
        epochs=values.pop("fine_tune"),
        **{name: values.pop(name) for name in HYPERPARAMETERS},
    )
    return TrainingConfig(hyperparameters=recipe, **values)
