"""The service in bad company: a real process, and whatever can be sent to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.service.service_process import (
    FORM_HEADERS,
    ServiceProcess,
    form_body,
    log_lines,
    photo_bytes,
    read_response,
    request_head,
    run_service,
)

MB = 2**20
LIMIT = 64 * MB  # bytes of a request
PREDICT, ADMIN = "may-predict-4711", "may-do-all-0815"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests that leave it as it was."""
    with run_service(tmp_path_factory.mktemp("service") / "home") as running:
        yield running
        running.check()


def test_tokens(tmp_path: Path) -> None:
    tokens = {"TAGGER_PREDICT_TOKEN": PREDICT, "TAGGER_ADMIN_TOKEN": ADMIN}
    expired = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjoxNTE2MjM5MDIyfQ.c2lnbmVk"
    wrong = ["", "Bearer", "Bearer ", f"Bearer {expired}", f"Bearer {PREDICT[:-1]}"]
    wrong += [f"Bearer {PREDICT}x", f"Bearer {PREDICT.upper()}", f"Basic {PREDICT}", PREDICT]
    wrong += [f"Bearer {PREDICT} {PREDICT}", "Bearer \xe9\xff", f"Bearer {'a' * 8000}"]
    wrong += ["Bearer null", "Bearer ' OR 1=1 --", f"Bearer {PREDICT},{ADMIN}"]
    with run_service(tmp_path / "home", **tokens) as running:
        for header in wrong:
            for target in ("/predict", "/model/reload", "/photos", f"/stats?token={PREDICT}"):
                answer = running.send(request_head(target, f"Authorization: {header}"))
                assert answer.status == 401, (header, target, answer)
                assert answer.headers["www-authenticate"] == "Bearer"
        assert running.predict(photo_bytes()).status == 401
        for token in (PREDICT, ADMIN):
            assert running.predict(photo_bytes(), Authorization=f"Bearer {token}").status == 200
        for token, status in ((PREDICT, 403), (ADMIN, 200)):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            answer = running.request("POST", "/model/reload", b"{}", headers)
            assert answer.status == status, answer
        both = [f"Authorization: Bearer {token}" for token in ("wrong", PREDICT)]
        assert running.send(request_head("/stats", *both, method="GET")).status == 400
        for target in ("/health", "/ready", "/ping"):
            assert running.request("GET", target).status == 200
        assert not [token for token in (PREDICT, ADMIN, expired) if token in running.output()]
        running.check()


TARGETS = (
    *("/models/..%2f..%2fetc%2fpasswd", "/models/../../etc/passwd", "/models/%2e%2e/pets"),
    *("/models/..%5c..%5cpets", "/models/pets.h5", "/models/pets%00", "/models/pets%00.h5"),
    *("/models/%2fetc%2fpasswd", "/models/./pets", "/models/.pets", f"/models/{'a' * 5000}"),
    *("//", "//models", "//evil.example/models", "/page/", "/page/../api.py", "/page/..%2fapi.py"),
    *("/page/%2e%2e%2fapi.py", "/page/..%252fapi.py", "/page/%00", "/page/....//api.py"),
    *("/%00", "/%ff%fe", "/models/%ff", "/..", "/%2e%2e/%2e%2e/etc/passwd", "/.git/config"),
    *("/photos/../models/x", "/docs", "/redoc", "/static/x", "/predict/", "/model/reload/x"),
)


def test_paths_lead_nowhere_else(service: ServiceProcess) -> None:
    for target in TARGETS:
        answer = service.send(request_head(target, method="GET"))
        assert answer.status in (400, 404, 405, 307, 422), (target, answer)
        assert b"root:" not in answer.body and b"import " not in answer.body
        assert "/" in answer.headers.get("location", "/")
        assert "//evil" not in answer.headers.get("location", "")
    service.check()


REQUESTS = {
    b"GET http://evil.example/stats HTTP/1.1\r\nHost: evil.example\r\n\r\n": (403,),
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n": (400, 403),
    b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n": (400, 404, 405),
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n": (400, 404, 405),
    b"GET /stats HTTP/1.1\r\n\r\n": (400, 403),
    b"GET /stats HTTP/1.0\r\n\r\n": (400, 403),
    b"GET /stats HTTP/9.9\r\nHost: localhost\r\n\r\n": (400,),
    b"GARBAGE\r\n\r\n": (400,),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": (400,),  # TLS
    b"GET /stats\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n": (400,),
    b"GET /stats HTTP/1.1\r\nHost : localhost\r\n\r\n": (400,),
    b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n": (400,),
}


def test_requests_that_are_none(service: ServiceProcess) -> None:
    for request, expected in REQUESTS.items():
        answer = service.send(request)
        assert answer.status in expected, (request, answer)
    service.check()


HOSTS = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8000")
HOSTS += ("localhost@evil.example", "evil.example#localhost", "[::1].evil.example", "0.0.0.0", "")
HOSTS += ("127.0.0.1,evil.example", "evil.example:127.0.0.1", "10.0.0.1", "xn--lcalhost-54a")


def test_another_hosts_name_is_not_answered_without_tokens(service: ServiceProcess) -> None:
    for host in HOSTS:
        for target in ("/predict", "/model/reload", "/stats"):
            assert service.send(request_head(target, host=host)).status in (400, 403), host
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "127.9.9.9"):
        assert service.send(request_head("/stats", method="GET", host=host)).status == 200, host


LENGTHS = ("abc", "-1", "+5", "1e3", "0x10", "5, 6", "5 5", "18446744073709551616", "1" * 5000)


def test_lengths_that_are_none(service: ServiceProcess) -> None:
    for length in LENGTHS:
        answer = service.send(request_head("/predict", f"Content-Length: {length}"))
        assert answer.status in (400, 413), (length, answer)
    for two in (("Content-Length: 5", "Content-Length: 6"), ("Host: evil.example",)):
        assert service.send(request_head("/predict", *two)).status == 400, two
    smuggled = ("Content-Length: 5", "Transfer-Encoding: chunked")
    assert service.send(request_head("/predict", *smuggled)).status == 400
    endless = request_head("/predict", *(f"X-{number}: {'a' * 1000}" for number in range(200)))
    assert service.send(endless).status in (400, 422, 431)
    service.check()


NASTY = ("a\r\n Set-Cookie: a=b", "a\rSet-Cookie: a=b", "a\nSet-Cookie: a=b", "%0d%0aSet-Cookie:a")
NASTY += ("\x00", "\x1b[31m", "\xe9", "'; DROP TABLE served; --", '"}{"status": 200', "a" * 70)


def test_headers_carry_nothing_into_answers_log_or_journal(service: ServiceProcess) -> None:
    written = len(service.logged_ids())
    body = form_body(photo_bytes())
    usual = (f"Content-Type: {FORM_HEADERS['Content-Type']}", f"Content-Length: {len(body)}")
    for value in NASTY:
        answer = service.send(request_head("/health", f"X-Request-Id: {value}", method="GET"))
        assert "set-cookie" not in answer.headers and answer.status in (200, 400), value
        assert value not in answer.headers.get("x-request-id", "")
        answer = service.send(request_head("/predict", *usual, f"X-Client: {value}") + body)
        assert "set-cookie" not in answer.headers and answer.status in (400, 422), value
    assert len(service.logged_ids()) == written
    own = service.request("GET", "/health", headers={"X-Request-Id": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    # Lines are written a moment after their answers.
    wait_until(lambda: any(line["request"] == "mine-1" for line in log_lines(service)))
    assert "DROP" not in service.output() and "\x1b" not in service.output()
    service.check()


def test_bytes_that_are_no_request_do_not_keep_a_connection(tmp_path: Path) -> None:
    """After an answer: a bare line, or the beginning of a body that nobody waits for."""
    asked = request_head("/health", method="GET")
    body = request_head("/health", "Content-Length: 50", method="GET")
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="1") as running:
        for first, then in ((asked, b"\r\n"), (body, b"x")):
            with running.open(first) as connection:
                assert read_response(connection).status == 200
                connection.sendall(then)
                wait_until(lambda connection=connection: is_shut(connection))


def is_shut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
