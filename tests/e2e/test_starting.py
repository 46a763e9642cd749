"""Every way to start it that the README and habit know: a page comes, to this machine alone."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest
from e2e.conftest import Visit
from e2e.server import MODULE, Server

from tagger.places import ROOT

SCRIPT = str(Path(sys.executable).with_name("streamlit"))
WAYS = {
    "streamlit run frontend/app.py": ((SCRIPT, "run", "frontend/app.py"), ROOT),
    "python -m streamlit run frontend/app.py": (MODULE, ROOT),
    "cd frontend && streamlit run app.py": ((SCRIPT, "run", "app.py"), ROOT / "frontend"),
}


def addresses() -> set[str]:
    """Under which this machine can be reached from others."""
    found = {row[4][0] for row in socket.getaddrinfo(socket.gethostname(), None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as aside:
        try:
            aside.connect(("192.0.2.1", 9))  # nothing is sent
            found.add(aside.getsockname()[0])
        except OSError:
            pass
    return {str(one) for one in found if not str(one).startswith("127.") and one != "::1"}


@pytest.mark.parametrize("way", WAYS)
def test_it_starts_and_listens_to_this_machine_alone(
    way: str, visit: Visit, tmp_path: Path
) -> None:
    command, folder = WAYS[way]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    server = Server(tmp_path / "library", command, folder)
    try:
        visitor = visit(server)
        visitor.check()
        assert "Network URL" not in server.said()
        assert "External URL" not in server.said()
        assert "usage statistics" not in server.said()
        for address in addresses():
            with pytest.raises(OSError):
                socket.create_connection((address, server.port), timeout=2)
        visitor.page.close()
    finally:
        server.kill()
