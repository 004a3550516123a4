"""Fixtures that several test files use."""

import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("MPLBACKEND", None)  # of a notebook: tests draw with Matplotlib themselves

import pytest

from quick import copy, make_quick
from small import SIZE, WIDTH, plain_head, scatter, write_photos
from thaw.base.quiet import keras
from thaw.base.sections import Compute
from thaw.networks import classifiers
from thaw.networks.classifiers import Network
from thaw.records import writing
from thaw.records.sections import Image
from tiny import dvc, git, make_project


class Networks(dict[str, Network]):
    """Small networks by their architecture, each built when it is asked for."""

    def __missing__(self, name: str) -> Network:
        self[name] = network = classifiers.build_classifier(name, WIDTH, SIZE, plain_head(), 3)
        scatter(network.model)
        return network


class Backbones(dict[str, keras.Model]):
    """The backbones of such networks."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    def __missing__(self, name: str) -> keras.Model:
        return self.networks[name].backbone


@pytest.fixture(scope="session")
def small_networks() -> dict[str, Network]:
    """Each architecture as a classifier of three classes, small and at random; tests must not change weights."""
    return Networks()


@pytest.fixture(scope="session")
def small_backbones(small_networks: Networks) -> dict[str, keras.Model]:
    """The backbones of those; tests must not change weights."""
    return Backbones(small_networks)


@pytest.fixture
def small_network() -> Network:
    """A fresh MobileNet classifier of three classes at small width, BatchNorm statistics and all weights at random."""
    network = classifiers.build_classifier("MobileNet", WIDTH, SIZE, plain_head(), 3)
    scatter(network.model)
    return network


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty project folder as the working directory, with records of 24 photos of three classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_STORE", raising=False)
    rows = write_photos(tmp_path / "photos", 24, 3)
    writing.write_records(rows, "photos", Image(size=SIZE, shards=2), "data/records")
    return tmp_path


@pytest.fixture
def threads() -> Compute:
    """The parameters of section `compute`."""
    return Compute(threads=2, onednn_isa="AVX2")


@pytest.fixture(scope="session")
def make_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[pathlib.Path], str]], tuple[pathlib.Path, str]]:
    """The function that has `make(folder)` fill the folder `name`, once for all test processes.

    It returns the folder, and what `make` returned (text).
    """

    def make_folder(name: str, make: Callable[[pathlib.Path], str]) -> tuple[pathlib.Path, str]:
        place = tmp_path_factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:
            place = place.parent  # of the folders of all processes
        folder, told = place / name, place / f"{name}.txt"
        with open(place / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not told.exists():
                shutil.rmtree(folder, ignore_errors=True)
                told.write_text(make(folder))
        return folder, told.read_text()

    return make_folder


@pytest.fixture(scope="session")
def finished(make_once: Callable[..., tuple[pathlib.Path, str]]) -> tuple[pathlib.Path, str]:
    """(folder, what `dvc repro` printed) of a tiny table that ran once and was committed; tests must not change it.

    Its path has a space in it.
    """

    def make(folder: pathlib.Path) -> str:
        output = dvc(make_project(folder), "repro")
        (folder / ".gitignore").open("a").write("__pycache__/\n.thaw/\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "First run")
        return output

    return make_once("a project", make)


@pytest.fixture
def workspace(finished: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the finished table's project, cache and all, for one test to change."""
    folder = tmp_path / "a project"
    shutil.copytree(finished[0], folder, symlinks=True)
    return folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server on this machine that has the bucket `bucket`; the environment has keys for it."""
    import requests
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    address = "http://{}:{}".format(*moto.get_host_and_port())
    requests.put(f"{address}/bucket", timeout=10).raise_for_status()
    yield address
    moto.stop()


@pytest.fixture
def forget_determinism() -> Iterator[None]:
    """Let the tests that follow in this process read ahead again; TensorFlow has no public way back."""
    from tensorflow.python.framework.config import disable_op_determinism

    yield
    disable_op_determinism()


@pytest.fixture(scope="session")
def quick(make_once: Callable[..., tuple[pathlib.Path, str]]) -> pathlib.Path:
    """Such a project in which nothing has run; tests must not change it."""
    return make_once("quick", lambda folder: str(make_quick(folder)))[0]


@pytest.fixture(scope="session")
def ran(make_once: Callable[..., tuple[pathlib.Path, str]], quick: pathlib.Path) -> pathlib.Path:
    """Such a project after `dvc repro`; tests must not change it."""
    return make_once("quick that ran", lambda folder: dvc(copy(quick, folder), "repro"))[0]
