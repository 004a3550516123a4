"""Figures of what runs answer: F1 by class, confidence against accuracy, and confusion matrices."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from thaw.reporting.plotting.labels import list_notes, make_labels
from thaw.reporting.plotting.style import (
    FAINT,
    INK,
    LOOKS,
    PALE,
    PANELS,
    PART_COLOURS,
    add_legend,
    add_notes,
    add_tip_area,
    begin_at,
    draw_marker,
    find_edge,
    find_looks,
    make_figure,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COUNTED = 20  # classes: the cells of a larger confusion matrix hold no number that could be read

CLASS_WIDTH = 24  # letters of a class's name

SHADE = LOOKS["MobileNet"].colour  # of a cell of a confusion matrix that holds all photos of its row
ON_SHADE = "#fefefe"  # what is written there: not the white that a web page makes dark


class Reliability(NamedTuple):
    """A panel of the reliability diagrams."""

    title: str
    error: float  # the expected calibration error in [0, 1]
    bins: pd.DataFrame  # as comparison.inference.calibration_error returns them


def draw_classes(table: pd.DataFrame, part: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of each class's F1 on `part`, from the baseline over frozen to fine-tuned: a panel per backbone.

    `table` has columns panel, run, mark, kind, family, class, and f1 in [0, 1]; the baseline, where there is one, is
    repeated in each panel. The axis is that of the other runs: of a baseline below it the number stands at the edge.
    """
    with use_style():
        panels, classes = list(dict.fromkeys(table["panel"])), list(dict.fromkeys(table["class"]))
        rows = math.ceil(len(panels) / PANELS)
        figure = make_figure(0.9 + rows * (0.7 + 0.3 * len(classes)))
        columns = min(PANELS, len(panels))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        looks = find_looks(table["family"])
        names = make_labels(classes, CLASS_WIDTH)
        edge = find_edge(table.assign(accuracy=table["f1"]), "f1", room=0.4)
        for axes, panel in zip(grid.flat, panels, strict=False):
            shown = table[table["panel"] == panel]
            scores = shown.groupby("class", sort=False)["f1"]
            heights = [classes.index(name) for name in scores.min().index]
            axes.hlines(heights, 100 * scores.min(), 100 * scores.max(), color=PALE, linewidth=3)
            for row in shown.to_dict("records"):
                f1, height = 100 * row["f1"], classes.index(row["class"])
                if edge is not None and f1 < edge:
                    axes.text(edge, height, f" ◂ {f1:.0f}", va="center", size=8)
                    continue
                words = f"{row['run']}: F1 of {row['class']} {f1:.1f} %"
                draw_marker(axes, f1, height, looks[row["family"]], row["kind"], words)
            axes.set_title(panel, size=8.5)
            axes.set_yticks(range(len(classes)), names)
            axes.set(ylim=(len(classes) - 0.5, -0.5))
            begin_at(axes.set_xlim, edge)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
        _hide(grid.flat[len(panels) :])
        for axes in grid[-1]:
            axes.set(xlabel=f"F1 on {part}, %")
        add_legend(figure, table)
        add_notes(figure, [*list_notes(classes), *notes])
    return figure


def draw_reliability(runs: Sequence[Reliability], part: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of accuracy against confidence, a panel per run: on the diagonal a run is as right as it is sure.

    The area of a dot is the share of the photos in its bin.
    """
    with use_style():
        rows = math.ceil(len(runs) / PANELS)
        figure = make_figure(0.5 + 2.1 * rows)
        grid = figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False)
        for axes, (title, error, bins) in zip(grid.flat, runs, strict=False):
            axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
            x, y = 100 * bins["confidence"], 100 * bins["accuracy"]
            axes.vlines(x, y, x, color=PART_COLOURS["validation"], linewidth=1.1, alpha=0.6)
            areas = 8 + 160 * bins["photos"] / bins["photos"].sum()
            axes.scatter(x, y, s=areas, color=PART_COLOURS["train"], edgecolor=INK, linewidth=0.6, zorder=3)
            for row in bins.itertuples():
                words = f"confidence {100 * row.confidence:.1f} %, right {100 * row.accuracy:.1f} %"
                add_tip_area(axes, 100 * row.confidence - 3, 0, 6, 104, f"{words}, of {row.photos:,} photos")
            axes.set_title(textwrap.fill(title, 26), size=8)
            axes.text(0.96, 0.05, f"ECE {100 * error:.1f} %", transform=axes.transAxes, ha="right", size=8)
            axes.set(xlim=(-4, 104), ylim=(-4, 108), xticks=[0, 50, 100], yticks=[0, 50, 100], aspect="equal")
        _hide(grid.flat[len(runs) :])
        figure.supylabel("right, % of the photos", size=9)
        add_notes(figure, [f"Across: confidence, %, of the predicted class, in bins, on {part}.", *notes])
    return figure


def draw_confusion(counts: ArrayLike, classes: Sequence[str], title: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of a confusion matrix: photos printed, cells shaded by their share of the row.

    `counts` (classes, classes) int: a row per actual class, a column per predicted one. `notes` are lines below.
    """
    counts = np.asarray(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names, notes = make_labels(classes, CLASS_WIDTH), [*list_notes(classes), *notes]
    with use_style():
        from matplotlib.colors import to_rgb

        side = min(11.0, max(3.4, 1.4 + 0.5 * len(classes)))
        figure = make_figure(side + 0.15 * len(notes), width=side + 0.4)
        figure.suptitle(textwrap.fill(title, int(11 * side)), x=0.02, ha="left", weight="bold", size=10)
        axes = figure.subplots()
        shades = np.empty((*shares.shape, 4))
        shades[..., :3], shades[..., 3] = to_rgb(SHADE), shares  # which any background shows through
        axes.imshow(shades)
        axes.set_xticks(range(len(classes)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), names)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if len(classes) <= MOST_COUNTED:
            for (row, column), count in np.ndenumerate(counts):
                colour = ON_SHADE if shares[row, column] > 0.55 else INK if count else "#9a9a9a"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
                words = f"{classes[row]}, predicted {classes[column]}: {count:,} of {totals[row, 0]:,}"
                add_tip_area(axes, column - 0.5, row - 0.5, 1, 1, words)
        else:
            axes.tick_params(labelsize=max(3, 9 * MOST_COUNTED / len(classes)))
        add_notes(figure, notes)
    return figure


def _hide(panels: Iterable["Axes"]) -> None:
    for axes in panels:
        axes.set_visible(False)
