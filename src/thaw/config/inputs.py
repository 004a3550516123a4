"""The files outside the pipeline that stages read, as dependencies that DVC sees: data/inputs.

DVC sees the values of params.yaml, and not what is in a folder of photos, in a weights file or in THAW_MIRROR. So the
stages that may read such files depend on a listing of them, a small JSON in data/inputs that `./run` renews before DVC
starts (`thaw.config.starting`). It tells what is in the files and nothing of the machine: where it returns, DVC's cache
has the outputs that belong to it. It is empty, `{}`, where a stage reads none, or one that a digest of params.yaml or
of Keras pins. Of a stage that makes what it needs, it has the values that DVC's run cache does not look at
(`config.unseen`).
"""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thaw.architectures.table import ARCHITECTURES
from thaw.base.errors import InputError
from thaw.base.files import write_json, write_text
from thaw.base.progress import track
from thaw.config.checking import Params
from thaw.photos.given import NOT_GIVEN, Given, Listed, check_copies, check_csv, find_given
from thaw.photos.places import FILE, NOTHING, find_kind, find_path
from thaw.photos.sections import Archive, Dataset, Folder, Tfds
from thaw.photos.tables import compose
from thaw.weights.sections import Backbone

FOLDER = "data/inputs"
DATASET = f"{FOLDER}/dataset.json"
KNOWN = ".thaw/inputs.json"  # the digests of files that were read before
ASIDE = ".thaw/inputs-aside.json"
MOST_KNOWN = 500_000
SETTLED = 2e9  # nanoseconds after a change; a further one shows in the times by then, however coarse they are
HDF5 = b"\x89HDF\r\n\x1a\n"

Listing = dict[str, Any]


class Input(NamedTuple):
    """A file or folder outside the pipeline that a stage reads."""

    place: str  # what names it, and begins the text of errors
    path: pathlib.Path | None  # None where this machine has none, and the stage takes what the web has
    read: Callable[["Digests"], Listing]  # its listing; raises InputError where it cannot be what the stage reads
    check: Callable[[], object] = lambda: None  # raises that InputError where a glance shows it
    csv: tuple[str, pathlib.Path] | None = None  # the file of parts and groups that is read with it, and what names it


class Digests(contextlib.AbstractContextManager["Digests"]):
    """The sha256 of files, which are read again only where size, times or inode have changed since."""

    def __init__(self) -> None:
        self._known: dict[str, list[Any]] = {}
        self._used: set[str] = set()
        self._changed = False

    def __enter__(self) -> "Digests":
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(pathlib.Path(KNOWN).read_text(encoding="ascii"))
            self._known = known if isinstance(known, dict) else {}
        return self

    def __exit__(self, *_: object) -> None:
        if not self._changed:
            return
        if len(self._known) > MOST_KNOWN:
            self._known = {key: entry for key, entry in self._known.items() if key in self._used}
        with contextlib.suppress(OSError):  # they are read again next time
            write_text(KNOWN, json.dumps(self._known))

    def find_all(self, files: list[pathlib.Path], label: str) -> list[str]:
        """Return the sha256 of each file, in hex; those that must be read are reported on stderr under `label`."""
        found = {file: self._recall(file, "sha256") for file in files}
        unknown = [file for file in files if found[file] is None]
        for file in track(unknown, label, len(unknown), "files") if unknown else ():
            found[file] = self.find(file)
        return [str(found[file]) for file in files]

    def find(self, file: pathlib.Path, algorithm: str = "sha256") -> str:
        """Return the digest of `file`, in hex."""
        known = self._recall(file, algorithm)
        if known is not None:
            return known
        stamp, started = _stamp(file), time.time_ns()
        with open(file, "rb") as opened:
            digest = hashlib.file_digest(opened, algorithm).hexdigest()
        if stamp[2] < started - SETTLED:
            self._known[f"{algorithm}:{file.absolute()}"] = [*stamp, digest]
            self._changed = True
        return digest

    def _recall(self, file: pathlib.Path, algorithm: str) -> str | None:
        """Return the digest that `file` had when it was as it is, or None."""
        key = f"{algorithm}:{file.absolute()}"
        self._used.add(key)
        entry = self._known.get(key)
        if not isinstance(entry, list) or entry[:-1] != _stamp(file):
            return None
        return str(entry[-1])


def _stamp(file: pathlib.Path) -> list[int]:
    """Return what changes when the content of `file` does."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def find_listings(
    dataset: Dataset | None, backbones: Mapping[str, Backbone | None]
) -> dict[str, Callable[[], Input | None]]:
    """Return {listing file: what finds the Input that it lists}: of the dataset, then of each backbone.

    What is None, because its section has a fault, has no listing. The function returns None where the stage makes what
    it needs, or a digest pins it, and raises InputError where THAW_MIRROR is needed and names no folder.
    """
    found: dict[str, Callable[[], Input | None]] = {}
    if dataset is not None:
        found[DATASET] = functools.partial(_find_photos, dataset)
    for name, backbone in backbones.items():
        if backbone is not None:
            found[name_listing(name)] = functools.partial(_find_weights, name, backbone)
    return found


def name_listing(backbone: str) -> str:
    """Return the listing file of a backbone."""
    return f"{FOLDER}/weights/{backbone}.json"


def read_listing(file: str | pathlib.Path) -> Listing:
    """Return the listing in `file`; an empty one where there is none that can be read."""
    try:
        found = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_listings(listings: Mapping[str, Listing | None], folder: pathlib.Path = pathlib.Path()) -> None:
    """Write {listing file: its listing} below `folder`, and remove the listings of other backbones.

    A file that holds its listing is not touched; for None one that is there stays, and one that is not is empty.
    """
    for file, listing in listings.items():
        path, text = folder / file, json.dumps(listing or {}, indent=2) + "\n"
        if not path.is_file() or (listing is not None and path.read_bytes() != text.encode()):
            write_text(path, text)
    for path in (folder / FOLDER / "weights").glob("*.json"):
        if f"{FOLDER}/weights/{path.name}" not in listings:
            path.unlink()


def set_aside() -> None:
    """Keep what data/inputs is, for `put_back`, while a dvc command has the listings of other values."""
    write_json(ASIDE, {str(path): read_listing(path) for path in sorted(pathlib.Path(FOLDER).rglob("*.json"))})


def put_back() -> None:
    """Make data/inputs what it was when `set_aside` was called; do nothing where that was not."""
    before = read_listing(ASIDE)
    if before:
        write_listings(before)
        pathlib.Path(ASIDE).unlink()


def confirm_photos(params: Params) -> None:
    """Raise InputError where data/inputs lists other photos than those that stage download finds now.

    An empty listing says nothing: where DVC runs without `./run`, nobody has looked.
    """
    listed, found = read_listing(DATASET), _find_photos(params.dataset)
    if listed and found is not None:
        with Digests() as digests:
            if found.read(digests) != listed:
                raise InputError(f"params.yaml: dataset: {_say_changed(DATASET)}")


def confirm_weights(name: str, sha256: str | None) -> None:
    """Raise InputError where data/inputs lists another file than the one of this sha256 that backbone `name` got.

    None stands for weights of no file, which need no listing; an empty listing says nothing, as for photos.
    """
    file = name_listing(name)
    listed = read_listing(file).get("sha256")
    if None not in (listed, sha256) and listed != sha256:
        raise InputError(f"params.yaml: backbones.{name}.weights: {_say_changed(file)}")


def _say_changed(file: str) -> str:
    return f"is not what {file} lists, it has changed since or is another; ./run dvc repro takes it as it is now"


def _find_photos(dataset: Dataset) -> Input | None:
    """Return where the photos of `dataset` lie; None where they are drawn, or pinned by a digest."""
    if isinstance(dataset, Folder):
        place = f"params.yaml: dataset.path: {dataset.path!r}"
        path = find_path(dataset.path, "params.yaml: dataset.path")
        return _look_at_folder(path, place, find_given(dataset))
    if isinstance(dataset, Archive):
        return _find_archive(dataset)
    if not isinstance(dataset, Tfds) or dataset.digest is not None:
        return None
    mirrored = None
    if os.environ.get("THAW_MIRROR"):
        from thaw.photos.tfds import MIRRORS

        name = re.split(r"\W", dataset.name, maxsplit=1)[0]
        mirrored = _find_in_mirror(MIRRORS.get(name, name))
    if mirrored is None:
        return Input("params.yaml: dataset.name", None, lambda _: {})
    where = f"THAW_MIRROR: {mirrored.name}"
    return _look_at_folder(mirrored, where)


def _find_archive(dataset: Archive) -> Input | None:
    """Return where THAW_MIRROR has an archive, which is pinned: only that it is the right one is looked at.

    What is listed is the CSV file of its parts and groups; None where there is neither.
    """
    mirrored = _find_in_mirror(pathlib.PurePosixPath(urllib.parse.urlsplit(dataset.url).path).name)
    given = find_given(dataset)
    check_given = functools.partial(check_csv, given)
    if mirrored is None:
        if given.csv is None:
            return None
        return Input(given.place, given.csv, lambda digests: _list_csv(given, digests), check_given)

    def check(digests: Digests) -> Listing:
        check_given()
        sha256 = digests.find(mirrored)
        if sha256 != dataset.sha256:
            raise InputError(
                f"params.yaml: dataset.sha256: must be that of {mirrored.name} in THAW_MIRROR, {sha256} "
                f"(got {dataset.sha256})"
            )
        return _list_csv(given, digests)

    return Input(f"THAW_MIRROR: {mirrored.name}", mirrored, check, check_given, _name_csv(given))


def _list_csv(given: Given, digests: Digests) -> Listing:
    """Return what is listed of the CSV file of parts and groups, nothing where there is none."""
    return {} if given.csv is None else {"csv": digests.find(given.csv)}


def _name_csv(given: Given) -> tuple[str, pathlib.Path] | None:
    return None if given.csv is None else (given.place, given.csv)


def _find_weights(name: str, backbone: Backbone) -> Input | None:
    """Return where the first weights of a backbone lie; None where they are made."""
    if backbone.weights in ("sample", "random"):
        return None
    place = f"params.yaml: backbones.{name}.weights"
    if backbone.weights != "imagenet":
        path, told = find_path(backbone.weights, place), f"{place}: {backbone.weights!r}"
        return _look_at_weights(path, told, None)
    row = ARCHITECTURES[backbone.architecture]
    mirrored = _find_in_mirror(row.mirrored)
    if mirrored is None:
        return Input(place, None, lambda _: {})
    where = f"THAW_MIRROR: weights/{mirrored.name}"
    return _look_at_weights(mirrored, where, row.published)


def _find_in_mirror(path: str) -> pathlib.Path | None:
    """Return what `photos.fetching.find_in_mirror` does, and load what downloads files only where there is a mirror."""
    if not os.environ.get("THAW_MIRROR"):
        return None
    from thaw.photos.fetching import find_in_mirror

    return find_in_mirror(path)


def _look_at_folder(folder: pathlib.Path, place: str, given: Given = NOT_GIVEN) -> Input:
    """Return the Input that the class folders in `folder` are: its listing is how many files, and a digest of all."""
    from thaw.photos.credits import LISTS
    from thaw.photos.folder import list_class_folders

    @functools.cache  # of one Input: what is there is looked at once before it is listed
    def check() -> list[Listed]:
        return list_class_folders(folder, place, given)

    def read(digests: Digests) -> Listing:
        listed = check()
        photos = [folder.joinpath(*file.path) for file in listed]
        files = [*photos, *(folder / name for name in LISTS if find_kind(folder / name) == FILE)]
        total, digested = hashlib.sha256(), digests.find_all(files, "inputs")
        keys = ((compose(file.path[-2]), digest) for file, digest in zip(listed, digested, strict=False))
        check_copies(zip(keys, listed, strict=True), place)
        named = zip((_compose(file.relative_to(folder)) for file in files), digested, strict=True)
        for name, digest in sorted(named):
            total.update(name + b"\0" + digest.encode() + b"\n")
        return {"files": len(files), "sha256": total.hexdigest(), **_list_csv(given, digests)}

    return Input(place, folder, read, check, _name_csv(given))


def _compose(name: pathlib.Path) -> bytes:
    """Return the bytes of a file's name in the form that is the same on every file system."""
    return compose(name.as_posix()).encode("utf-8", "surrogateescape")


def _look_at_weights(path: pathlib.Path, place: str, published: str | None) -> Input:
    """Return the Input that a weights file is: its listing is name and digest, an empty one where it is `published`.

    That is the digest of a row of ARCHITECTURES.
    """

    def check() -> None:
        kind = find_kind(path)
        if kind != FILE:
            raise InputError(f"{place}: must be a file ({'there is none' if kind == NOTHING else f'it is {kind}'})")
        if not _is_hdf5(path):
            raise InputError(f"{place}: must be an HDF5 file (its first bytes are another's)")

    def read(digests: Digests) -> Listing:
        check()
        algorithm = published.partition(":")[0] if published else ""
        if algorithm and f"{algorithm}:{digests.find(path, algorithm)}" == published:
            return {}
        return {"file": path.name, "sha256": digests.find(path)}

    return Input(place, path, read, check)


def _is_hdf5(path: pathlib.Path) -> bool:
    """Tell whether the file at `path` is HDF5: its signature stands at 0, 512, 1024 or a further doubling.

    See https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, section II.A; `h5py.is_hdf5` does the same.
    """
    size, offset = path.stat().st_size, 0
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            if file.read(len(HDF5)) == HDF5:
                return True
            offset = max(512, 2 * offset)
    return False
