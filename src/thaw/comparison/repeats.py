"""How far a run's accuracy rests on chance: its spread over seeds, and its cross-validation over the whole set."""

import itertools
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.comparison import inference
from thaw.comparison.documents import REPETITIONS
from thaw.comparison.inference import wilson_interval
from thaw.comparison.pairs import score_macro
from thaw.comparison.results import Results, Table, read_metrics, read_plot, restore_shares
from thaw.comparison.words import NOT_RUN, escape, percent, say_interval, say_p, say_points, to_markdown

MOST_PAIRS = 10  # of runs over folds that have a sentence each; of more, those that can be told apart


class FoldPair(NamedTuple):
    """Two runs, by name, compared over the folds of one cross-validation."""

    first: str
    second: str
    interval: inference.Interval  # of the accuracy of the first minus that of the second
    p: float  # corrected for all pairs of runs that were cross-validated


class Repeats(NamedTuple):
    """What came of the runs that were trained again; a key of each mapping is the name of a run."""

    listed: dict[str, list[str]]  # section, replicates or folds -> the runs that the parameters name there
    replicates: dict[str, dict[str, Any]]  # the document of thaw.training.seeds.replicate
    folds: dict[str, dict[str, Any]]  # that of thaw.training.folds.crossvalidate
    predictions: dict[str, pd.DataFrame]  # of the folds: fold, actual, predicted, by the id of the photo


def read_repeats(params: Table, folder: str | pathlib.Path = ".") -> Repeats:
    """Return the Repeats that `params` names, from the files below `folder`; what is missing has not been run.

    Raises InputError where a file does not hold what it should.
    """
    folder, found = pathlib.Path(folder), {}
    listed = {"replicates": list(params.replicates), "folds": list(params.folds)}
    for section, names in listed.items():
        files = {name: folder / paths.find_repetition(section, name) for name in names}
        found[section] = {
            name: read_metrics(file, section, name, shape=REPETITIONS[section])
            for name, file in files.items()
            if file.exists()
        }
    text = {"id": str, "actual": str, "predicted": str}
    predictions = {
        name: read_plot(folder / paths.find_fold_predictions(name), text, dtype=text).set_index("id")
        for name in found["folds"]
    }
    return Repeats(listed, found["replicates"], found["folds"], predictions)


def describe_repeats(repeats: Repeats, results: Results) -> str:
    """Return the section on seeds and folds; `results` are those of the table."""
    if not any(repeats.listed.values()):
        return "Each run was trained once: `replicates` and `folds` of `params.yaml` name none to be trained again."
    paragraphs = []
    if repeats.listed["replicates"]:
        paragraphs += _describe_replicates(repeats, results)
    if repeats.listed["folds"]:
        paragraphs += _describe_folds(repeats, results)
    return "\n\n".join(paragraphs)


def _describe_replicates(repeats: Repeats, results: Results) -> list[str]:
    """Return the paragraphs on other seeds: a table and a sentence per run."""
    part = results.part
    parts = list(dict.fromkeys(("validation", part)))
    photos = {key: next(iter(results.scores.values()))[key]["photos"] for key in parts}  # the same ones for every run
    rows, sentences = [], []
    for name in repeats.listed["replicates"]:
        shown = escape(name) + results.marks.get(name, "")
        if name not in repeats.replicates:
            rows.append([shown, NOT_RUN, *["–"] * (len(parts) + 2)])
            continue
        accuracy, seeds = repeats.replicates[name]["accuracy"], len(repeats.replicates[name]["seeds"])
        values = {key: restore_shares(accuracy[key]["values"], photos[key]) for key in parts}
        mean, sd = values[part].mean(), accuracy[part]["sd"]
        error = math.sqrt(mean * (1 - mean) / photos[part])
        spreads = [f"{percent(values[key].mean())} ± {percent(accuracy[key]['sd'])}" for key in parts]
        rows.append(
            [
                shown,
                str(seeds),
                *spreads,
                f"{percent(values[part].min())} – {percent(values[part].max())}",
                percent(error),
            ]
        )
        sentences.append(f"{shown}: {_weigh_seed(sd, seeds, error, part, photos[part])}.")
    header = ["Run", "Seeds", *(f"{key.capitalize()} %" for key in parts), f"Lowest – highest on {part}"]
    header.append("Standard error of one accuracy, points")
    rules = (
        "**Other seeds.** The run trained again, and the frozen run that it starts from, with other first weights of "
        "the head, other dropout and another order of the photos; the table's own training is among them. ± is the "
        "standard deviation over the seeds, which so few of them determine roughly: below the table with its 95 % "
        "interval, from the χ² distribution, for accuracies that scatter normally. The standard error is what the draw "
        f"of the {part} photos alone does to an accuracy."
    )
    return [rules, to_markdown(header, rows), *_list(sentences)]


def _weigh_seed(sd: float, count: int, error: float, part: str, photos: int) -> str:
    """Return which moves an accuracy more: another seed, by `sd` over `count` of them, or other photos, by `error`."""
    low, high = inference.sd_interval(sd, count)
    weight = "so few seeds do not show which weighs more"
    if high < error:
        weight = "the photos weigh more"
    elif low > error:
        weight = "the seed weighs more"
    return (
        f"another seed moves the accuracy on {part} by {percent(sd)} points ({percent(low)} – {percent(high)}), "
        f"{photos:,} other photos would by {percent(error)}: {weight}"
    )


def _describe_folds(repeats: Repeats, results: Results) -> list[str]:
    """Return the paragraphs on cross-validation: a table, and a sentence per pair of runs."""
    header = ["Run", "Folds", "Photos", "Accuracy %", "95 % interval", "SD over folds, points", "Macro F1"]
    header.append(f"{results.part.capitalize()} % in the table")
    rows = [_list_fold_scores(repeats, results, name) for name in repeats.listed["folds"]]
    paragraphs = [
        "**Cross-validation.** The whole set is dealt into folds, every class spread evenly and near duplicates in "
        f"one fold; each fold is predicted by a training on the others, photos of {results.part} among them. So every "
        "photo counts once, in an accuracy with a narrower interval (Wilson's, which takes the trainings as they "
        "are); no epoch is chosen.",
        to_markdown(header, rows),
    ]
    pairs = compare_folds(repeats.predictions)
    if pairs:
        together = f"; the {len(pairs)} p values are corrected together by Holm's method" if len(pairs) > 1 else ""
        paragraphs.append(
            "Fold by fold, by the corrected resampled t-test (Nadeau and Bengio 2003), which widens the interval "
            "because the trainings share photos and assumes that differences between folds scatter normally"
            f"{together}. No estimate from one cross-validation is free of bias (Bengio and Grandvalet 2004)."
        )
    told = pairs if len(pairs) <= MOST_PAIRS else [pair for pair in pairs if pair.p < inference.LEVEL]
    sentences = [_say_fold_pair(pair) for pair in told]
    if len(told) < len(pairs):
        those = f"other {len(pairs) - len(told):,}" if told else f"{len(pairs):,}"
        sentences.append(f"The runs of each of the {those} pairs cannot be told apart.")
    return [*paragraphs, *_list(sentences)]


def _list_fold_scores(repeats: Repeats, results: Results, name: str) -> list[object]:
    """Return the cells of the table of `_describe_folds` for run `name`."""
    shown = escape(name) + results.marks.get(name, "")
    if name not in repeats.folds:
        return [shown, NOT_RUN, *["–"] * 6]
    document, own = repeats.folds[name], results.scores.get(name)
    accuracy, photos = document["accuracy"], document["photos"]
    row = [shown, len(accuracy["values"]), f"{photos:,}", percent(accuracy["pooled"])]
    row.append(say_interval(*wilson_interval(accuracy["pooled"], photos)))
    predictions, pooled = repeats.predictions[name], document["f1"]["pooled"]
    classes = list(results.download["classes"])
    f1 = score_macro(predictions["actual"], predictions["predicted"], classes)["f1"]  # all its digits
    row += [percent(accuracy["sd"]), f"{f1 if round(f1, 6) == pooled else pooled:.4f}"]
    return [*row, percent(own[results.part]["accuracy"]) if own else NOT_RUN]


def compare_folds(
    predictions: Mapping[str, pd.DataFrame], pairs: Iterable[tuple[str, str]] | None = None
) -> list[FoldPair]:
    """Return the FoldPairs of runs that were cross-validated on the same folds, the p values corrected together.

    `predictions` is {run: DataFrame} as Repeats has it; `pairs` are all pairs of its runs unless they are given.
    """
    pairs = [
        (first, second)
        for first, second in (itertools.combinations(predictions, 2) if pairs is None else pairs)
        if predictions[first]["fold"].equals(predictions[second]["fold"])
    ]
    found = [inference.compare_fold_scores(*(_score_folds(predictions[name]) for name in pair)) for pair in pairs]
    corrected = inference.holm([p for _, p in found])
    return [FoldPair(*pair, interval, float(p)) for pair, (interval, _), p in zip(pairs, found, corrected, strict=True)]


def _score_folds(table: pd.DataFrame) -> np.ndarray:
    """Return the accuracy (k,) in [0, 1] of each fold."""
    return (table["actual"] == table["predicted"]).groupby(table["fold"]).mean().to_numpy()


def _say_fold_pair(pair: FoldPair) -> str:
    """Return the sentence about a FoldPair."""
    difference, low, high = map(say_points, pair.interval)
    words = "cannot be told apart from"
    if pair.p < inference.LEVEL:
        words = "is better than" if pair.interval.difference > 0 else "is worse than"
    return (
        f"{escape(pair.first)} {words} {escape(pair.second)}: {difference} points ({low} to {high}), {say_p(pair.p)}."
    )


def _list(sentences: list[str]) -> list[str]:
    """Return the sentences as a Markdown list, a paragraph of its own, or nothing where there is none."""
    return ["\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []
