"""The report as a web page: what is in it, and what a browser makes of it."""

import base64
import contextlib
import hashlib
import http.server
import importlib.resources
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from outcomes import SIZE, make_params, make_results
from thaw.base.files import write_table
from thaw.reporting import plotting, publication
from thaw.reporting.figures import Drawing
from thaw.reporting.html import POLICY, render_page
from thaw.reporting.svg import Sheet

SVG = '<svg viewBox="0 0 800 40" width="800" height="40"><rect width="800" height="40"/></svg>'
REPORT = """# What to unfreeze

The best is **wide-blocks-2**¹ & more.

## Comparison

| Run | What thaws | Trainable parameters | Test % | 95 % interval |
| --- | --- | ---: | ---: | ---: |
| baseline_cnn | all (from scratch) | 9,000,000 | 60.00 | 50.2 – 69.1 |
| wide | nothing (head only) | 1,234 | 85.00 | 76.7 – 90.7 |
| waiting | last 10 layers | not run yet | – | – |
| wide-blocks-2 | last 2 blocks | 56,789 | 9.50 | 82.6 – 94.5 |

![accuracy of every run](figures/overview.svg)
[data](figures/overview.csv)

## Curves

![curves of one](figures/overview.svg)

![curves of another](figures/overview.svg)

What it cost: [cost.md](cost.md).

## Weights

| Backbone | Architecture | sha256 |
| --- | --- | --- |
| mobilenet | MobileNet | `0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef` |

Text <script>alert(1)</script>
"""

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(not BROWSER, reason="no Chromium on the PATH")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/overview.svg").write_text(SVG)
    (tmp_path / "figures/overview.csv").write_text("run,accuracy\nwide,0.85\n")
    return tmp_path


def make_page(folder: pathlib.Path) -> str:
    return render_page(REPORT, folder)


def browse(folder: pathlib.Path, probe: str = "", *options: Any, page: Any = None, library: str = "") -> Any:
    """Open the page in Chromium, run the JavaScript expression `probe`; return (its value, what the console said).

    The policy of the page stays in force: it allows the script of the probe, behind a `library`, beside its own.
    """
    page = page or render_page(REPORT, folder)
    script = f"{library}; onload = async () => document.body.dataset.probe = JSON.stringify(await {probe or 'null'})"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    (folder / "report.html").write_text(page.replace("</body>", f"<script>{script}</script></body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", *options, "--dump-dom", (folder / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    value = re.search('data-probe="([^"]*)"', done.stdout)
    said = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return value and json.loads(value[1].replace("&quot;", '"').replace("&amp;", "&")), said


DARK = "--blink-settings=preferredColorScheme=0"


def audit(folder: pathlib.Path, page: str, *options: str) -> Any:
    """Return what axe-core finds wrong with `page` for those who use it by keyboard or screen reader, or see badly."""
    library = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    found = "axe.run().then(found => found.violations.map(each => [each.id, each.nodes.map(node => node.html)]))"
    return browse(folder, found, "--virtual-time-budget=60000", *options, page=page, library=library)[0]


@pytest.fixture
def full(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of a whole report, every section unfolded, whose figures are bars."""

    def write_drawings(drawings: Iterable[Drawing], folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            (folder / f"{drawing.name}.svg").write_text(SVG)
            write_table(folder / f"{drawing.name}.csv", drawing.table)

    monkeypatch.setattr(publication, "write_drawings", write_drawings)
    publication.write_report(make_params(), SIZE, make_results(tmp_path / "results"))
    return (tmp_path / "results/report/report.html").read_text()


def click(*heads: Any) -> str:
    """Return the JavaScript that clicks the heads by number, one after the other, and gives the first column."""
    clicks = ", ".join(f"document.querySelectorAll('th button')[{head}].click()" for head in heads)
    return f"({clicks}, [...document.querySelector('tbody').rows].map(row => row.cells[0].textContent))"


def test_the_page_needs_no_other_file_and_no_network(folder: pathlib.Path) -> None:
    page = render_page(REPORT, folder)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith(("data:", "#")) for source in sources if source != "cost.html")
    text = re.sub(r'="data:[^"]*"', "", page)
    assert "://" not in text and "@import" not in text and "url(" not in text.replace("url(#_", "")


def test_every_image_has_its_alternative_text(folder: pathlib.Path) -> None:
    figure = re.search(
        r'<figure><svg role="img" aria-labelledby="(.*?)".*?<span id="(.*?)">(.*?)</span>', make_page(folder)
    )
    assert figure and figure[1] == figure[2] and figure[3] == "Accuracy of every run."
    with pytest.raises(ValueError, match="figures/overview.svg: an image of the report must have an alternative text"):
        render_page(REPORT.replace("accuracy of every run", ""), folder)


def test_the_page_of_the_costs_is_named_as_a_web_page(folder: pathlib.Path) -> None:
    assert '<a href="cost.html">' in render_page(REPORT, folder)


def test_what_figures_have_in_common_stands_once_in_the_page(tmp_path: pathlib.Path) -> None:
    sheet, names = Sheet(), ['100 % "a" & <b>', "#c"]
    publication.save(plotting.draw_confusion([[3, 1], [0, 2]], names, "run"), tmp_path / "figure.svg")
    svg = (tmp_path / "figure.svg").read_text()
    first, shared = sheet.embed(svg, "_a"), sheet.define()
    assert sheet.embed(svg, "_b") == first.replace("_a", "_b") and sheet.define() == shared
    assert len(first) + len(shared) < 0.9 * len(svg)
    document = xml.etree.ElementTree.fromstring(f"<page>{shared}{first}</page>")
    named = {each.get("href").removeprefix("#") for each in document.iter("use")}
    named |= {
        each.get("clip-path").removeprefix("url(#").rstrip(")") for each in document.iter() if each.get("clip-path")
    }
    assert named and named == {each.get("id") for each in document.iter() if each.get("id")}
    tips = [each.text for each in document.iter("title")]
    assert tips[:2] == [f"{names[0]}, predicted {names[0]}: 3 of 4", f"{names[0]}, predicted {names[1]}: 1 of 4"]


def test_the_colours_of_a_figure_are_those_of_the_page() -> None:
    svg = '<g><title>style: #222222;</title><path style="fill: #222222; stroke: #0072b2"/></g>'
    drawn = Sheet().embed(f'<svg viewBox="0 0 1 1">{svg}</svg>', "_a")
    assert "<title>style: #222222;</title>" in drawn and 'style="fill: var(--ink); stroke: #0072b2"' in drawn


def test_scales_below_one_keep_their_digits() -> None:
    svg = '<g><title>1.23456</title><path a="scale(0.015625)" b="12.345678 -1.23456 0.5"/></g>'
    drawn = Sheet().embed(f'<svg viewBox="0 0 1 1">{svg}</svg>', "_a")
    assert '<title>1.23456</title><path a="scale(0.015625)" b="12.34 -1.23 0.5"/>' in drawn


def test_the_contents_lead_to_the_sections(folder: pathlib.Path) -> None:
    page = render_page(REPORT, folder)
    assert '<a href="#comparison">Comparison</a>' in page and '<h2 id="comparison">' in page


def test_what_a_name_holds_stays_text(folder: pathlib.Path) -> None:
    assert "<script>alert" not in render_page(REPORT, folder)


def test_the_same_report_gives_the_same_page(folder: pathlib.Path) -> None:
    assert render_page(REPORT, folder) == render_page(REPORT, folder)


@browser
def test_the_page_loads_without_a_word_on_the_console(folder: pathlib.Path) -> None:
    title, said = browse(folder, "document.title")
    assert title == "What to unfreeze" and said == []


@browser
def test_an_error_of_the_page_would_be_seen_on_the_console(folder: pathlib.Path) -> None:
    _, said = browse(folder, "(() => {throw Error('seen')})()")
    assert any("seen" in line for line in said)


def insert(page: str, markup: str) -> str:
    """Return the page with HTML in it that nothing has escaped."""
    return page.replace("</main>", f"{markup}</main>", 1)


SCRIPTS = """<script>document.title = "changed"</script>
<img src="data:," alt="" onerror="document.title = 'changed'">
<svg onload="document.title = 'changed'"></svg>
<iframe srcdoc="<script>parent.document.title = 'changed'</script>"></iframe>
<base href="https://elsewhere.example/">"""


@browser
def test_a_script_that_came_with_a_name_would_not_run(folder: pathlib.Path) -> None:
    page = insert(render_page(REPORT, folder), SCRIPTS)
    (title, address), said = browse(folder, "[document.title, document.baseURI]", page=page)
    assert title == "What to unfreeze" and address.startswith("file:")
    assert any("Content Security Policy" in line for line in said)
    assert browse(folder, "document.title", page=page.replace(POLICY, ""))[0] == "changed"


@contextlib.contextmanager
def serve() -> Iterator[tuple[str, list[str]]]:
    """Give the address of a server on this machine, and the list of what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


OUTSIDE = """<img src="{0}/image.png" alt=""><link rel="stylesheet" href="{0}/style.css">
<iframe src="{0}/frame"></iframe><p style="background: url({0}/background.png)">x</p>
<video src="{0}/film"></video><script src="{0}/script.js"></script>
<object data="{0}/object"></object><style>@import "{0}/more.css"; p {{ list-style: url({0}/bullet.png) }}</style>"""


@browser
def test_the_page_loads_nothing_from_elsewhere_whatever_came_into_it(folder: pathlib.Path) -> None:
    with serve() as (address, asked):
        page = insert(render_page(REPORT, folder), OUTSIDE.format(address))
        browse(folder, page=page)
        assert asked == []
        browse(folder, page=page.replace(POLICY, ""))
        assert {"/image.png", "/style.css", "/frame", "/background.png", "/script.js"} <= set(asked)


def test_the_page_runs_the_script_that_its_policy_names(folder: pathlib.Path) -> None:
    page = render_page(REPORT, folder)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall('<meta http-equiv="Content-Security-Policy" content="(.*?)">', page)
    assert dict(part.split(" ", 1) for part in policy.split("; ")) == {
        "default-src": "'none'", "img-src": "data:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


@browser
def test_the_browser_draws_the_figures(folder: pathlib.Path) -> None:
    bars = "[...document.querySelectorAll('figure rect')].map(bar => bar.getBoundingClientRect().width > 300)"
    assert browse(folder, bars)[0] == [True, True, True]


@browser
def test_the_data_of_a_figure_can_be_taken_out_of_the_page(folder: pathlib.Path) -> None:
    probe = "(link => [link.download, atob(link.href.split(',')[1])])(document.querySelector('figcaption a'))"
    assert browse(folder, probe)[0] == ["overview.csv", "run,accuracy\nwide,0.85\n"]


@browser
@pytest.mark.parametrize("width, columns", [(1280, 2), (500, 1)])
def test_figures_stand_beside_each_other_where_there_is_room(folder: pathlib.Path, width: int, columns: int) -> None:
    probe = "[...document.querySelectorAll('.gallery figure')].map(figure => figure.getBoundingClientRect().left)"
    lefts, _ = browse(folder, probe, f"--window-size={width},800")
    assert len(lefts) == 2 and len(set(lefts)) == columns


@browser
def test_a_head_sorts_numbers_as_numbers_and_leaves_what_is_missing_last(folder: pathlib.Path) -> None:
    assert browse(folder, click(3))[0] == ["wide-blocks-2", "baseline_cnn", "wide", "waiting"]


@browser
def test_a_second_click_sorts_the_other_way(folder: pathlib.Path) -> None:
    assert browse(folder, click(3, 3))[0] == ["wide", "baseline_cnn", "wide-blocks-2", "waiting"]


@browser
def test_a_column_with_words_among_its_numbers_still_sorts_the_numbers(folder: pathlib.Path) -> None:
    assert browse(folder, click(2))[0] == ["wide", "wide-blocks-2", "baseline_cnn", "waiting"]


@browser
def test_names_sort_as_text(folder: pathlib.Path) -> None:
    assert browse(folder, click(0))[0] == ["baseline_cnn", "waiting", "wide", "wide-blocks-2"]


@browser
def test_a_screen_reader_is_told_how_a_table_is_sorted(folder: pathlib.Path) -> None:
    heads = "[...document.querySelector('thead').querySelectorAll('th')].map(head => head.getAttribute('aria-sort'))"
    value, _ = browse(folder, f"(document.querySelectorAll('th button')[1].click(), {heads})")
    assert value == ["none", "ascending", "none", "none", "none"]


@browser
def test_at_the_width_of_a_phone_only_tables_scroll_sideways(folder: pathlib.Path) -> None:
    image = "document.querySelector('figure svg').getBoundingClientRect().right"
    probe = f"[innerWidth, document.documentElement.scrollWidth, {image}]"
    (width, needed, right), _ = browse(folder, probe, "--window-size=500,800")
    assert needed <= width and right <= width


@browser
@pytest.mark.skipif(not importlib.util.find_spec("axe_core_python"), reason="axe-core-python is not installed")
@pytest.mark.parametrize("options", [(), (DARK,), ("--window-size=500,800",)], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_against_the_report(tmp_path: pathlib.Path, full: str, options: tuple[str, ...]) -> None:
    assert audit(tmp_path, full.replace("<details>", "<details open>"), *options) == []


@browser
def test_in_the_dark_the_page_is_dark(tmp_path: pathlib.Path, full: str) -> None:
    probe = "getComputedStyle(document.body).backgroundColor"
    assert browse(tmp_path, probe, page=full)[0] == "rgb(255, 255, 255)"
    assert browse(tmp_path, probe, DARK, page=full)[0] == "rgb(20, 24, 28)"


@browser
@pytest.mark.parametrize("width, rail", [(1280, True), (500, False)])
def test_the_sections_stand_beside_the_text_or_in_a_list_above_it(
    tmp_path: pathlib.Path, full: str, width: int, rail: bool
) -> None:
    probe = "['nav ul', 'nav select'].map(name => document.querySelector(name).getBoundingClientRect().height > 0)"
    assert browse(tmp_path, probe, f"--window-size={width},800", page=full)[0] == [rail, not rail]


@browser
def test_choosing_a_folded_section_unfolds_it(tmp_path: pathlib.Path, full: str) -> None:
    data = "document.querySelector('#data').closest('details').open"
    choose = (
        "(list => {list.value = 'data'; list.dispatchEvent(new Event('change'))})(document.querySelector('select'))"
    )
    waited = f"new Promise(done => setTimeout(() => done({data}), 500))"
    probe = f"({data}, [{data}, ({choose}, {waited})])"
    before, after = browse(tmp_path, f"Promise.all({probe})", "--virtual-time-budget=5000", page=full)[0]
    assert (before, after) == (False, True)


@browser
def test_no_line_of_prose_is_longer_than_can_be_read(tmp_path: pathlib.Path, full: str) -> None:
    """Of letters as wide as those of a line on average, which is measured, some seventy fit in a paragraph."""
    probe = """[...document.querySelectorAll('main p')].filter(p => !p.closest('.card')).map(p => {
        const range = document.createRange(); range.selectNodeContents(p);
        const lines = new Set([...range.getClientRects()].map(box => Math.round(box.bottom))).size;
        return lines > 2 ? p.textContent.length / lines : 0})"""
    lengths, _ = browse(tmp_path, probe, "--window-size=1400,900", page=full.replace("<details>", "<details open>"))
    assert 50 < max(lengths) <= 75


def test_the_cards_answer_with_the_best_run_and_the_nearest_cheaper_one(full: str) -> None:
    best, cheapest = re.findall(r'<div class="card">(.*?)</div>', full, re.DOTALL)
    assert "Best on validation" in best and "Open the last 2 blocks of WideNet" in best and "90.0\u00a0%" in best
    assert "82.6\u00a0–\u2060\u00a094.5\u00a0% of test" in best and "56,789" in best and "1.5 MB" in best
    assert "On stand-in weights." in best
    # Three epochs of 9.87 s and 1.5 s of the prefix, for the run and the frozen run that it starts from.
    assert "<dd>1.0 minutes</dd>" in best
    assert "none on 100 photos" in cheapest and "Nearest: train a head on frozen WideNet" in cheapest


def test_what_holds_for_every_backbone_is_said_once_in_a_banner(full: str) -> None:
    assert full.count("Every run but the baseline rests on weights that are not the file that Keras publishes") == 1
    assert "¹" not in re.sub(r'="data:[^"]*"', "", full)


@browser
def test_the_page_prints(folder: pathlib.Path) -> None:
    (folder / "report.html").write_text(render_page(REPORT, folder))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--print-to-pdf={folder / 'report.pdf'}", (folder / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
