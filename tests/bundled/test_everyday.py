"""The bundled model `everyday` on its validation photos and on photos from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagger.concurrency import ordered_map
from tagger.datasets.readers import detect
from tagger.datasets.sample import Sample, tag_matrix
from tagger.evaluation import metrics
from tagger.images import decode, transforms
from tagger.inference import model_file, vocabulary
from tagger.inference.litert import Runtime
from tagger.inference.registry import BUNDLED_MODEL
from tagger.tagger import Prediction, Tagger
from tests.conftest import run_program

# A point or two below the figures of docs/benchmarks.md
MIN_PERSON_AP = 0.92  # on coco128
MIN_CAR_AP = 0.295  # most cars in coco128 are tiny
MIN_UNKNOWN = 0.765  # share of textures: one of 60 below


@pytest.fixture(scope="module")
def everyday() -> model_file.ModelFile:
    return model_file.load(BUNDLED_MODEL)


def score(model: model_file.ModelFile, samples: list[Sample]) -> np.ndarray:
    """Logits `(N, C)`."""
    runtime = Runtime(model.network)
    prepared = ordered_map(lambda s: transforms.prepare(s.path, runtime.image_size), samples)
    return np.stack([output.logits for output in runtime.run_all(prepared)])


def test_the_card_has_its_tags_and_their_scores(everyday: model_file.ModelFile) -> None:
    scores = everyday.card["scores"]["validation"]
    assert everyday.labels.kind == "multi" and len(everyday.labels) >= 100
    assert set(scores["ap"]) == set(everyday.labels.names)
    assert scores["accuracy"] > scores["accuracy_of_silence"]
    assert everyday.card["weakest"] and everyday.card["about"]


def test_tags_are_words_that_people_say(everyday: model_file.ModelFile) -> None:
    names = set(everyday.labels.names)
    assert {"person", "child", "dog", "cat", "beach", "snow", "bicycle", "street"} <= names
    assert not names & {"outwear", "longsleeve", "trees", "mountains"}
    assert all(vocabulary.load().lookup(name) for name in names)


@pytest.fixture(scope="module")
def ordinary(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `bench/ordinary.py` measures on photos that no model was taught with."""
    results = tmp_path_factory.mktemp("ordinary") / "results.json"
    finished = run_program("bench/ordinary.py", "--json", results, TAGGER_DATA=str(data))
    assert finished.returncode == 0, finished.stderr
    figures: dict[str, Any] = json.loads(results.read_text())
    assert figures["photos"] == 510
    return figures


def test_ordinary_photos_get_tags_that_fit(ordinary: dict[str, Any]) -> None:
    """Children on a beach, dogs in snow: no chain saws."""
    assert ordinary["absurd"] <= 0.015, ordinary["absurd_tags"]
    assert ordinary["untagged"] <= 0.015 and ordinary["median_tags"] >= 3
    assert ordinary["map"] >= 0.61
    assert ordinary["person_recall"] >= 0.95 and ordinary["person_precision"] >= 0.95
    assert ordinary["dog_recall"] >= 0.83 and ordinary["dog_precision"] >= 0.95


def test_photos_are_found_by_descriptions(ordinary: dict[str, Any]) -> None:
    assert ordinary["first_1"] >= 0.26
    assert ordinary["first_5"] >= 0.55
    assert ordinary["first_10"] >= 0.68


def test_words_of_other_collections_are_known() -> None:
    tagger = Tagger.load("everyday")
    texts = ("pizza", "a sunflower", "the kitchen", "zebras", "girl in a pink dress")
    assert not any(tagger.unknown_words(text) for text in texts)
    vectors = np.stack([tagger.embed_text(text) for text in texts])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[np.triu_indices(len(texts), 1)].max() < 0.5  # each means something else
    for text, same in (("zebras", "zebra"), ("pizza", "a slice of pizza"), ("sunflower", "flower")):
        nearest = np.argmax(vectors @ tagger.embed_text(same))
        assert text in texts[nearest]


def test_photos_of_other_collections_are_found_by_their_words(data: Path) -> None:
    """Photos of single things: for each kind, the five most like its name."""
    table = pd.read_csv(data / "objects" / "labels.csv").query("split == 'val'")
    kinds = ("accordion", "elephant", "helicopter", "hedgehog", "piano", "pizza", "starfish")
    table = table[table["label"].isin(kinds)]
    tagger = Tagger.load("everyday")
    photos = np.stack([tagger.embed(data / "objects" / name) for name in table["image"]])
    labels = table["label"].to_numpy()
    right = [
        (labels[np.argsort(-(photos @ tagger.embed_text(kind)))[:5]] == kind).mean()
        for kind in kinds
    ]
    assert np.mean(right) >= 0.85


def test_average_precision_of_people_and_cars_on_coco128(
    everyday: model_file.ModelFile, data: Path
) -> None:
    listing = detect.read(data / "coco128", 1)
    scores = score(everyday, list(listing.samples))
    cells = tag_matrix(listing.samples, len(listing.names))
    precision = {
        name: metrics.average_precisions(
            scores[:, [everyday.labels.names.index(name)]],
            cells[:, [listing.names.index(name)]],
        )[0]
        for name in ("person", "car")
    }
    assert (precision["person"] or 0) >= MIN_PERSON_AP and (precision["car"] or 0) >= MIN_CAR_AP


def test_most_textures_are_unknown(data: Path) -> None:
    results = list(Tagger.load().tag_many(decode.find_photos(data / "unrelated" / "textures")))
    unknown = [r.unknown for r in results if isinstance(r, Prediction)]
    assert len(unknown) == 60 and np.mean(unknown) >= MIN_UNKNOWN


def test_a_photo_can_have_several_tags(data: Path) -> None:
    folder = data / "unrelated" / "clothing"
    results = list(Tagger.load("everyday").tag_many(decode.find_photos(folder)))
    several = [r for r in results if isinstance(r, Prediction) and len(r.tags) > 1]
    assert len(several) > len(results) / 2
    assert all("clothing" in {tag.label for tag in prediction.tags} for prediction in several)
