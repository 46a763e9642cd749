"""Photos to check exports with, and their labels if they have any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tagger.concurrency import Progress, silent
from tagger.datasets import evaluation_set
from tagger.datasets.loading import DecodedSamples, decode_samples
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.datasets.splits import draw
from tagger.errors import DatasetError
from tagger.evaluation.outputs import label_array
from tagger.files import Skipped
from tagger.images.decode import EXTENSIONS, Pixels, find_photos
from tagger.labels import LabelSet
from tagger.text import count_noun

MAX_CHECKED = 500  # photos
MAX_RANGE_PHOTOS = 200  # for int8 ranges
RANGE_SHARE = 6  # one photo in six is set aside for int8 ranges
FEW_PHOTOS = 100  # below this, a check proves little

Labels = NDArray[Any]  # label numbers (N,), or cells (N, C) of tags


@dataclass(frozen=True)
class CheckPhotos:
    """Prepared photos for a check, and other ones, `ranges`, to take int8 ranges from.

    `pixels` yields the photos anew on each call. `truth` has their label numbers `(N,)`, or cells
    `(N, C)` of tags: PRESENT, ABSENT or UNSEEN; None for unlabelled photos.
    """

    pixels: Callable[[], Iterable[Pixels]]
    truth: Labels | None
    ranges: Sequence[Pixels]


def load_photos(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda sentence: None,
) -> CheckPhotos:
    """Photos of a labelled collection, preferably held-out ones, or any photos under `root`.

    `say` gets sentences about skipped, unlabelled or too few photos. Raises DatasetError if none
    can be read.
    """
    limit = MAX_CHECKED + MAX_RANGE_PHOTOS
    try:
        samples, unreadable = evaluation_set.load(root, labels, store, None, progress, limit)
        labelled = True
    except DatasetError as error:
        if not root.is_dir():
            raise
        samples, unreadable = _load_unlabelled(root, store, limit, progress)
        labelled = False
        say(f"What is right is not known, so agreement alone is checked: {error}")
    for path, reason in unreadable:
        say(f"Left out: {path}: {reason}")
    set_aside = min(MAX_RANGE_PHOTOS, len(samples) // RANGE_SHARE)
    checked = samples[: len(samples) - set_aside]
    ranges = samples[-set_aside:] if set_aside else samples
    if len(checked) < FEW_PHOTOS:
        say(f"Only {count_noun(len(checked), 'photo')}: too few for reliable figures.")
    return select_photos(store, labels if labelled else None, checked, ranges)


def select_photos(
    store: PixelStore,
    labels: LabelSet | None,
    checked: Sequence[Sample],
    ranges: Sequence[Sample],
) -> CheckPhotos:
    """At most MAX_CHECKED and MAX_RANGE_PHOTOS of the samples in `store`, drawn at random.

    Without `labels` they count as unlabelled.
    """
    checked, ranges = draw(checked, MAX_CHECKED), draw(ranges, MAX_RANGE_PHOTOS)
    truth: Labels | None = None
    if labels is not None:
        truth = label_array(checked, labels)
    return CheckPhotos(
        lambda: store.rows(sample.row for sample in checked),
        truth,
        list(store.rows(sample.row for sample in ranges)),
    )


def _load_unlabelled(
    root: Path, store: PixelStore, limit: int, progress: Progress
) -> DecodedSamples:
    skipped = Skipped()
    paths = draw(list(find_photos(root, skipped)), limit)
    listed = [Sample(path, (), "test") for path in paths]
    decoded = decode_samples(root, listed, store, None, progress)
    if not decoded.samples:
        reason = f"none of {count_noun(len(paths), 'photo')} could be read"
        endings = f"looked for {' '.join(sorted(EXTENSIONS))}"
        raise DatasetError(f"{root}: {'; '.join([reason, *skipped.sentences(), endings])}")
    return decoded._replace(unreadable=(*skipped.unopened, *decoded.unreadable))
