"""Photos in the report, on made-up answers of two runs to drawn photos."""

import base64
import html
import io
import pathlib
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pandas as pd
import PIL.Image
import pytest

from test_html import browse, browser
from thaw.base.errors import InputError
from thaw.comparison.labels import COLUMNS
from thaw.comparison.pairs import Evidence
from thaw.comparison.results import Run
from thaw.comparison.words import clean
from thaw.reporting import photos
from thaw.reporting.html import render_page
from thaw.reporting.names import read_names, tabulate_left_out, tabulate_mistakes

ROSE, TULIP = '"<i>rose', "NA"  # names of folders: anything may stand in them
HOSTILE = '"><script>alert(1)</script>'
OTHER = {ROSE: TULIP, TULIP: ROSE}
BY = "https://creativecommons.org/licenses/by/2.0/"


def name_photo(label: Any, number: int) -> str:
    return f"{'r' if label == ROSE else 't'}{number:02}"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Eight photos each of two classes, the first of the roses with a credit, the second with a hostile one."""
    rows = []
    for label in (ROSE, TULIP):
        for number in range(8):
            file = f"photos/{label.replace('/', '')}/{name_photo(label, number)}.png"
            (tmp_path / "data/raw" / file).parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("RGB", (400, 300), (200, 10 * number, 0)).save(tmp_path / "data/raw" / file)
            rows.append((label, name_photo(label, number), file))
    pd.DataFrame(rows, columns=["class", "id", "file"]).to_csv(tmp_path / "data/raw/manifest.csv", index=False)
    credits = [(rows[0][2], "Ada & Bo", BY, "https://photos.example/1/?a=1&b=2")]
    credits += [(rows[1][2], HOSTILE, HOSTILE, "javascript:alert(1)")]
    table = pd.DataFrame(credits, columns=["file", "author", "licence", "url"])
    table.to_csv(tmp_path / "data/credits.csv", index=False)
    return tmp_path


def answer(wrong: Any) -> Any:
    """Return the predictions of a run: the photos (label, number) in `wrong` wrong, each answer surer than the last."""
    rows = [("validation", ROSE, ROSE, "v1", 0.9)]
    for number in range(8):
        for label in (ROSE, TULIP):
            predicted = OTHER[label] if (label, number) in wrong else label
            rows.append(("test", label, predicted, name_photo(label, number), 0.5 + 0.05 * number))
    table = pd.DataFrame(rows, columns=["part", "actual", "predicted", "id", "confidence"]).set_index("id")
    return table.assign(right=table["actual"] == table["predicted"])


@pytest.fixture
def evidence() -> Any:
    runs = [
        Run("baseline_cnn", "baseline", None, None, "all", (1,)),
        Run("plain", "frozen", "plain", None, "nothing", (1,)),
        Run("wide", "frozen", "wide", None, "nothing", (1,)),
        Run("wide-blocks-2", "finetuned", "wide", "wide", "last 2 blocks", (1, 1)),
    ]
    accuracies = {"baseline_cnn": 0.5, "plain": 0.8, "wide": 0.7, "wide-blocks-2": 0.9}
    scores = {
        name: {"validation": {"accuracy": accuracy}, "test": {"photos": 16}, "trainable_parameters": 1}
        for name, accuracy in accuracies.items()
    }
    predictions = {run.name: answer([(ROSE, 1), (TULIP, 5)]) for run in runs}
    predictions["wide-blocks-2"] = answer([(ROSE, 1), (TULIP, 3), (TULIP, 6)])
    marks = {run.name: "¹" for run in runs}
    results = SimpleNamespace(runs=runs, scores=scores, marks=marks, part="test", explained=["wide"], split={})
    return Evidence(**{**dict.fromkeys(Evidence._fields), "results": results, "predictions": predictions})


class Reader(HTMLParser):
    """Collects the tags of a page with their attributes, and the headings and alternative texts in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.words, self.heading = [], [], False
        self.feed(text)

    def handle_starttag(self, tag: Any, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))
        self.heading = tag == "h3"
        if tag == "img":
            self.words.append(dict(attributes)["alt"].removeprefix("photo: "))

    def handle_endtag(self, tag: Any) -> None:
        self.heading = False

    def handle_data(self, data: Any) -> None:
        if self.heading:
            self.words.append(data)


def read_thumbnails(page: Any) -> list[Any]:
    found = re.findall('src="data:image/jpeg;base64,([^"]*)"', page)
    return [PIL.Image.open(io.BytesIO(base64.b64decode(content))) for content in found]


def test_the_section_counts_what_each_run_has_wrong_and_what_both(evidence: Evidence) -> None:
    assert photos.describe_answers(evidence).startswith(
        "Of the 16 photos of test, wide-blocks-2¹ has 3 wrong and wide¹ 2; wrong with both: 1."
    )


def test_the_frozen_run_is_the_one_that_the_best_starts_from(evidence: Evidence) -> None:
    assert photos.pick_runs(evidence) == ["wide-blocks-2", "wide"]


def test_beside_a_best_run_with_a_head_of_its_own_stands_the_best_frozen_run(evidence: Evidence) -> None:
    runs = [run._replace(start=None) for run in evidence.results.runs]
    evidence.results.runs = runs
    assert photos.pick_runs(evidence) == ["wide-blocks-2", "plain"]


def test_a_frozen_run_that_is_best_stands_alone(evidence: Evidence) -> None:
    evidence.results.scores["plain"]["validation"]["accuracy"] = 1.0
    assert photos.pick_runs(evidence) == ["plain"]
    assert photos.describe_answers(evidence).startswith("Of the 16 photos of test, plain¹ has 2 wrong.\n")


def test_wrong_answers_come_first_and_the_surest_of_them_before_the_others(
    evidence: Evidence, folder: pathlib.Path
) -> None:
    words = Reader(photos.show_photos(evidence, folder)[photos.ANSWERS]).words
    as_rose, as_tulip = f"{TULIP}, predicted {ROSE}", f"{ROSE}, predicted {TULIP}"
    assert words[:5] == [
        "wide-blocks-2¹: 3 wrong, the surest first", as_rose, as_rose, as_tulip,
        "wide-blocks-2¹: right, the surest of each class",
    ]  # fmt: skip


def test_of_right_answers_the_surest_two_of_each_class_are_shown(evidence: Evidence, folder: pathlib.Path) -> None:
    page = photos.show_photos(evidence, folder)[photos.ANSWERS]
    right = page.split("<h3>")[2]
    # Tulip 6 is wrong, so the surest are rose 7 and 6, tulip 7 and 5; confidence rises by 5 % a number.
    answers = Reader(right).words
    assert answers == [f"{ROSE}, predicted {ROSE}"] * 2 + [f"{TULIP}, predicted {TULIP}"] * 2
    assert re.findall(r"\((.*?) %\)", right) == ["85.0", "80.0", "85.0", "75.0"]


def test_of_too_many_wrong_answers_the_surest_are_shown_and_all_counted(
    evidence: Evidence, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST_WRONG", 2)
    page = photos.show_photos(evidence, folder)[photos.ANSWERS]
    assert "wide-blocks-2¹: 2 of 3 wrong" in page
    assert re.findall(r"\((.*?) %\)", page.split("<h3>")[1]) == ["80.0", "65.0"]


def test_the_sample_has_the_first_photos_of_each_class_that_can_be_read(
    evidence: Evidence, folder: pathlib.Path
) -> None:
    next((folder / "data/raw/photos").rglob("r00.png")).write_bytes(b"no picture")
    sample = photos.show_photos(evidence, folder)[photos.SAMPLE]
    assert Reader(sample).words == [ROSE] * 6 + [TULIP] * 6
    greens = [image.convert("RGB").getpixel((50, 50))[1] for image in read_thumbnails(sample)[:6]]
    assert greens == pytest.approx([10, 20, 30, 40, 50, 60], abs=4)


def test_of_very_many_classes_the_sample_shows_the_first_and_counts_the_others(
    evidence: Evidence, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST_SAMPLED", 1)
    sample = photos.show_photos(evidence, folder)[photos.SAMPLE]
    assert Reader(sample).words == [ROSE] and "Classes without a photo here: 1 of 2." in sample


def test_a_credit_names_the_author_and_the_licence_and_leads_to_both(evidence: Evidence, folder: pathlib.Path) -> None:
    sample = photos.show_photos(evidence, folder)[photos.SAMPLE]
    author = '<a href="https://photos.example/1/?a=1&amp;b=2">Ada &amp; Bo</a>'
    assert f'{author}, <a href="{BY}">CC BY 2.0</a></small>' in sample
    assert "author not known" in sample


def test_names_authors_and_addresses_stay_text(evidence: Evidence, folder: pathlib.Path) -> None:
    for page in photos.show_photos(evidence, folder).values():
        tags = Reader(page).tags
        assert {tag for tag, _ in tags} <= {"div", "figure", "img", "figcaption", "b", "small", "a", "h3"}
        assert {name for _, attributes in tags for name in attributes} <= {"class", "src", "alt", "href"}
        assert all(attributes.get("href", "https://").startswith("https://") for _, attributes in tags)


def test_thumbnails_are_small_and_carry_nothing_but_the_picture(tmp_path: pathlib.Path) -> None:
    image = PIL.Image.new("RGB", (40, 400), "red")
    image.save(tmp_path / "photo.jpg", comment="a long story", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", dpi=(9, 9))
    found = PIL.Image.open(io.BytesIO(photos.shrink(tmp_path / "photo.jpg")))
    assert found.format == "JPEG" and found.size == (16, 160)
    assert not {"comment", "exif", "icc_profile"} & set(found.info)


def test_thumbnails_stand_upright(tmp_path: pathlib.Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    PIL.Image.new("RGB", (400, 200)).save(tmp_path / "photo.jpg", exif=exif)
    assert PIL.Image.open(io.BytesIO(photos.shrink(tmp_path / "photo.jpg"))).size == (80, 160)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_photos_of_any_kind_are_shown(tmp_path: pathlib.Path, mode: str) -> None:
    file = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    PIL.Image.new(mode, (20, 20)).save(file)
    assert PIL.Image.open(io.BytesIO(photos.shrink(file))).mode == "RGB"


def test_the_same_photos_give_the_same_page(evidence: Evidence, folder: pathlib.Path) -> None:
    assert photos.show_photos(evidence, folder) == photos.show_photos(evidence, folder)


def test_where_the_photos_are_missing_the_page_says_so(evidence: Evidence, tmp_path: pathlib.Path) -> None:
    assert set(photos.show_photos(evidence, tmp_path)) == {photos.SAMPLE, photos.ANSWERS, photos.SUSPECTS}
    assert all("data/raw" in text for text in photos.show_photos(evidence, tmp_path).values())


def render(evidence: Evidence, folder: pathlib.Path) -> Any:
    markdown = f"# Report\n\n## Data\n\nBefore.\n\n{photos.SAMPLE}\n\nAfter.\n\n{photos.describe_answers(evidence)}\n"
    return render_page(markdown, folder, photos.show_photos(evidence, folder))


def test_in_the_web_page_photos_stand_where_the_text_tells_of_them(evidence: Evidence, folder: pathlib.Path) -> None:
    page = render(evidence, folder)
    assert "git keeps no photos" not in page
    places = ["Before.", "<img", "After.", "Of the 16 photos of test", "3 wrong, the surest first"]
    assert [page.index(words) for words in places] == sorted(page.index(words) for words in places)


@browser
def test_photos_fit_the_width_of_a_phone(evidence: Evidence, folder: pathlib.Path) -> None:
    credits = (folder / "data/credits.csv").read_text().replace("Ada & Bo", "A" * 120)
    (folder / "data/credits.csv").write_text(credits)
    probe = "[innerWidth, document.documentElement.scrollWidth, "
    probe += "...[...document.querySelectorAll('figure')].map(card => card.getBoundingClientRect().right)]"
    (width, needed, *rights), said = browse(folder, probe, "--window-size=500,800", page=render(evidence, folder))
    assert needed <= width and max(rights) <= width and said == []


def test_git_gets_no_photo(finished: tuple[pathlib.Path, str]) -> None:
    """Of the outputs of a real run of the pipeline, which git keeps and which DVC keeps."""
    report = finished[0] / "report"
    kept = [report / "report.md", *(report / "figures").iterdir()]
    assert not [path for path in kept if b"image/jpeg" in path.read_bytes()]
    assert {path.suffix for path in kept} == {".md", ".svg", ".csv"}
    assert (report / "report.html").read_text().count("data:image/jpeg") > 10
    assert "/report.html" in (report / ".gitignore").read_text()


def write_names(folder: pathlib.Path) -> None:
    """Write the names of two roses, the second of which came twice, once under a hostile name."""
    rows = [("r00", "rose/IMG 1.jpg"), ("r01", HOSTILE), ("r01", "rose/IMG 2.jpg")]
    pd.DataFrame(rows, columns=["id", "name"]).to_csv(folder / "data/names.csv", index=False)


def test_a_caption_has_the_names_of_the_photo_as_text(evidence: Evidence, folder: pathlib.Path) -> None:
    write_names(folder)
    page = photos.show_photos(evidence, folder)[photos.SAMPLE]
    assert "<small>rose/IMG 1.jpg<br>" in page
    assert f"<small>{html.escape(clean(HOSTILE))}, rose/IMG 2.jpg<br>" in page and page.count("<br>") == 2
    assert {tag for tag, _ in Reader(page).tags} <= {"div", "figure", "img", "figcaption", "b", "small", "a", "br"}


def test_the_table_of_mistakes_names_those_of_the_photos_that_are_known(
    evidence: Evidence, folder: pathlib.Path
) -> None:
    runs = photos.pick_runs(evidence)
    plain = tabulate_mistakes(evidence, runs, {})
    assert list(plain) == ["run", "id", "actual", "predicted", "confidence"]
    assert set(plain["run"]) == set(runs) and plain["confidence"][plain["run"] == runs[0]].is_monotonic_decreasing
    write_names(folder)
    named = tabulate_mistakes(evidence, runs, read_names(folder)).set_index(["run", "id"])["name"]
    assert named[runs[0], "r01"] == f"{HOSTILE}, rose/IMG 2.jpg" and (named.drop("r01", level="id") == "").all()


def test_what_no_run_sees_is_listed_with_its_names_and_the_reason(folder: pathlib.Path) -> None:
    write_names(folder)
    manifest = pd.read_csv(folder / "data/raw/manifest.csv", keep_default_na=False)
    pd.concat([manifest, manifest.iloc[[0]].assign(**{"class": TULIP})]).to_csv(folder / "data/raw/manifest.csv")
    rejected, damaged = {"file": "rose/notes.txt", "reason": "must be JPEG (got text)"}, {"id": "r07", "class": ROSE}
    results: Any = SimpleNamespace(
        download={"rejected": [rejected]},
        preprocess={"set_aside": [{**damaged, "part": "test", "reason": "truncated"}]},
    )
    assert tabulate_left_out(results, read_names(folder), folder).to_numpy().tolist() == [
        ["must be JPEG (got text)", "", "", "rose/notes.txt"],
        ["the same bytes came under another class, too", ROSE, "r00", "rose/IMG 1.jpg"],
        ["the same bytes came under another class, too", TULIP, "r00", "rose/IMG 1.jpg"],
        ["came more than once, one is kept", ROSE, "r01", f"{HOSTILE}, rose/IMG 2.jpg"],
        ["cannot be read: truncated", ROSE, "r07", ""],
    ]


def write_groups(folder: pathlib.Path, groups: Any) -> None:
    """Write the split of the photos of `folder`, the numbers from 0 to 15 of them in `groups`, lists, in one each."""
    table = pd.read_csv(folder / "data/raw/manifest.csv", keep_default_na=False).assign(part="train", label=0)
    table["group"] = table["id"]
    for group in groups:
        table.loc[group, "group"] = table["id"][group[0]]
    table.to_csv(folder / "data/split.csv", index=False)


def test_the_largest_groups_of_near_duplicates_are_shown_with_their_classes(
    evidence: Evidence, folder: pathlib.Path
) -> None:
    write_groups(folder, [[3, 4], [0, 8, 9], [10, 11]])
    words = Reader(photos.show_photos(evidence, folder)[photos.SAMPLE]).words[12:]
    assert words == [
        "Near duplicates, 3 photos in train", ROSE, TULIP, TULIP,
        "Near duplicates, 2 photos in train", ROSE, ROSE,
        "Near duplicates, 2 photos in train", TULIP, TULIP,
    ]  # fmt: skip


def test_of_a_large_group_and_of_many_groups_the_first_are_shown(
    evidence: Evidence, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST_GROUPS", 1)
    monkeypatch.setattr(photos, "MOST_OF_GROUP", 2)
    write_groups(folder, [[0, 1, 2], [8, 9]])
    words = Reader(photos.show_photos(evidence, folder)[photos.SAMPLE]).words[12:]
    assert words == ["Near duplicates, 3 photos in train, 2 of them here", ROSE, ROSE]


def test_without_near_duplicates_there_is_no_heading_for_them(evidence: Evidence, folder: pathlib.Path) -> None:
    before = photos.show_photos(evidence, folder)
    write_groups(folder, [])
    assert photos.show_photos(evidence, folder) == before


def write_maps(folder: pathlib.Path, name: str, cells: Any) -> None:
    """Write the maps of the eight tulips for run `name`, of one row each, as stage explain does."""
    shape = {"part": "test", "predicted": ROSE, "height": 1, "width": len(cells)}
    table = pd.DataFrame([{"id": name_photo(TULIP, i), **shape} for i in range(8)])
    table = table.assign(**{f"m_{i}": cell for i, cell in enumerate(cells)})
    path = folder / f"plots/predictions/maps/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def test_beside_an_answer_of_an_explained_run_stands_its_map(evidence: Evidence, folder: pathlib.Path) -> None:
    write_maps(folder, "wide", [100, 0])
    write_maps(folder, "wide-blocks-2", [100, 0])  # which the parameters do not have explained
    page = photos.show_photos(evidence, folder)[photos.ANSWERS].split("<h3>")
    sections = {Reader(f"<h3>{text}").words[0]: text for text in page[1:]}
    wrong = Reader(sections["wide¹: 2 wrong, the surest first"]).words
    assert f"{TULIP}, predicted {ROSE}: map" in wrong and f"{ROSE}, predicted {TULIP}: map" not in wrong
    assert not [text for title, text in sections.items() if title.startswith("wide-blocks-2") and ": map" in text]
    plain, heated = read_thumbnails(sections["wide¹: 2 wrong, the surest first"])[:2]
    left, right = (heated.convert("RGB").getpixel((x, 60)) for x in (4, heated.width - 4))
    assert plain.size == heated.size and max(right) < 60 and min(left[:2]) > 120 and left[0] > left[2] + 30


@pytest.mark.parametrize("change", [("m_1", "m_9"), ("100", "much")])
def test_damaged_maps_are_one_clear_line(evidence: Evidence, folder: pathlib.Path, change: tuple[str, str]) -> None:
    write_maps(folder, "wide", [100, 0])
    path = folder / "plots/predictions/maps/wide.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=r"maps/wide\.csv: must have a number for each of 1 x 2 cells"):
        photos.show_photos(evidence, folder)


def test_labels_that_may_be_wrong_are_shown_with_their_credits(
    evidence: Evidence, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST_SUSPECTS", 2)
    rows = [(1, "t03", TULIP, ROSE, 0.01), (2, "r00", ROSE, TULIP, 0.125), (3, "r01", ROSE, TULIP, 0.2)]
    page = photos.show_photos(evidence, folder, pd.DataFrame(rows, columns=COLUMNS))[photos.SUSPECTS]
    assert Reader(page).words == [
        "2 of 3, the least likely label first", f"{TULIP}, perhaps {ROSE}", f"{ROSE}, perhaps {TULIP}",
    ]  # fmt: skip
    assert "1. <b>NA</b> (1.0 %)" in page and "Ada &amp; Bo" in page
