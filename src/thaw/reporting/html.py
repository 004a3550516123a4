"""The report as one self-contained web page: report.md rendered, figures inside, tables that sort. No network."""

import base64
import hashlib
import html
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

import markdown_it
import markupsafe
from markdown_it.token import Token

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


def render_page(markdown: str, folder: str | pathlib.Path, replaced: Mapping[str, str] | None = None) -> str:
    """Return the HTML page of a report in Markdown; the figures that it names are read below `folder` and put inside.

    A paragraph that begins with an image is a figure, a link in it leads to its data, which are put inside too; figures
    one after the other stand side by side where there is room. `replaced` maps paragraphs of the report to HTML that
    the page has in their place. Each image needs an alternative text: raises ValueError for one without. The same
    report and files give the same page.
    """
    parser = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    titles = _mark_titles(tokens)
    for child in (child for token in tokens for child in token.children or ()):
        address = str(child.attrGet("href") or "")
        if child.type == "link_open" and re.fullmatch(r"[a-z]+\.md", address):
            child.attrSet("href", address.replace(".md", ".html"))  # a page beside this one
    tokens = list(_replace_paragraphs(tokens, replaced or {}, pathlib.Path(folder)))
    body = _furnish_tables(parser.renderer.render(tokens, parser.options, {}))
    body = re.sub(r"(?<=\d) – (?=\d)", "\u00a0–\u00a0", body)  # an interval stays on one line
    head, mark, rest = body.partition("<h2")
    return render(
        pathlib.Path(__file__).with_name("page.html.j2"),
        policy=markupsafe.Markup(POLICY),
        title=next((title for tag, _, title in titles if tag == "h1"), "thaw"),
        links=[(anchor, title) for tag, anchor, title in titles if tag == "h2"],
        head=markupsafe.Markup(head.rstrip("\n")),
        rest=markupsafe.Markup((mark + rest).rstrip("\n")),
        script=markupsafe.Markup(SCRIPT),
    )


def _mark_titles(tokens: Sequence[Token]) -> list[tuple[str, str, str]]:
    """Give each heading an anchor; return (tag, anchor, title) of each."""
    titles = []
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            title = _read_text(inline)
            anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            token.attrSet("id", anchor)
            titles.append((token.tag, anchor, title))
    return titles


def _read_text(token: Token) -> str:
    """Return what the Markdown in `token` says, without its markup."""
    return "".join(child.content for child in token.children or ())


def _furnish_tables(body: str) -> str:
    """Return HTML whose wide tables scroll by themselves, with the keyboard too; the heads of tables sort them."""
    body = body.replace("<table>", '<div class="table" role="region" tabindex="0" aria-label="table"><table>')
    body = body.replace("</table>", "</table></div>")
    button = r'<th\1 scope="col" aria-sort="none"><button type="button">\2</button></th>'
    return re.sub(r"<th([^>]*)>(.*?)</th>", button, body)


def _replace_paragraphs(found: Sequence[Token], replaced: Mapping[str, str], folder: pathlib.Path) -> Iterator[Token]:
    """Yield the tokens of a page, some paragraphs as one token of HTML: figures, and those that `replaced` names."""
    tokens = iter(found)
    figures: list[tuple[str, float]] = []
    for token in tokens:
        paragraph = [token, next(tokens), next(tokens)] if token.type == "paragraph_open" else [token]
        children = paragraph[1].children if len(paragraph) > 1 else None
        if children and children[0].type == "image":
            figures.append(_make_figure(children, folder))
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


def _make_figure(children: Sequence[Token], folder: pathlib.Path) -> tuple[str, float]:
    """Return (HTML, width in points) of a figure: its image, first of the tokens `children`, and a link to its data."""
    image, *rest = children
    name = str(image.attrGet("src"))
    words = html.escape(_read_text(image))
    if not words.strip():
        raise ValueError(f"{name}: an image of the report must have an alternative text")
    svg = (folder / name).read_text(encoding="utf-8")
    width = re.search(r'<svg [^>]*\bwidth="([\d.]+)', svg)
    assert width  # Matplotlib writes it
    links = ""
    for link in (child for child in rest if child.type == "link_open"):
        path = folder / str(link.attrGet("href"))
        content = base64.b64encode(path.read_bytes()).decode()
        links += f'<a download="{html.escape(path.name)}" href="data:text/csv;base64,{content}">data</a>'
    caption = f"<figcaption>{links}</figcaption>" if links else ""
    text = f'<figure><img src="data:image/svg+xml;charset=utf-8,{pack(svg)}" alt="{words}">{caption}</figure>\n'
    return text, float(width[1])


def pack(svg: str) -> str:
    """Return an SVG document of Matplotlib as it can stand in an address, in about two thirds of the letters.

    Comments, metadata and line breaks go, and digits behind a hundredth of a point; numbers below one are scales and
    stay.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", svg)
    svg = re.sub(r"\s+", " ", svg).replace("> <", "><").replace("DejaVuSans-", "g")
    return svg.replace("%", "%25").replace("#", "%23").replace("&", "&amp;").replace('"', "'").strip()
