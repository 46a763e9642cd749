"""YOLO reader: a text file for each photo, with a line for each object that begins with its class.

The names of the classes are in a `data.yaml`, which may also list the photos of each split, or in
a `classes.txt`. A listed photo without a label file, or with an empty one, has none of the tags; a
photo whose label file is not text is left out. See https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_label_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.splits import SPLIT_NAMES
from tagger.errors import DatasetError

FORMAT = "YOLO"
MAX_YAML_BYTES = 2**20
YAML_STEM = "data"  # the usual name of the YAML file
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
MAX_DIGITS = 9  # of a class number
MIN_FIELDS = 5  # of a line: the class, and a box or an outline

_NOT_LABELS = {"classes", *SPLIT_NAMES}  # names of text files that list something else

MALFORMED = Remark(
    "line", "is not a class number and four or more numbers", "are not a class and numbers"
)
NO_CLASS = Remark("line", "has a class number without a name", "have class numbers without a name")
BROKEN = Remark(
    "photo", "has a file of labels that is not text", "have files of labels that are not text"
)
NO_PHOTO = Remark("file", "of labels has no photo", "of labels have no photo")
EMPTY_PATH = Remark("path", "leads to no photo", "lead to no photo")
IN_NO_SPLIT = Remark(
    "photo", "is in no split that the YAML file lists", "are in no split that the YAML file lists"
)


@dataclass(frozen=True)
class ClassFile:
    """The file that names the classes: names by number, and paths by split if it lists photos.

    `root` is the folder that the paths start from, as on the machine where the file was written.
    """

    path: str
    names: dict[int, str]
    splits: dict[str, list[str]] = field(default_factory=dict)
    root: str = ""


def find(index: PhotoIndex) -> list[ClassFile]:
    """The file that names the classes, where photos have label files.

    Raises DatasetError if that is a broken `data.yaml`, or a broken YAML file and there is no
    other file.
    """
    files = {path for path in index.label_files if _is_label_file(path)}
    has_labels = any(path in files for photo in index.photos for path in _label_paths(photo))
    if not has_labels:
        return []
    error: DatasetError | None = None
    for path in index.label_files:
        folder, name = posixpath.split(path)
        if not folder and name.lower().endswith((".yaml", ".yml")):
            try:
                class_file = _read_yaml(index, path)
            except DatasetError as yaml_error:
                if posixpath.splitext(name.lower())[0] == YAML_STEM:
                    raise
                error = error or yaml_error
                continue
            if class_file is not None:
                return [class_file]
    for path in index.label_files:
        if path.lower() in NAME_FILES:
            lines = index.read_text(path).splitlines()
            names = {number: line.strip() for number, line in enumerate(lines) if line.strip()}
            if names:
                return [ClassFile(path, names)]
    if error:
        raise error
    return []


def read(index: PhotoIndex, files: list[ClassFile]) -> Listing:
    """The photos that are listed or have a label file, with their tags."""
    (class_file,) = files
    builder = ListingBuilder(index)
    _add_listed_photos(class_file, builder)
    label_files = {p for p in index.label_files if _is_label_file(p) and p != class_file.path}
    used: set[str] = set()
    for photo in index.photos:
        path = next((p for p in _label_paths(photo) if p in label_files), None)
        if path is None:
            continue
        used.add(path)
        if class_file.splits and photo not in builder.tags:
            builder.leave_out(photo, IN_NO_SPLIT)
            continue
        try:
            text = index.read_text(path)
        except DatasetError as error:
            builder.tags.pop(photo, None)
            builder.leave_out(photo, BROKEN, str(error))
            continue
        tags = builder.tags.setdefault(photo, PhotoTags(set()))
        for name in _object_names(text, path, class_file, builder):
            tags.add_object(name)
    folders = {posixpath.dirname(path) for path in used}
    for path in sorted(label_files - used):
        if posixpath.dirname(path) in folders or "labels" in path.split("/")[:-1]:
            builder.add_case(NO_PHOTO, path)
    return builder.build(FORMAT, "multi", class_file.names.values())


def _is_label_file(path: str) -> bool:
    stem, extension = posixpath.splitext(posixpath.basename(path).lower())
    return extension == ".txt" and stem not in _NOT_LABELS and not stem.startswith("readme")


def _label_paths(photo: str) -> list[str]:
    """Where a photo's label file may be: in labels/ instead of images/, in labels/, beside it."""
    stem = posixpath.splitext(photo)[0]
    parts = stem.split("/")
    stems = []
    for number in reversed(range(len(parts) - 1)):
        if parts[number].lower() == "images":
            stems.append("/".join([*parts[:number], "labels", *parts[number + 1 :]]))
            break
    return [f"{path}.txt" for path in (*stems, f"labels/{stem}", stem)]


def _object_names(
    text: str, path: str, class_file: ClassFile, builder: ListingBuilder
) -> Iterator[str | None]:
    """The class name of each object in a label file; None if it cannot be read."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        label = _class_number(fields)
        if label is None:
            builder.add_case(MALFORMED, f"{path}:{number}")
        elif label not in class_file.names:
            builder.add_case(NO_CLASS, f"{path}:{number}: {label}")
        yield None if label is None else class_file.names.get(label)


def _class_number(fields: list[str]) -> int | None:
    """The class number that a line of numbers begins with; None for another line."""
    if len(fields) < MIN_FIELDS:
        return None
    try:
        label, *_ = [float(value) for value in fields[:MIN_FIELDS]]
    except ValueError:
        return None
    return int(label) if label.is_integer() else None


def _read_yaml(index: PhotoIndex, path: str) -> ClassFile | None:
    """The classes and splits in a YAML file; None if it describes something else.

    All values are read as text, so that a class called `no` or `1` keeps its name. Raises
    DatasetError, with the line, for a broken file or unusable values.
    """
    display_path = index.display_path(path)
    if index.absolute(path).stat().st_size > MAX_YAML_BYTES:
        return None
    try:
        content = yaml.load(index.read_text(path), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DatasetError(
            f"{display_path}, line {line:,}: not YAML ({error.problem}); it needs names: and a list"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise DatasetError(f"{display_path}: not YAML; it needs names: and a list") from None
    if not isinstance(content, dict) or "names" not in content:
        return None
    names = _read_names(content["names"])
    if not names:
        raise DatasetError(f"{display_path}: names is neither a list nor numbers with names")
    splits: dict[str, list[str]] = {}
    for key, value in content.items():
        if key in SPLIT_NAMES and value:
            paths = value if isinstance(value, list) else [value]
            if not all(isinstance(entry, str) for entry in paths):
                raise DatasetError(f"{display_path}: {key} is neither a path nor a list of paths")
            splits.setdefault(SPLIT_NAMES[key], []).extend(paths)
    root = content.get("path") or ""
    if not isinstance(root, str):
        raise DatasetError(
            f"{display_path}: path is not one folder; leave it out where the photos lie beside this"
            " file"
        )
    return ClassFile(path, names, splits, root)


def _read_names(value: Any) -> dict[int, str]:
    """Class names by number, from a list or a mapping; empty unless all are valid."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {}
    names: dict[int, str] = {}
    for key, name in value.items():
        is_number = str(key).strip().isdecimal() and len(str(key)) <= MAX_DIGITS
        if not is_number or not is_label_name(name):
            return {}
        names[int(key)] = name.strip()
    return names


def _add_listed_photos(class_file: ClassFile, builder: ListingBuilder) -> None:
    """Add the photos that `data.yaml` lists, each with its split."""
    for split, paths in class_file.splits.items():
        for path in paths:
            photos = _photos_at(path, class_file, builder)
            if not photos:
                builder.add_case(EMPTY_PATH, f"{class_file.path}: {split}: {path}")
            for photo in photos:
                builder.tags.setdefault(photo, PhotoTags(set()))
                builder.add_split(photo, split)


def _photos_at(path: str, class_file: ClassFile, builder: ListingBuilder) -> list[str]:
    """The photos in a folder or a list of photos, both inside the dataset.

    `path:` and leading "../" of a folder are those of another machine, so the path is also tried
    without them.
    """
    index = builder.index
    for candidate in (posixpath.join(class_file.root, path), path, path.lstrip("./")):
        relative = index.relative(candidate)
        if relative is None:
            continue
        if relative in index.label_files and not relative.lower().endswith((".yaml", ".yml")):
            return _read_photo_list(relative, builder)
        if photos := index.photos_in(relative):
            return photos
    return []


def _read_photo_list(path: str, builder: ListingBuilder) -> list[str]:
    """The photos that a text file names, one in a line."""
    folders = (posixpath.join(posixpath.dirname(path), ""), "", "images/")
    photos = []
    for number, line in enumerate(builder.index.read_text(path).splitlines(), 1):
        if line.strip():
            photo = builder.find_photo(line.strip(), folders, "line", f"{path}:{number}")
            if photo is not None:
                photos.append(photo)
    return photos
