"""The network of our own: its shapes, its first values, and what it learns from nothing."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tagger.errors import OptionError
from tagger.images import decode
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.models import networks, small_cnn
from tagger.training import trainer
from tagger.training.config import FROM_SCRATCH, TrainingConfig, default_config
from tagger.training.events import EpochEnded, ProgressEvent
from tagger.training.trainer import TrainingResult
from tests.conftest import draw, draw_collection, outcome, run_program

SIDE = 32


def pixels(count: int, side: int = SIDE) -> np.ndarray:
    return np.stack([decode.fit(draw("stripes", seed), side) for seed in range(count)])


def from_nothing(data: Path, folder: Path, epochs: int, **changed: object) -> TrainingConfig:
    usual = default_config("small_cnn")
    recipe = replace(usual.hyperparameters, epochs=epochs, precision="float32")
    places = {"data": data, "output": folder / "shapes.h5", "runs": folder / "runs"}
    return replace(usual, hyperparameters=recipe, **{**places, **changed})


@pytest.fixture(scope="module")
def taught(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return trainer.train(from_nothing(shapes, tmp_path_factory.mktemp("taught"), epochs=6))


@pytest.mark.parametrize(("side", "map_side"), [(16, 1), (28, 3), (32, 3), (61, 7), (128, 15)])
def test_it_is_built_for_small_photos_of_any_size(side: int, map_side: int) -> None:
    network = networks.build("small_cnn", side, 5)
    assert network.output_shape == (None, 5)
    found = networks.with_all_outputs(network).predict_on_batch(pixels(1, side))
    assert found["feature_map"].shape == (1, map_side, map_side, 256)
    assert np.allclose(found["features"], found["feature_map"].mean(axis=(1, 2)), atol=1e-5)


def test_other_sizes_are_refused() -> None:
    for side in (15, 129, 0):
        with pytest.raises(OptionError, match="for small_cnn, give a whole number from 16 to 128"):
            networks.check_image_size("small_cnn", side)


def test_whitened_patches_are_uncorrelated_and_alike() -> None:
    photos = pixels(60).astype(np.float32) / 127.5 - 1
    filters = small_cnn.whitening_filters(photos)
    answers = keras.ops.conv(photos, filters).numpy().reshape(-1, 12)
    second_moments = answers.T @ answers / len(answers)
    assert np.abs(second_moments - np.diag(np.diag(second_moments))).max() < 0.05
    assert np.all(np.diag(second_moments) > 0.5) and np.all(np.diag(second_moments) < 1.01)
    patches = np.lib.stride_tricks.sliding_window_view(photos, (2, 2), axis=(1, 2))
    plain = np.linalg.eigvalsh(np.cov(patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 12).T))
    assert plain.max() / plain.min() > 100  # before, they were not


def test_before_training_a_convolution_hands_on_what_comes_in() -> None:
    network = networks.build("small_cnn", SIDE, 3, train_normalisation=True)
    networks.initialize(network, "small_cnn", pixels(40))
    layer = network.get_layer(networks.BACKBONE).get_layer("block2a_convolution")
    signal = np.random.default_rng(1).normal(size=(1, 8, 8, 64)).astype(np.float32)
    assert np.allclose(layer(signal)[..., :64], signal, atol=1e-6)
    assert not np.allclose(layer(signal)[..., 64:128], signal, atol=0.1)


def test_what_whitens_stays_as_it_is() -> None:
    network = networks.build("small_cnn", SIDE, 2, train_normalisation=True)
    with networks.freeze_arrays("small_cnn", network):
        trained = {v.path for v in network.trainable_variables}
    assert "whitening/bias" in trained and "whitening/kernel" not in trained
    assert len([path for path in trained if path.endswith("/beta")]) == 9
    assert "whitening/kernel" in {v.path for v in network.trainable_variables}  # for the file


def test_it_learns_from_nothing(taught: TrainingResult) -> None:
    assert taught.metrics["validation"]["accuracy"] >= 0.9
    assert taught.metrics["started_from"] == "none" and taught.metrics["fine_tuning"]["blend"] == 1
    assert taught.history[1].loss is not None and taught.history[-1].loss is not None
    assert taught.history[-1].loss < taught.history[1].loss
    card = model_file.load(taught.model).card
    assert card["backbone"] == "small_cnn" and card["settings"]["image_size"] == SIDE


def test_the_file_is_keras_own_and_the_fast_network_agrees(
    taught: TrainingResult, shapes: Path
) -> None:
    network = keras.models.load_model(taught.model, compile=False)
    photos = np.stack([decode.prepare(path, SIDE) for path in decode.walk(shapes)])
    in_keras = network.predict_on_batch(photos)
    shipped = Runtime(model_file.load(taught.model).network)
    fast = np.stack([output.logits for output in shipped.run_all(iter(photos))])
    assert in_keras.shape == fast.shape == (120, 3)
    assert (in_keras.argmax(axis=1) == fast.argmax(axis=1)).mean() >= 0.99


def test_equal_seeds_make_equal_networks_and_a_stopped_run_goes_on_to_the_same(
    shapes: Path, taught: TrainingResult, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def killed(event: ProgressEvent) -> None:
        if isinstance(event, EpochEnded) and event.figures.epoch == 3:
            raise KilledError

    options = from_nothing(shapes, tmp_path, epochs=6)
    with pytest.raises(KilledError):
        trainer.train(options, emit=killed)
    went_on = trainer.train(replace(options, resume=True))
    assert [row.epoch for row in went_on.history] == list(range(7))
    assert outcome(went_on.model) == outcome(taught.model)


def test_two_labels_of_few_photos_of_another_size_are_enough_and_ctrl_c_keeps_the_best(
    tmp_path: Path,
) -> None:
    def pressed(event: ProgressEvent) -> None:
        if isinstance(event, EpochEnded) and event.figures.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    data = draw_collection(tmp_path / "data", 8, shapes=("disc", "stripes"))
    options = from_nothing(data, tmp_path, epochs=6, image_size=45)
    found = trainer.train(options, emit=pressed)
    assert found.metrics["photos"]["train"] == {"disc": 7, "stripes": 7}
    assert model_file.load(found.model).image_size == 45
    assert all(np.isfinite(row.val_loss) for row in found.history)
    assert found.metrics["fine_tuning"]["stopped"] == "interrupted"
    assert found.metrics["fine_tuning"]["kept_epoch"] in (1, 2)


def test_training_in_bfloat16_leaves_a_network_of_float32(shapes: Path, tmp_path: Path) -> None:
    options = from_nothing(shapes, tmp_path, epochs=3)
    options = replace(
        options, hyperparameters=replace(options.hyperparameters, precision="bfloat16")
    )
    found = trainer.train(options)
    assert found.metrics["validation"]["accuracy"] >= 0.6
    network = keras.models.load_model(found.model, compile=False)
    policies = {layer.dtype_policy.name for layer in network.get_layer("backbone").layers}
    assert policies == {"float32"}


def test_only_the_backbone_computes_otherwise_and_only_meanwhile() -> None:
    network = networks.build("small_cnn", SIDE, 3)
    body, scaled = network.get_layer(networks.BACKBONE), pixels(2).astype(np.float32) / 255
    with networks.compute_precision("bfloat16", network):
        assert body(scaled).dtype == "bfloat16" and network(pixels(2)).dtype == "float32"
        assert all(variable.dtype == "float32" for variable in body.variables)
    assert body(scaled).dtype == "float32"


def test_averaged_weights_get_the_statistics_of_the_photos_they_see() -> None:
    """What it says in use is then what it says of a batch as large as all of them."""
    network = networks.build("small_cnn", SIDE, 3, train_normalisation=True)
    networks.initialize(network, "small_cnn", pixels(40))
    photos = pixels(40)
    as_trained = np.asarray(network(photos, training=True))
    assert np.abs(network.predict_on_batch(photos) - as_trained).max() > 0.1
    networks.recompute_statistics(network, [list(photos)])
    assert np.allclose(network.predict_on_batch(photos), as_trained, atol=1e-3)
    layer = network.get_layer(networks.BACKBONE).get_layer("block1a_normalisation")
    means = []
    for parts in ([photos], [photos[:20], photos[20:]]):
        networks.recompute_statistics(network, [list(part) for part in parts])
        means.append(np.array(layer.moving_mean))
    assert np.allclose(*means, atol=1e-4)  # each batch counts alike


def test_a_small_network_can_be_taught_on(taught: TrainingResult, tmp_path: Path) -> None:
    """From a model of it, as from any other: the head first, then the whole."""
    data = draw_collection(tmp_path / "data", 20, shapes=("disc", "square"), first=100)
    start = Path(shutil.copyfile(taught.model, tmp_path / "start.h5"))
    usual = default_config("small_cnn", str(start))
    assert not usual.hyperparameters.from_scratch and usual.image_size == SIDE
    options = replace(usual, data=data, output=tmp_path / "m.h5", runs=tmp_path / "runs")
    found = trainer.train(
        replace(options, hyperparameters=replace(usual.hyperparameters, epochs=1))
    )
    assert found.metrics["validation"]["accuracy"] >= 0.75
    assert found.history[0].val_accuracy >= 0.75  # the head alone


def test_there_are_no_imagenet_weights_for_it(shapes: Path) -> None:
    done = run_program("train.py", "--backbone", "small_cnn", "--weights", "imagenet")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "weights 'imagenet': there are none for small_cnn; give none, or a model of it"
    )


def test_help_tells_the_defaults_of_the_backbone_that_is_asked_for() -> None:
    told = {
        backbone: " ".join(run_program("train.py", "--backbone", backbone, "--help").stdout.split())
        for backbone in ("small_cnn", "mobilenet_v2")
    }
    for backbone, size, batch, weights in (
        ("small_cnn", 32, FROM_SCRATCH.batch_size, "none"),
        ("mobilenet_v2", 192, 32, "imagenet"),
    ):
        assert f"pixels a side (default: {size})" in told[backbone]
        assert f"photos a step (default: {batch})" in told[backbone]
        assert f"a model's name or a file (default: {weights})" in told[backbone]


def test_a_recipe_from_nothing_wants_no_weights_and_some_epochs() -> None:
    with pytest.raises(OptionError, match="start from nothing"):
        TrainingConfig(
            backbone="small_cnn", image_size=32, weights="pets", hyperparameters=FROM_SCRATCH
        )
    with pytest.raises(OptionError, match="has to be trained"):
        replace(FROM_SCRATCH, epochs=0)
