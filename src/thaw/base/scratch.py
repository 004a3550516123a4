"""Folders in which something is being made. Each has an owner while its process lives; one without is swept.

The owner holds a lock (`flock`) on a file in the folder. The system frees it when the process ends, killed or not, and
no number of a process is compared, so one that is given out again owns nothing. The lock reaches the processes that the
file system's locks reach: all of this machine, containers included, and over NFS those of other machines. Where the
file system has no locks nothing is swept.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

LOCK, MADE = "owner.lock", "made"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # what file systems without locks answer


@contextlib.contextmanager
def make_scratch(parent: str | pathlib.Path, prefix: str) -> Iterator[pathlib.Path]:
    """Give an empty folder below `parent`, which is made where it is missing; on leaving, all of it is removed.

    The folder given lies in one whose name begins with `prefix`. No other folder of `parent` may begin so: those that
    have no owner are swept first, with what is in them. Raises OSError where no folder can be made.
    """
    parent = pathlib.Path(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent)) from None
    sweep(parent, prefix)  # first: on a full disk what a killed process left may be the room that is needed
    folder, owner = _make_owned(parent, prefix)
    try:
        (folder / MADE).mkdir()
        yield folder / MADE
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if owner is not None:
            os.close(owner)


def sweep(parent: str | pathlib.Path, prefix: str) -> None:
    """Remove the folders of `parent` whose names begin with `prefix` and that no living process owns.

    Those of other users stay, but for the user's whom `parent` belongs to: in a folder for all, as /tmp is, they may be
    no scratch of this program.
    """
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        users = {os.geteuid(), os.stat(parent).st_uid}
        for entry in entries:
            if entry.name.startswith(prefix):
                with contextlib.suppress(OSError):  # gone meanwhile, or not to be opened
                    if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid in users:
                        _remove_unowned(pathlib.Path(entry.path))


def _remove_unowned(folder: pathlib.Path) -> None:
    owner = _own(folder)
    if owner is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def _make_owned(parent: pathlib.Path, prefix: str) -> tuple[pathlib.Path, int | None]:
    """Return (a new folder, the descriptor that makes this process its owner); None where there are no locks."""
    while True:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            owner = _own(folder)
        except FileNotFoundError:
            continue  # swept before it had an owner
        except OSError as error:
            if error.errno in NO_LOCKS:
                return folder, None
            # Not by rmtree, which opens the folder: it may be that no more can be opened.
            for remove, path in ((os.unlink, folder / LOCK), (os.rmdir, folder)):
                with contextlib.suppress(OSError):
                    remove(path)
            raise
        if owner is not None:
            return folder, owner


def _own(folder: pathlib.Path) -> int | None:
    """Return the open descriptor that makes this process the owner of `folder`, or None where another process is it.

    Raises OSError where the folder is gone, cannot be written, or knows no locks.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # An owner before may have removed the file between the two; then nobody else would see the lock.
        if os.path.samestat(os.fstat(descriptor), os.stat(folder / LOCK)):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
