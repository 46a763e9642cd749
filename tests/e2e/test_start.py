"""The three ways to start the app; it listens on localhost only."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.paths import ROOT
from tests.e2e.app_server import MODULE
from tests.e2e.conftest import OpenApp, StartServer

SCRIPT = str(Path(sys.executable).with_name("streamlit"))
COMMANDS = {
    "streamlit run frontend/app.py": ((SCRIPT, "run", "frontend/app.py"), ROOT),
    "python -m streamlit run frontend/app.py": (MODULE, ROOT),
    "cd frontend && streamlit run app.py": ((SCRIPT, "run", "app.py"), ROOT / "frontend"),
}


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}  # as /proc/net writes them
LISTENING = "0A"


def listen_addresses(port: int) -> set[str]:
    """The local addresses with a listener on a port, where /proc lists them."""
    rows = [
        line.split()
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if table.is_file()
        for line in table.read_text().splitlines()[1:]
    ]
    sockets = [row[1].split(":") for row in rows if row[3] == LISTENING]
    return {address for address, number in sockets if int(number, 16) == port}


def own_address() -> str | None:
    """The address under which other machines reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_app_starts_and_listens_on_localhost_only(
    name: str, start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    command, folder = COMMANDS[name]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    server = start_server(tmp_path / "library", command, folder, model=None)
    app = open_app(server)
    app.check()
    app.open("gallery")  # a page's own address, without an answer "not found"
    app.check()
    assert listen_addresses(server.port) <= LOOPBACK
    if address := own_address():
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), timeout=2)
    for unwanted in ("Network URL", "External URL", "usage statistics"):
        assert unwanted not in server.read_log()


def test_the_app_works_below_a_path(
    start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app(start_server(tmp_path / "library", base="/photos/of/ada"), "gallery")
    app.click("Add the sample photos")
    expect(app.tiles()).to_have_count(4)
    app.page.wait_for_function(
        "[...document.querySelector('[data-testid=stMain] [data-testid=stBidiComponentIsolated]')"
        ".shadowRoot.querySelectorAll('li img')]"
        ".filter(image => image.naturalWidth > 0).length === 4"
    )
    app.open("search")
    app.check()
