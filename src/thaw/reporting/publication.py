"""The report as files."""

import pathlib
import re
import subprocess
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thaw.base import paths
from thaw.base.files import publish, write_json, write_table, write_text
from thaw.base.progress import track
from thaw.comparison.claims import tabulate_claims
from thaw.comparison.exports import read_exports
from thaw.comparison.labels import find_issues
from thaw.comparison.leftovers import list_leftovers
from thaw.comparison.pairs import (
    AS_GOOD,
    Evidence,
    find_cheapest,
    list_standing,
    read_evidence,
    restore_scores,
    tabulate_pairs,
)
from thaw.comparison.repeats import read_repeats
from thaw.comparison.results import Table, find_run_interval, read_classes, read_metrics, read_results
from thaw.reporting.explanations import list_embeddings
from thaw.reporting.figures import Drawing, draw_latency, list_drawings, tabulate_runs
from thaw.reporting.html import render_page
from thaw.reporting.names import add_names, read_names, tabulate_left_out, tabulate_mistakes
from thaw.reporting.pages import SHOWN, Findings, raise_banner, write_costs, write_results, write_web_results
from thaw.reporting.photos import pick_runs, show_photos
from thaw.reporting.plotting.style import TIP, use_style
from thaw.reporting.timing import read_latencies, read_minutes
from thaw.reporting.web import show_answer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Columns of tables that hold accuracies, in [0, 1] -> digits that are written of them.
SHARES = dict.fromkeys(("accuracy", "train", "validation", "test"), 6)


def write_report(table: Table, size: int, folder: pathlib.Path | str = ".") -> None:
    """Write the report below `folder`: its pages, figures and tables, metrics/summary.json and the tables in plots/.

    The runs are those that `table` names; those that others have left behind are named and not read. `size` is the side
    of the photos in pixels. All repeats to the byte but what tells measured times: report/report.html, which names the
    commit, too, report/cost.md and cost.html, and report/cost with their figure. Raises InputError, before it writes
    anything, where a stage has not run.
    """
    folder = pathlib.Path(folder)
    report, results = folder / paths.REPORT, read_results(table, folder)
    for name in results.weights:
        read_metrics(folder / paths.find_weights_metrics(name), "weights", name, "blocks")
    evidence, latencies = restore_scores(read_evidence(results, folder)), read_latencies(results, folder)
    drawings = [*list_drawings(evidence, folder), *list_embeddings(evidence, folder)]
    latency, repeats = draw_latency(evidence, latencies), read_repeats(table, folder)
    exports, issues = read_exports(table, folder), find_issues(repeats)
    by_class, names = read_classes(evidence.best, results.part, folder), read_names(folder)
    left = list_leftovers(table, folder)
    findings = Findings(evidence, by_class, size, drawings, repeats, issues, exports, left)
    page, costs = write_results(findings), write_costs(results, latencies, latency, exports, folder)
    banner, plain = raise_banner(evidence)
    web = write_web_results(findings._replace(evidence=plain), banner, say_origin(folder))
    replaced = show_answer(plain, read_minutes(results, folder)) | show_photos(plain, folder, issues.table)
    mistakes = tabulate_mistakes(evidence, pick_runs(evidence), names)
    left_out = tabulate_left_out(results, names, folder)
    write_drawings(track(drawings, "report", len(drawings), "figures"), report / "figures")
    write_drawings([latency] if latency else [], report / "cost")
    write_text(report / "report.md", page)
    write_text(report / "report.html", render_page(web, report, replaced, SHOWN))
    write_text(report / "cost.md", costs)
    write_text(report / "cost.html", render_page(costs, report))
    accuracies = tabulate_runs(evidence)
    accuracies = accuracies[["run", "part", "accuracy", "low", "high", "footnote"]].round(SHARES)
    write_table(folder / paths.ACCURACIES, accuracies)
    write_table(folder / paths.PAIRS, tabulate_pairs(evidence))
    write_table(folder / paths.CLAIMS, tabulate_claims(evidence))
    write_table(folder / paths.LABEL_ISSUES, add_names(issues.table, names))
    write_table(folder / paths.MISTAKES, mistakes)
    write_table(folder / paths.LEFT_OUT, left_out)
    write_json(folder / paths.SUMMARY, summarize_best(evidence))


def write_drawings(drawings: Iterable[Drawing], folder: pathlib.Path) -> None:
    """Publish `folder` with each figure as SVG and its table as CSV."""
    with publish(folder) as scratch:
        scratch.mkdir()
        for drawing in drawings:
            save(drawing.draw(), scratch / f"{drawing.name}.svg")
            write_table(scratch / f"{drawing.name}.csv", drawing.table.round(SHARES))


def save(figure: "Figure", path: pathlib.Path) -> None:
    """Write a Figure as SVG: the same figure gives the same bytes."""
    with use_style():
        figure.savefig(path, metadata={"Date": None})
    # An id that begins so holds what a pointer is to show; Matplotlib quotes it with the sign that it does not hold.
    svg = path.read_text(encoding="utf-8")
    svg = re.sub(rf"""<g id=(["']){TIP}(.*?)\1>""", lambda tip: f"<g><title>{_quote(tip[2])}</title>", svg)
    path.write_text(svg, encoding="utf-8", newline="\n")


def _quote(text: str) -> str:
    """Return the text of an attribute as that of an element in which no quote stands."""
    return text.replace('"', "&quot;")


def say_origin(folder: pathlib.Path) -> str:
    """Return the sentence on the last commit of the repository that `folder` lies in, "" where it lies in none.

    The report is part of the next one, so it cannot name its own.
    """
    command = ["git", "log", "--max-count=1", "--abbrev=8", "--format=%h %cs", "--no-show-signature"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:  # no git
        return ""
    commit, _, date = done.stdout.strip().partition(" ")
    return f"Made after commit {commit} of {date}." if done.returncode == 0 else ""


def summarize_best(evidence: Evidence) -> dict[str, Any]:
    """Return the document of metrics/summary.json: few enough keys to stand beside each other in `dvc exp show`.

    The best run by validation, its accuracies, the interval of the one that counts, how many other runs are shown to be
    as good, the one that trains least of all these, and how many runs there are.
    """
    results = evidence.results
    scores = results.scores[evidence.best]
    low, high = find_run_interval(scores, results.part)
    summary = {"best": evidence.best, "validation": round(scores["validation"]["accuracy"], 6)}
    if results.part == "test":
        summary["test"] = round(scores["test"]["accuracy"], 6)
    summary |= {"low": round(low, 6), "high": round(high, 6)}
    summary |= {
        "as_good": len(list_standing(evidence, AS_GOOD)),
        "cheapest": find_cheapest(evidence),
        "runs": len(results.runs),
    }
    return {"summary": summary}
