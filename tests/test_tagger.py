"""`from tagger import Tagger`: predictions for one photo and for many, heatmaps, options."""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from tagger import ImageError, OptionError, Prediction, Tagger
from tagger.errors import DescriptionError, ModelError, NoWordsError
from tagger.images import decode
from tagger.inference import model_file
from tagger.training.trainer import TrainingResult
from tests.conftest import SHAPES, draw
from tests.model_files import edit_card, edit_network


@pytest.fixture(scope="module")
def tagger(trained: TrainingResult) -> Tagger:
    return Tagger.load(trained.model)


def test_path_bytes_and_pixels_get_the_same_prediction(tagger: Tagger, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(decode.encode(draw("square", 800)))
    prediction = tagger.tag(path)
    assert prediction == tagger.tag(str(path)) == tagger.tag(path.read_bytes())
    assert prediction == tagger.tag(draw("square", 800))


def test_most_drawn_shapes_are_recognised(tagger: Tagger) -> None:
    rows = [(shape, tagger.tag(draw(shape, seed))) for shape in SHAPES for seed in range(700, 720)]
    correct = [shape == prediction.scores[0].label for shape, prediction in rows]
    assert np.mean(correct) >= 0.9


def test_the_fields_of_a_prediction_are_consistent(tagger: Tagger) -> None:
    for seed in range(600, 612):
        prediction = tagger.tag(draw("disc", seed))
        assert prediction.unknown == (prediction.label is None) == (prediction.reason is not None)
        assert [tag.label for tag in prediction.tags] == (
            [prediction.label] if prediction.label else []
        )
        values = [score.score for score in prediction.scores]
        assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1)
        assert prediction.confidence == values[0]
        assert prediction.ood_score is not None and 0 <= prediction.ood_score <= 1


def test_noise_is_unfamiliar(tagger: Tagger) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    prediction = tagger.tag(noise)
    assert prediction.unknown and prediction.reason == "unfamiliar" and prediction.label is None


def test_top_limits_the_scores(tagger: Tagger) -> None:
    photo = draw("disc", 1)
    assert len(tagger.tag(photo, top=1).scores) == 1
    assert len(tagger.tag(photo, top=None).scores) == len(tagger.tag(photo, top=99).scores) == 3
    with pytest.raises(OptionError, match="top 0"):
        tagger.tag(photo, top=0)


def test_a_threshold_replaces_the_fitted_ones(tagger: Tagger) -> None:
    photos = [draw(shape, seed) for shape in SHAPES for seed in range(500, 510)]
    lenient = [tagger.tag(photo, threshold=0.0) for photo in photos]
    assert {prediction.reason for prediction in lenient} <= {None, "unfamiliar"}
    strict = [tagger.tag(photo, threshold=1.0) for photo in photos]
    unknown = [sum(p.unknown for p in predictions) for predictions in (lenient, strict)]
    assert unknown[0] < unknown[1]
    with pytest.raises(OptionError, match=r"threshold 1\.5"):
        tagger.tag(photos[0], threshold=1.5)


def test_results_come_in_the_order_of_the_photos_errors_included(
    tagger: Tagger, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not a photo")
    photos = [draw("disc", 1), broken, draw("stripes", 2), tmp_path / "gone.png"] * 9
    results = list(tagger.tag_many(photos, workers=2))
    assert [isinstance(result, ImageError) for result in results] == [False, True, False, True] * 9
    assert str(results[1]).startswith(str(broken))
    assert results[0] == results[4] == tagger.tag(photos[0])


def test_an_endless_stream_of_photos_can_be_tagged(tagger: Tagger) -> None:
    endless = (draw("disc", seed) for seed in itertools.count())
    first = list(itertools.islice(tagger.tag_many(endless, workers=2), 3))
    assert all(isinstance(result, Prediction) for result in first)


def test_threads_may_share_a_tagger(tagger: Tagger) -> None:
    photos = [draw(shape, seed) for shape in SHAPES for seed in range(8)]
    expected = [tagger.tag(photo) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tagger.tag, photos)) == expected


def test_a_heatmap_is_hot_where_the_shape_is(tagger: Tagger) -> None:
    photo = draw("disc", 4, side=64)
    photo[:, :] = photo[0, 0]
    photo[20:46, 3:29] = 255 - photo[0, 0]
    heat = tagger.activation_map(photo, "square")
    assert heat.shape == (16, 16) and heat.min() >= 0 and heat.max() == pytest.approx(1)
    mirrored = tagger.activation_map(photo[:, ::-1].copy(), "square")
    assert heat[:, :8].sum() > heat[:, 8:].sum()
    assert mirrored[:, :8].sum() < mirrored[:, 8:].sum()
    assert tagger.heatmap(photo).shape == photo.shape
    with pytest.raises(OptionError, match="'fish'"):
        tagger.activation_map(photo, "fish")


def test_the_bundled_model_pets_has_the_labels_cat_and_dog() -> None:
    tagger = Tagger.load("pets")
    assert tagger.labels.names == ("cat", "dog") and tagger.judges_familiarity
    assert tagger.card["trained_on"]["photos"]["train"].keys() == {"cat", "dog"}


@pytest.fixture(scope="module")
def describing(worded: Path) -> Tagger:
    return Tagger.load(worded)


def test_photos_are_ranked_by_a_description(describing: Tagger) -> None:
    photos = [(shape, draw(shape, seed)) for shape in SHAPES for seed in range(700, 710)]
    vectors = np.stack([describing.embed(photo) for _, photo in photos])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for text, shape in (("a ball", "disc"), ("boxes", "square"), ("zebras", "stripes")):
        order = np.argsort(-vectors @ describing.embed_text(text))
        best = [photos[row][0] for row in order[:10].tolist()]
        assert best.count(shape) >= 8, text


def test_tagging_and_embedding_take_one_pass(describing: Tagger, tagger: Tagger) -> None:
    photos = [draw(shape, 1) for shape in SHAPES]
    for photo, (prediction, vector) in zip(
        photos, describing.tag_with_embeddings(photos), strict=True
    ):
        assert prediction == describing.tag(photo) == tagger.tag(photo)
        assert vector == pytest.approx(describing.embed(photo), abs=1e-5)
    (_, vector), *_ = tagger.tag_with_embeddings(photos)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert len({tagger.space, describing.space, describing.sha256}) == 3


def test_words_that_a_model_does_not_know_are_named(describing: Tagger) -> None:
    assert describing.unknown_words("a purple ball") == ("purple",)
    with pytest.raises(DescriptionError, match="none of these words: purple, elephants"):
        describing.embed_text("purple elephants")


def test_a_model_without_words_says_so(tagger: Tagger) -> None:
    assert tagger.words is None
    for call in (lambda: tagger.embed_text("ball"), lambda: tagger.embed(draw("disc", 1))):
        with pytest.raises(NoWordsError, match="shapes: this model does not understand desc"):
            call()


DARK = np.zeros((80, 80, 3), np.uint8)


def test_a_network_without_finite_numbers_for_a_photo_fails_on_that_alone(blind: Path) -> None:
    tagger = Tagger.load(blind)
    bright = [draw("disc", seed) | 128 for seed in range(20)]
    answers = list(tagger.tag_many([bright[0], DARK, *bright[1:], DARK]))
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, ImageError)]
    assert failed == [1, 21]
    assert str(answers[1]) == "photo: the model blind gives numbers for it that are not finite"
    for call in (tagger.tag, tagger.heatmap, lambda photo: tagger.tag_with_embeddings([photo])):
        with pytest.raises(ImageError, match="not finite"):
            call(DARK)
        call(bright[0])
    panorama = np.hstack([bright[0]] * 3 + [np.zeros((120, 120, 3), np.uint8)])
    for call in (tagger.tag, tagger.heatmap):
        with pytest.raises(ImageError, match="not finite"):
            call(panorama)


def test_a_photo_is_named_where_the_network_fails_on_it(blind: Path, tmp_path: Path) -> None:
    (tmp_path / "night.png").write_bytes(decode.encode(DARK))
    with pytest.raises(ImageError, match=r"/night\.png: the model blind gives"):
        Tagger.load(blind).tag(tmp_path / "night.png")


def test_a_network_that_never_gives_finite_numbers_is_refused(blind: Path, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(blind, tmp_path / "never.h5"))
    scale = np.float32(1 / 255).tobytes()
    edit_network(path, lambda network: network.replace(scale, np.float32(np.nan).tobytes()))
    with pytest.raises(ModelError, match=r"never\.h5: its network gives numbers that are not"):
        Tagger.load(path)


@pytest.mark.parametrize("damage", ["missing", "another shape", "not finite"])
def test_a_damaged_head_spoils_heatmaps_alone(
    trained: TrainingResult, tmp_path: Path, damage: str
) -> None:
    path = Path(shutil.copyfile(trained.model, tmp_path / "headless.h5"))
    with h5py.File(path, "r+") as file:
        head = file[model_file.KERAS_GROUP]["head/head"]
        kernel = head["kernel"][()]
        del head["kernel"]
        if damage != "missing":
            head["kernel"] = kernel[:, :1] if damage == "another shape" else kernel * np.nan
        arrays = model_file._read_keras_arrays(file)
    digest = model_file._digest_arrays(arrays)
    edit_card(path, lambda card: {**card, "digests": {**card["digests"], "keras_arrays": digest}})
    tagger = Tagger.load(path)
    assert tagger.tag(draw("disc", 1)).scores
    with pytest.raises(ModelError, match="head/head/kernel is missing or damaged"):
        tagger.heatmap(draw("disc", 1))
