"""The pages of the report, as Markdown text: results in one, what differs from machine to machine in the other.

The prose stands in report.md.j2 and cost.md.j2.
"""

import collections
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from thaw.base import paths
from thaw.base.names import PARTS
from thaw.comparison.claims import describe_claims
from thaw.comparison.exports import Exports, describe_exports, tabulate_export_times
from thaw.comparison.labels import LabelIssues, describe_issues
from thaw.comparison.pairs import Evidence, describe_differences, describe_trainings
from thaw.comparison.published import describe_published, list_reports
from thaw.comparison.races import describe_races
from thaw.comparison.repeats import Repeats, describe_repeats
from thaw.comparison.results import MOST_SHOWN, Results, Run, read_metrics
from thaw.comparison.words import NO_TEST, code, escape, say_count, to_markdown
from thaw.evaluation.latency import BATCHES
from thaw.reporting.answer import name_best, summarize_answer, write_lead, write_verdict
from thaw.reporting.backbones import describe_backbones
from thaw.reporting.explanations import describe_explanations
from thaw.reporting.figures import Drawing
from thaw.reporting.groups import describe_groups
from thaw.reporting.photos import SAMPLE, describe_answers
from thaw.reporting.tables import UNFROZEN, compare_in_markdown, name_network, tabulate_in_markdown
from thaw.reporting.templates import render
from thaw.reporting.timing import Latency, describe_machine, describe_recorded, read_training_time
from thaw.reporting.web import CARDS, COMPARISON

# The sections of report.md that the web page does not fold away.
SHOWN = ("Comparison", "Which differences are real", "Errors")


class Findings(NamedTuple):
    """What the report is written from."""

    evidence: Evidence
    by_class: pd.DataFrame  # the best run's scores by class
    size: int  # the side of the photos in pixels
    drawings: Sequence[Drawing]  # the figures that stand in report/figures
    repeats: Repeats  # what came of the runs that were trained again
    issues: LabelIssues  # the labels that may be wrong
    exports: Exports  # what came of the runs that were exported
    leftovers: Sequence[str] = ()  # as `list_leftovers` has them


def write_results(findings: Findings) -> str:
    """Return the text of report.md: the same results give the same text, on any machine and on any day."""
    evidence = findings.evidence
    explained = (
        "In bold the run that is best on validation; F1 is the mean over the classes. The epochs of a fine-tuned run "
        "are those of the frozen run that it starts from, and its own. Trainable parameters are those of the last "
        "phase."
    )
    if evidence.results.notes:
        explained += " A mark at a run's name holds for every number of the row."
    own = {
        "lead": write_lead(evidence.results),
        "banner": "",
        "best_run": name_best(evidence),
        "waiting": "\n\n".join(filter(None, [_list_waiting(evidence.results), _list_leftovers(findings)])),
        "notes": _list_notes(evidence.results),
        "comparison": compare_in_markdown(evidence.results),
        "explained": explained,
    }
    return _write(findings, own)


def write_web_results(findings: Findings, banner: str, origin: str) -> str:
    """Return the Markdown that report.html is made of: that of report.md with a banner in the place of footnotes, and
    paragraphs where `web` has the answer and the comparison.

    `origin` is the sentence on the commit that the report was made at, or "".
    """
    results = findings.evidence.results
    told = banner, _list_waiting(results), _list_leftovers(findings)
    own = {
        "lead": f"{write_lead(results)} {origin}".strip(),
        "banner": "\n\n".join(f"> {text}" for text in told if text),
        "best_run": CARDS,
        "waiting": "",
        "notes": "",
        "comparison": COMPARISON,
        "explained": (
            "Trainable parameters are those of the last phase; minutes are of all training, that of the frozen run "
            "that a run starts from included."
        ),
    }
    return _write(findings, own)


def raise_banner(evidence: Evidence) -> tuple[str, Evidence]:
    """Return (what the footnotes say in one paragraph, `evidence` without marks where it holds for each backbone)."""
    results = evidence.results
    marks = {results.marks[run.name] for run in results.runs if run.backbone}
    if len(results.notes) != 1 or "" in marks:
        return "\\\n> ".join(results.notes), evidence
    (note,) = results.notes
    note = note.removeprefix(marks.pop()).strip()
    runs = "Every run but the baseline" if any(not run.backbone for run in results.runs) else "Every run"
    plain = results._replace(marks=dict.fromkeys(results.marks, ""))
    return f"{runs}{' ' if note.startswith('rests ') else ': '}{note}.", evidence._replace(results=plain)


def _write(findings: Findings, own: Mapping[str, str]) -> str:
    """Return the report with what is its `own`: values of the template that differ from one form to another."""
    evidence, exports = findings.evidence, findings.exports
    results, best = evidence.results, evidence.best
    figures = {drawing.name: show(drawing, "figures") for drawing in findings.drawings}
    ours = list_reports(results)
    return _join(
        "report.md.j2",
        verdict=write_verdict(evidence),
        answer=summarize_answer(evidence),
        figures=figures,
        data=describe_data(results, findings.size),
        sample=SAMPLE,
        backbones=describe_backbones(evidence, figures.get("cuts", "")) if results.weights else "",
        part=results.part,
        no_test="" if results.part == "test" else NO_TEST,
        best=escape(best) + results.marks[best],
        best_name=best,
        classes=_tabulate_classes(findings.by_class, results.part),
        answers=describe_answers(evidence),
        explanations=describe_explanations(evidence, figures),
        issues=describe_issues(findings.issues, results),
        differences=describe_differences(evidence),
        races=describe_races(results),
        repeats=describe_repeats(findings.repeats, results),
        exports=describe_exports(exports, results),
        trainings=describe_trainings(evidence),
        claims=describe_claims(evidence) if ours else "",
        published=describe_published(results) if ours else "",
        shown=say_shown(results),
        runs=[run.name for run in results.shown if results.has(run)],
        baseline=any(run.kind == "baseline" for run in results.runs),
        everything=tabulate_in_markdown(evidence),
        **own,
    )


def write_costs(
    results: Results,
    latencies: Mapping[str, Latency],
    drawing: Drawing | None,
    exports: Exports,
    folder: str | pathlib.Path = ".",
) -> str:
    """Return the text of cost.md: what was measured in time and memory, and the machine that this process runs on.

    Reads the timings of training and preprocessing below `folder`; `latencies` is {run: Latency} of every run, and
    `drawing` the figure of them in report/cost, None where there is none. `exports` are the exported runs.
    """
    return _join(
        "cost.md.j2",
        machine=describe_machine(),
        trainings=_tabulate_trainings(results, folder),
        processors=_list_processors(results, folder),
        latencies=tabulate_latencies(results, latencies),
        figure=show(drawing, "cost") if drawing else "",
        batches=" and ".join(f"{count} batches of {size}" for size, count in BATCHES.items()),
        exports=tabulate_export_times(exports, results),
        alone=BATCHES[1],
        preprocess=read_metrics(pathlib.Path(folder) / paths.PREPROCESSING_TIME, "preprocess"),
        shown=say_shown(results),
        notes=_list_notes(results),
    )


def say_shown(results: Results) -> str:
    """Return the paragraph on which runs are shown and where the others are, or nothing where all are."""
    if len(results.shown) == len(results.listed):
        return ""
    return (
        f"Of {len(results.listed):,} runs the tables have {len(results.shown)}, and so have the figures in which each "
        f"run has a place: the {MOST_SHOWN} best on validation, the baseline, and the frozen runs that they start "
        f"from. All are tested, and corrected for; every run is in [accuracy.csv](../{paths.ACCURACIES}) and "
        f"[pairs.csv](../{paths.PAIRS})."
    )


def show(drawing: Drawing, folder: str) -> str:
    """Return the paragraph of a Drawing: the figure in `folder` below the page, and a link to its data."""
    place = f"{folder}/{drawing.name}"
    return f"![{drawing.words}]({place}.svg)\n[data]({place}.csv)"


def describe_data(results: Results, size: int) -> str:
    """Return the section about the photos: counts by class and part, what was left out, and their side in pixels.

    What there is none of is left out.
    """
    download, split, preprocess = results.download, results.split, results.preprocess
    parts = [part for part in PARTS if split[part]["photos"]]
    lost = collections.Counter((fault["part"], fault["class"]) for fault in preprocess["set_aside"])
    used = {part: {name: count - lost[part, name] for name, count in split[part]["classes"].items()} for part in parts}
    columns = [download["classes"], *used.values()]
    rows = [[escape(name), *(f"{column.get(name, 0):,}" for column in columns)] for name in download["classes"]]
    totals = [download["photos"], *(sum(column.values()) for column in used.values())]
    rows.append(["**all**", *(f"**{total:,}**" for total in totals)])
    duplicates = download["duplicates"]
    copies, mixed = duplicates["within_a_class"], duplicates["across_classes"]
    rejected, unreadable, converted = download["rejected"], preprocess["set_aside"], preprocess["converted"]
    files = say_count(split["left_out_two_labels"], "file")
    facts = [
        (True, f"The networks see them at {size} × {size} pixels: {preprocess['bytes'] / 1e6:,.0f} MB of records."),
        (copies, f"{say_count(copies, 'copy', 'copies')} of a photo under the same class left out."),
        (mixed, f"{say_count(mixed, 'photo')} came under two classes or more: {files} left out."),
        *((True, fact) for fact in describe_groups(split)),
        (rejected, f"{say_count(len(rejected), 'file')} rejected as no photo (listed in `{paths.DOWNLOADED}`)."),
        (unreadable, f"{say_count(len(unreadable), 'photo')} unreadable and set aside (`{paths.PREPROCESSED}`)."),
        (converted, f"{say_count(len(converted), 'photo')} converted to RGB (listed in `{paths.PREPROCESSED}`)."),
        (True, f"Digest of the photos and their classes: {code(download['digest'])}."),
    ]
    table = to_markdown(["Class", "Delivered", *(part.capitalize() for part in parts)], rows)
    return table + "\n\n" + "\n".join(f"- {fact}" for there, fact in facts if there)


def tabulate_latencies(results: Results, latencies: Mapping[str, Latency]) -> str:
    """Return as a Markdown table the inference time of each network that was timed, from `latencies` {run: Latency}.

    A network whose timed run has no times has dashes.
    """
    networks: dict[str, list[Run]] = {}  # timed run -> those that have its network
    for run in results.runs:
        networks.setdefault(latencies[run.name].run, []).append(run)
    rows = []
    for timed, runs in networks.items():
        times = latencies[runs[0].name].milliseconds
        network = name_network(results, runs[0], escape)
        row = [escape(timed) + results.marks.get(timed, ""), network, str(len(runs))]
        for batch in BATCHES:
            row += [f"{times[f'batch_{batch}'][key]:.2f}" if times else "–" for key in ("median", "p95")]
        rows.append(row)
    header = ["Timed run", "Backbone", "Runs of this network"]
    header += [f"{key}, batch {batch}" for batch in BATCHES for key in ("ms/image", "p95")]
    return to_markdown(header, rows, left=2)


def _tabulate_trainings(results: Results, folder: str | pathlib.Path) -> str:
    """Return as a Markdown table the time and memory of each run's training."""
    rows = []
    for run in filter(results.has, results.shown):
        train = read_training_time(run.name, folder)
        seconds = train["seconds"]
        name = escape(run.name) + results.marks[run.name]
        row = [name, run.unfrozen, run.training, escape(train["batches_from"])]
        row += [f"{seconds[key]:.2f}" for key in ("prefix", "per_epoch", "training")]
        row += [f"{seconds['prefix'] + seconds['training']:.2f}", f"{100 * train['waiting_share']:.1f}"]
        rows.append([*row, f"{train['peak_memory_mib']:,}"])
    header = ["Run", UNFROZEN, "Epochs", "Batches from", "Prefix s", "s/epoch", "Training s", "Total s"]
    return to_markdown([*header, "Waiting %", "Peak memory MiB"], rows, left=4)


def _list_processors(results: Results, folder: str | pathlib.Path) -> list[str]:
    """Return a line of Markdown for each kind of processor that runs were trained on, with their names or number."""
    found: dict[str, list[str]] = {}
    for run in results.runs:
        kind = describe_recorded(read_training_time(run.name, folder).get("processor"))
        found.setdefault(kind, []).append(escape(run.name))
    return [
        f"{kind}: {', '.join(names) if len(names) <= MOST_SHOWN else say_count(len(names), 'run')}"
        for kind, names in found.items()
    ]


def _tabulate_classes(by_class: pd.DataFrame, part: str) -> str:
    """Return as a Markdown table the scores of each class on `part`."""
    rows = [
        [escape(row["class"]), row["photos"], *(f"{row[score]:.4f}" for score in ("precision", "recall", "f1"))]
        for row in by_class.to_dict("records")
    ]
    return to_markdown(["Class", f"{part.capitalize()} photos", "Precision", "Recall", "F1"], rows)


def _list_waiting(results: Results) -> str:
    """Return the sentence about the runs that are missing, or nothing."""
    if not results.waiting:
        return ""
    runs = say_count(len(results.waiting), "run")
    names = ", ".join(escape(run.name) for run in results.waiting[:MOST_SHOWN])
    names += f" and {len(results.waiting) - MOST_SHOWN:,} more" if len(results.waiting) > MOST_SHOWN else ""
    return f"{runs} of the table not run yet: {names}. `./run dvc repro` runs what is missing."


def _list_leftovers(findings: Findings) -> str:
    """Return the sentence about what is there of runs that are not listed, or nothing."""
    if not findings.leftovers:
        return ""
    names = ", ".join(map(escape, findings.leftovers))
    return (
        f"Left over from runs that `{paths.PARAMS}` no longer lists, and read by nothing: {names} "
        "([how to remove it](../docs/reading-the-report.md#left-over))."
    )


def _list_notes(results: Results) -> str:
    """Return the footnotes as a paragraph with a line each, or nothing."""
    return "\\\n".join(results.notes)


def _join(template: str, **values: object) -> str:
    """Return the page of the Markdown `template`, with one blank line where a part of it is empty."""
    page = render(pathlib.Path(__file__).with_name(template), **values)
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"
