"""What the site has beside docs/: README.md, and every file of the repository that a page links to.

A hook of MkDocs, named in mkdocs.yml. Each file keeps its place in the repository, so a link of a page leads to the
same file on a code host and on the site. Pages in Markdown become pages of the site, other files are copied.
"""

import pathlib
import urllib.parse

import markdown_it
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARSER = markdown_it.MarkdownIt("commonmark").enable("table")
ATTRIBUTES = {"link_open": "href", "image": "src"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the theme, README.md, the pages of docs/, and what these link to, by paths below ROOT."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for name in sorted(follow([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])):
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Give the front page the whole width: it needs no lists of pages and headings beside it."""
    if page.file.src_uri == "README.md":
        page.meta["hide"] = ["navigation", "toc"]


def follow(pages: list[pathlib.Path]) -> set[str]:
    """Return the paths below ROOT of `pages` and of the files that they, and the pages among those, link to."""
    found: set[str] = set()
    while pages:
        page = pages.pop()
        name = page.relative_to(ROOT).as_posix()
        if name not in found:
            found.add(name)
            pages += find_targets(page) if page.suffix == ".md" else []
    return found


def find_targets(page: pathlib.Path) -> list[pathlib.Path]:
    """Return the files of the repository that a page in Markdown links to; MkDocs reports missing ones."""
    tokens = [inner for token in PARSER.parse(page.read_text()) for inner in token.children or ()]
    links = [str(token.attrGet(ATTRIBUTES[token.type])) for token in tokens if token.type in ATTRIBUTES]
    parts = [urllib.parse.urlsplit(link) for link in links]
    paths = [page.parent / urllib.parse.unquote(part.path) for part in parts if part.path and not part.scheme]
    return [path.resolve() for path in paths if path.is_file() and path.resolve().is_relative_to(ROOT)]
