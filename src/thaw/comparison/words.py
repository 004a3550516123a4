"""Numbers, names and tables as text.

Names of classes, runs, networks, files and data sets are data: anything may stand in them. In Markdown they stand as
`escape` or `code` returns them, on every page.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import tabulate

from thaw.comparison.results import find_run_interval

NOT_RUN = "not run yet"

NO_TEST = "The split has no test part: the intervals are those of validation."

JOINERS = "\u200c\u200d"  # stand between the letters of a word in Persian, Hindi, Sinhala and others, and in emoji

# What does not show, by Unicode's category: control characters, format characters (marks of direction among them) and
# surrogates, which stand for bytes that are not UTF-8.
HIDDEN = {"Cc": " ", "Cf": "", "Cs": "\ufffd"}

# Text in which no Markdown and no page of GitHub reads anything: words of letters and digits, with single signs inside
# and perhaps a version behind a colon. An underscore behind another sign could begin emphasis; www. and GH-1 are links.
_LETTERS = r"[^\W_]+(?:(?:_+-*|-+|[.,'’/+])[^\W_]+)*"
_WORD = rf"(?!(?i:www\.|gh-)){_LETTERS}(?::\d+(?:\.\d+)+)?_*-*"
PLAIN = re.compile(rf"(?:{_WORD}|\({_WORD}(?: {_WORD})*\))(?:,? (?:{_WORD}|\({_WORD}(?: {_WORD})*\)))*")


def percent(share: float) -> str:
    """Return a share in [0, 1] as percent with two decimals."""
    return f"{100 * share:.2f}"


def interval(scores: Mapping[str, Any], part: str) -> str:
    """Return the 95 % interval of a run's accuracy on `part`, as `say_interval` has it."""
    return say_interval(*find_run_interval(scores, part))


def say_interval(low: float, high: float) -> str:
    """Return an interval of shares as percent with one decimal, ``84.3 – 91.0``."""
    return f"{100 * low:.1f} – {100 * high:.1f}"


def say_points(difference: float) -> str:
    """Return a difference of shares in points with one decimal and its sign, ``+4.1``; ``+0.0`` for none."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def say_p(p: float) -> str:
    """Return a p value as text: two decimals, three below 0.1."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def say_count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with the word for what is counted, ``1 run`` or ``1,200 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def clean(value: object) -> str:
    """Return `value` as text in one line, without what does not show; the joiners of letters stay."""
    shown = (letter if letter in JOINERS else HIDDEN.get(unicodedata.category(letter), letter) for letter in str(value))
    return " ".join("".join(shown).split())


def escape(value: object) -> str:
    """Return `value`, which is data, as Markdown that shows it as it is: plain words as they are, all else as code.

    In code no renderer reads anything, whatever it makes of other text: no link, image, emoji, mention or formula.
    """
    text = clean(value)
    letters = "".join(letter for letter in text if letter not in JOINERS and unicodedata.category(letter)[0] != "M")
    return text if not text or PLAIN.fullmatch(letters) else code(text)


def code(value: object) -> str:
    """Return `value`, which is data, as a code span of Markdown that shows it as it is, in one line."""
    text = clean(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""  # of which Markdown takes one off each end
    return f"{fence}{space}{text}{space}{fence}"


def to_markdown(header: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table, its first `left` columns aligned left and the others right."""
    # tabulate pads every cell to the width of its column: one longer cell would then change every line of a committed
    # page, and hide in a pull request's diff the line that differs.
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def align(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2, widths: Sequence[int] = ()) -> str:
    """Return the table as plain text, its first `left` columns aligned left and the others right.

    What is longer than the width (characters) of its column in `widths`, where it has one, goes on in the next line.
    """
    alignments = ["left" if i < left else "right" for i in range(len(header))]
    most = [*widths, *[None] * (len(header) - len(widths))] if widths else None
    return tabulate.tabulate(
        rows, header, tablefmt="simple", disable_numparse=True, colalign=alignments, maxcolwidths=most
    )
