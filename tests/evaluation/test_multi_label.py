"""What is reported of tags, against cases small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.evaluation import single_label
from tagger.evaluation.multi_label import Json
from tagger.evaluation.outputs import LabelledOutputs
from tagger.inference.decision import DecisionRule
from tagger.labels import LabelSet

TAGS = LabelSet(("cat", "dog", "sea"), "multi")
UNSEEN = -1


def judge(probabilities: list[list[float]], known: list[list[int]]) -> Json:
    """Photos with these probabilities, each tag said from 0.5 on."""
    given = np.array(probabilities)
    logits = np.log(given / (1 - given)).astype(np.float32)
    features = np.zeros((len(given), 2), np.float32)
    decisions = DecisionRule("multi", 1.0, (0.5, 0.5, 0.5)).decide(logits, features)
    outputs = LabelledOutputs(logits, features, np.array(known, np.int8))
    paths = [Path(f"{number}.jpg") for number in range(len(given))]
    return single_label.judge(TAGS, paths, outputs, decisions, 1.0)


FOUR = judge(
    [[0.9, 0.8, 0.1], [0.2, 0.7, 0.3], [0.6, 0.1, 0.2], [0.1, 0.2, 0.4]],
    [[1, 1, 0], [0, 0, UNSEEN], [0, 0, 1], [0, 0, 0]],
)


def test_f1_counts_what_was_said_and_what_should_have_been() -> None:
    """Said: cat of 0 and 2, dog of 0 and 1. True: cat of 0, dog of 0, sea of 2."""
    rows = FOUR["by_label"]
    assert rows["cat"]["precision"] == rows["dog"]["precision"] == 0.5
    assert rows["cat"]["recall"] == 1 and rows["sea"]["recall"] == 0
    assert rows["cat"]["f1"] == pytest.approx(2 / 3) and rows["sea"]["f1"] == 0
    assert FOUR["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert FOUR["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_cells_that_nobody_looked_at_count_for_nothing() -> None:
    assert [FOUR["by_label"][name]["seen"] for name in TAGS.names] == [4, 4, 3]
    right = 12 - 1 - 3  # a cell unseen, and three wrong answers
    assert FOUR["accuracy"] == pytest.approx(right / 11)
    assert FOUR["accuracy_of_silence"] == pytest.approx((11 - 3) / 11)


def test_average_precision_is_of_the_ranking() -> None:
    rows = FOUR["by_label"]
    assert rows["cat"]["ap"] == rows["dog"]["ap"] == 1
    assert rows["sea"]["ap"] == pytest.approx(1 / 2)  # second of the three that were looked at
    assert FOUR["map"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_photos_with_tags_and_without_are_told_apart() -> None:
    decided = FOUR["decision"]
    assert decided["known"] == 1  # both photos with a tag got one
    assert decided["photos_without_tags"] == 1  # of the other, nobody looked for the sea
    assert decided["silent"] == 1
    assert decided["accuracy_of_known"] == pytest.approx(2 / 4)
    assert decided["uncertain"] == 0.25 and decided["unfamiliar"] == 0


def test_mistakes_say_what_is_there_and_what_is_not() -> None:
    told = [(row["path"], row["label"], row["predicted"]) for row in FOUR["mistakes"]]
    assert told == [
        ("2.jpg", "sea", "no sea"),  # 0.8 sure
        ("1.jpg", "no dog", "dog"),
        ("2.jpg", "no cat", "cat"),
    ]
    assert [row["probability"] for row in FOUR["mistakes"]] == pytest.approx([0.8, 0.7, 0.6])
    assert [row["unknown"] for row in FOUR["mistakes"]] == [False, False, False]


def test_a_tag_nobody_looked_for_has_no_precision() -> None:
    found = judge([[0.9, 0.2, 0.5], [0.2, 0.9, 0.5]], [[1, 0, UNSEEN], [0, 1, UNSEEN]])
    assert (
        found["by_label"]["sea"] | {"ap": None, "photos": 0, "seen": 0} == found["by_label"]["sea"]
    )
    assert found["map"] == 1 and found["macro_f1"] == 1
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_where_no_tag_can_be_ranked_there_is_no_map() -> None:
    found = judge([[0.2, 0.2, 0.2]], [[0, 0, 0]])
    assert found["map"] is None and found["decision"]["known"] is None
    assert found["decision"]["silent"] == 1
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_tag_rightly_said_at_a_low_threshold_is_no_mistake() -> None:
    given = np.array([[0.4, 0.85]])
    logits = np.log(given / (1 - given)).astype(np.float32)
    features = np.zeros((1, 2), np.float32)
    decisions = DecisionRule("multi", 1.0, (0.2, 0.9)).decide(logits, features)
    outputs = LabelledOutputs(logits, features, np.array([[1, 0]], np.int8))
    labels = LabelSet(("cat", "dog"), "multi")
    found = single_label.judge(labels, [Path("a.jpg")], outputs, decisions, 1.0)
    assert found["mistakes"] == [] and found["accuracy"] == 1


def test_photos_nobody_looked_at_cannot_judge() -> None:
    with pytest.raises(DatasetError, match="nobody said"):
        judge([[0.2, 0.2, 0.2]], [[UNSEEN, UNSEEN, UNSEEN]])


def test_calibration_is_judged_where_a_tag_is_likely() -> None:
    found = judge([[0.3, 0.01, 0.01]] * 10, [[1, 0, 0]] * 6 + [[0, 0, 0]] * 4)["calibration"]
    assert found["ece_after"] == pytest.approx(0.3, abs=1e-3)  # 0.3 said, 0.6 there
    assert sum(row["photos"] for row in found["reliability_after"]) == 10
