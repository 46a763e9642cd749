"""Tag photos: labels, scores, and "unknown" where the model does not know.

python predict.py photo.jpg
python predict.py holiday/ --csv tags.csv
python predict.py photo.jpg --model pets --heatmap why.png
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tagger import terminal
from tagger.errors import ImageError, OptionError, TaggerError
from tagger.images import EXTENSIONS, encode, walk
from tagger.tagger import Prediction, Tagger

COLUMNS = ["path", "label", "confidence", "unknown", "reason", "ood_score", "tags"]


def main() -> int:
    """Exit status: 0 all tagged, 1 some could not be read, 2 nothing could start."""
    options = parse()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with terminal.quiet_libraries():
        try:
            return run(options)
        except BrokenPipeError:  # whoever read our output has had enough of it
            return terminal.hang_up()
        except (TaggerError, OSError) as error:
            return terminal.refuse(error)
        except KeyboardInterrupt:
            return terminal.INTERRUPTED


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tag photos, or say that they are unknown.")
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="photos, or folders of photos")
    add("--model", metavar="NAME|FILE.h5", help="default: your own model, else the bundled one")
    add("--top", type=int, default=5, metavar="K", help="scores to list; 0: every label's")
    add("--threshold", type=float, metavar="P", help="probability, 0 to 1, that a label needs")
    add("--workers", type=int, metavar="N", help="threads; default: one a core")
    add("--heatmap", type=Path, metavar="FILE.png", help="write one photo with what counted")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", type=Path, metavar="FILE", help="write a table")
    return parser.parse_args()


def run(options: argparse.Namespace) -> int:
    photos = find_photos(options.paths)
    single = len(photos) == 1 and not os.path.isdir(options.paths[0])
    if options.heatmap and not single:
        raise OptionError(f"--heatmap takes one photo; got {len(photos)}")
    if options.workers is not None and options.workers < 1:
        raise OptionError(f"--workers {options.workers}: give 1 or more")
    if options.top < 0:
        raise OptionError(f"--top {options.top}: give 0 (every label) or more")
    tagger = Tagger.load(options.model)
    found = tagger.tag_many(
        photos, top=options.top or None, threshold=options.threshold, workers=options.workers
    )
    failed = 0
    with answers(options, tagger, single) as write:
        shown = found if single else terminal.progress(found, len(photos), "Tagging")
        for path, answer in zip(photos, shown, strict=True):
            write(path, answer)
            failed += isinstance(answer, ImageError)
    if options.heatmap and not failed:
        options.heatmap.write_bytes(encode(tagger.heatmap(photos[0])))
    return 1 if failed else 0


def find_photos(paths: list[str]) -> list[Path]:
    """Files as given, and the photos in folders."""
    photos = []
    for path in map(Path, paths):
        photos.extend(walk(path) if path.is_dir() else [path])
    if not photos:
        raise OptionError(
            f"{', '.join(paths)}: found 0 photos; looked for {' '.join(sorted(EXTENSIONS))}"
        )
    return photos


@contextmanager
def answers(options: argparse.Namespace, tagger: Tagger, single: bool) -> Iterator[Any]:
    """A function that puts out one photo's answer, in the form asked for."""
    if options.csv:
        with csv_answers(options.csv, tagger, options.top) as write:
            yield write
    elif options.json:
        yield lambda path, answer: terminal.write_line(
            json.dumps(as_row(path, answer, tagger), ensure_ascii=False)
        )
    else:
        yield lambda path, answer: terminal.write_line(
            as_text(answer, tagger) if single else as_line(path, answer, tagger)
        )


def as_row(path: Path, answer: Prediction | ImageError, tagger: Tagger) -> dict[str, Any]:
    if isinstance(answer, ImageError):
        empty = dict.fromkeys([*COLUMNS[1:], "scores"])
        return {"path": str(path), **empty, "error": str(answer), "model": tagger.name}
    return {"path": str(path), **answer.to_dict(), "error": None, "model": tagger.name}


def as_text(answer: Prediction | ImageError, tagger: Tagger) -> str:
    """Two lines for a photo on its own."""
    if isinstance(answer, ImageError):
        return terminal.printable(str(answer))
    if answer.label is not None:
        return f"Prediction: {answer.label.upper()}\nConfidence: {answer.confidence:.2%}"
    told = f"⚠️ Unknown object ({tagger.labels.describe_rest()})\n"
    if answer.reason == "uncertain":
        return told + f"Confidence was only {answer.confidence:.2%}"
    guess = f"{answer.scores[0].label}, {answer.confidence:.2%}"
    return told + f"Unlike every training photo (best guess: {guess})"


def as_line(path: Path, answer: Prediction | ImageError, tagger: Tagger) -> str:
    """The same on one line, for one photo of many."""
    if isinstance(answer, ImageError):
        return terminal.printable(f"{answer}")
    text = as_text(answer, tagger).replace("Prediction: ", "").replace("\nConfidence:", "")
    return f"{terminal.printable(str(path))}: {text.replace(chr(10), ': ')}"


@contextmanager
def csv_answers(target: Path, tagger: Tagger, top: int) -> Iterator[Any]:
    """Rows to a file that appears when it is whole, or holds what was done before Ctrl-C."""
    places = range(1, min(top or len(tagger.labels), len(tagger.labels)) + 1)
    ranked = [f"{what} {place}" for what in ("label", "score") for place in places]
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *ranked, "error", "model"])

        def write(path: Path, answer: Prediction | ImageError) -> None:
            row = as_row(path, answer, tagger)
            scores, tags = row["scores"] or (), row["tags"] or ()
            row["tags"] = "|".join(tag["label"] for tag in tags)
            missing = [""] * (len(places) - len(scores))
            labels = [score["label"] for score in scores] + missing
            values = [score["score"] for score in scores] + missing
            cells = [row[name] for name in COLUMNS] + labels + values
            writer.writerow([harmless(cell) for cell in [*cells, row["error"], row["model"]]])

        try:
            yield write
        finally:
            file.flush()
            os.replace(temporary, target)


def harmless(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell


if __name__ == "__main__":
    sys.exit(main())
