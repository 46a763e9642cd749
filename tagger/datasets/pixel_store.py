"""Prepared photos on disk: training decodes each photo once and holds none of them in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tagger.images.decode import Pixels


class PixelStore:
    """A file of rows `uint8 (S, S, 3)`, appended one by one and read by number. Thread-safe."""

    def __init__(self, path: Path, image_size: int) -> None:
        self.image_size = image_size
        self.path = path
        self._row_bytes = image_size * image_size * 3
        self._count = 0
        self._lock = threading.Lock()
        self._file: BinaryIO = open(path, "w+b")  # noqa: SIM115 - closed by close()

    def append(self, pixels: Pixels) -> int:
        """Add a photo; its row number. Raises ValueError for another shape or type."""
        if pixels.shape != (self.image_size, self.image_size, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"{pixels.dtype} {pixels.shape} in rows of {self.image_size} pixels")
        with self._lock:
            self._file.seek(self._count * self._row_bytes)
            self._file.write(np.ascontiguousarray(pixels).tobytes())
            self._count += 1
            return self._count - 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> Pixels:
        if not 0 <= row < self._count:
            raise IndexError(f"row {row} of {self._count}")
        with self._lock:
            self._file.seek(row * self._row_bytes)
            data = self._file.read(self._row_bytes)
        return np.frombuffer(data, np.uint8).reshape(self.image_size, self.image_size, 3)

    def rows(self, numbers: Iterable[int]) -> Iterator[Pixels]:
        """The photos in these rows, read one at a time."""
        return (self[number] for number in numbers)

    def close(self) -> None:
        """Close and delete the file: it can be made again from the photos."""
        self._file.close()
        self.path.unlink(missing_ok=True)
