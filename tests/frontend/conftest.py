"""Libraries that the app opens, and models for them."""

from __future__ import annotations

import functools
import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import h5py
import pytest
import streamlit as st
from sqlalchemy import Connection, insert, select
from streamlit.components.v2 import manifest_scanner

from tagger import paths
from tagger.inference import model_file, registry
from tagger.inference.decision import DecisionRule
from tagger.inference.model_file import GROUP, ModelFile
from tagger.jobs import worker
from tagger.labels import Kind, LabelSet
from tagger.library import operations, tags
from tagger.library.database.schema import models
from tagger.library.importer import register_model
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.tagger import Tagger
from tagger.training.report import html
from tagger.training.trainer import TrainingResult
from tests.conftest import PETS_MODEL, draw_png, import_folder, use_default_model
from tests.frontend.pages import wait_for_jobs

MakeModel = Callable[[str, Kind, float], Path]


@pytest.fixture(scope="session", autouse=True)
def scan_packages_once() -> Iterator[None]:
    """Look for components in the installed packages once, which AppTest does for each page."""
    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(scope="module", autouse=True)
def freeze_garbage_collector() -> None:
    """Hide what is loaded by now from the garbage collector, which Streamlit runs for each page.

    With TensorFlow in this process, the objects it looks at make pages several times slower.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wordless: None) -> Iterator[Library]:
    """The app's library: empty, with "pets" as the active model."""
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    library = Library.open()
    library.use_model("pets")
    yield library
    library.close()
    st.cache_resource.clear()


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Makes a copy of "pets" of another kind, with this threshold, that never says "unfamiliar"."""

    def make(name: str, kind: Kind, threshold: float) -> Path:
        path = tmp_path / f"{name}.h5"
        keras_file = path.with_suffix(".keras.h5")
        shutil.copyfile(PETS_MODEL, keras_file)
        with h5py.File(keras_file, "r+") as file:
            del file[GROUP]
        pets = model_file.load(PETS_MODEL)
        rule = DecisionRule(kind, 1.0, (threshold, threshold))
        labels = LabelSet(pets.labels.names, kind)
        about = {name: pets.card[name] for name in ("backbone", "trained_on")}
        model = ModelFile(labels, pets.image_size, rule, pets.network, about)
        model_file.save(path, keras_file, model)
        return path

    return make


def import_drawn_photos(library: Library, folder: Path, count: int, model: str = "pets") -> None:
    """Import drawn photos, numbered from 1, which "pets" calls unknown."""
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed + 1:03}.png").write_bytes(draw_png(seed, 64))
    import_folder(library, folder, model=model)


def save_predictions(
    library: Library, tagger: Tagger | None, scores_by_photo: Mapping[int, Mapping[str, float]]
) -> None:
    """Store predictions by photo id; labels above one half become tags.

    Without a tagger they come from a multi-label model whose file is gone, which alone looked at
    the photos.
    """
    predictions = []
    for photo_id, scores in scores_by_photo.items():
        likely = [[label, score, 0.5] for label, score in scores.items() if score > 0.5]
        tagged = likely[:1] if tagger else likely
        prediction = {
            "label": tagged[0][0] if tagged else None,
            "confidence": max(scores.values()),
            "reason": None if tagged else "uncertain",
            "ood_score": 0.1,
            "tags": tagged,
            "scores": [[label, score] for label, score in scores.items()],
        }
        predictions.append((photo_id, prediction))
    with library.database.write_transaction() as connection:
        operation_id = operations.create(
            connection, "retag", "Said for the test", total=len(predictions)
        )
        model_id = register_model(connection, tagger) if tagger else _insert_model(connection)
        if tagger is None:
            for other in connection.scalars(select(models.c.id)).all():
                tags.end_predictions(connection, operation_id, other, list(scores_by_photo))
        tags.save_predictions(connection, operation_id, model_id, predictions)


def _insert_model(connection: Connection) -> int:
    row = {"name": "other", "sha256": "0" * 64, "first_used_at": datetime.now(UTC)}
    return int(connection.execute(insert(models).values(**row).returning(models.c.id)).scalar_one())


@pytest.fixture
def six_photos(library: Library, tmp_path: Path, pets: Tagger) -> Library:
    """Six photos, numbered from 1: two of dogs, two of cats, two unknown."""
    import_drawn_photos(library, tmp_path / "photos", 6)
    dog, cat = {"dog": 0.9, "cat": 0.1}, {"cat": 0.8, "dog": 0.2}
    save_predictions(library, pets, {1: dog, 2: dog, 3: cat, 4: cat})
    return library


@pytest.fixture
def drawn_shapes(library: Library, shapes: Path, worded: Path) -> Library:
    """Forty photos of each drawn shape, tagged by a model that understands descriptions."""
    library.use_model(str(worded))
    import_folder(library, shapes, model=str(worded))
    return library


@pytest.fixture
def project_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library of a copy of the project, whose only model is "pets".

    Jobs run the copy's `tagger`, so that trained models stay in it. No test has made the model
    "imagenet" in its cache folder.
    """
    shutil.copytree(ROOT / "tagger", tmp_path / "tagger", ignore=lambda *_: ["__pycache__"])
    for folder in ("model", "runs", "dataset"):
        (tmp_path / folder).mkdir()
    for suffix in (".h5", ".json"):
        shutil.copy(PETS_MODEL.with_suffix(suffix), tmp_path / "model")
    monkeypatch.setattr(paths, "MODELS", tmp_path / "model")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "DATASET", tmp_path / "dataset")
    monkeypatch.setattr(registry, "OWN_MODEL", tmp_path / "model" / "image_tagger.h5")
    use_default_model(monkeypatch, tmp_path / "model" / "pets.h5")
    monkeypatch.setattr(worker, "ROOT", tmp_path)
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    library = Library.open()
    yield library
    for operation in library.operations(active=True):
        library.stop(operation.id)
    wait_for_jobs(library)
    library.close()
    st.cache_resource.clear()


@pytest.fixture
def shapes_model(project_library: Library, trained: TrainingResult, tmp_path: Path) -> Path:
    """The model "shapes" in the project, with its run folder."""
    run = tmp_path / "runs" / trained.run_folder.name
    shutil.copytree(trained.run_folder, run)
    html.write(run)
    for suffix in (".h5", ".json"):
        shutil.copy(trained.model.with_suffix(suffix), tmp_path / "model")
    return tmp_path / "model" / "shapes.h5"
