"""Label files in each format, and what a listing contains, for the tests of the readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from tagger.datasets.readers.listing import Listing

Photos = Mapping[str, set[str]]  # tags by path: "images/train/a.jpg"
Contents = dict[str, tuple[set[str], set[str], str]]


def touch(root: Path, *paths: str) -> None:
    """Empty files: readers of labels open no photo."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def contents(listing: Listing, root: Path) -> Contents:
    """The present tags, unseen tags and split of each photo."""
    return {
        sample.path.relative_to(root).as_posix(): (
            {listing.names[label] for label in sample.present},
            {listing.names[label] for label in sample.unseen},
            sample.split,
        )
        for sample in listing.samples
    }


def tags_of(listing: Listing, root: Path) -> dict[str, set[str]]:
    return {path: tags for path, (tags, _, _) in contents(listing, root).items()}


def sentences(listing: Listing) -> list[str]:
    return [remark.sentence() for remark in listing.remarks]


def write_file(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def coco(photos: Photos, names: list[str]) -> dict[str, list[dict[str, object]]]:
    """COCO's three lists, each tag with two objects."""
    numbers = {name: 10 + 3 * number for number, name in enumerate(names)}
    images = {path: 1000 + number for number, path in enumerate(photos)}
    return {
        "images": [
            {"id": number, "file_name": Path(path).name, "height": 9, "width": 9}
            for path, number in images.items()
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": images[path],
                "category_id": numbers[tag],
                "segmentation": [[1.5, 2.5, 3.5]],
                "iscrowd": crowd,
                "bbox": [1, 2, 3, 4],
            }
            for path, tags in photos.items()
            for tag in sorted(tags)
            for crowd in (0, 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }


def write_coco(path: Path, photos: Photos, names: list[str]) -> Path:
    return write_file(path, json.dumps({"info": {}, **coco(photos, names)}))


def voc(path: str, tags: set[str], difficult: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """The XML of a photo; each object has a part whose name is no tag."""
    objects = "".join(
        f"<object><name>{escape(tag)}</name><difficult>{int(tag in difficult)}</difficult>"
        "<part><name>a part</name></part><bndbox><xmin>1</xmin></bndbox></object>"
        for tag in sorted(tags)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotation><folder>x</folder>'
        f"<filename>{escape(Path(path).name)}</filename>{objects}</annotation>"
    )


def write_voc(root: Path, photos: Photos) -> None:
    for path, tags in photos.items():
        write_file(root / "Annotations" / f"{Path(path).stem}.xml", voc(path, tags))


def write_yolo(root: Path, photos: Photos, names: list[str]) -> None:
    """Label files of photos in images/, except of photos without tags."""
    for path, tags in photos.items():
        if tags:
            lines = (f"{names.index(tag)} 0.5 0.5 0.1 0.1\n" for tag in sorted(tags))
            label = path.replace("images/", "labels/", 1)
            write_file((root / label).with_suffix(".txt"), "".join(lines))
