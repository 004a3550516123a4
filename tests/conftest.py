"""Fixtures that several test files use."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from small import SIZE, WIDTH, plain_head, scatter, write_photos

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
