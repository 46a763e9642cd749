"""The console script `image-tagger`: one name for every program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

# A module is imported when its program is asked for: teaching loads TensorFlow, tagging does not.
PROGRAMS = {
    "train": ("tagger.cli.train", "teach a tagger with labelled photos"),
    "check": ("tagger.cli.check", "say what is wrong with labelled photos"),
    "predict": ("tagger.cli.predict", "tag photos"),
    "find": ("tagger.cli.find", "find photos of a folder by a description"),
    "export": ("tagger.cli.export", "export a model to other runtimes"),
    "serve": ("tagger.service.app", "tag photos over HTTP"),
    "samples": ("tagger.cli.samples", "write four sample photos"),
    "app": ("tagger.cli.app", "open the app in a browser"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program named first with the options that follow; its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    described = "\n".join(f"  {name:8} {summary}" for name, (_, summary) in PROGRAMS.items())
    parser = argparse.ArgumentParser(
        prog="image-tagger",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Teach a tagger, tag photos, find them again.\n\n{described}",
        epilog="image-tagger PROGRAM --help lists a program's options.",
    )
    parser.add_argument("program", choices=PROGRAMS, metavar="PROGRAM")
    program = parser.parse_args(arguments[:1]).program
    module = import_module(PROGRAMS[program][0])
    status: int = module.main(arguments[1:], f"image-tagger {program}")
    return status


if __name__ == "__main__":
    sys.exit(main())
