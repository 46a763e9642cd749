"""The builder that the readers of label files fill, photo by photo, to make a listing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.datasets.sample import LIKELY, Sample
from tagger.datasets.splits import split_named
from tagger.labels import Kind
from tagger.text import escape_controls

_IN_SEVERAL = Remark("photo", "is listed in several splits", "are listed in several splits")
_BY_PREFERENCE = ("test", "val", "train")


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
    """Collects photos with their tags and splits, and remarks; `tags` are by path in the index."""

    def __init__(self, index: PhotoIndex) -> None:
        self.index = index
        self.tags: dict[str, PhotoTags] = {}
        self._splits: dict[str, set[str]] = {}
        self._cases: dict[Remark, list[str]] = {}
        self._left_out: set[str] = set()

    def add_case(self, remark: Remark, name: str) -> None:
        """Count one more case of a remark."""
        self._cases.setdefault(remark, []).append(escape_controls(name))

    def add_split(self, photo: str, split: str) -> None:
        """Add a split that a photo is listed in."""
        self._splits.setdefault(photo, set()).add(split)

    def find_photo(self, name: str, folders: Sequence[str], noun: str, position: str) -> str | None:
        """The photo that the `noun` at `position` names; without one, None and a remark's case."""
        photo = self.index.find(name, folders)
        if isinstance(photo, str):
            return photo
        self.add_case(_no_photo(noun, photo), f"{position}: {name}")
        return None

    def leave_out(self, photo: str, remark: Remark, name: str | None = None) -> None:
        """Leave out a photo, counted by a remark under `name` or its own path."""
        self._left_out.add(photo)
        self.add_case(remark, name or photo)

    def build(self, label_format: str, kind: Kind, names: Iterable[str] = ()) -> Listing:
        """The listing; its labels are `names` and all that are present in photos."""
        present_names = {
            name for tags in self.tags.values() for name in (*tags.present, *tags.doubtful)
        }
        ordered = tuple(sorted({*names, *present_names}))
        numbers = {name: number for number, name in enumerate(ordered)}
        not_looked_for: dict[frozenset[str], set[str]] = {}
        splits = self._settle_splits()
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

    def _settle_splits(self) -> dict[str, str]:
        """The split of each photo; without a listed one, the split its folder is named for.

        A photo in several splits is kept out of training, unless no photo would be left to train
        on, as where a list names the same photos for both: then it is split anew.
        """
        splits = {
            photo: self._splits.get(photo) or {split_of_folder(photo.rpartition("/")[0])}
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
def split_of_folder(folder: str) -> str:
    """The split that a folder, or one that contains it, is named for; else "train"."""
    return next((split for name in folder.split("/") if (split := split_named(name))), "train")


def is_label_name(text: object) -> bool:
    """Whether a value can be the name of a label: valid text that is not blank."""
    if not isinstance(text, str) or not text.strip():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
