"""Who made the photos of a folder: the lists that come beside its class folders."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.photos.canonical import Credit
from thaw.photos.places import show_name

TABLE, LICENCE = "credits.csv", "LICENSE.txt"
LISTS = (TABLE, LICENCE)  # names of files that may credit photos; the first that is there does
COLUMNS = ["file", *Credit._fields]
SPELLINGS = {"license": "licence"}
DELIMITERS = ",;\t"  # the second where the comma marks decimals
TERMS = re.compile(r"https?://creativecommons\.org/licenses/(?P<kind>[a-z-]+)/[\d.]+/?")
# A line of the licence file in the archive of TF-Flowers; for a few photos it has the author's page before the name.
LINE = re.compile(
    r"(?P<file>[^/]+/.+?\.(?:jpe?g|png|webp|avif|hei[cf])) (?P<licence>\S+) "
    r"(?:by (?P<author>.+) - (?P<url>https?://\S+)|(?P<page>https?://\S+) - by (?P<owner>.+))",
    re.IGNORECASE,
)


class Line(NamedTuple):
    """An entry of a list."""

    number: int  # of its line, from 1
    file: str  # as the list names it
    credit: Credit


def read_credits(content: bytes, name: str, files: Collection[str], place: str) -> dict[str, Credit]:
    """Return {"CLASS/FILE" composed: Credit} of `files` ("CLASS/FILE"), as far as a list names their authors.

    `content` is that of the list, `name` the one of LISTS that it has. credits.csv has the columns file ("CLASS/FILE"),
    author, licence and url, in any order and case, parted by commas, semicolons or tabulators; a backslash may stand
    for the slash, and ./ before it. LICENSE.txt has the layout of the archive of TF-Flowers; its other lines are passed
    over. Where files stay without a credit, or entries name no file, stderr has their number.

    `place` begins the text of the InputError that is raised for a credits.csv that is no such table, or that gives a
    file two credits.
    """
    lines = _read_table(content, f"{place}: {name}") if name == TABLE else _read_licence(content)
    known = {compose(file) for file in files}
    found: dict[str, Line] = {}
    lost: list[Line] = []
    for line in lines:
        file = _find(line.file, known)
        if file is None:
            lost.append(line)
            continue
        other = found.setdefault(file, line)
        if name == TABLE and other.credit != line.credit:
            raise InputError(
                f"{place}: {name}: line {line.number}: a file must have one credit "
                f"({show_name(file)} has another in line {other.number})"
            )
        found[file] = line
    credited = sum(any(line.credit) for line in found.values())
    if lost or credited < len(known):
        first = f", the first line {lost[0].number}, {show_name(lost[0].file)!r}" if lost else ""
        say(f"{place}: {name}: credits {credited} of {len(known)} files; {len(lost)} entries name none of them{first}")
    return {file: line.credit for file, line in found.items()}


def compose(name: str) -> str:
    """Return the name of a file in Unicode's composed form (NFC): file systems differ in the form that they give."""
    return unicodedata.normalize("NFC", name)


def _find(name: str, known: Collection[str]) -> str | None:
    """Return the one of `known` that a list names by `name`: as it stands, or as another system writes paths."""
    stripped = name.strip()
    written = re.sub(r"^(\./+)+", "", stripped.replace("\\", "/"))
    return next((found for found in map(compose, (name, stripped, written)) if found in known), None)


def _read_licence(content: bytes) -> Iterator[Line]:
    """Yield the lines that name a photo, its licence, its author and an address.

    Where the text gives the address of a Creative Commons licence, the address stands for its name ("CC-BY").
    """
    text = content.decode("utf-8", "replace")
    addresses = {f"CC-{match['kind'].upper()}": match[0] for match in TERMS.finditer(text)}
    for number, line in enumerate(text.splitlines(), 1):
        match = LINE.fullmatch(line.strip())
        if match:
            author, url = match["author"] or match["owner"], match["url"] or match["page"]
            licence = addresses.get(match["licence"].upper(), match["licence"])
            yield Line(number, match["file"], Credit(_tidy(author), licence, url))


def _read_table(content: bytes, place: str) -> Iterator[Line]:
    """Yield the rows of a table of credits; raises InputError, which begins with `place`, where they are not clear."""
    try:
        text = content.decode("utf-8-sig")
        header, rows = _split(text, place)
        for number, row in rows:
            if len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
                raise InputError(
                    f"{place}: line {number}: must have at most the {len(header)} fields of the first line, a field "
                    f"with commas in quotes (got {len(row)})"
                )
            fields = dict(zip(header, row + [""] * len(header), strict=False))
            if not fields["file"].strip():
                raise InputError(f"{place}: line {number}: must name a file (got {', '.join(row).strip()!r})")
            yield Line(number, fields["file"], Credit(*(_tidy(fields[name]) for name in Credit._fields)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{place}: must be a CSV table in UTF-8 ({' '.join(str(error).split())})") from None


def _split(text: str, place: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return (the names of the columns, the rows and the numbers of their lines); empty rows are left out."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if not first:
        raise InputError(f"{place}: must be a CSV table in UTF-8 (it is empty)")
    declared = re.fullmatch("sep=(.)", first, re.IGNORECASE)  # what Excel writes above a table
    for delimiter in declared[1] if declared else DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        lines = ((reader.line_num, row) for row in reader if any(map(str.strip, row)))
        if declared:
            next(lines)
        names = [name.strip().casefold() for name in next(lines, (1, []))[1]]
        header = [SPELLINGS.get(name, name) for name in names]
        if all(header.count(name) == 1 for name in COLUMNS):
            return header, lines
    raise InputError(f"{place}: must have the columns {', '.join(COLUMNS)} (got {show_name(first[:200])})")


def _tidy(text: str) -> str:
    """Return `text` with single blanks for all white space, and none at its ends."""
    return " ".join(text.split())
