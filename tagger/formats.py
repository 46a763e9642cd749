"""How a collection's labels are written down, found by looking.

Where there are several ways side by side, the first of these is read, and the others are told of:
`labels.csv`, COCO, Pascal VOC, YOLO, a table of any other name, folders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tagger import coco, folders, tables, voc, yolo
from tagger.errors import DatasetError
from tagger.images import EXTENSIONS
from tagger.listing import LAYOUT, Listing, Remark, counted, split_called
from tagger.tree import Tree


class Reader(Protocol):
    """A module that reads one way of writing labels down."""

    WRITTEN_AS: str

    def find(self, tree: Tree) -> list[Any]:
        """The files of labels; none where labels are not written this way."""

    def read(self, tree: Tree, files: list[Any]) -> Listing:
        """The photos they name. Raises DatasetError, naming file and line, for what is broken."""


Way = tuple[Reader, list[Any]]

READERS: tuple[Reader, ...] = (coco, voc, yolo)  # of annotations, in order of preference
HOLDERS = {"images", "photos", "pictures", "jpegimages", "annotations", "labels", "data"}

BESIDE = Remark(
    *("other label format", "lies beside the one read", "lie beside the one read"),
    outcome="not read",
)
LEAVING = Remark("link", "leads out of the collection", "lead out of the collection")


def read(root: Path, least: int) -> Listing:
    """The photos in `root` with their labels, at least so many of those where each photo has one.

    Raises DatasetError, saying what was found, where there are fewer.
    """
    if not root.exists():
        raise DatasetError(f"{root}: no such folder; {LAYOUT}")
    if not root.is_dir():
        raise DatasetError(f"{root}: not a folder; {LAYOUT}")
    tree, ways = _look(root)
    if not ways:
        found = folders.read(root)
    else:
        (reader, files), *rest = ways
        found = reader.read(tree, files)
        beside = [other.WRITTEN_AS for other, _ in rest]
        listed = {sample.path for sample in found.samples} | found.told
        if len(_label_folders(p for p in tree.photos if tree.path(p) not in listed)) > 1:
            beside.append(folders.WRITTEN_AS)
        found = _remarked(found, BESIDE, beside)
    found = _remarked(found, LEAVING, tree.leaving)
    least = least if found.kind == "single" else 1
    if len(found.names) < least or not found.samples:
        raise DatasetError(_too_little(root, found, least))
    return found


def _look(root: Path) -> tuple[Tree, list[Way]]:
    """The ways labels are written in a folder, in order; if none, in the only folder it holds."""
    tree = Tree(root)
    ways: list[Way] = [(reader, files) for reader in READERS if (files := reader.find(tree))]
    if sheets := tables.find(tree):
        first = tables.is_named(sheets)
        others = ways or len(_label_folders(tree.photos)) > 1
        doubtful = tables.is_doubtful(sheets) or tables.is_stray(tree, sheets)
        if first or not (others and doubtful):
            ways.insert(0 if first else len(ways), (tables, sheets))
    inner = [place for place in tree.folders if "/" not in place]
    if not ways and len(inner) == 1 and not any("/" not in place for place in tree.photos):
        below, found = _look(root / inner[0])
        return (below, found) if found else (tree, [])
    return tree, ways


def _label_folders(places: Iterable[str]) -> set[str]:
    """Folders at the top with photos, named for neither a split nor for what they hold."""
    tops = {place.split("/")[0] for place in places if "/" in place}
    return {top for top in tops if top.lower() not in HOLDERS and split_called(top) is None}


def _remarked(found: Listing, remark: Remark, names: list[str]) -> Listing:
    if not names:
        return found
    return replace(found, remarks=(*found.remarks, replace(remark, names=tuple(names))))


def _too_little(root: Path, found: Listing, least: int) -> str:
    read = "" if found.written_as == folders.WRITTEN_AS else f" by {found.written_as}"
    inside = "" if read else f" in {counted(folders.count_label_folders(root), 'folder')},"
    told = "; ".join(remark.sentence() for remark in found.remarks)
    return (
        f"{root}/: found {counted(len(found.samples), 'photo')}{read or inside}"
        f"{',' if read else ''} {counted(len(found.names), 'label')}"
        f"{f' ({told})' if told else ''}; needs at least {counted(least, 'label')}:"
        f" {LAYOUT}; looked for {' '.join(sorted(EXTENSIONS))}"
    )
