"""Report and card in a real browser: accessible by axe's rules, usable by keyboard, whole on paper, no request sent."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.evaluation import forecast_cases
from tests.unit.evaluation.report_cases import minimal, other, whole

from arkwright.evaluation import model_card, render_card_page, render_report

AXE = Path(__file__).parent.parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CASES = {
    "whole": whole,
    "minimal": minimal,
    "regression": lambda: other("regression"),
    "multiclass": lambda: other("multiclass"),
    "forecast": forecast_cases.good,
}
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}


def needed(what: str, found: object) -> None:
    """Skip without a browser, unless the environment says that there must be one."""
    if found:
        return
    if os.environ.get("ARKWRIGHT_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what} is missing, and ARKWRIGHT_REQUIRE_BROWSER=1 asks for the browser tests")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    needed("chromium", chromium)
    needed("axe-core (npm ci --prefix tests/browser)", AXE.exists())
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        needed("playwright", None)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the path of each case's page."""
    folder = tmp_path_factory.mktemp("report")
    paths = {}
    for name, document in CASES.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(render_report(document()), encoding="utf-8")
    paths["card"] = folder / "card.html"
    card = model_card(whole(), created_at=datetime(2026, 11, 30, tzinfo=UTC))
    paths["card"].write_text(render_card_page(card), encoding="utf-8")
    return paths


@pytest.fixture
def opened(browser, pages):
    """Return a function that opens a case's page and gathers what went wrong on it."""
    contexts = []

    def open_page(name, *, viewport=None, **options):
        context = browser.new_context(viewport=viewport or DESKTOP, **options)
        contexts.append(context)
        page = context.new_page()
        page.sent, page.complaints = [], []
        page.on("request", lambda request: page.sent.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def violations(page):
    """Return what axe finds, by rule, with the first places."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 15  # it did look at the page
    return {rule["id"]: [node["html"][:200] for node in rule["nodes"][:3]] for rule in found["violations"]}


@pytest.mark.parametrize("name", [*CASES, "card"])
def test_axe_finds_nothing_with_everything_folded_and_unfolded(opened, name):
    page = opened(name)
    assert violations(page) == {}
    page.evaluate(OPEN_ALL)
    assert violations(page) == {}


@pytest.mark.parametrize("options", [{"viewport": PHONE}, {"color_scheme": "dark"}], ids=["phone", "dark"])
def test_axe_finds_nothing_on_a_phone_and_in_the_dark(opened, options):
    page = opened("whole", **options)
    page.evaluate(OPEN_ALL)
    assert violations(page) == {}


def test_axe_does_find_what_is_wrong(opened):
    page = opened("minimal")
    page.evaluate("document.querySelector('svg').removeAttribute('aria-labelledby')")
    page.evaluate("document.querySelectorAll('svg title').forEach(each => each.remove())")
    page.evaluate("document.querySelector('h1').remove()")
    assert {"svg-img-alt", "page-has-heading-one"} <= set(violations(page))


@pytest.mark.parametrize("name", [*CASES, "card"])
def test_the_page_sends_no_request_and_its_own_policy_lets_its_styles_through(opened, name):
    page = opened(name)
    assert page.sent == [page.url]
    assert page.complaints == []
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"


def test_the_policy_of_the_page_stops_a_script_that_got_into_it(opened):
    page = opened("minimal")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in page.complaints[0]


def test_the_first_tab_stop_skips_to_the_report(opened):
    page = opened("whole")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_link_of_the_summary_leads_to_the_numbers_and_a_chart_unfolds_by_keyboard(opened):
    page = opened("whole")
    link = page.locator("#summary a[href^='#performance.metrics.']").first
    target = link.get_attribute("href")
    link.focus()
    page.keyboard.press("Enter")
    row = page.locator(f"[id='{target[1:]}']")
    assert page.evaluate("document.querySelector(':target').id") == target[1:]
    assert 0 <= row.bounding_box()["y"] < DESKTOP["height"]
    folded = page.locator("#performance-chart details")
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    assert folded.locator("table").is_visible()


def test_a_wide_table_scrolls_by_itself_on_a_phone(opened):
    page = opened("whole", viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = page.locator("#fairness .scroll:not(details *):has(table)").first
    assert wide.evaluate("each => each.scrollWidth > each.clientWidth")
    wide.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # it scrolls smoothly; the page's policy forbids Playwright's own waiting
        if wide.evaluate("each => each.scrollLeft") > 0:
            break
        page.wait_for_timeout(20)
    assert wide.evaluate("each => each.scrollLeft") > 0


def test_paper_shows_every_table_and_no_button_to_unfold_it(opened):
    page = opened("whole")
    tables = page.locator("details table")
    assert tables.count() > 20
    assert not tables.first.is_visible()
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('details table')].map(each => each.getBoundingClientRect().height)"
    )
    assert min(heights) > 20
    assert all(tables.nth(at).is_visible() for at in range(tables.count()))
    assert not page.locator("summary").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    between_margins = 703  # A4 less 12 mm on either side, at 96 pixels an inch
    page.set_viewport_size({"width": between_margins, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= between_margins
