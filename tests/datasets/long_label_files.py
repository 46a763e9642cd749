"""Label files as long as they may be, and longer: `bench/label_files.py` measures the seconds."""

from __future__ import annotations

from pathlib import Path

from tagger.datasets.readers import detect
from tagger.errors import TaggerError
from tests.datasets.label_files import touch, write_file


def numbered(template: str, count: int) -> str:
    return "".join(template.format(n=n, few=n % 50) for n in range(count))


# By name: what is in the file, and what has to become of it.
LONG_TABLES = {
    "rows": ("image,label\n" + numbered("{few}.jpg,l{few}\n", 100_000), "50 photos, 50 labels"),
    "foreign": (
        "image,label\n" + numbered("C:\\x\\{n}.jpg,l{few}\n", 100_000),
        "50 photos, 50 labels",
    ),
    "missing": ("image,label\n" + numbered("x/{few}.png,l\n", 100_000), "found 0 photos by CSV"),
    "names": (
        "image,tags\n" + numbered("{few}.jpg,name {n}\n", 100_000),
        "50 photos, 100000 labels",
    ),
    "words": (
        "image,tags\n" + numbered("{few}.jpg,a{few} b\n", 100_000) + "1.jpg,a1\n",
        "50 photos, 51",
    ),
    "columns": ("image," + numbered("t{n},", 200_000), "200,002 columns; a table may have 25,000"),
    "blank columns": ("image,label" + "," * 200_000 + "\n", "200,002 columns"),
    "twins": ("image," + "t," * 200_000, "200,002 columns"),
    "one line": ("x" * 9_000_000, "line 1: not a row of a table"),
    "contradicting": (
        "image,label,confidence\n" + numbered("{few}.jpg,l{few},0.{n}\n", 100_000),
        "50 photos, 50 labels",
    ),
}
LONG_YAML = {
    "names": ("names:\n" + numbered("- name {n}\n", 60_000), "50 photos, 60000 labels"),
    "photos": (
        "names: [a, b]\ntrain:\n" + numbered("- images/{few}.jpg\n", 50_000),
        "50 photos, 2",
    ),
    "missing": (
        "names: [a, b]\ntrain:\n" + numbered("- images/{n}.png\n", 50_000),
        "found 0 photos",
    ),
    "folders": (
        "names: [a, b]\ntrain: [" + "images, ./images/../images, " * 30_000 + "]",
        "50 photos, 2",
    ),
    "large": ("names:\n" + numbered("- name {n}\n", 100_000), "data.yaml: larger than 1 MB"),
    "flow": ("names: " + "[" * 500_000, "not YAML"),
    "block": ("- " * 500_000, "not YAML"),
    "keys": ("? " * 500_000, "not YAML"),
    "maps": ("names: [a]\nx: " + "{a: " * 200_000, "not YAML"),
}


def write_long_table(root: Path, text: str) -> None:
    """A table beside fifty photos."""
    touch(root, *(f"{n}.jpg" for n in range(50)))
    write_file(root / "labels.csv", text)


def write_long_yaml(root: Path, text: str) -> None:
    """A `data.yaml` beside fifty photos with label files."""
    touch(root, *(f"images/{n}.jpg" for n in range(50)))
    for n in range(50):
        write_file(root / "labels" / f"{n}.txt", f"{n % 2} .5 .5 .1 .1\n")
    write_file(root / "data.yaml", text)


def describe_listing(root: Path) -> str:
    """What was read, or the sentence why not."""
    try:
        listing = detect.read(root, 2)
    except TaggerError as error:
        return str(error)
    return f"{len(listing.samples)} photos, {len(listing.names)} labels"
