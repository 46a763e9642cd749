"""Real photos to check an export with, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, ordered_map, silent
from tagger.datasets import evaluation_set
from tagger.datasets.loading import DecodedSamples
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, tag_matrix
from tagger.datasets.splits import draw
from tagger.errors import DatasetError, ImageError
from tagger.images import decode as images
from tagger.images import transforms
from tagger.images.decode import Pixels
from tagger.labels import LabelSet
from tagger.text import count_noun

MAX_CHECKED = 500  # photos
MAX_RANGE_PHOTOS = 200  # that int8 takes its ranges from
RANGE_SHARE = 6  # of so many photos one is set aside for those
FEW = 100  # photos, below which a check proves little

Truth = NDArray[Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Photos:
    """Prepared photos: `pixels` gives them anew each time, `ranges` are others, for int8.

    `truth` is the label of each (N,), or for several tags what is known of each (N, C): 1
    present, 0 absent, -1 where nobody looked; None of photos without labels.
    """

    pixels: Callable[[], Iterable[Pixels]]
    truth: Truth | None
    ranges: Sequence[Pixels]


def load_photos(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    progress: Progress = silent,
    say: Say = lambda sentence: None,
) -> Photos:
    """Photos of a labelled collection, its held-out ones if it has any, or any under `root`.

    Raises DatasetError where none can be read.
    """
    most = MAX_CHECKED + MAX_RANGE_PHOTOS
    try:
        samples, unreadable = evaluation_set.load(root, labels, store, None, progress, most)
        labelled = True
    except DatasetError as error:
        if not root.is_dir():
            raise
        samples, unreadable = _unlabelled(root, store, most, progress)
        labelled = False
        say(f"What is right is not known, so agreement alone is checked: {error}")
    for path, reason in unreadable:
        say(f"Left out: {path}: {reason}")
    set_aside = min(MAX_RANGE_PHOTOS, len(samples) // RANGE_SHARE)
    checked = samples[: len(samples) - set_aside]
    ranges = samples[-set_aside:] if set_aside else samples
    if len(checked) < FEW:
        say(f"Only {count_noun(len(checked), 'photo')} to check with: the figures prove little.")
    return select_photos(store, labels if labelled else None, checked, ranges)


def select_photos(
    store: PixelStore,
    labels: LabelSet | None,
    checked: Sequence[Sample],
    ranges: Sequence[Sample],
) -> Photos:
    """Photos whose pixels lie in `store`, as many as are of use, drawn at random.

    Without `labels`, nothing is known of them.
    """
    checked, ranges = draw(checked, MAX_CHECKED), draw(ranges, MAX_RANGE_PHOTOS)
    truth: Truth | None = None
    if labels is not None:
        single = labels.kind == "single"
        truth = np.array([s.label for s in checked]) if single else tag_matrix(checked, len(labels))
    return Photos(
        lambda: store.rows(sample.row for sample in checked),
        truth,
        list(store.rows(sample.row for sample in ranges)),
    )


def _unlabelled(root: Path, store: PixelStore, most: int, progress: Progress) -> DecodedSamples:
    def decode(path: Path) -> tuple[Path, Pixels | ImageError]:
        try:
            return path, transforms.prepare(path, store.image_size)
        except ImageError as error:
            return path, error

    paths = draw(list(images.find_photos(root)), most)
    samples: list[Sample] = []
    unreadable: list[tuple[str, str]] = []
    for path, found in progress(ordered_map(decode, paths), len(paths), "Reading photos"):
        if isinstance(found, ImageError):
            unreadable.append((path.relative_to(root).as_posix(), found.reason))
        else:
            samples.append(Sample(path, (), "test", row=store.append(found)))
    if not samples:
        looked = " ".join(sorted(images.EXTENSIONS))
        raise DatasetError(
            f"{root}: none of {count_noun(len(paths), 'photo')} could be read; looked for {looked}"
        )
    return DecodedSamples(samples, tuple(unreadable))
