"""One service under one attack after the other: ordinary photos are tagged meanwhile.

Each is answered, with little memory. `python bench/attacks.py` sends more of each and measures
the seconds, which a busy machine would spoil here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.service.attacks import MB, attacks, ordinary_photos, resident_memory
from tests.service.service_process import photo_bytes, run_service

MAX_MEMORY = 1144 * MB  # 1.2 GB
MAX_GROWTH = 150 * MB
SCALE = 0.2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
def test_ordinary_photos_are_tagged_whatever_others_send(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_WORKERS="2") as service:
        port, process_id = service.port, service.process.pid
        assert service.predict(photo_bytes()).status == 200
        idle = resident_memory(process_id)
        for name, attack in attacks(SCALE).items():
            with ordinary_photos(port, process_id) as measures:
                attack(port)
            assert measures.peak <= MAX_MEMORY, (name, measures.peak // MB)
        wait_until(lambda: resident_memory(process_id) <= idle + MAX_GROWTH, 10)
        assert service.request("GET", "/ready").status == 200
        service.check()
