"""How far a run's accuracy rests on chance: its spread over seeds, and its cross-validation over the whole set."""

import itertools
import math
import pathlib
from typing import NamedTuple

import pandas as pd

from thaw import statistics
from thaw.reporting.comparison import judge_pairs, say_pair
from thaw.reporting.results import read_metrics, read_plot
from thaw.reporting.tables import NOT_RUN, percent, say_interval, to_markdown
from thaw.scoring import find_interval


class Repeats(NamedTuple):
    """What came of the runs that were trained again; a key of each mapping is the name of a run."""

    listed: dict[str, list[str]]  # section, replicates or folds -> the runs that the parameters name there
    replicates: dict[str, dict]  # the document of thaw.repeating.replicate
    folds: dict[str, dict]  # that of thaw.repeating.crossvalidate
    predictions: dict[str, pd.DataFrame]  # of the folds: fold, actual, predicted, by the id of the photo


def read_repeats(params, folder="."):
    """Return the Repeats that `params` (thaw.schema.Params) names, from the files below `folder`; what is missing has
    not been run.
    """
    folder, found = pathlib.Path(folder), {}
    listed = {section: list(getattr(params, section)) for section in ("replicates", "folds")}
    for section, names in listed.items():
        paths = {name: folder / f"metrics/evaluate/{section}/{name}.json" for name in names}
        found[section] = {name: read_metrics(path, section, name) for name, path in paths.items() if path.exists()}
    text = {"id": str, "actual": str, "predicted": str}
    predictions = {
        name: read_plot(folder / f"plots/predictions/folds/{name}.csv", dtype=text).set_index("id")
        for name in found["folds"]
    }
    return Repeats(listed, found["replicates"], found["folds"], predictions)


def describe_repeats(repeats, results):
    """Return the section on seeds and folds; `results` (Results) are those of the table."""
    if not any(repeats.listed.values()):
        return "Each run was trained once: `replicates` and `folds` of `params.yaml` name none to be trained again."
    paragraphs = []
    if repeats.listed["replicates"]:
        paragraphs += _describe_replicates(repeats, results)
    if repeats.listed["folds"]:
        paragraphs += _describe_folds(repeats, results)
    return "\n\n".join(paragraphs)


def _describe_replicates(repeats, results):
    """Return the paragraphs on other seeds: a table and a sentence per run."""
    part, rows, sentences = results.part, [], []
    parts = list(dict.fromkeys(("validation", part)))
    photos = next(iter(results.scores.values()))[part]["photos"]  # the same ones for every run
    for name in repeats.listed["replicates"]:
        shown = name + results.marks.get(name, "")
        if name not in repeats.replicates:
            rows.append([shown, NOT_RUN, *["–"] * (len(parts) + 2)])
            continue
        document = repeats.replicates[name]
        counted = document["accuracy"][part]
        error = math.sqrt(counted["mean"] * (1 - counted["mean"]) / photos)
        row = [shown, len(document["seeds"])]
        for score in (document["accuracy"][key] for key in parts):
            row.append(f"{percent(score['mean'])} ± {percent(score['sd'])}")
        row += [f"{percent(min(counted['values']))} – {percent(max(counted['values']))}", percent(error)]
        rows.append(row)
        low, high = statistics.find_sd_interval(counted["sd"], len(document["seeds"]))
        weight = "so few seeds do not show which weighs more"
        if high < error:
            weight = "the photos weigh more"
        elif low > error:
            weight = "the seed weighs more"
        sentences.append(
            f"{shown}: another seed moves the accuracy on {part} by {percent(counted['sd'])} points "
            f"({percent(low)} – {percent(high)}), {photos:,} other photos would by {percent(error)}: {weight}."
        )
    header = ["Run", "Seeds", *(f"{key.capitalize()} %" for key in parts), f"Lowest – highest on {part}"]
    header.append("Standard error of one accuracy, points")
    return [
        "**Other seeds.** The run trained again, and the frozen run that it starts from, with other first weights of "
        "the head, other dropout and another order of the photos; the table's own training is among them. ± is the "
        "standard deviation over the seeds, which so few of them tell roughly: below the table with its 95 % interval, "
        "from the χ² distribution, for accuracies that scatter normally. The standard error is what the draw of the "
        f"{part} photos alone does to an accuracy.",
        to_markdown(header, rows),
        *_list(sentences),
    ]


def _describe_folds(repeats, results):
    """Return the paragraphs on cross-validation: a table, and a sentence per pair of runs."""
    rows = []
    for name in repeats.listed["folds"]:
        shown = name + results.marks.get(name, "")
        if name not in repeats.folds:
            rows.append([shown, NOT_RUN, *["–"] * 6])
            continue
        document = repeats.folds[name]
        accuracy, photos = document["accuracy"], document["photos"]
        low, high = find_interval(accuracy["pooled"], photos)
        row = [shown, len(accuracy["values"]), f"{photos:,}", percent(accuracy["pooled"])]
        row += [say_interval(low, high), percent(accuracy["sd"]), f"{document['f1']['pooled']:.4f}"]
        own = results.scores.get(name)
        rows.append([*row, percent(own[results.part]["accuracy"]) if own else NOT_RUN])
    header = ["Run", "Folds", "Photos", "Accuracy %", "95 % interval", "SD over folds, points", "Macro F1"]
    header.append(f"{results.part.capitalize()} % in the table")
    pairs, sentences = compare_folds(repeats.predictions), []
    for pair in pairs:
        sentences.append(say_pair(pair, pair.paired.photos))
    return [
        "**Cross-validation.** The whole set is dealt into folds, every class spread evenly and near duplicates in one "
        "fold; each fold is predicted by a training on the others. So every photo counts once, in an accuracy with a "
        "narrower interval (Wilson's); no epoch is chosen. The trainings share most of their photos, which neither "
        "such an interval nor a test takes into account: no estimate from one cross-validation can, without a bias "
        "(Bengio and Grandvalet 2004).",
        to_markdown(header, rows),
        *(
            [
                "Photo by photo, on the same folds (McNemar's exact test"
                + (f", the {len(pairs)} p values corrected together by Holm's method" if len(pairs) > 1 else "")
                + "):"
            ]
            if pairs
            else []
        ),
        *_list(sentences),
    ]


def compare_folds(predictions):
    """Return the Pairs of all runs that were cross-validated on the same folds, the p values corrected together.

    `predictions` is {run: DataFrame} as Repeats has it.
    """
    pairs = [
        (first, second)
        for first, second in itertools.combinations(predictions, 2)
        if predictions[first]["fold"].equals(predictions[second]["fold"])
    ]
    right = {name: table["actual"] == table["predicted"] for name, table in predictions.items()}
    return judge_pairs(pairs, right)


def _list(sentences):
    """Return the sentences as a Markdown list, a paragraph of its own, or nothing where there is none."""
    return ["\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []
