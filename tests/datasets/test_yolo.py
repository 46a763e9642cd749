"""YOLO reader: where classes, photos and labels are, and remarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import detect
from tagger.errors import DatasetError
from tests.datasets import label_files
from tests.datasets.label_files import contents, sentences, tags_of, touch, write_file

PHOTOS = {"images/a.jpg": {"cat", "dog"}, "images/b.jpg": set(), "images/c.jpg": {"dog"}}
NAMES = ["cat", "dog", "emu"]
LISTED = "names: [cat, dog, emu]\n"


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, dog, emu]",
        "names:\n- cat\n- dog\n- 'emu'",
        "names:\n  0: cat\n  1: dog\n  2: emu",
        'names: {"0": cat, 2: emu, 1: dog}',
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        "train: images",
        "path: ../datasets/mine\ntrain: images/",
        "train: ../images",
        "train: ./images\nval:\ntest:",
        "path: /home/someone/mine\ntrain: [images]",
        "train: {root}/images",
        "path: {root}\ntrain: images",
        "train: list.txt",
    ],
)
def test_a_yaml_file_names_classes_and_photos(tmp_path: Path, names: str, where: str) -> None:
    touch(tmp_path, *PHOTOS, "other/d.jpg")
    label_files.write_yolo(tmp_path, PHOTOS, NAMES)
    write_file(tmp_path / "list.txt", "images/a.jpg\n./images/b.jpg\n\nimages/c.jpg\n")
    write_file(tmp_path / "mine.yaml", f"{where.format(root=tmp_path)}\n{names}\nnc: 3\n")
    listing = detect.read(tmp_path, 2)
    assert contents(listing, tmp_path) == {p: (tags, set(), "train") for p, tags in PHOTOS.items()}
    assert listing.names == ("cat", "dog", "emu") and listing.remarks == ()


def test_class_names_stay_text(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg")
    label_files.write_yolo(tmp_path, {"images/a.jpg": {"no", "1"}}, ["no", "1"])
    write_file(tmp_path / "data.yaml", "names: [no, 1, 1.0, ~, 2024-01-01]")
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == {"images/a.jpg": {"no", "1"}}
    assert detect.read(tmp_path, 1).names == ("1", "1.0", "2024-01-01", "no", "~")


def test_a_yaml_file_gives_the_splits(tmp_path: Path) -> None:
    photos = {
        "train/images/a.jpg": {"cat"},
        "valid/images/b.jpg": {"dog"},
        "test/images/c.jpg": set(),
    }
    touch(tmp_path, *photos, "extra/images/d.jpg")
    label_files.write_yolo(tmp_path, {**photos, "extra/images/d.jpg": {"cat"}}, NAMES)
    where = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    write_file(tmp_path / "data.yaml", where + LISTED)
    listing = detect.read(tmp_path, 2)
    assert {path[-5:]: split for path, (_, _, split) in contents(listing, tmp_path).items()} == {
        "a.jpg": "train",
        "b.jpg": "val",
        "c.jpg": "test",
    }
    assert tags_of(listing, tmp_path) == photos


def test_the_same_photos_under_train_and_val_are_split_anew(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_yolo(tmp_path, PHOTOS, NAMES)
    write_file(tmp_path / "coco8.yaml", "train: images\nval: images\n" + LISTED)
    listing = detect.read(tmp_path, 2)
    assert {sample.split for sample in listing.samples} == {"train"}
    assert sentences(listing) == ["3 photos are listed in several splits: split anew"]


@pytest.mark.parametrize("names", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_without_a_yaml_file_label_files_give_the_photos(tmp_path: Path, names: str) -> None:
    touch(tmp_path, *PHOTOS, "images/val/d.jpg")
    label_files.write_yolo(tmp_path, {**PHOTOS, "images/val/d.jpg": {"emu"}}, NAMES)
    write_file(tmp_path / names, "cat\r\ndog\nemu\n")
    write_file(tmp_path / "labels" / "b.txt", "")
    (tmp_path / "labels" / "c.txt").unlink()
    assert contents(detect.read(tmp_path, 2), tmp_path) == {
        "images/a.jpg": ({"cat", "dog"}, set(), "train"),
        "images/b.jpg": (set(), set(), "train"),
        "images/val/d.jpg": ({"emu"}, set(), "val"),
    }


def test_label_files_may_be_beside_their_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    write_file(tmp_path / "a.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "b.txt", "1 .5 .5 .1 .1 .2 .2\n")
    write_file(tmp_path / "classes.txt", "cat\ndog\n")
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}


def test_unusable_files_are_counted_in_remarks(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, *PHOTOS)
    touch(tmp_path, "outside/x.jpg")
    (root / "linked").symlink_to(tmp_path)
    label_files.write_yolo(root, PHOTOS, NAMES)
    lines = [
        "0 .5 .5 .1 .1",
        "3 .5 .5 .1 .1",
        "-1 .5 .5 .1 .1",
        "cat .5 .5 .1 .1",
        "1 .5",
        "0.5 1 1 1 1",
    ]
    write_file(root / "labels" / "c.txt", "\n".join([*lines, "", "inf 1 1 1 1"]))
    write_file(root / "labels" / "b.txt", b"\xff\xfe\xff")
    write_file(root / "labels" / "gone.txt", "0 .5 .5 .1 .1\n")
    write_file(
        root / "list.txt", "images/gone.jpg\n../outside/x.jpg\nlinked/outside/x.jpg\nimages/a.jpg\n"
    )
    where = "train: [images, list.txt]\nval: [../../outside, linked]\ntest: /etc\n"
    write_file(root / "data.yaml", where + LISTED)
    listing = detect.read(root, 2)
    assert contents(listing, root) == {
        "images/a.jpg": ({"cat", "dog"}, set(), "train"),
        "images/c.jpg": ({"cat"}, {"dog", "emu"}, "train"),  # the other objects may be any
    }
    assert listing.left_out == {root / "images" / "b.jpg"}
    assert sorted(sentences(listing)) == [
        "1 file of labels has no photo: left out",
        "1 line names a photo that is not there: left out",
        "1 photo has a file of labels that is not text: left out",
        "2 lines have class numbers without a name: left out",
        "2 lines name photos outside the collection: left out",
        "3 paths lead to no photo: left out",
        "4 lines are not a class and numbers: left out",
    ]
    strays = next(remark for remark in listing.remarks if "without" in remark.singular)
    assert strays.names == ("labels/c.txt:2: 3", "labels/c.txt:3: -1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"names: [cat\ntrain: x", "data.yaml, line 2: not YAML"),
        (b"names: [[cat], dog]", "names is neither a list nor numbers with names"),
        (b"names: {cat: 0}", "names is neither a list nor numbers with names"),
        (b"names: " + b"[" * 5000, "not YAML"),
        (b"names: [\xff]", "data.yaml, line 1: not UTF-8 text"),
        (b"names: [cat]\npath: [a, b]", "data.yaml: path is not one folder; leave it out"),
        (b"names: [cat]\npath: {a: b}\ntrain: images", "data.yaml: path is not one folder"),
        (b"names: [cat]\ntrain: {a: b}", "train is neither a path nor a list of paths"),
        (b"names: [cat]\nval: [[images]]", "val is neither a path nor a list of paths"),
        (b"names: cat", "names is neither a list nor numbers with names"),
        (
            b"names:\n  ? " + b"9" * 5000 + b"\n  : cat",
            "names is neither a list nor numbers with names",
        ),
        (b"names: [cat]\ntrain: gone", "found 0 photos by YOLO, 1 label (1 path leads to no photo"),
    ],
)
def test_a_broken_yaml_file_is_an_error(tmp_path: Path, text: bytes, message: str) -> None:
    touch(tmp_path, "images/a.jpg")
    write_file(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", text)
    with pytest.raises(DatasetError) as caught:
        detect.read(tmp_path, 2)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_yaml_file_never_runs_code(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg")
    write_file(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    command = f"touch {tmp_path}/run"
    write_file(tmp_path / "data.yaml", f"names: !!python/object/apply:os.system ['{command}']")
    assert detect.read(tmp_path, 1).names == (command,)
    assert not (tmp_path / "run").exists()


def test_a_yaml_bomb_stays_small(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg")
    write_file(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    bomb = [
        "a0: &a0 [x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)),
    ]
    write_file(tmp_path / "data.yaml", "\n".join([*bomb, "names: *a29"]))
    with pytest.raises(DatasetError, match="names is neither a list nor numbers"):
        detect.read(tmp_path, 2)


def test_an_object_of_an_unknown_class_makes_other_tags_unseen(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_yolo(tmp_path, {"images/a.jpg": {"cat"}}, NAMES)
    write_file(tmp_path / "labels" / "b.txt", "7 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    assert contents(detect.read(tmp_path, 2), tmp_path) == {
        "images/a.jpg": ({"cat"}, set(), "train"),
        "images/b.jpg": (set(), {"cat", "dog", "emu"}, "train"),
        "images/c.jpg": (set(), set(), "train"),
    }


def test_a_labelled_photo_in_no_split_is_counted(tmp_path: Path) -> None:
    photos = {"images/train/a.jpg": {"cat"}, "images/extra/b.jpg": {"dog"}}
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, NAMES)
    write_file(tmp_path / "data.yaml", "train: images/train\n" + LISTED)
    listing = detect.read(tmp_path, 2)
    assert list(tags_of(listing, tmp_path)) == ["images/train/a.jpg"]
    assert sentences(listing) == ["1 photo is in no split that the YAML file lists: left out"]
    assert listing.left_out == {tmp_path / "images" / "extra" / "b.jpg"}


def test_a_yaml_file_about_something_else_is_ignored(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_yolo(tmp_path, PHOTOS, NAMES)
    write_file(tmp_path / "environment.yml", "{% if x %}\n\t- no: yaml")
    write_file(tmp_path / "classes.txt", "cat\ndog\nemu\n")
    assert tags_of(detect.read(tmp_path, 2), tmp_path)["images/a.jpg"] == {"cat", "dog"}
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DatasetError, match=r"environment\.yml, line \d: not YAML"):
        detect.read(tmp_path, 2)


# --- collections that moved


@pytest.mark.parametrize(
    "where",
    [
        "train: {own}/images/train\nval: {own}/images/val",
        "train: former/images/train\nval: former/images/val",
        "path: ../datasets/former\ntrain: former/images/train\nval: former/images/val",
        "train: /content/former/images/train\nval: /content/former/images/val",
        "train: C:\\Users\\me\\former\\images\\train\nval: C:\\Users\\me\\former\\images\\val",
        "train: [former/images/train/a.jpg, former/images/train/b.jpg]\nval: x/images/val/c.jpg",
        "train: former/train.txt\nval: former/val.txt",
    ],
)
def test_leading_parts_of_a_path_are_dropped_until_it_fits(tmp_path: Path, where: str) -> None:
    photos = {
        "images/train/a.jpg": {"cat"},
        "images/train/b.jpg": set(),
        "images/val/c.jpg": {"dog"},
    }
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, NAMES)
    for split in ("train", "val"):
        names = [f"/content/former/{path}\n" for path in photos if f"/{split}/" in path]
        write_file(tmp_path / f"{split}.txt", "".join(names))
    write_file(tmp_path / "data.yaml", f"{where.format(own=tmp_path.name)}\n{LISTED}")
    listing = detect.read(tmp_path, 1)
    assert contents(listing, tmp_path) == {
        path: (tags, set(), path.split("/")[1]) for path, tags in photos.items()
    }


@pytest.mark.parametrize(
    ("train", "folder"),
    [
        ("Images/Train", "images/train"),
        ("my%20images/train", "my images/train"),
        ("images/caf\u00e9", "images/cafe\u0301"),
        ("former/IMAGES/train", "images/train"),
        ("images/train/*.jpg", "images/train"),
        ("former/images/train/*", "images/train"),
    ],
)
def test_folders_in_a_yaml_file_may_be_spelled_otherwise(
    tmp_path: Path, train: str, folder: str
) -> None:
    touch(tmp_path, f"{folder}/a.jpg", "images/val/b.jpg")
    write_file(tmp_path / folder.replace("images", "labels", 1) / "a.txt", "0 .5 .5 .1 .1\n")
    if folder.startswith("my"):
        write_file(tmp_path / "labels" / folder / "a.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "labels/val/b.txt", "1 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", f"train: {train}\nval: images/val\n{LISTED}")
    assert contents(detect.read(tmp_path, 1), tmp_path) == {
        f"{folder}/a.jpg": ({"cat"}, set(), "train"),
        "images/val/b.jpg": ({"dog"}, set(), "val"),
    }


def test_parts_are_not_dropped_up_to_a_folder_that_holds_another_split(tmp_path: Path) -> None:
    photos = {"images/train/a.jpg": {"cat"}, "images/kept/b.jpg": {"dog"}}
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, NAMES)
    for train in ("images/train", "former/images/train"):
        where = f"train: {train}\nval: former/holdout/images\n"
        write_file(tmp_path / "data.yaml", where + LISTED)
        listing = detect.read(tmp_path, 1)
        assert contents(listing, tmp_path) == {"images/train/a.jpg": ({"cat"}, set(), "train")}
        assert sentences(listing) == [
            "1 path leads to no photo: left out",
            "1 photo is in no split that the YAML file lists: left out",
        ]
    write_file(tmp_path / "data.yaml", f"train: one/images\nval: two/images\n{LISTED}")
    with pytest.raises(DatasetError, match="2 paths lead to no photo"):
        detect.read(tmp_path, 2)


def test_a_missing_split_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_yolo(tmp_path, PHOTOS, NAMES)
    write_file(tmp_path / "data.yaml", "train: images\nval: former/valid/images\n" + LISTED)
    listing = detect.read(tmp_path, 1)
    assert {sample.split for sample in listing.samples} == {"train"}
    assert sentences(listing) == ["1 path leads to no photo: left out"]


@pytest.mark.parametrize(
    ("photo", "label_file"),
    [
        ("caf\u00e9 1", "cafe\u0301 1"),
        ("cafe\u0301", "caf\u00e9"),
        ("a b (1)", "a%20b%20%281%29"),
        ("a%20b", "a b"),
        ("\u732b", "%E7%8C%AB"),
        ("IMG_1", "img_1"),
        ("IMG 1", "0a1b2c3d-IMG%201"),
    ],
)
def test_label_files_may_spell_their_photos_otherwise(
    tmp_path: Path, photo: str, label_file: str
) -> None:
    touch(tmp_path, f"images/{photo}.jpg", "images/other.jpg")
    write_file(tmp_path / "labels" / f"{label_file}.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    listing = detect.read(tmp_path, 1)
    assert tags_of(listing, tmp_path) == {f"images/{photo}.jpg": {"cat"}, "images/other.jpg": set()}
    assert listing.remarks == ()


def test_many_label_files_without_a_photo_are_an_error(tmp_path: Path) -> None:
    photos = {f"images/{n}.jpg": {"cat"} for n in range(20)}
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, NAMES)
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    for n in range(3):
        (tmp_path / "images" / f"{n}.jpg").rename(tmp_path / "images" / f"new name {n}.jpg")
    with pytest.raises(DatasetError, match=r"3 of 20 label files have no photo, such as labels/0"):
        detect.read(tmp_path, 1)
    for n in (1, 2):
        (tmp_path / "labels" / f"{n}.txt").unlink()
    assert sentences(detect.read(tmp_path, 1)) == ["1 file of labels has no photo: left out"]


def test_few_label_files_of_a_small_collection_are_an_error_without_a_photo(tmp_path: Path) -> None:
    touch(tmp_path, *(f"images/{name}.jpg" for name in "abcd"))
    for name in "abxy":
        write_file(tmp_path / "labels" / f"{name}.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    with pytest.raises(DatasetError, match=r"2 of 4 label files have no photo, such as labels/x"):
        detect.read(tmp_path, 1)


@pytest.mark.parametrize(
    ("closed", "kind"),
    [
        ("labels/train/sub", "dead"),
        ("labels/train/sub", "loop"),
        ("labels/train/sub/c.txt", "dead"),
        ("labels/train/sub/c.txt", "outside"),
    ],
)
def test_photos_whose_labels_may_be_closed_are_left_out(
    tmp_path: Path, closed: str, kind: str
) -> None:
    root = tmp_path / "photos"
    photos = {"images/train/a.jpg": {"cat"}, "images/train/sub/c.jpg": set()}
    touch(root, *photos, "images/train/b.jpg")
    label_files.write_yolo(root, photos, NAMES)
    write_file(root / "data.yaml", "train: images/train\n" + LISTED)
    target = write_file(tmp_path / "c.txt", "1 .5 .5 .1 .1\n")
    (root / closed).parent.mkdir(parents=True, exist_ok=True)
    targets = {"dead": "/mnt/nowhere/labels", "loop": root / closed, "outside": target}
    (root / closed).symlink_to(targets[kind])
    listing = detect.read(root, 1)
    assert tags_of(listing, root) == {"images/train/a.jpg": {"cat"}, "images/train/b.jpg": set()}
    assert listing.left_out == {root / "images/train/sub/c.jpg"}
    sentence = "1 photo may have labels in a folder or file that cannot be opened: left out"
    assert sentence in sentences(listing)


def test_photos_that_may_share_a_label_file_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "images/A.jpg", "images/a%.png", "images/B.jpg", "images/b.jpg")
    write_file(tmp_path / "labels" / "b.txt", "0 .5 .5 .1 .1\n")
    touch(tmp_path, "images/IMG_1.jpg", "images/Img_1.png")
    write_file(tmp_path / "labels" / "img_1.txt", "1 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    for number in range(4):
        touch(tmp_path, f"images/{number}.jpg")
        write_file(tmp_path / "labels" / f"{number}.txt", "0 .5 .5 .1 .1\n")
    listing = detect.read(tmp_path, 1)
    assert listing.left_out == {tmp_path / "images/IMG_1.jpg", tmp_path / "images/Img_1.png"}
    assert "2 photos may have the labels of others by their names: left out" in sentences(listing)
    assert tags_of(listing, tmp_path)["images/B.jpg"] == set()


def test_a_photo_may_be_called_like_a_split(tmp_path: Path) -> None:
    photos = {"images/test.jpg": {"cat"}, "images/train.jpg": {"dog"}}
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, NAMES)
    write_file(tmp_path / "data.yaml", "train: images\n" + LISTED)
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == photos
