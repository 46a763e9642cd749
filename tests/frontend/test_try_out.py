"""The try-out: a model that tags photos unlike its training photos is said to."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tests.frontend.pages import grid_photos, page_text

pytestmark = pytest.mark.training  # the models of drawn shapes


def _try_out(model: str, folder: str) -> None:
    from pathlib import Path

    import streamlit as st

    from frontend.training import try_out

    try_out.show(model, "here", Path(folder), lambda: st.markdown("The remedy"))


def open_try_out(model: Path, folder: Path) -> AppTest:
    app = AppTest.from_function(_try_out, args=(str(model), str(folder)), default_timeout=60).run()
    assert not app.exception
    return app


def test_tags_of_photos_unlike_all_training_photos_are_doubted(
    drawn_shapes: Library, worded: Path, shapes: Path
) -> None:
    app = open_try_out(worded, shapes)
    assert "Of 24 photos" in page_text(app) and "unlike" not in page_text(app)

    app = open_try_out(worded, shapes / "disc")
    text = page_text(app)
    assert "unlike all its training photos" in text and "The remedy" in text
    captions = [photo["tag"] for photo in grid_photos(app, "here-try-grid")]
    doubted = [text for text in captions if "doubtful" in text]
    assert doubted and captions[: len(doubted)] == doubted  # first
    assert not any("disc" in text for text in doubted)


def test_a_folder_that_is_gone_is_no_reason_for_doubt(
    drawn_shapes: Library, worded: Path, tmp_path: Path
) -> None:
    text = page_text(open_try_out(worded, tmp_path / "gone"))
    assert "The remedy" not in text and "it would tag" in text
