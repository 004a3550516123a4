"""The figure of published accuracies beside those measured here."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thaw.reporting.plotting.style import (
    INK,
    Entry,
    add_legend,
    add_notes,
    draw_marker,
    find_looks,
    make_figure,
    make_sample,
    name_group,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_published(table: pd.DataFrame, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of published accuracies (hollow) against ours (filled): a row each, with intervals where known.

    `table` has columns report, published_as, run, mark, family, and published, published_low, published_high, measured,
    measured_low, measured_high in [0, 1]; what is not known is not a number.
    """
    with use_style():
        looks = find_looks(table["family"])
        starts = table["report"].ne(table["report"].shift()).cumsum().to_numpy()
        heights = np.arange(len(table)) + 0.9 * starts
        figure = make_figure(1.3 + 0.27 * (heights[-1] + 1))
        axes = figure.subplots()
        for row, height in zip(table.itertuples(), heights, strict=True):
            look = looks[row.family]
            for value, low, high, kind, shift in (
                (row.published, row.published_low, row.published_high, "frozen", -0.16),
                (row.measured, row.measured_low, row.measured_high, "finetuned", 0.16),
            ):
                axes.hlines(height + shift, 100 * low, 100 * high, color=look.colour, linewidth=1.1)
                words = f"{'published' if kind == 'frozen' else f'{row.run}, measured'}: {100 * value:.1f} %"
                draw_marker(axes, 100 * value, height + shift, look, kind, words, 5.5)
        labels = [textwrap.fill(name, 40) for name in table["published_as"] + table["mark"]]
        for first in np.unique(starts, return_index=True)[1]:
            name_group(axes, table["report"].iloc[first], heights[first] - 0.9)
        axes.set_yticks(heights, labels, size=8)
        axes.set(ylim=(heights[-1] + 0.7, -0.3), xlabel="accuracy, %, with its 95 % interval")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        marker = {"color": INK, "marker": "o", "linestyle": "", "markersize": 5.5}
        entries = [
            Entry(make_sample(markerfacecolor="white", **marker), "published (hollow)"),
            Entry(make_sample(markerfacecolor=INK, **marker), "measured here (filled)"),
        ]
        add_legend(figure, table, entries, hollow=False)
        add_notes(figure, notes)
    return figure
