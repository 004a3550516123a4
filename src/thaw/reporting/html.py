"""The report as one self-contained web page: report.md rendered, figures inside, tables that sort. No network."""

import base64
import html
import pathlib
import re

import markdown_it
import markdown_it.token

STYLE = """
:root { color-scheme: light; --ink: #222; --faint: #666; --pale: #e4e4e4; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; color: var(--ink); background: #fff;
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; margin: 2.2em 0 .6em; }
h1 { margin-top: .4em; font-size: 2rem; }
h1 + p { font-size: 1.15rem; }
h2 { border-bottom: 1px solid var(--pale); padding-bottom: .25em; }
a { color: var(--accent); }
code { font-size: .85em; background: #f5f5f5; padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; }
figure { margin: 1rem 0; max-width: 44rem; }
figure > img { width: 100%; }
figcaption { font-size: .8rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); gap: 1rem 2rem;
  margin: 1rem 0; }
.gallery figure { margin: 0; }
.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.table { overflow-x: auto; margin: 1rem 0; }
.table:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--pale); text-align: left; vertical-align: top; }
th { vertical-align: bottom; }
td:first-child { min-width: 9rem; position: sticky; left: 0; background: #fff; }
td:first-child:has(~ td[style*=right]) { white-space: nowrap; }
td code, td[style*=right] { white-space: nowrap; }
th[aria-sort] button::after { content: "\\a0\\2195"; color: var(--faint); }
th[aria-sort=ascending] button::after { content: "\\a0\\2191"; color: var(--ink); }
th[aria-sort=descending] button::after { content: "\\a0\\2193"; color: var(--ink); }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; }
tbody tr:hover, tbody tr:hover td:first-child { background: #f7f9fb; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1.2rem .8rem; margin: 1rem 0; }
.photos figure { margin: 0; font-size: .8rem; line-height: 1.35; }
.photos img { width: 100%; aspect-ratio: 1; object-fit: contain; margin: 0 0 .35rem; background: #f5f5f5; }
.photos small { display: block; font-size: .7rem; }
@media (max-width: 40rem) { body { padding: .75rem .75rem 3rem; } h1 { font-size: 1.6rem; } h1 + p { font-size: 1.05rem; }
  .photos { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); } }
@media screen and (max-width: 40rem) { main > figure, .gallery figure { margin-inline: -.6rem; } }
@media print { body { max-width: none; font-size: 9.5pt; } nav, th button::after, a[download] { display: none; }
  .table { overflow: visible; } table { font-size: 7pt; } td:first-child { min-width: 0; }
  table:has(th:nth-child(15)) { font-size: 4.2pt; } table:has(th:nth-child(15)) :is(th, td) { padding: .3rem .12rem; }
  tr, img, figure { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""

SMALL = 360  # points: figures narrower than this stand in more columns

# Sorts by the first number of each cell where every filled cell has one, by text elsewhere; what is missing stays last.
SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const read = (row, i) => row.cells[i].textContent.trim();
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1, rows = [...body.rows];
    const filled = rows.filter(row => !["", "\\u2013", "not run yet", "not run", "no number"].includes(read(row, i)));
    const number = row => parseFloat(read(row, i).replace(/,/g, "").replace("\\u2212", "-"));
    const numeric = filled.every(row => !Number.isNaN(number(row)));
    const compare = numeric ? (a, b) => number(a) - number(b)
      : (a, b) => read(a, i).localeCompare(read(b, i), "en", {numeric: true});
    filled.sort((a, b) => way * compare(a, b));
    body.append(...filled, ...rows.filter(row => !filled.includes(row)));
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  }));
}
"""


def render_page(markdown, folder, replaced=None):
    """Return the HTML page of a report in Markdown; the figures that it names are read below `folder` and put inside.

    A paragraph that begins with an image is a figure, a link in it leads to its data, which are put inside too; figures
    one after the other stand side by side where there is room. `replaced` maps paragraphs of the report to HTML that
    the page has in their place. Each image needs an alternative text: raises ValueError for one without. The same
    report and files give the same page.
    """
    parser = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    titles = []
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            anchor = re.sub(r"[^a-z0-9]+", "-", inline.content.lower()).strip("-")
            token.attrSet("id", anchor)
            titles.append((token.tag, anchor, inline.content))
        for child in token.children or ():
            if child.type == "link_open" and re.fullmatch(r"[a-z]+\.md", child.attrGet("href")):
                child.attrSet("href", child.attrGet("href").replace(".md", ".html"))  # a page beside this one
    tokens = list(_replace_paragraphs(tokens, replaced or {}, pathlib.Path(folder)))
    body = parser.renderer.render(tokens, parser.options, {})
    # A wide table scrolls by itself, with the keyboard too; its heads sort it.
    body = body.replace("<table>", '<div class="table" role="region" tabindex="0" aria-label="table"><table>')
    body = body.replace("</table>", "</table></div>")
    body = re.sub(
        r"<th([^>]*)>(.*?)</th>", r'<th\1 scope="col" aria-sort="none"><button type="button">\2</button></th>', body
    )
    body = re.sub(r"(?<=\d) – (?=\d)", "\u00a0–\u00a0", body)  # an interval stays on one line
    links = "".join(f'<li><a href="#{anchor}">{html.escape(title)}</a></li>' for tag, anchor, title in titles if tag == "h2")
    head, rest = body.split("<h2", 1) if "<h2" in body else (body, None)
    menu = f"<nav aria-label=\"contents\"><ul>{links}</ul></nav>\n" if links else ""
    title = next((title for tag, _, title in titles if tag == "h1"), "thaw")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n'
        f"{head}{menu}{'' if rest is None else '<h2' + rest}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _replace_paragraphs(tokens, replaced, folder):
    """Yield the tokens of a page, some paragraphs as one token of HTML: figures, and those that `replaced` names."""
    tokens, figures = iter(tokens), []
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


def _make_html(text):
    return markdown_it.token.Token("html_block", "", 0, content=text)


def _arrange(figures):
    """Return the HTML of `figures` one after the other: small ones in more columns."""
    if len(figures) == 1:
        return figures[0][0]
    size = " small" if all(width < SMALL for _, width in figures) else ""
    return f'<div class="gallery{size}">\n{"".join(text for text, _ in figures)}</div>\n'


def _make_figure(children, folder):
    """Return (HTML, width in points) of a figure: its image, first of the tokens `children`, and a link to its data."""
    image, *rest = children
    name = image.attrGet("src")
    if not image.content.strip():
        raise ValueError(f"{name}: an image of the report must have an alternative text")
    svg = (folder / name).read_text(encoding="utf-8")
    width = float(re.search(r'<svg [^>]*\bwidth="([\d.]+)', svg)[1])
    links = ""
    for link in (child for child in rest if child.type == "link_open"):
        path = folder / link.attrGet("href")
        content = base64.b64encode(path.read_bytes()).decode()
        links += f'<a download="{html.escape(path.name)}" href="data:text/csv;base64,{content}">data</a>'
    caption = f"<figcaption>{links}</figcaption>" if links else ""
    words = html.escape(image.content)
    return f'<figure><img src="data:image/svg+xml;charset=utf-8,{pack(svg)}" alt="{words}">{caption}</figure>\n', width


def pack(svg):
    """Return an SVG document of Matplotlib as it can stand in an address, in about two thirds of the letters.

    Comments, metadata and line breaks go, and digits behind a hundredth of a point; numbers below one are scales and
    stay.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", svg)
    svg = re.sub(r"\s+", " ", svg).replace("> <", "><").replace("DejaVuSans-", "g")
    return svg.replace("%", "%25").replace("#", "%23").replace("&", "&amp;").replace('"', "'").strip()
