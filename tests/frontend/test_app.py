"""The app's shell: navigation, settings, the choice of the active model, light imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tagger.images import decode
from tagger.jobs.lease import Lease
from tagger.jobs.requests import CompareRequest, ImportFolderRequest, JobRequest, submit
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.frontend.conftest import MakeModel, import_drawn_photos
from tests.frontend.pages import (
    APP,
    notices,
    open_page,
    page_text,
    type_option,
    unescape,
)

StartJob = Callable[[JobRequest], Lease]
HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "pandas", "altair", "matplotlib", "pyarrow")


def test_the_first_page_imports_no_heavy_packages(library: Library) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"app = AppTest.from_file({str(APP)!r}, default_timeout=60).run();"
        f"print(len(app.exception), [m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "0 []"


def test_settings_allow_only_local_access() -> None:
    import tomllib

    settings = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "localhost"
    assert settings["server"]["maxUploadSize"] * 2**20 == decode.MAX_BYTES
    assert not settings["server"]["showEmailPrompt"]
    assert not settings["browser"]["gatherUsageStats"]
    assert settings["client"]["showErrorDetails"] == "none"
    assert not (
        ROOT / ".streamlit"
    ).exists()  # it would apply only when started from the project's folder


def test_settings_and_styles_load_nothing_remote() -> None:
    for file in (APP.parent / ".streamlit" / "config.toml", *APP.parent.rglob("*.css")):
        assert "http" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "view", ["tag", "import_photos", "gallery", "search", "review", "train", "models", "activity"]
)
def test_every_page_opens_on_an_empty_library(library: Library, view: str) -> None:
    app = open_page(view)
    assert app.title
    assert not app.error


def test_a_library_that_cannot_be_opened_shows_an_error_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "file"))
    app = open_page()
    assert "no folder for a library" in unescape(app.error[0].value)


def test_the_sidebar_switches_the_active_model(library: Library, make_model: MakeModel) -> None:
    other = str(make_model("other", "single", 0.5))
    library.use_model(other)
    app = open_page("activity")
    box = app.sidebar.selectbox[0]
    assert box.value == other
    assert f"other in {Path(other).parent} · 2 labels" in box.options
    box.set_value("pets").run()
    assert not app.exception
    assert library.active_model() == "pets"


def test_a_broken_active_model_shows_an_error_and_can_be_switched(
    library: Library, make_model: MakeModel
) -> None:
    other = make_model("other", "single", 0.5)
    library.use_model(str(other))
    other.write_bytes(b"no model")
    app = open_page()
    assert "not a model file" in unescape(app.error[0].value)
    assert f"other in {other.parent} · cannot be read" in app.sidebar.selectbox[0].options
    app.sidebar.selectbox[0].set_value("pets").run()
    assert not app.error
    assert app.title[0].value == "What is in this photo?"


def test_a_new_library_has_a_default_model(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "new")
    assert library.active_model() in ("everyday", "image_tagger")
    library.close()


def test_a_missing_active_model_is_replaced_by_the_default(
    library: Library, make_model: MakeModel
) -> None:
    other = make_model("other", "single", 0.5)
    library.use_model(str(other))
    other.unlink()
    app = open_page()
    assert not app.error
    assert app.sidebar.selectbox[0].value == library.active_model() != str(other)


def test_saved_searches_are_in_the_menu_of_a_phone(library: Library) -> None:
    assert "Saved searches" not in page_text(open_page())
    library.save_entry("search", "Dogs [a](b)", {"query": "dog sea"}, "Saved a search")
    links = [link.proto for link in open_page().get("page_link")]
    (saved,) = (link for link in links if "Dogs" in unescape(link.label))
    assert saved.page.endswith("search") and saved.query_string == "q=dog+sea"
    assert unescape(saved.label) == "Dogs [a](b)"


@pytest.fixture
def start_job(library: Library, tmp_path: Path) -> Iterator[StartJob]:
    """Start a job that does nothing until it is ended."""
    with ExitStack() as leases:

        def start(request: JobRequest) -> Lease:
            lease = Lease(library, submit(library, request))
            assert lease.acquire()
            leases.enter_context(lease.keep_alive())
            return lease

        yield start


def test_the_end_of_every_job_is_a_notice(start_job: StartJob, tmp_path: Path) -> None:
    jobs = [start_job(ImportFolderRequest(str(tmp_path))), start_job(CompareRequest())]
    jobs += [start_job(ImportFolderRequest(str(tmp_path))) for _ in range(2)]
    app = open_page("tags")
    assert len(app.sidebar.get("progress")) == 3, "the others are on their page"
    jobs[0].release("stopped")
    assert notices(app.run()) == [f"Import {tmp_path}: stopped, no photos"]
    assert notices(app.run()) == [f"Import {tmp_path}: stopped, no photos"], "it stays"
    jobs[1].release("done")
    assert notices(app.run()) == ["Look for duplicates: finished"]
    jobs.append(start_job(ImportFolderRequest(str(tmp_path))))
    assert notices(app.run()) == [], "another job has begun"
    jobs[2].release("stopped")
    assert notices(app.run()) == [f"Import {tmp_path}: stopped, no photos"]
    app.sidebar.selectbox[0].set_value("everyday").run()
    assert f"Import {tmp_path}: stopped, no photos" not in notices(app), "somebody did something"
    for job in jobs[3:]:
        job.release("stopped")


def test_the_import_page_needs_no_notice_of_imports(start_job: StartJob, tmp_path: Path) -> None:
    jobs = [start_job(ImportFolderRequest(str(tmp_path))), start_job(CompareRequest())]
    app = open_page("import_photos")
    app.session_state["notices"] = {"said by another page": False}
    for job in jobs:
        job.release("done")
    assert notices(app.run()) == ["said by another page", "Look for duplicates: finished"]
    app.switch_page("views/tags.py").run()
    assert notices(app) == []


def test_an_error_of_an_action_is_shown_though_the_page_is_drawn_again(
    project_library: Library, tmp_path: Path
) -> None:
    (tmp_path / "model" / "bad.h5").write_bytes(b"no model")
    shutil.copy(tmp_path / "model" / "pets.json", tmp_path / "model" / "bad.json")
    import_drawn_photos(project_library, tmp_path / "photos", 1)
    app = open_page("teach")
    type_option(app, "teach-choose", "ball")  # it is put into the address, and the page drawn again
    app.sidebar.selectbox[0].set_value("bad").run()
    assert app.title[0].value == "ball"
    assert "not a model file" in unescape(app.error[0].value)
    assert not app.run().error
