"""Find photos of a folder by a description, from the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagger import console
from tagger.cli.predict import find_photos
from tagger.concurrency import check_workers, one_blas_thread, ordered_map
from tagger.errors import ImageError, NoWordsError, OptionError
from tagger.inference.registry import BUNDLED_MODEL
from tagger.inference.words import Description, Words
from tagger.tagger import Tagger
from tagger.text import count_noun, escape_controls

TOP = 10  # photos listed


@dataclass(frozen=True)
class Hit:
    """A photo and how much it looks like the description; see `inference.words.likeness`."""

    path: Path
    likeness: float


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all photos read, 1 some could not be, 2 nothing could start."""
    options = parse(argv, prog)
    return console.run(lambda: find(options))


def parse(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog or "image-tagger find",
        description="Find photos that look like a description in English, the best first.",
        formatter_class=console.Help,
    )
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="a folder of photos, or a photo")
    add("words", nargs="+", metavar="DESCRIPTION", help='as in "two dogs in the snow"')
    add("--top", type=int, default=TOP, metavar="N", help="photos listed; 0: all that look like it")
    add(
        "--model",
        metavar="NAME|FILE.h5",
        help="default: your own model if it understands descriptions, else the bundled one",
    )
    add("--workers", type=int, metavar="N", help="threads; default: one a core")
    add("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(argv)


def find(options: argparse.Namespace) -> int:
    """Compare each photo with the description, and list the best."""
    if options.top < 0:
        raise OptionError(f"--top {options.top}: give 0 (all that look like it) or more")
    if options.workers is not None:
        check_workers(options.workers)
    tagger, words = load_model(options.model)
    description = words.describe(" ".join(options.words))
    photos = find_photos([options.folder])
    if description.unknown_words:
        console.note(f"words passed over: {', '.join(description.unknown_words)}")
    cosines, errors = compare(tagger, description, photos, options.workers)
    likeness = words.likeness(description, np.array(list(cosines.values())))
    order = np.argsort(-likeness, kind="stable")
    readable = list(cosines)
    hits = [Hit(readable[row], float(likeness[row])) for row in order.tolist()]
    hits = [hit for hit in hits if hit.likeness >= words.floor]
    listed = hits[: options.top or None]
    put_out(listed, errors, options.json)
    if not options.json:
        summarize(len(hits) - len(listed), len(listed), len(photos), len(errors))
    return 1 if errors else 0


def load_model(name: str | None) -> tuple[Tagger, Words]:
    """The model named, or the default one, or else the bundled one, if it knows words.

    Raises NoWordsError, and ModelError as `Tagger.load` does.
    """
    tagger = Tagger.load(name, console.note)
    if tagger.words is None and name is None:
        tagger = Tagger.load(BUNDLED_MODEL)
    if tagger.words is None:
        raise NoWordsError(f"{tagger.name}: this model does not understand descriptions")
    return tagger, tagger.words


def compare(
    tagger: Tagger, description: Description, photos: Sequence[Path], workers: int | None
) -> tuple[dict[Path, float], list[ImageError]]:
    """The cosine of each photo with the description, and the photos that cannot be read."""

    def cosine(path: Path) -> float | ImageError:
        try:
            return float(tagger.embed(path) @ description.vector)
        except ImageError as error:
            return error

    cosines: dict[Path, float] = {}
    errors: list[ImageError] = []
    with one_blas_thread():
        results = ordered_map(cosine, photos, workers)
        progress = console.progress(results, len(photos), "Looking")
        for path, result in zip(photos, progress, strict=True):
            if isinstance(result, ImageError):
                errors.append(result)
            else:
                cosines[path] = result
    return cosines, errors


def put_out(hits: Sequence[Hit], errors: Sequence[ImageError], as_json: bool) -> None:
    """The photos, and those that cannot be read: on standard error, or as JSON beside them."""
    for hit in hits:
        line = {"path": str(hit.path), "likeness": round(hit.likeness, 4), "error": None}
        text = f"{hit.likeness:5.2f}  {escape_controls(str(hit.path))}"
        console.write(json.dumps(line) if as_json else text)
    for error in errors:
        if as_json:
            console.write(json.dumps({"path": error.source, "likeness": None, "error": str(error)}))
        else:
            console.note(str(error))


def summarize(more: int, listed: int, photos: int, unreadable: int) -> None:
    """What the list leaves open, on standard error."""
    if not listed:
        console.note(f"none of {count_noun(photos - unreadable, 'photo')} looks like that")
    if more:
        console.note(f"{more:,} more look like it: --top 0 lists all")
