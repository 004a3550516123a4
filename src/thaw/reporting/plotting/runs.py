"""Figures of all runs: each one's accuracy with its interval, against what it is or costs."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from thaw.reporting.plotting.style import (
    BAND,
    FAINT,
    INK,
    NAME_WIDTH,
    Entry,
    add_legend,
    add_notes,
    begin_at,
    draw_intervals,
    find_edge,
    make_figure,
    make_sample,
    name_group,
    set_whole_ticks,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FRONT: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (4, 2))}  # the line of the Pareto front


def draw_overview(
    table: pd.DataFrame,
    part: str,
    best: str,
    notes: Sequence[str] = (),
    role: str = "the best on validation",
    margin: float | None = None,
) -> "Figure":
    """Return a Figure of every run's accuracy on `part` as a marker on its 95 % interval, in the order of `table`.

    `table` has columns run, mark (of its footnote, or ""), unfrozen (in words), kind (baseline, frozen
    or finetuned), family, group (runs of one group stand together), accuracy, low and high in [0, 1]. The run named
    `best`, which the legend calls `role`, is set in bold, and a band carries its interval down to the others. The axis
    is that of the runs that are not the baseline: of one far below them the number is written at the edge. `notes`
    are lines below the figure. Where `margin`, a share of accuracy, is given, a second panel has the difference of each
    run from `best` on its interval, and a band what a run may lose and still be as good: `table` then has the columns
    difference, difference_low and difference_high in [-1, 1], not a number for `best`.
    """
    with use_style():
        names = [textwrap.wrap(name, NAME_WIDTH) for name in table["run"] + table["mark"]]
        starts = table["group"].ne(table["group"].shift()).cumsum() - 1
        heights = np.arange(len(table)) + 0.45 * starts.to_numpy()
        most_lines = max(len(lines) for lines in names)
        figure = make_figure(1.6 + (0.2 + 0.15 * most_lines) * (heights[-1] + 1))
        axes, *others = figure.subplots(1, 1 if margin is None else 2, squeeze=False, sharey=True)[0]
        edge = find_edge(table, "low")
        draw_intervals(axes, table, heights, edge=edge)
        for panel in others:
            _draw_differences(panel, table, heights, margin or 0.0)
        shown = table[table["run"] == best].iloc[0]
        band = axes.axvspan(100 * shown["low"], 100 * shown["high"], color=BAND, zorder=0.4)
        for run, opened, height, lines in zip(table["run"], table["unfrozen"], heights, names, strict=True):
            _name_run(axes, height, "\n".join(lines), opened, bold=run == best)
        words = f"{part} accuracy, %" if others else f"{part} accuracy, %, with its 95 % interval"
        axes.set(ylim=(heights[-1] + 0.6, -0.6), yticks=[], xlabel=words)
        begin_at(axes.set_xlim, edge)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        set_whole_ticks(axes.xaxis, 6, steps=[1, 2, 5, 10])
        printed = (others or [axes])[-1].twinx()
        printed.set(ylim=axes.get_ylim())
        printed.set_yticks(heights, [_print_accuracy(row) for row in table.to_dict("records")], size=8.5)
        printed.tick_params(length=0)
        printed.grid(visible=False)
        printed.spines[:].set_visible(False)
        add_legend(figure, table, [Entry(band, f"interval of {role} (bold)")])
        add_notes(
            figure, [*(["Lines are 95 % intervals; those of differences, photo by photo."] if others else []), *notes]
        )
    return figure


def _draw_differences(axes: "Axes", table: pd.DataFrame, heights: np.ndarray, margin: float) -> None:
    """Draw the difference of each run from the best one on its interval, in points, and the band of `margin`."""
    columns = {"difference": "accuracy", "difference_low": "low", "difference_high": "high"}
    differences = table.drop(columns=list(columns.values())).rename(columns=columns)
    known = differences["accuracy"].notna().to_numpy()
    edge = find_edge(differences, "low")
    edge = None if edge is None else min(edge, -200 * margin)
    draw_intervals(axes, differences[known], heights[known], edge=edge, unit="points")
    band = axes.axvspan(-100 * margin, 0, color=BAND, zorder=0.4)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.legend(
        [band],
        [f"as good: the whole line right of −{100 * margin:g}"],
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        fontsize=8,
    )
    axes.set(yticks=[], xlabel="run − best, points")
    begin_at(axes.set_xlim, edge)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    set_whole_ticks(axes.xaxis, 6, steps=[1, 2, 5, 10])


def draw_differences(table: pd.DataFrame, label: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of the difference in accuracy of each run from another one, as a marker on its interval.

    `table` has columns run, mark (of its footnote, or ""), group (runs of one group stand together below its name),
    family, difference, low and high in [-1, 1]. `label` names the axis, in points. `notes` are lines below the figure.
    """
    with use_style():
        starts = table["group"].ne(table["group"].shift())
        heights = np.arange(len(table)) + 1.2 * starts.cumsum().to_numpy()
        figure = make_figure(1.3 + 0.26 * (heights[-1] + 1))
        axes = figure.subplots()
        draw_intervals(axes, table.assign(kind="finetuned", accuracy=table["difference"]), heights, unit="points")
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.set_yticks(heights, table["run"] + table["mark"], size=8.5)
        for height, group in zip(heights[starts], table["group"][starts], strict=True):
            name_group(axes, group, height - 1)
        axes.set(ylim=(heights[-1] + 0.6, -0.4), xlabel=label)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        add_notes(figure, notes)
    return figure


def find_front(costs: ArrayLike, accuracies: ArrayLike) -> np.ndarray:
    """Return (n,) bool: the Pareto front, runs that none is better than in accuracy without costing more.

    Of equals in both, all are on it.
    """
    costs, accuracies = np.asarray(costs, float), np.asarray(accuracies, float)
    beaten = (costs[None] <= costs[:, None]) & (accuracies[None] >= accuracies[:, None])
    beaten &= (costs[None] < costs[:, None]) | (accuracies[None] > accuracies[:, None])
    return np.logical_not(beaten.any(axis=1))


def draw_tradeoff(table: pd.DataFrame, cost: str, label: str, part: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of accuracy on `part` against the column `cost` of `table`, named `label`, on a log axis.

    The axis of the accuracies is that of the runs that are not the baseline. `table` as `draw_overview` takes it, with
    columns number and `cost`. A line joins the Pareto front, whose runs carry their numbers; their names stand below.
    """
    with use_style():
        front = table[find_front(table[cost], table["accuracy"])].sort_values([cost, "accuracy"])
        legend = "Pareto front: " + ", ".join(f"{row.number} {row.run}{row.mark}" for row in front.itertuples())
        figure = make_figure(4.2)
        axes = figure.subplots()
        axes.step(front[cost], 100 * front["accuracy"], where="post", **FRONT)
        costs = table[cost].to_numpy(float)
        edge = find_edge(table, "low")
        draw_intervals(axes, table, costs, upright=True, faint=True, edge=edge)
        for above, row in enumerate(front.to_dict("records")):
            axes.annotate(
                str(row["number"]), (row[cost], 100 * row["accuracy"]), textcoords="offset points", size=8.5,
                xytext=(-6, 5) if above % 2 else (6, -5), ha="right" if above % 2 else "left",
                va="bottom" if above % 2 else "top", weight="bold",
            )  # fmt: skip
        axes.set(xscale="log", xlabel=f"{label} (log scale)", ylabel=f"{part} accuracy, %, with its 95 % interval")
        begin_at(axes.set_ylim, edge)
        _print_plain_numbers(axes, narrow=table[cost].max() < 30 * table[cost].min())
        add_legend(figure, table, [Entry(make_sample(**FRONT), "Pareto front")])
        add_notes(figure, [legend, *notes])
    return figure


def _name_run(axes: "Axes", height: float, name: str, opened: str, bold: bool) -> None:
    """Write left of `axes` at `height` the `name` of a run, and below it what it opens."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
    weight = "bold" if bold else "normal"
    axes.annotate(name, (0, height), xytext=(-8, -1), va="bottom", weight=weight, linespacing=1.1, **place)
    axes.annotate(opened, (0, height), xytext=(-8, -2), va="top", size=7.5, color=FAINT, **place)


def _print_accuracy(row: dict[str, float]) -> str:
    return f"{100 * row['accuracy']:.1f}   {100 * row['low']:.1f} – {100 * row['high']:.1f}"


def _print_plain_numbers(axes: "Axes", narrow: bool) -> None:
    """Have the log axis across carry plain numbers; a `narrow` one has more ticks than the powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if narrow:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
