"""Out-of-distribution scores from the literature, on features and logits; higher is further out.

Each class is fitted on training features `(N, D)`, logits `(N, C)` and labels `(N,)`, and scores
`(M, D)` and `(M, C)` to `(M,)`. `bench/ood_study.py` compares them; the one that ships is
`tagger.inference.decision.Reference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Fit:
    """Training photos and the head, for a method to fit."""

    features: Floats  # (N, D)
    logits: Floats  # (N, C)
    labels: NDArray[np.int64]  # (N,)
    weights: Floats  # (D, C), of the head
    bias: Floats  # (C,)


class Method(Protocol):
    """One score; `paper` is where it was proposed."""

    paper: str

    def fit(self, data: Fit) -> None: ...

    def score(self, features: Floats, logits: Floats) -> Floats: ...


class MaxSoftmax:
    paper = "Hendrycks & Gimpel 2017, arXiv:1610.02136"

    def fit(self, data: Fit) -> None:
        """Nothing to fit."""

    def score(self, features: Floats, logits: Floats) -> Floats:
        return -softmax(logits, axis=1).max(axis=1)


class MaxLogit:
    paper = "Hendrycks et al. 2022, arXiv:1911.11132"

    def fit(self, data: Fit) -> None:
        """Nothing to fit."""

    def score(self, features: Floats, logits: Floats) -> Floats:
        return -logits.max(axis=1)


class Energy:
    paper = "Liu et al. 2020, arXiv:2010.03759"

    def fit(self, data: Fit) -> None:
        """Nothing to fit."""

    def score(self, features: Floats, logits: Floats) -> Floats:
        return -logsumexp(logits, axis=1)


class Gen:
    """Generalised entropy, gamma 0.1 as in the paper, over all classes."""

    paper = "Liu et al. 2023, CVPR, GEN"

    def fit(self, data: Fit) -> None:
        """Nothing to fit."""

    def score(self, features: Floats, logits: Floats) -> Floats:
        p = softmax(logits.astype(np.float64), axis=1)
        return ((p * (1 - p)) ** 0.1).sum(axis=1)


class Mahalanobis:
    """Distance to the nearest class mean under one shared covariance (Ledoit-Wolf)."""

    paper = "Lee et al. 2018, arXiv:1807.03888"

    def fit(self, data: Fit) -> None:
        classes = np.unique(data.labels)
        self.means = np.stack([data.features[data.labels == c].mean(axis=0) for c in classes])
        centred = data.features - self.means[np.searchsorted(classes, data.labels)]
        self.precision = LedoitWolf(assume_centered=True).fit(centred).precision_

    def score(self, features: Floats, logits: Floats) -> Floats:
        return np.min([_quadratic(features - mean, self.precision) for mean in self.means], axis=0)


class RelativeMahalanobis(Mahalanobis):
    """Mahalanobis less the distance under one Gaussian for everything."""

    paper = "Ren et al. 2021, arXiv:2106.09022"

    def fit(self, data: Fit) -> None:
        super().fit(data)
        whole = LedoitWolf().fit(data.features)
        self.mean, self.whole_precision = whole.location_, whole.precision_

    def score(self, features: Floats, logits: Floats) -> Floats:
        background = _quadratic(features - self.mean, self.whole_precision)
        return super().score(features, logits) - background


@dataclass
class NearestNeighbour:
    """Cosine distance to the k-th nearest training features."""

    k: int = 1
    paper = "Sun et al. 2022, arXiv:2204.06507"

    def fit(self, data: Fit) -> None:
        self.reference = _unit(data.features)

    def score(self, features: Floats, logits: Floats) -> Floats:
        similar = _unit(features) @ self.reference.T
        return 1 - np.partition(similar, -self.k, axis=1)[:, -self.k]


class Residual:
    """Length of the features outside the principal space of the training features."""

    paper = "Wang et al. 2022, arXiv:2203.10807 (the residual alone)"
    dimensions = 0.5  # of D

    def fit(self, data: Fit) -> None:
        self.origin = -np.linalg.pinv(data.weights.T) @ data.bias
        centred = data.features - self.origin
        _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        self.outside = vectors[:, : int(data.features.shape[1] * (1 - self.dimensions))]

    def score(self, features: Floats, logits: Floats) -> Floats:
        return np.linalg.norm((features - self.origin) @ self.outside, axis=1)


class Vim(Residual):
    """The residual as one more logit."""

    paper = "Wang et al. 2022, arXiv:2203.10807"

    def fit(self, data: Fit) -> None:
        super().fit(data)
        residual = super().score(data.features, data.logits)
        self.alpha = data.logits.max(axis=1).mean() / residual.mean()

    def score(self, features: Floats, logits: Floats) -> Floats:
        return self.alpha * super().score(features, logits) - logsumexp(logits, axis=1)


class Fdbd:
    """Distance to the decision boundaries over distance to the training mean."""

    paper = "Liu & Qin 2024, arXiv:2312.11536"

    def fit(self, data: Fit) -> None:
        self.mean = data.features.mean(axis=0)
        gaps = data.weights[:, :, None] - data.weights[:, None, :]  # (D, C, C)
        self.gaps = np.linalg.norm(gaps, axis=0) + np.eye(data.weights.shape[1])

    def score(self, features: Floats, logits: Floats) -> Floats:
        best = logits.argmax(axis=1)
        to_boundary = np.abs(logits.max(axis=1, keepdims=True) - logits) / self.gaps[best]
        mean = to_boundary.sum(axis=1) / (logits.shape[1] - 1)
        return -mean / np.linalg.norm(features - self.mean, axis=1)


@dataclass
class NnGuide:
    """Energy weighted by similarity to the k nearest of the energy-weighted training features."""

    k: int = 10
    paper = "Park et al. 2023, arXiv:2309.14888"

    def fit(self, data: Fit) -> None:
        energy = logsumexp(data.logits, axis=1)
        self.reference = _unit(data.features) * energy[:, None]

    def score(self, features: Floats, logits: Floats) -> Floats:
        similar = _unit(features) @ self.reference.T
        guide = np.partition(similar, -self.k, axis=1)[:, -self.k :].mean(axis=1)
        return -guide * logsumexp(logits, axis=1)


def _unit(features: Floats) -> Floats:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _quadratic(centred: Floats, precision: Floats) -> Floats:
    return np.einsum("nd,nd->n", centred @ precision, centred)


METHODS: dict[str, Method] = {
    "softmax (MSP)": MaxSoftmax(),
    "max logit": MaxLogit(),
    "energy": Energy(),
    "GEN": Gen(),
    "Mahalanobis": Mahalanobis(),
    "relative Mahalanobis": RelativeMahalanobis(),
    "kNN, k=1": NearestNeighbour(1),
    "kNN, k=10": NearestNeighbour(10),
    "kNN, k=50": NearestNeighbour(50),
    "residual": Residual(),
    "ViM": Vim(),
    "fDBD": Fdbd(),
    "NNGuide": NnGuide(),
}
