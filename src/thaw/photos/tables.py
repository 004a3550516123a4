"""Tables of files that people write: CSV as spreadsheets make it, each row naming a photo by its path."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

from thaw.base.errors import InputError
from thaw.photos.places import show_name

FILE = "file"  # the column that names the photo
DELIMITERS = ",;\t"  # the second where the comma marks decimals

Row = tuple[int, dict[str, str]]  # the number of its line, from 1, and the fields by column


def read_rows(
    content: bytes, needed: Sequence[str], others: Sequence[str], spellings: dict[str, str], place: str
) -> tuple[list[str], Iterator[Row]]:
    """Return (the columns, the rows) of a table that has the column FILE; empty rows are left out.

    Columns stand in any order and case, parted by commas, semicolons or tabulators; those in `needed`, FILE among them,
    stand there once, those in `others` at most once. `spellings` has other names for them. Raises InputError, which
    begins with `place`, where that does not hold, and while the rows are read where one is not clear.
    """
    text = _decode(content, place)
    first = text.lstrip().split("\n", 1)[0].strip()
    if not first:
        raise InputError(f"{place}: must be a CSV table in UTF-8 (it is empty)")
    declared = re.fullmatch("sep=(.)", first, re.IGNORECASE)  # what Excel writes above a table
    for delimiter in declared[1] if declared else DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        lines = _read_lines(reader, place)
        if declared:
            next(lines)
        names = [name.strip().casefold() for name in next(lines, (1, []))[1]]
        header = [spellings.get(name, name) for name in names]
        if all(header.count(name) == 1 for name in needed) and all(header.count(name) <= 1 for name in others):
            return header, _name_fields(lines, header, place)
    raise InputError(f"{place}: must have the columns {', '.join([*needed, *others])} (got {show_name(first[:200])})")


def find_file(name: str, known: Collection[str]) -> str | None:
    """Return the one of `known` (composed) that a table names by `name`: as it stands, or as another system writes it.

    A backslash may stand for the slash, and ./ or blanks before it.
    """
    stripped = name.strip()
    written = re.sub(r"^(\./+)+", "", stripped.replace("\\", "/"))
    return next((found for found in map(compose, (name, stripped, written)) if found in known), None)


def compose(name: str) -> str:
    """Return the name of a file in Unicode's composed form (NFC): file systems differ in the form that they give."""
    return unicodedata.normalize("NFC", name)


def _decode(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refuse(error, place) from None


def _read_lines(reader: Iterator[list[str]], place: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, and the numbers of their lines."""
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield reader.line_num, row  # type: ignore[attr-defined]
    except csv.Error as error:
        raise _refuse(error, place) from None


def _name_fields(lines: Iterator[tuple[int, list[str]]], header: list[str], place: str) -> Iterator[Row]:
    """Yield the rows as mappings."""
    for number, row in lines:
        if len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
            raise InputError(
                f"{place}: line {number}: must have at most the {len(header)} fields of the first line, a field "
                f"with commas in quotes (got {len(row)})"
            )
        fields = dict(zip(header, row + [""] * len(header), strict=False))
        if not fields[FILE].strip():
            raise InputError(f"{place}: line {number}: must name a file (got {show_name(', '.join(row).strip())!r})")
        yield number, fields


def _refuse(error: Exception, place: str) -> InputError:
    return InputError(f"{place}: must be a CSV table in UTF-8 ({' '.join(str(error).split())})")
