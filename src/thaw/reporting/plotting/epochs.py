"""Figures over epochs: the learning curves of a run, several runs beside each other, one training at several ages."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from thaw.reporting.plotting.style import (
    FAINT,
    INK,
    LOOKS,
    PALE,
    PART_COLOURS,
    SCRATCH,
    Entry,
    add_notes,
    add_tip_area,
    make_figure,
    set_whole_ticks,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Limits(NamedTuple):
    """What the learning curves of several runs have in common: where their axes end."""

    epochs: int
    loss: float  # nats, from 0 on
    accuracy: float  # the lowest, in percent


PANELS = {"accuracy": "accuracy, %", "loss": "loss, nats"}


def find_limits(histories: Iterable[pd.DataFrame]) -> Limits | None:
    """Return the Limits that hold all `histories`, as `draw_curves` takes them; None where they hold no number."""
    tables = list(histories)
    if not tables:
        return None
    joined = pd.concat(tables).replace([np.inf, -np.inf], np.nan)
    loss = joined[[f"{part}_loss" for part in PART_COLOURS]].max(axis=None)
    accuracy = joined[[f"{part}_accuracy" for part in PART_COLOURS]].min(axis=None)
    if np.isnan(loss) or np.isnan(accuracy):
        return None
    return Limits(int(joined["epoch"].max()), 1.04 * float(loss) or 1.0, max(100 * float(accuracy) - 2, 0))


def draw_curves(
    history: pd.DataFrame,
    unfrozen_after: int | None,
    title: str,
    notes: Sequence[str] = (),
    limits: Limits | None = None,
) -> "Figure":
    """Return a Figure of accuracy and loss per epoch, on train and validation.

    `history` has a row per epoch: epoch, and train_* and validation_* of loss (nats; what is not a number is left out,
    and a text in the panel reports it) and accuracy in [0, 1]. A vertical line stands behind epoch `unfrozen_after` (or
    None), where part of the backbone is unfrozen. The axes reach as far as `limits`, or where it is None as `history`.
    `notes` are lines below the figure.
    """
    with use_style():
        figure = make_figure(2.6 + 0.15 * len(notes))
        figure.suptitle(textwrap.fill(title, 70), x=0.01, ha="left", weight="bold", size=10)
        epochs = history["epoch"]
        grid = figure.subplots(1, len(PANELS))
        for axes, (score, words) in zip(grid, PANELS.items(), strict=True):
            _draw_panel(axes, history, score)
            axes.set_title(words, size=8.5)
            axes.set(xlim=(epochs.min() - 0.6, (limits.epochs if limits else epochs.max()) + 0.6), xlabel="epoch")
            set_whole_ticks(axes.xaxis, 6)
            if unfrozen_after is not None:
                axes.axvline(unfrozen_after + 0.5, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        accuracy, loss = grid
        if limits:
            accuracy.set_ylim(limits.accuracy, 101)
        loss.set_ylim(0, limits.loss if limits else None)
        accuracy.legend(loc="lower right", fontsize=8)
        if unfrozen_after is not None:
            loss.annotate(
                "unfrozen", (unfrozen_after + 0.5, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
                textcoords="offset points", va="top", size=8, color=FAINT,
            )  # fmt: skip
        for axes, score in zip(grid, PANELS, strict=True):
            _add_tips(axes, history, score)
        add_notes(figure, notes)
    return figure


def draw_histories(runs: Iterable[tuple[str, pd.DataFrame]], notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of validation accuracy per epoch of several runs, each named in the legend.

    `runs` are (words, history), the history with columns epoch and validation_accuracy in [0, 1].
    """
    with use_style():
        figure = make_figure(3.4)
        axes = figure.subplots()
        looks = [look for look in LOOKS.values() if look != LOOKS[SCRATCH]]
        entries = []
        for number, (words, history) in enumerate(runs):
            look, dashes = looks[number % len(looks)], ("solid", (0, (4, 2)), (0, (1, 1)))[number % 3]
            (line,) = axes.plot(history["epoch"], 100 * history["validation_accuracy"], color=look.colour, ls=dashes)
            entries.append(Entry(line, words))
        axes.set(xlabel="epoch", ylabel="validation accuracy, %")
        set_whole_ticks(axes.xaxis, 8)
        # Both are given: of the labels that lines have, Matplotlib leaves out those that begin with an underscore.
        lines, names = [entry.drawn for entry in entries], [entry.words for entry in entries]
        figure.legend(lines, names, loc="outside upper left", ncols=2, fontsize=8.5)
        add_notes(figure, notes)
    return figure


def draw_rates(table: pd.DataFrame, suggested: float, run: str) -> "Figure":
    """Return a Figure of the loss against the learning rate of a search; a line marks the `suggested` rate.

    `table` has a row a step: rate, loss in nats, and smoothed, its moving mean.
    """
    with use_style():
        figure = make_figure(3.0)
        axes = figure.subplots()
        axes.plot(table["rate"], table["loss"], color=PALE, lw=1)
        axes.plot(table["rate"], table["smoothed"], color=INK)
        axes.axvline(suggested, color=FAINT, ls=(0, (4, 2)))
        axes.annotate(
            f"{suggested:.1e}", (suggested, 1), (4, -4), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="top",
        )  # fmt: skip
        # Where the loss diverges it would squeeze all else.
        axes.set(xscale="log", ylim=(0, 1.5 * float(table["smoothed"].iloc[0])))
        axes.set(xlabel="learning rate", ylabel="loss of a batch, nats", title=f"{run}: a step for each rate")
    return figure


def draw_ages(table: pd.DataFrame, part: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of the accuracy on validation and `part` by the epochs of one training stopped at several ages.

    `table` has columns epochs, validation and `part`, accuracies in [0, 1]. A ring marks the best on `part`.
    """
    with use_style():
        figure = make_figure(3.0)
        axes = figure.subplots()
        axes.plot(
            table["epochs"], 100 * table["validation"], "o-", color=PART_COLOURS["validation"], label="validation"
        )
        if part != "validation":
            axes.plot(table["epochs"], 100 * table[part], "s-", color=INK, label=part)
        best = table.loc[table[part].idxmax()]
        axes.plot(best["epochs"], 100 * best[part], "o", markersize=14, markerfacecolor="none", color=INK)
        axes.set(xlabel="epochs", ylabel="accuracy, %")
        axes.legend(loc="lower right")
        add_notes(figure, notes)
    return figure


def _draw_panel(axes: "Axes", history: pd.DataFrame, score: str) -> None:
    """Draw a score, a line for each part."""
    epochs = history["epoch"]
    dot = 3 if len(history) < 3 else 0  # points: few epochs make no line that could be seen
    for part, colour in PART_COLOURS.items():
        values = _read_scores(history, part, score)
        axes.plot(epochs, values, color=colour, label=part, marker="o", markersize=dot)
        if score == "loss" and values.isna().any():
            _say_gap(axes, part, epochs[values.isna()].iloc[0], colour)


def _read_scores(history: pd.DataFrame, part: str, score: str) -> pd.Series:
    """Return the scores of a part by epoch, accuracy in percent; what is no finite number is not a number."""
    values = history[f"{part}_{score}"].replace([np.inf, -np.inf], np.nan)
    return 100 * values if score == "accuracy" else values


def _add_tips(axes: "Axes", history: pd.DataFrame, score: str) -> None:
    """Have each epoch show its scores below a pointer."""
    bottom, top = axes.get_ylim()
    scores = {part: _read_scores(history, part, score) for part in PART_COLOURS}
    form = ".1f" if score == "accuracy" else ".3f"
    for number, epoch in enumerate(history["epoch"]):
        words = ", ".join(f"{part} {values.iloc[number]:{form}}" for part, values in scores.items())
        add_tip_area(axes, epoch - 0.5, bottom, 1, top - bottom, f"epoch {epoch}: {words}")


def _say_gap(axes: "Axes", part: str, epoch: int, colour: str) -> None:
    """Write into `axes` from which epoch on the loss of `part` is not a number."""
    height = 0.93 - 0.09 * list(PART_COLOURS).index(part)
    axes.text(
        0.97, height, f"{part}: not a number from epoch {epoch}", transform=axes.transAxes, ha="right", va="top",
        size=7.5, color=colour,
    )  # fmt: skip
