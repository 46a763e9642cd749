"""What gathering photos into batches would gain: one thread, the network alone, then deciding.

python bench/batching.py
python bench/batching.py --model pets --json found.json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measuring import Row, Run, parser, publish

from tagger.concurrency import one_blas_thread
from tagger.inference import model_file
from tagger.inference.decision import Floats
from tagger.inference.litert import Runtime
from tagger.inference.registry import find_model

SIZES = (1, 2, 4, 8, 16)
PHOTOS = 480  # in all, of each size of batch


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", default="everyday")
    options = made.parse_args()
    model = model_file.load(find_model(options.model))
    runtime = Runtime(model.network)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (max(SIZES), runtime.image_size, runtime.image_size, 3))
    outputs = [runtime.run(photo) for photo in pixels.astype(np.uint8)]
    logits = np.stack([output.logits for output in outputs])
    features = np.stack([output.features for output in outputs])
    found = {}
    for size in SIZES:
        network = batched(model.network, pixels[:size].astype(np.uint8))
        decide = deciding(model, logits[:size], features[:size])
        found[size] = milliseconds(network, size), milliseconds(decide, size)
    rows: list[Row] = [
        {
            "photos together": size,
            "network, ms a photo": network,
            "deciding, ms a photo": decision,
            "both, of one by one": (network + decision) / sum(found[1]),
        }
        for size, (network, decision) in found.items()
    ]
    runs = {str(size): [Run(sum(times) / 1000, 0)] for size, times in found.items()}
    publish(f"Batches of photos, {options.model}", rows, runs, options.json)


def batched(network: bytes, pixels: Any) -> Callable[[], object]:
    """The network on `pixels (N, S, S, 3)` at once."""
    interpreter = Interpreter(model_content=network, num_threads=1)
    (place,) = (one["index"] for one in interpreter.get_input_details())
    interpreter.resize_tensor_input(place, pixels.shape)
    interpreter.allocate_tensors()

    def run() -> None:
        interpreter.set_tensor(place, pixels)
        interpreter.invoke()

    return run


def deciding(model: model_file.ModelFile, logits: Floats, features: Floats) -> Callable[[], object]:
    return lambda: model.rule.decide(logits, features)


def milliseconds(work: Callable[[], object], size: int) -> float:
    """A photo, the median of many turns."""
    seconds = []
    with one_blas_thread():
        for _ in range(3 + PHOTOS // size):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds[3:]) / size


if __name__ == "__main__":
    main()
