"""AccessMiddleware around a small application: authentication, limits, headers, request log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from tagger.service.access import AccessMiddleware, is_loopback
from tagger.service.settings import MAX_BODY, Settings

SECRETS = Settings(predict_token="predict-secret", admin_token="admin-secret")
LOCAL_HOST = (b"host", b"localhost:8000")


@dataclass
class AccessRequest:
    """One request to the middleware around `application`."""

    settings: Settings
    path: str = "/predict"
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [LOCAL_HOST])
    server: str = "127.0.0.1"
    root_path: str = ""
    body: list[bytes] = field(default_factory=list)
    pause: float = 0.0
    method: str = "POST"
    lines: list[dict[str, Any]] = field(default_factory=list)
    counts: list[tuple[str, int, float]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def send(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers, and the body; of an error its sentence."""
        asyncio.run(self._send())
        start, end = self.messages[0], self.messages[-1]
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        body = end["body"]
        return start["status"], headers, json.loads(body)["detail"] if body[:1] == b"{" else body

    async def _send(self) -> None:
        scope = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "root_path": self.root_path,
            "headers": self.headers,
            "server": (self.server, 8000),
        }
        parts = list(self.body)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(self.pause)
            part = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Any) -> None:
            self.messages.append(message)

        middleware = AccessMiddleware(
            application,
            self.settings,
            lambda *count: self.counts.append(count),
            self.lines.append,
            ("/predict", "/models/{name}"),
        )
        await middleware(scope, receive, send)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body and answers "ok"."""
    if scope["path"] == "/broken":
        raise RuntimeError("the secret is 42")
    try:
        while (await receive())["more_body"]:
            pass
    except HTTPException as error:  # as FastAPI does
        body = json.dumps({"detail": error.detail}).encode()
        await send({"type": "http.response.start", "status": error.status_code, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [LOCAL_HOST, (b"authorization", f"Bearer {token}".encode())]


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("predict-secret", "/predict", 200),
        ("admin-secret", "/predict", 200),
        ("admin-secret", "/model/reload", 200),
        ("predict-secret", "/model/reload", 403),
        ("admin-secret", "/library/photos", 200),
        ("predict-secret", "/library/photos", 403),
        ("predict-secret", "/tags", 200),
        ("predict-secre", "/predict", 401),
        ("predict-secret ", "/predict", 200),
        ("PREDICT-SECRET", "/predict", 401),
        ("", "/predict", 401),
        ("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln", "/stats", 401),
        ("", "/health", 200),
        ("", "/", 200),
        ("", "/page/app.js", 200),
        ("", "/invocations", 401),
    ],
)
def test_each_token_opens_its_routes(token: str, path: str, status: int) -> None:
    actual, headers, sentence = AccessRequest(SECRETS, path, bearer(token)).send()
    assert actual == status
    if status == 401:
        assert headers["www-authenticate"] == "Bearer"
        assert ("none of those" if token else "token is needed") in sentence
    if status == 403:
        assert "TAGGER_ADMIN_TOKEN" in sentence


def test_other_authorization_schemes_are_refused() -> None:
    for headers in (
        [LOCAL_HOST],
        [LOCAL_HOST, (b"authorization", b"Basic cHJlZGljdC1zZWNyZXQ=")],
        [LOCAL_HOST, (b"authorization", b"predict-secret")],
        [LOCAL_HOST, (b"authorization", b"Bearer")],
        [LOCAL_HOST, (b"authorization", b"\xff\xfe Bearer predict-secret")],
    ):
        assert AccessRequest(SECRETS, headers=headers).send()[0] == 401


def test_without_an_admin_token_nobody_reloads_models() -> None:
    settings = Settings(predict_token="predict-secret")
    request = AccessRequest(settings, "/model/reload", bearer("predict-secret"))
    assert request.send()[0] == 403
    assert AccessRequest(settings, "/model/reload", bearer("None")).send()[0] == 401


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        ("127.0.0.1", b"localhost:8000", 200),
        ("127.0.0.1", b"127.0.0.1", 200),
        ("::1", b"[::1]:8000", 200),
        ("::ffff:127.0.0.1", b"localhost", 200),
        ("192.168.0.7", b"localhost:8000", 403),
        ("127.0.0.1", b"photos.example:8000", 403),
        ("127.0.0.1", b"localhost.example", 403),
        ("127.0.0.1", b"", 403),
    ],
)
def test_without_tokens_only_loopback_is_answered(server: str, host: bytes, status: int) -> None:
    request = AccessRequest(Settings(), headers=[(b"host", host)], server=server)
    actual, _, sentence = request.send()
    assert actual == status and (status == 200 or "TAGGER_PREDICT_TOKEN" in sentence)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"origin", b"https://evil.example", 403),
        (b"origin", b"null", 403),
        (b"origin", b"http://localhost.evil.example", 403),
        *((b"origin", origin, 403) for origin in (b"http://[", b"http://[::1", b"//", b"\xff")),
        (b"origin", b"http://localhost:8000", 200),
        (b"origin", b"https://mine.example", 200),
        (b"x-forwarded-for", b"127.0.0.1", 403),
        (b"forwarded", b"for=127.0.0.1", 403),
    ],
)
def test_without_tokens_foreign_pages_and_proxies_are_refused(
    name: bytes, value: bytes, status: int
) -> None:
    settings = Settings(cors=("https://mine.example",))
    assert AccessRequest(settings, headers=[LOCAL_HOST, (name, value)]).send()[0] == status


@pytest.mark.parametrize("settings", [Settings(), SECRETS])
def test_pages_of_other_sites_may_only_be_linked_from(settings: Settings) -> None:
    cross, navigate = (b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate")
    token = (b"authorization", b"Bearer predict-secret")

    def status(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> int:
        request = AccessRequest(settings, path, [LOCAL_HOST, token, *headers], method=method)
        return request.send()[0]

    for path in ("/stats", "/predict", "/ready", "/page/app.js", "/export.csv"):
        assert status(path, cross) == status(path, cross, navigate) == 403
        for site in (b"same-origin", b"none"):
            assert status(path, (b"sec-fetch-site", site)) == 200
    assert status("/", cross) == status("/", cross, navigate, method="POST") == 403
    assert status("/", cross, navigate) == 200
    settings = settings.model_copy(update={"cors": ("https://mine.example",)})
    assert status("/stats", cross, (b"origin", b"https://mine.example")) == 200
    assert status("/stats", cross, (b"origin", b"https://evil.example")) == 403


@pytest.mark.parametrize("settings", [Settings(), SECRETS])
def test_only_the_services_own_page_changes_the_library(settings: Settings) -> None:
    """A page on another port of this machine is of the same site: its forms need no CORS."""
    token = (b"authorization", b"Bearer admin-secret")
    other, own = (b"origin", b"http://localhost:3000"), (b"origin", b"http://localhost:8000")

    def status(path: str, *headers: tuple[bytes, bytes]) -> int:
        return AccessRequest(settings, path, [LOCAL_HOST, token, *headers]).send()[0]

    same_site, same_origin = ((b"sec-fetch-site", b"same-" + s) for s in (b"site", b"origin"))
    for path in ("/library/photos", "/library/photos/1/tags", "/model/reload"):
        assert status(path, same_site) == status(path, same_site, other) == 403
        assert status(path, same_origin, own) == status(path) == status(path, own) == 200
        if not settings.needs_token:  # an old browser, which does not say whose page asks
            assert status(path, other) == status(path, (b"origin", b"http://127.0.0.1:8000")) == 403
    assert status("/predict", same_site, other) == 200
    settings = settings.model_copy(update={"cors": ("http://localhost:3000",)})
    assert status("/library/photos", same_site, other) == 200


@pytest.mark.parametrize("length", [b"0" * 5000, b"9" * 5000, b"-1", b"+1", b"1_0", b"", b"1e3"])
def test_an_odd_length_is_a_malformed_request(length: bytes) -> None:
    request = AccessRequest(Settings(), headers=[LOCAL_HOST, (b"content-length", length)])
    assert request.send()[0] == 400


def test_head_has_no_body(capsys: pytest.CaptureFixture[str]) -> None:
    request = AccessRequest(Settings(), "/models", method="HEAD")
    assert request.send()[0] == 200
    assert all(not message.get("body") for message in request.messages)
    assert [line["method"] for line in request.lines] == ["HEAD"]
    refused = AccessRequest(SECRETS, "/models", method="HEAD")
    assert refused.send()[0] == 401 and not refused.messages[-1]["body"]


def test_the_root_path_does_not_change_what_is_open() -> None:
    token = bearer("predict-secret")
    request = AccessRequest(SECRETS, "/tagger/model/reload", token, root_path="/tagger")
    assert request.send()[0] == 403
    assert AccessRequest(SECRETS, "/tagger/health", root_path="/tagger").send()[0] == 200
    assert AccessRequest(SECRETS, "/tagger", root_path="/tagger").send()[0] == 200


def test_open_invocations_need_no_token() -> None:
    settings = SECRETS.model_copy(update={"open_invocations": True})
    assert AccessRequest(settings, "/invocations", server="10.0.0.1").send()[0] == 200
    assert AccessRequest(settings, "/predict", server="10.0.0.1").send()[0] == 401


def test_a_large_body_is_refused_by_its_length_or_while_it_arrives() -> None:
    length = (b"content-length", str(MAX_BODY + 1).encode())
    status, headers, sentence = AccessRequest(Settings(), headers=[LOCAL_HOST, length]).send()
    assert status == 413 and "MB" in sentence and headers["connection"] == "close"
    quarter = b"x" * (MAX_BODY // 4)
    assert AccessRequest(Settings(), body=[quarter] * 4).send()[0] == 200
    assert AccessRequest(Settings(), body=[*[quarter] * 4, b"x", b"x"]).send()[0] == 413


def test_a_body_that_arrives_too_slowly_is_refused() -> None:
    settings = Settings(request_seconds=0.2)
    status, _, sentence = AccessRequest(settings, body=[b"x"] * 100, pause=0.05).send()
    assert status == 408 and "to arrive" in sentence


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/json", 415),
        (b"image/jpeg", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"multipart/form-data; boundary=x", 200),
        (b"Multipart/Form-Data; boundary=x", 200),
    ],
)
def test_predict_takes_forms_only(content_type: bytes, status: int) -> None:
    headers = [LOCAL_HOST, (b"content-type", content_type)]
    actual, _, sentence = AccessRequest(Settings(), "/predict", headers).send()
    assert actual == status and (status == 200 or "multipart/form-data" in sentence)
    assert AccessRequest(Settings(), "/invocations", headers).send()[0] == 200
    assert AccessRequest(Settings(), "/predict", headers, method="GET").send()[0] == 200


def test_repeated_headers_are_refused_if_they_are_ambiguous() -> None:
    for name in (b"host", b"authorization", b"x-client"):
        headers = [LOCAL_HOST, (name, b"localhost"), (name, b"127.0.0.1")]
        status, _, sentence = AccessRequest(Settings(), headers=headers).send()
        assert status == 400 and name.decode() in sentence
    headers = [LOCAL_HOST, (b"accept", b"a/b"), (b"accept", b"c/d")]
    assert AccessRequest(Settings(), headers=headers).send()[0] == 200


def test_every_response_has_security_headers_and_a_request_id() -> None:
    _, headers, _ = AccessRequest(
        Settings(), headers=[LOCAL_HOST, (b"x-request-id", b"mine-1")]
    ).send()
    assert headers["x-request-id"] == "mine-1"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    for forged in (b"a\r\nset-cookie: x", b"x" * 65, b"", "é".encode()):
        _, headers, _ = AccessRequest(
            Settings(), headers=[LOCAL_HOST, (b"x-request-id", forged)]
        ).send()
        assert len(headers["x-request-id"]) == 32 and headers["x-request-id"].isalnum()


def test_an_internal_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    status, _, sentence = AccessRequest(Settings(), "/broken").send()
    assert status == 500 and "42" not in sentence
    assert "the secret is 42" in caplog.text


def test_a_refused_request_is_logged_by_its_route_alone() -> None:
    for path, route in (("/predict", "/predict"), ("/secret", "none"), ("/models/x", "none")):
        request = AccessRequest(SECRETS, path)
        assert request.send()[0] == 401
        assert [line["route"] for line in request.lines] == [route]


def test_log_and_metrics_hold_no_paths_or_tokens() -> None:
    request = AccessRequest(
        SECRETS, "/photos/secret-holiday.jpg", bearer("predict-secret"), body=[b"ab"]
    )
    request.send()
    (line,) = request.lines
    assert line["status"] == 200 and line["bytes"] == 2 and line["method"] == "POST"
    assert line["route"] == "none" and len(line["request"]) == 32
    assert "secret" not in json.dumps(line)
    assert [(route, status) for route, status, _ in request.counts] == [("none", 200)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_names_and_addresses(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.example") and not is_loopback("0.0.0.0")
    assert not is_loopback("") and not is_loopback("::")
