"""What the web page has in place of paragraphs of the report: the answer as cards, the comparison with intervals."""

import math
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from thaw.comparison.pairs import Evidence, find_cheaper, find_cheapest, find_standing
from thaw.comparison.results import Results, Run, find_run_interval, rank_runs, say_weights
from thaw.comparison.words import NOT_RUN, clean, percent, say_count, say_interval
from thaw.reporting.answer import say_strategy
from thaw.reporting.tables import name_network
from thaw.reporting.templates import render

CARDS, COMPARISON = "Best and cheapest", "Comparison of the runs"  # the paragraphs

WIDTH, ROOM = 144, 4  # of the drawing of an interval, and beside it on both sides, in the units of the template


class Card(NamedTuple):
    """A run as the answer, or why there is none."""

    label: str
    title: str
    accuracy: str = ""
    interval: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""


class Bar(NamedTuple):
    """Where an interval is drawn."""

    low: float
    middle: float
    high: float
    inside: bool  # of the scale


def show_answer(evidence: Evidence, minutes: Mapping[str, float]) -> dict[str, str]:
    """Return {paragraph: the HTML that takes its place}: the cards, and the comparison.

    `minutes` is {run: what its training took, its frozen run's included}.
    """
    return {CARDS: _show_cards(evidence, minutes), COMPARISON: _show_comparison(evidence, minutes)}


def say_minutes(minutes: float) -> str:
    """Return minutes as text, with a digit behind the point."""
    return f"{minutes:,.1f}" if minutes >= 0.1 else "under 0.1"


def _show_cards(evidence: Evidence, minutes: Mapping[str, float]) -> str:
    cards = [_make_card(evidence, minutes, "Best on validation", evidence.best)]
    cards += _list_cheapest(evidence, minutes)
    return render(pathlib.Path(__file__).with_name("cards.html.j2"), cards=cards)


def _list_cheapest(evidence: Evidence, minutes: Mapping[str, float]) -> list[Card]:
    """Return the Card of the cheapest run that is as good as the best, or of the one nearest to that; none if alone."""
    cheapest, cheaper, against = find_cheapest(evidence), find_cheaper(evidence), evidence.against
    label, margin = "Cheapest shown to be as good", 100 * evidence.results.margin
    if not against:
        return []
    if cheapest != evidence.best:
        lost = max(100 * against[cheapest].interval.high, 0)
        note = f"It may lose {lost:.1f} points at most (95 %)."
        return [_make_card(evidence, minutes, label, cheapest, note)]
    if not cheaper:
        return [Card(label, "The best run: no other trains less")]
    photos = say_count(evidence.pairs[0].paired.photos, "photo")
    note = f"It may lose {100 * against[cheaper[0]].interval.high:.1f} points (95 %); the margin is {margin:g}."
    nearest = _make_card(evidence, minutes, f"{label}: none on {photos}", cheaper[0], note)
    return [nearest._replace(title=f"Nearest: {nearest.title[0].lower()}{nearest.title[1:]}")]


def _make_card(evidence: Evidence, minutes: Mapping[str, float], label: str, name: str, note: str = "") -> Card:
    results, scores = evidence.results, evidence.results.scores[name]
    run = next(run for run in results.runs if run.name == name)
    facts = {
        "Trainable parameters": f"{scores['trainable_parameters']:,}",
        "Training": f"{say_minutes(minutes[name])} minutes",
        "Weight file": f"{scores['weights_bytes'] / 1e6:.1f} MB",
        "Run": clean(name),
    }
    weights = say_weights(results, [name]).strip(" ()")
    note = " ".join(filter(None, [note, f"{weights[0].upper()}{weights[1:]}." if weights else ""]))
    limits = say_interval(*find_run_interval(scores, results.part))
    accuracy = f"{100 * scores[results.part]['accuracy']:.1f} %"
    title = clean(say_strategy(results, run))
    return Card(label, title, accuracy, f"{limits} % of {results.part}", tuple(facts.items()), note)


def _show_comparison(evidence: Evidence, minutes: Mapping[str, float]) -> str:
    results = evidence.results
    best, low, high = rank_runs(results)[0], *_find_scale(results)
    parts = [part for part in ("validation", "train") if part != results.part]
    numbers = ["Trainable parameters", "Training, minutes", *(f"{part.capitalize()} %" for part in parts)]
    rows = []
    for run in results.shown:
        row = {"run": clean(run.name), "unfrozen": clean(run.unfrozen), "best": run.name == best, "bar": None}
        row["network"] = clean(name_network(results, run))
        if results.has(run):
            scores = results.scores[run.name]
            own, limits = scores[results.part]["accuracy"], find_run_interval(scores, results.part)
            values = [f"{scores['trainable_parameters']:,}", say_minutes(minutes[run.name])]
            values += [*(percent(scores[part]["accuracy"]) for part in parts), f"{scores['weights_bytes'] / 1e6:.1f}"]
            row |= {
                "run": clean(run.name) + results.marks[run.name],
                "bar": _place(limits[0], own, limits[1], low, high),
                "accuracy": f"{100 * own:.1f}",
                "interval": say_interval(*limits),
                "standing": _say_standing(evidence, run),
                "numbers": values,
            }
        rows.append(row)
    numbers.append("Weight file MB")
    scale = f"{100 * low:.0f} to {100 * high:.0f} %"
    return render(
        pathlib.Path(__file__).with_name("comparison.html.j2"),
        caption=f"The best on validation is tinted. Lines are 95 % intervals, from {scale}; ◂ lies below that.",
        heads=["Run", f"{results.part.capitalize()} accuracy, %", "Against the best", *numbers, "Backbone"],
        numbers=numbers,
        not_run=NOT_RUN,
        rows=rows,
    )


def _say_standing(evidence: Evidence, run: Run) -> str:
    if run.name == evidence.best:
        return "the best"
    return find_standing(evidence.against[run.name], evidence.results.margin)


def _find_scale(results: Results) -> tuple[float, float]:
    """Return (low, high), steps of 0.05 that hold the intervals of all runs but the baseline, or its own if alone."""
    runs = [run for run in results.runs if run.kind != "baseline"] or results.runs
    limits = [find_run_interval(results.scores[run.name], results.part) for run in runs]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    return math.floor(20 * low) / 20, math.ceil(20 * high) / 20


def _place(low: float, middle: float, high: float, start: float, end: float) -> Bar:
    """Return the Bar of an interval on a scale from `start` to `end`."""

    def place(value: float) -> float:
        return round(ROOM + (WIDTH - 2 * ROOM) * (max(value, start) - start) / max(end - start, 1e-9), 1)

    return Bar(place(low), place(middle), place(high), middle >= start)
