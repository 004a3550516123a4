"""What is said before `dvc repro` starts: which stages run, and about how long that takes."""

import pathlib

import pytest

from thaw.base.files import write_json
from thaw.cli.forecast import count_repeats, forecast, say_time
from thaw.config.checking import check
from thaw.engine.costs import Cost, read_costs
from thaw.engine.pipeline import Step
from tiny import DOCUMENT, attempt


def make_steps(*changed: str) -> list[Step]:
    """Return the steps of a chain with a branch, of which `changed` must run by themselves."""
    upstream = {"split": (), "finetune@a": ("split",), "evaluate_finetune@a": ("finetune@a",), "finetune@b": ("split",)}
    outs = {"finetune@a": ("metrics/timing/train/a.json",), "finetune@b": ("metrics/timing/train/b.json",)}
    return [
        Step(name, frozenset(before), name not in changed, outs.get(name, ()), ()) for name, before in upstream.items()
    ]


@pytest.fixture(autouse=True)
def timed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of run a alone, 590 seconds beside the start of the program."""
    monkeypatch.chdir(tmp_path)
    write_json("metrics/timing/train/a.json", {"a": {"seconds": {"prefix": 90.0, "training": 500.0}}})


def tell(*changed: str, jobs: int = 1) -> str:
    steps = make_steps(*changed)
    return forecast(steps, read_costs(steps), jobs)


def test_a_changed_stage_and_what_reads_from_it_run_for_as_long_as_they_took_before() -> None:
    assert tell("finetune@a").startswith(
        "2 stages to run, about 10 min by what they took before: finetune@a, evaluate_finetune@a."
    )


def test_a_training_that_has_not_run_is_named_for_its_time_is_not_known() -> None:
    told = tell("split")
    assert told.startswith("4 stages to run") and "not run yet: finetune@b." in told


def test_nothing_is_said_where_nothing_runs() -> None:
    assert tell() == ""


def test_side_by_side_it_takes_as_long_as_the_longest_chain() -> None:
    write_json("metrics/timing/train/b.json", {"b": {"seconds": {"training": 590.0}}})
    assert "about 20 min" in tell("split") and "about 10 min" in tell("split", jobs=2)


def test_seeds_and_folds_count_as_trainings_of_their_run() -> None:
    repeats = {
        "replicates": {"tiny": {"backbone": "tiny", "count": 5}},
        "folds": {"tiny": {"backbone": "tiny", "count": 5}},
    }
    params = check({**DOCUMENT, **repeats}, "params.yaml")
    costs = {name: Cost(100.0, 1) for name in ("train_frozen@tiny", "replicate@tiny", "crossvalidate@tiny", "report")}
    found = {name: cost.seconds for name, cost in count_repeats(costs, params).items()}
    assert found == {"train_frozen@tiny": 100, "replicate@tiny": 400, "crossvalidate@tiny": 500, "report": 100}


@pytest.mark.parametrize("seconds, words", [(40, "40 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_a_time_is_told_in_the_unit_that_a_reader_would_take(seconds: float, words: str) -> None:
    assert say_time(seconds) == words


@pytest.mark.parametrize(
    "command, told",
    [(["repro"], True), (["repro", "report"], True), (["repro", "--dry"], False), (["repro", "none"], False),
     (["status"], False), (["repro", "--nonsense"], False)],
)  # fmt: skip
def test_it_is_said_of_a_plain_repro_alone_and_faults_are_left_to_dvc(
    command: list[str], told: bool, workspace: pathlib.Path
) -> None:
    (workspace / "data/split.csv").unlink()
    done = attempt(workspace, "python", "-P", "-m", "thaw.cli.forecast", *command, PYTHONPATH="src")
    assert done.returncode == 0 and not done.stdout
    assert done.stderr.startswith("repro: ") == told == bool(done.stderr)
