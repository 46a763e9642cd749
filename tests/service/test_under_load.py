"""The service under load: a real process, and clients that do as they please."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, PETS_MODEL, wait_until
from tests.service.service_process import (
    BOUNDARY,
    FORM_HEADERS,
    Response,
    ServiceProcess,
    form_body,
    log_lines,
    photo_bytes,
    read_response,
    request_head,
    run_clients,
    run_service,
    run_threads,
)

MB = 2**20
LIMIT = 64 * MB  # bytes of a request
PIECE = bytes(MB)
CONNECTIONS = 512


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests that leave it as it was."""
    with run_service(tmp_path_factory.mktemp("service") / "home") as running:
        yield running
        running.check()


# Change of model, end, crash


def test_reloading_fails_nobody(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as running, run_clients(running) as asking:
        asking.wait_for_responses(4)
        for model in ("everyday", "pets") * 10:
            answer = reload(running, model)
            assert (answer.status, answer.json()["model"]) == (200, model)
            asking.wait_for_responses(1)
        running.check()
    assert asking.statuses() == {200} and not asking.errors
    assert {answer.json()["model"] for answer in asking.responses} == {"everyday", "pets"}


def test_a_broken_model_leaves_the_old_one_answering(tmp_path: Path) -> None:
    model = shutil.copy(PETS_MODEL, tmp_path / "mine.h5")
    with (
        run_service(tmp_path / "home", TAGGER_MODEL=str(model)) as running,
        run_clients(running) as asking,
    ):
        assert reload(running, None).status == 200
        for left in (10_000_000, 100, 0):
            model.write_bytes(PETS_MODEL.read_bytes()[:left])
            refused = reload(running, None)
            assert refused.status in range(400, 500), refused
            assert "mine.h5" in refused.json()["detail"]
            asking.wait_for_responses(8)
        running.check()
    assert asking.statuses() == {200} and not asking.errors


def reload(running: ServiceProcess, model: str | None) -> Response:
    body = json.dumps({"model": model}).encode()
    return running.request("POST", "/model/reload", body, {"Content-Type": "application/json"})


def test_sigterm_answers_what_was_accepted(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as running:
        accepted = [begun(running, form_body(photo_bytes(seed))) for seed in range(6)]
        with run_clients(running) as asking:
            asking.wait_for_responses(8)
            running.terminate()
            wait_until(lambda: is_refused(running))
            for seed, connection in enumerate(accepted):
                connection.sendall(form_body(photo_bytes(seed)))
            answers = [read_response(connection) for connection in accepted]
        assert running.process.wait(PATIENCE) == 0
        assert [answer.status for answer in answers] == [200] * len(accepted)
        assert asking.statuses() == {200}
        assert not [cut for cut in asking.errors if isinstance(cut, http.client.IncompleteRead)]
        told = [line for line in log_lines(running) if line["route"] == "/predict"]
        assert len(told) == len(answers) + len(asking.responses)  # none was lost on its way
        assert asking.ids() | {answer.json()["id"] for answer in answers} == running.logged_ids()
        assert "Traceback" not in running.output()


def begun(running: ServiceProcess, body: bytes) -> socket.socket:
    """A request that the service has begun to read: it says so, before any of its body is sent."""
    length = f"Content-Length: {len(body)}"
    kind = f"Content-Type: {FORM_HEADERS['Content-Type']}"
    connection = running.open(request_head("/predict", length, kind, "Expect: 100-continue"))
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection


def is_refused(running: ServiceProcess) -> bool:
    try:
        running.open().close()
    except ConnectionRefusedError:
        return True
    except ConnectionError:  # in the moment of its closing
        pass
    return False


def test_asked_twice_it_waits_for_nobody_and_says_so(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as running:
        slow = request_head(
            "/predict", f"Content-Type: {FORM_HEADERS['Content-Type']}", "Content-Length: 9000"
        )
        waiting = running.open(slow + form_body(photo_bytes())[:500])
        wait_until(lambda: running.predict(photo_bytes()).status == 200)
        running.interrupt()
        wait_until(lambda: is_refused(running))
        running.interrupt()
        answer = read_response(waiting)
        assert answer.status == 503 and "stopping" in answer.json()["detail"]
        assert running.process.wait(PATIENCE) == 130
        assert "Traceback" not in running.output()


def test_an_interrupt_is_a_good_end(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as running:
        running.interrupt()
        assert running.process.wait(PATIENCE) == 0
        assert "Traceback" not in running.output()


def test_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as running, run_clients(running) as asking:
        asking.wait_for_responses(60)
        running.kill()
    with run_service(tmp_path / "home") as again:
        acknowledged = asking.ids()
        assert len(acknowledged) >= 60
        assert acknowledged <= again.logged_ids()
        assert again.request("GET", "/stats").json()["answers"] >= len(acknowledged)


# Too much


def test_a_full_queue_says_so_and_recovers(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_QUEUE="0", TAGGER_WORKERS="1") as running:
        with run_clients(running, count=8) as asking:
            wait_until(lambda: {200, 503} <= asking.statuses())
        assert asking.statuses() == {200, 503} and not asking.errors
        refused = [answer for answer in asking.responses if answer.status == 503]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert all("try again" in answer.json()["detail"] for answer in refused)
        assert running.predict(photo_bytes()).status == 200
        counted = running.request("GET", "/metrics").body.decode()
        assert f"tagger_refused_total {len(refused)}.0" in counted
        assert len(running.logged_ids()) == len(asking.responses) - len(refused) + 1
        running.check()


@pytest.mark.parametrize("target", ["/predict", "/invocations", "/model/reload", "/health"])
def test_a_huge_body_is_refused_unread(service: ServiceProcess, target: str) -> None:
    kind = f"Content-Type: {FORM_HEADERS['Content-Type']}"
    answer = service.send(request_head(target, kind, f"Content-Length: {1024 * MB}"))
    assert answer.status == 413 and "64 MB" in answer.json()["detail"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory as Linux tells it")
@pytest.mark.parametrize(
    ("target", "kind"), [("/predict", FORM_HEADERS["Content-Type"]), ("/invocations", "image/jpeg")]
)
def test_a_body_without_end_is_refused(service: ServiceProcess, target: str, kind: str) -> None:
    service.predict(photo_bytes())
    with service.memory_limit(100 * MB):
        with service.open(
            request_head(target, f"Content-Type: {kind}", "Transfer-Encoding: chunked")
        ) as connection:
            send_chunk(connection, form_body(photo_bytes())[: -len(f"\r\n--{BOUNDARY}--\r\n")])
            for _ in range(32):
                send_chunk(connection, PIECE)
            assert service.predict(photo_bytes()).status == 200
            sent = 32
            try:
                while sent < 1024:
                    send_chunk(connection, PIECE)
                    sent += 1
            except ConnectionError:
                pass
            assert sent < 200  # what lies between the two in buffers counts as sent
            answer = read_response(connection)
        assert answer.status == 413 and "64 MB" in answer.json()["detail"]
        assert service.predict(photo_bytes()).status == 200


def send_chunk(connection: socket.socket, piece: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


def test_many_large_bodies_at_once_are_refused(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="600") as running:
        wanted = request_head(
            "/invocations", "Content-Type: image/jpeg", f"Content-Length: {LIMIT}"
        )
        refused, held = None, []
        while refused is None and len(held) < 20:
            held.append(running.open(wanted))
            refused = pour(held[-1], LIMIT // MB - 1)
        assert refused is not None and refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        for connection in held:
            connection.close()
        wait_until(lambda: running.predict(photo_bytes()).status == 200)
        running.check()


def pour(connection: socket.socket, pieces: int) -> Response | None:
    """So much of a body, and the answer if one comes that early."""
    try:
        for _ in range(pieces):
            connection.sendall(PIECE)
    except ConnectionError:
        return read_response(connection)
    return None


# Too slow


def test_slow_callers_are_let_go_and_hold_up_nobody(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="5") as running:
        length = f"Content-Length: {LIMIT}"
        form_head = request_head(
            "/predict", f"Content-Type: {FORM_HEADERS['Content-Type']}", length
        )
        raw_head = request_head("/invocations", "Content-Type: image/jpeg", length)
        beginnings = {"nothing": b"", "head": b"POST /predict HTTP/1.1\r\nX-Long: ", "again": b""}
        beginnings |= {"form": form_head + form_body(photo_bytes())[:200], "raw": raw_head}
        slow = {name: [running.open(sent) for _ in range(8)] for name, sent in beginnings.items()}
        for connection in slow["again"]:  # a second request over the same connection
            connection.sendall(request_head("/health", method="GET"))
            assert read_response(connection).status == 200
            connection.sendall(beginnings["head"])
        over = threading.Event()
        with run_threads([lambda: dribble(slow, over)], over):
            assert running.predict(photo_bytes()).status == 200
            for connection in slow["form"] + slow["raw"]:
                answer = read_response(connection)
                assert answer.status == 408 and "5 s" in answer.json()["detail"]
            for connection in slow["nothing"] + slow["head"] + slow["again"]:
                assert is_closed(connection)
            assert running.predict(photo_bytes()).status == 200
        running.check()


def dribble(slow: dict[str, list[socket.socket]], over: threading.Event) -> None:
    while not over.wait(0.2):
        for name in slow.keys() - {"nothing"}:
            for connection in slow[name]:
                try:
                    connection.send(b"x")
                except OSError:
                    continue


def is_closed(connection: socket.socket) -> bool:
    """True once the service has closed it; an error where it does not."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_too_many_connections_are_told_to_come_back(service: ServiceProcess) -> None:
    held = [service.open() for _ in range(CONNECTIONS)]
    try:
        refused = read_response(service.open())
        assert refused.status == 503 and "try again" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) > 0
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: service.predict(photo_bytes()).status == 200)


@pytest.mark.parametrize(
    ("target", "kind"), [("/predict", FORM_HEADERS["Content-Type"]), ("/invocations", "image/jpeg")]
)
def test_a_caller_who_hangs_up_is_no_error_of_ours(
    service: ServiceProcess, target: str, kind: str
) -> None:
    own = "X-Request-Id: gone"
    sent = request_head(target, f"Content-Type: {kind}", "Content-Length: 9000", own)
    service.open(sent + form_body(photo_bytes())[:500]).close()
    told = {"request": "gone", "route": target, "status": 499}.items()
    wait_until(lambda: any(told <= line.items() for line in log_lines(service)))
    service.check()
