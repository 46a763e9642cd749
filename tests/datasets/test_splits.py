"""Train/validation/test split: copies stay together, leaks are removed, seeds reproduce it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.datasets.sample import Sample, tag_matrix, target_matrix
from tagger.datasets.splits import (
    remove_copies,
    remove_leaks,
    split_folders,
    split_named,
    split_validation,
)
from tagger.images.hashing import NEAR_BITS
from tests.images.test_hashing import brute_groups, near_hashes

quick = settings(deadline=None, max_examples=80)


def sample(number: int, label: int = 0, split: str = "train", **more: object) -> Sample:
    fields = {"row": number, "digest": f"digest {number}", "perceptual_hash": distinct(number)}
    return replace(Sample(Path(f"{label}/{number}.jpg"), (label,), split), **{**fields, **more})


def distinct(number: int) -> int:
    """A hash far from that of every other number."""
    return int(np.random.default_rng(number).integers(0, 2**64, dtype=np.uint64))


def samples_by_label(counts: list[int]) -> list[Sample]:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return [sample(number, label) for number, label in enumerate(labels)]


# --- exact copies


def test_exact_copies_are_kept_once() -> None:
    first, copy, different = sample(1), sample(2, digest="digest 1"), sample(3)
    kept, conflicting, copies = remove_copies([first, copy, different])
    assert kept == [first, different]
    assert (conflicting, copies) == ([], [(copy.path, first.path)])


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_copies_in_two_splits_are_kept_in_the_held_out_one(held_out: str) -> None:
    trained, checked = sample(1), sample(2, split=held_out, digest="digest 1")
    assert remove_copies([trained, checked]) == ([checked], [], [(trained.path, checked.path)])
    assert remove_copies([checked, trained]) == ([checked], [], [(trained.path, checked.path)])


def test_a_file_under_two_labels_is_left_out() -> None:
    same = [sample(1, 0), sample(2, 1, digest="digest 1"), sample(3, 0, digest="digest 1")]
    kept, conflicting, copies = remove_copies([*same, sample(4)])
    assert kept == [sample(4)]
    assert conflicting == [[s.path for s in same]]
    assert copies == []


# --- leaks


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_a_training_photo_near_a_held_out_one_is_left_out(held_out: str) -> None:
    checked = sample(1, split=held_out)
    leak = sample(2, perceptual_hash=checked.perceptual_hash ^ 0b101)
    fine = sample(3)
    assert remove_leaks([checked, leak, fine]) == ([checked, fine], [(leak.path, checked.path)])


def test_near_copies_within_a_split_are_kept() -> None:
    samples = [sample(1), sample(2, perceptual_hash=distinct(1)), sample(3, split="test")]
    samples.append(sample(4, split="test", perceptual_hash=distinct(3) ^ 1))
    assert remove_leaks(samples) == (samples, [])


# --- splitting


@quick
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.floats(0.05, 0.5),
    st.integers(0, 2**31),
)
def test_each_label_has_its_share_of_validation_photos(
    counts: list[int], share: float, seed: int
) -> None:
    samples = samples_by_label(counts)
    split = split_validation(samples, share, seed)
    assert [replace(s, split="train") for s in split] == samples
    moved = Counter(s.label for s in split if s.split == "val")
    assert moved == {label: max(1, round(count * share)) for label, count in enumerate(counts)}


@quick
@given(near_hashes(), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_near_copies_are_split_together(hashes: list[int], seed: int, random: object) -> None:
    labels = [random.randrange(2) for _ in hashes]  # type: ignore[attr-defined]
    samples = [
        sample(number, label, perceptual_hash=code)
        for number, (label, code) in enumerate(zip(labels, hashes, strict=True))
    ]
    split = split_validation(samples, 0.3, seed)
    for group in brute_groups(hashes, NEAR_BITS):
        assert len({split[index].split for index in group}) == 1
    moved = Counter(s.label for s in split if s.split == "val")
    largest = max(map(len, brute_groups(hashes, NEAR_BITS)), default=0)
    # its share, and at most one group for a label that would have none
    assert all(
        moved[label] <= max(1, round(0.3 * labels.count(label))) + largest for label in moved
    )


def test_a_label_that_came_with_another_gets_no_second_group() -> None:
    near = [distinct(number) for number in (1, 1, 1, 2, 2, 2, 2, 2, 2)]
    labels = [0, 0, 1, 0, 0, 0, 0, 1, 1]  # both groups hold more than either label's share
    samples = [
        sample(number, label, perceptual_hash=code)
        for number, (label, code) in enumerate(zip(labels, near, strict=True))
    ]
    assert [s.split for s in split_validation(samples, 0.1, 1)] == ["val"] * 3 + ["train"] * 6


def test_the_split_depends_on_the_seed_alone() -> None:
    samples = samples_by_label([30, 30])
    assert split_validation(samples, 0.2, 1) == split_validation(samples, 0.2, 1)
    assert split_validation(samples, 0.2, 1) != split_validation(samples, 0.2, 2)


def test_the_split_does_not_depend_on_the_order_of_files() -> None:
    samples = samples_by_label([30, 30])
    reversed_split = split_validation(samples[::-1], 0.2, 1)[::-1]
    assert reversed_split == split_validation(samples, 0.2, 1)


def test_test_photos_do_not_change_the_validation_share() -> None:
    tests = [sample(100 + number, split="test") for number in range(50)]
    split = split_validation(samples_by_label([10]) + tests, 0.2, 1)
    assert split[10:] == tests
    assert sum(s.split == "val" for s in split) == 2


# --- several labels a photo


def tagged(
    number: int,
    present: tuple[int, ...],
    unseen: tuple[int, ...] = (),
    doubtful: tuple[tuple[int, float], ...] = (),
) -> Sample:
    return replace(sample(number), present=present, unseen=unseen, doubtful=doubtful)


def test_a_tag_matrix_has_present_absent_and_unseen() -> None:
    matrix = tag_matrix([tagged(1, (0, 2)), tagged(2, (), (1,))], 3)
    assert matrix.dtype == np.int8 and matrix.tolist() == [[1, 0, 1], [0, -1, 0]]


def test_the_tags_of_copies_are_merged() -> None:
    first, second = tagged(1, (0,), (1, 2)), tagged(2, (0, 1), (2, 3))
    kept, conflicting, copies = remove_copies([first, replace(second, digest=first.digest)])
    assert [(s.present, s.unseen) for s in kept] == [((0, 1), (2,))]
    assert not conflicting and copies == [(second.path, first.path)]


def test_copies_that_contradict_each_other_are_left_out() -> None:
    first, second = tagged(1, (0,)), tagged(2, (0, 1))
    kept, conflicting, _ = remove_copies([first, replace(second, digest=first.digest)])
    assert not kept and conflicting == [[first.path, second.path]]


def test_a_copy_that_is_certain_of_a_tag_counts() -> None:
    """The tags: surely present in a copy, surely absent from one, unseen in one, unseen in all."""
    unsure = tagged(1, (0, 1, 2), (3,), ((0, 0.6), (1, 0.7), (2, 0.8)))
    certain = replace(tagged(2, (0,), (2, 3)), digest=unsure.digest)
    for copies in ([unsure, certain], [certain, unsure]):
        (kept,), conflicting, _ = remove_copies(copies)
        assert not conflicting
        assert (kept.present, kept.unseen, kept.doubtful) == ((0, 2), (3,), ((2, 0.8),))
        np.testing.assert_allclose(target_matrix([kept], 4), [[1, 0, 0.8, np.nan]])


def test_copies_that_doubt_a_tag_agree_on_the_mean() -> None:
    shares = ((0.2, 0.4), (0.4, 0.7), (0.9, 0.5))
    copies = [
        tagged(
            number,
            tuple(tag for tag, p in enumerate(row) if p >= 0.5),
            tuple(tag for tag, p in enumerate(row) if p < 0.5),
            tuple(enumerate(row)),
        )
        for number, row in enumerate(shares)
    ]
    (kept,), _, _ = remove_copies([replace(copy, digest="same") for copy in copies])
    assert kept.doubtful == ((0, pytest.approx(0.5)), (1, pytest.approx(1.6 / 3)))
    assert (kept.present, kept.unseen) == ((0, 1), ())
    (kept,), _, _ = remove_copies([replace(copy, digest="same") for copy in copies[:2]])
    assert kept.doubtful == ((0, pytest.approx(0.3)), (1, pytest.approx(0.55)))
    assert (kept.present, kept.unseen) == ((1,), (0,))


def test_rare_tags_have_validation_photos() -> None:
    """Twenty photos of two tags, forty of one of them, five of a third with both."""
    samples = [tagged(n, (0, 1)) for n in range(20)] + [tagged(n, (0,)) for n in range(20, 60)]
    samples += [tagged(n, (0, 1, 2)) for n in range(60, 65)] + [
        tagged(n, ()) for n in range(65, 75)
    ]
    moved = [s for s in split_validation(samples, 0.2, 1) if s.split == "val"]
    counts = Counter(label for s in moved for label in s.present or (-1,))
    assert counts == {0: 13, 1: 5, 2: 1, -1: 2}


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            "train Training trainval train2017 training_set TrainImages my-train 01_train trn",
            "train",
        ),
        ("val Valid validation dev eval evaluation_set ValSet val-224x224 vld", "val"),
        ("test Testing TESTS test_set test.images seg_test TestData tst", "test"),
        ("bus trainers steam_train dataset images detest latest contest train猫 traintest", None),
    ],
)
def test_split_names_have_affixes(names: str, split: str | None) -> None:
    assert {name: split_named(name) for name in names.split()} == dict.fromkeys(
        names.split(), split
    )


def test_beside_another_split_a_name_may_hold_further_words() -> None:
    assert split_folders(["pets_train", "pets_test", "notes"]) == {
        "pets_train": "train",
        "pets_test": "test",
    }
    assert split_folders(["steam train", "bus", "crash test"]) == {}
    assert split_folders(["train", "bus"]) == {"train": "train"}
