"""What the service counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tagger.tagger import Prediction, Tagger

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service, each in a registry of its own."""

    def __init__(self, waiting: Callable[[], int], model: Callable[[], Tagger]) -> None:
        """`waiting` tells the photos in the queue, `model` what answers."""
        # When each counter began would be as many series again.
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
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "tagger_predictions",
            "Photos answered, by whether a label was known.",
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
        waits = Gauge("tagger_queue_photos", "Photos that wait.", registry=self._registry)
        waits.set_function(waiting)
        self._registry.register(_Model(model))

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count one that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if status == 503:
            self._refused.inc()

    def count_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Count photos that were answered."""
        for prediction in predictions:
            self._predictions.labels("no" if prediction.unknown else "yes").inc()

    def observe_batch(self, together: int) -> None:
        """Note how many predictions were written down in one transaction."""
        self._batches.observe(together)

    def render(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)


class _Model(Collector):
    """Which model answers, as a gauge that is 1: its name and digest are labels."""

    def __init__(self, model: Callable[[], Tagger]) -> None:
        self._model = model

    def collect(self) -> Iterable[Metric]:
        tagger = self._model()
        family = GaugeMetricFamily(
            "tagger_model_info", "The model that answers.", labels=("model", "sha256")
        )
        family.add_metric((tagger.name, tagger.sha256), 1)
        yield family
