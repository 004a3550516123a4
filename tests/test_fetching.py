import fcntl
import functools
import hashlib
import http.server
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from thaw.base.errors import InputError
from thaw.photos import fetching, transfer
from thaw.photos.fetching import fetch

CONTENT = b"the file of the official place\n" * 100
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
CUT = 1000  # bytes, after which a connection breaks off


class Server(http.server.ThreadingHTTPServer):
    """A server on this machine that keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []  # paths
        self.parts: list[str | None] = []  # the header Range of each request
        self.go_on = threading.Event()  # what /held.bin waits for after its first bytes
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with CONTENT, with its beginning or with 404, by the path."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.parts.append(self.headers["Range"])
        times = self.server.asked.count(self.path)
        cut = CONTENT[:CUT]
        if self.headers["Range"] and self.path not in ("/dying.bin", "/changing.bin"):
            self.answer_part(times + 1)
        elif self.path == "/file.bin" or self.path == "/flaky.bin" and times > 1:
            self.answer(200, CONTENT, len(CONTENT))
        elif self.path in ("/short.bin", "/flaky.bin"):
            self.answer(200, cut, len(CONTENT))
        elif self.path == "/busy.bin":
            self.answer(200 if times > 1 else 503, CONTENT, len(CONTENT))
        elif self.path == "/packed.bin":
            self.answer(200, CONTENT, len(CONTENT), **{"Content-Encoding": "gzip"})
        elif self.path == "/endless.bin":
            self.answer(200, b"", 10**18)
        elif self.path in ("/parts.bin", "/dying.bin", "/changing.bin"):
            self.answer_part(times, dies=self.path == "/dying.bin", changes=self.path == "/changing.bin")
        elif self.path in ("/slow.bin", "/still.bin", "/held.bin"):
            self.answer(200, cut, len(CONTENT), **{"Accept-Ranges": "bytes"})
            if self.path == "/held.bin":
                self.server.go_on.wait(30)
                self.wfile.write(CONTENT[CUT:])
            while self.path == "/slow.bin" and not self.server.go_on.wait(0.05):
                self.wfile.write(b"x")
            self.server.go_on.wait(30)
        else:
            self.answer(404, b"", 0)

    def answer_part(self, times: int, dies: bool = False, changes: bool = False) -> None:
        """Answer as a server that knows ranges: the first time with a beginning, then with the rest that is asked for.

        One that dies breaks off each time after CUT bytes more; one that changes has another file the second time.
        """
        version = f'"{times if changes else 1}"'
        named = {"Accept-Ranges": "bytes", "ETag": version}
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        if self.headers["If-Range"] not in (None, version):
            start = 0
        if start:
            named["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        end = start + CUT if times == 1 or dies else len(CONTENT)
        self.answer(206 if start else 200, CONTENT[start:end], len(CONTENT) - start, **named)

    def answer(self, status: int, body: bytes, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running Server, without a mirror and without waits between tries."""
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    monkeypatch.setattr(transfer, "LONGER", 0)
    with Server() as running:
        threading.Thread(target=functools.partial(running.serve_forever, 0.01), daemon=True).start()
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture
def mirror(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "mirror"
    (folder / "weights").mkdir(parents=True)
    monkeypatch.setenv("THAW_MIRROR", str(folder))
    return folder


@pytest.mark.parametrize("digest", [SHA256, SHA256.upper().replace("SHA", "sha"), MD5, None])
def test_a_file_is_downloaded_once_and_then_kept(server: Server, tmp_path: pathlib.Path, digest: str | None) -> None:
    for _ in range(2):
        path, official = fetch(f"{server.url}/file.bin", digest, "weights/file.bin", tmp_path / "cache")
        assert path.read_bytes() == CONTENT
        assert official
    assert server.asked == ["/file.bin"]


def test_two_addresses_of_one_file_name_do_not_share_a_place(server: Server, tmp_path: pathlib.Path) -> None:
    first, _ = fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path)
    second, _ = fetch(f"{server.url}/flaky.bin", None, "file.bin", tmp_path)
    assert first != second


def test_a_name_that_is_too_long_for_a_file_is_shortened_at_its_beginning(
    server: Server, tmp_path: pathlib.Path
) -> None:
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "ä" * 300 + ".h5", tmp_path)
    assert path.read_bytes() == CONTENT and path.suffix == ".h5"


def test_a_kept_file_that_was_damaged_is_downloaded_again(server: Server, tmp_path: pathlib.Path) -> None:
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    path.write_bytes(b"damaged")
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_kept_file_without_a_digest_is_downloaded_again_where_it_has_a_fault(
    server: Server, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_fault(path: pathlib.Path) -> str | None:
        return None if path.read_bytes() == CONTENT else "is no weights file"

    path, _ = fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path, find_fault)
    path.write_bytes(b"<html><body>Please log in</body></html>")
    path, _ = fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path, find_fault)
    assert path.read_bytes() == CONTENT
    assert "is no weights file, a web page; it is downloaded again" in capsys.readouterr().err


def test_the_mirror_goes_before_the_network(server: Server, mirror: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (mirror / "weights/file.bin").write_bytes(CONTENT)
    path, official = fetch(f"{server.url}/file.bin", SHA256, "weights/file.bin", tmp_path / "cache")
    assert (path, official) == (mirror / "weights/file.bin", True)
    assert server.asked == []


@pytest.mark.parametrize("digest", [SHA256, MD5, None])
def test_another_file_in_the_mirror_is_not_official(
    mirror: pathlib.Path, tmp_path: pathlib.Path, digest: str | None
) -> None:
    (mirror / "weights/file.bin").write_bytes(b"a stand-in")
    path, official = fetch("http://127.0.0.1:9/file.bin", digest, "weights/file.bin", tmp_path)
    assert (path.read_bytes(), official) == (b"a stand-in", False)


def test_what_the_mirror_lacks_is_downloaded(server: Server, mirror: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path, official = fetch(f"{server.url}/file.bin", SHA256, "weights/file.bin", tmp_path / "cache")
    assert (path.read_bytes(), official) == (CONTENT, True)


def test_a_mirror_that_is_no_folder_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("THAW_MIRROR", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="^THAW_MIRROR: must name a folder .got '.*missing'.$"):
        fetch("http://127.0.0.1:9/file.bin", None, "file.bin", tmp_path)


def test_a_download_of_another_digest_is_a_fault_and_leaves_nothing(server: Server, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(f"{server.url}/file.bin", "md5:" + "0" * 32, "file.bin", tmp_path)
    for part in (f"{server.url}/file.bin", MD5, "md5:" + "0" * 32):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_fault_at_the_first_answer(server: Server, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="404") as caught:
        fetch(f"{server.url}/none.bin", None, "weights/none.bin", tmp_path)
    assert f"{server.url}/none.bin" in str(caught.value) and "THAW_MIRROR" in str(caught.value)
    assert server.asked == ["/none.bin"]


def test_a_server_that_is_busy_is_asked_again(server: Server, tmp_path: pathlib.Path) -> None:
    path, _ = fetch(f"{server.url}/busy.bin", None, "busy.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_connection_that_breaks_off_once_is_tried_again(server: Server, tmp_path: pathlib.Path) -> None:
    path, _ = fetch(f"{server.url}/flaky.bin", None, "flaky.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_connection_that_always_breaks_off_is_a_fault_and_leaves_nothing(
    server: Server, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InputError, match="broke off"):
        fetch(f"{server.url}/short.bin", None, "short.bin", tmp_path)
    assert len(server.asked) == 1 + fetching.RETRIES
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_a_fault_in_one_line(server: Server, tmp_path: pathlib.Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError) as caught:
        fetch(f"{server.url}/file.bin", None, "weights/file.bin", tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{server.url}/file.bin: ") and "THAW_MIRROR" in text and "weights/file.bin" in text
    assert "\n" not in text


def test_a_file_is_kept_as_the_server_has_it_though_it_calls_it_compressed(
    server: Server, tmp_path: pathlib.Path
) -> None:
    path, _ = fetch(f"{server.url}/packed.bin", SHA256, "flowers.tgz", tmp_path)
    assert path.read_bytes() == CONTENT


# Going on


@pytest.mark.parametrize("digest", [SHA256, None])
def test_a_download_that_breaks_off_goes_on_from_there(
    server: Server, tmp_path: pathlib.Path, digest: str | None
) -> None:
    path, _ = fetch(f"{server.url}/parts.bin", digest, "parts.bin", tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.parts == [None, f"bytes={CUT}-"]


def test_a_download_that_brings_something_new_each_time_is_tried_on_and_on(
    server: Server, tmp_path: pathlib.Path
) -> None:
    path, _ = fetch(f"{server.url}/dying.bin", SHA256, "dying.bin", tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 4 > 1 + fetching.RETRIES


def test_a_file_that_changed_meanwhile_is_downloaded_from_its_beginning(server: Server, tmp_path: pathlib.Path) -> None:
    path, _ = fetch(f"{server.url}/changing.bin", None, "changing.bin", tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.parts == [None, f"bytes={CUT}-"]


def start_process(url: str, folder: pathlib.Path) -> subprocess.Popen[str]:
    """Start a process that fetches `url` into `folder`."""
    code = f"from thaw.photos.fetching import fetch; fetch({url!r}, {SHA256!r}, 'file.bin', {str(folder)!r})"
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(transfer.__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(server: Server, folder: pathlib.Path, size: int) -> pathlib.Path:
    """Wait until `folder` holds a part of so many bytes; return its path."""
    for _ in range(1000):
        found = [part for part in folder.glob(f"*{fetching.PART}") if part.stat().st_size == size]
        if found:
            return found[0]
        time.sleep(0.02)
    raise TimeoutError(f"no part of {size} bytes in {list(folder.glob('*'))}, asked for {server.asked}")


def test_after_a_killed_process_the_next_goes_on_and_nothing_else_is_left(
    server: Server, tmp_path: pathlib.Path
) -> None:
    with start_process(f"{server.url}/held.bin", tmp_path) as process:
        wait_for(server, tmp_path, CUT)
        process.send_signal(signal.SIGKILL)
    path, _ = fetch(f"{server.url}/held.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT and server.parts == [None, f"bytes={CUT}-"]
    assert list(tmp_path.iterdir()) == [path]


def leave_part(server: Server, file: str, folder: pathlib.Path, content: bytes) -> None:
    """Write what a process that was killed leaves of a download into `folder`."""
    begin = hashlib.sha256(f"{server.url}/{file}".encode()).hexdigest()[:16]
    (folder / f"{begin}-{file}{fetching.PART}").write_bytes(content)


def test_what_is_left_of_another_file_is_no_part_of_this_one(server: Server, tmp_path: pathlib.Path) -> None:
    leave_part(server, "file.bin", tmp_path, b"of another")
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.parts == ["bytes=10-", None]


def test_without_a_digest_nothing_of_an_earlier_process_is_used(server: Server, tmp_path: pathlib.Path) -> None:
    leave_part(server, "file.bin", tmp_path, CONTENT[:CUT])
    fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path)
    assert server.parts == [None]


def test_a_file_that_had_come_whole_when_its_process_was_killed_is_not_asked_for_again(
    server: Server, tmp_path: pathlib.Path
) -> None:
    leave_part(server, "file.bin", tmp_path, CONTENT)
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT and server.asked == []


def test_of_two_processes_one_downloads_and_both_have_the_file(server: Server, tmp_path: pathlib.Path) -> None:
    with start_process(f"{server.url}/held.bin", tmp_path) as first:
        wait_for(server, tmp_path, CUT)
        with start_process(f"{server.url}/held.bin", tmp_path) as second:
            assert second.stderr is not None
            assert any("waiting for another process" in line for line in iter(second.stderr.readline, ""))
            server.go_on.set()
            assert (first.wait(30), second.wait(30)) == (0, 0)
    assert server.asked == ["/held.bin"]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [CONTENT]


def test_what_nobody_will_go_on_with_is_removed_by_the_next_download(server: Server, tmp_path: pathlib.Path) -> None:
    old, used, new = (tmp_path / f"{name}{fetching.PART}" for name in ("old", "used", "new"))
    for path in (old, used, new, tmp_path / "tmpabc123", tmp_path / "old.lock"):
        path.write_bytes(b"a beginning")
    for path in (old, used):
        os.utime(path, (0, 0))
    with open(tmp_path / f"used{fetching.LOCK}", "wb") as owned:
        fcntl.flock(owned, fcntl.LOCK_EX)
        path, _ = fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([path, used, tmp_path / "used.lock", new])


# Limits


def test_a_download_that_is_too_slow_ends_and_keeps_what_came(
    server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "GRACE", 0.2)
    monkeypatch.setattr(transfer, "SLOWEST", 10**6)
    with pytest.raises(InputError, match="cannot be downloaded: slower than 1,000,000 bytes a second"):
        fetch(f"{server.url}/slow.bin", SHA256, "slow.bin", tmp_path)
    assert server.asked == ["/slow.bin"]
    assert [path.read_bytes()[:CUT] for path in tmp_path.iterdir()] == [CONTENT[:CUT]]


def test_a_server_that_falls_silent_is_not_waited_for(
    server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WAITS", (0.2, 0.2))
    with pytest.raises(InputError, match="cannot be downloaded: no answer in time"):
        fetch(f"{server.url}/still.bin", None, "still.bin", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_it_comes(
    server: Server, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InputError, match="takes 1,000,000,000,000,000,000 bytes more, and the disk has room for "):
        fetch(f"{server.url}/endless.bin", SHA256, "endless.bin", tmp_path)
    assert list(tmp_path.iterdir()) == []
