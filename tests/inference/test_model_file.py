"""The model file: readable by plain Keras, checked by digests, written atomically."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tagger.errors import ModelError
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.decision import DecisionRule
from tagger.inference.litert import Runtime
from tagger.training.trainer import TrainingResult
from tests.conftest import draw

NO_REFERENCE = DecisionRule("single", 1.0, (0.5, 0.5, 0.5))


@pytest.fixture
def copy(trained: TrainingResult, tmp_path: Path) -> Path:
    """A model file to damage."""
    return Path(shutil.copyfile(trained.model, tmp_path / "copy.h5"))


def test_plain_keras_opens_it_and_gives_the_same_logits(trained: TrainingResult) -> None:
    import keras

    network = keras.models.load_model(trained.model, compile=False)
    model = model_file.load(trained.model)
    runtime = Runtime(model.network)
    for seed in range(900, 906):
        pixels = transforms.fit(draw("disc", seed), model.image_size)
        ours = runtime.run(pixels).logits
        theirs = np.asarray(network.predict_on_batch(pixels[None]))[0]
        assert ours.argmax() == theirs.argmax()
        tolerance = 1e-3 if model.card["precision"]["precision"] == "float32" else 1.5
        assert np.abs(ours - theirs).max() < tolerance


def test_the_json_file_is_the_card_inside(trained: TrainingResult) -> None:
    card = json.loads(trained.model.with_suffix(".json").read_text(encoding="utf-8"))
    assert card == model_file.load(trained.model).card
    assert card["labels"] == ["disc", "square", "stripes"]
    assert card["trained_on"]["photos"]["train"]["disc"] > 20
    assert card["scores"]["validation"]["accuracy"] > 0.5


def test_no_temporary_file_is_left(trained: TrainingResult) -> None:
    names = {path.name for path in trained.model.parent.iterdir()} - {"runs"}
    assert names == {trained.model.name, trained.model.with_suffix(".json").name}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.h5: no such model file"):
        model_file.load(tmp_path / "gone.h5")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(copy: Path, share: float) -> None:
    copy.write_bytes(copy.read_bytes()[: int(copy.stat().st_size * share)])
    with pytest.raises(ModelError, match=r"copy\.h5: "):
        model_file.load(copy)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not a model")
    with pytest.raises(ModelError, match="not a model file"):
        model_file.load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["numbers"] = np.arange(3)
    with pytest.raises(ModelError, match=r"not one that train\.py made"):
        model_file.load(tmp_path / "other.h5")


@pytest.mark.parametrize("name", ["network", "reference", "card"])
def test_a_changed_part_is_refused(copy: Path, name: str) -> None:
    with h5py.File(copy, "r+") as file:
        part = file[model_file.GROUP][name]
        part[-1] = part[-1] + np.ones_like(part[-1])
    with pytest.raises(ModelError, match=f"the digest of its {name} differs"):
        model_file.load(copy)


def test_changed_keras_arrays_are_refused(copy: Path) -> None:
    assert "head/head/kernel" in model_file.read_arrays(copy)
    with h5py.File(copy, "r+") as file:
        file["model_weights/head/head/bias"][0] += 1
    with pytest.raises(ModelError, match="the digest of its Keras arrays differs"):
        model_file.read_arrays(copy)


def test_a_newer_format_is_refused(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file[model_file.GROUP].attrs["format"] = model_file.FORMAT + 1
    with pytest.raises(ModelError, match="made by a newer version"):
        model_file.load(copy)


def test_a_link_to_another_file_is_refused(copy: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["bytes"] = np.zeros(9, np.uint8)
    with h5py.File(copy, "r+") as file:
        del file[model_file.GROUP]["network"]
        file[model_file.GROUP]["network"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "bytes")
    with pytest.raises(ModelError, match="points outside the file"):
        model_file.load(copy)


def test_labels_and_reference_must_fit_the_networks_outputs(trained: TrainingResult) -> None:
    model = model_file.load(trained.model)
    with pytest.raises(ModelError, match="3 labels for a network with 7 outputs"):
        model_file.check_outputs(model, 7, 128, model.image_size)
    with pytest.raises(ModelError, match="128 features for a network with 9"):
        model_file.check_outputs(model, 3, 9, model.image_size)


def test_words_are_kept_with_the_model(worded: Path, trained: TrainingResult) -> None:
    model = model_file.load(worded)
    assert model.words is not None and model.words.floor == model.card["words"]["floor"]
    assert model.card["words"]["tokens"] == len(model.words.tokens) > 5
    assert model.labels == model_file.load(trained.model).labels
    assert model.words.describe("ball").unknown_words == ()
    without = model_file.load(trained.model)
    assert without.words is without.space is None and "words" not in without.card


def test_the_space_depends_on_the_photo_side_alone(worded: Path) -> None:
    model = model_file.load(worded)
    assert model.words is not None and model.space is not None
    taught_anew = replace(model.words, vectors=-model.words.vectors, floor=9.0)
    assert replace(model, words=taught_anew).space == model.space
    moved = replace(model.words, photo_bias=model.words.photo_bias + 1)
    assert replace(model, words=moved).space != model.space
    assert replace(model, network=model.network + b"0").space != model.space


@pytest.mark.parametrize("name", ["tokens", "vectors", "projection", "background"])
def test_changed_words_are_refused(worded: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copyfile(worded, tmp_path / "copy.h5"))
    with h5py.File(copy, "r+") as file:
        part = file[model_file.GROUP]["words"][name]
        part[-1] = part[-1] + np.ones_like(part[-1])
    with pytest.raises(ModelError, match="the digest of its words differs"):
        model_file.load(copy)


def test_missing_words_or_words_for_another_network_are_refused(
    worded: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copyfile(worded, tmp_path / "copy.h5"))
    with h5py.File(copy, "r+") as file:
        del file[model_file.GROUP]["words"]["vectors"]
    with pytest.raises(ModelError, match="vectors is missing or points outside the file"):
        model_file.load(copy)
    with h5py.File(copy, "r+") as file:
        del file[model_file.GROUP]["words"]
    with pytest.raises(ModelError, match="words are missing or point outside the file"):
        model_file.load(copy)
    with pytest.raises(ModelError, match="words for 128 features, and a network with 9"):
        model_file.check_outputs(replace(model_file.load(worded), rule=NO_REFERENCE), 3, 9, 64)


def test_words_above_the_limit_are_refused(worded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "MAX_WORDS_BYTES", 100)
    with pytest.raises(ModelError, match="bytes, more than 100"):
        model_file.load(worded)
