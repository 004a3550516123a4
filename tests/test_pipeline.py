"""The pipeline through real DVC, in scratch clones with tiny networks."""

import pathlib
import re
import sys

import pytest
import ruamel.yaml

from thaw.base.files import read_json
from thaw.cli.workspaces import make_workspace
from tiny import DOCUMENT, TUNED, attempt, change_params, dvc, find_stages_run, git, make_project

TIMED = ("metrics/timing", "report/cost", "report/report.html")  # outputs that show measured times


def find_rows(folder: pathlib.Path) -> set[str]:
    """Return the runs that the report's table has a row for."""
    comparison = (folder / "report/report.md").read_text().split("## Comparison")[1]
    return set(re.findall(r"^\| \**([a-z0-9_-]+)", comparison, re.MULTILINE))


def read_hashes(folder: pathlib.Path) -> dict[str, str]:
    """Return {path: md5} of every output in dvc.lock but the measured times."""
    stages = ruamel.yaml.YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    hashes = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    return {path: md5 for path, md5 in hashes.items() if not path.startswith(TIMED)}


def test_one_repro_runs_every_stage_once(finished: tuple[pathlib.Path, str]) -> None:
    assert sorted(find_stages_run(finished[1])) == [
        "baseline_cnn", "download", "evaluate_baseline@baseline_cnn", "evaluate_finetune@tiny-all",
        "evaluate_finetune@tiny-blocks-1", "evaluate_frozen@tiny", "finetune@tiny-all", "finetune@tiny-blocks-1",
        "preprocess", "report", "split", "train_frozen@tiny", "weights@tiny",
    ]  # fmt: skip


def test_the_report_has_a_row_for_each_run(finished: tuple[pathlib.Path, str]) -> None:
    assert find_rows(finished[0]) >= {"baseline_cnn", "tiny", "tiny-blocks-1", "tiny-all"}


def test_the_stages_print_no_notices_of_tensorflow(finished: tuple[pathlib.Path, str]) -> None:
    printed = finished[1]
    assert "loss: " in printed and "frozen layers run in every epoch" in printed  # on stdout and stderr
    found = re.findall(r"^.*(?:InitializeLog|oneDNN custom|cudart|cuInit|rebuild TensorFlow).*$", printed, re.MULTILINE)
    assert not found


def test_a_workspace_that_is_made_anew_runs_nothing_again(workspace: pathlib.Path) -> None:
    """As a second demo does: the code is copied again, and what Python compiled of it before is gone."""
    make_workspace(workspace, DOCUMENT)
    assert find_stages_run(dvc(workspace, "repro")) == []


def test_a_second_repro_runs_nothing(workspace: pathlib.Path) -> None:
    assert find_stages_run(dvc(workspace, "repro")) == []


@pytest.mark.long
def test_adding_a_run_runs_that_run_alone(workspace: pathlib.Path) -> None:
    entry = {"new": {**TUNED, "unfreeze": {"layers": 3}}}
    change_params(workspace, lambda document: document["finetune"].update(entry))
    assert find_stages_run(dvc(workspace, "repro")) == ["finetune@new", "evaluate_finetune@new", "report"]
    assert "new" in find_rows(workspace)


@pytest.mark.long
def test_removing_a_run_takes_its_row_out_of_the_report(workspace: pathlib.Path) -> None:
    change_params(workspace, lambda document: document["finetune"].pop("tiny-blocks-1"))
    assert find_stages_run(dvc(workspace, "repro")) == ["report"]
    assert "tiny-blocks-1" not in find_rows(workspace) and "tiny-all" in find_rows(workspace)
    assert not list(workspace.glob("report/figures/*tiny-blocks-1*"))


@pytest.mark.long
def test_to_repeat_a_run_leaves_the_table_as_it_is(workspace: pathlib.Path) -> None:
    entry = {"tiny": {"backbone": "tiny", "count": 2}}
    change_params(workspace, lambda document: document.update(replicates=entry, folds=entry))
    output = dvc(workspace, "repro")
    assert set(find_stages_run(output)) == {"replicate@tiny", "crossvalidate@tiny", "report"}
    section = (workspace / "report/report.md").read_text().split("## Seeds and folds")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| tiny.? \| 2 \|", section, re.MULTILINE)) == 2


def test_other_measured_times_make_nothing_stale(workspace: pathlib.Path) -> None:
    path = workspace / "metrics/timing/evaluate/tiny.json"
    path.write_text(path.read_text().replace("batch_1", "batch_one"))
    # DVC makes the changed file again, and nothing behind it.
    assert set(find_stages_run(dvc(workspace, "repro"))) <= {"evaluate_frozen@tiny"}


@pytest.mark.long
def test_two_clean_runs_give_the_same_bytes(finished: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    """Other processes, another folder, an empty cache and an empty store: the same hash for every output."""
    again = make_project(tmp_path / "again")
    dvc(again, "repro")
    first = read_hashes(finished[0])
    assert len(first) > 30
    assert read_hashes(again) == first


@pytest.mark.long
def test_a_clone_without_a_cache_shows_and_compares_metrics(workspace: pathlib.Path, tmp_path: pathlib.Path) -> None:
    higher = {"name": "adam", "learning_rate": 0.1}
    change_params(workspace, lambda document: document["finetune"]["tiny-blocks-1"].update(optimizer=higher))
    dvc(workspace, "repro")
    git(workspace, "commit", "--quiet", "--all", "--message", "Raise a rate")
    git(tmp_path, "clone", "--quiet", workspace, "clone")
    clone = tmp_path / "clone"
    assert not (clone / ".dvc" / "cache").exists()
    assert "tiny-blocks-1.validation.loss" in dvc(clone, "metrics", "diff", "HEAD~1", "--md")
    table = dvc(clone, "exp", "show", "--md", "--no-pager", "--drop", ".*", "--keep", "Experiment|tiny.*test.accuracy")
    assert "tiny-all.test.accuracy" in table and "| main" in table
    accuracy = read_json(workspace / "metrics/evaluate/tiny.json")["tiny"]["test"]["accuracy"]
    assert f"{accuracy:g}"[:5] in table


def test_dvc_draws_the_curves_and_confusions(workspace: pathlib.Path) -> None:
    dvc(workspace, "plots", "show", "--out", "page")
    page = (workspace / "page" / "index.html").read_text()
    for name in ("accuracy by run", "plots_history_tiny-blocks-1_csv", "plots_predictions_tiny_csv"):
        assert name in page


@pytest.mark.long
def test_a_fault_in_params_stops_the_first_stage_that_would_run(workspace: pathlib.Path) -> None:
    change_params(workspace, lambda document: document["finetune"]["tiny-blocks-1"].update(unfreeze={"blocks": 14}))
    done = attempt(workspace, sys.executable, "-m", "dvc", "repro")
    assert done.returncode != 0
    assert find_stages_run(done.stdout) == ["finetune@tiny-blocks-1"]
    assert "finetune.tiny-blocks-1.unfreeze.blocks: must be 1 to 13 for tiny (got 14)" in done.stderr
    assert "Traceback" not in done.stderr
