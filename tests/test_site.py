"""The documentation as a site: what MkDocs makes of the pages, and what a browser would load to show it."""

import collections
import html.parser
import pathlib
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from typing import NamedTuple

import markdown_it
import pytest

from thaw.config.presets import ROOT

COUNTED = ("li", "tr", "pre", "img", "blockquote")
PARSER = markdown_it.MarkdownIt("commonmark").enable("table")


class Reference(NamedTuple):
    """An address in a page."""

    tag: str
    address: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether it leads to another host; the pictures inside a page do not."""
        parts = urllib.parse.urlsplit(self.address)
        return bool(parts.netloc) or parts.scheme not in ("", "data")


class Page(html.parser.HTMLParser):
    """What a page of HTML refers to, its ids and classes, and how often its article has each element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[Reference] = []
        self.ids: set[str] = set()
        self.classes: set[str] = set()
        self.elements: collections.Counter[str] = collections.Counter()
        self._inside = "<article" not in text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside |= tag == "article"
        self.elements[tag] += self._inside
        for name, value in attrs:
            if name in ("href", "src", "srcset", "action", "data", "poster") and value is not None:
                self.references.append(Reference(tag, value))
            elif name == "id" and value:
                self.ids.add(value)
            elif name == "class" and value:
                self.classes |= set(value.split())

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag != "article"


@pytest.fixture(scope="module")
def site(make_once: Callable[[str, Callable[[pathlib.Path], str]], tuple[pathlib.Path, str]]) -> pathlib.Path:
    """The folder of the built site, in which no page has a link that MkDocs calls broken."""

    def build(folder: pathlib.Path) -> str:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return make_once("site", build)[0]


@pytest.fixture(scope="module")
def pages(site: pathlib.Path) -> dict[pathlib.Path, Page]:
    """Each page of the site; that of errors, whose addresses start at the root of a server, is none of them."""
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_link_of_the_site_leads_to_a_file_and_a_heading_of_it(pages: dict[pathlib.Path, Page]) -> None:
    faults = []
    for path, page in pages.items():
        for tag, address in [reference for reference in page.references if not reference.is_elsewhere]:
            parts = urllib.parse.urlsplit(address)
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (parts.fragment and target in pages and parts.fragment not in pages[target].ids):
                faults.append((path.name, tag, address))
    assert len(pages) > 30 and not faults


def test_no_page_of_the_site_loads_anything_from_another_host(
    site: pathlib.Path, pages: dict[pathlib.Path, Page]
) -> None:
    loaded = [
        (path.name, tag, address)
        for path, page in pages.items()
        for tag, address in page.references
        if tag != "a" and Reference(tag, address).is_elsewhere
    ]
    for path in [*site.rglob("*.css"), *pages]:
        addresses = re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^\s"')]+)""", path.read_text())
        loaded += [(path.name, "css", address) for address in addresses]
    assert not loaded
    # What the theme's script loads a diagram with comes from elsewhere.
    assert not [path.name for path, page in pages.items() if "mermaid" in page.classes]


def test_the_site_has_every_list_table_and_picture_of_the_pages(
    site: pathlib.Path, pages: dict[pathlib.Path, Page]
) -> None:
    compared = 0
    for path, page in pages.items():
        name = path.relative_to(site).with_suffix(".md")
        source = name.with_name("README.md") if name.name == "index.md" else name
        if (ROOT / source).is_file():
            plain = Page(PARSER.render((ROOT / source).read_text()))
            assert [page.elements[tag] for tag in COUNTED] == [plain.elements[tag] for tag in COUNTED], source
            compared += 1
    assert compared == len(pages)
