"""What was compared so far, in a file of the library's folder: it can be made again.

It has the photos that were compared with each other, with their hashes, and the pairs of them that
are near copies. A photo whose hash is another one by now counts as not compared.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.files import write_atomically
from tagger.library.duplicates.hashes import Hashes
from tagger.library.vectors import Ids

VERSION = 1  # of what counts as a near copy: others are compared again


def _no_ids() -> Ids:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Photos `ids (N,)`, ascending, with their `hashes (N,)`, and pairs of near copies `(P, 2)`.

    Not `complete (N,)` are photos that had no vector, so that their hashes alone were compared.
    `sharp_ids (S,)` are photos whose `sharpness (S,)` was measured.
    """

    ids: Ids = field(default_factory=_no_ids)
    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    complete: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    pairs: Ids = field(default_factory=lambda: np.empty((0, 2), np.int64))
    sharp_ids: Ids = field(default_factory=_no_ids)
    sharpness: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @classmethod
    def load(cls, path: Path) -> Comparisons:
        """What a file has; nothing if there is none, or it is of another version."""
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                if int(file["version"]) != VERSION:
                    return cls()
                return cls(**{name: file[name] for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return cls()

    def save(self, path: Path) -> None:
        """Write the file; a power cut may lose it."""
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        np.savez(buffer, version=np.int64(VERSION), **arrays)
        write_atomically(path, buffer.getvalue(), durable=False)

    def find_compared(self, ids: Ids, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these photos `(N,)` were compared, with the hashes that they have now."""
        if not len(self.ids):
            return np.zeros(len(ids), np.bool_)
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        is_same: NDArray[np.bool_] = (self.ids[rows] == ids) & (self.hashes[rows] == hashes)
        return is_same

    def restrict(self, ids: Ids, hashes: Hashes) -> Comparisons:
        """Without photos that are not among these, which ascend, or have another hash now."""
        kept = self.find_compared(ids, hashes)
        current = ids[kept]
        is_pair = np.isin(self.pairs, current).all(axis=1)
        is_sharp = np.isin(self.sharp_ids, current)
        return replace(
            self,
            ids=current,
            hashes=hashes[kept],
            complete=self.complete[np.isin(self.ids, current)],
            pairs=self.pairs[is_pair],
            sharp_ids=self.sharp_ids[is_sharp],
            sharpness=self.sharpness[is_sharp],
        )

    def add(self, ids: Ids, hashes: Hashes, complete: NDArray[np.bool_], pairs: Ids) -> Comparisons:
        """With photos that were compared, in place of what is known of them, and near copies."""
        is_kept = ~np.isin(self.ids, ids)
        every = np.concatenate([self.ids[is_kept], ids])
        order = np.argsort(every)
        new_pairs = np.sort(np.concatenate([self.pairs, pairs]), axis=1)
        return replace(
            self,
            ids=every[order],
            hashes=np.concatenate([self.hashes[is_kept], hashes])[order],
            complete=np.concatenate([self.complete[is_kept], complete])[order],
            pairs=np.unique(new_pairs, axis=0),
        )

    def add_sharpness(self, ids: Ids, sharpness: NDArray[np.float32]) -> Comparisons:
        """With the sharpness of more photos."""
        return replace(
            self,
            sharp_ids=np.concatenate([self.sharp_ids, ids]),
            sharpness=np.concatenate([self.sharpness, sharpness]),
        )
