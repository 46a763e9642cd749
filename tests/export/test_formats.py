"""Exported files in their own runtimes: the same answers, and everything needed to read them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.export import formats
from tagger.images import decode, transforms
from tagger.inference import model_file
from tagger.inference.decision import to_probabilities
from tagger.models import networks
from tagger.models.backbones import BACKBONES
from tagger.training.trainer import TrainingResult
from tests.conftest import PETS_MODEL, SHAPES, draw, run_program

EXACT = ("onnx", "saved_model", "tflite")
Answer = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Exported:
    """What `export.py` made of a model in every format, and what it printed."""

    model: Path
    photos: Path
    folder: Path
    done: subprocess.CompletedProcess[str]

    def path(self, format: str) -> Path:
        return self.folder / f"{self.model.stem}{formats.FORMATS[format].ending}"


@pytest.fixture(scope="module")
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The model of cats and dogs, on real photos; without those, the model of drawn shapes."""
    if os.environ.get("TAGGER_DATA"):
        model, photos = PETS_MODEL, Path(os.environ["TAGGER_DATA"]) / "pets" / "val"
    else:
        trained: TrainingResult = request.getfixturevalue("trained")
        model, photos = trained.model, request.getfixturevalue("shapes")
    folder = tmp_path_factory.mktemp("exported")
    arguments = (model, *formats.FORMATS, "--photos", photos, "--output", folder)
    return Exported(model, photos, folder, run_program("export.py", *arguments))


@pytest.fixture(scope="module")
def model(exported: Exported) -> model_file.ModelFile:
    return model_file.load(exported.model)


@pytest.fixture(scope="module")
def pixels(exported: Exported, model: model_file.ModelFile) -> NDArray[np.uint8]:
    """A dozen prepared photos."""
    paths = list(decode.find_photos(exported.photos))
    return np.stack([transforms.prepare(p, model.image_size) for p in paths[:: len(paths) // 11]])


@pytest.fixture(scope="module")
def original(exported: Exported, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits that plain Keras gives."""
    logits: NDArray[np.float32] = keras.models.load_model(
        exported.model, compile=False
    ).predict_on_batch(pixels)
    return logits


def test_it_writes_every_format_and_tells_of_each(exported: Exported) -> None:
    assert exported.done.returncode == 0, exported.done.stdout + exported.done.stderr
    name = exported.model.stem
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        *(f"{name}.int8.tflite", f"{name}.int8.tflite.json"),
        *(f"{name}.onnx", f"{name}.onnx.json"),
        *(f"{name}.saved_model", f"{name}.saved_model.json"),
        *(f"{name}.tflite", f"{name}.tflite.json"),
    ]
    *_, heading, original, one, other, third, int8 = exported.done.stdout.splitlines()
    assert heading.split()[:4] == ["format", "file", "MB", "ms/photo"]
    assert original.startswith(f"keras        {name}.h5")
    assert [line.split()[0] for line in (one, other, third)] == list(EXACT)
    assert all("100.00%" in line for line in (one, other, third))
    assert int8.startswith(f"tflite-int8  {name}.int8.tflite")
    assert exported.done.stderr == ""


@pytest.mark.parametrize("format", ["onnx", "saved_model", "tflite", "tflite-int8"])
def test_the_bars_hold_on_real_photos(format: str, exported: Exported, data: Path) -> None:
    path = exported.path(format)
    check = json.loads(path.with_name(f"{path.name}.json").read_text())["check"]
    assert check["photos"] == 500
    if format == "tflite-int8":
        assert check["accuracy"] >= check["original_accuracy"] - 0.01
        assert check["megabytes"] < 3
    else:
        assert check["agreement"] >= 0.99 and check["difference"] < 1e-4
    assert check["original_accuracy"] > 0.98
    assert 0 < check["milliseconds"] < 1000
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    assert check["megabytes"] == pytest.approx(size / 1e6)


def in_onnx(path: Path, pixels: NDArray[np.uint8]) -> Answer:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))


def in_tensorflow(path: Path, pixels: NDArray[np.uint8]) -> Answer:
    loaded = tf.saved_model.load(path)
    found = loaded.signatures["serving_default"](pixels=tf.constant(pixels))
    return {name: value.numpy() for name, value in found.items()}


def in_litert(path: Path, pixels: NDArray[np.uint8]) -> Answer:
    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    found = [runner(pixels=photo[None]) for photo in pixels]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


RUNTIMES = {
    "onnx": in_onnx,
    "saved_model": in_tensorflow,
    "tflite": in_litert,
    "tflite-int8": in_litert,
}


@pytest.mark.parametrize("format", RUNTIMES)
def test_each_runtime_says_what_keras_says(
    format: str,
    exported: Exported,
    model: model_file.ModelFile,
    pixels: NDArray[np.uint8],
    original: NDArray[np.float32],
) -> None:
    """Onnxruntime and TensorFlow take all photos at once, LiteRT one at a time."""
    answer = RUNTIMES[format](exported.path(format), pixels)
    assert {name: value.shape[0] for name, value in answer.items()} == dict.fromkeys(
        ("logits", "probabilities", "features"), len(pixels)
    )
    assert answer["features"].shape == (len(pixels), 1280)
    calibrated = to_probabilities(original, "single", model.rule.temperature)
    assert answer["probabilities"] == pytest.approx(
        calibrated, abs=1e-4 if format in EXACT else 0.5
    )
    if format in EXACT:
        assert answer["logits"] == pytest.approx(original, abs=1e-3)
    sure = calibrated.max(axis=1) > 0.95
    assert sure.sum() > len(sure) / 2
    assert (answer["logits"][sure].argmax(axis=1) == original[sure].argmax(axis=1)).all()


def told_inside(format: str, path: Path) -> tuple[dict[str, Any], str | None]:
    """The description in the file itself, and its labels, a line each."""
    if format == "onnx":
        props = {p.key: p.value for p in onnx.load(path).metadata_props}
        plain = ("kind", "model", "model_sha256", "preprocessing", "input")
        return {k: v if k in plain else json.loads(v) for k, v in props.items()}, None
    if format == "saved_model":
        extra = path / "assets.extra"
        texts = {file.name: file.read_text(encoding="utf-8") for file in extra.iterdir()}
    else:
        with zipfile.ZipFile(path) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return json.loads(texts["image_tagger.json"]), texts["labels.txt"]


@pytest.mark.parametrize("format", RUNTIMES)
def test_what_is_needed_to_read_it_is_inside(
    format: str, exported: Exported, model: model_file.ModelFile
) -> None:
    told, lines = told_inside(format, exported.path(format))
    assert told["labels"] == list(model.labels.names) and told["kind"] == "single"
    assert lines in (None, "".join(f"{name}\n" for name in model.labels.names))
    assert told["image_size"] == model.image_size and "centre crop" in told["preprocessing"]
    assert told["temperature"] == model.rule.temperature
    assert tuple(told["thresholds"].values()) == model.rule.thresholds
    assert told["model"] == exported.model.stem
    assert told["model_sha256"] == hashlib.sha256(exported.model.read_bytes()).hexdigest()


def test_onnx_is_sound_and_takes_any_number_of_photos(exported: Exported) -> None:
    found = onnx.load(exported.path("onnx"))
    onnx.checker.check_model(found, full_check=True)
    (pixels,) = found.graph.input
    photos, height, width, channels = pixels.type.tensor_type.shape.dim
    assert photos.dim_param == "photos" and channels.dim_value == 3
    assert height.dim_value == width.dim_value == model_file.load(exported.model).image_size


@pytest.mark.parametrize("backbone", sorted(set(BACKBONES) - {"mobilenet_v2"}))
def test_onnx_has_what_every_backbone_needs(backbone: str, tmp_path: Path) -> None:
    networks.set_seed(5)
    network = networks.build(backbone, 64, 3)
    told = {"labels": list(SHAPES), "kind": "multi", "temperature": 2.0}
    formats.FORMATS["onnx"].write(network, tmp_path / "n.onnx", told, [])
    pixels = np.stack([transforms.fit(draw(shape, 1), 64) for shape in SHAPES])
    answer, logits = in_onnx(tmp_path / "n.onnx", pixels), network.predict_on_batch(pixels)
    assert answer["logits"] == pytest.approx(logits, abs=1e-3 * float(np.abs(logits).max()))
    assert answer["probabilities"] == pytest.approx(
        to_probabilities(logits, "multi", 2.0), abs=1e-4
    )


def test_int8_has_no_float_in_it_but_its_outputs(exported: Exported) -> None:
    interpreter = Interpreter(model_path=str(exported.path("tflite-int8")))
    interpreter.allocate_tensors()
    outputs = {detail["index"] for detail in interpreter.get_output_details()}
    floats = {
        detail["index"]
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == np.float32
    }
    (pixels,) = interpreter.get_input_details()
    assert pixels["dtype"] == np.uint8 and pixels["quantization"] == (1.0, 0)  # p is p
    assert floats <= outputs


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        OptionError, match="export 'coreml': there are onnx, saved_model, tflite, tflite-int8"
    ):
        formats.check_formats(["onnx", "coreml"])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as where it is not installed
    with pytest.raises(OptionError, match=r"needs tf2onnx: pip install -e '\.\[onnx\]'"):
        formats.check_formats(["onnx"])
    formats.check_formats(["tflite"])
