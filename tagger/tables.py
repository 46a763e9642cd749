"""Labels as a table: a CSV with a row for each photo, and a column for each tag."""

from __future__ import annotations

import csv
from pathlib import Path

from tagger.errors import DatasetError
from tagger.listing import SPLIT_NAMES, Listing
from tagger.splits import Sample

NAME = "labels.csv"
IMAGE, SPLIT = "image", "split"
_CELLS = {"1": True, "0": False, "": None}  # present, absent, nobody looked


def read(table: Path) -> Listing:
    """The photos a table names, with their tags."""
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise DatasetError(f"{table}: no rows")
    names = tuple(sorted(set(rows[0]) - {IMAGE, SPLIT}))
    samples = []
    for row in rows:
        said = [_CELLS[row[name].strip()] for name in names]
        present = tuple(i for i, known in enumerate(said) if known)
        unseen = tuple(i for i, known in enumerate(said) if known is None)
        split = SPLIT_NAMES.get((row.get(SPLIT) or "train").lower(), "train")
        samples.append(Sample(table.parent / row[IMAGE], present, split, unseen=unseen))
    return Listing("CSV", names, "multi", tuple(samples))
