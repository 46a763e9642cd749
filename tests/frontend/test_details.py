"""Details of one photo: tags, neighbours, heatmap, deletion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.images import decode
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw, import_folder
from tests.frontend.conftest import save_predictions
from tests.frontend.pages import (
    HOSTILE,
    button_keys,
    grid_photos,
    open_page,
    page_text,
    press,
    tag_labels,
    type_option,
    use_grid,
)


def test_details_show_file_tags_prediction_and_similar_photos(six_photos: Library) -> None:
    app = use_grid(open_page("gallery", sort="name"), open=1)
    assert app.query_params == {"sort": "name", "photo": "1", "at": "0"}
    text = page_text(app)
    assert app.subheader[0].value == "001\\.png"
    assert "64 × 64 pixels" in text
    assert str(six_photos.photo(1).path) in text
    assert "pets was 90.0% sure, and it needs 50.0%" in text
    assert "by “Said for the test”" in text
    assert "dog" in text and "90.0%" in text and "10.0%" in text
    assert len(grid_photos(app, "gallery-nearest")) == 5
    assert app.get("image") or app.get("imgs")


def test_an_unknown_photo_shows_the_reason(six_photos: Library, pets: Tagger) -> None:
    save_predictions(six_photos, pets, {6: {"dog": 0.45, "cat": 0.4}})
    app = open_page("gallery", photo="6")
    assert "not sure enough of any label; dog comes nearest, 45.0%" in page_text(app)
    assert "unlike every photo that pets was taught with" in page_text(
        open_page("gallery", photo="5")
    )


def test_previous_and_next_move_through_the_results(six_photos: Library) -> None:
    app = use_grid(open_page("gallery", sort="name", show="tag==dog"), open=2)
    assert app.get_by_key("gallery-next").disabled
    press(app, "gallery-previous")
    assert app.query_params["photo"] == "1"
    assert app.get_by_key("gallery-previous").disabled
    press(app, "gallery-remove-1-dog")
    assert "Removed “dog” from 1 photo." in page_text(app)
    press(app, "gallery-next")
    assert app.query_params["photo"] == "2", "although the first has left the results"
    press(app, "gallery-back")
    assert [photo["id"] for photo in grid_photos(app)] == [2]


def test_a_photo_without_a_position_has_no_neighbours(six_photos: Library) -> None:
    assert "gallery-next" not in button_keys(open_page("gallery", photo="3"))


def test_a_tag_is_confirmed_removed_and_withdrawn(six_photos: Library) -> None:
    app = press(open_page("gallery", photo="1"), "gallery-confirm-1-dog")
    assert six_photos.photo(1).tags[0].by_person
    assert "You said so" in page_text(app)
    press(app, "gallery-remove-1-dog")
    assert tag_labels(six_photos, 1) == []
    assert "Not dog" in page_text(app)
    press(app, "gallery-withdraw-1-dog")
    assert tag_labels(six_photos, 1) == ["dog"]
    assert not six_photos.photo(1).reviewed
    press(app, "gallery-undo")
    assert tag_labels(six_photos, 1) == []


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags_are_shown_as_text(six_photos: Library, tag: str) -> None:
    app = open_page("gallery", photo="5")
    type_option(app, "gallery-tag-5", tag)
    press(app, "gallery-add-5")
    assert tag_labels(six_photos, 5) == [tag]
    assert f"Added “{tag}” to 1 photo." in page_text(app)
    app = press(open_page("gallery", photo="5"), f"gallery-remove-5-{tag}")
    assert f"Not {tag}" in page_text(app)
    press(app, f"gallery-withdraw-5-{tag}")
    assert tag_labels(six_photos, 5) == []
    assert six_photos.photo(5).unknown


def test_an_invalid_tag_shows_an_error_message(six_photos: Library) -> None:
    app = open_page("gallery", photo="5")
    press(app, "gallery-add-5")
    assert "no tag was chosen: after typing one, press Enter, then Add" in page_text(app)
    type_option(app, "gallery-tag-5", "x" * 101)
    press(app, "gallery-add-5")
    assert "a tag is 1 to 100 characters" in page_text(app)


def test_deleting_a_photo_opens_the_next(six_photos: Library) -> None:
    app = use_grid(open_page("gallery", sort="name"), open=1)
    press(app, "gallery-delete-1")
    assert app.query_params["photo"] == "2"
    assert six_photos.count() == 5
    press(app, "gallery-undo")
    assert six_photos.count() == 6
    app = press(open_page("gallery", photo="4"), "gallery-delete-4")
    assert "photo" not in app.query_params
    assert len(grid_photos(app)) == 5


@pytest.mark.parametrize("loss", ["gone", "changed"])
def test_a_missing_or_changed_file_is_replaced_by_the_thumbnail(
    six_photos: Library, loss: str
) -> None:
    path = six_photos.photo(1).path
    if loss == "gone":
        path.unlink()
    else:
        path.write_bytes(six_photos.photo(2).path.read_bytes())
    app = open_page("gallery", photo="1")
    assert "Original missing: " in page_text(app)
    assert ("no such file" if loss == "gone" else "has changed since") in page_text(app)
    assert not [toggle for toggle in app.toggle if toggle.key == "gallery-heatmap"]


def test_a_switch_shows_the_heatmap_of_the_predictions_model(six_photos: Library) -> None:
    app = open_page("gallery", photo="1")
    app.toggle(key="gallery-heatmap").set_value(True).run()
    assert not app.exception
    assert "Bright areas counted most" in page_text(app)


def test_hostile_file_names_are_shown_as_text(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)> :red[x] $x$ =cmd().png"
    (folder / name).write_bytes(decode.encode(draw("disc", 1), "PNG"))
    import_folder(library, folder)
    for view in ("gallery", "search", "review"):
        app = open_page(view, photo="1")
        assert name in page_text(app)
        assert not [element for element in app.markdown if name in element.value]
