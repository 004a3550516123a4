"""The report as one self-contained web page: report.md rendered, figures inside, tables that sort. No network."""

import base64
import html
import pathlib
import re

import markdown_it

STYLE = """
:root { color-scheme: light; --ink: #222; --faint: #666; --pale: #e4e4e4; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; color: var(--ink); background: #fff;
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; margin: 2.2em 0 .6em; }
h1 { margin-top: .4em; font-size: 2rem; }
h1 + p { font-size: 1.15rem; }
h2 { border-bottom: 1px solid var(--pale); padding-bottom: .25em; }
a { color: var(--accent); }
code { font-size: .85em; background: #f5f5f5; padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; margin: 1rem 0; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.table { overflow-x: auto; margin: 1rem 0; }
.table:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--pale); text-align: left; vertical-align: top; }
th { vertical-align: bottom; }
td:first-child { white-space: nowrap; }
td code { white-space: nowrap; }
th[aria-sort] button::after { content: " \\2195"; color: var(--faint); }
th[aria-sort=ascending] button::after { content: " \\2191"; color: var(--ink); }
th[aria-sort=descending] button::after { content: " \\2193"; color: var(--ink); }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; }
tbody tr:hover { background: #f7f9fb; }
@media (max-width: 40rem) { body { padding: .75rem .75rem 3rem; } h1 { font-size: 1.6rem; } h1 + p { font-size: 1.05rem; } }
@media print { body { max-width: none; font-size: 9.5pt; } nav, th button::after { display: none; }
  .table { overflow: visible; } table { font-size: 7pt; } tr, img { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""

# Sorts by the first number of each cell where every filled cell has one, by text elsewhere; what is missing stays last.
SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const read = (row, i) => row.cells[i].textContent.trim();
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1, rows = [...body.rows];
    const filled = rows.filter(row => !["", "\\u2013", "not run yet", "not run"].includes(read(row, i)));
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


def render_page(markdown, folder):
    """Return the HTML page of a report in Markdown; the images that it names are read below `folder` and put inside.

    Each image needs an alternative text: raises ValueError for one without. The same report and images give the same
    page.
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
            if child.type == "image":
                _put_inside(child, pathlib.Path(folder))
    body = parser.renderer.render(tokens, parser.options, {})
    # A wide table scrolls by itself, with the keyboard too; its heads sort it.
    body = body.replace("<table>", '<div class="table" role="region" tabindex="0" aria-label="table"><table>')
    body = body.replace("</table>", "</table></div>")
    body = re.sub(
        r"<th([^>]*)>(.*?)</th>", r'<th\1 scope="col" aria-sort="none"><button type="button">\2</button></th>', body
    )
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


def _put_inside(image, folder):
    """Replace the address of an image token by the content of the SVG file that it names."""
    name = image.attrGet("src")
    if not image.content.strip():
        raise ValueError(f"{name}: an image of the report must have an alternative text")
    content = base64.b64encode((folder / name).read_bytes()).decode()
    image.attrSet("src", f"data:image/svg+xml;base64,{content}")
    image.attrSet("loading", "lazy")
