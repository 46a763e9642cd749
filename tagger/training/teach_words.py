"""What captions teach: the first words of a fine-tuning, and the words of the network that ships.

Words are fitted when a function here runs, which imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.datasets.sample import Sample
from tagger.evaluation.outputs import LabelledOutputs
from tagger.images.decode import Pixels
from tagger.inference.litert import Runtime
from tagger.inference.words import Words
from tagger.models import imagenet
from tagger.training.augmentation import VIEWS
from tagger.training.caption_batches import (
    MIN_CAPTIONS,
    CaptionTokens,
    choose_tokens,
    tokenize_captions,
)
from tagger.training.collection_captions import CollectionCaptions
from tagger.training.evaluate import Evaluator
from tagger.training.events import WordsTaught

if TYPE_CHECKING:
    from tagger.training.fine_tune import HeadWeights

CLASS_REPEATS = MIN_CAPTIONS  # so often a class of the teacher takes part in learning words


@dataclass(frozen=True, eq=False)
class FirstOutputs:
    """What the network that fine-tuning starts with gives for training photos.

    `answers (N, K)` are the teacher's probabilities for all of them, None without a teacher;
    `features` those of the photos with captions.
    """

    answers: NDArray[np.float16] | None
    features: NDArray[np.float32]


def run_first_network(
    runtime: Runtime,
    evaluator: Evaluator,
    samples: Sequence[Sample],
    described: Sequence[int],
    teacher_head: HeadWeights | None,
) -> FirstOutputs:
    """The outputs for training `samples`, in one pass: of all with a teacher, else `described`."""
    photos = np.arange(len(samples)) if teacher_head else np.asarray(described, np.int64)
    classes = teacher_head[0].shape[1] if teacher_head else 0
    answers = np.empty((len(photos), classes), np.float16)
    features = np.empty((len(described), runtime.feature_count), np.float32)
    chosen, stage = [samples[photo] for photo in photos], "Looking at photos"
    for rows, part in evaluator.run_in_parts(runtime, chosen, stage):
        if teacher_head:
            answers[rows] = imagenet.class_probabilities(part, teacher_head)
        is_described = np.isin(photos[rows], described)
        features[np.searchsorted(described, photos[rows[is_described]])] = part[is_described]
    return FirstOutputs(answers if teacher_head else None, features)


def teach_words(
    runtime: Runtime,
    evaluator: Evaluator,
    training: Sequence[Sample],
    captions: CollectionCaptions,
    start: Words | None,
    validation: tuple[Sequence[Sample], LabelledOutputs],
    teacher_head: HeadWeights | None,
) -> tuple[Words, WordsTaught]:
    """The words of a model, fitted to the features of the network that ships.

    They are taught by the captions of `training` photos, those of variants of these photos, names
    of labels, and with a teacher those of its classes. `start` are words that are known already.
    """
    from tagger.training.word_space import MIN_BACKGROUND, fit_floor, fit_words, make_words

    seed = evaluator.config.hyperparameters.seed
    photos, texts = captions.with_names(seed)
    count = len(captions.described)
    samples = [training[photo] for photo in photos]
    features = _compute_features(runtime, evaluator, samples, count, teacher_head)
    taught = _tokenize(texts, count, captions.train.tokens, bool(teacher_head))
    space = fit_words(features, taught, 2 * count, seed, start)
    described = features[:count]
    of_val = tokenize_captions(
        [captions.by_photo.get(sample.path, ()) for sample in validation[0]], taught.tokens
    )
    judged, background = len(np.unique(of_val.owners)), validation[1].features
    has_few = judged < MIN_BACKGROUND
    if has_few and len(background) < MIN_BACKGROUND:
        background = np.concatenate([background, described])
    words = make_words(space, taught.tokens, background, of_val, seed)
    if has_few:
        own = taught.take(np.arange(count))
        floor, judged = fit_floor(described, own, background, seed, start)
        words = replace(words, floor=floor)
    split = "train" if has_few else "val"
    return words, WordsTaught(len(words.tokens), words.floor, judged, split)


def _compute_features(
    runtime: Runtime,
    evaluator: Evaluator,
    samples: Sequence[Sample],
    described: int,
    teacher_head: HeadWeights | None,
) -> NDArray[np.float32]:
    """Features to fit words to, in one array: they are the most that training holds.

    First come the `described` photos, then a variant of each, then the other `samples`, and then
    CLASS_REPEATS times the classes of a teacher.
    """
    from tagger.training.word_space import class_features

    seed = evaluator.config.hyperparameters.seed

    def draw_view(pixels: Pixels, number: int) -> Pixels:
        """A variant of a photo, which its captions still describe."""
        return VIEWS(pixels, np.random.default_rng([seed, number]))

    photos = described + len(samples)
    classes = teacher_head[0].shape[1] if teacher_head else 0
    features = np.empty((photos + CLASS_REPEATS * classes, runtime.feature_count), np.float32)
    stage = "Teaching words"
    for rows, part in evaluator.run_in_parts(runtime, samples, stage):
        features[np.where(rows < described, rows, rows + described)] = part
    for rows, part in evaluator.run_in_parts(runtime, samples[:described], stage, draw_view):
        features[described + rows] = part
    if teacher_head:
        of_classes = class_features(teacher_head[0], features[:photos])
        features[photos:] = np.tile(of_classes, (CLASS_REPEATS, 1))
    return features


def _tokenize(
    texts: Sequence[tuple[str, ...]], described: int, first: tuple[str, ...], has_teacher: bool
) -> CaptionTokens:
    """The captions of the photos and classes that `_compute_features` gives, in the same order."""
    own, names = texts[:described], list(texts[described:])
    if has_teacher:
        names += [(name,) for name in imagenet.load_names()] * CLASS_REPEATS
    tokens = choose_tokens(chain.from_iterable([*own, *names]), first)
    return tokenize_captions([*own, *own, *names], tokens)
