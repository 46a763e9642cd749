"""The Duplicates page: groups, what is kept of them, and Undo."""

from __future__ import annotations

import pytest

from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw_png
from tests.frontend.pages import (
    HOSTILE_NAMES,
    button_keys,
    button_labels,
    html_blocks,
    open_page,
    page_text,
    press,
    wait_for_jobs,
)
from tests.library.near_copies import mark_as_copies


def ids(library: Library) -> list[int]:
    return [photo.id for photo in library.photos(sort="oldest")]


def test_an_empty_library_says_so(library: Library) -> None:
    app = open_page("duplicates")
    assert "Your library is empty." in page_text(app)


def test_photos_are_compared_by_a_job(six_photos: Library) -> None:
    app = open_page("duplicates")
    assert "6 photos were not compared yet." in page_text(app)
    press(app, "duplicates-look")
    wait_for_jobs(six_photos)
    app.run()
    assert "not compared" not in page_text(app)
    text = page_text(app)
    assert "No duplicates among 6 photos." in text or "could be removed" in text


def test_copies_are_removed_and_come_back(six_photos: Library) -> None:
    mark_as_copies(six_photos, [1, 2], [3, 4, 5])
    six_photos.edit_tags([4], add=["Bello"])
    app = open_page("duplicates")
    assert "**2 groups** · 3 photos could be removed" in page_text(app)
    assert "Suggested: has your tags" in page_text(app)
    pictures = "".join(html_blocks(app))  # the browser fetches them, and keeps them
    for photo in six_photos.photos("id:1 OR id:5"):
        assert f'src="/library/thumbnails/{photo.sha256}.jpg"' in pictures
    assert "data:image" not in pictures and not app.get("imgs")
    (best, *_) = (key for key in button_keys(app) if key.startswith("duplicates-remove"))
    assert best == "duplicates-remove-4"  # the group with the latest photo first
    press(app, best)
    assert ids(six_photos) == [1, 2, 4, 6]
    assert "Removed 2 near copies from the library" in page_text(app)
    assert "**1 group** · 1 photo could" in page_text(app)
    press(app, "duplicates-last-undo")
    assert ids(six_photos) == [1, 2, 3, 4, 5, 6] and "2 groups" in page_text(app)


def test_several_photos_of_a_group_are_kept(six_photos: Library) -> None:
    mark_as_copies(six_photos, [1, 2, 3])
    app = open_page("duplicates")
    (key,) = (key for key in button_keys(app) if key.startswith("duplicates-remove"))
    best = int(key.rsplit("-", 1)[1])
    other, third = sorted({1, 2, 3} - {best})
    assert "Remove 2 photos" in button_labels(app)
    app.checkbox(key=f"duplicates-keep-{best}-{other}").check().run()
    assert "Remove 1 photo" in button_labels(app)
    press(app, key)
    assert third not in ids(six_photos) and "No duplicates among 5 photos." in page_text(app)
    press(app, "duplicates-last-undo")
    press(app, f"duplicates-different-{best}")
    assert "Kept 3 photos as different" in page_text(app) and len(ids(six_photos)) == 6
    assert "No duplicates" in page_text(app)


def test_all_groups_at_once(six_photos: Library) -> None:
    mark_as_copies(six_photos, [1, 2], [3, 4, 5])
    app = open_page("duplicates")
    assert "3 photos will leave the library." in page_text(app)
    press(app, "duplicates-all-go")
    assert len(ids(six_photos)) == 3
    assert "Removed 3 near copies from the library" in page_text(app)


def test_photos_are_compared_side_by_side(six_photos: Library) -> None:
    mark_as_copies(six_photos, [1, 2])
    six_photos.photo(2).path.unlink()
    app = open_page("duplicates")
    (key,) = (key for key in button_keys(app) if key.startswith("duplicates-compare"))
    press(app, key)
    assert "001.png" in page_text(app) and "002.png" in page_text(app)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_shown_as_text(library: Library, name: str) -> None:
    pets = Tagger.load("pets")
    added = [library.add_photo(name, draw_png(seed), pets).photo for seed in range(2)]
    mark_as_copies(library, [photo.id for photo in added])
    app = open_page("duplicates")
    assert len(app.checkbox) == 2 and not app.exception
