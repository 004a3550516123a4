"""The review as Markdown that is readable as plain text too, its charts drawn in characters."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from thaw.base import paths
from thaw.cli.reviewing.differences import (
    NOTICED,
    Change,
    Side,
    choose_part,
    compare,
    compare_params,
    find_changes,
    find_costs,
    find_photos,
    find_verdicts,
)
from thaw.cli.reviewing.lockfile import Audit
from thaw.comparison.inference import wilson_interval
from thaw.comparison.words import clean, interval, percent, say_count, say_p, say_points, to_markdown
from thaw.comparison.words import code as show_code

WIDTH = 41  # characters of a chart


PHOTOS = f"{paths.DOWNLOADED}.download.photos"  # their number, of the metrics


MOST = 20  # rows of a table, and runs of a chart: of more only the number is printed


LONGEST = 80  # characters of a name or value


BARS = "▁▂▃▄▅▆▇█"


def write_faults(audit: Audit) -> str:
    """Return the section on what dvc.lock does not vouch for, "" where there is nothing."""
    sections = []
    if audit.stale:
        causes: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)  # of the same stages, in one line
        for (name, how), stages in audit.stale.items():
            causes[how, tuple(stages)].append(name)
        lines = [f"- {_list(names)} {how}: {_list(stages)}" for (how, stages), names in causes.items()]
        sections.append(
            "**`dvc.lock` is stale.** These stages have not run since something that they read changed; "
            "`./run dvc repro` runs them:\n\n" + "\n".join(lines)
        )
    if audit.edited:
        lines = [f"- {code(path)}, of {code(stage)}" for path, stage in audit.edited.items()]
        sections.append(
            "**Not what the pipeline wrote.** These files are missing, or not those that `dvc.lock` records of "
            "their stage; `./run dvc repro` writes them:\n\n" + "\n".join(lines)
        )
    return "\n\n".join(sections)


def write_review(before: Side, after: Side) -> str:
    """Return the sections on what changed from one Side to another, what matters most first."""
    part = choose_part(before, after)
    changes = find_changes(before, after, part)
    verdicts = list_verdicts(before, after)
    sections = {
        f"{part.capitalize()} accuracy": describe_accuracies(before, after, changes, part),
        "Verdicts": "\n".join(f"- {verdict}" for verdict in verdicts[:MOST]) + _say_rest(verdicts, "verdict"),
        "Runs": describe_runs(before, after, part),
        "Seeds and folds": describe_repetitions(before, after, part),
        "Cost": describe_costs(before, after),
        "Params": describe_params(before, after),
        "Other metrics": describe_others(before, after),
    }
    sections = {title: text for title, text in sections.items() if text}
    photos = say_photos(before, after, part)
    if not sections:
        return photos or "Nothing changed: the same params, runs, scores and costs."
    real = sum(change.real for change in changes)
    opening = f"{say_count(real, 'accuracy', 'accuracies')} on {part} changed by more than chance"
    if len(changes) > real:
        opening += f", {len(changes) - real} within it"
    return "\n\n".join(
        [*([photos] if photos else []), f"{opening}.", *(f"## {title}\n\n{text}" for title, text in sections.items())]
    )


def say_photos(before: Side, after: Side, part: str) -> str:
    """Return the paragraph on photos that are not the same on both Sides, "" where they are, or nobody knows."""
    (digest, scored), (other_digest, other_scored) = (find_photos(side, part) for side in (before, after))
    if None not in (digest, other_digest) and digest != other_digest:
        counts = " and ".join(f"{side.others[PHOTOS]:,}" for side in (before, after) if PHOTOS in side.others)
        what = f"**The photos are not the same**{f' ({counts})' * bool(counts)}"
    elif scored is not None and other_scored is not None and not scored.equals(other_scored):
        what = f"**The photos of {part} are not the same**, they are split otherwise"
    else:
        return ""
    return f"{what}: a difference of accuracies below may be one of photos, not of runs."


def describe_accuracies(before: Side, after: Side, changes: Sequence[Change], part: str) -> str:
    """Return the table of the Changes, and charts of these and of the runs that were added."""
    added = [name for name in after.runs if name not in before.runs]
    sections = []
    if changes:
        rows = [
            [f"**{code(change.name)}**" if change.real else code(change.name), *_say_change(change)]
            for change in changes[:MOST]
        ]
        sections.append(to_markdown(["Run", "Base %", "Head %", "Points", "Lost", "Won", "How sure"], rows))
        text = "In bold what is more than chance. "
        if any(change.paired for change in changes):
            text += (
                "Lost and won are the photos that only the base or only the head has right; p is McNemar's, corrected "
                "by Holm's method. "
            )
        if not all(change.paired for change in changes):
            text += f"The photos of {part} are not the same: the interval is of the difference, in points. "
        sections.append(text.strip() + _say_rest(changes, "run"))
    names = [change.name for change in changes] + added
    if names:
        sections.append(_fence(draw_intervals(before, after, names[:MOST], part)))
    curves = draw_curves(before, after, names[:MOST])
    if curves:
        sections.append("Validation accuracy from epoch to epoch:\n\n" + _fence(curves))
    return "\n\n".join(sections)


def list_verdicts(before: Side, after: Side) -> list[str]:
    """Return a sentence for each verdict of the report that both sides give, and give otherwise."""
    found = []
    best = [side.summary.get("best") for side in (before, after)]
    if None not in best and best[0] != best[1]:
        found.append(f"The best on validation is {code(best[1])}, was {code(best[0])}.")
    counts = [len(side.pairs) for side in (before, after)]
    counted = "" if counts[0] == counts[1] else f" (corrected for {counts[1]} tests, was: for {counts[0]})"
    for pair, (first, second) in compare(before.pairs, after.pairs).items():
        if None not in (first, second):
            names = " and ".join(code(name) for name in sorted(pair))
            found.append(f"{names}: {_say_better(second)}, was: {_say_better(first)}{counted}.")
    for name, run in after.runs.items():
        if name in before.runs:
            for verdict, (was, now) in compare(find_verdicts(before.runs[name]), find_verdicts(run)).items():
                if None not in (was, now):
                    found.append(f"{code(name)} is {'' if now else 'no longer '}{verdict}.")
    for (claim, report), (was, now) in compare(before.claims, after.claims).items():
        if None not in (was, now):
            found.append(f"{code(claim)} ({code(report)}): {code(now)}, was: {code(was)}.")
    return found


def describe_runs(before: Side, after: Side, part: str) -> str:
    """Return the lines that name the runs that were added, removed and not run yet."""
    lines, best = [], str(after.summary.get("best", ""))
    for name, run in after.runs.items():
        if name not in before.runs:
            accuracy, count = percent(run.scores[part]["accuracy"]), run.scores["trainable_parameters"]
            text = f"- Added: {code(name)}, {accuracy} % on {part} ({interval(run.scores, part)} %), "
            text += f"{count:,} trainable parameters"
            words = {"": "cannot be told apart from", best: "worse than", name: "better than"}
            if name == best:
                text += "; the best on validation"
            elif frozenset((best, name)) in after.pairs:
                text += f"; {words[after.pairs[frozenset((best, name))]]} the best on validation"
            lines.append(text)
    lines += [
        f"- Removed: {code(name)}, {percent(run.scores[part]['accuracy'])} % on {part}"
        for name, run in before.runs.items()
        if name not in after.runs
    ]
    fresh = [name for name in after.listed if name not in after.runs and name not in before.listed]
    if fresh:
        lines.append(f"- Listed and not run yet: {_list(fresh)}")
    return "\n".join(lines)


def describe_repetitions(before: Side, after: Side, part: str) -> str:
    """Return the table of the runs whose accuracies over seeds or folds changed, came or went."""
    rows = []
    for (section, name), sides in compare(before.repeats, after.repeats).items():
        told = ("–" if document is None else _say_spread(section, document, part) for document in sides)
        rows.append([code(name), *told])
    if not rows:
        return ""
    text = f"Accuracy in percent, of seeds on {part}, of folds over all photos; ± is the standard deviation over them."
    return "\n\n".join([to_markdown(["Run", "Base", "Head"], rows[:MOST], left=3), text + _say_rest(rows, "row")])


def describe_costs(before: Side, after: Side) -> str:
    """Return the table of the runs that cost more or less than before."""
    found = {name: find_costs(before.runs[name], run) for name, run in after.runs.items() if name in before.runs}
    rows = [
        [code(name), what, _number(first), _number(second), f"{100 * (second / first - 1):+.0f} %" if first else "–"]
        for name, costs in found.items()
        for what, (first, second) in costs.items()
    ]
    if not rows:
        return ""
    table = to_markdown(["Run", "What", "Base", "Head", "Change"], rows[:MOST], left=2)
    if any("seconds" in row[1] for row in rows):
        table += f"\n\nSeconds are measured; changes of up to {100 * NOTICED:.0f} % are left out."
    return table + _say_rest(rows, "row")


def describe_params(before: Side, after: Side) -> str:
    """Return the table of the keys of params.yaml that changed."""
    return _tabulate(compare_params(before.params, after.params), "Key", "key")


def describe_others(before: Side, after: Side) -> str:
    """Return the table of the metrics that changed and stand nowhere else in the review."""
    return _tabulate(compare(before.others, after.others), "Metric", "metric")


def draw_intervals(before: Side, after: Side, names: Sequence[str], part: str) -> str:
    """Return lines of text: for each run and side the accuracy on `part` as a dot in its 95 % interval."""
    rows = []
    for name in names:
        for word, side in (("base", before), ("head", after)):
            if name in side.runs:
                scores = side.runs[name].scores[part]
                accuracy = scores["accuracy"]
                low, high = wilson_interval(accuracy, scores["photos"])
                rows.append((plain(name), word, 100 * low, 100 * accuracy, 100 * high))
    step = 5 if max(row[4] for row in rows) - min(row[2] for row in rows) <= 40 else 20
    start = step * math.floor(min(row[2] for row in rows) / step)
    end = max(start + step, step * math.ceil(max(row[4] for row in rows) / step))

    def place(value: float) -> int:
        return round((value - start) / (end - start) * (WIDTH - 1))

    margin = max(len(row[0]) for row in rows)
    axis = [" "] * (WIDTH + 4)
    for tick in range(start, end + 1, step):
        axis[place(tick) : place(tick) + len(str(tick))] = str(tick)
    lines = [f"{'':{margin}}        {''.join(axis).rstrip()} %"]
    for name, word, low, accuracy, high in rows:
        bar = [" "] * WIDTH
        bar[place(low) : place(high) + 1] = "─" * (place(high) - place(low) + 1)
        bar[place(low)], bar[place(high)] = "├", "┤"
        bar[place(accuracy)] = "●"
        lines.append(f"{name:{margin}}  {word}  {''.join(bar)}  {accuracy:5.1f}")
    return "\n".join(lines)


def draw_curves(before: Side, after: Side, names: Sequence[str]) -> str:
    """Return lines of text: for each run and side a bar for each epoch's accuracy on validation, "" without curves.

    The bars of a run rise from the lowest to the highest epoch of both sides.
    """
    margin = max((len(plain(name)) for name in names), default=0)
    lines = []
    for name in names:
        histories = {
            word: side.runs[name].history for word, side in (("base", before), ("head", after)) if name in side.runs
        }
        curves = {word: table["validation_accuracy"] for word, table in histories.items() if table is not None}
        if not curves:
            continue
        low, high = min(curve.min() for curve in curves.values()), max(curve.max() for curve in curves.values())
        for word, curve in curves.items():
            shares = (curve - low) / ((high - low) or 1)
            bars = "".join("×" if share != share else BARS[round(share * (len(BARS) - 1))] for share in shares)
            lines.append(f"{plain(name):{margin}}  {word}  {bars}  {100 * curve.iloc[-1]:.1f} %")
    return "\n".join(lines)


def code(value: object) -> str:
    """Return text as Markdown that shows it as it is, whatever is in it: names and values are the author's."""
    return show_code(plain(value))


def plain(value: object) -> str:
    """Return text in one line, its middle left out where it is long."""
    text = clean(value)
    return (text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}") or "nothing"


def _say_change(change: Change) -> list[Any]:
    before, after = (percent(right / photos) for right, photos in (change.before, change.after))
    if change.paired:
        sure = [change.paired.first_only, change.paired.second_only, say_p(change.p)]
    else:
        sure = ["–", "–", f"{say_points(change.low)} to {say_points(change.high)}"]
    return [before, after, f"{change.points:+.1f}", *sure]


def _say_spread(section: str, document: Mapping[str, Any], part: str) -> str:
    """Return the accuracy of a run over its seeds or folds, ``90.50 ± 0.42, 5 seeds``."""
    accuracy = document["accuracy"]
    if section == "folds":
        middle, scores, word = accuracy["pooled"], accuracy, "fold"
    else:
        middle, scores, word = accuracy[part]["mean"], accuracy[part], "seed"
    return f"{percent(middle)} ± {percent(scores['sd'])}, {say_count(len(scores['values']), word)}"


def _say_better(name: str) -> str:
    return f"{code(name)} is better" if name else "cannot be told apart"


def _tabulate(found: Mapping[Any, tuple[Any, Any]], head: str, word: str) -> str:
    """Return a table of {key: (before, after)}, "" where that is empty."""
    if not found:
        return ""
    rows = [[code(key), *(_show(value) for value in pair)] for key, pair in found.items()]
    return to_markdown([head, "Base", "Head"], rows[:MOST], left=3) + _say_rest(rows, word)


def _show(value: Any) -> str:
    return "–" if value is None else code(json.dumps(value, ensure_ascii=False, default=str))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(code(name) for name in names[:MOST]) + (f" and {len(names) - MOST} more" * (len(names) > MOST))


def _say_rest(rows: Sequence[Any], word: str) -> str:
    """Return the sentence on what a table left out, "" where that is nothing."""
    return f"\n\nAnd {say_count(len(rows) - MOST, word)} more." if len(rows) > MOST else ""


def _fence(text: str) -> str:
    return f"```\n{text}\n```"
