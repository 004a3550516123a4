"""Parts and groups that come with the photos: in the names of the folders around the classes, or in a CSV file.

What params.yaml says of them is checked against the names of the photos, before a photo is read.
"""

import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from thaw.base.errors import InputError
from thaw.base.names import PARTS
from thaw.photos.canonical import Credit, find_ending, name_folder
from thaw.photos.places import CLOSED, FILE, FOLDER, LOST, NOTHING, find_kind, find_path, is_visible, show_name
from thaw.photos.sections import Archive, Folder
from thaw.photos.tables import FILE as COLUMN
from thaw.photos.tables import compose, find_file, read_rows

PART_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
LARGEST = 2**28  # bytes of a CSV file: some millions of rows

Path = tuple[str, ...]  # ("CLASS", "FILE"), or ("train", "CLASS", "FILE"): below the folder of the photos


class Given(NamedTuple):
    """Where parts and groups come from; by default from nowhere."""

    in_folders: bool = False  # the class folders lie in folders that name the part
    in_csv: bool = False  # the CSV file has the column `part`
    csv: pathlib.Path | None = None
    place: str = ""  # what names the CSV file, and begins the text of errors

    @property
    def depth(self) -> int:
        """How long the Path of a photo is."""
        return 3 if self.in_folders else 2


NOT_GIVEN = Given()


class Listed(NamedTuple):
    """A file that a source has in its class folders."""

    path: Path
    credit: Credit | None
    part: str | None = None
    group: str | None = None

    @property
    def name(self) -> str:
        """The file as a message and data/names.csv name it."""
        return show_name("/".join(self.path))


class Member(Protocol):
    """A photo with what is given of it: a Photo of a source, or a Listed."""

    @property
    def name(self) -> str: ...
    @property
    def part(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...


def find_given(dataset: Folder | Archive) -> Given:
    """Return what `dataset` says of parts and groups; raises InputError where its `csv` can be no path."""
    folders, in_csv = dataset.parts == "folders", dataset.parts == "csv"
    if dataset.csv is None:
        return Given(folders, in_csv)
    place = "params.yaml: dataset.csv"
    return Given(folders, in_csv, find_path(dataset.csv, place), f"{place}: {dataset.csv!r}")


def holds_parts(folder: pathlib.Path) -> bool:
    """Tell whether all folders in `folder` that are not hidden have names of parts; False where it cannot be read."""
    try:
        names = [path.name for path in folder.iterdir() if path.is_dir() and is_visible(path.name)]
    except OSError:
        return False
    return are_parts(names)


def are_parts(folders: Collection[str]) -> bool:
    """Tell whether `folders`, those that are not hidden of a folder, are two or more, all with names of parts."""
    return len(folders) > 1 and {name.casefold() for name in folders} <= {*PART_NAMES}


def name_parts(entries: Mapping[Path, str], place: str) -> dict[str, str]:
    """Return {folder: its part} of the folders that hold the class folders; `entries` as `folder.list_photos` has them.

    Raises InputError, which begins with `place`, unless they are one for train, one for validation and one or none for
    test. Hidden folders are passed over.
    """
    tops = {path[0]: kind for path, kind in entries.items() if len(path) == 1 and is_visible(path[0])}
    folders = [name for name, kind in tops.items() if kind in (FOLDER, LOST, CLOSED)]
    found = {name: PART_NAMES[name.casefold()] for name in folders if name.casefold() in PART_NAMES}
    whole = sorted(found.values()) in (sorted(PARTS), sorted(PARTS[:2]))
    if len(found) < len(folders) or not whole or any(tops[name] != FOLDER for name in folders):
        names = [show_name(name) + f" ({tops[name]})" * (tops[name] != FOLDER) for name in folders]
        raise InputError(
            f"{place}: must hold, with parts: folders, the folders train and val (or valid, validation), and test or "
            f"no other (got {shorten(names)})"
        )
    return found


def complete(listed: list[Listed], read: Callable[[Path], bytes], given: Given, place: str) -> list[Listed]:
    """Return `listed` with the parts and groups of the CSV file, and check what they say.

    `read` returns the content of a file, to tell photos from other files that no row names. Raises InputError, which
    begins with `place` or names the CSV file, where a row is not clear, names no file or another part or group than a
    row before, where none names a photo, where a group is in two parts, or a part lacks a class.
    """
    if given.csv is not None:
        listed = _join(listed, read, given)
    if any(file.part for file in listed):
        _check_groups(listed, given.place or place)
        check_classes(
            ((name_folder(file.path[-2]), file.part) for file in listed if file.part),
            given.place if given.in_csv else place,
        )
    return listed


def check_classes(photos: Iterable[tuple[str, str]], place: str) -> None:
    """Raise InputError, which begins with `place`, unless every part of `photos` (class, part) has every class."""
    held: dict[str, set[str]] = {part: set() for part in PARTS[:2]}
    for name, part in photos:
        held.setdefault(part, set()).add(name)
    for part, found in held.items():
        if missing := sorted(set().union(*held.values()) - found):
            raise InputError(
                f"{place}: each part must have photos of every class (got none in {part} of {shorten(missing)})"
            )


def check_copies(photos: Iterable[tuple[tuple[str, str], Member]], place: str) -> None:
    """Raise InputError, which begins with `place`, where the same photo is in two parts.

    `photos` are ((class, sha256), what is given of a file with these bytes).
    """
    first: dict[tuple[str, str], Member] = {}
    faults = []
    for key, photo in photos:
        other = first.setdefault(key, photo)
        if other.part != photo.part:
            faults.append(f"{other.name} in {other.part} is {photo.name} in {photo.part}")
    if faults:
        raise InputError(f"{place}: a photo must be in one part (got the same bytes twice: {shorten(faults, '; ')})")


def shorten(names: Collection[str], between: str = ", ", most: int = 5) -> str:
    """Return the first of `names` as a list in a sentence, with the number of those behind them; "none" of none."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return between.join(list(names)[:most]) + more or "none"


def check_csv(given: Given) -> None:
    """Raise InputError unless the CSV file, if there is to be one, is there and has the columns that are needed."""
    if given.csv is not None:
        for _ in _read_csv(given):
            pass


def _read_csv(given: Given) -> Iterator[tuple[int, str, str | None, str | None]]:
    """Yield (line, file as it is named, part, group) of each row of the CSV file."""
    assert given.csv is not None
    header, rows = read_rows(_read_file(given.csv, given.place), [COLUMN], ["part", "group"], {}, given.place)
    if "part" not in header and "group" not in header:
        raise InputError(f"{given.place}: must have the column part or group beside file (got neither)")
    if given.in_csv and "part" not in header:
        raise InputError(f"{given.place}: must have the column part with parts: csv (got {', '.join(header)})")
    if "part" in header and not given.in_csv:
        raise InputError(f"params.yaml: dataset.parts: must be csv, whose file has the column part (got {_say(given)})")
    for number, fields in rows:
        line = f"{given.place}: line {number}"
        part, group = (" ".join(fields[name].split()) if name in fields else None for name in ("part", "group"))
        if part is not None and part.casefold() not in PART_NAMES:
            raise InputError(f"{line}: part: must be {', '.join(PART_NAMES)} (got {show_name(part)!r})")
        if group == "":
            raise InputError(f"{line}: group: must be given, one of its own to a photo that is in none (got nothing)")
        yield number, fields[COLUMN], part and PART_NAMES[part.casefold()], group and compose(show_name(group))


def _join(listed: list[Listed], read: Callable[[Path], bytes], given: Given) -> list[Listed]:
    """Return `listed` with what the rows of the CSV file say."""
    # A name that is not UTF-8, or does not show, is also known as messages and data/names.csv write it.
    known = {compose(show_name("/".join(file.path))): file.path for file in listed}
    known |= {compose("/".join(file.path)): file.path for file in listed}
    found: dict[Path, tuple[int, str | None, str | None]] = {}
    lost = []
    for number, name, part, group in _read_csv(given):
        called = find_file(name, known)
        if called is None:
            lost.append(f"{show_name(name)!r} in line {number}")
            continue
        line, *before = found.setdefault(known[called], (number, part, group))
        if before != [part, group]:
            raise InputError(
                f"{given.place}: line {number}: a file must have one part and one group "
                f"({show_name(called)} has another in line {line})"
            )
    if lost:
        raise InputError(f"{given.place}: each row must name a file of the photos (got {shorten(lost)})")
    unnamed = [file.name for file in listed if file.path not in found and find_ending(read(file.path)) is not None]
    if unnamed:
        raise InputError(f"{given.place}: must have a row for each photo (got none for {shorten(unnamed)})")
    joined = []
    for file in listed:
        _, part, group = found.get(file.path, (0, None, None))
        joined.append(file._replace(part=part or file.part, group=group))
    return joined


def _check_groups(listed: Iterable[Listed], place: str) -> None:
    """Raise InputError where a group is in two parts."""
    first: dict[str, Listed] = {}
    for file in listed:
        if file.group is not None and (other := first.setdefault(file.group, file)).part != file.part:
            raise InputError(
                f"{place}: a group must be in one part (got {file.group!r} in {other.part}, {other.name}, and in "
                f"{file.part}, {file.name})"
            )


def _read_file(path: pathlib.Path, place: str) -> bytes:
    try:
        kind = find_kind(path)
        if kind != FILE:
            raise InputError(f"{place}: must be a file ({'there is none' if kind == NOTHING else f'it is {kind}'})")
        if (size := path.stat().st_size) > LARGEST:
            raise InputError(f"{place}: must have at most {LARGEST:,} bytes (got {size:,})")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {show_name(str(error))}") from None


def _say(given: Given) -> str:
    return "folders" if given.in_folders else "null"
