"""LiteRT runtime: one photo's pixels → logits and features, in one thread, without TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import ordered_map
from tagger.errors import ModelError
from tagger.images.decode import Pixels

OUTPUTS = ("logits", "features", "feature_map")


@dataclass(frozen=True)
class Outputs:
    """Outputs for one photo: `logits (C,)`, `features (D,)`, optionally `feature_map (h, w, D)`."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    feature_map: NDArray[np.float32] | None = None


class Session:
    """One interpreter, for one thread at a time; loads in milliseconds.

    Raises ModelError for bytes that are not a LiteRT network with OUTPUTS.
    """

    def __init__(self, network: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=network, num_threads=1)
            self._interpreter.allocate_tensors()
            runner = self._interpreter.get_signature_runner()
            (pixels,) = runner.get_input_details().values()
            outputs = runner.get_output_details()
            self._indices = {name: outputs[name]["index"] for name in OUTPUTS}
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"not a LiteRT network this tagger can run: {error}") from error
        self._input = pixels["index"]
        self.image_size = int(pixels["shape"][1])
        self.label_count = int(outputs["logits"]["shape"][-1])
        self.feature_count = int(outputs["features"]["shape"][-1])

    def run(self, pixels: Pixels, feature_map: bool = False) -> Outputs:
        """The outputs for one prepared photo, `uint8 (S, S, 3)`."""
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        names = OUTPUTS if feature_map else OUTPUTS[:2]
        return Outputs(*(self._interpreter.get_tensor(self._indices[name])[0] for name in names))


class Runtime:
    """A network for any number of threads; each gets a session, kept for the thread's lifetime."""

    def __init__(self, network: bytes) -> None:
        self._network = network
        self._local = threading.local()
        first = self.session()
        self.image_size, self.label_count = first.image_size, first.label_count
        self.feature_count = first.feature_count

    def session(self) -> Session:
        """This thread's session."""
        if not hasattr(self._local, "session"):
            self._local.session = Session(self._network)
        return self._local.session  # type: ignore[no-any-return]

    def run(self, pixels: Pixels, feature_map: bool = False) -> Outputs:
        """`Session.run` in this thread's session."""
        return self.session().run(pixels, feature_map)

    def run_all(self, photos: Iterable[Pixels], workers: int | None = None) -> Iterator[Outputs]:
        """Outputs in the order of `photos`, on every core; holds a few photos at a time."""
        return ordered_map(self.run, photos, workers)
