"""How a collection's labels are written down, found by looking.

Where there are several ways side by side, the first of these is read, and the others are told of:
`labels.csv`, COCO, Pascal VOC, YOLO, a table of any other name, folders. What cannot be read, or
leads to no labelled photos, may be some other file: the next way is read, unless a table is called
`labels.csv`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tagger.datasets.readers import coco, folders, pascal_voc, table, yolo
from tagger.datasets.readers.listing import LAYOUT, Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.images.decode import EXTENSIONS
from tagger.text import count_noun


class Reader(Protocol):
    """A module that reads one way of writing labels down."""

    WRITTEN_AS: str

    def find(self, tree: PhotoIndex) -> list[Any]:
        """The files of labels; none where labels are not written this way."""

    def read(self, tree: PhotoIndex, files: list[Any]) -> Listing:
        """The photos they name. Raises DatasetError, naming file and line, for what is broken."""


Way = tuple[Reader, list[Any] | DatasetError]  # files, or why they cannot be understood

READERS: tuple[Reader, ...] = (coco, pascal_voc, yolo)  # of annotations, in order of preference
HOLDERS = {"images", "photos", "pictures", "jpegimages", "annotations", "labels", "data"}

BESIDE = Remark(
    *("other label format", "lies beside the one read", "lie beside the one read"),
    outcome="not read",
)
USELESS = Remark("label format", "leads to no labelled photos", "lead to no labelled photos")
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
    useless: dict[str, DatasetError] = {}
    for number, way in enumerate(ways):
        try:
            found = _enough(root, _remarked(_read(way, tree), LEAVING, tree.outside_links), least)
        except DatasetError as error:
            if _is_meant(way):
                raise
            useless[way[0].WRITTEN_AS] = error
            continue
        beside = [reader.WRITTEN_AS for reader, _ in ways[number + 1 :]]
        if _folders_differ(tree, found):
            beside.append(folders.WRITTEN_AS)
        return _without(useless, _remarked(found, BESIDE, beside))
    found = _remarked(folders.read(root), LEAVING, tree.outside_links)
    if useless and len(_as_labels(found.names)) < least:
        raise next(iter(useless.values()))
    return _without(useless, _enough(root, found, least))


def _look(root: Path) -> tuple[PhotoIndex, list[Way]]:
    """The ways labels are written in a folder, in order; if none, in the only folder it holds."""
    tree = PhotoIndex(root)
    ways: list[Way] = [(reader, files) for reader in READERS if (files := _found(reader, tree))]
    if sheets := table.find(tree):
        first = table.is_named(sheets)
        others = ways or len(_label_folders(tree.photos)) > 1
        doubtful = table.is_doubtful(sheets) or table.is_stray(tree, sheets)
        if first or not (others and doubtful):
            ways.insert(0 if first else len(ways), (table, sheets))
    inner = [place for place in tree.folders if "/" not in place]
    if not ways and len(inner) == 1 and not any("/" not in place for place in tree.photos):
        below, found = _look(root / inner[0])
        return (below, found) if found else (tree, [])
    return tree, ways


def _found(reader: Reader, tree: PhotoIndex) -> list[Any] | DatasetError:
    try:
        return reader.find(tree)
    except DatasetError as error:
        return error


def _read(way: Way, tree: PhotoIndex) -> Listing:
    reader, files = way
    if isinstance(files, DatasetError):
        raise files
    return reader.read(tree, files)


def _is_meant(way: Way) -> bool:
    """Whether nobody can doubt that these are the labels, however little comes of them."""
    reader, files = way
    return reader is table and not isinstance(files, DatasetError) and table.is_named(files)


def _enough(root: Path, found: Listing, least: int) -> Listing:
    """A listing to learn from. Raises DatasetError where it is none."""
    least = least if found.kind == "single" else 1
    if len({label for sample in found.samples for label in sample.present}) < least:
        raise DatasetError(_too_little(root, found, least))
    return found


def _without(useless: Mapping[str, DatasetError], found: Listing) -> Listing:
    """A listing that tells of ways which came to nothing."""
    remark = replace(USELESS, outcome=f"{', '.join(useless)} not read")
    return _remarked(found, remark, [f"{way}: {error}" for way, error in useless.items()])


def _folders_differ(tree: PhotoIndex, found: Listing) -> bool:
    """Whether folders seem to be labels of half the photos or more, other than those they have."""
    tags = {s.path: {found.names[label] for label in s.present} for s in found.samples}
    tops = Counter(
        place.split("/")[0]
        for place in tree.photos
        if "/" in place and place.split("/")[0] not in tags.get(tree.absolute(place), ())
    )
    labels = _as_labels(tops)
    return len(labels) > 1 and 2 * sum(tops[label] for label in labels) >= len(tree.photos)


def _label_folders(places: Iterable[str]) -> set[str]:
    """Folders at the top with photos that may be labels."""
    return _as_labels({place.split("/")[0] for place in places if "/" in place})


def _as_labels(names: Iterable[str]) -> set[str]:
    """Those of the folders that are named for neither a split nor for what they hold."""
    return {n for n in names if n.lower() not in HOLDERS and split_named(n) is None}


def _remarked(found: Listing, remark: Remark, names: list[str]) -> Listing:
    if not names:
        return found
    return replace(found, remarks=(*found.remarks, replace(remark, names=tuple(names))))


def _too_little(root: Path, found: Listing, least: int) -> str:
    read = "" if found.label_format == folders.WRITTEN_AS else f" by {found.label_format}"
    inside = "" if read else f" in {count_noun(folders.count_label_folders(root), 'folder')},"
    told = "; ".join(remark.sentence() for remark in found.remarks)
    return (
        f"{root}/: found {count_noun(len(found.samples), 'photo')}{read or inside}"
        f"{',' if read else ''} {count_noun(len(found.names), 'label')}"
        f"{f' ({told})' if told else ''}; needs at least {count_noun(least, 'label')}:"
        f" {LAYOUT}; looked for {' '.join(sorted(EXTENSIONS))}"
    )
