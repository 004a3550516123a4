"""Names of classes in figures: what their font cannot show is transcribed, so no label is a row of boxes.

Matplotlib draws letter by letter from left to right, without the shapes and the order that other scripts ask for. The
tables beside a figure, its alternative text and the pages have the names themselves.
"""

import functools
import pathlib
import unicodedata
from collections.abc import Iterable, Sequence

from anyascii import anyascii

from thaw.base.environment import load_matplotlib
from thaw.comparison.words import JOINERS, clean
from thaw.reporting.plotting.style import shorten

TRANSCRIBED = (
    "Names in letters that figures cannot show are transcribed; the data beside the figure have them unchanged."
)

RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes of Unicode


def make_labels(names: Sequence[str], letters: int) -> list[str]:
    """Return a label of at most `letters` letters for each of `names`, transcribed and cut off where that is needed.

    Different names have different labels: those that come out alike are numbered.
    """
    labels: dict[str, str] = {}
    whole = {name: transcribe(name) for name in names}
    # Names that stay as they are come first, and keep their label.
    for name in sorted(whole, key=lambda name: shorten(whole[name], letters) != name):
        label, number = shorten(whole[name], letters), 1
        while label in labels.values():
            number += 1
            label = shorten(whole[name], letters - len(f" ({number})")) + f" ({number})"
        labels[name] = label
    return [labels[name] for name in names]


def list_notes(names: Iterable[str]) -> list[str]:
    """Return the note below a figure with the labels of `names`: that some are transcribed, or none."""
    return [TRANSCRIBED] if any(transcribe(name) != clean(name) for name in names) else []


def transcribe(name: str) -> str:
    """Return `name` with ASCII in the place of letters that the font of the figures lacks or that run right to left.

    A letter that no transcription is known of is its number in Unicode.
    """
    shown, known, foreign = "", _list_letters(), False
    for letter in clean(name):
        part = letter in JOINERS or unicodedata.category(letter)[0] == "M"  # of the letter before it
        if not part:
            foreign = ord(letter) not in known or unicodedata.bidirectional(letter) in RIGHT_TO_LEFT
        if foreign or (part and ord(letter) not in known):
            shown += anyascii(letter) or ("" if part else f"U+{ord(letter):04X}")
        elif letter not in JOINERS:
            shown += letter
    return shown


@functools.cache
def _list_letters() -> frozenset[int]:
    """Return the letters of the font of the figures, by their numbers in Unicode."""
    load_matplotlib()
    import matplotlib
    from matplotlib.ft2font import FT2Font

    file = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return frozenset(FT2Font(str(file)).get_charmap())
