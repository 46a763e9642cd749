"""`image-tagger find`, as a person at a terminal runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import pytest

from tagger.cli.find import main
from tests.conftest import RunMain, draw_collection


class Find(Protocol):
    """The type of the fixture `find`."""

    def __call__(self, *arguments: object) -> tuple[int, list[str], list[str]]: ...


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn photos of each shape."""
    return draw_collection(tmp_path_factory.mktemp("find") / "photos", 12)


@pytest.fixture
def find(run_main: RunMain, worded: Path) -> Find:
    """Exit status, and lines of standard output and standard error, with the model `worded`."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        process = run_main(main, *arguments, "--model", worded)
        return process.returncode, process.stdout.splitlines(), process.stderr.splitlines()

    return run


def test_the_best_photos_are_listed_with_their_likeness(find: Find, photos: Path) -> None:
    status, lines, notes = find(photos, "a ball")
    assert status == 0 and len(lines) == 10
    scores, paths = zip(*(line.split(maxsplit=1) for line in lines), strict=True)
    assert list(scores) == sorted(scores, reverse=True)
    assert all(Path(path).parent == photos / "disc" for path in paths)
    assert notes[-1].endswith(" more look like it: --top 0 lists all")
    assert find(photos, "a", "ball", "--top", 3)[1] == lines[:3]


def test_all_that_look_like_it_can_be_listed(find: Find, photos: Path) -> None:
    status, lines, notes = find(photos, "zebra", "--top", 0)
    assert status == 0 and not notes
    assert 12 <= len(lines) < 24


def test_json_is_one_object_a_line(find: Find, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "disc.jpg").write_bytes((photos / "disc" / "000.jpg").read_bytes())
    status, lines, _ = find(tmp_path, "ball", "--json")
    assert status == 1
    disc, broken = map(json.loads, lines)
    assert disc["path"] == str(tmp_path / "disc.jpg") and disc["likeness"] > 0.5
    assert disc["error"] is None
    assert broken["path"] == str(tmp_path / "broken.jpg") and broken["likeness"] is None
    assert "broken.jpg: " in broken["error"]


def test_an_unreadable_photo_is_named_and_the_rest_compared(
    find: Find, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "disc.jpg").write_bytes((photos / "disc" / "000.jpg").read_bytes())
    status, lines, notes = find(tmp_path, "a purple ball")
    assert status == 1 and len(lines) == 1
    assert notes[0] == "words passed over: purple"
    assert notes[1].startswith(f"{tmp_path / 'broken.jpg'}: ")


def test_nothing_is_listed_that_does_not_look_like_it(find: Find, photos: Path) -> None:
    status, lines, notes = find(photos / "stripes", "ball")
    assert (status, lines) == (0, [])
    assert notes == ["none of 12 photos looks like that"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["purple"], "the model knows none of these words: purple"),
        ([""], "an empty description"),
        (["ball", "--top", "-1"], "--top -1: give 0"),
        (["ball", "--workers", "0"], "workers 0"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(
    find: Find, photos: Path, arguments: list[str], message: str
) -> None:
    status, lines, notes = find(photos, *arguments)
    assert (status, lines) == (2, [])
    assert message in notes[-1]


def test_a_folder_without_photos_and_a_model_without_words_are_refused(
    find: Find, run_main: RunMain, photos: Path, tmp_path: Path
) -> None:
    status, _, notes = find(tmp_path, "ball")
    assert status == 2 and "found 0 photos" in notes[-1]
    process = run_main(main, photos, "ball", "--model", "pets")
    assert process.returncode == 2
    assert process.stderr == "pets: this model does not understand descriptions\n"
