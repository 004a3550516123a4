"""Photos in class folders on this machine."""

import pathlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.photos.canonical import Photo
from thaw.photos.credits import LISTS, read_credits
from thaw.photos.given import NOT_GIVEN, Given, Listed, Path, are_parts, complete, find_given, name_parts, shorten
from thaw.photos.places import (
    CLOSED,
    FILE,
    FOLDER,
    LOST,
    NOTHING,
    find_kind,
    find_path,
    is_utf8,
    is_visible,
    scan,
    show_name,
)
from thaw.photos.sections import Folder
from thaw.photos.tables import compose

LARGEST = 2**30  # bytes of a file: it is read whole, and no photo comes near
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif")  # of hidden files that may be meant as photos
SHOWN = 5  # empty classes in a message


def read_photos(dataset: Folder) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `dataset`; raises InputError as `read_class_folders` does."""
    place = "params.yaml: dataset.path"
    path = find_path(dataset.path, place)
    yield from read_class_folders(path, f"{place}: {dataset.path!r}", find_given(dataset))


def read_class_folders(folder: pathlib.Path, place: str, given: Given = NOT_GIVEN) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `folder`, classes and files in the order of their names.

    Links count as what they lead to. `given` tells where parts and groups come from. `place` begins the text of the
    InputError that is raised as `list_photos` raises it, and where something cannot be read.
    """
    for file in list_class_folders(folder, place, given):
        yield make_photo(file, _read(folder, file.path, place))


def list_class_folders(folder: pathlib.Path, place: str, given: Given = NOT_GIVEN) -> list[Listed]:
    """Return the files of which `read_class_folders` yields Photos; raises InputError as it does before the first."""
    try:
        kind = find_kind(folder)
        if kind != FOLDER:
            raise InputError(f"{place}: must be a folder ({'there is none' if kind == NOTHING else f'it is {kind}'})")
        entries = dict(_list(folder, given.depth))
    except OSError as error:
        raise _refuse(error, place) from None
    return list_photos(entries, lambda path: _read(folder, path, place), place, given)


def list_photos(
    entries: Mapping[Path, str], read: Callable[[Path], bytes], place: str, given: Given = NOT_GIVEN
) -> list[Listed]:
    """Return the files in the class folders of a source, in the order of `entries`.

    `entries` has what lies at the place of the class folders, and in them, with its kind: FILE, FOLDER or another in
    words; where `given` has the parts in folders, what lies around them, too. `read` returns the content of a file.
    Credits come from a list beside the class folders (see `read_credits`). Other files there, and hidden ones, are
    passed over; what is neither a file nor a folder is named on stderr, and how many hidden files look like photos by
    their names.

    `place` begins the text of the InputError that is raised unless there are two class folders or more, their names in
    UTF-8, none of them empty or a broken link, with files alone in them; a list of credits that can be read, or none;
    and parts and groups as `given` has them (`thaw.photos.given`).
    """
    inside: dict[Path, tuple[str, Mapping[Path, str]]] = {(): (place, entries)}
    if given.in_folders:
        folders = name_parts(entries, place)
        _say_passed({path: kind for path, kind in entries.items() if len(path) == 1}, place)
        inside = {(name,): (f"{place}: {show_name(name)}", _enter(entries, name)) for name in folders}
    for told, held in inside.values():
        _say_passed(held, told)
    lists = [name for name in LISTS if (name,) in entries]
    for name in lists:
        if entries[name,] != FILE:
            raise InputError(f"{place}: {name}: must be a file (it is {entries[name,]})")
    photos = [(*around, *path) for around, (told, held) in inside.items() for path in _find_photos(held, told)]
    _say_alike({compose(path[-2]) for path in photos}, place)
    credits = {}
    if lists:
        credits = read_credits(read((lists[0],)), lists[0], ["/".join(path) for path in photos], place)
    listed = [
        Listed(path, credits.get(compose("/".join(path))), folders[path[0]] if given.in_folders else None)
        for path in photos
    ]
    return complete(listed, read, given, place)


def make_photo(file: Listed, content: bytes) -> Photo:
    """Return the Photo that a Listed file with this content is."""
    return Photo(file.path[-2], content, file.name, file.credit, file.name, file.part, file.group)


def check_size(path: Path, size: int, place: str) -> None:
    """Raise InputError where a file of `size` bytes is too large to be read as a photo."""
    if size > LARGEST:
        raise InputError(f"{place}: {_show(path)}: a file must have at most {LARGEST:,} bytes (got {size:,})")


def _list(folder: pathlib.Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Yield what lies in `folder`, and in its folders that are not hidden, `depth` levels in all, sorted by name."""
    for name, kind in scan(folder):
        yield (name,), kind
        if depth > 1 and kind == FOLDER and is_visible(name):
            for inner, found in _list(folder / name, depth - 1):
                yield (name, *inner), found


def _read(folder: pathlib.Path, name: Path, place: str) -> bytes:
    path = folder.joinpath(*name)
    try:
        check_size(name, path.stat().st_size, place)
        return path.read_bytes()
    except OSError as error:
        raise _refuse(error, place) from None


def _enter(entries: Mapping[Path, str], folder: str) -> dict[Path, str]:
    """Return those of `entries` that lie in `folder`, as they are named there."""
    return {path[1:]: kind for path, kind in entries.items() if path[0] == folder and len(path) > 1}


def _say_passed(entries: Mapping[Path, str], place: str) -> None:
    """Say on stderr what is passed over of `entries`, class folders and what is in them."""
    passed = [f"{_show(path)} ({kind})" for path, kind in _see(entries).items() if kind not in (FILE, FOLDER)]
    passed += [f"{show_name(name)} ({count:,} hidden)" for name, count in _count_hidden(entries).items()]
    if passed:
        say(f"{place}: passed over: {shorten(passed)}")


def _see(entries: Mapping[Path, str]) -> dict[Path, str]:
    return {path: kind for path, kind in entries.items() if all(map(is_visible, path))}


def _find_photos(entries: Mapping[Path, str], place: str) -> list[Path]:
    """Return the files in class folders; raises InputError unless these are such as `list_photos` needs them."""
    visible = _see(entries)
    photos: list[Path] = [path for path, kind in visible.items() if len(path) == 2 and kind == FILE]
    _check_classes(visible, photos, _count_hidden(entries), place)
    return photos


def _count_hidden(entries: Mapping[Path, str]) -> Counter[str]:
    """Return {class folder: hidden files in it that look like photos}; what macOS keeps beside each file does not."""
    return Counter(
        path[0]
        for path, kind in entries.items()
        if len(path) == 2 and kind == FILE and is_visible(path[0]) and not is_visible(path[1])
        if path[1].lower().endswith(SUFFIXES) and not path[1].startswith("._")
    )


def _check_classes(visible: Mapping[Path, str], photos: Iterable[Path], hidden: Mapping[str, int], place: str) -> None:
    """Raise InputError unless these are class folders as `list_photos` needs them.

    `photos` are the files in them, `hidden` is what `_count_hidden` returns.
    """
    inner = next((path for path, kind in visible.items() if len(path) == 2 and kind == FOLDER), None)
    if inner is not None:
        # One level too high or too low, and the names of the classes would be wrong, and nothing would show it.
        tops = {path[0].casefold() for path, kind in visible.items() if len(path) == 1 and kind == FOLDER}
        help_ = ": these are parts, dataset.parts: folders takes them" * are_parts(tops)
        raise InputError(
            f"{place}: must hold class folders that hold photos alone (got the folder {_show(inner)}){help_}"
        )
    broken = [f"{_show(path)}, {kind}" for path, kind in visible.items() if len(path) == 1 and kind in (LOST, CLOSED)]
    if broken:
        # Perhaps a class, whose photos lie on another disk.
        raise InputError(f"{place}: must hold class folders that can be read (got {shorten(broken)})")
    classes = {path[0]: _show(path) for path, kind in visible.items() if len(path) == 1 and kind == FOLDER}
    used = {path[0] for path in photos}
    full = [shown for name, shown in classes.items() if name in used]
    empty = [
        f"{shown}: none" + (f", {hidden[name]:,} hidden" if name in hidden else "")
        for name, shown in classes.items()
        if name not in used
    ]
    if empty or len(full) < 2:
        each = f", each with files that are not hidden ({'; '.join(empty[:SHOWN])})" if empty else ""
        raise InputError(
            f"{place}: must hold a folder of photos for each class{each}, two at least (got {shorten(full)})"
        )
    foreign = [shown for name, shown in classes.items() if not is_utf8(name)]
    if foreign:
        raise InputError(f"{place}: the name of a class must be UTF-8 (got {shorten(foreign)})")


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
            told = shorten([ascii(name)[1:-1] if not name.isprintable() else name for name in sorted(names)])
            say(f"{place}: two classes, though their names differ in case alone or in what does not show: {told}")


def _show(path: Path) -> str:
    return show_name("/".join(path))


def _refuse(error: OSError, place: str) -> InputError:
    return InputError(f"{place}: cannot be read: {show_name(str(error))}")
