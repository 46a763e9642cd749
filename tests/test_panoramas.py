"""Panoramas: several squares are tagged, and the answer says so. With the bundled models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data as samples

from tagger import Tagger
from tagger.cli import output
from tagger.images import decode, transforms
from tagger.service.predictor import PhotoResult
from tagger.service.schemas import Answer, to_json
from tagger.tagger import HEATMAP_LONGER_SIDE


@pytest.fixture(scope="module", params=["pets", "everyday"])
def tagger(request: pytest.FixtureRequest) -> Tagger:
    return Tagger.load(request.param)


@pytest.fixture(scope="module")
def panorama() -> decode.Pixels:
    """Grey from end to end, but for a cat at the left: 300 x 1200 pixels."""
    cat = transforms.fit(samples.chelsea(), 300)
    return np.concatenate([cat, np.full((300, 900, 3), 128, np.uint8)], axis=1)


def labels(tagger: Tagger, photo: decode.Pixels) -> set[str]:
    return {tag.label for tag in tagger.tag(photo).tags}


def test_what_is_at_an_end_of_a_panorama_is_tagged(tagger: Tagger, panorama: decode.Pixels) -> None:
    alone = labels(tagger, panorama[:, :300])
    assert "cat" in alone
    for photo in (panorama, panorama[:, ::-1], panorama.transpose(1, 0, 2)[:, ::-1]):
        centre = transforms.fit(photo, 300)
        assert "cat" not in labels(tagger, np.ascontiguousarray(centre))
    for photo in (panorama, np.ascontiguousarray(panorama[:, ::-1])):
        prediction = tagger.tag(photo)
        assert "cat" in {tag.label for tag in prediction.tags} and prediction.squares == 5
        assert [score.score for score in prediction.tags] == sorted(
            (score.score for score in prediction.tags), reverse=True
        )
        if tagger.labels.kind == "single":
            assert len(prediction.tags) == 1


def test_every_way_of_tagging_joins_the_same_squares(
    tagger: Tagger, panorama: decode.Pixels, tmp_path: Path
) -> None:
    path = tmp_path / "panorama.png"
    path.write_bytes(decode.encode(panorama))
    ordinary = samples.coffee()
    expected = tagger.tag(panorama)
    assert expected == tagger.tag(path)
    many = list(tagger.tag_many([ordinary, path, ordinary, tmp_path / "none.jpg", panorama]))
    assert many[1] == many[4] == expected and many[0] == many[2] == tagger.tag(ordinary)
    (prediction, vector), (other, _) = tagger.tag_with_embeddings([panorama, ordinary])
    assert prediction == expected and other == tagger.tag(ordinary)
    row = transforms.fit_squares(panorama, tagger.image_size)  # as an import keeps it
    (prediction, same), *_ = tagger.tag_with_embeddings([row])
    assert prediction == expected
    np.testing.assert_allclose(vector, same, atol=1e-5)


def test_a_vector_is_that_of_the_centre(panorama: decode.Pixels) -> None:
    tagger = Tagger.load("everyday")
    centre = transforms.fit(panorama, tagger.image_size)
    np.testing.assert_array_equal(tagger.embed(panorama), tagger.embed(centre))


def test_the_answer_says_that_it_was_a_panorama(tagger: Tagger, panorama: decode.Pixels) -> None:
    path = Path("wide.jpg")
    prediction, ordinary = tagger.tag(panorama), tagger.tag(samples.coffee())
    assert output.as_text(prediction, tagger).endswith("Panorama: looked at in 5 squares")
    assert output.as_line(path, prediction, tagger).endswith("(panorama, 5 squares)")
    assert json.loads(output.as_json(path, prediction, tagger))["squares"] == 5
    answer = Answer.model_validate(to_json(PhotoResult(prediction, tagger.name, "1")))
    assert answer.squares == 5
    assert "squares" not in json.loads(output.as_json(path, ordinary, tagger))
    assert "squares" not in to_json(PhotoResult(ordinary, tagger.name, "1"))
    assert "anorama" not in output.as_text(ordinary, tagger) + output.as_line(
        path, ordinary, tagger
    )


def test_the_heatmap_of_a_panorama_is_painted_where_the_label_is(
    tagger: Tagger, panorama: decode.Pixels
) -> None:
    heatmap = tagger.heatmap(panorama, "cat").astype(int)
    assert heatmap.shape == panorama.shape
    assert (heatmap[:, 400:] == panorama[:, 400:] // 2).all()
    assert np.abs(heatmap[:, :300] - panorama[:, :300]).max() > 40


@pytest.mark.parametrize("shape", [(600, 9000), (40, 30_000), (9000, 600)])
def test_the_sides_of_a_heatmap_are_capped(tagger: Tagger, shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), 90, np.uint8)
    for source in (photo, decode.encode(photo, "JPEG"), decode.encode(photo)):
        heatmap = tagger.heatmap(source)
        assert max(heatmap.shape[:2]) <= HEATMAP_LONGER_SIDE
        ratio = max(heatmap.shape[:2]) / min(heatmap.shape[:2])
        assert min(heatmap.shape[:2]) < 4 or ratio == pytest.approx(
            max(shape) / min(shape), rel=0.1
        )
