"""Label folders: one for each label, nested to any depth, also below `train/`, `val/`, `test/`.

A folder is a split only beside another split, or where no other folder beside it holds photos: else
it is a label that is called like one, such as `train/` beside `bus/` and `car/`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tagger.datasets.readers.listing import NOT_LABELS, Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.sample import Sample
from tagger.datasets.splits import split_folders, split_in_words, split_named
from tagger.errors import DatasetError
from tagger.labels import normalize_label
from tagger.text import escape_controls, fold, list_first

FORMAT = "folders"
MIN_SHARED = 2  # names of folders that several folders hold, from which on they may be splits

_MONTH = "jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec|january|february|march|april"
_MONTH += "|august|september|october|november|december"
_DATE = re.compile(  # a folder within a label: "2024", "2024-05", "May 2024"
    rf"(19|20)\d\d([-_. ]?(\d\d|{_MONTH})){{0,2}}|({_MONTH})([-_. ]?(19|20)\d\d)?", re.IGNORECASE
)

_PART = re.compile(  # a folder for a part of the photos, which is no label
    r"(part|site|shard|chunk|batch|fold|group|subset|volume|session|source|domain)[-_ ]?"
    r"(\d+|[a-z])",
    re.IGNORECASE,
)

# Words in names of folders beside splits that hold no labels.
_NO_LABELS = frozenset(
    (
        *("unlabeled", "unlabelled", "unsorted", "preview", "previews", "thumb", "thumbs"),
        *("thumbnail", "thumbnails", "sample", "samples", "example", "examples", "submission"),
        *("submissions", "pred", "predict", "prediction", "predictions"),
    )
)

_CLOSED = ""  # stands for the photos of a folder that cannot be opened

LIKE_A_SPLIT = Remark(
    "folder",
    "is named like a split, but lies beside no other split",
    "are named like a split, but lie beside no other split",
    outcome="taken as a label",
    lists_names=True,
)
BESIDE_SPLITS = Remark(
    *("folder", "lies beside split folders", "lie beside split folders"),
    outcome="not read",
    lists_names=True,
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

    @cached_property
    def holds_mostly_photos(self) -> bool:
        """Whether at least half of its photos lie directly in it, not in folders."""
        return 2 * sum(len(parts) == 1 for parts in self.photos) >= len(self.photos)


@dataclass(frozen=True)
class _Layout:
    """The folders that contain label folders, each with its split.

    `inner_splits` are the splits by name of the folders within labels: `cat/train/`,
    `cat/images/train/`.
    """

    parents: list[tuple[_Folder, str]]
    inner_splits: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    def split_of(self, parts: Sequence[str]) -> str | None:
        """The split within a label that a photo is in, by the parts of its path from there."""
        splits = self.inner_splits
        return next((splits[name] for name in parts[:-1] if name in splits), None)


def read(index: PhotoIndex, spellings: Mapping[str, str] | None = None) -> Listing:
    """Every photo in a label folder; without such folders, a listing without labels.

    `spellings` are the names of labels by their other spellings. Raises DatasetError where nothing
    tells which folders are splits and which are labels.
    """
    photos = [tuple(path.split("/")) for path in index.walked_photos]
    # What cannot be opened may hold photos, and makes the folder beside it no outer one.
    photos += [(*Path(folder).parts, _CLOSED) for folder, _ in index.skipped.unopened]
    layout = _find_layout(_Folder(index.root, photos))
    by_label: dict[str, list[tuple[Path, str]]] = {}
    for parent, split in layout.parents:
        for name, folder in parent.folders.items():
            label = normalize_label(name) or name
            label = (spellings or {}).get(label, label)
            by_label.setdefault(label, []).extend(
                (folder.path.joinpath(*parts), layout.split_of(parts) or split)
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
        splits = _find_splits(folders)
        beside = [name for name in folders if name not in splits]
        has_labels = any(_count_labels(folders[name]) > 1 for name in splits)
        labels_beside = [name for name in beside if not _is_no_label(name, has_labels)]
        alone = len(folders) > 1 and splits and not labels_beside
        _check_neighbours(folder, beside)
        if len({*splits.values()}) > 1 or alone:
            parents = [(_skip_outer(folders[name]), split) for name, split in splits.items()]
            _check_splits(folder, parents, labels_beside)
            _check_inside_splits(folder, parents)
            _check_beside(folder, parents, beside)
            return _Layout(parents, remarks=(*remarks, *_name(BESIDE_SPLITS, beside)))
        if len(folders) == 1:  # an archive's outer folder, or the only split
            deeper = [name for name in folders if folders[name].folders]
        else:
            deeper = [name for name in folders if _holds_splits(folders[name])]
        if len(deeper) != 1:
            break
        beside = [name for name in folders if name not in deeper]
        _check_few_photos(folder, deeper[0], beside)
        remarks += _name(BESIDE_SPLITS, beside)
        folder = folders[deeper[0]]
    _check_outer_folder(folder)
    _check_shared_names(folder)
    if beside:
        remarks += _name(LIKE_A_SPLIT, list(splits))
    return _Layout([(folder, "train")], _inner_splits(folder), tuple(remarks))


def _find_splits(folders: Mapping[str, _Folder]) -> dict[str, str]:
    """The folders named for splits. Beside one such as `train/`, any word of another will do.

    So `test_stg1/` is a split, unless neither of them holds label folders.
    """
    splits = split_folders(folders)
    plain = {split for name in folders if (split := split_named(name))}
    by_word = {
        name: split
        for name in folders
        if name not in splits and plain and (split := split_in_words(name)) and split not in plain
    }
    has_labels = any(_count_labels(folders[name]) > 1 for name in (*splits, *by_word))
    return splits | by_word if has_labels else splits


def _name(remark: Remark, folder_names: Sequence[str]) -> list[Remark]:
    names = tuple(map(escape_controls, folder_names))
    return [replace(remark, names=names)] if names else []


def _is_no_label(name: str, has_labels: bool) -> bool:
    """Whether a folder beside splits is none of the labels; `has_labels` says if a split has."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    return name.lower() in NOT_LABELS or (has_labels and not _NO_LABELS.isdisjoint(words))


def _count_labels(folder: _Folder) -> int:
    """The number of folders in a folder that may be labels; 0 where most photos lie beside them."""
    if folder.holds_mostly_photos:
        return 0
    return sum(_may_be_label(name) for name in _skip_outer(folder).folders)


def _may_be_label(name: str) -> bool:
    return not _DATE.fullmatch(name) and name.lower() not in NOT_LABELS


def _holds_splits(folder: _Folder) -> bool:
    """Whether a folder holds folders of several splits, and label folders in one of these."""
    splits = split_folders(folder.folders)
    has_labels = any(map(_may_be_label, (n for s in splits for n in folder.folders[s].folders)))
    return len({*splits.values()}) > 1 and has_labels


def _skip_outer(folder: _Folder, loosely: bool = False) -> _Folder:
    """The folder with the labels of a split: `seg_train/seg_train/` or `train/images/`.

    Photos directly in it have no label. With `loosely`, `amazon/amazon_photos/` will do.
    """
    outer_name = fold(folder.path.name)
    while len(folder.folders) == 1 and not folder.holds_mostly_photos:
        (inside,) = folder.folders.values()
        name = inside.path.name
        is_alike = outer_name in fold(name) if loosely else outer_name == fold(name)
        if not (is_alike or split_named(name) or name.lower() in NOT_LABELS):
            break
        folder = inside
    return folder


def _inner_splits(folder: _Folder) -> dict[str, str]:
    """The splits within the labels in a folder, where there are several, or each label has one."""
    labels = [set(label.folders) for label in folder.folders.values()]
    splits = split_folders({name for names in labels for name in names})
    in_each = all(not names.isdisjoint(splits) for names in labels)
    has_others = any(parts[1] not in splits for parts in folder.photos if len(parts) > 1)
    if len({*splits.values()}) > 1 or (in_each and has_others):
        return splits
    inner: dict[str, str] = {}
    pending = [inside for label in folder.folders.values() for inside in label.folders.values()]
    while pending:
        each = pending.pop()
        splits = split_folders(each.folders)
        inner |= splits if len({*splits.values()}) > 1 else {}
        pending += each.folders.values()
    return inner


def _check_neighbours(outer: _Folder, beside: Sequence[str]) -> None:
    """Raise DatasetError where a folder holds folders that are called like those beside it.

    Then it is no label, or they are none: `cat/`, `dog/`, `test/cat/`, `test/dog/`.
    """
    by_name = {fold(name): name for name in beside if _may_be_label(name)}
    for name, folder in outer.folders.items():
        twins = by_name.keys() & {fold(inside) for inside in _skip_outer(folder).folders}
        twins -= {fold(name)}
        if len(twins) < (1 if split_named(name) else MIN_SHARED):
            continue
        labels = _list_folders(sorted(by_name[twin] for twin in twins))
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {_list_folders([name])} holds folders of the same"
            f" names as folders beside it: {labels}. If it is a split, put these into another, such"
            " as train; else put all photos of each label into one folder"
        )


def _check_few_photos(outer: _Folder, name: str, beside: Sequence[str]) -> None:
    """Raise DatasetError where what lies beside the only folder with splits may be labels, too."""
    inside = outer.folders[name]
    labels = {
        label for split in split_folders(inside.folders) for label in inside.folders[split].folders
    }
    photos = sum(len(outer.folders[other].photos) for other in beside)
    neighbours = [other for other in beside if other.lower() not in NOT_LABELS]
    if len(neighbours) > 1 or (neighbours and photos * len(labels) >= len(inside.photos)):
        label, rest = _list_folders([name]), _list_folders(neighbours)
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {label} holds splits with label folders, and"
            f" {rest} beside it photos, too; move away what holds no labels, or, if {label} is a"
            " label, put its photos directly into it"
        )


def _check_outer_folder(outer: _Folder) -> None:
    """Raise DatasetError where a folder is called like none of the labels, but holds folders.

    That is one such as `data/` beside folders without any, or one like a split beside one folder.
    """
    for name, folder in outer.folders.items():
        is_outer = name.lower() in NOT_LABELS or (split_named(name) and len(outer.folders) == 2)
        if not is_outer or _count_labels(folder) < 2:
            continue
        neighbours = [other for other in outer.folders if other != name]
        if neighbours and not any(outer.folders[other].folders for other in neighbours):
            first, rest = _list_folders([name]), _list_folders(neighbours)
            raise DatasetError(
                f"{escape_controls(str(outer.path))}: are the labels {first} and {rest}, or the"
                f" folders in {first}? Move {rest} away, or put the photos of {first} directly"
                " into it"
            )


def _check_splits(
    outer: _Folder, parents: Sequence[tuple[_Folder, str]], beside: Sequence[str]
) -> None:
    """Raise DatasetError where the folders named for splits may be labels, or hold none.

    Folders of dates are no labels where there are neighbours beside the splits.
    """
    names = _list_folders([parent.path.relative_to(outer.path).parts[0] for parent, _ in parents])
    labels = Counter(
        fold(label)
        for parent, _ in parents
        for label in parent.folders
        if not (beside and _DATE.fullmatch(label))
    )
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


def _check_inside_splits(outer: _Folder, parents: Sequence[tuple[_Folder, str]]) -> None:
    """Raise DatasetError where the labels of a split lie one folder deeper.

    That is `train/pets/cat/` beside `test/cat/`, or `train/part1/cat/` and `train/part2/cat/`.
    """
    labels = {fold(label) for parent, _ in parents for label in parent.folders}
    for parent, _ in parents:
        own = {fold(label) for label in parent.folders}
        inside = {
            name: {fold(label) for label in folder.folders if _may_be_label(label)}
            for name, folder in parent.folders.items()
        }
        is_parted = len(inside) > 1 and all(map(_PART.fullmatch, inside))
        for name, names in inside.items():
            if len(names & (labels - own)) >= MIN_SHARED or (is_parted and len(names) > 1):
                path = parent.path.relative_to(outer.path) / name
                raise DatasetError(
                    f"{escape_controls(str(outer.path))}: {_list_folders([path.as_posix()])} holds"
                    f" folders that may be the labels: {_list_folders(sorted(names))}. Put these"
                    " directly into the split, or its photos directly into it"
                )


def _check_beside(
    outer: _Folder, parents: Sequence[tuple[_Folder, str]], beside: Sequence[str]
) -> None:
    """Raise DatasetError where a folder beside splits holds one of their labels, so may be one."""
    labels = {fold(label) for parent, _ in parents for label in parent.folders}
    alike = [
        name
        for name in beside
        if not labels.isdisjoint(map(fold, _skip_outer(outer.folders[name]).folders))
    ]
    if alike:
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {_list_folders(alike)} beside split folders hold"
            " the same labels; call them train, val or test, or move them away"
        )


def _check_shared_names(outer: _Folder) -> None:
    """Raise DatasetError where several folders hold folders of the same names.

    Either may be the labels: `first/cat`, `second/cat` or `cat/indoors`, `dog/indoors`. Names count
    that two folders share, if they are at least half of those in one of them.
    """
    has_outer_splits = any(map(_holds_splits, outer.folders.values()))
    inner_splits = {} if has_outer_splits else _inner_splits(outer)
    inside = {
        name: {
            fold(label)
            for label in _skip_outer(folder, loosely=True).folders
            if _may_be_label(label)
            and label not in inner_splits
            and (has_outer_splits or not split_named(label))
        }
        for name, folder in outer.folders.items()
        if not folder.holds_mostly_photos
    }
    counts = Counter(label for labels in inside.values() for label in labels)
    shared = {label for label, count in counts.items() if count > 1}
    alike = {
        name
        for name, labels in inside.items()
        if len(labels & shared) >= max(MIN_SHARED, len(labels) / 2)
    }
    if len(alike) == 1:  # a part of a larger folder
        (part,) = alike
        alike |= {n for n in inside if len(inside[n] & inside[part]) >= MIN_SHARED}
        parts = [n for n in inside if n != part and inside[n] and inside[n] <= inside[part]]
        if len(set().union(*(inside[n] for n in parts))) >= MIN_SHARED:  # each a part of it
            alike |= {*parts}
    for name in filter(split_in_words, inside):  # here a single shared name is enough
        alike |= {
            each
            for other in inside
            if other != name and _is_part(inside[other], inside[name])
            for each in (name, other)
        }
    if len(alike) > 1:
        folders, labels = _list_folders(sorted(alike)), _list_folders(sorted(shared))
        raise DatasetError(
            f"{escape_controls(str(outer.path))}: {folders} hold folders of the same names:"
            f" {labels}. If these are the labels, call the outer ones train, val and test,"
            " or put the photos of each label into one folder; if the outer ones are the labels,"
            " put their photos directly into them, or list the photos in a labels.csv"
        )


def _is_part(first: Set[str], second: Set[str]) -> bool:
    """Whether one set of names is mostly within the other, and there are several names."""
    return len(first | second) > 1 and 2 * len(first & second) > min(len(first), len(second))


def _list_folders(names: Sequence[str]) -> str:
    return list_first([f"{escape_controls(name)}/" for name in names])
