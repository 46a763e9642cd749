"""YOLO reader: a text file for each photo, with a line for each object that begins with its class.

The names of the classes are in a `data.yaml`, which may also list the photos of each split, or in
a `classes.txt`. A listed photo without a label file, or with an empty one, has none of the tags; a
photo whose label file is not text is left out. See https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_label_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex, drop_upload_prefix, loose_form
from tagger.datasets.splits import SPLIT_NAMES, split_named
from tagger.errors import DatasetError
from tagger.text import escape_controls, list_first

FORMAT = "YOLO"
MAX_YAML_BYTES = 2**20
MAX_YAML_DEPTH = 50
YAML_STEM = "data"  # the usual name of the YAML file
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
MAX_DIGITS = 9  # of a class number
MIN_FIELDS = 5  # of a line: the class, and a box or an outline

LABELS_FOLDER = "labels"
MIN_STRAYS = 3  # label files without a photo that may be an error
MAX_STRAYS = 0.1  # of the label files, above which they are one
MAX_FEW_STRAYS = 0.25  # of the label files, above which fewer are one, too

_PATTERN = re.compile(r"/\*+(\.\w+)?$")  # at the end of a path, for all photos in a folder

_LISTS = {"classes", *SPLIT_NAMES}  # names of text files that list something else

MALFORMED = Remark(
    "line", "is not a class number and four or more numbers", "are not a class and numbers"
)
NO_CLASS = Remark("line", "has a class number without a name", "have class numbers without a name")
BROKEN = Remark(
    "photo", "has a file of labels that is not text", "have files of labels that are not text"
)
NO_PHOTO = Remark("file", "of labels has no photo", "of labels have no photo")
UNOPENED = Remark(
    *("photo", "may have labels in a folder or file that cannot be opened"),
    "may have labels in a folder or file that cannot be opened",
)
CONTESTED = Remark(
    "photo", "may have the labels of another", "may have the labels of others by their names"
)
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
    files = [path for path in index.label_files if _is_label_file(path)]
    in_folder = any(LABELS_FOLDER in path.split("/")[:-1] for path in files)
    if not in_folder and not _match_label_files(index.photos, files)[0]:
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


def read(
    index: PhotoIndex, files: list[ClassFile], spellings: Mapping[str, str] | None = None
) -> Listing:
    """The photos that are listed or have a label file, with their tags."""
    (class_file,) = files
    builder = ListingBuilder(index, spellings)
    names = {number: builder.label(name) for number, name in class_file.names.items()}
    class_file = replace(class_file, names=names)
    _add_listed_photos(class_file, builder)
    label_files = [p for p in index.label_files if _is_label_file(p) and p != class_file.path]
    by_photo, contested = _match_label_files(index.photos, label_files)
    used = set(by_photo.values())
    folders = {posixpath.dirname(path) for path in used}
    strays = [
        path
        for path in label_files
        if path not in used
        and (posixpath.dirname(path) in folders or LABELS_FOLDER in path.split("/")[:-1])
    ]
    _check_strays(index, strays, len(used))
    for photo, path in by_photo.items():
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
    for path in strays:
        builder.add_case(NO_PHOTO, path)
    is_closed = _closed_labels(index)
    for photo in [photo for photo in builder.tags if photo not in by_photo]:
        if photo in contested or is_closed(photo):
            del builder.tags[photo]
            builder.leave_out(photo, CONTESTED if photo in contested else UNOPENED)
    return builder.build(FORMAT, "multi", names.values())


def _is_label_file(path: str) -> bool:
    *folders, name = path.lower().split("/")
    stem, extension = posixpath.splitext(name)
    if extension != ".txt" or stem.startswith("readme"):
        return False
    return stem not in _LISTS or (stem in SPLIT_NAMES and LABELS_FOLDER in folders)


def _match_label_files(
    photos: Iterable[str], label_files: Iterable[str]
) -> tuple[dict[str, str], Set[str]]:
    """The label file of each photo that has one, and the photos that share theirs with others.

    Names may differ in Unicode form, case and percent-encoding where only one photo is meant.
    """
    exact = frozenset(label_files)
    loose: dict[str, list[str]] = {}
    for path in label_files:
        for form in dict.fromkeys((loose_form(path), drop_upload_prefix(loose_form(path)))):
            loose.setdefault(form, []).append(path)
    if not exact:
        return {}, frozenset()
    by_photo: dict[str, str] = {}
    candidates: dict[str, list[str]] = {}  # photos by the label file that they may have
    contested: set[str] = set()
    for photo in photos:
        paths = _label_paths(photo)
        if own := next((path for path in paths if path in exact), None):
            by_photo[photo] = own
            continue
        files = next((files for p in paths if (files := loose.get(loose_form(p)))), [])
        if len(files) == 1:
            candidates.setdefault(files[0], []).append(photo)
        elif files:
            contested.add(photo)
    taken = set(by_photo.values())
    for path, photos_of_file in candidates.items():
        if len(photos_of_file) == 1 and path not in taken:
            by_photo[photos_of_file[0]] = path
        elif path not in taken:
            contested.update(photos_of_file)
    return dict(sorted(by_photo.items())), contested


def _closed_labels(index: PhotoIndex) -> Callable[[str], bool]:
    """Whether a photo's label file may be where nothing can be opened, or outside the folder."""
    closed = {loose_form(path) for path, _ in (*index.skipped.unopened, *index.skipped.links)}
    closed.update(map(loose_form, index.outside_links))

    def is_closed(photo: str) -> bool:
        for path in map(loose_form, _label_paths(photo)):
            ends = (end for end in range(len(path) + 1) if path[end : end + 1] in ("/", ""))
            if any(path[:end] in closed for end in ends):
                return True
        return False

    return is_closed if closed else lambda _: False


def _check_strays(index: PhotoIndex, strays: list[str], used: int) -> None:
    """Raise DatasetError where many label files have no photo: others would be taught as absent."""
    allowed = MAX_FEW_STRAYS if len(strays) < MIN_STRAYS else MAX_STRAYS
    if len(strays) <= allowed * (len(strays) + used):
        return
    raise DatasetError(
        f"{escape_controls(str(index.root))}: {len(strays):,} of {len(strays) + used:,} label files"
        f" have no photo, such as {list_first(list(map(escape_controls, strays[:3])))}; give photos"
        " and label files the same names, or move away label files that belong elsewhere"
    )


def _label_paths(photo: str) -> list[str]:
    """Where a photo's label file may be: in labels/ instead of images/, in labels/, beside it."""
    stem = posixpath.splitext(photo)[0]
    parts = stem.split("/")
    stems = []
    for number in reversed(range(len(parts) - 1)):
        if parts[number].lower() == "images":
            stems.append("/".join([*parts[:number], LABELS_FOLDER, *parts[number + 1 :]]))
            break
    return [f"{path}.txt" for path in (*stems, f"{LABELS_FOLDER}/{stem}", stem)]


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
        has_confidence = len(fields) == MIN_FIELDS + 1  # an outline has seven fields or more
        if has_confidence and builder.is_unlikely(fields[-1], f"{path}:{number}"):
            continue
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
        raise DatasetError(
            f"{display_path}: larger than {MAX_YAML_BYTES >> 20} MB; list the photos of a split in"
            " a text file, and name that here"
        )
    try:
        content = _parse_yaml(index.read_text(path))
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
        if isinstance(key, str) and key in SPLIT_NAMES and value:
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


def _parse_yaml(text: str) -> Any:
    """The content of a YAML file, all values as text.

    libyaml reads a megabyte in a second, PyYAML in ten. Its composer recurses in C, so that deep
    nesting is refused first.
    """
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise ValueError("nested too deep")
    return yaml.load(text, Loader=loader)


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
    sources = _find_sources(class_file, builder.index)
    for split, paths in class_file.splits.items():
        for path in paths:
            if sources[path] is None:
                builder.add_case(EMPTY_PATH, f"{class_file.path}: {split}: {path}")
        for source in dict.fromkeys(source for p in paths if (source := sources[p]) is not None):
            for photo in _photos_at(source, builder):
                builder.tags.setdefault(photo, PhotoTags(set()))
                builder.add_split(photo, split)


def _find_sources(class_file: ClassFile, index: PhotoIndex) -> dict[str, str | None]:
    """The folder with photos, list of photos or photo that each path in `data.yaml` means.

    `path:` and the first folders of a path may be those of another machine, so that they are
    dropped until it fits, but not a folder that is named for a split, and not up to a folder that
    holds what another path means.
    """
    paths = list(dict.fromkeys(path for paths in class_file.splits.values() for path in paths))
    lists = {p for p in index.label_files if not p.lower().endswith((".yaml", ".yml"))}
    sources_by_form: dict[str, set[str]] = {}
    for entry in (*index.folders, *lists, *index.photos):
        sources_by_form.setdefault(loose_form(entry), set()).add(entry)

    def find(candidates: Iterable[str]) -> str | None:
        for candidate in candidates:
            source = index.relative(candidate)
            if source is None:
                continue
            alike: set[str] = sources_by_form.get(loose_form(source), set())
            for each in [source, *alike] if len(alike) == 1 else [source]:
                if each in lists or each in index.photos or index.photos_in(each):
                    return each
        return None

    def starts(path: str) -> tuple[str, ...]:
        return (posixpath.join(class_file.root, path), path, path.lstrip("./"))

    plain = {path: _PATTERN.sub("", path) or path for path in paths}
    sources = {path: find(starts(plain[path])) for path in paths}
    dropped = {
        path: source
        for path in paths
        if sources[path] is None and (source := find(_drop_folders(plain[path]))) is not None
    }
    ordered = sorted(
        source for source in (*sources.values(), *dropped.values()) if source is not None
    )
    for path, source in dropped.items():
        inside = bisect_left(ordered, f"{source}/" if source else "")
        holds_another = inside < len(ordered) and ordered[inside].startswith(f"{source}/")
        if not holds_another and bisect_right(ordered, source) - bisect_left(ordered, source) == 1:
            sources[path] = source
    return sources


def _drop_folders(path: str) -> Iterator[str]:
    """The ends of a path, from the longest on, up to one that begins with a split."""
    parts = posixpath.normpath(path.replace("\\", "/")).split("/")
    for number, part in enumerate(parts[:-1], 1):
        if split_named(part):
            break
        yield "/".join(parts[number:])


def _photos_at(source: str, builder: ListingBuilder) -> Iterable[str]:
    """The photos in a folder or a list of photos."""
    index = builder.index
    if source in index.photos:
        return [source]
    photos = index.photos_in(source)
    return photos or _read_photo_list(source, builder)


def _read_photo_list(path: str, builder: ListingBuilder) -> list[str]:
    """The photos that a text file names, one in a line."""
    folders = (posixpath.join(posixpath.dirname(path), ""), "", "images/")
    lines = enumerate(builder.index.read_text(path).splitlines(), 1)
    names = {number: line.strip() for number, line in lines if line.strip()}
    positions = [f"{path}:{number}" for number in names]
    photos = builder.find_photos([*names.values()], folders, "line", positions)
    return [photo for photo in photos if photo is not None]
