"""A network in files that other runtimes read: ONNX, SavedModel, LiteRT.

Each takes prepared pixels `uint8 (N, S, S, 3)` as they are and puts out, by name, logits (N, C),
calibrated probabilities (N, C) and features (N, D); a LiteRT file takes one photo at a time.
Labels, thresholds, preprocessing and origin travel inside. TensorFlow, and for ONNX the packages
of its own, are imported when a function here runs.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.images.decode import Pixels
from tagger.inference.model_file import ModelFile
from tagger.models.convert import to_flatbuffer
from tagger.models.networks import with_all_outputs
from tagger.text import escape_controls

if TYPE_CHECKING:
    import keras

OUTPUTS = ("logits", "probabilities", "features")
OPSET = 17  # of ONNX: read by every runtime since 2022
LABELS_FILE, DESCRIPTION_FILE = "labels.txt", "image_tagger.json"

Description = dict[str, Any]
Answer = dict[str, NDArray[np.float32]]  # of N photos, by OUTPUTS
Network = Callable[[NDArray[np.uint8]], Answer]  # an opened file, pixels (N, S, S, 3) in


@dataclass(frozen=True)
class Format:
    """How a kind of file is made and run.

    `write` takes the network, where to write, the description, and photos for int8 ranges.
    `exact` is False where numbers are rounded to int8. `needs` are packages beyond the usual
    ones.
    """

    ending: str
    write: Callable[[keras.Model, Path, Description, Sequence[Pixels]], None]
    open: Callable[[Path], Network]
    exact: bool = True
    needs: tuple[str, ...] = ()


def check_formats(formats: Sequence[str]) -> None:
    """OptionError for a format that there is not, or whose packages are missing."""
    for name in formats:
        if name not in FORMATS:
            raise OptionError(f"export {name!r}: there are {', '.join(FORMATS)}")
        if missing := [package for package in FORMATS[name].needs if not find_spec(package)]:
            raise OptionError(
                f"export {name!r} needs {', '.join(missing)}: pip install -e '.[{name}]'"
            )


def describe_model(model: ModelFile, sha256: str) -> Description:
    """What a file says of itself: what to feed it, and how its outputs are to be read."""
    size, decision = model.image_size, model.card["decision"]
    return {
        "model": model.name.encode("utf-8", "backslashreplace").decode(),
        "model_sha256": sha256,
        "kind": model.labels.kind,
        "labels": list(model.labels.names),
        "image_size": size,
        "preprocessing": model.card.get("preprocessing", ""),
        "input": f"pixels: uint8 (N, {size}, {size}, 3), RGB as they are, 0 to 255",
        "outputs": list(OUTPUTS),
        "temperature": decision["temperature"],  # already inside the probabilities
        "thresholds": decision["thresholds"],
    }


def build_outputs(
    network: keras.Model, description: Description, batch: int | None, dtype: str = "uint8"
) -> keras.Model:
    """A Keras model with OUTPUTS by name, for `batch` photos at once; None: any number."""
    import keras

    found = with_all_outputs(network, batch, dtype)
    logits = found.output["logits"]
    calibrated = keras.layers.Rescaling(1 / description["temperature"], dtype="float32")(logits)
    squash = "sigmoid" if description["kind"] == "multi" else "softmax"
    probabilities = keras.layers.Activation(squash, dtype="float32")(calibrated)
    named = (logits, probabilities, found.output["features"])
    return keras.Model(found.input, dict(zip(OUTPUTS, named, strict=True)))


def _write_onnx(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    import keras
    import onnx

    outputs = build_outputs(network, description, None)
    pixels = keras.InputSpec(dtype="uint8", shape=outputs.input.shape, name="pixels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras asks NumPy for a name that it no longer has
        outputs.export(
            path, format="onnx", input_signature=[pixels], opset_version=OPSET, verbose=False
        )
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "photos"
    model.producer_name = "image_tagger"
    told = {k: v if isinstance(v, str) else json.dumps(v) for k, v in description.items()}
    onnx.helper.set_model_props(model, told)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _open_onnx(path: Path) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(pixels: NDArray[np.uint8]) -> Answer:
        return dict(zip(OUTPUTS, session.run(OUTPUTS, {"pixels": pixels}), strict=True))

    return run


def _write_saved_model(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    build_outputs(network, description, None).export(path, format="tf_saved_model", verbose=False)
    extra = path / "assets.extra"  # TensorFlow's own place for what its graph does not load
    extra.mkdir()
    for name, text in _texts(description).items():
        (extra / name).write_text(text, encoding="utf-8")


def _open_saved_model(path: Path) -> Network:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]

    def run(pixels: NDArray[np.uint8], loaded: object = loaded) -> Answer:  # or it is collected
        found = serve(pixels=tf.constant(pixels))
        return {name: found[name].numpy() for name in OUTPUTS}

    return run


def limit_to_one_thread() -> None:
    """Let TensorFlow compute in one thread, as the other runtimes here do; before it starts."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _write_tflite(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    path.write_bytes(to_flatbuffer(build_outputs(network, description, 1)))
    _append_texts(path, description)


def _write_tflite_int8(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    outputs = build_outputs(network, description, 1, "float32")
    path.write_bytes(to_flatbuffer(outputs, ranges, integer_only=True))
    _append_texts(path, description)


def _append_texts(path: Path, description: Description) -> None:
    """As a ZIP after the network, where LiteRT's own metadata keeps its files: `unzip` reads it."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in _texts(description).items():
            archive.writestr(name, text)


def _open_tflite(path: Path) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()

    def run(pixels: NDArray[np.uint8]) -> Answer:
        answer: Answer = runner(pixels=pixels)
        return answer

    return run


def _texts(description: Description) -> dict[str, str]:
    """The files that travel inside: labels a line, in the order of the outputs, and all of it."""
    labels = "".join(f"{escape_controls(name)}\n" for name in description["labels"])
    return {LABELS_FILE: labels, DESCRIPTION_FILE: json.dumps(description, indent=2) + "\n"}


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _open_onnx, needs=("onnx", "onnxruntime", "tf2onnx")),
    "saved_model": Format(".saved_model", _write_saved_model, _open_saved_model),
    "tflite": Format(".tflite", _write_tflite, _open_tflite),
    "tflite-int8": Format(".int8.tflite", _write_tflite_int8, _open_tflite, exact=False),
}
