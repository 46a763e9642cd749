"""The builder that the readers of label files fill, photo by photo, to make a listing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.datasets.sample import LIKELY, Sample
from tagger.datasets.splits import split_folders
from tagger.labels import Kind, normalize_label
from tagger.text import escape_controls, fold

_IN_SEVERAL = Remark("photo", "is listed in several splits", "are listed in several splits")
_CONTESTED = Remark("photo", "may be meant by several names", "may be meant by several names each")
_BY_PREFERENCE = ("test", "val", "train")
_UNLIKELY = Remark(
    "object", "has a confidence below 0.5", "have a confidence below 0.5", outcome="not counted"
)


@dataclass(slots=True)
class PhotoTags:
    """The tags of a photo.

    `looked_for` are the tags that its annotator looked for, None for all; the others are unseen,
    as are those in `unseen`. An object without a readable name may have any tag: the photo is
    `ambiguous`, and its tags that are not present are unseen. `doubtful` are probabilities in
    (0, 1) of further tags.
    """

    present: set[str]
    unseen: Iterable[str] = ()
    looked_for: frozenset[str] | None = None
    ambiguous: bool = False
    doubtful: dict[str, float] = field(default_factory=dict)

    def add_object(self, name: str | None) -> None:
        """Add an object in the photo; None if its name cannot be read."""
        if name is None:
            self.ambiguous = True
        else:
            self.present.add(name)


class ListingBuilder:
    """Collects photos with their tags and splits, and remarks; `tags` are by path in the index.

    `spellings` are the names of labels by their other spellings.
    """

    def __init__(self, index: PhotoIndex, spellings: Mapping[str, str] | None = None) -> None:
        self.index = index
        self._spellings = spellings or {}
        self.tags: dict[str, PhotoTags] = {}
        self._splits: dict[str, set[str]] = {}
        self._cases: dict[Remark, list[str]] = {}
        self._left_out: set[str] = set()
        self._named: set[str] = set()  # photos that were named by their own paths
        self._loosely_named: dict[str, str] = {}  # other photos, with their names
        self._contested: dict[str, str] = {}  # loosely named photos that have another name, too

    def label(self, name: str) -> str:
        """A label's name as all label files spell it; empty for a blank one."""
        name = normalize_label(name)
        return self._spellings.get(name, name)

    def add_case(self, remark: Remark, name: str) -> None:
        """Count one more case of a remark."""
        self._cases.setdefault(remark, []).append(escape_controls(name))

    def is_unlikely(self, confidence: object, position: str) -> bool:
        """Whether a label file says of an object that it is rather not there, noted as a remark.

        `confidence` is a number in [0, 1] or its text; anything else says nothing.
        """
        try:
            is_unlikely = 0 <= float(confidence) < LIKELY  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return False
        if is_unlikely:
            self.add_case(_UNLIKELY, position)
        return is_unlikely

    def add_split(self, photo: str, split: str) -> None:
        """Add a split that a photo is listed in."""
        self._splits.setdefault(photo, set()).add(split)

    def find_photo(self, name: str, folders: Sequence[str], noun: str, position: str) -> str | None:
        """The photo that the `noun` at `position` names; without one, None and a remark's case."""
        photo = self.index.find(name, folders)
        if isinstance(photo, Miss):
            return self._find_loosely(name, photo, noun, position)
        self._add_name(photo)
        return photo

    def find_photos(
        self, names: Sequence[str], folders: Sequence[str], noun: str, positions: Sequence[str]
    ) -> list[str | None]:
        """The photo that each `noun` names, as by `find_photo`.

        Where none of these names is a photo's own path with folders, all folders in them may be
        those of another machine, and are dropped where exactly one photo is left.
        """
        photos = [self.index.find(name, folders) for name in names]
        for photo in photos:
            if not isinstance(photo, Miss):
                self._add_name(photo)
        drop_folders = not any(
            ("/" in name or "\\" in name) and not isinstance(photo, Miss)
            for name, photo in zip(names, photos, strict=True)
        )
        return [
            self._find_loosely(name, photo, noun, position, drop_folders)
            if isinstance(photo, Miss)
            else photo
            for name, photo, position in zip(names, photos, positions, strict=True)
        ]

    def _add_name(self, photo: str) -> None:
        self._named.add(photo)
        if photo in self._loosely_named:
            self._contested[photo] = self._loosely_named[photo]

    def _find_loosely(
        self, name: str, miss: Miss, noun: str, position: str, drop_folders: bool = False
    ) -> str | None:
        """The photo that a name means which is no photo's own path."""
        photo = self.index.find_loosely(name, drop_folders)
        case = f"{position}: {name}"
        if isinstance(photo, Miss) or photo in self._named:
            self.add_case(_no_photo(noun, photo if photo is Miss.AMBIGUOUS else miss), case)
            return None
        if self._loosely_named.setdefault(photo, name) != name:
            self._contested[photo] = name
        self.add_case(named_loosely(noun), case)
        return photo

    def leave_out(self, photo: str, remark: Remark, name: str | None = None) -> None:
        """Leave out a photo, counted by a remark under `name` or its own path."""
        self._left_out.add(photo)
        self.add_case(remark, name or photo)

    def build(self, label_format: str, kind: Kind, names: Iterable[str] = ()) -> Listing:
        """The listing; its labels are `names` and all that are present in photos."""
        for photo, other_name in self._contested.items():
            if self.tags.pop(photo, None) is not None:
                names_of_photo = f"{self._loosely_named[photo]}, {other_name}"
                self.leave_out(photo, _CONTESTED, f"{photo}: {names_of_photo}")
        present_names = {
            name for tags in self.tags.values() for name in (*tags.present, *tags.doubtful)
        }
        ordered = tuple(sorted({*names, *present_names}))
        numbers = {name: number for number, name in enumerate(ordered)}
        not_looked_for: dict[frozenset[str], set[str]] = {}
        splits = self._settle_splits(ordered)
        samples = []
        for photo, tags in sorted(self.tags.items()):
            unseen = set(ordered if tags.ambiguous else tags.unseen)
            if tags.looked_for is not None:
                if tags.looked_for not in not_looked_for:
                    not_looked_for[tags.looked_for] = set(ordered) - tags.looked_for
                unseen |= not_looked_for[tags.looked_for]
            likely = {name for name, probability in tags.doubtful.items() if probability >= LIKELY}
            present = tags.present | likely
            unseen |= tags.doubtful.keys()
            sample = Sample(
                self.index.absolute(photo),
                tuple(sorted(numbers[name] for name in present)),
                splits[photo],
                unseen=tuple(sorted(numbers[name] for name in unseen - present)),
                doubtful=tuple(sorted((numbers[name], p) for name, p in tags.doubtful.items())),
            )
            samples.append(sample)
        remarks = [replace(remark, names=tuple(names)) for remark, names in self._cases.items()]
        left_out = frozenset(map(self.index.absolute, self._left_out))
        return Listing(label_format, ordered, kind, tuple(samples), tuple(remarks), left_out)

    def _split_folders(self, labels: Iterable[str]) -> dict[str, str]:
        """The folders that are named for splits, with these.

        One that is named like a label, too, is a split only beside another split.
        """
        siblings: dict[str, list[str]] = {}
        for path in self.index.folders:
            parent, _, name = path.rpartition("/")
            siblings.setdefault(parent, []).append(name)
        folded = set(map(fold, labels))
        return {
            f"{parent}/{name}".lstrip("/"): split
            for parent, names in siblings.items()
            if (splits := split_folders(names))
            for name, split in splits.items()
            if fold(name) not in folded or len({*splits.values()}) > 1
        }

    def _settle_splits(self, labels: Iterable[str]) -> dict[str, str]:
        """The split of each photo; without a listed one, the split its folder is named for.

        A photo in several splits is kept out of training, unless no photo would be left to train
        on, as where a list names the same photos for both: then it is split anew.
        """
        of_folders = self._split_folders(labels)
        splits = {
            photo: self._splits.get(photo)
            or {_split_of_folder(photo.rpartition("/")[0], of_folders)}
            for photo in self.tags
        }
        in_several = [photo for photo, names in splits.items() if len(names) > 1]
        can_train = any(names == {"train"} for names in splits.values())
        remark = replace(_IN_SEVERAL, outcome="kept out of train" if can_train else "split anew")
        for photo in in_several:
            self.add_case(remark, photo)
        if in_several and not can_train:
            return {p: "train" if len(names) > 1 else min(names) for p, names in splits.items()}
        return {p: next(n for n in _BY_PREFERENCE if n in names) for p, names in splits.items()}


def _no_photo(noun: str, miss: Miss) -> Remark:
    """A remark on things that name a photo which cannot be used."""
    if miss is Miss.OUTSIDE:
        return Remark(
            noun, "names a photo outside the collection", "name photos outside the collection"
        )
    if miss is Miss.MISSING:
        return Remark(noun, "names a photo that is not there", "name photos that are not there")
    return Remark(noun, "names more than one photo", "name more than one photo each")


@cache
def named_loosely(noun: str) -> Remark:
    """A remark on things that name their photos by what only one of them can mean."""
    return Remark(
        noun,
        "names its photo by another path or in another case",
        "name their photos by other paths or in another case",
        outcome="taken, as only one photo can be meant",
    )


def _split_of_folder(folder: str, split_folders: Mapping[str, str]) -> str:
    """The split of the first folder on the way to this one that is a split; else "train"."""
    ends = (end for end in range(len(folder) + 1) if folder[end : end + 1] in ("/", ""))
    return next((split_folders[folder[:e]] for e in ends if folder[:e] in split_folders), "train")


def is_label_name(text: object) -> bool:
    """Whether a value can be the name of a label: valid text that is not blank."""
    if not isinstance(text, str) or not normalize_label(text):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
