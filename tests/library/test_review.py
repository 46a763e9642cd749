"""Which photos a review asks about, in which order, and which of their tags."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.library.library import Library
from tagger.library.teaching import review
from tests.library.predictions import add_photos, predict


def test_photos_near_a_threshold_come_first(library: Library) -> None:
    """The threshold of `predict` is a half."""
    ids = add_photos(library, 6)
    scores = [0.99, 0.8, 0.52, 0.14, 0.6, 0.9]
    predict(library, "some", {id: {"sea": score} for id, score in zip(ids, scores, strict=True)})
    queue = library.teaching.review_queue(10)
    assert queue == [ids[2], ids[4], ids[1], ids[5], ids[0]], "nothing below 15 %"
    counts = library.teaching.count_open()
    assert (counts.left, counts.skipped) == (5, 0)
    library.edit_tags([ids[2]], ["sea"])
    library.edit_tags([ids[4]], skip=["sea"])
    assert library.teaching.review_queue(2) == [ids[1], ids[5]]
    counts = library.teaching.count_open()
    assert (counts.left, counts.skipped) == (3, 1)
    assert library.teaching.filter_open(ids) == [ids[0], ids[1], ids[5]]
    assert library.teaching.review_queue(1, skipped=True) == [ids[4]]
    library.delete([ids[1]])
    assert library.teaching.count_open().left == 2
    assert library.teaching.review_queue(5) == [ids[5], ids[0]]


def test_photos_nearest_to_a_threshold_are_put_farthest_first() -> None:
    east, north = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    near_east = np.array([0.99, 0.14], np.float32)
    vectors = {1: east, 2: near_east, 3: north, 4: east}
    closeness = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.0}
    assert review.order_questions(vectors, closeness) == [1, 3, 2, 4, 5]
    many = dict.fromkeys(range(1, 200), 1.0) | {300: 0.0}
    assert review.order_questions({}, many)[0] == 300


def test_a_question_lists_likely_tags_by_their_names(library: Library) -> None:
    (photo_id,) = add_photos(library, 1)
    library.edit_tags([photo_id], skip=["anything"])
    predict(library, "some", {photo_id: {"sea": 0.9, "sun": 0.3, "fog": 0.1, "rain": 0.7}})
    predict(library, "more", {photo_id: {"sea": 0.6, "boat": 0.55}})
    library.tags.rename("sun", "sunshine")
    library.tags.forbid("rain")
    question = library.teaching.load_question(photo_id)
    assert question is not None and question.photo.id == photo_id
    assert {name: score for name, score in question.scores.items() if name != "fog"} == {
        "sea": pytest.approx(0.6),
        "boat": pytest.approx(0.55),
        "sunshine": pytest.approx(0.3),
    }
    assert library.teaching.load_question(photo_id + 1) is None
