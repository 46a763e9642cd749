"""A prediction, or the error in its place, put into words: text, a JSON object, a table's row."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tagger.datasets.readers import table as tables
from tagger.datasets.readers.table_file import PREDICTION_HEADER
from tagger.errors import ImageError, OptionError
from tagger.tagger import Prediction, Tagger
from tagger.text import escape_controls, escape_formula

Answer = Prediction | ImageError


def as_text(answer: Answer, tagger: Tagger) -> str:
    """A few lines for a photo on its own."""
    if isinstance(answer, ImageError):
        return str(answer)
    if answer.label is not None:
        others = [f"{tag.label} {tag.score:.2%}" for tag in answer.tags[1:]]
        told = f"Prediction: {answer.label.upper()}\nConfidence: {answer.confidence:.2%}"
        return f"{told}\nAlso: {', '.join(others)}" if others else told
    told = f"⚠️ Unknown object ({tagger.labels.describe_rest()})"
    if answer.reason == "uncertain":
        return f"{told}\nConfidence was only {answer.confidence:.2%}"
    guess = f"{answer.scores[0].label}, {answer.confidence:.2%}"
    return f"{told}\nUnlike every training photo (best guess: {guess})"


def as_line(path: Path, answer: Answer, tagger: Tagger) -> str:
    """One line for one photo of many."""
    if isinstance(answer, ImageError):
        return str(answer)
    name = escape_controls(str(path))
    if answer.label is not None:
        others = "".join(f", {tag.label} {tag.score:.2%}" for tag in answer.tags[1:])
        return f"{name}: {answer.label.upper()} {answer.confidence:.2%}{others}"
    return f"{name}: {': '.join(as_text(answer, tagger).splitlines())}"


def as_row(path: Path, answer: Answer, tagger: Tagger) -> dict[str, Any]:
    """Plain JSON values, with `error` and `model`; what an error leaves open is None."""
    if isinstance(answer, ImageError):
        found = dict.fromkeys([*PREDICTION_HEADER[1:], "scores"])
        return {"path": str(path), **found, "error": str(answer), "model": tagger.name}
    return {"path": str(path), **answer.to_dict(), "error": None, "model": tagger.name}


def as_json(path: Path, answer: Answer, tagger: Tagger) -> str:
    """`as_row` on one line, in ASCII: safe on any terminal whatever the file's name."""
    return json.dumps(as_row(path, answer, tagger))


@contextmanager
def table(
    target: Path, tagger: Tagger, top: int | None
) -> Iterator[Callable[[Path, Answer], None]]:
    """A function that adds a row to a CSV file.

    The file appears at the end, whole; after Ctrl-C it holds the rows so far; after any other
    trouble it is what it was.
    """
    if target.is_dir():
        raise OptionError(f"{target}: a folder; name a file for the table")
    places = range(min(top or len(tagger.labels), len(tagger.labels)))
    ranked = [f"{what} {place + 1}" for what in ("label", "score") for place in places]
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow([*PREDICTION_HEADER, *ranked, "error", "model"])

        def add(path: Path, answer: Answer) -> None:
            row = as_row(path, answer, tagger)
            scores = [*(row["scores"] or ()), *[{"label": "", "score": ""}] * len(places)]
            row["tags"] = tables.join_tags([tag["label"] for tag in row["tags"] or ()])
            cells = [row[name] for name in PREDICTION_HEADER]
            cells += [scores[place]["label"] for place in places]
            cells += [scores[place]["score"] for place in places]
            writer.writerow([escape_formula(cell) for cell in [*cells, row["error"], row["model"]]])

        try:
            yield add
        except KeyboardInterrupt:
            file.close()
            os.replace(temporary, target)
            raise
        except BaseException:
            file.close()
            temporary.unlink()
            raise
    os.replace(temporary, target)
