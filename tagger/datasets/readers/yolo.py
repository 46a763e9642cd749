"""Labels as YOLO writes them: a text file for each photo, a line for each object, class first.

The classes' names stand in a `data.yaml`, which may also say which photos are in which split, or
in a `classes.txt`. A photo that `data.yaml` lists and that has no file, or an empty one, has none
of the tags; one whose file is no text is left out. The format is that of https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_name, missed
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.datasets.splits import SPLIT_NAMES
from tagger.errors import DatasetError

WRITTEN_AS = "YOLO"
MAX_YAML_BYTES = 2**20
DESCRIBED = "data"  # how the YAML file is called, mostly
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
MAX_DIGITS = 9  # of a class number
FIELDS = 5  # of a line, at least: class, and a box or an outline

_NO_LABELS = {"classes", *SPLIT_NAMES}  # names of text files that list something else

MALFORMED = Remark(
    "line", "is not a class number and four or more numbers", "are not a class and numbers"
)
NO_CLASS = Remark("line", "has a class number without a name", "have class numbers without a name")
BROKEN = Remark(
    "photo", "has a file of labels that is not text", "have files of labels that are not text"
)
NO_PHOTO = Remark("file", "of labels has no photo", "of labels have no photo")
STRAY_SPLIT = Remark("path", "leads to no photo", "lead to no photo")
IN_NO_SPLIT = Remark(
    "photo", "is in no split that the YAML file lists", "are in no split that the YAML file lists"
)


@dataclass(frozen=True)
class Source:
    """Where the classes are named, with their names by number, and the paths of each split."""

    place: str
    names: dict[int, str]
    splits: dict[str, list[str]] = field(default_factory=dict)
    top: str = ""


def find(tree: PhotoIndex) -> list[Source]:
    """The file that names the classes, where there are labels of photos for them to name.

    Raises DatasetError where it is a YAML file that cannot be understood, and no other; or where
    that is called `data.yaml`, and so is meant.
    """
    texts = {place for place in tree.label_files if _is_labels(place)}
    if not texts or not any(place in texts for p in tree.photos for place in _label_places(p)):
        return []
    broken: DatasetError | None = None
    for place in tree.label_files:
        folder, name = posixpath.split(place)
        if not folder and name.lower().endswith((".yaml", ".yml")):
            try:
                source = _described(tree, place)
            except DatasetError as error:
                if posixpath.splitext(name.lower())[0] == DESCRIBED:
                    raise
                broken = broken or error
                continue
            if source is not None:
                return [source]
    for place in tree.label_files:
        if place.lower() in NAME_FILES:
            lines = tree.read_text(place).splitlines()
            names = {number: line.strip() for number, line in enumerate(lines) if line.strip()}
            if names:
                return [Source(place, names)]
    if broken:
        raise broken
    return []


def read(tree: PhotoIndex, files: list[Source]) -> Listing:
    """The photos that are listed or have a file of labels, with their tags."""
    (source,) = files
    ledger = ListingBuilder(tree)
    _listed(source, ledger)
    texts = {place for place in tree.label_files if _is_labels(place) and place != source.place}
    used: set[str] = set()
    for photo in tree.photos:
        place = next((p for p in _label_places(photo) if p in texts), None)
        if place is None:
            continue
        used.add(place)
        if source.splits and photo not in ledger.entries:
            ledger.leave_out(photo, IN_NO_SPLIT)
            continue
        try:
            text = tree.read_text(place)
        except DatasetError as error:
            ledger.entries.pop(photo, None)
            ledger.leave_out(photo, BROKEN, str(error))
            continue
        entry = ledger.entries.setdefault(photo, PhotoTags(set()))
        for name in _names_in(text, place, source, ledger):
            entry.add(name)
    folders = {posixpath.dirname(place) for place in used}
    for place in sorted(texts - used):
        if posixpath.dirname(place) in folders or "labels" in place.split("/")[:-1]:
            ledger.note(NO_PHOTO, place)
    return ledger.listing(WRITTEN_AS, "multi", source.names.values())


def _is_labels(place: str) -> bool:
    stem, ending = posixpath.splitext(posixpath.basename(place).lower())
    return ending == ".txt" and stem not in _NO_LABELS and not stem.startswith("readme")


def _label_places(photo: str) -> list[str]:
    """Where a photo's labels may lie: in labels/ for images/, in labels/, or beside it."""
    stem = posixpath.splitext(photo)[0]
    parts = stem.split("/")
    found = []
    for number in reversed(range(len(parts) - 1)):
        if parts[number].lower() == "images":
            found.append("/".join([*parts[:number], "labels", *parts[number + 1 :]]))
            break
    return [f"{place}.txt" for place in (*found, f"labels/{stem}", stem)]


def _names_in(
    text: str, place: str, source: Source, ledger: ListingBuilder
) -> Iterator[str | None]:
    """The class of each object in a file of labels; None for one that is not to be told."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        label = _class(fields)
        if label is None:
            ledger.note(MALFORMED, f"{place}:{number}")
        elif label not in source.names:
            ledger.note(NO_CLASS, f"{place}:{number}: {label}")
        yield None if label is None else source.names.get(label)


def _class(fields: list[str]) -> int | None:
    """The class number that a line of numbers begins with."""
    if len(fields) < FIELDS:
        return None
    try:
        label, *_ = [float(value) for value in fields[:FIELDS]]
    except ValueError:
        return None
    return int(label) if label.is_integer() else None


def _described(tree: PhotoIndex, place: str) -> Source | None:
    """What a YAML file says of a collection; None where it speaks of something else.

    Every scalar is read as text, so that a class called `no` or `1` keeps its name. Raises
    DatasetError, with the line, for what is no YAML or says what no collection is like.
    """
    shown = tree.shown(place)
    if tree.absolute(place).stat().st_size > MAX_YAML_BYTES:
        return None
    try:
        said = yaml.load(tree.read_text(place), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DatasetError(
            f"{shown}, line {line:,}: not YAML ({error.problem}); it needs names: and a list"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise DatasetError(f"{shown}: not YAML; it needs names: and a list") from None
    if not isinstance(said, dict) or "names" not in said:
        return None
    names = _names(said["names"])
    if not names:
        raise DatasetError(f"{shown}: names is neither a list nor numbers with names")
    splits: dict[str, list[str]] = {}
    for key, value in said.items():
        if key in SPLIT_NAMES and value:
            paths = value if isinstance(value, list) else [value]
            if not all(isinstance(path, str) for path in paths):
                raise DatasetError(f"{shown}: {key} is neither a path nor a list of paths")
            splits.setdefault(SPLIT_NAMES[key], []).extend(paths)
    top = said.get("path") or ""
    if not isinstance(top, str):
        raise DatasetError(
            f"{shown}: path is not one folder; leave it out where the photos lie beside this file"
        )
    return Source(place, names, splits, top)


def _names(said: Any) -> dict[int, str]:
    """Names by number; none unless all of them can be names."""
    if isinstance(said, list):
        said = dict(enumerate(said))
    if not isinstance(said, dict):
        return {}
    found: dict[int, str] = {}
    for key, name in said.items():
        if not is_name(name) or not str(key).strip().isdecimal() or len(str(key)) > MAX_DIGITS:
            return {}
        found[int(key)] = name.strip()
    return found


def _listed(source: Source, ledger: ListingBuilder) -> None:
    """Put the photos that `data.yaml` lists into the ledger, each in its split."""
    for split, paths in source.splits.items():
        for path in paths:
            found = _photos_at(path, source, ledger)
            if not found:
                ledger.note(STRAY_SPLIT, f"{source.place}: {split}: {path}")
            for photo in found:
                ledger.entries.setdefault(photo, PhotoTags(set()))
                ledger.put_in(split, photo)


def _photos_at(path: str, source: Source, ledger: ListingBuilder) -> list[str]:
    """The photos in a folder or a list of photos, looked for only inside the collection.

    `path:` and the way up before a folder's name tell where it lay on another machine.
    """
    tree = ledger.tree
    ways = [posixpath.join(source.top, path), path, path.lstrip("./")]
    for way in ways:
        place = tree.relative(way)
        if place is None:
            continue
        if place in tree.label_files and not place.lower().endswith((".yaml", ".yml")):
            return _in_list(place, ledger)
        if found := tree.photos_in(place):
            return found
    return []


def _in_list(place: str, ledger: ListingBuilder) -> list[str]:
    """The photos that a text file names, one a line."""
    own = posixpath.dirname(place)
    folders = (f"{own}/" if own else "", "", "images/")
    found = []
    for number, line in enumerate(ledger.tree.read_text(place).splitlines(), 1):
        if line.strip():
            photo = ledger.tree.find(line.strip(), folders)
            if isinstance(photo, Miss):
                ledger.note(missed("line", photo), f"{place}:{number}: {line.strip()}")
            else:
                found.append(photo)
    return found
