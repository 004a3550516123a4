"""What two revisions of the project say, and where they differ."""

import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError, kind
from thaw.base.names import BASELINE, PARTS
from thaw.comparison import inference
from thaw.comparison.documents import REPETITIONS, Best, Evaluation, Timed, Trained
from thaw.comparison.pairs import count_right, read_history, read_predictions
from thaw.comparison.results import read_metrics, read_plot
from thaw.config.loading import read_yaml

NOTICED = 0.2  # share by which seconds must differ: measured times vary


TOLD = (  # elsewhere in the review
    "metrics/evaluate/*.json",
    "metrics/evaluate/replicates/*.json",
    "metrics/evaluate/folds/*.json",
    "metrics/headline/*.json",
    "metrics/train/*.json",
    paths.SUMMARY,
)


KEY = ["part", "actual"]  # columns that are the same where two runs saw the same photos


PAIRED, COMPARED = ("first", "second"), ("first_only", "second_only", "p_holm")  # columns of plots/pairs.csv


JUDGED = ("claim", "report", "verdict")  # columns of plots/claims.csv


class Run(NamedTuple):
    """What a revision says of one run; None where it has no such file."""

    scores: dict[str, Any]  # the document of its evaluation
    predictions: pd.DataFrame | None  # as read_predictions returns them
    history: pd.DataFrame | None  # a row for each epoch of its own
    flops: dict[str, float] | None  # for one image: forward, prefix, training_step
    seconds: float | None  # an epoch


class Side(NamedTuple):
    """What a revision says."""

    params: dict[str, Any]  # params.yaml as it stands: another revision may have other sections than this code knows
    listed: list[str]  # the names of all runs in it
    runs: dict[str, Run]  # those that have been run
    summary: dict[str, Any]  # of metrics/summary.json
    pairs: dict[frozenset[str], str]  # of two runs -> which one is better, or ""
    claims: dict[tuple[str, str], str]  # (claim, report) -> verdict
    repeats: dict[tuple[str, str], dict[str, Any]]  # (replicates or folds, run) -> its scores over seeds or folds
    others: dict[str, Any]  # all other metrics but times, flattened


class Change(NamedTuple):
    """The accuracy of one run on both sides."""

    name: str
    before: tuple[int, int]  # (right, photos)
    after: tuple[int, int]
    paired: inference.Paired | None  # the base first; None where the photos are not the same
    p: float  # of the paired test, corrected for all the changes; no number without one
    low: float  # of the 95 % interval of the difference, where the photos are not the same; else no number
    high: float

    @property
    def points(self) -> float:
        """The change of accuracy in points."""
        (right, photos), (before, photos_before) = self.after, self.before
        return 100 * (right / photos - before / photos_before)

    @property
    def real(self) -> bool:
        """Whether it is more than chance."""
        if self.paired:
            return self.p < inference.LEVEL
        return not self.low <= 0 <= self.high


def read_side(folder: pathlib.Path) -> Side:
    """Return the Side of the files at `folder`; raises InputError where one of them cannot be read."""
    params = read_yaml(folder / paths.PARAMS)
    listed = [BASELINE] if params.get(BASELINE) else []
    listed += [*_list_entries(params, "frozen"), *_list_entries(params, "finetune")]
    runs = {name: _read_run(folder, name) for name in listed if (folder / paths.find_evaluation(name)).exists()}
    summary = _read(read_metrics, folder / paths.SUMMARY, "summary", shape=Best) or {}
    return Side(
        params,
        listed,
        runs,
        summary,
        _read_pairs(folder),
        _read_claims(folder),
        _read_repeats(folder, params),
        flatten(_read_others(folder, params)),
    )


def choose_part(*sides: Side) -> str:
    """Return the part that counts: test, or validation where a run has no scores on test."""
    tested = all("test" in run.scores for side in sides for run in side.runs.values())
    return "test" if tested else "validation"


def find_photos(side: Side, part: str) -> tuple[str | None, pd.DataFrame | None]:
    """Return (digest of all photos, a row for each one of `part`: part, actual class, by id), None for what is lost."""
    table = next((run.predictions for run in side.runs.values() if run.predictions is not None), None)
    shown = None if table is None else table.loc[table["part"] == part, KEY].sort_index()
    return side.others.get(f"{paths.DOWNLOADED}.download.digest"), shown


def find_changes(before: Side, after: Side, part: str) -> list[Change]:
    """Return the Changes of the runs whose scores or predictions differ between two Sides.

    Those that are more than chance come first, then by size.
    """
    found = [
        _compare(name, before.runs[name], run, part)
        for name, run in after.runs.items()
        if name in before.runs and _differ(before.runs[name], run)
    ]
    tests = [change for change in found if change.paired]
    adjusted = inference.holm([change.p for change in tests])
    corrected = {change.name: float(p) for change, p in zip(tests, adjusted, strict=True)}
    found = [change._replace(p=corrected.get(change.name, math.nan)) for change in found]
    return sorted(found, key=lambda change: (not change.real, -abs(change.points)))


def find_verdicts(run: Run) -> dict[str, bool]:
    """Return {verdict: whether it holds} on how a Run trained, {} where it left no learning curve."""
    if run.history is None:
        return {}
    found = inference.judge_history(run.history, *(count_right(run.scores[part]) for part in ("train", "validation")))
    return {key: found[key] for key in ("overfitting", "unstable")}


def find_costs(before: Run, after: Run) -> dict[str, tuple[float, float]]:
    """Return {what: (before, after)} of what two Runs of one name cost, where it differs."""
    pairs = {"trainable parameters": (before.scores["trainable_parameters"], after.scores["trainable_parameters"])}
    if before.flops and after.flops:
        steps = before.flops["training_step"] / 1e9, after.flops["training_step"] / 1e9
        pairs["GFLOPs to train on a photo"] = steps
    found = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    if before.seconds and after.seconds and abs(after.seconds / before.seconds - 1) > NOTICED:
        found["seconds an epoch"] = before.seconds, after.seconds
    return found


def compare(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, tuple[Any, Any]]:
    """Return {key: (before, after)} of two mappings, where they differ; None stands for a key that is not there."""
    keys = dict.fromkeys([*before, *after])
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def flatten(document: Mapping[str, Any], depth: int = 9) -> dict[str, Any]:
    """Return {"a.b.c": value} of nested mappings, `depth` levels of them."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        inner = flatten(value, depth - 1) if isinstance(value, dict) and value and depth > 1 else {"": value}
        found |= {f"{key}.{rest}" if rest else str(key): value for rest, value in inner.items()}
    return found


def compare_params(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return {key: (before, after)} of two documents of params.yaml, where they differ.

    An entry that only one of them has, such as a run, is one key.
    """
    before, after = flatten(before, 2), flatten(after, 2)
    found: dict[str, tuple[Any, Any]] = {}
    for key, (first, second) in compare(before, after).items():
        if isinstance(first, dict) and isinstance(second, dict):
            found |= {f"{key}.{inner}": pair for inner, pair in compare(flatten(first), flatten(second)).items()}
        else:
            found[key] = (first, second)
    return found


def _list_entries(params: Mapping[str, Any], section: str) -> list[str]:
    """Return the names in a section of params.yaml that has runs; raises InputError where it is no mapping of names."""
    entries = params.get(section) or {}
    if not isinstance(entries, dict):
        raise InputError(f"{paths.PARAMS}: {section}: must be a mapping (got {kind(entries)})")
    return [str(name) for name in entries]


def _read_run(folder: pathlib.Path, name: str) -> Run:
    scores = read_metrics(folder / paths.find_evaluation(name), name, shape=Evaluation)
    training = _read(read_metrics, folder / paths.find_training(name), name, shape=Trained) or {}
    timing = _read(read_metrics, folder / paths.find_training_time(name), name, shape=Timed) or {}
    return Run(
        scores,
        read_predictions(name, folder) if (folder / paths.find_predictions(name)).exists() else None,
        read_history(name, folder) if (folder / paths.find_history(name)).exists() else None,
        training.get("flops"),
        (timing.get("seconds") or {}).get("per_epoch"),
    )


def _read(read: Callable[..., Any], path: pathlib.Path, *arguments: Any, **options: Any) -> Any:
    """Return what `read` makes of the file at `path`, None where there is no such file."""
    return read(path, *arguments, **options) if path.exists() else None


def _read_pairs(folder: pathlib.Path) -> dict[frozenset[str], str]:
    table = _read(read_plot, folder / paths.PAIRS, PAIRED, COMPARED, dtype=dict.fromkeys(PAIRED, str))
    found = {}
    for row in [] if table is None else table.itertuples():
        better = row.first if row.first_only > row.second_only else row.second
        found[frozenset((row.first, row.second))] = better if row.p_holm < inference.LEVEL else ""
    return found


def _read_claims(folder: pathlib.Path) -> dict[tuple[str, str], str]:
    table = _read(read_plot, folder / paths.CLAIMS, JUDGED, dtype=str)
    return {} if table is None else {(row.claim, row.report): row.verdict for row in table.itertuples()}


def _read_repeats(folder: pathlib.Path, params: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    found = {
        (section, name): folder / paths.find_repetition(section, name)
        for section in ("replicates", "folds")
        for name in _list_entries(params, section)
    }
    return {key: read_metrics(path, *key, shape=REPETITIONS[key[0]]) for key, path in found.items() if path.exists()}


def _read_others(folder: pathlib.Path, params: Mapping[str, Any]) -> dict[str, Any]:
    listed = {paths.find_weights_metrics: "backbones", paths.find_export_scores: "export"}
    told = {
        path.relative_to(folder)
        for find, section in listed.items()
        for path in folder.glob(find("*"))
        if path.stem not in _list_entries(params, section)
    }
    there = {path.relative_to(folder) for path in (folder / "metrics").rglob("*.json")}
    told |= {path.relative_to(folder) for pattern in TOLD for path in folder.glob(pattern)}
    others = [path for path in sorted(there - told) if "timing" not in path.parts]
    return {path.as_posix(): read_metrics(folder / path) for path in others}


def _differ(before: Run, after: Run) -> bool:
    """Tell whether two Runs of one name scored otherwise, or predicted otherwise."""
    if any(before.scores.get(part) != after.scores.get(part) for part in PARTS):
        return True
    if before.predictions is None or after.predictions is None:
        return before.predictions is not after.predictions
    return not before.predictions.equals(after.predictions)


def _compare(name: str, before: Run, after: Run, part: str) -> Change:
    """Return the Change of run `name`, p not corrected yet."""
    was, now = (count_right(run.scores[part]) for run in (before, after))
    if before.predictions is not None and after.predictions is not None:
        first, second = (table[table["part"] == part] for table in (before.predictions, after.predictions))
        if first.index.equals(second.index) and first[KEY].equals(second[KEY]):
            paired = inference.mcnemar(first["right"], second["right"])
            return Change(name, was, now, paired, paired.p, math.nan, math.nan)
    _, low, high = inference.newcombe_interval(now, was)
    return Change(name, was, now, None, math.nan, low, high)
