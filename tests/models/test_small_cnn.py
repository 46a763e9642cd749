"""The small network: its shapes, its initial weights, and training from scratch."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tagger.cli.train import main
from tagger.errors import OptionError
from tagger.images import decode, transforms
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.models import networks, small_cnn
from tagger.training import trainer
from tagger.training.config import FROM_SCRATCH, TrainingConfig, default_config
from tagger.training.events import EpochEnded, ProgressEvent
from tagger.training.trainer import TrainingResult
from tests.conftest import RunMain, draw, draw_collection, trained_state

pytestmark = pytest.mark.training

SIDE = 32


def pixels(count: int, side: int = SIDE) -> np.ndarray:
    return np.stack([transforms.fit(draw("stripes", seed), side) for seed in range(count)])


def scratch_config(data: Path, folder: Path, epochs: int, **changed: object) -> TrainingConfig:
    config = default_config("small_cnn")
    hyperparameters = replace(config.hyperparameters, epochs=epochs, precision="float32")
    paths = {"data": data, "output": folder / "shapes.h5", "runs": folder / "runs"}
    return replace(config, hyperparameters=hyperparameters, **{**paths, **changed})


@pytest.fixture(scope="module")
def trained_small(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return trainer.train(scratch_config(shapes, tmp_path_factory.mktemp("small"), epochs=4))


@pytest.mark.parametrize(("side", "map_side"), [(16, 1), (28, 3), (32, 3), (61, 7), (128, 15)])
def test_it_can_be_built_for_any_small_image_size(side: int, map_side: int) -> None:
    network = networks.build("small_cnn", side, 5)
    assert network.output_shape == (None, 5)
    outputs = networks.with_all_outputs(network).predict_on_batch(pixels(1, side))
    assert outputs["feature_map"].shape == (1, map_side, map_side, 256)
    assert np.allclose(outputs["features"], outputs["feature_map"].mean(axis=(1, 2)), atol=1e-5)


def test_other_image_sizes_are_refused() -> None:
    for side in (15, 129, 0):
        with pytest.raises(OptionError, match="for small_cnn, give a whole number from 16 to 128"):
            networks.check_image_size("small_cnn", side)


def test_whitened_patches_are_uncorrelated_with_equal_variance() -> None:
    photos = pixels(60).astype(np.float32) / 127.5 - 1
    filters = small_cnn.whitening_filters(photos)
    answers = keras.ops.conv(photos, filters).numpy().reshape(-1, 12)
    second_moments = answers.T @ answers / len(answers)
    assert np.abs(second_moments - np.diag(np.diag(second_moments))).max() < 0.05
    assert np.all(np.diag(second_moments) > 0.5) and np.all(np.diag(second_moments) < 1.01)
    patches = np.lib.stride_tricks.sliding_window_view(photos, (2, 2), axis=(1, 2))
    variances = np.linalg.eigvalsh(np.cov(patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 12).T))
    assert variances.max() / variances.min() > 100  # unlike those of the pixels


def test_convolutions_start_as_the_identity() -> None:
    network = networks.build("small_cnn", SIDE, 3, train_normalisation=True)
    networks.initialize(network, "small_cnn", pixels(40))
    layer = network.get_layer(networks.BACKBONE).get_layer("block2a_convolution")
    signal = np.random.default_rng(1).normal(size=(1, 8, 8, 64)).astype(np.float32)
    assert np.allclose(layer(signal)[..., :64], signal, atol=1e-6)
    assert not np.allclose(layer(signal)[..., 64:128], signal, atol=0.1)


def test_the_whitening_kernel_is_not_trained() -> None:
    network = networks.build("small_cnn", SIDE, 2, train_normalisation=True)
    with networks.freeze_arrays("small_cnn", network):
        trained = {v.path for v in network.trainable_variables}
    assert "whitening/bias" in trained and "whitening/kernel" not in trained
    assert len([path for path in trained if path.endswith("/beta")]) == 9
    assert "whitening/kernel" in {v.path for v in network.trainable_variables}  # for the file


def test_it_learns_from_scratch(trained_small: TrainingResult) -> None:
    assert trained_small.evaluation.validation.accuracy >= 0.9
    assert trained_small.evaluation.started_from == "none"
    assert trained_small.evaluation.fine_tuning.blend == 1
    first, last = trained_small.history[1].loss, trained_small.history[-1].loss
    assert first is not None and last is not None and last < first
    card = model_file.load(trained_small.model).card
    assert card["backbone"] == "small_cnn" and card["settings"]["image_size"] == SIDE


def test_the_keras_file_and_the_litert_network_agree(
    trained_small: TrainingResult, shapes: Path
) -> None:
    network = keras.models.load_model(trained_small.model, compile=False)
    photos = np.stack([transforms.prepare(path, SIDE) for path in decode.find_photos(shapes)])
    in_keras = network.predict_on_batch(photos)
    runtime = Runtime(model_file.load(trained_small.model).network)
    fast = np.stack([output.logits for output in runtime.run_all(iter(photos))])
    assert in_keras.shape == fast.shape == (120, 3)
    assert (in_keras.argmax(axis=1) == fast.argmax(axis=1)).mean() >= 0.99


def test_a_resumed_run_ends_with_the_same_network_as_an_uninterrupted_one(
    shapes: Path, trained_small: TrainingResult, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def kill(event: ProgressEvent) -> None:
        if isinstance(event, EpochEnded) and event.figures.epoch == 2:
            raise KilledError

    options = scratch_config(shapes, tmp_path, epochs=4)
    with pytest.raises(KilledError):
        trainer.train(options, emit=kill)
    resumed = trainer.train(replace(options, resume=True))
    assert [row.epoch for row in resumed.history] == list(range(5))
    assert trained_state(resumed.model) == trained_state(trained_small.model)


@pytest.mark.parametrize("epoch", [0, 2])
def test_few_photos_are_enough_and_ctrl_c_keeps_the_best_epoch(tmp_path: Path, epoch: int) -> None:
    def press_ctrl_c(event: ProgressEvent) -> None:
        if isinstance(event, EpochEnded) and event.figures.epoch == epoch:
            signal.raise_signal(signal.SIGINT)

    data = draw_collection(tmp_path / "data", 8, shapes=("disc", "stripes"))
    options = scratch_config(data, tmp_path, epochs=6, image_size=45)
    trained = trainer.train(options, emit=press_ctrl_c)
    assert trained.evaluation.photos["train"] == {"disc": 7, "stripes": 7}
    assert model_file.load(trained.model).image_size == 45
    assert all(np.isfinite(row.val_loss) for row in trained.history)
    assert trained.evaluation.fine_tuning.stopped == "interrupted"
    assert [row.epoch for row in trained.history] == list(range(epoch + 1))
    assert trained.evaluation.fine_tuning.kept_epoch <= epoch


def test_training_in_bfloat16_gives_a_float32_network(shapes: Path, tmp_path: Path) -> None:
    options = scratch_config(shapes, tmp_path, epochs=2)
    options = replace(
        options, hyperparameters=replace(options.hyperparameters, precision="bfloat16")
    )
    trained = trainer.train(options)
    assert trained.evaluation.validation.accuracy >= 0.6
    network = keras.models.load_model(trained.model, compile=False)
    policies = {layer.dtype_policy.name for layer in network.get_layer("backbone").layers}
    assert policies == {"float32"}


def test_only_the_backbone_changes_precision_and_only_within_the_context() -> None:
    network = networks.build("small_cnn", SIDE, 3)
    body, scaled = network.get_layer(networks.BACKBONE), pixels(2).astype(np.float32) / 255
    with networks.compute_precision("bfloat16", network):
        assert body(scaled).dtype == "bfloat16" and network(pixels(2)).dtype == "float32"
        assert all(variable.dtype == "float32" for variable in body.variables)
    assert body(scaled).dtype == "float32"


def test_recomputed_statistics_are_those_of_the_photos() -> None:
    """Inference then equals training mode on one batch of all photos."""
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


def test_a_trained_small_network_can_be_fine_tuned(
    trained_small: TrainingResult, tmp_path: Path
) -> None:
    """Starting from its model file, as from any other: first the head, then all layers."""
    data = draw_collection(tmp_path / "data", 20, shapes=("disc", "square"), first=100)
    start = Path(shutil.copyfile(trained_small.model, tmp_path / "start.h5"))
    config = default_config("small_cnn", str(start))
    assert not config.hyperparameters.from_scratch and config.image_size == SIDE
    options = replace(config, data=data, output=tmp_path / "m.h5", runs=tmp_path / "runs")
    trained = trainer.train(
        replace(options, hyperparameters=replace(config.hyperparameters, epochs=1))
    )
    assert trained.evaluation.validation.accuracy >= 0.75
    assert trained.history[0].val_accuracy >= 0.75  # the head alone


def test_help_shows_the_defaults_of_the_chosen_backbone(run_main: RunMain) -> None:
    texts = {
        backbone: " ".join(run_main(main, "--backbone", backbone, "--help").stdout.split())
        for backbone in ("small_cnn", "mobilenet_v2")
    }
    for backbone, size, batch, weights in (
        ("small_cnn", 32, FROM_SCRATCH.batch_size, "none"),
        ("mobilenet_v2", 192, 32, "imagenet"),
    ):
        assert f"pixels a side (default: {size})" in texts[backbone]
        assert f"photos a step (default: {batch})" in texts[backbone]
        assert f"with --captions everyday (default: {weights})" in texts[backbone]


def test_training_from_scratch_takes_no_weights_and_at_least_one_epoch() -> None:
    with pytest.raises(OptionError, match="start from nothing"):
        TrainingConfig(
            backbone="small_cnn", image_size=32, weights="pets", hyperparameters=FROM_SCRATCH
        )
    with pytest.raises(OptionError, match="has to be trained"):
        replace(FROM_SCRATCH, epochs=0)
