"""An export is kept only if it predicts what the original predicts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tagger.errors import ModelError, OptionError
from tagger.evaluation.metrics import mean_average_precision
from tagger.export import verify
from tagger.export.photos import CheckPhotos
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.decision import DecisionRule, to_probabilities
from tagger.labels import LabelSet
from tagger.models import networks
from tagger.models.weights import rebuild, save_h5
from tests.conftest import PETS_MODEL, draw

pytestmark = pytest.mark.training

PHOTOS = [transforms.fit(draw("disc", seed), 192) for seed in range(12)]
BLACK = [np.zeros((192, 192, 3), np.uint8)]


def close_model(folder: Path) -> model_file.ModelFile:
    """The model `pets` with a head whose two labels are too close for int8."""
    pets = model_file.load(PETS_MODEL)
    network = rebuild(pets)
    features = networks.with_all_outputs(network, None).predict_on_batch(np.stack(PHOTOS))[
        "features"
    ]
    kernel, bias = network.get_layer(networks.HEAD).get_weights()
    small = 1e-4 * (kernel[:, 1] - kernel[:, 0])
    kernel[:, 1] = kernel[:, 0] + small
    bias[1] = bias[0] - np.median(features @ small)  # each label for half of the photos
    network.get_layer(networks.HEAD).set_weights([kernel, bias])
    save_h5(network, folder / "keras.h5")
    model_file.save(folder / "close.h5", folder / "keras.h5", pets)
    return model_file.load(folder / "close.h5")


def test_an_export_that_predicts_otherwise_is_not_kept(tmp_path: Path) -> None:
    model = close_model(tmp_path)
    output = tmp_path / "exports"
    output.mkdir()
    earlier = output / "close.int8.tflite"
    earlier.write_bytes(b"an earlier export")
    photos = CheckPhotos(lambda: PHOTOS, None, PHOTOS)
    (result,) = verify.export_model(model, ["tflite-int8"], photos, output)
    assert result.check and result.check.agreement < 0.9 and result.check.accuracy is None
    assert result.refusal.startswith("agrees with the original in ")
    assert earlier.read_bytes() == b"an earlier export"
    assert list(output.iterdir()) == [earlier]
    table = verify.format_results([result], model).splitlines()
    assert "(not kept)" in table[2] and table[3].startswith("tflite-int8: not kept: agrees")


def multi_model(folder: Path) -> model_file.ModelFile:
    """The model `pets` with its two outputs as tags."""
    pets = model_file.load(PETS_MODEL)
    save_h5(rebuild(pets), folder / "keras.h5")
    labels = LabelSet(pets.labels.names, "multi")
    rule = DecisionRule("multi", 2.0, (0.6, 0.5))
    tags = replace(pets, labels=labels, rule=rule, card={**pets.card, "kind": "multi"})
    model_file.save(folder / "tags.h5", folder / "keras.h5", tags)
    return model_file.load(folder / "tags.h5")


def test_tags_are_compared_one_by_one(tmp_path: Path) -> None:
    model = multi_model(tmp_path)
    logits = rebuild(model).predict_on_batch(np.stack(PHOTOS))
    truth = (to_probabilities(logits, "multi", 2.0) >= (0.6, 0.5)).astype(np.int8)
    truth[:, 1] = -1  # the second is unseen
    truth[0, 0] = 1 - truth[0, 0]  # and the first is wrong once
    (tmp_path / "tags.saved_model").mkdir()  # an older export
    (tmp_path / "tags.saved_model" / "saved_model.pb").write_bytes(b"old")
    (result,) = verify.export_model(
        model, ["saved_model"], CheckPhotos(lambda: PHOTOS, truth, BLACK), tmp_path
    )
    assert not result.refusal and result.check
    assert result.check.agreement == 1 and result.check.difference < 1e-4
    assert result.check.accuracy == pytest.approx(mean_average_precision(logits, truth))
    assert len((tmp_path / "tags.saved_model" / "saved_model.pb").read_bytes()) > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("tags.h5", "tags.json", "tags.saved_model", "tags.saved_model.json")
    ]
    assert "same tags" in verify.format_results([result], model)


def test_only_earlier_exports_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "m.saved_model").mkdir()
    (tmp_path / "m.saved_model" / "mine.txt").write_text("mine")
    (tmp_path / "m.onnx").mkdir()
    for format in ("saved_model", "onnx"):
        with pytest.raises(OptionError, match="something else is there"):
            verify.export_paths(tmp_path / "m.h5", [format])
    with pytest.raises(OptionError, match="there is no folder"):
        verify.export_paths(tmp_path / "nowhere" / "m.h5", ["tflite"])
    assert verify.export_paths(tmp_path / "m.h5", ["tflite"]) == {"tflite": tmp_path / "m.tflite"}


def test_a_model_without_its_arrays_is_refused(tmp_path: Path) -> None:
    shutil.copy(PETS_MODEL, tmp_path / "hollow.h5")
    with h5py.File(tmp_path / "hollow.h5", "r+") as file:
        del file["model_weights"]["head"]
    photos = CheckPhotos(lambda: PHOTOS, None, BLACK)
    with pytest.raises(ModelError, match=r"hollow\.h5: changed .*Keras arrays differs"):
        verify.export_model(model_file.load(tmp_path / "hollow.h5"), ["tflite"], photos, tmp_path)
