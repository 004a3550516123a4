"""Archives as other programs make them, and as they arrive: damaged, locked, larger than a disk."""

import bz2
import gzip
import io
import os
import pathlib
import random
import re
import stat
import struct
import tarfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources import ALL, FILES, MORE, check, count, encode
from thaw.base.errors import InputError
from thaw.photos.archive import read_archive


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Every test works in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tar(files: dict[str, bytes], mode: str = "w", further: dict[str, dict[str, Any]] | None = None) -> bytes:
    """Return a tar file; `further` has the attributes of further members, by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
        for name, attributes in (further or {}).items():
            header = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(header, key, value)
            archive.addfile(header)
    return stream.getvalue()


def zipped(files: dict[str, bytes], **attributes: Any) -> bytes:
    """Return a zip file; `attributes` are those of the header of each member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            header = zipfile.ZipInfo(name)
            for key, value in attributes.items():
                setattr(header, key, value)
            archive.writestr(header, content)
    return stream.getvalue()


class RawName(zipfile.ZipInfo):
    """The header of a member whose name is written as bytes, without the flag for UTF-8."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(str(raw))
        self.raw = raw

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits


def zip_raw(rose: bytes, unicode_path: str | None = None) -> bytes:
    """Return a zip file of FILES in which the class of the roses has these bytes as its name.

    `unicode_path` is the name in Info-ZIP's field for UTF-8.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file, content in FILES.items():
            name, inner = file.split("/")
            header = RawName((rose if name == "rose" else name.encode()) + b"/" + inner.encode())
            if unicode_path and name == "rose":
                field = struct.pack("<BL", 1, zlib.crc32(header.raw)) + f"{unicode_path}/{inner}".encode()
                header.extra = struct.pack("<HH", 0x7075, len(field)) + field
            archive.writestr(header, content)
    return stream.getvalue()


def mark(content: bytes, flags: int = 0, method: int = 0) -> bytes:
    """Return a zip file with these flags and this method of compression in every header, wherever the truth lies."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # before a member, and in the list at the end
        for found in re.finditer(re.escape(signature), content):
            struct.pack_into("<HH", changed, found.start() + offset, flags, method)
    return bytes(changed)


def damage(content: bytes, place: int = -200) -> bytes:
    """Return `content` with 20 bytes of zeros at `place`."""
    place %= len(content)
    return content[:place] + bytes(20) + content[place + 20 :]


def noise(seed: int, size: int = 40_000) -> bytes:
    return random.Random(seed).randbytes(size)


def lengthen(content: bytes, name: bytes, size: int) -> bytes:
    """Return a zip file whose list says that the member `name` has so many bytes."""
    place = content.rindex(name) - 46  # of its entry in the list
    return content[: place + 24] + struct.pack("<L", size) + content[place + 28 :]


NOISY = {"rose/a.jpg": noise(1), "rose/b.jpg": noise(2), "tulip/c.jpg": noise(3)}
GERMAN, JAPANESE = "Gänseblümchen", "タンポポ"
LISTED = r"^list \S+: \d+ entries in \S+ s\n$"
# What the archive is -> the photos of each class or the error, and what is said beside that.
ARCHIVES: dict[str, tuple[Callable[[], bytes], Any, str]] = {
    "UTF-8 without the flag, as macOS writes it, is UTF-8": (
        lambda: zip_raw(unicodedata.normalize("NFD", GERMAN).encode()), {GERMAN: 2, "tulip": 1}, LISTED),
    "UTF-8 without the flag in another script": (lambda: zip_raw(JAPANESE.encode()), {JAPANESE: 2, "tulip": 1}, LISTED),
    "UTF-8 with the flag": (
        lambda: mark(zip_raw(JAPANESE.encode()), flags=0x800), {JAPANESE: 2, "tulip": 1}, LISTED),
    "a code page of DOS is read as such, and that is said": (
        lambda: zip_raw(GERMAN.encode("cp437")), {GERMAN: 2, "tulip": 1},
        "place: 2 names are not in UTF-8 and are read as code page 437, as 'Gänseblümchen/a.jpg'"),
    "Info-ZIP's name in UTF-8 goes before the other": (
        lambda: zip_raw(b"R\x94schen", "Röschen"), {"Röschen": 2, "tulip": 1}, LISTED),
    "backslashes of Windows are slashes": (
        lambda: zipped({name.replace("/", "\\"): content for name, content in FILES.items()}, create_system=0),
        ALL, LISTED),
    "a backslash of Unix is part of a name": (
        lambda: zipped({**FILES, "rose/a\\b.jpg": encode(9)}, create_system=3), MORE, LISTED),
    "what macOS adds is passed over": (
        lambda: zipped({**FILES, "__MACOSX/rose/._a.jpg": b"x", "rose/.DS_Store": b"x"}), ALL, LISTED),
    "a zip that is locked with a password": (
        lambda: mark(zipped(FILES), flags=1), "cannot be unpacked: 'rose/a.jpg' is locked with a password$", ""),
    "a zip with a method of compression that is not known": (
        lambda: mark(zipped(FILES), method=93),
        "'rose/a.jpg' is compressed by method 93, which is not known here$", ""),
    "a link in a zip": (
        lambda: zipped(FILES, create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16),
        "cannot be unpacked: 'rose/a.jpg' is a link$", ""),
    "a zip with a member twice": (lambda: zip_twice(), "cannot be unpacked: 'rose/a.jpg' is in it twice$", ""),
    "a zip with damaged contents": (lambda: damage(zipped(NOISY), 30_000), "cannot be unpacked: Bad CRC-32", ""),
    "a zip whose list is damaged": (lambda: damage(zipped(NOISY)), "cannot be unpacked: ", ""),
    "a zip that is cut short": (
        lambda: zipped(NOISY)[:-1000], "must be a zip or tar file .it is neither, or damaged.$", ""),
    "a zip that says it has more than there is": (
        lambda: lengthen(zipped(FILES), b"rose/a.jpg", 10**6), "cannot be unpacked: ", ""),
    "a zip that says it has more than a photo can have": (
        lambda: lengthen(zipped(FILES), b"rose/a.jpg", 2**31), "place: rose/a.jpg: a file must have at most", LISTED),
    "a tar with a name that is not UTF-8": (
        lambda: tar({**FILES, os.fsdecode(b"rose/r\xf6.jpg"): encode(9)}), MORE, LISTED),
    "a tar with a class that is not UTF-8": (
        lambda: tar({**FILES, os.fsdecode(b"r\xf6/x.jpg"): encode(9)}), r"must be UTF-8 \(got r\\xf6\)$", LISTED),
    "a tar with a sparse member larger than any disk": (
        lambda: tar(FILES, further={"rose/film.jpg": {"type": tarfile.GNUTYPE_SPARSE, "size": 2**60}}),
        "cannot be unpacked: with 'rose/film.jpg' it holds 1,152,921,504,606,8.* bytes, and the disk has room for", ""),
    "a tar with a file and a folder in one place": (
        lambda: tar({**FILES, "rose/a.jpg/x.jpg": encode(9)}), "'rose/a.jpg' is a file, and a folder for", ""),
    "a tar with a file in the place of a class folder": (
        lambda: tar({"rose": b"x", **FILES}), "'rose' is a file, and a folder for 'rose/a.jpg'$", ""),
    "a tar with a folder in the place of a photo": (
        lambda: tar(FILES, further={"rose/d.jpg": {"type": tarfile.DIRTYPE}}), r"the folder rose/d.jpg\)$", LISTED),
    "a tar with a folder in the place of the credits": (
        lambda: tar(FILES, further={"credits.csv": {"type": tarfile.DIRTYPE}}),
        r"credits.csv: must be a file \(it is a folder\)$", LISTED),
    "a tar with a link": (
        lambda: tar(FILES, further={"rose/d.jpg": {"type": tarfile.SYMTYPE, "linkname": "a.jpg"}}),
        "'rose/d.jpg' is neither a file nor a folder$", ""),
    "a tar with a hard link": (
        lambda: tar(FILES, further={"rose/d.jpg": {"type": tarfile.LNKTYPE, "linkname": "rose/a.jpg"}}),
        "'rose/d.jpg' is neither a file nor a folder$", ""),
    "a tar with a device": (
        lambda: tar(FILES, further={"rose/d.jpg": {"type": tarfile.CHRTYPE}}), "is neither a file nor a folder$", ""),
    "a tar with a named pipe": (
        lambda: tar(FILES, further={"rose/d.jpg": {"type": tarfile.FIFOTYPE}}), "is neither a file nor a folder$", ""),
    "a tar with a place above": (
        lambda: tar({**FILES, "rose/../../x.jpg": b"x"}), "'rose/../../x.jpg' is outside the archive's folder$", ""),
    "a tar with a place of its own": (
        lambda: tar({**FILES, "/tmp/x.jpg": b"x"}), "'/tmp/x.jpg' is outside the archive's folder$", ""),
    "a tar with names longer than a file system takes": (
        lambda: tar({**FILES, f"rose/{'x' * 300}.jpg": encode(9)}), MORE, LISTED),
    "a tar with two names that differ in case alone": (
        lambda: tar({**FILES, "rose/A.JPG": encode(9)}), MORE, LISTED),
    "a tar with a damaged header": (
        lambda: damage(tar(FILES), tar(FILES).index(b"tulip/c.jpg") + 100), "unpacked: a header is damaged: ", ""),
    "a tar that is cut short in a file": (lambda: tar(NOISY)[:60_000], "unpacked: unexpected end of data$", ""),
    "a tar that is cut short in a header": (
        lambda: tar(NOISY)[: tar(NOISY).index(b"rose/b.jpg") + 100], "unpacked: a header is damaged: truncated", ""),
    "a tar without the mark of its end may be cut, and that is said": (
        lambda: tar(FILES)[: 512 * 9], ALL, "place: the mark of its end is missing; it may have been cut short"),
    "a tar.gz that is cut short": (lambda: tar(NOISY, "w:gz")[:-1000], "cannot be unpacked: ", ""),
    "a tar.gz whose checksum is wrong": (
        lambda: tar(FILES, "w:gz")[:-8] + bytes(8), "cannot be unpacked: CRC check failed", ""),
    "a tar.xz with damaged contents": (lambda: damage(tar(NOISY, "w:xz"), 60_000), "cannot be unpacked: Corrupt", ""),
    "a tar.xz that is cut short": (lambda: tar(NOISY, "w:xz")[:-1000], "cannot be unpacked: Compressed file ended", ""),
    "a tar.bz2 with damaged contents": (
        lambda: damage(bz2.compress(tar(NOISY), 1), 110_000), "cannot be unpacked: Invalid", ""),
    "a tar.bz2 that is cut short": (
        lambda: bz2.compress(tar(NOISY), 1)[:-1000], "cannot be unpacked: Compressed file ended", ""),
    "an empty file": (lambda: b"", "must be a zip or tar file", ""),
    "a web page": (lambda: b"<!DOCTYPE html><html></html>", "must be a zip or tar file", ""),
    "a single compressed file": (lambda: gzip.compress(encode(1)), "must be a zip or tar file", ""),
    "an archive of class folders one level too deep": (
        lambda: tar({f"flowers/train/{name}": content for name, content in FILES.items()}),
        r"hold photos alone \(got the folder train/rose\)$", LISTED),
}  # fmt: skip


def zip_twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python, about what this is for
        for name, content in [*FILES.items(), ("rose/a.jpg", encode(9))]:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("make, expected, said", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive(make: Callable[[], bytes], expected: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = pathlib.Path("flowers")
    path.write_bytes(make())

    def read() -> dict[str, int]:
        return {
            unicodedata.normalize("NFC", name): number for name, number in count(read_archive(path, "place")).items()
        }

    check(read, expected, said or "^(list .*)?$", capsys)
    assert [path.name for path in pathlib.Path().iterdir()] == ["flowers"]  # nothing is unpacked


def deflated(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


CHECKED = {
    "zip": zipped(FILES),
    "deflated zip": deflated(FILES),
    "tar.gz": tar(FILES, "w:gz"),
    "tar.bz2": tar(FILES, "w:bz2"),
    "tar.xz": tar(FILES, "w:xz"),
}


@pytest.mark.parametrize("content", CHECKED.values(), ids=CHECKED)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_changed_bit_is_an_error_or_changes_no_photo(content: bytes, share: float, bit: int) -> None:
    changed, place = bytearray(content), int(share * len(content))
    changed[place] ^= 1 << bit
    path = pathlib.Path("flowers")
    path.write_bytes(changed)
    try:
        photos = {photo.name: photo.content for photo in read_archive(path, "place")}
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert photos == FILES
