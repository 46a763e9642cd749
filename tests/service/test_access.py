"""Who is let in, how much, how long, and what is told of it: around an application of our own."""

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
HERE = (b"host", b"localhost:8000")


@dataclass
class Asked:
    """One request to a guarded application that reads it all and answers "in"."""

    settings: Settings
    path: str = "/predict"
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [HERE])
    server: str = "127.0.0.1"
    below: str = ""
    body: list[bytes] = field(default_factory=list)
    pause: float = 0.0
    method: str = "POST"
    lines: list[dict[str, Any]] = field(default_factory=list)
    counted: list[tuple[str, int, float]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def ask(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers, and the body: of a refusal its sentence."""
        asyncio.run(self._ask())
        start, end = self.sent[0], self.sent[-1]
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        body = end["body"]
        return start["status"], headers, json.loads(body)["detail"] if body[:1] == b"{" else body

    async def _ask(self) -> None:
        scope = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "root_path": self.below,
            "headers": self.headers,
            "server": (self.server, 8000),
        }
        left = list(self.body)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(self.pause)
            part = left.pop(0) if left else b""
            return {"type": "http.request", "body": part, "more_body": bool(left)}

        async def send(message: Any) -> None:
            self.sent.append(message)

        guarded = AccessMiddleware(
            within,
            self.settings,
            lambda *told: self.counted.append(told),
            self.lines.append,
            ("/predict", "/models/{name}"),
        )
        await guarded(scope, receive, send)


async def within(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/broken":
        raise RuntimeError("the secret is 42")
    try:
        while (await receive())["more_body"]:
            pass
    except HTTPException as refused:  # as the framework within answers it
        body = json.dumps({"detail": refused.detail}).encode()
        await send({"type": "http.response.start", "status": refused.status_code, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [HERE, (b"authorization", f"Bearer {token}".encode())]


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("predict-secret", "/predict", 200),
        ("admin-secret", "/predict", 200),
        ("admin-secret", "/model/reload", 200),
        ("predict-secret", "/model/reload", 403),
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
def test_a_token_opens_what_it_is_for(token: str, path: str, status: int) -> None:
    got, headers, told = Asked(SECRETS, path, bearer(token)).ask()
    assert got == status
    if status == 401:
        assert headers["www-authenticate"] == "Bearer"
        assert ("none of those" if token else "token is needed") in told
    if status == 403:
        assert "TAGGER_ADMIN_TOKEN" in told


def test_other_schemes_and_no_header_are_no_token() -> None:
    for headers in (
        [HERE],
        [HERE, (b"authorization", b"Basic cHJlZGljdC1zZWNyZXQ=")],
        [HERE, (b"authorization", b"predict-secret")],
        [HERE, (b"authorization", b"Bearer")],
        [HERE, (b"authorization", b"\xff\xfe Bearer predict-secret")],
    ):
        assert Asked(SECRETS, headers=headers).ask()[0] == 401


def test_a_lone_token_does_not_open_the_administrators_routes() -> None:
    settings = Settings(predict_token="predict-secret")
    asked = Asked(settings, "/model/reload", bearer("predict-secret"))
    assert asked.ask()[0] == 403
    assert Asked(settings, "/model/reload", bearer("None")).ask()[0] == 401


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
def test_without_tokens_only_this_machine_asks(server: str, host: bytes, status: int) -> None:
    asked = Asked(Settings(), headers=[(b"host", host)], server=server)
    got, _, told = asked.ask()
    assert got == status and (status == 200 or "TAGGER_PREDICT_TOKEN" in told)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"origin", b"https://evil.example", 403),
        (b"origin", b"null", 403),
        (b"origin", b"http://localhost.evil.example", 403),
        (b"origin", b"http://localhost:8000", 200),
        (b"origin", b"https://mine.example", 200),
        (b"x-forwarded-for", b"127.0.0.1", 403),
        (b"forwarded", b"for=127.0.0.1", 403),
    ],
)
def test_without_tokens_other_peoples_pages_and_proxies_ask_in_vain(
    name: bytes, value: bytes, status: int
) -> None:
    settings = Settings(cors=("https://mine.example",))
    assert Asked(settings, headers=[HERE, (name, value)]).ask()[0] == status


def test_a_path_that_it_stands_below_opens_nothing() -> None:
    asked = Asked(SECRETS, "/tagger/model/reload", bearer("predict-secret"), below="/tagger")
    assert asked.ask()[0] == 403
    assert Asked(SECRETS, "/tagger/health", below="/tagger").ask()[0] == 200
    assert Asked(SECRETS, "/tagger", below="/tagger").ask()[0] == 200


def test_invocations_are_open_where_the_platform_guards_them() -> None:
    settings = SECRETS.model_copy(update={"open_invocations": True})
    assert Asked(settings, "/invocations", server="10.0.0.1").ask()[0] == 200
    assert Asked(settings, "/predict", server="10.0.0.1").ask()[0] == 401


def test_too_much_is_refused_unread_or_as_soon_as_it_is_seen() -> None:
    told = Asked(Settings(), headers=[HERE, (b"content-length", str(MAX_BODY + 1).encode())])
    status, headers, sentence = told.ask()
    assert status == 413 and "MB" in sentence and headers["connection"] == "close"
    piece = b"x" * (MAX_BODY // 4)
    assert Asked(Settings(), body=[piece] * 4).ask()[0] == 200
    unsaid = Asked(Settings(), body=[*[piece] * 4, b"x", b"x"])
    assert unsaid.ask()[0] == 413


def test_what_dribbles_in_is_given_up() -> None:
    hasty = Settings(request_seconds=0.2)
    status, _, sentence = Asked(hasty, body=[b"x"] * 100, pause=0.05).ask()
    assert status == 408 and "to arrive" in sentence


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (b"application/json", 415),
        (b"image/jpeg", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"multipart/form-data; boundary=x", 200),
        (b"Multipart/Form-Data; boundary=x", 200),
    ],
)
def test_photos_come_in_a_form(kind: bytes, status: int) -> None:
    headers = [HERE, (b"content-type", kind)]
    found, _, sentence = Asked(Settings(), "/predict", headers).ask()
    assert found == status and (status == 200 or "multipart/form-data" in sentence)
    assert Asked(Settings(), "/invocations", headers).ask()[0] == 200
    assert Asked(Settings(), "/predict", headers, method="GET").ask()[0] == 200


def test_what_came_twice_could_mean_either() -> None:
    for name in (b"host", b"authorization", b"x-client"):
        twice = [HERE, (name, b"localhost"), (name, b"127.0.0.1")]
        status, _, sentence = Asked(Settings(), headers=twice).ask()
        assert status == 400 and name.decode() in sentence
    accepted = [HERE, (b"accept", b"a/b"), (b"accept", b"c/d")]
    assert Asked(Settings(), headers=accepted).ask()[0] == 200


def test_every_answer_is_safe_to_show_and_says_which_it_is() -> None:
    _, headers, _ = Asked(Settings(), headers=[HERE, (b"x-request-id", b"mine-1")]).ask()
    assert headers["x-request-id"] == "mine-1"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    for forged in (b"a\r\nset-cookie: x", b"x" * 65, b"", "é".encode()):
        _, headers, _ = Asked(Settings(), headers=[HERE, (b"x-request-id", forged)]).ask()
        assert len(headers["x-request-id"]) == 32 and headers["x-request-id"].isalnum()


def test_what_breaks_within_is_not_told_outside(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(Settings(), "/broken")
    status, _, sentence = asked.ask()
    assert status == 500 and "42" not in sentence
    assert "the secret is 42" in caplog.text  # for whoever runs it


def test_what_is_refused_is_known_by_its_route_alone() -> None:
    for path, route in (("/predict", "/predict"), ("/secret", "none"), ("/models/x", "none")):
        asked = Asked(SECRETS, path)
        assert asked.ask()[0] == 401
        assert [line["route"] for line in asked.lines] == [route]


def test_a_line_and_a_count_of_each_request_hold_nothing_private() -> None:
    asked = Asked(SECRETS, "/photos/secret-holiday.jpg", bearer("predict-secret"), body=[b"ab"])
    asked.ask()
    (told,) = asked.lines
    line = json.dumps(told)
    assert told["status"] == 200 and told["bytes"] == 2 and told["method"] == "POST"
    assert told["route"] == "none" and len(told["request"]) == 32
    assert "secret" not in line
    assert [(route, status) for route, status, _ in asked.counted] == [("none", 200)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.example") and not is_loopback("0.0.0.0")
    assert not is_loopback("") and not is_loopback("::")
