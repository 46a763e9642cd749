"""The offer to tag photos again that an earlier version of the active model tagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontend.components.retag_dialog import describe_change, explain_preview
from tagger.library.library import Library
from tagger.library.models.retagging import RetagPreview, TagChange
from tests.frontend.conftest import MakeModel, import_drawn_photos
from tests.frontend.pages import (
    button_keys,
    gallery_ids,
    grid_photos,
    open_page,
    page_text,
    press,
    tag_labels,
    wait_for_jobs,
)

ADDED = "gallery-changes-added"


@pytest.fixture
def outdated(library: Library, make_model: MakeModel, tmp_path: Path) -> Library:
    """Three photos without tags, whose model was replaced by one that says dog and cat of all."""
    model = str(make_model("own", "multi", 1.0))
    library.use_model(model)
    import_drawn_photos(library, tmp_path / "photos", 3, model)
    make_model("own", "multi", 0.0)
    return library


def test_the_changes_are_shown_before_photos_are_tagged_again(outdated: Library) -> None:
    outdated.edit_tags([2], add=["mine"])
    app = open_page("gallery")
    assert "3 photos were tagged by an earlier version of own." in page_text(app)
    press(app, "gallery-outdated-go")
    text = page_text(app)
    assert "Removes 0 tags, adds 6." in text and "dog (3)" in text and "Removed:" not in text
    examples = grid_photos(app, ADDED)
    assert len(examples) == 3 and all(tile["tag"].startswith("+ ") for tile in examples)
    assert all(tag_labels(outdated, photo_id) == [] for photo_id in (1, 3))
    press(app, "gallery-cancel-retag")
    assert "gallery-confirm-retag" not in button_keys(app) and not outdated.operations(
        kinds=["retag"]
    )
    press(app, "gallery-outdated-go")
    press(app, "gallery-confirm-retag")
    wait_for_jobs(outdated)
    app.run()
    assert "earlier version" not in page_text(app)
    assert all(set(tag_labels(outdated, photo_id)) == {"cat", "dog"} for photo_id in (1, 3))
    assert set(tag_labels(outdated, 2)) == {"cat", "dog", "mine"}
    (job,) = outdated.operations(kinds=["retag"])
    press(app, f"gallery-work-undo-{job.id}")
    assert all(tag_labels(outdated, photo_id) == [] for photo_id in (1, 3))
    assert "3 photos were tagged by an earlier version of own." in page_text(app)


def test_the_offer_can_be_put_off(outdated: Library) -> None:
    app = press(open_page("gallery"), "gallery-outdated-dismiss")
    assert "earlier version" not in page_text(app)
    assert "gallery-outdated-go" in button_keys(open_page("gallery"))  # in another session


def test_another_or_a_broken_active_model_offers_nothing(outdated: Library) -> None:
    model = Path(outdated.active_model())
    outdated.use_model("pets")
    assert "earlier version" not in page_text(open_page("gallery"))
    outdated.use_model(str(model))
    model.write_bytes(b"broken")
    assert gallery_ids(open_page("gallery"))


def test_a_preview_is_explained(six_photos: Library) -> None:
    photos = [six_photos.photo(number) for number in (1, 2)]
    changes = (
        TagChange(photos[0], ("person", "tree"), ("chain saw",)),
        TagChange(photos[1], ("person",), ()),
    )
    kept = "Your own tags are kept, and those of other models."
    assert explain_preview(RetagPreview(2, changes, 0, 2)) == [
        f"Removes 1 tag, adds 3. {kept}",
        "Added: person (2), tree (1).",
        "Removed: chain saw (1).",
    ]
    assert explain_preview(RetagPreview(20, changes, 1, 1_000)) == [
        f"Removes about 50 tags, adds about 150, judging by 20 of 1,000 photos. {kept}",
        "Added, about: person (100), tree (50).",
        "Removed, about: chain saw (50).",
        "1 photo cannot be read and would stay the same.",
    ]
    assert explain_preview(RetagPreview(2, (), 0, 2)) == [f"No tag changes. {kept}"]
    assert [describe_change(change) for change in changes] == [
        "+ person, tree − chain saw",
        "+ person",
    ]
