"""Fine-tuning: equal and resumed runs, Ctrl-C, patience, and the loss of tags."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
import pytest

from tagger.concurrency import Progress, silent
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.images import transforms
from tagger.images.decode import Pixels
from tagger.labels import LabelSet
from tagger.models import networks
from tagger.models.heads import UNSEEN_WEIGHT
from tagger.training import trainer
from tagger.training.batches import TrainingData
from tagger.training.caption_batches import tokenize_captions
from tagger.training.checkpoints import FineTuning, FineTuningState, load_state
from tagger.training.config import Hyperparameters
from tagger.training.events import Emit, EpochEnded, ProgressEvent, ignore
from tagger.training.fine_tune import BLENDS, Extras, build_training_model, fine_tune
from tagger.training.trainer import TrainingResult
from tagger.training.word_space import DIMENSIONS
from tests import tiny
from tests.conftest import SHAPES, draw, tiny_config, trained_state

pytestmark = pytest.mark.training

T = TypeVar("T")


class KilledError(Exception):
    pass


class Photos(PixelStore):
    """Drawn photos of SHAPES in turn; reading fails in other threads once `is_broken`."""

    is_broken = False

    def add(self, count: int) -> list[Sample]:
        for number in range(count):
            self.append(transforms.fit(draw(SHAPES[number % 3], number), tiny.IMAGE_SIZE))
        return [Sample(Path(f"{row}"), (row % 3,), "train", row) for row in range(count)]

    def __getitem__(self, row: int) -> Pixels:
        if self.is_broken and threading.current_thread() is not threading.main_thread():
            raise OSError(5, "Input/output error")
        return super().__getitem__(row)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Photos]:
    store = Photos(tmp_path / "pixels.u8", tiny.IMAGE_SIZE)
    yield store
    store.close()


def tune(
    store: Photos,
    folder: Path,
    hyperparameters: Hyperparameters,
    emit: Emit = ignore,
    progress: Progress = silent,
    has_extras: bool = False,
) -> tuple[keras.Model, FineTuningState, FineTuning]:
    """Train a network with dropout on 24 photos, from the folder's checkpoint if there is one.

    With extras it learns words of captions and keeps the answers of a teacher.
    """
    samples = store.add(24)
    data = TrainingData(store, samples, samples, LabelSet(SHAPES), hyperparameters)
    networks.set_seed(42)
    network = networks.build(tiny.WITH_DROPOUT, tiny.IMAGE_SIZE, 3, train_normalisation=True)
    folder.mkdir(exist_ok=True)
    state = load_state(folder)
    extras = None
    if has_extras:
        extras = add_extras(data)
        if state.history:
            extras = replace(extras, words=None)  # the checkpoint has them
    result, _ = fine_tune(network, data, state, folder, progress, emit, extras)
    return network, state, result


def add_extras(data: TrainingData) -> Extras:
    """Captions of all photos but every fourth, and a teacher of five classes."""
    tokens = ("disc", "square", "stripes")
    texts = [() if row % 4 == 3 else (SHAPES[row % 3],) for row in range(len(data.train))]
    data.captions = data.validation_captions = tokenize_captions(texts, tokens)
    rng = np.random.default_rng(3)
    data.teacher = rng.dirichlet(np.ones(5), len(data.train)).astype(np.float16)
    head = rng.normal(0, 0.1, (tiny.FEATURES, 5)).astype(np.float32), np.zeros(5, np.float32)
    shapes = [(tiny.FEATURES, DIMENSIONS), DIMENSIONS, (len(tokens) + 1, DIMENSIONS), DIMENSIONS]
    return Extras(head, [rng.normal(0, 0.1, shape).astype(np.float32) for shape in shapes])


def kill_after(epoch: int) -> Emit:
    def kill(event: ProgressEvent) -> None:
        if isinstance(event, EpochEnded) and event.figures.epoch == epoch:
            raise KilledError

    return kill


def test_equal_seeds_give_equal_models(
    shapes: Path, trained: TrainingResult, tmp_path: Path
) -> None:
    again = trainer.train(tiny_config(shapes, tmp_path))
    assert trained_state(again.model) == trained_state(trained.model)
    hyperparameters = Hyperparameters(epochs=1, seed=7)
    other = trainer.train(tiny_config(shapes, tmp_path, hyperparameters=hyperparameters))
    assert trained_state(other.model)[0] != trained_state(trained.model)[0]


def test_the_history_begins_with_the_head_alone(trained: TrainingResult) -> None:
    assert [row.epoch for row in trained.history] == [0, 1]
    assert trained.history[0].loss is None
    loss = trained.history[1].loss
    assert loss is not None and np.isfinite(loss)
    assert trained.evaluation.fine_tuning.blend in BLENDS


@pytest.mark.parametrize("has_extras", [False, True])
def test_a_resumed_network_with_dropout_ends_as_if_never_stopped(
    store: Photos, tmp_path: Path, has_extras: bool
) -> None:
    """The states of random generators go on where they were, and so does the moving average.

    So do the words and the teacher's head, which are not part of the network.
    """
    distillation = 0.5 if has_extras else 0.0
    hyperparameters = Hyperparameters(
        epochs=4, batch_size=8, learning_rate=0.01, distillation=distillation
    )
    whole, expected, _ = tune(store, tmp_path / "whole", hyperparameters, has_extras=has_extras)
    with pytest.raises(KilledError):
        tune(store, tmp_path / "broken", hyperparameters, kill_after(2), has_extras=has_extras)
    resumed, state, _ = tune(store, tmp_path / "broken", hyperparameters, has_extras=has_extras)
    assert [row.loss for row in state.history] == [row.loss for row in expected.history]
    assert [row.val_loss for row in state.history] == [row.val_loss for row in expected.history]
    pairs = zip(resumed.get_weights(), whole.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_patience_counts_epochs_before_the_break_too(store: Photos, tmp_path: Path) -> None:
    """At such a learning rate no epoch is better than the first weights."""
    hyperparameters = Hyperparameters(epochs=9, patience=3, learning_rate=0.9)
    with pytest.raises(KilledError):
        tune(store, tmp_path, hyperparameters, kill_after(2))
    _, state, fine_tuning = tune(store, tmp_path, hyperparameters)
    assert [row.epoch for row in state.history] == [0, 1, 2, 3]
    assert state.best_epoch == 0 and fine_tuning == FineTuning(3, 0, "no better", 0.25)
    again = tune(store, tmp_path, hyperparameters)[2]  # killed while it converted, say
    assert again == fine_tuning


def test_ctrl_c_begins_no_other_step(store: Photos, tmp_path: Path) -> None:
    steps: list[tuple[str, int]] = []

    def press_ctrl_c(items: Iterable[T], total: int, stage: str) -> Iterable[T]:
        for number, item in enumerate(items, 1):
            if (stage, number) == ("Epoch 2/5", 2):
                signal.raise_signal(signal.SIGINT)
            yield item
            steps.append((stage, number))

    hyperparameters = Hyperparameters(epochs=5, batch_size=8)
    _, state, fine_tuning = tune(store, tmp_path, hyperparameters, progress=press_ctrl_c)
    assert steps == [*(("Epoch 1/5", number) for number in (1, 2, 3)), ("Epoch 2/5", 1)]
    assert [row.epoch for row in state.history] == [0, 1]
    assert fine_tuning.stopped == "interrupted" and fine_tuning.epochs == 1


def test_an_error_of_the_disk_arrives_as_itself(store: Photos, tmp_path: Path) -> None:
    """Not as TensorFlow's, whose thread reads the photos."""

    def break_disk(event: ProgressEvent) -> None:
        store.is_broken |= isinstance(event, EpochEnded) and event.figures.epoch == 1

    with pytest.raises(OSError, match="Input/output error"):
        tune(store, tmp_path, Hyperparameters(batch_size=8), break_disk)
    assert load_state(tmp_path).epoch == 1


def test_cells_without_annotation_count_a_little_as_absent_in_the_loss_of_tags(
    store: Photos,
) -> None:
    present = [(0,), (1,), (0,), ()]  # nobody looked for the third tag
    photos = store.add(4)
    samples = [
        replace(photo, present=tags, unseen=(2,))
        for photo, tags in zip(photos, present, strict=True)
    ]
    labels = LabelSet(("a", "b", "c"), "multi")
    data = TrainingData(store, samples, samples, labels, Hyperparameters(batch_size=4))
    cells = np.array([[int(tag in tags) for tag in range(3)] for tags in present])
    for epoch in range(1, 100):  # until none of the photos is in a mosaic
        data.begin_epoch(epoch)
        pixels, targets, _ = data[0]
        order = np.random.default_rng([42, epoch]).permutation(4)
        if np.array_equal(targets["logits"], cells[order]):
            break
    network = networks.build(tiny.NAME, tiny.IMAGE_SIZE, 3)
    logits = network.predict_on_batch(pixels)
    weights = np.where(cells == 1, [1, 2, 1], [1, 2 / 3, UNSEEN_WEIGHT])[order]
    terms = weights * np.logaddexp(0, np.where(cells[order] == 1, -logits, logits))
    loss = build_training_model(network, data).evaluate(data, verbose=0)
    assert loss == pytest.approx(terms.sum() / 8, rel=1e-5)
