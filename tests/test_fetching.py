import functools
import hashlib
import http.server
import threading

import pytest

from thaw import fetching
from thaw.fetching import fetch
from thaw.params import InputError

CONTENT = b"the file of the official place\n" * 100
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        times = self.server.asked.count(self.path)
        if self.path == "/file.bin" or self.path == "/flaky.bin" and times > 1:
            self.answer(200, CONTENT, len(CONTENT))
        elif self.path in ("/short.bin", "/flaky.bin"):
            self.answer(200, CONTENT[:1000], len(CONTENT))
        else:
            self.answer(404, b"", 0)

    def answer(self, status, body, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    (folder / "weights").mkdir(parents=True)
    monkeypatch.setenv("THAW_MIRROR", str(folder))
    return folder


@pytest.mark.parametrize("digest", [SHA256, SHA256.upper().replace("SHA", "sha"), MD5, None])
def test_a_file_is_downloaded_once_and_then_kept(server, tmp_path, digest):
    for _ in range(2):
        path, official = fetch(f"{server.url}/file.bin", digest, "weights/file.bin", tmp_path / "cache")
        assert path.read_bytes() == CONTENT
        assert official
    assert server.asked == ["/file.bin"]


def test_two_addresses_of_one_file_name_do_not_share_a_place(server, tmp_path):
    first, _ = fetch(f"{server.url}/file.bin", None, "file.bin", tmp_path)
    second, _ = fetch(f"{server.url}/flaky.bin", None, "file.bin", tmp_path)
    assert first != second


def test_a_kept_file_that_was_damaged_is_downloaded_again(server, tmp_path):
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    path.write_bytes(b"damaged")
    path, _ = fetch(f"{server.url}/file.bin", SHA256, "file.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_mirror_goes_before_the_network(server, mirror, tmp_path):
    (mirror / "weights/file.bin").write_bytes(CONTENT)
    path, official = fetch(f"{server.url}/file.bin", SHA256, "weights/file.bin", tmp_path / "cache")
    assert (path, official) == (mirror / "weights/file.bin", True)
    assert server.asked == []


@pytest.mark.parametrize("digest", [SHA256, MD5, None])
def test_another_file_in_the_mirror_is_not_official(mirror, tmp_path, digest):
    (mirror / "weights/file.bin").write_bytes(b"a stand-in")
    path, official = fetch("http://127.0.0.1:9/file.bin", digest, "weights/file.bin", tmp_path)
    assert (path.read_bytes(), official) == (b"a stand-in", False)


def test_what_the_mirror_lacks_is_downloaded(server, mirror, tmp_path):
    path, official = fetch(f"{server.url}/file.bin", SHA256, "weights/file.bin", tmp_path / "cache")
    assert (path.read_bytes(), official) == (CONTENT, True)


def test_a_mirror_that_is_no_folder_is_a_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("THAW_MIRROR", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="^THAW_MIRROR: must name a folder .got '.*missing'.$"):
        fetch("http://127.0.0.1:9/file.bin", None, "file.bin", tmp_path)


def test_a_download_of_another_digest_is_a_fault_and_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError) as caught:
        fetch(f"{server.url}/file.bin", "md5:" + "0" * 32, "file.bin", tmp_path)
    for part in (f"{server.url}/file.bin", MD5, "md5:" + "0" * 32):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_fault_at_the_first_answer(server, tmp_path):
    with pytest.raises(InputError, match="404") as caught:
        fetch(f"{server.url}/none.bin", None, "weights/none.bin", tmp_path)
    assert f"{server.url}/none.bin" in str(caught.value) and "THAW_MIRROR" in str(caught.value)
    assert server.asked == ["/none.bin"]


def test_a_connection_that_breaks_off_once_is_tried_again(server, tmp_path):
    path, _ = fetch(f"{server.url}/flaky.bin", None, "flaky.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_connection_that_always_breaks_off_is_a_fault_and_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError, match="broke off"):
        fetch(f"{server.url}/short.bin", None, "short.bin", tmp_path)
    assert len(server.asked) == 1 + fetching.RETRIES
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_a_fault_in_one_line(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError) as caught:
        fetch(f"{server.url}/file.bin", None, "weights/file.bin", tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{server.url}/file.bin: ") and "THAW_MIRROR" in text and "weights/file.bin" in text
    assert "\n" not in text
