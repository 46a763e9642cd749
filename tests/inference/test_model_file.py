"""The model file: readable by plain Keras, checked by digests, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
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
from tests.model_files import edit_card

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


@pytest.mark.parametrize("name", [model_file.GROUP, model_file.KERAS_GROUP])
@pytest.mark.parametrize("link", ["external", "soft"])
def test_groups_that_are_links_are_refused(copy: Path, name: str, link: str) -> None:
    shutil.copyfile(copy, copy.with_name("other.h5"))
    with h5py.File(copy, "r+") as file:
        file.move(name, "elsewhere")
        target = h5py.ExternalLink("other.h5", name)
        file[name] = target if link == "external" else h5py.SoftLink("/elsewhere")
    with pytest.raises(ModelError, match=r"copy\.h5: .*(not one that train\.py made|no group)"):
        model_file.read_arrays(copy)


def test_a_pipe_a_folder_and_an_endless_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "folder.h5").mkdir()
    with open(tmp_path / "sparse.h5", "wb") as file:
        file.truncate(2**40)
    for name in ("pipe", "folder", "sparse"):
        for load in (model_file.load, model_file.load_card, model_file.read_arrays):
            with pytest.raises(ModelError, match=rf"{name}\.h5: (not a file|has 1,099)"):
                load(tmp_path / f"{name}.h5")
    assert not model_file.is_model_file(tmp_path / "pipe.h5")


@pytest.mark.parametrize("name", ["network", "card", "reference"])
@pytest.mark.parametrize("bomb", ["gzip", "never written", "chunk"])
def test_arrays_that_grow_are_refused_before_they_take_memory(
    copy: Path, name: str, bomb: str
) -> None:
    options = {
        "gzip": {"shape": (2**28,), "compression": "gzip", "chunks": (2**20,), "fillvalue": 0},
        "never written": {"shape": (2**28,), "fillvalue": 7},
        "chunk": {"shape": (10,), "maxshape": (None,), "chunks": (2**31 - 1,)},
    }[bomb]
    with h5py.File(copy, "r+") as file:
        group = file[model_file.GROUP]
        del group[name]
        group.create_dataset(name, dtype=np.uint8, **options)
    tracemalloc.start()
    with pytest.raises(ModelError, match=rf"{name} has .* bytes, more than"):
        model_file.read_untried(copy)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_keras_arrays_that_grow_are_refused(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        group = file[model_file.KERAS_GROUP]
        size = 10 * copy.stat().st_size
        for number in range(3):
            group.create_dataset(f"zeros{number}", (size,), np.uint8, chunks=(2**16,), fillvalue=0)
    with pytest.raises(ModelError, match="far more bytes than the file"):
        model_file.read_arrays(copy)


@pytest.mark.parametrize("values", [["text"] * 3, [{"a": 1}]])
def test_arrays_of_anything_but_numbers_are_refused(copy: Path, values: list[object]) -> None:
    with h5py.File(copy, "r+") as file:
        group = file[model_file.GROUP]
        del group["network"]
        data = values if isinstance(values[0], str) else np.zeros(3, [("a", np.uint8)])
        group.create_dataset("network", data=data)
    with pytest.raises(ModelError, match=r"network is of .*, not of numbers"):
        model_file.read_untried(copy)


def test_attributes_that_are_no_single_value_are_refused(copy: Path) -> None:
    for name, value in (("format", [1, 2]), ("format", "new"), ("card_sha256", [["a"]])):
        with h5py.File(copy, "r+") as file:
            before = file[model_file.GROUP].attrs[name]
            file[model_file.GROUP].attrs[name] = value
        with pytest.raises(ModelError, match=r"copy\.h5: "):
            model_file.read_untried(copy)
        with h5py.File(copy, "r+") as file:
            file[model_file.GROUP].attrs[name] = before


def test_a_card_for_another_network_is_refused(copy: Path) -> None:
    edit_card(copy, image_size=96)
    with pytest.raises(ModelError, match="its card says 96 pixels a side, its network takes 64"):
        model_file.load(copy)


def test_a_card_alone_is_checked_as_well(copy: Path) -> None:
    edit_card(copy, lambda card: {k: v for k, v in card.items() if k != "backbone"})
    for load in (model_file.load, model_file.load_card):
        with pytest.raises(ModelError, match=r"copy\.h5: .*its card has no backbone"):
            load(copy)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reference_that_is_not_finite_is_refused(copy: Path, value: float) -> None:
    with h5py.File(copy, "r+") as file:
        packed = file[model_file.GROUP]["reference"]
        packed[5, 5] = value
        digest = hashlib.sha256(packed[()].tobytes()).hexdigest()
    edit_card(copy, lambda card: {**card, "digests": {**card["digests"], "reference": digest}})
    with pytest.raises(ModelError, match="a reference has numbers that are not finite"):
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
