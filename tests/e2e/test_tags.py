"""Tags are renamed and hidden, and models used together; each is undone in the browser."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer
from tests.e2e.test_undo import labels


def test_a_tag_is_renamed_and_a_model_is_added(app: AppPage, server: AppServer) -> None:
    app.go_to("Gallery")
    app.click("Add the sample photos")
    expect(app.tiles()).to_have_count(4)
    with server.library() as library:
        library.edit_tags([library.search("name:coffee").photos[0].id], add=["cup"])
        before = labels(library, "cat.png")
        assert "cat" in before

        app.go_to("Tags")
        app.tile("cat").click()
        app.heading("cat").wait_for()
        app.click("Rename or merge …")
        app.add_option("Another name, or a tag to merge it into", "Chelsea")
        app.click("Rename")
        app.heading("Chelsea").wait_for()
        app.expect_text("Renamed cat to Chelsea")
        expect(app.button("Undo")).to_have_count(1)  # nothing floats above the photos
        expect(app.button("Undo")).to_be_in_viewport()
        expect(app.button("Rename")).to_have_count(0)  # its menu is closed
        assert "Chelsea" in labels(library, "cat.png") and library.count("cat") == 1
        app.click("Hide …")
        app.click("Never say this")
        app.expect_text("Models never say Chelsea")
        assert "Chelsea" not in labels(library, "cat.png")
        app.click("Undo")
        app.expect_text("Undone: Models never say Chelsea")
        assert "Chelsea" in labels(library, "cat.png")

        app.go_to("Tags")  # the list; the address forgets the tag
        app.heading("Tags").wait_for()
        app.tile("cup").click()
        app.heading("cup").wait_for()
        app.click("All tags")
        app.tile("Chelsea").wait_for()

        app.go_to("Search")
        app.type("Search your photos", "cup")
        app.open_photo("coffee.png")
        app.press("Escape")
        expect(app.page.locator("dialog[open]")).to_have_count(0)

        app.go_to("Models")
        row = app.page.locator(".st-key-models-row-everyday")
        row.get_by_role("button", name="Also use").click()
        app.expect_text("Added the model Everyday")
        row.get_by_role("button", name="Re-tag 4 photos …").click()
        app.expect_text("Removes 0 tags, adds")
        app.click("Re-tag 4 photos")
        app.expect_job_end("Re-tag 4 photos with Everyday")
        assert library.count("model:pets model:everyday") == 4
        row.get_by_role("button", name="Turn off …").click()
        app.expect_text("on your photos; what you added or confirmed stays")
        app.click("Turn off")
        app.expect_text("Turned off Everyday")
        assert library.models_in_use() == ["pets"]
    app.check()
