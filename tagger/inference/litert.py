"""LiteRT runtime: one photo's pixels → logits and features, in one thread, without TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import ordered_map
from tagger.errors import ModelError
from tagger.inference.card import MAX_IMAGE_SIZE

if TYPE_CHECKING:
    from tagger.images.decode import Pixels

OUTPUTS = ("logits", "features", "feature_map")
_RANKS = {"logits": 2, "features": 2, "feature_map": 4}  # with the batch of one
MAX_OUTPUT = 1e6  # squares and sums of thousands of them are float32, too
_SHOWN = 200  # characters of the runtime's own message


@dataclass(frozen=True)
class Outputs:
    """Outputs for one photo: `logits (C,)`, `features (D,)`, optionally `feature_map (h, w, D)`."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    feature_map: NDArray[np.float32] | None = None

    @property
    def finite(self) -> bool:
        """Whether all are numbers to reckon with: neither NaN nor infinite, nor nearly so."""
        return all(
            tensor is None or bool(np.abs(tensor).max() <= MAX_OUTPUT)  # False for NaN
            for tensor in (self.logits, self.features, self.feature_map)
        )


class Session:
    """One interpreter, for one thread at a time; loads in milliseconds.

    Raises ModelError for bytes that are not a LiteRT network with OUTPUTS.
    """

    def __init__(self, network: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=network, num_threads=1)
            (pixels,) = self._interpreter.get_input_details()
            self.image_size = _check_input(pixels)  # before it takes memory
            self._interpreter.allocate_tensors()
            outputs = self._interpreter.get_signature_runner().get_output_details()
            self._indices = {name: outputs[name]["index"] for name in OUTPUTS}
            own = {details["index"] for details in self._interpreter.get_output_details()}
            if not own.issuperset(self._indices.values()):
                raise ValueError("its signature names tensors that are no outputs")
            shapes = {name: _check_output(name, outputs[name]) for name in OUTPUTS}
        except (ValueError, RuntimeError, KeyError, TypeError) as error:
            raise ModelError(f"not a LiteRT network this tagger can run: {_cut(error)}") from error
        self._input = pixels["index"]
        self.label_count, self.feature_count = shapes["logits"][-1], shapes["features"][-1]

    def run(self, pixels: Pixels, feature_map: bool = False) -> Outputs:
        """The outputs for one prepared photo, `uint8 (S, S, 3)`.

        Raises ModelError if the network fails on it, as a damaged one may.
        """
        names = OUTPUTS if feature_map else OUTPUTS[:2]
        try:
            self._interpreter.set_tensor(self._input, pixels[None])
            self._interpreter.invoke()
            tensors = [self._interpreter.get_tensor(self._indices[name])[0] for name in names]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"its network fails on a photo: {_cut(error)}") from error
        return Outputs(*tensors)


def try_network(network: bytes) -> Session:
    """Run a network on pictures, more than once. Raises ModelError if it is of no use."""
    rng = np.random.default_rng(0)
    for _ in range(2):  # a damaged one may fail when it is loaded again
        session = Session(network)
        shape = (session.image_size, session.image_size, 3)
        pictures = (np.full(shape, 128, np.uint8), rng.integers(0, 256, shape, np.uint8))
        for picture in pictures:
            outputs = session.run(picture, feature_map=True)
            if (
                outputs.logits.shape != (session.label_count,)
                or outputs.features.shape != (session.feature_count,)
                or outputs.feature_map is None
                or outputs.feature_map.ndim != 3
            ):
                raise ModelError("its network gives outputs of other shapes than it says")
            if not outputs.finite:
                raise ModelError("its network gives numbers that are not finite")
    return session


def _check_input(details: dict[str, Any]) -> int:
    """The side of the square that the network takes."""
    batch, height, width, channels, *rest = (*map(int, details["shape"]), 0, 0, 0, 0)
    is_square = batch == 1 and 0 < height == width <= MAX_IMAGE_SIZE and channels == 3
    if not is_square or any(rest) or details["dtype"] != np.uint8:
        raise ValueError(f"its input is {_describe(details)}, not one square photo of bytes")
    return height


def _check_output(name: str, details: dict[str, Any]) -> tuple[int, ...]:
    """The shape of an output."""
    shape = tuple(map(int, details["shape"]))
    is_expected = len(shape) == _RANKS[name] and shape[0] == 1 and min(shape) > 0
    if not is_expected or details["dtype"] != np.float32:
        raise ValueError(f"its {name} are {_describe(details)}")
    return shape


def _describe(details: dict[str, Any]) -> str:
    return f"{np.dtype(details['dtype'])} {tuple(map(int, details['shape']))}"


def _cut(error: Exception) -> str:
    """The message of the runtime on one line, without its source files."""
    message = " ".join(str(error).split())
    return message if len(message) <= _SHOWN else f"{message[:_SHOWN]}…"


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
