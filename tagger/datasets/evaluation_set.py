"""Labelled photos to evaluate a trained model on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tagger.concurrency import Progress, silent
from tagger.datasets.loading import DecodedSamples, decode_samples
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers.listing import Listing
from tagger.datasets.sample import Sample
from tagger.datasets.splits import draw
from tagger.errors import DatasetError
from tagger.labels import LabelSet, normalize_label
from tagger.text import fold, list_first


def load(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    workers: int | None = None,
    progress: Progress = silent,
    limit: int | None = None,
) -> DecodedSamples:
    """Photos in `root` with labels of a model, all as split "test", numbered as in `labels`.

    Folders that cannot be opened are among those that are unreadable. Tags of the model that `root`
    has no labels for are unseen. At most `limit` photos are drawn at random, from "val" and "test"
    if it has these. Raises DatasetError where no photo is usable.
    """
    listing = detect.read(root, 1)
    numbers = _match_labels(listing.names, labels.names)
    if limit is not None:
        held_out = [sample for sample in listing.samples if sample.split != "train"]
        listing = replace(listing, samples=draw(held_out or listing.samples, limit))
    if listing.kind == "multi" and labels.kind == "single":
        raise DatasetError(f"{root}: its photos have several tags; the model tells one label")
    if not numbers:
        raise DatasetError(f"{root}: no label in it is one of {list_first(labels.names)}")
    renumbered = _renumber_samples(listing, labels, numbers)
    decoded = decode_samples(root, renumbered, store, workers, progress)
    if not decoded.samples:
        raise DatasetError(f"{root}: none of its {len(listing.samples)} photos could be read")
    unopened = tuple(listing.skipped.unopened)
    return decoded._replace(unreadable=unopened + decoded.unreadable)


def _match_labels(names: Sequence[str], model_names: Sequence[str]) -> dict[int, int]:
    """The model's number of each label that it has, by the label's own number.

    Names in another case are the same, unless two labels on either side would be.
    """
    exact = {normalize_label(name): number for number, name in enumerate(model_names)}
    numbers = {old: exact[name] for old, name in enumerate(names) if name in exact}
    model_keys, keys = (Counter(map(fold, each)) for each in (exact, names))
    folded = {fold(name): number for name, number in exact.items()}
    for old, name in enumerate(names):
        if model_keys[fold(name)] == keys[fold(name)] == 1:
            numbers.setdefault(old, folded[fold(name)])
    return numbers


def _renumber_samples(
    listing: Listing, labels: LabelSet, numbers: Mapping[int, int]
) -> list[Sample]:
    """Samples with the numbers of `labels`; photos without any state of these are left out."""
    looked_for = set(numbers.values()) if listing.kind == "multi" else set()
    samples = []
    for sample in listing.samples:
        present = tuple(numbers[label] for label in sample.present if label in numbers)
        unseen = set(range(len(labels))) - looked_for - set(present)
        unseen |= {numbers[label] for label in sample.unseen if label in numbers}
        if labels.kind == "multi" and len(unseen) < len(labels):
            doubtful = tuple((numbers[tag], p) for tag, p in sample.doubtful if tag in numbers)
            sample = replace(sample, unseen=tuple(unseen), doubtful=doubtful)
            samples.append(replace(sample, present=present, split="test"))
        elif labels.kind == "single" and present:
            samples.append(replace(sample, present=present, split="test"))
    return samples
