"""What the published reports claim, each claim judged by the runs of the table."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd

from thaw.comparison import published
from thaw.comparison.judging import (
    ASKS,
    VERDICTS,
    Finding,
    judge_accuracy,
    judge_arithmetic,
    judge_best,
    judge_better,
    judge_calibration,
    judge_class_gains,
    judge_confusion,
    judge_everywhere,
    judge_final_block,
    judge_gap,
    judge_inference,
    judge_last_20_layers,
    judge_lower_layers,
    judge_more_overfits,
    judge_trainings_alike,
    leave_open,
)
from thaw.comparison.pairs import Evidence, find_right, judge_questions, leave_out_asked
from thaw.comparison.picks import (
    BASELINE,
    list_deep,
    list_names,
    list_shallow,
    opens_last_layers,
    opens_layers,
    pick,
    pick_all,
    pick_blocks,
    pick_finetuned,
    pick_frozen,
    pick_layers_from,
)
from thaw.comparison.results import say_weights
from thaw.comparison.words import escape, to_markdown

ALL = "all"  # what no report alone claims

MOST_NAMED = 3  # runs: of more only the number is printed

Judge = Callable[[Evidence], Finding]


class Claim(NamedTuple):
    """One sentence that a reader takes away from a report."""

    report: str
    words: str
    judge: Judge


def _list_mobilenetv2_and_resnet50() -> Iterator[tuple[str, Judge]]:
    mobilenet, layers = pick_finetuned("MobileNetV2"), pick("ResNet50", "layer-wise", opens_layers)
    blocks = pick_blocks("ResNet50", 1)
    yield "MobileNetV2 reaches about 70 %", partial(judge_accuracy, mobilenet, 0.70, True)
    yield "MobileNetV2 is unstable", partial(judge_trainings_alike, [mobilenet], "unstable", True)
    yield "MobileNetV2 overfits", partial(judge_trainings_alike, [mobilenet], "overfitting", True)
    yield "Layer-wise ResNet50 reaches 90 %", partial(judge_accuracy, layers, 0.90, False)
    yield "Layer-wise ResNet50 is stable", partial(judge_trainings_alike, [layers], "unstable", False)
    yield "Layer-wise ResNet50 does not overfit", partial(judge_trainings_alike, [layers], "overfitting", False)
    yield "Block-wise ResNet50 is unstable", partial(judge_trainings_alike, [blocks], "unstable", True)
    yield "Block-wise ResNet50 overfits", partial(judge_trainings_alike, [blocks], "overfitting", True)
    yield "Layer-wise ResNet50 beats block-wise, by 2 points", partial(judge_better, layers, blocks)
    words = "Most errors of MobileNetV2 lie between daisy and dandelion"
    yield words, partial(judge_confusion, mobilenet, ("daisy", "dandelion"))


def _list_resnet50_and_mobilenet_analysis() -> Iterator[tuple[str, Judge]]:
    words = "ResNet50 is best with 10 blocks"
    yield words, partial(judge_best, pick_blocks("ResNet50", 10, 10), pick_all("ResNet50"))
    words = "MobileNet is best with 2 to 4 blocks"
    yield words, partial(judge_best, pick_blocks("MobileNet", 2, 4), pick_all("MobileNet"))
    words = "For MobileNet, blocks beat a fixed number of layers, by 3 to 4 points"
    layers = pick("MobileNet", "layer-wise", opens_last_layers)
    yield words, partial(judge_better, pick_blocks("MobileNet", 1), layers)
    yield "Unfreezing changes the inference time", partial(judge_inference, ("ResNet50", "MobileNet"))


def _list_resnet50_and_mobilenetv3() -> Iterator[tuple[str, Judge]]:
    yield from _list_family_claims("MobileNetV3Large")
    families = ("ResNet50", "MobileNetV3Large")
    more, less = (list_names(*(pick_layers_from(name, *span) for name in families)) for span in ((0, 99), (100, 1000)))
    yield "Opening from before layer 100 overfits", partial(judge_more_overfits, more, less)
    for architecture, gap in (("ResNet50", 0.0656), ("MobileNetV3Large", 0.0432)):
        words = f"The mean train − validation gap of {architecture} is {100 * gap:.2f} points"
        yield words, partial(judge_gap, pick_all(architecture), gap)
    words = "ResNet50 takes 3 to 4 times as long to train as MobileNetV3"
    yield words, partial(judge_arithmetic, "ResNet50", "MobileNetV3Large", 3)
    why = "a measured time, and no result on this page rests on one; `benchmarks/` measures it"
    yield "`tf.data` is faster than NumPy arrays", partial(leave_open, why)
    words = "`tf.data` allows larger batches than NumPy arrays"
    yield words, partial(leave_open, "no run of the table reads NumPy arrays")


def _list_family_claims(architecture: str) -> Iterator[tuple[str, Judge]]:
    """Yield what resnet50-and-mobilenetv3 claims of MobileNetV3 as a family, with `architecture` in its place."""
    words = "MobileNetV3 beats ResNet50 in every comparable setting"
    yield words, partial(judge_everywhere, architecture, "ResNet50")
    words = "MobileNetV3 beats ResNet50 with both frozen, by about 6 points"
    yield words, partial(judge_better, pick_frozen(architecture), pick_frozen("ResNet50"))
    words = "3 blocks is best for MobileNetV3"
    yield words, partial(judge_best, pick_blocks(architecture, 3, 3), pick_all(architecture))
    families = ("ResNet50", architecture)
    more, less = (list_names(*(pick_blocks(name, *span) for name in families)) for span in ((6, 1000), (1, 5)))
    yield "Opening more than 5 blocks overfits", partial(judge_more_overfits, more, less)


def _list_mobilenet_vs_resnet50() -> Iterator[tuple[str, Judge]]:
    frozen = pick_frozen("MobileNet")
    yield "For MobileNet the frozen network is best", partial(judge_best, frozen, pick_all("MobileNet"))
    yield "The final block alone brings MobileNet to 35.97 %", judge_final_block
    words = "With its final block open MobileNet is worse than frozen"
    yield words, partial(judge_better, frozen, pick_blocks("MobileNet", 1, 1))
    yield "The last 20 layers of ResNet50 have as many parameters as conv4 and conv5", judge_last_20_layers


def _list_frozen_vs_fine_tuning() -> Iterator[tuple[str, Judge]]:
    head, tuned = pick_frozen("MobileNetV2"), pick_finetuned("MobileNetV2")
    yield "Frozen MobileNetV2 is better than the baseline", partial(judge_better, head, BASELINE)
    yield "Fine-tuned MobileNetV2 is better than frozen", partial(judge_better, tuned, head)
    yield "The baseline overfits", partial(judge_trainings_alike, [BASELINE], "overfitting", True)
    words = "Fine-tuning helps roses and tulips most"
    yield words, partial(judge_class_gains, head, tuned, ("roses", "tulips"))
    yield "Fine-tuning sharpens calibration", partial(judge_calibration, head, tuned)
    words = "The errors left are of light, blur, angle and occlusion"
    yield words, partial(leave_open, "no photo is labelled by these")


def _list_claims_of_all() -> Iterator[tuple[str, Judge]]:
    words = "Unfreezing too much overfits a small set"
    yield words, partial(judge_more_overfits, list_deep, list_shallow)
    yield "Lower layers should stay frozen", judge_lower_layers


_REPORTS = {
    "mobilenetv2-and-resnet50": _list_mobilenetv2_and_resnet50,
    "resnet50-and-mobilenet-analysis": _list_resnet50_and_mobilenet_analysis,
    "resnet50-and-mobilenetv3": _list_resnet50_and_mobilenetv3,
    "mobilenet-vs-resnet50": _list_mobilenet_vs_resnet50,
    "frozen-vs-fine-tuning": _list_frozen_vs_fine_tuning,
    ALL: _list_claims_of_all,
}

CLAIMS = [Claim(report, words, judge) for report, list_claims in _REPORTS.items() for words, judge in list_claims()]


def judge_family(evidence: Evidence, architecture: str) -> list[tuple[str, Finding]]:
    """Return [(words, Finding)] on what resnet50-and-mobilenetv3 claims of MobileNetV3, `architecture` in its place."""
    claims = list(_list_family_claims(architecture))
    evidence = ask_claims(evidence, [judge for _, judge in claims])
    return [(words, judge(evidence)) for words, judge in claims]


def judge_claims(evidence: Evidence, reports: Sequence[str]) -> list[tuple[Claim, Finding]]:
    """Return [(Claim, Finding)] in the order of CLAIMS, of the claims of some reports and of those of all."""
    evidence = ask_claims(evidence)
    return [(claim, claim.judge(evidence)) for claim in CLAIMS if claim.report in {*reports, ALL}]


def ask_claims(evidence: Evidence, judges: Sequence[Judge] | None = None) -> Evidence:
    """Return `evidence` with the Pairs, too, that `judges`, by default those of all claims, look up.

    Those that no other question asks about are one family of tests, question ``claims``, in which each pair is one
    test, also where two claims ask about it.
    """
    asked: list[tuple[str, str]] = []
    for judge in judges or [claim.judge for claim in CLAIMS]:
        function, known = (judge.func, judge.args) if isinstance(judge, partial) else (judge, ())
        if function in ASKS:
            asked += ASKS[function](*known, evidence)
    questions = leave_out_asked({"claims": asked}, evidence.pairs)
    return evidence._replace(pairs=[*evidence.pairs, *judge_questions(evidence, questions)])


def tabulate_claims(evidence: Evidence) -> pd.DataFrame:
    """Return a row per claim: claim, report, runs, test, verdict; none where the photos are not those of the claims."""
    reports = published.list_reports(evidence.results)
    found = judge_claims(evidence, reports) if reports else []
    rows = [
        (claim.words, claim.report, " ".join(finding.runs), finding.test, _say_verdict(finding, evidence))
        for claim, finding in found
    ]
    return pd.DataFrame(rows, columns=["claim", "report", "runs", "test", "verdict"])


def describe_claims(evidence: Evidence) -> str:
    """Return the section: a line per claim, and how many of them there are of each verdict."""
    found = judge_claims(evidence, published.list_reports(evidence.results))
    verdicts = [finding.verdict for _, finding in found]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)
    rows = [
        [
            claim.words,
            claim.report,
            _name_runs(finding.runs, evidence),
            finding.test,
            f"**{_say_verdict(finding, evidence)}**",
        ]
        for claim, finding in found
    ]
    table = to_markdown(["Claim", "Report", "Runs", "Test", "Verdict"], rows, left=5)
    return "\n\n".join([f"Of {len(found)} claims: {counts}.", table, *_describe_rules(evidence)])


def _describe_rules(evidence: Evidence) -> list[str]:
    """Return the paragraphs on how claims are judged, and by which runs."""
    part, photos = evidence.results.part, len(find_right(evidence, evidence.best))
    return [
        f"Comparisons are McNemar's exact tests on the {photos:,} photos of {part}, with the p values of “Which "
        "differences are real” where that section has the pair; the other pairs that claims ask about are corrected "
        "together by Holm's method; of several runs that a claim could mean, the best on validation stands for them. "
        "Of a claimed difference the direction is judged; its size stands beside what was measured. Claims about "
        "overfitting and stability go by the rules under “How the runs trained”, and by what most of the runs do; "
        "that opening more overfits is supported only where most of the runs that open less do not. “Too much” and "
        "“lower layers” mean that more than half of the FLOPs of a forward pass lie behind the cut.",
        "The runs are those of this table that open what a claim names: their rates, epochs, BatchNorm mode and "
        "weights are this table's, not the report's (its own protocol is a preset, `./run preset`), and their "
        "photos are of TF-Flowers also where a report used others.",
    ]


def _say_verdict(finding: Finding, evidence: Evidence) -> str:
    """Return the verdict of a Finding, and on which weights its runs rest where they are not those of Keras."""
    return finding.verdict + say_weights(evidence.results, finding.runs)


def _name_runs(names: Sequence[str], evidence: Evidence) -> str:
    """Return the names of the runs with their marks, or how many there are where they are more than MOST_NAMED."""
    if len(names) > MOST_NAMED:
        return f"{len(names)} runs"
    return ", ".join(escape(name) + evidence.results.marks[name] for name in names) or "–"
