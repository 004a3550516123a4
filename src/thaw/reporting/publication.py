"""The report as files."""

import pathlib

import pandas as pd

from thaw import plotting
from thaw.progress import track
from thaw.publishing import publish, write_json, write_table, write_text
from thaw.reporting.comparison import find_equals, find_pair, read_evidence, tabulate_pairs
from thaw.reporting.html import render_page
from thaw.reporting.pages import write_costs, write_results
from thaw.reporting.results import (
    find_run_interval,
    rank_runs,
    read_classes,
    read_confusion,
    read_history,
    read_results,
)


def write_report(params, folder="."):
    """Write report/report.md and report.html, the figures, report/cost.md, their tables and metrics/summary.json below `folder`.

    The runs are those that `params` (thaw.schema.Params) names, whatever files others have left behind. All but
    cost.md repeats to the byte. Raises InputError, before it writes anything, where a stage has not run.
    """
    folder = pathlib.Path(folder)
    results = read_results(params, folder)
    histories = {run.name: read_history(run, folder) for run in results.runs}
    confusions = {run.name: read_confusion(run.name, results.part, folder) for run in results.runs}
    evidence = read_evidence(results, folder)
    page = write_results(evidence, read_classes(rank_runs(results)[0], results.part, folder))
    costs = write_costs(results, folder)
    accuracies = tabulate_accuracies(results)
    with publish(folder / "report/figures") as scratch:
        scratch.mkdir()
        figures = _draw(results, accuracies, histories, confusions)
        for name, figure in track(figures, "report", 1 + 2 * len(results.runs), "figures"):
            save(figure, scratch / f"{name}.svg")
    write_text(folder / "report/report.md", page)
    write_text(folder / "report/report.html", render_page(page, folder / "report"))
    write_text(folder / "report/cost.md", costs)
    write_table(folder / "plots/accuracy.csv", accuracies[["run", "part", "accuracy", "low", "high", "footnote"]])
    write_table(folder / "plots/pairs.csv", tabulate_pairs(evidence))
    write_json(folder / "metrics/summary.json", summarize_ranking(evidence))


def summarize_ranking(evidence):
    """Return the document of metrics/summary.json: the best run by validation, its accuracies and every run's rank.

    Also how many runs it cannot be told apart from, and the p value (Holm's) of each other run against it.
    """
    results = evidence.results
    ranking = rank_runs(results)
    scores = results.scores[ranking[0]]
    summary = {"best": ranking[0], "best_validation_accuracy": scores["validation"]["accuracy"]}
    if results.part == "test":
        summary["best_test_accuracy"] = scores["test"]["accuracy"]
    summary["ranking"] = {run.name: 1 + ranking.index(run.name) for run in results.runs}
    summary["cannot_be_told_apart_from_best"] = len(find_equals(evidence))
    others = [run.name for run in results.runs if run.name != evidence.best]
    summary["p_against_best"] = {name: round(find_pair(evidence, evidence.best, name).p, 6) for name in others}
    footnotes = {run.name: find_notes(results, run) for run in results.runs}
    summary["footnotes"] = {name: notes[0] for name, notes in footnotes.items() if notes}
    return {"summary": summary}


def save(figure, path):
    """Write a Figure as SVG: the same figure gives the same bytes."""
    with plotting.use_style():
        figure.savefig(path, metadata={"Date": None})


def tabulate_accuracies(results):
    """Return a row per run: its accuracy on the part that counts, with the interval, and how to draw it."""
    rows = []
    for run in results.runs:
        low, high = find_run_interval(results.scores[run.name], results.part)
        accuracy, mark = results.scores[run.name][results.part]["accuracy"], results.marks[run.name]
        rows.append(
            {
                "run": run.name,
                "mark": mark,
                "thaws": run.thaws,
                "kind": run.kind,
                "group": run.backbone or "",
                "part": results.part,
                "accuracy": accuracy,
                "low": round(low, 6),
                "high": round(high, 6),
                "footnote": " ".join(find_notes(results, run)).removeprefix(mark).strip(),
            }
        )
    return pd.DataFrame(rows)


def find_notes(results, run):
    """Return the footnotes of a Run: one, or none."""
    mark = results.marks[run.name]
    return [note for note in results.notes if mark and note.startswith(f"{mark} ")]


def _draw(results, accuracies, histories, confusions):
    """Yield (name, Figure) of every figure of the report."""
    yield "overview", plotting.draw_overview(accuracies, results.part, rank_runs(results)[0], results.notes)
    for run in results.runs:
        mark = results.marks[run.name]
        notes = find_notes(results, run)
        title = f"{run.name}{mark}: {run.thaws}"
        yield f"curves-{run.name}", plotting.draw_curves(*histories[run.name], title, notes)
        photos = results.scores[run.name][results.part]["photos"]
        title = f"{run.name}{mark}: {results.part}, {photos:,} photos"
        yield f"confusion-{run.name}", plotting.draw_confusion(*confusions[run.name], title, notes)
