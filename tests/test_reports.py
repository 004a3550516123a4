"""The pages on the published reports."""

import pathlib
import re
import shutil

import pytest

from thaw.cli import reports
from thaw.comparison import published
from thaw.config.presets import ROOT

REPORTS = [*published.read_published()["report"].unique()]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{file: text} of the pages, written from the committed results."""
    root = tmp_path_factory.mktemp("reports")
    for name in ("params.yaml", "presets", "metrics", "plots"):
        (root / name).symlink_to(ROOT / name)
    reports.write_pages(root)
    return {path.name: path.read_text() for path in (root / "docs" / "reports").iterdir()}


def test_the_pages_are_what_the_committed_results_give(pages: dict[str, str]) -> None:
    assert pages == {path.name: path.read_text() for path in (ROOT / "docs" / "reports").iterdir()}


def test_every_published_row_and_claim_is_on_the_page_of_its_report(pages: dict[str, str]) -> None:
    for report in REPORTS:
        rows = pages[f"{report}.md"].partition("## Rows")[2].partition("## Claims")[0]
        named = [published.name_row(row) for row in published.select_rows([report]).to_dict("records")]
        assert re.findall(r"^\| (.+?) \|", rows, re.MULTILINE)[2:] == named


@pytest.mark.long
def test_a_report_without_kept_results_is_not_run_under_its_own_protocol(tmp_path: pathlib.Path) -> None:
    for name in ("params.yaml", "metrics", "plots"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "presets").mkdir()
    for preset in (ROOT / "presets").glob("*.yaml"):
        shutil.copyfile(preset, tmp_path / "presets" / preset.name)
    reports.write_pages(tmp_path)
    page = (tmp_path / "docs/reports/frozen-vs-fine-tuning.md").read_text()
    assert "- Under its own protocol: 0 of 3 rows measured.\n" in page
    assert len(re.findall(r"\| – \| – \| – \| not run \| mobilenetv2", page)) == 2


def test_rows_are_mislabelled_where_parameters_or_blocks_rule_the_label_out() -> None:
    rows = published.read_published().to_dict("records")
    assert [(row["report"], row["row"]) for row in rows if published.is_mislabelled(row)] == [
        ("resnet50-and-mobilenetv3", "12"),
        ("resnet50-and-mobilenetv3", "27"),
        ("mobilenet-vs-resnet50", "2"),
        ("mobilenet-vs-resnet50", "8"),
    ]
