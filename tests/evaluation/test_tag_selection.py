"""Tags are calibrated for typical photos, and kept only if they are right there."""

from __future__ import annotations

import numpy as np

from tagger.datasets.sample import UNSEEN
from tagger.evaluation.tag_selection import (
    TagSelection,
    prevalence,
    select_tags,
)
from tagger.inference.decision import to_probabilities

RNG = np.random.default_rng(0)
PHOTOS = 600


def select(
    scores: np.ndarray,
    cells: np.ndarray,
    typical: np.ndarray,
    are_things: bool = False,
    doubtful: np.ndarray | None = None,
) -> TagSelection:
    shares = prevalence(cells[typical])
    things = np.full(len(shares), are_things)
    return select_tags(
        scores.astype(np.float32),
        cells,
        np.zeros(cells.shape, bool) if doubtful is None else doubtful,
        typical,
        shares,
        things,
        least_precision=0.7,
        seed=0,
    )


def test_calibrated_probabilities_are_those_of_typical_photos() -> None:
    truth = RNG.random((PHOTOS, 1)) < 0.2
    scores = 4 * truth + RNG.normal(0, 1, truth.shape) + 3  # far too sure
    selection = select(scores, truth.astype(np.int8), np.ones(PHOTOS, bool))
    probabilities = to_probabilities(selection.slopes * scores + selection.shifts, "multi")
    assert abs(probabilities.mean() - 0.2) < 0.02
    assert selection.kept.tolist() == [0] and selection.precisions[0] > 0.8


def test_a_tag_that_is_said_of_typical_photos_without_it_is_left_out() -> None:
    """Photos of one collection show it; typical ones look the same to the network."""
    typical = np.arange(PHOTOS) >= 100
    truth = ~typical[:, None]
    scores = RNG.normal(0, 1, truth.shape) + 1.0 * truth
    selection = select(scores, truth.astype(np.int8), typical)
    assert not selection.kept.size and np.isinf(selection.thresholds).all()


def test_a_tag_of_another_collection_is_kept_if_typical_photos_do_not_look_like_it() -> None:
    typical = np.arange(PHOTOS) >= 100
    truth = ~typical[:, None]
    scores = RNG.normal(0, 1, truth.shape) + 12.0 * truth
    selection = select(scores, truth.astype(np.int8), typical)
    assert selection.kept.tolist() == [0]
    probabilities = to_probabilities(selection.slopes * scores + selection.shifts, "multi")
    predicted = (probabilities >= selection.thresholds).ravel()
    assert predicted[~typical].mean() > 0.5 and not predicted[typical].any()


def test_unseen_cells_are_neither_right_nor_wrong() -> None:
    truth = RNG.random((PHOTOS, 1)) < 0.3
    cells = truth.astype(np.int8)
    cells[PHOTOS // 2 :] = UNSEEN
    scores = 6.0 * truth + RNG.normal(0, 1, truth.shape)
    selection = select(scores, cells, np.ones(PHOTOS, bool))
    assert selection.predicted[0] <= truth[: PHOTOS // 2].sum() * 1.2
    assert selection.kept.tolist() == [0]


def test_a_tag_without_photos_is_left_out() -> None:
    cells = np.zeros((PHOTOS, 2), np.int8)
    cells[:, 1] = UNSEEN
    selection = select(RNG.normal(0, 1, cells.shape), cells, np.ones(PHOTOS, bool))
    assert not selection.kept.size


def test_things_are_predicted_when_the_network_is_surer() -> None:
    truth = RNG.random((PHOTOS, 1)) < 0.1
    scores = 3.0 * truth + RNG.normal(0, 1, truth.shape)
    typical = np.ones(PHOTOS, bool)
    usual = select(scores, truth.astype(np.int8), typical)
    thing = select(scores, truth.astype(np.int8), typical, are_things=True)
    assert usual.thresholds[0] < thing.thresholds[0]
    assert usual.predicted[0] > thing.predicted[0]


def test_a_thing_that_is_easily_recognised_has_a_low_threshold() -> None:
    truth = RNG.random((PHOTOS, 1)) < 0.3
    scores = 12.0 * truth + RNG.normal(0, 1, truth.shape)
    selection = select(scores, truth.astype(np.int8), np.ones(PHOTOS, bool), are_things=True)
    assert selection.thresholds[0] < 0.6


def test_few_weak_tags_that_are_right_by_chance_are_kept() -> None:
    truth = RNG.random((1000, 200)) < 0.01
    scores = truth * 1.0 + RNG.normal(0, 1, truth.shape)
    selection = select(scores, truth.astype(np.int8), np.ones(1000, bool))
    assert len(selection.kept) < 10


def test_a_tag_that_somebody_mentions_is_not_wrong() -> None:
    """The network predicts it of photos of which one of several people said so."""
    truth = RNG.random((PHOTOS, 1)) < 0.3
    scores = 8.0 * truth + RNG.normal(0, 1, truth.shape)
    doubtful = truth & (RNG.random(truth.shape) < 0.5)
    cells = np.where(doubtful, UNSEEN, truth).astype(np.int8)
    typical = np.ones(PHOTOS, bool)
    selection = select(scores, cells, typical, doubtful=doubtful)
    assert selection.kept.tolist() == [0] and selection.thresholds[0] <= 0.5


def test_a_rare_tag_is_kept_unless_it_is_a_thing_or_was_wrong() -> None:
    """Four of six photos with the tag look like it, and no other one does."""
    rng = np.random.default_rng(3)
    truth = np.zeros((PHOTOS, 1), bool)
    truth[:6] = True
    clear = np.zeros((PHOTOS, 1))
    clear[:4] = 14.0
    scores = clear + rng.normal(0, 1, truth.shape)
    cells, typical = truth.astype(np.int8), np.ones(PHOTOS, bool)
    selection = select(scores, cells, typical)
    assert selection.kept.tolist() == [0] and selection.thresholds[0] >= 0.8
    assert 0 < selection.predicted[0] < 5 and selection.precisions[0] == 1
    assert not select(scores, cells, typical, are_things=True).kept.size
    scores[10:12] = 14.0
    assert not select(scores, cells, typical).kept.size


def test_photos_of_other_collections_can_keep_a_threshold_from_sinking() -> None:
    """Typical photos are told apart without a mistake; of the others, half are said wrongly."""
    typical = np.arange(2 * PHOTOS) < PHOTOS
    truth = (RNG.random((2 * PHOTOS, 1)) < 0.5) & typical[:, None]
    scores = 5.0 * truth - 2.5 + RNG.normal(0, 0.5, truth.shape)
    alone = select(scores[typical], truth[typical].astype(np.int8), typical[typical])
    scores[~typical] = RNG.normal(-1.5, 0.7, scores[~typical].shape)
    together = select(scores, truth.astype(np.int8), typical)
    assert alone.thresholds[0] < together.thresholds[0] < 1
