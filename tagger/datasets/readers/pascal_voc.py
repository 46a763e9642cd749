"""Pascal VOC reader: one XML file a photo, split lists in ImageSets/Main.

A photo's tags are the names of its objects. A tag whose objects are all marked difficult is
unseen: neither present nor absent, as in the benchmark (Everingham et al., "The Pascal Visual
Object Classes (VOC) Challenge", 2010).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DTDForbidden, ElementTree

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_label_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex

FORMAT = "VOC"
MAX_BYTES = 16 * 2**20  # of a photo's file; thousands of objects fit
SPLIT_LISTS = "imagesets/main"
SPLIT_FILES = {"train": "train", "trainval": "train", "val": "val", "test": "test"}

_PREVIEWED_FILES = 10  # XML files that are searched for the root element
_PREVIEW_BYTES = 4096
_ROOT = "annotation"

BROKEN = Remark("file", "cannot be understood", "cannot be understood")
FOREIGN = Remark("file", "is XML of another kind", "are XML of another kind", outcome="not read")
NAMELESS = Remark("object", "has no name", "have no name")
REPEATED = Remark(
    *("file", "is of a photo that another is of", "are of photos that others are of"),
    outcome="their tags put together",
)
NOT_LABELLED = Remark("name", "in ImageSets has no XML file", "in ImageSets have no XML file")
IN_NO_SET = Remark("photo", "is in no list of ImageSets/Main", "are in no list of ImageSets/Main")


@dataclass
class Annotation:
    """The content of a file: the photo's name, and the name and difficulty of each object."""

    filename: str = ""
    objects: list[tuple[str, bool]] = field(default_factory=list)
    nameless: int = 0  # objects without a name


class _ForeignError(Exception):
    """XML of another kind."""


def find(index: PhotoIndex) -> list[str]:
    """The XML files in folders called Annotations; without such a folder, all annotations."""
    files = [path for path in index.label_files if path.lower().endswith(".xml")]
    in_folder = [p for p in files if "annotations" in posixpath.dirname(p).lower().split("/")]
    files = in_folder or files
    starts = (_read_start(index, path) for path in files[:_PREVIEWED_FILES])
    return files if any(f"<{_ROOT}".encode() in start for start in starts) else []


def read(
    index: PhotoIndex, files: list[str], spellings: Mapping[str, str] | None = None
) -> Listing:
    """The photos of the files, with their tags."""
    builder = ListingBuilder(index, spellings)
    splits = _read_splits(index)
    names: set[str] = set()
    stems: set[str] = set()
    for path in files:
        annotation = _load_annotation(path, builder)
        if annotation is None:
            continue
        annotation.objects = [(builder.label(name), hard) for name, hard in annotation.objects]
        photo = _find_photo(path, annotation, builder)
        if photo is None:
            continue
        stem = posixpath.splitext(posixpath.basename(path))[0]
        stems.add(stem)
        if splits and stem not in splits:
            builder.leave_out(photo, IN_NO_SET)
            continue
        for split in splits.get(stem, ()):
            builder.add_split(photo, split)
        names.update(name for name, _ in annotation.objects)
        if photo in builder.tags:
            builder.add_case(REPEATED, path)
        earlier = builder.tags.get(photo, PhotoTags(set()))
        builder.tags[photo] = _merge(earlier, annotation)
    for stem in sorted(set(splits) - stems):
        builder.add_case(NOT_LABELLED, stem)
    return builder.build(FORMAT, "multi", names)


def _merge(tags: PhotoTags, annotation: Annotation) -> PhotoTags:
    """The tags of a photo by earlier files, and by this one."""
    present = tags.present | {name for name, difficult in annotation.objects if not difficult}
    unseen = {*tags.unseen, *(name for name, _ in annotation.objects)} - present
    ambiguous = tags.ambiguous or annotation.nameless > 0
    return PhotoTags(present, tuple(unseen), ambiguous=ambiguous)


def _find_photo(path: str, annotation: Annotation, builder: ListingBuilder) -> str | None:
    """The photo that a file names, or else the photo with the file's own name."""
    own = posixpath.dirname(path)
    parent = posixpath.dirname(own)
    folders = [posixpath.join(own, "")]
    folders += [posixpath.join(parent, name, "") for name in ("JPEGImages", "images")]
    stem = posixpath.splitext(posixpath.basename(path))[0]
    name = annotation.filename
    photo = builder.index.find(name, folders) if name else Miss.MISSING
    if photo in (Miss.MISSING, Miss.AMBIGUOUS):
        by_stem = builder.index.find(stem, folders)
        if isinstance(by_stem, str):
            return by_stem
    if isinstance(photo, str):
        return photo
    return builder.find_photo(name or stem, folders, "file", path)


def _read_splits(index: PhotoIndex) -> dict[str, set[str]]:
    """The splits of each stem by the lists in ImageSets/Main, without those of single classes."""
    splits: dict[str, set[str]] = {}
    for path in index.label_files:
        folder, name = posixpath.split(path.lower())
        stem, extension = posixpath.splitext(name)
        in_lists = f"/{folder}".endswith(f"/{SPLIT_LISTS}")
        if extension != ".txt" or stem not in SPLIT_FILES or not in_lists:
            continue
        for line in index.read_text(path).splitlines():
            if line.strip():
                splits.setdefault(line.split()[0], set()).add(SPLIT_FILES[stem])
    # trainval contains val: photos listed in both are validation photos
    return {stem: names - {"train"} or names for stem, names in splits.items()}


def _read_start(index: PhotoIndex, path: str) -> bytes:
    with open(index.absolute(path), "rb") as file:
        return file.read(_PREVIEW_BYTES)


def _load_annotation(path: str, builder: ListingBuilder) -> Annotation | None:
    """The content of a file; None, with a remark's case, if it is broken or of another kind."""
    absolute = builder.index.absolute(path)
    try:
        if absolute.stat().st_size > MAX_BYTES:
            builder.add_case(BROKEN, f"{path}: larger than {MAX_BYTES >> 20} MB")
            return None
        annotation = _parse(absolute.read_bytes(), path, builder)
    except _ForeignError:
        builder.add_case(FOREIGN, path)
        return None
    except OSError as error:
        builder.add_case(BROKEN, f"{path}: {error.strerror}")
        return None
    except DTDForbidden:
        builder.add_case(BROKEN, f"{path}: has a document type, which labels need not")
        return None
    except (ParseError, ValueError, LookupError) as error:  # LookupError: unknown encoding
        builder.add_case(BROKEN, f"{path}: {error}")
        return None
    for _ in range(annotation.nameless):
        builder.add_case(NAMELESS, path)
    return annotation


def _parse(data: bytes, path: str, builder: ListingBuilder) -> Annotation:
    """The content of a file.

    Raises DTDForbidden for a document type: annotations do not need one, and it could name other
    files or grow without bound.
    """
    root = ElementTree.fromstring(data, forbid_dtd=True)
    if _name(root) != _ROOT:
        raise _ForeignError
    annotation = Annotation(_texts(root).get("filename", ""))
    for element in root:
        if _name(element) == "object":
            texts = _texts(element)
            confidence = texts.get("confidence", texts.get("score"))
            if builder.is_unlikely(confidence, path):
                continue
            if is_label_name(texts.get("name")):
                difficult = texts.get("difficult", "0") not in ("", "0")
                annotation.objects.append((texts["name"], difficult))
            else:
                annotation.nameless += 1
    return annotation


def _name(element: Element) -> str:
    """The name of an element without its XML namespace."""
    return element.tag.rpartition("}")[2]


def _texts(element: Element) -> dict[str, str]:
    """The text of each child by its name."""
    return {_name(child): (child.text or "").strip() for child in element}
