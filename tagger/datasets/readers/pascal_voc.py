"""Labels as Pascal VOC writes them: an XML file for each photo, and lists of who is in which split.

A photo's tags are the names of its objects. One of which all objects are marked difficult is
neither present nor absent, as in the benchmark: Everingham et al., "The Pascal Visual Object
Classes (VOC) Challenge", 2010.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from xml.parsers import expat

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex

WRITTEN_AS = "VOC"
MAX_BYTES = 16 * 2**20  # of one photo's file; thousands of objects fit
SETS = "imagesets/main"
SET_FILES = {"train": "train", "trainval": "train", "val": "val", "test": "test"}

_LOOKED_AT = 10  # XML files, to tell whether they are of this kind
_OUTER = "annotation"

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
class _Annotation:
    """What one file says: the photo's name, and for each object whether it is difficult.

    And how many objects have no name.
    """

    filename: str = ""
    objects: list[tuple[str, bool]] = field(default_factory=list)
    nameless: int = 0


class _ForeignError(Exception):
    """XML that is no annotation."""


def find(tree: PhotoIndex) -> list[str]:
    """The XML files in folders called Annotations; without such a folder, all of this kind."""
    files = [place for place in tree.label_files if place.lower().endswith(".xml")]
    filed = [p for p in files if "annotations" in posixpath.dirname(p).lower().split("/")]
    files = filed or files
    heads = (_head(tree, place) for place in files[:_LOOKED_AT])
    return files if any(f"<{_OUTER}".encode() in head for head in heads) else []


def read(tree: PhotoIndex, files: list[str]) -> Listing:
    """The photos that the files are of, with their tags."""
    ledger = ListingBuilder(tree)
    sets = _sets(tree)
    names: set[str] = set()
    stems: set[str] = set()
    for place in files:
        said = _parsed(place, ledger)
        if said is None:
            continue
        photo = _photo(place, said, ledger)
        if photo is None:
            continue
        stem = posixpath.splitext(posixpath.basename(place))[0]
        stems.add(stem)
        if sets and stem not in sets:
            ledger.leave_out(photo, IN_NO_SET)
            continue
        for split in sets.get(stem, ()):
            ledger.put_in(split, photo)
        names.update(name for name, _ in said.objects)
        if photo in ledger.entries:
            ledger.note(REPEATED, place)
        ledger.entries[photo] = _entry(said, ledger.entries.get(photo, PhotoTags(set())))
    for stem in sorted(set(sets) - stems):
        ledger.note(NOT_LABELLED, stem)
    return ledger.listing(WRITTEN_AS, "multi", names)


def _entry(said: _Annotation, known: PhotoTags) -> PhotoTags:
    """What is known of a photo by a file, and by those before it."""
    present = known.present | {name for name, difficult in said.objects if not difficult}
    unseen = {*known.unseen, *(name for name, _ in said.objects)} - present
    doubtful = known.doubtful or said.nameless > 0
    return PhotoTags(present, tuple(unseen), doubtful=doubtful)


def _photo(place: str, said: _Annotation, ledger: ListingBuilder) -> str | None:
    """The photo that a file names, or else the one called as the file is."""
    own = posixpath.dirname(place)
    above = posixpath.dirname(own)
    folders = [f"{own}/" if own else ""]
    for name in ("JPEGImages", "images"):
        folders.append(posixpath.join(above, name, ""))
    stem = posixpath.splitext(posixpath.basename(place))[0]
    found = ledger.tree.find(said.filename, folders) if said.filename else Miss.MISSING
    if found in (Miss.MISSING, Miss.AMBIGUOUS):
        by_stem = ledger.tree.find(stem, folders)
        if isinstance(by_stem, str):
            return by_stem
    if isinstance(found, str):
        return found
    return ledger.find(said.filename or stem, folders, "file", place)


def _sets(tree: PhotoIndex) -> dict[str, set[str]]:
    """The splits of each stem, by the lists in ImageSets/Main; those of single classes aside."""
    found: dict[str, set[str]] = {}
    for place in tree.label_files:
        folder, name = posixpath.split(place.lower())
        stem, ending = posixpath.splitext(name)
        if ending != ".txt" or stem not in SET_FILES or not f"/{folder}".endswith(f"/{SETS}"):
            continue
        for line in tree.read_text(place).splitlines():
            if line.strip():
                found.setdefault(line.split()[0], set()).add(SET_FILES[stem])
    # trainval holds what val does: whoever is in val as well is there to check with
    return {stem: splits - {"train"} or splits for stem, splits in found.items()}


def _head(tree: PhotoIndex, place: str) -> bytes:
    with open(tree.absolute(place), "rb") as file:
        return file.read(4096)


def _parsed(place: str, ledger: ListingBuilder) -> _Annotation | None:
    """What a file says; None, having said why, where it is broken or of another kind."""
    path = ledger.tree.absolute(place)
    try:
        if path.stat().st_size > MAX_BYTES:
            ledger.note(BROKEN, f"{place}: larger than {MAX_BYTES >> 20} MB")
            return None
        said = _parse(path.read_bytes())
    except _ForeignError:
        ledger.note(FOREIGN, place)
        return None
    except OSError as error:
        ledger.note(BROKEN, f"{place}: {error.strerror}")
        return None
    except (expat.ExpatError, ValueError, LookupError) as error:  # an encoding nobody knows
        ledger.note(BROKEN, f"{place}: {error}")
        return None
    for _ in range(said.nameless):
        ledger.note(NAMELESS, place)
    return said


def _parse(data: bytes) -> _Annotation:
    """What a file says.

    Raises ValueError for a document type: nothing in it is needed, and it could name other files
    or grow without bound.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    path: list[str] = []
    text: list[str] = []
    said = _Annotation()
    current: dict[str, str] = {}

    def refuse(*declared: object) -> None:
        raise ValueError("has a document type, which labels need not")

    def start(name: str, attributes: dict[str, str]) -> None:
        if not path and name != _OUTER:
            raise _ForeignError
        path.append(name)
        text.clear()
        if path == [_OUTER, "object"]:
            current.clear()

    def end(name: str) -> None:
        if path == [_OUTER, "filename"]:
            said.filename = "".join(text).strip()
        elif len(path) == 3 and path[1] == "object":  # names of parts lie deeper
            current[name] = "".join(text).strip()
        elif path == [_OUTER, "object"]:
            called = current.get("name", "")
            if is_name(called):
                said.objects.append((called, current.get("difficult", "0") not in ("", "0")))
            else:
                said.nameless += 1
        path.pop()
        text.clear()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.Parse(data, True)
    return said
