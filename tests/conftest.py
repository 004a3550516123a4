"""Fixtures that several test files use."""

import fcntl
import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from small import SIZE, WIDTH, plain_head, scatter, write_photos
from tensorflow.python.framework.config import disable_op_determinism
from tiny import dvc, git, make_project

from thaw import backbones, compute, networks, records


@pytest.fixture(scope="session")
def small_networks():
    """Each architecture as a classifier of three classes, small and at random; tests must not change weights."""
    found = {name: networks.build_classifier(name, WIDTH, SIZE, plain_head(), 3) for name in backbones.ARCHITECTURES}
    for network in found.values():
        scatter(network.model)
    return found


@pytest.fixture(scope="session")
def small_backbones(small_networks):
    """The backbones of those; tests must not change weights."""
    return {name: network.backbone for name, network in small_networks.items()}


@pytest.fixture
def small_network():
    """A fresh MobileNet classifier of three classes at small width, BatchNorm statistics and all weights at random."""
    network = networks.build_classifier("MobileNet", WIDTH, SIZE, plain_head(), 3)
    scatter(network.model)
    return network


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project folder as the working directory, with records of 24 photos of three classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_STORE", raising=False)
    rows = write_photos(tmp_path / "photos", 24, 3)
    records.write_records(rows, "photos", records.Image(size=SIZE, shards=2), "data/records")
    return tmp_path


@pytest.fixture
def threads():
    """The parameters of section `compute`."""
    return compute.Compute(threads=2, onednn_isa="AVX2")


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """The function that has `make(folder)` fill the folder `name`, once for all test processes.

    It returns the folder, and what `make` returned (text).
    """

    def make_folder(name, make):
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
def finished(make_once):
    """(folder, what `dvc repro` printed) of a tiny table that ran once and was committed; tests must not change it.

    Its path has a space in it.
    """

    def make(folder):
        output = dvc(make_project(folder), "repro")
        (folder / ".gitignore").open("a").write("__pycache__/\n.thaw/\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "First run")
        return output

    return make_once("a project", make)


@pytest.fixture
def workspace(finished, tmp_path):
    """A copy of the finished table's project, cache and all, for one test to change."""
    folder = tmp_path / "a project"
    shutil.copytree(finished[0], folder, symlinks=True)
    return folder


@pytest.fixture
def forget_determinism():
    """Let the tests that follow in this process read ahead again; TensorFlow has no public way back."""
    yield
    disable_op_determinism()
