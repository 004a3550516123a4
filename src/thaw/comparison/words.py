"""Numbers and tables as text."""

from collections.abc import Mapping, Sequence
from typing import Any

import tabulate

from thaw.comparison.results import find_run_interval

NOT_RUN = "not run yet"

NO_TEST = "The split has no test part: the intervals are those of validation."


def percent(share: float) -> str:
    """Return a share in [0, 1] as percent with two decimals."""
    return f"{100 * share:.2f}"


def interval(scores: Mapping[str, Any], part: str) -> str:
    """Return the 95 % interval of a run's accuracy on `part`, as `say_interval` has it."""
    return say_interval(*find_run_interval(scores, part))


def say_interval(low: float, high: float) -> str:
    """Return an interval of shares as percent with one decimal, ``84.3 – 91.0``."""
    return f"{100 * low:.1f} – {100 * high:.1f}"


def say_p(p: float) -> str:
    """Return a p value as text: two decimals, three below 0.1."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def say_count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with the word for what is counted, ``1 run`` or ``1,200 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def to_markdown(header: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table, its first `left` columns aligned left and the others right."""
    # tabulate pads every cell to the width of its column: one longer cell would then change every line of a committed
    # page, and hide in a pull request's diff the line that differs.
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def align(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """Return the table as plain text, its first `left` columns aligned left and the others right."""
    alignments = ["left" if i < left else "right" for i in range(len(header))]
    return tabulate.tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=alignments)
