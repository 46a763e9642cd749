"""One service under one attack after the other: ordinary photos are tagged meanwhile.

`python bench/attacks.py` sends more of each and prints what it measures.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.service.attacks import MB, attacks, ordinary_photos, resident_memory
from tests.service.service_process import run_service

MAX_SECONDS = 2.0
MAX_MEMORY = 1144 * MB  # 1.2 GB
MAX_GROWTH = 150 * MB
SCALE = 0.2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
def test_ordinary_photos_are_tagged_whatever_others_send(tmp_path: Path) -> None:
    with run_service(tmp_path / "home", TAGGER_WORKERS="2") as service:
        port, process_id = service.port, service.process.pid
        with ordinary_photos(port, process_id) as before:
            time.sleep(2)
        # On a machine that is busy already, ordinary photos take longer without any attack.
        limit = max(MAX_SECONDS, 4 * max(before.seconds))
        idle = resident_memory(process_id)
        for name, attack in attacks(SCALE).items():
            with ordinary_photos(port, process_id) as measures:
                attack(port)
            assert max(measures.seconds) <= limit, (name, measures)
            assert measures.peak <= MAX_MEMORY, (name, measures.peak // MB)
        wait_until(lambda: resident_memory(process_id) <= idle + MAX_GROWTH, 10)
        assert service.request("GET", "/ready").status == 200
        service.check()
