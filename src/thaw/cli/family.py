"""docs/mobilenetv3-family.md: MobileNetV3 against ResNet50, from the kept results of preset `mobilenetv3-family`.

    ./run python -m thaw.cli.family

The prose stands in family.md.j2.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from thaw.base.errors import run_program
from thaw.cli.kept import Page, read_table, show, write_page
from thaw.comparison.claims import judge_family
from thaw.comparison.judging import VERDICTS, Finding
from thaw.comparison.pairs import Evidence, say_verdict
from thaw.comparison.results import Run, rank_runs, say_weights
from thaw.comparison.words import escape, interval, percent, to_markdown
from thaw.reporting import plotting
from thaw.reporting.figures import Drawing, tabulate_runs
from thaw.reporting.tables import UNFROZEN, list_rows
from thaw.reporting.templates import render

PRESET = "mobilenetv3-family"

RELATIVES = ("MobileNetV3Small", "MobileNetV3LargeMinimalistic")  # that stand in for MobileNetV3Large

Findings = list[tuple[str, Finding]]  # on each claim, which the text names


def list_drawings(evidence: Evidence) -> list[Drawing]:
    """Return the one Drawing of the page: the accuracy of every run but the baseline, with its interval."""
    results, part = evidence.results, evidence.results.part
    runs = tabulate_runs(evidence)
    runs = runs[runs["kind"] != "baseline"].reset_index(drop=True)
    best = next(name for name in rank_runs(results) if name in set(runs["run"]))
    return [
        Drawing(
            "accuracies",
            f"{part} accuracy of {len(runs)} runs of two relatives of MobileNetV3Large and of ResNet50, each with its "
            f"95 % interval; {escape(best)} is best on validation",
            runs[["run", "unfrozen", "part", "accuracy", "low", "high"]],
            functools.partial(plotting.draw_overview, runs, part, best, results.notes),
        )
    ]


def render_page(evidence: Evidence, drawings: Sequence[Drawing]) -> str:
    """Return the page in Markdown on `evidence` of the preset's runs, with the `drawings` of `list_drawings`."""
    results = evidence.results
    found = {relative: judge_family(evidence, relative) for relative in RELATIVES}
    return render(
        pathlib.Path(__file__).with_name("family.md.j2"),
        photos=f"{results.scores[results.runs[0].name][results.part]['photos']:,}",
        part=results.part,
        dataset=escape(results.dataset),
        counts=_count_verdicts(found),
        figures={drawing.name: show(PRESET, drawing) for drawing in drawings},
        runs=_tabulate_runs(evidence),
        notes=results.notes,
        claims={relative: _tabulate_claims(findings, evidence) for relative, findings in found.items()},
    )


def _count_verdicts(found: Mapping[str, Findings]) -> str:
    """Return how many claims have each verdict, by relative, as the end of a sentence."""
    counted = []
    for relative, findings in found.items():
        verdicts = [finding.verdict for _, finding in findings]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)
        counted.append(f"of {len(verdicts)} claims {counts}, with {relative} in its place")
    return "; ".join(counted)


def _tabulate_claims(findings: Findings, evidence: Evidence) -> str:
    """Return the Markdown table of the claims, each with its test and verdict."""
    rows = [
        [words, finding.test, f"**{finding.verdict}{say_weights(evidence.results, finding.runs)}**"]
        for words, finding in findings
    ]
    return to_markdown(["Claim", "Test", "Verdict"], rows, left=3)


def _tabulate_runs(evidence: Evidence) -> str:
    """Return the Markdown table of every run but the baseline."""
    results = evidence.results
    runs = [run for run in results.listed if run.kind != "baseline"]
    header = ["Run", UNFROZEN, "Trainable parameters", "Validation %", f"{results.part.capitalize()} %"]
    header += ["95 % interval", "Overfitting"]

    def measure(run: Run, scores: Mapping[str, Any]) -> list[str]:
        accuracies = [percent(scores[part]["accuracy"]) for part in ("validation", results.part)]
        overfits = say_verdict(evidence, run.name, "overfitting")
        return [f"{scores['trainable_parameters']:,}", *accuracies, interval(scores, results.part), overfits]

    rows = list_rows(results, runs, len(header), lambda run: [escape(run.name), run.unfrozen], measure)
    return to_markdown(header, rows, left=2)


PAGE = Page(PRESET, read_table, list_drawings, render_page)

if __name__ == "__main__":
    run_program(lambda: write_page(PAGE, pathlib.Path.cwd()))
