"""Text that a spreadsheet would take for a formula, in the tables that people open in one.

An apostrophe before it keeps it text (https://owasp.org/www-community/attacks/CSV_Injection). Where apostrophes stand
before such text already it gets one more, so that taking one off gives back every text.
"""

import re
from collections.abc import Callable

import pandas as pd

# The signs that begin a formula, also in full width; a number with its sign is none.
FORMULA = re.compile("'*(?:[=@\t\r\n＝＋－＠]|[+-](?!(?:\\d+[.]?\\d*|[.]\\d+)(?:[eE][+-]?\\d+)?\\Z))")


def guard(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with an apostrophe before each text that a spreadsheet would take for a formula."""
    return _map_texts(table, lambda text: f"'{text}" if FORMULA.match(text) else text)


def release(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with its texts as they were before `guard`."""
    return _map_texts(table, lambda text: text[1:] if text.startswith("'") and FORMULA.match(text) else text)


def _map_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return `table` with each text in its cells as `change` returns it."""

    def change_text(value: object) -> object:
        return change(value) if isinstance(value, str) else value

    texts = [name for name, kind in table.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    return table.assign(**{str(name): table[name].map(change_text) for name in texts})
