"""Progress events: what a training reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagger.audit.findings import Findings
from tagger.datasets.dataset import Dataset
from tagger.datasets.readers.listing import Remark
from tagger.text import count_noun, list_first
from tagger.training.caption_batches import MAX_TOKENS
from tagger.training.run_folder import Epoch

_STOP_REASONS = {"no better": "no better for a while", "interrupted": "interrupted"}


class ProgressEvent:
    """One step of a training. Programs act on its type and fields, never on its lines."""

    def lines(self) -> list[str]:
        """The event as lines for a person; empty where there is nothing to show."""
        return []


@dataclass(frozen=True)
class RunFolderCreated(ProgressEvent):
    """The run folder was created, or the interrupted one reopened."""

    folder: Path


@dataclass(frozen=True)
class CollectionLoaded(ProgressEvent):
    """Every photo was read and assigned to a split."""

    collection: Dataset

    def lines(self) -> list[str]:
        labels = f"Labels: {self.collection.describe_labels()}"
        return [labels, *self.collection.split_lines(), *self.collection.problems.lines()]


@dataclass(frozen=True)
class CaptionsLoaded(ProgressEvent):
    """The captions of training photos were read, and the words that enough of them have.

    `added` of the `tokens` are not of the model that training starts from; `left_out` are frequent
    words that are not learned.
    """

    captions: int
    tokens: int
    added: int
    left_out: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def lines(self) -> list[str]:
        loaded = f"Captions: {self.captions:,} of training photos, {self.tokens:,} words and stems"
        if self.added < self.tokens:
            loaded += f", {self.added:,} of them new"
        lines = [loaded]
        if self.left_out:
            lines.append(
                f"{count_noun(len(self.left_out), 'frequent word')} left out, since a model knows"
                f" words of a to z alone, and {MAX_TOKENS:,} at most: {list_first(self.left_out)}"
            )
        return [*lines, *(remark.sentence() for remark in self.remarks)]


@dataclass(frozen=True)
class WordsTaught(ProgressEvent):
    """The words of the model, and the floor of likeness.

    It was fitted to `photos`, of a `split`: "val", or "train" where too few others have captions.
    With no photos it is the default one.
    """

    tokens: int
    floor: float
    photos: int
    split: str

    def lines(self) -> list[str]:
        by = "by default: too few photos have captions"
        if self.photos:
            photos = "validation" if self.split == "val" else "training"
            by = f"by the captions of {count_noun(self.photos, f'{photos} photo')}"
        return [
            f"Words: {self.tokens:,} words and stems; a photo counts as what is described from a"
            f" likeness of {self.floor:.1f} on, {by}"
        ]


@dataclass(frozen=True)
class EvaluationPhotosSkipped(ProgressEvent):
    """Photos of the separate test folder, or folders in it, that cannot be tested on."""

    unreadable: int
    in_collection: int

    def lines(self) -> list[str]:
        lines = []
        if self.unreadable:
            files = "test photo or folder" if self.unreadable == 1 else "test photos or folders"
            lines.append(f"{self.unreadable:,} {files} could not be read: left out")
        if self.in_collection:
            lines.append(f"{self.in_collection} test photos are in the collection: left out")
        return lines


@dataclass(frozen=True)
class UnrelatedPhotosSkipped(ProgressEvent):
    """Photos of unrelated things, or folders of them, that cannot be read."""

    unread: int

    def lines(self) -> list[str]:
        if not self.unread:
            return []
        files = "unrelated photo or folder" if self.unread == 1 else "unrelated photos or folders"
        return [f"{self.unread:,} {files} could not be read: left out"]


@dataclass(frozen=True)
class TestSkipped(ProgressEvent):
    """Nobody looked for any label of the model in the `photos` to test on."""

    __test__ = False  # for pytest

    photos: int

    def lines(self) -> list[str]:
        return [
            f"In {count_noun(self.photos, 'test photo')} nobody looked for a tag of the model:"
            " nothing is tested"
        ]


@dataclass(frozen=True)
class BundledWeightsUsed(ProgressEvent):
    """ImageNet's weights are unavailable, so training starts from the bundled model's."""

    reason: str
    model: Path

    def lines(self) -> list[str]:
        return [f"{self.reason}. Starting from {self.model.name} instead."]


@dataclass(frozen=True)
class CollectionAudited(ProgressEvent):
    """The collection was searched for duplicates, bad photos and wrong labels."""

    findings: Findings

    def lines(self) -> list[str]:
        return [*self.findings.summaries().values(), *self.findings.notes()]


@dataclass(frozen=True)
class EpochStarted(ProgressEvent):
    """Epoch `epoch` of `epochs` begins, counted from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class EpochEnded(ProgressEvent):
    """An epoch's figures; epoch 0 is the network before fine-tuning."""

    figures: Epoch

    def lines(self) -> list[str]:
        row = self.figures
        quality = f"validation accuracy {row.val_accuracy:.2%}"
        if row.val_map is not None:
            quality = f"validation mAP {row.val_map:.4f}"
        if row.loss is None:
            return [f"Head alone: {quality}, loss {row.val_loss:.4f}"]
        return [
            f"Epoch {row.epoch}: loss {row.loss:.4f}, {quality}, loss {row.val_loss:.4f}"
            f" ({row.seconds:.0f} s)"
        ]


@dataclass(frozen=True)
class TagsSelected(ProgressEvent):
    """The tags that are right often enough, and those that are left out of the model."""

    kept: tuple[str, ...]
    left_out: tuple[str, ...]

    def lines(self) -> list[str]:
        line = f"Tags: {len(self.kept):,} kept"
        if not self.left_out:
            return [line]
        names = list_first(list(self.left_out))
        return [f"{line}, {len(self.left_out):,} are not right often enough: {names}"]


@dataclass(frozen=True)
class FineTuningEnded(ProgressEvent):
    """No epoch follows. What remains takes seconds and cannot be stopped without losing it all.

    `stopped` says why fine-tuning ended early; `blend` is the share of epoch `kept_epoch` in the
    weights that were kept, in [0, 1].
    """

    stopped: str | None
    kept_epoch: int
    blend: float

    def lines(self) -> list[str]:
        lines = [f"Stopped: {_STOP_REASONS[self.stopped]}."] if self.stopped else []
        blended = "" if self.blend == 1 else ", blended with the start"
        return [*lines, f"Kept {self.blend:.0%} of epoch {self.kept_epoch}{blended}."]


@dataclass(frozen=True)
class ConversionStarted(ProgressEvent):
    """The network is being converted to LiteRT; from here on stopping would lose it."""

    def lines(self) -> list[str]:
        return ["Converting to the fast runtime."]


@dataclass(frozen=True)
class ExportReported(ProgressEvent):
    """A message of the export, such as the table of its checks."""

    message: str

    def lines(self) -> list[str]:
        return [self.message]


Emit = Callable[[ProgressEvent], None]


def ignore(event: ProgressEvent) -> None:
    """An `Emit` that drops every event."""
