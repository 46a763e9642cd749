"""What a reader of labels writes into, photo by photo, until it is a listing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.datasets.sample import Sample
from tagger.datasets.splits import split_named
from tagger.labels import Kind
from tagger.text import escape_controls

_IN_SEVERAL = Remark("photo", "is listed in several splits", "are listed in several splits")
_FIRST = ("test", "val", "train")


@dataclass(slots=True)
class PhotoTags:
    """The tags in a photo, and those that nobody looked for.

    `asked` are the tags that whoever wrote of it had in mind; None: all there are. A photo is
    `doubtful` where an object in it has no name that could be read: it may be any, so that the tags
    not known to be present are not known to be absent.
    """

    present: set[str]
    unseen: Iterable[str] = ()
    asked: frozenset[str] | None = None
    doubtful: bool = False

    def add(self, name: str | None) -> None:
        """An object of that name, or of one that could not be read."""
        if name is None:
            self.doubtful = True
        else:
            self.present.add(name)


class ListingBuilder:
    """Photos by their place with what is said of them, and what could not be taken as it stands."""

    def __init__(self, tree: PhotoIndex) -> None:
        self.tree = tree
        self.entries: dict[str, PhotoTags] = {}
        self._splits: dict[str, set[str]] = {}
        self._remarks: dict[Remark, list[str]] = {}
        self._told: set[str] = set()

    def note(self, remark: Remark, name: str) -> None:
        """One more that a remark is to count."""
        self._remarks.setdefault(remark, []).append(escape_controls(name))

    def put_in(self, split: str, place: str) -> None:
        """Somebody says that a photo is in a split."""
        self._splits.setdefault(place, set()).add(split)

    def find(self, name: str, folders: Sequence[str], noun: str, at: str) -> str | None:
        """The photo a name means; None, having noted that the thing `at` names none."""
        found = self.tree.find(name, folders)
        if isinstance(found, str):
            return found
        self.note(missed(noun, found), f"{at}: {name}")
        return None

    def leave_out(self, place: str, remark: Remark, name: str | None = None) -> None:
        """A photo that only a remark is to tell of, by its own name or another."""
        self._told.add(place)
        self.note(remark, name or place)

    def listing(self, written_as: str, kind: Kind, names: Iterable[str] = ()) -> Listing:
        """All of it, the labels by number: `names`, and those in photos."""
        ordered = tuple(sorted({*names, *(n for e in self.entries.values() for n in e.present)}))
        numbers = {name: number for number, name in enumerate(ordered)}
        unasked: dict[frozenset[str], set[str]] = {}
        splits = self._settled_splits()
        samples = []
        for place, entry in sorted(self.entries.items()):
            unseen = set(ordered if entry.doubtful else entry.unseen)
            if entry.asked is not None:
                if entry.asked not in unasked:
                    unasked[entry.asked] = set(ordered) - entry.asked
                unseen |= unasked[entry.asked]
            present = tuple(sorted(numbers[name] for name in entry.present))
            missing = tuple(sorted(numbers[name] for name in unseen - entry.present))
            samples.append(
                Sample(self.tree.absolute(place), present, splits[place], unseen=missing)
            )
        remarks = [replace(remark, names=tuple(found)) for remark, found in self._remarks.items()]
        told = frozenset(self.tree.absolute(place) for place in self._told)
        return Listing(written_as, ordered, kind, tuple(samples), tuple(remarks), told)

    def _settled_splits(self) -> dict[str, str]:
        """One split for each photo, its folder's where none is given.

        A photo in several is kept to check with, not to learn from; unless that left nothing to
        learn from, as where a list names the same photos under both.
        """
        given = {
            place: self._splits.get(place) or {split_of(place.rpartition("/")[0])}
            for place in self.entries
        }
        several = [place for place, splits in given.items() if len(splits) > 1]
        learned = any(splits == {"train"} for splits in given.values())
        remark = replace(_IN_SEVERAL, outcome="kept out of train" if learned else "split anew")
        for place in several:
            self.note(remark, place)
        if not learned and several:
            return {place: "train" if len(s) > 1 else min(s) for place, s in given.items()}
        return {place: next(n for n in _FIRST if n in s) for place, s in given.items()}


def missed(noun: str, why: Miss) -> Remark:
    """A remark on things that name a photo which is not to be had."""
    if why is Miss.OUTSIDE:
        what = "a photo outside the collection", "photos outside the collection"
    elif why is Miss.MISSING:
        what = "a photo that is not there", "photos that are not there"
    else:
        what = "more than one photo", "more than one photo each"
    return Remark(noun, f"names {what[0]}", f"name {what[1]}")


@cache
def split_of(folder: str) -> str:
    """The split that a folder, or one around it, is named for, else "train"."""
    return next((split for name in folder.split("/") if (split := split_named(name))), "train")


def is_name(text: object) -> bool:
    """Whether a label may be called so."""
    if not isinstance(text, str) or not text.strip():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
