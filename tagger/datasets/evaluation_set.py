"""Labelled photos from elsewhere, to test a model on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagger.concurrency import Progress, silent
from tagger.datasets.loading import Readable, decode_samples
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers.listing import Listing
from tagger.datasets.sample import Sample
from tagger.datasets.splits import draw
from tagger.errors import DatasetError
from tagger.labels import LabelSet
from tagger.text import list_first


def load(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    workers: int | None = None,
    progress: Progress = silent,
    limit: int | None = None,
) -> Readable:
    """Readable photos in `root` that have one of the labels, all as "test".

    For a model of tags, those that `root` does not tell of are unseen in its photos. `most`
    looks at no more than so many, drawn at random, of "val" and "test" where there are any.

    And those that could not be read, each with its reason. Raises DatasetError where none could.
    """
    listing = detect.read(root, 1)
    if limit is not None:
        held_out = [sample for sample in listing.samples if sample.split != "train"]
        listing = replace(listing, samples=draw(held_out or listing.samples, limit))
    if listing.kind == "multi" and labels.kind == "single":
        raise DatasetError(f"{root}: its photos have several tags; the model tells one label")
    known = [name for name in labels.names if name in listing.names]
    if not known:
        raise DatasetError(f"{root}: no label in it is one of {list_first(labels.names)}")
    samples, unreadable = decode_samples(
        root, _as_labelled(listing, labels), store, workers, progress
    )
    if not samples:
        raise DatasetError(f"{root}: none of its {len(listing.samples)} photos could be read")
    return samples, unreadable


def _as_labelled(listing: Listing, labels: LabelSet) -> list[Sample]:
    """The photos of a listing for a model of other labels: what it does not tell is unseen."""
    places = {
        old: labels.names.index(n) for old, n in enumerate(listing.names) if n in labels.names
    }
    told = set(places.values()) if listing.kind == "multi" else set()
    found = []
    for sample in listing.samples:
        present = tuple(places[label] for label in sample.present if label in places)
        untold = set(range(len(labels))) - told - set(present)
        untold |= {places[label] for label in sample.unseen if label in places}
        if labels.kind == "multi" and len(untold) < len(labels):
            found.append(replace(sample, present=present, unseen=tuple(untold), split="test"))
        elif labels.kind == "single" and present:
            found.append(replace(sample, present=present, split="test"))
    return found
