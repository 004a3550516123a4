"""The store of prefix activations: right values, computed once, never stale."""

import shutil

import numpy as np
import pytest
from small import SIZE

from thaw import activations, backbones, networks, records, unfreezing
from thaw.params import InputError
from thaw.unfreezing import Unfreeze

DESCRIPTION = {"backbone": {"architecture": "MobileNet"}, "size": SIZE}


def take_apart(network, **ask):
    opened = unfreezing.find_open_layers(network.backbone, "MobileNet", Unfreeze(**ask) if ask else None)
    return networks.take_apart(network, unfreezing.find_cut(network.backbone, opened), "inference")


def open_train(parts, threads):
    return activations.open_parts(parts, DESCRIPTION, "data/records", ["train"], threads)[0]


@pytest.fixture
def forbid_filling(monkeypatch):
    def forbid():
        monkeypatch.setattr(activations, "_fill", lambda *_: pytest.fail("computed again"))

    return forbid


@pytest.mark.parametrize("ask", [{}, {"blocks": 3}])
def test_the_store_holds_what_the_prefix_makes_of_each_image(ask, project, small_network, threads):
    parts = take_apart(small_network, **ask)
    source = open_train(parts, threads)
    images = np.concatenate([images for images, _ in records.read_batches("data/records", "train", 32)])
    np.testing.assert_allclose(source.inputs, parts.prefix(images, training=False), atol=1e-5)


def test_a_second_opening_computes_nothing(project, small_network, threads, forbid_filling):
    first = open_train(take_apart(small_network), threads)
    forbid_filling()
    np.testing.assert_array_equal(open_train(take_apart(small_network), threads).inputs, first.inputs)


def test_training_the_tail_leaves_the_entry_valid(project, small_network, threads, forbid_filling):
    open_train(take_apart(small_network, blocks=2), threads)
    forbid_filling()
    kernel = small_network.backbone.get_layer("conv_pw_13").weights[0]
    kernel.assign(kernel + 1)
    open_train(take_apart(small_network, blocks=2), threads)


def test_other_weights_before_the_cut_make_another_entry(project, small_network, threads):
    first = open_train(take_apart(small_network), threads).inputs.copy()
    kernel = small_network.backbone.get_layer("conv1").weights[0]
    kernel.assign(kernel + 1)
    assert (open_train(take_apart(small_network), threads).inputs != first).any()


@pytest.mark.parametrize(
    "change",
    [
        lambda monkeypatch: monkeypatch.setitem(DESCRIPTION, "size", SIZE + 1),
        lambda monkeypatch: monkeypatch.setattr(activations, "FILL_BATCH", 7),
        lambda monkeypatch: monkeypatch.setattr(activations.tf, "__version__", "0"),
        lambda monkeypatch: monkeypatch.setattr(records, "read_index", lambda _: {"digest": "another"}),
        # An edit of the preprocessing: nothing else that the key holds changes with it.
        lambda monkeypatch: monkeypatch.setattr(backbones.Preprocessing, "call", lambda self, pixels: pixels / 255),
    ],
)
def test_what_the_values_depend_on_makes_another_entry(change, project, small_network, threads, monkeypatch):
    parts = take_apart(small_network, blocks=2)
    first = activations.find_entry(parts, DESCRIPTION, "data/records", threads)
    assert activations.find_entry(parts, DESCRIPTION, "data/records", threads) == first
    change(monkeypatch)
    assert activations.find_entry(parts, DESCRIPTION, "data/records", threads) != first


def test_other_threads_make_another_entry(project, small_network, threads):
    parts, other = take_apart(small_network), threads.model_copy(update={"threads": 3})
    first = activations.find_entry(parts, DESCRIPTION, "data/records", threads)
    assert activations.find_entry(parts, DESCRIPTION, "data/records", other) != first


def test_batches_come_in_an_order_that_follows_from_the_seed(project, small_network, threads):
    source = open_train(take_apart(small_network), threads)

    def read(order):
        return np.concatenate([inputs for inputs, _ in source.read_batches(5, order)])

    np.testing.assert_array_equal(read(None), source.inputs)
    np.testing.assert_array_equal(read(1), read(1))
    assert (read(1) != read(2)).any()
    np.testing.assert_array_equal(np.sort(read(1), axis=0), np.sort(source.inputs, axis=0))


def test_labels_stay_with_their_activations(project, small_network, threads):
    source = open_train(take_apart(small_network), threads)
    found = {inputs.numpy().tobytes(): int(label) for batch in source.read_batches(5, 7) for inputs, label in zip(*batch)}
    assert found == {inputs.tobytes(): int(label) for inputs, label in zip(source.inputs, source.labels)}


def test_a_disk_without_room_is_named_before_the_work(project, small_network, threads, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(InputError, match="THAW_STORE"):
        open_train(take_apart(small_network), threads)


def test_nothing_frozen_reads_the_records(project, small_network, threads):
    source = open_train(take_apart(small_network, all=True), threads)
    images, _ = next(iter(source.read_batches(5)))
    expected, _ = next(iter(records.read_batches("data/records", "train", 5)))
    np.testing.assert_array_equal(images, expected)
