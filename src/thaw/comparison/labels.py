"""Labels that may be wrong, by confident learning on the probabilities of a cross-validation.

Source: C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. Journal of
Artificial Intelligence Research 70, 2021, https://arxiv.org/abs/1911.00068. A training that saw neither the photo nor
its near duplicates gives each class a probability; a class whose probability is above the mean that photos of this
class reach is confidently another, and the counts of such photos say how many labels of each class to prune.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.comparison.repeats import Repeats
from thaw.comparison.results import Results
from thaw.comparison.words import escape, say_count, to_markdown

COLUMNS = ["rank", "id", "class", "suggested", "confidence"]
DIGITS = 5  # as the predictions have them

# A paragraph of report.md; in report.html the photos stand in its place.
SUSPECTS = "The first of these photos, with their credits, are in `report/report.html`: git keeps no photos."


class LabelIssues(NamedTuple):
    """The labels that may be wrong."""

    run: str | None  # whose cross-validation they are from; None where no run has one
    reason: str | None  # why its predictions cannot be used
    photos: int  # of the set
    table: pd.DataFrame  # COLUMNS: the least confident first; confidence is the probability of the given class


def find_issues(repeats: Repeats) -> LabelIssues:
    """Return the LabelIssues by the cross-validated run with the highest pooled accuracy, of equals the first."""
    empty = pd.DataFrame(columns=COLUMNS)
    if not repeats.folds:
        return LabelIssues(None, None, 0, empty)
    run = max(repeats.folds, key=lambda name: repeats.folds[name]["accuracy"]["pooled"])
    table = repeats.predictions[run]
    classes = [str(name).removeprefix("p_") for name in table if str(name).startswith("p_")]
    file = f"`{paths.find_fold_predictions(run)}`"
    again = f"the folds must run again: `./run dvc repro --force --single-item crossvalidate@{run}`"
    if not classes:
        reason = f"{file} holds no probabilities, as in earlier versions; {again}"
    elif unknown := sorted(set(table["actual"]) - set(classes)):
        reason = f"{file} holds no probability of {escape(unknown[0])}; {again}"
    else:
        probabilities = table[[f"p_{name}" for name in classes]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        if np.isfinite(probabilities).all():
            found = rank_issues(table["actual"].to_numpy(str), probabilities, classes)
            return LabelIssues(run, None, len(table), found.assign(id=table.index.to_numpy()[found["id"]]))
        reason = f"{file} holds probabilities that are no numbers, as a training does that diverged"
    return LabelIssues(run, reason, len(table), empty)


def rank_issues(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return a row for each label that may be wrong, with COLUMNS; `id` is the number of the photo, from 0.

    `labels` (n,) str are the given classes, `probabilities` (n, classes) in [0, 1] come from trainings without the
    photo. Ranked by the probability of the given class, the lowest first, of equals the first photo.
    """
    from cleanlab.filter import find_label_issues  # here: it takes seconds to load

    given = np.array([classes.index(label) for label in labels])
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)  # they are rounded
    flagged = np.flatnonzero(find_label_issues(given, shares, n_jobs=1))
    confidence = probabilities[flagged, given[flagged]]
    order = np.lexsort((flagged, confidence))
    chosen, names = flagged[order], np.array(classes)
    values = range(1, len(chosen) + 1), chosen, labels[chosen], names[shares[chosen].argmax(axis=1)]
    return pd.DataFrame(dict(zip(COLUMNS, (*values, confidence[order].round(DIGITS)), strict=True)))


def describe_issues(issues: LabelIssues, results: Results) -> str:
    """Return the section on labels that may be wrong."""
    if issues.run is None:
        return (
            "A cross-validation shows which labels may be wrong: a training without a photo is sure that it shows "
            "another class. There is none: `folds` of `params.yaml` names no run that has been cross-validated."
        )
    name = escape(issues.run) + results.marks.get(issues.run, "")
    if issues.reason:
        return f"Which labels may be wrong cannot be told from the folds of {name}: {issues.reason}."
    text = (
        f"By the folds of {name}, the most accurate of the runs that were cross-validated, "
        f"{say_count(len(issues.table), 'label')} of {issues.photos:,} may be wrong. "
        "Confident learning (Northcutt, Jiang and Chuang 2021) compares the probabilities of each photo, from a "
        "training without it and its near duplicates, with those that photos of a class reach on average. "
        "A photo in the list can have the right label and be hard: look before you change one. "
        f"All stand in `{paths.LABEL_ISSUES}`, the one whose given class is least likely first."
    )
    if issues.table.empty:
        return text
    counts = issues.table["class"].value_counts()
    pairs = issues.table.groupby(["class", "suggested"]).size()
    rows = []
    for label in sorted(counts.index, key=lambda label: (-counts[label], label)):
        likeliest = pairs[label].sort_index().sort_values(ascending=False, kind="stable")
        rows.append([escape(label), f"{counts[label]:,}", f"{escape(likeliest.index[0])} ({likeliest.iloc[0]:,})"])
    table = to_markdown(["Given class", "Labels that may be wrong", "Suggested most often"], rows)
    return f"{text}\n\n{table}\n\n{SUSPECTS}"
