"""The results of a table as a DataFrame."""

import pathlib
from typing import Any

import pandas as pd

from thaw.base import paths
from thaw.base.names import PARTS
from thaw.comparison.documents import Timed
from thaw.comparison.results import find_run_interval, read_metrics, read_results
from thaw.config.loading import load


def load_results(folder: str | pathlib.Path = ".") -> pd.DataFrame:
    """Return a row for each run of the table at `folder`, the one of dvc.yaml, that has been scored.

    Columns: `name`; `backbone` (text; missing for the baseline CNN); `unfrozen` (text); `epochs` (int, those of the
    frozen run that it starts from among them); `trainable_parameters` (int); `train_accuracy`, `validation_accuracy`
    and `test_accuracy`, shares in [0, 1]; `low` and `high`, the 95 % interval (Wilson) of the accuracy on the part that
    counts; `macro_f1` on that part; `training_seconds` (those of its own epochs); `cut`, the operation behind which the
    run trains; `mark`, of the footnote on its weights, or "". What is not known is NaN.

    `attrs["part"]` is the part that counts: test, or validation where the split has no test part. `attrs["notes"]` has
    the footnotes, each with its mark. Raises InputError where no run has been scored, or a file is damaged.
    """
    folder = pathlib.Path(folder)
    results = read_results(load(folder / paths.PARAMS), folder)
    rows = []
    for run in results.runs:
        scores = results.scores[run.name]
        low, high = find_run_interval(scores, results.part)
        trained = read_metrics(folder / paths.find_training(run.name), run.name)
        rows.append(
            {
                "name": run.name,
                "backbone": run.backbone,
                "unfrozen": run.unfrozen,
                "epochs": sum(run.epochs),
                "trainable_parameters": scores["trainable_parameters"],
                **{f"{part}_accuracy": _find_accuracy(scores, part) for part in PARTS},
                "low": low,
                "high": high,
                "macro_f1": scores[results.part].get("f1", float("nan")),
                "training_seconds": _find_seconds(folder, run.name),
                "cut": trained.get("cut"),
                "mark": results.marks[run.name],
            }
        )
    table = pd.DataFrame(rows)
    table.attrs.update(part=results.part, notes=results.notes)
    return table


def _find_accuracy(scores: dict[str, Any], part: str) -> float:
    return float(scores[part]["accuracy"]) if part in scores else float("nan")


def _find_seconds(folder: pathlib.Path, name: str) -> float:
    """Return how long run `name` trained, or NaN: git has no times of runs that were pulled."""
    path = folder / paths.find_training_time(name)
    if not path.exists():
        return float("nan")
    seconds = read_metrics(path, name, shape=Timed).get("seconds") or {}
    return float(seconds.get("training") or "nan")
