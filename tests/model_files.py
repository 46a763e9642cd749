"""Changes to model files, with digests made anew as an author of such a file would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tagger.inference import model_file

FATAL = b"this one is fatal"  # within a network
# A runtime with bugs, which every child process of a test imports.
RUNTIME = f"""
import os, signal
with open(os.environ["TRIALS"], "a") as file:
    file.write("started\\n")
import ai_edge_litert.interpreter as runtime
class Interpreter(runtime.Interpreter):
    def __init__(self, *more, model_content=None, **named):
        super().__init__(*more, model_content=model_content, **named)
        what = os.environ.get("FATAL") if {FATAL!r} in model_content else None
        if what == "hang":
            while True:
                pass
        if what == "sleep":
            signal.pause()
        if what == "memory":
            self.taken = [bytearray(2**28) for _ in range(64)]
        if what:
            os.kill(os.getpid(), getattr(signal, what))
runtime.Interpreter = Interpreter
"""


def edit_card(path: Path, change: Callable[[Any], Any] = lambda card: card, **values: Any) -> None:
    """Change the card: by a function that returns it, or its changed copy; then by values."""
    with h5py.File(path, "r+") as file:
        group = file[model_file.GROUP]
        card = change(json.loads(bytes(group["card"][()])))
        if values:
            card |= values
        write_card(group, json.dumps(card).encode())


def edit_network(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the LiteRT network."""
    with h5py.File(path, "r+") as file:
        group = file[model_file.GROUP]
        network = change(bytes(group["network"][()]))
        del group["network"]
        group["network"] = np.frombuffer(network, np.uint8)
        card = json.loads(bytes(group["card"][()]))
        card["digests"]["network"] = hashlib.sha256(network).hexdigest()
        write_card(group, json.dumps(card).encode())


def write_card(group: h5py.Group, text: bytes) -> None:
    """Replace the card by any bytes."""
    del group["card"]
    group["card"] = np.frombuffer(text, np.uint8)
    group.attrs["card_sha256"] = hashlib.sha256(text).hexdigest()


def build_blind_network(image_size: int, labels: int, features: int) -> bytes:
    """A LiteRT network that gives NaN for dark photos."""
    import keras

    from tagger.models.convert import to_flatbuffer

    layers = keras.layers
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8", name="pixels")
    scaled = layers.Rescaling(1 / 255)(pixels)
    feature_map = layers.Conv2D(features, 8, strides=8, activation="relu")(scaled)
    pooled = layers.GlobalAveragePooling2D()(feature_map)
    brightness = keras.ops.mean(scaled, axis=(1, 2, 3), keepdims=True)[:, :, 0, 0]
    logits = layers.Dense(labels)(pooled) + keras.ops.log(brightness - 0.2)
    outputs = {"logits": logits, "features": pooled, "feature_map": feature_map}
    return to_flatbuffer(keras.Model(pixels, outputs))


def break_scale(network: bytes) -> bytes:
    """An int8 LiteRT network with one scale far too large: LiteRT 2.3 frees memory twice.

    That is one changed byte, or four as here.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAsModel(network, 0).Subgraphs(0)
    scales = [
        tensor.Quantization()
        for tensor in map(graph.Tensors, range(graph.TensorsLength()))
        if tensor.Quantization() is not None and tensor.Quantization().ScaleLength() == 1
    ]
    start = scales[0]._tab.Vector(scales[0]._tab.Offset(8))
    return network[:start] + np.float32(1e30).tobytes() + network[start + 4 :]
