"""`image-tagger find`, as a person at a terminal runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import pytest

from tagger.cli.find import Hit, describe, format_line, main
from tagger.errors import DescriptionError
from tagger.images import decode
from tagger.inference.named_tags import NamedTags, TagTerm
from tagger.tagger import Tagger
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
    scores, reasons = zip(*(line.split(maxsplit=1) for line in lines), strict=True)
    assert list(scores) == sorted(scores, reverse=True)
    paths, why = zip(*(reason.split(": ") for reason in reasons), strict=True)
    assert all(Path(path).parent == photos / "disc" for path in paths)
    assert set(why) == {"by description"}
    assert notes[0] == "by description alone: no tag for ball"
    assert notes[-1].endswith(" more: --top 0 lists all")
    assert find(photos, "a", "ball", "--top", 3)[1] == lines[:3]


def test_all_that_look_like_it_can_be_listed(find: Find, photos: Path) -> None:
    status, lines, notes = find(photos, "zebra", "--top", 0)
    assert status == 0 and notes == ["by description alone: no tag for zebra"]
    assert 12 <= len(lines) < 24


def tagged_photos(photos: Path, tagger: Tagger, *tags: str) -> set[str]:
    """The photos that a model gives one of these tags."""
    paths = list(decode.find_photos(photos))
    predictions = [tagger.tag(path) for path in paths]
    return {
        str(path)
        for path, prediction in zip(paths, predictions, strict=True)
        if any(tag.label in tags for tag in prediction.tags)
    }


def test_photos_with_the_tags_come_first(find: Find, photos: Path, worded: Path) -> None:
    tagger = Tagger.load(worded)
    assert tagger.words is not None
    status, lines, notes = find(photos, "a", "disc", "--top", 0, "--json")
    assert (status, notes) == (0, [])
    hits = [json.loads(line) for line in lines]
    tagged = [hit for hit in hits if hit["tags"]]
    by_description = hits[len(tagged) :]
    assert {hit["path"] for hit in tagged} == tagged_photos(photos, tagger, "disc") != set()
    assert all(hit["tags"] == ["disc"] for hit in tagged)
    assert all(not h["tags"] and h["likeness"] >= tagger.words.floor for h in by_description)
    for group in (tagged, by_description):
        likeness = [hit["likeness"] for hit in group]
        assert likeness == sorted(likeness, reverse=True)
    first = find(photos, "disc", "--top", 1)[1]
    assert first == [f"{tagged[0]['likeness']:5.2f}  {tagged[0]['path']}: disc, by description"]


def test_a_photo_needs_all_of_the_tags_or_one_of_alternatives(
    find: Find, photos: Path, worded: Path
) -> None:
    def with_tags(*words: str) -> set[str]:
        hits = [json.loads(line) for line in find(photos, *words, "--top", 0, "--json")[1]]
        return {hit["path"] for hit in hits if hit["tags"]}

    tagger = Tagger.load(worded)  # which gives a photo one tag
    assert with_tags("a disc and a square") == set()
    assert with_tags("disc without square") == with_tags("a disc in a picture") == set()
    assert with_tags("a disc or square") == tagged_photos(photos, tagger, "disc", "square")


def test_synonyms_and_kinds_find_tags(
    find: Find, photos: Path, worded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path))
    own = "tag,parents,synonyms\nround thing,,\ndisc,round thing,blorp\n"
    (tmp_path / "vocabulary.csv").write_text(own)
    discs = find(photos, "disc", "--top", 0)
    for words in ("blorps", "round things"):  # which the model does not know
        assert find(photos, words, "--top", 0) == (0, discs[1], [f"{words}: disc"])
    (tmp_path / "vocabulary.csv").write_text("tag,parents\n")
    status, lines, notes = find(photos, "disc")
    assert (status, lines) == (2, []) and "vocabulary.csv, line 1" in notes[-1]


def test_tags_alone_answer_a_description_that_the_model_cannot_read(worded: Path) -> None:
    words = Tagger.load(worded).words
    assert words is not None
    named = NamedTags((TagTerm(("rex",), ("Rex",)), TagTerm(("ball",), ("ball",))), ())
    assert describe(words, "rex ball", named) is None
    assert format_line(Hit(Path("a.jpg"), ("Rex",), None, False)) == "    -  a.jpg: Rex"
    with pytest.raises(DescriptionError, match="none of these words: rex"):
        describe(words, "rex", NamedTags((), ("rex",)))


def test_json_is_one_object_a_line(find: Find, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "disc.jpg").write_bytes((photos / "disc" / "000.jpg").read_bytes())
    status, lines, _ = find(tmp_path, "ball", "--json")
    assert status == 1
    disc, broken = map(json.loads, lines)
    assert disc["path"] == str(tmp_path / "disc.jpg") and disc["likeness"] > 0.5
    assert disc["error"] is None and disc["tags"] == broken["tags"] == []
    assert broken["path"] == str(tmp_path / "broken.jpg") and broken["likeness"] is None
    assert "broken.jpg: " in broken["error"]


def test_an_unreadable_photo_is_named_and_the_rest_compared(
    find: Find, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "disc.jpg").write_bytes((photos / "disc" / "000.jpg").read_bytes())
    status, lines, notes = find(tmp_path, "a purple ball")
    assert status == 1 and len(lines) == 1
    assert notes[:2] == [
        "by description alone: no tag for purple, ball",
        "words passed over: purple",
    ]
    assert notes[2].startswith(f"{tmp_path / 'broken.jpg'}: ")
    status, lines, notes = find(tmp_path / "broken.jpg", "ball")
    assert (status, lines) == (1, []) and len(notes) == 2  # no word of how many are like it


def test_nothing_is_listed_that_does_not_look_like_it(find: Find, photos: Path) -> None:
    status, lines, notes = find(photos / "stripes", "ball")
    assert (status, lines) == (0, [])
    assert notes[1:] == ["none of 12 photos looks like that"]


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
    missing = tmp_path / "missing"
    assert find(missing, "ball") == (2, [], [f"{missing}: there is no such folder or photo"])
    process = run_main(main, photos, "ball", "--model", "pets")
    assert process.returncode == 2
    assert process.stderr == "pets: this model does not understand descriptions\n"
