"""The pages in a browser: what is shown, to whom, and on what screen."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import servers
from playwright.sync_api import Browser, Page, sync_playwright
from seeded_store import SeededModel
from site_rig import HOSTILE, Serve, Site

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
PATHS = (
    "/",
    "/models/fraud%2Fcards",
    "/models/fraud%2Fcards/columns/income",
    "/models/fraud%2Fcards/columns/region",
    "/models/unreferenced",
    f"/models/{quote(HOSTILE, safe='')}",
    f"/models/{quote(HOSTILE, safe='')}/columns/{quote(HOSTILE, safe='')}",
    "/models/nobody",
)
_CONTRAST = """
() => {
  const luminance = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => {
    v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const low = [];
  for (const e of document.querySelectorAll('main *:not(svg *)')) {
    if (!e.innerText || !e.childNodes.length || e.closest('.unseen, .banner, .choices, button, select, pre')) continue;
    const ink = luminance(getComputedStyle(e).color);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) low.push([e.className, e.innerText.slice(0, 30), ratio]);
  }
  return low;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = servers.require("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield running
        running.close()


def open_page(browser: Browser, width: int = 1400, **options: object) -> Page:
    return browser.new_page(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PATHS)
def test_no_page_scrolls_sideways_runs_a_script_or_loads_from_elsewhere(
    browser: Browser, site: Site, path: str
) -> None:
    for width in (360, 1400):
        page = open_page(browser, width)
        asked, said = [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        answer = page.goto(site.url + path)
        assert answer is not None
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.title() != "owned"
        assert all(url.startswith(site.url) for url in asked)
        assert [text for text in said if "404" not in text] == []
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script|\sstyle=|\son\w+=", answer.text())
        page.close()


@pytest.mark.parametrize("path", PATHS[:5])
def test_every_table_and_picture_tells_what_it_is(browser: Browser, site: Site, path: str) -> None:
    page = open_page(browser)
    page.goto(site.url + path)
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("svg:not(:has(> title):has(> desc))").count() == 0
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    named = page.eval_on_selector_all(
        "[aria-labelledby]", "all => all.flatMap(e => e.getAttribute('aria-labelledby').split(' '))"
    )
    assert set(named) <= set(ids)
    assert page.locator("h1").count() == 1
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper_by_day_and_by_night(browser: Browser, site: Site, scheme: str) -> None:
    papers = set()
    for path in PATHS[:4]:
        page = open_page(browser, color_scheme=scheme)
        page.goto(site.url + path)
        assert page.evaluate(_CONTRAST) == []
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert papers == {{"light": "rgb(253, 253, 252)", "dark": "rgb(20, 23, 28)"}[scheme]}


def test_hostile_names_are_text(browser: Browser, site: Site) -> None:
    page = open_page(browser)
    page.goto(site.url)
    page.get_by_role("link", name=HOSTILE).click()
    assert page.locator("h1").inner_text() == HOSTILE
    page.get_by_role("rowheader").get_by_role("link", name="</td>").click()
    assert page.locator("h1").inner_text() == "</td>"
    assert page.locator(".sharetable th[title]").first.get_attribute("title") == HOSTILE[:39] + "…"
    page.close()


def test_who_has_no_script_finds_filters_and_pages(browser: Browser, serve: Serve) -> None:
    names = [f"feature_{i:03d}" for i in range(60)]
    site = serve(SeededModel("wide", numeric=names, drifted=names[40:42], judgements=3))
    page = open_page(browser, java_script_enabled=False)
    page.goto(f"{site.url}/models/wide?days=7")
    assert page.locator("table.drift tbody tr").count() == 25
    assert page.locator("table.drift tbody tr .verdict.drift").count() == 2
    page.get_by_role("link", name="Next").first.click()
    assert "page 2 of 3" in page.locator("main").inner_text()
    page.get_by_label("Name holds").fill("feature_00")
    page.get_by_label("Order").select_option("name")
    page.get_by_role("button", name="Show").click()
    shown = page.locator("table.drift tbody th a").all_inner_texts()
    assert shown == [f"feature_{i:03d}" for i in range(10)]
    assert "days=7" in page.url
    page.get_by_role("link", name="feature_003").click()
    assert page.locator("h1").inner_text() == "feature_003"
    page.get_by_text("The newest 3 of these judgements").click()
    assert page.locator("details table tbody tr").count() == 3
    page.close()


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(browser: Browser, site: Site) -> None:
    page = open_page(browser)
    page.goto(site.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.close()


def test_a_picture_has_a_pair_of_bars_for_each_share(browser: Browser, site: Site) -> None:
    column = site.get("/api/models/fraud/cards/columns/income").json()
    page = open_page(browser)
    page.goto(f"{site.url}/models/fraud/cards/columns/income")
    bars = page.locator(".big svg rect")
    heights = [float(bars.nth(i).get_attribute("height") or "nan") for i in range(bars.count())]
    shares = [
        share
        for pair in zip(column["picture"]["reference"], column["picture"]["window"], strict=True)
        for share in pair
    ]
    assert len(heights) == len(shares)
    highest = max(shares)
    for height, share in zip(heights, shares, strict=True):
        assert height == pytest.approx(100 * share / highest, abs=1.0)
    assert page.locator("svg rect.episode").count() == 1
    page.close()


def test_a_browser_gets_in_with_the_token_as_its_password(browser: Browser, locked: Site) -> None:
    page = open_page(browser, http_credentials={"username": "anyone", "password": "s3cret~token"})
    page.goto(locked.url)
    assert page.locator("h1").inner_text() == "Models"
    assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"  # styled
    page.close()
