"""Files from the web, kept for the next time, or from the mirror that the environment variable THAW_MIRROR names."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from thaw.base.errors import InputError
from thaw.base.files import name_errors, sync_to_disk
from thaw.base.progress import say
from thaw.base.scratch import NO_LOCKS
from thaw.photos.places import FILE, FOLDER, NOTHING, find_kind, find_path
from thaw.photos.transfer import Transfer, TransferError

DOWNLOADS = ".thaw/downloads"  # where files are kept for the next time
RETRIES = 2  # after a connection that failed or broke off and brought nothing new; each waits a second longer
PART, LOCK = ".part", ".lock"  # end the names of a file that has not come whole, and of its lock
KEPT_FOR = 7 * 86_400  # seconds; a part that nothing went on with for so long goes

FindFault = Callable[[pathlib.Path], str | None]  # what is wrong with a file, in words, or None


def fetch(
    url: str, digest: str | None, mirror: str, folder: str | pathlib.Path, find_fault: FindFault | None = None
) -> tuple[pathlib.Path, bool]:
    """Return `(path, official)` of the file at `url`: from the mirror, else from `folder`, else downloaded into it.

    `digest` is ``sha256:HEX``, ``md5:HEX``, or None where nobody publishes one; `mirror` is the file's path in
    THAW_MIRROR. What is downloaded always matches the digest and is official; without a digest `find_fault` tells what
    is wrong with it. What a mirror holds is official when it matches; where it does not, or there is no digest to
    compare with, the caller decides what it is good for.

    Raises InputError where THAW_MIRROR names no folder, or the file cannot be downloaded as `download_file` does.
    """
    found = find_in_mirror(mirror)
    if found is None:
        return download_file(url, digest, pathlib.PurePosixPath(mirror).name, folder, find_fault, mirror), True
    kind = find_kind(found)
    if kind != FILE:
        raise InputError(f"THAW_MIRROR: {mirror}: must be a file (it is {kind})")
    return found, digest is not None and _hash_as(found, digest) == digest.lower()


def download_file(
    url: str,
    digest: str | None,
    name: str,
    folder: str | pathlib.Path,
    find_fault: FindFault | None = None,
    mirror: str | None = None,
) -> pathlib.Path:
    """Return the path of the file at `url` in `folder`, downloaded unless it is there; its name there ends in `name`.

    A file in `folder` that does not match the digest, or has a fault, is downloaded again. A download that is broken
    off goes on from where it was, in the next process too if there is a digest to check the whole by. Of two processes
    one downloads, and the other waits for it.

    Raises InputError, and leaves nothing that could be taken for the file, where it cannot be downloaded, does not
    match the digest, or has a fault. `mirror` is what to put in THAW_MIRROR instead.
    """
    folder = pathlib.Path(folder)
    # Two addresses may end in the same file name, and one in a name that is too long for a file.
    ending = name.encode()[-200:].decode("utf-8", "ignore")
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{ending}"
    with name_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        if _is_kept(path, digest, find_fault):
            return path
        with own(folder / f"{path.name}{LOCK}"):
            if not _is_kept(path, digest, find_fault):  # another process may have made it meanwhile
                say(f"download: {url}")
                try:
                    _make(path, url, digest, find_fault)
                except TransferError as error:
                    hint = f"; without a network, THAW_MIRROR may name a folder that holds {mirror}" if mirror else ""
                    raise InputError(f"{url}: cannot be downloaded: {error}{hint}") from None
    return path


def find_in_mirror(path: str) -> pathlib.Path | None:
    """Return where THAW_MIRROR holds `path`, or None; raises InputError where the variable names no folder."""
    mirror = os.environ.get("THAW_MIRROR")
    if not mirror:
        return None
    folder = find_path(mirror, "THAW_MIRROR")
    if find_kind(folder) != FOLDER:
        raise InputError(f"THAW_MIRROR: must name a folder (got {mirror!r})")
    return None if find_kind(folder / path) == NOTHING else folder / path


def _make(path: pathlib.Path, url: str, digest: str | None, find_fault: FindFault | None) -> None:
    """Download the file at `url` to `path`; raises TransferError where that fails, InputError where another file came.

    What came stays beside `path` where a later process can go on with it, and nothing does otherwise.
    """
    place, keep = path.with_name(path.name + PART), False
    transfer = Transfer(url, place, digest is not None, RETRIES)
    try:
        # All may have come when an earlier process was killed.
        if digest is None or not place.exists() or _find_fault(place, digest, None):
            try:
                transfer.run()
            except BaseException:
                keep = digest is not None and transfer.has_ranges
                raise
            fault = _find_fault(place, digest, find_fault)
            if fault and transfer.went_on:
                say(f"download: {url}: {fault}; what came before is left out, and it is downloaded once more")
                place.unlink()
                transfer.run()
                fault = _find_fault(place, digest, find_fault)
            if fault:
                raise InputError(f"{url}: {fault}")
        sync_to_disk(place)
        place.rename(path)
    finally:
        if not keep:
            place.unlink(missing_ok=True)


def _find_fault(path: pathlib.Path, digest: str | None, find_fault: FindFault | None) -> str | None:
    """Return what is wrong with the file at `path`, or None."""
    fault = None
    if digest is not None:
        found = _hash_as(path, digest)
        fault = None if found == digest.lower() else f"must be the file of digest {digest} (got {found})"
    elif find_fault is not None:
        fault = find_fault(path)
    if fault:
        with open(path, "rb") as content:
            page = content.read(1000).lstrip().lower().startswith((b"<!doctype html", b"<html"))
        return f"{fault}, a web page" if page else fault
    return None


def _is_kept(path: pathlib.Path, digest: str | None, find_fault: FindFault | None) -> bool:
    """Tell whether the file at `path` is there and can be used; say on stderr where it cannot."""
    kind = find_kind(path)
    if kind == NOTHING:
        return False
    if kind != FILE:
        raise InputError(f"{path}: must be a file (it is {kind})")
    fault = _find_fault(path, digest, find_fault)
    if fault:
        say(f"{path}: {fault}; it is downloaded again")
    return fault is None


@contextlib.contextmanager
def own(place: pathlib.Path) -> Iterator[None]:
    """Let one process at a time go on: the one that holds the lock on the file at `place`, which is removed afterwards.

    The lock is on no file that is used: HDF5 has locks of its own on those.
    """
    lock = _lock(place, wait=True)
    while lock is None:
        lock = _lock(place, wait=True)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(lock)


def _lock(place: pathlib.Path, wait: bool) -> int | None:
    """Return the descriptor that holds the lock on the file at `place`, made where it is missing, until it is closed.

    None where another process holds it and this one does not wait, and where it was removed meanwhile.
    """
    lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                return None
            say(f"download: waiting for another process, which holds {place}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(place)):
                stack.pop_all()
                return lock
    return None


def _sweep(folder: pathlib.Path) -> None:
    """Remove what killed processes left in `folder` and nobody will go on with."""
    for place in folder.glob(f"*{LOCK}"):
        with contextlib.suppress(OSError):  # of another user
            lock = _lock(place, wait=False)
            if lock is not None:
                place.unlink()
                os.close(lock)
    for place in folder.iterdir():
        with contextlib.suppress(OSError):
            begun = place.with_name(place.name.removesuffix(PART) + LOCK)
            forgotten = place.name.endswith(PART) and time.time() - place.stat().st_mtime > KEPT_FOR
            # As earlier versions named what had not come whole.
            if place.name.startswith("tmp") or (forgotten and not begun.exists()):
                place.unlink()


def _hash_as(path: pathlib.Path, digest: str) -> str:
    """Return the digest of the file at `path`, of the kind that `digest` is."""
    algorithm = digest.split(":")[0]
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
