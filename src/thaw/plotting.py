"""Figures, from arrays and data frames. Pure: nothing is read or saved here.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any colour vision tell apart;
a shape or a line style says the same again. Text is shown as it is: a dollar sign in a name starts no formula.
"""

import textwrap

import matplotlib.style
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure

WIDTH = 8.0  # inches: 800 pixels at the 100 dots per inch that browsers and README pages come close to
NAME_WIDTH = 36  # letters of a run's name on one line
MOST_COUNTED = 20  # classes: the cells of a larger confusion matrix hold no number that could be read
INK, FAINT, PALE = "#222222", "#666666", "#e4e4e4"
BLUE, ORANGE = "#0072b2", "#d55e00"

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

KINDS = {  # kind of run -> what the legend calls it, colour, marker
    "baseline": ("from scratch", FAINT, "s"),
    "frozen": ("frozen backbone", BLUE, "o"),
    "finetuned": ("fine-tuned", ORANGE, "D"),
}
PARTS = {"train": "#44aa99", "validation": "#882255"}  # no colour of a kind: two of Tol's, as safe
SCORES = {"f1": ("F1", "solid"), "precision": ("precision", "dashed"), "recall": ("recall", "dotted")}


def use_style():
    """Return a context in which Matplotlib draws and saves in this style, whatever the user has configured."""
    return matplotlib.style.context(["default", STYLE])


def draw_overview(table, part, best, notes=()):
    """Return a Figure of every run's accuracy on `part` as a dot on its 95 % interval, in the order of `table`.

    `table` is a DataFrame with columns run, mark (of its footnote, or ""), thaws (words), kind (a key of KINDS), group
    (runs of one group stand together), accuracy, low and high in [0, 1]. The run named `best` is set in bold, and a
    band carries its interval down to the others. `notes` are lines below the figure.
    """
    with use_style():
        names = [textwrap.wrap(row.run + row.mark, NAME_WIDTH) for row in table.itertuples()]
        starts = table["group"].ne(table["group"].shift()).cumsum() - 1
        heights = np.arange(len(table)) + 0.45 * starts.to_numpy()
        most_lines = max(len(lines) for lines in names)
        figure = Figure((WIDTH, 1.3 + (0.22 + 0.15 * most_lines) * (heights[-1] + 1)), layout="constrained")
        axes = figure.subplots()
        for kind, (label, colour, marker) in KINDS.items():
            rows = (table["kind"] == kind).to_numpy()
            if rows.any():
                x, low, high = (100 * table.loc[rows, column].to_numpy() for column in ("accuracy", "low", "high"))
                axes.hlines(heights[rows], low, high, color=colour, linewidth=1.8)
                axes.plot(x, heights[rows], marker, color=colour, markersize=7, label=label)
        shown = table[table["run"] == best].iloc[0]
        label = "interval of the best on validation (bold)"
        axes.axvspan(100 * shown["low"], 100 * shown["high"], color="#f1ece4", zorder=0.4, label=label)
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
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        printed = axes.twinx()
        printed.set(ylim=axes.get_ylim())
        printed.set_yticks(heights, values, size=8.5)
        printed.tick_params(length=0)
        printed.grid(visible=False)
        printed.spines[:].set_visible(False)
        figure.legend(loc="outside upper left", ncols=4, handletextpad=0.4, columnspacing=1.6)
        _add_notes(figure, notes)
    return figure


def draw_curves(history, thawed_after, title, notes=()):
    """Return a Figure of loss, accuracy and macro F1, precision and recall per epoch, on train and validation.

    `history` is a DataFrame with a row per epoch: epoch, and train_* and validation_* of loss (nats; what is not a
    number is left out and said), accuracy, f1, precision and recall in [0, 1]. A vertical line stands behind epoch
    `thawed_after` (or None), where part of the backbone was opened. `notes` are lines below the figure.
    """
    with use_style():
        figure = Figure((WIDTH + 1, 3.2 + 0.15 * len(notes)), layout="constrained")
        figure.suptitle(textwrap.fill(title, 90), x=0.01, ha="left", weight="bold", size=10)
        left, middle, right = figure.subplots(1, 3)
        epochs = history["epoch"]
        # A dot where an epoch alone would make no line.
        dots = {"marker": "o", "markersize": 2.5 if len(history) < 40 else 0}
        for axes, score, scale in ((left, "loss", 1), (middle, "accuracy", 100)):
            for part, colour in PARTS.items():
                values = scale * history[f"{part}_{score}"].replace([np.inf, -np.inf], np.nan)
                axes.plot(epochs, values, color=colour, label=part, **dots)
                if score == "loss" and values.isna().any():
                    _say_gap(axes, part, epochs[values.isna()].iloc[0], colour)
        for score, (_, line) in SCORES.items():
            for part, colour in PARTS.items():
                right.plot(epochs, 100 * history[f"{part}_{score}"], color=colour, linestyle=line, linewidth=1.3)
        for score, (label, line) in SCORES.items():
            right.plot([], [], color=INK, linestyle=line, linewidth=1.3, label=label)
        left.set(title="loss, nats")
        left.set_ylim(bottom=0)
        middle.set(title="accuracy, %")
        right.set(title="macro F1, precision and recall, %")
        right.legend(loc="lower right", fontsize=8)
        for axes in (left, middle, right):
            axes.set(xlabel="epoch", xlim=(epochs.min() - 0.6, epochs.max() + 0.6))
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
            if thawed_after is not None:
                axes.axvline(thawed_after + 0.5, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        if thawed_after is not None:
            left.annotate(
                "thawed", (thawed_after + 0.5, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
                textcoords="offset points", va="top", size=8, color=FAINT,
            )  # fmt: skip
        middle.legend(loc="lower right", fontsize=8)
        _add_notes(figure, notes)
    return figure


def draw_confusion(counts, classes, title, notes=()):
    """Return a Figure of a confusion matrix: photos printed, cells shaded by their share of the row.

    `counts` (classes, classes) int: a row per actual class, a column per predicted one. `notes` are lines below.
    """
    counts = np.asarray(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [textwrap.shorten(name, 24, placeholder="…") for name in classes]
    with use_style():
        side = min(11.0, 2.4 + 0.62 * len(classes))
        figure = Figure((side + 0.6, side + 0.15 * len(notes)), layout="constrained")
        figure.suptitle(textwrap.fill(title, int(11 * side)), x=0.02, ha="left", weight="bold", size=10)
        axes = figure.subplots()
        shading = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
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
        bar = figure.colorbar(
            shading, shrink=0.7, aspect=25, format=matplotlib.ticker.PercentFormatter(1), label="share of the row"
        )
        bar.outline.set_visible(False)
        _add_notes(figure, notes)
    return figure


def _say_gap(axes, part, epoch, colour):
    """Write into `axes` from which epoch on the loss of `part` is not a number."""
    height = 0.93 - 0.09 * list(PARTS).index(part)
    axes.text(
        0.97, height, f"{part}: not a number from epoch {epoch}", transform=axes.transAxes, ha="right", va="top",
        size=7.5, color=colour,
    )  # fmt: skip


def _add_notes(figure, notes):
    """Write `notes`, wrapped, below everything else."""
    letters = int(figure.get_figwidth() * 15.5)
    lines = [line for note in notes for line in textwrap.wrap(note, letters)]
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", size=7.5, color=FAINT)
