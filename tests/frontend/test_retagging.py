"""The offer to tag photos again that an earlier version of the active model tagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontend.photos.retagging import describe_change, explain_preview
from tagger.library.library import Library
from tagger.library.retagging import RetagPreview, TagChange
from tests.frontend.conftest import MakeModel, import_drawn_photos
from tests.frontend.pages import (
    button_keys,
    grid_photos,
    open_page,
    page_text,
    press,
    tag_labels,
    wait_for_jobs,
)

EXAMPLES = "gallery-outdated-examples"


@pytest.fixture
def outdated(library: Library, make_model: MakeModel, tmp_path: Path) -> Library:
    """Three photos without tags, whose model was replaced by one that says dog and cat of all."""
    model = str(make_model("own", "multi", 1.0))
    library.set_active_model(model)
    import_drawn_photos(library, tmp_path / "photos", 3, model)
    make_model("own", "multi", 0.0)
    return library


def test_the_changes_are_shown_before_photos_are_tagged_again(outdated: Library) -> None:
    app = open_page("gallery")
    assert "3 photos were tagged by an earlier version of own." in page_text(app)
    press(app, "gallery-outdated-preview")
    text = page_text(app)
    assert "Of 3 photos, 3 would get other tags." in text
    assert "Would come: " in text and "dog (3)" in text and "Would go" not in text
    examples = grid_photos(app, EXAMPLES)
    assert len(examples) == 3 and all(tile["caption"].startswith("+ ") for tile in examples)
    assert all(tag_labels(outdated, photo_id) == [] for photo_id in (1, 2, 3))
    press(app, "gallery-outdated-go")
    wait_for_jobs(outdated)
    app.run()
    assert "earlier version" not in page_text(app)
    assert all(set(tag_labels(outdated, photo_id)) == {"cat", "dog"} for photo_id in (1, 2, 3))
    (job,) = outdated.operations(kinds=["retag"])
    press(app, f"gallery-work-undo-{job.id}")
    assert all(tag_labels(outdated, photo_id) == [] for photo_id in (1, 2, 3))
    assert "3 photos were tagged by an earlier version of own." in page_text(app)


def test_the_offer_can_be_put_off(outdated: Library) -> None:
    app = press(open_page("gallery"), "gallery-outdated-dismiss")
    assert "earlier version" not in page_text(app)
    assert "gallery-outdated-go" in button_keys(open_page("gallery"))  # in another session


def test_another_or_a_broken_active_model_offers_nothing(outdated: Library) -> None:
    model = Path(outdated.active_model())
    outdated.set_active_model("pets")
    assert "earlier version" not in page_text(open_page("gallery"))
    outdated.set_active_model(str(model))
    model.write_bytes(b"broken")
    assert grid_photos(open_page("gallery"))


def test_a_preview_is_explained(six_photos: Library) -> None:
    photos = [six_photos.photo(number) for number in (1, 2)]
    changes = (
        TagChange(photos[0], ("person", "tree"), ("chain saw",)),
        TagChange(photos[1], ("person",), ()),
    )
    assert explain_preview(RetagPreview(24, changes, 1), 1_000) == [
        "Of 24 photos out of 1,000, 2 would get other tags. Tags that you gave or removed stay as"
        " they are.",
        "Would come: person (2), tree (1).",
        "Would go: chain saw (1).",
        "1 photo cannot be read, and would keep the tags.",
    ]
    assert [describe_change(change) for change in changes] == [
        "+ person, tree − chain saw",
        "+ person",
    ]
