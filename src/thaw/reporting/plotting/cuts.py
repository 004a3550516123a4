"""The figure of the cuts: what each run computes once, and what it trains through."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.reporting.plotting.style import (
    FAINT,
    INK,
    NAME_WIDTH,
    PALE,
    add_notes,
    add_tip,
    find_looks,
    make_figure,
    make_sample,
    name_group,
    shorten,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Strip(NamedTuple):
    """A backbone."""

    title: str
    blocks: pd.DataFrame  # stage, and flops: the share in [0, 1] of the forward FLOPs up to the end of each block


class _Places(NamedTuple):
    """What stands at which height, from the top down."""

    strips: list[tuple[float, Strip]]
    runs: list[tuple[float, dict[str, Any]]]  # rows of the table
    end: float


def draw_cuts(strips: Mapping[str, Strip], runs: pd.DataFrame, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of what each run computes once and what it trains through: a strip of blocks per backbone.

    `strips` has a Strip for each group of `runs`, a table with columns run, mark, group, family and frozen, the share
    in [0, 1] of the FLOPs before the cut.
    """
    with use_style():
        looks, places = find_looks(runs["family"]), _place(strips, runs)
        figure = make_figure(0.8 + 0.24 * places.end)
        axes = figure.subplots()
        for middle, strip in places.strips:
            _draw_strip(axes, middle, strip)
        for middle, row in places.runs:
            share, colour = 100 * row["frozen"], looks[row["family"]].colour
            words = f"{row['run']}: {share:.1f} % frozen, {100 - share:.1f} % trained through"
            for bar in (
                axes.barh(middle, share, height=0.36, color=PALE),
                axes.barh(middle, 100 - share, left=share, height=0.36, color=colour),
            ):
                add_tip(bar.patches[0], words)
            axes.plot([share, share], [middle - 0.36, middle + 0.36], color=INK, linewidth=1.6)
        labels = [shorten(f"{row['run']}{row['mark']}", NAME_WIDTH) for _, row in places.runs]
        axes.set_yticks([middle for middle, _ in places.runs], labels, size=8)
        axes.set(ylim=(places.end - 0.3, -0.4), xlim=(0, 100.6), xlabel="% of the FLOPs of a forward pass")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _explain(figure)
        add_notes(figure, notes)
    return figure


def _place(strips: Mapping[str, Strip], runs: pd.DataFrame) -> _Places:
    """Return the places of the strips, each with its runs below it."""
    placed, lines, height = [], [], 0.0
    for group, strip in strips.items():
        placed.append((height + 0.5, strip))
        height += 1.9
        for row in runs[runs["group"] == group].to_dict("records"):
            lines.append((height, row))
            height += 1
        height += 0.5
    return _Places(placed, lines, height)


def _draw_strip(axes: "Axes", middle: float, strip: Strip) -> None:
    """Draw the blocks of a backbone at height `middle`: a shade per stage, the name of each, the title above."""
    name_group(axes, strip.title, middle)
    blocks = strip.blocks
    ends = 100 * blocks["flops"].to_numpy()
    starts = np.concatenate([[0], ends[:-1]])
    stages = list(dict.fromkeys(blocks["stage"]))
    for stage, start, end in zip(blocks["stage"], starts, ends, strict=True):
        shade = "#dfe6ec" if stages.index(stage) % 2 else "#c3d0da"
        axes.barh(middle, end - start, left=start, height=0.8, color=shade, edgecolor="white", linewidth=0.8)
    for stage in stages:
        inside = (blocks["stage"] == stage).to_numpy()
        start, end = starts[inside][0], ends[inside][-1]
        if end - start > 1.9 * len(stage):  # room for its name
            axes.text((start + end) / 2, middle, stage, ha="center", va="center", size=7.5)


def _explain(figure: "Figure") -> None:
    """Write the legend."""
    from matplotlib.patches import Patch

    frozen, opened = (Patch(color=colour) for colour in (PALE, FAINT))
    cut = make_sample(color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="")
    figure.legend(
        [frozen, opened, cut],
        ["frozen: computed once, stored", "behind the cut: trained through", "cut"],
        loc="outside upper left",
        ncols=3,
        handlelength=1.2,
        columnspacing=1.4,
        fontsize=8.5,
    )
