"""Finding a model by name or path, from any working directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagger import paths
from tagger.errors import ModelError
from tagger.inference import registry

SCRIPT = """
import sys
from tagger.errors import ModelError
from tagger.inference.registry import find_model
try:
    print(find_model(*sys.argv[1:]))
except ModelError as error:
    print("refused:", error)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the models "everyday", "pets" and "shop"."""
    package = Path(paths.__file__).parent
    (tmp_path / "tagger" / "inference").mkdir(parents=True)
    (tmp_path / "tagger" / "__init__.py").touch()
    for module in ("errors.py", "paths.py", "inference/registry.py"):
        shutil.copy(package / module, tmp_path / "tagger" / module)
    (tmp_path / "model").mkdir()
    for name in ("everyday.h5", "pets.h5", "shop.h5"):
        (tmp_path / "model" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def find(project: Path, *name: str) -> str:
    """The output of `find_model` in a process that runs in another directory."""
    code = f"import sys\nsys.path.insert(0, {str(project)!r})\n{SCRIPT}"
    process = subprocess.run(
        [sys.executable, "-c", code, *name],
        capture_output=True,
        text=True,
        cwd=project / "elsewhere",
        check=True,
    )
    return process.stdout.strip()


def test_the_users_own_model_comes_before_the_bundled_one(project: Path) -> None:
    assert find(project) == str(project / "model" / "everyday.h5")
    (project / "model" / "image_tagger.h5").touch()
    assert find(project) == str(project / "model" / "image_tagger.h5")


def test_a_name_means_a_model_in_the_project(project: Path) -> None:
    (project / "elsewhere" / "shop").touch()
    assert find(project, "shop") == str(project / "model" / "shop.h5")


def test_an_unknown_name_is_refused_with_a_list_of_the_models(project: Path) -> None:
    models = f"{project / 'model'} has everyday, pets, shop, and there is imagenet"
    assert find(project, "cars") == f"refused: no model is called 'cars'; {models}"
    for model in (project / "model").iterdir():
        model.unlink()
    assert f"{project / 'model'} has none, and" in find(project, "cars")


def test_imagenet_is_in_the_cache_unless_the_user_has_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGGER_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "xdg"))
    inside = "Library/Caches" if sys.platform == "darwin" else "xdg"
    assert find(project, "imagenet") == str(project / inside / "image-tagger" / "imagenet.h5")
    monkeypatch.setenv("TAGGER_CACHE", str(project / "chosen"))
    assert find(project, "imagenet") == str(project / "chosen" / "imagenet.h5")
    (project / "model" / "imagenet.h5").touch()
    assert find(project, "imagenet") == str(project / "model" / "imagenet.h5")


def test_model_name_is_what_find_model_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_CACHE", "/somewhere")
    for model in ("pets", "imagenet"):
        assert registry.model_name(registry.find_model(model)) == model
    assert registry.model_name(Path("/elsewhere/imagenet.h5")) == "/elsewhere/imagenet.h5"


def test_a_relative_path_starts_at_the_working_directory(project: Path) -> None:
    (project / "elsewhere" / "mine.h5").touch()
    assert find(project, "mine.h5") == "mine.h5"
    assert find(project, "../model/pets.h5") == "../model/pets.h5"
    assert find(project, str(project / "model" / "pets.h5")) == str(project / "model" / "pets.h5")


def test_a_path_to_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.h5", tmp_path):
        with pytest.raises(ModelError, match="no such model file"):
            registry.find_model(path)
    assert registry.find_model(Path(__file__)) == Path(__file__)
