"""Figures, from arrays and data frames. Pure: nothing is read or saved here."""

from thaw.reporting.plotting.answers import MOST_COUNTED, Reliability, draw_classes, draw_confusion, draw_reliability
from thaw.reporting.plotting.cuts import Strip, draw_cuts
from thaw.reporting.plotting.embedding import draw_embedding
from thaw.reporting.plotting.epochs import Limits, draw_ages, draw_curves, draw_histories, draw_rates, find_limits
from thaw.reporting.plotting.published import draw_published
from thaw.reporting.plotting.runs import draw_differences, draw_overview, draw_tradeoff, find_front
from thaw.reporting.plotting.style import (
    BAND,
    FAINT,
    INK,
    LOOKS,
    NAME_WIDTH,
    PALE,
    PART_COLOURS,
    SCRATCH,
    STYLE,
    TIP,
    WIDTH,
    Look,
    find_looks,
    use_style,
)

__all__ = [
    "BAND",
    "FAINT",
    "INK",
    "LOOKS",
    "MOST_COUNTED",
    "NAME_WIDTH",
    "PALE",
    "PART_COLOURS",
    "SCRATCH",
    "STYLE",
    "TIP",
    "WIDTH",
    "Limits",
    "Look",
    "Reliability",
    "Strip",
    "draw_ages",
    "draw_classes",
    "draw_confusion",
    "draw_cuts",
    "draw_curves",
    "draw_differences",
    "draw_embedding",
    "draw_histories",
    "draw_overview",
    "draw_published",
    "draw_rates",
    "draw_reliability",
    "draw_tradeoff",
    "find_front",
    "find_limits",
    "find_looks",
    "use_style",
]
