"""Every way to start it that the README and habit know: a page comes, to this machine alone."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest

from tagger.paths import ROOT
from tests.e2e.conftest import Serve, Visit
from tests.e2e.server import MODULE

SCRIPT = str(Path(sys.executable).with_name("streamlit"))
WAYS = {
    "streamlit run frontend/app.py": ((SCRIPT, "run", "frontend/app.py"), ROOT),
    "python -m streamlit run frontend/app.py": (MODULE, ROOT),
    "cd frontend && streamlit run app.py": ((SCRIPT, "run", "app.py"), ROOT / "frontend"),
}


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}  # as /proc/net writes them
LISTENING = "0A"


def listening(port: int) -> set[str]:
    """The addresses at which this machine listens at a port, where the system tells."""
    rows = [
        line.split()
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if table.is_file()
        for line in table.read_text().splitlines()[1:]
    ]
    found = [row[1].split(":") for row in rows if row[3] == LISTENING]
    return {address for address, at in found if int(at, 16) == port}


def own_address() -> str | None:
    """Under which other machines reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as aside:
        try:
            aside.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        return str(aside.getsockname()[0])


@pytest.mark.parametrize("way", WAYS)
def test_it_starts_and_listens_to_this_machine_alone(
    way: str, serve: Serve, visit: Visit, tmp_path: Path
) -> None:
    command, folder = WAYS[way]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    server = serve(tmp_path / "library", command, folder, model=None)
    visit(server).check()
    assert listening(server.port) <= LOOPBACK
    if address := own_address():
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), timeout=2)
    for unwanted in ("Network URL", "External URL", "usage statistics"):
        assert unwanted not in server.said()
