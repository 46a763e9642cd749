"""Labels as COCO writes them: JSON files of images, categories and annotations.

A photo's tags are the categories of its objects, crowds included; the other categories of its file
are absent. Lin et al., "Microsoft COCO: Common Objects in Context", 2014 (arXiv:1405.0312).
"""

from __future__ import annotations

import json
import mmap
import posixpath
from collections.abc import Iterator
from typing import Any

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import DatasetError

WRITTEN_AS = "COCO"
FOLDER = "annotations"

_LISTS = ("images", "categories", "annotations")
_KEPT = {*_LISTS, "id", "file_name", "name", "image_id", "category_id"}
_Id = int | str

MALFORMED = Remark("entry", "lacks an id or a name", "lack an id or a name")
NO_IMAGE = Remark(
    "annotation", "names an image that is not listed", "name images that are not listed"
)
NO_CATEGORY = Remark(
    "annotation", "names a category that is not listed", "name categories that are not listed"
)
ID_TWICE = Remark(
    *("image", "has the id of an earlier one", "have the ids of earlier ones"),
)
LISTED_TWICE = Remark(
    *("image", "is listed twice", "are listed twice"), outcome="their tags put together"
)


def find(tree: PhotoIndex) -> list[tuple[str, str | None]]:
    """The files of instances, at the top, in `annotations/` or in splits' folders.

    With the split each is named for. Where none is called so, any JSON with COCO's three lists.
    """
    found = tree.files(".json")
    for place in tree.label_files:
        folder, name = posixpath.split(place)
        stem, ending = posixpath.splitext(name)
        if folder.lower() == FOLDER and ending.lower() == ".json":
            found.append((place, split_in_filename(stem)))
    named = [file for file in found if _is_named(file[0])]
    return named or [file for file in found if _has_lists(tree, file[0])]


def read(tree: PhotoIndex, files: list[tuple[str, str | None]]) -> Listing:
    """The images that the files list, with their tags. Raises DatasetError for what is no COCO."""
    ledger = ListingBuilder(tree)
    names: set[str] = set()
    for place, split in files:
        names |= _read_file(place, split, ledger)
    return ledger.listing(WRITTEN_AS, "multi", names)


def _is_named(place: str) -> bool:
    name = posixpath.basename(place).lower()
    return name.startswith("instances") or name == "_annotations.coco.json"


def _has_lists(tree: PhotoIndex, place: str) -> bool:
    """Whether a file mentions all three lists; it is looked through, not understood."""
    path = tree.absolute(place)
    if not path.stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return all(data.find(f'"{name}"'.encode()) >= 0 for name in _LISTS)


def _read_file(place: str, split: str | None, ledger: ListingBuilder) -> set[str]:
    """The categories of a file, having put its images into the ledger."""
    lists = _lists(ledger.tree, place)
    categories: dict[_Id, str] = {}
    for entry, at in _entries(lists, "categories", place, ledger):
        if is_name(entry.get("name")):
            categories[entry["id"]] = entry["name"].strip()
        else:
            ledger.note(MALFORMED, at)
    names = frozenset(categories.values())
    photos = _images(lists, place, split, names, ledger)
    for number, entry in enumerate(lists["annotations"]):
        at = f"{place}: annotations[{number}]"
        if not isinstance(entry, dict):
            ledger.note(MALFORMED, at)
            continue
        image, category = entry.get("image_id"), entry.get("category_id")
        if not isinstance(image, _Id) or image not in photos:
            ledger.note(NO_IMAGE, at)
            continue
        name = categories.get(category) if isinstance(category, _Id) else None
        if name is None:
            ledger.note(NO_CATEGORY, at)
        if (photo := photos[image]) is not None:
            ledger.entries[photo].add(name)
    return set(names)


def _images(
    lists: dict[str, list[Any]],
    place: str,
    split: str | None,
    names: frozenset[str],
    ledger: ListingBuilder,
) -> dict[_Id, str | None]:
    """The photo of each image's id, None where it is not to be had."""
    folders = _folders(place, split, ledger.tree)
    photos: dict[_Id, str | None] = {}
    seen: set[str] = set()
    for entry, at in _entries(lists, "images", place, ledger):
        if not isinstance(entry.get("file_name"), str):
            ledger.note(MALFORMED, at)
            continue
        if entry["id"] in photos:
            ledger.note(ID_TWICE, at)
            continue
        photo = photos[entry["id"]] = ledger.find(entry["file_name"], folders, "image", at)
        if photo is None:
            continue
        if photo in seen:
            ledger.note(LISTED_TWICE, at)
        seen.add(photo)
        if split:
            ledger.put_in(split, photo)
        known = ledger.entries.setdefault(photo, PhotoTags(set(), asked=names))
        known.asked = (known.asked or names) | names
    return photos


def _folders(place: str, split: str | None, tree: PhotoIndex) -> list[str]:
    """Where a file's images may lie: beside it, then in the folders of its split, then around."""
    own = posixpath.dirname(place)
    word = posixpath.splitext(posixpath.basename(place))[0].rpartition("_")[2]
    around = {folder for folder in tree.folders if split and _named_for(folder, split)}
    exact = [folder for folder in sorted(around) if posixpath.basename(folder) == word]
    places = [own, *exact, *sorted(around), "images", ""]
    return [f"{folder}/" if folder else "" for folder in places]


def _named_for(folder: str, split: str) -> bool:
    return split_named(posixpath.basename(folder)) == split


def _entries(
    lists: dict[str, list[Any]], name: str, place: str, ledger: ListingBuilder
) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries of a list that have an id, and where each stands."""
    for number, entry in enumerate(lists[name]):
        at = f"{place}: {name}[{number}]"
        if isinstance(entry, dict) and isinstance(entry.get("id"), _Id):
            yield entry, at
        else:
            ledger.note(MALFORMED, at)


def _lists(tree: PhotoIndex, place: str) -> dict[str, list[Any]]:
    """The three lists of a file. Outlines, most of its bytes, are dropped as they are read."""
    shown = tree.shown(place)
    try:
        content = json.loads(tree.read_text(place), object_pairs_hook=_kept)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{shown}, line {error.lineno:,}: not JSON ({error.msg}); export it again as COCO"
        ) from None
    except (ValueError, RecursionError):  # a number, or a nesting, without end
        raise DatasetError(
            f"{shown}: not JSON that anyone wrote; export it again as COCO"
        ) from None
    missing = [
        name
        for name in _LISTS
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if missing:
        raise DatasetError(
            f"{shown}: no list of {' or '.join(missing)}; COCO labels have images, categories and"
            " annotations"
        )
    return {name: content[name] for name in _LISTS}


def _kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key in _KEPT}
