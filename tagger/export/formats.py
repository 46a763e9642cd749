"""Export formats: ONNX, SavedModel and LiteRT, each with a writer and a runtime to open it.

Every file takes prepared pixels `uint8 (N, S, S, 3)` and outputs, by name, logits (N, C),
calibrated probabilities (N, C) and features (N, D); LiteRT files take one photo at a time. A
`Description` travels inside. TensorFlow, and the packages for ONNX, are imported when a function
here runs.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.images.decode import Pixels
from tagger.inference.model_file import ModelFile
from tagger.labels import Kind
from tagger.models.convert import to_flatbuffer
from tagger.models.networks import with_all_outputs
from tagger.text import escape_controls

if TYPE_CHECKING:
    import keras

OUTPUTS = ("logits", "probabilities", "features")
OPSET = 17  # ONNX operator set that every runtime since 2022 reads
LABELS_FILE, DESCRIPTION_FILE = "labels.txt", "image_tagger.json"

NamedOutputs = dict[str, NDArray[np.float32]]  # by OUTPUTS, of N photos
RunNetwork = Callable[[NDArray[np.uint8]], NamedOutputs]  # takes pixels (N, S, S, 3)


@dataclass(frozen=True)
class Description:
    """What a user of an exported file needs: its input, and how to read its outputs.

    `temperature` is already applied to the probabilities; `thresholds` are by label name.
    """

    model: str
    model_sha256: str
    kind: Kind
    labels: tuple[str, ...]
    image_size: int
    preprocessing: str
    input: str
    outputs: tuple[str, ...]
    temperature: float
    thresholds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Format:
    """How to write a file of a format, and how to run it.

    `write` takes the network, the path, the description, and photos for int8 ranges. `exact` is
    False for int8. `needs` are optional packages.
    """

    ending: str
    write: Callable[[keras.Model, Path, Description, Sequence[Pixels]], None]
    open: Callable[[Path], RunNetwork]
    exact: bool = True
    needs: tuple[str, ...] = ()


def check_formats(formats: Sequence[str]) -> None:
    """Raise OptionError for an unknown format, or one whose packages are missing."""
    for name in formats:
        if name not in FORMATS:
            raise OptionError(f"export {name!r}: there are {', '.join(FORMATS)}")
        if missing := [package for package in FORMATS[name].needs if not find_spec(package)]:
            raise OptionError(
                f"export {name!r} needs {', '.join(missing)}: pip install -e '.[{name}]'"
            )


def describe_model(model: ModelFile, sha256: str) -> Description:
    """The description of a model's exports; `sha256` is the digest of its model file."""
    size, decision = model.image_size, model.card["decision"]
    return Description(
        model=model.name.encode("utf-8", "backslashreplace").decode(),
        model_sha256=sha256,
        kind=model.labels.kind,
        labels=model.labels.names,
        image_size=size,
        preprocessing=model.card.get("preprocessing", ""),
        input=f"pixels: uint8 (N, {size}, {size}, 3), RGB as they are, 0 to 255",
        outputs=OUTPUTS,
        temperature=decision["temperature"],
        thresholds=decision["thresholds"],
    )


def build_outputs(
    network: keras.Model, description: Description, batch: int | None, dtype: str = "uint8"
) -> keras.Model:
    """A Keras model with named OUTPUTS, for a fixed `batch` of photos; None: any number."""
    import keras

    model = with_all_outputs(network, batch, dtype)
    logits = model.output["logits"]
    calibrated = keras.layers.Rescaling(1 / description.temperature, dtype="float32")(logits)
    activation = "sigmoid" if description.kind == "multi" else "softmax"
    probabilities = keras.layers.Activation(activation, dtype="float32")(calibrated)
    outputs = (logits, probabilities, model.output["features"])
    return keras.Model(model.input, dict(zip(OUTPUTS, outputs, strict=True)))


def _write_onnx(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    import keras
    import onnx

    outputs = build_outputs(network, description, None)
    pixels = keras.InputSpec(dtype="uint8", shape=outputs.input.shape, name="pixels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras uses a name that NumPy has removed
        outputs.export(
            path, format="onnx", input_signature=[pixels], opset_version=OPSET, verbose=False
        )
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "photos"
    model.producer_name = "image_tagger"
    properties = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in description.to_dict().items()
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _open_onnx(path: Path) -> RunNetwork:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(pixels: NDArray[np.uint8]) -> NamedOutputs:
        return dict(zip(OUTPUTS, session.run(OUTPUTS, {"pixels": pixels}), strict=True))

    return run


def _write_saved_model(
    network: keras.Model, path: Path, description: Description, ranges: Sequence[Pixels]
) -> None:
    build_outputs(network, description, None).export(path, format="tf_saved_model", verbose=False)
    extra = path / "assets.extra"  # where SavedModel keeps files that its graph does not load
    extra.mkdir()
    for name, text in _texts(description).items():
        (extra / name).write_text(text, encoding="utf-8")


def _open_saved_model(path: Path) -> RunNetwork:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]

    def run(pixels: NDArray[np.uint8], loaded: object = loaded) -> NamedOutputs:  # keeps it alive
        outputs = serve(pixels=tf.constant(pixels))
        return {name: outputs[name].numpy() for name in OUTPUTS}

    return run


def limit_to_one_thread() -> None:
    """Let TensorFlow use one thread, as the other runtimes do. Call before it runs anything."""
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
    """Append a ZIP archive, as LiteRT's own metadata does: `unzip` reads it."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in _texts(description).items():
            archive.writestr(name, text)


def _open_tflite(path: Path) -> RunNetwork:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()

    def run(pixels: NDArray[np.uint8]) -> NamedOutputs:
        outputs: NamedOutputs = runner(pixels=pixels)
        return outputs

    return run


def _texts(description: Description) -> dict[str, str]:
    """The files inside an export: the labels, one a line in output order, and the description."""
    labels = "".join(f"{escape_controls(name)}\n" for name in description.labels)
    return {
        LABELS_FILE: labels,
        DESCRIPTION_FILE: json.dumps(description.to_dict(), indent=2) + "\n",
    }


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _open_onnx, needs=("onnx", "onnxruntime", "tf2onnx")),
    "saved_model": Format(".saved_model", _write_saved_model, _open_saved_model),
    "tflite": Format(".tflite", _write_tflite, _open_tflite),
    "tflite-int8": Format(".int8.tflite", _write_tflite_int8, _open_tflite, exact=False),
}
