"""Where models are looked for, from whatever directory a program is started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagger import paths
from tagger.errors import ModelError

ASK = """
import sys
from tagger.errors import ModelError
from tagger.places import find_model
try:
    print(find_model(*sys.argv[1:]))
except ModelError as error:
    print("refused:", error)
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A project of its own, with the models "everyday", "pets" and "shop"."""
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger" / "__init__.py").touch()
    for module in ("errors.py", "places.py"):
        shutil.copy(Path(paths.__file__).with_name(module), tmp_path / "tagger")
    (tmp_path / "model").mkdir()
    for name in ("everyday.h5", "pets.h5", "shop.h5"):
        (tmp_path / "model" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def ask(house: Path, *name: str) -> str:
    """What `find_model` says when asked from another directory."""
    code = f"import sys\nsys.path.insert(0, {str(house)!r})\n{ASK}"
    done = subprocess.run(
        [sys.executable, "-c", code, *name],
        capture_output=True,
        text=True,
        cwd=house / "elsewhere",
        check=True,
    )
    return done.stdout.strip()


def test_the_users_own_model_comes_before_the_bundled_one(house: Path) -> None:
    assert ask(house) == str(house / "model" / "everyday.h5")
    (house / "model" / "image_tagger.h5").touch()
    assert ask(house) == str(house / "model" / "image_tagger.h5")


def test_a_name_is_a_model_of_the_project(house: Path) -> None:
    (house / "elsewhere" / "shop").touch()
    assert ask(house, "shop") == str(house / "model" / "shop.h5")


def test_an_unknown_name_is_refused_with_the_names_there_are(house: Path) -> None:
    there_are = f"{house / 'model'} has everyday, pets, shop, and there is imagenet"
    assert ask(house, "cars") == f"refused: no model is called 'cars'; {there_are}"
    for model in (house / "model").iterdir():
        model.unlink()
    assert f"{house / 'model'} has none, and" in ask(house, "cars")


def test_imagenet_is_in_the_cache_unless_the_user_has_one(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGGER_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(house))
    monkeypatch.setenv("XDG_CACHE_HOME", str(house / "xdg"))
    inside = "Library/Caches" if sys.platform == "darwin" else "xdg"
    assert ask(house, "imagenet") == str(house / inside / "image-tagger" / "imagenet.h5")
    monkeypatch.setenv("TAGGER_CACHE", str(house / "chosen"))
    assert ask(house, "imagenet") == str(house / "chosen" / "imagenet.h5")
    (house / "model" / "imagenet.h5").touch()
    assert ask(house, "imagenet") == str(house / "model" / "imagenet.h5")


def test_a_model_is_found_again_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_CACHE", "/somewhere")
    for model in ("pets", "imagenet"):
        assert paths.model_name(paths.find_model(model)) == model
    assert paths.model_name(Path("/elsewhere/imagenet.h5")) == "/elsewhere/imagenet.h5"


def test_a_path_is_taken_from_where_one_is(house: Path) -> None:
    (house / "elsewhere" / "mine.h5").touch()
    assert ask(house, "mine.h5") == "mine.h5"
    assert ask(house, "../model/pets.h5") == "../model/pets.h5"
    assert ask(house, str(house / "model" / "pets.h5")) == str(house / "model" / "pets.h5")


def test_a_card_tells_paths_from_the_project_and_nothing_of_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_DATA", str(tmp_path / "data"))
    assert paths.shown(tmp_path / "data" / "pets" / "a.jpg") == "$TAGGER_DATA/pets/a.jpg"
    assert paths.shown(paths.ROOT / "dataset" / "cat") == "dataset/cat"
    assert paths.shown(tmp_path / "private" / "me.jpg") == "me.jpg"
    assert paths.shown(Path("somewhere") / "cat") == "somewhere/cat"
    monkeypatch.delenv("TAGGER_DATA")
    assert paths.shown(tmp_path / "data" / "pets") == "pets"


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.h5", tmp_path):
        with pytest.raises(ModelError, match="no such model file"):
            paths.find_model(path)
    assert paths.find_model(Path(__file__)) == Path(__file__)
