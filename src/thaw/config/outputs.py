"""Where inputs must not lie: what the pipeline makes, DVC deletes before it runs a stage."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import SCRATCH
from thaw.base.scratch import sweep
from thaw.config.inputs import FOLDER, Input
from thaw.config.presets import ROOT
from thaw.photos.places import show_name

DELETED = (
    paths.RAW,
    paths.RECORDS,
    paths.SPLIT,
    paths.CREDITS,
    paths.NAMES,
    FOLDER,
    "models",
    "metrics",
    "plots",
    paths.REPORT,
)
OWN = (".dvc", ".thaw", ".venv")  # what DVC, thaw and `./run` keep, and remove, too


def check_input(found: Input) -> None:
    """Raise InputError where an Input is, contains or lies in what a pipeline makes or keeps.

    So must not its CSV file. Links are followed: those on the way to it, and those to classes and photos in it.
    """
    if found.csv is not None:
        check_place(*found.csv, OWN)
    if found.path is None:
        return
    check_place(found.place, found.path, OWN, contains=True)
    seen: set[pathlib.Path] = set()  # of a hundred thousand links, most lead to a few folders
    for link in _find_links(found.path):
        with contextlib.suppress(OSError, RuntimeError):  # it leads nowhere, or to itself
            target = link.resolve(strict=True)
            folder = target if target.is_dir() else target.parent
            if folder not in seen:
                seen.add(folder)
                check_place(f"{found.place}: the link {show_name(str(link.relative_to(found.path)))}", folder, OWN)


def sweep_outputs() -> None:
    """Remove what killed stages left beside outputs of the current folder, and in the store.

    A stage sweeps beside its own outputs; but DVC may restore them from its cache and not run it.
    """
    from thaw.store.place import find_store

    flat = {paths.RAW, paths.RECORDS}  # nothing is published in them, and photos are many
    folders = {str(pathlib.Path(made).parent) for made in DELETED}
    for made in DELETED:
        if made not in flat:
            folders |= {folder for folder, _, _ in os.walk(made) if SCRATCH not in folder}
    store = find_store()
    if store is not None:
        folders |= {str(store), str(store / "unfinished")}
    for folder in sorted(folders):
        sweep(folder, SCRATCH)


def check_environment() -> None:
    """Raise InputError where THAW_MIRROR or THAW_STORE is, or lies in, what a pipeline makes."""
    from thaw.store.place import find_store

    mirror, store = os.environ.get("THAW_MIRROR"), find_store()
    if mirror:
        check_place(f"THAW_MIRROR: {mirror!r}", pathlib.Path(mirror), OWN)
    if store is not None:
        check_place(f"THAW_STORE: {str(store)!r}", store)  # which `.thaw` is made for


def check_place(name: str, path: pathlib.Path, more: tuple[str, ...] = (), contains: bool = False) -> None:
    """Raise InputError, which begins with `name`, where `path` is or lies in one of DELETED and `more`.

    They are those of the current folder and of the project whose code runs; a workspace has outputs of its own. With
    `contains`, `path` may not contain one either.
    """
    try:
        place = path.expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: cannot be found: {' '.join(str(error).split())}") from None
    for root in dict.fromkeys((pathlib.Path.cwd(), ROOT)):
        for made in (*DELETED, *more):
            output = (root / made).resolve()
            told = f"{name}: must lie apart from what the pipeline makes and deletes"
            if _lies_in(place, output):
                raise InputError(f"{told} (it is in {made})")
            if contains and _lies_in(output, place):
                raise InputError(f"{told} (it contains {made})")


def _lies_in(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Tell whether `path`, resolved, is `folder` or lies in it, whatever names the file system knows them by."""
    return path.is_relative_to(folder) or any(_is_same(above, folder) for above in (path, *path.parents))


def _is_same(path: pathlib.Path, other: pathlib.Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there
        return False


def _find_links(folder: pathlib.Path, depth: int = 3) -> Iterator[pathlib.Path]:
    """Yield the symbolic links to parts, classes and photos in a folder of photos."""
    if depth == 0 or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.is_symlink():
                yield path
            elif entry.is_dir():
                yield from _find_links(path, depth - 1)
