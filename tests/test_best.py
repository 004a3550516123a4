"""./run thaw best, on a finished tiny table and on experiments that change it."""

import pathlib
import re
from typing import Any

import pandas as pd
import pytest

from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.cli.best import print_best
from tiny import add_experiment, dvc, git, make_best


@pytest.fixture
def table(workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The project of a finished tiny table, as the working directory."""
    monkeypatch.chdir(workspace)
    return workspace


def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what is printed, each paragraph as one line, but the marks of footnotes and these."""
    print_best()
    text = capsys.readouterr().out.partition("\n\n¹ ")[0].replace("¹", "")
    return re.sub(r"(?<=\S)\n(?=[\w./])", " ", text)


def test_it_agrees_with_the_report(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = read_json(table / "metrics/summary.json")["summary"]
    print_best()
    text = capsys.readouterr().out
    assert text.startswith(f"Best on validation, of 4 runs: {summary['best']}¹ (")
    assert f"{100 * summary['test']:.2f} %" in text
    rows = re.findall(r"^(tiny|baseline).*  (as good|–|worse)$", text, re.MULTILINE)
    assert len(rows) == 3 and [standing for _, standing in rows].count("as good") == summary["as_good"]


@pytest.mark.long
def test_it_fits_a_terminal_of_80_columns(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_best(table, "tiny-all")
    add_experiment(table, "an-experiment-with-a-name-that-is-longer-than-others")
    print_best()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_runs_from_weights_that_keras_does_not_vouch_for_have_a_footnote(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_best()
    text = capsys.readouterr().out
    assert re.match(r"Best on validation, of 4 runs: tiny\S*¹ \(", text)
    assert text.rstrip().split("\n\n")[-1].startswith("¹ rests on weights")


def test_the_weights_of_the_tables_best_are_told(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = read_json(table / "metrics/summary.json")["summary"]["best"]
    assert f"load_network('{best}')" in ask(capsys)
    (table / f"models/{best}.weights.h5").unlink()
    assert f"./run dvc checkout models/{best}.weights.h5" in ask(capsys)


@pytest.mark.long
def test_an_experiment_that_dvc_saved_can_be_best_and_is_named_with_the_command_that_applies_it(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_best(table, "tiny-all")
    dvc(table, "exp", "save", "--force", "--name", "higher")
    git(table, "reset", "--quiet", "--hard")
    text = ask(capsys)
    assert text.startswith("Best on validation, of 5 runs: tiny-all (higher) (")
    assert text.rstrip().endswith("./run dvc exp apply higher")
    dvc(table, "exp", "apply", "higher")
    assert ask(capsys).startswith("Best on validation, of 5 runs: tiny-all (")


@pytest.mark.long
def test_what_the_last_commit_has_counts_while_the_files_are_those_of_an_experiment(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ask(capsys)
    assert before.startswith("Best on validation, of 4 runs: ")
    make_best(table, "tiny-all")
    git(table, "commit", "--quiet", "--all", "--message", "Know it all")
    git(table, "checkout", "--quiet", "HEAD~1", "--", ".")
    text = ask(capsys)
    assert text.startswith("Best on validation, of 5 runs: tiny-all (HEAD) (")
    assert text.rstrip().endswith("git restore .\n    ./run dvc checkout")


@pytest.mark.long
def test_a_run_that_two_experiments_share_is_listed_once(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_best(table, "tiny-all")
    add_experiment(table, "first")
    make_best(table, "tiny-all")
    add_experiment(table, "second")
    assert ask(capsys).startswith("Best on validation, of 5 runs: tiny-all (first) (")


def test_an_experiment_on_other_photos_is_left_out_and_named(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in table.glob("plots/predictions/*.csv"):
        photos = pd.read_csv(path, dtype=str)
        photos.assign(id="x" + photos["id"]).to_csv(path, index=False)
    make_best(table, "tiny-all")
    add_experiment(table, "resplit")
    text = ask(capsys)
    assert text.startswith("Best on validation, of 4 runs")
    assert "experiment resplit, which was scored on other photos" in text


def test_an_experiment_that_cannot_be_read_is_left_out_and_its_file_named(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (table / "metrics/split.json").unlink()
    add_experiment(table, "broken")
    assert "Left out: experiment broken: metrics/split.json: no such file" in ask(capsys)


def test_an_experiment_that_git_has_lost_is_left_out_and_named(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_best(table, "tiny-all")
    add_experiment(table, "lost")
    commit = git(table, "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/lost").strip()
    (table / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    text = ask(capsys)
    assert text.startswith("Best on validation, of 4 runs: ")
    assert f"Left out: experiment lost: {commit}: must name a commit" in text


def test_a_run_that_lacks_a_file_is_left_out_and_one_that_has_not_run_is_named(
    table: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (table / "plots/history/tiny-all.csv").unlink()
    (table / "metrics/evaluate/tiny-blocks-1.json").unlink()
    git(table, "commit", "--quiet", "--all", "--message", "Lose two files")
    text = ask(capsys)
    assert text.startswith("Best on validation, of 2 runs: ")
    assert "Left out: tiny-all: plots/history/tiny-all.csv: no such file; ./run dvc repro makes it" in text
    assert "Not run yet, and left out: tiny-blocks-1. ./run dvc repro runs what is missing." in text


@pytest.mark.parametrize("path", ["metrics/evaluate/tiny.json", "plots/history/tiny.csv", "plots/predictions/tiny.csv"])
def test_a_damaged_file_of_the_table_is_one_line_that_names_it(path: str, table: pathlib.Path) -> None:
    content = (table / path).read_bytes()
    (table / path).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"^{path}: (line [0-9]+: )?must [^\n]*; ./run dvc repro makes it$"):
        print_best()


def test_experiments_on_other_commits_do_not_count(table: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_best(table, "tiny-all")
    add_experiment(table, "before")
    git(table, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    assert "before" not in ask(capsys)
