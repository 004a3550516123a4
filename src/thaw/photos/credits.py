"""Who made the photos of a folder: the lists that come beside its class folders."""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.photos.canonical import Credit
from thaw.photos.places import show_name
from thaw.photos.tables import FILE, compose, find_file, read_rows

TABLE, LICENCE = "credits.csv", "LICENSE.txt"
LISTS = (TABLE, LICENCE)  # names of files that may credit photos; the first that is there does
COLUMNS = [FILE, *Credit._fields]
SPELLINGS = {"license": "licence"}
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
        file = find_file(line.file, known)
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
    for number, fields in read_rows(content, COLUMNS, (), SPELLINGS, place)[1]:
        yield Line(number, fields[FILE], Credit(*(_tidy(fields[name]) for name in Credit._fields)))


def _tidy(text: str) -> str:
    """Return `text` with single blanks for all white space, and none at its ends."""
    return " ".join(text.split())
