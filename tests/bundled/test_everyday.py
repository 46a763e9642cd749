"""The bundled model `everyday` on its validation photos and on photos from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.concurrency import ordered_map
from tagger.datasets.readers import detect
from tagger.datasets.sample import Sample, tag_matrix
from tagger.evaluation import metrics
from tagger.images import decode, transforms
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.inference.registry import BUNDLED_MODEL
from tagger.tagger import Prediction, Tagger

MIN_MAP = 0.95
MIN_PERSON_AP = 0.70
MIN_CAR_AP = 0.20  # most cars in coco128 are tiny
MIN_UNKNOWN = 0.6  # share of textures


@pytest.fixture(scope="module")
def everyday() -> model_file.ModelFile:
    return model_file.load(BUNDLED_MODEL)


def score(model: model_file.ModelFile, samples: list[Sample]) -> np.ndarray:
    """Logits `(N, C)`."""
    runtime = Runtime(model.network)
    prepared = ordered_map(lambda s: transforms.prepare(s.path, runtime.image_size), samples)
    return np.stack([output.logits for output in runtime.run_all(prepared)])


def test_the_card_has_58_tags_and_their_scores(everyday: model_file.ModelFile) -> None:
    scores = everyday.card["scores"]["validation"]
    assert everyday.labels.kind == "multi" and len(everyday.labels) == 58
    assert scores["map"] >= MIN_MAP and scores["accuracy"] > scores["accuracy_of_silence"]
    assert everyday.card["command"].startswith("python train.py --data $TAGGER_DATA/everyday")
    assert everyday.card["weakest"] and everyday.card["about"]


def test_mean_average_precision_on_validation_photos(
    everyday: model_file.ModelFile, data: Path
) -> None:
    listing = detect.read(data / "everyday", 1)
    samples = [sample for sample in listing.samples if sample.split == "val"]
    assert listing.names == everyday.labels.names and len(samples) == 1_072
    cells = tag_matrix(samples, len(listing.names))
    assert metrics.mean_average_precision(score(everyday, samples), cells) >= MIN_MAP


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
