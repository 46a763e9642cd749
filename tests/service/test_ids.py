"""Names that are never given twice and come in order."""

import time
import uuid

from tagger.service.ids import uuid7


def test_they_are_uuids_of_version_seven_and_all_different() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert len(set(made)) == len(made) and {len(one) for one in made} == {32}
    for one in made[:100]:
        known = uuid.UUID(one)
        assert known.version == 7 and known.variant == uuid.RFC_4122


def test_a_later_one_sorts_after_an_earlier() -> None:
    before = uuid7()
    time.sleep(0.002)
    after = uuid7()
    assert before < after
    milliseconds = int(after[:12], 16)
    assert abs(milliseconds / 1000 - time.time()) < 5
