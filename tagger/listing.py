"""What a collection's labels say before any photo is opened: photos, their labels, their split.

However labels are written down, reading them gives a `Listing`; `tagger.formats` finds the reader.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagger.labels import Kind, LabelSet
from tagger.splits import Sample

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
LAYOUT = "make one folder for each label, such as dataset/cat/ and dataset/dog/, and put photos in"


@dataclass(frozen=True)
class Remark:
    """Something that was passed over, and what of it: `one` and `many` say it of so many.

    "names a photo outside the collection" and "name photos outside the collection", of rows.
    """

    noun: str
    one: str
    many: str
    names: tuple[str, ...]

    def sentence(self) -> str:
        """How many, and what of them."""
        count = len(self.names)
        return f"{counted(count, self.noun)} {self.one if count == 1 else self.many}: left out"


@dataclass(frozen=True)
class Listing:
    """Photos by their place, with labels by number, none of them opened yet.

    `written_as` names the way the labels are written down ("folders", "CSV"). `names` are the
    labels in alphabetical order; OptionError for a name no model file could hold.
    """

    written_as: str
    names: tuple[str, ...]
    kind: Kind
    samples: tuple[Sample, ...]
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        if self.names:
            LabelSet(self.names, self.kind)


def counted(count: int, noun: str) -> str:
    """ "1 photo", "1,200 photos"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
