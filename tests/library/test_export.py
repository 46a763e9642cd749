"""Exports: CSV without formulas, JSON lines, and collections that a training can read."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from unicodedata import normalize

import pytest

from tagger.datasets import dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers import table as table_reader
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.readers.table import split_tags
from tagger.errors import ImageError, OptionError
from tagger.images import decode
from tagger.library import export
from tagger.library.records import Photo, Tag
from tagger.text import escape_formula, fold
from tests.conftest import draw

MOMENT = datetime(2026, 11, 21, 11, 20, 5, tzinfo=UTC)
HEADER = (
    "ID,Name,Timestamp,Label 1,Label 2,Label 3,Label 4,Label 5,"
    "Score 1,Score 2,Score 3,Score 4,Score 5"
)


def tag(label: str, score: float | None = None) -> Tag:
    model = (None, None) if score is None else ("pets", "f" * 64)
    return Tag(label, score, 0.7, score is None, *model, 3, MOMENT)


def photo(number: int, *tags: Tag, name: str = "photo.jpg") -> Photo:
    return Photo(
        id=number,
        sha256=f"{number:064}",
        name=name,
        path=Path(f"/photos/{number}.jpg"),
        stored=False,
        size=1000,
        width=40,
        height=30,
        added_at=MOMENT,
        taken_at=datetime(2024, 5, 31, 12, 0),
        unknown=not tags,
        reviewed=False,
        confidence=0.9,
        model="pets",
        tags=tags,
    )


def table(*photos: Photo) -> str:
    out = io.StringIO(newline="")
    export.write_csv(photos, out)
    return out.getvalue()


def draw_photo(photo: Photo) -> bytes:
    """A drawn photo, different for each id."""
    shape = "disc" if photo.tags[0].label == "cat" else "square"
    return decode.encode(draw(shape, photo.id), "JPEG")


def test_the_csv_has_one_row_a_photo_with_scores_in_percent() -> None:
    lines = table(
        photo(1, tag("mine"), tag("cat", 0.959149), tag("sea", 0.8)), photo(2)
    ).splitlines()
    assert lines == [
        HEADER,
        "1,photo.jpg,2026-11-21 11:20:05,mine,cat,sea,,,,95.91,80.00,,",
        "2,photo.jpg,2026-11-21 11:20:05,,,,,,,,,,",
    ]


def test_details_are_the_path_and_every_tag_with_who_said_it(tmp_path: Path) -> None:
    tags = [tag("a|b"), *(tag(f"t{number}", 0.9) for number in range(6))]
    out = io.StringIO(newline="")
    export.write_csv([photo(1, *tags), photo(2)], out, details=True, bom=True)
    (tmp_path / "photos.csv").write_bytes(out.getvalue().encode())
    assert (tmp_path / "photos.csv").read_bytes().startswith(b"\xef\xbb\xbfID,Name,")
    with open(tmp_path / "photos.csv", newline="", encoding="utf-8-sig") as file:
        first, second = csv.DictReader(file)
    assert list(first)[:13] == HEADER.split(",") and first["Path"] == "/photos/1.jpg"
    assert split_tags(first["Tags"]) == [each.label for each in tags]
    assert split_tags(first["Tagged by"]) == ["person", *["pets"] * 6]
    assert (second["Tags"], second["Tagged by"]) == ("", "")
    assert not table_reader.find(PhotoIndex(tmp_path))  # no labels to train on


def test_times_are_in_utc() -> None:
    elsewhere = replace(photo(1), added_at=MOMENT.astimezone(timezone(timedelta(hours=9))))
    assert "2026-11-21 11:20:05" in table(elsewhere)


def test_the_csv_has_the_first_five_tags() -> None:
    tags = [tag(f"t{n}", 0.9) for n in range(8)]
    (row,) = csv.DictReader(io.StringIO(table(photo(1, *tags))))
    assert [row[f"Label {n}"] for n in range(1, 6)] == ["t0", "t1", "t2", "t3", "t4"]
    assert [row[f"Score {n}"] for n in range(1, 6)] == ["90.00"] * 5


@pytest.mark.parametrize(
    "text", ["=cmd()|' /C calc'!A0", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"]
)
def test_formulas_are_escaped(text: str) -> None:
    out = table(photo(1, tag(text, 0.9), name=text))
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert row["Name"] == f"'{text}"
    assert row["Label 1"] == f"'{text}"


def test_commas_quotes_and_line_breaks_are_quoted() -> None:
    text = 'a,"b"\nc;d'
    (row,) = csv.DictReader(io.StringIO(table(photo(1, tag(text, 0.5), name=text)), newline=""))
    assert (row["Name"], row["Label 1"], row["Score 1"]) == (text, text, "50.00")


def test_json_lines_have_every_field() -> None:
    out = io.StringIO()
    export.write_json_lines([photo(1, tag("mine"), tag("Straße", 0.9)), photo(2)], out)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert out.getvalue().isascii()
    assert (first["id"], first["taken_at"]) == (1, "2024-05-31T12:00:00")
    assert first["tags"][1] == {
        "label": "Straße",
        "score": 0.9,
        "threshold": 0.7,
        "by_person": False,
        "model": "pets",
        "model_sha256": "f" * 64,
        "run": 3,
        "made_at": "2026-11-21T11:20:05+00:00",
    }
    assert second["tags"] == []
    assert second["unknown"] is True


@pytest.mark.parametrize("name", ["Bildschirmfoto um 5.00\u202fPM.png", "a\nb.jpg", "\udcff.jpg"])
def test_json_lines_keep_any_file_name(name: str) -> None:
    out = io.StringIO()
    export.write_json_lines([replace(photo(1), path=Path("/photos") / name)], out)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["path"] == f"/photos/{name}"


def collection() -> list[Photo]:
    return [photo(n, tag("cat" if n % 2 else "dog")) for n in range(1, 25)]


def test_the_zip_can_be_trained_on(tmp_path: Path) -> None:
    target = tmp_path / "photos.zip"
    with open(target, "wb") as file:
        summary = export.write_zip([*collection(), photo(99)], draw_photo, file)
    assert (summary.written, summary.skipped) == (24, [("photo.jpg", "has no tag")])
    assert summary.untagged == 1
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
    check_trainable(tmp_path / "unpacked", tmp_path)


def test_the_collection_can_be_trained_on(tmp_path: Path) -> None:
    summary = export.write_collection(collection(), draw_photo, tmp_path / "a" / "collection")
    assert summary.written == 24
    check_trainable(tmp_path / "a" / "collection", tmp_path)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["collection"]


def check_trainable(folder: Path, scratch: Path) -> None:
    store = PixelStore(scratch / "pixels", 32)
    try:
        loaded = dataset.load(folder, store)
    finally:
        store.close()
    assert loaded.labels.names == ("cat", "dog")
    assert len(loaded.samples) == 24
    assert loaded.problems.lines() == []
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")
    }


def test_missing_photos_are_skipped_with_the_reason(tmp_path: Path) -> None:
    def read(photo: Photo) -> bytes:
        if photo.id == 2:
            raise ImageError("/photos/2.jpg", "no such file")
        return draw_photo(photo)

    summary = export.write_zip(collection()[:3], read, io.BytesIO())
    assert summary.written == 2
    assert summary.skipped == [("photo.jpg", "/photos/2.jpg: no such file")]


@pytest.mark.parametrize(
    "hostile",
    [
        "../../x",
        "/etc/passwd",
        "C:\\x",
        "a/b",
        "con",
        "aux.jpg",
        "..",
        "",
        "x" * 500,
        "🐕" * 100,
        "x." + "猫" * 100,
        "a\0b\n\x85\u202e",
        "\udcff",
        "COM¹",
        "é<>|?*",
        " . ",
        ".hidden",
        "=cmd()",
        "-rf",
    ],
)
def test_hostile_names_stay_inside_the_folder(tmp_path: Path, hostile: str) -> None:
    photos = [photo(1, tag(hostile, 0.9), name=hostile), photo(2, tag(hostile, 0.9), name=hostile)]
    folder = tmp_path / "deep" / "collection"
    export.write_collection(photos, lambda photo: b"x", folder)
    inside = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    assert sorted(len(parts) for parts in inside) == [1, 2, 2]
    assert all(len(part.encode()) <= 150 for parts in inside for part in parts)
    awkward = set('<>:"/\\|?*\0\n\x85\u202e')
    assert not any(set(part) & awkward for parts in inside for part in parts)
    assert not any(part.startswith((".", "-", "=")) for parts in inside for part in parts)
    assert not any(part.upper().startswith(("CON", "AUX", "COM¹")) for p in inside for part in p)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"/".join(p) for p in inside if len(p) == 2}
    assert len(set(decode.find_photos(folder))) == 2  # the photos that train.py lists


def test_labels_with_the_same_safe_name_get_folders_of_their_own(tmp_path: Path) -> None:
    labels = ["a/b", "a:b", "A?b", "a_b", "caf\u00e9", "cafe\u0301", "=1", "_=1"]
    photos = [photo(n, tag(label, 0.9)) for n, label in enumerate(labels)]
    export.write_collection(photos, lambda photo: b"x", tmp_path / "c")
    folders = [path.name for path in (tmp_path / "c").iterdir() if path.is_dir()]
    assert len({fold(name) for name in folders}) == len(labels)
    with open(tmp_path / "c" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = {row["image"].split("/")[0]: row["label"] for row in csv.DictReader(file)}
    assert list(rows.values()) == [escape_formula(label) for label in labels]
    assert set(rows) == set(folders)


@pytest.mark.parametrize("label", ["labels.csv", "LABELS.csv", "lost+found", "@eaDir", "#recycle"])
def test_no_tag_is_in_the_way_of_the_collection(tmp_path: Path, label: str) -> None:
    photos = [photo(1, tag(label)), photo(2, tag("cat"))]
    with open(tmp_path / "photos.zip", "wb") as file:
        assert export.write_zip(photos, draw_photo, file).written == 2
    with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
        names = archive.namelist()
        assert len({name.split("/")[0].lower() for name in names}) == 3
        archive.extractall(tmp_path / "unzipped")
    export.write_collection(photos, draw_photo, tmp_path / "written")
    for folder in ("unzipped", "written"):
        listing = detect.read(tmp_path / folder, 2)
        assert listing.names == tuple(sorted(["cat", label])) and len(listing.samples) == 2


def test_labels_are_read_back_unchanged(tmp_path: Path) -> None:
    labels = ["a/b", "a:b", "A?b", "a_b", "caf\u00e9", "cafe\u0301", "=1", "_=1", 'x, "y"']
    photos = [photo(n, tag(label, 0.9)) for n, label in enumerate(labels)]
    export.write_collection(photos, lambda photo: b"x", tmp_path / "c")
    collection = detect.read(tmp_path / "c", 2)
    label_by_id = {s.path.name.split("-")[0]: collection.names[s.label] for s in collection.samples}
    assert label_by_id == {str(n): normalize("NFC", label) for n, label in enumerate(labels)}
    assert collection.kind == "single"


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="holds something"):
        export.write_collection(collection(), draw_photo, tmp_path / "c")
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["mine.txt"]


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    def read(photo: Photo) -> bytes:
        if photo.id == 5:
            raise RuntimeError
        return draw_photo(photo)

    with pytest.raises(RuntimeError):
        export.write_collection(collection(), read, tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_answers_take_the_place_of_tags_and_say_what_is_absent(tmp_path: Path) -> None:
    """Nobody looked for the tags that are in neither; hostile names of tags survive."""
    photos = [photo(number, tag("a model's tag", 0.9)) for number in range(1, 5)]
    labels = {
        1: export.PhotoLabels(("sea", "=cmd()"), ()),
        2: export.PhotoLabels(("a|b",), ("sea",)),
        3: export.PhotoLabels((), ("sea", "=cmd()", "a|b")),
        4: export.PhotoLabels(()),
    }

    def label(photo: Photo) -> export.PhotoLabels:
        return labels[photo.id]

    summary = export.write_collection(photos, draw_photo, tmp_path / "c", label, names_absent=True)
    assert (summary.written, summary.untagged) == (3, 1)
    listing = detect.read(tmp_path / "c", 1)
    assert (listing.kind, listing.names) == ("multi", ("=cmd()", "a|b", "sea"))
    states = {
        int(sample.path.name.split("-")[0]): (
            {listing.names[n] for n in sample.present},
            {listing.names[n] for n in sample.unseen},
        )
        for sample in listing.samples
    }
    assert states == {
        1: ({"sea", "=cmd()"}, {"a|b"}),
        2: ({"a|b"}, {"=cmd()"}),
        3: (set(), set()),
    }


def test_answers_of_single_tags_make_a_collection_of_labels(tmp_path: Path) -> None:
    labels = {number: export.PhotoLabels(("cat" if number < 3 else "dog",)) for number in (1, 2, 3)}
    photos = [photo(number, tag("fox", 0.9)) for number in range(1, 4)]
    export.write_collection(photos, draw_photo, tmp_path / "c", lambda photo: labels[photo.id])
    listing = detect.read(tmp_path / "c", 2)
    assert (listing.kind, listing.names) == ("single", ("cat", "dog"))
