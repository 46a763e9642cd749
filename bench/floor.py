"""The least that tagging a folder can take on every core: seconds of decoding, or of the network.

python bench/floor.py decode FOLDER --model pets
python bench/floor.py network FOLDER --model pets

Start-up is left out: sessions are ready before the clock starts. Threads take from one shared
iterator, so that none waits and nothing is spent on handing work out.
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

PREPARED = 200  # photos held for the network, again and again

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description="Decoding alone, or the network alone.")
    parser.add_argument("part", choices=("decode", "network"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="pets")
    options = parser.parse_args()
    model = model_file.load(find_model(options.model))
    photos = list(find_photos(options.folder))
    print((decode if options.part == "decode" else network)(model, photos))


def decode(model: model_file.ModelFile, photos: list[Path]) -> float:
    return seconds([partial(prepare, size=model.image_size)] * worker_count(), photos)


def network(model: model_file.ModelFile, photos: list[Path]) -> float:
    sessions = [Session(model.network) for _ in range(worker_count())]
    prepared = list(ordered_map(partial(prepare, size=model.image_size), photos[:PREPARED]))
    for session in sessions:
        session.run(prepared[0])
    return seconds([session.run for session in sessions], islice(cycle(prepared), len(photos)))


def seconds(workers: list[Callable[[T], object]], items: Iterable[T]) -> float:
    """For all items, with one worker a thread."""
    shared = iter(items)
    began = time.perf_counter()
    list(ordered_map(partial(drain, shared), workers, len(workers)))
    return time.perf_counter() - began


def drain(items: Iterator[T], function: Callable[[T], object]) -> None:
    for item in items:
        function(item)


if __name__ == "__main__":
    main()
