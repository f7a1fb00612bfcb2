"""The site in a real browser without a window, in each language, at two widths: `make site-test`."""

import functools
import json
import os
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support import ROOT
from tools import pages

pytestmark = pytest.mark.browser
PAGES = ROOT / "docs" / "_build" / "pages"
WORDS = {"en": ("estimator", "estimator"), "ko": ("작업", r"(?<![가-힣])작업")}  # a word, and how a text has it


@pytest.fixture(scope="module")
def browser():
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.exit("No Chromium is installed, which these tests need: apt-get install -y chromium fonts-noto-cjk", 1)
    with sync_playwright() as playwright:
        # Its sandbox refuses to start for root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        yield playwright.chromium.launch(executable_path=found[0], args=options)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGES)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=[390, 1280])
def width(request):
    return request.param


@pytest.fixture(params=pages.LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def site(browser, server, width, language):
    """A page that opens others by name, and says what its console has complained of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, permissions=["clipboard-read"])
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("response", lambda answer: answer.status >= 400 and page.complaints.append(f"{answer.status} {answer.url}"))
    # Nothing comes from elsewhere.
    page.on("request", lambda request: request.url.startswith(server) or page.complaints.append(request.url))
    page.open = lambda name: page.goto(f"{server}/{'' if language == 'en' else language + '/'}{name}.html")
    yield page
    assert page.complaints == []
    context.close()


def links(page, caption):
    """The names of the pages below a caption of the sidebar, by the caption's place."""
    lists = page.locator(".bd-sidebar-primary nav.bd-links .bd-toc-item > ul").nth(caption)
    addresses = lists.locator("> li > a").evaluate_all("links => links.map(link => link.href)")
    return [re.search(r"//[^/]*/(?:[a-z]{2}/)?(.*)\.html", address)[1] for address in addresses]


def test_pages(site, language):
    site.open("index")
    notebooks = links(site, 1)
    assert len(notebooks) == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    for name in ["index", *notebooks, "exercises", "exercises/02-exercise", "glossary", "reference", "code/train.py"]:
        site.open(name)
        assert site.locator("html").get_attribute("lang") == language
        expect(site.locator("h1:visible")).to_have_count(1)
        assert site.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (
            f"{name} is wider than the window"
        )


def searched(site, word):
    """What the search for a word finds, as names of pages."""
    site.open("glossary")
    site.locator(".search-button__button:visible, .search-button-field:visible").first.click()
    field = site.locator("dialog input[type=search], .search-button__search-container input").first
    field.fill(word)
    field.press("Enter")
    # What Sphinx's own script writes when all is listed.
    site.wait_for_function("typeof Search === 'object' && Search.title?.innerText === _('Search Results')")
    addresses = site.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    return {re.search(r"//[^/]*/(?:[a-z]{2}/)?(.*)\.html", address)[1] for address in addresses}


def test_search(site, language):
    word, pattern = WORDS[language]
    notebooks = [page for page in pages.pages(language).values() if page.english.suffix == ".ipynb"]
    expected = {page.name for page in notebooks if re.search(pattern, pages.texts(page.source))}
    assert len(expected) > 5
    assert expected <= searched(site, word)
    assert searched(site, "xyzzy") == set()


def test_switch(site, language):
    site.open("notebooks/04-estimator-parameters")
    switch = site.locator("nav.languages a")
    expect(switch).to_have_count(len(pages.LANGUAGES))
    for number, other in enumerate(pages.LANGUAGES):
        expect(switch.nth(number)).to_be_visible()
        switch.nth(number).click()
        assert site.locator("html").get_attribute("lang") == other
        assert site.url.endswith("/notebooks/04-estimator-parameters.html")
        assert site.locator("nav.languages [aria-current]").get_attribute("lang") == other


def test_long_logs_are_folded(site):
    site.open("notebooks/06-train-and-inspect")
    logs = site.locator("article details.hide")
    notebook = json.loads((ROOT / "notebooks" / "06-train-and-inspect.ipynb").read_text())
    assert logs.count() == sum(pages.folded(cell) for cell in notebook["cells"] if cell["cell_type"] == "code") > 1
    line = logs.first.locator("pre")
    expect(line).to_be_hidden()
    logs.first.locator("summary").click()
    expect(line).to_be_visible()


def test_answers_are_folded(site):
    site.open("notebooks/05-sm-variables")
    first = site.locator("article details:not(.hide)").first
    expect(first.locator("p").first).to_be_hidden()
    first.locator("summary").click()
    expect(first.locator("p").first).to_be_visible()


def brightness(page):
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_dark_and_light(site):
    site.emulate_media(color_scheme="dark")
    site.open("reference")
    assert brightness(site) < 60
    site.emulate_media(color_scheme="light")
    site.open("reference")
    assert brightness(site) > 200
    for mode in "dark", "light":
        site.locator(".theme-switch-button:visible").click()
        site.locator(f".theme-change-button[data-mode={mode}]:visible").click()
        assert (brightness(site) < 60) == (mode == "dark")


def test_copy(site):
    site.open("notebooks/01-quick-start")
    cell = site.locator(".cell_input .highlight").first
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = site.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == cell.locator("pre").inner_text().strip() != ""


def test_download(site, language):
    site.open("notebooks/01-quick-start")
    site.locator(".dropdown-download-buttons > button:visible").click()
    link = site.locator(".btn-download-source-button:visible")
    address = link.evaluate("link => link.href")
    assert address.endswith("/01-quick-start.ipynb")
    answer = site.request.get(address)
    folder = "notebooks" if language == "en" else language
    assert answer.body() == (ROOT / folder / "01-quick-start.ipynb").read_bytes()


def test_solutions_stand_apart(site):
    site.open("exercises")
    found = site.locator("article li a").evaluate_all("links => links.map(link => link.href)")
    assert len(found) > 5 and all("-exercise" in address for address in found)
