"""Models in memory: the active one, others by name, and their reloading."""

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

MAX_CACHED = 3  # models beside the active one; the least recently used is dropped


class ModelCache:
    """Loaded models, shared between threads."""

    def __init__(self, model: str | None = None) -> None:
        """`model` is a name or a file. Raises as `Tagger.load` does."""
        self._active = _load(model)
        self._active_model = model
        self._inactive: OrderedDict[str, Tagger] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one load at a time: each takes memory and a core

    @property
    def active(self) -> Tagger:
        """The model of requests that name none."""
        return self._active

    @staticmethod
    def names() -> list[str]:
        """Models that a request can name: those in `model/`, and `imagenet` if it was built."""
        imagenet = [registry.IMAGENET] if registry.imagenet_model().is_file() else []
        return sorted({*registry.model_names(), *imagenet})

    def check_name(self, name: str) -> None:
        """ModelNotFoundError unless there is such a model."""
        if name != self._active.name and name not in (names := self.names()):
            raise ModelNotFoundError(f"no model is called {name!r}; there are {', '.join(names)}")

    def load_card(self, name: str) -> Card:
        """A model's card, without loading the model. Raises as `check_name`, and ModelError."""
        active = self._active
        if name == active.name:
            return active.card
        self.check_name(name)
        with _hide_folders(name):
            return model_file.load_card(registry.find_model(name))

    def get(self, name: str) -> Tagger:
        """A model, loaded at its first use. Raises as `check_name` and `Tagger.load` do."""
        if (tagger := self.find_loaded(name)) is not None:
            return tagger
        self.check_name(name)
        with self._loading:
            if (tagger := self.find_loaded(name)) is not None:  # another thread has loaded it
                return tagger
            return self._load_inactive(name)

    def get_used(self, model: str) -> Tagger:
        """A model that a library uses, by name or file, loaded at its first use.

        It is the active one if that is of this file, whatever their names. Raises as `Tagger.load`
        does.
        """
        with _hide_folders(model):
            file = registry.find_model(model)
        with self._loading:
            if file.resolve() == self._active.path.resolve():
                return self._active
            name = registry.model_name(file.absolute())
            return self._find_inactive(name) or self._load_inactive(name)

    def reload(self, name: str | None = None) -> Tagger:
        """Load a model, test it, and make it the active one; by default the same one's file again.

        Raises as `get` does, and keeps the old model, if the file is missing, broken or its model
        does not run.
        """
        with self._loading:
            if name is not None:
                self.check_name(name)
            model = name or self._active_model
            tagger = _load(model)
            with self._lock:
                self._active, self._active_model = tagger, model
                self._inactive.clear()  # their files may have changed as well
            return tagger

    def find_loaded(self, name: str) -> Tagger | None:
        """A model that is in memory, at once; None if it would have to be loaded."""
        active = self._active
        return active if name == active.name else self._find_inactive(name)

    def _find_inactive(self, name: str) -> Tagger | None:
        with self._lock:
            if name in self._inactive:
                self._inactive.move_to_end(name)
            return self._inactive.get(name)

    def _load_inactive(self, name: str) -> Tagger:
        tagger = _load(name)
        with self._lock:
            self._inactive[name] = tagger
            while len(self._inactive) > MAX_CACHED:
                self._inactive.popitem(last=False)
        return tagger


def smoke_test(tagger: Tagger) -> None:
    """Tag a grey picture; raises as `Tagger.tag` does if the network cannot run."""
    tagger.tag(np.full((tagger.image_size, tagger.image_size, 3), 128, np.uint8))


def _load(model: str | None) -> Tagger:
    with _hide_folders(model):
        tagger = Tagger.load(model)
        smoke_test(tagger)
        tagger.preload()
        return tagger


@contextmanager
def _hide_folders(model: str | None) -> Iterator[None]:
    """Remove folders from the messages of model errors, which clients see."""
    try:
        yield
    except ModelError as error:
        message = str(error)
        for folder in (Path(model or "").parent, paths.MODELS, registry.imagenet_model().parent):
            if folder.name:
                message = message.replace(f"{folder}{os.sep}", "")
                message = message.replace(str(folder), folder.name)
        raise type(error)(message) from error
