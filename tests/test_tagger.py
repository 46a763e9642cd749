"""`from tagger import Tagger`: one photo, many photos, and what is said of them."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tagger import ImageError, ModelError, OptionError, Prediction, Tagger
from tagger.images import decode
from tagger.training.trainer import TrainingResult
from tests.conftest import SHAPES, draw


@pytest.fixture(scope="module")
def tagger(trained: TrainingResult) -> Tagger:
    return Tagger.load(trained.model)


def test_a_path_its_bytes_and_its_pixels_say_the_same(tagger: Tagger, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(decode.encode(draw("square", 800)))
    said = tagger.tag(path)
    assert said == tagger.tag(str(path)) == tagger.tag(path.read_bytes())
    assert said == tagger.tag(draw("square", 800))


def test_it_learned_the_shapes(tagger: Tagger) -> None:
    rows = [(shape, tagger.tag(draw(shape, seed))) for shape in SHAPES for seed in range(700, 720)]
    right = [shape == said.scores[0].label for shape, said in rows]
    assert np.mean(right) >= 0.9


def test_a_prediction_is_consistent(tagger: Tagger) -> None:
    for seed in range(600, 612):
        said = tagger.tag(draw("disc", seed))
        assert said.unknown == (said.label is None) == (said.reason is not None)
        assert [tag.label for tag in said.tags] == ([said.label] if said.label else [])
        values = [score.score for score in said.scores]
        assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1)
        assert said.confidence == values[0]
        assert said.ood_score is not None and 0 <= said.ood_score <= 1


def test_something_else_is_unfamiliar(tagger: Tagger) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    said = tagger.tag(noise)
    assert said.unknown and said.reason == "unfamiliar" and said.label is None


def test_top_limits_the_scores(tagger: Tagger) -> None:
    photo = draw("disc", 1)
    assert len(tagger.tag(photo, top=1).scores) == 1
    assert len(tagger.tag(photo, top=None).scores) == len(tagger.tag(photo, top=99).scores) == 3
    with pytest.raises(OptionError, match="top 0"):
        tagger.tag(photo, top=0)


def test_a_threshold_replaces_the_fitted_ones(tagger: Tagger) -> None:
    photos = [draw(shape, seed) for shape in SHAPES for seed in range(500, 510)]
    lenient = [tagger.tag(photo, threshold=0.0) for photo in photos]
    assert {said.reason for said in lenient} <= {None, "unfamiliar"}
    strict = [tagger.tag(photo, threshold=1.0) for photo in photos]
    assert sum(said.unknown for said in strict) > sum(said.unknown for said in lenient)
    with pytest.raises(OptionError, match=r"threshold 1\.5"):
        tagger.tag(photos[0], threshold=1.5)


def test_many_photos_come_in_order_with_errors_in_their_place(
    tagger: Tagger, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not a photo")
    photos = [draw("disc", 1), broken, draw("stripes", 2), tmp_path / "gone.png"] * 9
    answers = list(tagger.tag_many(photos, workers=2))
    assert [isinstance(answer, ImageError) for answer in answers] == [False, True, False, True] * 9
    assert str(answers[1]).startswith(str(broken))
    assert answers[0] == answers[4] == tagger.tag(photos[0])


def test_a_stream_is_taken_as_it_is_needed(tagger: Tagger) -> None:
    endless = (draw("disc", seed) for seed in itertools.count())
    first = list(itertools.islice(tagger.tag_many(endless, workers=2), 3))
    assert all(isinstance(answer, Prediction) for answer in first)


def test_it_may_be_shared_between_threads(tagger: Tagger) -> None:
    photos = [draw(shape, seed) for shape in SHAPES for seed in range(8)]
    alone = [tagger.tag(photo) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tagger.tag, photos)) == alone


def test_a_heatmap_is_where_the_label_is(tagger: Tagger) -> None:
    """Evidence for the disc lies on the disc, wherever it is drawn."""
    on_left = draw("disc", 4, side=96)
    on_left[:, :] = on_left[0, 0]
    on_left[30:70, 4:44] = 255 - on_left[0, 0]
    heat = tagger.activation_map(on_left, "square")
    assert heat.shape == (3, 3) and heat.min() >= 0 and heat.max() == pytest.approx(1)
    mirrored = tagger.activation_map(on_left[:, ::-1].copy(), "square")
    assert heat[:, 0].sum() > heat[:, -1].sum()
    assert mirrored[:, 0].sum() < mirrored[:, -1].sum()
    assert tagger.heatmap(on_left).shape == on_left.shape
    with pytest.raises(OptionError, match="'fish'"):
        tagger.activation_map(on_left, "fish")


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model is called 'nonsense'"):
        Tagger.load("nonsense")
    with pytest.raises(ModelError, match="no such model file"):
        Tagger.load(tmp_path / "gone.h5")


def test_the_bundled_model_is_there_and_knows_cats_and_dogs() -> None:
    tagger = Tagger.load("pets")
    assert tagger.labels.names == ("cat", "dog") and tagger.judges_familiarity
    assert tagger.card["trained_on"]["photos"]["train"].keys() == {"cat", "dog"}
