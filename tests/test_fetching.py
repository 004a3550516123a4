import functools
import hashlib
import http.server
import pathlib
import threading
from collections.abc import Iterator

import pytest

from thaw.base.errors import InputError
from thaw.photos import fetching
from thaw.photos.fetching import fetch

CONTENT = b"the file of the official place\n" * 100
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """A server on this machine that keeps which paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with CONTENT, with its beginning or with 404, by the path."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        times = self.server.asked.count(self.path)
        if self.path == "/file.bin" or self.path == "/flaky.bin" and times > 1:
            self.answer(200, CONTENT, len(CONTENT))
        elif self.path in ("/short.bin", "/flaky.bin"):
            self.answer(200, CONTENT[:1000], len(CONTENT))
        else:
            self.answer(404, b"", 0)

    def answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running Server, without a mirror and without waits between tries."""
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Server() as running:
        threading.Thread(target=functools.partial(running.serve_forever, 0.01), daemon=True).start()
        yield running
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


def test_a_kept_file_that_was_damaged_is_downloaded_again(server: Server, tmp_path: pathlib.Path) -> None:
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    path.write_bytes(b"damaged")
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT


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
