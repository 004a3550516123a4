"""docs/mobilenetv3-family.md: MobileNetV3 against ResNet50, told from the kept results of preset `mobilenetv3-family`.

    ./run python -m thaw.family
"""

import functools
import pathlib

from thaw import plotting
from thaw.kept import show, write_page
from thaw.params import run
from thaw.reporting.claims import VERDICTS, judge_family
from thaw.reporting.figures import Drawing, tabulate_runs
from thaw.reporting.results import rank_runs
from thaw.reporting.tables import interval, list_rows, percent, to_markdown

PRESET = "mobilenetv3-family"
RELATIVES = {
    "MobileNetV3Small": "the same kinds of blocks, fewer and narrower",
    "MobileNetV3LargeMinimalistic": "the blocks of MobileNetV3Large without squeeze-and-excitation, with ReLU in place "
    "of hard swish and 3×3 kernels in place of 5×5",
}


def list_drawings(evidence):
    """Return the one Drawing of the page: the accuracy of every run but the baseline, with its interval."""
    results, part = evidence.results, evidence.results.part
    runs = tabulate_runs(evidence)
    runs = runs[runs["kind"] != "baseline"].reset_index(drop=True)
    best = next(name for name in rank_runs(results) if name in set(runs["run"]))
    return [
        Drawing(
            "accuracies",
            f"{part} accuracy of {len(runs)} runs of two relatives of MobileNetV3Large and of ResNet50, each with its "
            f"95 % interval; {best} is best on validation",
            runs[["run", "thaws", "part", "accuracy", "low", "high"]],
            functools.partial(plotting.draw_overview, runs, part, best, results.notes),
        )
    ]


def render_page(evidence, drawings):
    """Return the page in Markdown, told from `evidence` (comparison.Evidence) of the preset's runs."""
    results = evidence.results
    photos = results.scores[results.runs[0].name][results.part]["photos"]
    found = {relative: judge_family(evidence, relative) for relative in RELATIVES}
    parts = [
        "# MobileNetV3 against ResNet50, a first answer",
        "A published table, [resnet50-and-mobilenetv3](presets.md), claims that MobileNetV3Large beats ResNet50 in every "
        "comparable setting, and that three open blocks suit it best. The runs of MobileNetV3Large wait for its "
        "official weights. Here two relatives stand in for it, each frozen and with its last 1, 2, 3, 5 and 8 blocks "
        f"open, under the protocol of `params.yaml`: one seed, {photos:,} photos of {results.part} of "
        f"{results.dataset}.",
        "`./run preset mobilenetv3-family` runs them, `./run preset mobilenetv3-family keep` keeps what they gave in "
        "[presets/mobilenetv3-family](../presets/mobilenetv3-family/), and `./run python -m thaw.family` writes this "
        "page from that.",
        _summarize(found),
        show(PRESET, drawings[0]),
        _tabulate(evidence),
        *(f"{note}." for note in results.notes),
        "Overfitting is judged by the rule of the report ([reading the report](reading-the-report.md)).",
    ]
    for relative, findings in found.items():
        rows = [[words, finding.test, f"**{finding.verdict}**"] for words, finding in findings]
        parts += [
            f"## {relative} in MobileNetV3's place",
            f"That is {RELATIVES[relative]}.",
            to_markdown(["Claim", "Test", "Verdict"], rows, left=3),
        ]
    parts.append(
        "Comparisons are McNemar's exact tests on the same photos, corrected by Holm's method within a claim; “3 against "
        "20” are the photos that one of the two alone has right. Comparable settings are those that both were run with."
    )
    return "\n\n".join(parts) + "\n"


def _summarize(found):
    """Return the sentences that count the verdicts on the claims, by relative."""
    told = []
    for relative, findings in found.items():
        verdicts = [finding.verdict for _, finding in findings]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)
        told.append(f"of {len(verdicts)} claims {counts}, with {relative} in its place")
    return f"What the runs say of MobileNetV3: {'; '.join(told)}."


def _tabulate(evidence):
    results = evidence.results
    runs = [run for run in results.listed if run.kind != "baseline"]
    header = ["Run", "What thaws", "Trainable parameters", "Validation %", f"{results.part.capitalize()} %"]
    header += ["95 % interval", "Overfitting"]

    def measure(run, scores):
        accuracies = [percent(scores[part]["accuracy"]) for part in ("validation", results.part)]
        overfits = "yes" if evidence.verdicts[run.name]["overfitting"] else "no"
        return [f"{scores['trainable_parameters']:,}", *accuracies, interval(scores, results.part), overfits]

    rows = list_rows(results, runs, len(header), lambda run: [run.name, run.thaws], measure)
    return to_markdown(header, rows, left=2)


if __name__ == "__main__":
    run(lambda: write_page(PRESET, list_drawings, render_page, pathlib.Path.cwd()))
