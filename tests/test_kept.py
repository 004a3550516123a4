"""The pages that are told from the kept results of a preset."""

import re
import shutil

import pytest

from thaw import family, pitfalls
from thaw.kept import write_page
from thaw.presets import ROOT

PAGES = pytest.mark.parametrize("page", [pitfalls, family], ids=lambda page: page.PRESET)


@pytest.fixture
def root(tmp_path):
    """A copy of what the pages are told from."""
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    (tmp_path / "docs").mkdir()
    return tmp_path


def write(page, root):
    write_page(page.PRESET, page.list_drawings, page.render_page, root)
    return (root / "docs" / f"{page.PRESET}.md").read_text()


@PAGES
def test_a_page_and_its_figures_are_what_the_kept_results_give(page, root):
    write(page, root)
    made, there = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*.*")}
        for top in (root / "docs" / page.PRESET, ROOT / "docs" / page.PRESET)
    )
    assert made == there and any(path.suffix == ".svg" for path in made)
    assert (root / f"docs/{page.PRESET}.md").read_bytes() == (ROOT / f"docs/{page.PRESET}.md").read_bytes()


@PAGES
def test_every_accuracy_on_a_page_is_in_the_kept_metrics(page):
    kept = ROOT / "presets" / page.PRESET / "metrics/evaluate"
    text = "".join(path.read_text() for path in sorted(kept.glob("*.json")))
    known = {f"{100 * float(value):.2f}" for value in re.findall(r'"accuracy": ([\d.]+)', text)}
    told = set(re.findall(r"\b(\d\d\.\d\d)\b", (ROOT / f"docs/{page.PRESET}.md").read_text()))
    assert told and told <= known


@PAGES
def test_a_run_that_has_not_been_run_says_so_on_the_page(page, root):
    name = {pitfalls: f"{pitfalls.SOUND}-batch", family: "mobilenetv3small-blocks-3"}[page]
    (root / "presets" / page.PRESET / f"metrics/evaluate/{name}.json").unlink()
    assert re.search(rf"\| {name} \|[^\n]* not run yet \|", write(page, root))


def test_of_a_mistake_that_has_not_been_made_no_outcome_is_told(root):
    (root / "presets" / pitfalls.PRESET / f"metrics/evaluate/{pitfalls.SOUND}-batch.json").unlink()
    assert f"- `{pitfalls.SOUND}-batch`: not run yet." in write(pitfalls, root)
