"""Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from tagger.tagger import Prediction, Tagger

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self, queued: Callable[[], int], active: Callable[[], Tagger]) -> None:
        """`queued` returns the number of photos in the queue, `active` the active model."""
        # A creation time per counter would double the number of series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tagger_requests",
            "Requests by route and status.",
            ("route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tagger_request_seconds",
            "From a request's first byte to its answer's last, by route.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "tagger_predictions",
            "Predictions recorded, by whether a label was known.",
            ("label_known",),
            registry=self._registry,
        )
        self._refused = Counter(
            "tagger_refused", "Requests refused for want of room or time.", registry=self._registry
        )
        self._batches = Histogram(
            "tagger_batch_photos",
            "Predictions written down together.",
            buckets=BATCH_BUCKETS,
            registry=self._registry,
        )
        queue = Gauge("tagger_queue_photos", "Photos that wait.", registry=self._registry)
        queue.set_function(queued)
        self._model = Gauge(
            "tagger_model_info",
            "The model that answers.",
            ("model", "sha256"),
            registry=self._registry,
        )
        self._active = active

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if status == 503:
            self._refused.inc()

    def count_prediction(self, prediction: Prediction) -> None:
        """Count a photo by whether a label was given."""
        self._predictions.labels("no" if prediction.unknown else "yes").inc()

    def observe_batch(self, size: int) -> None:
        """Record how many predictions were logged in one transaction."""
        self._batches.observe(size)

    def render(self) -> bytes:
        """All metrics in Prometheus's text format."""
        tagger = self._active()
        self._model.clear()
        self._model.labels(tagger.name, tagger.sha256).set(1)
        return generate_latest(self._registry)
