"""Exported files in their own runtimes: the original's outputs, and a description inside."""

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
from tests.conftest import PETS_MODEL, SHAPES, draw, run_code

pytestmark = pytest.mark.training

EXACT = ("onnx", "saved_model", "tflite")
# `export.py`, where the tests' own network has a name too.
RUN_EXPORT = "import sys, tests.tiny; from tagger.cli import export; sys.exit(export.main())"
Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Exported:
    """A model exported to every format by `export.py`."""

    model: Path
    photos: Path
    folder: Path
    process: subprocess.CompletedProcess[str]

    def path(self, format: str) -> Path:
        return self.folder / f"{self.model.stem}{formats.FORMATS[format].ending}"


@pytest.fixture(scope="module")
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The model `pets` on real photos; without those, a model of drawn shapes."""
    if os.environ.get("TAGGER_DATA"):
        model, photos = PETS_MODEL, Path(os.environ["TAGGER_DATA"]) / "pets" / "val"
    else:
        trained: TrainingResult = request.getfixturevalue("trained")
        model, photos = trained.model, request.getfixturevalue("shapes")
    folder = tmp_path_factory.mktemp("exported")
    arguments = (model, *formats.FORMATS, "--photos", photos, "--output", folder)
    return Exported(model, photos, folder, run_code(RUN_EXPORT, *arguments))


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
    """The logits of plain Keras."""
    logits: NDArray[np.float32] = keras.models.load_model(
        exported.model, compile=False
    ).predict_on_batch(pixels)
    return logits


def test_every_format_is_written_and_has_a_row_in_the_table(exported: Exported) -> None:
    assert exported.process.returncode == 0, exported.process.stdout + exported.process.stderr
    name = exported.model.stem
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        *(f"{name}.int8.tflite", f"{name}.int8.tflite.json"),
        *(f"{name}.onnx", f"{name}.onnx.json"),
        *(f"{name}.saved_model", f"{name}.saved_model.json"),
        *(f"{name}.tflite", f"{name}.tflite.json"),
    ]
    *_, heading, original, onnx, saved_model, tflite, int8 = exported.process.stdout.splitlines()
    assert heading.split()[:4] == ["format", "file", "MB", "ms/photo"]
    assert original.startswith(f"keras        {name}.h5")
    assert [line.split()[0] for line in (onnx, saved_model, tflite)] == list(EXACT)
    assert all("100.00%" in line for line in (onnx, saved_model, tflite))
    assert int8.startswith(f"tflite-int8  {name}.int8.tflite")
    assert exported.process.stderr == ""


@pytest.mark.parametrize("format", ["onnx", "saved_model", "tflite", "tflite-int8"])
def test_exports_are_faithful_on_real_photos(format: str, exported: Exported, data: Path) -> None:
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


def run_onnx(path: Path, pixels: NDArray[np.uint8]) -> Outputs:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))


def run_saved_model(path: Path, pixels: NDArray[np.uint8]) -> Outputs:
    loaded = tf.saved_model.load(path)
    outputs = loaded.signatures["serving_default"](pixels=tf.constant(pixels))
    return {name: value.numpy() for name, value in outputs.items()}


def run_litert(path: Path, pixels: NDArray[np.uint8]) -> Outputs:
    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    photos = [runner(pixels=photo[None]) for photo in pixels]
    return {name: np.concatenate([photo[name] for photo in photos]) for name in photos[0]}


RUNTIMES = {
    "onnx": run_onnx,
    "saved_model": run_saved_model,
    "tflite": run_litert,
    "tflite-int8": run_litert,
}


@pytest.mark.parametrize("format", RUNTIMES)
def test_each_runtime_gives_the_outputs_of_keras(
    format: str,
    exported: Exported,
    model: model_file.ModelFile,
    pixels: NDArray[np.uint8],
    original: NDArray[np.float32],
) -> None:
    """ONNX Runtime and TensorFlow take all photos at once, LiteRT one at a time."""
    outputs = RUNTIMES[format](exported.path(format), pixels)
    assert {name: value.shape[0] for name, value in outputs.items()} == dict.fromkeys(
        ("logits", "probabilities", "features"), len(pixels)
    )
    assert outputs["features"].shape == (len(pixels), model.rule.reference.vectors.shape[1])
    calibrated = to_probabilities(original, "single", model.rule.temperature)
    assert outputs["probabilities"] == pytest.approx(
        calibrated, abs=1e-4 if format in EXACT else 0.5
    )
    if format in EXACT:
        assert outputs["logits"] == pytest.approx(original, abs=1e-3)
    confident = calibrated.max(axis=1) > 0.95
    assert confident.sum() > len(confident) / 2
    labels = outputs["logits"].argmax(axis=1), original.argmax(axis=1)
    assert (labels[0] == labels[1])[confident].all()


def read_description(format: str, path: Path) -> tuple[dict[str, Any], str | None]:
    """The description inside a file, and its labels, one a line."""
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
def test_labels_and_thresholds_are_inside_the_file(
    format: str, exported: Exported, model: model_file.ModelFile
) -> None:
    description, lines = read_description(format, exported.path(format))
    assert description["labels"] == list(model.labels.names) and description["kind"] == "single"
    assert lines in (None, "".join(f"{name}\n" for name in model.labels.names))
    assert (
        description["image_size"] == model.image_size
        and "centre crop" in description["preprocessing"]
    )
    assert description["temperature"] == model.rule.temperature
    assert tuple(description["thresholds"].values()) == model.rule.thresholds
    assert description["model"] == exported.model.stem
    assert description["model_sha256"] == hashlib.sha256(exported.model.read_bytes()).hexdigest()


def test_onnx_is_valid_and_takes_any_number_of_photos(exported: Exported) -> None:
    model = onnx.load(exported.path("onnx"))
    onnx.checker.check_model(model, full_check=True)
    (pixels,) = model.graph.input
    photos, height, width, channels = pixels.type.tensor_type.shape.dim
    assert photos.dim_param == "photos" and channels.dim_value == 3
    assert height.dim_value == width.dim_value == model_file.load(exported.model).image_size


@pytest.mark.parametrize("backbone", sorted(set(BACKBONES) - {"mobilenet_v2"}))
def test_onnx_supports_every_backbone(backbone: str, tmp_path: Path) -> None:
    networks.set_seed(5)
    network = networks.build(backbone, 64, 3)
    description = formats.Description(
        *("n", "0" * 64, "multi", SHAPES, 64, "", "", formats.OUTPUTS, 2.0),
        dict.fromkeys(SHAPES, 0.5),
    )
    formats.FORMATS["onnx"].write(network, tmp_path / "n.onnx", description, [])
    pixels = np.stack([transforms.fit(draw(shape, 1), 64) for shape in SHAPES])
    outputs, logits = run_onnx(tmp_path / "n.onnx", pixels), network.predict_on_batch(pixels)
    assert outputs["logits"] == pytest.approx(logits, abs=1e-3 * float(np.abs(logits).max()))
    assert outputs["probabilities"] == pytest.approx(
        to_probabilities(logits, "multi", 2.0), abs=1e-4
    )


def test_int8_is_float_only_at_its_outputs(exported: Exported) -> None:
    interpreter = Interpreter(model_path=str(exported.path("tflite-int8")))
    interpreter.allocate_tensors()
    outputs = {detail["index"] for detail in interpreter.get_output_details()}
    floats = {
        detail["index"]
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == np.float32
    }
    (pixels,) = interpreter.get_input_details()
    assert pixels["dtype"] == np.uint8 and pixels["quantization"] == (1.0, 0)  # the identity
    assert floats <= outputs


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        OptionError, match="export 'coreml': there are onnx, saved_model, tflite, tflite-int8"
    ):
        formats.check_formats(["onnx", "coreml"])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as if it were not installed
    with pytest.raises(OptionError, match=r"needs tf2onnx: pip install -e '\.\[onnx\]'"):
        formats.check_formats(["onnx"])
    formats.check_formats(["tflite"])
