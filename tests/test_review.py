"""The review of a pull request: what it says of two made-up sides, and what it makes of real commits."""

import pathlib
import re
import sys
from typing import Any

import markdown_it
import numpy as np
import pandas as pd
import pytest
import ruamel.yaml

from thaw.base.errors import InputError
from thaw.base.files import read_json, write_json
from thaw.cli.reviewing import differences, lockfile, revisions, summary
from thaw.cli.reviewing.review import print_review
from thaw.config.checking import Params
from thaw.config.presets import ROOT
from tiny import TUNED, attempt, change_params, dvc, git

WRONG = [50, 60]  # photos of 100 that every run has wrong, unless told otherwise


def make_run(lost: Any = (), seconds: float = 2.0, trainable: int = 1_000, losses: Any = (1.0, 0.5)) -> Any:
    """Return a Run with 90 of 100 photos of validation right, and all but WRONG and `lost` of 100 of test."""
    right = ~np.isin(np.arange(100), [*WRONG, *lost])
    table = pd.DataFrame({"part": "test", "actual": "rose", "right": right}, index=[f"t{i}" for i in range(100)])
    table["predicted"] = np.where(right, "rose", "tulip")
    scores = {
        "test": {"photos": 100, "accuracy": right.mean()},
        "validation": {"photos": 100, "accuracy": 0.9},
        "train": {"photos": 300, "accuracy": 1.0},
        "trainable_parameters": trainable,
    }
    history = pd.DataFrame({"validation_loss": losses, "validation_accuracy": np.linspace(0.5, 0.9, len(losses))})
    return differences.Run(scores, table, history, {"training_step": 3e9}, seconds)


def make_side(runs: Any, params: Params = (), **values: Any) -> Any:
    given = {"summary": {}, "pairs": {}, "claims": {}, "repeats": {}, "others": {}, **values}
    return differences.Side(dict(params), list(runs), runs, **given)


def find_rows(text: str, title: Any) -> Any:
    """Return the cells of the first table below a heading, a list for each row."""
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_a_change_beyond_chance_comes_first_and_in_bold() -> None:
    before = make_side({"chance": make_run(), "worse": make_run(), "same": make_run()})
    after = make_side({"chance": make_run(lost=range(3)), "worse": make_run(lost=range(10)), "same": make_run()})
    rows = find_rows(summary.write_review(before, after), "Test accuracy")
    assert [row[0] for row in rows] == ["**`worse`**", "`chance`"]
    assert rows[0][1:6] == ["98.00", "88.00", "-10.0", "10", "0"]


def test_p_values_are_corrected_for_the_number_of_runs_that_changed() -> None:
    """7 lost and none won: p = 2/128 = 0.0156; with three such runs the smallest is worth 0.047, with four 0.0625."""
    for count, real in ((3, True), (4, False)):
        names = [f"run{i}" for i in range(count)]
        changes = differences.find_changes(
            make_side({name: make_run() for name in names}),
            make_side({name: make_run(lost=range(7)) for name in names}),
            "test",
        )
        assert [change.real for change in changes] == [real] * count


def test_accuracies_on_other_photos_are_compared_by_the_interval_of_their_difference() -> None:
    run = make_run(lost=range(30))
    others = run._replace(predictions=run.predictions.rename(index="other {}".format))
    before, after = make_side({"run": make_run()}), make_side({"run": others})
    (row,) = find_rows(summary.write_review(before, after), "Test accuracy")
    assert row[0] == "**`run`**" and row[4:6] == ["–", "–"]
    assert re.fullmatch(r"-\d+\.\d to -\d+\.\d", row[6])


def test_that_the_photos_are_not_the_same_is_said_first() -> None:
    def make(digest: str, run: Any) -> Any:
        others = {"metrics/download.json.download.digest": digest, "metrics/download.json.download.photos": 10}
        return make_side({"run": run}, others=others)

    run, lost = make_run(), make_run(lost=range(10))
    others = run._replace(predictions=run.predictions.rename(index="other {}".format))
    assert summary.write_review(make("ab", run), make("cd", lost)).startswith(
        "**The photos are not the same** (10 and 10)"
    )
    assert summary.write_review(make("ab", run), make("ab", others)).startswith(
        "**The photos of test are not the same**"
    )
    assert summary.write_review(make("ab", run), make("ab", lost)).startswith("1 accuracy on test changed")


def test_nothing_changed_is_one_line() -> None:
    sides = [make_side({"run": make_run()}, {"split": {"seed": 1}}) for _ in range(2)]
    assert len(summary.write_review(*sides).splitlines()) == 1


def test_the_runs_that_were_added_and_removed_are_named() -> None:
    text = summary.write_review(make_side({"old": make_run()}), make_side({"fresh": make_run()}))
    assert "Added: `fresh`, 98.00 % on test" in text and "Removed: `old`, 98.00 % on test" in text


def test_a_verdict_that_changed_says_so_where_p_values_are_corrected_for_another_number_of_tests() -> None:
    pair, other = frozenset(("a", "b")), frozenset(("a", "c"))
    before, after = (make_side({}, pairs=pairs) for pairs in ({pair: "b"}, {pair: "", other: ""}))
    assert summary.list_verdicts(before, after) == [
        "`a` and `b`: cannot be told apart, was: `b` is better (corrected for 2 tests, was: for 1)."
    ]


def test_verdicts_that_changed_are_told_and_others_are_not() -> None:
    pair, other = frozenset(("a", "b")), frozenset(("a", "c"))
    before = make_side(
        {"a": make_run(), "b": make_run()},
        summary={"best": "a"},
        pairs={pair: "", other: ""},
        claims={("Freezing is best", "report"): "supported"},
    )
    after = make_side(
        {"a": make_run(losses=[0.3, *(0.3 + 0.02 * i for i in range(11))]), "b": make_run()},
        summary={"best": "b"},
        pairs={pair: "b", other: ""},
        claims={("Freezing is best", "report"): "contradicted"},
    )
    assert differences.find_verdicts(after.runs["a"]) == {"overfitting": True, "unstable": False}
    assert summary.list_verdicts(before, after) == [
        "The best on validation is `b`, was `a`.",
        "`a` and `b`: `b` is better, was: cannot be told apart.",
        "`a` is overfitting.",
        "`Freezing is best` (`report`): `contradicted`, was: `supported`.",
    ]
    assert "`a` is no longer overfitting." in summary.list_verdicts(after, before)


def test_measured_seconds_count_from_a_fifth_on() -> None:
    runs = [make_run(seconds=seconds) for seconds in (2.0, 2.3, 2.5)]
    assert differences.find_costs(runs[0], runs[1]) == {}
    assert differences.find_costs(runs[0], runs[2]) == {"seconds an epoch": (2.0, 2.5)}


def test_trainable_parameters_are_a_cost() -> None:
    before, after = (make_side({"run": make_run(trainable=count)}) for count in (1_000, 1_500))
    assert find_rows(summary.write_review(before, after), "Cost") == [
        ["`run`", "trainable parameters", "1,000", "1,500", "+50 %"]
    ]


def test_seeds_and_folds_that_changed_came_or_went_are_told_and_others_are_not() -> None:
    seeds = {"accuracy": {"test": {"mean": 0.9, "sd": 0.01, "values": [0.89, 0.91]}}}
    folds = {"accuracy": {"pooled": 0.8, "sd": 0.02, "values": [0.78, 0.8, 0.82]}}
    moved = {"accuracy": {**folds["accuracy"], "pooled": 0.81}}
    runs = {"a": make_run()}
    before = make_side(runs, repeats={("replicates", "a"): seeds, ("folds", "a"): folds, ("folds", "gone"): folds})
    after = make_side(runs, repeats={("replicates", "a"): seeds, ("folds", "a"): moved, ("replicates", "b"): seeds})
    assert find_rows(summary.write_review(before, after), "Seeds and folds") == [
        ["`a`", "80.00 ± 2.00, 3 folds", "81.00 ± 2.00, 3 folds"],
        ["`gone`", "80.00 ± 2.00, 3 folds", "–"],
        ["`b`", "–", "90.00 ± 1.00, 2 seeds"],
    ]


def test_a_changed_param_is_told_by_its_key_and_an_added_entry_as_one() -> None:
    before = {"finetune": {"a": {"optimizer": {"rate": 0.1}, "epochs": 1}}, "split": {"seed": 1}}
    after = {"finetune": {"a": {"optimizer": {"rate": 0.2}, "epochs": 1}, "b": {"epochs": 2}}, "split": {"seed": 1}}
    assert differences.compare_params(before, after) == {
        "finetune.a.optimizer.rate": (0.1, 0.2),
        "finetune.b": (None, {"epochs": 2}),
    }


def test_metrics_of_no_run_are_read_wherever_they_are_and_times_are_not(tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text("frozen: {}\nbackbones: {tiny: {}}\n")
    places = ("split", "weights/tiny", "evaluate/folds/tiny", "evaluate/tiny", "train/tiny", "timing/preprocess")
    for place in (*places, "weights/removed"):
        path = tmp_path / f"metrics/{place}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"photos": {"test": 3}})
    assert differences.read_side(tmp_path).others == {
        "metrics/split.json.photos.test": 3,
        "metrics/weights/tiny.json.photos.test": 3,
    }


@pytest.mark.parametrize("name", ["![x](//h/i.png)", "a|b", "a` <b> `b", "<b>", "*x*\n# y", "```\nout", "~~~"])
def test_names_and_values_are_shown_as_they_are_and_never_as_markdown(name: str) -> None:
    before = make_side({"plain": make_run()}, {"dataset": {"name": "photos"}})
    after = make_side({name: make_run(lost=[1])}, {"dataset": {"name": name}})
    page = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(summary.write_review(before, after))
    for tag in ("<img", "<b>", "<em>", "<h1"):
        assert tag not in page
    (row,) = re.findall(r"<tbody>(.*)</tbody>", page, re.DOTALL)
    assert len(re.findall("<td", row)) == 3
    assert page.count("<pre>") == 2  # the charts


def test_long_tables_are_cut_and_say_so() -> None:
    before, after = (make_side({}, {"split": {f"key{i}": value for i in range(25)}}) for value in (1, 2))
    text = summary.write_review(before, after)
    assert len(find_rows(text, "Params")) == summary.MOST and "And 5 keys more." in text


def test_an_interval_is_drawn_to_scale() -> None:
    """98 of 100: Wilson's interval is 93.0 to 99.4; from 90 to 100, 40 steps wide, that is 12 to 38, the dot at 32."""
    side = make_side({"run": make_run()})
    axis, *bars = summary.draw_intervals(side, side, ["run"], "test").splitlines()
    start = axis.index("90")
    for bar in bars:
        assert [bar.index(sign) - start for sign in "├●┤"] == [12, 32, 38]
    assert axis.index("100") - start == 40


@pytest.fixture
def repository(workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The repository of a finished tiny table, as the working directory."""
    monkeypatch.chdir(workspace)
    return workspace


def commit(folder: pathlib.Path) -> None:
    """Record the work tree in dvc.lock, as if its stages had written it, and in git."""
    dvc(folder, "commit", "--force", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change | something")


def copy_run(folder: pathlib.Path, name: str, copy: Any) -> None:
    """Write what a run left behind under another name."""
    for path in [*folder.glob(f"m*/**/{name}.*"), *folder.glob(f"plots/**/{name}.csv")]:
        if "pretrained" not in path.parts:
            target = path.with_name(path.name.replace(name, copy))
            target.write_bytes(path.read_bytes())
            if target.suffix == ".json" and "metrics" in path.parts:
                write_json(target, {copy: read_json(path)[name]})


def make_right(folder: pathlib.Path, name: str) -> Any:
    """Have run `name` know every photo of test; return how many it did not."""
    path = folder / f"plots/predictions/{name}.csv"
    table = pd.read_csv(path, dtype=str)
    missed = (table["part"] == "test") & (table["actual"] != table["predicted"])
    table.loc[missed, "predicted"] = table["actual"]
    table.to_csv(path, index=False)
    scores = read_json(folder / f"metrics/evaluate/{name}.json")
    scores[name]["test"]["accuracy"] = 1.0
    write_json(folder / f"metrics/evaluate/{name}.json", scores)
    return int(missed.sum())


def test_a_changed_rate_is_told_with_what_came_of_it(
    repository: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    higher = {"name": "adam", "learning_rate": 0.1}
    change_params(repository, lambda document: document["finetune"]["tiny-all"].update(optimizer=higher))
    won = make_right(repository, "tiny-all")
    commit(repository)
    assert print_review("HEAD~1", "HEAD")
    text = capsys.readouterr().out
    (row,) = find_rows(text, "Test accuracy")
    assert row[0].strip("*") == "`tiny-all`" and row[4:6] == ["0", str(won)]
    assert find_rows(text, "Params") == [["`finetune.tiny-all.optimizer.learning_rate`", "`0.001`", "`0.1`"]]


def test_a_run_that_was_added_and_one_that_was_removed_are_named(
    repository: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def swap(document: dict[str, Any]) -> None:
        document["finetune"] = {"fresh": document["finetune"].pop("tiny-all"), **document["finetune"]}

    copy_run(repository, "tiny-all", "fresh")
    change_params(repository, swap)
    commit(repository)
    assert print_review("HEAD~1", "HEAD")
    text = capsys.readouterr().out
    assert "- Added: `fresh`" in text and "- Removed: `tiny-all`" in text
    assert {row[0] for row in find_rows(text, "Params")} == {"`finetune.fresh`", "`finetune.tiny-all`"}


def test_nothing_changed_is_short(repository: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_review("HEAD", "HEAD")
    assert len(capsys.readouterr().out.splitlines()) <= 3


def test_an_edit_of_code_that_was_not_reproduced_fails_and_names_the_stages_first(repository: pathlib.Path) -> None:
    with (repository / "src/thaw/evaluation/scoring.py").open("a") as file:
        file.write("# a comment\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Edit")
    done = attempt(repository, sys.executable, "-m", "thaw", "review", "HEAD~1", "HEAD", PYTHONPATH=str(ROOT / "src"))
    assert done.returncode == 1, done.stderr
    title, first, *rest = done.stdout.split("\n\n")
    assert title.startswith("# ") and "`dvc.lock` is stale" in first
    assert "`src/thaw/evaluation` changed: " in rest[0]
    stages = re.findall("`(evaluate[a-z_]*(?:@[a-z0-9_-]+)?)`", rest[0])
    expected = {"baseline@baseline_cnn", "frozen@tiny", "finetune@tiny-blocks-1", "finetune@tiny-all"}
    assert set(stages) == {f"evaluate_{name}" for name in expected}


def test_an_edit_of_a_metric_by_hand_fails_and_names_the_file(
    repository: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "metrics/evaluate/tiny.json"
    path.write_text(path.read_text().replace('"total_parameters": ', '"total_parameters": 9'))
    assert not print_review("HEAD", None)
    text = capsys.readouterr().out
    assert "- `metrics/evaluate/tiny.json`, of `evaluate_frozen@tiny`" in text
    assert "stale" not in text  # the report read it, and is right as soon as the file is


def find_faults(folder: pathlib.Path) -> Any:
    """Return the Audit of the work tree in `folder`, the working directory."""
    with revisions.check_out(revisions.WORK_TREE) as files:
        return lockfile.audit(files)


def test_a_metric_that_is_missing_is_a_fault(repository: pathlib.Path) -> None:
    (repository / "metrics/train/tiny.json").unlink()
    assert find_faults(repository).edited == {"metrics/train/tiny.json": "train_frozen@tiny"}


def test_a_stage_that_did_not_run_after_the_one_before_it_is_stale_without_the_data(repository: pathlib.Path) -> None:
    """Only dvc.lock can tell: the weights are in nobody's clone."""
    lock = repository / "dvc.lock"
    document = ruamel.yaml.YAML(typ="safe").load(lock)
    for out in document["stages"]["train_frozen@tiny"]["outs"]:
        if out["path"] == "models/tiny.weights.h5":
            out["md5"] = "0" * 32
    ruamel.yaml.YAML(typ="safe").dump(document, lock)
    (found,) = find_faults(repository).stale.items()
    assert found[0] == ("models/tiny.weights.h5", "was made again")
    assert {"evaluate_frozen@tiny", "finetune@tiny-all", "finetune@tiny-blocks-1"} <= set(found[1])


def test_a_run_that_has_not_been_run_is_no_fault_but_numbers_for_it_are(repository: pathlib.Path) -> None:
    """The report says of such a run that it has not been run yet; it read the list of runs."""
    waiting = {**TUNED, "unfreeze": {"layers": 3}}
    change_params(repository, lambda document: document["finetune"].update(waiting=waiting))
    assert find_faults(repository).stale == {("params.yaml: finetune", "changed"): ["report"]}
    copy_run(repository, "tiny-all", "waiting")
    assert find_faults(repository).edited["metrics/evaluate/waiting.json"] == "evaluate_finetune@waiting"


def test_a_review_of_the_work_tree_sees_files_that_git_does_not_know_and_changes_nothing(
    repository: pathlib.Path,
) -> None:
    (repository / "README").write_text("new")
    (repository / "params.yaml").open("a").write("# edited\n")
    state = [git(repository, *command) for command in (("status", "--porcelain"), ("count-objects",))]
    with revisions.check_out(revisions.WORK_TREE) as folder:
        assert (folder / "README").read_text() == "new"
        assert (folder / "params.yaml").read_text().endswith("# edited\n")
        assert not (folder / "data/raw").exists()
    assert state == [git(repository, *command) for command in (("status", "--porcelain"), ("count-objects",))]


@pytest.mark.parametrize("name", ["nothing", "--output=x", ""])
def test_a_base_that_is_no_commit_is_named_in_one_line(name: str, repository: pathlib.Path) -> None:
    with pytest.raises(InputError, match=f"^{name}: must name a commit [^\n]*$"):
        print_review(name, None)


def test_a_conflict_in_the_lock_is_told_by_its_file_and_line(repository: pathlib.Path) -> None:
    lines = (repository / "dvc.lock").read_text().splitlines(keepends=True)
    conflict = ["<<<<<<< HEAD\n", lines[9], "=======\n", lines[9], ">>>>>>> other\n"]
    (repository / "dvc.lock").write_text("".join([*lines[:9], *conflict, *lines[10:]]))
    with pytest.raises(InputError, match=r"^work tree: dvc\.lock: line 10: a merge left a conflict here "):
        print_review("HEAD", None)


def test_a_damaged_file_of_the_base_is_told_with_the_name_of_the_base(repository: pathlib.Path) -> None:
    (repository / "metrics/split.json").write_text("{")
    git(repository, "commit", "--quiet", "--all", "--message", "Break it")
    (repository / "metrics/split.json").write_text("{}")
    with pytest.raises(InputError, match=r"^HEAD: metrics/split\.json: must be JSON \(line 1: "):
        print_review("HEAD", None)


def read_workflow() -> Any:
    return ruamel.yaml.YAML(typ="safe").load(ROOT / ".github/workflows/review.yml")


def test_the_workflow_needs_no_secret_and_may_only_read() -> None:
    """`pull_request` runs a fork's code with a token that can read; other events would hand it more."""
    workflow = read_workflow()
    assert workflow["on"] == "pull_request"
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert not re.search(r"secrets|github\.token", (ROOT / ".github/workflows/review.yml").read_text())


def test_the_workflow_pins_its_actions_to_commits() -> None:
    steps = [step for job in read_workflow()["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)


def test_the_workflow_tests_and_fails_where_the_review_does() -> None:
    steps = read_workflow()["jobs"]["review"]["steps"]
    commands = {step["run"]: step for step in steps if "run" in step}
    assert './run test -m ""' in commands
    (review,) = [command for command in commands if "thaw review" in command]
    # Only the shell called bash stops at the first command of a pipe that fails.
    assert "$GITHUB_STEP_SUMMARY" in review and commands[review]["shell"] == "bash"
    depth = next(step["with"]["fetch-depth"] for step in steps if "checkout" in step.get("uses", ""))
    assert "HEAD^1" in review and depth >= 2
