"""Label folders: one for each label, nested to any depth, also below `train/`, `val/`, `test/`.

A folder is a split only beside another split, or where no other folder beside it holds photos: else
it is a label that is called like one, such as `train/` beside `bus/` and `car/`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tagger.datasets.readers.listing import NOT_LABELS, Listing, Remark
from tagger.datasets.sample import Sample
from tagger.datasets.splits import split_folders, split_named
from tagger.errors import DatasetError
from tagger.files import Skipped
from tagger.images.decode import find_photos
from tagger.labels import normalize_label
from tagger.text import escape_controls, fold, list_first

FORMAT = "folders"
MIN_SHARED = 2  # names of folders that several folders hold, from which on they may be splits

_DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")  # a folder of a label: "2024", "2024-05"

_CLOSED = ""  # stands for the photos of a folder that cannot be opened

LIKE_A_SPLIT = Remark(
    "folder",
    "is named like a split, but lies beside no other split",
    "are named like a split, but lie beside no other split",
    outcome="taken as a label",
)
BESIDE_SPLITS = Remark(
    *("folder", "lies beside split folders", "lie beside split folders"), outcome="not read"
)


@dataclass(frozen=True)
class _Folder:
    """A folder and the photos under it, each as the parts of its path from there."""

    path: Path
    photos: list[tuple[str, ...]]

    @cached_property
    def folders(self) -> dict[str, _Folder]:
        """The folders in it that hold photos, by name."""
        inside: dict[str, list[tuple[str, ...]]] = {}
        for first, *rest in self.photos:
            if rest:
                inside.setdefault(first, []).append(tuple(rest))
        return {name: _Folder(self.path / name, photos) for name, photos in sorted(inside.items())}

    @property
    def holds_photos(self) -> bool:
        """Whether photos lie directly in it."""
        return any(len(parts) == 1 for parts in self.photos)


@dataclass(frozen=True)
class _Layout:
    """The folders that contain label folders, each with its split.

    `inner_splits` are the splits by name of the folders within labels: `cat/train/`.
    """

    parents: list[tuple[_Folder, str]]
    inner_splits: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def read(root: Path, spellings: Mapping[str, str] | None = None) -> Listing:
    """Every photo in a label folder; without such folders, a listing without labels.

    `spellings` are the names of labels by their other spellings. Raises DatasetError where nothing
    tells which folders are splits and which are labels.
    """
    skipped = Skipped()
    photos = [path.relative_to(root).parts for path in find_photos(root, skipped)]
    # What cannot be opened may hold photos, and makes the folder beside it no outer one.
    photos += [(*Path(folder).parts, _CLOSED) for folder, _ in skipped.unopened]
    layout = _find_layout(_Folder(root, photos))
    by_label: dict[str, list[tuple[Path, str]]] = {}
    for parent, split in layout.parents:
        for name, folder in parent.folders.items():
            label = normalize_label(name) or name
            label = (spellings or {}).get(label, label)
            by_label.setdefault(label, []).extend(
                (folder.path.joinpath(*parts), layout.inner_splits.get(parts[0], split))
                for parts in folder.photos
                if parts[-1] != _CLOSED
            )
    names = tuple(sorted(name for name, samples in by_label.items() if samples))
    samples = tuple(
        Sample(path, (index,), split)
        for index, name in enumerate(names)
        for path, split in by_label[name]
    )
    return Listing(FORMAT, names, "single", samples, layout.remarks)


def count_folders(root: Path) -> int:
    """The number of folders directly in a folder, with or without photos."""
    return sum(p.is_dir() and not p.name.startswith(".") for p in root.iterdir())


def _find_layout(folder: _Folder) -> _Layout:
    remarks: list[Remark] = []
    while True:
        folders = folder.folders
        splits = split_folders(folders)
        beside = [name for name in folders if name not in splits]
        labels_beside = [name for name in beside if name.lower() not in NOT_LABELS]
        alone = len(folders) > 1 and splits and not labels_beside
        if len({*splits.values()}) > 1 or alone:
            parents = [(_skip_outer(folders[name]), split) for name, split in splits.items()]
            _check_splits(folder, parents, labels_beside)
            _check_beside(folder, parents, beside)
            return _Layout(parents, remarks=(*remarks, *_name(BESIDE_SPLITS, beside)))
        if len(folders) == 1:  # an archive's outer folder, or the only split
            deeper = [name for name in folders if folders[name].folders]
        else:
            deeper = [name for name in folders if _holds_splits(folders[name])]
        if len(deeper) != 1:
            break
        remarks += _name(BESIDE_SPLITS, [name for name in folders if name not in deeper])
        folder = folders[deeper[0]]
    _check_shared_names(folder)
    if beside:
        remarks += _name(LIKE_A_SPLIT, list(splits))
    return _Layout([(folder, "train")], _inner_splits(folder), tuple(remarks))


def _name(remark: Remark, folder_names: Sequence[str]) -> list[Remark]:
    names = tuple(map(escape_controls, folder_names))
    return [replace(remark, names=names)] if names else []


def _holds_splits(folder: _Folder) -> bool:
    """Whether a folder holds folders of several splits, and label folders in one of these."""
    splits = split_folders(folder.folders)
    has_labels = any(folder.folders[name].folders for name in splits)
    return len({*splits.values()}) > 1 and has_labels


def _skip_outer(split_folder: _Folder) -> _Folder:
    """The folder with the labels of a split: `seg_train/seg_train/` or `train/images/`.

    Photos directly in it have no label.
    """
    folder = split_folder
    while len(folder.folders) == 1 and not folder.holds_photos:
        (inside,) = folder.folders.values()
        name = inside.path.name
        is_outer = name == split_folder.path.name or split_named(name) or name.lower() in NOT_LABELS
        if not is_outer:
            break
        folder = inside
    return folder


def _inner_splits(folder: _Folder) -> dict[str, str]:
    """The splits within the labels in a folder, where there are several."""
    splits = split_folders({name for label in folder.folders.values() for name in label.folders})
    return splits if len({*splits.values()}) > 1 else {}


def _check_splits(
    outer: _Folder, parents: Sequence[tuple[_Folder, str]], beside: Sequence[str]
) -> None:
    """Raise DatasetError where the folders named for splits may be labels, or hold none."""
    names = _list_folders([parent.path.relative_to(outer.path).parts[0] for parent, _ in parents])
    labels = Counter(fold(label) for parent, _ in parents for label in parent.folders)
    if not labels:
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {names} are named for splits, but hold no label"
            " folders; put a folder for each label into each, or rename those that are labels"
        )
    if beside and max(labels.values()) < 2:
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {names} are named for splits, but no label is in"
            f" two of them, and {_list_folders(beside)} beside them hold photos too; rename those"
            " that are labels, and move away those that are neither"
        )


def _check_beside(
    outer: _Folder, parents: Sequence[tuple[_Folder, str]], beside: Sequence[str]
) -> None:
    """Raise DatasetError where a folder beside splits holds the same labels, so may be one."""
    labels = {fold(label) for parent, _ in parents for label in parent.folders}
    alike = [
        name
        for name in beside
        if len(labels.intersection(map(fold, _skip_outer(outer.folders[name]).folders)))
        >= MIN_SHARED
    ]
    if alike:
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {_list_folders(alike)} beside split folders hold"
            " the same labels; call them train, val or test, or move them away"
        )


def _check_shared_names(outer: _Folder) -> None:
    """Raise DatasetError where several folders hold folders of the same names.

    Either may be the labels: `first/cat`, `second/cat` or `cat/indoors`, `dog/indoors`.
    """
    has_outer_splits = any(map(_holds_splits, outer.folders.values()))
    inner_splits = {} if has_outer_splits else _inner_splits(outer)
    names_inside = {
        name: {
            fold(inside)
            for inside in folder.folders
            if not _DATE.fullmatch(inside)
            and inside.lower() not in NOT_LABELS
            and inside not in inner_splits
        }
        for name, folder in outer.folders.items()
        if not folder.holds_photos
    }
    counts = Counter(inside for names in names_inside.values() for inside in names)
    alike = [
        name
        for name, names in names_inside.items()
        if sum(counts[inside] > 1 for inside in names) >= max(MIN_SHARED, len(names) / 2)
    ]
    if len(alike) > 1:
        shared = _list_folders(sorted(name for name, count in counts.items() if count > 1))
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {_list_folders(alike)} hold folders of the same"
            f" names: {shared}. If these are the labels, call the outer ones train, val and test,"
            " or put the photos of each label into one folder; if the outer ones are the labels,"
            " put their photos directly into them, or list the photos in a labels.csv"
        )


def _list_folders(names: Sequence[str]) -> str:
    return list_first([f"{escape_controls(name)}/" for name in names])
