"""The Tag page: upload, camera, samples, predictions, adding to the library."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tagger.images import decode
from tagger.library.library import Library
from tests.conftest import draw
from tests.frontend.conftest import MakeModel
from tests.frontend.pages import (
    HOSTILE_NAMES,
    grid_data,
    open_page,
    page_text,
    press,
    raw_text,
    report_trigger,
    tag_labels,
    unescape,
    upload,
)


def photo(seed: int = 0, format: str = "PNG") -> bytes:
    """A drawn photo that is no cat and no dog."""
    return decode.encode(draw("disc", seed), format)


def test_a_sample_photo_is_tagged_with_one_click(library: Library) -> None:
    app = open_page()
    assert [button.label for button in app.button] == ["Cat", "Astronaut", "Coffee", "Rocket"]
    app.button(key="tag-try-cat.png").click().run()
    assert '<p class="it-label" dir="auto">cat</p>' in raw_text(app)
    (chip,) = grid_data(app, "tag-chips")["tags"]
    assert chip["label"] == "cat" and chip["score"].endswith("%")


def test_a_photo_unlike_the_training_photos_is_unknown(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    assert "Unknown" in raw_text(app)
    assert "Doesn’t look like anything Pets was trained on. Closest: " in raw_text(app)
    assert "Add to library" in [button.label for button in app.button]


def test_a_photo_between_two_labels_is_unknown(library: Library, make_model: MakeModel) -> None:
    library.use_model(str(make_model("strict", "single", 1.0)))
    app = upload(open_page(), ("disc.png", photo()))
    assert "Unknown" in raw_text(app)
    assert "Can’t decide between" in raw_text(app)


def test_a_multi_label_model_shows_all_tags_or_none(
    library: Library, make_model: MakeModel
) -> None:
    library.use_model(str(make_model("all", "multi", 0.0)))
    text = raw_text(upload(open_page(), ("a.png", photo())))
    assert ">cat, dog<" in text or ">dog, cat<" in text
    library.use_model(str(make_model("none", "multi", 1.0)))
    assert "Not sure enough to tag." in raw_text(upload(open_page(), ("a.png", photo())))


def act(app: AppTest, kind: str, number: int = 1, **values: object) -> AppTest:
    """What a person does with the chips of a photo."""
    action = {"number": number, "kind": kind, **values}
    return report_trigger(app, "tag-chips", "actions", {"token": "a", "actions": [action]})


def chips(app: AppTest, kind: str = "tags") -> list[str]:
    return [chip["label"] for chip in grid_data(app, "tag-chips")[kind]]


def test_a_tag_shows_its_heatmap(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    before = app.image[0].proto.imgs[0].url
    act(app, "explain", label="dog")
    assert not app.error
    assert app.image[0].proto.imgs[0].url != before
    assert grid_data(app, "tag-chips")["explained"] == "dog"
    act(app, "explain", 2, label=None)
    assert app.image[0].proto.imgs[0].url == before


def test_tags_are_chips_and_an_answer_keeps_the_photo(library: Library) -> None:
    app = press(open_page(), "tag-try-cat.png")
    assert (chips(app), chips(app, "weaker")) == (["cat"], ["dog"])
    assert library.count() == 0
    act(app, "tag", add=["Chelsea"])
    assert tag_labels(library, 1) == ["Chelsea", "cat"]
    assert chips(app) == ["Chelsea", "cat"]
    assert "Added to your library." in raw_text(app)
    assert "Added Chelsea" in page_text(app)
    act(app, "tag", 2, remove=["cat"])
    assert (chips(app), chips(app, "removed")) == (["Chelsea"], ["cat"])
    press(app, "tag-last-undo")
    assert tag_labels(library, 1) == ["Chelsea", "cat"]


def test_an_unknown_photo_is_asked_about(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    assert grid_data(app, "tag-chips")["unknown"] == "What is it?"
    act(app, "tag", add=["a" * 101])
    assert "a tag is 1 to 100 characters" in page_text(app)
    act(app, "tag", 2, add=["disc"])
    assert tag_labels(library, 1) == ["disc"]


@pytest.mark.parametrize("format", ["TIFF", "AVIF", "BMP"])
def test_formats_unknown_to_browsers_are_converted(library: Library, format: str) -> None:
    app = upload(open_page(), (f"disc.{format.lower()}", photo(format=format)))
    assert not app.error
    assert app.image[0].proto.imgs[0].url.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("data", [b"", b"no photo", photo()[:200]])
def test_a_broken_photo_shows_an_error_message(library: Library, data: bytes) -> None:
    app = upload(open_page(), ("broken.png", data))
    assert not app.exception
    assert unescape(app.error[0].value).startswith("broken.png can’t be opened: ")
    assert library.count() == 0


def test_a_photo_is_added_only_once(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    app.button(key="tag-add").click().run()
    assert "Added to your library." in raw_text(app)
    assert library.count() == 1
    again = upload(open_page(), ("the same.png", photo()))
    assert "Already in your library." in raw_text(again)
    assert not [button for button in again.button if button.key == "tag-add"]
    near = upload(open_page(), ("another.png", photo(1)))
    assert "Similar photos in your library" in raw_text(near)


def test_a_photo_in_the_library_is_recognised_with_another_model_too(
    library: Library, make_model: MakeModel
) -> None:
    upload(open_page(), ("disc.png", photo())).button(key="tag-add").click().run()
    library.use_model(str(make_model("other", "single", 0.5)))
    app = upload(open_page(), ("disc.png", photo()))
    assert "Already in your library." in raw_text(app)
    assert "tag-add" not in [button.key for button in app.button]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_file_names_are_shown_as_text(library: Library, name: str) -> None:
    app = upload(open_page(), (f"{name}.png", photo()))
    app.button(key="tag-add").click().run()
    assert not app.exception
    assert library.count() == 1
    for view in ("import_photos", "activity"):
        text = raw_text(open_page(view))
        assert "<script" not in text
        for syntax in (":red[", "](http", "$x", ":material/face", "www.b", "a@b"):
            assert syntax not in text
    assert sorted(p.name for p in library.home.parent.iterdir()) == ["library"]


def test_the_camera_is_drawn_only_when_selected(library: Library) -> None:
    app = open_page()
    assert not app.get("camera_input")
    app.get("button_group")[0].set_value("Camera").run()
    app.get("camera_input")[0].set_value(("camera.jpg", photo(format="JPEG"), "image/jpeg")).run()
    assert not app.exception
    assert "Unknown" in raw_text(app)


def test_all_models_in_use_tag_a_photo_under_the_names_it_will_have(
    library: Library, make_model: MakeModel
) -> None:
    other = make_model("other", "multi", 0.0)
    library.add_model(str(other))
    library.tags.rename("cat", "Chelsea")
    app = upload(open_page(), ("disc.png", photo()))
    assert chips(app) == ["dog", "Chelsea"] or chips(app) == ["Chelsea", "dog"]
    origins = [chip["origin"] for chip in grid_data(app, "tag-chips")["tags"]]
    assert all(origin.startswith("other ") for origin in origins), "Pets is not sure"
    act(app, "explain", label="Chelsea")
    assert not app.error and "Bright areas counted most." in page_text(app)
    press(app, "tag-add")
    assert set(tag_labels(library, 1)) == {"Chelsea", "dog"}
    assert [each.model for each in library.predictions(1)] == ["pets", "other"]
    library.tags.hide("dog")
    library.tags.forbid("cat")
    assert "The tags that models give it are hidden" in raw_text(
        upload(open_page(), ("another.png", photo(1)))
    )
