"""What two revisions of the project say, and where they differ."""

import pathlib
from typing import NamedTuple

import pandas as pd

from thaw import statistics
from thaw.names import BASELINE, PARTS
from thaw.params import FILE, InputError, kind, read_yaml
from thaw.reporting.comparison import count_right, read_predictions
from thaw.reporting.results import read_metrics, read_plot

NOTICED = 0.2  # share by which seconds must differ: measured times vary
TOLD = ("metrics/evaluate/**/*.json", "metrics/train/*.json", "metrics/summary.json")  # elsewhere in the review
KEY = ["part", "actual"]  # columns that are the same where two runs saw the same photos


class Run(NamedTuple):
    """What a revision says of one run; None where it has no such file."""

    scores: dict  # the document of its evaluation
    predictions: pd.DataFrame | None  # as read_predictions returns them
    history: pd.DataFrame | None  # a row for each epoch of its own
    flops: dict | None  # for one image: forward, prefix, training_step
    seconds: float | None  # an epoch


class Side(NamedTuple):
    """What a revision says."""

    params: dict  # params.yaml as it stands: another revision may have other sections than this code knows
    listed: list[str]  # the names of all runs in it
    runs: dict[str, Run]  # those that have been run
    summary: dict  # of metrics/summary.json
    pairs: dict[frozenset, str]  # of two runs -> which one is better, or ""
    claims: dict[tuple, str]  # (claim, report) -> verdict
    repeats: dict[tuple, dict]  # (replicates or folds, run) -> the document of thaw.repeating on it
    others: dict  # all other metrics but times, flattened


class Change(NamedTuple):
    """The accuracy of one run on both sides."""

    name: str
    before: tuple[int, int]  # (right, photos)
    after: tuple[int, int]
    paired: statistics.Paired | None  # the base first; None where the photos are not the same
    p: float | None  # of the paired test, corrected for all the changes
    low: float | None  # of the 95 % interval of the difference, where the photos are not the same
    high: float | None

    @property
    def points(self):
        """The change of accuracy in points."""
        (right, photos), (before, photos_before) = self.after, self.before
        return 100 * (right / photos - before / photos_before)

    @property
    def real(self):
        """Whether it is more than chance."""
        if self.paired:
            return self.p < statistics.LEVEL
        return not self.low <= 0 <= self.high


def read_side(folder):
    """Return the Side of the files at `folder`; raises InputError where one of them cannot be read."""
    folder = pathlib.Path(folder)
    params = read_yaml(folder / FILE)
    listed = [BASELINE, *(params.get("frozen") or {}), *(params.get("finetune") or {})]
    runs = {name: _read_run(folder, name) for name in listed if (folder / f"metrics/evaluate/{name}.json").exists()}
    summary = _read(read_metrics, folder / "metrics/summary.json", "summary") or {}
    return Side(
        params,
        listed,
        runs,
        summary,
        _read_pairs(folder),
        _read_claims(folder),
        _read_repeats(folder, params),
        flatten(_read_others(folder)),
    )


def choose_part(*sides):
    """Return the part that counts: test, or validation where a run has no scores on test."""
    tested = all("test" in run.scores for side in sides for run in side.runs.values())
    return "test" if tested else "validation"


def find_changes(before, after, part):
    """Return the Changes of the runs whose scores or predictions differ between two Sides.

    Those that are more than chance come first, then by size.
    """
    found = [
        _compare(name, before.runs[name], run, part)
        for name, run in after.runs.items()
        if name in before.runs and _differ(before.runs[name], run)
    ]
    tests = [change for change in found if change.paired]
    corrected = dict(zip((change.name for change in tests), statistics.correct([change.p for change in tests])))
    found = [change._replace(p=corrected.get(change.name)) for change in found]
    return sorted(found, key=lambda change: (not change.real, -abs(change.points)))


def judge_training(run):
    """Return {verdict: whether it holds} on how a Run trained, {} where it left no learning curve."""
    if run.history is None:
        return {}
    found = statistics.judge_training(run.history, *(count_right(run.scores[part]) for part in ("train", "validation")))
    return {key: found[key] for key in ("overfitting", "unstable")}


def find_costs(before, after):
    """Return {what: (before, after)} of what two Runs of one name cost, where it differs."""
    pairs = {
        "trainable parameters": (before.scores["trainable_parameters"], after.scores["trainable_parameters"]),
        "GFLOPs to train on a photo": tuple(
            run.flops and run.flops["training_step"] / 1e9 for run in (before, after)
        ),
    }
    found = {key: pair for key, pair in pairs.items() if None not in pair and pair[0] != pair[1]}
    seconds = before.seconds, after.seconds
    if all(seconds) and abs(seconds[1] / seconds[0] - 1) > NOTICED:
        found["seconds an epoch"] = seconds
    return found


def compare(before, after):
    """Return {key: (before, after)} of two mappings, where they differ; None stands for a key that is not there."""
    keys = dict.fromkeys([*before, *after])
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def flatten(document, depth=9):
    """Return {"a.b.c": value} of nested mappings, `depth` levels of them."""
    found = {}
    for key, value in document.items():
        inner = flatten(value, depth - 1) if isinstance(value, dict) and value and depth > 1 else {"": value}
        found |= {f"{key}.{rest}" if rest else str(key): value for rest, value in inner.items()}
    return found


def compare_params(before, after):
    """Return {key: (before, after)} of two documents of params.yaml, where they differ.

    An entry that only one of them has, such as a run, is one key.
    """
    before, after = flatten(before, 2), flatten(after, 2)
    found = {}
    for key, (first, second) in compare(before, after).items():
        if isinstance(first, dict) and isinstance(second, dict):
            found |= {f"{key}.{inner}": pair for inner, pair in compare(flatten(first), flatten(second)).items()}
        else:
            found[key] = (first, second)
    return found


def _read_run(folder, name):
    path = folder / f"metrics/evaluate/{name}.json"
    scores = read_metrics(path, name)
    for part in PARTS:
        accuracy = scores.get(part, {}).get("accuracy", 0)
        if not 0 <= accuracy <= 1:  # which no stage writes, and no interval can be had of
            raise InputError(f"{path}: {name}.{part}.accuracy: must be 0 to 1 (got {kind(accuracy)})")
    training = _read(read_metrics, folder / f"metrics/train/{name}.json", name) or {}
    timing = _read(read_metrics, folder / f"metrics/timing/train/{name}.json", name) or {}
    history = folder / f"plots/history/{name}.csv"
    return Run(
        scores,
        read_predictions(name, folder) if (folder / f"plots/predictions/{name}.csv").exists() else None,
        read_plot(history, na_values=[""]) if history.exists() else None,
        training.get("flops"),
        timing.get("seconds", {}).get("per_epoch"),
    )


def _read(read, path, *arguments):
    """Return what `read` makes of the file at `path`, None where there is no such file."""
    return read(path, *arguments) if path.exists() else None


def _read_pairs(folder):
    table = _read(read_plot, folder / "plots/pairs.csv")
    found = {}
    for row in [] if table is None else table.itertuples():
        better = row.first if row.first_only > row.second_only else row.second
        found[frozenset((row.first, row.second))] = better if row.p_holm < statistics.LEVEL else ""
    return found


def _read_claims(folder):
    table = _read(read_plot, folder / "plots/claims.csv")
    return {} if table is None else {(row.claim, row.report): row.verdict for row in table.itertuples()}


def _read_repeats(folder, params):
    paths = {
        (section, name): folder / f"metrics/evaluate/{section}/{name}.json"
        for section in ("replicates", "folds")
        for name in params.get(section) or {}
    }
    return {key: read_metrics(path, *key) for key, path in paths.items() if path.exists()}


def _read_others(folder):
    paths = {path.relative_to(folder) for path in (folder / "metrics").rglob("*.json")}
    told = {path.relative_to(folder) for pattern in TOLD for path in folder.glob(pattern)}
    others = [path for path in sorted(paths - told) if "timing" not in path.parts]
    return {path.as_posix(): read_metrics(folder / path) for path in others}


def _differ(before, after):
    """Tell whether two Runs of one name scored otherwise, or predicted otherwise."""
    if any(before.scores.get(part) != after.scores.get(part) for part in PARTS):
        return True
    if before.predictions is None or after.predictions is None:
        return before.predictions is not after.predictions
    return not before.predictions.equals(after.predictions)


def _compare(name, before, after, part):
    """Return the Change of run `name`, p not corrected yet."""
    right = [count_right(run.scores[part]) for run in (before, after)]
    tables = [run.predictions for run in (before, after)]
    if not any(table is None for table in tables):
        tables = [table[table["part"] == part] for table in tables]
        if tables[0].index.equals(tables[1].index) and tables[0][KEY].equals(tables[1][KEY]):
            paired = statistics.compare_paired(*(table["right"] for table in tables))
            return Change(name, *right, paired, paired.p, None, None)
    _, low, high = statistics.find_gap(right[1], right[0])
    return Change(name, *right, None, None, low, high)
