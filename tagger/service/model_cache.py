"""The models a service has ready: one that answers, others by name, and a change of either."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tagger import paths
from tagger.errors import ModelError, ModelNotFoundError
from tagger.inference import model_file, registry
from tagger.inference.model_file import Card
from tagger.tagger import Tagger

MAX_CACHED = 3  # models beside the one that answers, the longest unused let go first


class ModelCache:
    """Models in memory. Safe to share between threads."""

    def __init__(self, model: str | None = None) -> None:
        """Raises ModelError, and WeightsUnavailableError as `Tagger.load` does."""
        self._active = _checked(model)
        self._chosen = model
        self._others: OrderedDict[str, Tagger] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time: each takes memory, and a core

    @property
    def active(self) -> Tagger:
        """The model that answers unless another is asked for."""
        return self._active

    @staticmethod
    def names() -> list[str]:
        """The models that can be asked for: those in `model/`, and `imagenet` once it was made."""
        made = [registry.IMAGENET] if registry.imagenet_model().is_file() else []
        return sorted({*registry.model_names(), *made})

    def check_name(self, name: str) -> None:
        """ModelNotFoundError for a name that is none of them."""
        if name != self._active.name and name not in (known := self.names()):
            raise ModelNotFoundError(f"no model is called {name!r}; there are {', '.join(known)}")

    def load_card(self, name: str) -> Card:
        """The card of a model, loaded or not. Raises as `check` does, and ModelError."""
        active = self._active
        if name == active.name:
            return active.card
        self.check_name(name)
        with _named_alone(name):
            return model_file.load(registry.find_model(name)).card

    def get(self, name: str) -> Tagger:
        """By name; loaded at its first use. Raises as `check` and `Tagger.load` do."""
        found = self._found(name)
        if found is not None:
            return found
        self.check_name(name)
        with self._loading:
            if (found := self._found(name)) is not None:  # another thread was quicker
                return found
            new = _checked(name)
            with self._lock:
                self._others[name] = new
                while len(self._others) > MAX_CACHED:
                    self._others.popitem(last=False)
            return new

    def reload(self, name: str | None = None) -> Tagger:
        """Load a model beside the old one, try it, and let it answer from now on.

        By default the one that answers now, from its file. Raises as `get` does, and leaves the
        old one where it is, for a file that is missing, broken or cannot answer.
        """
        with self._loading:
            if name is not None:
                self.check_name(name)
            chosen = name or self._chosen
            new = _checked(chosen)
            with self._lock:
                self._active, self._chosen = new, chosen
                self._others.clear()  # their files may have changed as well
            return new

    def _found(self, name: str) -> Tagger | None:
        active = self._active
        if name == active.name:
            return active
        with self._lock:
            if name in self._others:
                self._others.move_to_end(name)
            return self._others.get(name)


def smoke_test(tagger: Tagger) -> None:
    """Let it answer once: a network that cannot run says so here."""
    tagger.tag(np.full((tagger.image_size, tagger.image_size, 3), 128, np.uint8))


def _checked(model: str | None) -> Tagger:
    with _named_alone(model):
        tagger = Tagger.load(model)
        smoke_test(tagger)
        tagger.preload()
        return tagger


@contextmanager
def _named_alone(model: str | None) -> Iterator[None]:
    """Errors without the folders files are in: whoever asks over HTTP need not learn them."""
    try:
        yield
    except ModelError as error:
        told = str(error)
        for folder in (Path(model or "").parent, paths.MODELS, registry.imagenet_model().parent):
            if folder.name:
                told = told.replace(f"{folder}{os.sep}", "").replace(str(folder), folder.name)
        raise type(error)(told) from error
