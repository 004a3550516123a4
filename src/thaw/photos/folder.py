"""Photos in class folders on this machine."""

import pathlib
from collections.abc import Iterator

from thaw.base.errors import InputError
from thaw.photos.canonical import Photo
from thaw.photos.credits import compose, read_credits
from thaw.photos.sections import Folder


def read_photos(dataset: Folder) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `dataset`; raises InputError as `read_class_folders` does."""
    place = f"params.yaml: dataset.path: '{dataset.path}'"
    yield from read_class_folders(pathlib.Path(dataset.path).expanduser(), place)


def read_class_folders(folder: pathlib.Path, place: str) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of `folder`, classes and files in the order of their names.

    Credits come from a list beside the class folders (see `read_credits`). Other files there, and hidden ones, are
    passed over. `place` begins the text of the InputError that is raised, before the first photo is read, unless
    `folder` holds two class folders or more which hold files alone, and a list of credits that can be read or none.
    """
    if not folder.is_dir():
        raise InputError(f"{place}: must be a folder ({'it is a file' if folder.exists() else 'there is none'})")
    try:
        files = {entry: list_visible(entry) for entry in list_visible(folder) if entry.is_dir()}
        for name, entries in files.items():
            # One level too high or too low, and the names of the classes would be wrong, and nothing would show it.
            inner = next((entry for entry in entries if entry.is_dir()), None)
            if inner is not None:
                raise InputError(
                    f"{place}: must hold class folders that hold photos alone (got the folder {name.name}/{inner.name})"
                )
        names = [name.name for name, entries in files.items() if entries]
        if len(names) < 2:
            raise InputError(
                f"{place}: must hold a folder of photos for each class, two at least (got {', '.join(names) or 'none'})"
            )
        credits = read_credits(folder, place)
        for name, entries in files.items():
            for entry in entries:
                file = f"{name.name}/{entry.name}"
                yield Photo(name.name, entry.read_bytes(), file, credits.get(compose(file)))
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {error}") from None


def list_visible(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the paths in `folder`, sorted, without those that a file manager hides."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")
