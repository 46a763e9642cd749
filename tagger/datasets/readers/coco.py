"""COCO reader: JSON files with lists of images, categories and annotations.

A photo's tags are the categories of its objects, crowds included; the other categories of the file
are absent. Lin et al., "Microsoft COCO: Common Objects in Context", 2014 (arXiv:1405.0312).
"""

from __future__ import annotations

import json
import mmap
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_label_name
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import DatasetError

FORMAT = "COCO"
FOLDER = "annotations"

_LISTS = ("images", "categories", "annotations")
_FIELDS = {*_LISTS, "id", "file_name", "name", "image_id", "category_id", "score"}
_Id = int | str

MALFORMED = Remark("entry", "lacks an id or a name", "lack an id or a name")
NO_IMAGE = Remark(
    "annotation", "names an image that is not listed", "name images that are not listed"
)
NO_CATEGORY = Remark(
    "annotation", "names a category that is not listed", "name categories that are not listed"
)
REPEATED_ID = Remark("image", "has the id of an earlier one", "have the ids of earlier ones")
REPEATED_IMAGE = Remark(
    *("image", "is listed twice", "are listed twice"), outcome="their tags put together"
)


def find(index: PhotoIndex) -> list[tuple[str, str | None]]:
    """The files called `instances...`, at the top, in `annotations/` or in split folders.

    Each comes with the split it is named for. Without such files, every JSON file there with
    COCO's three lists.
    """
    files = index.find_split_files(".json")
    for path in index.label_files:
        folder, name = posixpath.split(path)
        stem, extension = posixpath.splitext(name)
        if folder.lower() == FOLDER and extension.lower() == ".json":
            files.append((path, split_in_filename(stem)))
    named = [file for file in files if _is_instances_file(file[0])]
    return named or [file for file in files if _mentions_lists(index, file[0])]


def read(
    index: PhotoIndex,
    files: list[tuple[str, str | None]],
    spellings: Mapping[str, str] | None = None,
) -> Listing:
    """The images in the files, with their tags. Raises DatasetError for a file that is not COCO."""
    builder = ListingBuilder(index, spellings)
    names: set[str] = set()
    for path, split in files:
        names |= _read_file(path, split, builder)
    return builder.build(FORMAT, "multi", names)


def _is_instances_file(path: str) -> bool:
    name = posixpath.basename(path).lower()
    return name.startswith("instances") or name == "_annotations.coco.json"


def _mentions_lists(index: PhotoIndex, path: str) -> bool:
    """Whether a file contains the names of all three lists; it is searched, not parsed."""
    absolute = index.absolute(path)
    if not absolute.stat().st_size:
        return False
    with open(absolute, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return all(data.find(f'"{name}"'.encode()) >= 0 for name in _LISTS)


def _read_file(path: str, split: str | None, builder: ListingBuilder) -> set[str]:
    """Add the images of a file to the builder; the names of its categories."""
    lists = _load_lists(builder.index, path)
    categories: dict[_Id, str] = {}
    for entry, position in _entries(lists, "categories", path, builder):
        if is_label_name(entry.get("name")):
            categories[entry["id"]] = builder.label(entry["name"])
        else:
            builder.add_case(MALFORMED, position)
    names = frozenset(categories.values())
    photos = _read_images(lists, path, split, names, builder)
    for number, entry in enumerate(lists["annotations"]):
        position = f"{path}: annotations[{number}]"
        if not isinstance(entry, dict):
            builder.add_case(MALFORMED, position)
            continue
        image, category = entry.get("image_id"), entry.get("category_id")
        if not isinstance(image, _Id) or image not in photos:
            builder.add_case(NO_IMAGE, position)
            continue
        name = categories.get(category) if isinstance(category, _Id) else None
        if name is None:
            builder.add_case(NO_CATEGORY, position)
        photo = photos[image]
        if photo is not None and not builder.is_unlikely(entry.get("score"), position):
            builder.tags[photo].add_object(name)
    return set(names)


def _read_images(
    lists: dict[str, list[Any]],
    path: str,
    split: str | None,
    names: frozenset[str],
    builder: ListingBuilder,
) -> dict[_Id, str | None]:
    """The photo of each image by its id; None if the photo cannot be used."""
    entries: list[tuple[_Id, str, str]] = []
    ids: set[_Id] = set()
    for entry, position in _entries(lists, "images", path, builder):
        if not isinstance(entry.get("file_name"), str):
            builder.add_case(MALFORMED, position)
        elif entry["id"] in ids:
            builder.add_case(REPEATED_ID, position)
        else:
            ids.add(entry["id"])
            entries.append((entry["id"], entry["file_name"], position))
    image_photos = builder.find_photos(
        [name for _, name, _ in entries],
        _photo_folders(path, split, builder.index),
        "image",
        [position for _, _, position in entries],
    )
    photos: dict[_Id, str | None] = {}
    listed: set[str] = set()
    for (number, _, position), photo in zip(entries, image_photos, strict=True):
        photos[number] = photo
        if photo is None:
            continue
        if photo in listed:
            builder.add_case(REPEATED_IMAGE, position)
        listed.add(photo)
        if split:
            builder.add_split(photo, split)
        tags = builder.tags.setdefault(photo, PhotoTags(set(), looked_for=names))
        tags.looked_for = (tags.looked_for or names) | names
    return photos


def _photo_folders(path: str, split: str | None, index: PhotoIndex) -> list[str]:
    """Folders of a file's photos: its own, then those named for its split, `images/`, the top."""
    own = posixpath.dirname(path)
    last_word = posixpath.splitext(posixpath.basename(path))[0].rpartition("_")[2]
    of_split = sorted(
        {f for f in index.folders if split and split_named(posixpath.basename(f)) == split}
    )
    exact = [folder for folder in of_split if posixpath.basename(folder) == last_word]
    return [posixpath.join(folder, "") for folder in (own, *exact, *of_split, "images", "")]


def _entries(
    lists: dict[str, list[Any]], name: str, path: str, builder: ListingBuilder
) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries of a list that have an id, each with its position."""
    for number, entry in enumerate(lists[name]):
        position = f"{path}: {name}[{number}]"
        if isinstance(entry, dict) and isinstance(entry.get("id"), _Id):
            yield entry, position
        else:
            builder.add_case(MALFORMED, position)


def _load_lists(index: PhotoIndex, path: str) -> dict[str, list[Any]]:
    """The three lists of a file. Outlines, most of its bytes, are dropped while parsing."""
    display_path = index.display_path(path)
    try:
        content = json.loads(index.read_text(path), object_pairs_hook=_keep_fields)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{display_path}, line {error.lineno:,}: not JSON ({error.msg}); export it again as"
            " COCO"
        ) from None
    except (ValueError, RecursionError):  # an endless number or nesting
        raise DatasetError(
            f"{display_path}: not JSON that anyone wrote; export it again as COCO"
        ) from None
    missing = [
        name
        for name in _LISTS
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if missing:
        raise DatasetError(
            f"{display_path}: no list of {' or '.join(missing)}; COCO labels have images,"
            " categories and annotations"
        )
    return {name: content[name] for name in _LISTS}


def _keep_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key in _FIELDS}
