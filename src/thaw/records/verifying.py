"""Records checked before they are used: no label and no picture is another than the one that was written.

The index names the sha256 of the table, and the table has the id and label of each record and a checksum of its
picture. The index itself is compared with all of them, and its classes with data/split.csv where that stands beside.
The table is checked whenever it is asked for and has changed, the records of a part once in each process.
"""

import functools
import itertools
import math
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import google.protobuf.message
import pandas as pd
import pydantic

from thaw.base import paths
from thaw.base.errors import InputError, kind
from thaw.base.files import digest_of, read_json, read_table
from thaw.base.names import PARTS
from thaw.base.progress import track
from thaw.base.quiet import tf
from thaw.base.sections import Section, validate

INDEX, LABELS = "index.json", "labels.csv"
COLUMNS = {"id": "id", "label": "label", "crc32": "crc32 of the picture"}  # of the table beside `part`, in words
MENDED = "./run dvc repro --force --single-item preprocess writes the records again"


class Index(Section):
    """What index.json holds."""

    size: int = pydantic.Field(ge=1)  # pixels, a side
    classes: list[str]  # their names, by label
    counts: dict[str, int]  # of photos, by part
    digest: str  # sha256 of labels.csv


class Records(NamedTuple):
    """The index and the table of records, which agree."""

    described: Index
    table: pd.DataFrame  # part, id, label and crc32 of each record


class Recorded(NamedTuple):
    """What a record holds."""

    file: pathlib.Path
    number: int  # of the record in the file, from 1 on
    bytes: int  # of the picture
    values: dict[str, Any]  # by COLUMNS

    @property
    def place(self) -> str:
        """Where the record is, for messages."""
        return f"{self.file}: record {self.number}"


class Difference(NamedTuple):
    """The first row of the table and the first record that do not belong together."""

    row: Any  # of the table, with its Index; None where the records go on behind the last one
    recorded: Recorded | None  # None where the table goes on behind the last record
    column: str = ""  # of COLUMNS, where both are there

    @property
    def listed(self) -> Any:
        """What the row has in the column."""
        return getattr(self.row, self.column)

    @property
    def line(self) -> str:
        """Where the row is, for messages."""
        return f"line {self.row.Index + 2}"  # of the file, from 1 on, behind the names of the columns


def read_records(folder: str | pathlib.Path) -> Records:
    """Return the index and the table of the records at `folder`; raises InputError where they do not agree."""
    folder = pathlib.Path(folder)
    return _read_records(folder, _stamp(folder / INDEX, folder / LABELS))


def verify_part(folder: str | pathlib.Path, part: str) -> list[pathlib.Path]:
    """Return the files of a part of the records at `folder`, in their order, after reading them whole.

    Raises InputError, which names the file and the record, unless they hold the pictures, labels and ids that were
    written, in the same order. What was read once in this process, and has not changed, is not read again.
    """
    folder = pathlib.Path(folder)
    files = _find_files(folder, part)
    _verify_part(folder, part, _stamp(folder / INDEX, folder / LABELS, *files))
    return files


def _find_files(folder: pathlib.Path, part: str) -> list[pathlib.Path]:
    return sorted(folder.glob(f"{part}-*.tfrecord"))


def _stamp(*files: pathlib.Path) -> tuple[Any, ...]:
    """Return what changes when one of `files` does; raises InputError where one is missing."""
    try:
        status = [file.stat() for file in files]
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: there is no such file; {MENDED}") from None
    return tuple((file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns) for file in status)


@functools.lru_cache(maxsize=8)
def _read_records(folder: pathlib.Path, _stamp: object) -> Records:
    """Do the work of `read_records`; `_stamp` is that of the two files."""
    index = _read_index(folder / INDEX)
    if digest_of(folder / LABELS) != index.digest:
        raise InputError(f"{_explain_digest(folder, index)}; {MENDED}")
    table = read_table(folder / LABELS, numbers=("label", "crc32"))
    counts = {part: int((table["part"] == part).sum()) for part in PARTS}
    size = _find_size(folder)
    if counts != index.counts:
        raise InputError(f"{folder / INDEX}: counts: must be {counts} (got {index.counts}); {MENDED}")
    if size not in (None, index.size):
        raise InputError(f"{folder / INDEX}: size: must be {size}, that of the pictures (got {index.size}); {MENDED}")
    _check_classes(folder, index.classes, set(table["label"]))
    return Records(index, table)


def _read_index(path: pathlib.Path) -> Index:
    try:
        document = read_json(path)
    except ValueError:
        raise InputError(f"{path}: must be JSON; {MENDED}") from None
    index, faults = validate(Index, document, f"{path}: index")
    if faults:
        raise InputError(f"{faults[0]}; {MENDED}")
    return index


def _check_classes(folder: pathlib.Path, names: Sequence[str], labels: set[int]) -> None:
    """Raise InputError unless the index names the classes of the split, or sorted ones where that is not there."""
    split = folder.with_name(pathlib.Path(paths.SPLIT).name)
    expected = sorted(set(read_table(split).get("class", names) if split.exists() else names))
    for number, (name, got) in enumerate(itertools.zip_longest(expected, names), 1):
        if name != got:
            source = f", as in {split}" if split.exists() else ""
            words = f"the {number}. must be {kind(name)}{source} (got {kind(got)})"
            raise InputError(f"{folder / INDEX}: classes: {words}; {MENDED}")
    if labels != set(range(len(names))):
        words = f"must be {len(labels)}, one for each label in {LABELS} (got {len(names)})"
        raise InputError(f"{folder / INDEX}: classes: {words}; {MENDED}")


def _find_size(folder: pathlib.Path) -> int | None:
    """Return the side of the first picture in the records, or None where there is none."""
    first = next(_read_files([file for part in PARTS for file in _find_files(folder, part)]), None)
    return first and math.isqrt(first.bytes // 3)


def _explain_digest(folder: pathlib.Path, index: Index) -> str:
    """Return why the table at `folder` has another sha256 than `index` says: a row of it, or the index, is wrong."""
    place, digest = folder / LABELS, digest_of(folder / LABELS)
    try:
        table = read_table(place, numbers=("label", "crc32"))
        for part in PARTS:
            found = _compare(table[table["part"] == part], _read_files(_find_files(folder, part)))
            if found is None:
                continue
            if found.recorded is None:
                return f"{place}: {found.line}: must be a row with a record (got one of {part} more than there are)"
            if found.row is None:
                return f"{place}: must have a row for each record (got none for {found.recorded.place})"
            words = f"must be {found.recorded.values[found.column]}, as in {found.recorded.place} (got {found.listed})"
            return f"{place}: {found.line}: {COLUMNS[found.column]}: {words}"
    except (ValueError, KeyError, AttributeError, InputError):  # it is no such table, or records are damaged, too
        return f"{place}: must be the table whose sha256 is {index.digest}, as {INDEX} has it (got {digest})"
    return f"{folder / INDEX}: digest: must be {digest}, the sha256 of {LABELS} (got {index.digest})"


@functools.lru_cache(maxsize=64)
def _verify_part(folder: pathlib.Path, part: str, _stamp: object) -> None:
    """Do the work of `verify_part`; `_stamp` is that of all files that it rests on."""
    rows = read_records(folder).table.loc[lambda table: table["part"] == part]
    recorded = track(_read_files(_find_files(folder, part)), f"records of {part} checked", len(rows), "photos")
    found = _compare(rows, recorded)
    if found is None:
        return
    if found.recorded is None:
        words = f"must hold a record for each row of {LABELS} (got none for {found.line} and what follows)"
        raise InputError(f"{folder}/{part}-*.tfrecord: {words}; {MENDED}")
    if found.row is None:
        words = f"must have a row of {LABELS} (got one more than the {len(rows):,} of {part})"
    else:
        words = f"{COLUMNS[found.column]}: must be {found.listed}, as in {found.line} of {LABELS}"
        words += f" (got {found.recorded.values[found.column]})"
    raise InputError(f"{found.recorded.place}: {words}; {MENDED}")


def _compare(rows: pd.DataFrame, recorded: Iterable[Recorded]) -> Difference | None:
    """Return where the `rows` of a part and its records, in their order, part ways, or None where they agree."""
    for row, found in itertools.zip_longest(rows.itertuples(), recorded):
        if row is None or found is None:
            return Difference(row, found)
        for column, value in found.values.items():
            if getattr(row, column) != value:
                return Difference(row, found, column)
    return None


def _read_files(files: Sequence[pathlib.Path]) -> Iterator[Recorded]:
    """Yield what the records of `files` hold; raises InputError where one is damaged."""
    for file in files:
        number = 0
        try:
            for content in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                number += 1
                feature = tf.train.Example.FromString(content).features.feature
                image, name = feature["image"].bytes_list.value[0], feature["id"].bytes_list.value[0]
                values = {
                    "id": name.decode("ascii", "backslashreplace"),
                    "label": feature["label"].int64_list.value[0],
                    "crc32": zlib.crc32(image),
                }
                yield Recorded(file, number, len(image), values)
        except tf.errors.DataLossError:  # a checksum of the format does not fit, or the file is cut short
            raise InputError(f"{file}: record {number + 1}: is damaged; {MENDED}") from None
        except (google.protobuf.message.DecodeError, IndexError):
            raise InputError(f"{file}: record {number}: holds no picture with label and id; {MENDED}") from None
