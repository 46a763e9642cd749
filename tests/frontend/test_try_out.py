"""The try-out: a model that tags photos unlike its training photos is said to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tagger.datasets.sample_photos import write_samples
from tagger.library.library import Library
from tests.conftest import import_folder
from tests.frontend.pages import grid_photos, page_text


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the four sample photos, which are in the app's library."""
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    folder = tmp_path / "samples"
    folder.mkdir()
    write_samples(folder)
    library = Library.open()
    library.use_model("pets")
    import_folder(library, folder)
    yield folder
    library.close()
    st.cache_resource.clear()


def _try_out(model: str, folder: str) -> None:
    from pathlib import Path

    import streamlit as st

    from frontend.training import try_out

    try_out.show(model, "here", Path(folder), lambda: st.markdown("The remedy"))


def open_try_out(folder: Path) -> AppTest:
    app = AppTest.from_function(_try_out, args=("pets", str(folder)), default_timeout=60).run()
    assert not app.exception
    return app


def test_tags_of_photos_unlike_all_training_photos_are_doubted(samples: Path) -> None:
    app = open_try_out(samples)
    assert "Of 4 photos of your library it would tag 1." in page_text(app)
    assert "unlike" not in page_text(app) and "The remedy" not in page_text(app)

    without_cat = shutil.copytree(samples, samples.parent / "without cat")
    next(without_cat.glob("cat*")).unlink()
    app = open_try_out(without_cat)
    text = page_text(app)
    assert "1 of the 1 photo that it would tag looks unlike all its training photos" in text
    assert "The remedy" in text
    captions = [photo["tag"] for photo in grid_photos(app, "here-try-grid")]
    assert captions[0].startswith("cat ") and captions[0].endswith("% · doubtful")
    assert captions[1:] == ["no tag"] * 3


def test_a_folder_that_is_gone_is_no_reason_for_doubt(samples: Path, tmp_path: Path) -> None:
    text = page_text(open_try_out(tmp_path / "gone"))
    assert "it would tag 1." in text and "The remedy" not in text
