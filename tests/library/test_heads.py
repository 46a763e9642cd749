"""Heads: learnt from few examples in a space of drawn vectors, in which the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.inference.decision import unit_vectors
from tagger.library.teaching.heads import Background, Head, learn, score

DIMENSIONS = 48
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """Photos of a thing, of one that looks like it, and of others; `word` points to the thing."""

    thing: Vectors
    similar: Vectors
    ordinary: Vectors
    word: Vectors
    background: Background


def make_world(things: int = 60, ordinary: int = 2_000, seed: int = 0, length: float = 14) -> World:
    """Unit vectors: those of the thing share a direction, of which the similar ones have a part."""
    rng = np.random.default_rng(seed)
    scales = np.geomspace(3, 0.5, DIMENSIONS)  # photos differ by direction
    word = unit_vectors(rng.standard_normal((1, DIMENSIONS)))[0]
    apart = unit_vectors(rng.standard_normal((1, DIMENSIONS)))[0]

    def draw(count: int, *offsets: NDArray[np.float64]) -> Vectors:
        noise = rng.standard_normal((count, DIMENSIONS)) * scales
        return np.asarray(unit_vectors(noise + np.sum(offsets, axis=0)), np.float32)

    thing = draw(things, length * word)
    similar = draw(40, 8 * word, 8 * apart)
    rest = draw(ordinary, 0 * word)
    every = np.concatenate([thing, similar, rest])
    return World(thing, similar, rest, word.astype(np.float32), Background.of(every))


NONE = np.empty((0, DIMENSIONS), np.float32)


def teach(world: World, examples: int = 5, no: Vectors = NONE, word: Vectors | None = None) -> Head:
    return learn("thing", "space", world.background, world.thing[:examples], no, word)


def test_five_examples_find_the_other_photos() -> None:
    world = make_world()
    head = teach(world)
    rest = np.concatenate([world.thing[5:], world.ordinary])
    logits = head.logits(rest)
    assert (np.argsort(-logits)[:10] < 55).all()
    tagged = logits >= 0
    assert tagged[:55].mean() >= 0.9 and tagged[55:].mean() <= 0.002
    assert (head.examples, head.counterexamples) == (5, 0)
    assert 0 < head.examples_recognised <= 5


def test_scores_rise_with_logits_and_begin_at_a_half() -> None:
    assert score(0) == 0.5 and score(-1_000) > 0 and score(1_000) < 1.001
    assert score(-2) < score(-1) < score(1) < score(2)


def test_a_word_that_fits_the_examples_helps_and_another_does_no_harm() -> None:
    gains, losses = [], []
    for seed in range(8):
        world = make_world(seed=seed, length=5)
        rest = np.concatenate([world.thing[3:], world.ordinary])

        def first_right(word: Vectors | None, world: World = world, rest: Vectors = rest) -> float:
            logits = teach(world, 3, word=word).logits(rest)
            return float((np.argsort(-logits)[:30] < 57).mean())

        without = first_right(None)
        gains.append(first_right(world.word) - without)
        losses.append(first_right(-world.word) - without)
    assert np.mean(gains) > 0.15
    assert losses == pytest.approx([0] * 8)


def test_photos_that_are_not_of_it_push_away_those_that_look_like_them() -> None:
    before, after, kept = 0, 0, []
    for seed in range(6):
        world = make_world(seed=seed)
        head = teach(world, no=world.similar[:10])
        assert head.counterexamples == 10
        before += int((teach(world).logits(world.similar[10:]) >= 0).sum())
        after += int((head.logits(world.similar[10:]) >= 0).sum())
        kept.append(float((head.logits(world.thing[5:]) >= 0).mean()))
    assert after < before / 4
    assert np.mean(kept) >= 0.65


def test_the_threshold_rises_until_most_answers_above_it_are_right() -> None:
    """Photos that look like it in every way were called wrong: nothing tells them apart."""
    world = make_world()
    wrong = world.thing[40:50]
    head = teach(world, 5, no=wrong)
    assert head.counterexamples_mistaken <= 1
    assert (head.logits(world.thing[5:40]) >= 0).mean() < (
        teach(world).logits(world.thing[5:40]) >= 0
    ).mean()


def test_a_tag_that_much_of_the_library_has_is_recognised() -> None:
    world = make_world(things=400, ordinary=1_200)
    head = teach(world, 40)
    assert (head.logits(world.thing[40:]) >= 0).mean() >= 0.8
    assert (head.logits(world.ordinary) >= 0).mean() <= 0.005


def test_few_photos_alike_or_equal_are_no_error() -> None:
    same = np.repeat(np.eye(1, 4, dtype=np.float32), 6, axis=0)
    head = learn("thing", "space", Background.of(same), same[:2], same[:0])
    assert np.isfinite(head.logits(same)).all() and np.isfinite(head.bias)


def test_the_digest_is_of_the_answers_it_gives() -> None:
    world = make_world()
    head = teach(world)
    assert head.sha256 == teach(world).sha256
    assert len({head.sha256, teach(world, 6).sha256, teach(make_world(seed=1)).sha256}) == 3
