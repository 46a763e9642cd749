"""The routes over HTTP, and whether they answer as the OpenAPI schema says."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.specs.openapi import checks as openapi_checks

from tagger.api import app
from tagger.images import decode
from tagger.inference import model_file
from tagger.inference.registry import BUNDLED_MODEL
from tagger.jobs.requests import submit_embedding
from tagger.library import operations
from tagger.library.export import HEADER
from tagger.library.library import Library
from tagger.library.operations import STALE
from tagger.tagger import Tagger
from tests.conftest import SHAPES, draw, wait_until
from tests.service.service_process import (
    BOUNDARY,
    FORM_HEADERS,
    ServiceProcess,
    form_body,
    photo_bytes,
    run_service,
)

JSON = {"Content-Type": "application/json"}
EXAMPLES = 12  # per route and kind
CHECKS = [  # without the check that all valid requests succeed: random bytes are no photos
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(app.openapi())


def test_one_photo_gives_one_answer(service: ServiceProcess) -> None:
    response = service.predict(photo_bytes(1), query="?top=1", **{"X-Client": "a test"})
    assert response.status == 200 and response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {
        *("predictions", "label", "confidence", "unknown", "reason", "ood_score", "tags"),
        *("model", "id"),
    }
    assert len(answer["predictions"]) == 1 and answer["model"] == "pets"
    assert answer["unknown"] == (answer["label"] is None) == (answer["reason"] is not None)
    assert answer["id"] in service.logged_ids()


def test_several_photos_give_a_list_in_their_order(service: ServiceProcess) -> None:
    response = service.predict(photo_bytes(1), b"no photo", photo_bytes(2))
    first, broken, last = response.json()["results"]
    assert response.status == 200 and {first["id"], last["id"]} <= service.logged_ids()
    assert "not a JPEG" in broken["error"] and set(broken) == {"error"}


def test_a_request_can_name_a_model_and_have_a_heatmap(service: ServiceProcess) -> None:
    query = "?model=everyday&heatmap=true&threshold=0"
    answer = service.predict(photo_bytes(1), query=query).json()
    tags = len(model_file.load(BUNDLED_MODEL).labels)
    assert answer["model"] == "everyday" and len(answer["tags"]) in (0, tags)
    prefix, _, picture = answer["heatmap"].partition(",")
    assert prefix == "data:image/jpeg;base64" and decode.read(base64.b64decode(picture)).size


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
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
def test_an_invalid_option_gets_a_sentence(
    service: ServiceProcess, query: str, status: int, sentence: str
) -> None:
    response = service.predict(photo_bytes(1), query=query)
    assert response.status == status and sentence in response.json()["detail"]


def test_an_unreadable_photo_gets_a_sentence(service: ServiceProcess) -> None:
    png = decode.encode(draw("disc", 3), "PNG")
    for content, status in ((b"", 422), (b"text", 415), (png[:200], 422)):
        response = service.predict(content)
        assert response.status == status, response.body
        assert len(response.json()["detail"].splitlines()) == 1
    for body in (form_body(photo_bytes(1), field_name="photo"), form_body()):
        response = service.request("POST", "/predict", body, FORM_HEADERS)
        assert response.status == 422
        assert 'in the field "file" of a form' in response.json()["detail"]
    assert service.predict(*[photo_bytes(1)] * 17).status == 413
    for client in ("x" * 65, "a;b"):
        response = service.predict(photo_bytes(1), **{"X-Client": client})
        assert response.status == 422 and "1 to 64 letters" in response.json()["detail"]


def test_a_wrong_body_gets_a_sentence_about_the_right_one(service: ServiceProcess) -> None:
    for content_type in ("image/jpeg", "application/json"):
        headers = {"Content-Type": content_type}
        response = service.request("POST", "/predict", photo_bytes(1), headers)
        assert response.status == 415 and "multipart/form-data" in response.json()["detail"]
    text = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n'
    body = f"{text}--{BOUNDARY}--\r\n".encode()
    response = service.request("POST", "/predict", body, FORM_HEADERS)
    assert response.status == 422 and "as a file" in response.json()["detail"]
    body = text.replace('"file"', '"threshold"').encode() + form_body(photo_bytes(1))
    response = service.request("POST", "/predict", body, FORM_HEADERS)
    assert response.status == 422 and "options in the URL" in response.json()["detail"]
    for body, headers in ((b'{"name": "pets"}', JSON), (b"[]", JSON), (b'{"model": "pets"}', {})):
        response = service.request("POST", "/model/reload", body, headers)
        assert response.status == 422, response
        assert '{"model": "pets"}' in response.json()["detail"]
    assert service.request("POST", "/model/reload").status == 200  # the active model's file again


def test_models_are_listed_and_have_cards(service: ServiceProcess) -> None:
    answer = service.request("GET", "/models").json()
    lines = {line["name"]: line for line in answer["models"]}
    assert answer["active"] == "pets" and {"pets", "everyday"} <= set(lines)
    assert (lines["pets"]["kind"], lines["pets"]["labels"]) == ("single", 2)
    for name in ("pets", "everyday"):
        card = service.request("GET", f"/models/{name}").json()
        assert card["name"] == name and len(card["labels"]) == lines[name]["labels"]
    assert service.request("GET", "/models/nope").status == 404


def test_health_readiness_statistics_and_metrics(service: ServiceProcess) -> None:
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


def test_an_empty_library_is_searched_and_exported(service: ServiceProcess) -> None:
    page = service.request("GET", "/photos?query=cat%20AND%20NOT%20dog").json()
    words = [{"word": word, "meanings": [word], "tags": []} for word in ("cat", "dog")]
    assert page["description"]["left_out"] == 0  # no tag is so called: it was looked for by words
    assert (page["total"], page["photos"], page["words"]) == (0, [], words)
    response = service.request("GET", "/photos?query=cat%20AND")
    assert response.status == 422 and response.json()["position"] == 4
    response = service.request("GET", "/export.csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert next(csv.reader(io.StringIO(response.body.decode()))) == list(HEADER)
    with_mark = service.request("GET", "/export.csv?bom=true").body
    assert with_mark == b"\xef\xbb\xbf" + response.body
    assert service.request("GET", "/export.csv?query=(").status == 422


def test_photos_come_with_their_tags_and_without_their_paths(tmp_path: Path) -> None:
    home = tmp_path / "home"
    library, pets = Library.open(home), Tagger.load("pets")
    added = [
        library.add_photo(f"=cmd{n}.png", decode.encode(draw("disc", n)), pets) for n in range(3)
    ]
    library.edit_tags([added[0].photo.id], add=["drawn"])
    library.close()
    with run_service(home) as service:
        page = service.request("GET", "/photos?query=drawn").json()
        (photo,) = page["photos"]
        assert page["total"] == 1 and photo["name"] == "=cmd0.png"
        assert page["tag_query"] is None
        page = service.request("GET", "/photos?query=the%20drawn").json()
        assert page["photos"] == [photo] and page["tag_query"] == "drawn"
        assert [(tag["label"], tag["by_person"]) for tag in photo["tags"]] == [("drawn", True)]
        assert "path" not in photo
        assert photo["matching_tags"] == ["drawn"] and photo["likeness"] is None
        assert page["words"] == [{"word": "drawn", "meanings": [], "tags": ["drawn"]}]
        assert len(service.request("GET", "/photos?limit=2&offset=2").json()["photos"]) == 1
        text = service.request("GET", "/export.csv").body.decode()
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) == 4 and all(row[1].startswith("'=cmd") for row in rows[1:])


def test_work_whose_process_died_is_resumed(tmp_path: Path, worded: Path) -> None:
    home = tmp_path / "home"
    library = Library.open(home)
    library.add_photo("disc.png", decode.encode(draw("disc", 0)), Tagger.load("pets"))
    library.use_model(str(worded))
    job_id = submit_embedding(library)
    assert job_id is not None
    heartbeat = datetime.now(UTC) - STALE / 2  # at the start it may be alive yet
    with library.database.write_transaction() as connection:
        operations.set_columns(
            connection, job_id, status="running", claim="gone", heartbeat_at=heartbeat
        )
    with run_service(home):
        wait_until(lambda: library.operation(job_id).status == "done")
    library.close()


def test_a_broken_vocabulary_is_named_without_its_path(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_service(home) as service:
        (home / "vocabulary.csv").write_text("tag,parents,synonyms\ncat,nosuch,\n")
        response = service.request("GET", "/photos?query=cat")
        reason = "the parent 'nosuch' is not a tag; give it a row of its own"
        assert response.status == 503 and "retry-after" in response.headers
        assert response.json()["detail"] == f"vocabulary.csv, line 2: {reason}"
        assert str(home / "vocabulary.csv") in service.output()
        assert service.request("GET", "/photos?query=unknown").status == 200
        assert service.request("GET", "/export.csv").status == 200


def test_photos_are_looked_at_only_if_the_settings_say_so(tmp_path: Path, worded: Path) -> None:
    home = tmp_path / "home"
    library = Library.open(home)
    library.add_photo("disc.png", photo_bytes(), Tagger.load("pets"))
    library.use_model(str(worded))
    with run_service(home, TAGGER_EMBED_PHOTOS="0") as service:
        page = service.request("GET", "/photos?query=like:ball").json()
        assert page["description"]["not_compared"] == 1
    assert not library.operations(kinds=["embed"])
    library.close()


def test_photos_are_ranked_by_a_description(tmp_path: Path, worded: Path) -> None:
    home = tmp_path / "home"
    library, pets = Library.open(home), Tagger.load("pets")
    for number in range(3):
        for shape in SHAPES:
            png = decode.encode(draw(shape, number))
            library.add_photo(f"{shape}{number}.png", png, pets)
    library.use_model(str(worded))  # their vectors are made when the service starts
    library.close()
    with run_service(home, TAGGER_MODEL="pets") as service:
        like = "/photos?query=like:%22a%20purple%20ball%22"

        def description() -> dict[str, Any]:
            answer: dict[str, Any] = service.request("GET", like).json()["description"]
            return answer

        wait_until(lambda: description()["not_compared"] == 0)
        expected = {"fallback": None, "unknown_words": ["purple"], "left_out": 0}
        expected |= {"model": "worded", "not_compared": 0, "missing_tags": [], "understood": True}
        assert description() == expected
        page = service.request("GET", like).json()
        assert {photo["name"] for photo in page["photos"][:3]} == {f"disc{n}.png" for n in range(3)}
        likeness = [photo["likeness"] for photo in page["photos"]]
        assert likeness == sorted(likeness, reverse=True) and likeness[0] > 1
        page = service.request("GET", "/photos?query=zebras&limit=2&offset=1").json()
        assert page["description"]["fallback"] == "like:zebras" and len(page["photos"]) == 2
        assert page["description"]["missing_tags"] == ["zebra"]
        page = service.request("GET", "/photos?query=flurb%20zzq").json()
        expected = {"understood": False, "unknown_words": ["flurb", "zzq"], "fallback": None}
        assert page["total"] == 0 and page["description"].items() >= expected.items()
        page = service.request("GET", "/photos?query=zebras").json()
        rows = service.request("GET", "/export.csv?query=zebras").body.decode().splitlines()
        assert len(rows) == 1  # which cannot say that it took the word as a description
        rows = service.request("GET", "/export.csv?query=like:zebras").body.decode().splitlines()
        assert len(rows) == 1 + page["total"]
        response = service.request("GET", "/photos?query=cat%20OR%20like:purple")
        assert response.status == 422 and response.json()["position"] == 12
        assert "none of these words: purple" in response.json()["detail"]
        text = service.request("GET", like.replace("photos", "export.csv")).body.decode()
        assert len(text.splitlines()) >= 4


def test_sagemakers_invocations_take_bytes_or_base64_in_json(service: ServiceProcess) -> None:
    photo = photo_bytes(6)
    raw = service.request("POST", "/invocations", photo, {"Content-Type": "image/jpeg"})
    body = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
    wrapped = service.request("POST", "/invocations", body, JSON)
    assert raw.status == wrapped.status == 200
    assert raw.json()["predictions"] == wrapped.json()["predictions"]
    for body, headers, status in (
        (b"{", JSON, 422),
        (b'{"image": 7}', JSON, 422),
        (b'{"image": "%%%"}', JSON, 422),
        (b"[" * 100_000, JSON, 422),
        (b"x=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"", {"Content-Type": "image/png"}, 422),
    ):
        response = service.request("POST", "/invocations", body, headers)
        assert response.status == status and response.json()["detail"], response


def test_invocations_take_base64_as_programs_write_it(service: ServiceProcess) -> None:
    photo = photo_bytes(6)
    plain = base64.b64encode(photo).decode()
    url_safe = base64.urlsafe_b64encode(photo).decode()
    lines = base64.encodebytes(photo).decode()
    texts = [
        *(plain, url_safe, lines, url_safe.rstrip("="), lines.replace("\n", "\r\n")),
        *(f"data:image/jpeg;base64,{plain}", f"DATA:;base64,{lines}", f" {plain} "),
    ]
    bodies = [json.dumps({"image": text}) for text in texts]
    bodies.append(f'{{"image": "{lines}"}}')  # line breaks that JSON would escape
    bodies.append(bodies[0].replace("/", "\\/"))
    bodies.append(bodies[0].replace("+", "\\u002B").replace("=", "\\u003d"))
    bodies.append("\ufeff" + bodies[0])  # a byte order mark
    bodies.append(bodies[0].replace("image", "\\u0069mage", 1))
    expected = service.request("POST", "/invocations", photo, {"Content-Type": "image/jpeg"})
    for body in bodies:
        response = service.request("POST", "/invocations", body.encode(), JSON)
        assert response.status == 200, (body[:40], body[-40:], response)
        assert response.json()["predictions"] == expected.json()["predictions"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "no JSON"),
        ("[]", "no object"),
        ('{"picture": "AAAA"}', "the field image is missing"),
        ('{"image": 7}', "image is no text"),
        ('{"image": null}', "image is no text"),
        ('{"image": "AAAA", "top": 3}', "there is no field 'top'"),
        ('{"image": "AA%A"}', "it has '%' at 2"),
        ('{"image": "AA=A"}', "it has '=' at 2"),
        ('{"image": "AAAAA"}', "a letter too many"),
        ('{"image": "data:image/png,AAAA"}', "without ;base64"),
        ('{"image": "\\u0000AAA"}', "at 0"),
        ('{"image": "\\ud800AAA"}', "at 0"),
        ("[" * 100_000, "no JSON"),
        ("[" * 50_000, "no JSON"),
        ('{"image": "AAAA", "image": "BBBB"}', "a field comes twice"),
        ('{"image": "AAAA", "\\u0069mage": "BBBB"}', "a field comes twice"),
        ('{"image": "AA\\"AA"}', "at 2"),
        ('{"image": "AA\\\\"}', "at 2"),
        ('{"image": "\u00e9AAA"}', "at 0"),
        ('{"image": "' + "A" * 70_000 + '\\""}', "no JSON with an image alone"),
        ('{"image": "AAAA"} {}', "no JSON"),
        ('\ufeff\ufeff{"image": "AAAA"}', "no JSON"),
        ('{"image": ""}', "empty file"),
    ],
)
def test_invocations_name_what_is_wrong(service: ServiceProcess, body: str, sentence: str) -> None:
    response = service.request("POST", "/invocations", body.encode(), JSON)
    assert response.status == 422 and sentence in response.json()["detail"]


def test_head_is_answered_as_get_without_a_body(service: ServiceProcess) -> None:
    for target in ("/", "/health", "/ready", "/models", "/stats", "/photos", "/nope", "/predict"):
        get, head = (service.request(method, target) for method in ("GET", "HEAD"))
        assert head.status == get.status and head.body == b"", target
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers.get(name) == get.headers.get(name), (target, name)


def test_hostile_files_get_an_answer_or_a_sentence(service: ServiceProcess, data: Path) -> None:
    for path in sorted((data / "hostile").rglob("*")):
        if path.is_file():
            response = service.predict(path.read_bytes())
            assert response.status in (200, 413, 415, 422), (path, response)
    service.check()


def test_the_schema_is_served_without_a_page_that_loads_from_elsewhere(
    service: ServiceProcess,
) -> None:
    assert service.request("GET", "/docs").status == 404
    schema = service.request("GET", "/openapi.json").json()
    assert schema == json.loads(json.dumps(app.openapi()))


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_generated_requests_are_answered_as_the_schema_says(
    case: schemathesis.Case, service: ServiceProcess
) -> None:
    """No 500, and no status or body that the schema does not have."""
    case.call_and_validate(base_url=service.url, checks=CHECKS)
