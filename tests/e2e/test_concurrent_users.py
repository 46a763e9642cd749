"""Eight users import and search at the same time."""

from __future__ import annotations

from playwright.sync_api import TimeoutError

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer, wait_until
from tests.e2e.conftest import OpenApp

USERS, PHOTOS = 8, 6
QUERY = "Search your photos"


def make_uploads(user: int) -> list[tuple[str, bytes]]:
    """The photos of one user, all different."""
    return [
        (f"v{user}-{n}.png", decode.encode(draw("disc", 1000 * user + n), "PNG"))
        for n in range(PHOTOS)
    ]


def wait_for_search(app: AppPage) -> None:
    """Wait for the search page; click again if a rerun swallowed the first click."""
    try:
        app.field(QUERY).wait_for(timeout=20_000)
    except TimeoutError:
        app.link("Search").click()
        app.field(QUERY).wait_for()


def search_all(pages: list[AppPage], terms: str) -> bool:
    """Whether a simultaneous search finds each user's own photos."""
    for number, app in enumerate(pages):
        app.field(QUERY).fill(f"name:v{number}- {terms}")
        app.field(QUERY).press("Enter")
    for app in pages:
        app.check()
    return all(app.text(f"{PHOTOS} photos found").is_visible() for app in pages)


def test_eight_users_import_and_search_at_once(open_app: OpenApp, server: AppServer) -> None:
    pages = [open_app(server, "import_photos") for _ in range(USERS)]
    for number, app in enumerate(pages):
        app.upload(make_uploads(number))
    for app in pages:
        app.button(f"Import {PHOTOS} photos").click()
    with server.library() as library:
        wait_until(lambda: library.count() > 0, "the first photo")
        for app in pages:
            app.link("Search").click()
        for app in pages:
            wait_for_search(app)
            app.check()
        wait_until(lambda: search_all(pages, "") or search_all(pages, "unknown"), "all photos")
        assert library.count() == USERS * PHOTOS
        wait_until(lambda: not library.operations(active=True), "the jobs end")
        imports = library.operations(kinds=["import"])
        assert [operation.counts for operation in imports] == USERS * [{"added": PHOTOS}]
        names = {photo.name for photo in library.photos()}
    assert names == {name for number in range(USERS) for name, _ in make_uploads(number)}
