"""`Tagger.load("pets").tag("photo.jpg")`: one photo, or a stream of them, to predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import check_workers, chunks, one_blas_thread, ordered_map
from tagger.errors import ImageError, ModelChangedError, ModelError, OptionError
from tagger.images import decode, transforms
from tagger.images.decode import Pixels, Source
from tagger.inference import model_file
from tagger.inference.decision import Decision, Floats, Reason, check_threshold
from tagger.inference.embeddings import Embedding, embed
from tagger.inference.litert import Outputs, Runtime
from tagger.inference.registry import find_model, imagenet_model
from tagger.labels import LabelSet

CHUNK = 16  # photos decided together
HEATMAP_SIDE = 512  # pixels, about, of a heatmap's shorter side
LABELS_TOLD = 20  # of a model's, where none has a name
SAME_POOLING = 0.05  # of the features' length, which int8 may differ by: 0.016 was seen
_ANOTHER = "another model, or none, is there now; load it again"
HEAD_WEIGHTS = "head/head/kernel"  # (D, C), as Keras names it


@dataclass(frozen=True)
class Score:
    """A label with its calibrated probability, in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one photo.

    `label` is None when unknown, and `reason` then says why: "unfamiliar" (unlike every training
    photo) or "uncertain" (between labels). `confidence` in [0, 1] is the probability of the
    label, or of the best guess. `ood_score` in [0, 1], higher is stranger, is the share of
    validation photos less strange than this one; None for a model that cannot tell. `tags` are
    the labels decided, `scores` the likeliest K, both best first.
    """

    label: str | None
    confidence: float
    unknown: bool
    reason: Reason | None
    ood_score: float | None
    tags: tuple[Score, ...]
    scores: tuple[Score, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Tagger:
    """A model ready to tag. Safe to use from several threads at once."""

    def __init__(self, model: model_file.ModelFile) -> None:
        self._model = model
        self._runtime = Runtime(model.network)
        model_file.check_outputs(model, self._runtime.label_count, self._runtime.feature_count)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> Tagger:
        """By name ("pets") or file; by default the user's own model, else the bundled one.

        `imagenet` is made at its first use, which takes a while: `say` then gets a sentence.
        Raises ModelError for one that is missing, broken or tampered with, and
        WeightsUnavailableError where `imagenet` cannot be made.
        """
        path = find_model(model)
        if path.resolve() == imagenet_model().resolve():
            from tagger.models import imagenet

            return cls(imagenet.load(say))
        return cls(model_file.load(path))

    @property
    def labels(self) -> LabelSet:
        """The labels it knows."""
        return self._model.labels

    @property
    def name(self) -> str:
        """The model's name: "pets"."""
        return self._model.name

    @property
    def card(self) -> model_file.Card:
        """What it was trained on, how it scores, where it fails."""
        return self._model.card

    @cached_property
    def sha256(self) -> str:
        """Of the model file. Raises ModelError where another model is there by now."""
        with self._expected_file(), open(self._model.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._check_file()
        return digest

    def preload(self) -> None:
        """Read now what would be read at its first use, in case the file changes meanwhile.

        That is `sha256`, and what heatmaps take; Grad-CAM alone reads the file later.
        """
        _ = self.sha256, self._head

    @property
    def image_size(self) -> int:
        """The side, in pixels, of the square that the network sees."""
        return self._runtime.image_size

    def threshold(self, label: str) -> float:
        """The probability, in [0, 1], that a label needs. Raises OptionError for no label of it."""
        return self._model.rule.thresholds[self._index(label)]

    @property
    def judges_familiarity(self) -> bool:
        """Whether it can say "unfamiliar"; without a reference it can only be uncertain."""
        return self._model.rule.reference is not None

    def tag(
        self, photo: Source, *, top: int | None = 5, threshold: float | None = None
    ) -> Prediction:
        """Tag one photo: a path, encoded bytes, or RGB pixels `uint8 (H, W, 3)`.

        `top` is the number of `scores` (None: all); `threshold` in [0, 1] replaces the fitted
        ones. Raises ImageError for a photo that cannot be read.
        """
        _check(top, threshold)
        return self._predictions([self._run(photo)], top, threshold)[0]

    def tag_many(
        self,
        photos: Iterable[Source],
        *,
        top: int | None = 5,
        threshold: float | None = None,
        workers: int | None = None,
    ) -> Iterator[Prediction | ImageError]:
        """Tag photos on every core, in order: each a prediction, or the error for that photo.

        Photos are taken from the iterable as they are needed; memory holds a few at a time.
        """
        _check(top, threshold)
        if workers is not None:
            check_workers(workers)

        def work(chunk: list[Source]) -> list[Prediction | ImageError]:
            outputs = [self._run_or_error(photo) for photo in chunk]
            read = [o for o in outputs if isinstance(o, Outputs)]
            predictions = iter(self._predictions(read, top, threshold))
            return [next(predictions) if isinstance(o, Outputs) else o for o in outputs]

        answers = ordered_map(work, chunks(photos, CHUNK), workers)
        return (answer for chunk in answers for answer in chunk)

    def tag_with_embeddings(
        self, photos: Sequence[Source], *, top: int | None = 5
    ) -> list[tuple[Prediction, Embedding]]:
        """A few photos at once, each with a short vector that is like that of similar photos.

        See `tagger.embeddings`. Raises ImageError for a photo that cannot be read.
        """
        _check(top, None)
        outputs = [self._run(photo) for photo in photos]
        if not outputs:
            return []
        with one_blas_thread():
            features = np.stack([output.features for output in outputs])
            embeddings = embed(features, self._model.rule.reference)
        return list(zip(self._predictions(outputs, top, None), embeddings, strict=True))

    def heatmap(self, photo: Source, label: str | None = None) -> Pixels:
        """The photo with what speaks for a label (by default the likeliest) painted on it.

        RGB `uint8 (H, W, 3)`. Raises OptionError for a label the model does not have, ImageError
        for a photo that cannot be read.
        """
        if label is not None:
            self._index(label)
        pixels = transforms.prepare(photo, self._runtime.image_size)
        rgb = decode.read(photo, shorter_side=HEATMAP_SIDE)
        return transforms.overlay(rgb, self.activation_map(pixels, label))

    def activation_map(self, pixels: Pixels, label: str | None = None) -> NDArray[np.float32]:
        """`(h, w)` in [0, 1] for prepared `pixels (S, S, 3)`: where a label's evidence lies.

        Of several labels a photo may have, each has its own. Where the features are the mean or
        the maximum of the feature map, that is the map times the label's weights in the head,
        negative evidence left out (Zhou et al., "Learning Deep Features for Discriminative
        Localization", 2016, arXiv:1512.04150), which Grad-CAM equals there: the gradients of
        either, summed over the map, are those weights. Of other networks it is Grad-CAM (see
        `tagger.gradcam`).
        """
        outputs = self._runtime.run(pixels, feature_map=True)
        index = int(outputs.logits.argmax()) if label is None else self._index(label)
        feature_map = np.asarray(outputs.feature_map)  # (h, w, D)
        if _is_pooled(outputs.features, feature_map):
            evidence = np.maximum(feature_map @ self._head[:, index], 0)  # (h, w)
        else:
            from tagger.models import gradcam

            evidence = gradcam.grad_cam(self._network, pixels, index)
        return np.asarray(evidence / max(float(evidence.max()), 1e-12), np.float32)

    @cached_property
    def _head(self) -> NDArray[np.float32]:
        """The head's weights (D, C), from the file this model was loaded from."""
        self._check_file()
        return np.asarray(model_file.read_arrays(self._model.path)[HEAD_WEIGHTS], np.float32)

    @cached_property
    def _network(self) -> Any:
        """The Keras network, rebuilt from the file this model was loaded from."""

        from tagger.models.weights import rebuild

        self._check_file()
        return rebuild(self._model)

    def _check_file(self) -> None:
        with self._expected_file():
            now = model_file.load(self._model.path).card["digests"]
        if now != self.card["digests"]:
            raise ModelChangedError(f"{self._model.path.name}: {_ANOTHER}")

    @contextmanager
    def _expected_file(self) -> Iterator[None]:
        """Without the file it was loaded from, a ModelChangedError that tells no folder."""
        try:
            yield
        except (ModelError, OSError) as error:
            raise ModelChangedError(f"{self._model.path.name}: {_ANOTHER}") from error

    def _index(self, label: str) -> int:
        if label not in self.labels.names:
            told = ", ".join(self.labels.names[:LABELS_TOLD])
            more = len(self.labels) - LABELS_TOLD
            more_told = f" and {more:,} more" if more > 0 else ""
            raise OptionError(f"label {label!r}: the model has {told}{more_told}")
        return self.labels.names.index(label)

    def _run(self, photo: Source) -> Outputs:
        return self._runtime.run(transforms.prepare(photo, self._runtime.image_size))

    def _run_or_error(self, photo: Source) -> Outputs | ImageError:
        try:
            return self._run(photo)
        except ImageError as error:
            return error

    def _predictions(
        self, outputs: list[Outputs], top: int | None, threshold: float | None
    ) -> list[Prediction]:
        if not outputs:
            return []
        logits = np.stack([output.logits for output in outputs])
        features = np.stack([output.features for output in outputs])
        with one_blas_thread():
            decisions = self._model.rule.decide(logits, features, threshold)
        return [self._prediction(decision, top) for decision in decisions]

    def _prediction(self, decision: Decision, top: int | None) -> Prediction:
        probabilities = decision.probabilities
        order = np.argsort(-probabilities, kind="stable")[:top].tolist()
        decided = decision.tags[0] if decision.tags else None
        shown = decision.best if decided is None else decided
        return Prediction(
            label=None if decided is None else self.labels.names[decided],
            confidence=float(probabilities[shown]),
            unknown=decided is None,
            reason=decision.reason,
            ood_score=decision.ood_score,
            tags=self._scores(decision.tags, probabilities),
            scores=self._scores(order, probabilities),
        )

    def _scores(self, indices: Iterable[int], probabilities: Floats) -> tuple[Score, ...]:
        return tuple(Score(self.labels.names[i], float(probabilities[i])) for i in indices)


def _is_pooled(features: Floats, feature_map: Floats) -> bool:
    """Whether `features (D,)` are the mean or the maximum of `feature_map (h, w, D)`."""
    pooled = (feature_map.mean(axis=(0, 1)), feature_map.max(axis=(0, 1)))
    allowed = SAME_POOLING * float(np.linalg.norm(features))
    return any(
        one.shape == features.shape and float(np.linalg.norm(one - features)) <= allowed
        for one in pooled
    )


def _check(top: int | None, threshold: float | None) -> None:
    if threshold is not None:
        check_threshold(threshold)
    if top is not None and top < 1:
        raise OptionError(f"top {top}: give 1 or more, or None for every label")
