"""A tab whose service stops, hangs or starts again says so, and goes on by itself when it is back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.playground.conftest import Complaints
from tests.playground.steps import ask, choose, open_tab

READY = "ready: fingerspelling"
NOTICE = "The service does not answer. Check that it still runs"
_LOOK = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def cut(page: Page, complaints: Complaints) -> Callable[[bool], None]:
    """Cut the page off from its service, or bring it back."""

    def drop(route: Route) -> None:
        route.abort("connectionrefused")

    def change(is_cut: bool) -> None:
        if is_cut:
            page.route("**/*", drop)
        else:
            page.unroute("**/*", drop)
            complaints[:] = [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one]

    return change


def expect_lost(page: Page) -> None:
    expect(page.locator(".status")).to_have_text("no answer")
    expect(page.locator(".notice")).to_contain_text(NOTICE)


def expect_back(page: Page) -> None:
    expect(page.locator(".status")).to_have_text(READY)
    expect(page.locator(".notice")).to_be_hidden()


def test_a_call_that_fails_shows_that_the_service_is_lost(page: Page, service: str, cut: Callable[[bool], None]):
    page.goto(service)
    choose(page, "A")
    view = page.get_by_role("tabpanel", name="Letter")
    expect(view.locator(".headline")).to_contain_text("A,")
    cut(True)
    view.get_by_label("Sign language").select_option("gsg")
    expect_lost(page)
    expect(view.get_by_role("alert")).to_contain_text("The service does not answer.")
    cut(False)
    expect_back(page)
    # What failed is computed again without a click.
    expect(view.locator(".headline")).to_contain_text("A,")
    expect(view.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("look", [True, False], ids=["by a look at the tab", "after a while"])
def test_a_service_that_is_lost_while_nobody_asks_is_noticed(
    page: Page, service: str, cut: Callable[[bool], None], look: bool
):
    page.clock.install()
    page.goto(service)
    choose(page, "A")
    expect_back(page)
    cut(True)
    if look:
        page.evaluate(_LOOK)
    else:
        page.clock.fast_forward("00:31")
    expect_lost(page)
    cut(False)
    page.clock.fast_forward("00:02")
    expect_back(page)
    expect(page.locator(".clips li")).to_have_count(1)


def test_the_loss_is_seen_wherever_the_page_was_scrolled_to(page: Page, service: str, cut: Callable[[bool], None]):
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto(service)
    choose(page, "A")
    page.get_by_role("region", name="The clip").scroll_into_view_if_needed()
    cut(True)
    page.evaluate(_LOOK)
    expect(page.locator(".notice")).to_be_in_viewport()
    cut(False)
    expect_back(page)


def test_a_service_that_hangs_is_lost(page: Page, service: str):
    page.clock.install()
    page.goto(service)
    choose(page, "A")
    held: list[Route] = []
    page.route("**/readyz", lambda route: held.append(route))
    # The browser's own limit, which the page's clock does not move.
    page.evaluate("AbortSignal.timeout = () => AbortSignal.abort(new DOMException('', 'TimeoutError'))")
    page.evaluate(_LOOK)
    expect_lost(page)


def test_a_view_whose_module_did_not_come_comes_with_the_service(page: Page, service: str, cut: Callable[[bool], None]):
    page.goto(service)
    choose(page, "A")
    expect(page.get_by_role("tabpanel", name="Letter").locator(".headline")).to_contain_text("A,")
    cut(True)
    view = open_tab(page, "Teach")
    expect(view.get_by_role("alert")).to_contain_text("The service does not answer.")
    cut(False)
    expect(view.get_by_label("What is this sign?")).to_be_visible()
    expect_back(page)


def test_another_page_in_its_place_is_named(page: Page, service: str, cut: Callable[[bool], None]):
    page.goto(service)
    choose(page, "A")
    cut(True)
    page.evaluate(_LOOK)
    expect_lost(page)
    cut(False)
    page.route(f"{service}/", lambda route: route.fulfill(body="<script src='playground/other/main.js'></script>"))
    expect(page.locator(".notice")).to_contain_text("another version of this page")
    expect(page.locator(".status")).to_have_text(READY)
    page.evaluate(_LOOK)
    expect(page.locator(".notice")).to_contain_text("another version of this page")


def test_another_model_in_its_place_computes_all_anew(page: Page, service: str, cut: Callable[[bool], None]):
    page.goto(service)
    choose(page, "A")
    view = open_tab(page, "Teach")
    view.get_by_label("What is this sign?").fill("stone")
    view.get_by_role("button", name="Teach this clip").click()
    expect(view.locator(".headline")).to_contain_text("stone, cosine 1")
    cut(True)
    page.evaluate(_LOOK)
    expect_lost(page)
    models = ask(f"{service}/api/models")
    default = next(model for model in models["models"] if model["name"] == models["default"])
    default["space"] = "another"
    page.route("**/api/models", lambda route: route.fulfill(json=models))
    page.route("**/api/embed/pose", lambda route: route.fulfill(json={"embeddings": [[1, 0]], "space": "another"}))
    cut(False)
    expect(view).to_contain_text("These signs were taught to another model")
    expect_back(page)
    expect(page.locator(".clips [aria-current=true]")).to_have_text("A (ase)")
