"""A service process for the tests that leave it running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.service_process import VARIABLES, ServiceProcess, run_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests; it has to be alive and without a traceback at the end."""
    home = tmp_path_factory.mktemp("service") / "home"
    with run_service(home, TAGGER_QUEUE="64") as running:
        yield running
        running.check()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings come from the shell that runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
