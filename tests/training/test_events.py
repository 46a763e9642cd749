"""What a training says about captions and words."""

from __future__ import annotations

from tagger.training.events import CaptionsLoaded, WordsTaught


def test_new_words_are_counted_and_frequent_ones_that_are_left_out_named() -> None:
    event = CaptionsLoaded(captions=300, tokens=6400, added=54, left_out=("кот", "стол"))
    assert event.lines() == [
        "Captions: 300 of training photos, 6,400 words and stems, 54 of them new",
        "2 frequent words left out, since a model knows words of a to z alone, and 7,000 at most:"
        " кот, стол",
    ]
    (line,) = CaptionsLoaded(captions=300, tokens=54, added=54).lines()
    assert line == "Captions: 300 of training photos, 54 words and stems"


def test_the_floor_is_that_of_validation_photos_of_training_photos_or_the_default() -> None:
    lines = [
        *WordsTaught(tokens=54, floor=4.123, photos=60, split="val").lines(),
        *WordsTaught(tokens=54, floor=2.46, photos=48, split="train").lines(),
        *WordsTaught(tokens=54, floor=4.5, photos=0, split="train").lines(),
    ]
    start = "Words: 54 words and stems; a photo counts as what is described from a likeness of"
    assert lines == [
        f"{start} 4.1 on, by the captions of 60 validation photos",
        f"{start} 2.5 on, by the captions of 48 training photos",
        f"{start} 4.5 on, by default: too few photos have captions",
    ]
