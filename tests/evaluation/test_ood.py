"""Evaluation of out-of-distribution detection, on folders of photos and on labels left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.evaluation import ood
from tagger.evaluation.ood import OodOutputs
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import AcceptedShare, OodScores
from tagger.images import decode, transforms
from tagger.inference import model_file
from tagger.inference.decision import DecisionRule, Reference
from tagger.inference.litert import Runtime
from tagger.labels import LabelSet
from tests.conftest import PETS_MODEL, draw
from tests.trees import make_too_deep


def test_unrelated_photos_by_kind() -> None:
    reference = Reference(np.array([[1.0, 0.0]]), np.ones(2), np.linspace(0, 0.4, 50), 0.5)
    rule = DecisionRule("single", 1.0, (0.7, 0.7), reference)
    validation = LabelledOutputs(np.zeros((9, 2)), np.tile([1.0, 0.1], (9, 1)), np.zeros(9, int))
    sure, unsure = [5.0, 0.0], [0.1, 0.0]
    near, far = [1.0, 0.0], [0.0, 1.0]
    unrelated = OodOutputs(
        np.array([sure, sure, unsure, sure]),
        np.array([near, far, near, far]),
        ("face", "face", "face", "room"),
    )
    scores = ood.evaluate_unrelated(rule, validation, unrelated)
    assert (scores.photos, scores.accepted) == (4, 0.25)
    face, room = AcceptedShare(3, pytest.approx(1 / 3)), AcceptedShare(1, 0)
    assert scores.by_kind == {"face": face, "room": room}
    assert (scores.auroc, scores.fpr95) == (0.5, 0.5)  # two nearer than any, two further


def test_the_kind_of_an_unrelated_photo_is_its_folder(tmp_path: Path) -> None:
    for name in ("faces/a/1.png", "faces/2.PNG", "rooms/3.png", "4.png"):
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / name).write_bytes(decode.encode(draw("disc", len(name))))
    (tmp_path / "other" / "rooms" / "broken.png").touch()
    make_too_deep(tmp_path / "other")
    runtime = Runtime(model_file.load(PETS_MODEL).network)
    outputs = ood.run_on_folder(runtime, tmp_path / "other")
    assert outputs.kinds == ("other", "faces", "faces", "rooms")
    assert outputs.unread == 2  # a photo and a folder
    pixels = transforms.prepare(tmp_path / "other" / "4.png", runtime.image_size)
    np.testing.assert_allclose(outputs.features[0], runtime.run(pixels).features, atol=1e-5)
    assert len(outputs.logits) == 4


def test_a_folder_without_readable_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").touch()
    runtime = Runtime(model_file.load(PETS_MODEL).network)
    with pytest.raises(DatasetError, match="no readable photos of unrelated things"):
        ood.run_on_folder(runtime, tmp_path)


def clusters(label_count: int, photos: int, apart: float, seed: int) -> LabelledOutputs:
    """Outputs whose features lie in a cluster for each label, so far apart."""
    labels = np.arange(photos) % label_count
    noise = np.random.default_rng(seed).normal(0, 1, (photos, 12))
    features = (apart * np.eye(label_count, 12)[labels] + noise).astype(np.float32)
    return LabelledOutputs(np.zeros((photos, label_count), np.float32), features, labels)


def leave_out(label_count: int, apart: float) -> OodScores | None:
    labels = LabelSet(("ape", "bee", "cat")[:label_count])
    train, validation = clusters(label_count, 150, apart, 0), clusters(label_count, 300, apart, 1)
    return ood.evaluate_left_out(labels, train, validation, temperature=1.0, seed=0)


def test_a_label_far_from_the_others_is_detected_when_left_out() -> None:
    scores = leave_out(3, apart=40)
    assert scores is not None and scores.accepted is None
    assert scores.auroc > 0.99 and scores.fpr95 < 0.05
    assert set(scores.by_kind) == {"ape", "bee", "cat"}
    assert all(row.photos == 100 for row in scores.by_kind.values())


def test_a_label_like_the_others_is_not_detected_when_left_out() -> None:
    scores = leave_out(3, apart=0)
    assert scores is not None
    assert scores.auroc == pytest.approx(0.5, abs=0.1)


def test_of_two_labels_none_can_be_left_out() -> None:
    assert leave_out(2, apart=20) is None
