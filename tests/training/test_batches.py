"""Training batches: order, balanced labels, and mosaics with the tags of all their photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import (
    ABSENT,
    PRESENT,
    Sample,
    merge_tag_rows,
    tag_matrix,
    target_matrix,
)
from tagger.labels import LabelSet
from tagger.models.heads import prior_correction
from tagger.training.batches import CAPTIONS, LOGITS, PIXELS, SIMILARITY, TrainingData
from tagger.training.caption_batches import tokenize_captions
from tagger.training.config import Hyperparameters


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PixelStore]:
    store = PixelStore(tmp_path / "p.u8", 32)
    yield store
    store.close()


def add_photo(store: PixelStore, number: int, present: tuple[int, ...], *unseen: int) -> Sample:
    row = store.append(np.full((32, 32, 3), 20 * number % 256, np.uint8))
    return Sample(Path(f"{number}"), present, "train", row, unseen=unseen)


def add_tagged(store: PixelStore) -> TrainingData:
    """Twelve photos of three tags, in one batch; the third tag is not annotated in all."""
    samples = [
        add_photo(
            store,
            number,
            (number % 2, *((2,) if number % 3 == 0 else ())),
            *((2,) if number % 3 == 1 else ()),
        )
        for number in range(12)
    ]
    labels = LabelSet(("cat", "dog", "sea"), "multi")
    return TrainingData(store, samples, samples, labels, Hyperparameters(seed=0))


def test_a_rare_label_weighs_as_much_as_a_common_one(store: PixelStore) -> None:
    train = [add_photo(store, number, (int(number >= 90),)) for number in range(100)]
    labels = LabelSet(("cat", "dog"))
    data = TrainingData(store, train, [], labels, Hyperparameters(batch_size=100))
    _, targets, weights = data[0]
    of_label = weights[LOGITS] @ targets[LOGITS]  # (2,)
    assert of_label[0] == pytest.approx(of_label[1])
    assert weights[LOGITS].mean() == pytest.approx(1)


def test_epochs_show_every_photo_once_each_in_its_own_order(store: PixelStore) -> None:
    train = [add_photo(store, number, (number,)) for number in range(10)]
    labels = LabelSet(tuple("abcdefghij"))
    data = TrainingData(store, train, [], labels, Hyperparameters(batch_size=4))
    orders = []
    for epoch in (1, 2, 1):
        data.begin_epoch(epoch)
        batches = [targets[LOGITS].argmax(axis=1) for _, targets, _ in data]
        assert [len(batch) for batch in batches] == [4, 4, 2]
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))


def test_the_same_seed_epoch_and_index_give_the_same_batch(store: PixelStore) -> None:
    data = add_tagged(store)
    first, again = data[0], data[0]
    assert np.array_equal(first[0], again[0])
    data.begin_epoch(2)
    assert not np.array_equal(first[0], data[0][0])


def test_a_mosaic_has_the_tags_of_all_its_photos(store: PixelStore) -> None:
    data = add_tagged(store)
    plain = tag_matrix(data.train, 3)
    mosaics = 0
    for epoch in range(1, 20):
        data.begin_epoch(epoch)
        pixels, targets, weights = data[0]
        assert pixels.shape == (12, 32, 32, 3)
        assert targets[LOGITS].shape == weights[LOGITS].shape == (12, 3)
        order = np.random.default_rng([0, epoch]).permutation(12)  # of the epoch's photos
        rows = zip(plain[order], targets[LOGITS], weights[LOGITS], strict=True)
        for before, after, weight in rows:
            mosaics += not np.array_equal(before == PRESENT, after)
            assert (after[before == PRESENT] == 1).all()  # every present tag stays present
            absent = (after == 0) & (weight > 0.2)  # an unseen cell weighs next to nothing
            assert (before[absent] == ABSENT).all()  # absent are only tags that none has
    assert mosaics > 20


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_a_doubtful_tag_moves_with_the_balance_as_all_others_do(
    store: PixelStore, balance: float
) -> None:
    """A tag that every photo has with the same probability, so mosaics have it too."""
    train = [
        replace(add_photo(store, number, (), 0), doubtful=((0, 0.35),)) for number in range(12)
    ]
    labels = LabelSet(("cat",), "multi")
    data = TrainingData(store, train, [], labels, Hyperparameters(balance=balance))
    _, targets, weights = data[0]
    logits = np.log(targets[LOGITS] / (1 - targets[LOGITS]))  # where the loss is lowest
    np.testing.assert_allclose(targets[LOGITS].max(), 0.35 + 0.15 * balance, atol=0.01)
    logits += prior_correction(target_matrix(train, 1), balance)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), 0.35, rtol=1e-4)
    np.testing.assert_allclose(weights[LOGITS], 1, rtol=1e-4)


def test_merged_tags_are_likely_in_any_and_absent_in_all() -> None:
    nan = float("nan")
    targets = np.array([[1, 0, 0, nan, nan, 0.2, 0.8], [0, 0, nan, nan, 1, 0, nan]], np.float32)
    expected = [1, 0, nan, nan, 1, 0.2, 0.8]
    np.testing.assert_allclose(merge_tag_rows(targets), expected)


@pytest.mark.parametrize("photos", [3, 8, 11, 13])
def test_every_batch_of_captioned_photos_is_full(store: PixelStore, photos: int) -> None:
    """Or there is only one: Keras takes the shapes of the first batches for all."""
    train = [add_photo(store, number, (number % 2,)) for number in range(photos)]
    captions = tokenize_captions([["a cat", "a dog"]] * photos, ("cat", "dog"))
    hyperparameters = Hyperparameters(batch_size=4, seed=0)
    labels = LabelSet(("cat", "dog"), "multi")
    data = TrainingData(store, train, train, labels, hyperparameters, captions, captions)
    batches = [data[index] for index in range(len(data))]
    assert len(batches) == -(-photos // 4)
    shapes = {
        (inputs[PIXELS].shape, inputs[CAPTIONS].shape, targets[SIMILARITY].shape)
        for inputs, targets, _ in batches
        if isinstance(inputs, dict)
    }
    assert len(shapes) == 1
