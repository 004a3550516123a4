"""Functions that judge one published claim by the runs of the table.

They are small and general ("the best of these is better than the best of those"), and get what a claim states as
arguments. Each returns a Finding. Those that compare runs photo by photo look the Pairs up in the evidence; ASKS has,
for each of them, the function that returns which pairs it will look up.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from thaw.comparison import inference, published
from thaw.comparison.inference import wilson_interval
from thaw.comparison.pairs import (
    Evidence,
    Pair,
    count_right,
    find_pair,
    find_right,
    holds,
    say_counts,
)
from thaw.comparison.picks import Pick, is_finetuned, list_deep, list_shallow, pair_settings, rank_architectures
from thaw.comparison.words import escape, percent, say_interval, say_points

Verdict = Literal["supported", "contradicted", "cannot be told apart at this size", "cannot be true", "not run"]

SUPPORTED: Final = "supported"

CONTRADICTED: Final = "contradicted"

UNDECIDED: Final = "cannot be told apart at this size"

IMPOSSIBLE: Final = "cannot be true"

NOT_RUN: Final = "not run"

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Finding(NamedTuple):
    """What the results show of one claim."""

    runs: list[str]  # that bear on it
    test: str  # as text, with its numbers
    verdict: Verdict


def judge_better(first: Pick, second: Pick, evidence: Evidence) -> Finding:
    """Judge "`first` is better than `second`": the best of each on validation, photo by photo."""
    missing = _find_missing(evidence, first, second)
    if missing:
        return missing
    ((one, other),) = _ask_better(first, second, evidence)
    pair = find_pair(evidence, one, other)
    return Finding([one, other], f"{_say_difference(pair)}: {say_counts(pair)}", _judge_pair(pair))


def _ask_better(first: Pick, second: Pick, evidence: Evidence) -> list[tuple[str, str]]:
    if _find_missing(evidence, first, second):
        return []
    return [(first.find(evidence)[0].name, second.find(evidence)[0].name)]


def judge_best(candidates: Pick, everything: Pick, evidence: Evidence) -> Finding:
    """Judge "the best of `candidates` is the best of `everything`", compared with each other run.

    Supported where it is better than every other, contradicted where one of them is better.
    """
    if not candidates.find(evidence):
        return _miss(candidates)
    pairs = [find_pair(evidence, *names) for names in _ask_best(candidates, everything, evidence)]
    if not pairs:
        return _miss(everything._replace(words=f"other run of {everything.architecture}"))
    ahead, behind, verdict = _judge_all(pairs)
    name, others = pairs[0].first, [pair.second for pair in pairs]
    text = f"{escape(name)} is better than {ahead} of {len(pairs)} others and worse than {behind}"
    return Finding([name, *others], text, verdict)


def _ask_best(candidates: Pick, everything: Pick, evidence: Evidence) -> list[tuple[str, str]]:
    names = [run.name for run in candidates.find(evidence)]
    return [(names[0], run.name) for run in everything.find(evidence) if run.name not in names] if names else []


def judge_everywhere(first: str, second: str, evidence: Evidence) -> Finding:
    """Judge "architecture `first` beats `second` in every comparable setting": each setting that both were run with."""
    settings = _ask_everywhere(first, second, evidence)
    if not settings:
        return Finding([], f"no setting with runs of both {first} and {second}", NOT_RUN)
    pairs = [find_pair(evidence, *names) for names in settings]
    ahead, behind, verdict = _judge_all(pairs)
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    return Finding(names, f"better in {ahead} of {len(pairs)} settings, worse in {behind}", verdict)


def _ask_everywhere(first: str, second: str, evidence: Evidence) -> list[tuple[str, str]]:
    return pair_settings(evidence, first, second)


def judge_accuracy(one: Pick, share: float, exactly: bool, evidence: Evidence) -> Finding:
    """Judge "the best of `one` reaches `share`", or more unless `exactly`: by its interval.

    An accuracy is never supported exactly: where the interval holds it, more photos could still deny it.
    """
    runs = one.find(evidence)
    if not runs:
        return _miss(one)
    right, photos = count_right(evidence.results.scores[runs[0].name][evidence.results.part])
    low, high = wilson_interval(right / photos, photos)
    text = f"measured {percent(right / photos)} %, interval {say_interval(low, high)}"
    verdict = _decide(holds=share <= low, fails=high < share or (exactly and share < low))
    return Finding([runs[0].name], text, verdict)


def judge_trainings_alike(
    picks: Sequence[Pick], key: Literal["overfitting", "unstable"], expected: bool, evidence: Evidence
) -> Finding:
    """Judge "`picks` are `key`", or are not, as `expected` has it: by what most of them are in most of their seeds."""
    names = [run.name for one in picks for run in one.find(evidence)]
    if not names:
        return _miss(*picks)
    count = sum(holds(evidence, name, key) for name in names)
    agreeing = count if expected else len(names) - count
    text = f"{key}: {count} of {len(names)} ({_say_seeds(evidence, names)})"
    return Finding(names, text, _judge_majority(agreeing, len(names)))


def judge_more_overfits(
    list_more: Callable[[Evidence], list[str]], list_less: Callable[[Evidence], list[str]], evidence: Evidence
) -> Finding:
    """Judge "opening more overfits": most runs of `list_more` do, and most of `list_less`, which open less, do not.

    Both map the evidence to names of runs.
    """
    more, less = list_more(evidence), list_less(evidence)
    if not more:
        return Finding([], "no run of these backbones opens so much", NOT_RUN)
    counts = [sum(holds(evidence, name, "overfitting") for name in names) for names in (more, less)]
    text = f"overfitting: {counts[0]} of {len(more)}"
    verdicts = {_judge_majority(counts[0], len(more))}
    if less:
        text += f", and {counts[1]} of {len(less)} that open less"
        verdicts.add(_judge_majority(len(less) - counts[1], len(less)))
    text += f" ({_say_seeds(evidence, [*more, *less])})"
    return Finding([*more, *less], text, _decide(holds=verdicts == {SUPPORTED}, fails=CONTRADICTED in verdicts))


def judge_confusion(one: Pick, classes: Sequence[str], evidence: Evidence) -> Finding:
    """Judge "most errors of the best of `one` lie between the two `classes`"."""
    runs = one.find(evidence)
    if not runs:
        return _miss(one)
    table = evidence.predictions[runs[0].name]
    wrong = table[(table["part"] == evidence.results.part) & ~table["right"]]
    between = int((wrong["actual"].isin(classes) & wrong["predicted"].isin(classes)).sum())
    if not len(wrong):
        return Finding([runs[0].name], "no errors", CONTRADICTED)
    low, high = wilson_interval(between / len(wrong), len(wrong))
    text = f"{between} of {len(wrong)} errors, interval {100 * low:.0f} – {100 * high:.0f} %"
    return Finding([runs[0].name], text, _decide(holds=low > 0.5, fails=high < 0.5))


def judge_class_gains(before: Pick, after: Pick, classes: Sequence[str], evidence: Evidence) -> Finding:
    """Judge "fine-tuning helps `classes` most": the F1 gains from the best of `before` to the best of `after`.

    By bootstrap draws of the photos: supported where these gain most in 95 % of them, contradicted where another gains
    more than one of these in 95 %.
    """
    missing = _find_missing(evidence, before, after)
    if missing:
        return missing
    names = before.find(evidence)[0].name, after.find(evidence)[0].name
    tables = [evidence.predictions[name] for name in names]
    actual, *predicted = (
        table.loc[table["part"] == evidence.results.part, column]
        for table, column in zip([tables[0], *tables], ["actual", "predicted", "predicted"], strict=True)
    )
    gains, share, against = inference.rank_class_gains(actual, predicted[0], predicted[1], classes)
    text = "F1 gains: " + ", ".join(f"{escape(label)} {100 * gain:+.1f}" for label, gain in gains.items())
    text += (
        f"; {' and '.join(map(escape, classes))} gain most in about {5 * round(20 * share)} % of draws of the photos"
    )
    verdict = _decide(holds=share >= 1 - inference.LEVEL, fails=against >= 1 - inference.LEVEL)
    return Finding([*names], text, verdict)


def judge_calibration(before: Pick, after: Pick, evidence: Evidence) -> Finding:
    """Judge "fine-tuning sharpens calibration": the probabilities of the best of `after` are better than `before`'s.

    By Brier's score, which is proper: paired photo by photo. A difference of calibration errors is biased, also where
    both runs are calibrated perfectly; they stand beside it, each with what such a run would have.
    """
    missing = _find_missing(evidence, before, after)
    if missing:
        return missing
    names, part = [one.find(evidence)[0].name for one in (before, after)], evidence.results.part
    tables = [evidence.predictions[name] for name in names]
    was, now = (table[table["part"] == part] for table in tables)
    if was["brier"].isna().any() or now["brier"].isna().any():
        return Finding(names, "a probability is no number", CONTRADICTED)
    found = inference.compare_scores(now["brier"], was["brier"])
    changes = [f"{value:+.3f}" for value in found]
    text = "Brier's score changes by {}, interval {} to {}".format(*changes)
    errors = [
        f"{100 * inference.calibration_error(table['confidence'], table['right'])[0]:.1f} % "
        f"({100 * inference.expected_calibration_error(table['confidence']):.1f} % if calibrated perfectly)"
        for table in (was, now)
    ]
    text += f"; calibration error {errors[0]} before, {errors[1]} after"
    return Finding(names, text, _decide(holds=found.high < 0, fails=found.low > 0))


def judge_gap(one: Pick, claimed: float, evidence: Evidence) -> Finding:
    """Judge "the mean train − validation gap of `one` is `claimed`": contradicted where our interval lacks it."""
    names = [run.name for run in one.find(evidence)]
    if not names:
        return _miss(one)
    train = [count_right(evidence.results.scores[name]["train"]) for name in names]
    validation = [find_right(evidence, name, "validation") for name in names]
    gap, low, high = inference.mean_gap_interval(train, validation)
    signed, tuned = (published.find_mean_gap(one.architecture, frozen) for frozen in (True, False))
    text = (
        f"{100 * gap:.2f} points over {len(names)} runs, interval {say_interval(low, high)}; the report's own "
        f"rows give {100 * signed:.2f} with the frozen run and its negative gap, {100 * tuned:.2f} without"
    )
    return Finding(names, text, _decide(holds=False, fails=not low <= claimed <= high))


def judge_arithmetic(first: str, second: str, times: float, evidence: Evidence) -> Finding:
    """Judge "architecture `first` takes at least `times` as long to train as `second`" by the FLOPs of a step."""
    settings = pair_settings(evidence, first, second)
    if not settings:
        return Finding([], f"no setting with runs of both {first} and {second}", NOT_RUN)
    ratios = [_count_step(evidence, slow) / _count_step(evidence, fast) for slow, fast in settings]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    text = f"{min(ratios):.1f} to {max(ratios):.1f} times the FLOPs of a training step; seconds are in cost.md"
    return Finding(names, text, _decide(holds=min(ratios) >= times, fails=min(ratios) < times))


def judge_inference(architectures: Sequence[str], evidence: Evidence) -> Finding:
    """Judge "unfreezing changes the inference time": it cannot where parameters and FLOPs of the network do not."""
    names: list[str] = []
    texts, same = [], True
    for architecture in architectures:
        for family in _list_families(evidence, architecture):
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


def judge_lower_layers(evidence: Evidence) -> Finding:
    """Judge "lower layers should stay frozen": the best run that opens them is worse than the best that does not.

    The backbone is the one that has runs of both kinds (`list_deep` and `list_shallow`) and the best of them on
    validation.
    """
    for upper, lower in _ask_lower_layers(evidence):
        pair = find_pair(evidence, upper, lower)
        text = f"upper layers alone against lower ones too: {_say_difference(pair)}: {say_counts(pair)}"
        return Finding([upper, lower], text, _judge_pair(pair))
    return Finding([], "no backbone with runs of both kinds", NOT_RUN)


def _ask_lower_layers(evidence: Evidence) -> list[tuple[str, str]]:
    deep, shallow = list_deep(evidence), list_shallow(evidence)
    for architecture in rank_architectures(evidence):
        runs = [run.name for run in published.find_runs(evidence.results, architecture, is_finetuned)]
        upper, lower = (next((name for name in runs if name in group), None) for group in (shallow, deep))
        if upper and lower:
            return [(upper, lower)]
    return []


def judge_last_20_layers(evidence: Evidence) -> Finding:
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


def judge_final_block(evidence: Evidence) -> Finding:
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


def leave_open(why: str, evidence: Evidence) -> Finding:
    """Leave a claim unjudged, because of `why`."""
    return Finding([], why, NOT_RUN)


# function that judges -> the function that returns, for the same arguments, the pairs (names) that it looks up
ASKS: dict[Any, Callable[..., list[tuple[str, str]]]] = {
    judge_better: _ask_better,
    judge_best: _ask_best,
    judge_everywhere: _ask_everywhere,
    judge_lower_layers: _ask_lower_layers,
}


def _say_difference(pair: Pair) -> str:
    """Return the difference of a Pair in points, with its interval: ``+4.1 points (+1.8 to +6.7)``."""
    difference, low, high = map(say_points, pair.interval)
    return f"{difference} points ({low} to {high})"


def _say_seeds(evidence: Evidence, names: Sequence[str]) -> str:
    """Return how many seeds the runs were trained with: ``one seed``, ``5 seeds`` or ``1 to 5 seeds``."""
    counts = {len(evidence.verdicts[name]) for name in names}
    if counts == {1}:
        return "one seed"
    return f"{counts.pop()} seeds" if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"


def _decide(holds: bool, fails: bool) -> Verdict:
    """Return the verdict on a claim that surely `holds`, surely `fails`, or neither."""
    if fails:
        return CONTRADICTED
    return SUPPORTED if holds else UNDECIDED


def _judge_pair(pair: Pair) -> Verdict:
    """Return the verdict on "the first of the Pair is better"."""
    return _decide(holds=pair.winner == pair.first, fails=pair.winner == pair.second)


def _judge_all(pairs: Sequence[Pair]) -> tuple[int, int, Verdict]:
    """Return (ahead, behind, verdict) on "the first is better in all Pairs": in how many it is, in how many worse."""
    ahead, behind = sum(pair.winner == pair.first for pair in pairs), sum(pair.winner == pair.second for pair in pairs)
    return ahead, behind, _decide(holds=ahead == len(pairs), fails=behind > 0)


def _judge_majority(agreeing: int, count: int) -> Verdict:
    """Return the verdict on a claim that holds for `agreeing` of `count` runs."""
    return _decide(holds=2 * agreeing > count, fails=2 * agreeing < count)


def _find_missing(evidence: Evidence, *picks: Pick) -> Finding | None:
    """Return the Finding on a claim where one of `picks` has no run, None where all have one."""
    missing = [one for one in picks if not one.find(evidence)]
    return _miss(*missing) if missing else None


def _miss(*picks: Pick) -> Finding:
    """Return the Finding on a claim about `picks`, of which there is no run."""
    return Finding([], "there is no " + " and no ".join(one.words for one in picks), NOT_RUN)


def _count_step(evidence: Evidence, name: str) -> int:
    """Return the FLOPs of a training step of run `name` for one image, the frozen part computed in every step."""
    flops = evidence.flops[name]
    return flops["prefix"] + flops["training_step"]


def _list_families(evidence: Evidence, architecture: str) -> list[list[str]]:
    """Return, for each run of an architecture that others start from, its name and theirs."""
    runs = published.find_runs(evidence.results, architecture)
    starts = {run.start for run in runs if run.start}
    return [
        [start.name, *(run.name for run in runs if run.start == start.name)] for start in runs if start.name in starts
    ]
