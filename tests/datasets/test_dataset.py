"""A dataset on disk: what is loaded, left out, split, and the errors."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tagger.datasets import dataset
from tagger.datasets.dataset import Dataset, Problems
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import DatasetError
from tagger.images import decode, transforms
from tagger.labels import LabelSet
from tests.conftest import draw_smooth_colours
from tests.datasets.conftest import SIDE, write_photos
from tests.trees import Tree, is_skipped, make_too_deep, reachable_photos, trees


def write_near_copy(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(decode.encode(draw_smooth_colours(seed, 64), "JPEG"))


def load_error(root: Path, store: PixelStore) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load(root, store)
    message = str(caught.value)
    assert "\n" not in message and str(root) in message
    return message


def names(root: Path, samples: list[Sample]) -> list[str]:
    return sorted(sample.path.relative_to(root).as_posix() for sample in samples)


def splits(loaded: Dataset) -> dict[str, str]:
    return {s.path.relative_to(loaded.root).as_posix(): s.split for s in loaded.samples}


# --- layouts


def test_a_folder_is_a_label(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 120))
    loaded = dataset.load(root, store)
    assert loaded.labels == LabelSet(("cat", "dog"))
    assert loaded.counts() == {"train": {"cat": 8, "dog": 16}, "val": {"cat": 2, "dog": 4}}
    assert len(loaded.split("train")) == 24 and not loaded.split("test")
    assert loaded.problems.lines() == []
    for sample in loaded.samples:
        assert loaded.labels.names[sample.label] == sample.path.parent.name
        expected = transforms.prepare(sample.path, SIDE)
        np.testing.assert_array_equal(store[sample.row], expected)


def test_folders_within_a_label_belong_to_it(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat" / "tabby" / "summer", *range(5))
    write_photos(root / "cat", *range(5, 10))
    write_photos(root / "dog" / "2024", *range(100, 110))
    write_photos(root / "dog" / ".trash", 900)
    assert dataset.load(root, store).labels.names == ("cat", "dog")
    assert len(store) == 20


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "VALIDATION", "Testing"), ("train", "valid", "test")],
)
def test_split_folders_are_kept(
    root: Path, store: PixelStore, train: str, val: str, test: str
) -> None:
    for number, label in enumerate(("cat", "dog")):
        write_photos(root / train / label, *range(number * 100, number * 100 + 6))
        write_photos(root / val / label, *range(number * 100 + 20, number * 100 + 22))
        write_photos(root / test / label, *range(number * 100 + 30, number * 100 + 33))
    loaded = dataset.load(root, store)
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        assert loaded.counts()[split] == {"cat": count, "dog": count}
    assert splits(loaded)[f"{val}/dog/120.png"] == "val"
    assert splits(loaded)[f"{test}/dog/130.png"] == "test"


def test_without_val_some_training_photos_become_validation_photos(
    root: Path, store: PixelStore
) -> None:
    for number, label in enumerate(("cat", "dog")):
        write_photos(root / "train" / label, *range(number * 100, number * 100 + 10))
        write_photos(root / "test" / label, *range(number * 100 + 20, number * 100 + 24))
    expected = {"train": {"cat": 8, "dog": 8}, "val": {"cat": 2, "dog": 2}}
    assert dataset.load(root, store).counts() == expected | {"test": {"cat": 4, "dog": 4}}


@pytest.mark.parametrize("outer", ["archive", "archive/photos", "archive/train"])
def test_the_outer_folder_of_an_archive_is_skipped(
    root: Path, store: PixelStore, outer: str
) -> None:
    write_photos(root / outer / "cat", *range(6))
    write_photos(root / outer / "dog", *range(100, 106))
    (root / "readme.txt").write_text("photos")
    assert dataset.load(root, store).labels.names == ("cat", "dog")


def test_label_names_may_be_in_any_script(root: Path, store: PixelStore) -> None:
    write_photos(root / "猫 & friends", *range(6))
    write_photos(root / "chien d'été", *range(100, 106))
    assert dataset.load(str(root), store).labels.names == ("chien d'été", "猫 & friends")


# --- what is left out


def test_near_copies_are_in_the_same_split(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(20))
    write_photos(root / "dog", *range(100, 120))
    for seed in (*range(10), *range(100, 110)):
        write_near_copy(root / ("cat" if seed < 100 else "dog") / f"{seed:03}.jpg", seed)
    for seed in (1, 2, 3):
        side = splits(dataset.load(root, store, seed=seed))
        assert len(side) == 60
        for name in side:
            if name.endswith(".jpg"):
                assert side[name] == side[name.replace(".jpg", ".png")]


def test_an_exact_copy_counts_once(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 110))
    write_photos(root / "cat" / "again", 3, 4)
    loaded = dataset.load(root, store)
    assert loaded.problems.copies == (
        ("cat/again/003.png", "cat/003.png"),
        ("cat/again/004.png", "cat/004.png"),
    )
    assert loaded.problems.lines() == ["2 photos are exact copies of another photo: left out"]
    assert len(loaded.samples) == 20
    assert loaded.copies() == {
        root / "cat" / "again" / "003.png": root / "cat" / "003.png",
        root / "cat" / "again" / "004.png": root / "cat" / "004.png",
    }
    assert {sample.path for sample in loaded.samples} >= set(loaded.copies().values())


def test_a_photo_under_two_labels_is_used_for_neither(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 110), 3)
    loaded = dataset.load(root, store)
    assert loaded.problems.conflicting == (("cat/003.png", "dog/003.png"),)
    assert "2 photos are exact copies under different labels: left out" in loaded.problems.lines()
    assert not {"cat/003.png", "dog/003.png"} & set(splits(loaded))


def test_training_photos_near_a_validation_photo_are_left_out(
    root: Path, store: PixelStore
) -> None:
    write_photos(root / "train" / "cat", *range(8))
    write_photos(root / "train" / "dog", *range(100, 108))
    write_photos(root / "val" / "cat", 50, 51)
    write_photos(root / "val" / "dog", 150, 151)
    write_near_copy(root / "train" / "cat" / "leak.jpg", 50)
    write_photos(root / "train" / "dog", 150)  # the very same file
    loaded = dataset.load(root, store)
    assert loaded.problems.leaked == (("train/cat/leak.jpg", "val/cat/050.png"),)
    assert loaded.problems.copies == (("train/dog/150.png", "val/dog/150.png"),)
    assert "1 photo in train/ is a near copy of" in loaded.problems.lines()[1]
    assert loaded.counts()["train"] == {"cat": 8, "dog": 8}
    assert loaded.counts()["val"] == {"cat": 2, "dog": 2}


def test_unreadable_photos_are_listed_with_the_reason(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(6))
    write_photos(root / "dog", *range(100, 106))
    (root / "dog" / "empty.jpg").touch()
    (root / "cat" / "diary.png").write_text("Dear diary")
    loaded = dataset.load(root, store)
    listed = dict(loaded.problems.unreadable)
    assert set(listed) == {"dog/empty.jpg", "cat/diary.png"}
    assert listed["dog/empty.jpg"] == "an empty file"  # and no path, nor "photo:"
    assert listed["cat/diary.png"].startswith("not a JPEG")
    assert loaded.problems.lines() == ["2 photos could not be read: left out"]
    assert len(loaded.samples) == 12


def test_labels_that_training_lacks_are_left_out(root: Path, store: PixelStore) -> None:
    for number, label in enumerate(("cat", "dog")):
        write_photos(root / "train" / label, *range(number * 100, number * 100 + 6))
        write_photos(root / "val" / label, number * 100 + 20)
    write_photos(root / "val" / "ape", 300, 301)
    (root / "train" / "bee").mkdir()
    (root / "train" / "bee" / "broken.jpg").touch()
    loaded = dataset.load(root, store)
    assert loaded.labels.names == ("cat", "dog")
    assert loaded.problems.unknown_labels == ("val/ape/300.png", "val/ape/301.png")
    assert {s.path.parent.name: s.label for s in loaded.samples} == {"cat": 0, "dog": 1}


# --- errors


def test_a_missing_folder_is_an_error(root: Path, store: PixelStore) -> None:
    assert "no such folder; make one folder for each label" in load_error(root / "nowhere", store)
    (root / "file").touch()
    assert "not a folder" in load_error(root / "file", store)


def test_an_empty_folder_is_an_error_with_the_extensions(root: Path, store: PixelStore) -> None:
    message = load_error(root, store)
    assert "found 0 photos in 0 folders, 0 labels" in message
    assert "at least 2 labels" in message
    assert ".heic .heif .jfif .jpe .jpeg .jpg" in message


def test_a_single_label_is_too_few(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(7))
    (root / "dog").mkdir()
    (root / "dog" / "notes.txt").touch()
    assert "found 7 photos in 2 folders, 1 label;" in load_error(root, store)


def test_too_few_photos_of_a_label(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 104))
    (root / "dog" / "broken.jpg").touch()
    message = load_error(root, store)
    assert "too few readable photos of dog" in message and "cat" not in message
    assert "1 photo could not be read" in message
    assert "at least 5 different ones of each label" in message


def test_the_minimum_of_photos_is_enough(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(5))
    write_photos(root / "dog", *range(100, 105))
    expected = {"train": {"cat": 4, "dog": 4}, "val": {"cat": 1, "dog": 1}}
    assert dataset.load(root, store).counts() == expected


def test_many_copies_of_one_photo_are_too_few(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", 100)
    for number in range(20):
        write_near_copy(root / "dog" / f"{number}.jpg", 100)
    message = load_error(root, store)
    assert "too few readable photos of dog" in message
    assert "19 photos are exact copies of another photo" in message


def test_no_readable_photo_is_an_error(root: Path, store: PixelStore) -> None:
    for label in ("cat", "dog"):
        (root / label).mkdir()
        (root / label / "broken.jpg").touch()
    message = load_error(root, store)
    assert "0 labels with readable photos (2 photos could not be read: left out;" in message


def test_a_label_without_validation_photos_is_an_error(root: Path, store: PixelStore) -> None:
    write_photos(root / "train" / "cat", *range(8))
    write_photos(root / "train" / "dog", *range(100, 108))
    write_photos(root / "val" / "cat", 50)
    assert "too few readable photos of dog" in load_error(root, store)


def test_a_dataset_can_be_loaded_without_enough_photos(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 103))
    (root / "dog" / "broken.jpg").touch()
    loaded = dataset.load(root, store, require_enough=False)
    assert loaded.counts()["train"] == {"cat": 8, "dog": 2}
    assert loaded.problems.unreadable == (("dog/broken.jpg", "an empty file"),)
    with pytest.raises(DatasetError, match="too few readable photos of dog"):
        dataset.check_enough(loaded)
    for path in (root / "dog").glob("*.png"):
        path.unlink()
    with pytest.raises(DatasetError, match="1 label with readable photos"):
        dataset.check_enough(dataset.load(root, store, require_enough=False))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read every file")
def test_the_reason_for_an_unreadable_file_is_without_its_path(
    root: Path, store: PixelStore
) -> None:
    write_photos(root / "cat", *range(6))
    write_photos(root / "dog", *range(100, 106))
    (root / "cat" / "000.png").chmod(0)
    (listed,) = dataset.load(root, store).problems.unreadable
    assert listed[0] == "cat/000.png" and listed[1].startswith("cannot be opened")


def test_sentences_have_singular_and_plural() -> None:
    single = Problems(
        unreadable=(("a.jpg", "broken"),),
        copies=(("b.jpg", "a.jpg"),),
        leaked=(("c.jpg", "a.jpg"),),
        unknown_labels=("d.jpg",),
        ignored=("e.jpg",),
    )
    assert all(line.startswith("1 photo ") for line in single.lines())
    assert not [line for line in single.lines() if " are " in line or " have " in line]
    several = Problems(copies=(("b.jpg", "a.jpg"),) * 1_200)
    assert several.lines() == ["1,200 photos are exact copies of another photo: left out"]


def test_a_list_to_leave_out_may_name_missing_photos(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(6))
    write_photos(root / "dog", *range(100, 106))
    write_photos(root, 200)  # on disk, but without a label
    listed = {"cat/000.png", "200.png", "cat/gone.png", "elsewhere/cat/001.png"}
    problems = dataset.load(root, store, leave_out=listed).problems
    assert problems.unwanted == ("cat/000.png",)
    assert problems.not_there == ("cat/gone.png", "elsewhere/cat/001.png")
    assert "2 photos on your list are not in the collection" in problems.lines()
    problems = dataset.load(root, store, leave_out={"cat/gone.png"}).problems
    assert "1 photo on your list is not in the collection" in problems.lines()


def test_many_lost_labels_are_listed_in_one_line() -> None:
    single = Problems(lost_labels=("emu",))
    assert single.lines() == ["too few photos of emu to train on: not a label"]
    several = Problems(lost_labels=tuple(f"l{number}" for number in range(700)))
    (line,) = several.lines()
    assert (
        line == "too few photos of 700 labels (l0, l1, l2, l3, l4, l5, ...) to train on: not labels"
    )


def test_few_validation_photos_give_a_warning() -> None:
    assert dataset.too_few_to_check({"cat": 20, "dog": 300}) is None
    message = dataset.too_few_to_check({"cat": 4, "dog": 300, "hen": 19})
    assert message is not None and "only 4 of cat, 19 of hen;" in message
    assert "too few photos for reliable figures" in message
    many = dataset.too_few_to_check({f"label {index}": 1 for index in range(30)})
    assert many is not None and "label 5, ...;" in many and "label 6" not in many


# --- seeds and fingerprints


def test_the_split_depends_on_the_seed_alone(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(15))
    write_photos(root / "dog", *range(100, 115))
    first, again, with_other_seed = (dataset.load(root, store, seed) for seed in (1, 1, 2))
    assert splits(first) == splits(again) != splits(with_other_seed)
    assert first.fingerprint == again.fingerprint != with_other_seed.fingerprint
    assert splits(dataset.load(root, store, 1, workers=1)) == splits(first)


def test_the_fingerprint_does_not_depend_on_file_names(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(100, 110))
    before = dataset.load(root, store).fingerprint
    for number, path in enumerate(sorted((root / "cat").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed {number:02}.png"))
    assert dataset.load(root, store).fingerprint == before
    (root / "cat").rename(root / "lion")
    assert dataset.load(root, store).fingerprint != before
    (root / "lion").rename(root / "cat")
    write_photos(root / "cat", 99)
    assert dataset.load(root, store).fingerprint != before


def test_a_label_may_be_called_train(root: Path, store: PixelStore) -> None:
    for number, label in enumerate(("bus", "car", "train")):
        write_photos(root / label, *range(number * 100, number * 100 + 6))
    assert dataset.load(root, store).labels.names == ("bus", "car", "train")


def test_folders_beside_splits_are_listed(root: Path, store: PixelStore) -> None:
    for number, label in enumerate(("cat", "dog")):
        write_photos(root / "train" / label, *range(number * 100, number * 100 + 6))
        write_photos(root / "test" / label, *range(number * 100 + 20, number * 100 + 22))
    write_photos(root / "hen", *range(300, 320))
    loaded = dataset.load(root, store)
    assert len(loaded.problems.ignored) == 20
    lines = loaded.problems.lines()
    assert "20 photos have no label: left out" in lines
    assert "1 folder lies beside split folders (hen): not read" in lines


def test_bursts_larger_than_the_share_still_split(root: Path, store: PixelStore) -> None:
    for label in range(2):
        (root / str(label)).mkdir()
        for scene_number in range(4):
            for shot in range(10):  # 10 near copies of each of 4 scenes: 40 photos
                rgb = draw_smooth_colours(label * 100 + scene_number, 64).copy()
                rgb[0, 0] = shot * 20
                path = root / str(label) / f"{scene_number}-{shot}.png"
                path.write_bytes(decode.encode(rgb))
    assert dataset.load(root, store).split("val")


# --- nothing is dropped without a word


def test_a_folder_that_cannot_be_opened_is_named(root: Path, store: PixelStore) -> None:
    write_photos(root / "cat", *range(6))
    write_photos(root / "dog", *range(100, 106))
    deep = make_too_deep(root / "dog").relative_to(root).as_posix()
    problems = dataset.load(root, store).problems
    assert problems.skipped.unopened == [(deep, "File name too long")] == list(problems.unread)
    assert problems.lines()[0].startswith("1 folder cannot be opened (dog/ddd")
    write_photos(root, 0)
    (root / "cat").rename(root / "dog" / "cat")
    assert "1 folder cannot be opened" in load_error(root, store)


# Why folders may be splits or labels, in the errors of `folders.read`.
AMBIGUOUS = "hold folders of the same names|holds folders of the same names|are the labels "


@given(trees)
@settings(max_examples=15, deadline=None)
def test_every_photo_of_a_tree_is_used_or_named(tree: Tree) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(PixelStore(Path(folder) / "pixels.u8", SIDE)) as store,
    ):
        contents = [decode.encode(draw_smooth_colours(seed, 24)) for seed in range(6)]
        root = tree.write(Path(folder), contents)
        write_photos(root / "aaa", 1, 2)
        write_photos(root / "bbb", 3, 4)
        try:
            loaded = dataset.load(root, store, require_enough=False)
        except DatasetError as error:
            assert re.search(AMBIGUOUS, str(error))
            return
        problems = loaded.problems
        named = [photo for photo, _ in problems.unreadable]
        named += [photo for photo, _ in (*problems.copies, *problems.leaked)]
        named += [photo for photos in problems.conflicting for photo in photos]
        named += [*problems.ignored, *problems.unknown_labels]
        paths = [sample.path for sample in loaded.samples] + [root / photo for photo in named]
        used = {os.path.realpath(path) for path in paths}
        assert len(used) == len(paths)
        for photo in reachable_photos(root) - used:
            assert is_skipped(photo, root, problems.skipped)
