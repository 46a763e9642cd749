"""ModelCache: loading by name, eviction, reloading, broken files."""

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
from tests.model_files import break_scale, edit_network


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models: pets and copies of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("pets", *(f"copy{number}" for number in range(MAX_CACHED + 2))):
        shutil.copyfile(PETS_MODEL, folder / f"{name}.h5")
    monkeypatch.setattr(paths, "MODELS", folder)
    return folder


def test_other_models_are_loaded_once_by_name(models_folder: Path) -> None:
    cache = ModelCache("pets")
    assert cache.active.name == "pets" and cache.get("pets") is cache.active
    other = cache.get("copy1")
    assert other is not cache.active and cache.get("copy1") is other
    assert "copy1" in cache.names()


def test_a_librarys_models_are_loaded_once_by_name_or_file(
    models_folder: Path, tmp_path: Path
) -> None:
    pets, own = models_folder / "pets.h5", tmp_path / "own.h5"
    shutil.copyfile(PETS_MODEL, own)
    for started_with in ("pets", str(pets)):
        cache = ModelCache(started_with)
        assert cache.get_used("pets") is cache.active and cache.get_used(str(pets)) is cache.active
        assert cache.get_used(str(own)) is cache.get_used(str(own)) is not cache.active
    assert cache.get_used("copy1") is cache.get("copy1")
    cache.reload("copy0")
    assert cache.get_used("copy0") is cache.active is not cache.get_used("pets")
    with pytest.raises(ModelNotFoundError, match="no such model"):
        cache.get_used(str(tmp_path / "gone.h5"))


def test_a_model_from_elsewhere_does_not_stand_for_the_librarys_of_that_name(
    models_folder: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copyfile(paths.ROOT / "model" / "cifar10.h5", tmp_path / "pets.h5"))
    cache = ModelCache(str(elsewhere))
    assert cache.active.name == "pets"
    assert cache.get_used("pets").sha256 == Tagger.load("pets").sha256 != cache.active.sha256


def test_only_names_of_models_are_accepted(models_folder: Path) -> None:
    cache = ModelCache("pets")
    for name in ("nope", "../pets", str(PETS_MODEL), "pets.h5", "", ".", "copy1\0"):
        for load in (cache.get, cache.reload):
            with pytest.raises(ModelError, match="no model is called"):
                load(name)
    assert cache.active.name == "pets"


def test_the_least_recently_used_model_is_dropped(models_folder: Path) -> None:
    cache = ModelCache("pets")
    first = cache.get("copy0")
    for number in range(1, MAX_CACHED):
        cache.get(f"copy{number}")
    assert cache.get("copy0") is first
    cache.get(f"copy{MAX_CACHED}")  # drops copy1
    assert cache.get("copy0") is first


def test_a_reload_reads_the_file_again(models_folder: Path) -> None:
    cache = ModelCache("pets")
    before = cache.active
    assert cache.reload() is cache.active and cache.active is not before
    assert cache.reload("copy1").name == cache.active.name
    smoke_test(before)  # requests in progress finish with it


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_broken_file_leaves_the_old_model_active(
    models_folder: Path, content: bytes | None
) -> None:
    cache = ModelCache("pets")
    before = cache.active
    complete = PETS_MODEL.read_bytes()
    (models_folder / "copy1.h5").write_bytes(
        complete[: len(complete) // 2] if content is None else content
    )
    with pytest.raises(ModelError) as reload_error:
        cache.reload("copy1")
    with pytest.raises(ModelError) as card_error:
        cache.load_card("copy1")
    assert str(models_folder) not in f"{reload_error.value} {card_error.value}"
    assert "copy1.h5" in str(reload_error.value)
    (models_folder / "pets.h5").unlink()
    with pytest.raises(ModelNotFoundError):
        cache.reload()
    assert cache.active is before
    smoke_test(cache.active)


def test_a_network_that_crashes_leaves_the_old_model_active(models_folder: Path) -> None:
    edit_network(models_folder / "copy1.h5", break_scale)
    cache = ModelCache("pets")
    before = cache.active
    for load in (cache.reload, cache.get, cache.load_card):
        with pytest.raises(ModelError, match=r"^copy1\.h5: .* crashes \(SIG\w+\); refused$"):
            load("copy1")
    assert cache.active is before
    smoke_test(cache.active)


def test_heatmaps_still_work_after_the_file_is_replaced(models_folder: Path) -> None:
    cache = ModelCache("pets")
    before = cache.active.sha256
    (models_folder / "pets.h5").unlink()
    shutil.copyfile(paths.ROOT / "model" / "everyday.h5", models_folder / "pets.h5")
    assert cache.active.heatmap(np.zeros((64, 64, 3), np.uint8)).shape == (64, 64, 3)
    assert cache.active.sha256 == before


def test_errors_do_not_show_folders(models_folder: Path, tmp_path: Path) -> None:
    own = shutil.copy(PETS_MODEL, tmp_path / "own.h5")
    cache, lazy = ModelCache(str(own)), Tagger.load(str(own))
    own.unlink()
    with pytest.raises(ModelNotFoundError, match=r"own\.h5: no such model") as reload_error:
        cache.reload()
    with pytest.raises(
        ModelChangedError, match=r"own\.h5: another model, or none"
    ) as preload_error:
        lazy.preload()
    assert str(tmp_path) not in f"{reload_error.value} {preload_error.value}"


def test_a_card_is_read_without_loading_the_model(models_folder: Path) -> None:
    cache = ModelCache("pets")
    assert cache.load_card("copy1") == cache.load_card("pets")
    with pytest.raises(ModelNotFoundError):
        cache.load_card("../pets")


def test_concurrent_loads_and_reloads_end_with_working_models(models_folder: Path) -> None:
    cache = ModelCache("pets")
    with ThreadPoolExecutor(8) as pool:
        loads = [pool.submit(cache.get, f"copy{number % 3}") for number in range(8)]
        reloads = [pool.submit(cache.reload, f"copy{number % 2}") for number in range(4)]
        names = {future.result().name for future in loads + reloads}
    assert cache.active.name in ("copy0", "copy1") and names == {"copy0", "copy1", "copy2"}
    assert cache.get("copy2") is cache.get("copy2")


def test_without_a_name_the_default_model_is_active() -> None:
    assert ModelCache().active.name == Tagger.load().name
