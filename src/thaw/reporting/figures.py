"""The figures of the report: of each its name, what is to be seen in words, the table behind it, and its drawing."""

import functools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from thaw.comparison import published
from thaw.comparison.inference import wilson_interval
from thaw.comparison.pairs import Evidence, count_right, find_calibration, find_frozen_share
from thaw.comparison.results import Results, Run, find_run_interval, rank_runs, read_classes
from thaw.comparison.words import escape, interval, percent, say_count
from thaw.reporting import plotting
from thaw.reporting.tables import name_network
from thaw.reporting.timing import Latency

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """A figure that is drawn when it is asked for."""

    name: str  # of its files
    words: str  # what is to be seen, in Markdown, for those who do not see it
    table: pd.DataFrame  # its data
    draw: Callable[[], "Figure"]


def list_drawings(evidence: Evidence, folder: str | pathlib.Path = ".") -> list[Drawing]:
    """Return the Drawings of the report on `evidence`, in order; reads the scores by class below `folder`."""
    results, runs = evidence.results, tabulate_runs(evidence)
    drawings = [
        _show_overview(evidence, runs),
        *_list_cuts(evidence, runs),
        _show_tradeoff("parameters", evidence, runs, "trainable_parameters", "trainable parameters"),
        _show_classes(evidence, folder),
        *_list_reliability(evidence),
        *_list_published(results),
    ]
    shown = [run for run in results.shown if results.has(run)]
    limits = plotting.find_limits(join_histories(evidence, run)[0] for run in shown if run.backbone)
    for run in shown:
        drawings += [_show_curves(evidence, run, limits if run.backbone else None), _show_confusion(evidence, run)]
    return drawings


def draw_latency(evidence: Evidence, latencies: Mapping[str, Latency]) -> Drawing | None:
    """Return the Drawing of accuracy against milliseconds an image, as measured, or None where nothing was.

    Each run has the median of the run that was timed for its network, at one image at a time, from `latencies` {run:
    Latency}; a run without any is left out, and a note names it.
    """
    runs = tabulate_runs(evidence)
    medians = {
        name: latency.milliseconds["batch_1"]["median"]
        for name, latency in latencies.items()
        if latency.milliseconds is not None
    }
    timed = runs["run"].isin(medians)
    missing = ", ".join((runs["run"] + runs["mark"])[~timed])
    runs = runs[timed].reset_index(drop=True)
    if runs.empty:
        return None
    runs["milliseconds"] = runs["run"].map(medians)
    notes = ["Runs of one network are the same forward pass, which is timed once."]
    notes += [f"Not timed, left out: {missing}."] if missing else []
    return _show_tradeoff("latency", evidence, runs, "milliseconds", "milliseconds an image, one at a time", notes)


def tabulate_runs(evidence: Evidence) -> pd.DataFrame:
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
                "unfrozen": run.unfrozen,
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


def name_family(results: Results, run: Run) -> str:
    """Return the family of networks whose colour and marker a Run is drawn with."""
    return results.weights[run.backbone]["architecture"] if run.backbone else plotting.SCRATCH


def name_backbones(results: Results) -> dict[str, str]:
    """Return {entry of `backbones`: what a heading calls it}: its architecture, the entry where others share that."""
    runs = {run.backbone: run for run in results.runs if run.backbone}
    names = {backbone: name_network(results, run) for backbone, run in runs.items()}
    return {backbone: name if list(names.values()).count(name) == 1 else backbone for backbone, name in names.items()}


def find_notes(results: Results, run: Run) -> list[str]:
    """Return the footnotes of a Run: one, or none."""
    mark = results.marks[run.name]
    return [note for note in results.notes if mark and note.startswith(f"{mark} ")]


def join_histories(evidence: Evidence, run: Run) -> tuple[pd.DataFrame, int | None]:
    """Return (history, unfrozen_after): the learning curves of a Run from the first epoch of its head.

    A fine-tuned run continues where its frozen run ended, the epochs numbered on; `unfrozen_after` is the last epoch
    before part of the backbone is unfrozen, None where none is, or where the frozen run has not been run.
    """
    tables = [evidence.histories[name] for name in (run.start, run.name) if name in evidence.histories]
    history = pd.concat(tables, ignore_index=True)
    history["epoch"] = range(1, len(history) + 1)
    return history, len(tables[0]) if len(tables) > 1 else None


def count_confusion(evidence: Evidence, name: str, part: str) -> tuple[np.ndarray, list[str]]:
    """Return (counts (classes, classes) int, classes) of run `name` on `part`: actual by row, predicted by column."""
    table = evidence.predictions[name]
    table = table[table["part"] == part]
    classes = sorted({*table["actual"], *table["predicted"]})
    counts = pd.crosstab(table["actual"], table["predicted"]).reindex(index=classes, columns=classes, fill_value=0)
    return counts.to_numpy(), classes


def _show_overview(evidence: Evidence, runs: pd.DataFrame) -> Drawing:
    results, best, part = evidence.results, evidence.best, evidence.results.part
    score = f"{percent(results.scores[best][part]['accuracy'])} % ({interval(results.scores[best], part)} %)"
    differences = [f"difference{end}" for end in ("", "_low", "_high")]
    intervals = {name: pair.interval.turn() for name, pair in evidence.against.items()}
    margin = results.margin if intervals else None
    rows = [[round(limit, 6) for limit in intervals.get(name, [math.nan] * 3)] for name in runs["run"]]
    runs = runs.assign(**dict(zip(differences, np.array(rows).T, strict=True)))
    shown = _select_shown(results, runs)
    drawn = f" ({len(shown)} are drawn)" if len(shown) < len(runs) else ""
    return Drawing(
        "overview",
        f"{_count_runs(runs, part)}{drawn}, each with its 95 % interval, and how far each lies from the best on "
        f"validation, {escape(best)}, which has {score}",
        runs[["run", "unfrozen", "family", "part", "accuracy", "low", "high", *differences, "footnote"]],
        functools.partial(plotting.draw_overview, shown, part, best, results.notes, margin=margin),
    )


def _list_cuts(evidence: Evidence, runs: pd.DataFrame) -> list[Drawing]:
    """Return the Drawing of the cuts, none where every run is from scratch."""
    results, strips, rows = evidence.results, {}, []
    for backbone, name in name_backbones(results).items():
        blocks = pd.DataFrame(results.weights[backbone]["blocks"])
        blocks["flops"] /= blocks["flops"].iloc[-1]
        strips[backbone] = plotting.Strip(name, blocks)
        rows += [(backbone, "block", block.end, round(block.flops, 6)) for block in blocks.itertuples()]
    if not strips:
        return []
    shown = runs[runs["group"] != ""].copy()
    shown["frozen"] = [find_frozen_share(evidence, name) for name in shown["run"]]
    rows += [(run.group, run.run, evidence.cuts[run.run], round(run.frozen, 6)) for run in shown.itertuples()]
    table = pd.DataFrame(rows, columns=["backbone", "block_or_run", "ends_or_is_cut_after", "flops_before"])
    count = say_count(len(strips), "backbone")
    words = f"the blocks of {count}, and below each the runs: what is frozen before the cut, and what lies behind it"
    drawn = _select_shown(results, shown)
    return [Drawing("cuts", words, table, functools.partial(plotting.draw_cuts, strips, drawn, results.notes))]


def _show_tradeoff(
    name: str, evidence: Evidence, runs: pd.DataFrame, cost: str, label: str, notes: Sequence[str] = ()
) -> Drawing:
    """Return the Drawing `name` of accuracy against the column `cost` of `runs`, which `label` names on the axis."""
    part, front = evidence.results.part, plotting.find_front(runs[cost], runs["accuracy"])
    columns = ["number", "run", "family", cost, "part", "accuracy", "low", "high"]
    return Drawing(
        name,
        f"{_count_runs(runs, part)} against {label}; on the Pareto front of {part}, which describes these photos and "
        f"chooses no run: {', '.join(map(escape, runs['run'][front]))}",
        runs[columns].assign(pareto_front=front),
        functools.partial(plotting.draw_tradeoff, runs, cost, label, part, [*notes, *evidence.results.notes]),
    )


def _show_classes(evidence: Evidence, folder: str | pathlib.Path) -> Drawing:
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
            panel = names[backbone] if backbone else ""
            tables.append(scores.assign(panel=panel, run=run.name, **looks))
    table = pd.concat(tables, ignore_index=True)
    scratch = "the baseline, " if any(run.kind == "baseline" for run in runs) else ""
    words = f"F1 of each class on {part}, for each backbone {scratch}its best frozen and its best fine-tuned run"
    shown = list(dict.fromkeys(table["run"] + table["mark"]))
    return Drawing(
        "classes",
        words,
        table[["panel", "run", "kind", "class", "f1"]],
        functools.partial(plotting.draw_classes, table, part, [f"Runs: {', '.join(shown)}.", *results.notes]),
    )


def _list_reliability(evidence: Evidence) -> list[Drawing]:
    """Return the Drawing of the reliability diagrams, none where no run has probabilities that are numbers."""
    results, part = evidence.results, evidence.results.part
    panels, tables, errors = [], [], {}
    shown = {run.name for run in results.shown}
    for run in results.runs:
        found = find_calibration(evidence, run.name, part)
        if found:
            error, bins = found
            errors[run.name] = error
            if run.name in shown:
                panels.append(plotting.Reliability(run.name + results.marks[run.name], error, bins))
            tables.append(bins.round(6).assign(run=run.name, calibration_error=round(error, 6)))
    if not panels:
        return []
    best = min(errors, key=lambda name: errors[name])
    least = f"on these photos, which choose no run, {escape(best)} errs least, by {100 * errors[best]:.1f} %"
    words = f"reliability diagrams of {len(panels)} runs on {part}; {least}"
    draw = functools.partial(plotting.draw_reliability, panels, part, results.notes)
    return [Drawing("reliability", words, pd.concat(tables, ignore_index=True), draw)]


def _list_published(results: Results) -> list[Drawing]:
    """Return the Drawing of the published accuracies beside ours, none where no published row has a run of ours."""
    table = tabulate_published(results)
    if table.empty:
        return []
    count = len(table[["report", "row"]].drop_duplicates())
    words = f"{count} published accuracies beside those measured here, each with its interval where it is known"
    notes = ["What was open is what the parameters and labels of a report leave possible. “v”: of validation."]
    draw = functools.partial(plotting.draw_published, table, [*notes, *results.notes])
    return [Drawing("published", words, table.drop(columns=["mark", "family"]), draw)]


def tabulate_published(results: Results) -> pd.DataFrame:
    """Return a row for each published row and run of ours that opened the same: both accuracies with their intervals.

    An interval is not a number where the number of photos is not known.
    """
    rows = []
    for row in published.select_rows(published.list_reports(results)).to_dict("records"):
        match = published.match_row(results, row)
        share = float(row[published.COLUMNS[match.part]])
        theirs = wilson_interval(share, match.photos) if match.photos else (np.nan, np.nan)
        for run in match.runs:
            right, photos = count_right(results.scores[run.name][match.ours])
            ours = wilson_interval(right / photos, photos)
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


def _show_curves(evidence: Evidence, run: Run, limits: plotting.Limits | None) -> Drawing:
    results, title = evidence.results, run.name + evidence.results.marks[run.name]
    scores = results.scores[run.name]
    history, unfrozen_after = join_histories(evidence, run)
    return Drawing(
        f"curves-{run.name}",
        f"learning curves of {escape(run.name)}: {percent(scores['train']['accuracy'])} % of train right at the end, "
        f"{percent(scores['validation']['accuracy'])} % of validation",
        history,
        functools.partial(
            plotting.draw_curves,
            history,
            unfrozen_after,
            f"{title}: {run.unfrozen}",
            find_notes(results, run),
            limits,
        ),
    )


def _show_confusion(evidence: Evidence, run: Run) -> Drawing:
    results, part = evidence.results, evidence.results.part
    counts, classes = count_confusion(evidence, run.name, part)
    right, photos = count_right(results.scores[run.name][part])
    cells = pd.DataFrame(counts, index=classes, columns=classes).rename_axis("actual").rename_axis("predicted", axis=1)
    title = f"{run.name}{results.marks[run.name]}: {part}, {photos:,} photos"
    return Drawing(
        f"confusion-{run.name}",
        f"confusion matrix of {escape(run.name)}: {photos - right:,} of {photos:,} photos of {part} wrong",
        cells.stack().rename("photos").reset_index(),
        functools.partial(plotting.draw_confusion, counts, classes, title, find_notes(results, run)),
    )


def _select_shown(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `runs`, a table with a column run, that are drawn where each has a place of its own."""
    return runs[runs["run"].isin([run.name for run in results.shown])].reset_index(drop=True)


def _count_runs(runs: pd.DataFrame, part: str) -> str:
    return f"{part} accuracy of {len(runs)} runs"
