"""A form with changes asks before it is left, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Dialog, expect

from tests.support.chromium import DESKTOP, Watched
from tests.support.serving import Program


def test_changed_form_asks_before_it_is_left(
    chromium: Browser, served: tuple[str, Program]
) -> None:
    url, program = served
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if stays:
            dialog.dismiss()
        else:
            dialog.accept()

    with chromium.new_context(viewport=DESKTOP) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()  # saving a form that was filled in does not ask
        page = tab.page
        page.on("dialog", answer)
        app = page.url
        stays = True
        for path in ("/edit", "/smtps/new"):
            page.goto(app + path)
            page.get_by_role("link", name="Cancel").click()  # nothing was changed
            expect(page).to_have_url(app)
            page.goto(app + path)
            field = page.get_by_label("Name" if path == "/edit" else "Host", exact=True)
            field.fill("elsewhere")
            page.get_by_role("link", name="Cancel").click()
            page.wait_for_timeout(200)
            assert asked == ["beforeunload"]
            expect(page).to_have_url(app + path)
            expect(field).to_have_value("elsewhere")
            stays = False
            page.get_by_role("link", name="Cancel").click()
            expect(page).to_have_url(app)
            assert asked == ["beforeunload"] * 2
            asked.clear()
            stays = True
        assert tab.complaints == []
