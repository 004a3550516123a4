"""Figures, from arrays and data frames. Pure: nothing is read or saved here.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any colour vision tell apart;
the shape of a marker or the style of a line says the same again, so that a grey print does too. A colour and a shape
belong to one family of networks in every figure; a hollow marker is a frozen backbone. Text is shown as it is: a dollar
sign in a name starts no formula.
"""

import math
import textwrap
from typing import NamedTuple

import matplotlib.patches
import matplotlib.style
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

WIDTH = 6.2  # inches: two stand side by side on a desk's screen, and one can be read on a phone's
NAME_WIDTH = 30  # letters of a run's name on one line
MOST_COUNTED = 20  # classes: the cells of a larger confusion matrix hold no number that could be read
PANELS = 3  # side by side
INK, FAINT, PALE, BAND = "#222222", "#666666", "#e4e4e4", "#f1ece4"

STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "thaw",  # the same names of elements in every process
}


class Look(NamedTuple):
    """How the runs of one family are drawn."""

    colour: str
    marker: str


SCRATCH = "from scratch"  # the family of the baseline
LOOKS = {
    SCRATCH: Look(FAINT, "X"),
    "MobileNet": Look("#0072b2", "o"),
    "MobileNetV2": Look("#009e73", "^"),
    "MobileNetV3Small": Look("#56b4e9", "v"),
    "MobileNetV3Large": Look("#cc79a7", "D"),
    "MobileNetV3SmallMinimalistic": Look("#a0a000", "<"),
    "MobileNetV3LargeMinimalistic": Look("#e69f00", "P"),
    "ResNet50": Look("#d55e00", "s"),
    "Xception": Look("#000000", "h"),
}
# No colour of a family: two of Tol's, as safe (https://personal.sron.nl/~pault/).
PART_COLOURS = {"train": "#44aa99", "validation": "#882255"}


def use_style():
    """Return a context in which Matplotlib draws and saves in this style, whatever the user has configured."""
    return matplotlib.style.context(["default", STYLE])


def find_looks(families):
    """Return {family: Look} in the order of `families`; those that LOOKS does not know get what the others left."""
    families = list(dict.fromkeys(families))
    taken = {LOOKS[family] for family in families if family in LOOKS}
    spare = [look for look in LOOKS.values() if look not in taken and look != LOOKS[SCRATCH]] or [Look(INK, "p")]
    unknown = [family for family in families if family not in LOOKS]
    return {
        family: LOOKS[family] if family in LOOKS else spare[unknown.index(family) % len(spare)] for family in families
    }


def draw_overview(table, part, best, notes=(), role="the best on validation"):
    """Return a Figure of every run's accuracy on `part` as a marker on its 95 % interval, in the order of `table`.

    `table` is a DataFrame with columns run, mark (of its footnote, or ""), thaws (words), kind (baseline, frozen or
    finetuned), family, group (runs of one group stand together), accuracy, low and high in [0, 1]. The run named `best`,
    which the legend calls `role`, is set in bold, and a band carries its interval down to the others. `notes` are lines
    below the figure.
    """
    with use_style():
        names = [textwrap.wrap(row.run + row.mark, NAME_WIDTH) for row in table.itertuples()]
        starts = table["group"].ne(table["group"].shift()).cumsum() - 1
        heights = np.arange(len(table)) + 0.45 * starts.to_numpy()
        most_lines = max(len(lines) for lines in names)
        figure = Figure((WIDTH, 1.6 + (0.2 + 0.15 * most_lines) * (heights[-1] + 1)), layout="constrained")
        axes = figure.subplots()
        _draw_intervals(axes, table, heights)
        shown = table[table["run"] == best].iloc[0]
        band = axes.axvspan(100 * shown["low"], 100 * shown["high"], color=BAND, zorder=0.4)
        values = []
        for row, height, lines in zip(table.itertuples(), heights, names, strict=True):
            place = {"xy": (0, height), "xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            weight = "bold" if row.run == best else "normal"
            axes.annotate(
                "\n".join(lines), xytext=(-8, -1), ha="right", va="bottom", weight=weight, linespacing=1.1, **place
            )
            axes.annotate(row.thaws, xytext=(-8, -2), ha="right", va="top", size=7.5, color=FAINT, **place)
            values.append(f"{100 * row.accuracy:.1f}   {100 * row.low:.1f} – {100 * row.high:.1f}")
        axes.set(ylim=(heights[-1] + 0.6, -0.6), yticks=[], xlabel=f"{part} accuracy, %, with its 95 % interval")
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        printed = axes.twinx()
        printed.set(ylim=axes.get_ylim())
        printed.set_yticks(heights, values, size=8.5)
        printed.tick_params(length=0)
        printed.grid(visible=False)
        printed.spines[:].set_visible(False)
        _add_legend(figure, table, [(band, f"interval of {role} (bold)")])
        _add_notes(figure, notes)
    return figure


def draw_experiments(table, part, notes=()):
    """Return a Figure of accuracy by the number of the run in the table: `part` with its interval, and other parts.

    `table` as `draw_overview` takes it, with columns number, train and validation (accuracies in [0, 1]).
    """
    with use_style():
        longest = min(NAME_WIDTH, int(table["run"].str.len().max()))
        figure = Figure((WIDTH, 3.6 + 0.07 * longest), layout="constrained")
        axes = figure.subplots()
        numbers = table["number"].to_numpy()
        others = [("train", "v", 3.5)] + ([("validation", "_", 9)] if part != "validation" else [])
        entries = []
        for name, marker, size in others:
            (line,) = axes.plot(numbers, 100 * table[name], marker, color=PART_COLOURS[name], markersize=size, mew=1.4)
            entries.append((line, name))
        _draw_intervals(axes, table, numbers, upright=True)
        for number in np.flatnonzero(table["group"].ne(table["group"].shift()))[1:]:
            axes.axvline(numbers[number] - 0.5, color=PALE, linewidth=1.2)
        names = [_shorten(f"{row.run}{row.mark}", NAME_WIDTH) for row in table.itertuples()]
        labels = [f"{name}  {number}" for name, number in zip(names, numbers, strict=True)]
        axes.set_xticks(numbers, labels, rotation=90, size=8)
        axes.set(xlim=(numbers.min() - 0.7, numbers.max() + 0.7), ylabel="accuracy, %")
        axes.set_title(f"{part} accuracy with its 95 % interval, by number of the run", size=9)
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="x", length=0)
        _add_legend(figure, table, entries)
        _add_notes(figure, notes)
    return figure


def draw_strategies(table, part, notes=()):
    """Return a Figure of accuracy on `part` by what thaws, the families of backbones beside each other in each row.

    `table` as `draw_overview` takes it; the rows stand in the order in which the table first names what thaws.
    """
    with use_style():
        strategies = list(dict.fromkeys(table["thaws"]))
        most = int(table["thaws"].value_counts().max())
        figure = Figure((WIDTH, 1.4 + (0.14 + 0.13 * most) * len(strategies)), layout="constrained")
        axes = figure.subplots()
        heights = np.empty(len(table))
        for row, strategy in enumerate(strategies):
            places = np.flatnonzero(table["thaws"] == strategy)
            heights[places] = row + (np.arange(len(places)) - (len(places) - 1) / 2) * 0.72 / most
        _draw_intervals(axes, table, heights)
        for row in range(1, len(strategies)):
            axes.axhline(row - 0.5, color=PALE, linewidth=0.8)
        axes.set_yticks(range(len(strategies)), [textwrap.fill(words, NAME_WIDTH) for words in strategies])
        axes.set(ylim=(len(strategies) - 0.5, -0.5), xlabel=f"{part} accuracy, %, with its 95 % interval")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        _add_legend(figure, table)
        _add_notes(figure, notes)
    return figure


def find_front(costs, accuracies):
    """Return (n,) bool: the Pareto front, runs that none is better than in accuracy without costing more.

    Of equals in both, all are on it.
    """
    costs, accuracies = np.asarray(costs, float), np.asarray(accuracies, float)
    beaten = (costs[None] <= costs[:, None]) & (accuracies[None] >= accuracies[:, None])
    beaten &= (costs[None] < costs[:, None]) | (accuracies[None] > accuracies[:, None])
    return ~beaten.any(axis=1)


def draw_tradeoff(table, cost, label, part, notes=()):
    """Return a Figure of accuracy on `part` against the column `cost` of `table`, named `label`, on a log axis.

    `table` as `draw_overview` takes it, with columns number and `cost`. A line joins the Pareto front, whose runs carry
    their numbers; their names stand below.
    """
    with use_style():
        front = table[find_front(table[cost], table["accuracy"])].sort_values([cost, "accuracy"])
        legend = "Pareto front: " + ", ".join(f"{row.number} {row.run}{row.mark}" for row in front.itertuples())
        figure = Figure((WIDTH, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.step(front[cost], 100 * front["accuracy"], where="post", color=INK, linewidth=1, linestyle=(0, (4, 2)))
        _draw_intervals(axes, table, table[cost].to_numpy(float), upright=True, faint=True)
        for above, row in enumerate(front.itertuples()):
            axes.annotate(
                str(row.number), (getattr(row, cost), 100 * row.accuracy), textcoords="offset points", size=8.5,
                xytext=(-6, 5) if above % 2 else (6, -5), ha="right" if above % 2 else "left",
                va="bottom" if above % 2 else "top", weight="bold",
            )  # fmt: skip
        axes.set(xscale="log", xlabel=f"{label} (log scale)", ylabel=f"{part} accuracy, %, with its 95 % interval")
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        if table[cost].max() < 30 * table[cost].min():  # too narrow for powers of ten alone
            axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        line = Line2D([], [], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        _add_legend(figure, table, [(line, "Pareto front")])
        _add_notes(figure, [legend, *notes])
    return figure


def draw_classes(table, part, notes=()):
    """Return a Figure of each class's F1 on `part`, from the baseline over frozen to fine-tuned: a panel per backbone.

    `table` is a DataFrame with columns panel, run, mark, kind, family, class, and f1 in [0, 1]; the baseline,
    where there is one, is repeated in each panel.
    """
    with use_style():
        panels, classes = list(dict.fromkeys(table["panel"])), list(dict.fromkeys(table["class"]))
        rows = math.ceil(len(panels) / PANELS)
        figure = Figure((WIDTH, 0.9 + rows * (0.7 + 0.3 * len(classes))), layout="constrained")
        columns = min(PANELS, len(panels))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        looks = find_looks(table["family"])
        names = [_shorten(str(name), 24) for name in classes]
        for axes, panel in zip(grid.flat, panels, strict=False):
            shown = table[table["panel"] == panel]
            scores = shown.groupby("class", sort=False)["f1"]
            heights = [classes.index(name) for name in scores.min().index]
            axes.hlines(heights, 100 * scores.min(), 100 * scores.max(), color=PALE, linewidth=3)
            for row in shown.to_dict("records"):
                _draw_marker(axes, 100 * row["f1"], classes.index(row["class"]), looks[row["family"]], row["kind"])
            axes.set_title(panel, size=8.5)
            axes.set_yticks(range(len(classes)), names)
            axes.set(ylim=(len(classes) - 0.5, -0.5))
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set(xlabel=f"F1 on {part}, %")
        _add_legend(figure, table)
        _add_notes(figure, notes)
    return figure


def draw_reliability(runs, part, notes=()):
    """Return a Figure of accuracy against confidence, a panel per run: on the diagonal a run is as right as it is sure.

    `runs` is a list of (title, error, bins): the expected calibration error in [0, 1] and the table that
    statistics.measure_calibration returns. The area of a dot is the share of the photos in its bin.
    """
    with use_style():
        rows = math.ceil(len(runs) / PANELS)
        figure = Figure((WIDTH, 0.5 + 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False)
        for axes, (title, error, bins) in zip(grid.flat, runs, strict=False):
            axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
            x, y = 100 * bins["confidence"], 100 * bins["accuracy"]
            axes.vlines(x, y, x, color=PART_COLOURS["validation"], linewidth=1.1, alpha=0.6)
            areas = 8 + 160 * bins["photos"] / bins["photos"].sum()
            axes.scatter(x, y, s=areas, color=PART_COLOURS["train"], edgecolor=INK, linewidth=0.6, zorder=3)
            axes.set_title(textwrap.fill(title, 26), size=8)
            axes.text(0.96, 0.05, f"ECE {100 * error:.1f} %", transform=axes.transAxes, ha="right", size=8)
            axes.set(xlim=(-4, 104), ylim=(-4, 108), xticks=[0, 50, 100], yticks=[0, 50, 100], aspect="equal")
        for axes in grid.flat[len(runs) :]:
            axes.set_visible(False)
        figure.supylabel("right, % of the photos", size=9)
        _add_notes(figure, [f"Across: confidence, %, of the predicted class, in bins, on {part}.", *notes])
    return figure


def draw_published(table, notes=()):
    """Return a Figure of published accuracies (hollow) against ours (filled): a row each, with intervals where known.

    `table` is a DataFrame with columns report, published_as, run, mark, family, and published, published_low,
    published_high, measured, measured_low, measured_high in [0, 1]; what is not known is not a number.
    """
    with use_style():
        looks = find_looks(table["family"])
        starts = table["report"].ne(table["report"].shift()).cumsum().to_numpy()
        heights = np.arange(len(table)) + 0.9 * starts
        figure = Figure((WIDTH, 1.3 + 0.27 * (heights[-1] + 1)), layout="constrained")
        axes = figure.subplots()
        for row, height in zip(table.itertuples(), heights, strict=True):
            look = looks[row.family]
            for value, low, high, kind, shift in (
                (row.published, row.published_low, row.published_high, "frozen", -0.16),
                (row.measured, row.measured_low, row.measured_high, "finetuned", 0.16),
            ):
                axes.hlines(height + shift, 100 * low, 100 * high, color=look.colour, linewidth=1.1)
                _draw_marker(axes, 100 * value, height + shift, look, kind, 5.5)
        labels = [textwrap.fill(row.published_as + row.mark, 40) for row in table.itertuples()]
        for first in np.unique(starts, return_index=True)[1]:
            _name_group(axes, table["report"].iloc[first], heights[first] - 0.9)
        axes.set_yticks(heights, labels, size=8)
        axes.set(ylim=(heights[-1] + 0.7, -0.3), xlabel="accuracy, %, with its 95 % interval")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        entries = [
            (Line2D([], [], color=INK, marker="o", linestyle="", markersize=5.5, markerfacecolor=face), label)
            for face, label in (("white", "published (hollow)"), (INK, "measured here (filled)"))
        ]
        _add_legend(figure, table, entries, hollow=False)
        _add_notes(figure, notes)
    return figure


def draw_cuts(networks, runs, notes=()):
    """Return a Figure of what each run computes once and what it trains through: a strip of blocks per backbone.

    `networks` is {group: (title, blocks)}, `blocks` a DataFrame with columns stage and flops, the share in [0, 1] of
    the forward FLOPs up to the end of each block. `runs` is a DataFrame with columns run, mark, group, family, thaws and
    frozen, the share of the FLOPs before the cut.
    """
    with use_style():
        looks = find_looks(runs["family"])
        lines, strips = [], []  # (height, run) and (height, group)
        height = 0.0
        for group in networks:
            strips.append((height + 0.5, group))
            height += 1.9
            for row in runs[runs["group"] == group].itertuples():
                lines.append((height, row))
                height += 1
            height += 0.5
        figure = Figure((WIDTH, 0.8 + 0.24 * height), layout="constrained")
        axes = figure.subplots()
        for middle, group in strips:
            _draw_strip(axes, middle, *networks[group])
        for middle, row in lines:
            share, colour = 100 * row.frozen, looks[row.family].colour
            axes.barh(middle, share, height=0.36, color=PALE)
            axes.barh(middle, 100 - share, left=share, height=0.36, color=colour)
            axes.plot([share, share], [middle - 0.36, middle + 0.36], color=INK, linewidth=1.6)
        labels = [_shorten(f"{row.run}{row.mark}", NAME_WIDTH) for _, row in lines]
        axes.set_yticks([middle for middle, _ in lines], labels, size=8)
        axes.set(ylim=(height - 0.3, -0.4), xlim=(0, 100.6), xlabel="% of the FLOPs of a forward pass")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        bars = [matplotlib.patches.Patch(color=colour) for colour in (PALE, FAINT)]
        cut = Line2D([], [], color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="")
        words = ["frozen: computed once, stored", "behind the cut: trained through", "cut"]
        place = {"loc": "outside upper left", "ncols": 3}
        figure.legend([*bars, cut], words, handlelength=1.2, columnspacing=1.4, fontsize=8.5, **place)
        _add_notes(figure, notes)
    return figure


def draw_curves(history, thawed_after, title, notes=()):
    """Return a Figure of loss, accuracy, macro F1, and macro precision and recall per epoch, on train and validation.

    `history` is a DataFrame with a row per epoch: epoch, and train_* and validation_* of loss (nats; what is not a
    number is left out and said), accuracy, f1, precision and recall in [0, 1]. A vertical line stands behind epoch
    `thawed_after` (or None), where part of the backbone was opened. `notes` are lines below the figure.
    """
    with use_style():
        figure = Figure((WIDTH, 4.4 + 0.15 * len(notes)), layout="constrained")
        figure.suptitle(textwrap.fill(title, 70), x=0.01, ha="left", weight="bold", size=10)
        panels = figure.subplots(2, 2, sharex=True).flat
        epochs = history["epoch"]
        dots = {"marker": "o", "markersize": 3 if len(history) < 3 else 0}  # where epochs alone would make no line
        named = (
            ("loss, nats", 1, {"loss": "solid"}),
            ("accuracy, %", 100, {"accuracy": "solid"}),
            ("macro F1, %", 100, {"f1": "solid"}),
            ("macro precision (dashed) and recall (dotted), %", 100, {"precision": "dashed", "recall": "dotted"}),
        )
        for axes, (words, scale, scores) in zip(panels, named, strict=True):
            for part, colour in PART_COLOURS.items():
                for score, line in scores.items():
                    values = scale * history[f"{part}_{score}"].replace([np.inf, -np.inf], np.nan)
                    axes.plot(epochs, values, color=colour, linestyle=line, label=part, **dots)
                    if score == "loss" and values.isna().any():
                        _say_gap(axes, part, epochs[values.isna()].iloc[0], colour)
            axes.set_title(words, size=8.5)
            axes.set(xlim=(epochs.min() - 0.6, epochs.max() + 0.6))
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
            if thawed_after is not None:
                axes.axvline(thawed_after + 0.5, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        loss, accuracy, *lower = figure.axes
        loss.set_ylim(bottom=0)
        accuracy.legend(loc="lower right", fontsize=8)
        for axes in lower:
            axes.set(xlabel="epoch")
        if thawed_after is not None:
            loss.annotate(
                "thawed", (thawed_after + 0.5, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
                textcoords="offset points", va="top", size=8, color=FAINT,
            )  # fmt: skip
        _add_notes(figure, notes)
    return figure


def draw_histories(runs, notes=()):
    """Return a Figure of validation accuracy per epoch of several runs, each named in the legend.

    `runs` are (words, history), the history with columns epoch and validation_accuracy in [0, 1].
    """
    with use_style():
        figure = Figure((WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        looks = [look for look in LOOKS.values() if look != LOOKS[SCRATCH]]
        for number, (words, history) in enumerate(runs):
            look, dashes = looks[number % len(looks)], ("solid", (0, (4, 2)), (0, (1, 1)))[number % 3]
            axes.plot(history["epoch"], 100 * history["validation_accuracy"], color=look.colour, ls=dashes, label=words)
        axes.set(xlabel="epoch", ylabel="validation accuracy, %")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True))
        figure.legend(loc="outside upper left", ncols=2, fontsize=8.5)
        _add_notes(figure, notes)
    return figure


def draw_ages(table, part, notes=()):
    """Return a Figure of the accuracy on validation and `part` by the epochs of one training stopped at several ages.

    `table` has columns epochs, validation and `part`, accuracies in [0, 1]. A ring marks the best on `part`.
    """
    with use_style():
        figure = Figure((WIDTH, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(table["epochs"], 100 * table["validation"], "o-", color=PART_COLOURS["validation"], label="validation")
        if part != "validation":
            axes.plot(table["epochs"], 100 * table[part], "s-", color=INK, label=part)
        best = table.loc[table[part].idxmax()]
        axes.plot(best["epochs"], 100 * best[part], "o", markersize=14, markerfacecolor="none", color=INK)
        axes.set(xlabel="epochs", ylabel="accuracy, %")
        axes.legend(loc="lower right")
        _add_notes(figure, notes)
    return figure


def draw_confusion(counts, classes, title, notes=()):
    """Return a Figure of a confusion matrix: photos printed, cells shaded by their share of the row.

    `counts` (classes, classes) int: a row per actual class, a column per predicted one. `notes` are lines below.
    """
    counts = np.asarray(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [_shorten(name, 24) for name in classes]
    with use_style():
        side = min(11.0, max(3.4, 1.4 + 0.5 * len(classes)))
        figure = Figure((side + 0.4, side + 0.15 * len(notes)), layout="constrained")
        figure.suptitle(textwrap.fill(title, int(11 * side)), x=0.02, ha="left", weight="bold", size=10)
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(classes)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), names)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if len(classes) <= MOST_COUNTED:
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.55 else INK if count else "#9a9a9a"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
        else:
            axes.tick_params(labelsize=max(3, 9 * MOST_COUNTED / len(classes)))
        _add_notes(figure, notes)
    return figure


def _shorten(text, letters):
    """Return `text`, cut off where it has more letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _draw_intervals(axes, table, places, upright=False, faint=False):
    """Draw each run of `table` as its marker on its interval, in percent, at `places` (n,) on the other axis."""
    looks = find_looks(table["family"])
    for row, place in zip(table.itertuples(), places, strict=True):
        look = looks[row.family]
        draw_line = axes.vlines if upright else axes.hlines
        width, alpha = (0.8, 0.45) if faint else (1.6, 1)
        draw_line(place, 100 * row.low, 100 * row.high, color=look.colour, linewidth=width, alpha=alpha)
        x, y = (place, 100 * row.accuracy) if upright else (100 * row.accuracy, place)
        _draw_marker(axes, x, y, look, row.kind)


def _draw_marker(axes, x, y, look, kind, size=6.5):
    face = "white" if kind == "frozen" else look.colour
    axes.plot(x, y, look.marker, color=look.colour, markersize=size, markerfacecolor=face, mew=1.4, zorder=3)


def _draw_strip(axes, middle, title, blocks):
    """Draw the blocks of a backbone at height `middle`: a shade per stage, the name of each, the title above."""
    _name_group(axes, title, middle)
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


def _name_group(axes, words, height):
    """Write `words` left of `axes` at `height`, as the heading of the rows below."""
    axes.annotate(
        words, (0, height), xycoords=("axes fraction", "data"), xytext=(-6, 0), textcoords="offset points", ha="right",
        va="center", weight="bold", size=8.5, annotation_clip=False,
    )  # fmt: skip


def _say_gap(axes, part, epoch, colour):
    """Write into `axes` from which epoch on the loss of `part` is not a number."""
    height = 0.93 - 0.09 * list(PART_COLOURS).index(part)
    axes.text(
        0.97, height, f"{part}: not a number from epoch {epoch}", transform=axes.transAxes, ha="right", va="top",
        size=7.5, color=colour,
    )  # fmt: skip


def _add_legend(figure, table, entries=(), hollow=True):
    """Write above everything else what the families look like, with the marks of their footnotes, what a hollow marker
    means, and `entries`.

    An entry is (what is drawn, words).
    """
    found = []
    for family, look in find_looks(table["family"]).items():
        marks = "".join(dict.fromkeys(table.loc[table["family"] == family, "mark"]))
        marker = Line2D([], [], color=look.colour, marker=look.marker, linestyle="", markersize=6.5)
        found.append((marker, family + marks))
    if hollow and (table["kind"] == "frozen").any():
        ring = Line2D([], [], color=INK, marker="o", linestyle="", markersize=6, markerfacecolor="white")
        found.append((ring, "hollow: frozen, head only"))
    handles, words = zip(*found, *entries, strict=True)
    letters = figure.get_figwidth() * 13.5  # of this size in a line; a marker and the space behind it take five
    columns = next(
        columns
        for columns in (3, 2, 1)
        if columns == 1 or sum(5 + max(map(len, part), default=0) for part in np.array_split(words, columns)) <= letters
    )
    figure.legend(
        handles, words, loc="outside upper left", ncols=columns, handletextpad=0.4, columnspacing=1.4, fontsize=8.5
    )


def _add_notes(figure, notes):
    """Write `notes`, wrapped, below everything else."""
    letters = int(figure.get_figwidth() * 15.5)
    lines = [line for note in notes for line in textwrap.wrap(note, letters)]
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", size=7.5, color=FAINT)
