"""The app and other sites: frames, handshakes, hosts; and that nothing leaves this machine."""

from __future__ import annotations

import base64
import http.client
import os
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.app_server import MODULE, AppServer

# Runs before the app's own code, and writes down every address that is looked up or connected to.
WATCH = """
import os, sys

def watch(event, arguments):
    if event == "socket.connect":
        address = arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0]
    else:
        return
    with open(os.environ["WATCHED"], "a") as file:
        file.write(f"{address}\\n")

open(os.environ["WATCHED"], "a").close()
sys.addaudithook(watch)
"""
OTHER_ORIGINS = (
    *("https://evil.example", "http://evil.example:8501", "null", "http://[", "http://localhost:1"),
    *("http://localhost.evil.example", "file://", "http://8.8.8.8", "http://[::1]:1", "http://"),
)
LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "None", ""}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of addresses."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(WATCH)
    return folder / "addresses"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, watched: Path):  # type: ignore[no-untyped-def]
    """The app as a container starts it: reachable, without a browser."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(watched.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("WATCHED", str(watched))
        home = tmp_path_factory.mktemp("origins") / "library"
        server = AppServer(home, (*MODULE, "--server.address", "0.0.0.0"))
    yield server
    server.check_logs()
    server.kill()


def ask(app: AppServer, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=20)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers={"Host": f"localhost:{app.port}"} | names)
    response = connection.getresponse()
    connection.close()
    return response.status, response.headers


def shake_hands(app: AppServer, origin: str | None, **headers: str) -> int:
    """The status of a WebSocket handshake: 101 if it is accepted."""
    headers |= {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    headers["Sec_WebSocket_Key"] = base64.b64encode(bytes(16)).decode()
    if origin is not None:
        headers["Origin"] = origin
    return ask(app, "/_stcore/stream", **headers)[0]


def test_handshakes_of_other_origins_are_refused_at_once_and_nothing_leaves_this_machine(
    app: AppServer, watched: Path
) -> None:
    started = time.monotonic()
    for origin in OTHER_ORIGINS:
        assert shake_hands(app, origin) == 403, origin
    assert shake_hands(app, f"http://localhost:{app.port}") == 101
    assert shake_hands(app, f"http://localhost:{app.port}", Host="evil.example") == 400
    assert shake_hands(app, "http://evil.example", Host="evil.example") == 400
    assert time.monotonic() - started < 10  # each question to the outside would take seconds
    addresses = set(watched.read_text().splitlines())
    assert addresses <= LOCAL, addresses


def test_no_other_site_can_frame_any_page(app: AppServer) -> None:
    for path in ("/", "/gallery", "/_stcore/health", "/media/none"):
        _, headers = ask(app, path)
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["X-Frame-Options"] == "DENY"


def test_routes_with_photos_answer_no_other_site(app: AppServer) -> None:
    for path in ("gallery", "window", "ids", "tags", f"thumbnails/{'0' * 64}.jpg", "details/1"):
        assert ask(app, f"/library/{path}")[0] in (200, 404)
        assert ask(app, f"/library/{path}", Host="evil.example")[0] == 400
        assert ask(app, f"/library/{path}", Origin="https://evil.example")[0] == 403
        for site in ("cross-site", "same-site"):
            assert ask(app, f"/library/{path}", Sec_Fetch_Site=site)[0] == 403


def test_only_configured_hosts_are_answered(app: AppServer) -> None:
    for host, status in (("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:8501", 200)):
        assert ask(app, "/", Host=host)[0] == status
    for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", ""):
        assert ask(app, "/", Host=host)[0] == 400, host


def test_the_watch_sees_what_leaves(watched: Path, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    import subprocess

    environment = os.environ | {"PYTHONPATH": str(watched.parent), "WATCHED": str(tmp_path / "a")}
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('8.8.8.8', 1))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert (tmp_path / "a").read_text() == "8.8.8.8\n"
