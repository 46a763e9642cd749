"""The least time to tag a folder on every core: seconds of decoding alone or the network alone.

python bench/floor.py decode FOLDER --model pets
python bench/floor.py network FOLDER --model pets

Start-up is not counted: sessions are ready before the clock starts. Threads take items from one
shared iterator, so none waits and distributing work costs nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

from tagger.concurrency import ordered_map, worker_count
from tagger.images.decode import find_photos
from tagger.images.transforms import prepare
from tagger.inference import model_file
from tagger.inference.litert import Session
from tagger.inference.registry import find_model

PREPARED = 200  # photos that the network gets again and again

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description="Decoding alone, or the network alone.")
    parser.add_argument("part", choices=("decode", "network"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="pets")
    options = parser.parse_args()
    model = model_file.load(find_model(options.model))
    photos = list(find_photos(options.folder))
    measure = time_decoding if options.part == "decode" else time_network
    print(measure(model, photos))


def time_decoding(model: model_file.ModelFile, photos: list[Path]) -> float:
    return time_workers([partial(prepare, size=model.image_size)] * worker_count(), photos)


def time_network(model: model_file.ModelFile, photos: list[Path]) -> float:
    sessions = [Session(model.network) for _ in range(worker_count())]
    prepared = list(ordered_map(partial(prepare, size=model.image_size), photos[:PREPARED]))
    for session in sessions:
        session.run(prepared[0])
    return time_workers([session.run for session in sessions], islice(cycle(prepared), len(photos)))


def time_workers(workers: list[Callable[[T], object]], items: Iterable[T]) -> float:
    """The seconds that the workers, a thread each, take for all items."""
    shared = iter(items)
    began = time.perf_counter()
    list(ordered_map(partial(consume, shared), workers, len(workers)))
    return time.perf_counter() - began


def consume(items: Iterator[T], function: Callable[[T], object]) -> None:
    for item in items:
        function(item)


if __name__ == "__main__":
    main()
