"""The map of photos that a network finds alike."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from thaw.reporting.plotting.style import (
    FAINT,
    INK,
    LOOKS,
    SCRATCH,
    Entry,
    Look,
    add_entries,
    add_notes,
    make_figure,
    make_sample,
    shorten,
    use_style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 16  # classes with a look of their own: more can be told apart by no one
CLASS_WIDTH = 20  # letters of a class's name
OTHERS = Look(FAINT, ".")

# Of classes: those of the families, each once with a marker of its own, then each colour with another marker.
COLOURS, MARKERS = zip(*(look for family, look in LOOKS.items() if family != SCRATCH), strict=True)


def draw_embedding(table: pd.DataFrame, title: str, notes: Sequence[str] = ()) -> "Figure":
    """Return a Figure of photos as points of their class's colour and marker; a ring is round those that are wrong.

    `table` has columns actual, predicted, x and y. The classes with the most photos have a look of their own. `notes`
    are lines below.
    """
    counts = table["actual"].value_counts()
    order = sorted(counts.index, key=lambda name: (-counts[name], name))
    looks = {name: find_class_look(i) for i, name in enumerate(sorted(order[:MOST_NAMED]))}
    with use_style():
        figure = make_figure(5.4)
        axes = figure.subplots()
        axes.set_title(textwrap.fill(title, 68), weight="bold", size=10)
        entries = []
        groups = [(name, table[table["actual"] == name], look) for name, look in looks.items()]
        if len(order) > MOST_NAMED:
            rest = table[~table["actual"].isin(looks)]
            groups.append((f"{len(order) - MOST_NAMED} other classes", rest, OTHERS))
        for name, photos, look in groups:
            style: dict[str, Any] = {
                "color": look.colour,
                "marker": look.marker,
                "linestyle": "",
                "markersize": 4.5,
                "mew": 0,
            }
            axes.plot(photos["x"], photos["y"], **style, alpha=0.85)
            entries.append(Entry(make_sample(**style), shorten(name, CLASS_WIDTH)))
        wrong = table[table["actual"] != table["predicted"]]
        ring: dict[str, Any] = {
            "color": INK,
            "marker": "o",
            "linestyle": "",
            "markersize": 8.5,
            "mfc": "none",
            "mew": 1.1,
        }
        axes.plot(wrong["x"], wrong["y"], **ring)
        entries.append(Entry(make_sample(**ring), f"ring: wrong ({len(wrong):,})"))
        axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        axes.spines[:].set_visible(False)
        axes.margins(0.04)
        add_entries(figure, entries)
        add_notes(figure, ["t-SNE: near neighbours are alike. Distances between groups mean nothing.", *notes])
    return figure


def find_class_look(number: int) -> Look:
    """Return the look of class `number`, from 0; the first 64 differ from each other."""
    turn, place = divmod(number, len(COLOURS))
    return Look(COLOURS[place], MARKERS[(place + turn) % len(MARKERS)])
