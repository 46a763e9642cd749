"""The pages Gallery, Search & export and Review: what is in the library, found and corrected."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Connection, insert
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from frontend.photos import exports
from tagger.images import decode
from tagger.jobs import worker
from tagger.library import export, operations, tags
from tagger.library.database.schema import models
from tagger.library.importer import register_model
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.tagger import Tagger
from tests.conftest import draw, import_folder

APP = ROOT / "frontend" / "app.py"
PAGE_SIZE = 48
QUERIES = {"gallery": "show", "search": "q"}  # what the address calls a search, by page
HOSTILE = (
    "<script>alert(1)</script>",
    "../../x",
    "=cmd()",
    "'; DROP TABLE photos;--",
    ":red[x]",
    "**bold** [a](http://b.example) $x$ :material/face:",
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """An empty library that cats and dogs are tagged in, which the app opens too."""
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    opened = Library.open()
    opened.set_active_model("pets")
    yield opened
    opened.close()
    st.cache_resource.clear()


@pytest.fixture
def six(library: Library, tmp_path: Path, pets: Tagger) -> Library:
    """Six photos, numbered from 1: two of dogs, two of cats, two that nobody knows."""
    fill(library, tmp_path / "photos", 6)
    dog, cat = {"dog": 0.9, "cat": 0.1}, {"cat": 0.8, "dog": 0.2}
    answer(library, pets, {1: dog, 2: dog, 3: cat, 4: cat})
    return library


def fill(library: Library, folder: Path, many: int) -> None:
    """Import drawn photos, which the bundled model does not know."""
    folder.mkdir()
    for seed in range(many):
        photo = decode.encode(draw("disc", seed, 64), "PNG")
        (folder / f"{seed + 1:03}.png").write_bytes(photo)
    import_folder(library, folder)


def answer(
    library: Library, tagger: Tagger | None, said: Mapping[int, Mapping[str, float]]
) -> None:
    """Let a model's answers be these: the likeliest label above one half.

    Without a tagger it is one that is gone, and that gave a photo all labels above one half.
    """
    answers = []
    for photo, scores in said.items():
        found = [[label, score, 0.5] for label, score in scores.items() if score > 0.5]
        kept = found[:1] if tagger else found
        answers.append(
            (
                photo,
                {
                    "label": kept[0][0] if kept else None,
                    "confidence": max(scores.values()),
                    "reason": None if kept else "uncertain",
                    "ood_score": 0.1,
                    "tags": kept,
                    "scores": [[label, score] for label, score in scores.items()],
                },
            )
        )
    with library.database.write_transaction() as connection:
        run = operations.create(connection, "retag", "Said for the test", total=len(answers))
        model = register_model(connection, tagger) if tagger else _lost_model(connection)
        tags.save_predictions(connection, run, model, answers)


def _lost_model(connection: Connection) -> int:
    lost = {"name": "other", "sha256": "0" * 64, "first_used_at": datetime.now(UTC)}
    return int(
        connection.execute(insert(models).values(**lost).returning(models.c.id)).scalar_one()
    )


def open_page(view: str, **address: str) -> AppTest:
    """A new visitor on a page, at an address."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page(f"views/{view}.py")
    app.query_params.update(address)
    app.run()
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    """Everything a page says, as a person reads it."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "error", "warning", "code")
    texts = [element.value for kind in kinds for element in app.get(kind)]
    texts += [element.proto.body for element in app.get("html")]
    return "\n".join(texts).replace("\\", "").replace("\u2060", "")


def press(app: AppTest, key: str) -> AppTest:
    """Click the button with this key."""
    app.get_by_key(key).click().run()  # type: ignore[attr-defined]
    assert not app.exception
    return app


def type_in(app: AppTest, key: str, text: str) -> None:
    """Type something new into the box with this key."""
    box = app.selectbox(key=key)
    box.options.append(text)
    box.set_value(text)


def keys(app: AppTest) -> list[str]:
    return [button.key for button in app.button if button.key]


def grid(app: AppTest, key: str = "gallery-grid") -> list[dict[str, Any]]:
    """The photos that a grid was given."""
    (found,) = (one for one in app.get("bidi_component") if one.key == key)
    photos: list[dict[str, Any]] = json.loads(found.proto.json)["photos"]
    return photos


def grid_is_gone(app: AppTest) -> bool:
    return not app.get("bidi_component")


def in_grid(
    app: AppTest, key: str = "gallery-grid", *, select: Sequence[int] = (), open: int | None = None
) -> AppTest:
    """Select photos in a grid, or open one, as the browser tells it."""
    (found,) = (one for one in app.get("bidi_component") if one.key == key)
    states = app._tree.get_widget_states()
    version = json.loads(found.proto.json)["version"]
    kept = WidgetState(id=found.proto.id)
    kept.json_value = json.dumps({"selected": {"version": version, "ids": list(select)}})
    states.widgets.append(kept)
    if open is not None:
        event = WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{found.proto.id}__events")
        event.json_trigger_value = json.dumps([{"event": "opened", "value": open}])
        states.widgets.append(event)
    app._run(states)
    assert not app.exception
    return app


def labels(library: Library, photo: int) -> list[str]:
    return [tag.label for tag in library.photo(photo).tags]


# Gallery: the grid


@pytest.mark.parametrize("view", ["gallery", "search", "review"])
def test_an_empty_library_says_what_to_do(library: Library, view: str) -> None:
    app = open_page(view)
    assert "your library is empty" in text(app).lower()
    assert [link.proto.page for link in app.get("page_link")] == ["import_photos"]


def test_the_samples_are_one_click_away(library: Library) -> None:
    press(open_page("gallery"), "gallery-samples")
    (run,) = library.operations()
    worker.run(library, run.id)
    assert library.operation(run.id).total == 4


def test_the_gallery_shows_what_is_there(six: Library) -> None:
    app = open_page("gallery", sort="name")
    assert [photo["tag"] for photo in grid(app)] == ["dog", "dog", "cat", "cat", *["unknown"] * 2]
    show, order = app.main.selectbox
    assert show.options[:3] == ["All photos · 6", "Unknown · 2", "Untagged · 2"]
    assert sorted(show.options[3:]) == ["cat · 2", "dog · 2"]
    assert order.value == "name"


def test_photos_are_chosen_by_tag_and_the_address_says_so(six: Library) -> None:
    app = open_page("gallery", sort="name")
    app.main.selectbox[0].set_value("cat").run()
    assert [photo["id"] for photo in grid(app)] == [3, 4]
    assert app.query_params == {"sort": "name", "show": "cat"}
    app = open_page("gallery", show="cat")
    six.edit_tags([3], remove=["cat"])
    app.run()  # its words changed with the count
    assert [photo["id"] for photo in grid(app)] == [4]
    assert "cat · 1" in app.main.selectbox[0].options


def test_the_last_photo_of_a_tag_may_go(six: Library) -> None:
    app = open_page("gallery", show="unknown")
    six.edit_tags([5, 6], add=["sun"])
    app.run()
    assert "No photo is like that" in text(app)
    assert len(grid(press(app, "gallery-all"))) == 6


def test_an_order_is_an_order(six: Library) -> None:
    app = open_page("gallery")
    orders = {}
    for order in app.main.selectbox[1].options:
        app.main.selectbox[1].select(order).run()
        orders[order] = [photo["id"] for photo in grid(app)]
    assert orders["By name"] == [1, 2, 3, 4, 5, 6]
    assert orders["Newest first"] == list(reversed(orders["Oldest first"]))
    assert orders["Most doubtful first"][:4] == [4, 3, 2, 1]


@pytest.mark.parametrize("nonsense", ["", "0", "-1", "99", "x", "9" * 400, "١"])
def test_whatever_the_address_says(six: Library, nonsense: str) -> None:
    app = open_page("gallery", show=nonsense, sort=nonsense, page=nonsense)
    assert len(grid(app)) == 6
    app = open_page("gallery", photo=nonsense, at=nonsense, show=nonsense, sort=nonsense)
    if nonsense:
        assert "the library has none of that number" in text(app)
    assert len(grid(press(app, "gallery-back"))) == 6


def test_pages_of_48(library: Library, tmp_path: Path) -> None:
    fill(library, tmp_path / "photos", PAGE_SIZE + 3)
    app = open_page("gallery", sort="name")
    assert len(grid(app)) == PAGE_SIZE
    app.pagination[0].set_value(2).run()
    assert [photo["id"] for photo in grid(app)] == [49, 50, 51]
    assert app.query_params["page"] == "2"
    app.main.selectbox[1].set_value("oldest").run()
    assert len(grid(app)) == PAGE_SIZE, "another order begins on its first page"
    assert app.pagination[0].value == 1
    app = in_grid(open_page("gallery", sort="name", page="2"), open=50)
    assert app.query_params == {"sort": "name", "page": "2", "photo": "50", "at": "49"}
    press(press(press(app, "gallery-previous"), "gallery-previous"), "gallery-previous")
    assert app.query_params["photo"] == "47"
    press(app, "gallery-back")
    assert app.query_params == {"sort": "name"}, "back to the page where it is"


# Gallery: many at once


@pytest.mark.parametrize("place", ["gallery", "search"])
def test_tags_are_added_to_many_and_taken_back(six: Library, place: str) -> None:
    app = in_grid(open_page(place), f"{place}-grid", select=[1, 5])
    app.multiselect(key=f"{place}-add-labels").set_value(["dog", "sea"])
    press(app, f"{place}-add-go")
    assert labels(six, 1) == labels(six, 5) == ["dog", "sea"]
    assert all(tag.by_person for tag in six.photo(5).tags)
    assert "Added “dog” and “sea” to 2 photos." in text(app)
    assert f"{place}-delete" not in keys(app), "nothing is selected any more"
    press(app, f"{place}-undo")
    assert (labels(six, 1), labels(six, 5)) == (["dog"], [])
    assert "Undone: Added" in text(app)
    press(app, f"{place}-undo")
    assert labels(six, 5) == ["dog", "sea"]
    press(app, f"{place}-dismiss")
    assert "Added" not in text(app)


def test_tags_are_removed_from_those_that_have_them(six: Library) -> None:
    app = in_grid(open_page("gallery"), select=[1, 3, 5])
    box = app.multiselect(key="gallery-remove-labels")
    assert box.options == ["cat", "dog"]
    box.set_value(["dog"])
    press(app, "gallery-remove-go")
    assert [labels(six, photo) for photo in (1, 2, 3)] == [[], ["dog"], ["cat"]]
    assert not six.photo(5).reviewed, "nobody said anything of it"
    press(app, "gallery-undo")
    assert labels(six, 1) == ["dog"]


def test_tags_are_confirmed(six: Library) -> None:
    app = press(in_grid(open_page("gallery"), select=[1, 3, 5]), "gallery-confirm")
    assert [six.photo(photo).reviewed for photo in (1, 2, 3, 5)] == [True, False, True, False]
    assert "Confirmed" in text(app)
    assert "on 2 photos" in text(app)
    press(app, "gallery-undo")
    assert six.count("reviewed") == 0
    app = press(in_grid(open_page("gallery"), select=[6]), "gallery-confirm")
    assert "no tag to confirm" in text(app)


@pytest.mark.parametrize("place", ["gallery", "search"])
def test_photos_are_deleted_and_brought_back(six: Library, place: str, tmp_path: Path) -> None:
    app = press(in_grid(open_page(place), f"{place}-grid", select=[1, 2]), f"{place}-delete")
    assert six.count() == 4
    assert "Deleted 2 photos from the library" in text(app)
    assert len(grid(app, f"{place}-grid")) == 4
    press(app, f"{place}-undo")
    assert labels(six, 1) == ["dog"]
    assert len(grid(app, f"{place}-grid")) == 6
    assert len(list((tmp_path / "photos").iterdir())) == 6


@pytest.mark.parametrize("place", ["gallery", "search"])
def test_all_found_on_every_page_can_be_edited(
    library: Library, place: str, tmp_path: Path
) -> None:
    many = PAGE_SIZE + 3
    fill(library, tmp_path / "photos", many)
    app = in_grid(
        open_page(place, **{QUERIES[place]: "unknown"}), f"{place}-grid", select=range(4, many + 1)
    )
    assert f"**{PAGE_SIZE} photos**" in text(app)
    app.checkbox(key=f"{place}-everything").check()
    app.multiselect(key=f"{place}-add-labels").set_value(["sea"])
    press(app, f"{place}-add-go")
    assert library.count("sea by:person") == many
    assert grid_is_gone(app)
    press(app, f"{place}-undo")
    assert library.count("unknown") == many


def test_photos_are_tagged_again_with_another_model(six: Library) -> None:
    answer(six, None, {1: {"x": 0.9}, 2: {"x": 0.9}})
    six.edit_tags([1], add=["mine"])
    app = press(in_grid(open_page("gallery"), select=[1, 2]), "gallery-retag-go")
    (retag,) = six.operations(limit=1)
    assert (retag.kind, retag.total) == ("retag", 2)
    assert "Tag 2 photos again with pets" in text(app)
    worker.run(six, retag.id)  # in case its process is not there yet
    while six.operation(retag.id).active:
        pass
    assert labels(six, 1) == ["mine"]
    assert six.photo(2).unknown


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags_are_text_everywhere(six: Library, tag: str) -> None:
    app = in_grid(open_page("gallery"), select=[1])
    app.multiselect(key="gallery-add-labels").set_value([tag])
    press(app, "gallery-add-go")
    assert labels(six, 1)[0] == tag
    assert six.count() == 6
    assert f"Added “{tag}” to 1 photo." in text(app)
    shown = next(o for o in app.main.selectbox[0].options if o == f"{tag} · 1")
    app.main.selectbox[0].select(shown).run()
    assert [photo["tag"] for photo in grid(app)] == [tag]
    app = open_page("gallery", photo="1")
    assert tag in text(app)
    raw = "\n".join(element.value for element in app.markdown)
    assert tag not in raw, "it is escaped"


def test_a_bad_tag_is_a_sentence(six: Library) -> None:
    for bad in ("", " ", "a" * 101, "a\u202eb"):
        app = in_grid(open_page("gallery"), select=[1])
        app.multiselect(key="gallery-add-labels").set_value([bad])
        press(app, "gallery-add-go")
        assert "a tag is 1 to 100 characters" in text(app)
    app = press(in_grid(open_page("gallery"), select=[1]), "gallery-add-go")
    assert "no tags to add or remove" in text(app)
    assert not six.photo(1).reviewed


# One photo, large


def test_a_photo_tells_all_about_itself(six: Library) -> None:
    app = in_grid(open_page("gallery", sort="name"), open=1)
    assert app.query_params == {"sort": "name", "photo": "1", "at": "0"}
    said = text(app)
    assert app.subheader[0].value == "001\\.png"
    assert "64 × 64 pixels" in said
    assert str(six.photo(1).path) in said
    assert "pets was 90.0% sure, and it needs 50.0%" in said
    assert "by “Said for the test”" in said
    assert "dog" in said and "90.0%" in said and "10.0%" in said
    assert len(grid(app, "gallery-nearest")) == 5
    assert app.get("image") or app.get("imgs")


def test_an_unknown_photo_says_why(six: Library, pets: Tagger) -> None:
    answer(six, pets, {6: {"dog": 0.45, "cat": 0.4}})
    app = open_page("gallery", photo="6")
    assert "not sure enough of any label; dog comes nearest, 45.0%" in text(app)
    assert "unlike every photo that pets was taught with" in text(open_page("gallery", photo="5"))


def test_before_and_after(six: Library) -> None:
    app = in_grid(open_page("gallery", sort="name", show="dog"), open=2)
    assert app.get_by_key("gallery-next").disabled
    press(app, "gallery-previous")
    assert app.query_params["photo"] == "1"
    assert app.get_by_key("gallery-previous").disabled
    press(app, "gallery-remove-1-dog")
    assert "Removed “dog” from 1 photo." in text(app)
    press(app, "gallery-next")
    assert app.query_params["photo"] == "2", "though the first is no longer among the dogs"
    press(app, "gallery-back")
    assert [photo["id"] for photo in grid(app)] == [2]


def test_a_photo_without_a_place_has_no_neighbours(six: Library) -> None:
    assert "gallery-next" not in keys(open_page("gallery", photo="3"))


def test_tags_are_confirmed_removed_and_taken_back(six: Library) -> None:
    app = press(open_page("gallery", photo="1"), "gallery-confirm-1-dog")
    assert six.photo(1).tags[0].by_person
    assert "You said so" in text(app)
    press(app, "gallery-remove-1-dog")
    assert labels(six, 1) == []
    assert "Not dog" in text(app)
    press(app, "gallery-withdraw-1-dog")
    assert labels(six, 1) == ["dog"]
    assert not six.photo(1).reviewed
    press(app, "gallery-undo")
    assert labels(six, 1) == []


@pytest.mark.parametrize("tag", HOSTILE)
def test_any_text_can_be_a_tag_and_stays_text(six: Library, tag: str) -> None:
    app = open_page("gallery", photo="5")
    type_in(app, "gallery-tag-5", tag)
    press(app, "gallery-add-5")
    assert labels(six, 5) == [tag]
    assert f"Added “{tag}” to 1 photo." in text(app)
    app = press(open_page("gallery", photo="5"), f"gallery-remove-5-{tag}")
    assert f"Not {tag}" in text(app)
    press(app, f"gallery-withdraw-5-{tag}")
    assert labels(six, 5) == []
    assert six.photo(5).unknown


def test_a_tag_that_cannot_be_is_a_sentence(six: Library) -> None:
    app = open_page("gallery", photo="5")
    press(app, "gallery-add-5")
    assert "no tag was chosen: after typing one, press Enter, then Add" in text(app)
    type_in(app, "gallery-tag-5", "x" * 101)
    press(app, "gallery-add-5")
    assert "a tag is 1 to 100 characters" in text(app)


def test_a_deleted_photo_gives_way_to_the_next(six: Library) -> None:
    app = in_grid(open_page("gallery", sort="name"), open=1)
    press(app, "gallery-delete-1")
    assert app.query_params["photo"] == "2"
    assert six.count() == 5
    press(app, "gallery-undo")
    assert six.count() == 6
    app = press(open_page("gallery", photo="4"), "gallery-delete-4")
    assert "photo" not in app.query_params
    assert len(grid(app)) == 5


@pytest.mark.parametrize("loss", ["gone", "changed"])
def test_a_photo_whose_file_is_lost_shows_its_thumbnail(six: Library, loss: str) -> None:
    path = six.photo(1).path
    if loss == "gone":
        path.unlink()
    else:
        path.write_bytes(six.photo(2).path.read_bytes())
    app = open_page("gallery", photo="1")
    assert "Only its thumbnail is left" in text(app)
    assert ("no such file" if loss == "gone" else "has changed since") in text(app)
    assert not [toggle for toggle in app.toggle if toggle.key == "gallery-heatmap"]


def test_the_heatmap_is_that_of_the_model_that_said_it(six: Library) -> None:
    app = open_page("gallery", photo="1")
    app.toggle(key="gallery-heatmap").set_value(True).run()
    assert not app.exception
    assert "The brighter, the more it counted" in text(app)


def test_names_are_text(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)> :red[x] $x$ =cmd().png"
    (folder / name).write_bytes(decode.encode(draw("disc", 1), "PNG"))
    import_folder(library, folder)
    for view in ("gallery", "search", "review"):
        app = open_page(view, photo="1")
        assert name in text(app)
        assert not [one for one in app.markdown if name in one.value]


# Review


def test_the_most_doubtful_comes_first_and_is_answered(six: Library) -> None:
    app = open_page("review")
    assert "**6 photos** left" in text(app)
    assert "pets says “cat”. Is it?" in text(app)
    press(app, "review-4-1")
    assert (labels(six, 4), six.photo(4).reviewed) == (["cat"], True)
    assert "004.png: “cat”." in text(app)
    assert "**5 photos** left" in text(app)
    press(app, "review-3-2")
    assert labels(six, 3) == ["dog"]
    assert {v.label: v.present for v in six.annotations(3)} == {"cat": False, "dog": True}
    press(app, "review-2-none")
    assert labels(six, 2) == []
    assert {v.label: v.present for v in six.annotations(2)} == {"cat": False, "dog": False}
    type_in(app, "review-other-1", "wolf")
    app.run()
    assert labels(six, 1) == ["wolf"]
    assert "**2 photos** left" in text(app)


def test_answers_are_undone_one_after_the_other(six: Library) -> None:
    app = press(press(open_page("review"), "review-4-2"), "review-3-2")
    press(app, "review-undo")
    assert (labels(six, 4), labels(six, 3)) == (["dog"], ["cat"])
    press(app, "review-undo")
    assert labels(six, 4) == ["cat"]
    assert six.count("reviewed") == 0
    assert "review-4-1" in keys(app)
    assert "review-undo" not in keys(app)


def test_skipped_photos_come_last(six: Library) -> None:
    app = open_page("review")
    for photo in (4, 3, 2, 1):
        press(app, f"review-{photo}-skip")
    left = {key.split("-")[1] for key in keys(app) if key.endswith("-skip")}
    assert left <= {"5", "6"}
    six.edit_tags([5, 6], add=["sun"])
    app.run()
    assert "Only those are left that you skipped: 4 photos." in text(app)
    press(app, "review-again")
    assert "review-4-skip" in keys(app)


def test_every_key_is_its_own(six: Library) -> None:
    app = press(open_page("review"), "review-4-1")
    shortcuts = [button.proto.shortcut for button in app.button if button.proto.shortcut]
    assert sorted(shortcuts) == sorted(set(shortcuts))
    assert {"1", "2", "n", "s", "u"} <= set(shortcuts)


def test_a_photo_may_have_several_tags(six: Library) -> None:
    scores = {"dog": 0.9, "cat": 0.8, "sofa": 0.3}
    answer(six, None, {1: scores})
    six.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = open_page("review")
    press(app, "review-1-2")  # no cat
    press(app, "review-1-3")  # but a sofa
    assert not six.photo(1).reviewed, "nothing is said before yes is"
    press(app, "review-1-yes")
    assert sorted(labels(six, 1)) == ["dog", "sofa"]
    assert {v.label: v.present for v in six.annotations(1)} == {
        "dog": True,
        "sofa": True,
        "cat": False,
    }


def test_none_of_several_tags(six: Library) -> None:
    answer(six, None, {1: {"dog": 0.9, "cat": 0.8}})
    six.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = press(press(open_page("review"), "review-1-1"), "review-1-2")
    press(app, "review-1-yes")
    assert labels(six, 1) == []
    assert {v.label: v.present for v in six.annotations(1)} == {"cat": False, "dog": False}


def test_a_photo_answered_twice_is_answered_once(six: Library) -> None:
    app = open_page("review")
    six.edit_tags([4], add=["cat"])  # in another tab
    runs = len(six.operations())
    press(app, "review-4-2")
    assert labels(six, 4) == ["cat"]
    assert len(six.operations()) == runs


@pytest.mark.parametrize("tag", HOSTILE)
def test_any_text_can_be_an_answer(six: Library, tag: str) -> None:
    app = open_page("review")
    type_in(app, "review-other-4", tag)
    app.run()
    assert labels(six, 4) == [tag]
    assert f"004.png: “{tag}”." in text(app)


def test_an_answer_that_cannot_be_is_a_sentence(six: Library) -> None:
    app = open_page("review")
    type_in(app, "review-other-4", "x" * 101)
    app.run()
    assert "a tag is 1 to 100 characters" in text(app)
    assert not six.photo(4).reviewed


def test_when_all_is_done_it_says_so(six: Library) -> None:
    six.edit_tags(range(1, 7), add=["sun"])
    app = open_page("review")
    assert "You have looked at every photo" in text(app)


# Search


def test_a_search_finds_and_counts(six: Library) -> None:
    app = open_page("search")
    assert "**6 photos** found" in text(app)
    box = app.text_input[0]
    box.set_value("cat OR name:006").run()
    assert "**3 photos** found" in text(app)
    assert app.query_params == {"q": "cat OR name:006"}
    assert sorted(photo["id"] for photo in grid(app, "search-grid")) == [3, 4, 6]
    app.text_input[0].set_value("sofa").run()
    assert "**0 photos** found" in text(app)
    assert "Nothing is like that" in text(app)


def test_the_examples_are_of_this_library_and_can_be_clicked(six: Library) -> None:
    six.edit_tags([1], add=["golden retriever"])
    six.edit_tags([1, 2, 3], add=["golden retriever"])
    app = open_page("search")
    examples = [key.removeprefix("search-example-") for key in keys(app) if "example" in key]
    assert '"golden retriever" AND NOT cat' in examples
    for example in examples:
        press(app, f"search-example-{example}")
        assert app.text_input[0].value == example
        assert not app.error
        assert six.count(example) == 0 or grid(app, "search-grid")


def test_an_error_points_at_the_place(six: Library) -> None:
    app = open_page("search", q="dog AND (cat")
    assert "this ( is never closed" in text(app)
    (pointed,) = app.code
    assert pointed.value == "dog AND (cat\n        ^"
    assert pointed.language in ("plaintext", "", None)
    assert not app.get("bidi_component")
    app.text_input[0].set_value("dog").run()
    assert "**2 photos** found" in text(app)


def test_a_tag_that_no_photo_has_is_corrected_with_a_click(six: Library) -> None:
    six.edit_tags([5], add=[HOSTILE[5]])
    app = open_page("search", q="dgo AND name:001")
    assert "No photo has the tag “dgo”. Did you mean" in text(app)
    press(app, "search-meant-dgo-dog")
    assert app.text_input[0].value == "dog AND name:001"
    assert "**1 photo** found" in text(app)
    assert "Did you mean" not in text(app)
    app = open_page("search", q=f'"{HOSTILE[5][:-1]}"')
    (offered,) = (button for button in app.button if "search-meant" in (button.key or ""))
    assert "**bold**" not in offered.label
    press(app, str(offered.key))
    assert "**1 photo** found" in text(app)


@pytest.mark.parametrize("query", [*HOSTILE, "tag:" * 50, "((((", "\u202e", "x" * 1001])
def test_hostile_searches_are_answered(six: Library, query: str) -> None:
    app = open_page("search", q=query)
    assert bool(app.error) != bool("found" in text(app))
    raw = "\n".join(element.value for element in app.markdown)
    assert query not in raw
    assert six.count() == 6


def test_results_are_a_table_of_text(six: Library) -> None:
    six.edit_tags([1], add=["=cmd()", "<b>x</b>"])
    app = open_page("search", sort="name", **{"as": "Table"})
    (table,) = app.dataframe
    rows = table.value
    assert list(rows["Photo"]) == [f"00{number}.png" for number in range(1, 7)]
    assert rows["Tags"][0] == "<b>x</b>, =cmd(), dog"
    assert rows["Tags"][5] == "unknown"
    assert rows["Sure"][0] == pytest.approx(0.9)
    app.main.segmented_control[0].set_value("Grid").run()
    assert app.query_params == {"sort": "name"}


def test_a_photo_found_is_opened_and_left_again(six: Library) -> None:
    app = in_grid(open_page("search", q="dog OR cat", sort="name"), "search-grid", open=2)
    assert app.query_params == {"q": "dog OR cat", "sort": "name", "photo": "2", "at": "1"}
    press(app, "search-next")
    assert app.query_params["photo"] == "3"
    press(app, "search-back")
    assert app.text_input[0].value == "dog OR cat"
    assert len(grid(app, "search-grid")) == 4


# What leaves the library


def test_tables_are_made_when_they_are_asked_for(six: Library) -> None:
    app = open_page("search", q="dog")
    buttons = {button.label: button for button in app.get("download_button")}
    assert {"CSV", "JSON Lines"} <= set(buttons)
    assert all(button.proto.deferred_file_id for button in buttons.values())
    six.edit_tags([1], add=["=cmd()"])
    rows = exports.table_download(six, "dog", export.write_csv)().decode().splitlines()
    assert rows[0].startswith("ID,Name,Timestamp,Label 1,")
    assert [row.split(",")[0] for row in rows[1:]] == ["2", "1"]
    assert "'=cmd()" in rows[2]
    lines = exports.table_download(six, "dog", export.write_json_lines)().decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [2, 1]


def test_a_zip_is_prepared_and_says_what_was_left_out(six: Library) -> None:
    six.photo(1).path.unlink()
    app = press(open_page("search"), "leaving-zip")
    assert "3 photos in the ZIP" in text(app)
    assert "3 photos left out: 2 without a tag, 1 that cannot be read" in [
        expander.label for expander in app.expander
    ]
    assert "001.png: " in text(app)
    (made,) = (six.home / "exports").glob("*.zip")
    with zipfile.ZipFile(made) as archive:
        inside = sorted(archive.namelist())
    assert inside == ["cat/3-003.png", "cat/4-004.png", "dog/2-002.png", "labels.csv"]
    (button,) = (b for b in app.get("download_button") if b.key == "leaving-photos.zip")
    assert button.proto.deferred_file_id
    app.text_input[0].set_value("dog").run()
    assert "leaving-photos.zip" not in [b.key for b in app.get("download_button")]


def test_old_zips_are_cleared_away(six: Library) -> None:
    press(open_page("search"), "leaving-zip")
    (old,) = (six.home / "exports").glob("*.zip")
    os.utime(old, (0, 0))
    press(open_page("search"), "leaving-zip")
    assert not old.exists()
    assert len(list((six.home / "exports").iterdir())) == 1


def test_what_is_found_becomes_a_collection(six: Library, tmp_path: Path) -> None:
    app = open_page("search", q="dog OR cat")
    folder = tmp_path / "out" / "mine"
    app.text_input(key="search-collection-folder").set_value(str(folder))
    press(app, "search-collection-write")
    assert "4 photos written to" in text(app)
    assert str(folder) in [code.value for code in app.code]
    assert "train" in [link.proto.page for link in app.get("page_link")]
    assert {path.name for path in folder.iterdir()} == {"cat", "dog", "labels.csv"}


@pytest.mark.parametrize("folder", ["mine", "../../x", "'; DROP TABLE photos;--", "{home}"])
def test_a_collection_needs_a_folder_of_its_own(six: Library, folder: str) -> None:
    before = sorted(six.home.rglob("*"))
    app = open_page("search", q="dog")
    app.text_input(key="search-collection-folder").set_value(folder.format(home=six.home))
    press(app, "search-collection-write")
    told = text(app)
    assert ("give the whole path" in told) != ("holds something; name a new folder" in told)
    assert sorted(six.home.rglob("*")) == before


def test_what_was_corrected_becomes_a_collection(six: Library, tmp_path: Path) -> None:
    app = open_page("review")
    assert not app.text_input
    press(press(press(app, "review-4-1"), "review-3-2"), "review-2-none")
    assert "You have looked at 3 photos" in text(app)
    press(app, "review-collection-write")
    assert "2 photos written to" in text(app)
    assert "1 photo left out: 1 without a tag" in [expander.label for expander in app.expander]
    (folder,) = (six.home / "exports").iterdir()
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert written == {"cat/4-004.png", "dog/3-003.png"}
