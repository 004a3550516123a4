"""./run thaw show, on a finished tiny table and on experiments that change it."""

import csv
import io
import pathlib
import re

import pytest

from thaw.base.files import read_json
from thaw.cli.show import WORK_TREE, print_table
from tiny import DOCUMENT, add_experiment, change_params, git, make_best


@pytest.fixture
def table(workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The project of a finished tiny table, as the working directory, with an experiment in which tiny-all is best."""
    monkeypatch.chdir(workspace)
    make_best(workspace, "tiny-all")
    change_params(workspace, lambda document: document["finetune"]["tiny-all"]["optimizer"].update(learning_rate=0.003))
    add_experiment(workspace, "higher")
    return workspace


def read_rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Return the rows that --csv prints."""
    print_table("csv")
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_an_experiment_stands_below_the_run_that_it_changed_with_what_changed_and_is_marked_best(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table("text")
    lines = capsys.readouterr().out.splitlines()
    (place,) = [number for number, line in enumerate(lines) if "higher" in line]
    assert lines[place - 1].startswith("tiny-all") and lines[place].startswith("└ higher")
    assert "learning_rate=0.003 " in lines[place] and " 100.00 " in lines[place]
    assert [line.split("  ")[0] for line in lines if re.match(r"\S.* \*  ", line)] == [lines[place].split("  ")[0]]


@pytest.mark.long
def test_text_fits_80_columns_with_long_names_and_values(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_params(table, lambda document: document["training"].update(seed=123456789))
    make_best(table, "tiny-blocks-1")
    add_experiment(table, "tune-resnet50-and-mobilenet-blocks-10-learning-rate-12")
    print_table("text")
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80 and "12" in text


@pytest.mark.long
def test_csv_has_a_row_for_each_and_all_digits(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_rows(capsys)
    assert len(rows) == 2 + len(DOCUMENT["finetune"]) + 1
    assert [(row["run"], row["experiment"]) for row in rows if row["best"] == "1"] == [("tiny-all", "higher")]
    scores = read_json(table / "metrics/evaluate/tiny.json")["tiny"]
    (own,) = [row for row in rows if row["run"] == "tiny"]
    assert float(own["test"]) == pytest.approx(scores["test"]["accuracy"], abs=1e-6)
    assert float(own["low"]) < float(own["test"]) < float(own["high"]) or float(own["test"]) in (0, 1)


@pytest.mark.long
def test_markdown_is_a_table_with_the_same_rows(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_table("md")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 5 and sum("**" in row for row in rows) == 1


@pytest.mark.long
def test_what_stands_in_the_work_tree_alone_is_a_row_and_what_an_experiment_has_is_none(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_best(table, "tiny-blocks-1")
    assert [row["run"] for row in read_rows(capsys) if row["experiment"] == WORK_TREE] == ["tiny-blocks-1"]
    git(table, "reset", "--quiet", "--hard")
    git(
        table,
        "checkout",
        "--quiet",
        git(table, "for-each-ref", "--format=%(objectname)", "refs/exps/").split()[0],
        "--",
        ".",
    )
    assert not [row for row in read_rows(capsys) if row["experiment"] == WORK_TREE]


@pytest.mark.long
def test_a_key_that_other_runs_read_does_not_stand_beside_a_run(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_params(table, lambda document: document["finetune"]["tiny-all"].update(epochs=2))
    change_params(table, lambda document: document["frozen"]["tiny"].update(epochs=3))
    make_best(table, "tiny-blocks-1")
    add_experiment(table, "longer")
    changed = {row["run"]: row["changed"] for row in read_rows(capsys) if row["experiment"] == "longer"}
    assert changed["tiny"] == "epochs=3" and changed["tiny-blocks-1"] == "frozen.tiny.epochs=3"
    assert changed["tiny-all"] == "frozen.tiny.epochs=3, epochs=2" and "baseline_cnn" not in changed
