"""The pages of a report as a browser shows them: alone, on every screen, on paper, and for every reader.

Accessibility is what axe-core can find by the rules of WCAG 2.1, levels A and AA; it cannot find everything.
"""

import os
import re
import shutil

import pytest
from html_page import everything, executed_lesson, small_report
from sample_results import sample_evaluation

from digits_tools.folders import write_json
from digits_tools.report.pages import write_pages
from digits_tools.report.results import collect_results

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = pytest.mark.slow

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
NAMES = ("index", "04_train", "05_evaluate")
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report whose pages show everything that pages can show, in a folder with a blank and an umlaut."""
    report = small_report(tmp_path_factory.mktemp("browser") / "the übung")
    for lesson in report.lessons:
        executed_lesson(report, lesson, *everything(lesson.lesson.number))
    (report.folder / "artifacts").mkdir()
    write_json(report.folder / "artifacts" / "evaluation.json", sample_evaluation())
    report.results = collect_results(report)
    write_pages(report)
    return report


@pytest.fixture(scope="module")
def browser():
    """A Chromium that is installed on this machine; nothing is downloaded for a test."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium, Chrome or Edge is installed")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@pytest.fixture
def view(browser, report):
    """Open a page of the report without a network; at the end, nothing may have been asked of anybody."""
    contexts, complaints = [], []

    def asked(request):
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    def listen(page):
        page.on("request", asked)
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    def open_page(name, **options):
        contexts.append(browser.new_context(offline=True, **options))
        page = listen(contexts[-1].new_page())
        page.goto((report.folder / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def barriers(page):
    """Names of the rules that a page breaks, with the first place of each."""
    found = axe.Axe().run(page, options=RULES).response["violations"]
    return {rule["id"]: rule["nodes"][0]["html"] for rule in found}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_no_barrier_is_found(view, name, scheme):
    page = view(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert barriers(page) == {}


def test_no_barrier_is_found_on_a_narrow_screen_where_boxes_scroll(view):
    page = view("04_train", viewport=NARROW)
    assert page.evaluate("[...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth)")
    assert barriers(page) == {}


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        ("document.querySelector('figure img').removeAttribute('alt')", "image-alt"),
        ("document.querySelector('main h2').style.color = '#bbbbbb'", "color-contrast"),
        (
            "document.querySelectorAll('.scroll').forEach(box => box.removeAttribute('tabindex'))",
            "scrollable-region-focusable",
        ),
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
    ],
)
def test_a_planted_barrier_is_found(view, plant, rule):
    page = view("04_train", viewport=NARROW)
    page.evaluate(plant)
    assert rule in barriers(page)


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_screen_needs_no_scrolling_sideways(view, name):
    page = view(name, viewport=NARROW)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_a_dark_page_is_dark_and_its_figures_are_on_white(view):
    page = view("04_train", color_scheme="dark")
    assert ground(page, "body") == "rgb(21, 23, 26)"
    assert ground(page, "figure img") == "rgb(255, 255, 255)"
    assert ground(view("04_train", color_scheme="light"), "body") == "rgb(255, 255, 255)"


def ground(page, selector):
    return page.locator(selector).first.evaluate("element => getComputedStyle(element).backgroundColor")


def test_the_keyboard_goes_from_the_skip_link_into_the_lesson(view):
    page = view("04_train")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # it is seen when it has the focus
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_a_formula_is_drawn(view):
    page = view("04_train")
    fraction = page.locator("mfrac").bounding_box()
    numerator, denominator = (page.locator("mfrac > *").nth(place).bounding_box() for place in (0, 1))
    assert numerator["y"] + numerator["height"] <= denominator["y"] + 1 < fraction["y"] + fraction["height"]


def test_the_links_lead_from_the_first_page_through_the_lessons_and_back(view):
    page = view("index")
    page.get_by_role("link", name="04 Train the network").last.click()
    page.get_by_role("link", name=re.compile("05 Evaluate the network")).first.click()
    assert page.title() == "05 Evaluate the network"
    page.get_by_role("link", name="Contents").first.click()
    assert page.title() == "Report: handwritten digit recognition"


def test_paper_shows_the_lesson_without_links_around_it_and_without_answers(view):
    page = view("04_train", color_scheme="dark")
    page.evaluate("document.querySelector('details').open = true")
    answer = page.get_by_text("The answer is")
    assert answer.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert not answer.is_visible()
    assert page.get_by_text("Answer", exact=True).is_visible()
    for selector in (".links", ".skip", ".anchor-link"):
        assert not page.locator(selector).first.is_visible(), selector
    assert ground(page, "body") == "rgb(255, 255, 255)"
    boxes = "[...document.querySelectorAll('.code pre')].every(box => box.scrollWidth <= box.clientWidth)"
    assert page.evaluate(boxes)  # what would be outside of its box would not be printed
