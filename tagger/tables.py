"""Labels as a table: a CSV with a row for each photo, and one label or a column for each tag."""

from __future__ import annotations

import csv
from pathlib import Path

from tagger.cells import meant
from tagger.errors import DatasetError
from tagger.listing import SPLIT_NAMES, Listing
from tagger.splits import Sample

NAME = "labels.csv"
IMAGE, SPLIT, LABEL = "image", "split", "label"
_CELLS = {"1": True, "0": False, "": None}  # present, absent, nobody looked


def read(table: Path) -> Listing:
    """The photos a table names, with their tags."""
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise DatasetError(f"{table}: no rows")
    if LABEL in rows[0]:
        return _labelled(table.parent, rows)
    names = tuple(sorted(set(rows[0]) - {IMAGE, SPLIT}))
    samples = []
    for row in rows:
        said = [_CELLS[row[name].strip()] for name in names]
        present = tuple(i for i, known in enumerate(said) if known)
        unseen = tuple(i for i, known in enumerate(said) if known is None)
        samples.append(Sample(table.parent / row[IMAGE], present, _split(row), unseen=unseen))
    return Listing("CSV", names, "multi", tuple(samples))


def _labelled(folder: Path, rows: list[dict[str, str]]) -> Listing:
    """The photos with one label each, as the library's exports name them."""
    said = [meant(row[LABEL] or "") for row in rows]
    names = tuple(sorted(set(said)))
    samples = tuple(
        Sample(folder / row[IMAGE], (names.index(label),), _split(row))
        for row, label in zip(rows, said, strict=True)
    )
    return Listing("CSV", names, "single", samples)


def _split(row: dict[str, str]) -> str:
    return SPLIT_NAMES.get((row.get(SPLIT) or "train").lower(), "train")
