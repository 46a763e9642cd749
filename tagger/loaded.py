"""The models a service has ready: one that answers, others by name, and a change of either."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from tagger import places
from tagger.errors import ModelError
from tagger.tagger import Tagger

KEPT = 3  # models beside the one that answers, the longest unused let go first


class Loaded:
    """Models in memory. Safe to share between threads."""

    def __init__(self, model: str | None = None) -> None:
        """Raises ModelError."""
        self._active = _checked(model)
        self._chosen = model
        self._others: OrderedDict[str, Tagger] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def active(self) -> Tagger:
        """The model that answers unless another is asked for."""
        return self._active

    @staticmethod
    def names() -> list[str]:
        """The models that can be asked for: those in `model/`, and `imagenet` once it was made."""
        made = [places.IMAGENET] if places.imagenet_model().is_file() else []
        return sorted({*places.model_names(), *made})

    def get(self, name: str | None = None) -> Tagger:
        """By name; loaded at its first use. Raises ModelError for a name that is none of them."""
        active = self._active
        if name is None or name == active.name:
            return active
        known = self.names()
        if name not in known:
            raise ModelError(f"no model is called {name!r}; there are {', '.join(known)}")
        with self._lock:
            if name not in self._others:
                self._others[name] = _checked(name)
                while len(self._others) > KEPT:
                    self._others.popitem(last=False)
            self._others.move_to_end(name)
            return self._others[name]

    def reload(self, name: str | None = None) -> Tagger:
        """Load a model beside the old one, try it, and let it answer from now on.

        By default the one that answers now, from its file. Raises ModelError, and leaves the old
        one where it is, for a file that is missing, broken or cannot answer.
        """
        if name is not None and name not in (known := self.names()):
            raise ModelError(f"no model is called {name!r}; there are {', '.join(known)}")
        chosen = name or self._chosen
        new = _checked(chosen)
        with self._lock:
            self._active, self._chosen = new, chosen
            self._others.clear()  # their files may have changed as well
        return new


def try_out(tagger: Tagger) -> None:
    """Let it answer once: a network that cannot run says so here."""
    tagger.tag(np.full((tagger.image_size, tagger.image_size, 3), 128, np.uint8))


def _checked(model: str | None) -> Tagger:
    tagger = Tagger.load(model)
    try_out(tagger)
    _ = tagger.sha256  # read now, while the file is surely the one that was loaded
    return tagger
