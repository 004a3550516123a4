"""The report as files."""

import pathlib

from thaw import plotting
from thaw.progress import track
from thaw.publishing import publish, write_json, write_table, write_text
from thaw.reporting.claims import tabulate_claims
from thaw.reporting.comparison import find_cheapest, find_equals, read_evidence, tabulate_pairs
from thaw.reporting.figures import draw_latency, list_drawings, tabulate_runs
from thaw.reporting.html import render_page
from thaw.reporting.pages import write_costs, write_results
from thaw.reporting.photos import show_photos
from thaw.reporting.repeats import read_repeats
from thaw.reporting.results import find_run_interval, read_classes, read_metrics, read_results


def write_report(params, folder="."):
    """Write the report below `folder`: its pages, figures and tables, metrics/summary.json and the tables in plots/.

    The runs are those that `params` (thaw.schema.Params) names, whatever files others have left behind. All repeats to
    the byte but report/cost.md and cost.html, and report/cost with their figure. Raises InputError, before it writes
    anything, where a stage has not run.
    """
    folder = pathlib.Path(folder)
    results = read_results(params, folder)
    for name in results.weights:
        read_metrics(folder / f"metrics/weights/{name}.json", "weights", name, "blocks")
    evidence = read_evidence(results, folder)
    drawings, latency = list_drawings(evidence, folder), draw_latency(evidence, folder)
    by_class = read_classes(evidence.best, results.part, folder)
    page = write_results(evidence, by_class, params.image.size, drawings, read_repeats(params, folder))
    costs, photos = write_costs(results, latency, folder), show_photos(evidence, folder)
    write_drawings(track(drawings, "report", len(drawings), "figures"), folder / "report/figures")
    write_drawings([latency], folder / "report/cost")
    write_text(folder / "report/report.md", page)
    write_text(folder / "report/report.html", render_page(page, folder / "report", photos))
    write_text(folder / "report/cost.md", costs)
    write_text(folder / "report/cost.html", render_page(costs, folder / "report"))
    accuracies = tabulate_runs(evidence)
    write_table(folder / "plots/accuracy.csv", accuracies[["run", "part", "accuracy", "low", "high", "footnote"]])
    write_table(folder / "plots/pairs.csv", tabulate_pairs(evidence))
    write_table(folder / "plots/claims.csv", tabulate_claims(evidence))
    write_json(folder / "metrics/summary.json", summarize_best(evidence))


def write_drawings(drawings, folder):
    """Publish `folder` with each figure as SVG and its table as CSV."""
    with publish(folder) as scratch:
        scratch.mkdir()
        for drawing in drawings:
            save(drawing.draw(), scratch / f"{drawing.name}.svg")
            write_table(scratch / f"{drawing.name}.csv", drawing.table)


def save(figure, path):
    """Write a Figure as SVG: the same figure gives the same bytes."""
    with plotting.use_style():
        figure.savefig(path, metadata={"Date": None})


def summarize_best(evidence):
    """Return the document of metrics/summary.json: few enough keys to stand beside each other in `dvc exp show`.

    The best run by validation, its accuracies, the interval of the one that counts, how many other runs it cannot be
    told apart from, the one that trains least of all these, and how many runs there are.
    """
    results = evidence.results
    scores = results.scores[evidence.best]
    low, high = find_run_interval(scores, results.part)
    summary = {"best": evidence.best, "validation": scores["validation"]["accuracy"]}
    if results.part == "test":
        summary["test"] = scores["test"]["accuracy"]
    summary |= {"low": round(low, 6), "high": round(high, 6)}
    summary |= {"as_good": len(find_equals(evidence)), "cheapest": find_cheapest(evidence), "runs": len(results.runs)}
    return {"summary": summary}
