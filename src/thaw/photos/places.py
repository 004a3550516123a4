"""Paths that the user gives, and what lies there."""

import os
import pathlib
import stat

from thaw.base.errors import InputError

FILE, FOLDER, NOTHING = "a file", "a folder", "nothing"
LOST, CLOSED = "a link that leads nowhere", "a link that cannot be followed"
KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def find_path(text: str, place: str) -> pathlib.Path:
    """Return the path that `text` names, `~` and `~USER` being home folders; `place` begins the text of the InputError
    that is raised where no such user has one, or where `text` can be no path.
    """
    try:
        path = pathlib.Path(text).expanduser()
        os.fsencode(path)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{place}: must be a path ({error}; got {text!r})") from None
    if "\0" in text:
        raise InputError(f"{place}: must be a path (got {text!r})")
    return path


def find_kind(path: pathlib.Path) -> str:
    """Return FILE, FOLDER, NOTHING or in words what else lies at `path`, links followed; opens nothing.

    A named pipe or a socket may be opened for ever. Raises OSError where it cannot be found out.
    """
    try:
        return name_kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return LOST if path.is_symlink() else NOTHING
    except OSError:
        if path.is_symlink():
            return CLOSED
        raise


def scan(folder: pathlib.Path) -> list[tuple[str, str]]:
    """Return (name, kind) of what lies in `folder`, by name; the kinds are those of `find_kind`.

    The folder itself tells most of them: of a hundred thousand photos none is asked. Raises OSError as `find_kind`
    does, and where `folder` is none that can be read.
    """
    with os.scandir(folder) as entries:
        return sorted((entry.name, _find_entry_kind(entry)) for entry in entries)


def _find_entry_kind(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return FILE
    return FOLDER if entry.is_dir(follow_symlinks=False) else find_kind(pathlib.Path(entry.path))


def name_kind(mode: int) -> str:
    """Return in words the kind of file that `mode` (of `stat`) is."""
    return KINDS.get(stat.S_IFMT(mode), "a link" if stat.S_ISLNK(mode) else "no regular file")


def show_name(name: str) -> str:
    """Return the name of a file as one line of valid UTF-8: other bytes and control characters are escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def is_visible(name: str) -> bool:
    """Tell whether a file manager shows a file of that name."""
    return not name.startswith(".") and name != "__MACOSX"


def is_utf8(name: str) -> bool:
    """Tell whether the bytes of a file's name are UTF-8: Python keeps others as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
