"""Photos of somebody's own: another folder, other classes, as many as there are; only `dataset` is edited."""

import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from thaw.base.files import read_json
from thaw.drawn.flowers import FLOWERS
from tiny import change_params, dvc, find_stages_run

pytestmark = pytest.mark.long

PHOTOS = {"Löwenzahn": 9, "Rosa × alba": 14, "snow drop": 11}  # of each class


def draw_photos(folder: pathlib.Path) -> None:
    """Draw the PHOTOS below `folder`: noise of a colour for each class, of several sizes, in both formats."""
    generator = np.random.default_rng(7)
    for channel, (name, count) in enumerate(PHOTOS.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = generator.integers(0, 100, (40 + i, 60, 3), dtype=np.uint8)
            pixels[..., channel] += 140
            PIL.Image.fromarray(pixels).save(folder / name / f"IMG {i}.{'png' if i % 3 else 'jpeg'}")


@pytest.fixture(scope="module")
def own(
    make_once: Callable[..., tuple[pathlib.Path, str]], finished: tuple[pathlib.Path, str]
) -> tuple[pathlib.Path, str]:
    """(project, what `dvc repro` printed) after the finished table was given a folder of other photos."""

    def make(folder: pathlib.Path) -> str:
        shutil.copytree(finished[0], folder / "project", symlinks=True)
        draw_photos(folder / "my photos")
        dataset = {"source": "folder", "path": str(folder / "my photos"), "digest": None}
        change_params(folder / "project", lambda document: document.update(dataset=dataset))
        return dvc(folder / "project", "repro")

    folder, output = make_once("own photos", make)
    return folder / "project", output


@pytest.fixture(scope="module")
def page(own: tuple[pathlib.Path, str]) -> str:
    """The text of the report on them."""
    return (own[0] / "report" / "report.md").read_text()


def find_section(page: str, title: str) -> str:
    """Return the section of a report with that title."""
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_whole_table_runs_on_them(own: tuple[pathlib.Path, str]) -> None:
    assert set(find_stages_run(own[1])) == {
        "baseline_cnn", "download", "evaluate_baseline@baseline_cnn", "evaluate_finetune@tiny-all",
        "evaluate_finetune@tiny-blocks-1", "evaluate_frozen@tiny", "finetune@tiny-all", "finetune@tiny-blocks-1",
        "preprocess", "report", "split", "train_frozen@tiny",
    }  # fmt: skip


def test_every_photo_is_counted_under_its_class(own: tuple[pathlib.Path, str]) -> None:
    assert read_json(own[0] / "metrics/download.json")["download"]["classes"] == PHOTOS


def test_the_data_section_of_the_report_counts_them(page: str) -> None:
    data = find_section(page, "Data")
    assert all(f"| {name} | {count} |" in data for name, count in PHOTOS.items())


def test_the_report_speaks_of_their_classes_and_of_no_other(page: str) -> None:
    assert "of 3 classes" in page
    assert not any(name in page for name in FLOWERS)


@pytest.mark.parametrize("run", ["baseline_cnn", "tiny", "tiny-blocks-1", "tiny-all"])
def test_a_run_predicts_their_classes(own: tuple[pathlib.Path, str], run: str) -> None:
    table = pd.read_csv(own[0] / f"plots/predictions/{run}.csv", keep_default_na=False)
    assert [column for column in table if column.startswith("p_")] == [f"p_{name}" for name in sorted(PHOTOS)]
    assert set(table["actual"]) == set(PHOTOS)


def test_they_are_compared_with_nothing_published(page: str) -> None:
    assert "## Claims" not in page and "## Published" not in page


def test_the_web_page_names_their_classes(own: tuple[pathlib.Path, str]) -> None:
    text = (own[0] / "report" / "report.html").read_text()
    assert all(name in text for name in PHOTOS)
