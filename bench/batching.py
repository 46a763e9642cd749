"""Would batches of photos be faster? One thread: the network, and the decision.

python bench/batching.py
python bench/batching.py --model pets --json results.json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measuring import Row, Run, make_parser, publish

from tagger.concurrency import one_blas_thread
from tagger.inference import model_file
from tagger.inference.decision import Floats
from tagger.inference.litert import Runtime
from tagger.inference.model_file import ModelFile
from tagger.inference.registry import find_model

SIZES = (1, 2, 4, 8, 16)
PHOTOS = 480  # per batch size


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--model", default="everyday")
    options = arguments.parse_args()
    model = model_file.load(find_model(options.model))
    runtime = Runtime(model.network)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (max(SIZES), runtime.image_size, runtime.image_size, 3))
    outputs = [runtime.run(photo) for photo in pixels.astype(np.uint8)]
    logits = np.stack([output.logits for output in outputs])
    features = np.stack([output.features for output in outputs])
    times = {}
    for size in SIZES:
        run_network = batch_network(model.network, pixels[:size].astype(np.uint8))
        decide = batch_decision(model, logits[:size], features[:size])
        times[size] = milliseconds(run_network, size), milliseconds(decide, size)
    rows: list[Row] = [
        {
            "photos together": size,
            "network, ms a photo": network,
            "deciding, ms a photo": decision,
            "both, of one by one": (network + decision) / sum(times[1]),
        }
        for size, (network, decision) in times.items()
    ]
    runs = {str(size): [Run(sum(pair) / 1000, 0)] for size, pair in times.items()}
    publish(f"Batches of photos, {options.model}", rows, runs, options.json)


def batch_network(network: bytes, pixels: Any) -> Callable[[], object]:
    """A function that runs the network on a batch of `pixels (N, S, S, 3)`."""
    interpreter = Interpreter(model_content=network, num_threads=1)
    (index,) = (detail["index"] for detail in interpreter.get_input_details())
    interpreter.resize_tensor_input(index, pixels.shape)
    interpreter.allocate_tensors()

    def run() -> None:
        interpreter.set_tensor(index, pixels)
        interpreter.invoke()

    return run


def batch_decision(model: ModelFile, logits: Floats, features: Floats) -> Callable[[], object]:
    return lambda: model.rule.decide(logits, features)


def milliseconds(task: Callable[[], object], size: int) -> float:
    """Milliseconds per photo, the median of many runs."""
    seconds = []
    with one_blas_thread():
        for _ in range(3 + PHOTOS // size):
            started = time.perf_counter()
            task()
            seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds[3:]) / size


if __name__ == "__main__":
    main()
