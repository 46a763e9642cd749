"""What a collection's labels say before any photo is opened: photos, their labels, their split.

However labels are written down, reading them gives a `Listing`; `tagger.formats` finds the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagger.datasets.sample import Sample
from tagger.labels import Kind, LabelSet
from tagger.text import count_noun

LAYOUT = (
    "make one folder for each label, such as dataset/cat/ and dataset/dog/, and put photos in, or"
    " put photos beside a labels.csv or COCO, Pascal VOC or YOLO labels (dataset/README.md)"
)


@dataclass(frozen=True)
class Remark:
    """Something that was not taken as it stands, and what of it: `one` and `many` say it.

    "names a photo outside the collection" and "name photos outside the collection", of rows;
    `outcome` is what was done about it.
    """

    noun: str
    singular: str
    plural: str
    names: tuple[str, ...] = ()
    outcome: str = "left out"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        forms = {"noun": self.noun, "one": self.singular, "many": self.plural}
        return {**forms, "names": self.names, "outcome": self.outcome}

    def sentence(self) -> str:
        """How many, and what of them."""
        count = len(self.names)
        told = f"{count_noun(count, self.noun)} {self.singular if count == 1 else self.plural}"
        return f"{told}: {self.outcome}"


@dataclass(frozen=True)
class Listing:
    """Photos by their place, with labels by number, none of them opened yet.

    `written_as` names the way the labels are written down ("folders", "CSV"). `names` are the
    labels in alphabetical order; OptionError for a name no model file could hold. `remarks` tell
    of whatever was not taken as it stands, `told` are the photos left out that they tell of.
    """

    label_format: str
    names: tuple[str, ...]
    kind: Kind
    samples: tuple[Sample, ...]
    remarks: tuple[Remark, ...] = ()
    remarked: frozenset[Path] = frozenset()

    def __post_init__(self) -> None:
        if self.names:
            LabelSet(self.names, self.kind)
