"""Check labelled photos without training: `train.py --check` and `image-tagger check`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tagger import console
from tagger.audit import audit
from tagger.audit.audit import AuditConfig
from tagger.text import count_noun

LEAVE_OUT = Path("leave-out.csv")  # the list that --fix writes unless it names another file
MERGE_CASE = "labels that differ in case alone, such as Cat and cat, are one"
AUDIT_OPTIONS = (
    "data",
    "weights",
    "image_size",
    "leave_out",
    "validation_share",
    "seed",
    "workers",
    "merge_case",
)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all of it can be trained on, 1 some or none of it, 2 nothing could start."""
    return console.run(lambda: check(parse(argv, prog)))


def parse(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    default = AuditConfig()
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Say what is wrong with labelled photos.",
        formatter_class=console.Help,
    )
    add = parser.add_argument
    add("--data", type=Path, default=default.data, help="folders, CSV, COCO, VOC or YOLO labels")
    add("--weights", default=default.weights, help="imagenet, none, a model's name or a file")
    add("--image-size", type=int, default=default.image_size, help="pixels a side")
    held_out = "share of photos to validate on where there is no val/"
    add("--validation-share", type=float, default=default.validation_share, help=held_out)
    add("--seed", type=int, default=default.seed, help="equal seeds make equal splits")
    add("--workers", type=int, help="threads that decode and tag; default: one a core")
    add("--leave-out", type=Path, metavar="FILE", help="list of photos to pass over")
    add("--merge-case", action="store_true", help=MERGE_CASE)
    add_options(parser)
    return parser.parse_args(argv)


def add_options(parser: argparse.ArgumentParser, prefix: str = "") -> None:
    """The options of checking alone, which `train.py --check` has too."""
    fix = f"{prefix}write a list of what to leave out"
    parser.add_argument("--json", action="store_true", help=f"{prefix}as JSON")
    parser.add_argument("--fix", type=Path, nargs="?", const=LEAVE_OUT, metavar="FILE", help=fix)


def check(options: argparse.Namespace) -> int:
    """Print what is wrong with the photos; exit status 1 where some cannot be trained on."""
    config = AuditConfig(**{name: getattr(options, name) for name in AUDIT_OPTIONS})
    try:
        report = audit.run_audit(config, console.progress, console.remark)
    except KeyboardInterrupt:
        console.note("Interrupted.")
        raise
    console.write(json.dumps(report.to_dict(), indent=2) if options.json else report.text())
    findings = report.findings
    if options.fix:
        photos = count_noun(findings.write_list(options.fix), "photo")
        console.remark(f"{options.fix}: {photos} to leave out; look it over, then --leave-out it")
    return 1 if report.training_obstacle or report.collection.problems.unread else 0
