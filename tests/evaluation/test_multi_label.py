"""Scores of photos with tags, against cases small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.sample import UNSEEN
from tagger.errors import DatasetError
from tagger.evaluation import multi_label
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import MultiLabelScores, to_json
from tagger.inference.decision import DecisionRule
from tagger.labels import LabelSet

TAGS = LabelSet(("cat", "dog", "sea"), "multi")


def evaluate(
    probabilities: list[list[float]],
    cells: list[list[int]],
    thresholds: tuple[float, ...] = (0.5, 0.5, 0.5),
) -> MultiLabelScores:
    """Scores of photos with these probabilities."""
    p = np.array(probabilities)
    logits = np.log(p / (1 - p)).astype(np.float32)
    features = np.zeros((len(p), 2), np.float32)
    decisions = DecisionRule("multi", 1.0, thresholds).decide(logits, features)
    outputs = LabelledOutputs(logits, features, np.array(cells, np.int8))
    labels = LabelSet(TAGS.names[: len(thresholds)], "multi")
    paths = [Path(f"{number}.jpg") for number in range(len(p))]
    return multi_label.evaluate(labels, paths, outputs, decisions, 1.0)


# Predicted: cat of 0 and 2, dog of 0 and 1. True: cat of 0, dog of 0, sea of 2.
FOUR = evaluate(
    [[0.9, 0.8, 0.1], [0.2, 0.7, 0.3], [0.6, 0.1, 0.2], [0.1, 0.2, 0.4]],
    [[1, 1, 0], [0, 0, UNSEEN], [0, 0, 1], [0, 0, 0]],
)


def test_f1_counts_predicted_and_true_tags() -> None:
    cat, dog, sea = FOUR.by_label.values()
    assert cat.precision == dog.precision == 0.5
    assert (cat.recall, sea.recall) == (1, 0)
    assert cat.f1 == pytest.approx(2 / 3) and sea.f1 == 0
    assert FOUR.micro_f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert FOUR.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_cells_that_are_not_annotated_count_for_nothing() -> None:
    assert [scores.annotated for scores in FOUR.by_label.values()] == [4, 4, 3]
    right = 12 - 1 - 3  # a cell unseen, and three wrong predictions
    assert FOUR.accuracy == pytest.approx(right / 11)
    assert FOUR.accuracy_of_silence == pytest.approx((11 - 3) / 11)


def test_average_precision_is_of_the_ranking() -> None:
    cat, dog, sea = FOUR.by_label.values()
    assert cat.ap == dog.ap == 1
    assert sea.ap == pytest.approx(1 / 2)  # second of the three annotated
    assert FOUR.map == pytest.approx((1 + 1 + 0.5) / 3)


def test_photos_with_tags_and_without_are_counted_apart() -> None:
    shares = FOUR.decision
    assert shares.answered == 1  # both photos with a tag got one
    assert shares.photos_without_tags == 1  # the other is not annotated with the sea
    assert shares.silent == 1
    assert shares.accuracy_of_answered == pytest.approx(2 / 4)
    assert (shares.uncertain, shares.unfamiliar) == (0.25, 0)
    assert shares.tags_a_photo == 1


def test_mistakes_name_wrong_tags_and_missing_ones() -> None:
    mistakes = [(row.path, row.label, row.predicted) for row in FOUR.mistakes]
    assert mistakes == [
        ("2.jpg", "sea", "no sea"),  # 0.8 sure
        ("1.jpg", "no dog", "dog"),
        ("2.jpg", "no cat", "cat"),
    ]
    assert [row.probability for row in FOUR.mistakes] == pytest.approx([0.8, 0.7, 0.6])
    assert not any(row.unknown for row in FOUR.mistakes)


def test_a_tag_without_annotations_has_no_average_precision() -> None:
    scores = evaluate([[0.9, 0.2, 0.5], [0.2, 0.9, 0.5]], [[1, 0, UNSEEN], [0, 1, UNSEEN]])
    sea = scores.by_label["sea"]
    assert (sea.ap, sea.photos, sea.annotated) == (None, 0, 0)
    assert scores.map == 1 and scores.macro_f1 == 1


def test_without_a_tag_that_can_be_ranked_there_is_no_map() -> None:
    scores = evaluate([[0.2, 0.2, 0.2]], [[0, 0, 0]])
    assert scores.map is None and scores.decision.answered is None
    assert scores.decision.silent == 1


def test_a_tag_rightly_predicted_at_a_low_threshold_is_no_mistake() -> None:
    scores = evaluate([[0.4, 0.85]], [[1, 0]], thresholds=(0.2, 0.9))
    assert scores.mistakes == [] and scores.accuracy == 1


def test_photos_without_annotations_cannot_be_evaluated() -> None:
    with pytest.raises(DatasetError, match="nobody said"):
        evaluate([[0.2, 0.2, 0.2]], [[UNSEEN, UNSEEN, UNSEEN]])


def test_calibration_is_evaluated_where_a_tag_is_likely() -> None:
    scores = evaluate([[0.3, 0.01, 0.01]] * 10, [[1, 0, 0]] * 6 + [[0, 0, 0]] * 4).calibration
    assert scores.ece_after == pytest.approx(0.3, abs=1e-3)  # 0.3 predicted, 0.6 there
    assert sum(row.photos for row in scores.reliability_after) == 10


def test_json_keeps_the_keys_that_cards_and_reports_read() -> None:
    plain = to_json(FOUR)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["by_label"]["sea"]["seen"] == 3
    assert plain["decision"] == {
        "known": 1.0,
        "unfamiliar": 0.0,
        "uncertain": 0.25,
        "accuracy_of_known": 0.5,
        "silent": 1.0,
        "photos_without_tags": 1,
        "tags_a_photo": 1.0,
    }
