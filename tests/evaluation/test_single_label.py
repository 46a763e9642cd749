"""What is reported of a model, against cases small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.evaluation import single_label
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.single_label import Strangers
from tagger.images import decode
from tagger.inference import model_file
from tagger.inference.decision import Decision, DecisionRule, Reason, Reference
from tagger.inference.litert import Runtime
from tagger.labels import LabelSet
from tests.conftest import PETS_MODEL, draw

PETS = LabelSet(("cat", "dog"))


def decision(probabilities: list[float], reason: Reason | None = None) -> Decision:
    best = int(np.argmax(probabilities))
    tags = () if reason else (best,)
    return Decision(best, tags, reason, 0.5, np.array(probabilities))


def outputs(probabilities: list[list[float]], labels: list[int]) -> LabelledOutputs:
    """Logits that are these probabilities before any temperature."""
    logits = np.log(np.array(probabilities)).astype(np.float32)
    return LabelledOutputs(logits, np.zeros((len(labels), 2), np.float32), np.array(labels))


def judge(
    labels: LabelSet, truth: list[int], decisions: list[Decision], temperature: float = 1.0
) -> dict[str, Any]:
    raw = [decision.probabilities.tolist() for decision in decisions]
    paths = [Path(f"{number}.jpg") for number in range(len(truth))]
    return single_label.judge(labels, paths, outputs(raw, truth), decisions, temperature)


def test_the_numbers_of_five_photos() -> None:
    found = judge(
        PETS,
        [0, 0, 1, 1, 1],
        [
            decision([0.9, 0.1]),
            decision([0.2, 0.8]),  # wrong
            decision([0.1, 0.9]),
            decision([0.6, 0.4], "uncertain"),  # wrong, but not decided
            decision([0.3, 0.7], "unfamiliar"),
        ],
        temperature=1.5,
    )
    assert found["photos"] == 5
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["top_3"] is None
    assert found["by_label"]["cat"]["recall"] == 0.5
    assert found["by_label"]["dog"]["photos"] == 3
    assert found["confusion"] == [[1, 1], [1, 2]]
    assert found["decision"] == {
        "known": pytest.approx(0.6),
        "unfamiliar": pytest.approx(0.2),
        "uncertain": pytest.approx(0.2),
        "accuracy_of_known": pytest.approx(2 / 3),
    }
    assert found["calibration"]["temperature"] == 1.5
    gaps = 2 * abs(0.9 - 1) + 0.8 + 0.6 + abs(0.7 - 1)
    assert found["calibration"]["ece_after"] == pytest.approx(gaps / 5)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_calibration_is_told_before_and_after() -> None:
    raw = outputs([[0.99, 0.01]] * 4, [0, 0, 0, 1])
    decisions = [decision([0.75, 0.25])] * 4
    found = single_label.judge(PETS, [Path("a")] * 4, raw, decisions, 3.0)["calibration"]
    assert found["ece_before"] == pytest.approx(0.24, abs=1e-4)
    assert found["ece_after"] == pytest.approx(0)
    assert found["reliability_before"][0]["confidence"] == pytest.approx(0.99)
    assert found["reliability_after"] == [{"confidence": 0.75, "accuracy": 0.75, "photos": 4}]


def test_mistakes_come_surest_first() -> None:
    found = judge(
        PETS,
        [0, 0, 1, 1],
        [
            decision([0.3, 0.7], "unfamiliar"),
            decision([0.9, 0.1]),
            decision([0.95, 0.05]),
            decision([0.8, 0.2]),
        ],
    )["mistakes"]
    assert [(row["path"], row["probability"]) for row in found] == [
        ("2.jpg", 0.95),
        ("3.jpg", 0.8),
        ("0.jpg", 0.7),
    ]
    assert (found[0]["label"], found[0]["predicted"], found[0]["unknown"]) == ("dog", "cat", False)
    assert found[2]["unknown"] is True


def test_of_very_many_mistakes_the_worst_are_shown() -> None:
    shares = np.linspace(0.51, 0.99, 100)
    found = judge(PETS, [1] * 100, [decision([share, 1 - share]) for share in shares])
    assert len(found["mistakes"]) == single_label.WORST_SHOWN
    assert found["mistakes"][0]["probability"] == pytest.approx(0.99)
    assert found["accuracy"] == 0


def test_top_3_is_told_where_there_are_more_labels() -> None:
    labels = LabelSet(("ape", "bee", "cat", "dog"))
    shares = [0.4, 0.3, 0.2, 0.1]
    found = judge(labels, [0, 1, 2, 3], [decision(shares)] * 4)
    assert (found["accuracy"], found["top_3"]) == (0.25, 0.75)


def test_nothing_known_has_no_accuracy() -> None:
    found = judge(PETS, [0, 1], [decision([0.6, 0.4], "uncertain")] * 2)["decision"]
    assert (found["known"], found["accuracy_of_known"]) == (0, None)


# --- other things


def test_unrelated_photos_by_kind() -> None:
    reference = Reference(np.array([[1.0, 0.0]]), np.ones(2), np.linspace(0, 0.4, 50), 0.5)
    rule = DecisionRule("single", 1.0, (0.7, 0.7), reference)
    known = LabelledOutputs(np.zeros((9, 2)), np.tile([1.0, 0.1], (9, 1)), np.zeros(9, int))
    sure, unsure = [5.0, 0.0], [0.1, 0.0]
    near, far = [1.0, 0.0], [0.0, 1.0]
    found = single_label.judge_unrelated(
        rule,
        known,
        Strangers(
            np.array([sure, sure, unsure, sure]),
            np.array([near, far, near, far]),
            ("face", "face", "face", "room"),
        ),
    )
    assert (found["photos"], found["accepted"]) == (4, 0.25)
    assert found["by_kind"]["face"] == {"photos": 3, "accepted": pytest.approx(1 / 3)}
    assert found["by_kind"]["room"] == {"photos": 1, "accepted": 0}
    assert (found["auroc"], found["fpr95"]) == (0.5, 0.5)  # two nearer than any, two further


def test_photos_of_other_things_are_named_by_their_folder(tmp_path: Path) -> None:
    for name in ("faces/a/1.png", "faces/2.PNG", "rooms/3.png", "4.png"):
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / name).write_bytes(decode.encode(draw("disc", len(name))))
    (tmp_path / "other" / "rooms" / "broken.png").touch()
    runtime = Runtime(model_file.load(PETS_MODEL).network)
    found = single_label.look(runtime, tmp_path / "other")
    assert found.kinds == ("other", "faces", "faces", "rooms")
    pixels = decode.prepare(tmp_path / "other" / "4.png", runtime.image_size)
    np.testing.assert_allclose(found.features[0], runtime.run(pixels).features, atol=1e-5)
    assert len(found.logits) == 4


def test_no_readable_photo_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").touch()
    runtime = Runtime(model_file.load(PETS_MODEL).network)
    with pytest.raises(DatasetError, match="no readable photos of unrelated things"):
        single_label.look(runtime, tmp_path)


def clusters(label_count: int, photos: int, apart: float, seed: int) -> LabelledOutputs:
    labels = np.arange(photos) % label_count
    noise = np.random.default_rng(seed).normal(0, 1, (photos, 12))
    features = (apart * np.eye(label_count, 12)[labels] + noise).astype(np.float32)
    return LabelledOutputs(np.zeros((photos, label_count), np.float32), features, labels)


def test_labels_far_apart_are_unknown_when_left_out() -> None:
    labels = LabelSet(("ape", "bee", "cat"))
    train, validation = clusters(3, 150, 40, seed=0), clusters(3, 90, 40, seed=1)
    found = single_label.judge_left_out(labels, train, validation, temperature=1.0, seed=0)
    assert found is not None
    assert found["auroc"] > 0.99 and found["fpr95"] < 0.05
    assert set(found["by_kind"]) == set(labels.names)
    assert all(row["photos"] == 30 and row["auroc"] > 0.99 for row in found["by_kind"].values())
    assert found["accepted"] is None


def test_labels_that_are_alike_stay_familiar_when_left_out() -> None:
    labels = LabelSet(("ape", "bee", "cat"))
    train, validation = clusters(3, 150, 0, seed=0), clusters(3, 300, 0, seed=1)
    found = single_label.judge_left_out(labels, train, validation, temperature=1.0, seed=0)
    assert found is not None
    assert found["auroc"] == pytest.approx(0.5, abs=0.1)


def test_with_two_labels_none_can_be_left_out() -> None:
    train, validation = clusters(2, 40, 20, seed=0), clusters(2, 20, 20, seed=1)
    assert single_label.judge_left_out(PETS, train, validation, temperature=1.0, seed=0) is None
