"""Names that are markup somewhere: in Markdown, in a web page, in a figure, in a spreadsheet, in a folder."""

import collections
import html.parser
import io
import pathlib
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import markdown_it
import numpy as np
import pandas as pd
import PIL.Image
import pytest

from outcomes import CLASSES, SIZE, STANDIN, make_params, make_results, write, write_times, write_weights
from thaw.base import files
from thaw.base.errors import InputError
from thaw.base.files import read_table, write_table
from thaw.base.spreadsheets import guard, release
from thaw.cli.reviewing.differences import Side
from thaw.cli.reviewing.summary import write_review
from thaw.comparison.pairs import read_evidence
from thaw.comparison.results import read_results
from thaw.comparison.words import escape
from thaw.photos.canonical import name_folder
from thaw.photos.download import download
from thaw.photos.sections import Folder
from thaw.reporting import photos, plotting, publication
from thaw.reporting.figures import Drawing
from thaw.reporting.plotting.labels import TRANSCRIBED, make_labels
from thaw.split.parts import read_manifest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# What it is -> (the name, what a reader of the page sees). A renderer of Markdown, or GitHub's pages, would read it.
NAMES = {
    "a link": ("[link](x)", "[link](x)"),
    "a link by reference": ("[link][1]", "[link][1]"),
    "a picture from elsewhere": ("![](http://tracker.example/x.png)", "![](http://tracker.example/x.png)"),
    "a bare address": ("http://tracker.example/", "http://tracker.example/"),
    "an address without http": ("www.tracker.example", "www.tracker.example"),
    "an address in angles": ("<http://tracker.example>", "<http://tracker.example>"),
    "a mail address": ("me@tracker.example", "me@tracker.example"),
    "a script": ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    "an element with an event": ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    "the beginning of a comment": ("rose <!-- red", "rose <!-- red"),
    "an entity": ("&lt;rose&gt; &amp;", "&lt;rose&gt; &amp;"),
    "a bar, which ends a cell of a table": ("rose | tulip", "rose | tulip"),
    "an escaped bar": ("rose \\| tulip", "rose \\| tulip"),
    "a backslash at the end": ("rose\\", "rose\\"),
    "a backtick, which ends code": ("a` <b>x</b> `b", "a` <b>x</b> `b"),
    "backticks at both ends": ("``rose`", "``rose`"),
    "emphasis with stars": ("*rose* **tulip**", "*rose* **tulip**"),
    "emphasis with underscores": ("_rose_", "_rose_"),
    "emphasis behind another sign": ("Corn_(maize)___Common_rust_", "Corn_(maize)___Common_rust_"),
    "something struck out": ("~~rose~~", "~~rose~~"),
    "a heading": ("# rose", "# rose"),
    "an item of a list": ("- rose", "- rose"),
    "an item of a numbered list": ("1. rose", "1. rose"),
    "a rule": ("---", "---"),
    "a quotation": ("> rose", "> rose"),
    "a formula": ("$x^2$ and $$y$$", "$x^2$ and $$y$$"),
    "a footnote": ("[^1]", "[^1]"),
    "an emoji by its name": (":rose:", ":rose:"),
    "a person": ("@rose", "@rose"),
    "an issue": ("#123", "#123"),
    "an issue by its prefix": ("GH-123", "GH-123"),
    "a table of its own": ("a\n\n| b |\n| --- |\n", "a | b | | --- |"),
    "a tab before a mark": ("rose\t*red*", "rose *red*"),
    "a mark that turns what follows": ("rose\u202egpj.", "rosegpj."),
}
by_name = pytest.mark.parametrize("name, shown", NAMES.values(), ids=NAMES)
# Those whose whole report is made in every run of the tests; that of each other takes as long.
USUAL = (
    "a link", "a script", "a bar, which ends a cell of a table", "a backtick, which ends code", "a table of its own",
    "emphasis behind another sign", "the archive of the photos", "a stage of a backbone",
)  # fmt: skip

# Names that are plain words, in which nothing is markup: no page changes them.
PLAIN = [
    "snow drop", "baseline_cnn", "Tomato___Bacterial_spot", "Queen Anne's lace", "rose (red)", "Gänse blümchen, weiß",
    "タンポポ", "गुलाब", "می\u200cخواهم", "ශ්\u200dරී", "NA", "1986", "tf_flowers:3.0.1",
]  # fmt: skip


class Reader(html.parser.HTMLParser):
    """The elements of a page with what they lead to, and the text of the cells of its tables and of its images."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: collections.Counter[Any] = collections.Counter()
        self.cells: list[str] = []
        self.texts: list[str] = []
        self.codes: list[str] = []
        self.images: list[str] = []
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open, given = tag, dict(attrs)
        if tag != "code":
            leads = given.get("href") or given.get("src") or ""
            self.elements[tag, *sorted(given), leads if not leads.startswith("data:") else "data"] += 1
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "img":
            self.images.append(given["alt"])

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open == "code":
            self.codes.append(data)
        if self.cells:
            self.cells[-1] += data


def render(markdown: str) -> Reader:
    """Return what a renderer that lets HTML pass, as GitHub's does, makes of a page."""
    return Reader(markdown_it.MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown))


SVG = '<svg viewBox="0 0 800 40" width="800" height="40"><rect width="800" height="40"/></svg>'


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Leaves the figures of reports undrawn; their tables are written."""

    def write_drawings(drawings: Iterable[Drawing], folder: pathlib.Path) -> None:
        folder.mkdir(parents=True)
        for drawing in drawings:
            (folder / f"{drawing.name}.svg").write_text(SVG)
            write_table(folder / f"{drawing.name}.csv", drawing.table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publication, "write_drawings", write_drawings)
        patch.setattr(files, "sync_to_disk", lambda path: None)
        yield


def report(folder: pathlib.Path, params: Any = None) -> dict[str, str]:
    """Return {name: text} of the pages of the report on the results below `folder`."""
    publication.write_report(params or make_params(), SIZE, folder)
    return {path.name: path.read_text() for path in (folder / "report").iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages of a report on two classes of plain names."""
    return report(make_results(tmp_path_factory.mktemp("plain"), ("rose", "tulip")))


def mark_unusual(cases: Mapping[str, Any]) -> list[Any]:
    """Return `cases`, each a tuple of arguments or one argument, as parameters; all but those of USUAL are long."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), id=key, marks=() if key in USUAL else pytest.mark.long
        )
        for key, case in cases.items()
    ]


@pytest.mark.parametrize("name, shown", mark_unusual(NAMES))
def test_in_the_report_a_class_shows_as_it_is_and_as_nothing_else(
    tmp_path: pathlib.Path, plain: dict[str, str], name: str, shown: str
) -> None:
    pages = report(make_results(tmp_path, ("rose", name)))
    found, expected = render(pages["report.md"]), render(plain["report.md"])
    assert found.elements == expected.elements
    assert found.cells == [cell.replace("tulip", shown) for cell in expected.cells]
    assert shown in found.codes  # in which GitHub reads nothing, where it reads other text once more
    found, expected = Reader(pages["report.html"]), Reader(plain["report.html"])
    assert found.elements == expected.elements
    assert found.cells == [cell.replace("tulip", shown) for cell in expected.cells]


@by_name
def test_in_a_review_a_class_shows_as_it_is_and_as_nothing_else(name: str, shown: str) -> None:
    def make_side(count: int, name: str) -> Side:
        return Side({}, [], {}, {}, {}, {}, {}, {f"split.train.{name}": count})

    odd, plain = (render(write_review(make_side(1, given), make_side(2, given))) for given in (name, "tulip"))
    assert odd.elements == plain.elements
    assert odd.cells == [cell.replace("tulip", shown) for cell in plain.cells]


@pytest.mark.parametrize("name", PLAIN)
def test_a_class_of_plain_words_stands_as_it_is(name: str) -> None:
    assert escape(name) == name


ODD = "[x](y)|<b>`z"


def weigh(**values: Any) -> Callable[[pathlib.Path, Any], None]:
    return lambda folder, params: write_weights(folder, **{**STANDIN, **values})


def train(**values: Any) -> Callable[[pathlib.Path, Any], None]:
    flops = {"forward": 10, "prefix": 4, "training_step": 18}
    document = {"wide": {"epochs": 3, "cut": "relu", "flops": flops, **values}}
    return lambda folder, params: write(folder / "metrics/train/wide.json", document)


def time_training(folder: pathlib.Path, params: Any) -> None:
    write_times(folder, "wide", 1.0)
    path = folder / "metrics/timing/train/wide.json"
    path.write_text(path.read_text().replace('"store"', f'"{ODD}"'))


def name_archive(folder: pathlib.Path, params: Any) -> None:
    params.dataset.source, params.dataset.url = "archive", f"https://photos.example/{ODD}"


# Whatever else comes from data into the pages.
FIELDS = {
    "the architecture of a backbone": weigh(architecture=ODD),
    "the file of its weights": weigh(file=ODD),
    "the digest of that file": weigh(file_sha256=ODD),
    "a stage of a backbone": weigh(blocks=[{"stage": ODD, "end": "relu", "flops": 5}]),
    "the operation that a network is cut behind": train(cut=ODD),
    "where batches came from": time_training,
    "the archive of the photos": name_archive,
}  # fmt: skip


@pytest.mark.parametrize("change", mark_unusual(FIELDS))
def test_in_the_pages_other_names_show_as_they_are(
    tmp_path: pathlib.Path, change: Callable[[pathlib.Path, Any], None]
) -> None:
    params, folder = make_params(), make_results(tmp_path)
    change(folder, params)
    pages = report(folder, params)
    readers = [render(pages["report.md"]), render(pages["cost.md"])]
    assert any(ODD in text for reader in readers for text in [*reader.texts, *reader.images])
    readers += [Reader(pages["report.html"]), Reader(pages["cost.html"])]
    for reader in readers:
        assert not any(element[0] == "b" or element[-1] == "y" for element in reader.elements)


# What a list of credits says of a photo -> what stands below it, and what it leads to.
BY = "https://creativecommons.org/licenses/by/2.0/"
CREDITS = {
    "an author with an address on the web is linked": (("Ada", BY, "https://a.example/1"), "Ada, CC BY 2.0", [
        "https://a.example/1", BY]),
    "an address in capitals is one": (("Ada", "", "HTTPS://a.example/1"), "Ada", ["HTTPS://a.example/1"]),
    "a script is no address": (("Ada", "mine", "javascript:alert(1)"), "Ada, mine", []),
    "data are no address": (("Ada", "", "data:text/html,<script>alert(1)</script>"), "Ada", []),
    "a file is no address": (("Ada", "", "file:///etc/passwd"), "Ada", []),
    "an address without a server is none": (("Ada", "", "https:///x"), "Ada", []),
    "an address with a blank is none": (("Ada", "", "https://a.example/1 onclick=x"), "Ada", []),
    "a quote does not end an address": (("Ada", "", 'https://a.example/"onclick="x'), "Ada", [
        'https://a.example/"onclick="x']),
    "an author in HTML is text": (("<script>alert(1)</script>", "", ""), "<script>alert(1)</script>", []),
    "an author in Markdown is text": (("[Ada](x)", "", ""), "[Ada](x)", []),
    "a licence in HTML is text": (("Ada", "<b>free</b>", ""), "Ada, <b>free</b>", []),
    "a mark that turns what follows is left out": (("Ada \u202eeerf", "", ""), "Ada eerf", []),
}  # fmt: skip


def write_photo(folder: pathlib.Path, credit: tuple[str, str, str], classes: tuple[str, str] = CLASSES) -> None:
    """Write data/raw with one photo, of the second class, and its `credit`, among those of the results in `folder`."""
    (folder / "data/raw/photos/a").mkdir(parents=True)
    PIL.Image.new("RGB", (8, 8), "red").save(folder / "data/raw/photos/a/a.png")
    rows = [(label, f"t{i:04}", "photos/gone.png") for i in range(100) for label in classes]
    rows[1] = (classes[1], "t0000", "photos/a/a.png")
    pd.DataFrame(rows, columns=["class", "id", "file"]).to_csv(folder / "data/raw/manifest.csv", index=False)
    credits = pd.DataFrame([("photos/a/a.png", *credit)], columns=["file", "author", "licence", "url"])
    credits.to_csv(folder / "data/credits.csv", index=False)


@pytest.mark.parametrize("credit, shown, links", CREDITS.values(), ids=CREDITS)
def test_below_a_photo_a_credit_shows_as_it_is(
    tmp_path: pathlib.Path, credit: tuple[str, str, str], shown: str, links: list[str]
) -> None:
    folder = make_results(tmp_path)
    write_photo(folder, credit)
    sample = photos.show_photos(read_evidence(read_results(make_params(), folder), folder), folder)[photos.SAMPLE]
    reader = Reader(sample)
    assert "".join(reader.texts).split("rose")[-1].strip() == shown
    assert [element[-1] for element in reader.elements if element[0] == "a"] == links
    assert {element[0] for element in reader.elements} <= {"div", "figure", "img", "figcaption", "b", "small", "a"}


LONG = ["Tomato___Two-spotted_spider_mite_on_the_lower_leaf", "Tomato___Two-spotted_spider_mite_on_the_upper_leaf"]
CUT = ["Tomato___Two-spotted_sp…", "Tomato___Two-spotte… (2)"]
# What a class is called -> its label in figures, of at most 24 letters.
LABELS = {
    "letters that the font has stay": (["rosé", "Ωμέγα", "роза", "½ × ①"], ["rosé", "Ωμέγα", "роза", "½ × ①"]),
    "Chinese is transcribed": (["玫瑰", "rose"], ["MeiGui", "rose"]),
    "Japanese and Korean are transcribed": (["バラ", "장미"], ["bara", "JangMi"]),
    "Hindi is transcribed, its vowels too": (["गुलाब"], ["gulab"]),
    "Thai is transcribed": (["กุหลาบ"], ["kuhlab"]),
    "Arabic runs the other way and is transcribed": (["وردة"], ["wrdh"]),
    "so is Hebrew, with its points": (["וֶרֶד"], ["vered"]),
    "joiners are left out": (["ශ්\u200dරී"], ["sri"]),
    "of a name in two scripts one is transcribed": (["rosé 玫瑰"], ["rosé MeiGui"]),
    "an emoji is its name": (["🌹"], [":rose:"]),
    "a letter without a transcription is its number": (["\U00030000"], ["U+30000"]),
    "names that are transcribed alike are numbered": (["梅瑰", "玫瑰"], ["MeiGui", "MeiGui (2)"]),
    "a name that looks like a transcription keeps it": (["玫瑰", "MeiGui"], ["MeiGui (2)", "MeiGui"]),
    "a numbered label is no other name": (["MeiGui", "MeiGui (2)", "玫瑰"], ["MeiGui", "MeiGui (2)", "MeiGui (3)"]),
    "names that are cut off alike are numbered": (LONG, CUT),
    "a formula is text": (["$x^2$", "$\\broken$"], ["$x^2$", "$\\broken$"]),
    "an underscore hides nothing": (["_hidden"], ["_hidden"]),
    "a line break is a blank": (["rose\nred"], ["rose red"]),
}  # fmt: skip


def read_labels(names: list[str]) -> list[str]:
    """Return the labels of the rows of a confusion matrix that is drawn without a warning, a missing letter say."""
    with warnings.catch_warnings(), plotting.use_style():
        warnings.simplefilter("error")
        figure = plotting.draw_confusion(np.eye(len(names), dtype=int), names, "run")
        figure.savefig(io.BytesIO(), format="svg")
        return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("names, labels", LABELS.values(), ids=LABELS)
def test_in_a_figure_each_class_has_a_label_of_its_own_that_can_be_read(names: list[str], labels: list[str]) -> None:
    assert read_labels(names) == labels


def test_a_figure_says_that_names_are_transcribed() -> None:
    def read_note(names: list[str]) -> str:
        return " ".join(plotting.draw_confusion([[1, 0], [0, 1]], names, "run").get_supxlabel().split())

    assert (read_note(["玫瑰", "rose"]), read_note(["tulip", "rose"])) == (TRANSCRIBED, "")


def test_in_the_figure_of_classes_the_labels_are_the_same(tmp_path: pathlib.Path) -> None:
    names = ["玫瑰", "وردة", "rose"]
    table = pd.DataFrame({"class": names, "f1": [0.5, 0.6, 0.7]}).assign(
        panel="Net", run="wide", mark="", kind="frozen", family="Net"
    )
    figure = plotting.draw_classes(table, "test")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == make_labels(names, 24)


def test_a_run_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    history = pd.DataFrame({"epoch": [1, 2], "validation_accuracy": [0.5, 0.6]})
    (legend,) = plotting.draw_histories([("_hidden", history), ("$x^2$", history)]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["_hidden", "$x^2$"]


# A label -> whether it names a class.
FOLDERS = {
    "Persian has joiners that do not join": ("می\u200cخواهم", True),
    "Hindi has joiners": ("क्\u200dष", True),
    "Sinhala has joiners": ("ශ්\u200dරී", True),
    "so has an emoji of two": ("👩\u200d🌾", True),
    "and one with a colour of skin": ("👩🏽\u200d🌾", True),
    "a joiner with nothing before it joins nothing": ("\u200drose", False),
    "a joiner with nothing behind it joins nothing": ("rose\u200d", False),
    "a joiner beside a blank joins nothing": ("rose\u200d red", False),
    "two joiners join nothing": ("ro\u200d\u200dse", False),
    "an override of the direction makes one name look like another": ("rose\u202egpj", False),
    "so does an isolate": ("\u2066rose\u2069", False),
    "a mark of direction does not show": ("rose\u200e", False),
    "a byte order mark does not show": ("\ufeffrose", False),
    "a word joiner does not show": ("ro\u2060se", False),
    "a soft hyphen does not show": ("ro\u00adse", False),
    "tags do not show": ("rose\U000e0072\U000e007f", False),
    "a blank alone does not show": (" ", False),
    "a line break ends a line": ("rose\nred", False),
}


@pytest.mark.parametrize("label, fits", FOLDERS.values(), ids=FOLDERS)
def test_a_class_is_named_by_what_shows(label: str, fits: bool) -> None:
    if fits:
        assert name_folder(label) == label
    else:
        with pytest.raises(InputError, match=r"must have the name of a folder.*\(got '") as caught:
            name_folder(label)
        assert "\n" not in str(caught.value)


# A field of a table -> as it stands in the file, where a spreadsheet shows it as text.
CELLS = {
    "a formula": ("=cmd()", "'=cmd()"),
    "a formula that begins with a plus": ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    "a formula that begins with a minus": ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
    "a function by its at": ("@SUM(A1)", "'@SUM(A1)"),
    "a formula behind a tab": ("\t=1", "'\t=1"),
    "a formula in full width": ("＝1+1", "'＝1+1"),
    "two hyphens": ("--rose", "'--rose"),
    "an apostrophe before a formula": ("'=cmd()", "''=cmd()"),
    "an apostrophe before anything else": ("'rose", "'rose"),
    "a number below zero": ("-0.012", "-0.012"),
    "a number with its plus": ("+1.5e-3", "+1.5e-3"),
    "a word": ("rose", "rose"),
    "a formula in the middle": ("rose =1", "rose =1"),
    "nothing": ("", ""),
}
by_cell = pytest.mark.parametrize("text, written", CELLS.values(), ids=CELLS)


@by_cell
def test_what_a_spreadsheet_would_take_for_a_formula_is_text_and_comes_back(text: str, written: str) -> None:
    table = pd.DataFrame({"class": [text], "difference": [-0.5]})
    assert guard(table)["class"].tolist() == [written] and guard(table)["difference"].tolist() == [-0.5]
    assert release(guard(table))["class"].tolist() == [text]


@by_cell
def test_every_table_is_written_so_and_read_back(tmp_path: pathlib.Path, text: str, written: str) -> None:
    path = tmp_path / "table.csv"
    write_table(path, pd.DataFrame({"class": [text], "count": [-3]}))
    assert pd.read_csv(path, dtype=str, keep_default_na=False)["class"].tolist() == [written]
    assert read_table(path, numbers=("count",)).to_dict("records") == [{"class": text, "count": -3}]


def test_a_class_that_is_a_formula_is_none_in_the_tables_of_the_report(tmp_path: pathlib.Path) -> None:
    report(make_results(tmp_path, ("=cmd()", "@rose")))
    for path in [*tmp_path.glob("plots/*.csv"), *tmp_path.glob("report/*/*.csv")]:
        for column in pd.read_csv(path, dtype=str, keep_default_na=False).items():
            assert not column[1].str.match("[=@]").any(), path
    assert "'=cmd()" in (tmp_path / "report/figures/confusion-wide.csv").read_text()


def test_a_class_that_is_a_formula_keeps_its_name_behind_the_download(tmp_path: pathlib.Path) -> None:
    for name, colour in (("=cmd()", "red"), ("rose", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        PIL.Image.new("RGB", (8, 8), colour).save(tmp_path / "photos" / name / "a.png")
    (tmp_path / "photos/credits.csv").write_text("file,author,licence,url\nrose/a.png,=cmd(),mine,@x\n")
    download(
        Folder(source="folder", path=str(tmp_path / "photos")),
        tmp_path / "raw",
        tmp_path / "credits.csv",
        tmp_path / "names.csv",
    )
    assert read_manifest(tmp_path / "raw")["class"].tolist() == ["=cmd()", "rose"]
    assert (tmp_path / "raw/manifest.csv").read_text().splitlines()[1].startswith("'=cmd(),")
    assert (tmp_path / "credits.csv").read_text().splitlines()[1].endswith(",'=cmd(),mine,'@x")
    assert read_table(tmp_path / "credits.csv")["author"].tolist() == ["=cmd()"]


@pytest.mark.skipif(not BROWSER, reason="no Chromium on the PATH")
def test_a_browser_shows_such_a_report_without_a_word_and_runs_nothing_of_it(tmp_path: pathlib.Path) -> None:
    """Names and credits together; what runs or does not load is on the console."""
    classes = ("rose", "<script>document.title = 'changed'</script>![](http://127.0.0.1:9/x.png)")
    folder = make_results(tmp_path, classes)
    write_photo(folder, ("<img src=http://127.0.0.1:9/y.png onerror=alert(1)>", BY, "javascript:alert(1)"), classes)
    report(folder)
    for page, title in (
        ("report.html", "Open the last 2 blocks of WideNet: 90.0 % (82.6 – 94.5)"),
        ("cost.html", "What the runs cost"),
    ):
        command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
        command += ["--enable-logging=stderr", "--dump-dom", (folder / "report" / page).as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert f"<title>{title}</title>" in done.stdout
        assert [line for line in done.stderr.splitlines() if ":CONSOLE" in line] == []
