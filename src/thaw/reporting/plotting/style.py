"""What all figures share: colours, markers, line widths, and the parts that several figures have.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any colour vision can
distinguish; the shape of a marker or the style of a line repeats the distinction, so that a grey print keeps it. A
colour and a shape belong to one family of networks in every figure; a hollow marker is a frozen backbone. Text is shown
as it is: a dollar sign in a name starts no formula.

Matplotlib is imported when something is drawn: what only needs a family's name loads without it.
"""

import contextlib
import pathlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.base.environment import load_matplotlib
from thaw.comparison.words import clean

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

WIDTH = 6.2  # inches: two stand side by side on a desk's screen, and one can be read on a phone's
NAME_WIDTH = 30  # letters of a run's name on one line
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


TIP = "tip "  # begins the id of what shows words below a pointer: `publication.save` makes a title of it

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


class Entry(NamedTuple):
    """A line of a legend."""

    drawn: "Artist"
    words: str


@contextlib.contextmanager
def use_style() -> Iterator[None]:
    """Have Matplotlib meanwhile draw and save in this style, whatever the user has configured.

    Letters are those of the fonts that come with Matplotlib: another version of a font of the same name, installed on
    the machine, would change the bytes of every figure. Afterwards settings and fonts are those that it had.
    """
    load_matplotlib()
    import matplotlib.font_manager
    import matplotlib.style

    manager = matplotlib.font_manager.fontManager
    before = manager.ttflist
    files = sorted(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))
    if {entry.fname for entry in before} != {str(file) for file in files}:
        manager.ttflist = []  # made of what the machine has, or had when Matplotlib last looked
        for file in files:
            manager.addfont(file)
    try:
        with matplotlib.style.context(["default", STYLE]):
            yield
    finally:
        if manager.ttflist is not before:
            manager.addfont(files[0])  # has it forget what it found for a name
            manager.ttflist = before


def make_figure(height: float, width: float = WIDTH) -> "Figure":
    """Return an empty Figure of so many inches whose parts are laid out so that none overlap."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def make_sample(**look: Any) -> "Line2D":
    """Return a line without points that shows the `look` (options of Line2D) in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)


def set_whole_ticks(axis: "Axis", most: int, **options: Any) -> None:
    """Have `axis` carry at most `most` intervals between ticks, all at whole numbers; `options` of MaxNLocator."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True, **options))


def find_looks(families: Iterable[str]) -> dict[str, Look]:
    """Return {family: Look} in the order of `families`; those that LOOKS does not know get what the others left."""
    families = list(dict.fromkeys(families))
    taken = {LOOKS[family] for family in families if family in LOOKS}
    spare = [look for look in LOOKS.values() if look not in taken and look != LOOKS[SCRATCH]] or [Look(INK, "p")]
    unknown = [family for family in families if family not in LOOKS]
    return {
        family: LOOKS[family] if family in LOOKS else spare[unknown.index(family) % len(spare)] for family in families
    }


def shorten(text: str, letters: int) -> str:
    """Return `text`, cut off where it has more letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def add_tip(artist: "Artist", words: str) -> None:
    """Have `artist` show `words` below a pointer, in a browser."""
    artist.set_gid(TIP + clean(words))


def add_tip_area(axes: "Axes", left: float, bottom: float, width: float, height: float, words: str) -> None:
    """Have a part of `axes`, in the units of its data, show `words` below a pointer; nothing is seen of it."""
    from matplotlib.patches import Rectangle

    # What is fully transparent is not filled, and a pointer finds nothing there.
    area = axes.add_patch(Rectangle((left, bottom), width, height, facecolor="white", linewidth=0, alpha=0.001))
    add_tip(area, words)


def find_edge(table: pd.DataFrame, column: str, room: float = 0) -> float | None:
    """Return where an axis begins, in percent, that shows `column` of all runs of `table` but the baseline.

    `room` is left below them, as a share of their range. None where the baseline is on such an axis anyway, or where
    there is no other run.
    """
    others = table[table["kind"] != "baseline"]
    if others[column].isna().all():
        return None
    low, high = 100 * float(others[column].min()), 100 * float(others[column].max())
    edge = low - max(room * (high - low), 1)
    return edge if (100 * table["accuracy"] < edge).any() else None


def begin_at(set_limits: Callable[..., Any], edge: float | None) -> None:
    """Have an axis begin at `edge`, if there is one; `set_limits` is its set_xlim or set_ylim. All has been drawn."""
    if edge is not None:
        set_limits(edge, None)


def draw_intervals(
    axes: "Axes",
    table: pd.DataFrame,
    places: Iterable[float],
    upright: bool = False,
    faint: bool = False,
    edge: float | None = None,
    unit: str = "%",
) -> None:
    """Draw each run of `table` as its marker on its interval, in percent, at `places` (n,) on the other axis.

    Where `edge`, in percent, is given, the axis is to begin there: of a run below it the number is written at the edge.
    """
    looks = find_looks(table["family"])
    for row, place in zip(table.itertuples(), places, strict=True):
        if edge is not None and 100 * row.accuracy < edge:
            words = f"▾ {100 * row.accuracy:.1f}" if upright else f" ◂ {100 * row.accuracy:.1f}"
            x, y = (place, edge + 0.2) if upright else (edge, place)
            axes.text(x, y, words, size=8, ha="center" if upright else "left", va="bottom" if upright else "center")
            axes.update_datalim([(x, y)])  # a text alone would not widen the axes
            axes.autoscale_view()
            continue
        look = looks[row.family]
        draw_line = axes.vlines if upright else axes.hlines
        width, alpha = (0.8, 0.45) if faint else (1.6, 1)
        draw_line(place, 100 * row.low, 100 * row.high, color=look.colour, linewidth=width, alpha=alpha)
        x, y = (place, 100 * row.accuracy) if upright else (100 * row.accuracy, place)
        limits = f"{100 * row.low:.1f} – {100 * row.high:.1f}"
        draw_marker(axes, x, y, look, row.kind, f"{row.run}: {100 * row.accuracy:.1f} {unit} ({limits})")


def draw_marker(axes: "Axes", x: float, y: float, look: Look, kind: str, words: str, size: float = 6.5) -> None:
    """Draw the marker of a run, which shows `words` below a pointer; hollow where `kind` is frozen."""
    face = "white" if kind == "frozen" else look.colour
    (line,) = axes.plot(x, y, look.marker, color=look.colour, markersize=size, markerfacecolor=face, mew=1.4, zorder=3)
    add_tip(line, words)


def name_group(axes: "Axes", words: str, height: float) -> None:
    """Write `words` left of `axes` at `height`, as the heading of the rows below."""
    axes.annotate(
        words, (0, height), xycoords=("axes fraction", "data"), xytext=(-6, 0), textcoords="offset points", ha="right",
        va="center", weight="bold", size=8.5, annotation_clip=False,
    )  # fmt: skip


def add_legend(figure: "Figure", table: pd.DataFrame, entries: Iterable[Entry] = (), hollow: bool = True) -> None:
    """Write above everything else what the families look like, with the marks of their footnotes, what a hollow marker
    means, and `entries`.
    """
    found = []
    for family, look in find_looks(table["family"]).items():
        marks = "".join(dict.fromkeys(table.loc[table["family"] == family, "mark"]))
        sample = make_sample(color=look.colour, marker=look.marker, linestyle="", markersize=6.5)
        found.append(Entry(sample, family + marks))
    if hollow and (table["kind"] == "frozen").any():
        ring = make_sample(color=INK, marker="o", linestyle="", markersize=6, markerfacecolor="white")
        found.append(Entry(ring, "hollow: frozen, head only"))
    add_entries(figure, [*found, *entries])


def add_entries(figure: "Figure", entries: Sequence[Entry]) -> None:
    """Write the lines of a legend above everything else."""
    words = [entry.words for entry in entries]
    figure.legend(
        [entry.drawn for entry in entries], words, loc="outside upper left", ncols=_count_columns(figure, words),
        handletextpad=0.4, columnspacing=1.4, fontsize=8.5,
    )  # fmt: skip


def _count_columns(figure: "Figure", words: Sequence[str]) -> int:
    """Return how many columns of a legend with these `words` fit into the width of `figure`, 1 to 3."""
    letters = figure.get_figwidth() * 13.5  # of this size in a line; a marker and the space behind it take five
    for columns in (3, 2):
        widths = [5 + max(map(len, column), default=0) for column in np.array_split(np.array(words), columns)]
        if sum(widths) <= letters:
            return columns
    return 1


def add_notes(figure: "Figure", notes: Iterable[str]) -> None:
    """Write `notes`, wrapped, below everything else."""
    letters = int(figure.get_figwidth() * 15.5)
    lines = [line for note in notes for line in textwrap.wrap(note, letters)]
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", size=7.5, color=FAINT)
