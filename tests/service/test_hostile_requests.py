"""The service process against malformed and malicious requests."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random

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

MUTATIONS = 400
JSON = {"Content-Type": "application/json"}
PREDICT_TOKEN, ADMIN_TOKEN = "may-predict-4711", "may-do-all-0815"


def test_only_the_right_token_opens_a_route_and_none_is_printed(tmp_path: Path) -> None:
    tokens = {"TAGGER_PREDICT_TOKEN": PREDICT_TOKEN, "TAGGER_ADMIN_TOKEN": ADMIN_TOKEN}
    expired = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjoxNTE2MjM5MDIyfQ.c2lnbmVk"
    wrong = [
        *("", "Bearer", "Bearer ", f"Bearer {expired}", f"Bearer {PREDICT_TOKEN[:-1]}"),
        *(f"Bearer {PREDICT_TOKEN}x", f"Bearer {PREDICT_TOKEN.upper()}", PREDICT_TOKEN),
        *(f"Basic {PREDICT_TOKEN}", f"Bearer {PREDICT_TOKEN} {PREDICT_TOKEN}", "Bearer \xe9\xff"),
        *(f"Bearer {'a' * 8000}", "Bearer null", "Bearer ' OR 1=1 --"),
        f"Bearer {PREDICT_TOKEN},{ADMIN_TOKEN}",
    ]
    targets = ("/predict", "/model/reload", "/photos", f"/stats?token={PREDICT_TOKEN}")
    with run_service(tmp_path / "home", **tokens) as service:
        for header in wrong:
            for target in targets:
                response = service.send(request_head(target, f"Authorization: {header}"))
                assert response.status == 401, (header, target, response)
                assert response.headers["www-authenticate"] == "Bearer"
        assert service.predict(photo_bytes()).status == 401
        for token in (PREDICT_TOKEN, ADMIN_TOKEN):
            response = service.predict(photo_bytes(), Authorization=f"Bearer {token}")
            assert response.status == 200
        for token, status in ((PREDICT_TOKEN, 403), (ADMIN_TOKEN, 200)):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            response = service.request("POST", "/model/reload", b"{}", headers)
            assert response.status == status, response
        both = [f"Authorization: Bearer {token}" for token in ("wrong", PREDICT_TOKEN)]
        assert service.send(request_head("/stats", *both, method="GET")).status == 400
        for target in ("/health", "/ready", "/ping"):
            assert service.request("GET", target).status == 200
        output = service.output()
        assert not [token for token in (PREDICT_TOKEN, ADMIN_TOKEN, expired) if token in output]
        service.check()


TARGETS = (
    *("/models/..%2f..%2fetc%2fpasswd", "/models/../../etc/passwd", "/models/%2e%2e/pets"),
    *("/models/..%5c..%5cpets", "/models/pets.h5", "/models/pets%00", "/models/pets%00.h5"),
    *("/models/%2fetc%2fpasswd", "/models/./pets", "/models/.pets", f"/models/{'a' * 5000}"),
    *("//", "//models", "//evil.example/models", "/page/", "/page/../api.py", "/page/..%2fapi.py"),
    *("/page/%2e%2e%2fapi.py", "/page/..%252fapi.py", "/page/%00", "/page/....//api.py"),
    *("/%00", "/%ff%fe", "/models/%ff", "/..", "/%2e%2e/%2e%2e/etc/passwd", "/.git/config"),
    *("/photos/../models/x", "/docs", "/redoc", "/static/x", "/predict/", "/model/reload/x"),
)


def test_odd_paths_open_no_files_and_redirect_nowhere_else(service: ServiceProcess) -> None:
    for target in TARGETS:
        response = service.send(request_head(target, method="GET"))
        assert response.status in (400, 404, 405, 422), (target, response)
        assert b"root:" not in response.body and b"import " not in response.body
        assert "location" not in response.headers and response.json()["detail"]
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


def test_malformed_requests_get_an_error_status(service: ServiceProcess) -> None:
    for request, statuses in REQUESTS.items():
        response = service.send(request)
        assert response.status in statuses, (request, response)
    service.check()


FOREIGN_HOSTS = (
    *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8000"),
    *("localhost@evil.example", "evil.example#localhost", "[::1].evil.example", "0.0.0.0", ""),
    *("127.0.0.1,evil.example", "evil.example:127.0.0.1", "10.0.0.1", "xn--lcalhost-54a"),
)


def test_without_tokens_only_loopback_hosts_are_answered(service: ServiceProcess) -> None:
    for host in FOREIGN_HOSTS:
        for target in ("/predict", "/model/reload", "/stats"):
            assert service.send(request_head(target, host=host)).status in (400, 403), host
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "127.9.9.9"):
        response = service.send(request_head("/stats", method="GET", host=host))
        assert response.status == 200, host


ORIGINS = (
    "http://[",
    "http://[::1",
    "null",
    "//",
    "http://localhost.evil.example",
    "\xff",
    "a" * 9000,
)


def test_odd_origins_are_refused(service: ServiceProcess) -> None:
    for origin in ORIGINS:
        response = service.send(request_head("/stats", f"Origin: {origin}", method="GET"))
        assert response.status == 403 and response.json()["detail"], origin
    service.check()


LENGTHS = (
    "0" * 5000,
    "abc",
    "-1",
    "+5",
    "1e3",
    "0x10",
    "5, 6",
    "5 5",
    "18446744073709551616",
    "1" * 5000,
)


def test_invalid_lengths_and_repeated_headers_are_refused(service: ServiceProcess) -> None:
    for length in LENGTHS:
        response = service.send(request_head("/predict", f"Content-Length: {length}"))
        assert response.status in (400, 413), (length, response)
    for headers in (("Content-Length: 5", "Content-Length: 6"), ("Host: evil.example",)):
        assert service.send(request_head("/predict", *headers)).status == 400, headers
    smuggled = ("Content-Length: 5", "Transfer-Encoding: chunked")
    assert service.send(request_head("/predict", *smuggled)).status == 400
    long_head = request_head("/predict", *(f"X-{number}: {'a' * 1000}" for number in range(200)))
    assert service.send(long_head).status in (400, 422, 431)
    service.check()


def mutate(head: bytes, random: Random) -> bytes:
    """A head with a few bytes changed, lines repeated, swapped or cut."""
    changed = bytearray(head)
    for _ in range(random.randint(1, 4)):
        position = random.randrange(len(changed))
        kind = random.randrange(5)
        if kind == 0:
            changed[position] = random.randrange(256)
        elif kind == 1:
            changed.insert(position, random.choice(b"\0\r\n\t :;,/%?#[]@\xff"))
        elif kind == 2:
            del changed[position : position + random.randint(1, 8)]
        elif kind == 3:
            changed[position:position] = changed[position : position + random.randint(1, 300)]
        else:
            lines = changed.split(b"\r\n")
            random.shuffle(lines)
            changed = bytearray(b"\r\n".join(lines))
        changed = changed or bytearray(head)
    return bytes(changed)


HEADS = (
    request_head("/health?a=b", "Accept: */*", "Origin: http://localhost:1", method="GET"),
    request_head("/models/pets", "Authorization: Bearer abc", "Sec-Fetch-Site: none", method="GET"),
    request_head("/predict?top=1", f"Content-Type: {FORM_HEADERS['Content-Type']}")
    + b"Content-Length: 3\r\n\r\nabc",
    request_head("/invocations", "Transfer-Encoding: chunked", "Expect: 100-continue")
    + b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
    request_head("/photos?query=cat%20AND%20dog&limit=1", "Cookie: a=b; c=d", method="HEAD"),
)


def test_mutated_requests_get_an_answer_or_are_closed(service: ServiceProcess) -> None:
    random = Random(13)
    for number in range(MUTATIONS):
        request = mutate(HEADS[number % len(HEADS)], random)
        with service.open(request) as connection:
            connection.shutdown(socket.SHUT_WR)
            try:
                answer = b"".join(iter(lambda c=connection: c.recv(2**16), b""))
            except ConnectionResetError:  # what was not read of the request
                continue
        for line in answer.split(b"HTTP/1.1 ")[1:]:
            assert int(line[:3]) < 500 or line[:3] == b"501", (request, answer)
    service.check()


BODIES = (
    b'{"image": "AAAA"}',
    b'\xef\xbb\xbf{"image": "data:image/png;base64,AA\\/A\\n"}',
    b'{"image": "AA-_", "image": "A\\u0041\\"A="}',
    b'{"\\u0069mage": [1, 2.5e3, null, true, {"a": "b"}]}',
    b'{"model": "nope"}',
)


def test_mutated_json_gets_a_sentence(service: ServiceProcess) -> None:
    random, connection = Random(13), service.connect()
    for number in range(MUTATIONS):
        body = mutate(BODIES[number % len(BODIES)], random)
        target = "/model/reload" if b"model" in body else "/invocations"
        response = service.request("POST", target, body, JSON, connection)
        assert response.status in (200, 400, 404, 415, 422), (target, body, response)
        assert response.status == 200 or response.json()["detail"], (target, body)
    connection.close()
    service.check()


INJECTIONS = (
    *("a\r\n Set-Cookie: a=b", "a\rSet-Cookie: a=b", "a\nSet-Cookie: a=b", "%0d%0aSet-Cookie:a"),
    *("\x00", "\x1b[31m", "\xe9", "'; DROP TABLE served; --", '"}{"status": 200', "a" * 70),
)


def test_headers_inject_nothing_into_responses_or_logs(service: ServiceProcess) -> None:
    count = len(service.logged_ids())
    body = form_body(photo_bytes())
    form = (f"Content-Type: {FORM_HEADERS['Content-Type']}", f"Content-Length: {len(body)}")
    for text in INJECTIONS:
        response = service.send(request_head("/health", f"X-Request-Id: {text}", method="GET"))
        assert "set-cookie" not in response.headers and response.status in (200, 400), text
        assert text not in response.headers.get("x-request-id", "")
        response = service.send(request_head("/predict", *form, f"X-Client: {text}") + body)
        assert "set-cookie" not in response.headers and response.status in (400, 422), text
    assert len(service.logged_ids()) == count
    response = service.request("GET", "/health", headers={"X-Request-Id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"
    # Lines are written a moment after the responses.
    wait_until(lambda: any(line["request"] == "mine-1" for line in log_lines(service)))
    assert "DROP" not in service.output() and "\x1b" not in service.output()
    service.check()


def test_stray_bytes_after_a_response_do_not_keep_a_connection(tmp_path: Path) -> None:
    """A bare line, or the beginning of a body that the route does not read."""
    head = request_head("/health", method="GET")
    with_body = request_head("/health", "Content-Length: 50", method="GET")
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="1") as service:
        for request, stray in ((head, b"\r\n"), (with_body, b"x")):
            with service.open(request) as connection:
                assert read_response(connection).status == 200
                connection.sendall(stray)
                wait_until(lambda connection=connection: is_closed(connection))


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
