"""The metrics, read by Prometheus's own parser."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tagger.service.metrics import Metrics
from tagger.tagger import Prediction, Tagger

LABELLED = Prediction("cat", 0.9, False, None, 0.1, (), ())
UNKNOWN = Prediction(None, 0.5, True, "uncertain", 0.1, (), ())


@pytest.fixture
def metrics(pets: Tagger) -> Metrics:
    return Metrics(lambda: 7, lambda: pets)


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Values by the sample's name and its labels' values."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_and_timed_by_route(metrics: Metrics) -> None:
    for status, seconds in ((200, 0.02), (200, 0.2), (503, 0.001)):
        metrics.count_request("/predict", status, seconds)
    values = samples(metrics)
    assert values["tagger_requests_total", "/predict 200"] == 2
    assert values["tagger_requests_total", "/predict 503"] == 1
    assert values["tagger_refused_total", ""] == 1
    assert values["tagger_request_seconds_count", "/predict"] == 3
    assert values["tagger_request_seconds_sum", "/predict"] == pytest.approx(0.221)
    buckets = {k[1]: v for k, v in values.items() if k[0] == "tagger_request_seconds_bucket"}
    assert {"0.025 /predict": 2.0, "0.25 /predict": 3.0}.items() <= buckets.items()


def test_predictions_queue_batches_and_model(metrics: Metrics, pets: Tagger) -> None:
    for prediction in (LABELLED, LABELLED, UNKNOWN):
        metrics.count_prediction(prediction)
    metrics.observe_batch(5)
    values = samples(metrics)
    assert values["tagger_predictions_total", "yes"] == 2
    assert values["tagger_predictions_total", "no"] == 1
    assert values["tagger_queue_photos", ""] == 7
    assert values["tagger_batch_photos_sum", ""] == 5
    assert values["tagger_model_info", f"pets {pets.sha256}"] == 1
