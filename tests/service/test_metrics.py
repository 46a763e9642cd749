"""What Prometheus reads, parsed as Prometheus's own library parses it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tagger.service.metrics import Metrics
from tagger.tagger import Prediction, Tagger

KNOWN = Prediction("cat", 0.9, False, None, 0.1, (), ())
UNKNOWN = Prediction(None, 0.5, True, "uncertain", 0.1, (), ())


@pytest.fixture
def meters(pets: Tagger) -> Metrics:
    return Metrics(lambda: 7, lambda: pets)


def read(meters: Metrics) -> dict[tuple[str, str], float]:
    """Samples by name and labels' values."""
    families = text_string_to_metric_families(meters.render().decode())
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_and_timed_by_route(meters: Metrics) -> None:
    for status, seconds in ((200, 0.02), (200, 0.2), (503, 0.001)):
        meters.count_request("/predict", status, seconds)
    found = read(meters)
    assert found["tagger_requests_total", "/predict 200"] == 2
    assert found["tagger_requests_total", "/predict 503"] == 1
    assert found["tagger_refused_total", ""] == 1
    assert found["tagger_request_seconds_count", "/predict"] == 3
    assert found["tagger_request_seconds_sum", "/predict"] == pytest.approx(0.221)
    within = {k[1]: v for k, v in found.items() if k[0] == "tagger_request_seconds_bucket"}
    assert {"0.025 /predict": 2.0, "0.25 /predict": 3.0}.items() <= within.items()


def test_answers_the_queue_and_the_model_are_told(meters: Metrics, pets: Tagger) -> None:
    meters.count_predictions([KNOWN, KNOWN, UNKNOWN])
    meters.observe_batch(5)
    found = read(meters)
    assert found["tagger_predictions_total", "yes"] == 2
    assert found["tagger_predictions_total", "no"] == 1
    assert found["tagger_queue_photos", ""] == 7
    assert found["tagger_batch_photos_sum", ""] == 5
    assert found["tagger_model_info", f"pets {pets.sha256}"] == 1
