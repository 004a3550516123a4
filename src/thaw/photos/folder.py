"""Photos in class folders on this machine."""

import pathlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.photos.canonical import Photo
from thaw.photos.credits import LISTS, compose, read_credits
from thaw.photos.places import CLOSED, FILE, FOLDER, LOST, NOTHING, find_kind, find_path, is_utf8, scan, show_name
from thaw.photos.sections import Folder

LARGEST = 2**30  # bytes of a file: it is read whole, and no photo comes near
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif")  # of hidden files that may be meant as photos
SHOWN = 5  # names in a message; of others their number

Parts = tuple[str, ...]  # ("CLASS", "FILE"): what lies below the place of the class folders


def read_photos(dataset: Folder) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `dataset`; raises InputError as `read_class_folders` does."""
    place = "params.yaml: dataset.path"
    yield from read_class_folders(find_path(dataset.path, place), f"{place}: {dataset.path!r}")


def read_class_folders(folder: pathlib.Path, place: str) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `folder`, classes and files in the order of their names.

    Links count as what they lead to. `place` begins the text of the InputError that is raised as `yield_photos` raises
    it, and where something cannot be read.
    """

    def read(parts: Parts) -> bytes:
        path = folder.joinpath(*parts)
        try:
            check_size(parts, path.stat().st_size, place)
            return path.read_bytes()
        except OSError as error:
            raise _refuse(error, place) from None

    try:
        kind = find_kind(folder)
        if kind != FOLDER:
            raise InputError(f"{place}: must be a folder ({'there is none' if kind == NOTHING else f'it is {kind}'})")
        entries = dict(_list(folder))
    except OSError as error:
        raise _refuse(error, place) from None
    yield from yield_photos(entries, read, place)


def yield_photos(entries: Mapping[Parts, str], read: Callable[[Parts], bytes], place: str) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of a source, in the order of `entries`.

    `entries` has what lies at the place of the class folders, and in them, with its kind: FILE, FOLDER or another in
    words. `read` returns the content of a file. Credits come from a list beside the class folders (see `read_credits`).
    Other files there, and hidden ones, are passed over; what is neither a file nor a folder is named on stderr, and how
    many hidden files look like photos by their names.

    `place` begins the text of the InputError that is raised, before the first photo is read, unless there are two class
    folders or more, their names in UTF-8, none of them empty or a broken link, with files alone in them; and a list of
    credits that can be read, or none.
    """
    visible = {parts: kind for parts, kind in entries.items() if all(map(is_visible, parts))}
    passed = [f"{_show(parts)} ({kind})" for parts, kind in visible.items() if kind not in (FILE, FOLDER)]
    hidden = _count_hidden(entries)
    passed += [f"{show_name(name)} ({count:,} hidden)" for name, count in hidden.items()]
    if passed:
        say(f"{place}: passed over: {_enumerate(passed)}")
    lists = [name for name in LISTS if (name,) in entries]
    for name in lists:
        if entries[name,] != FILE:
            raise InputError(f"{place}: {name}: must be a file (it is {entries[name,]})")
    photos = [parts for parts, kind in visible.items() if len(parts) == 2 and kind == FILE]
    _check_classes(visible, photos, hidden, place)
    credits = {}
    if lists:
        credits = read_credits(read((lists[0],)), lists[0], ["/".join(parts) for parts in photos], place)
    for parts in photos:
        yield Photo(parts[0], read(parts), _show(parts), credits.get(compose("/".join(parts))))


def is_visible(name: str) -> bool:
    """Tell whether a file manager shows a file of that name."""
    return not name.startswith(".") and name != "__MACOSX"


def check_size(parts: Parts, size: int, place: str) -> None:
    """Raise InputError where a file of `size` bytes is too large to be read as a photo."""
    if size > LARGEST:
        raise InputError(f"{place}: {_show(parts)}: a file must have at most {LARGEST:,} bytes (got {size:,})")


def _list(folder: pathlib.Path) -> Iterator[tuple[Parts, str]]:
    """Yield what lies in `folder`, and in its folders that are not hidden, in the order of the names."""
    for name, kind in scan(folder):
        yield (name,), kind
        if kind == FOLDER and is_visible(name):
            for inner, kind_inside in scan(folder / name):
                yield (name, inner), kind_inside


def _count_hidden(entries: Mapping[Parts, str]) -> Counter[str]:
    """Return {class folder: hidden files in it that look like photos}; what macOS keeps beside each file does not."""
    return Counter(
        parts[0]
        for parts, kind in entries.items()
        if len(parts) == 2 and kind == FILE and is_visible(parts[0]) and not is_visible(parts[1])
        if parts[1].lower().endswith(SUFFIXES) and not parts[1].startswith("._")
    )


def _check_classes(
    visible: Mapping[Parts, str], photos: Iterable[Parts], hidden: Mapping[str, int], place: str
) -> None:
    """Raise InputError unless these are class folders as `yield_photos` needs them.

    `photos` are the files in them, `hidden` is what `_count_hidden` returns.
    """
    inner = next((parts for parts, kind in visible.items() if len(parts) == 2 and kind == FOLDER), None)
    if inner is not None:
        # One level too high or too low, and the names of the classes would be wrong, and nothing would show it.
        raise InputError(f"{place}: must hold class folders that hold photos alone (got the folder {_show(inner)})")
    broken = [
        f"{_show(parts)}, {kind}" for parts, kind in visible.items() if len(parts) == 1 and kind in (LOST, CLOSED)
    ]
    if broken:
        # Perhaps a class, whose photos lie on another disk.
        raise InputError(f"{place}: must hold class folders that can be read (got {_enumerate(broken)})")
    classes = {parts[0]: _show(parts) for parts, kind in visible.items() if len(parts) == 1 and kind == FOLDER}
    used = {parts[0] for parts in photos}
    full = [shown for name, shown in classes.items() if name in used]
    empty = [
        f"{shown}: none" + (f", {hidden[name]:,} hidden" if name in hidden else "")
        for name, shown in classes.items()
        if name not in used
    ]
    if empty or len(full) < 2:
        each = f", each with files that are not hidden ({'; '.join(empty[:SHOWN])})" if empty else ""
        raise InputError(
            f"{place}: must hold a folder of photos for each class{each}, two at least (got {_enumerate(full)})"
        )
    foreign = [shown for name, shown in classes.items() if not is_utf8(name)]
    if foreign:
        raise InputError(f"{place}: the name of a class must be UTF-8 (got {_enumerate(foreign)})")
    _say_alike(map(compose, classes), place)


def _say_alike(classes: Iterable[str], place: str) -> None:
    """Say on stderr which classes have names that look alike, but for case: they may be meant as one."""
    alike: dict[str, set[str]] = {}
    for name in classes:
        shown = "".join(
            letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf"
        )
        alike.setdefault(shown.casefold(), set()).add(name)
    for names in alike.values():
        if len(names) > 1:
            told = _enumerate([ascii(name)[1:-1] if not name.isprintable() else name for name in sorted(names)])
            say(f"{place}: two classes, though their names differ in case alone or in what does not show: {told}")


def _show(parts: Parts) -> str:
    return show_name("/".join(parts))


def _enumerate(names: list[str]) -> str:
    """Return the names as a list in a sentence, the number of those behind the first few."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "none"


def _refuse(error: OSError, place: str) -> InputError:
    return InputError(f"{place}: cannot be read: {show_name(str(error))}")
