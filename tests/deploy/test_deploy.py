"""Dockerfile, entry point, health check, Compose file, Prometheus and Grafana settings."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from tagger.images import decode
from tagger.inference.registry import BUNDLED
from tagger.paths import ROOT
from tagger.service.metrics import Metrics
from tagger.tagger import Tagger
from tests.conftest import PETS_MODEL, draw, wait_until

DEPLOY = ROOT / "deploy"
ENTRY, HEALTH = DEPLOY / "entry", DEPLOY / "health.py"
DASHBOARD = DEPLOY / "grafana" / "image-tagger.json"
TOKEN = "deploy-test-token"
LOOPBACK = "127.0.0.1"

needs_a_shell = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and signals")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return parsed


def instructions() -> list[str]:
    """The Dockerfile's instructions, one line each, without comments."""
    lines = [line for line in read("Dockerfile").splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def copied_paths() -> list[str]:
    """Paths that the Dockerfile copies from the project's folder."""
    copies = [line.split()[1:-1] for line in instructions() if line.startswith("COPY ")]
    return [source for sources in copies if "--from" not in sources[0] for source in sources]


# The image


def is_in_context(path: str) -> bool:
    """Whether `.dockerignore` lets a file through: its last matching line decides."""
    included = True
    for line in read(".dockerignore").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = path.split("/")
        if pattern.startswith("**/"):
            matches = any(fnmatch(part, pattern[3:]) for part in parts)
        else:
            matches = any(fnmatch("/".join(parts[: n + 1]), pattern) for n in range(len(parts)))
        included = line.startswith("!") if matches else included
    return included


def test_all_copied_paths_exist_and_are_in_the_build_context() -> None:
    assert copied_paths()
    for source in copied_paths():
        path = ROOT / source
        assert path.exists(), source
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        names = [p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts]
        assert names and all(is_in_context(name) for name in names), source


def test_the_image_holds_the_packages_and_bundled_models_and_nothing_else() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    context = [name for name in tracked if is_in_context(name)]
    copies = copied_paths()
    assert all(any(name == c or name.startswith(f"{c}/") for c in copies) for name in context)
    assert {name for name in tracked if name.startswith(("tagger/", "frontend/"))} <= set(context)
    for name in BUNDLED:
        assert f"model/{name}.h5" in context and f"model/{name}.json" in context
    for name in (".env", "library/catalogue.db", "model/mine.h5", "dataset/cat/tom.jpg", ".git/x"):
        assert not is_in_context(name)
    assert not is_in_context("tagger/__pycache__/api.cpython-312.pyc")


def test_the_image_runs_without_root_and_stops_by_sigterm() -> None:
    parsed = [(words[0], words[1]) for line in instructions() if (words := line.split(maxsplit=1))]
    last = dict(parsed)
    assert last["USER"] == "10001:10001"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(last["ENTRYPOINT"]) == ["/app/deploy/entry"]
    assert "deploy/health.py" in last["HEALTHCHECK"]
    assert os.access(ENTRY, os.X_OK)
    bases = {rest.split()[0] for word, rest in parsed if word == "FROM"}
    assert bases == {"python:3.12-slim-bookworm", "programs"}


# The entry point


def environment(home: Path, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "TAGGER_HOME": str(home), "TAGGER_PREDICT_TOKEN": TOKEN}
    return {**os.environ, **settings, **more}


@contextmanager
def run_entry(*command: str, health_path: str, port: int, env: dict[str, str]) -> Iterator[str]:
    """The URL of a program that the entry started; SIGTERM has to end it.

    Of the app's server it is uvicorn that sends the signal again, once everything is closed.
    """
    status = -signal.SIGTERM if command[0] == "app" else 0
    url = f"http://{LOOPBACK}:{port}"
    with subprocess.Popen(
        [str(ENTRY), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or check_health(url + health_path) == 0)
            assert process.poll() is None, process.communicate()[0]
            yield url
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
            assert process.returncode == status, out
        finally:
            process.kill()


def check_health(url: str) -> int:
    """The exit status of the image's health check."""
    return subprocess.run([sys.executable, str(HEALTH), url]).returncode


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        return int(listening.getsockname()[1])


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, body, headers), timeout=30) as response:
            return response.status, json.loads(response.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


@needs_a_shell
def test_the_entry_starts_the_service(tmp_path: Path) -> None:
    port = free_port()
    command = ("api", "--host", LOOPBACK, "--port", str(port))
    with run_entry(*command, health_path="/health", port=port, env=environment(tmp_path)) as url:
        form = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + decode.encode(draw("disc", 1), "PNG")
            + b"\r\n--b--\r\n"
        )
        kind = "multipart/form-data; boundary=b"
        assert ask(f"{url}/predict", form, Content_Type=kind)[0] == 401
        bearer = f"Bearer {TOKEN}"
        status, answer = ask(f"{url}/predict", form, Content_Type=kind, Authorization=bearer)
        assert status == 200 and answer["model"] == BUNDLED[0]


@needs_a_shell
def test_the_entry_serves_sagemakers_model_and_invocations_need_no_token(tmp_path: Path) -> None:
    (tmp_path / "ml" / "model").mkdir(parents=True)
    shutil.copyfile(PETS_MODEL, tmp_path / "ml" / "model" / "mine.h5")
    port, photo = free_port(), decode.encode(draw("disc", 1), "PNG")
    command = ("serve", "--host", LOOPBACK, "--port", str(port))
    env = environment(tmp_path / "library", SAGEMAKER_BASE_DIR=str(tmp_path / "ml"))
    with run_entry(*command, health_path="/ping", port=port, env=env) as url:
        status, raw = ask(f"{url}/invocations", photo, Content_Type="image/png")
        assert status == 200 and raw["model"] == "mine"
        sent = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
        status, same = ask(f"{url}/invocations", sent, Content_Type="application/json")
        assert status == 200 and same["predictions"] == raw["predictions"]
        assert ask(f"{url}/stats")[0] == 401


@needs_a_shell
def test_the_entry_starts_the_app(tmp_path: Path) -> None:
    port, path = free_port(), "/_stcore/health"
    command = ("app", "--server.address", LOOPBACK, "--server.port", str(port))
    with (
        run_entry(*command, health_path=path, port=port, env=environment(tmp_path)) as url,
        urlopen(url, timeout=30) as page,
    ):
        assert b"<title>" in page.read()


@needs_a_shell
@pytest.mark.parametrize("command", [[], ["sh"], ["-c", "id"]])
def test_the_entry_refuses_other_commands(command: list[str]) -> None:
    process = subprocess.run([str(ENTRY), *command], capture_output=True, text=True)
    assert process.returncode == 2
    assert "give app, api, train or serve" in process.stderr


def test_the_health_check_fails_where_nothing_listens() -> None:
    assert check_health(f"http://{LOOPBACK}:{free_port()}/health") == 1


# Compose, Prometheus, Grafana


def test_the_example_env_file_lists_all_variables_and_no_secrets() -> None:
    used = set(re.findall(r"\$\{(\w+)", read("compose.yaml")))
    listed = dict(re.findall(r"^(\w+)=(.*)$", read(".env.example"), re.M))
    assert used == set(listed)
    required = set(re.findall(r"\$\{(\w+):\?[^}]+\}", read("compose.yaml")))
    assert required == {name for name in used if re.search("TOKEN|PASSWORD", name)}
    assert not any(listed[name] for name in required)


def test_services_name_services_volumes_and_files_that_exist() -> None:
    project = compose()
    services = project["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service["networks"]) <= set(project["networks"]), name
        secrets = {secret["source"] for secret in service.get("secrets", [])}
        assert secrets <= set(project["secrets"])
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), volume
            else:
                assert source in project["volumes"], volume
    text = read("compose.yaml") + read("deploy/grafana/datasource.yml")
    assert set(re.findall(r"@(\w+)/|//(prometheus):", text)) == {
        ("database", ""),
        ("", "prometheus"),
    }


def test_services_listen_on_loopback_and_have_few_rights() -> None:
    for name, service in compose()["services"].items():
        assert all(port.startswith(f"{LOOPBACK}:") for port in service.get("ports", [])), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "prometheus"
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert re.search(r":\d|^image-tagger$", service["image"]) or ":v" in service["image"]


def test_the_app_and_the_service_share_library_models_and_database() -> None:
    app, api = (compose()["services"][name] for name in ("app", "api"))
    for volume in ("library:/library", "model:/app/model"):
        assert volume in app["volumes"] and volume in api["volumes"]
    for name in ("TAGGER_HOME", "TAGGER_DATABASE"):
        assert app["environment"][name] == api["environment"][name]
    assert [app["command"], api["command"]] == [["app"], ["api"]]


def test_prometheus_scrapes_the_service_with_its_token() -> None:
    (job,) = yaml.safe_load(read("deploy/prometheus.yml"))["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    service, port = target.split(":")
    assert service in compose()["services"] and f"--port {port}" in ENTRY.read_text()
    (secret,) = compose()["services"]["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret['target']}"


def test_the_dashboard_shows_only_metrics_that_exist(pets: Tagger) -> None:
    metrics = Metrics(lambda: 0, lambda: pets)
    metrics.count_request("/predict", 503, 0.1)
    metrics.count_prediction(pets.tag(draw("disc", 1)))
    metrics.observe_batch(1)
    exported = set(re.findall(r"^(tagger_\w+)", metrics.render().decode(), re.M))
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    source = yaml.safe_load(read("deploy/grafana/datasource.yml"))["datasources"][0]
    used: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == source["uid"]
            used |= set(re.findall(r"tagger_\w+", target["expr"]))
            assert target["expr"].count("(") == target["expr"].count(")")
    assert used <= exported
    families = ("requests", "request_seconds", "predictions", "queue", "batch", "refused", "model")
    assert all(any(name.startswith(f"tagger_{family}") for name in used) for family in families)


def test_the_dashboards_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    occupied: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        columns = range(grid["x"], grid["x"] + grid["w"])
        rows = range(grid["y"], grid["y"] + grid["h"])
        cells = {(x, y) for x in columns for y in rows}
        assert max(columns) < 24 and not cells & occupied, panel["title"]
        occupied |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
