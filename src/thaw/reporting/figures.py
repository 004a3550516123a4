"""The figures of the report: of each its name, what is to be seen in words, the table behind it, and its drawing."""

import functools
from typing import Callable, NamedTuple

import numpy as np
import pandas as pd
import sklearn.metrics
from matplotlib.figure import Figure

from thaw import plotting
from thaw.reporting import published
from thaw.reporting.comparison import count_right, find_frozen_share, measure_calibration
from thaw.reporting.results import find_run_interval, rank_runs, read_classes
from thaw.reporting.tables import interval, name_network, percent, read_timing
from thaw.scoring import find_interval

STEM, TOP = "stem", "top"  # what thaw.pretraining calls a backbone's layers before its first block and behind its last


class Drawing(NamedTuple):
    """A figure that is drawn when it is asked for."""

    name: str  # of its files
    words: str  # what is to be seen, for those who do not see it
    table: pd.DataFrame  # its data
    draw: Callable[[], Figure]


def list_drawings(evidence, folder="."):
    """Return the Drawings of the report on `evidence` (comparison.Evidence), in order; reads the scores by class below
    `folder`.
    """
    results, part, runs = evidence.results, evidence.results.part, tabulate_runs(evidence)
    best, notes = evidence.best, results.notes
    score = f"{percent(results.scores[best][part]['accuracy'])} % ({interval(results.scores[best], part)} %)"
    counted = f"{part} accuracy of {len(runs)} runs"
    drawings = [
        Drawing(
            "overview",
            f"{counted}, each with its 95 % interval; {best}, best on validation, has {score}",
            runs[["run", "thaws", "family", "part", "accuracy", "low", "high", "footnote"]],
            functools.partial(plotting.draw_overview, runs, part, best, notes),
        ),
        *_list_backbones(evidence, runs),
        Drawing(
            "experiments",
            f"{counted} by their number in the table, with the accuracies on train and validation",
            runs[["number", "run", "part", "accuracy", "low", "high", "train", "validation"]],
            functools.partial(plotting.draw_experiments, runs, part, notes),
        ),
        Drawing(
            "strategies",
            f"{counted} by what thaws, the backbones beside each other; best on validation: "
            f"{_say_best_strategies(runs, rank_runs(results))}",
            runs[["thaws", "family", "run", "part", "accuracy", "low", "high"]],
            functools.partial(plotting.draw_strategies, runs, part, notes),
        ),
        Drawing(
            "parameters",
            f"{counted} against trainable parameters; on the Pareto front: {_list_front(runs, 'trainable_parameters')}",
            _mark_front(runs, "trainable_parameters", part),
            functools.partial(
                plotting.draw_tradeoff, runs, "trainable_parameters", "trainable parameters", part, notes
            ),
        ),
        _list_classes(evidence, folder),
        *_list_reliability(evidence),
        *(_list_published(results) if published.is_tf_flowers(results) else []),
    ]
    for run in results.runs:
        drawings += _list_run(evidence, run)
    return drawings


def draw_latency(evidence, folder="."):
    """Return the Drawing of accuracy against milliseconds an image, as measured: it differs from run to run.

    The runs of a backbone are one forward pass, so they share the shortest time that was measured for any of them.
    """
    runs, part = tabulate_runs(evidence), evidence.results.part
    times = [read_timing(folder, "evaluate", name)["ms_per_image"] for name in runs["run"]]
    runs["milliseconds"] = [time["batch_1"]["median"] for time in times]
    runs["milliseconds"] = runs.groupby("group")["milliseconds"].transform("min")
    return Drawing(
        "latency",
        f"{part} accuracy of {len(runs)} runs against milliseconds an image; on the Pareto front: "
        f"{_list_front(runs, 'milliseconds')}",
        _mark_front(runs, "milliseconds", part),
        functools.partial(
            plotting.draw_tradeoff, runs, "milliseconds", "milliseconds an image, one at a time", part,
            ["The runs of a backbone are one forward pass: the shortest time measured.", *evidence.results.notes],
        ),
    )  # fmt: skip


def tabulate_runs(evidence):
    """Return a row per run: what it is, its accuracies in [0, 1], the interval of the part that counts, its size."""
    results, part, rows = evidence.results, evidence.results.part, []
    for number, run in enumerate(results.listed, start=1):
        if not results.has(run):
            continue
        scores, mark = results.scores[run.name], results.marks[run.name]
        low, high = find_run_interval(scores, part)
        rows.append(
            {
                "number": number,
                "run": run.name,
                "mark": mark,
                "thaws": run.thaws,
                "kind": run.kind,
                "family": name_family(results, run),
                "group": run.backbone or "",
                "part": part,
                "accuracy": scores[part]["accuracy"],
                "low": round(low, 6),
                "high": round(high, 6),
                "train": scores["train"]["accuracy"],
                "validation": scores["validation"]["accuracy"],
                "trainable_parameters": scores["trainable_parameters"],
                "footnote": " ".join(find_notes(results, run)).removeprefix(mark).strip(),
            }
        )
    return pd.DataFrame(rows)


def name_family(results, run):
    """Return the family of networks whose colour and marker a Run is drawn with."""
    return results.weights[run.backbone]["architecture"] if run.backbone else plotting.SCRATCH


def name_backbones(results):
    """Return {entry of `backbones`: what a heading calls it}: its architecture, the entry where others share that."""
    runs = {run.backbone: run for run in results.runs if run.backbone}
    names = {backbone: name_network(results, run) for backbone, run in runs.items()}
    return {backbone: name if list(names.values()).count(name) == 1 else backbone for backbone, name in names.items()}


def find_notes(results, run):
    """Return the footnotes of a Run: one, or none."""
    mark = results.marks[run.name]
    return [note for note in results.notes if mark and note.startswith(f"{mark} ")]


def _list_backbones(evidence, runs):
    """Return the Drawing of the cuts, none where every run is from scratch."""
    results = evidence.results
    names = name_backbones(results)
    if not names:
        return []
    networks, rows = {}, []
    for backbone, name in names.items():
        document = results.weights[backbone]
        blocks = pd.DataFrame(document["blocks"])
        blocks["flops"] /= blocks["flops"].iloc[-1]
        networks[backbone] = (name, blocks)
        rows += [(backbone, "block", block.end, round(block.flops, 6)) for block in blocks.itertuples()]
    shown = runs[runs["group"] != ""].copy()
    shown["frozen"] = [find_frozen_share(evidence, name) for name in shown["run"]]
    rows += [(run.group, run.run, evidence.cuts[run.run], round(run.frozen, 6)) for run in shown.itertuples()]
    table = pd.DataFrame(rows, columns=["backbone", "block_or_run", "ends_or_is_cut_after", "flops_before"])
    count = f"{len(networks)} backbone{'s' if len(networks) != 1 else ''}"
    words = f"the blocks of {count}, and below each the runs: what is frozen before the cut, and what lies behind it"
    return [Drawing("cuts", words, table, functools.partial(plotting.draw_cuts, networks, shown, results.notes))]


def join_histories(evidence, run):
    """Return (history, thawed_after): the learning curves of a Run from its first epoch with a head on.

    A fine-tuned run goes on where its frozen run ended, the epochs numbered on; `thawed_after` is the last epoch before
    part of the backbone was opened, None where none was, or where the frozen run has not been run.
    """
    names = [name for name in (run.start, run.name) if name in evidence.histories]
    tables = [evidence.histories[name] for name in names]
    history = pd.concat(tables, ignore_index=True)
    history["epoch"] = range(1, len(history) + 1)
    return history, len(tables[0]) if len(tables) > 1 else None


def count_confusion(evidence, name, part):
    """Return (counts (classes, classes) int, classes) of run `name` on `part`: actual by row, predicted by column."""
    table = evidence.predictions[name]
    table = table[table["part"] == part]
    classes = sorted({*table["actual"], *table["predicted"]})
    return sklearn.metrics.confusion_matrix(table["actual"], table["predicted"], labels=classes), classes


def _list_classes(evidence, folder):
    """Return the Drawing of F1 by class: a panel per backbone with the baseline, its best frozen and fine-tuned run."""
    results, part, tables = evidence.results, evidence.results.part, []
    ranking = rank_runs(results)
    runs = sorted(results.runs, key=lambda run: ranking.index(run.name))
    names = name_backbones(results)
    for backbone in names or [None]:
        chosen = [
            next((run for run in runs if run.kind == kind and run.backbone in (backbone, None)), None)
            for kind in ("baseline", "frozen", "finetuned")
        ]
        for run in filter(None, chosen):
            scores = read_classes(run.name, part, folder)[["class", "f1"]]
            looks = {"mark": results.marks[run.name], "kind": run.kind, "family": name_family(results, run)}
            tables.append(scores.assign(panel=names.get(backbone, ""), run=run.name, **looks))
    table = pd.concat(tables, ignore_index=True)
    words = f"F1 of each class on {part}, for each backbone the baseline, its best frozen and its best fine-tuned run"
    shown = list(dict.fromkeys(table["run"] + table["mark"]))
    return Drawing(
        "classes",
        words,
        table[["panel", "run", "kind", "class", "f1"]],
        functools.partial(plotting.draw_classes, table, part, [f"Runs: {', '.join(shown)}.", *results.notes]),
    )


def _list_reliability(evidence):
    """Return the Drawing of the reliability diagrams, none where no run has probabilities that are numbers."""
    results, part = evidence.results, evidence.results.part
    panels, tables = [], []
    for run in results.runs:
        found = measure_calibration(evidence, run.name, part)
        if found:
            error, bins = found
            panels.append((run.name + results.marks[run.name], error, bins))
            tables.append(bins.round(6).assign(run=run.name, calibration_error=round(error, 6)))
    if not panels:
        return []
    title, least, _ = min(panels, key=lambda panel: panel[1])
    words = f"reliability diagrams of {len(panels)} runs on {part}; {title} errs least, by {100 * least:.1f} %"
    draw = functools.partial(plotting.draw_reliability, panels, part, results.notes)
    return [Drawing("reliability", words, pd.concat(tables, ignore_index=True), draw)]


def _list_published(results):
    """Return the Drawing of the published accuracies beside ours, none where no published row has a run of ours."""
    table = tabulate_published(results)
    if table.empty:
        return []
    count = len(table[["report", "row"]].drop_duplicates())
    words = f"{count} published accuracies beside those measured here, each with its interval where it is known"
    notes = ["What was open is what the parameters and labels of a report leave possible. “v”: of validation."]
    draw = functools.partial(plotting.draw_published, table, [*notes, *results.notes])
    return [Drawing("published", words, table.drop(columns=["mark", "family"]), draw)]


def tabulate_published(results):
    """Return a row for each published row and run of ours that opened the same: both accuracies with their intervals.

    An interval is not a number where the number of photos is not known.
    """
    rows = []
    for row in published.read_published().to_dict("records"):
        match = published.match_row(results, row)
        share = float(row[published.COLUMNS[match.part]])
        theirs = find_interval(share, match.photos) if match.photos else (np.nan, np.nan)
        for run in match.runs:
            right, photos = count_right(results.scores[run.name][match.ours])
            ours = find_interval(right / photos, photos)
            rows.append(
                {
                    "report": row["report"],
                    "row": row["row"],
                    "published_as": published.name_row(row) + ("\u00a0(v)" if match.part == "validation" else ""),
                    "run": run.name,
                    "mark": results.marks[run.name],
                    "family": name_family(results, run),
                    "published": share,
                    "published_low": round(theirs[0], 6),
                    "published_high": round(theirs[1], 6),
                    "measured": round(right / photos, 6),
                    "measured_low": round(ours[0], 6),
                    "measured_high": round(ours[1], 6),
                }
            )
    return pd.DataFrame(rows)


def _list_run(evidence, run):
    """Return the Drawings of a Run alone: its learning curves and its confusion matrix."""
    results, part, mark = evidence.results, evidence.results.part, evidence.results.marks[run.name]
    notes, scores = find_notes(results, run), evidence.results.scores[run.name]
    history, thawed_after = join_histories(evidence, run)
    counts, classes = count_confusion(evidence, run.name, part)
    photos = scores[part]["photos"]
    errors = photos - count_right(scores[part])[0]
    cells = pd.DataFrame(counts, index=classes, columns=classes).rename_axis("actual").rename_axis("predicted", axis=1)
    title = f"{run.name}{mark}: {part}, {photos:,} photos"
    return [
        Drawing(
            f"curves-{run.name}",
            f"learning curves of {run.name}: {percent(scores['train']['accuracy'])} % of train right at the end, "
            f"{percent(scores['validation']['accuracy'])} % of validation",
            history,
            functools.partial(plotting.draw_curves, history, thawed_after, f"{run.name}{mark}: {run.thaws}", notes),
        ),
        Drawing(
            f"confusion-{run.name}",
            f"confusion matrix of {run.name}: {errors:,} of {photos:,} photos of {part} wrong",
            cells.stack().rename("photos").reset_index(),
            functools.partial(plotting.draw_confusion, counts, classes, title, notes),
        ),
    ]


def _say_best_strategies(runs, ranking):
    """Return the strategy of each family that is first in `ranking`, and what it reaches, in words."""
    best = runs.set_index("run").loc[ranking].drop_duplicates("family")
    return ", ".join(f"{row.family} {100 * row.accuracy:.1f} % with {row.thaws}" for row in best.itertuples())


def _list_front(runs, cost):
    return ", ".join(runs["run"][plotting.find_front(runs[cost], runs["accuracy"])])


def _mark_front(runs, cost, part):
    """Return the table behind a trade-off: the runs with their cost, and whether they are on the Pareto front."""
    front = plotting.find_front(runs[cost], runs["accuracy"])
    return runs[["number", "run", "family", cost, "part", "accuracy", "low", "high"]].assign(pareto_front=front)
