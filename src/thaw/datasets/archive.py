"""Photos in an archive on the web."""

import pathlib
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from typing import Annotated, Literal

import pydantic

from thaw.datasets.canonical import Digest
from thaw.datasets.folder import list_visible, read_class_folders
from thaw.fetching import fetch
from thaw.params import InputError, Section
from thaw.publishing import digest_of

# What the standard library raises on archives that are damaged, unsafe or locked with a password.
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


class Archive(Section):
    """A `dataset` in a zip or tar file (also tar.gz) at `url`, whose sha256 is known: class folders in it.

    One folder around the class folders is allowed, as ``flower_photos/`` in that of TF-Flowers.
    """

    source: Literal["archive"]
    url: Annotated[str, pydantic.Field(pattern="^https?://[^/]+/.*[^/]$")]
    sha256: Digest
    digest: Digest | None = None


def photos(archive):
    """Yield a Photo for each file in the class folders of an Archive.

    Raises InputError where it cannot be fetched or unpacked, or is not the file of that sha256.
    """
    name = pathlib.PurePosixPath(urllib.parse.urlsplit(archive.url).path).name
    path, official = fetch(archive.url, f"sha256:{archive.sha256}", name, ".thaw/downloads")
    if not official:
        raise InputError(
            f"params.yaml: dataset.sha256: must be that of {name} in THAW_MIRROR, {digest_of(path)} "
            f"(got {archive.sha256})"
        )
    yield from read_archive(path, f"params.yaml: dataset.url: {name}")


def read_archive(path, place):
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


def _unpack(path, folder, place):
    """Unpack the archive at `path` in `folder`, nowhere else; what it is shows in its bytes, not in its name."""
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                members = archive.getmembers()
                for member in members:
                    _check_place(member.name, tarfile.TarError)
                    if not (member.isfile() or member.isdir()):
                        raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder")
                # Python before 3.11.4 has no filters.
                archive.extractall(folder, members, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    _check_place(name, zipfile.BadZipFile)
                archive.extractall(folder)
        else:
            raise InputError(f"{place}: must be a zip or tar file (it is neither)")
    except BROKEN as error:
        raise InputError(f"{place}: cannot be unpacked: {' '.join(str(error).split())}") from None


def _check_place(name, error):
    """Raise `error` unless a file of that name stays in the folder that the archive is unpacked to."""
    if name.startswith("/") or ".." in pathlib.PurePosixPath(name).parts:
        raise error(f"{name!r} is outside the archive's folder")
