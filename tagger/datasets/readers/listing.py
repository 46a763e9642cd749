"""A listing: the photos, labels and splits that label files name, before any photo is opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagger.datasets.sample import Sample
from tagger.files import Skipped
from tagger.labels import Kind, LabelSet
from tagger.text import count_noun, fold, list_first

LAYOUT = (
    "make one folder for each label, such as dataset/cat/ and dataset/dog/, and put photos in, or"
    " put photos beside a labels.csv or COCO, Pascal VOC or YOLO labels (dataset/README.md)"
)

NOT_LABELS = {  # names of folders between splits and labels, in lower case
    *("images", "photos", "pictures", "jpegimages", "annotations", "labels", "data")
}


@dataclass(frozen=True)
class Remark:
    """Rows, files or photos that could not be used as they are, and what was done about them.

    `names` are the cases. `singular` and `plural` say what is wrong with `noun`: "names a photo
    outside the collection", "name photos outside the collection". With `lists_names`, the sentence
    holds the first names.
    """

    noun: str
    singular: str
    plural: str
    names: tuple[str, ...] = ()
    outcome: str = "left out"
    lists_names: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        forms = {"noun": self.noun, "one": self.singular, "many": self.plural}
        return {**forms, "names": self.names, "outcome": self.outcome}

    def sentence(self) -> str:
        """How many cases there are, and what was done: "2 rows repeat others: counted once"."""
        count = len(self.names)
        predicate = self.singular if count == 1 else self.plural
        listed = f" ({list_first(self.names)})" if self.lists_names else ""
        return f"{count_noun(count, self.noun)} {predicate}{listed}: {self.outcome}"


@dataclass(frozen=True)
class Listing:
    """Photos with labels by number, none of them opened yet.

    `label_format` names the format of the labels ("folders", "CSV"), `names` are the labels in
    alphabetical order, `left_out` the photos that `remarks` count as left out. `photos` are all
    that the walk through the folder met, `skipped` is what it did not enter. Raises OptionError for
    a label name that no model file can hold.
    """

    label_format: str
    names: tuple[str, ...]
    kind: Kind
    samples: tuple[Sample, ...]
    remarks: tuple[Remark, ...] = ()
    left_out: frozenset[Path] = frozenset()
    photos: tuple[Path, ...] = ()
    skipped: Skipped = field(default_factory=Skipped)

    def __post_init__(self) -> None:
        if self.names:
            LabelSet(self.names, self.kind)

    def case_variants(self) -> tuple[tuple[str, ...], ...]:
        """The groups of labels that differ in case alone, each with most photos first."""
        groups: dict[str, list[str]] = {}
        for name in self.names:
            groups.setdefault(fold(name), []).append(name)
        variants = [group for group in groups.values() if len(group) > 1]
        if not variants:
            return ()
        counts = Counter(self.names[label] for s in self.samples for label in s.present)
        return tuple(tuple(sorted(g, key=lambda n: counts[n], reverse=True)) for g in variants)

    def case_spellings(self) -> dict[str, str]:
        """The label with most photos by each other one that differs from it in case alone."""
        return {other: name for name, *variants in self.case_variants() for other in variants}
