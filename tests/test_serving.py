"""The page to try a network: what it answers, what it refuses, and what a browser makes of it."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import PIL.Image
import pytest
import uvicorn

from small import SIZE
from test_html import BROWSER, browser
from thaw.base.errors import InputError
from thaw.cli.serve import serve
from thaw.config.loading import write_yaml
from thaw.config.presets import ROOT
from thaw.networks.classifiers import Network, build_baseline
from thaw.networks.sections import BaselineNetwork
from thaw.pictures.preparing import prepare
from thaw.prediction.models import Predictor
from thaw.serving import app
from thaw.serving.answers import Answering
from thaw.serving.cards import Card, describe_export, describe_run
from tiny import DOCUMENT

CLASSES = ["daisy", "<b>rose", "NA"]
BOUNDARY = "a-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def draw_photo(kind: str = "PNG", side: int = 90) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def make_form(content: bytes, name: str = "a photo.png", field: str = "photo") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
    return f"{head}Content-Type: image/png\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = build_baseline(BaselineNetwork(filters=[4], dense=4, dropout=0.0), SIZE, len(CLASSES))

    def score(pixels: np.ndarray) -> np.ndarray:
        logits = network.model(pixels.astype(np.float32) / 50, training=False).numpy().astype(float)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    return Predictor("small", SIZE, CLASSES, score, network)


@contextlib.contextmanager
def run_page(predictor: Predictor) -> Iterator[int]:
    """Show the page of `predictor` on a free port of this machine; give the port."""
    card = Card(predictor.name, [("Classes", ", ".join(predictor.classes)), ("Accuracy", "90 %")])
    # Its settings for logging would close the streams that other programs log to, those of pytest among them.
    config = uvicorn.Config(app.build_app(Answering(predictor), card), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port(predictor: Predictor) -> Iterator[int]:
    with run_page(predictor) as port:
        yield port


def ask(
    port: int, body: Any = None, method: str = "POST", path: str = "/", **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    """Return the response to a request, and its text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = {**(FORM if method == "POST" else {}), **{name.replace("_", "-"): text for name, text in headers.items()}}
    connection.request(method, path, body, sent, encode_chunked=not isinstance(body, bytes | None))
    response = connection.getresponse()
    return response, response.read().decode()


class Page(HTMLParser):
    """Collects the tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def test_a_photo_is_answered_with_the_probability_of_each_class(port: int, predictor: Predictor) -> None:
    content = draw_photo()
    response, text = ask(port, make_form(content))
    expected = predictor.score(prepare(content, SIZE)[0][np.newaxis])[0]
    assert response.status == 200
    page = Page(text).text
    for label, share in zip(CLASSES, expected, strict=True):
        assert f"{label} {100 * share:.1f} %" in page
    bars = [float(tag["value"] or 0) for name, tag in Page(text).tags if name == "progress"]
    assert bars == pytest.approx(sorted(expected, reverse=True), abs=1e-5)


def read_pictures(text: str) -> list[PIL.Image.Image]:
    found = re.findall('src="data:image/jpeg;base64,([^"]*)"', text)
    return [PIL.Image.open(io.BytesIO(base64.b64decode(content))) for content in found]


def test_beside_the_photo_stands_the_map_of_what_the_network_looked_at(port: int) -> None:
    _, text = ask(port, make_form(draw_photo()))
    photo, overlay = read_pictures(text)
    assert photo.size == overlay.size == (90, 90) and photo.tobytes() != overlay.tobytes()


def test_an_export_has_no_map(predictor: Predictor) -> None:
    answer = Answering(predictor._replace(network=None)).answer(draw_photo())
    assert answer.overlay is None and len(answer.guesses) == 3


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "[::1]", ""])
def test_a_page_of_elsewhere_whose_name_leads_here_gets_nothing(port: int, name: str) -> None:
    for method, body in (("GET", None), ("POST", make_form(draw_photo()))):
        response, text = ask(port, body, method, Host=name)
        assert response.status == 400 and "<" not in text


@pytest.mark.parametrize("name", ["127.0.0.1:8000", "localhost"])
def test_the_names_of_this_machine_are_answered(port: int, name: str) -> None:
    assert ask(port, method="GET", Host=name)[0].status == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_more_than_a_photo_may_have_is_refused(port: int, monkeypatch: pytest.MonkeyPatch, chunked: bool) -> None:
    monkeypatch.setattr(app, "MOST_BYTES", 100_000)
    for size in (100_001, 1_000_000):  # a little, which the form's envelope allows, and much
        body = make_form(bytes(size))
        response, text = ask(port, iter([body]) if chunked else body)
        assert response.status == 413 and "The photo has more than 20 MB." in Page(text).text


def test_of_an_endless_upload_the_rest_is_not_read(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST_BYTES", 1000)
    monkeypatch.setattr(app, "DISCARDED", 10_000_000)
    sent = 0

    def send() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10**10:
            sent += 10**6
            yield bytes(10**6)

    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(port, send())
    assert sent < 10**8


def test_a_file_that_is_no_photo_is_refused_with_its_reason(port: int) -> None:
    response, text = ask(port, make_form(draw_photo("GIF"), "a.gif"))
    assert response.status == 415
    assert "a.gif: must be JPEG, PNG, WebP, AVIF or HEIC (got GIF)" in Page(text).text
    assert ask(port, make_form(draw_photo()[:500]))[0].status == 415


@pytest.mark.parametrize(
    "body, headers, reason",
    [
        (make_form(b"", name=""), {}, "no file was chosen"),
        (make_form(draw_photo(), field="other"), {}, "no file was chosen"),
        (b"photo=1", {"Content_Type": "application/x-www-form-urlencoded"}, "multipart/form-data"),
        (b"nothing", {}, "Invalid multipart data"),
        (make_form(b"1")[: -len(BOUNDARY) - 8] + b"\r\n" + make_form(b"2"), {}, "Too many files"),
    ],
)
def test_what_is_no_form_with_a_photo_is_refused(port: int, body: bytes, headers: dict[str, str], reason: str) -> None:
    response, text = ask(port, body, **headers)
    assert response.status == 400 and reason in Page(text).text


def test_a_large_photo_touches_no_disk(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    content = draw_photo(side=1500)
    assert len(content) > 5_000_000
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert ask(port, make_form(content))[0].status == 200


def test_the_page_loads_nothing_from_elsewhere_and_sets_no_cookie(port: int) -> None:
    response, text = ask(port, make_form(draw_photo()))
    policy = dict(part.split(" ", 1) for part in str(response.headers["Content-Security-Policy"]).split("; "))
    assert policy == {
        "default-src": "'none'", "img-src": "data:", "style-src": "'self'", "script-src": "'self'",
        "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert response.headers["Set-Cookie"] is None and response.headers["Cache-Control"] == "no-store"
    sources = [str(tag.get(key)) for _, tag in Page(text).tags for key in ("src", "href", "action") if key in tag]
    assert sources and all(re.match(r"(data:|/(?!/))", source) for source in sources)
    assert not [key for _, tag in Page(text).tags for key in tag if key.startswith("on") or key == "style"]
    for path in ("/page.css", "/page.js"):
        response, text = ask(port, method="GET", path=path)
        assert response.status == 200 and "://" not in text


def test_names_of_classes_and_files_stay_text(port: int) -> None:
    _, text = ask(port, make_form(draw_photo(), "<script>alert(1)<b>.png"))
    page = Page(text)
    assert "<script>alert(1)<b>.png" in page.text and "<b>rose" in page.text
    assert [tag for tag, _ in page.tags if tag in ("script", "b")] == ["script"]


def test_every_picture_and_the_input_have_words(port: int) -> None:
    _, text = ask(port, make_form(draw_photo()))
    tags = Page(text).tags
    assert all(tag.get("alt") for name, tag in tags if name == "img")
    assert {tag.get("for") for name, tag in tags if name == "label"} == {"photo"}


def test_the_card_of_a_run_says_how_good_it_is(predictor: Predictor) -> None:
    scores = {"test": {"accuracy": 0.9, "photos": 100}}
    run = SimpleNamespace(name="small", unfrozen="last block", backbone="wide")
    results: Any = SimpleNamespace(
        runs=[run], scores={"small": scores}, part="test", dataset="petals:1.0.0", marks={"small": "¹"},
        weights={"wide": {"weights": "imagenet", "architecture": "WideNet"}}, notes=["¹ rests on a stand-in"],
    )  # fmt: skip
    facts = dict(describe_run(predictor, results).facts)
    # Wilson's interval of 90 of 100, by hand: centre (0.9 + 1.9207 / 100) / 1.038415 = 0.8852, half 0.0596.
    assert facts["Accuracy"] == "90.00 % of 100 photos of test right, 95 % interval 82.6 – 94.5 %"
    assert facts["Weights"] == "WideNet, trained on ImageNet" and facts["Note"] == "Rests on a stand-in"
    assert "not measured yet" in dict(describe_run(predictor, None).facts)["Accuracy"]
    assert describe_export(predictor).name == "small"


def test_a_network_that_gives_no_numbers_is_told_before_the_page_is_shown(predictor: Predictor) -> None:
    with pytest.raises(InputError, match=r"^small: must give probabilities"):
        Answering(predictor._replace(score=lambda pixels: np.full((len(pixels), 3), np.nan)))


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٣"])
def test_a_port_that_is_none_is_one_clear_line(port: str) -> None:
    with pytest.raises(InputError, match=r"^--port: must be a whole number from 0 .* to 65,535 \(got '"):
        serve(None, None, port)


def test_a_port_in_use_is_one_clear_line() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InputError, match=rf"^--port: {taken.getsockname()[1]} is in use: --port 0"),
    ):
        serve(None, None, str(taken.getsockname()[1]))


def test_a_run_and_an_export_at_once_are_one_clear_line() -> None:
    with pytest.raises(InputError, match=r"^serve: must have --run or --model \(got both\)$"):
        serve("a", "b", "0")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "python_multipart" else name)
    with pytest.raises(InputError, match=r"^serve: needs python-multipart: python -m pip install '\.\[serve\]'"):
        serve(None, None, "0")


def make_table(folder: pathlib.Path) -> None:
    """Write the parameters and the trained baseline of a table whose other stages have not run."""
    settings = DOCUMENT["baseline_cnn"]["network"]  # type: ignore[index]
    network: Network = build_baseline(BaselineNetwork(**settings), 32, 2)
    (folder / "models").mkdir()
    (folder / "params.yaml").write_text(write_yaml(DOCUMENT))
    network.save_weights(folder / "models/baseline_cnn.weights.h5")
    document = {"run": "baseline_cnn", "size": 32, "classes": ["a", "b"], "backbone": None, "network": settings}
    (folder / "models/baseline_cnn.json").write_text(json.dumps(document))


@pytest.mark.long
def test_the_command_shows_a_run_until_it_is_interrupted(tmp_path: pathlib.Path) -> None:
    make_table(tmp_path)
    command = [sys.executable, "-P", "-m", "thaw", "serve", "--run", "baseline_cnn", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUTF8": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        port = int(re.fullmatch(r"serve: baseline_cnn at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)\n", line)[1])  # type: ignore[index]
        response, text = ask(port, make_form(draw_photo()))
        assert response.status == 200 and len(read_pictures(text)) == 2
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
    assert process.returncode == 0


class Tab:
    """A tab of Chromium, driven by its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.number, self.said = socket, 0, []

    async def call(self, method: str, **values: Any) -> Any:
        """Return the result of a command; what the console says meanwhile is kept."""
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": values})
        while True:
            message = await self.socket.receive_json(timeout=60)
            if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.said.append(message["params"])
            if message.get("id") == self.number:
                return message["result"]

    async def find(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return (await self.call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")

    async def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        for _ in range(300):
            if await self.find(expression):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(expression)

    async def choose(self, *files: pathlib.Path) -> None:
        """Have the user choose files."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector="#photo"))["nodeId"]
        await self.call("DOM.setFileInputFiles", files=[str(file) for file in files], nodeId=node)

    async def photograph(self, path: pathlib.Path) -> None:
        """Write a picture of the whole page."""
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def open_tab(folder: pathlib.Path, address: str, width: int = 1000) -> Any:
    """Give a Tab of a new Chromium whose profile lies in `folder`, at `address`."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = folder / "profile/DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (found.exists() and found.read_text().count("\n")):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        port = found.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                target = next(page for page in await response.json() if page["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "DOM", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Page.navigate", url=address)
                await tab.wait("document.readyState == 'complete' && location.protocol == 'http:'")
                yield tab
    finally:
        process.terminate()
        process.wait()


@browser
def test_in_a_browser_a_chosen_photo_is_answered(port: int, tmp_path: pathlib.Path) -> None:
    (tmp_path / "photo.png").write_bytes(draw_photo())

    async def upload() -> None:
        async with open_tab(tmp_path, f"http://127.0.0.1:{port}/", width=500) as tab:
            await tab.choose(tmp_path / "photo.png")
            await tab.wait("document.querySelector('h2#result') && document.readyState == 'complete'")
            widths = await tab.find("[...document.images].map(image => image.naturalWidth)")
            assert widths == [90, 90]
            assert await tab.find("document.activeElement.id") == "result"  # where a screen reader goes on
            assert await tab.find("document.documentElement.scrollWidth <= innerWidth")
            assert tab.said == []
            if shot := os.environ.get("THAW_SHOT"):
                await tab.photograph(pathlib.Path(shot))

    asyncio.run(upload())


@browser
def test_in_a_browser_a_file_that_is_too_large_is_not_sent(port: int, tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "large.jpg", "wb") as file:
        file.truncate(app.MOST_BYTES + 1)

    async def upload() -> None:
        async with open_tab(tmp_path, f"http://127.0.0.1:{port}/") as tab:
            await tab.choose(tmp_path / "large.jpg")
            await tab.wait("document.getElementById('status').textContent == 'large.jpg has more than 20 MB.'")
            assert await tab.find("document.getElementById('result')") is None

    asyncio.run(upload())
