"""Predictions and image errors as text, JSON lines and CSV rows."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tagger.datasets.readers import table
from tagger.datasets.readers.table_file import PREDICTION_HEADER
from tagger.errors import ImageError, OptionError
from tagger.tagger import Prediction, Tagger
from tagger.text import BYTE_ORDER_MARK, escape_controls, escape_formula

Answer = Prediction | ImageError


def as_text(answer: Answer, tagger: Tagger) -> str:
    """The lines for a single photo. No name in them makes a line of its own."""
    lines = _lines(answer, tagger)
    if isinstance(answer, Prediction) and answer.squares > 1:
        lines.append(f"Panorama: looked at in {answer.squares} squares")
    return "\n".join(map(escape_controls, lines))


def _lines(answer: Answer, tagger: Tagger) -> list[str]:
    if isinstance(answer, ImageError):
        return [str(answer)]
    if answer.label is not None:
        more = ", ".join(f"{tag.label} {tag.score:.2%}" for tag in answer.tags[1:])
        return [
            f"Prediction: {answer.label.upper()}",
            f"Confidence: {answer.confidence:.2%}",
            *([f"Also: {more}"] if more else []),
        ]
    unknown = f"⚠️ Unknown object ({tagger.labels.describe_rest()})"
    if answer.reason == "uncertain":
        return [unknown, f"Confidence was only {answer.confidence:.2%}"]
    guess = f"{answer.scores[0].label}, {answer.confidence:.2%}"
    return [unknown, f"Unlike every training photo (best guess: {guess})"]


def as_line(path: Path, answer: Answer, tagger: Tagger) -> str:
    """One line for one photo of many."""
    if isinstance(answer, ImageError):
        return escape_controls(str(answer))
    squares = f" (panorama, {answer.squares} squares)" if answer.squares > 1 else ""
    if answer.label is not None:
        more = "".join(f", {tag.label} {tag.score:.2%}" for tag in answer.tags[1:])
        text = f"{path}: {answer.label.upper()} {answer.confidence:.2%}{more}"
    else:
        text = f"{path}: {': '.join(_lines(answer, tagger))}"
    return escape_controls(f"{text}{squares}")


def as_row(path: Path, answer: Answer, tagger: Tagger) -> dict[str, Any]:
    """JSON values by column. For an error, only `path`, `error` and `model` are not None."""
    if isinstance(answer, ImageError):
        empty = dict.fromkeys([*PREDICTION_HEADER[1:], "scores"])
        return {"path": str(path), **empty, "error": str(answer), "model": tagger.name}
    return {"path": str(path), **answer.to_dict(), "error": None, "model": tagger.name}


def as_json(path: Path, answer: Answer, tagger: Tagger) -> str:
    """`as_row` on one line, in ASCII: safe on any terminal whatever the file name."""
    return json.dumps(as_row(path, answer, tagger))


@contextmanager
def write_csv(
    target: Path, tagger: Tagger, top: int | None, bom: bool = False
) -> Iterator[Callable[[Path, Answer], None]]:
    """Yield a function that adds a row to a CSV file.

    The file appears at the end, whole. After Ctrl-C it holds the rows so far; after any other
    failure, what it held before. With `bom` it begins with a byte order mark, as Excel needs it to
    read UTF-8. Raises OptionError where `target` is a folder.
    """
    if target.is_dir():
        raise OptionError(f"{target}: a folder; name a file for the table")
    ranks = range(min(top or len(tagger.labels), len(tagger.labels)))
    ranked = [f"{column} {rank + 1}" for column in ("label", "score") for rank in ranks]
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        if bom:
            file.write(BYTE_ORDER_MARK)
        writer = csv.writer(file)
        writer.writerow([*PREDICTION_HEADER, *ranked, "error", "model"])

        def add_row(path: Path, answer: Answer) -> None:
            row = as_row(path, answer, tagger)
            scores = [*(row["scores"] or ()), *[{"label": "", "score": ""}] * len(ranks)]
            row["tags"] = table.join_tags([tag["label"] for tag in row["tags"] or ()])
            cells = [row[name] for name in PREDICTION_HEADER]
            cells += [scores[rank]["label"] for rank in ranks]
            cells += [scores[rank]["score"] for rank in ranks]
            writer.writerow([escape_formula(cell) for cell in [*cells, row["error"], row["model"]]])

        try:
            yield add_row
        except KeyboardInterrupt:
            file.close()
            os.replace(temporary, target)
            raise
        except BaseException:
            file.close()
            temporary.unlink()
            raise
    os.replace(temporary, target)
