"""How a network is trained: numbers that fit the photos there are."""

from __future__ import annotations

import pytest

from tagger.errors import OptionError
from tagger.training.recipe import FROM_NOTHING, Recipe


@pytest.mark.parametrize(
    "changed",
    [
        *({"epochs": -1}, {"batch_size": 0}, {"patience": 0}, {"learning_rate": 0.0}),
        *({"seed": -1}, {"weight_decay": 1.0}, {"precision": "float64"}),
    ],
)
def test_a_recipe_nobody_can_follow_is_refused(changed: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Recipe(**changed)  # type: ignore[arg-type]


def test_fine_tuning_takes_every_photo_in_batches_as_asked() -> None:
    recipe = Recipe(batch_size=32)
    assert recipe.photos_a_step(10) == 32 and recipe.steps(10) == 1
    assert recipe.steps(64) == 2 and recipe.steps(65) == 3


def test_few_photos_from_nothing_still_make_many_steps() -> None:
    recipe = FROM_NOTHING
    assert recipe.photos_a_step(45_000) == 512 and recipe.steps(45_000) == 87
    assert recipe.photos_a_step(1_600) == 100 and recipe.steps(1_600) == 16
    assert recipe.photos_a_step(40) == 16 and recipe.steps(40) == 2
    assert recipe.photos_a_step(7) == 7 and recipe.steps(7) == 1


def test_a_photo_moves_the_weights_as_far_in_any_batch() -> None:
    for photos in (40, 1_600, 45_000):
        a_photo = FROM_NOTHING.rate(photos) / FROM_NOTHING.photos_a_step(photos)
        assert a_photo == pytest.approx(FROM_NOTHING.learning_rate / FROM_NOTHING.batch_size)
