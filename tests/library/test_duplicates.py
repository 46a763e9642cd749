"""Near copies of the library: candidates, what is stored of them, groups, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.errors import OptionError
from tagger.library.duplicates import candidates as candidates_module
from tagger.library.duplicates.candidates import (
    FAR_BITS,
    MAX_CANDIDATES,
    MIN_COSINE,
    NEAR_BITS,
    find_candidates,
)
from tagger.library.duplicates.choices import Choice
from tagger.library.duplicates.comparisons import Comparisons
from tagger.library.duplicates.groups import Candidate, group_pairs, sort_best_first
from tagger.library.library import Library
from tests.conftest import draw_png, import_folder
from tests.library.near_copies import mark_as_copies
from tests.library.predictions import add_photos


def find_pairs(values: np.ndarray, is_new: np.ndarray, vectors: np.ndarray) -> set[frozenset[int]]:
    def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.einsum("ij,ij->i", vectors[first], vectors[second])

    pairs: list[frozenset[int]] = []
    for batch in find_candidates(values, is_new, cosines):
        pairs += map(frozenset, zip(batch.first.tolist(), batch.second.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))  # each once
    return set(pairs)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_candidates_are_those_of_all_pairs(seed: int, new: int) -> None:
    numbers = np.random.default_rng(seed)
    bases = numbers.integers(0, 2**63, 12).astype(np.uint64)
    values = bases[numbers.integers(0, 12, 60)]
    for _ in range(int(numbers.integers(0, 24))):
        values ^= np.uint64(1) << numbers.integers(0, 64, 60).astype(np.uint64)
    vectors = numbers.normal(size=(60, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    is_new = np.zeros(60, np.bool_)
    is_new[numbers.permutation(60)[:new]] = True
    expected = set()
    for row in range(60):
        for other in range(row):
            bits = (int(values[row]) ^ int(values[other])).bit_count()
            is_alike = vectors[row] @ vectors[other] >= MIN_COSINE
            if bits <= NEAR_BITS or (bits <= FAR_BITS and is_alike):
                expected |= {frozenset((row, other))} if is_new[[row, other]].any() else set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates_module, "ROWS", 7)
        patch.setattr(candidates_module, "_TILE", 11)
        assert find_pairs(values, is_new, vectors) == expected


def test_a_thousand_empty_pages_are_not_a_million_candidates() -> None:
    values = np.zeros(1_000, np.uint64)
    pairs = find_pairs(values, np.ones(1_000, np.bool_), np.ones((1_000, 1), np.float32))
    assert len(pairs) <= 1_000 * MAX_CANDIDATES
    assert all(frozenset((0, row)) in pairs for row in range(1, 1_000))


def test_comparisons_are_kept_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "duplicates.npz"
    assert not len(Comparisons.load(file).ids)
    ids, values = np.array([3, 5, 9]), np.array([1, 2, 2**64 - 1], np.uint64)
    complete = np.array([True, False, True])
    stored = Comparisons().add(ids, values, complete, np.array([[9, 3]]))
    stored = stored.add_sharpness(np.array([9]), np.array([0.5], np.float32))
    stored.save(file)
    again = Comparisons.load(file)
    assert again.pairs.tolist() == [[3, 9]] and again.sharp_ids.tolist() == [9]
    compared = again.find_compared(np.array([3, 4, 9, 12]), np.array([1, 2, 7, 0], np.uint64))
    assert compared.tolist() == [True, False, False, False]
    # Photo 5 is complete now, and the same pair comes once more.
    again = again.add(np.array([5]), values[1:2], np.array([True]), np.array([[3, 9], [5, 3]]))
    assert again.ids.tolist() == [3, 5, 9] and again.complete.all()
    assert again.pairs.tolist() == [[3, 5], [3, 9]]
    # The content of photo 9 has changed.
    values[2] = 5
    kept = again.restrict(ids, values)
    assert kept.ids.tolist() == [3, 5] and kept.pairs.tolist() == [[3, 5]]
    assert not len(kept.sharp_ids)
    for damaged in (b"", b"PK\x03\x04 nothing", file.read_bytes()[:200]):
        file.write_bytes(damaged)
        assert not len(Comparisons.load(file).ids)


def candidate(id: int, **changed: object) -> Candidate:
    values = {"missing": False, "pixels": 12, "size": 100, "sharpness": 1.0, "answers": 0}
    return Candidate(id=id, **(values | changed))  # type: ignore[arg-type]


def test_the_best_is_large_sharp_and_tagged() -> None:
    ranked = [
        candidate(7, pixels=24, sharpness=0.5),
        candidate(6, sharpness=2.0),
        candidate(5, answers=3, size=1),
        candidate(4, size=300),
        candidate(1),
        candidate(2),
        candidate(3, sharpness=None),
        candidate(8, pixels=48, missing=True, answers=9),
    ]
    assert [each.id for each in sort_best_first(ranked[::-1])] == [7, 6, 5, 4, 1, 2, 3, 8]


def test_groups_are_of_copies_of_the_best() -> None:
    every = {id: candidate(id) for id in range(1, 9)} | {2: candidate(2, pixels=99)}
    pairs = [(1, 2), (2, 3), (3, 4), (5, 6), (7, 99)]
    groups = group_pairs(pairs, every)
    assert [group.ids for group in groups] == [(5, 6), (2, 1, 3)]  # 4 is no copy of the best
    assert groups[1].merits == ("larger",) and groups[1].removable == 200
    assert [g.ids for g in group_pairs(pairs, every, [[1, 3]])] == [(5, 6), (3, 4), (2, 1)]
    assert [g.ids for g in group_pairs(pairs, every, [[2, 1, 3], [6, 5]])] == [(3, 4)]
    del every[2]
    assert [group.ids for group in group_pairs(pairs, every)] == [(5, 6), (3, 4)]


def group_ids(library: Library) -> list[set[int]]:
    return [set(group.ids) for group in library.duplicates.list_groups().groups]


def labels(library: Library, photo_id: int) -> set[str]:
    return {tag.label for tag in library.photo(photo_id).tags}


def test_copies_are_removed_and_what_was_said_of_them_stays(library: Library) -> None:
    ids = add_photos(library, 5)
    mark_as_copies(library, ids[:3], ids[3:])
    library.edit_tags([ids[1]], add=["Bello", "park"], remove=["cat"])
    library.edit_tags([ids[2]], add=["Bello"], remove=["park"])
    library.edit_tags([ids[0]], remove=["Bello"])
    library.rate([ids[2]], 4)
    library.set_caption(ids[1], "In the park")
    file = library.photo(ids[1]).path
    assert group_ids(library) == [{4, 5}, {1, 2, 3}]
    operation_id = library.duplicates.choose(
        [Choice((ids[0],), (ids[1], ids[2])), Choice((ids[3],), (ids[4],))]
    )
    operation = library.operation(operation_id)
    assert operation.title == "Removed 3 near copies from the library" and operation.undoable
    assert [photo.id for photo in library.photos(sort="oldest")] == [ids[0], ids[3]]
    assert group_ids(library) == [] and file.is_file()
    kept = library.photo(ids[0])
    assert (kept.rating, kept.caption) == (4, "In the park")
    # Its own "no" stays; the copies do not agree about the park.
    answers = {each.label: each.present for each in library.annotations(ids[0])}
    assert answers == {"Bello": False, "cat": False}

    undo = library.undo(operation_id).operation_id
    assert library.count() == 5 and group_ids(library) == [{4, 5}, {1, 2, 3}]
    assert library.photo(ids[0]).rating == 0 and library.photo(ids[0]).caption is None
    assert [each.label for each in library.annotations(ids[0])] == ["Bello"]
    library.undo(undo)
    assert library.count() == 2 and library.photo(ids[0]).rating == 4


def test_what_was_kept_is_different_from_then_on(library: Library) -> None:
    ids = add_photos(library, 4)
    mark_as_copies(library, ids)
    operation_id = library.duplicates.choose([Choice((ids[0], ids[1]), (ids[2],))])
    (group,) = group_ids(library)  # the last one with one of the two
    assert ids[3] in group and len(group) == 2
    kept = library.duplicates.choose([Choice(tuple(ids))])
    assert library.operation(kept).title == "Kept 3 photos as different"
    assert group_ids(library) == [] and library.count() == 3
    library.undo(kept)
    assert group_ids(library) == [group]
    library.undo(operation_id)
    assert group_ids(library) == [set(ids)]
    with pytest.raises(OptionError, match="nothing to change"):
        library.duplicates.choose([Choice((ids[0],))])
    with pytest.raises(OptionError, match="nothing to change"):
        library.duplicates.choose([Choice((ids[0],), (404,))])
    with pytest.raises(OptionError, match="nothing to change"):
        library.duplicates.choose([])


def test_the_list_is_of_the_library_as_it_is(library: Library) -> None:
    first, second, third = add_photos(library, 3)
    assert group_ids(library) == []
    mark_as_copies(library, [first, second])
    assert group_ids(library) == [{first, second}]
    for best in (second, first):
        operation_id = library.rate([best], 3)
        (group,) = library.duplicates.list_groups().groups
        assert (group.ids[0], group.merits) == (best, ("tagged",))
        library.undo(operation_id)
    mark_as_copies(library, [first, second, third])
    assert group_ids(library) == [{first, second, third}]
    kept = library.duplicates.choose([Choice((first, second, third))])
    assert group_ids(library) == []
    library.undo(kept)
    assert group_ids(library) == [{first, second, third}]
    library.delete([third])
    assert group_ids(library) == [{first, second}]


def test_the_last_copy_stays_though_the_one_to_keep_was_deleted_meanwhile(library: Library) -> None:
    ids = add_photos(library, 3)
    mark_as_copies(library, ids)
    library.delete([ids[0]])
    with pytest.raises(OptionError, match="keep at least one photo"):
        library.duplicates.choose([Choice((ids[0],), (ids[1], ids[2]))])
    with pytest.raises(OptionError, match="keep at least one photo"):
        library.duplicates.choose([Choice((), (ids[1], ids[2]))])
    assert library.count() == 2


def test_removed_copies_and_imports(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(draw_png(seed))
    import_folder(library, folder)
    mark_as_copies(library, [1, 2, 3])
    operation_id = library.duplicates.choose([Choice((1,), (2, 3))])
    again = import_folder(library, folder)  # brings them back, as it does all deleted photos
    assert again.counts["restored"] == 2 and group_ids(library) == [{1, 2, 3}]
    with pytest.raises(OptionError, match="nothing left to undo"):
        library.undo(operation_id)
    library.undo(again.id)
    assert library.count() == 1
    library.undo(operation_id)
    assert library.count() == 3
    library.delete([3])
    library.trash.empty()
    assert group_ids(library) == [{1, 2}]
    assert library.duplicates.list_groups().removable == 1


def test_groups_are_loaded_without_photos_that_are_gone(library: Library) -> None:
    ids = add_photos(library, 3)
    mark_as_copies(library, ids)
    (group,) = library.duplicates.list_groups().groups
    library.delete([group.ids[1]])
    (loaded,) = library.duplicates.load([group])
    assert [photo.id for photo in loaded.photos] == [group.ids[0], group.ids[2]]
