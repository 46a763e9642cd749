"""The models that a service has ready, and the change from one to another."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tagger import paths
from tagger.errors import ModelChangedError, ModelError, ModelNotFoundError
from tagger.service.model_cache import MAX_CACHED, ModelCache, smoke_test
from tagger.tagger import Tagger
from tests.conftest import PETS_MODEL


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models of its own: pets and copies of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("pets", *(f"copy{number}" for number in range(MAX_CACHED + 2))):
        shutil.copyfile(PETS_MODEL, folder / f"{name}.h5")
    monkeypatch.setattr(paths, "MODELS", folder)
    return folder


def test_one_answers_and_others_are_loaded_by_name(shelf: Path) -> None:
    loaded = ModelCache("pets")
    assert loaded.active.name == "pets" and loaded.get("pets") is loaded.active
    other = loaded.get("copy1")
    assert other is not loaded.active and loaded.get("copy1") is other
    assert "copy1" in loaded.names()


def test_only_names_that_are_there_can_be_asked_for(shelf: Path) -> None:
    loaded = ModelCache("pets")
    for name in ("nope", "../pets", str(PETS_MODEL), "pets.h5", "", ".", "copy1\0"):
        for ask in (loaded.get, loaded.reload):
            with pytest.raises(ModelError, match="no model is called"):
                ask(name)
    assert loaded.active.name == "pets"


def test_the_longest_unused_is_let_go(shelf: Path) -> None:
    loaded = ModelCache("pets")
    first = loaded.get("copy0")
    for number in range(1, MAX_CACHED):
        loaded.get(f"copy{number}")
    assert loaded.get("copy0") is first
    loaded.get(f"copy{MAX_CACHED}")  # instead of copy1, which was used longest ago
    assert loaded.get("copy0") is first


def test_a_change_takes_the_new_file(shelf: Path) -> None:
    loaded = ModelCache("pets")
    before = loaded.active
    assert loaded.reload() is loaded.active and loaded.active is not before
    assert loaded.reload("copy1").name == loaded.active.name
    smoke_test(before)  # whoever still has it can go on


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_bad_file_leaves_the_old_one_answering(shelf: Path, content: bytes | None) -> None:
    loaded = ModelCache("pets")
    before = loaded.active
    whole = PETS_MODEL.read_bytes()
    (shelf / "copy1.h5").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ModelError) as told:
        loaded.reload("copy1")
    with pytest.raises(ModelError) as told_too:
        loaded.load_card("copy1")
    assert str(shelf) not in f"{told.value} {told_too.value}" and "copy1.h5" in str(told.value)
    (shelf / "pets.h5").unlink()
    with pytest.raises(ModelNotFoundError):
        loaded.reload()
    assert loaded.active is before
    smoke_test(loaded.active)


def test_a_file_that_is_gone_or_another_by_now_leaves_heatmaps(shelf: Path) -> None:
    loaded = ModelCache("pets")
    before = loaded.active.sha256
    (shelf / "pets.h5").unlink()
    shutil.copyfile(paths.ROOT / "model" / "everyday.h5", shelf / "pets.h5")
    assert loaded.active.heatmap(np.zeros((64, 64, 3), np.uint8)).shape == (64, 64, 3)
    assert loaded.active.sha256 == before


def test_no_folder_is_told(shelf: Path, tmp_path: Path) -> None:
    own = shutil.copy(PETS_MODEL, tmp_path / "own.h5")
    loaded, unkept = ModelCache(str(own)), Tagger.load(str(own))
    own.unlink()
    with pytest.raises(ModelNotFoundError, match=r"own\.h5: no such model") as told:
        loaded.reload()
    with pytest.raises(ModelChangedError, match=r"own\.h5: another model, or none") as told_too:
        unkept.preload()
    assert str(tmp_path) not in f"{told.value} {told_too.value}"


def test_a_card_is_told_without_loading_the_model(shelf: Path) -> None:
    loaded = ModelCache("pets")
    assert loaded.load_card("copy1") == loaded.load_card("pets")
    with pytest.raises(ModelNotFoundError):
        loaded.load_card("../pets")


def test_changes_and_loads_at_once_end_with_models_that_answer(shelf: Path) -> None:
    loaded = ModelCache("pets")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(loaded.get, f"copy{number % 3}") for number in range(8)]
        changed = [pool.submit(loaded.reload, f"copy{number % 2}") for number in range(4)]
        names = {future.result().name for future in asked + changed}
    assert loaded.active.name in ("copy0", "copy1") and names == {"copy0", "copy1", "copy2"}
    assert loaded.get("copy2") is loaded.get("copy2")


def test_without_a_name_the_usual_one_answers() -> None:
    assert ModelCache().active.name == Tagger.load().name
