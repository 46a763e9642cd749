"""How a collection's labels are written down, found by looking: a table, or folders."""

from __future__ import annotations

from pathlib import Path

from tagger import folders, tables
from tagger.errors import DatasetError
from tagger.images import EXTENSIONS
from tagger.listing import LAYOUT, Listing, counted


def read(root: Path, least: int) -> Listing:
    """The photos in `root` with their labels, at least so many of those where each photo has one.

    Raises DatasetError, saying what was found, where there are fewer.
    """
    if not root.exists():
        raise DatasetError(f"{root}: no such folder; {LAYOUT}")
    if not root.is_dir():
        raise DatasetError(f"{root}: not a folder; {LAYOUT}")
    table = root / tables.NAME
    found = tables.read(table) if table.is_file() else folders.read(root)
    least = least if found.kind == "single" else 1
    if len(found.names) < least:
        raise DatasetError(
            f"{root}/: found {counted(len(found.samples), 'photo')} in"
            f" {counted(folders.count_label_folders(root), 'folder')},"
            f" {counted(len(found.names), 'label')}; needs at least {counted(least, 'label')}:"
            f" {LAYOUT}; looked for {' '.join(sorted(EXTENSIONS))}"
        )
    return found
