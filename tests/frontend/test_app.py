"""The app: its shell, what its pages share, and the pages Tag, Import and Activity."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import h5py
import pytest
import streamlit as st
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from tagger.datasets.sample_photos import PHOTOS
from tagger.images import decode
from tagger.inference import model_file
from tagger.inference.decision import DecisionRule
from tagger.inference.model_file import GROUP, ModelFile
from tagger.jobs.lease import MAX_RUNNING, Lease
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.labels import Kind, LabelSet
from tagger.library.database.schema import photos as photos_table
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import PETS_MODEL, draw, draw_collection, import_folder

APP = ROOT / "frontend" / "app.py"
HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "pandas", "altair", "matplotlib", "pyarrow")
HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()",
    "../../x",
    "'; DROP TABLE photos;--",
    ":red[x] :material/face: :smile: $x^2$ [a](http://b.example)",
    "www.b.example a@b.example\n# x",
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """An empty library that cats and dogs are tagged in, which the app opens too."""
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    opened = Library.open()
    opened.set_active_model("pets")
    yield opened
    opened.close()
    st.cache_resource.clear()


def open_page(view: str | None = None) -> AppTest:
    """A new visitor on a page."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    if view is not None:
        app.switch_page(f"views/{view}.py").run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """Everything a page says, but for the labels of its widgets."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "error")
    texts = [element.value for kind in kinds for element in app.get(kind)]
    return "\n".join([*texts, *(element.proto.body for element in app.get("html"))])


def unescaped(text: str) -> str:
    """Markdown as a person reads it, if nothing in it is Markdown."""
    return text.replace("\\", "").replace("\u2060", "")


def photo(seed: int = 0, format: str = "PNG") -> bytes:
    """A drawn photo that is no cat and no dog."""
    return decode.encode(draw("disc", seed), format)


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files into the one uploader of a page."""
    dropped = [(name, data, "image/png") for name, data in files]
    return app.file_uploader[0].set_value(dropped).run()


def finished(library: Library, app: AppTest) -> AppTest:
    """The page after every job is over."""
    deadline = time.monotonic() + 90
    while library.operations(active=True):
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.1)
    return app.run()


def variant(path: Path, kind: Kind, threshold: float) -> Path:
    """The bundled model with another rule: familiar with everything, sure from `threshold` on."""
    keras_file = path.with_suffix(".keras.h5")
    shutil.copyfile(PETS_MODEL, keras_file)
    with h5py.File(keras_file, "r+") as file:
        del file[GROUP]
    pets = model_file.load(PETS_MODEL)
    rule = DecisionRule(kind, 1.0, (threshold, threshold))
    labels = LabelSet(pets.labels.names, kind)
    about = {"trained_on": pets.card.get("trained_on")}
    model_file.save(path, keras_file, ModelFile(labels, pets.image_size, rule, pets.network, about))
    return path


# The shell


def test_the_first_page_needs_nothing_heavy(library: Library) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"app = AppTest.from_file({str(APP)!r}, default_timeout=60).run();"
        f"print(len(app.exception), [m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "0 []"


def test_settings_lie_beside_the_app_and_listen_to_this_machine_alone() -> None:
    import tomllib

    settings = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "localhost"
    assert settings["server"]["maxUploadSize"] * 2**20 == decode.MAX_BYTES
    assert not settings["server"]["showEmailPrompt"]
    assert not settings["browser"]["gatherUsageStats"]
    assert settings["client"]["showErrorDetails"] == "none"
    assert not (ROOT / ".streamlit").exists()  # it would be read from the project's folder only


def test_no_setting_or_style_asks_another_machine() -> None:
    for file in (APP.parent / ".streamlit" / "config.toml", *APP.parent.rglob("*.css")):
        assert "http" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "view", ["tag", "import_photos", "gallery", "search", "review", "train", "models", "activity"]
)
def test_every_page_opens_on_an_empty_library(library: Library, view: str) -> None:
    app = open_page(view)
    assert app.title
    assert not app.error


def test_a_library_that_cannot_be_opened_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "file"))
    app = open_page()
    assert "no folder for a library" in unescaped(app.error[0].value)


def test_the_model_is_switched_from_the_sidebar(library: Library, tmp_path: Path) -> None:
    other = str(variant(tmp_path / "other.h5", "single", 0.5))
    library.set_active_model(other)
    app = open_page("activity")
    box = app.sidebar.selectbox[0]
    assert box.value == other
    assert f"other in {tmp_path} · 2 labels" in box.options
    box.set_value("pets").run()
    assert not app.exception
    assert library.active_model() == "pets"


def test_a_broken_model_is_a_sentence_and_can_be_left(library: Library, tmp_path: Path) -> None:
    other = variant(tmp_path / "other.h5", "single", 0.5)
    library.set_active_model(str(other))
    other.write_bytes(b"no model")
    app = open_page()
    assert "not a model file" in unescaped(app.error[0].value)
    assert f"other in {tmp_path} · cannot be read" in app.sidebar.selectbox[0].options
    app.sidebar.selectbox[0].set_value("pets").run()
    assert not app.error
    assert app.title[0].value == "What is in this photo?"


def test_a_new_library_is_tagged_with_the_bundled_tags(tmp_path: Path) -> None:
    opened = Library.open(tmp_path / "new")
    assert opened.active_model() in ("everyday", "image_tagger")
    opened.close()


def test_without_the_chosen_model_the_default_tags(library: Library, tmp_path: Path) -> None:
    other = variant(tmp_path / "other.h5", "single", 0.5)
    library.set_active_model(str(other))
    other.unlink()
    app = open_page()
    assert not app.error
    assert app.sidebar.selectbox[0].value == library.active_model() != str(other)


# Tag


def test_a_sample_is_one_click_away(library: Library) -> None:
    app = open_page()
    assert [button.label for button in app.button] == ["Cat", "Astronaut", "Coffee", "Rocket"]
    app.button(key="tag-try-cat.png").click().run()
    assert '<p class="it-label" dir="auto">cat</p>' in said(app)
    assert "% sure" in said(app)


def test_what_is_unlike_the_training_photos_is_unknown(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    assert "Unknown" in said(app)
    assert "Unlike every photo that pets was taught with. Its best guess would be" in said(app)
    assert "Add to the library" in [button.label for button in app.button]


def test_what_is_between_labels_is_unknown(library: Library, tmp_path: Path) -> None:
    library.set_active_model(str(variant(tmp_path / "strict.h5", "single", 1.0)))
    app = upload(open_page(), ("disc.png", photo()))
    assert "Unknown" in said(app)
    assert "not sure enough of either" in said(app)


def test_a_model_of_several_labels_names_them_all_or_none(library: Library, tmp_path: Path) -> None:
    library.set_active_model(str(variant(tmp_path / "all.h5", "multi", 0.0)))
    text = said(upload(open_page(), ("a.png", photo())))
    assert ">cat, dog<" in text or ">dog, cat<" in text
    library.set_active_model(str(variant(tmp_path / "none.h5", "multi", 1.0)))
    assert "No label is likely enough" in said(upload(open_page(), ("a.png", photo())))


def test_the_heatmap_is_on_a_switch(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    before = app.image[0].proto.imgs[0].url
    app.toggle(key="tag-heatmap").set_value(True).run()
    assert not app.error
    assert app.image[0].proto.imgs[0].url != before


@pytest.mark.parametrize("format", ["TIFF", "AVIF", "BMP"])
def test_formats_that_browsers_may_not_show_are_shown(library: Library, format: str) -> None:
    app = upload(open_page(), (f"disc.{format.lower()}", photo(format=format)))
    assert not app.error
    assert app.image[0].proto.imgs[0].url.endswith(".jpg")


@pytest.mark.parametrize("data", [b"", b"no photo", photo()[:200]])
def test_a_broken_photo_is_a_sentence(library: Library, data: bytes) -> None:
    app = upload(open_page(), ("broken.png", data))
    assert not app.exception
    assert unescaped(app.error[0].value).startswith("broken.png cannot be opened: ")
    assert library.count() == 0


def test_a_photo_is_added_once(library: Library) -> None:
    app = upload(open_page(), ("disc.png", photo()))
    app.button(key="tag-add").click().run()
    assert "Added to your library." in said(app)
    assert library.count() == 1
    again = upload(open_page(), ("the same.png", photo()))
    assert "It is in your library." in said(again)
    assert not [button for button in again.button if button.key == "tag-add"]
    near = upload(open_page(), ("another.png", photo(1)))
    assert "Nearest in your library" in said(near)


def test_what_is_in_the_library_is_known_whichever_model_added_it(
    library: Library, tmp_path: Path
) -> None:
    upload(open_page(), ("disc.png", photo())).button(key="tag-add").click().run()
    library.set_active_model(str(variant(tmp_path / "other.h5", "single", 0.5)))
    app = upload(open_page(), ("disc.png", photo()))
    assert "It is in your library." in said(app)
    assert "tag-add" not in [button.key for button in app.button]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(library: Library, name: str) -> None:
    app = upload(open_page(), (f"{name}.png", photo()))
    app.button(key="tag-add").click().run()
    assert not app.exception
    assert library.count() == 1
    for view in ("import_photos", "activity"):
        text = said(open_page(view))
        assert "<script" not in text
        for marked in (":red[", "](http", "$x", ":material/face", "www.b", "a@b"):
            assert marked not in text
    assert sorted(p.name for p in library.home.parent.iterdir()) == ["library"]


def test_the_camera_waits_until_it_is_chosen(library: Library) -> None:
    app = open_page()
    assert not app.get("camera_input")
    app.get("button_group")[0].set_value("The camera").run()
    app.get("camera_input")[0].set_value(("camera.jpg", photo(format="JPEG"), "image/jpeg")).run()
    assert not app.exception
    assert "Unknown" in said(app)


# Import


def test_an_import_of_files_shows_what_became_of_each(library: Library) -> None:
    app = open_page("import_photos")
    assert "None yet." in said(app)
    files = [("a.png", photo(0)), ("again.png", photo(0)), ("b.png", photo(1))]
    upload(app, *files, ("<script>.png", b"no photo"))
    app.button(key="import-start").click().run()
    assert app.file_uploader[0].value == []
    finished(library, app)
    assert "2 added · 1 in the library already · 1 failed" in unescaped(said(app))
    first = library.search("name:a.png").photos[0].id
    assert f'again.png is <a href="gallery?photo={first}">a.png</a>' in said(app)
    assert "&lt;script&gt;.png: not a JPEG" in said(app)
    assert library.count() == 2


def test_files_that_are_no_photos_are_named(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    (folder / "<b>notes.txt").write_text("x")
    import_folder(library, folder)
    app = open_page("import_photos")
    assert "Files left out, since they are no photos: 1" in [e.label for e in app.expander]
    assert "&lt;b&gt;notes.txt" in said(app)
    assert "3 added" in unescaped(said(app))


def test_an_import_is_undone(library: Library) -> None:
    app = upload(open_page("import_photos"), ("a.png", photo()))
    app.button(key="import-start").click().run()
    finished(library, app)
    run = library.operations(kinds=["import"])[0]
    app.button(key=f"import-undo-{run.id}").click().run()
    assert not app.exception
    assert library.count() == 0
    assert "undone" in said(app)
    assert "Undone" in unescaped(app.toast[0].value)


def test_an_import_outlives_the_page_that_began_it(library: Library, tmp_path: Path) -> None:
    app = upload(open_page("import_photos"), ("a.png", photo()))
    app.button(key="import-start").click().run()
    visitor = finished(library, open_page("import_photos"))
    assert "1 added" in unescaped(said(visitor))


@pytest.mark.parametrize("copy", [False, True])
def test_a_folder_is_read_where_it_is_unless_copies_are_asked_for(
    library: Library, tmp_path: Path, copy: bool
) -> None:
    folder = tmp_path / "holiday"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "a.png").write_bytes(photo())
    app = open_page("import_photos")
    app.get("button_group")[0].set_value("A folder on this machine").run()
    app.text_input[0].set_value(str(folder))
    app.checkbox[0].set_value(copy)
    app.button[0].click().run()
    assert not app.exception
    finished(library, app)
    (found,) = library.search().photos
    assert found.stored is copy
    assert found.path.is_relative_to(library.home if copy else folder)
    assert (folder / "inside" / "a.png").read_bytes() == photo()


@pytest.mark.parametrize("folder", ["", "nowhere", "/no/such/folder", "<script>"])
def test_a_folder_that_is_none_is_a_sentence(library: Library, folder: str) -> None:
    app = open_page("import_photos")
    app.get("button_group")[0].set_value("A folder on this machine").run()
    app.text_input[0].set_value(folder)
    app.button[0].click().run()
    assert not app.exception
    assert "folder" in app.error[0].value
    assert not library.operations()


def test_the_samples_are_added_with_one_click(library: Library) -> None:
    app = open_page("import_photos")
    app.button(key="import-samples").click().run()
    finished(library, app)
    assert {found.name for found in library.photos()} == set(PHOTOS.values())
    assert "cat" in dict(library.label_counts())


def test_a_running_import_is_stopped_and_goes_on(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(20):
        (folder / f"{seed}.jpg").write_bytes(photo(seed, "JPEG"))
    with ExitStack() as busy:  # so that it waits for its turn however quick the machine is
        others = [
            Lease(library, submit(library, ImportFolderRequest(str(folder))))
            for _ in range(MAX_RUNNING)
        ]
        for other in others:
            assert other.acquire()
            busy.enter_context(other.keep_alive())
        app = open_page("import_photos")
        app.get("button_group")[0].set_value("A folder on this machine").run()
        app.text_input[0].set_value(str(folder))
        app.button[0].click().run()
        run = library.operations()[0]
        assert "Getting ready" in [bar.proto.text for bar in app.get("progress")]
        app.button(key=f"import-stop-{run.id}").click().run()
        assert not app.exception
        assert "Stopping" in said(app)
    for other in others:
        other.release("stopped")
    finished(library, app)
    assert "stopped" in said(app)
    app.button(key=f"import-again-{run.id}").click().run()
    finished(library, app)
    assert library.count() == 20
    assert "20 added" in unescaped(said(app))


# Activity


def test_an_empty_library_says_what_to_do(library: Library) -> None:
    app = open_page("activity")
    assert "Your library is empty." in said(app)
    assert app.get("page_link")[0].proto.label == "Import photos"


@pytest.fixture
def filled(library: Library) -> Library:
    """Two photos, one of them with a tag that somebody gave it."""
    app = upload(open_page(), ("a.png", photo(0)))
    app.button(key="tag-add").click().run()
    upload(app, ("b.png", photo(1))).button(key="tag-add").click().run()
    first = library.search(sort="oldest").photos[0]
    library.edit_tags([first.id], add=["<b>:red[disc]"])
    return library


def test_activity_counts_photos_and_tags(filled: Library) -> None:
    app = open_page("activity")
    assert {metric.label: metric.value for metric in app.metric} == {
        "Photos": "2",
        "With tags": "1",
        "Unknown": "1",
        "Reviewed by you": "1",
    }
    assert "&lt;b&gt;:red[disc]" in said(app)
    assert "2 photos tagged by pets" in unescaped(said(app))


def test_activity_leaves_no_day_out(filled: Library) -> None:
    first, second = filled.search(sort="oldest").photos
    moments = {
        first.id: datetime(2026, 1, 1, tzinfo=UTC),
        second.id: datetime(2026, 1, 4, tzinfo=UTC),
    }
    set_added(filled, moments)
    text = said(open_page("activity"))
    assert all(f"2026-01-0{day}: {many}" in text for day, many in ((1, 1), (2, 0), (3, 0), (4, 1)))
    set_added(filled, {first.id: datetime(2025, 6, 1, tzinfo=UTC)})
    text = said(open_page("activity"))
    assert "2025-06: 1" in text
    assert "2025-07: 0" in text
    assert "2026-01: 1" in text


def set_added(library: Library, moments: dict[int, datetime]) -> None:
    """As if photos had been added at other times."""
    with library.database.write_transaction() as connection:
        for photo_id, moment in moments.items():
            here = photos_table.c.id == photo_id
            connection.execute(update(photos_table).where(here).values(added_at=moment))


def test_deleted_photos_leave_for_good_on_request(filled: Library) -> None:
    first = filled.search(sort="oldest").photos[0]
    filled.delete([first.id])
    app = open_page("activity")
    assert "1 deleted photo" in said(app)
    app.button(key="activity-purge").click().run()
    assert not app.exception
    assert filled.statistics().deleted == 0
    assert filled.count() == 1


def test_a_deletion_is_undone_from_activity(filled: Library) -> None:
    first = filled.search(sort="oldest").photos[0]
    run_id = filled.delete([first.id])
    app = open_page("activity")
    app.button(key=f"activity-undo-{run_id}").click().run()
    assert not app.exception
    assert filled.count() == 2


def test_older_runs_are_shown_on_request(filled: Library) -> None:
    first = filled.search(sort="oldest").photos[0]
    for number in range(12):
        filled.edit_tags([first.id], add=[f"tag {number}"])
    app = open_page("activity")
    before = len([button for button in app.button if "undo" in str(button.key)])
    app.button(key="activity-more").click().run()
    assert len([button for button in app.button if "undo" in str(button.key)]) > before
