"""Photos in an archive on the web."""

import pathlib
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from thaw.base.errors import InputError
from thaw.base.files import digest_of
from thaw.photos.canonical import Photo
from thaw.photos.fetching import DOWNLOADS, fetch
from thaw.photos.folder import list_visible, read_class_folders
from thaw.photos.sections import Archive

# What the standard library raises on archives that are damaged, unsafe or locked with a password.
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


def read_photos(dataset: Archive) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of the archive that `dataset` names.

    Raises InputError where it cannot be fetched or unpacked, or is not the file of that sha256.
    """
    name = pathlib.PurePosixPath(urllib.parse.urlsplit(dataset.url).path).name
    path, official = fetch(dataset.url, f"sha256:{dataset.sha256}", name, DOWNLOADS)
    if not official:
        raise InputError(
            f"params.yaml: dataset.sha256: must be that of {name} in THAW_MIRROR, {digest_of(path)} "
            f"(got {dataset.sha256})"
        )
    yield from read_archive(path, f"params.yaml: dataset.url: {name}")


def read_archive(path: pathlib.Path, place: str) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of the archive at `path`; `place` begins the text of errors.

    Raises InputError where it cannot be unpacked, and as `read_class_folders` does.
    """
    pathlib.Path(".thaw").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="archive.", dir=".thaw") as scratch:
        folder = pathlib.Path(scratch)
        _unpack(path, folder, place)
        inner = [entry for entry in list_visible(folder) if entry.is_dir()]
        if len(inner) == 1 and any(entry.is_dir() for entry in list_visible(inner[0])):
            folder = inner[0]
        yield from read_class_folders(folder, place)


def _unpack(path: pathlib.Path, folder: pathlib.Path, place: str) -> None:
    """Unpack the archive at `path` in `folder`, nowhere else; its bytes and not its name show of which kind it is."""
    try:
        if tarfile.is_tarfile(path):
            # Python before 3.11.4 has no filters.
            options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            with tarfile.open(path) as tar:
                members = tar.getmembers()
                for member in members:
                    _check_place(member.name, tarfile.TarError)
                    if not (member.isfile() or member.isdir()):
                        raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder")
                tar.extractall(folder, members, **options)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as zipped:
                for name in zipped.namelist():
                    _check_place(name, zipfile.BadZipFile)
                zipped.extractall(folder)
        else:
            raise InputError(f"{place}: must be a zip or tar file (it is neither)")
    except BROKEN as error:
        raise InputError(f"{place}: cannot be unpacked: {' '.join(str(error).split())}") from None


def _check_place(name: str, error: type[Exception]) -> None:
    """Raise `error` unless a file of that name stays in the folder that the archive is unpacked to."""
    if name.startswith("/") or ".." in pathlib.PurePosixPath(name).parts:
        raise error(f"{name!r} is outside the archive's folder")
