"""Photos in an archive on the web. They are read out of it, one by one: nothing is unpacked to the disk."""

import contextlib
import pathlib
import shutil
import stat
import struct
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Self

from thaw.base.errors import InputError
from thaw.base.files import digest_of
from thaw.base.progress import say, track
from thaw.base.scratch import sweep
from thaw.photos.canonical import Photo
from thaw.photos.fetching import DOWNLOADS, fetch
from thaw.photos.folder import check_size, list_photos, make_photo
from thaw.photos.given import NOT_GIVEN, Given, Path, check_csv, find_given
from thaw.photos.places import FILE, FOLDER, is_visible, name_kind, show_name
from thaw.photos.sections import Archive

CHUNK = 2**20  # bytes
# Of a zip file, see its specification (PKWARE's APPNOTE.TXT): 4.4.4, 4.4.2 and 4.6.9.
ENCRYPTED, UTF8 = 0x1, 0x800
FROM_DOS, FROM_UNIX, FROM_MACOS = 0, 3, 19
UNICODE_PATH = 0x7075
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


class Member(NamedTuple):
    """A file, folder or something else in an archive."""

    name: str
    kind: str  # FILE, FOLDER, or another in words
    size: int  # bytes when unpacked, as the archive says
    header: Any  # what the library reads it by


def read_photos(dataset: Archive) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of the archive that `dataset` names.

    Raises InputError where it cannot be fetched or unpacked, or is not the file of that sha256.
    """
    given = find_given(dataset)
    check_csv(given)
    name = pathlib.PurePosixPath(urllib.parse.urlsplit(dataset.url).path).name
    path, official = fetch(dataset.url, f"sha256:{dataset.sha256}", name, DOWNLOADS)
    if not official:
        raise InputError(
            f"params.yaml: dataset.sha256: must be that of {name} in THAW_MIRROR, {digest_of(path)} "
            f"(got {dataset.sha256})"
        )
    yield from read_archive(path, f"params.yaml: dataset.url: {name}", given)


def read_archive(path: pathlib.Path, place: str, given: Given = NOT_GIVEN) -> Iterator[Photo]:
    """Yield a Photo for each file in the class folders of the archive at `path`, in the order that it has.

    One folder around the class folders, or around those of the parts, is allowed; `given` tells where parts and groups
    come from. `place` begins the text of the InputError that is raised where the archive is damaged, locked, holds
    links, places outside its folder, two files in one place, or more than the disk has room for; and as `list_photos`
    raises it.
    """
    sweep(".thaw", "archive.")  # folders with a whole data set in them, which earlier versions left when killed
    with contextlib.ExitStack() as stack:
        with _explain(place):
            archive = stack.enter_context(_open(path, place))
            members = _index(archive, path.name)
            around = _find_around(members)
            inside = {parts[around:]: member for parts, member in members.items() if parts[around:]}
        for parts, member in inside.items():
            if len(parts) == given.depth:
                check_size(parts, member.size, place)

        def read(parts: Path) -> bytes:
            with _explain(place):
                member = inside[parts]
                content = archive.read(member)
                if len(content) != member.size:
                    raise ValueError(f"{member.name!r} has {len(content):,} bytes of {member.size:,}")
                return content

        for file in list_photos({parts: member.kind for parts, member in inside.items()}, read, place, given):
            yield make_photo(file, read(file.path))


class _Header(tarfile.TarInfo):
    """The header of a member of a tar file. Where one is damaged, the library would take it for the end of the file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in the block `buf`; raises tarfile.ReadError where it is damaged."""
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.TruncatedHeaderError, tarfile.InvalidHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a header is damaged: {error}") from None


class _Tar:
    """A tar file, compressed or not."""

    def __init__(self, opened: tarfile.TarFile, place: str) -> None:
        self._tar, self._place = opened, place

    def list_members(self) -> Iterator[Member]:
        """Yield the members; raises errors of many kinds where the file is damaged."""
        for header in self._tar:
            kind = FILE if header.isfile() else FOLDER if header.isdir() else "neither a file nor a folder"
            yield Member(header.name, kind, header.size, header)
        rest: IO[bytes] = self._tar.fileobj  # type: ignore[assignment]
        if rest.tell() == self._tar.offset:  # nothing was read behind the last member
            say(f"{self._place}: the mark of its end is missing; it may have been cut short")
        while rest.read(CHUNK):  # to the checksum, which the end of a compressed file has
            pass

    def read(self, member: Member) -> bytes:
        """Return the content of a file."""
        return self._tar.extractfile(member.header).read()  # type: ignore[union-attr]


class _Zip:
    """A zip file."""

    def __init__(self, opened: zipfile.ZipFile, place: str) -> None:
        self._zip, self._place = opened, place

    def list_members(self) -> Iterator[Member]:
        """Yield the members, and say on stderr where their names had to be guessed."""
        guessed = []
        for header in self._zip.infolist():
            name, known = _decode_name(header)
            if not known:
                guessed.append(name)
            mode = header.external_attr >> 16 if header.create_system in (FROM_UNIX, FROM_MACOS) else 0
            kind = FOLDER if name.endswith("/") else name_kind(mode) if stat.S_IFMT(mode) else FILE
            if kind == FILE and header.flag_bits & ENCRYPTED:
                kind = "locked with a password"
            elif kind == FILE and header.compress_type not in METHODS:
                kind = f"compressed by method {header.compress_type}, which is not known here"
            elif kind == FILE:
                self._zip.open(header).close()  # which compares its name with the one that stands before its content
            yield Member(name, kind, header.file_size, header)
        if guessed:
            say(
                f"{self._place}: {len(guessed)} names are not in UTF-8 and are read as code page 437, as "
                f"{show_name(guessed[0])!r}"
            )

    def read(self, member: Member) -> bytes:
        """Return the content of a file, its checksum verified."""
        return self._zip.read(member.header)


def _decode_name(header: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return (the name of a member of a zip file, whether that is certain).

    Without the flag for UTF-8 the specification has code page 437, and the library follows it; the archives of macOS
    have UTF-8 without the flag, and Info-ZIP adds the name in UTF-8 in a field of its own.
    """
    name, known = header.filename, True
    if not header.flag_bits & UTF8:
        raw = header.orig_filename.encode("cp437").split(b"\0")[0]
        try:
            name = (_find_unicode_path(header.extra, raw) or raw).decode("utf-8")
        except UnicodeDecodeError:
            known = False
    # Some programs of Windows write paths as Windows does, against the specification.
    return name.replace("\\", "/") if header.create_system == FROM_DOS else name, known


def _find_unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """Return the UTF-8 name among the extra fields of a member whose name is `raw`; None where none is of that name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return field[5:]
    return None


@contextlib.contextmanager
def _open(path: pathlib.Path, place: str) -> Iterator[_Tar | _Zip]:
    """Give the archive at `path`, opened; its bytes and not its name show of which kind it is."""
    if tarfile.is_tarfile(path):
        with tarfile.open(path, tarinfo=_Header, encoding="utf-8", errors="surrogateescape") as tar:
            yield _Tar(tar, place)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            yield _Zip(zipped, place)
    else:
        raise InputError(f"{place}: must be a zip or tar file (it is neither, or damaged)")


def _index(archive: _Tar | _Zip, name: str) -> dict[Path, Member]:
    """Return {place: member} of an archive, in its order; raises ValueError for one that cannot be used.

    Its sizes are checked before anything is unpacked: a small file may hold more than a disk.
    """
    found: dict[Path, Member] = {}
    total, room = 0, shutil.disk_usage(".").free
    for member in track(archive.list_members(), f"list {name}", None, "entries"):
        shown = f"'{show_name(member.name)}'"
        parts = pathlib.PurePosixPath(member.name).parts
        if member.name.startswith("/") or ".." in parts:
            raise ValueError(f"{shown} is outside the archive's folder")
        if member.kind not in (FILE, FOLDER):
            raise ValueError(f"{shown} is {member.kind}")
        total += member.size
        if member.size < 0 or total > room:
            raise ValueError(f"with {shown} it holds {total:,} bytes, and the disk has room for {room:,}")
        before = found.setdefault(parts, member)
        if before is not member and FILE in (before.kind, member.kind):
            raise ValueError(f"{shown} is in it twice")
    for parts, member in list(found.items()):
        for depth in range(1, len(parts)):
            outer = found.setdefault(parts[:depth], Member("/".join(parts[:depth]), FOLDER, 0, None))
            if outer.kind != FOLDER:
                raise ValueError(f"'{show_name(outer.name)}' is a file, and a folder for '{show_name(member.name)}'")
    return found


def _find_around(members: dict[Path, Member]) -> int:
    """Return 1 where all folders of the archive lie in one folder around them, else 0."""
    folders = [
        parts for parts, member in members.items() if member.kind == FOLDER and parts and all(map(is_visible, parts))
    ]
    outer = [parts for parts in folders if len(parts) == 1]
    return int(len(outer) == 1 and any(len(parts) == 2 for parts in folders))


@contextlib.contextmanager
def _explain(place: str) -> Iterator[None]:
    """Turn what the libraries raise on a damaged archive, errors of many kinds, into an InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = show_name(" ".join(str(error).split())) or type(error).__name__
        raise InputError(f"{place}: cannot be unpacked: {reason}") from None
