"""The layer that teaches words: photos and captions as unit vectors of one space, contrasted.

A caption is the sum of the vectors of its tokens, a photo a linear map of its pooled features.
Each photo has to find its captions among all in the batch, and each caption its photo (Radford et
al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
arXiv:2103.00020). Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from tagger.inference.words import STOP_WORDS, Words
from tagger.training.caption_batches import LENGTH, MAX_OWN, CaptionTokens

NAME = "word_space"
DIMENSIONS = 256
FEATURE_DROPOUT, TOKEN_DROPOUT = 0.5, 0.2
START_SCALE = 10.0  # of cosines, before the softmax
MAX_SCALE = 60.0
_NEVER = -1e9  # the similarity of what cannot be chosen
# Of fitting words to fixed features:
EPOCHS = 20
BATCH = 1024  # photos, each with one of its captions
LEARNING_RATE = 2e-3
CLASS_DISTANCE = 3.0
CAPTION_PART = 250  # captions whose words are embedded at once: 10 MB of vectors
MAX_CONTRASTED = 2_000  # validation photos that are compared with each other's captions
BACKGROUND = 512  # photos
MIN_BACKGROUND = 50  # validation photos with captions, fewer of which set no floor
FALSE_SHARE = 0.005  # of the photos that a description is not about; they reach the floor
DEFAULT_FLOOR = 4.0  # deviations, about that of `everyday`, where hardly any photo has a caption
FOLDS = 5  # of training photos that judge the floor where too few others have captions
MIN_CROSS_FITTED = 10  # training photos with captions, to do so
JUDGES = 250  # photos that are enough to do so
LISTED_SHARE = 0.75  # of the photos that a description is about; they reach such a floor
MIN_FLOOR = 0.5  # deviations; what half of the photos show is hardly above their median
MAX_MOMENTS = 20_000  # photos that moments of features are computed of


class WordSpace(keras.layers.Layer):  # type: ignore[misc]
    """Features `(B, F)` and captions `(B, K, LENGTH)` → scaled cosines `(B, B * K)`."""

    def __init__(self, tokens: int, feature_dropout: float, seed: int) -> None:
        super().__init__(name=NAME)
        self.tokens, self.feature_dropout = tokens, feature_dropout
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.initial_seed = seed

    def build(self, shapes: Any) -> None:
        rng = keras.random.SeedGenerator(self.initial_seed)
        features = shapes[0][-1]
        of_photos, of_words = (
            keras.initializers.RandomNormal(stddev=deviation, seed=rng)
            for deviation in (features**-0.5, 0.3 * DIMENSIONS**-0.5)
        )
        self.projection = self.add_weight((features, DIMENSIONS), of_photos, name="projection")
        self.photo_bias = self.add_weight((DIMENSIONS,), "zeros", name="photo_bias")
        self.vectors = self.add_weight((self.tokens + 1, DIMENSIONS), of_words, name="vectors")
        self.text_bias = self.add_weight((DIMENSIONS,), "zeros", name="text_bias")
        log_scale = keras.initializers.Constant(float(np.log(START_SCALE)))
        self.log_scale = self.add_weight((), log_scale, name="log_scale")

    def call(self, inputs: Any, training: bool = False) -> Any:
        features, captions = inputs
        present = ops.cast(captions > 0, "float32")
        if training:
            features = keras.random.dropout(
                features, self.feature_dropout, seed=self.seed_generator
            )
            noise = keras.random.uniform(ops.shape(present), seed=self.seed_generator)
            present = ops.where(noise < TOKEN_DROPOUT, 0.0, present)
        photos = _unit(ops.matmul(features, self.projection) + self.photo_bias)
        words = ops.take(self.vectors, captions, axis=0) * present[..., None]  # (B, K, LENGTH, D)
        texts = _unit(ops.sum(words, axis=2) + self.text_bias)
        texts = ops.reshape(texts, (-1, DIMENSIONS))
        scale = ops.exp(ops.minimum(self.log_scale, float(np.log(MAX_SCALE))))
        return scale * ops.matmul(photos, ops.transpose(texts))


def _unit(vectors: Any) -> Any:
    """Vectors of length 1; one of length 0, such as a caption without words, has no steep slope."""
    return vectors * ops.rsqrt(ops.sum(vectors * vectors, axis=-1, keepdims=True) + 1e-4)


def contrast_loss(relations: Any, similarity: Any) -> Any:
    """Losses `(B,)` of photos, by their similarity with captions `(B, M)` and `relations` to them.

    Those are as `CaptionTokens.relate` gives them. Photos without captions of their own lose
    nothing, and no caption can choose them.
    """
    own = ops.cast(relations > 0, "float32")
    described = ops.cast(ops.any(relations > 0, axis=1), "float32")  # (B,)
    similarity = ops.where(relations < 0, _NEVER, similarity)
    to_captions = ops.log_softmax(similarity, axis=1)
    candidates = ops.where(described[:, None] > 0, similarity, _NEVER)
    to_photos = ops.log_softmax(candidates, axis=0)
    of_photo = ops.sum((to_captions + to_photos) / 2 * own, axis=1)
    losses = -of_photo / ops.maximum(ops.sum(own, axis=1), 1.0)
    return losses * ops.cast(ops.size(described), "float32") / ops.maximum(ops.sum(described), 1.0)


@dataclass(eq=False)
class FeatureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of fixed features, each photo with one of its captions, anew every epoch.

    A batch is of photos before number `first_named`, or of the rest, whose captions are names:
    names are too easily separated from captions. Features are less `mean (F,)`, in units of
    `deviation (F,)`.
    """

    features: NDArray[np.float32]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    captions: CaptionTokens
    first_named: int
    seed: int
    epoch: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__init__()
        photos = np.unique(self.captions.owners)
        groups = np.split(photos, [np.searchsorted(photos, self.first_named)])
        self._groups = [group for group in groups if group.size]
        self._draw()

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        photos, chosen = self._batches[index], self._chosen[index][:, None]
        features = (self.features[photos] - self.mean) / self.deviation
        inputs = features, self.captions.rows[chosen]  # captions: (B, 1, LENGTH)
        return inputs, self.captions.relate(photos.tolist(), chosen)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng([self.seed, self.epoch])
        batches: list[NDArray[np.int64]] = []
        for group in self._groups:
            size = min(BATCH, len(group))
            full = len(group) // size * size
            batches += np.split(rng.permutation(group)[:full], full // size)
        self._batches = [batches[number] for number in rng.permutation(len(batches))]
        self._chosen = [
            np.array([rng.choice(self.captions.of(photo)) for photo in batch])
            for batch in self._batches
        ]


def fit_words(
    features: NDArray[np.float32],
    captions: CaptionTokens,
    first_named: int,
    seed: int,
    start: Words | None = None,
) -> list[NDArray[np.float32]]:
    """Weights of a WordSpace for `features (N, F)` and the captions of these photos.

    From photo `first_named` on the captions are names. `start` are words that are known already;
    the tokens of `captions` begin with theirs.
    """
    mean, deviation = _moments(features[_thin(np.unique(captions.owners))])
    inputs = keras.Input((features.shape[1],)), keras.Input((None, LENGTH), dtype="int32")
    layer = WordSpace(len(captions.tokens), FEATURE_DROPOUT, seed)
    model = keras.Model(inputs, layer(inputs))
    if start:
        _set_words(layer, start, mean, deviation)
    batches = FeatureBatches(features, mean, deviation, captions, first_named, seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 10,
        EPOCHS * len(batches),
        warmup_target=LEARNING_RATE,
        warmup_steps=20,
    )
    model.compile(keras.optimizers.Adam(schedule), contrast_loss, jit_compile=False)
    model.fit(batches, epochs=EPOCHS, shuffle=False, verbose=0)
    projection, photo_bias, *rest = (np.asarray(array) for array in layer.get_weights()[:5])
    projection = projection / deviation[:, None]
    return [projection, photo_bias - mean @ projection, *rest]


def _moments(
    features: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation `(F,)` of features, none of which is zero."""
    return features.mean(axis=0), features.std(axis=0) + 0.01


def _thin(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every nth of more than MAX_MOMENTS rows."""
    return rows[:: -(-len(rows) // MAX_MOMENTS) or 1]


def class_features(
    kernel: NDArray[np.float32], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features `(K, F)` that photos of each class of a linear head `(F, K)` are likely to have.

    A class lies in the direction of its weights times the covariance of features (linear
    discriminant analysis: Hastie et al., "The Elements of Statistical Learning", 2009, chapter
    4.3), CLASS_DISTANCE deviations from the mean of `features (N, F)`.
    """
    features = features[_thin(np.arange(len(features)))]
    mean, covariance = features.mean(axis=0), np.cov(features, rowvar=False)
    directions = covariance @ kernel  # (F, K)
    deviations = np.sqrt((kernel * directions).sum(axis=0))
    likely = mean + CLASS_DISTANCE * (directions / deviations).T
    return np.asarray(np.maximum(likely, 0), np.float32)  # as pooled ReLUs are


def _set_words(
    layer: WordSpace, words: Words, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> None:
    """Let the layer begin with `words`, for features that are scaled by mean and deviation."""
    projection = words.projection.astype(np.float32)
    vectors = np.array(layer.vectors)
    vectors[1 : 1 + len(words.tokens)] = words.vectors
    layer.projection.assign(projection * deviation[:, None])
    layer.photo_bias.assign(words.photo_bias + mean @ projection)
    layer.vectors.assign(vectors)
    layer.text_bias.assign(words.text_bias)


def caption_loss(space: WordSpace, features: NDArray[np.float32], captions: CaptionTokens) -> float:
    """The contrast of photos that have captions, by `features (N, F)`, with each other's.

    The first MAX_CONTRASTED photos take part.
    """
    photos, first = np.unique(captions.owners, return_index=True)
    photos, first = photos[:MAX_CONTRASTED], first[:MAX_CONTRASTED]
    losses = []
    for number in range(min(MAX_OWN, *np.bincount(captions.owners)[photos])):
        rows = captions.rows[first + number][:, None]  # a caption of each photo
        starts = range(0, len(rows), CAPTION_PART)
        parts = [space((features[photos], rows[start : start + CAPTION_PART])) for start in starts]
        similarity = ops.concatenate(parts, axis=1)
        relations = captions.relate(photos.tolist(), (first + number)[:, None])
        losses.append(float(np.mean(ops.convert_to_numpy(contrast_loss(relations, similarity)))))
    return float(np.mean(losses))


def make_words(
    space: Sequence[NDArray[np.float32]],
    tokens: tuple[str, ...],
    features: NDArray[np.float32],
    captions: CaptionTokens,
    seed: int,
) -> Words:
    """The words of a model from a WordSpace's weights.

    Validation photos, by their `features (N, F)` and `captions`, are the background, those with
    captions if there are enough. They set the floor: the likeness that FALSE_SHARE of the photos
    reach that a caption is not of.
    """
    rng = np.random.default_rng(seed)
    described = np.unique(captions.owners)
    usual = described if len(described) >= MIN_BACKGROUND else np.arange(len(features))
    words = build_words(space, tokens, features[rng.permutation(usual)[:BACKGROUND]])
    if len(described) < MIN_BACKGROUND:
        return words
    compared = np.sort(rng.permutation(described)[:MAX_CONTRASTED])
    photos = words.embed_photos(features[compared])
    foreign = []  # likeness of photos that a caption is not of
    for position, owner in enumerate(compared.tolist()):
        for row in captions.rows[captions.of(owner)[:MAX_OWN]]:
            scores = _likeness(words, row, photos)
            foreign.append(np.delete(scores, position).astype(np.float16))
    return replace(words, floor=float(np.quantile(np.concatenate(foreign), 1 - FALSE_SHARE)))


def fit_floor(
    features: NDArray[np.float32],
    captions: CaptionTokens,
    background: NDArray[np.float32],
    seed: int,
    start: Words | None = None,
) -> tuple[float, int]:
    """The floor of likeness by training photos, and their number; 0 for the default floor.

    It is for words that `make_words` has too few validation photos with captions for. The training
    photos, by their `features (N, F)` and `captions`, judge words that were fitted without them,
    a fold at a time, until JUDGES have. The floor is the likeness that FALSE_SHARE of the
    photos reach that lack a word of a caption, or if that is lower the one that LISTED_SHARE of the
    others reach: with few photos, the highest likenesses are those of a poor fit. `background
    (R, F)` are the features of the background.
    """
    described = np.unique(captions.owners)
    if len(described) < MIN_CROSS_FITTED:
        return DEFAULT_FLOOR, 0
    stop_words = [n for n, token in enumerate(captions.tokens, start=1) if token in STOP_WORDS]
    folds = np.array_split(np.random.default_rng(seed).permutation(described), FOLDS)
    right: list[NDArray[Any]] = []
    wrong: list[NDArray[Any]] = []
    judged = 0
    for fold in folds:
        rest, fold = np.setdiff1d(described, fold), np.sort(fold[:JUDGES])
        space = fit_words(features[rest], captions.take(rest), len(rest), seed, start)
        words = build_words(space, captions.tokens, background)
        photos = words.embed_photos(features[fold])
        of_fold = captions.take(fold)
        of_photos = [set(of_fold.rows[of_fold.of(photo)].ravel()) for photo in range(len(fold))]
        for row in of_fold.rows:
            of_caption = set(row[row > 0]).difference(stop_words)
            if not of_caption:
                continue
            is_right = np.array([of_caption <= of_photo for of_photo in of_photos])
            scores = _likeness(words, row, photos)
            right.append(scores[is_right])
            wrong.append(scores[~is_right])
        judged += len(fold)
        if judged >= JUDGES:
            break
    if not any(part.size for part in wrong):
        return DEFAULT_FLOOR, 0
    highest = float(np.quantile(np.concatenate(wrong), 1 - FALSE_SHARE))
    usual = float(np.quantile(np.concatenate(right), 1 - LISTED_SHARE))
    return max(min(highest, usual), MIN_FLOOR), judged


def build_words(
    space: Sequence[NDArray[np.float32]], tokens: tuple[str, ...], background: NDArray[np.float32]
) -> Words:
    """Words from a WordSpace's weights, compared with photos of the features `background (R, F)`.

    The floor is the default one.
    """
    projection, photo_bias, vectors, text_bias, _ = space
    words = Words(
        tokens,
        vectors[1:].astype(np.float16),
        text_bias,
        projection.astype(np.float16),
        photo_bias,
        np.zeros((1, DIMENSIONS), np.float16),
        DEFAULT_FLOOR,
    )
    return replace(words, background=words.embed_photos(background).astype(np.float16))


def _likeness(
    words: Words, caption: NDArray[np.int32], photos: NDArray[np.float32]
) -> NDArray[Any]:
    """How much `photos (N, D)` look like a caption `(LENGTH,)`."""
    text = words.embed_tokens(caption[caption > 0] - 1)
    return words.likeness(text, photos @ text)
