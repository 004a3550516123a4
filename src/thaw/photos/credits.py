"""Who made the photos of a folder: the lists that come beside its class folders."""

import pathlib
import re
import unicodedata

import pandas as pd

from thaw.base.errors import InputError
from thaw.photos.canonical import Credit

TABLE, LICENCE = "credits.csv", "LICENSE.txt"
COLUMNS = ["file", *Credit._fields]
TERMS = re.compile(r"https?://creativecommons\.org/licenses/(?P<kind>[a-z-]+)/[\d.]+/?")
# A line of the licence file in the archive of TF-Flowers; for a few photos it has the author's page before the name.
LINE = re.compile(
    r"(?P<file>[^/]+/.+?\.(?:jpe?g|png)) (?P<licence>\S+) "
    r"(?:by (?P<author>.+) - (?P<url>https?://\S+)|(?P<page>https?://\S+) - by (?P<owner>.+))",
    re.IGNORECASE,
)


def read_credits(folder: pathlib.Path, place: str) -> dict[str, Credit]:
    """Return {"CLASS/FILE": Credit} of the photos in the class folders of `folder`, as far as a list there names
    their authors.

    The list is credits.csv with the columns file ("CLASS/FILE"), author, licence and url; without one it is
    LICENSE.txt in the layout of the archive of TF-Flowers, whose other lines are passed over. `place` begins the text
    of the InputError that is raised for a credits.csv that is no such table.
    """
    if (folder / TABLE).is_file():
        return _read_table(folder / TABLE, place)
    if (folder / LICENCE).is_file():
        return parse_licence((folder / LICENCE).read_text(encoding="utf-8", errors="replace"))
    return {}


def parse_licence(text: str) -> dict[str, Credit]:
    """Return {"CLASS/FILE": Credit} of the lines that name a photo, its licence, its author and an address.

    Where the text gives the address of a Creative Commons licence, the address stands for its name ("CC-BY").
    """
    addresses = {f"CC-{match['kind'].upper()}": match[0] for match in TERMS.finditer(text)}
    found = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line.strip())
        if match:
            author, url = match["author"] or match["owner"], match["url"] or match["page"]
            licence = addresses.get(match["licence"].upper(), match["licence"])
            found[compose(match["file"])] = Credit(_tidy(author), licence, url)
    return found


def compose(name: str) -> str:
    """Return the name of a file in Unicode's composed form (NFC): file systems differ in the form that they give."""
    return unicodedata.normalize("NFC", name)


def _read_table(path: pathlib.Path, place: str) -> dict[str, Credit]:
    """Return {"CLASS/FILE": Credit} of the table at `path`; raises InputError, which begins with `place`."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: {TABLE}: must be a CSV table in UTF-8 ({' '.join(str(error).split())})") from None
    if not set(COLUMNS) <= set(table):
        raise InputError(f"{place}: {TABLE}: must have the columns {', '.join(COLUMNS)} (got {', '.join(table)})")
    rows = table[COLUMNS].map(_tidy).itertuples(index=False)
    return {compose(file): Credit(*credit) for file, *credit in rows}


def _tidy(text: str) -> str:
    """Return `text` with single blanks for all white space, and none at its ends."""
    return " ".join(text.split())
