"""Adding photos to the library over HTTP, and correcting their tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tagger.images import decode
from tagger.library.library import Library
from tests.conftest import draw
from tests.service.hostile_photos import scan_jpeg
from tests.service.service_process import (
    FORM_HEADERS,
    Response,
    ServiceProcess,
    form_body,
    photo_bytes,
    run_service,
)

TOKENS = {"TAGGER_PREDICT_TOKEN": "look", "TAGGER_ADMIN_TOKEN": "change"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with a library for these tests."""
    with run_service(tmp_path_factory.mktemp("own") / "library") as running:
        yield running
        running.check()


@pytest.fixture
def library(own: ServiceProcess) -> Iterator[Library]:
    library = Library.open(own.home)
    yield library
    library.close()


def add(service: ServiceProcess, *photos: bytes, **options: object) -> Response:
    query = urlencode(options, doseq=True)
    return service.request("POST", f"/library/photos?{query}", form_body(*photos), FORM_HEADERS)


def labels(response: Response) -> list[str]:
    assert response.status == 200, response.body
    return [tag["label"] for tag in response.json()["tags"]]


def test_a_photo_is_added_with_its_tags_and_only_once(
    own: ServiceProcess, library: Library
) -> None:
    photo = photo_bytes(41)
    response = add(own, photo, add=["round", "drawn  by me"], remove=["cat"])
    line = response.json()
    assert response.status == 200 and line["added"]
    assert sorted(labels(response)) == ["drawn by me", "round"]
    assert all(tag["by_person"] for tag in line["tags"])
    stored = library.photo(line["id"])
    assert library.read_original(stored) == photo and stored.stored
    assert {v.label: v.present for v in library.annotations(stored.id)}["cat"] is False
    again = add(own, photo, add="again")
    assert (again.json()["id"], again.json()["added"]) == (line["id"], False)
    assert sorted(labels(again)) == ["again", "drawn by me", "round"]
    edit, added = library.operations(limit=2, kinds=["edit", "import"])
    assert (edit.kind, added.kind) == ("edit", "import")
    library.undo(edit.id)
    assert sorted(tag.label for tag in library.photo(stored.id).tags) == ["drawn by me", "round"]
    undo = library.undo(added.id)  # the photo and what was said of it, in one step
    assert library.find_by_digest(stored.sha256) is None
    library.undo(undo.operation_id)
    assert sorted(tag.label for tag in library.photo(stored.id).tags) == ["drawn by me", "round"]
    library.undo(library.operations(limit=1, kinds=["undo"])[0].id)
    assert library.find_by_digest(stored.sha256) is None


def test_a_photo_is_tagged_by_every_model_in_use(own: ServiceProcess, library: Library) -> None:
    library.use_model("pets")
    library.add_model("cifar10")
    photo_id = add(own, photo_bytes(43)).json()["id"]
    assert [each.model for each in library.predictions(photo_id)] == ["pets", "cifar10"]
    library.use_model("cifar10")  # while the service was started with pets, which is off
    library.turn_off_model("pets")
    photo_id = add(own, photo_bytes(44)).json()["id"]
    assert [each.model for each in library.predictions(photo_id)] == ["cifar10"]
    assert library.model_uses()["pets"].off


def test_tags_of_a_photo_are_corrected(own: ServiceProcess, library: Library) -> None:
    photo_id = add(own, photo_bytes(42), add="wrong").json()["id"]
    target = f"/library/photos/{photo_id}/tags?add=right&remove=wrong"
    assert labels(own.request("POST", target)) == ["right"]
    assert own.request("POST", "/library/photos/999/tags?add=x").status == 422
    assert own.request("POST", f"/library/photos/{photo_id}/tags").status == 422
    assert [tag.label for tag in library.photo(photo_id).tags] == ["right"]


def test_the_librarys_tags_are_listed(own: ServiceProcess) -> None:
    for seed in (43, 44):
        add(own, photo_bytes(seed), add=["common", f"tag {seed}"])
    answer = own.request("GET", "/tags").json()
    counts = {line["label"]: line["photos"] for line in answer["tags"]}
    assert (counts["common"], counts["tag 43"]) == (2, 1) and answer["may_edit"]


@pytest.mark.parametrize(
    ("photos", "options", "status", "sentence"),
    [
        ([b"no photo"], {}, 415, "not a JPEG"),
        ([decode.encode(draw("disc", 45), "PNG")[:2000]], {}, 422, "damaged"),
        ([photo_bytes(45)], {"add": "x" * 101}, 422, "a tag is 1 to 100 characters"),
        ([photo_bytes(45)], {"remove": " "}, 422, "a tag is 1 to 100 characters"),
        ([photo_bytes(45)], {"add": ["x"] * 51}, 422, "up to 50 tags"),
        ([photo_bytes(45)], {"label": "x"}, 422, "no option 'label'; the options are add, remove"),
        ([photo_bytes(45), photo_bytes(46)], {}, 422, "as a file"),
        ([], {}, 422, "as a file"),
        ([scan_jpeg(13_300, 1)], {}, 413, ""),
    ],
)
def test_what_cannot_be_added_gets_a_sentence(
    own: ServiceProcess,
    library: Library,
    photos: list[bytes],
    options: dict[str, object],
    status: int,
    sentence: str,
) -> None:
    count = library.count()
    response = add(own, *photos, **options)
    assert response.status == status, response.body
    assert sentence in response.json()["detail"]
    assert library.count() == count


def test_photos_come_as_forms_alone(own: ServiceProcess) -> None:
    headers = {"Content-Type": "image/jpeg"}
    response = own.request("POST", "/library/photos", photo_bytes(1), headers)
    assert response.status == 415 and "multipart/form-data" in response.json()["detail"]


def test_only_the_administrator_adds_where_there_are_tokens(tmp_path: Path) -> None:
    with run_service(tmp_path / "library", **TOKENS) as service:
        for token, may_edit in (("look", False), ("change", True)):
            headers = {"Authorization": f"Bearer {token}"}
            assert service.request("GET", "/tags", headers=headers).json()["may_edit"] is may_edit
            status = 200 if may_edit else 403
            body = form_body(photo_bytes(47))
            added = service.request("POST", "/library/photos", body, FORM_HEADERS | headers)
            assert added.status == status
            edited = service.request("POST", "/library/photos/1/tags?add=a", headers=headers)
            assert edited.status == status
        assert service.request("GET", "/tags").status == 401
        service.check()
