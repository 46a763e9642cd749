"""What the project is packed by: the image's recipe, its entry, and the services around it."""

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


def written(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(written("compose.yaml"))
    return found


def instructions() -> list[str]:
    """The Dockerfile's, one line each, without comments."""
    lines = [line for line in written("Dockerfile").splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def copied() -> list[str]:
    """What the image takes from the project's folder."""
    copies = [line.split()[1:-1] for line in instructions() if line.startswith("COPY ")]
    return [source for sources in copies if "--from" not in sources[0] for source in sources]


# The image


def let_through(path: str) -> bool:
    """Whether `.dockerignore` leaves a file in: the last of its lines that fits decides."""
    kept = True
    for line in written(".dockerignore").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = path.split("/")
        if pattern.startswith("**/"):
            fits = any(fnmatch(part, pattern[3:]) for part in parts)
        else:
            fits = any(fnmatch("/".join(parts[: n + 1]), pattern) for n in range(len(parts)))
        kept = line.startswith("!") if fits else kept
    return kept


def test_the_image_takes_what_there_is_and_what_is_let_through() -> None:
    assert copied()
    for source in copied():
        place = ROOT / source
        assert place.exists(), source
        files = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else [place]
        inside = [p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts]
        assert inside and all(let_through(path) for path in inside), source


def test_the_image_holds_all_that_runs_and_nothing_else() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    left = [name for name in tracked if let_through(name)]
    assert all(any(name == c or name.startswith(f"{c}/") for c in copied()) for name in left)
    assert {name for name in tracked if name.startswith(("tagger/", "frontend/"))} <= set(left)
    for name in BUNDLED:
        assert f"model/{name}.h5" in left and f"model/{name}.json" in left
    for name in (".env", "library/catalogue.db", "model/mine.h5", "dataset/cat/tom.jpg", ".git/x"):
        assert not let_through(name)
    assert not let_through("tagger/__pycache__/api.cpython-312.pyc")


def test_the_image_runs_as_nobody_in_particular_and_hears_signals() -> None:
    last = [(words[0], words[1]) for line in instructions() if (words := line.split(maxsplit=1))]
    said = dict(last)
    assert said["USER"] == "10001:10001"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(said["ENTRYPOINT"]) == ["/app/deploy/entry"]
    assert "deploy/health.py" in said["HEALTHCHECK"]
    assert os.access(ENTRY, os.X_OK)
    bases = {rest.split()[0] for word, rest in last if word == "FROM"}
    assert bases == {"python:3.12-slim-bookworm", "programs"}


# The entry


def environment(home: Path, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "TAGGER_HOME": str(home), "TAGGER_PREDICT_TOKEN": TOKEN}
    return {**os.environ, **ours, **more}


@contextmanager
def entered(*command: str, alive: str, port: int, env: dict[str, str]) -> Iterator[str]:
    """A program of the entry, on this machine alone; its address. SIGTERM has to end it well."""
    url = f"http://{LOOPBACK}:{port}"
    with subprocess.Popen(
        [str(ENTRY), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or health(url + alive) == 0)
            assert process.poll() is None, process.communicate()[0]
            yield url
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0, out
        finally:
            process.kill()


def health(url: str) -> int:
    """What HEALTHCHECK would say of a place."""
    return subprocess.run([sys.executable, str(HEALTH), url]).returncode


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        return int(listening.getsockname()[1])


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, body, named), timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


@needs_a_shell
def test_the_entry_starts_the_service(tmp_path: Path) -> None:
    port = free_port()
    command = ("api", "--host", LOOPBACK, "--port", str(port))
    with entered(*command, alive="/health", port=port, env=environment(tmp_path)) as url:
        form = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + decode.encode(draw("disc", 1), "PNG")
            + b"\r\n--b--\r\n"
        )
        kind = "multipart/form-data; boundary=b"
        assert ask(f"{url}/predict", form, Content_Type=kind)[0] == 401
        bearer = f"Bearer {TOKEN}"
        status, said = ask(f"{url}/predict", form, Content_Type=kind, Authorization=bearer)
        assert status == 200 and said["model"] == BUNDLED[0]


@needs_a_shell
def test_the_entry_serves_sagemakers_model_without_a_token(tmp_path: Path) -> None:
    (tmp_path / "ml" / "model").mkdir(parents=True)
    shutil.copyfile(PETS_MODEL, tmp_path / "ml" / "model" / "mine.h5")
    port, photo = free_port(), decode.encode(draw("disc", 1), "PNG")
    command = ("serve", "--host", LOOPBACK, "--port", str(port))
    env = environment(tmp_path / "library", SAGEMAKER_BASE_DIR=str(tmp_path / "ml"))
    with entered(*command, alive="/ping", port=port, env=env) as url:
        status, raw = ask(f"{url}/invocations", photo, Content_Type="image/png")
        assert status == 200 and raw["model"] == "mine"
        sent = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
        status, same = ask(f"{url}/invocations", sent, Content_Type="application/json")
        assert status == 200 and same["predictions"] == raw["predictions"]
        assert ask(f"{url}/stats")[0] == 401


@needs_a_shell
def test_the_entry_starts_the_app(tmp_path: Path) -> None:
    port, alive = free_port(), "/_stcore/health"
    command = ("app", "--server.address", LOOPBACK, "--server.port", str(port))
    with (
        entered(*command, alive=alive, port=port, env=environment(tmp_path)) as url,
        urlopen(url, timeout=30) as page,
    ):
        assert b"<title>" in page.read()


@needs_a_shell
@pytest.mark.parametrize("command", [[], ["sh"], ["-c", "id"]])
def test_the_entry_runs_nothing_else(command: list[str]) -> None:
    done = subprocess.run([str(ENTRY), *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "give app, api, train or serve" in done.stderr


def test_where_nothing_listens_nothing_is_alive() -> None:
    assert health(f"http://{LOOPBACK}:{free_port()}/health") == 1


# The services around it


def test_compose_asks_for_what_the_example_lists() -> None:
    used = set(re.findall(r"\$\{(\w+)", written("compose.yaml")))
    listed = dict(re.findall(r"^(\w+)=(.*)$", written(".env.example"), re.M))
    assert used == set(listed)
    needed = set(re.findall(r"\$\{(\w+):\?[^}]+\}", written("compose.yaml")))
    assert needed == {name for name in used if re.search("TOKEN|PASSWORD", name)}
    assert not any(listed[name] for name in needed)  # no secret for everybody


def test_services_name_services_volumes_and_files_that_exist() -> None:
    described = compose()
    services = described["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service["networks"]) <= set(described["networks"]), name
        assert {one["source"] for one in service.get("secrets", [])} <= set(described["secrets"])
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), volume
            else:
                assert source in described["volumes"], volume
    named = written("compose.yaml") + written("deploy/grafana/datasource.yml")
    assert set(re.findall(r"@(\w+)/|//(prometheus):", named)) == {
        ("database", ""),
        ("", "prometheus"),
    }


def test_services_are_for_this_machine_and_may_do_little() -> None:
    for name, service in compose()["services"].items():
        assert all(port.startswith(f"{LOOPBACK}:") for port in service.get("ports", [])), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "prometheus"
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert re.search(r":\d|^image-tagger$", service["image"]) or ":v" in service["image"]


def test_the_app_and_the_service_share_library_models_and_database() -> None:
    app, api = (compose()["services"][name] for name in ("app", "api"))
    for place in ("library:/library", "model:/app/model"):
        assert place in app["volumes"] and place in api["volumes"]
    for name in ("TAGGER_HOME", "TAGGER_DATABASE"):
        assert app["environment"][name] == api["environment"][name]
    assert [app["command"], api["command"]] == [["app"], ["api"]]


def test_prometheus_asks_the_service_with_its_token() -> None:
    (job,) = yaml.safe_load(written("deploy/prometheus.yml"))["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    service, port = target.split(":")
    assert service in compose()["services"] and f"--port {port}" in ENTRY.read_text()
    (secret,) = compose()["services"]["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret['target']}"


def test_the_dashboard_shows_metrics_that_there_are(pets: Tagger) -> None:
    meters = Metrics(lambda: 0, lambda: pets)
    meters.count_request("/predict", 503, 0.1)
    meters.count_predictions([pets.tag(draw("disc", 1))])
    meters.observe_batch(1)
    told = set(re.findall(r"^(tagger_\w+)", meters.render().decode(), re.M))
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    source = yaml.safe_load(written("deploy/grafana/datasource.yml"))["datasources"][0]
    shown: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == source["uid"]
            shown |= set(re.findall(r"tagger_\w+", target["expr"]))
            assert target["expr"].count("(") == target["expr"].count(")")
    assert shown <= told
    families = ("requests", "request_seconds", "predictions", "queue", "batch", "refused", "model")
    assert all(any(name.startswith(f"tagger_{one}") for name in shown) for one in families)


def test_the_dashboards_panels_have_a_place_each() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        columns, rows = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = {(x, y) for x in columns for y in rows}
        assert max(columns) < 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
