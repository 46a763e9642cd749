"""Eight visitors at once, importing and searching: nobody waits in vain, nothing is lost."""

from __future__ import annotations

from playwright.sync_api import TimeoutError

from tagger.images import decode
from tests.conftest import draw
from tests.e2e.conftest import Visit
from tests.e2e.server import Server, wait_until
from tests.e2e.visitor import Visitor

VISITORS, PHOTOS = 8, 12
QUERY = "What are you looking for?"


def photos(number: int) -> list[tuple[str, bytes]]:
    """What one of them brings; no two photos alike."""
    return [
        (f"v{number}-{n}.png", decode.encode(draw("disc", 1000 * number + n), "PNG"))
        for n in range(PHOTOS)
    ]


def arrive(visitor: Visitor) -> None:
    """To the search; a click meets nothing where the page is drawn again at that moment."""
    try:
        visitor.field(QUERY).wait_for(timeout=20_000)
    except TimeoutError:
        visitor.link("Search & export").click()
        visitor.field(QUERY).wait_for()


def all_find(visitors: list[Visitor], words: str) -> bool:
    """Whether each finds what they brought, all asking at once."""
    for number, visitor in enumerate(visitors):
        visitor.field(QUERY).fill(f"name:v{number}- {words}")
        visitor.field(QUERY).press("Enter")
    for visitor in visitors:
        visitor.check()
    return all(visitor.text(f"{PHOTOS} photos found").is_visible() for visitor in visitors)


def test_eight_visitors_at_once(visit: Visit, server: Server) -> None:
    visitors = [visit(server, "import_photos") for _ in range(VISITORS)]
    for number, visitor in enumerate(visitors):
        visitor.upload(photos(number))
    for visitor in visitors:
        visitor.button(f"Import {PHOTOS} photos").click()
    with server.library() as library:
        wait_until(lambda: library.count() > 0, "the first photo")
        for visitor in visitors:
            visitor.link("Search & export").click()
        for visitor in visitors:
            arrive(visitor)
            visitor.check()
        wait_until(lambda: all_find(visitors, "") or all_find(visitors, "unknown"), "all photos")
        assert library.count() == VISITORS * PHOTOS
        wait_until(lambda: not library.operations(active=True), "the jobs end")
        assert [run.counts for run in library.operations()] == VISITORS * [{"added": PHOTOS}]
        names = {photo.name for photo in library.photos()}
    assert names == {name for number in range(VISITORS) for name, _ in photos(number)}
