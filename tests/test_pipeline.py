"""The pipeline through real DVC, in scratch clones with tiny networks."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import ruamel.yaml

from thaw.params import read_yaml, write_yaml
from thaw.presets import make_workspace
from thaw.publishing import read_json

HEAD = {"dense": [8], "dropout": 0.2, "batch_norm": True}
ADAM = {"name": "adam", "learning_rate": 0.001}
TUNED = {"from": "tiny", "unfreeze": {"blocks": 1}, "batch_norm": "inference", "optimizer": ADAM, "epochs": 1}
DOCUMENT = {
    "dataset": {"source": "sample", "seed": 1, "photos_per_class": 8, "size": 32, "digest": None},
    "split": {"seed": 1, "train": 0.5, "validation": 0.25, "test": 0.25, "near_duplicate_bits": 0},
    "image": {"size": 32, "shards": 2},
    "compute": {"threads": 2, "onednn_isa": "AVX2"},
    "training": {"seed": 1, "batch_size": 8},
    "backbones": {
        "tiny": {
            "architecture": "MobileNet",
            "width": 0.125,
            "weights": "sample",
            "seed": 1,
            "pretraining": {"photos_per_class": 2, "size": 32, "batch_size": 16, "learning_rate": 0.001, "epochs": 1},
        }
    },
    "baseline_cnn": {"network": {"filters": [4], "dense": 4, "dropout": 0.1}, "optimizer": ADAM, "epochs": 1},
    "frozen": {"tiny": {"backbone": "tiny", "head": HEAD, "optimizer": ADAM, "epochs": 1}},
    "finetune": {"tiny-blocks-1": TUNED, "tiny-all": {**TUNED, "unfreeze": {"all": True}}},
}


def run(folder, *command):
    """Run a program of the environment in `folder`; return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder, *arguments):
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    return run(folder, "git", *identity, *arguments)


def find_stages_run(output):
    return re.findall(r"Running stage '(.*)'", output)


def make_project(folder, monkeypatch):
    monkeypatch.setenv("THAW_STORE", str(folder / ".thaw" / "activations"))
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}:{pathlib.os.environ['PATH']}")
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    dvc(folder, "init", "--quiet")
    make_workspace(folder, DOCUMENT)
    return folder


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONWARNINGS", "ignore")
        yield monkeypatch


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment):
    """A project that ran once, at a path with a space, and was committed."""
    folder = make_project(tmp_path_factory.mktemp("run") / "a project", environment)
    output = dvc(folder, "repro")
    (folder / ".gitignore").open("a").write("__pycache__/\n.thaw/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First run")
    return folder, output


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project, cache and all, for one test to change."""
    folder = tmp_path / "a project"
    shutil.copytree(finished[0], folder, symlinks=True)
    return folder


def change_params(folder, change):
    document = read_yaml(folder / "params.yaml")
    change(document)
    (folder / "params.yaml").write_text(write_yaml(document))


def find_rows(folder):
    """Return the runs that the report's table has a row for."""
    comparison = (folder / "report/report.md").read_text().split("## Comparison")[1]
    return set(re.findall(r"^\| \**([a-z0-9_-]+)", comparison, re.MULTILINE))


def read_hashes(folder):
    """Return {path: md5} of every output in dvc.lock but the measured times."""
    stages = ruamel.yaml.YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    hashes = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    return {path: md5 for path, md5 in hashes.items() if "timing" not in path and path != "report/cost.md"}


def test_one_repro_runs_every_stage_once(finished):
    assert sorted(find_stages_run(finished[1])) == [
        "baseline_cnn", "download", "evaluate_baseline_cnn", "evaluate_finetune@tiny-all",
        "evaluate_finetune@tiny-blocks-1", "evaluate_frozen@tiny", "finetune@tiny-all", "finetune@tiny-blocks-1",
        "preprocess", "report", "split", "train_frozen@tiny", "weights@tiny",
    ]  # fmt: skip


def test_the_report_has_a_row_for_each_run(finished):
    assert find_rows(finished[0]) >= {"baseline_cnn", "tiny", "tiny-blocks-1", "tiny-all"}


def test_a_second_repro_runs_nothing(project):
    assert find_stages_run(dvc(project, "repro")) == []


def test_changing_one_rate_reruns_that_run_alone(project):
    output = dvc(project, "exp", "run", "-S", "finetune.tiny-blocks-1.optimizer.learning_rate=0.0003")
    expected = ["finetune@tiny-blocks-1", "evaluate_finetune@tiny-blocks-1", "report"]
    assert find_stages_run(output) == expected


def test_adding_a_run_runs_that_run_alone(project):
    change_params(project, lambda document: document["finetune"].update({"new": {**TUNED, "unfreeze": {"layers": 3}}}))
    assert find_stages_run(dvc(project, "repro")) == ["finetune@new", "evaluate_finetune@new", "report"]
    assert "new" in find_rows(project)


def test_removing_a_run_takes_its_row_out_of_the_report(project):
    change_params(project, lambda document: document["finetune"].pop("tiny-blocks-1"))
    assert find_stages_run(dvc(project, "repro")) == ["report"]
    assert "tiny-blocks-1" not in find_rows(project) and "tiny-all" in find_rows(project)
    assert not list(project.glob("report/figures/*tiny-blocks-1*"))


def test_other_measured_times_make_nothing_stale(project):
    path = project / "metrics/timing/evaluate/tiny.json"
    path.write_text(path.read_text().replace("batch_1", "batch_one"))
    # DVC makes the changed file again, and nothing behind it.
    assert set(find_stages_run(dvc(project, "repro"))) <= {"evaluate_frozen@tiny"}


def test_two_clean_runs_give_the_same_bytes(finished, tmp_path, environment):
    """Other processes, another folder, an empty cache and an empty store: the same hash for every output."""
    again = make_project(tmp_path / "again", environment)
    dvc(again, "repro")
    first = read_hashes(finished[0])
    assert len(first) > 30
    assert read_hashes(again) == first


def test_a_clone_without_a_cache_shows_and_compares_metrics(project, tmp_path):
    change_params(project, lambda document: document["finetune"]["tiny-blocks-1"]["optimizer"].update(learning_rate=0.1))
    dvc(project, "repro")
    git(project, "commit", "--quiet", "--all", "--message", "Raise a rate")
    git(tmp_path, "clone", "--quiet", project, "clone")
    clone = tmp_path / "clone"
    assert not (clone / ".dvc" / "cache").exists()
    assert "tiny-blocks-1.validation.loss" in dvc(clone, "metrics", "diff", "HEAD~1", "--md")
    table = dvc(clone, "exp", "show", "--md", "--no-pager", "--drop", ".*", "--keep", "Experiment|tiny.*test.accuracy")
    assert "tiny-all.test.accuracy" in table and "| main" in table
    accuracy = read_json(project / "metrics/evaluate/tiny.json")["tiny"]["test"]["accuracy"]
    assert f"{accuracy:g}"[:5] in table


def test_dvc_draws_the_curves_and_confusions(project):
    dvc(project, "plots", "show", "--out", "page")
    page = (project / "page" / "index.html").read_text()
    assert "accuracy by run" in page and "plots_history_tiny-blocks-1_csv" in page and "plots_predictions_tiny_csv" in page


def test_a_fault_in_params_stops_the_first_stage_that_would_run(project):
    change_params(project, lambda document: document["finetune"]["tiny-blocks-1"].update(unfreeze={"blocks": 14}))
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=project, capture_output=True, text=True)
    assert done.returncode != 0
    assert find_stages_run(done.stdout) == ["finetune@tiny-blocks-1"]
    assert "finetune.tiny-blocks-1.unfreeze.blocks: must be 1 to 13 for tiny (got 14)" in done.stderr
    assert "Traceback" not in done.stderr
