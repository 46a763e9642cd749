"""Training batches: balanced labels, and mosaics with the tags of all their photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, merge_tag_rows
from tagger.labels import LabelSet
from tagger.training.batches import TrainingPhotos
from tagger.training.config import Hyperparameters


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PixelStore]:
    store = PixelStore(tmp_path / "p.u8", 32)
    yield store
    store.close()


def test_a_rare_label_weighs_as_much_as_a_common_one(store: PixelStore) -> None:
    train = [Sample(Path("x"), (label,), "train") for label in [0] * 90 + [1] * 10]
    weights = TrainingPhotos(store, train, [], LabelSet(("cat", "dog"))).label_weights()
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert np.mean([weights[sample.label] for sample in train]) == pytest.approx(1)


def test_a_mosaic_has_the_tags_of_all_its_photos(store: PixelStore) -> None:
    samples = []
    for number in range(12):  # of three tags, some of them not annotated
        row = store.append(np.full((32, 32, 3), 20 * number, np.uint8))
        present = (number % 2, *((2,) if number % 3 == 0 else ()))
        unseen = (2,) if number % 3 == 1 else ()
        samples.append(Sample(Path(f"{number}"), present, "train", row, unseen=unseen))
    photos = TrainingPhotos(store, samples, samples, LabelSet(("cat", "dog", "sea"), "multi"))
    single = photos.labels_of(photos.train)
    mosaics = 0
    for epoch in range(1, 20):
        pixels, cells = photos.batch(Hyperparameters(seed=0), epoch, list(range(12)))
        assert pixels.shape == (12, 32, 32, 3) and cells.shape == (12, 3)
        for before, after in zip(single, cells, strict=True):
            if not np.array_equal(before, after):
                mosaics += 1
                assert (after[before == 1] == 1).all()  # every present tag stays present
                assert (before[after == 0] == 0).all()  # absent are only tags that none has
    assert mosaics > 20


def test_merged_tags_are_present_in_any_and_absent_in_all() -> None:
    cells = np.array([[1, 0, 0, -1, -1], [0, 0, -1, -1, 1]], np.int8)
    assert merge_tag_rows(cells).tolist() == [1, 0, -1, -1, 1]
