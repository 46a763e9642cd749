"""The library's main class: `Tagger.load("pets").tag("photo.jpg")` gives a `Prediction`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import check_workers, chunks, one_blas_thread, ordered_map
from tagger.errors import (
    ImageError,
    ModelChangedError,
    ModelError,
    NoWordsError,
    OptionError,
)
from tagger.images import decode, transforms
from tagger.images.decode import Pixels, Source
from tagger.inference import model_file
from tagger.inference.decision import Decision, Floats, Reason, check_threshold, join_decisions
from tagger.inference.embeddings import Embedding, embed
from tagger.inference.litert import Outputs, Runtime
from tagger.inference.registry import find_model, imagenet_model
from tagger.inference.words import Words
from tagger.labels import LabelSet
from tagger.text import escape_controls

CHUNK = 16  # photos decided together
HEATMAP_SIDE = 512  # pixels, about, of a heatmap's shorter side
HEATMAP_LONGER_SIDE = 2048  # at most
MAX_LABELS_LISTED = 20  # in an error message
POOLING_TOLERANCE = 0.05  # share of the features' length; int8 was off by up to 0.016
HEAD_WEIGHTS = "head/head/kernel"  # (D, C), the name Keras gives it
_CHANGED = "another model, or none, is there now; load it again"


@dataclass(frozen=True)
class Score:
    """A label with its calibrated probability, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one photo.

    label: the label, the best one of several tags, or None if the photo is unknown.
    confidence: calibrated probability in [0, 1] of `label`, or of the best guess if unknown.
    unknown: whether no label passed both tests of the decision rule.
    reason: why it is unknown: "unfamiliar" (unlike every training photo) or "uncertain" (no
        label reaches its threshold); None if it is not.
    ood_score: in [0, 1], the share of validation photos that are closer to the training photos
        than this one; higher is farther away. None for a model without reference photos.
    tags: the labels that passed, best first: at most one for a model with one label a photo.
    scores: the `top` labels with the highest probabilities, best first, passed or not.
    squares: how many squares of the photo were looked at: 1, or more of a panorama.
    """

    label: str | None
    confidence: float
    unknown: bool
    reason: Reason | None
    ood_score: float | None
    tags: tuple[Score, ...]
    scores: tuple[Score, ...]
    squares: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values; `squares` only of a panorama."""
        values = asdict(self)
        if self.squares == 1:
            del values["squares"]
        return values


class Tagger:
    """A loaded model that tags photos; several threads may use it at once.

    A photo is a path, the bytes of an encoded image, or RGB pixels `uint8 (H, W, 3)`.

        tagger = Tagger.load("pets")
        prediction = tagger.tag("photo.jpg")
        print(prediction.label, prediction.confidence)
    """

    def __init__(self, model: model_file.ModelFile) -> None:
        self._model = model
        self._runtime = Runtime(model.network)
        model_file.check_outputs(
            model,
            self._runtime.label_count,
            self._runtime.feature_count,
            self._runtime.image_size,
        )

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the model, and what was read from its file, but no interpreter."""
        return {name: value for name, value in vars(self).items() if name != "_runtime"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._runtime = Runtime(self._model.network)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> Tagger:
        """Load a model by name ("pets") or by the path of its `.h5` file.

        The default is the user's own model, `model/image_tagger.h5`, or else the bundled
        `everyday`. The model `imagenet` is converted at its first use, which takes some seconds;
        `say` gets a sentence before that. Raises ModelError for a model that is missing, broken
        or tampered with, WeightsUnavailableError if the weights of `imagenet` are neither cached
        nor downloadable.
        """
        path = find_model(model)
        if path.resolve() == imagenet_model().resolve():
            from tagger.models import imagenet

            return cls(imagenet.load(say))
        return cls(model_file.load(path))

    @property
    def labels(self) -> LabelSet:
        """The labels in the order of the outputs; their `kind` is "single" or "multi"."""
        return self._model.labels

    @property
    def name(self) -> str:
        """The model's name, such as "pets"."""
        return self._model.name

    @property
    def card(self) -> model_file.Card:
        """The model's card: training data, metrics, known weaknesses, thresholds, versions."""
        return self._model.card

    @property
    def path(self) -> Path:
        """The file that it was loaded from."""
        return self._model.path

    @property
    def sha256(self) -> str:
        """Digest of the model file as it was loaded."""
        return self._model.sha256

    def preload(self) -> None:
        """Read what is otherwise read from the file at first use, in case the file changes.

        That is the weights for heatmaps; Grad-CAM still reads the file later. Raises
        ModelChangedError, or ModelError if they are damaged.
        """
        _ = self._head

    @property
    def image_size(self) -> int:
        """The side, in pixels, of the square that the network takes."""
        return self._runtime.image_size

    def threshold(self, label: str) -> float:
        """The probability in [0, 1] that a label needs. Raises OptionError for an unknown label."""
        return self._model.rule.thresholds[self._index(label)]

    @property
    def judges_familiarity(self) -> bool:
        """Whether the reason can be "unfamiliar": False for a model without reference photos."""
        return self._model.rule.reference is not None

    def tag(
        self, photo: Source, *, top: int | None = 5, threshold: float | None = None
    ) -> Prediction:
        """Tag one photo: a path, encoded bytes, or RGB pixels `uint8 (H, W, 3)`.

        `top` is the number of `Prediction.scores`, None for all labels. `threshold` in [0, 1]
        replaces the fitted threshold of every label. Raises ImageError for a photo that cannot be
        read or for which the network gives no finite numbers, OptionError for an option out of
        range.
        """
        _check_options(top, threshold)
        return self._predict([self._run_squares(photo)], top, threshold)[0]

    def tag_many(
        self,
        photos: Iterable[Source],
        *,
        top: int | None = 5,
        threshold: float | None = None,
        workers: int | None = None,
    ) -> Iterator[Prediction | ImageError]:
        """Tag a stream of photos on `workers` threads, by default one for each core.

        Yields, in the order of `photos`, a prediction for each, or its ImageError if it cannot be
        read. Photos are taken from the iterable as needed; memory holds a few at a time. Options
        are those of `tag`; raises OptionError at once for one out of range.
        """
        _check_options(top, threshold)
        if workers is not None:
            check_workers(workers)

        def tag_chunk(chunk: list[Source]) -> list[Prediction | ImageError]:
            outputs = [self._run_or_error(photo) for photo in chunk]
            readable = [output for output in outputs if not isinstance(output, ImageError)]
            predictions = iter(self._predict(readable, top, threshold))
            return [o if isinstance(o, ImageError) else next(predictions) for o in outputs]

        results = ordered_map(tag_chunk, chunks(photos, CHUNK), workers)
        return (result for chunk in results for result in chunk)

    @property
    def words(self) -> Words | None:
        """What the model knows of words; None if it does not understand descriptions."""
        return self._model.words

    @cached_property
    def space(self) -> str:
        """Digest of the space of `embed` and `tag_with_embeddings`: vectors of two never mix."""
        return self._model.space or self.sha256

    def embed(self, photo: Source) -> Embedding:
        """A photo as a unit vector, float32 `(D,)`, in the space of `embed_text`.

        Raises NoWordsError for a model that does not understand descriptions, ImageError for a
        photo that cannot be read.
        """
        words = self._require_words()
        embedding: Embedding = words.embed_photos(self._run(photo).features[None])[0]
        return embedding

    def embed_text(self, text: str) -> Embedding:
        """A description as a unit vector, float32 `(D,)`: its dot product ranks photos.

        Words that the model does not know are passed over: see `unknown_words`. Raises
        NoWordsError, and DescriptionError for a text that is empty, too long, or has no word that
        the model knows.
        """
        return self._require_words().describe(text).vector

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a description that `embed_text` passes over. Raises as it does."""
        return self._require_words().describe(text).unknown_words

    def tag_with_embeddings(
        self, photos: Sequence[Source], *, top: int | None = 5
    ) -> list[tuple[Prediction, Embedding]]:
        """Tag a few photos and embed each as a unit vector, float32 `(D,)`, in one pass.

        The vector is that of `embed`. Of a model without words it tells only how alike two photos
        look; see `tagger.inference.embeddings`. Raises ImageError for a photo that cannot be read.
        """
        _check_options(top, None)
        outputs = [self._run_squares(photo) for photo in photos]
        if not outputs:
            return []
        with one_blas_thread():
            features = np.stack([squares[len(squares) // 2].features for squares in outputs])
            if self.words is not None:
                embeddings = self.words.embed_photos(features)
            else:
                embeddings = embed(features, self._model.rule.reference)
        return list(zip(self._predict(outputs, top, None), embeddings, strict=True))

    def heatmap(self, photo: Source, label: str | None = None) -> Pixels:
        """The photo, overlaid with a heatmap of where a label's score comes from.

        The default label is the likeliest one; of a panorama, the square is painted for which the
        label is likeliest. Returns RGB `uint8 (H, W, 3)` with a shorter side of about HEATMAP_SIDE
        pixels and a longer one of HEATMAP_LONGER_SIDE at most. Raises OptionError for an unknown
        label, ImageError for a photo that cannot be read, ModelChangedError if the model file has
        been replaced since it was loaded.
        """
        if label is not None:
            self._index(label)
        squares = self._prepare_squares(photo)
        number = 0
        if len(squares) > 1:
            outputs = [self._run_pixels(square, photo) for square in squares]
            logits = np.stack([output.logits for output in outputs])  # (N, C)
            column = int(logits.max(axis=0).argmax()) if label is None else self._index(label)
            number, label = int(logits[:, column].argmax()), self.labels.names[column]
        heat = self.activation_map(squares[number], label)
        rgb = decode.read(photo, HEATMAP_SIDE, HEATMAP_LONGER_SIDE)
        rgb = transforms.thumbnail(rgb, HEATMAP_LONGER_SIDE)
        return transforms.overlay(rgb, heat, square=(number, len(squares)))

    def activation_map(self, pixels: Pixels, label: str | None = None) -> NDArray[np.float32]:
        """Where a label's score comes from: `(h, w)` in [0, 1] for prepared `pixels (S, S, 3)`.

        If the features are the mean or maximum of the feature map, this is the map times the
        label's weights in the head, without negative values (class activation map: Zhou et al.,
        "Learning Deep Features for Discriminative Localization", 2016, arXiv:1512.04150). For such
        networks Grad-CAM gives the same; for others it is Grad-CAM. Raises as `heatmap` does.
        """
        outputs = self._run_pixels(pixels, "photo", feature_map=True)
        index = int(outputs.logits.argmax()) if label is None else self._index(label)
        feature_map = np.asarray(outputs.feature_map)  # (h, w, D)
        if _is_pooled(outputs.features, feature_map):
            activation = np.maximum(feature_map @ self._head[:, index], 0)  # (h, w)
        else:
            from tagger.models import gradcam

            activation = gradcam.grad_cam(self._network, pixels, index)
        return np.asarray(activation / max(float(activation.max()), 1e-12), np.float32)

    def _require_words(self) -> Words:
        if self.words is None:
            raise NoWordsError(f"{self.name}: this model does not understand descriptions")
        return self.words

    @cached_property
    def _head(self) -> NDArray[np.float32]:
        """The head's weights (D, C), read from the model file. Raises ModelError."""
        self._check_file()
        head = model_file.read_arrays(self._model.path).get(HEAD_WEIGHTS)
        shape = (self._runtime.feature_count, len(self.labels))
        if head is None or head.shape != shape or not np.isfinite(head).all():
            raise ModelError(
                f"{self._model.path}: its Keras array {HEAD_WEIGHTS} is missing or damaged"
            )
        return np.asarray(head, np.float32)

    @cached_property
    def _network(self) -> Any:
        """The Keras network, rebuilt from the model file."""

        from tagger.models.weights import rebuild

        self._check_file()
        return rebuild(self._model)

    def _check_file(self) -> None:
        """Raise ModelChangedError unless the file still holds the loaded model."""
        try:
            is_same = model_file.digest_file(self._model.path) == self.sha256
        except ModelError as error:
            raise ModelChangedError(f"{self._model.path.name}: {_CHANGED}") from error
        if not is_same:
            raise ModelChangedError(f"{self._model.path.name}: {_CHANGED}")

    def _index(self, label: str) -> int:
        if label not in self.labels.names:
            names = ", ".join(self.labels.names[:MAX_LABELS_LISTED])
            more = len(self.labels) - MAX_LABELS_LISTED
            rest = f" and {more:,} more" if more > 0 else ""
            raise OptionError(f"label {label!r}: the model has {names}{rest}")
        return self.labels.names.index(label)

    def _run(self, photo: Source) -> Outputs:
        return self._run_pixels(transforms.prepare(photo, self._runtime.image_size), photo)

    def _run_pixels(self, pixels: Pixels, photo: Source, feature_map: bool = False) -> Outputs:
        """The network's outputs. Raises ImageError if they are of no use for this photo."""
        try:
            outputs = self._runtime.run(pixels, feature_map)
        except ModelError as error:
            raise ImageError(_name_photo(photo), f"the model {self.name} fails: {error}") from error
        if not outputs.finite:
            reason = f"the model {self.name} gives numbers for it that are not finite"
            raise ImageError(_name_photo(photo), reason)
        return outputs

    def _run_squares(self, photo: Source) -> list[Outputs]:
        return [self._run_pixels(square, photo) for square in self._prepare_squares(photo)]

    def _prepare_squares(self, photo: Source) -> list[Pixels]:
        """The squares of a photo that tagging looks at; the middle one is the centre."""
        size = self._runtime.image_size
        row = transforms.prepare_squares(photo, size)
        return [
            np.ascontiguousarray(row[:, left : left + size])
            for left in range(0, row.shape[1], size)
        ]

    def _run_or_error(self, photo: Source) -> list[Outputs] | ImageError:
        try:
            return self._run_squares(photo)
        except ImageError as error:
            return error

    def _predict(
        self, photos: Sequence[list[Outputs]], top: int | None, threshold: float | None
    ) -> list[Prediction]:
        """A prediction for each photo, of whose squares these are the outputs."""
        if not photos:
            return []
        outputs = [output for squares in photos for output in squares]
        logits = np.stack([output.logits for output in outputs])
        features = np.stack([output.features for output in outputs])
        with one_blas_thread():
            decisions = iter(self._model.rule.decide(logits, features, threshold))
        return [self._prediction([next(decisions) for _ in squares], top) for squares in photos]

    def _prediction(self, decisions: list[Decision], top: int | None) -> Prediction:
        decision = join_decisions(decisions, self.labels.kind)
        probabilities = decision.probabilities
        order = np.argsort(-probabilities, kind="stable")[:top].tolist()
        label = decision.tags[0] if decision.tags else None
        best = decision.best if label is None else label
        return Prediction(
            label=None if label is None else self.labels.names[label],
            confidence=float(probabilities[best]),
            unknown=label is None,
            reason=decision.reason,
            ood_score=decision.ood_score,
            tags=self._scores(decision.tags, probabilities),
            scores=self._scores(order, probabilities),
            squares=len(decisions),
        )

    def _scores(self, indices: Iterable[int], probabilities: Floats) -> tuple[Score, ...]:
        return tuple(Score(self.labels.names[i], float(probabilities[i])) for i in indices)


def _is_pooled(features: Floats, feature_map: Floats) -> bool:
    """Whether `features (D,)` are the mean or the maximum of `feature_map (h, w, D)`."""
    poolings = (feature_map.mean(axis=(0, 1)), feature_map.max(axis=(0, 1)))
    tolerance = POOLING_TOLERANCE * float(np.linalg.norm(features))
    return any(
        pooled.shape == features.shape and float(np.linalg.norm(pooled - features)) <= tolerance
        for pooled in poolings
    )


def _name_photo(photo: Source) -> str:
    """As `decode` names photos in errors."""
    return escape_controls(os.fsdecode(photo)) if isinstance(photo, str | os.PathLike) else "photo"


def _check_options(top: int | None, threshold: float | None) -> None:
    if threshold is not None:
        check_threshold(threshold)
    if top is not None and top < 1:
        raise OptionError(f"top {top}: give 1 or more, or None for every label")
