"""Captions of a collection: which photos words are fitted to, and which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.captions import Captions
from tagger.datasets.dataset import Dataset
from tagger.datasets.sample import Sample
from tagger.labels import LabelSet
from tagger.training import collection_captions
from tagger.training.collection_captions import CollectionCaptions, tokenize

ROOT = Path("/photos")
PHOTOS = 40  # every second one with a caption


@pytest.fixture
def captions() -> CollectionCaptions:
    samples = tuple(Sample(ROOT / f"{row}.jpg", (row % 3,), "train", row) for row in range(PHOTOS))
    collection = Dataset(ROOT, LabelSet(("cat", "dog", "cow")), samples)
    texts = {ROOT / f"{row}.jpg": (f"photo of number{row}",) for row in range(0, PHOTOS, 2)}
    return tokenize(Path("captions.csv"), Captions(ROOT, texts), collection, None, seed=1)


def test_photos_without_captions_teach_their_labels(captions: CollectionCaptions) -> None:
    photos, texts = captions.with_names(seed=1)
    described = list(range(0, PHOTOS, 2))
    assert list(captions.described) == photos[: len(described)] == described
    assert sorted(photos) == list(range(PHOTOS))
    by_photo = dict(zip(photos, texts, strict=True))
    assert by_photo[4] == ("photo of number4",) and by_photo[1] == ("dog",)


def test_words_of_many_photos_are_fitted_to_a_sample(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """All captions take part in fine-tuning, which holds no features."""
    monkeypatch.setattr(collection_captions, "MAX_HEAD_PHOTOS", 5)
    monkeypatch.setattr(collection_captions, "MAX_NAMED_PHOTOS", 3)
    captions: CollectionCaptions = request.getfixturevalue("captions")
    assert len(captions.train.rows) == PHOTOS // 2
    photos, texts = captions.with_names(seed=1)
    assert len(photos) == len(texts) == 8
    assert photos[:5] == list(captions.described) == sorted(captions.described)
    assert all(photo % 2 == 0 for photo in photos[:5])
    assert all(photo % 2 == 1 for photo in photos[5:])
    own = captions.of_described()
    assert own.owners.tolist() == [0, 1, 2, 3, 4]
    assert own.rows.tolist() == captions.train.rows[[photo // 2 for photo in photos[:5]]].tolist()
