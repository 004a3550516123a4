"""The pages that are written from the kept results of a preset."""

import pathlib
import re
import shutil
import types
import xml.etree.ElementTree

import pytest

from thaw.cli import family, pitfalls, recipe
from thaw.cli.kept import write_page
from thaw.config.presets import ROOT

PAGES = pytest.mark.parametrize("page", [pitfalls, family, recipe], ids=lambda page: page.PRESET)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of what the pages are written from."""
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    (tmp_path / "docs").mkdir()
    return tmp_path


def write(page: types.ModuleType, root: pathlib.Path) -> str:
    """Write a page below `root`; return its text."""
    write_page(page.PAGE, root)
    return (root / "docs" / f"{page.PRESET}.md").read_text()


def read_tables(page: types.ModuleType, root: pathlib.Path) -> dict[str, str]:
    """Return {name: text} of the tables beside the figures of a page below `root`."""
    return {path.stem: path.read_text() for path in (root / "docs" / page.PRESET).glob("*.csv")}


@PAGES
def test_a_page_and_the_tables_of_its_figures_are_what_the_kept_results_give(
    page: types.ModuleType, root: pathlib.Path
) -> None:
    assert write(page, root) == (ROOT / f"docs/{page.PRESET}.md").read_text()
    assert read_tables(page, root) == read_tables(page, ROOT)


@PAGES
def test_every_figure_that_a_page_shows_is_an_svg_file_beside_its_table(page: types.ModuleType) -> None:
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", (ROOT / f"docs/{page.PRESET}.md").read_text())
    assert sorted(shown) == sorted(f"{page.PRESET}/{name}.svg" for name in read_tables(page, ROOT))
    for address in shown:
        assert xml.etree.ElementTree.parse(ROOT / "docs" / address).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@PAGES
def test_every_accuracy_on_a_page_is_in_the_kept_metrics(page: types.ModuleType) -> None:
    kept = ROOT / "presets" / page.PRESET / "metrics/evaluate"
    text = "".join(path.read_text() for path in sorted(kept.rglob("*.json")))
    known = {f"{100 * float(value):.2f}" for value in re.findall(r'"(?:accuracy|pooled)": ([\d.]+)', text)}
    printed = set(re.findall(r"\b(\d\d\.\d\d)\b", (ROOT / f"docs/{page.PRESET}.md").read_text()))
    assert printed and printed <= known


@pytest.mark.long
@PAGES
def test_a_run_that_has_not_been_run_is_marked_so_on_the_page(page: types.ModuleType, root: pathlib.Path) -> None:
    name = {
        pitfalls: f"{pitfalls.SOUND}-batch",
        family: "mobilenetv3small-blocks-3",
        recipe: "folds/mobilenet-layers-10-views",
    }[page]
    (root / "presets" / page.PRESET / f"metrics/evaluate/{name}.json").unlink()
    assert re.search(rf"\| {pathlib.Path(name).name}[^\n]* not run yet \|", write(page, root))


def test_of_a_mistake_that_has_not_been_made_no_outcome_is_reported(root: pathlib.Path) -> None:
    (root / "presets" / pitfalls.PRESET / f"metrics/evaluate/{pitfalls.SOUND}-batch.json").unlink()
    assert f"- `{pitfalls.SOUND}-batch`: not run yet." in write(pitfalls, root)
