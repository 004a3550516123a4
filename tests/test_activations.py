"""The store of prefix activations: right values, computed once, never stale, never too large."""

import errno
import os
import pathlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from small import MOBILENET_FIRST, assert_close
from thaw.architectures.table import ARCHITECTURES
from thaw.base.errors import InputError
from thaw.base.files import publish
from thaw.base.sections import Compute
from thaw.networks import backbones, plan, unfreezing
from thaw.networks.classifiers import Network
from thaw.networks.plan import Opening, plan_run
from thaw.networks.sections import Unfreeze
from thaw.records import reading, views
from thaw.store import entries, eviction, filling, locks, place, prefixes, sources
from thaw.store.filling import open_part
from thaw.store.opening import Asked, open_run
from thaw.store.prefixes import Images, Prefix
from thaw.store.sources import Pixels

TRAIN = Images("data/records", "train")
GIB = 2**30


def find_cut(network: Network, architecture: str = "MobileNet", **ask: Any) -> Any:
    opened = unfreezing.find_open_layers(network.backbone, architecture, Unfreeze(**ask) if ask else None)
    return unfreezing.find_cut(network.backbone, opened)


def make_prefix(network: Network, compute: Compute, architecture: str = "MobileNet", **ask: Any) -> Prefix:
    return Prefix(network, find_cut(network, architecture, **ask), architecture, compute)


def make_view(number: int) -> Any:
    """Return the train part in a view that shows a little more for each number."""
    return TRAIN._replace(view=np.tile(np.float32([0, 0, 0.5 + number / 10, 1]), (12, 1)))


def read_pixels(part: str = "train") -> np.ndarray:
    return np.concatenate([images for images, _ in reading.read_batches("data/records", part, 32)])


def list_entries() -> Any:
    """Return the names of all that lies in the store, entries and leftovers."""
    store = place.find_store()
    return sorted(path.name for path in store.iterdir() if path.name != ".locks") if store.exists() else []


def find_entry(prefix: Any, images: Any) -> Any:
    return entries.find_entry(place.find_store(), prefix, images)


def make_plan(network: Network, stored: bool = True, **ask: Any) -> Any:
    """Return the plan of a run that unfreezes what is asked, stored or not whatever pays."""
    return plan_run(network, "MobileNet", make_opening(**ask))._replace(stored=stored)


def make_opening(passes: int = 2, **ask: Any) -> Any:
    return Opening(Unfreeze(**ask) if ask else None, "inference", passes)


@pytest.fixture
def network(small_networks: dict[str, Network]) -> Any:
    """A MobileNet that is not to be changed."""
    return small_networks["MobileNet"]


@pytest.fixture
def forbid_filling(monkeypatch: pytest.MonkeyPatch) -> Any:
    def forbid() -> None:
        monkeypatch.setattr(filling, "_fill", lambda *_: pytest.fail("computed again"))

    return forbid


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A list that grows by one with each pass over images."""
    found, read = [], reading.read_batches

    def count(*arguments: Any, **options: Any) -> Any:
        found.append(arguments)
        return read(*arguments, **options)

    monkeypatch.setattr(reading, "read_batches", count)
    return found


@pytest.fixture
def everything_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """At this size next to nothing is worth storing; here all is that more than one epoch reads."""

    def decide(network: Network, cut: Any, epochs: int) -> bool:
        return epochs > 1 and cut is not network.backbone.operations[0]

    monkeypatch.setattr(plan, "is_worth_storing", decide)


# What an entry holds


@pytest.mark.parametrize("ask", [{}, {"blocks": 3}])
def test_the_store_holds_what_the_prefix_makes_of_each_image(
    ask: dict[str, Any], project: pathlib.Path, network: Network, threads: Compute
) -> None:
    prefix = make_prefix(network, threads, **ask)
    source = open_part(prefix, TRAIN)
    assert_close(source.inputs, prefix.model(read_pixels(), training=False))


def test_a_pass_over_the_images_tells_how_far_it_is(
    project: pathlib.Path, network: Network, threads: Compute, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = make_prefix(network, threads)
    open_part(prefix, TRAIN)
    assert f"activations at {prefix.cut}; train: 1 batches in" in capsys.readouterr().err


def test_a_second_opening_computes_nothing(
    project: pathlib.Path, network: Network, threads: Compute, forbid_filling: Any
) -> None:
    first = open_part(make_prefix(network, threads), TRAIN)
    forbid_filling()
    again = open_part(make_prefix(network, threads), TRAIN)
    np.testing.assert_array_equal(again.inputs, first.inputs)


@pytest.mark.parametrize("architecture", MOBILENET_FIRST)
def test_one_pass_fills_every_cut_asked_as_each_alone(
    architecture: str,
    project: pathlib.Path,
    small_networks: dict[str, Network],
    threads: Compute,
    passes: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, blocks = small_networks[architecture], ARCHITECTURES[architecture].blocks
    asks = [
        {},
        {"blocks": 1},
        {"blocks": blocks // 2},
        {"layers": 5},
    ]  # the last one inside a block where no residual crosses
    made = [make_prefix(network, threads, architecture, **ask) for ask in asks]
    assert len({prefix.cut for prefix in made[:3]}) == 3
    together = [open_part(prefix, TRAIN, lambda: made).inputs for prefix in made]
    assert len(passes) == 1
    monkeypatch.setenv("THAW_STORE", "alone")
    for prefix, values in zip(made, together, strict=True):
        assert open_part(prefix, TRAIN).inputs.tobytes() == values.tobytes()


# When an entry is another one


def test_training_the_tail_leaves_the_entry_valid(
    project: pathlib.Path, small_network: Network, threads: Compute, forbid_filling: Any
) -> None:
    open_part(make_prefix(small_network, threads, blocks=2), TRAIN)
    forbid_filling()
    kernel = small_network.backbone.get_layer("conv_pw_13").weights[0]
    kernel.assign(kernel + 1)
    open_part(make_prefix(small_network, threads, blocks=2), TRAIN)


def test_other_weights_before_the_cut_make_another_entry(
    project: pathlib.Path, small_network: Network, threads: Compute
) -> None:
    first = open_part(make_prefix(small_network, threads), TRAIN).inputs.copy()
    kernel = small_network.backbone.get_layer("conv1").weights[0]
    kernel.assign(kernel + 1)
    assert (open_part(make_prefix(small_network, threads), TRAIN).inputs != first).any()


@pytest.mark.parametrize(
    "change",
    [
        lambda monkeypatch: monkeypatch.setattr(prefixes, "FILL_BATCH", 7),
        lambda monkeypatch: monkeypatch.setattr(prefixes.tf, "__version__", "0"),
        lambda monkeypatch: monkeypatch.setattr(prefixes.keras, "__version__", "0"),
        lambda monkeypatch: monkeypatch.setattr(reading, "read_index", lambda _: {"digest": "another"}),
        # An edit of the preprocessing: nothing else that the key holds changes with it.
        lambda monkeypatch: monkeypatch.setattr(backbones.Preprocessing, "call", lambda self, pixels: pixels / 255),
    ],
)
def test_what_the_values_depend_on_makes_another_entry(
    change: Callable[..., Any],
    project: pathlib.Path,
    network: Network,
    threads: Compute,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find() -> Any:
        return find_entry(make_prefix(network, threads, blocks=2), TRAIN)

    first = find()
    assert find() == first
    change(monkeypatch)
    assert find() != first


def test_an_edit_of_how_views_are_shown_makes_another_entry_of_a_view_alone(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(images: Any) -> Any:
        return find_entry(make_prefix(network, threads), images)

    whole, view = find(TRAIN), find(make_view(1))
    show = views.show
    monkeypatch.setattr(views, "show", lambda images, view: show(images, view) + 1)
    assert find(TRAIN) == whole and find(make_view(1)) != view


@pytest.mark.parametrize("change", [{"threads": 3}, {"onednn_isa": "AVX"}])
def test_other_arithmetic_makes_another_entry(
    change: dict[str, Any], project: pathlib.Path, network: Network, threads: Compute
) -> None:
    first = find_entry(make_prefix(network, threads), TRAIN)
    other = make_prefix(network, threads.model_copy(update=change))
    assert find_entry(other, TRAIN) != first


def test_cuts_parts_and_views_have_entries_of_their_own(
    project: pathlib.Path, network: Network, threads: Compute
) -> None:
    whole, cut = make_prefix(network, threads), make_prefix(network, threads, blocks=2)
    images = [TRAIN, TRAIN._replace(part="test"), make_view(1), make_view(2)]
    found = {find_entry(whole, each) for each in images} | {find_entry(cut, TRAIN)}
    assert len(found) == 5


def test_an_entry_of_a_view_holds_what_the_prefix_makes_of_the_view(
    project: pathlib.Path, network: Network, threads: Compute
) -> None:
    """The view is the left half of each photo, mirrored."""
    prefix, view = make_prefix(network, threads), np.tile(np.float32([0, 0.5, 1, 0]), (12, 1))
    source = open_part(prefix, TRAIN._replace(view=view))
    shown = np.concatenate([images for images, _ in reading.read_batches("data/records", "train", 32, view=view)])
    assert_close(source.inputs, prefix.model(shown, training=False))


# What is read from it


@pytest.fixture(params=["in memory", "from the disk"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which a source holds its values: small ones in memory."""
    if request.param == "from the disk":
        monkeypatch.setattr(sources, "IN_MEMORY", 0)


def test_batches_come_in_an_order_that_follows_from_the_seed(
    held: None, project: pathlib.Path, network: Network, threads: Compute
) -> None:
    source = open_part(make_prefix(network, threads), TRAIN)

    def read(order: int | None) -> np.ndarray:
        return np.concatenate([inputs for inputs, _ in source.read_batches(5, order)])

    np.testing.assert_array_equal(read(None), source.inputs)
    np.testing.assert_array_equal(read(1), read(1))
    assert (read(1) != read(2)).any()
    np.testing.assert_array_equal(np.sort(read(1), axis=0), np.sort(source.inputs, axis=0))


def test_labels_stay_with_their_activations(
    held: None, project: pathlib.Path, network: Network, threads: Compute
) -> None:
    source = open_part(make_prefix(network, threads), TRAIN)
    found = {
        inputs.numpy().tobytes(): int(label)
        for batch in source.read_batches(5, 7)
        for inputs, label in zip(*batch, strict=False)
    }
    assert found == {inputs.tobytes(): int(label) for inputs, label in zip(source.inputs, source.labels, strict=False)}
    np.testing.assert_array_equal(source.labels, reading.read_labels("data/records", "train")[0])


def test_no_pipeline_is_tuned_while_it_runs(
    held: None, project: pathlib.Path, network: Network, threads: Compute
) -> None:
    """Or the end of an epoch may wait for the thread that tunes; see thaw.base.determinism.UNTUNED."""
    source = open_part(make_prefix(network, threads), TRAIN)
    for order in (None, 1):
        for held_or_read in (source, Pixels(*TRAIN)):
            assert held_or_read.read_batches(5, order).options().autotune.enabled is False


def test_the_next_batch_is_read_while_one_is_in_use(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch, forget_determinism: None
) -> None:
    """Or training would wait for the disk in every step; with op determinism tf.data does not prefetch from Python."""
    tf.config.experimental.enable_op_determinism()
    monkeypatch.setattr(sources, "IN_MEMORY", 0)
    begun, read = [threading.Event() for _ in range(2)], sources.read_rows

    def note(*rows: Any) -> Any:
        next(event for event in begun if not event.is_set()).set()
        return read(*rows)

    monkeypatch.setattr(sources, "read_rows", note)
    source = open_part(make_prefix(network, threads), TRAIN)
    batches = iter(source.read_batches(len(source.labels) // 2, 1))
    next(batches)
    assert begun[1].wait(60)


@pytest.mark.parametrize("shape", [(9, 3), (9, 7, 5, 300)])
def test_rows_of_a_file_are_those_of_its_memory_map(shape: tuple[Any, ...], tmp_path: pathlib.Path) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.save(tmp_path / "values.npy", values)
    mapped, rows = np.load(tmp_path / "values.npy", mmap_mode="r"), np.array([8, 0, 3, 3])
    np.testing.assert_array_equal(sources.read_rows(mapped, rows), values[rows])
    assert sources.read_rows(mapped, rows[:0]).shape == (0, *shape[1:])


def test_rows_of_a_deleted_file_are_still_read(tmp_path: pathlib.Path) -> None:
    """The store may be deleted at any time."""
    values = np.arange(27_000, dtype=np.float32).reshape(9, 3000)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    (tmp_path / "values.npy").unlink()
    np.testing.assert_array_equal(sources.read_rows(mapped, np.array([8, 0])), values[[8, 0]])


def test_rows_of_a_map_without_a_named_file_are_read(tmp_path: pathlib.Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        mapped = np.memmap(file, np.uint8, "w+", shape=(9, 3000))
    mapped[4] = 7
    np.testing.assert_array_equal(sources.read_rows(mapped, np.array([4, 0])), [[7] * 3000, [0] * 3000])


def test_rows_of_a_file_that_was_cut_off_are_an_error(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "values.npy", np.zeros((9, 3000), np.float32))
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    os.truncate(tmp_path / "values.npy", 5 * 12_000)
    with pytest.raises(OSError, match="values.npy: shorter than it was"):
        sources.read_rows(mapped, np.array([0, 8]))


@pytest.mark.parametrize("order", [None, 1, 2])
def test_the_store_and_the_records_give_the_photos_in_the_same_order(
    order: int | None, held: None, project: pathlib.Path, network: Network, threads: Compute
) -> None:
    """Or a run from the store would be another than the one it stands for."""
    prefix = make_prefix(network, threads)
    stored = open_part(prefix, TRAIN).read_batches(5, order)
    plain = Pixels(*TRAIN).read_batches(5, order)
    for (inputs, labels), (images, of_images) in zip(stored, plain, strict=True):
        assert_close(inputs, prefix.model(images, training=False))
        np.testing.assert_array_equal(labels, of_images)


# Damage, kills and company


def truncate(entry: Any) -> None:
    with open(entry / "values.npy", "r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 100)


def flip_a_byte(entry: Any) -> None:
    content = bytearray((entry / "values.npy").read_bytes())
    content[-50] ^= 1
    (entry / "values.npy").write_bytes(content)


DAMAGES = [
    truncate,
    flip_a_byte,
    lambda entry: (entry / "values.npy").unlink(),
    lambda entry: (entry / "entry.json").unlink(),
    lambda entry: (entry / "entry.json").write_text('{"cut": "pool'),
    lambda entry: (entry / "entry.json").write_text("{}"),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["truncated", "flipped", "valueless", "nameless", "garbled", "empty"])
def test_a_damaged_entry_is_computed_again(
    damage: Any, project: pathlib.Path, network: Network, threads: Compute, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = make_prefix(network, threads)
    first = open_part(prefix, TRAIN).inputs.copy()
    damage(find_entry(prefix, TRAIN))
    again = open_part(make_prefix(network, threads), TRAIN)
    assert again.inputs.tobytes() == first.tobytes()
    assert "is damaged and will be computed again" in capsys.readouterr().err


def test_a_fill_that_is_stopped_leaves_nothing(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reading.read_batches

    def stop(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield next(iter(read(*arguments, **options)))
        raise KeyboardInterrupt

    prefix = make_prefix(network, threads)
    with monkeypatch.context() as patch:
        patch.setattr(prefixes, "FILL_BATCH", 5)
        patch.setattr(reading, "read_batches", stop)
        with pytest.raises(KeyboardInterrupt):
            open_part(prefix, TRAIN, lambda: [make_prefix(network, threads, blocks=2)])
    assert list_entries() == []


def test_two_that_ask_at_once_compute_once(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first computes, and waits for it."""
    prefixes = [make_prefix(network, threads) for _ in range(2)]
    assert find_entry(prefixes[0], TRAIN) == find_entry(prefixes[1], TRAIN)
    fill, fills, found, waits = filling._fill, [], [], threading.Event()
    second = threading.Thread(target=lambda: found.append(open_part(prefixes[1], TRAIN)))

    def count(*arguments: Any) -> Any:
        fills.append(arguments)
        if len(fills) == 1:
            second.start()
            waits.wait(10)
        return fill(*arguments)

    def listen(text: str) -> None:
        if "waiting for another run" in text:
            waits.set()

    monkeypatch.setattr(filling, "_fill", count)
    monkeypatch.setattr(locks, "say", listen)
    found.append(open_part(prefixes[0], TRAIN))
    second.join()
    assert waits.is_set() and len(fills) == 1
    np.testing.assert_array_equal(found[0].inputs, found[1].inputs)


# Room


@pytest.fixture
def fill_room(project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that opens a numbered view in a store with room for two; it returns (source, entry)."""
    prefix = make_prefix(network, threads)
    monkeypatch.setenv("THAW_STORE_GIB", str(2.5 * 12 * prefix.bytes_per_image / GIB))

    def fill(number: int) -> Any:
        return open_part(prefix, make_view(number)), find_entry(prefix, make_view(number))

    return fill


def test_what_was_used_least_recently_makes_room(fill_room: Any) -> None:
    (one, of_one), (two, of_two) = fill_room(1), fill_room(2)
    one.hold.close()
    two.hold.close()
    fill_room(1)[0].hold.close()
    _, of_three = fill_room(3)
    assert of_one.exists() and of_three.exists() and not of_two.exists()


def test_nothing_is_evicted_for_what_would_not_fit_anyway(fill_room: Any) -> None:
    """One of the two entries is in use: without it a whole entry fits, but none twice the size."""
    (one, of_one), (two, of_two) = fill_room(1), fill_room(2)
    two.hold.close()
    assert not eviction.make_room(of_one.with_name("a"), 2 * one.inputs.nbytes)
    assert of_one.exists() and of_two.exists()


def test_what_a_killed_run_left_half_written_is_removed_and_what_is_being_written_stays(fill_room: Any) -> None:
    """At once: it takes room that the same run, begun again, needs."""
    store = place.find_store()
    left = store / ".publishing-left"
    (left / "a").mkdir(parents=True)
    with publish(store / "b") as made:
        made.mkdir()
        (written,) = set(store.glob(".publishing-*"))
        assert not left.exists()
        (left / "a").mkdir(parents=True)
        assert fill_room(1)[0]
        assert list(store.glob(".publishing-*")) == [written]


def test_what_is_in_use_stays(fill_room: Any) -> None:
    (one, of_one), (two, of_two) = fill_room(1), fill_room(2)
    two.hold.close()
    _, of_three = fill_room(3)
    assert of_one.exists() and of_three.exists() and not of_two.exists()
    assert one.inputs.shape == (12, 128)


def test_the_cap_holds(fill_room: Any) -> None:
    for number in range(1, 5):
        fill_room(number)[0].hold.close()
        sizes = [path.stat().st_size for path in place.find_store().rglob("values.npy")]
        assert sum(sizes) <= float(os.environ["THAW_STORE_GIB"]) * GIB
    assert len(list_entries()) == 2


def test_what_is_being_written_counts_as_taken(fill_room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the first view's pass another run asks for two more, of which only one fits."""
    read, found = reading.read_batches, []

    def ask_for_more(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(reading, "read_batches", read)
        found.extend(fill_room(number)[0] for number in (2, 3))
        return read(*arguments, **options)

    monkeypatch.setattr(reading, "read_batches", ask_for_more)
    first, _ = fill_room(1)
    assert [source is None for source in (first, *found)] == [False, False, True]


def test_states_of_trainings_count_as_taken(fill_room: Any) -> None:
    (one, _), unfinished = fill_room(1), place.find_unfinished()
    unfinished.mkdir()
    (unfinished / "state.npz").write_bytes(bytes(one.inputs.nbytes))
    assert fill_room(2)[0] is None


def test_an_entry_is_not_computed_again_that_another_run_has_just_finished(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when it was looked for, and is there once its lock is free."""
    prefix, other = make_prefix(network, threads), make_prefix(network, threads, blocks=2)
    try_lock, entry = filling.try_lock, find_entry(other, TRAIN)
    written = []

    def finish_first(wanted: Any, purpose: Any) -> Any:
        if wanted == entry and not written:
            written.append(wanted)
            (entry / "mark").mkdir(parents=True)
        return try_lock(wanted, purpose)

    monkeypatch.setattr(filling, "try_lock", finish_first)
    open_part(prefix, TRAIN, lambda: [other])
    assert written and (entry / "mark").exists()


def test_of_an_eviction_that_is_killed_nothing_stays_for_good(fill_room: Any) -> None:
    fill_room(1)[0].hold.close()
    fill_room(2)[0].hold.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        fill_room(3)[0].hold.close()
    (left,) = place.find_store().glob(".publishing-*/*/*/values.npy")
    fill_room(4)
    assert not left.exists()


def test_an_entry_that_cannot_be_evicted_stays_whole(fill_room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (one, of_one), rename = fill_room(1), pathlib.Path.rename
    one.hold.close()
    fill_room(2)[0].hold.close()

    def fail(path: pathlib.Path, target: Any) -> Any:
        if path == of_one:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", fail)
    assert fill_room(3)[0] is None
    assert entries.is_whole(of_one)


def test_a_store_that_is_deleted_while_it_is_filled_is_filled_again(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, deleted = entries.write_json, []

    def delete_first(path: pathlib.Path, document: dict[str, Any]) -> None:
        if not deleted:
            deleted.append(shutil.rmtree(place.find_store()))
        write(path, document)

    monkeypatch.setattr(entries, "write_json", delete_first)
    prefix = make_prefix(network, threads)
    source = open_part(prefix, TRAIN)
    assert deleted
    assert_close(source.inputs, prefix.model.predict(read_pixels(), verbose=0))


@pytest.mark.parametrize("cap", ["lots", "nan", "-1", "inf"])
def test_a_cap_that_is_no_size_is_one_clear_line(
    cap: str, project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_STORE_GIB", cap)
    with pytest.raises(InputError, match=f"^THAW_STORE_GIB: must be a number of GiB, 0 or more .got '{cap}'.$"):
        open_part(make_prefix(network, threads), TRAIN)


def test_others_take_no_room_from_what_is_there(fill_room: Any, network: Network, threads: Compute) -> None:
    """The store has room for two pooled entries; the second cut is larger and goes without."""
    (one, of_one), large = fill_room(1), make_prefix(network, threads, blocks=2)
    one.hold.close()
    open_part(make_prefix(network, threads), make_view(2), lambda: [large])
    assert of_one.exists() and not find_entry(large, make_view(2)).exists()


@pytest.mark.parametrize("cap", ["disk", "THAW_STORE_GIB"])
def test_a_run_without_room_takes_the_records_and_says_so(
    cap: str,
    project: pathlib.Path,
    network: Network,
    threads: Compute,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if cap == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    else:
        monkeypatch.setenv("THAW_STORE_GIB", "0")
    tail, (source,) = open_run(network, make_plan(network), [TRAIN], Asked(threads))
    assert isinstance(source, Pixels)
    assert_close(tail(read_pixels(), training=False), network.model(read_pixels(), training=False))
    assert "no room" in capsys.readouterr().err


def test_a_run_whose_disk_fills_up_takes_the_records_and_says_so(
    project: pathlib.Path,
    network: Network,
    threads: Compute,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fill_up(_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(entries, "memoryview", fill_up, raising=False)  # of what is about to be written
    _, (source,) = open_run(network, make_plan(network), [TRAIN], Asked(threads))
    assert isinstance(source, Pixels) and "no room" in capsys.readouterr().err
    assert not list(place.find_store().rglob("*.npy"))


def test_what_is_stored_is_read_where_nothing_more_has_room(
    project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch, forbid_filling: Any
) -> None:
    asked = network, make_plan(network), [TRAIN], Asked(threads)
    open_run(*asked)
    forbid_filling()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    _, (source,) = open_run(*asked)
    assert isinstance(source, sources.Source)


def test_a_run_too_large_for_the_store_makes_no_pass_in_vain(
    fill_room: Any, network: Network, threads: Compute, passes: Any
) -> None:
    """Each of the three views would fit, and two at once."""
    images = [make_view(number) for number in (1, 2, 3)]
    _, opened = open_run(network, make_plan(network), images, Asked(threads))
    assert not passes and all(isinstance(source, Pixels) for source in opened)


# Runs


@pytest.mark.parametrize("ask", [{}, {"blocks": 2}])
def test_the_tail_of_a_run_on_stored_activations_gives_what_the_network_gives(
    ask: dict[str, Any], project: pathlib.Path, network: Network, threads: Compute
) -> None:
    images = [TRAIN, Images("data/records", "test")]
    tail, opened = open_run(network, make_plan(network, **ask), images, Asked(threads))
    for source, part in zip(opened, ("train", "test"), strict=True):
        assert isinstance(source, sources.Source)
        expected = network.model(read_pixels(part), training=False)
        assert_close(tail(np.array(source.inputs), training=False), expected)


@pytest.mark.parametrize("stored", [True, False])
def test_a_run_that_is_not_to_be_stored_reads_the_records(
    stored: bool, project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stored:
        monkeypatch.setenv("THAW_STORE", "none")
    before = sorted(path.name for path in project.iterdir())
    _, opened = open_run(network, make_plan(network, stored), [TRAIN], Asked(threads))
    assert all(isinstance(source, Pixels) for source in opened)
    assert sorted(path.name for path in project.iterdir()) == before


def test_nothing_frozen_is_not_worth_storing(network: Network) -> None:
    assert not plan.is_worth_storing(network, find_cut(network, all=True), 100)


def test_pooled_features_are_worth_storing_for_many_epochs_and_not_for_one(network: Network) -> None:
    cut = find_cut(network)
    assert plan.is_worth_storing(network, cut, 100)
    assert not plan.is_worth_storing(network, cut, 1)


def test_the_cuts_asked_of_a_backbone_are_those_of_its_runs(
    network: Network, threads: Compute, everything_pays: None
) -> None:
    """Each once; not those of runs that do not pay, or of runs that freeze nothing."""
    asks = [{}, {"blocks": 2}, {"blocks": 3}, {"blocks": 3, "passes": 5}, {"blocks": 4, "passes": 1}, {"all": True}]
    found = prefixes.list_prefixes(network, "MobileNet", [make_opening(**ask) for ask in asks], threads)
    assert [prefix.cut for prefix in found] == ["pooling", "conv_pad_12", "conv_pw_10_relu"]


def test_a_trained_network_stores_nothing_behind_its_cut(
    project: pathlib.Path, network: Network, threads: Compute, everything_pays: None
) -> None:
    """There it is no longer what other runs start from."""
    others = [make_opening(), make_opening(blocks=2), make_opening(blocks=3)]
    open_run(network, make_plan(network, blocks=2), [TRAIN], Asked(threads, others, trained=True))
    expected = [find_entry(make_prefix(network, threads, blocks=n), TRAIN).name for n in (2, 3)]
    assert list_entries() == sorted(expected)


def test_a_run_for_which_storing_does_not_pay_says_so(
    network: Network, threads: Compute, project: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = make_plan(network, stored=False, blocks=12)
    _, opened = open_run(network, planned, [TRAIN], Asked(threads))
    assert isinstance(opened[0], Pixels)
    assert f"storing what lies before {planned.cut_name} would take longer" in capsys.readouterr().err


@pytest.mark.parametrize("stored", [True, False])
def test_a_store_that_is_no_folder_is_one_clear_line(
    stored: bool, project: pathlib.Path, network: Network, threads: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a run that stores nothing but its state."""
    (project / "file").write_text("")
    monkeypatch.setenv("THAW_STORE", "file")
    with pytest.raises(InputError, match="^THAW_STORE: must be a folder that can be written .got file: "):
        open_part(make_prefix(network, threads), TRAIN) if stored else place.find_unfinished()


def test_a_store_that_cannot_be_written_is_one_clear_line(
    project: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # what a user without rights would get
    with pytest.raises(InputError, match="^THAW_STORE: must be a folder .*: Permission denied.$"):
        place.find_unfinished()
