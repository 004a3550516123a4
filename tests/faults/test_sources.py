"""Photos as they lie around: what a folder, a list of credits and a server may hold besides photos."""

import functools
import http.server
import os
import pathlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from disks import as_another_user
from sources import ALL, MORE, check, count, encode, write
from thaw.base.errors import InputError
from thaw.base.files import write_json
from thaw.networks.hdf5 import find_fault
from thaw.photos import transfer
from thaw.photos.download import download
from thaw.photos.fetching import fetch
from thaw.photos.folder import read_class_folders, read_photos
from thaw.photos.sections import Folder


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Every test works in an empty folder, without a mirror."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    return tmp_path


# Class folders


def bind_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


def write_bytes_name(folder: pathlib.Path, name: bytes) -> None:
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(encode(9))


def make_sparse(path: pathlib.Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


def hide_all(folder: pathlib.Path) -> None:
    (folder / "lily").mkdir()
    (folder / "lily/.a.jpg").write_bytes(encode(9))


def rename(folder: pathlib.Path, old: str, new: bytes) -> None:
    os.rename(os.fsencode(folder / old), os.path.join(os.fsencode(folder), new))


def add_upper_case(folder: pathlib.Path) -> None:
    add(folder, "Rose/a.jpg")


def add(folder: pathlib.Path, file: str) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(encode(9))


# What is done to a folder with two roses and a tulip -> the photos of each class or the error, and what is said.
FOLDERS: dict[str, tuple[Callable[[pathlib.Path], Any], Any, str]] = {
    "a named pipe in a class folder is passed over": (
        lambda folder: os.mkfifo(folder / "rose/new.jpg"), ALL, r"passed over: rose/new.jpg \(a named pipe\)"),
    "a socket in a class folder is passed over": (
        lambda folder: bind_socket(pathlib.Path("in/rose/s.jpg")), ALL, r"passed over: rose/s.jpg \(a socket\)"),
    "a link to a device that never ends is passed over": (
        lambda folder: (folder / "rose/z.jpg").symlink_to("/dev/zero"), ALL, r"passed over: rose/z.jpg \(a device\)"),
    "a link that leads nowhere is passed over": (
        lambda folder: (folder / "rose/l.jpg").symlink_to("gone.jpg"), ALL, r"rose/l.jpg \(a link that leads"),
    "a link to itself is passed over": (
        lambda folder: (folder / "rose/l.jpg").symlink_to("l.jpg"), ALL, r"rose/l.jpg \(a link that cannot be"),
    "a class that is a link to nowhere is a fault that names it": (
        lambda folder: (folder / "lily").symlink_to("/no/such/disk"), r"got lily, a link that leads now", "lily"),
    "a link to a photo counts as the photo": (
        lambda folder: (folder / "rose/l.jpg").symlink_to("../tulip/c.jpg"), MORE, ""),
    "a class folder that is a link counts as the folder": (
        lambda folder: (folder / "lily").symlink_to("tulip"), {**ALL, "lily": 1}, ""),
    "a link in a circle of folders is a folder too many": (
        lambda folder: (folder / "rose/up").symlink_to(".."), r"hold photos alone \(got the folder rose/up\)$", ""),
    "a named pipe beside the class folders is passed over": (
        lambda folder: os.mkfifo(folder / "notes.txt"), ALL, r"passed over: notes.txt \(a named pipe\)"),
    "a file whose name is not UTF-8 is a photo like others": (
        lambda folder: write_bytes_name(folder / "rose", b"r\xf6slein.jpg"), MORE, ""),
    "a file with a line end in its name is a photo like others": (
        lambda folder: rename(folder, "rose/a.jpg", b"rose/a\n.jpg"), ALL, ""),
    "a class whose name is not UTF-8 is a fault": (
        lambda folder: rename(folder, "rose", b"r\xf6schen"), r"of a class must be UTF-8 \(got r\\xf6schen\)$", ""),
    "a class of hidden files alone is a fault that names it": (
        hide_all, r"not hidden \(lily: none, 1 hidden\), two", "hidden"),
    "a hidden photo beside others is passed over, and that is said": (
        lambda folder: add(folder, "rose/.new.JPG"), ALL, r"passed over: rose \(1 hidden\)$"),
    "what macOS keeps beside each photo is passed over without a word": (
        lambda folder: add(folder, "rose/._a.jpg"), ALL, ""),
    "an empty class folder is a fault that names it": (
        lambda folder: (folder / "lily").mkdir(), r"not hidden \(lily: none\), two at least \(got rose, tulip\)$", ""),
    "a file too large to be a photo is a fault before it is read": (
        lambda folder: make_sparse(folder / "rose/film.jpg", 2**40), r"rose/film.jpg: .* at most 1,073,741,824 b", ""),
    "classes that differ in case alone are two, and that is said": (
        add_upper_case, {**ALL, "Rose": 1}, "two classes, though their names differ in case alone .*: Rose, rose"),
    "classes that differ in a joiner that does not show are two, and that is said": (
        lambda folder: add(folder, "ro\u200dse/a.jpg"), {**ALL, "ro\u200dse": 1}, r": rose, ro\\u200dse"),
    "a folder in the place of the credits is a fault": (
        lambda folder: (folder / "credits.csv").mkdir(), r"credits.csv: must be a file \(it is a folder\)$", ""),
    "a named pipe in the place of the credits is a fault": (
        lambda folder: os.mkfifo(folder / "credits.csv"), r"credits.csv: must be a file \(it is a named", "pipe"),
}  # fmt: skip


@pytest.mark.parametrize("change, expected, said", FOLDERS.values(), ids=FOLDERS)
def test_a_folder(
    change: Callable[[pathlib.Path], Any], expected: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(pathlib.Path("in"))
    change(folder)
    check(lambda: count(read_class_folders(folder, "place")), expected, said, capsys)


def test_a_file_whose_name_is_not_utf8_is_named_in_the_metrics() -> None:
    folder = write(pathlib.Path("in"))
    (folder / "rose" / os.fsdecode(b"r\xf6sle\n.txt")).write_bytes(b"no picture")
    metrics = download(Folder(source="folder", path="in"), "data/raw", "data/credits.csv", "data/names.csv")
    write_json("metrics/download.json", metrics)
    assert [fault["file"] for fault in metrics["download"]["rejected"]] == ["rose/r\\xf6sle\\n.txt"]


# What is given as the folder -> the error.
PATHS: dict[str, tuple[str, str]] = {
    "the home folder of nobody that there is": ("~nobody-of-this-name/photos", "must be a path .* got '~nobody-of-th"),
    "a path with a NUL in it": ("in\0", r"must be a path .*got 'in\\x00'"),
    "nothing": ("none", r"'none': must be a folder \(there is none\)$"),
    "something below a file": ("in/rose/a.jpg/x", r"must be a folder \(there is none\)$"),
    "a file": ("in/rose/a.jpg", r"must be a folder \(it is a file\)$"),
    "a named pipe": ("pipe", r"must be a folder \(it is a named pipe\)$"),
    "a link to nowhere": ("link", r"must be a folder \(it is a link that leads nowhere\)$"),
    "a name longer than names can be": ("x" * 300, "cannot be read: .*File name too long"),
    "a class folder": ("in/rose", r"two at least \(got none\)$"),
    "the folder above": (".", r"hold photos alone \(got the folder in/rose\)$"),
}


@pytest.mark.parametrize("path, error", PATHS.values(), ids=PATHS)
def test_a_path(path: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(pathlib.Path("in"))
    os.mkfifo("pipe")
    pathlib.Path("link").symlink_to("gone")
    with pytest.raises(InputError, match=f"^params.yaml: dataset.path: {error}" if error[0] == "'" else error):
        list(read_photos(Folder(source="folder", path=path)))


@pytest.mark.parametrize("locked", ["in", "in/rose", "in/rose/a.jpg"])
def test_what_another_user_locked_is_one_line(place: pathlib.Path, locked: str) -> None:
    folder = write(pathlib.Path("in"))
    pathlib.Path(locked).chmod(0)
    with (
        as_another_user(place),
        pytest.raises(InputError, match="^place: cannot be read: .*Permission denied") as caught,
    ):
        list(read_class_folders(folder, "place"))
    assert locked in str(caught.value)


# Credits

HEADER, OWN = "file,author,licence,url\n", ("Ada", "CC0", "http://ada.example/")
ROW = "rose/a.jpg,Ada,CC0,http://ada.example/"
ONE = r"credits.csv: credits 1 of 3 files; 0 entries name none of them\n$"
# What stands in credits.csv -> who made rose/a.jpg, or the error, and what is said.
TABLES: dict[str, tuple[bytes | str, Any, str]] = {
    "a plain table": (f"{HEADER}{ROW}\n", OWN, ONE),
    "a comma at the end of each row": (f"{HEADER}{ROW},\n", OWN, ONE),
    "a comma at the end of each line": (f"file,author,licence,url,\n{ROW},\n", OWN, ONE),
    "a comma in a name without quotes": (
        f"{HEADER}rose/a.jpg,Ada,Countess,CC0,http://ada.example/\n", "line 2: must have at most the 4 fields", ""),
    "quotes that are not closed": (f'{HEADER}rose/a.jpg,"Ada,CC0,\n{ROW}\n', "must be a CSV table in UTF-8", ""),
    "a field that is left out": (f"{HEADER}rose/a.jpg,Ada\n", ("Ada", "", ""), ONE),
    "a backslash for the slash": (f"{HEADER}{ROW}\n".replace("rose/", "rose\\"), OWN, ONE),
    "./ before the name": (f"{HEADER}./{ROW}\n", OWN, ONE),
    "blanks around the name": (f"{HEADER} {ROW}\n".replace(".jpg", ".jpg "), OWN, ONE),
    "the mark of a byte order": (f"\ufeff{HEADER}{ROW}\n", OWN, ONE),
    "line ends of Windows": (f"{HEADER}{ROW}\n".replace("\n", "\r\n"), OWN, ONE),
    "line ends of old": (f"{HEADER}{ROW}\n".replace("\n", "\r"), OWN, ONE),
    "columns in another order and case": (
        "URL, Author ,FILE,Licence\nhttp://ada.example/,Ada,rose/a.jpg,CC0\n", OWN, ONE),
    "the other spelling of licence": (f"{HEADER}{ROW}\n".replace("licence", "License"), OWN, ONE),
    "a column more": (f"id,{HEADER}7,{ROW}\n", OWN, ONE),
    "semicolons, as spreadsheets write them": (f"{HEADER}{ROW}\n".replace(",", ";"), OWN, ONE),
    "tabulators": (f"{HEADER}{ROW}\n".replace(",", "\t"), OWN, ONE),
    "Excel's line about the separator": (f"sep=;\n{HEADER}{ROW}\n".replace(",", ";"), OWN, ONE),
    "empty lines": (f"\n{HEADER}\n,,,\n{ROW}\n\n", OWN, ONE),
    "a row twice": (f"{HEADER}{ROW}\n{ROW}\n", OWN, ONE),
    "two credits for a file": (
        f"{HEADER}{ROW}\nrose\\a.jpg,Bo,CC0,\n",
        "line 3: a file must have one credit .rose/a.jpg has another in line 2.$", ""),
    "a credit for no file": (f"{HEADER},Ada,CC0,\n", "line 2: must name a file", ""),
    "a file that is not there": (
        f"{HEADER}{ROW}\nrose/z.jpg,Bo,CC0,\n", OWN,
        "credits 1 of 3 files; 1 entries name none of them, the first line 3, 'rose/z.jpg'"),
    "a file named without its class": (
        f"{HEADER}a.jpg,Ada,CC0,\n", None, "credits 0 of 3 files; 1 entries name none of them, the first line 2, 'a.j"),
    "a row for every file": (
        f"{HEADER}{ROW}\nrose/b.jpg,Bo,CC0,\ntulip/c.jpg,Bo,CC0,\n", OWN, ""),
    "two columns of one name": (
        f"file,{HEADER}{ROW}\n", r"columns file, author, licence, url \(got file,file,author,licence,url\)$", ""),
    "no such columns": ("name,by\na,b\n", r"columns file, author, licence, url \(got name,by\)$", ""),
    "an empty file": (b"", "must be a CSV table in UTF-8 .it is empty", ""),
    "another encoding": (f"{HEADER}rose/a.jpg,Ädа,,\n".encode("utf-16"), "must be a CSV table in UTF-8", ""),
}  # fmt: skip


@pytest.mark.parametrize("content, expected, said", TABLES.values(), ids=TABLES)
def test_a_table_of_credits(content: bytes | str, expected: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(pathlib.Path("in"))
    (folder / "credits.csv").write_bytes(content if isinstance(content, bytes) else content.encode())

    def read() -> tuple[str, ...] | None:
        credits = {photo.name: photo.credit for photo in read_class_folders(folder, "place")}
        credit = credits["rose/a.jpg"]
        return None if credit is None else tuple(credit)

    if expected is None:
        assert read() is None
        assert said in capsys.readouterr().err
    else:
        check(read, expected, said, capsys)


# Servers

HDF5 = b"\x89HDF\r\n\x1a\n"
# What a server answers where Keras publishes no hash: status, headers and body -> the error.
ANSWERS: dict[str, tuple[int, dict[str, str], bytes, str]] = {
    "a web page": (200, {}, b"<!DOCTYPE html><html>Log in</html>", "must be an HDF5 file .*, a web page$"),
    "an empty file": (200, {}, b"", "the server sent an empty file"),
    "no content": (204, {}, b"", "the server answered 204 No Content"),
    "less than it said": (200, {"Content-Length": "1000"}, HDF5, "the connection broke off before the end"),
    "an HDF5 file cut short, whose length is that of what came": (200, {}, HDF5 + bytes(100), "must be an HDF5 file"),
    "a part that nobody asked for": (206, {"Content-Range": "bytes 5-9/10"}, b"hello", "another part of the file"),
    "that it is elsewhere, without saying where": (302, {}, b"", "the server answered 302 Found"),
    "that it is where it was": (302, {"Location": "/x.h5"}, b"", "Exceeded 30 redirects"),
    "that it is gone": (410, {}, b"", "the server answered 410 Gone"),
    "that it needs a password": (401, {}, b"", "the server answered 401 Unauthorized"),
    "that it is busy, always": (503, {}, b"", "the server answered 503 Service Unavailable"),
}


@pytest.mark.parametrize("status, headers, body, error", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_no_weights_file_is_one_line_and_leaves_nothing(
    status: int, headers: dict[str, str], body: bytes, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LONGER", 0)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x.h5"
        with pytest.raises(InputError, match=f"^{url}: .*{error}") as caught:
            fetch(url, None, "x.h5", "kept", find_fault)
        server.shutdown()
    assert "\n" not in str(caught.value)
    assert list(pathlib.Path("kept").iterdir()) == []
