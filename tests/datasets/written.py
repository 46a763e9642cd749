"""Labels written down by the tests in each format, for the library to read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from tagger.datasets.readers.listing import Listing

Photos = Mapping[str, set[str]]  # tags by place, such as "images/train/a.jpg"
Read = dict[str, tuple[set[str], set[str], str]]


def put(root: Path, *places: str) -> None:
    """Photos by their names alone: reading labels opens none."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()


def content(found: Listing, root: Path) -> Read:
    """Tags present and unseen, and the split, by photo."""
    return {
        sample.path.relative_to(root).as_posix(): (
            {found.names[label] for label in sample.present},
            {found.names[label] for label in sample.unseen},
            sample.split,
        )
        for sample in found.samples
    }


def present(found: Listing, root: Path) -> dict[str, set[str]]:
    return {place: tags for place, (tags, _, _) in content(found, root).items()}


def sentences(found: Listing) -> list[str]:
    return [remark.sentence() for remark in found.remarks]


def save(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def coco(photos: Photos, names: list[str]) -> dict[str, list[dict[str, object]]]:
    """COCO's three lists, every object twice, as things stand twice in photos."""
    numbers = {name: 10 + 3 * number for number, name in enumerate(names)}
    images = {place: 1000 + number for number, place in enumerate(photos)}
    return {
        "images": [
            {"id": number, "file_name": Path(place).name, "height": 9, "width": 9}
            for place, number in images.items()
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": images[place],
                "category_id": numbers[tag],
                "segmentation": [[1.5, 2.5, 3.5]],
                "iscrowd": crowd,
                "bbox": [1, 2, 3, 4],
            }
            for place, tags in photos.items()
            for tag in sorted(tags)
            for crowd in (0, 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }


def write_coco(path: Path, photos: Photos, names: list[str]) -> Path:
    return save(path, json.dumps({"info": {}, **coco(photos, names)}))


def voc(place: str, tags: set[str], difficult: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """The XML of a photo; each object has a part of a name that is no tag."""
    objects = "".join(
        f"<object><name>{escape(tag)}</name><difficult>{int(tag in difficult)}</difficult>"
        "<part><name>a part</name></part><bndbox><xmin>1</xmin></bndbox></object>"
        for tag in sorted(tags)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotation><folder>x</folder>'
        f"<filename>{escape(Path(place).name)}</filename>{objects}</annotation>"
    )


def write_voc(root: Path, photos: Photos) -> None:
    for place, tags in photos.items():
        save(root / "Annotations" / f"{Path(place).stem}.xml", voc(place, tags))


def write_yolo(root: Path, photos: Photos, names: list[str]) -> None:
    """Files of labels for photos in images/; none for a photo without a tag."""
    for place, tags in photos.items():
        if tags:
            lines = (f"{names.index(tag)} 0.5 0.5 0.1 0.1\n" for tag in sorted(tags))
            label = place.replace("images/", "labels/", 1)
            save((root / label).with_suffix(".txt"), "".join(lines))
