"""Long work as it is planned: queued with all it needs, or refused in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.library.library import Library
from tagger.library.plans import Training
from tests.conftest import draw, import_folder


def upload(seed: int) -> tuple[str, io.BytesIO]:
    return f"{seed}.png", io.BytesIO(decode.encode(draw("disc", seed), "PNG"))


def test_what_is_planned_waits_with_all_it_needs(library: Library, tmp_path: Path) -> None:
    run = library.operation(library.plan_folder_import(f" {tmp_path} ", copy=True, model="pets"))
    assert (run.status, run.kind, run.title) == ("queued", "import", f"Import {tmp_path}")
    assert run.options == {"folder": str(tmp_path), "copy": True, "model": "pets", "listed": False}
    assert not run.stale, "its process has a while to begin"
    assert library.operations(active=True) == [run]


def test_uploads_wait_in_the_library_under_their_names(library: Library) -> None:
    run = library.operation(library.plan_upload_import([upload(1), upload(2)], "pets"))
    assert (run.title, run.total, run.done) == ("Import 2 photos", 2, 0)
    waiting = Path(run.options["uploads"])
    assert waiting.is_relative_to(library.home)
    assert len(list(waiting.iterdir())) == 2
    one = library.operation(library.plan_upload_import([upload(3)], "pets"))
    assert one.title == "Import 3.png"
    with pytest.raises(OptionError, match="choose some photos first"):
        library.plan_upload_import([], "pets")


def test_tagging_again_is_of_those_found_or_named(library: Library, tmp_path: Path) -> None:
    worker.run(library, library.plan_upload_import([upload(1), upload(2)], "pets"))
    ids = [photo.id for photo in library.photos()]
    library.delete(ids[:1])
    assert library.operation(library.plan_retag("", "pets")).total == 1
    assert library.operation(library.plan_retag(model="pets", ids=ids)).title.startswith(
        "Tag 1 photo "
    )
    for query, some in (("nothing", None), ("", ids[:1])):
        with pytest.raises(OptionError, match="no photos to tag again"):
            library.plan_retag(query, "pets", some)


def test_what_is_over_or_going_on_does_not_go_on_again(library: Library, tmp_path: Path) -> None:
    waiting = library.plan_folder_import(str(tmp_path), model="pets")
    with pytest.raises(OptionError, match="is queued: nothing to go on with"):
        library.plan_again(waiting)
    done = import_folder(library, tmp_path)
    with pytest.raises(OptionError, match="is done: nothing to go on with"):
        library.plan_again(done.id)


def test_one_model_is_trained_once_at_a_time(library: Library, shapes: Path) -> None:
    library.plan_training(Training(str(shapes), "shapes"))
    with pytest.raises(OptionError, match="is being trained already"):
        library.plan_training(Training(str(shapes), "Shapes"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "é", "x" * 61, "pets", "Pets", "a b", "a.h5"])
def test_a_model_is_not_called_just_anything(library: Library, shapes: Path, name: str) -> None:
    with pytest.raises(OptionError, match=r"a model's name is|comes with Image Tagger"):
        library.plan_training(Training(str(shapes), name))
    assert library.operations() == []


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("", "give the whole path"),
        ("relative/here", "give the whole path"),
        ("/no/such/x", "no such folder"),
    ],
)
def test_a_bad_folder_is_a_sentence(library: Library, folder: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        library.plan_folder_import(folder)
    assert library.operations() == []
