"""A report as one self-contained web page: its Markdown rendered, figures inside, tables that sort. No network."""

import base64
import hashlib
import html
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import markdown_it
import markupsafe
from markdown_it.token import Token

from thaw.reporting.svg import Sheet, measure_width
from thaw.reporting.templates import render

SMALL = 360  # points: figures narrower than this stand in more columns

SCRIPT = pathlib.Path(__file__).with_name("page.js").read_text(encoding="utf-8")  # the only one that the page runs

# Of the page, to the browser: load nothing from elsewhere, and run no other script. Markdown-it writes the alignment of
# a column as a style.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


def render_page(
    markdown: str,
    folder: str | pathlib.Path,
    replaced: Mapping[str, str] | None = None,
    shown: Collection[str] | None = None,
) -> str:
    """Return the HTML page of a report in Markdown; the figures that it names are read below `folder` and put inside.

    A paragraph that begins with an image is a figure, its alternative text the caption, and a link in it leads to its
    data, which are put inside too; figures one after the other stand side by side where there is room. `replaced` maps
    paragraphs of the report to HTML that the page has in their place. Sections with other titles than those in `shown`
    are folded away; None folds none. Raises ValueError for an image without an alternative text. The same report and
    files give the same page.
    """
    parser = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    titles = _mark_titles(tokens)
    for token in tokens:
        _lead_to_pages(token.children or [])
    sheet = Sheet()
    tokens = list(_replace_paragraphs(tokens, replaced or {}, pathlib.Path(folder), sheet))
    if shown is not None:
        tokens = list(_fold(tokens, {anchor for tag, anchor, title in titles if tag == "h2" and title not in shown}))
    body = _furnish_tables(parser.renderer.render(tokens, parser.options, {}))
    # An interval stays on one line; without the joiner a browser may break behind the dash.
    body = re.sub(r"(?<=\d) (?=%)", "\u00a0", re.sub(r"(?<=\d) – (?=\d)", "\u00a0–\u2060\u00a0", body))
    return render(
        pathlib.Path(__file__).with_name("page.html.j2"),
        policy=markupsafe.Markup(POLICY),
        title=next((title for tag, _, title in titles if tag == "h1"), "thaw"),
        links=[(anchor, title if tag == "h2" else "Top") for tag, anchor, title in titles if tag in ("h1", "h2")],
        shared=markupsafe.Markup(sheet.define()),
        body=markupsafe.Markup(body.rstrip("\n")),
        script=markupsafe.Markup(SCRIPT),
    )


def _mark_titles(tokens: Sequence[Token]) -> list[tuple[str, str, str]]:
    """Give each heading an anchor; return (tag, anchor, title) of each."""
    titles: list[tuple[str, str, str]] = []
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            title = _read_text(inline)
            anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
            taken = {found for _, found, _ in titles}
            anchor = next(name for name in (anchor, *(f"{anchor}-{i}" for i in range(2, 999))) if name not in taken)
            token.attrSet("id", anchor)
            titles.append((token.tag, anchor, title))
    return titles


def _read_text(token: Token) -> str:
    """Return what the Markdown in `token` says, without its markup."""
    return "".join(child.content for child in token.children or ())


def _lead_to_pages(children: Sequence[Token]) -> None:
    """Have a link to a page in Markdown beside this one lead to its web page, and say so where it names the file."""
    for link, words in zip(children, children[1:], strict=False):
        address = str(link.attrGet("href") or "")
        if link.type == "link_open" and re.fullmatch(r"[a-z]+\.md", address):
            link.attrSet("href", address.replace(".md", ".html"))
            words.content = words.content.replace(address, address.replace(".md", ".html"))


def _furnish_tables(body: str) -> str:
    """Return HTML whose wide tables scroll by themselves, with the keyboard too; the heads of tables sort them.

    Each is named by the heading that it stands under.
    """
    heading, number = "", 0

    def name(found: re.Match[str]) -> str:
        nonlocal heading, number
        if found[1] is not None:
            heading = re.sub("<[^>]*>", "", found[1]).replace('"', "&quot;")
            return found[0]
        number += 1
        return f'<div class="table" role="region" tabindex="0" aria-label="{heading}: table {number}"><table'

    body = re.sub(r"<h\d\b[^>]*>(.*?)</h\d>|<table\b", name, body).replace("</table>", "</table></div>")
    button = r'<th\1 scope="col" aria-sort="none"><button type="button">\2</button></th>'
    return re.sub(r"<th((?: (?:style|class)=[^>]*)?)>(.*?)</th>", button, body)


def _fold(tokens: Sequence[Token], anchors: Collection[str]) -> Iterator[Token]:
    """Yield `tokens`, the sections whose headings have these `anchors` folded away below them."""
    opened = inside = False
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h2":
            if opened:
                yield _make_html("</details>\n")
            opened = inside = token.attrGet("id") in anchors
            if opened:
                yield _make_html("<details><summary>")
        yield token
        if inside and token.type == "heading_close":
            inside = False
            yield _make_html("</summary>\n")
    if opened:
        yield _make_html("</details>\n")


def _replace_paragraphs(
    found: Sequence[Token], replaced: Mapping[str, str], folder: pathlib.Path, sheet: Sheet
) -> Iterator[Token]:
    """Yield the tokens of a page, some paragraphs as one token of HTML: figures, and those that `replaced` names."""
    tokens = iter(found)
    figures: list[tuple[str, float]] = []
    for token in tokens:
        paragraph = [token, next(tokens), next(tokens)] if token.type == "paragraph_open" else [token]
        children = paragraph[1].children if len(paragraph) > 1 else None
        if children and children[0].type == "image":
            figures.append(_make_figure(children, folder, sheet))
            continue
        if figures:
            yield _make_html(_arrange(figures))
            figures = []
        text = replaced.get(paragraph[1].content) if len(paragraph) > 1 else None
        yield from paragraph if text is None else [_make_html(text)]
    if figures:
        yield _make_html(_arrange(figures))


def _make_html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _arrange(figures: Sequence[tuple[str, float]]) -> str:
    """Return the HTML of `figures` one after the other: small ones in more columns."""
    if len(figures) == 1:
        return figures[0][0]
    size = " small" if all(width < SMALL for _, width in figures) else ""
    return f'<div class="gallery{size}">\n{"".join(text for text, _ in figures)}</div>\n'


def _make_figure(children: Sequence[Token], folder: pathlib.Path, sheet: Sheet) -> tuple[str, float]:
    """Return (HTML, width in points) of a figure: its image, first of the tokens `children`, and a link to its data."""
    image, *rest = children
    name = str(image.attrGet("src"))
    words = _read_text(image).strip()
    if not words:
        raise ValueError(f"{name}: an image of the report must have an alternative text")
    svg = (folder / name).read_text(encoding="utf-8")
    caption = f"_figure{sheet.figures + 1}"
    drawn, links = sheet.embed(svg, caption), ""
    for link in (child for child in rest if child.type == "link_open"):
        path = folder / str(link.attrGet("href"))
        content = base64.b64encode(path.read_bytes()).decode()
        file = html.escape(path.name)
        links += f' <a download="{file}" href="data:text/csv;base64,{content}">Data: {file}</a>'
    sentence = f'<span id="{caption}">{html.escape(words[0].upper() + words[1:])}.</span>'
    return f"<figure>{drawn}<figcaption>{sentence}{links}</figcaption></figure>\n", measure_width(svg)
