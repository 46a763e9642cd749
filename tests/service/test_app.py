"""Starting the service: messages, invalid settings and options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagger.paths import ROOT
from tagger.service.app import main
from tests.conftest import TIMEOUT
from tests.service.service_process import VARIABLES, ServiceProcess


def run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The result of `python -m ...` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=TIMEOUT,
    )


def test_a_start_prints_the_url_the_model_and_the_library(service: ServiceProcess) -> None:
    output = service.output()
    assert f"http://localhost:{service.port} answers: model pets, library {service.home}" in output
    assert "TensorFlow" not in output


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("TAGGER_WORKERS", "two", "TAGGER_WORKERS='two': give a whole number"),
        ("TAGGER_MODEL", "nope", "no model is called 'nope'"),
        ("TAGGER_PREDICT_TOKEN", "geheim\u00e9", "TAGGER_PREDICT_TOKEN: a token has letters"),
        ("TAGGER_CORS", "a.example", "TAGGER_CORS='a.example': give origins as https://"),
    ],
)
def test_an_invalid_setting_is_a_sentence_and_status_2(
    name: str,
    text: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(name, text)
    assert main(["--port=0"]) == 2
    error = capfd.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_without_tokens_it_listens_on_loopback_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert main(["--host=0.0.0.0"]) == 2
    assert "others can reach it, so set TAGGER_PREDICT_TOKEN" in capfd.readouterr().err


@pytest.mark.parametrize("port", ["99999", "-1", "x", "²"])
def test_an_invalid_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([f"--port={port}"])
    assert exited.value.code == 2 and "from 0 to 65535" in capsys.readouterr().err


def test_a_port_in_use_is_a_sentence(service: ServiceProcess, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    process = run_module("tagger.api", "--port", str(service.port), TAGGER_HOME=home)
    assert process.returncode == 2 and "address already in use" in process.stderr
    assert "Traceback" not in process.stderr


def test_under_uvicorn_an_invalid_setting_is_a_sentence_as_well() -> None:
    process = run_module("uvicorn", "tagger.api:app", TAGGER_QUEUE="many")
    assert process.returncode and "TAGGER_QUEUE='many': give a whole number" in process.stderr
    assert "Traceback" not in process.stderr


def test_help_lists_all_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert [name for name in VARIABLES if name not in text] == []
