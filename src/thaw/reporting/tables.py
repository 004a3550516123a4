"""The comparison as a table: in Markdown for the report, in aligned text for a terminal."""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from thaw.comparison.pairs import Evidence
from thaw.comparison.results import Results, Run, Table, rank_runs, read_results
from thaw.comparison.words import NO_TEST, NOT_RUN, align, escape, interval, percent, to_markdown
from thaw.reporting.timing import read_training_time

UNFROZEN = "Unfrozen"  # the head of the column with what a run opens


def render_table(table: Table, folder: str | pathlib.Path = ".") -> str:
    """Return the comparison of the runs of `table` as lines of aligned text, footnotes below, for a terminal.

    Reads the metrics below `folder`. Raises InputError where a stage has not run.
    """
    results = read_results(table, folder)
    best = rank_runs(results)[0]
    parts = _list_parts(results, "validation")
    header = ["run", UNFROZEN.lower(), "trainable", *parts, "95 % interval", "s/epoch"]

    def measure(run: Run, scores: Mapping[str, Any]) -> list[str]:
        seconds = read_training_time(run.name, folder)["seconds"]["per_epoch"]
        accuracies = _list_accuracies(scores, parts)
        return [f"{scores['trainable_parameters']:,}", *accuracies, interval(scores, results.part), f"{seconds:.2f}"]

    rows = list_rows(results, results.listed, len(header), lambda run: [run.name, run.unfrozen], measure)
    for run, row in zip(results.listed, rows, strict=True):
        row[0] += " *" * (run.name == best)
    notes = ["* best on validation; accuracies in percent", *results.notes]
    if results.part != "test":
        notes.insert(1, NO_TEST)
    return "\n".join([align(header, rows), "", *notes])


def compare_in_markdown(results: Results) -> str:
    """Return the comparison as a Markdown table: a row per run shown, with the columns that a choice rests on."""
    parts = _list_parts(results, "train", "validation")
    header = ["Run", "Backbone", UNFROZEN, "Epochs", "Trainable parameters"]
    header += [*(f"{part.capitalize()} %" for part in parts), "95 % interval"]
    header += [f"{results.part.capitalize()} macro F1", "Weight file MB"]
    best = rank_runs(results)[0]

    def name(run: Run) -> list[str]:
        shown = f"**{escape(run.name)}**" if run.name == best else escape(run.name)
        return [shown, name_network(results, run, escape), run.unfrozen, run.training]

    def measure(run: Run, scores: Mapping[str, Any]) -> list[str]:
        accuracies = [*_list_accuracies(scores, parts), interval(scores, results.part)]
        sizes = [f"{scores[results.part]['f1']:.4f}", f"{scores['weights_bytes'] / 1e6:.2f}"]
        return [f"{scores['trainable_parameters']:,}", *accuracies, *sizes]

    return to_markdown(header, list_rows(results, results.shown, len(header), name, measure), left=4)


def tabulate_in_markdown(evidence: Evidence) -> str:
    """Return as a Markdown table all that was measured but time: a row per run that is shown, in the table's order."""
    results = evidence.results
    parts = _list_parts(results, "train", "validation")
    header = ["Run", "No.", "Backbone", UNFROZEN, "Epochs", "Optimizer, rate", "Trainable parameters"]
    header += ["Parameters", "Weight file MB", "MFLOPs an image", "MFLOPs a training step"]
    for part in parts:
        header += [f"{part.capitalize()} {score}" for score in ("%", "loss", "precision", "recall", "F1")]
    header.append("Train − validation, points")
    numbers = {run.name: number for number, run in enumerate(results.listed, start=1)}

    def name(run: Run) -> list[str]:
        network = name_network(results, run, escape)
        return [escape(run.name), str(numbers[run.name]), network, run.unfrozen, run.training, run.optimizer]

    def measure(run: Run, scores: Mapping[str, Any]) -> list[str]:
        flops = evidence.flops[run.name]
        row = [f"{scores[key]:,}" for key in ("trainable_parameters", "total_parameters")]
        row.append(f"{scores['weights_bytes'] / 1e6:.2f}")
        row += [f"{flops[key] / 1e6:,.2f}" for key in ("forward", "training_step")]
        for part in parts:
            row.append(percent(scores[part]["accuracy"]))
            losses = [scores[part][score] for score in ("loss", "precision", "recall", "f1")]
            row += ["no number" if value is None else f"{value:.4f}" for value in losses]
        return [*row, f"{100 * (scores['train']['accuracy'] - scores['validation']['accuracy']):.1f}"]

    return to_markdown(header, list_rows(results, results.shown, len(header), name, measure), left=6)


def list_rows(
    results: Results,
    runs: Iterable[Run],
    width: int,
    name: Callable[[Run], list[str]],
    measure: Callable[[Run, Mapping[str, Any]], list[str]],
) -> list[list[str]]:
    """Return the rows of a table of `runs`, each with `width` cells: what a run is, then what was measured.

    `name(run)` gives the first cells, the name first, which gets the mark of its footnote; `measure(run, scores)` gives
    the others from the document of its evaluation. A run that has not been run has `NOT_RUN` and dashes there.
    """
    rows = []
    for run in runs:
        row = name(run)
        if results.has(run):
            row[0] += results.marks[run.name]
            row += measure(run, results.scores[run.name])
        else:
            row += [NOT_RUN, *["–"] * (width - len(row) - 1)]
        rows.append(row)
    return rows


def name_network(results: Results, run: Run, show: Callable[[str], str] = str) -> str:
    """Return what a table calls the network of a Run: an architecture, with its width where that is not 1.

    The entry of `backbones` where its weights are not there yet, a dash for the baseline. `show` makes of a name what
    stands there: `escape` for Markdown.
    """
    if run.backbone is None:
        return "–"
    known = run.backbone in results.weights
    return name_backbone(results.weights[run.backbone], show) if known else show(run.backbone)


def name_backbone(document: Mapping[str, Any], show: Callable[[str], str] = str) -> str:
    """Return the architecture of a backbone, with its width where that is not the published one.

    `document` is that of its weights, `show` as in `name_network`.
    """
    width = "" if document["width"] == 1 else f" × {document['width']:g}"
    return show(document["architecture"]) + width


def _list_parts(results: Results, *parts: str) -> list[str]:
    """Return `parts` and the part that counts, none twice."""
    return list(dict.fromkeys((*parts, results.part)))


def _list_accuracies(scores: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    return [percent(scores[part]["accuracy"]) for part in parts]
