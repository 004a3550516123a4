"""What the published reports claim, each claim judged by the runs of the table.

A claim is a row of CLAIMS: the report, the words, and the function that judges it. The functions are small and general
("the best of these is better than the best of those"); they get what a claim says as arguments.
"""

import functools
from typing import Any, Callable, NamedTuple

import pandas as pd

from thaw import statistics
from thaw.reporting import published
from thaw.reporting.comparison import (
    Evidence,
    compare_pairs,
    count_right,
    find_frozen_share,
    find_right,
    measure_calibration,
    say_counts,
)
from thaw.reporting.results import Run
from thaw.reporting.tables import percent, say_interval, to_markdown
from thaw.scoring import find_interval

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNDECIDED = "cannot be told apart at this size"
IMPOSSIBLE = "cannot be true"
NOT_RUN = "not run"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, IMPOSSIBLE, NOT_RUN)

MOST_NAMED = 3  # runs: of more only the number is printed


class Finding(NamedTuple):
    """What the results say of one claim."""

    runs: list[str]  # that bear on it
    test: str  # in words, with its numbers
    verdict: str  # one of VERDICTS


class Pick(NamedTuple):
    """Some runs of one architecture."""

    architecture: str
    words: str  # what they are called in a sentence
    where: Callable[[Run], Any] = lambda run: True

    def find(self, evidence):
        """Return the Runs, the best on validation first."""
        return published.find_runs(evidence.results, self.architecture, self.where)


class Claim(NamedTuple):
    """One sentence that a reader takes away from a report."""

    report: str
    words: str
    judge: Callable[[Evidence], Finding]


def find_asked(run, *keys):
    """Return the value of the one key that the Run's `unfreeze` has, where it is one of `keys`; else None.

    Several keys together open a union, which no published row does.
    """
    asked = {key: value for key, value in (run.unfreeze or {}).items() if value is not None}
    return next(iter(asked.values())) if len(asked) == 1 and set(asked) <= set(keys) else None


def is_frozen(run):
    """Tell whether the Run trains a head alone."""
    return run.kind == "frozen"


def is_finetuned(run):
    """Tell whether the Run opens part of a backbone."""
    return run.kind == "finetuned"


def opens_layers(run):
    """Tell whether the Run opens layers by their number, from the end or from the start."""
    return find_asked(run, "layers", "from_layer") is not None


def opens_last_layers(run):
    """Tell whether the Run opens a fixed number of layers at the end."""
    return find_asked(run, "layers") is not None


def opens_blocks(run, low=1, high=1000):
    """Tell whether the Run opens `low` to `high` blocks."""
    return low <= (find_asked(run, "blocks") or 0) <= high


def opens_from(run, low, high):
    """Tell whether the first layer that the Run opens is number `low` to `high`, both included."""
    first = find_asked(run, "from_layer")
    return first is not None and low <= first <= high


def judge_better(first, second, evidence):
    """Judge "`first` is better than `second`" (Picks): the best of each on validation, photo by photo."""
    missing = [pick for pick in (first, second) if not pick.find(evidence)]
    if missing:
        return _say_missing(*missing)
    names = [pick.find(evidence)[0].name for pick in (first, second)]
    pair = compare_pairs(evidence, [names])[0]
    points = 100 * (pair.paired.first_only - pair.paired.second_only) / pair.paired.photos
    verdict = UNDECIDED if pair.winner is None else SUPPORTED if pair.winner == names[0] else CONTRADICTED
    return Finding(names, f"{points:+.1f} points: {say_counts(pair)}", verdict)


def judge_best(candidates, everything, evidence):
    """Judge "the best of `candidates` is the best of `everything`" (Picks), each other run held against it.

    Supported where it is better than every other, contradicted where one of them is better; p values corrected for
    being so many.
    """
    names = [run.name for run in candidates.find(evidence)]
    others = [run.name for run in everything.find(evidence) if run.name not in names]
    if not names:
        return _say_missing(candidates)
    if not others:
        return _say_missing(everything._replace(words=f"other run of {everything.architecture}"))
    pairs = compare_pairs(evidence, [(names[0], other) for other in others])
    ahead, behind = (sum(pair.winner == pair[side] for pair in pairs) for side in (0, 1))
    verdict = CONTRADICTED if behind else SUPPORTED if ahead == len(pairs) else UNDECIDED
    text = f"{names[0]} is better than {ahead} of {len(pairs)} others and worse than {behind}"
    return Finding([names[0], *others], text, verdict)


def judge_accuracy(pick, share, exactly, evidence):
    """Judge "the best of `pick` reaches `share`", or more unless `exactly`: by its interval.

    An accuracy is never supported exactly: where the interval holds it, more photos could still deny it.
    """
    runs = pick.find(evidence)
    if not runs:
        return _say_missing(pick)
    right, photos = count_right(evidence.results.scores[runs[0].name][evidence.results.part])
    low, high = find_interval(right / photos, photos)
    text = f"measured {percent(right / photos)} %, interval {say_interval(low, high)}"
    if high < share or (exactly and share < low):
        return Finding([runs[0].name], text, CONTRADICTED)
    return Finding([runs[0].name], text, SUPPORTED if share <= low else UNDECIDED)


def judge_training(picks, key, expected, evidence):
    """Judge "`picks` are `key`" (overfitting or unstable), or are not, as `expected` says: by what most of them are."""
    names = [run.name for pick in picks for run in pick.find(evidence)]
    if not names:
        return _say_missing(*picks)
    count = sum(evidence.verdicts[name][key] for name in names)
    agreeing = count if expected else len(names) - count
    text = f"{key}: {count} of {len(names)}"
    return Finding(names, text, _judge_majority(agreeing, len(names)))


def judge_more_overfits(more, less, evidence):
    """Judge "the runs `more` overfit": most of them do, and most of the runs `less`, which open less, do not.

    Both map the evidence to names of runs.
    """
    more, less = more(evidence), less(evidence)
    if not more:
        return Finding([], "no run of these backbones opens so much", NOT_RUN)
    counts = [sum(evidence.verdicts[name]["overfitting"] for name in names) for names in (more, less)]
    text = f"overfitting: {counts[0]} of {len(more)}"
    if less:
        text += f", and {counts[1]} of {len(less)} that open less"
    verdicts = {_judge_majority(counts[0], len(more))}
    if less:
        verdicts.add(_judge_majority(len(less) - counts[1], len(less)))
    verdict = next(verdict for verdict in (CONTRADICTED, UNDECIDED, SUPPORTED) if verdict in verdicts)
    return Finding([*more, *less], text, verdict)


def judge_confusion(pick, classes, evidence):
    """Judge "most errors of the best of `pick` lie between the two `classes`"."""
    runs = pick.find(evidence)
    if not runs:
        return _say_missing(pick)
    table = evidence.predictions[runs[0].name]
    wrong = table[(table["part"] == evidence.results.part) & ~table["right"]]
    between = int((wrong["actual"].isin(classes) & wrong["predicted"].isin(classes)).sum())
    if not len(wrong):
        return Finding([runs[0].name], "no errors", CONTRADICTED)
    low, high = find_interval(between / len(wrong), len(wrong))
    text = f"{between} of {len(wrong)} errors, interval {100 * low:.0f} – {100 * high:.0f} %"
    verdict = SUPPORTED if low > 0.5 else CONTRADICTED if high < 0.5 else UNDECIDED
    return Finding([runs[0].name], text, verdict)


def judge_class_gains(before, after, classes, evidence):
    """Judge "fine-tuning helps `classes` most": the F1 gains from the best of `before` to the best of `after`.

    Undecided where the two runs cannot be told apart at all: then no gain is more than chance.
    """
    missing = [pick for pick in (before, after) if not pick.find(evidence)]
    if missing:
        return _say_missing(*missing)
    names = [pick.find(evidence)[0].name for pick in (before, after)]
    scores = [_score_f1(evidence, name) for name in names]
    gains = {label: scores[1].get(label, 0.0) - score for label, score in scores[0].items()}
    ranked = sorted(gains, key=lambda label: (-gains[label], label))
    pair = compare_pairs(evidence, [names[::-1]])[0]
    text = "F1 gains: " + ", ".join(f"{label} {100 * gains[label]:+.1f}" for label in ranked)
    verdict = SUPPORTED if set(ranked[: len(classes)]) == set(classes) else CONTRADICTED
    if pair.winner is None:
        verdict = UNDECIDED
    return Finding(names, f"{text}; over all classes {say_counts(pair)}", verdict)


def judge_calibration(before, after, evidence):
    """Judge "fine-tuning sharpens calibration": the calibration error of the best of `after` is below `before`'s."""
    missing = [pick for pick in (before, after) if not pick.find(evidence)]
    if missing:
        return _say_missing(*missing)
    names, part = [pick.find(evidence)[0].name for pick in (before, after)], evidence.results.part
    if any(measure_calibration(evidence, name, part) is None for name in names):
        return Finding(names, "a probability is no number", CONTRADICTED)
    tables = [evidence.predictions[name] for name in reversed(names)]
    tables = [table[table["part"] == part] for table in tables]
    difference, low, high = statistics.compare_calibration(*((t["confidence"], t["right"]) for t in tables))
    points = [f"{100 * value:+.1f}" for value in (difference, low, high)]
    text = "calibration error changes by {} points, interval {} to {}".format(*points)
    return Finding(names, text, SUPPORTED if high < 0 else CONTRADICTED if low > 0 else UNDECIDED)


def judge_everywhere(first, second, evidence):
    """Judge "architecture `first` beats `second` in every comparable setting": each setting that both were run with."""
    pairs = []
    for run in published.find_runs(evidence.results, first):
        rivals = published.find_runs(evidence.results, second, lambda other, run=run: other.thaws == run.thaws)
        pairs += [(run.name, rival.name) for rival in rivals]
    if not pairs:
        return Finding([], f"no setting with runs of both {first} and {second}", NOT_RUN)
    pairs = compare_pairs(evidence, pairs)
    ahead, behind = (sum(pair.winner == pair[side] for pair in pairs) for side in (0, 1))
    verdict = CONTRADICTED if behind else SUPPORTED if ahead == len(pairs) else UNDECIDED
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second)))
    return Finding(names, f"better in {ahead} of {len(pairs)} settings, worse in {behind}", verdict)


def judge_gap(pick, claimed, evidence):
    """Judge "the mean train − validation gap of `pick` is `claimed`": contradicted where our interval lacks it."""
    names = [run.name for run in pick.find(evidence)]
    if not names:
        return _say_missing(pick)
    train = [count_right(evidence.results.scores[name]["train"]) for name in names]
    validation = [find_right(evidence, name, "validation") for name in names]
    gap, low, high = statistics.find_mean_gap(train, validation)
    signed, tuned = (published.find_mean_gap(pick.architecture, frozen) for frozen in (True, False))
    text = (
        f"{100 * gap:.2f} points over {len(names)} runs, interval {say_interval(low, high)}; the report's own "
        f"rows give {100 * signed:.2f} with the frozen run and its negative gap, {100 * tuned:.2f} without"
    )
    return Finding(names, text, UNDECIDED if low <= claimed <= high else CONTRADICTED)


def judge_arithmetic(first, second, times, evidence):
    """Judge "architecture `first` takes at least `times` as long to train as `second`" by the FLOPs of a step."""
    ratios, names = [], []
    for run in published.find_runs(evidence.results, first):
        rivals = published.find_runs(evidence.results, second, lambda other, run=run: other.thaws == run.thaws)
        for rival in rivals:
            ratios.append(_count_step(evidence, run.name) / _count_step(evidence, rival.name))
            names += [run.name, rival.name]
    if not ratios:
        return Finding([], f"no setting with runs of both {first} and {second}", NOT_RUN)
    text = f"{min(ratios):.1f} to {max(ratios):.1f} times the FLOPs of a training step; seconds are in cost.md"
    return Finding(list(dict.fromkeys(names)), text, SUPPORTED if min(ratios) >= times else CONTRADICTED)


def judge_inference(architectures, evidence):
    """Judge "unfreezing changes the inference time": it cannot where parameters and FLOPs of the network do not."""
    names, texts, same = [], [], True
    for architecture in architectures:
        runs = published.find_runs(evidence.results, architecture)
        starts = {run.start for run in runs if run.start}
        for start in [run.name for run in runs if run.name in starts]:
            family = [start, *(run.name for run in runs if run.start == start)]
            networks = {
                (evidence.results.scores[name]["total_parameters"], evidence.flops[name]["forward"]) for name in family
            }
            same, names = same and len(networks) == 1, names + family
            parameters, forward = min(networks)
            texts.append(
                f"{len(family)} runs of {architecture}: {parameters:,} parameters and {forward / 1e9:.2f} GFLOPs for "
                f"an image {'in each' if len(networks) == 1 else 'in some, others differ'}"
            )
    if not names:
        return Finding([], "no frozen run with one that goes on from it", NOT_RUN)
    return Finding(names, "; ".join(texts), IMPOSSIBLE if same else SUPPORTED)


def judge_lower_layers(evidence):
    """Judge "lower layers should stay frozen": the best run that opens them is worse than the best that does not.

    Lower layers are open where less than half of the forward pass, by FLOPs, lies in the frozen prefix. The backbone
    is the one that has runs of both kinds and the best of them on validation.
    """
    deep, shallow = _open_deep(evidence), _open_shallow(evidence)
    for architecture in _rank_architectures(evidence):
        runs = [run.name for run in published.find_runs(evidence.results, architecture, is_finetuned)]
        pair = [next((name for name in runs if name in group), None) for group in (shallow, deep)]
        if all(pair):
            found = compare_pairs(evidence, [pair])[0]
            verdict = UNDECIDED if found.winner is None else SUPPORTED if found.winner == pair[0] else CONTRADICTED
            return Finding(pair, f"upper layers alone against lower ones too: {say_counts(found)}", verdict)
    return Finding([], "no backbone with runs of both kinds", NOT_RUN)


def judge_last_20_layers(evidence):
    """Judge "the last 20 layers of ResNet50 have as many parameters as conv4 and conv5" by the published counts.

    More layers at the end never train fewer parameters, so 20 of them cannot train more than 40 do.
    """
    table = published.read_published()
    rows = table[(table["backbone"] == "ResNet50") & (table["trainable_parameters"] != "")]
    counts = {row.unfreeze: int(row.trainable_parameters) for row in rows.itertuples()}
    labelled, stages, forty = (
        counts[key] for key in ("last 20 layers (as labelled)", "stages conv4 and conv5", "last 40 layers")
    )
    text = (
        f"{labelled:,} trainable parameters; conv4 and conv5 have {stages:,}, the last 40 layers {forty:,}: "
        "the label is wrong"
    )
    return Finding([], text, IMPOSSIBLE if labelled == stages and labelled > forty else UNDECIDED)


def judge_final_block(evidence):
    """Judge "MobileNet's final block alone gives 35.97 %": with the frozen row's parameters nothing was open."""
    table = published.read_published()
    rows = table[(table["report"] == "mobilenet-vs-resnet50") & (table["backbone"] == "MobileNet")]
    by_row = {row.unfreeze.partition(" (")[0]: row for row in rows.itertuples()}
    frozen, block = by_row["none"], by_row["final block"]
    text = (
        f"both rows train {int(block.trainable_parameters):,} parameters, the head: "
        f"{percent(float(block.test_accuracy))} % and {percent(float(frozen.test_accuracy))} % are of one setting"
    )
    return Finding([], text, IMPOSSIBLE if frozen.trainable_parameters == block.trainable_parameters else UNDECIDED)


def leave_open(why, evidence):
    """Leave a claim unjudged, because of `why`."""
    return Finding([], why, NOT_RUN)


def _say_missing(*picks):
    return Finding([], "there is no " + " and no ".join(pick.words for pick in picks), NOT_RUN)


def _judge_majority(agreeing, count):
    """Return the verdict on a claim that holds for `agreeing` of `count` runs."""
    return SUPPORTED if 2 * agreeing > count else CONTRADICTED if 2 * agreeing < count else UNDECIDED


def _score_f1(evidence, name):
    """Return {class: F1} of run `name` on the part that counts."""
    table = evidence.predictions[name]
    table = table[table["part"] == evidence.results.part]
    scores = {}
    for label in sorted(set(table["actual"])):
        hits = int(((table["actual"] == label) & (table["predicted"] == label)).sum())
        scores[label] = 2 * hits / int((table["actual"] == label).sum() + (table["predicted"] == label).sum())
    return scores


def _count_step(evidence, name):
    """Return the FLOPs of a training step of run `name` for one image, the frozen part computed in every step."""
    flops = evidence.flops[name]
    return flops["prefix"] + flops["training_step"]


def _find_finetuned(evidence, where):
    """Return the names of the fine-tuned runs for which `where` of their share of frozen FLOPs holds."""
    names = [run.name for run in evidence.results.runs if run.kind == "finetuned"]
    return [name for name in names if where(find_frozen_share(evidence, name))]


def _open_deep(evidence):
    return _find_finetuned(evidence, lambda share: share < 0.5)


def _open_shallow(evidence):
    return _find_finetuned(evidence, lambda share: share >= 0.5)


def _rank_architectures(evidence):
    """Return the architectures of the runs, that of the best on validation first."""
    ranked = sorted(evidence.results.runs, key=lambda run: _rank(evidence, run))
    names = [published.name_architecture(evidence.results, run) for run in ranked if run.backbone]
    return [name for name in dict.fromkeys(names) if name]


def _rank(evidence, run):
    return -evidence.results.scores[run.name]["validation"]["accuracy"]


def _names_of(*picks):
    """Return the function that maps the evidence to the names of the runs of `picks`."""
    return lambda evidence: [run.name for pick in picks for run in pick.find(evidence)]


def _pick(architecture, words, where=lambda run: True):
    return Pick(architecture, f"{words} run of {architecture}".strip(), where)


def _blocks(architecture, low, high=1000):
    words = f"{low}-block" if low == high else f"{low}- to {high}-block" if high < 1000 else "block-wise"
    return _pick(architecture, words, functools.partial(opens_blocks, low=low, high=high))


def _layers_from(architecture, low, high):
    return _pick(architecture, "from-layer", functools.partial(opens_from, low=low, high=high))


def _frozen(architecture):
    return _pick(architecture, "frozen", is_frozen)


def _finetuned(architecture):
    return _pick(architecture, "fine-tuned", is_finetuned)


def _all(architecture):
    return Pick(architecture, f"run of {architecture}")


_BASELINE = Pick(published.BASELINE, "baseline")
_BY_LAYERS, _BY_BLOCKS = _pick("ResNet50", "layer-wise", opens_layers), _pick("ResNet50", "block-wise", opens_blocks)
_FAMILIES = ("ResNet50", "MobileNetV3Large")
_TIME = "a measured time, and no result on this page rests on one; `benchmarks/` measures it"


def _list_family_claims(architecture):
    """Yield what resnet50-and-mobilenetv3 claims of MobileNetV3 as a family, with `architecture` in its place.

    Each is (words, function, its arguments but the evidence).
    """
    yield "MobileNetV3 beats ResNet50 in every comparable setting", judge_everywhere, architecture, "ResNet50"
    words = "MobileNetV3 beats ResNet50 with both frozen, by about 6 points"
    yield words, judge_better, _frozen(architecture), _frozen("ResNet50")
    yield "3 blocks is best for MobileNetV3", judge_best, _blocks(architecture, 3, 3), _all(architecture)
    more, less = (
        _names_of(*(_blocks(name, *span) for name in ("ResNet50", architecture))) for span in ((6, 1000), (1, 5))
    )
    yield "Opening more than 5 blocks overfits", judge_more_overfits, more, less


def _list_claims():
    """Yield (report, words, function, its arguments but the evidence)."""
    report = "mobilenetv2-and-resnet50"
    yield report, "MobileNetV2 reaches about 70 %", judge_accuracy, _finetuned("MobileNetV2"), 0.70, True
    for key, words in (("unstable", "is unstable"), ("overfitting", "overfits")):
        yield report, f"MobileNetV2 {words}", judge_training, [_finetuned("MobileNetV2")], key, True
    yield report, "Layer-wise ResNet50 reaches 90 %", judge_accuracy, _BY_LAYERS, 0.90, False
    yield report, "Layer-wise ResNet50 is stable", judge_training, [_BY_LAYERS], "unstable", False
    yield report, "Layer-wise ResNet50 does not overfit", judge_training, [_BY_LAYERS], "overfitting", False
    yield report, "Block-wise ResNet50 is unstable", judge_training, [_BY_BLOCKS], "unstable", True
    yield report, "Block-wise ResNet50 overfits", judge_training, [_BY_BLOCKS], "overfitting", True
    yield report, "Layer-wise ResNet50 beats block-wise, by 2 points", judge_better, _BY_LAYERS, _BY_BLOCKS
    words = "Most errors of MobileNetV2 lie between daisy and dandelion"
    yield report, words, judge_confusion, _finetuned("MobileNetV2"), ("daisy", "dandelion")

    report = "resnet50-and-mobilenet-analysis"
    yield report, "ResNet50 is best with 10 blocks", judge_best, _blocks("ResNet50", 10, 10), _all("ResNet50")
    yield report, "MobileNet is best with 2 to 4 blocks", judge_best, _blocks("MobileNet", 2, 4), _all("MobileNet")
    words = "For MobileNet, blocks beat a fixed number of layers, by 3 to 4 points"
    yield report, words, judge_better, _blocks("MobileNet", 1), _pick("MobileNet", "layer-wise", opens_last_layers)
    yield report, "Unfreezing changes the inference time", judge_inference, ("ResNet50", "MobileNet")

    report = "resnet50-and-mobilenetv3"
    for words, *judge in _list_family_claims("MobileNetV3Large"):
        yield report, words, *judge
    more, less = (_names_of(*(_layers_from(name, *span) for name in _FAMILIES)) for span in ((0, 99), (100, 1000)))
    yield report, "Opening from before layer 100 overfits", judge_more_overfits, more, less
    for architecture, gap in (("ResNet50", 0.0656), ("MobileNetV3Large", 0.0432)):
        words = f"The mean train − validation gap of {architecture} is {100 * gap:.2f} points"
        yield report, words, judge_gap, _all(architecture), gap
    words = "ResNet50 takes 3 to 4 times as long to train as MobileNetV3"
    yield report, words, judge_arithmetic, "ResNet50", "MobileNetV3Large", 3
    yield report, "`tf.data` is faster than NumPy arrays", leave_open, _TIME
    words = "`tf.data` allows larger batches than NumPy arrays"
    yield report, words, leave_open, "no run of the table reads NumPy arrays"

    report = "mobilenet-vs-resnet50"
    yield report, "For MobileNet the frozen network is best", judge_best, _frozen("MobileNet"), _all("MobileNet")
    yield report, "The final block alone brings MobileNet to 35.97 %", judge_final_block
    words = "With its final block open MobileNet is worse than frozen"
    yield report, words, judge_better, _frozen("MobileNet"), _blocks("MobileNet", 1, 1)
    yield report, "The last 20 layers of ResNet50 have as many parameters as conv4 and conv5", judge_last_20_layers

    report, head, tuned = "frozen-vs-fine-tuning", _frozen("MobileNetV2"), _finetuned("MobileNetV2")
    yield report, "Frozen MobileNetV2 is better than the baseline", judge_better, head, _BASELINE
    yield report, "Fine-tuned MobileNetV2 is better than frozen", judge_better, tuned, head
    yield report, "The baseline overfits", judge_training, [_BASELINE], "overfitting", True
    words = "Fine-tuning helps roses and tulips most"
    yield report, words, judge_class_gains, head, tuned, ("roses", "tulips")
    yield report, "Fine-tuning sharpens calibration", judge_calibration, head, tuned
    words = "The errors left are of light, blur, angle and occlusion"
    yield report, words, leave_open, "no photo is labelled by these"

    report = "all"
    yield report, "Unfreezing too much overfits a small set", judge_more_overfits, _open_deep, _open_shallow
    yield report, "Lower layers should stay frozen", judge_lower_layers


CLAIMS = [Claim(report, words, functools.partial(function, *rest)) for report, words, function, *rest in _list_claims()]


def judge_family(evidence, architecture):
    """Return [(words, Finding)] on what resnet50-and-mobilenetv3 claims of MobileNetV3, `architecture` in its place."""
    return [(words, judge(*rest, evidence)) for words, judge, *rest in _list_family_claims(architecture)]


def judge_claims(evidence):
    """Return [(Claim, Finding)] in the order of CLAIMS."""
    return [(claim, claim.judge(evidence)) for claim in CLAIMS]


def tabulate_claims(evidence):
    """Return a row per claim: claim, report, runs, test and verdict; none where the photos are not those of the claims."""
    found = judge_claims(evidence) if published.is_tf_flowers(evidence.results) else []
    rows = [
        (claim.words, claim.report, " ".join(finding.runs), finding.test, finding.verdict) for claim, finding in found
    ]
    return pd.DataFrame(rows, columns=["claim", "report", "runs", "test", "verdict"])


def describe_claims(evidence):
    """Return the section: a line per claim, and how many of them there are of each verdict."""
    found = judge_claims(evidence)
    verdicts = [finding.verdict for _, finding in found]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)
    part, photos = evidence.results.part, len(find_right(evidence, evidence.best))
    rows = [
        [claim.words, claim.report, _name_runs(finding.runs, evidence), finding.test, f"**{finding.verdict}**"]
        for claim, finding in found
    ]
    return "\n\n".join(
        [
            f"Of {len(found)} claims: {counts}.",
            to_markdown(["Claim", "Report", "Runs", "Test", "Verdict"], rows, left=5),
            f"Comparisons are McNemar's exact tests on the {photos:,} photos of {part}, corrected by Holm's method "
            "within a claim; of several runs that a claim could mean, the best on validation stands for them. Of a "
            "claimed difference the direction is judged; its size stands beside what was measured. Claims about "
            "overfitting and stability go by the rules under “How the runs trained”, and by what most of the runs do; that "
            "opening more overfits is supported only where most of the runs that open less do not. "
            "“Too much” and “lower layers” mean that more than half of the FLOPs of a forward pass lie behind the cut.",
            "The runs are those of this table that open what a claim speaks of: their rates, epochs, BatchNorm mode and "
            "weights are this table's, not the report's (its own protocol is a preset, `./run preset`), and their "
            "photos are of TF-Flowers also where a report used others.",
        ]
    )


def _name_runs(names, evidence):
    if len(names) > MOST_NAMED:
        return f"{len(names)} runs"
    return ", ".join(name + evidence.results.marks[name] for name in names) or "–"
