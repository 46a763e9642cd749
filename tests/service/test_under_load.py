"""The service process: reload, shutdown, crash, overload, slow and vanishing clients."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import PETS_MODEL, TIMEOUT, wait_until
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
LIMIT = 64 * MB  # bytes per request
ONE_MB = bytes(MB)
CONNECTIONS = 512
FORM = f"Content-Type: {FORM_HEADERS['Content-Type']}"
JPEG = "Content-Type: image/jpeg"


# Reload, shutdown, crash


def test_no_request_fails_during_reloads(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as service, run_clients(service) as clients:
        clients.wait_for_responses(4)
        for model in ("everyday", "pets") * 4:
            response = reload(service, model)
            assert (response.status, response.json()["model"]) == (200, model)
            clients.wait_for_responses(1)
        service.check()
    assert clients.statuses() == {200} and not clients.errors
    assert {answer.json()["model"] for answer in clients.responses} == {"everyday", "pets"}


def test_a_broken_model_file_leaves_the_old_model_active(tmp_path: Path) -> None:
    model = tmp_path / "mine.h5"
    shutil.copy(PETS_MODEL, model)
    with (
        run_service(tmp_path / "home", TAGGER_MODEL=str(model)) as service,
        run_clients(service) as clients,
    ):
        assert reload(service, None).status == 200
        for size in (10_000_000, 100, 0):
            model.write_bytes(PETS_MODEL.read_bytes()[:size])
            response = reload(service, None)
            assert response.status in range(400, 500), response
            assert "mine.h5" in response.json()["detail"]
            clients.wait_for_responses(8)
        service.check()
    assert clients.statuses() == {200} and not clients.errors


def reload(service: ServiceProcess, model: str | None) -> Response:
    body = json.dumps({"model": model}).encode()
    return service.request("POST", "/model/reload", body, {"Content-Type": "application/json"})


def test_sigterm_finishes_accepted_requests(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as service:
        accepted = [begin_request(service, form_body(photo_bytes(seed))) for seed in range(6)]
        with run_clients(service) as clients:
            clients.wait_for_responses(8)
            service.terminate()
            wait_until(lambda: refuses_connections(service))
            for seed, connection in enumerate(accepted):
                connection.sendall(form_body(photo_bytes(seed)))
            responses = [read_response(connection) for connection in accepted]
        assert service.process.wait(TIMEOUT) == 0
        assert [response.status for response in responses] == [200] * len(accepted)
        assert clients.statuses() == {200}
        assert not [e for e in clients.errors if isinstance(e, http.client.IncompleteRead)]
        lines = [line for line in log_lines(service) if line["route"] == "/predict"]
        assert len(lines) == len(responses) + len(clients.responses)  # no line is lost
        ids = {response.json()["id"] for response in responses}
        assert clients.ids() | ids == service.logged_ids()
        assert "Traceback" not in service.output()


def begin_request(service: ServiceProcess, body: bytes) -> socket.socket:
    """A request whose head the service has read, and whose body is not sent yet."""
    length = f"Content-Length: {len(body)}"
    connection = service.open(request_head("/predict", length, FORM, "Expect: 100-continue"))
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection


def refuses_connections(service: ServiceProcess) -> bool:
    try:
        service.open().close()
    except ConnectionRefusedError:
        return True
    except ConnectionError:  # it is just closing
        pass
    return False


def test_a_second_interrupt_stops_it_without_waiting(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as service:
        head = request_head("/predict", FORM, "Content-Length: 9000")
        connection = service.open(head + form_body(photo_bytes())[:500])
        wait_until(lambda: service.predict(photo_bytes()).status == 200)
        service.interrupt()
        wait_until(lambda: refuses_connections(service))
        service.interrupt()
        response = read_response(connection)
        assert response.status == 503 and "stopping" in response.json()["detail"]
        assert service.process.wait(TIMEOUT) == 130
        assert "Traceback" not in service.output()


def test_an_interrupt_ends_it_with_status_0(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as service:
        service.interrupt()
        assert service.process.wait(TIMEOUT) == 0
        assert "Traceback" not in service.output()


def test_a_killed_service_has_logged_every_answer(tmp_path: Path) -> None:
    with run_service(tmp_path / "home") as service, run_clients(service) as clients:
        clients.wait_for_responses(60)
        service.kill()
    with run_service(tmp_path / "home") as restarted:
        ids = clients.ids()
        assert len(ids) >= 60
        assert ids <= restarted.logged_ids()
        assert restarted.request("GET", "/stats").json()["answers"] >= len(ids)


# Overload


def test_a_full_queue_refuses_requests_and_recovers(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_QUEUE="0", TAGGER_WORKERS="1") as service:
        with run_clients(service, count=8) as clients:
            wait_until(lambda: {200, 503} <= clients.statuses())
        assert clients.statuses() == {200, 503} and not clients.errors
        refused = [response for response in clients.responses if response.status == 503]
        assert all(int(response.headers["retry-after"]) > 0 for response in refused)
        assert all("try again" in response.json()["detail"] for response in refused)
        assert service.predict(photo_bytes()).status == 200
        metrics = service.request("GET", "/metrics").body.decode()
        assert f"tagger_refused_total {len(refused)}.0" in metrics
        assert len(service.logged_ids()) == len(clients.responses) - len(refused) + 1
        service.check()


@pytest.mark.parametrize("target", ["/predict", "/invocations", "/model/reload", "/health"])
def test_a_huge_body_is_refused_unread(service: ServiceProcess, target: str) -> None:
    response = service.send(request_head(target, FORM, f"Content-Length: {1024 * MB}"))
    assert response.status == 413 and "64 MB" in response.json()["detail"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
@pytest.mark.parametrize(("target", "content_type"), [("/predict", FORM), ("/invocations", JPEG)])
def test_an_endless_body_is_refused(
    service: ServiceProcess, target: str, content_type: str
) -> None:
    service.predict(photo_bytes())
    with service.memory_limit(100 * MB):
        head = request_head(target, content_type, "Transfer-Encoding: chunked")
        with service.open(head) as connection:
            send_chunk(connection, form_body(photo_bytes())[: -len(f"\r\n--{BOUNDARY}--\r\n")])
            for _ in range(32):
                send_chunk(connection, ONE_MB)
            assert service.predict(photo_bytes()).status == 200
            sent = 32
            try:
                while sent < 1024:
                    send_chunk(connection, ONE_MB)
                    sent += 1
            except ConnectionError:
                pass
            assert sent < 200  # socket buffers take more than the service reads
            response = read_response(connection)
        assert response.status == 413 and "64 MB" in response.json()["detail"]
        assert service.predict(photo_bytes()).status == 200


def send_chunk(connection: socket.socket, content: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(content), content))


def test_too_many_large_bodies_at_once_are_refused(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="600") as service:
        head = request_head("/invocations", JPEG, f"Content-Length: {LIMIT}")
        refusal = None
        connections: list[socket.socket] = []
        while refusal is None and len(connections) < 20:
            connections.append(service.open(head))
            refusal = send_megabytes(connections[-1], LIMIT // MB - 1)
        assert refusal is not None and refusal.status == 503
        assert int(refusal.headers["retry-after"]) > 0
        for connection in connections:
            connection.close()
        wait_until(lambda: service.predict(photo_bytes()).status == 200)
        service.check()


def send_megabytes(connection: socket.socket, count: int) -> Response | None:
    """The response if there is one before all megabytes are sent."""
    try:
        for _ in range(count):
            connection.sendall(ONE_MB)
    except ConnectionError:
        return read_response(connection)
    return None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits another process")
def test_a_full_temporary_folder_is_a_reason_to_try_again(tmp_path: Path) -> None:
    import resource

    def limit_files(size: int) -> None:
        limits = (size, resource.RLIM_INFINITY)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, limits)

    with run_service(tmp_path / "home") as service:
        limit_files(MB)
        response = service.predict(bytes(3 * MB))
        assert response.status == 503 and "no room" in response.json()["detail"]
        assert int(response.headers["retry-after"]) > 0
        limit_files(resource.RLIM_INFINITY)
        assert service.predict(bytes(3 * MB)).status == 415
        service.check()


# Slow clients


def test_slow_clients_are_disconnected_and_do_not_delay_others(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_REQUEST_SECONDS="5") as service:
        length = f"Content-Length: {LIMIT}"
        partial_head = b"POST /predict HTTP/1.1\r\nX-Long: "
        beginnings = {
            "nothing": b"",
            "head": partial_head,
            "second request": b"",
            "form": request_head("/predict", FORM, length) + form_body(photo_bytes())[:200],
            "raw": request_head("/invocations", JPEG, length),
        }
        slow = {kind: [service.open(text) for _ in range(8)] for kind, text in beginnings.items()}
        for connection in slow["second request"]:
            connection.sendall(request_head("/health", method="GET"))
            assert read_response(connection).status == 200
            connection.sendall(partial_head)
        stop = threading.Event()
        with run_threads([lambda: dribble(slow, stop)], stop):
            assert service.predict(photo_bytes()).status == 200
            for connection in slow["form"] + slow["raw"]:
                response = read_response(connection)
                assert response.status == 408 and "5 s" in response.json()["detail"]
            for connection in slow["nothing"] + slow["head"] + slow["second request"]:
                assert is_closed(connection)
            assert service.predict(photo_bytes()).status == 200
        service.check()


def dribble(slow: dict[str, list[socket.socket]], stop: threading.Event) -> None:
    """Send a byte now and then over all connections but those that send nothing."""
    while not stop.wait(0.2):
        for kind in slow.keys() - {"nothing"}:
            for connection in slow[kind]:
                try:
                    connection.send(b"x")
                except OSError:
                    continue


def is_closed(connection: socket.socket) -> bool:
    """True once the service has closed it; raises an error if it does not."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_that_are_held_open_keep_nobody_out(service: ServiceProcess) -> None:
    connections = [service.open() for _ in range(CONNECTIONS)]
    try:
        assert service.predict(photo_bytes()).status == 200
        assert is_closed(connections[0])  # the one that was idle for longest
        connections[-1].sendall(request_head("/health", method="GET"))
        assert read_response(connections[-1]).status == 200
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: service.predict(photo_bytes()).status == 200)


@pytest.mark.parametrize(("target", "content_type"), [("/predict", FORM), ("/invocations", JPEG)])
def test_a_client_that_disconnects_is_logged_with_status_499(
    service: ServiceProcess, target: str, content_type: str
) -> None:
    head = request_head(target, content_type, "Content-Length: 9000", "X-Request-Id: gone")
    service.open(head + form_body(photo_bytes())[:500]).close()
    expected = {"request": "gone", "route": target, "status": 499}.items()
    wait_until(lambda: any(expected <= line.items() for line in log_lines(service)))
    service.check()
