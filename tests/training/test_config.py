"""Training configuration: invalid options are refused, batches fit the number of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.training.config import FROM_SCRATCH, Hyperparameters, TrainingConfig


@pytest.mark.parametrize(
    "changed",
    [
        *({"epochs": -1}, {"batch_size": 0}, {"patience": 0}, {"learning_rate": 0.0}),
        *({"seed": -1}, {"weight_decay": 1.0}, {"precision": "float64"}),
    ],
)
def test_invalid_hyperparameters_are_refused(changed: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Hyperparameters(**changed)  # type: ignore[arg-type]


def test_invalid_options_are_refused(tmp_path: Path) -> None:
    for changed in ({"backbone": "x"}, {"image_size": 33}, {"output": Path("m.keras")}):
        with pytest.raises(OptionError):
            TrainingConfig(**changed)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no such folder"):
        TrainingConfig(unrelated=tmp_path / "gone")


def test_typical_photos_choose_tags_and_lie_in_the_collection(tmp_path: Path) -> None:
    (tmp_path / "ordinary").mkdir()
    assert TrainingConfig(data=tmp_path, typical="ordinary", least_precision=0.7).typical
    with pytest.raises(OptionError, match="by least precision"):
        TrainingConfig(data=tmp_path, typical="ordinary")
    with pytest.raises(OptionError, match="gone: no such folder"):
        TrainingConfig(data=tmp_path, typical="gone", least_precision=0.7)


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"weights": "everyday"}, "add --weights imagenet"),
        ({"backbone": "efficientnet_v2_b0"}, "add --backbone mobilenet_v2 --weights imagenet"),
    ],
)
def test_only_mobilenet_with_imagenet_weights_can_keep_the_answers_of_imagenet(
    changed: dict[str, str], advice: str
) -> None:
    keeping = Hyperparameters(distillation=0.5)
    assert TrainingConfig(hyperparameters=keeping).hyperparameters.distillation
    with pytest.raises(OptionError, match=f"answers of mobilenet_v2 with imagenet; {advice}$"):
        TrainingConfig(hyperparameters=keeping, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", [{"head": "logistic"}, {"epochs": 0}])
def test_a_network_that_is_not_fine_tuned_forgets_nothing(changed: dict[str, Any]) -> None:
    head = changed.get("head")
    keeping = Hyperparameters(distillation=0.5, epochs=changed.get("epochs", 1))
    with pytest.raises(OptionError, match="nothing is fine-tuned here"):
        TrainingConfig(head=head, hyperparameters=keeping)


@pytest.mark.parametrize("head", ["svm", "random_forest"])
def test_a_head_that_cannot_be_balanced_otherwise_refuses_a_balance(head: str) -> None:
    with pytest.raises(OptionError, match=f"balance 0.4: head {head} always weighs both sides"):
        TrainingConfig(head=head, hyperparameters=Hyperparameters(balance=0.4))
    assert TrainingConfig(head="logistic", hyperparameters=Hyperparameters(balance=0.4))


def test_fine_tuning_uses_every_photo_in_batches_of_the_size_in_the_options() -> None:
    hyperparameters = Hyperparameters(batch_size=32)
    assert hyperparameters.batch_size_for(10) == 32
    assert [hyperparameters.steps_per_epoch(photos) for photos in (10, 64, 65)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("photos", "batch_size", "steps"),
    [(45_000, 512, 87), (1_600, 100, 16), (40, 16, 2), (7, 7, 1)],
)
def test_few_photos_from_scratch_make_small_batches(
    photos: int, batch_size: int, steps: int
) -> None:
    assert FROM_SCRATCH.batch_size_for(photos) == batch_size
    assert FROM_SCRATCH.steps_per_epoch(photos) == steps


def test_the_learning_rate_is_proportional_to_the_batch_size() -> None:
    for photos in (40, 1_600, 45_000):
        per_photo = FROM_SCRATCH.peak_learning_rate(photos) / FROM_SCRATCH.batch_size_for(photos)
        assert per_photo == pytest.approx(FROM_SCRATCH.learning_rate / FROM_SCRATCH.batch_size)
