"""./run thaw tune RUN: a search over the settings of one run; Optuna proposes them, each trial is a DVC experiment."""

import importlib.util
import json
import pathlib
import subprocess
import sys
from typing import Any, Literal, NamedTuple

from thaw.base import paths
from thaw.base.errors import InputError, kind
from thaw.base.names import BASELINE
from thaw.base.progress import say
from thaw.cli.reviewing.revisions import HEAD, find_commit, list_alternatives, run_git
from thaw.cli.workspaces import run_dvc
from thaw.comparison.words import percent
from thaw.config.checking import Params
from thaw.config.inputs import put_back
from thaw.config.loading import load
from thaw.config.starting import prepare
from thaw.training.sections import AdamW, FinetuneRun

# A score of validation -> what the search does with it.
OBJECTIVES: dict[str, Literal["minimize", "maximize"]] = {"loss": "minimize", "accuracy": "maximize"}


class Range(NamedTuple):
    """What a key is searched over."""

    low: float
    high: float
    now: float  # the value that params.yaml has, or what leaving the key out amounts to
    log: bool = False  # whether what is uniform is the logarithm


def tune(name: str, trials: str, objective: str) -> None:
    """Search settings for run `name` of the table in so many trials, and print the best on validation.

    The sampler is Optuna's TPE with the seed `training.seed`; the first trial is the run as it is, and none is pruned.
    Each trial is the experiment tune-NAME-NUMBER, which leaves the workspace as it is; one of that name is replaced.
    Raises InputError, before anything runs, where an argument or the parameters are at fault, Optuna is not installed,
    or there is no commit to start from. Where DVC fails the program ends with its status.
    """
    count = _read_count(trials)
    if objective not in OBJECTIVES:
        raise InputError(f"tune: --objective must be one of {', '.join(OBJECTIVES)} (got {kind(objective)})")
    params = load()
    space = list_space(name, params)
    find_commit(HEAD)
    if importlib.util.find_spec("optuna") is None:
        raise InputError("tune: needs optuna: python -m pip install '.[tune]' brings what is missing")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction=OBJECTIVES[objective], sampler=optuna.samplers.TPESampler(seed=params.training.seed)
    )
    study.enqueue_trial({key: min(max(found.now, found.low), found.high) for key, found in space.items()})
    told: dict[int, str] = {}
    for number in range(1, count + 1):
        trial = study.ask()
        values = {key: trial.suggest_float(key, found.low, found.high, log=found.log) for key, found in space.items()}
        written = [f"{key}={value:.3g}" for key, value in values.items()]
        scores = run_trial(name, params, f"tune-{name}-{number}", written)
        told[trial.number] = (
            f"tune-{name}-{number}: loss {scores['loss']:.4f}, accuracy {percent(scores['accuracy'])} % on validation "
            f"({', '.join(written)})"
        )
        say(f"tune: {number} of {count}: {told[trial.number]}")
        study.tell(trial, scores[objective])  # what is no number counts as a failed trial
    if not study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        raise InputError(f"tune: must have a trial of {name} whose {objective} is a number (got none of {count})")
    best = study.best_trial.number
    print(f"best of {count} by {objective}: {told[best]}")
    print(f"to take it: ./run dvc exp apply tune-{name}-{best + 1}")


def list_space(name: str, params: Params) -> dict[str, Range]:
    """Return {key below run `name`: Range} of what the search varies; raises InputError where there is no such run.

    The learning rate from a tenth to ten times its value, and what else applies: weight decay with AdamW, label
    smoothing, the decay of the rate over the blocks of a fine-tuned run, the dropout of a head of its own.
    """
    if name not in params.runs:
        raise InputError(f"tune: must be one of {', '.join(params.runs)} (got {kind(name)})")
    run = params.runs[name]
    rate = run.optimizer.learning_rate
    space = {"optimizer.learning_rate": Range(rate / 10, min(10 * rate, 10.0), rate, log=True)}
    if isinstance(run.optimizer, AdamW):
        space["optimizer.weight_decay"] = Range(1e-5, 0.1, run.optimizer.weight_decay, log=True)
    space["label_smoothing"] = Range(0.0, 0.2, run.label_smoothing)
    if isinstance(run, FinetuneRun):
        space["layer_decay"] = Range(0.5, 1.0, 1.0 if run.layer_decay is None else run.layer_decay)
    for key in ("head", "network"):
        if (part := getattr(run, key, None)) is not None:
            space[f"{key}.dropout"] = Range(0.0, 0.6, part.dropout)
    return space


def run_trial(name: str, params: Params, experiment: str, values: list[str]) -> dict[str, float]:
    """Train and score run `name` with `values` (KEY=VALUE, below the run) as an experiment of DVC.

    Returns {loss, accuracy} on validation; nothing else of the scores is read.
    """
    place = params.find_place(name)
    stage = f"evaluate_baseline@{name}" if name == BASELINE else f"evaluate_{place.split('.')[0]}@{name}"
    arguments = ["exp", "run", "--temp", "--name", experiment]
    for value in values:
        arguments += ["--set-param", f"++{place}.{value}"]  # ++: whether the file has the key or not
    folder = pathlib.Path()
    try:
        if experiment in list_alternatives()[0]:
            run_dvc(folder, "exp", "remove", experiment, stdout=subprocess.DEVNULL)
        try:
            prepare([*arguments, stage])
            run_dvc(folder, *arguments, stage, stdout=sys.stderr)
        finally:
            put_back()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    commit = list_alternatives()[0][experiment]
    document: dict[str, Any] = json.loads(run_git("show", f"{commit}:./{paths.find_evaluation(name)}"))
    validation = document[name]["validation"]
    return {key: validation[key] for key in OBJECTIVES}


def _read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise InputError(f"tune: --trials must be a whole number at least 1 (got {kind(text)})")
    return int(text)
