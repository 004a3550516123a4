"""Weights of the user's and from the web that are none, and disks that cannot hold those made here."""

import functools
import http.server
import os
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator

import h5py
import numpy as np
import pytest

from disks import run_code, run_on_disk
from thaw.architectures import table
from thaw.architectures.table import ARCHITECTURES
from thaw.base.errors import DamagedFile, InputError
from thaw.base.quiet import keras
from thaw.networks import backbones
from thaw.networks.classifiers import Network, digest_weights
from thaw.networks.hdf5 import load_weights, write_weights
from thaw.weights.pretrained import pretrain
from thaw.weights.sections import Backbone

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

ARCHITECTURE, WIDTH = "MobileNet", 0.125
FITTING, OTHER = "fitting.weights.h5", "other.weights.h5"
KEY = r"params.yaml: backbones.mine.weights"


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Every test works in an empty folder, without a mirror."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the weights of the network, and those of another of the same shapes but one."""
    folder = tmp_path_factory.mktemp("weights")
    backbones.build(ARCHITECTURE, WIDTH, 32).save_weights(folder / FITTING)
    backbones.build("MobileNetV2", WIDTH, 32).save_weights(folder / OTHER)
    return folder


def spoil(content: bytes) -> bytes:
    """Return the weights with a number in them that is none."""
    pathlib.Path("spoilt.h5").write_bytes(content)
    with h5py.File("spoilt.h5", "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] = np.nan
    return pathlib.Path("spoilt.h5").read_bytes()


def lose_layer(content: bytes) -> bytes:
    """Return the weights without those of one layer."""
    pathlib.Path("lost.h5").write_bytes(content)
    with h5py.File("lost.h5", "r+") as file:
        del file["layers/conv2d"]
    return pathlib.Path("lost.h5").read_bytes()


def bind_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)


Make = Callable[[pathlib.Path, pathlib.Path], object]
NOT_THOSE = "mine.weights.h5: must hold the weights of MobileNet without its classifier: "
# What lies at `mine.weights.h5`, made there from the folder of files -> the error.
OWN: dict[str, tuple[Make, str]] = {
    "nothing": (lambda path, files: None, f"^{KEY}: no such file .got 'mine.weights.h5'.$"),
    "a folder": (lambda path, files: path.mkdir(), f"^{KEY}: must be a file .got 'mine.weights.h5', a folder.$"),
    "a named pipe": (lambda path, files: os.mkfifo(path), f"^{KEY}: must be a file .*, a named pipe.$"),
    "a socket": (lambda path, files: bind_socket(path), f"^{KEY}: must be a file .*, a socket.$"),
    "a link to a device": (lambda path, files: path.symlink_to("/dev/zero"), f"^{KEY}: must be a file .*, a device.$"),
    "a link that leads nowhere": (
        lambda path, files: path.symlink_to("gone.h5"), f"^{KEY}: must be a file .*, a link that leads nowhere.$"),
    "an empty file": (lambda path, files: path.touch(), f"^{NOT_THOSE}.*{KEY}"),
    "a web page": (lambda path, files: path.write_text("<html></html>"), f"^{NOT_THOSE}.*signature.*{KEY}"),
    "half a file": (
        lambda path, files: path.write_bytes((files / FITTING).read_bytes()[:100_000]),
        f"^{NOT_THOSE}.*truncated file.*{KEY}"),
    "the weights of another network": (
        lambda path, files: path.write_bytes((files / OTHER).read_bytes()), f"^{NOT_THOSE}.*{KEY}"),
    "weights without those of one layer": (
        lambda path, files: path.write_bytes(lose_layer((files / FITTING).read_bytes())), f"^{NOT_THOSE}.*{KEY}"),
    "weights with what is no number": (
        lambda path, files: path.write_bytes(spoil((files / FITTING).read_bytes())),
        f"^{NOT_THOSE}it holds what is no finite number .{KEY}.$"),
    "another HDF5 file": (lambda path, files: h5py.File(path, "w").close(), f"^{NOT_THOSE}.*{KEY}"),
}  # fmt: skip


@pytest.mark.parametrize("make, error", OWN.values(), ids=OWN)
def test_a_file_that_is_not_the_weights_is_one_line_that_names_the_key(
    make: Make, error: str, files: pathlib.Path
) -> None:
    make(pathlib.Path("mine.weights.h5"), files)
    with pytest.raises(InputError, match=error) as caught:
        pretrain("mine", Backbone(architecture=ARCHITECTURE, width=WIDTH, weights="mine.weights.h5"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/mine.h5", "mine\0.h5"])
def test_a_path_that_is_none_is_one_line_that_names_the_key(path: str) -> None:
    with pytest.raises(InputError, match=f"^{KEY}: must be a path") as caught:
        pretrain("mine", Backbone(architecture=ARCHITECTURE, width=WIDTH, weights=path))
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


# What a stage wrote

DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "an empty file": lambda content: b"",
    "half a file": lambda content: content[: len(content) // 2],
    "no signature": lambda content: b"\0" + content[1:],
    "a damaged list of groups": lambda content: content.replace(b"TREE", b"TREF"),
    "a damaged name": lambda content: content.replace(b"layers", b"lairs!"),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_of_a_stage_is_one_line_that_names_it(
    damage: Callable[[bytes], bytes], files: pathlib.Path
) -> None:
    pathlib.Path("run.weights.h5").write_bytes(damage((files / FITTING).read_bytes()))
    with pytest.raises(
        DamagedFile, match="^run.weights.h5: must hold the weights of this network .*dvc repro"
    ) as caught:
        load_weights(backbones.build(ARCHITECTURE, WIDTH, 32), "run.weights.h5")
    assert "\n" not in str(caught.value)


# From the web, where no hash is published


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What a server sends in the place of Keras's: {"file": its content}, which tests change."""
    sent = {"file": b""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent["file"])))
            self.end_headers()
            self.wfile.write(sent["file"])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        monkeypatch.setattr(table, "FILES", f"http://127.0.0.1:{server.server_port}/")
        yield sent
        server.shutdown()


def write_old_layout(model: keras.Model, path: pathlib.Path) -> bytes:
    """Return the weights in the layout of the files of keras.applications."""
    with h5py.File(path, "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path.read_bytes()


def test_what_came_once_and_cannot_be_loaded_is_downloaded_again(web: dict[str, bytes]) -> None:
    assert ARCHITECTURES[ARCHITECTURE].published is None
    source = backbones.build(ARCHITECTURE, 1, 72)
    right = write_old_layout(source, pathlib.Path("right.h5"))
    other = write_old_layout(backbones.build(ARCHITECTURE, WIDTH, 32), pathlib.Path("other.h5"))
    backbone = Backbone(architecture=ARCHITECTURE, width=1.0, weights="imagenet")
    for wrong in (b"<html>Log in</html>", right[:-1000], other):
        web["file"] = wrong
        with pytest.raises(InputError):
            pretrain("mine", backbone)
        assert not any(pathlib.Path(".thaw/downloads").iterdir())
    web["file"] = right
    model, document = pretrain("mine", backbone)
    assert document["official"] is None
    assert digest_weights(model) == digest_weights(source)


# Full disks

SAVE = """
import os, pathlib, sys
from thaw.base.errors import run_program
from thaw.base.quiet import keras
from thaw.weights.pretrained import save_pretrained
model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(500)])  # of 2 MB
os.chdir(sys.argv[1])
pathlib.Path("models/pretrained").mkdir(parents=True)
pathlib.Path("models/pretrained/mine.weights.h5").write_text("the last good ones")
if len(sys.argv) > 2:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    run_program(lambda: save_pretrained(model, {"name": "mine", "architecture": "x", "width": 1.0}))
finally:
    print([(path.name, path.read_text()) for path in pathlib.Path("models/pretrained").iterdir()])
"""
KEPT = "[('mine.weights.h5', 'the last good ones')]\n"


def test_weights_on_a_full_disk_are_one_line_and_the_last_ones_stay(place: pathlib.Path) -> None:
    ended = run_on_disk(place, "size=1m", SAVE, place)
    assert (ended.returncode, ended.stdout) == (1, KEPT)
    assert ended.stderr.splitlines()[-1].startswith("models/pretrained/mine.weights.h5: no space left on the disk")


def test_weights_larger_than_a_file_may_be_are_one_line_and_the_last_ones_stay(place: pathlib.Path) -> None:
    ended = run_code(SAVE, place, "limited")
    assert (ended.returncode, ended.stdout) == (1, KEPT)
    assert ended.stderr.splitlines()[-1] == "models/pretrained/mine.weights.h5: File too large"


def test_weights_are_the_bytes_that_keras_writes(small_network: Network) -> None:
    full = backbones.build("MobileNet", 1, 224)
    for model in (small_network.model, backbones.build("MobileNetV3Small", WIDTH, 72), full):
        model.save_weights("keras.weights.h5")
        write_weights(model, "ours.weights.h5")
        assert pathlib.Path("ours.weights.h5").read_bytes() == pathlib.Path("keras.weights.h5").read_bytes()
