"""docs/experiments.md: its commands, in its order, on a tiny table."""

import json
import pathlib
import re
import shutil
from collections.abc import Callable

import pytest

from thaw.config.loading import read_yaml
from tiny import dvc, find_stages_run, follow, git, read_commands

pytestmark = pytest.mark.long

OURS = {"mobilenet-blocks-4": "tiny-blocks-1"}  # run of the page -> run of the tiny table
TESTED_ELSEWHERE = ["./run thaw best"]
RATE = "finetune.tiny-blocks-1.optimizer.learning_rate"
Followed = tuple[pathlib.Path, dict[str, str]]  # a project, and what each command of the page printed there


@pytest.fixture(scope="module")
def followed(make_once: Callable[..., tuple[pathlib.Path, str]], finished: tuple[pathlib.Path, str]) -> Followed:
    """(folder, {command of the page: what it printed}) after all commands of the page; tests must not change it."""

    def make(folder: pathlib.Path) -> str:
        shutil.copytree(finished[0], folder, symlinks=True)
        printed = {}
        for command in read_commands("experiments.md"):
            if command not in TESTED_ELSEWHERE:
                for name, ours in OURS.items():
                    command = command.replace(name, ours)
                printed[command] = follow(folder, command, COLUMNS="200")
        return json.dumps(printed)

    folder, printed = make_once("experiments", make)
    return folder, json.loads(printed)


def find_printed(followed: Followed, *words: str) -> str:
    """Return what the one command of the page printed that has all these words."""
    found = [text for command, text in followed[1].items() if set(words) <= set(command.split())]
    assert len(found) == 1
    return found[0]


def test_one_changed_rate_reruns_that_run_and_the_report(followed: Followed) -> None:
    stages = ["finetune@tiny-blocks-1", "evaluate_finetune@tiny-blocks-1", "report"]
    assert find_stages_run(find_printed(followed, "higher", "-S")) == stages


def test_a_named_stage_runs_without_the_report(followed: Followed) -> None:
    stages = ["finetune@tiny-blocks-1", "evaluate_finetune@tiny-blocks-1"]
    assert find_stages_run(find_printed(followed, "lower", "-S")) == stages


def test_a_grid_is_an_experiment_for_each_value(followed: Followed) -> None:
    assert re.findall("Reproducing experiment '(.*)'", find_printed(followed, "--run-all")) == ["grid-1", "grid-2"]


def test_the_comparison_has_the_changed_rate_and_headlines_alone(followed: Followed) -> None:
    header = re.split(r"\s{2,}", find_printed(followed, "--only-changed").split("workspace")[0].strip(" ─\n"))
    scores = {f"tiny-blocks-1.{score}" for score in ("validation", "test", "f1")}
    verdict = {f"summary.{key}" for key in ("best", "validation", "test", "low", "high", "as_good", "cheapest")}
    # Those that differ: of a few photos, all experiments may have as many right.
    assert {"Experiment", RATE} <= set(header) <= {"Experiment", "Created", RATE, *scores, *verdict}


def test_the_comparison_has_a_row_for_each_experiment(followed: Followed) -> None:
    shown = re.findall(r"\[(.*)\]", find_printed(followed, "--only-changed"))
    assert sorted(shown) == ["grid-1", "grid-2", "higher", "lower"]


def test_the_table_of_thaw_has_each_experiment_below_its_run_in_80_columns(followed: Followed) -> None:
    lines = find_printed(followed, "thaw", "show").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("tiny-blocks-1"))
    shown = [re.split(r"\s{2,}", line)[:2] for line in lines[place + 1 : place + 5]]
    rates = {"grid-1": "0.0005", "grid-2": "0.001", "higher": "0.0003", "lower": "3e-05"}
    assert {name.strip("└* ¹"): rate for name, rate in shown} == {
        name: f"learning_rate={rate}" for name, rate in rates.items()
    }
    assert max(map(len, lines)) <= 80


def test_a_comparison_of_two_names_what_changed(followed: Followed) -> None:
    text = find_printed(followed, "exp", "diff")
    assert RATE in text and "tiny-all" not in text


def test_the_curves_of_two_are_on_one_page(followed: Followed) -> None:
    assert "grid-1" in (followed[0] / ".thaw" / "plots" / "index.html").read_text()


def test_the_applied_experiment_is_what_was_committed(followed: Followed) -> None:
    rate = read_yaml(followed[0] / "params.yaml")["finetune"]["tiny-blocks-1"]["optimizer"]["learning_rate"]
    assert rate == 0.0005 and git(followed[0], "status", "--porcelain") == ""


def test_a_branch_holds_the_experiment_that_it_was_made_from(followed: Followed) -> None:
    assert "learning_rate: 0.001" in git(followed[0], "show", "higher-still:params.yaml")


def test_no_experiment_is_left_at_the_end(followed: Followed) -> None:
    assert "grid" not in dvc(followed[0], "exp", "list", "--all-commits")
