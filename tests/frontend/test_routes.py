"""The app's HTTP routes: pictures, windows of the gallery, and who may ask for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from streamlit import config

from frontend.origins import guard_app
from frontend.photos.similar import SIMILAR
from frontend.routes import mount_routes
from tagger.images import decode
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw, draw_png, import_folder
from tests.frontend.asgi_client import AsgiClient
from tests.frontend.pages import HOSTILE_NAMES

ROUTES = (
    *("gallery", "window", "ids", "details/1", "similar/1", "tags"),
    *("thumbnails/{}.jpg", "photos/{}.jpg", "heatmaps/1.jpg?tag=dog"),
)
OTHER_SITES = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Referer": "https://evil.example/page"},
    {"Referer": "http://localhost:1/"},
    {"Referer": "http://["},
)
OWN_PAGES: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin", "Referer": "http://localhost:8501/gallery"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": "http://localhost:8501/gallery"},
    {"Origin": "http://localhost:8501"},
)


@pytest.fixture
def client(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[AsgiClient]:
    """A browser for the routes of the app on `library`."""
    hosts = ["localhost", "127.0.0.1", "::1"]
    before = config.get_option("server.allowedHosts")
    config.set_option("server.allowedHosts", hosts)
    app = Starlette(routes=[mount_routes()], middleware=guard_app())
    yield AsgiClient(app)
    config.set_option("server.allowedHosts", before)


def digest_of(library: Library, photo_id: int = 1) -> str:
    return library.photo(photo_id).sha256


def test_only_the_apps_own_pages_are_answered(client: AsgiClient, six_photos: Library) -> None:
    for route in ROUTES:
        path = f"/library/{route.format(digest_of(six_photos))}"
        for headers in OTHER_SITES:
            response = client.get(path, headers=headers)
            assert response.status_code == 403, (path, headers)
            assert response.content == b"Only for pages of this app."
        for host in ("evil.example", "localhost.evil.example", ""):
            assert client.get(path, headers={"Host": host}).status_code == 400, (path, host)
        for headers in OWN_PAGES:
            response = client.get(path, headers=headers)
            assert response.status_code == 200, (path, headers, response.content)
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
            assert "Access-Control-Allow-Origin" not in response.headers


def test_routes_only_read(client: AsgiClient, six_photos: Library) -> None:
    for route in ROUTES:
        path = f"/library/{route.format(digest_of(six_photos))}"
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path).status_code == 405, path


def test_routes_stand_below_the_configured_path(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for base in ("photos", "/a/b/"):
        config.set_option("server.baseUrlPath", base)
        try:
            app = Starlette(routes=[mount_routes()])
        finally:
            config.set_option("server.baseUrlPath", "")
        client = AsgiClient(app)
        assert client.get(f"/{base.strip('/')}/library/gallery").status_code == 200
        assert client.get("/library/gallery").status_code == 404


def test_a_photo_is_sent_for_the_window_and_cached_for_good(
    client: AsgiClient, library: Library, tmp_path: Path
) -> None:
    jpeg = decode.encode(draw("square", 1, 1000), "JPEG")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "wide.jpg").write_bytes(jpeg)
    (tmp_path / "photos" / "other.png").write_bytes(draw_png(2, 900))
    import_folder(library, tmp_path / "photos")
    by_name = {photo.name: photo.sha256 for photo in library.photos()}
    path = f"/library/photos/{by_name['wide.jpg']}.jpg"
    for query in ("", "?side=1000", "?side=1600", "?side=999999999"):
        assert client.get(path + query).content == jpeg, "a JPEG of that size is sent as it is"
    response = client.get(f"{path}?side=700")
    assert decode.read(response.content).shape == (800, 800, 3)
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    again = client.get(f"{path}?side=790", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == response.headers["ETag"]
    other = client.get(f"/library/photos/{by_name['other.png']}.jpg")
    assert decode.read(other.content).shape == (900, 900, 3)
    assert other.content.startswith(b"\xff\xd8\xff"), "browsers show a JPEG of any format"
    assert other.headers["Content-Type"] == "image/jpeg"
    assert other.headers["Content-Disposition"] == "inline; filename*=UTF-8''other.jpg"


def test_a_photo_whose_file_is_gone_or_changed_gives_the_reason(
    client: AsgiClient, six_photos: Library
) -> None:
    six_photos.photo(1).path.unlink()
    six_photos.photo(2).path.write_bytes(six_photos.photo(3).path.read_bytes())
    for photo_id, reason in ((1, "no such file"), (2, "has changed since")):
        response = client.get(f"/library/photos/{digest_of(six_photos, photo_id)}.jpg")
        assert response.status_code == 404
        assert reason in response.json()["error"]
        assert response.headers["Cache-Control"] == "no-store"


def test_thumbnails_are_cached_unless_they_are_made_again(
    client: AsgiClient, six_photos: Library
) -> None:
    digest = digest_of(six_photos)
    path = f"/library/thumbnails/{digest}.jpg"
    response = client.get(path)
    assert response.content == six_photos.storage.thumbnail_path(digest).read_bytes()
    headers = {"If-None-Match": f'W/"x", {response.headers["ETag"]}'}
    assert client.get(path, headers=headers).status_code == 304
    six_photos.storage.thumbnail_path(digest).unlink()
    six_photos.photo(1).path.unlink()
    grey = client.get(path)
    assert len(set(decode.read(grey.content).flatten().tolist())) == 1
    assert grey.headers["Cache-Control"] == "no-store"
    six_photos.delete([2])
    deleted = f"/library/photos/{hashlib.sha256(b'').hexdigest()}.jpg"
    assert client.get(deleted).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("thumbnails/x.jpg", f"thumbnails/{'A' * 64}.jpg", f"photos/{'0' * 63}.jpg"),
        *("photos/..%2F..%2Fcatalogue.db.jpg", "photos/../../catalogue.db", "details/99"),
        *("details/x", f"details/{9**400}", "similar/0", "heatmaps/5.jpg?tag=nonsense"),
        *("heatmaps/99.jpg?tag=dog", "", "nothing"),
    ],
)
def test_what_is_not_there_is_not_found(client: AsgiClient, six_photos: Library, path: str) -> None:
    assert client.get(f"/library/{path}").status_code == 404


def test_invalid_numbers_and_queries_are_refused(client: AsgiClient, six_photos: Library) -> None:
    for query in ("offset=-1", "limit=x", "offset=1e3", f"limit={'9' * 400}", "query=("):
        response = client.get(f"/library/window?{query}")
        assert response.status_code == 400, query
        assert response.json()["error"]


def test_windows_cut_the_list_of_a_query(client: AsgiClient, six_photos: Library) -> None:
    gallery = client.get("/library/gallery?query=dog&sort=name&photo=2").json()
    assert (gallery["total"], gallery["position"], gallery["months"]) == (2, 1, [])
    window = client.get("/library/window?query=tag==dog&sort=name&offset=1&limit=9").json()
    (tile,) = window["photos"]
    assert (tile["id"], tile["name"], tile["tag"], tile["score"]) == (2, "002.png", "dog", "90%")
    whole = client.get("/library/window?sort=name").json()
    assert [tile["id"] for tile in whole["photos"]] == [1, 2, 3, 4, 5, 6]
    assert whole["photos"][0]["score"] == "", "only what a query found shows its score"
    assert whole["photos"][4]["tag"] == "No tags"
    assert client.get("/library/ids?sort=name&offset=2&limit=3").json()["ids"] == [3, 4, 5]


def test_a_window_of_an_earlier_version_keeps_its_order(
    client: AsgiClient, six_photos: Library
) -> None:
    before = client.get("/library/gallery?sort=name").json()
    six_photos.delete([1, 4])
    query = f"sort=name&version={before['version']}&offset=2&limit=3"
    window = client.get(f"/library/window?{query}").json()
    assert window["version"] == before["version"]
    assert window["ids"] == [3, 4, 5]
    assert [tile["id"] for tile in window["photos"]] == [3, 5], "the deleted one is left out"
    after = client.get("/library/window?sort=name&version=unheard-of").json()
    assert after["ids"] == [2, 3, 5, 6]
    assert after["version"] != before["version"]


def test_months_count_photos_by_the_time_they_were_taken_or_else_added(
    client: AsgiClient, six_photos: Library
) -> None:
    taken = {1: datetime(2019, 1, 31, 23, 59), 2: datetime(2024, 5, 1), 3: datetime(2024, 5, 31)}
    with six_photos.database.write_transaction() as connection:
        for photo_id, moment in taken.items():
            one_photo = update(photos).where(photos.c.id == photo_id)
            connection.execute(one_photo.values(taken_at=moment, dated_at=moment))
    gallery = client.get("/library/gallery").json()
    now = six_photos.photo(6).added_at
    assert gallery["months"] == [[f"{now:%Y-%m}", 3], ["2024-05", 2], ["2019-01", 1]]
    window = client.get("/library/window?offset=3").json()
    assert window["ids"] == [3, 2, 1]
    added = client.get("/library/gallery?sort=oldest").json()
    assert added["months"] == [[f"{now:%Y-%m}", 6]]


def test_details_hold_tags_with_their_origin(
    client: AsgiClient, six_photos: Library, pets: Tagger
) -> None:
    six_photos.edit_tags([1], add=["sea"], remove=["cat"])
    details = client.get("/library/details/1").json()
    sea, dog = details["tags"]
    assert (sea["label"], sea["confirmed"], sea["score"]) == ("sea", True, "")
    assert sea["origin"].startswith("Added by you, ")
    assert (dog["label"], dog["confirmed"], dog["score"]) == ("dog", False, "90%")
    assert dog["origin"].startswith("Pets 90% (needs 50%), ")
    assert [chip["label"] for chip in details["removed"]] == ["cat"]
    assert details["weaker"] == []
    assert details["path"] == str(six_photos.photo(1).path)
    assert "64 × 64 pixels" in details["facts"][1]
    uploaded = six_photos.add_photo("my cat.png", draw_png(1), pets).photo
    assert client.get(f"/library/details/{uploaded.id}").json()["path"] == "my cat.png"
    (weaker,) = client.get("/library/details/2").json()["weaker"]
    assert (weaker["label"], weaker["score"]) == ("cat", "10%")
    unknown = client.get("/library/details/5").json()
    assert unknown["unknown"].startswith("Doesn’t look like anything Pets was trained on.")


def test_similar_photos_and_heatmaps(client: AsgiClient, six_photos: Library) -> None:
    similar = client.get("/library/similar/1").json()["photos"]
    photo = six_photos.photo(1)
    near = [other.id for other, cosine in six_photos.find_similar_to(photo) if cosine >= SIMILAR]
    assert [tile["id"] for tile in similar] == near and 0 < len(near) < 5
    assert similar[0]["caption"].endswith("% similar")
    heatmap = client.get("/library/heatmaps/1.jpg?tag=dog")
    assert decode.read(heatmap.content).shape[2] == 3
    etag = {"If-None-Match": heatmap.headers["ETag"]}
    assert client.get("/library/heatmaps/1.jpg?tag=dog", headers=etag).status_code == 304
    six_photos.tags.rename("dog", "Bello")
    assert client.get("/library/heatmaps/1.jpg?tag=Bello").content == heatmap.content
    for tag in ("dog", "nonsense", ""):
        assert client.get("/library/heatmaps/1.jpg", tag=tag).status_code == 404


def test_tags_are_suggested_from_the_library_and_the_vocabulary(
    client: AsgiClient, six_photos: Library
) -> None:
    six_photos.edit_tags([1, 2], add=["Dolomites", "hot dog stand"])

    def suggest(prefix: str) -> list[tuple[str, int]]:
        tags = client.get("/library/tags", prefix=prefix).json()["tags"]
        return [(tag["label"], tag["count"]) for tag in tags]

    assert suggest("do")[:3] == [("Dolomites", 2), ("dog", 2), ("hot dog stand", 2)]
    assert ("dolphin", 0) in suggest("DOL")
    assert ("dog", 2) in suggest("puppy"), "a synonym suggests its tag"
    assert len(suggest("")) == 4, "the library's own"
    assert suggest("\x00'%_") == []
    assert len(suggest("a")) == 8


def test_hostile_names_stay_text(client: AsgiClient, library: Library, tmp_path: Path) -> None:
    names = [f"x {name.replace('/', '_')}" for name in HOSTILE_NAMES]
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(names):
        (tmp_path / "photos" / f"{name}.png").write_bytes(draw_png(seed))
    import_folder(library, tmp_path / "photos")
    tiles = client.get("/library/window?sort=name").json()["photos"]
    assert len(tiles) == len(names)
    for tile in tiles:
        assert "\n" not in tile["name"]
        response = client.get(f"/library/photos/{tile['digest']}.jpg")
        assert response.status_code == 200
        assert "\n" not in response.headers["Content-Disposition"]
    for tag in HOSTILE_NAMES[:4]:
        library.edit_tags([1], add=[tag])
    labels = [tag["label"] for tag in client.get("/library/details/1").json()["tags"]]
    assert set(HOSTILE_NAMES[:4]) <= set(labels)
