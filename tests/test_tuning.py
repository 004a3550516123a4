"""The search over the settings of a run."""

import copy
import importlib.util
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.cli import tuning
from thaw.cli.tuning import list_space, run_trial, tune
from thaw.config.checking import Params, check
from tiny import DOCUMENT, dvc, find_stages_run, git

RATE, SMOOTHING = "optimizer.learning_rate", "label_smoothing"
Seen = list[dict[str, float]]


def make_params(**sections: Any) -> Params:
    return check({**copy.deepcopy(DOCUMENT), **sections}, "params.yaml")


def decay(name: str) -> dict[str, Any]:
    """Return section `finetune` with AdamW in run `name`."""
    sections: dict[str, Any] = copy.deepcopy(DOCUMENT["finetune"])  # type: ignore[assignment]
    sections[name]["optimizer"] = {"name": "adamw", "learning_rate": 0.001, "weight_decay": 0.01}
    return sections


@pytest.mark.parametrize(
    "run, keys",
    [
        ("baseline_cnn", {"network.dropout"}),
        ("tiny", {"head.dropout"}),
        ("tiny-all", {"layer_decay"}),
        ("tiny-blocks-1", {"layer_decay", "optimizer.weight_decay"}),
    ],
)
def test_what_is_searched_is_what_the_run_has(run: str, keys: set[str]) -> None:
    assert set(list_space(run, make_params(finetune=decay("tiny-blocks-1")))) == {RATE, SMOOTHING, *keys}


@pytest.mark.parametrize("run", ["baseline_cnn", "tiny", "tiny-blocks-1"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_params_yaml_takes_both_ends_of_what_is_searched(run: str, end: str) -> None:
    document: dict[str, Any] = {**copy.deepcopy(DOCUMENT), "finetune": decay("tiny-blocks-1")}
    params = check(document, "params.yaml")
    section = document[run] if run in document else document[params.find_place(run).split(".")[0]][run]
    for key, found in list_space(run, params).items():
        *path, last = key.split(".")
        place = section
        for name in path:
            place = place[name]
        place[last] = getattr(found, end)
    check(document, "params.yaml")


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """A function that searches settings of tiny-blocks-1 with `score` (values -> {loss, accuracy}) for each training.

    It returns the values of each trial.
    """

    def search(score: Any, trials: int = 6, objective: str = "loss", seed: int = 1) -> Seen:
        seen: Seen = []

        def play(name: str, params: Params, experiment: str, values: list[str]) -> dict[str, float]:
            assert experiment == f"tune-{name}-{len(seen) + 1}"
            seen.append({key: float(value) for key, value in (text.split("=") for text in values)})
            return score(seen[-1])

        training = {"seed": seed, "batch_size": 8}
        monkeypatch.setattr(tuning, "load", lambda: make_params(training=training))
        monkeypatch.setattr(tuning, "find_commit", lambda _: "")
        monkeypatch.setattr(tuning, "run_trial", play)
        tune("tiny-blocks-1", str(trials), objective)
        return seen

    return search


def score(values: dict[str, float]) -> dict[str, float]:
    """Loss is lowest, and accuracy highest, at the highest learning rate."""
    return {"loss": 1 - values[RATE], "accuracy": values[RATE]}


def test_the_first_trial_is_the_run_as_it_is(search: Callable[..., Seen]) -> None:
    first = search(score, trials=2)[0]
    assert first == {RATE: 0.001, SMOOTHING: 0.0, "layer_decay": 1.0}


def test_the_seed_of_training_decides_the_trials(search: Callable[..., Seen]) -> None:
    assert search(score, seed=1) == search(score, seed=1)
    assert search(score, seed=1)[1:] != search(score, seed=2)[1:]


def test_more_trials_begin_with_those_of_fewer(search: Callable[..., Seen]) -> None:
    assert search(score, trials=14)[:6] == search(score, trials=6)


@pytest.mark.parametrize("objective, sign", [("loss", -1), ("accuracy", 1)])
def test_the_best_on_validation_is_told_with_the_command_that_takes_it(
    objective: str, sign: int, search: Callable[..., Seen], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where loss and accuracy are the same number, they disagree on what is best."""
    seen = search(lambda values: {"loss": values[RATE], "accuracy": values[RATE]}, objective=objective)
    rates = [sign * values[RATE] for values in seen]
    best = 1 + rates.index(max(rates))
    assert f"./run dvc exp apply tune-tiny-blocks-1-{best}\n" in capsys.readouterr().out


def test_a_trial_that_went_to_infinity_is_never_the_best(
    search: Callable[..., Seen], capsys: pytest.CaptureFixture[str]
) -> None:
    coming = iter([float("nan"), 0.7, float("nan")])
    search(lambda _: {"loss": next(coming), "accuracy": 0.5}, trials=3)
    assert "exp apply tune-tiny-blocks-1-2\n" in capsys.readouterr().out


def test_a_search_in_which_every_trial_went_to_infinity_is_one_line(search: Callable[..., Seen]) -> None:
    with pytest.raises(InputError, match="^tune: must have a trial of tiny-blocks-1 whose loss is a number [^\n]*$"):
        search(lambda _: {"loss": float("nan"), "accuracy": 0.5}, trials=2)


ARGUMENTS: dict[str, tuple[tuple[str, str, str], str]] = {
    "no trial": (("tiny", "0", "loss"), "tune: --trials must be a whole number at least 1 (got '0')"),
    "no number": (("tiny", "ten", "loss"), "tune: --trials must be a whole number at least 1 (got 'ten')"),
    "no score": (("tiny", "5", "f1"), "tune: --objective must be one of loss, accuracy (got 'f1')"),
    "no run": (("huge", "5", "loss"), "tune: must be one of baseline_cnn, tiny, tiny-blocks-1, tiny-all (got 'huge')"),
}


@pytest.mark.parametrize("arguments, fault", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_wrong_argument_is_one_line(
    arguments: tuple[str, str, str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "load", make_params)
    with pytest.raises(InputError, match=f"^{re.escape(fault)}$"):
        tune(*arguments)


def test_without_optuna_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "load", make_params)
    monkeypatch.setattr(tuning, "find_commit", lambda _: "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^tune: needs optuna: python -m pip install '\.\[tune\]' brings [^\n]*$"):
        tune("tiny", "3", "loss")


def test_a_table_without_a_commit_is_one_line(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "load", make_params)
    with pytest.raises(InputError, match="^HEAD: must name a commit [^\n]*$"):
        tune("tiny", "3", "loss")


@pytest.mark.parametrize(
    "run, place, stage",
    [
        ("baseline_cnn", "baseline_cnn", "evaluate_baseline@baseline_cnn"),
        ("tiny", "frozen.tiny", "evaluate_frozen@tiny"),
        ("tiny-blocks-1", "finetune.tiny-blocks-1", "evaluate_finetune@tiny-blocks-1"),
    ],
)
def test_a_trial_trains_and_scores_its_run_and_reads_validation_alone(
    run: str, place: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    scores = {"loss": 0.5, "accuracy": 0.75}
    monkeypatch.setattr(tuning, "list_alternatives", lambda: ({"HEAD": "a", "try": "b"}, []))
    monkeypatch.setattr(tuning, "prepare", lambda _: None)
    monkeypatch.setattr(tuning, "put_back", lambda: None)
    monkeypatch.setattr(tuning, "run_dvc", lambda _, *arguments, **options: commands.append(arguments))
    monkeypatch.setattr(tuning, "run_git", lambda *_: json.dumps({run: {"validation": {"photos": 8, **scores}}}))
    assert run_trial(run, make_params(), "try", ["label_smoothing=0.1"]) == scores
    removed, ran = commands
    assert removed == ("exp", "remove", "try")
    assert ran[-3:] == ("--set-param", f"++{place}.label_smoothing=0.1", stage)


@pytest.mark.long
def test_trials_are_experiments_that_leave_the_workspace_as_it_is_and_are_not_trained_twice(
    workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("THAW_STORE", str(workspace / ".thaw/activations"))
    trained = []
    for _ in range(2):
        tune("tiny-blocks-1", "2", "loss")
        printed = capfd.readouterr()
        trained.append(find_stages_run(printed.err).count("finetune@tiny-blocks-1"))
    assert trained == [2, 0]
    assert git(workspace, "status", "--porcelain") == ""
    assert sorted(dvc(workspace, "exp", "list", "--name-only").split()) == [
        "tune-tiny-blocks-1-1",
        "tune-tiny-blocks-1-2",
    ]
    loss, name = re.findall(r"loss ([\d.]+).*\n.*exp apply (\S+)", printed.out)[0]
    dvc(workspace, "exp", "apply", name)
    scores = read_json(workspace / "metrics/evaluate/tiny-blocks-1.json")["tiny-blocks-1"]
    assert loss == f"{scores['validation']['loss']:.4f}"
