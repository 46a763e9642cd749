"""The routes, asked over a socket; and whatever their description lets anybody ask."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.specs.openapi import checks as openapi_checks

from tagger.api import app
from tagger.images import decode
from tagger.library.export import HEADER
from tagger.paths import ROOT
from tagger.service import schemas as wire
from tests.conftest import PATIENCE, draw
from tests.service.service_process import (
    BOUNDARY,
    FORM_HEADERS,
    VARIABLES,
    ServiceProcess,
    form_body,
    photo_bytes,
    run_service,
)

JSON = {"Content-Type": "application/json"}
EXAMPLES = 12  # of each kind for each route
CHECKS = [  # not: that whatever fits the description is accepted, since few bytes are photos
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
DESCRIBED = schemathesis.openapi.from_dict(app.openapi())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_service(tmp_path_factory.mktemp("api") / "home", TAGGER_QUEUE="64") as running:
        yield running
        running.check()


def test_one_photo_is_answered_by_itself(service: ServiceProcess) -> None:
    answer = service.predict(photo_bytes(1), query="?top=1", **{"X-Client": "a test"})
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert set(said) == {
        *("predictions", "label", "confidence", "unknown", "reason", "ood_score", "tags"),
        *("model", "id"),
    }
    assert len(said["predictions"]) == 1 and said["model"] == "pets"
    assert said["unknown"] == (said["label"] is None) == (said["reason"] is not None)
    assert said["id"] in service.logged_ids()


def test_several_are_answered_in_their_order(service: ServiceProcess) -> None:
    answer = service.predict(photo_bytes(1), b"no photo", photo_bytes(2))
    first, broken, last = answer.json()["results"]
    assert answer.status == 200 and {first["id"], last["id"]} <= service.logged_ids()
    assert "not a JPEG" in broken["error"] and set(broken) == {"error"}


def test_another_model_and_a_heatmap_can_be_asked_for(service: ServiceProcess) -> None:
    said = service.predict(photo_bytes(1), query="?model=everyday&heatmap=true&threshold=0").json()
    assert said["model"] == "everyday" and len(said["tags"]) in (0, 58)
    kind, _, picture = said["heatmap"].partition(",")
    assert kind == "data:image/jpeg;base64" and decode.read(base64.b64decode(picture)).size


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("?top=0", 422, "query top"),
        ("?top=x", 422, "query top"),
        ("?threshold=1.5", 422, "query threshold"),
        ("?model=nope", 404, "no model is called 'nope'; there are"),
        ("?model=../pets", 404, "no model is called"),
        ("?treshold=0.9", 422, "no option 'treshold'; the options are heatmap, model, "),
        ("?threshold=0.5&%3Cb%3E=1", 422, "no option '<b>'"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    service: ServiceProcess, query: str, status: int, told: str
) -> None:
    answer = service.predict(photo_bytes(1), query=query)
    assert answer.status == status and told in answer.json()["detail"]


def test_what_cannot_be_read_is_a_sentence(service: ServiceProcess) -> None:
    whole = decode.encode(draw("disc", 3), "PNG")
    for content, status in ((b"", 422), (b"text", 415), (whole[:200], 422)):
        answer = service.predict(content)
        assert answer.status == status, answer.body
        assert len(answer.json()["detail"].splitlines()) == 1
    for body in (form_body(photo_bytes(1), field_name="photo"), form_body()):
        answer = service.request("POST", "/predict", body, FORM_HEADERS)
        assert answer.status == 422 and 'in the field "file" of a form' in answer.json()["detail"]
    assert service.predict(*[photo_bytes(1)] * 17).status == 413
    for client in ("x" * 65, "a;b"):
        answer = service.predict(photo_bytes(1), **{"X-Client": client})
        assert answer.status == 422 and "1 to 64 letters" in answer.json()["detail"]


def test_what_is_not_sent_as_it_should_be_is_told_how(service: ServiceProcess) -> None:
    for kind in ("image/jpeg", "application/json"):
        answer = service.request("POST", "/predict", photo_bytes(1), {"Content-Type": kind})
        assert answer.status == 415 and "multipart/form-data" in answer.json()["detail"]
    text = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n'
    answer = service.request("POST", "/predict", f"{text}--{BOUNDARY}--\r\n".encode(), FORM_HEADERS)
    assert answer.status == 422 and "as a file" in answer.json()["detail"]
    beside = text.replace('"file"', '"threshold"').encode() + form_body(photo_bytes(1))
    answer = service.request("POST", "/predict", beside, FORM_HEADERS)
    assert answer.status == 422 and "options in the URL" in answer.json()["detail"]
    for body, headers in ((b'{"name": "pets"}', JSON), (b"[]", JSON), (b'{"model": "pets"}', {})):
        answer = service.request("POST", "/model/reload", body, headers)
        assert answer.status == 422 and '{"model": "pets"}' in answer.json()["detail"], answer
    assert service.request("POST", "/model/reload").status == 200  # from its file


def test_the_models_and_their_cards(service: ServiceProcess) -> None:
    found = service.request("GET", "/models").json()
    lines = {line["name"]: line for line in found["models"]}
    assert found["active"] == "pets" and {"pets", "everyday"} <= set(lines)
    assert (lines["pets"]["kind"], lines["pets"]["labels"]) == ("single", 2)
    for name in ("pets", "everyday"):
        card = service.request("GET", f"/models/{name}").json()
        assert card["name"] == name and len(card["labels"]) == lines[name]["labels"]
    assert service.request("GET", "/models/nope").status == 404


def test_alive_ready_and_counted(service: ServiceProcess) -> None:
    assert service.request("GET", "/health").json()["status"] == "alive"
    for target in ("/ready", "/ping"):
        assert service.request("GET", target).json() == {"status": "ready", "model": "pets"}
    before = service.request("GET", "/stats").json()["answers"]
    service.predict(photo_bytes(4), photo_bytes(5))
    stats = service.request("GET", "/stats").json()
    assert stats["answers"] == before + 2 == len(service.logged_ids())
    assert sum(hour["answers"] for hour in stats["hours"]) == stats["answers"]
    metrics = service.request("GET", "/metrics")
    families = {f.name for f in text_string_to_metric_families(metrics.body.decode())}
    assert {"tagger_requests", "tagger_predictions", "tagger_model_info"} <= families


def test_the_library_is_searched_and_exported(service: ServiceProcess) -> None:
    page = service.request("GET", "/photos?query=cat%20AND%20NOT%20dog").json()
    assert page == {"total": 0, "photos": []}
    refused = service.request("GET", "/photos?query=cat%20AND")
    assert refused.status == 422 and refused.json()["position"] == 4
    answer = service.request("GET", "/export.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert next(csv.reader(io.StringIO(answer.body.decode()))) == list(HEADER)
    assert service.request("GET", "/export.csv?query=(").status == 422


def test_photos_of_the_library_come_with_their_tags(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from tagger.library.library import Library
    from tagger.tagger import Tagger

    home = tmp_path_factory.mktemp("full") / "home"
    library, pets = Library.open(home), Tagger.load("pets")
    added = [
        library.add_photo(f"=cmd{n}.png", decode.encode(draw("disc", n)), pets) for n in range(3)
    ]
    library.edit_tags([added[0].photo.id], add=["drawn"])
    library.close()
    with run_service(home) as running:
        page = running.request("GET", "/photos?query=drawn").json()
        (found,) = page["photos"]
        assert page["total"] == 1 and found["name"] == "=cmd0.png"
        assert [(t["label"], t["by_person"]) for t in found["tags"]] == [("drawn", True)]
        assert "path" not in found
        assert len(running.request("GET", "/photos?limit=2&offset=2").json()["photos"]) == 1
        rows = list(csv.reader(io.StringIO(running.request("GET", "/export.csv").body.decode())))
        assert len(rows) == 4 and all(row[1].startswith("'=cmd") for row in rows[1:])


def test_sagemakers_way_to_ask(service: ServiceProcess) -> None:
    plain = service.request("POST", "/invocations", photo_bytes(6), {"Content-Type": "image/jpeg"})
    text = json.dumps({"image": base64.b64encode(photo_bytes(6)).decode()}).encode()
    wrapped = service.request("POST", "/invocations", text, JSON)
    assert plain.status == wrapped.status == 200
    assert plain.json()["predictions"] == wrapped.json()["predictions"]
    for body, headers, status in (
        (b"{", JSON, 422),
        (b'{"image": 7}', JSON, 422),
        (b'{"image": "%%%"}', JSON, 422),
        (b"[" * 100_000, JSON, 422),
        (b"x=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"", {"Content-Type": "image/png"}, 422),
    ):
        answer = service.request("POST", "/invocations", body, headers)
        assert answer.status == status and answer.json()["detail"], answer


def test_hostile_files_get_an_answer_or_a_sentence(service: ServiceProcess, data) -> None:  # type: ignore[no-untyped-def]
    for path in sorted((data / "hostile").rglob("*")):
        if path.is_file():
            answer = service.predict(path.read_bytes())
            assert answer.status in (200, 413, 415, 422), (path, answer)
    service.check()


def test_there_is_no_page_that_fetches_from_elsewhere(service: ServiceProcess) -> None:
    assert service.request("GET", "/docs").status == 404
    described = service.request("GET", "/openapi.json").json()
    assert described == json.loads(json.dumps(app.openapi()))
    assert described["paths"]["/predict"]["post"]["requestBody"]


def test_the_description_is_whole() -> None:
    described = app.openapi()
    schemas = described["components"]["schemas"]
    for example in schemas["Answer"]["examples"]:
        assert wire.Answer.model_validate(example, strict=True)
        assert set(schemas["Answer"]["required"]) <= set(example)
        assert example["unknown"] == (example["label"] is None)
    assert wire.Reload.model_validate(schemas["Reload"]["examples"][0])
    assert set(described["components"]["securitySchemes"]) == {"predict", "admin"}
    needed = {
        path: {name for way in operation["security"] for name in way}
        for path, operations in described["paths"].items()
        for operation in operations.values()
    }
    assert needed.pop("/model/reload") == {"admin"}
    assert {path for path, names in needed.items() if not names} == {"/health", "/ready", "/ping"}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["responses"]["200"]["content"], path


@DESCRIBED.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_is_answered_as_described(
    case: schemathesis.Case, service: ServiceProcess
) -> None:
    """No 500, no status and no body that the description does not have."""
    case.call_and_validate(base_url=service.url, checks=CHECKS)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TAGGER_WORKERS": "two"}, "TAGGER_WORKERS='two': give a whole number"),
        ({"TAGGER_MODEL": "nope"}, "no model is called 'nope'"),
        ({"TAGGER_PREDICT_TOKEN": "geheim\u00e9"}, "TAGGER_PREDICT_TOKEN: a token has letters"),
        ({"TAGGER_CORS": "example.org"}, "TAGGER_CORS='example.org': give origins as https://"),
        ({}, "address already in use"),
    ],
)
def test_where_it_cannot_start_it_says_why(
    environment: dict[str, str], told: str, service: ServiceProcess, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tagger.api", "--port", str(service.port)],
        env={**os.environ, "TAGGER_HOME": str(tmp_path / "home"), **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and told in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "x", "²"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tagger.api", f"--port={port}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and "from 0 to 65535" in done.stderr


def test_under_uvicorn_a_wrong_setting_is_a_sentence_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "tagger.api:app"],
        env={**os.environ, "TAGGER_QUEUE": "many"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode and "TAGGER_QUEUE='many': give a whole number" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_says_where_and_help_says_what_else(service: ServiceProcess) -> None:
    said = service.output()
    assert f"http://localhost:{service.port} answers: model pets, library {service.home}" in said
    assert "TensorFlow" not in said
    told = subprocess.run(
        [sys.executable, "-m", "tagger.api", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert [name for name in VARIABLES if name not in told] == []
