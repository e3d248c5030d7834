"""The documentation as a site: each page has its place, no link breaks, nothing comes from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
_LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}


class Loaded(HTMLParser):
    """Collects what a browser fetches to show a page, and the places that links lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if address := found.get(_LOADED.get(tag, ""), ""):
            self.fetched.append(address)
        if tag == "a":
            self.links.append(found.get("href", ""))


def _named(nav: list[object]) -> Iterator[str]:
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                yield from _named(value)
            else:
                yield str(value)


def test_each_page_has_its_place_in_the_navigation() -> None:
    nav = list(_named(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | {"adr/README.md"}
    assert sorted(nav) == sorted(pages), "each page of docs/ belongs into `nav` of mkdocs.yml, once"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """Build it as `make docs` does; pages by their path."""
    if importlib.util.find_spec("mkdocs") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("mkdocs is not installed: `make setup`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {}
    for path in folder.rglob("*.html"):
        pages[str(path.relative_to(folder))] = parsed = Loaded()
        parsed.feed(path.read_text(encoding="utf-8"))
    return pages


def test_no_link_between_pages_leads_nowhere(site: dict[str, Loaded]) -> None:
    broken = []
    for name, page in site.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            if name == "404.html" or ":" in path or link.startswith("/"):
                continue
            led = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if led not in ("", ".") and (led not in site or (anchor and anchor not in site[led].anchors)):
                broken.append((name, link))
    assert broken == []


def test_a_file_outside_of_the_documentation_is_shown_by_a_page(site: dict[str, Loaded]) -> None:
    assert "source/SECURITY.html" in site["security.html"].links
    assert "../security.html" in site["source/SECURITY.html"].links
    assert "source/Dockerfile.html" in site


def test_a_page_fetches_nothing_from_elsewhere(site: dict[str, Loaded]) -> None:
    assert len(site) > 40
    elsewhere = {address for page in site.values() for address in page.fetched if re.match(r"(https?:)?//", address)}
    assert elsewhere == set()
