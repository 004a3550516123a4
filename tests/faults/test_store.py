"""A store, or the state of a training, that is damaged, shared with others, or at a place where none can be.

A run can do without both: what cannot be used is said in a line, and made again where that is possible.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from disks import ANOTHER, as_another_user
from thaw.base.errors import InputError
from thaw.base.sections import Compute
from thaw.networks import unfreezing
from thaw.networks.classifiers import Network
from thaw.store import entries, filling, place
from thaw.store.eviction import make_room
from thaw.store.filling import open_part
from thaw.store.locks import lock, try_lock
from thaw.store.prefixes import Images, Prefix
from thaw.training.resuming import Unfinished

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

TRAIN = Images("data/records", "train")


class Opened(NamedTuple):
    """A prefix whose activations are in the store, its entry, and a copy of them."""

    prefix: Prefix
    entry: pathlib.Path
    values: np.ndarray


@pytest.fixture
def opened(project: pathlib.Path, small_networks: dict[str, Network], threads: Compute) -> Opened:
    network = small_networks["MobileNet"]
    cut = unfreezing.find_cut(network.backbone, unfreezing.find_open_layers(network.backbone, "MobileNet", None))
    prefix = Prefix(network, cut, "MobileNet", threads)
    source = open_part(prefix, TRAIN)
    assert source is not None
    values = np.array(source.inputs)
    source.hold.close()
    store = place.find_store()
    assert store is not None
    return Opened(prefix, entries.find_entry(store, prefix, TRAIN), values)


def replace(path: pathlib.Path, content: bytes | None = None) -> None:
    """Put a file with `content`, or an empty folder, in the place of what is at `path`."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)


def change(path: pathlib.Path, place: int) -> None:
    """Flip a bit of the byte at `place` of the file at `path`."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


# Entries

DAMAGES: dict[str, Callable[[pathlib.Path], object]] = {
    "a bit of a value has changed": lambda entry: change(entry / "values.npy", -1),
    "a bit of the header of the values has changed": lambda entry: change(entry / "values.npy", 30),
    "a bit of the checksum has changed": lambda entry: change(entry / "entry.json", -4),
    "the values are cut short": lambda entry: os.truncate(entry / "values.npy", 200),
    "the values are an empty file": lambda entry: replace(entry / "values.npy", b""),
    "the values are a folder": lambda entry: replace(entry / "values.npy"),
    "the values are gone": lambda entry: (entry / "values.npy").unlink(),
    "the document is a folder": lambda entry: replace(entry / "entry.json"),
    "the document is a list": lambda entry: replace(entry / "entry.json", b"[1]"),
    "the document is a number": lambda entry: replace(entry / "entry.json", b"1"),
    "the document is no text": lambda entry: replace(entry / "entry.json", b"\xff\xfe"),
    "the document is nested too deeply": lambda entry: replace(entry / "entry.json", b"[" * 100_000),
    "the document has no checksum": lambda entry: replace(entry / "entry.json", b"{}"),
    "the entry is an empty folder": lambda entry: replace(entry),
    "the entry is a file": lambda entry: replace(entry, b"activations"),
    "the entry is a link to nothing": lambda entry: (shutil.rmtree(entry), entry.symlink_to("nothing")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_computed_again(
    damage: Callable[[pathlib.Path], object], opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(opened.entry)
    again = open_part(opened.prefix, TRAIN)
    assert again is not None
    np.testing.assert_array_equal(again.inputs, opened.values)
    assert f"{opened.entry} is damaged and will be computed again" in capsys.readouterr().err
    assert entries.is_whole(opened.entry)


LOCKS: dict[str, Callable[[pathlib.Path], object]] = {
    "the folder of locks is a file": lambda locks: replace(locks, b""),
    "the folder of locks is gone": shutil.rmtree,
    "a lock is a folder": lambda locks: [replace(file) for file in list(locks.iterdir())],
}


@pytest.mark.parametrize("damage", LOCKS.values(), ids=LOCKS)
def test_an_entry_is_used_where_it_cannot_be_locked(
    damage: Callable[[pathlib.Path], object], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(opened.entry.parent / ".locks")
    monkeypatch.setattr(filling, "_fill", lambda *_: pytest.fail("computed again"))
    again = open_part(opened.prefix, TRAIN)
    assert again is not None
    np.testing.assert_array_equal(again.inputs, opened.values)


# A store of another user


@contextlib.contextmanager
def share(store: pathlib.Path, mode: int) -> Iterator[None]:
    """Be another user, whose the records are and who may do in the store what `mode` allows."""
    store.chmod(mode)
    with as_another_user(store):
        yield


def test_entries_of_another_user_are_read_in_a_store_that_all_may_write(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock files and the folder that they lie in may only be read, and no date be set."""
    (opened.entry.parent / ".locks").chmod(0o755)
    used = (opened.entry / "entry.json").stat().st_mtime_ns
    monkeypatch.setattr(filling, "_fill", lambda *_: pytest.fail("computed again"))
    with share(opened.entry.parent, 0o777):
        again = open_part(opened.prefix, TRAIN)
    assert again is not None
    np.testing.assert_array_equal(again.inputs, opened.values)
    assert (opened.entry / "entry.json").stat().st_mtime_ns == used


def test_an_entry_that_another_user_reads_is_in_use(opened: Opened) -> None:
    """Its lock file may only be read, and is locked all the same."""
    with share(opened.entry.parent, 0o777):
        held = lock(opened.entry, "used", fcntl.LOCK_SH)
    assert try_lock(opened.entry, "used") is None
    held.close()
    assert try_lock(opened.entry, "used") is not None


def test_a_user_makes_entries_in_a_store_that_another_began(opened: Opened) -> None:
    """The folder of locks is as open as the store."""
    store = opened.entry.parent.with_name("shared")
    store.mkdir()
    store.chmod(0o777)
    lock(store / "a", "used", fcntl.LOCK_SH).close()
    with share(store, 0o777):
        lock(store / "b", "used", fcntl.LOCK_SH).close()
    assert {file.stat().st_uid for file in (store / ".locks").iterdir()} == {0, ANOTHER}


def test_an_entry_of_another_user_that_may_not_be_read_is_no_damage(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    (opened.entry / "entry.json").chmod(0o600)
    with share(opened.entry.parent, 0o777):
        assert open_part(opened.prefix, TRAIN) is None
    told = capsys.readouterr().err
    assert f"activations: {opened.entry}/entry.json: Permission denied; nothing is stored" in told
    assert "damaged" not in told


def test_entries_of_another_user_make_no_room(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    size = opened.values.nbytes
    monkeypatch.setenv("THAW_STORE_GIB", str(1.5 * size / 2**30))
    with share(opened.entry.parent, 0o777):
        assert make_room(opened.entry.with_name("b"), size) is None
    assert make_room(opened.entry.with_name("b"), size) is not None
    assert not opened.entry.exists()


def test_a_state_of_another_user_that_cannot_be_replaced_ends_no_training(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variable, unfinished = keras.Variable([1.0]), Unfinished(tmp_path / "unfinished", "a")
    unfinished.keep([variable], [{"epoch": 1}])
    (tmp_path / "unfinished").chmod(0o755)
    with as_another_user(tmp_path / "unfinished"):
        assert unfinished.resume([variable]) == [{"epoch": 1}]
        unfinished.keep([variable], [{"epoch": 1}, {"epoch": 2}])
        unfinished.discard()
    assert f"{unfinished.path}: Permission denied; the training goes on" in capsys.readouterr().err
    assert unfinished.resume([variable]) == [{"epoch": 1}]


# States of trainings


def write_state(path: pathlib.Path, **arrays: Any) -> None:
    """Write a state that is whole, of arrays as they are given."""
    from thaw.training import resuming

    arrays = {name: np.array(array) for name, array in arrays.items()}
    np.savez(path, **arrays, sha256=np.array(resuming._digest_state(path, arrays)))


ROWS = json.dumps([{"epoch": 1}])
STATES: dict[str, Callable[[pathlib.Path], object]] = {
    "a folder": lambda path: replace(path),
    "an empty file": lambda path: replace(path, b""),
    "a text": lambda path: replace(path, b"epoch,loss\n1,0.5\n"),
    "cut short": lambda path: os.truncate(path, 300),
    "an array of numpy": lambda path: np.save(path.open("wb"), np.ones(2)),
    "a pickle": lambda path: np.save(path.open("wb"), np.array([{}], object), allow_pickle=True),
    "without a digest": lambda path: np.savez(path, **{"0": np.float32([7, 8]), "epochs": ROWS}),
    "that of another training": lambda path: (
        path.rename(path.with_name("b.npz")),
        write_state(path.with_name("b.npz"), **{"0": np.float32([7, 8]), "epochs": ROWS}),
        path.with_name("b.npz").rename(path),
    ),
    "of a number that stands for all": lambda path: write_state(path, **{"0": np.float32([7]), "epochs": ROWS}),
    "of another shape": lambda path: write_state(path, **{"0": np.float32([[7, 8]]), "epochs": ROWS}),
    "of another type": lambda path: write_state(path, **{"0": np.float64([7, 8]), "epochs": ROWS}),
    "of fewer variables": lambda path: write_state(path, epochs=ROWS),
    "of more variables": lambda path: write_state(
        path, **{"0": np.float32([7, 8]), "1": np.float32([7, 8]), "epochs": ROWS}
    ),
    "without rows": lambda path: write_state(path, **{"0": np.float32([7, 8])}),
    "whose rows are no JSON": lambda path: write_state(path, **{"0": np.float32([7, 8]), "epochs": "[{"}),
    "whose rows are a number": lambda path: write_state(path, **{"0": np.float32([7, 8]), "epochs": "7"}),
    "whose rows are numbers": lambda path: write_state(path, **{"0": np.float32([7, 8]), "epochs": "[7]"}),
    "whose rows lack an epoch": lambda path: write_state(
        path, **{"0": np.float32([7, 8]), "epochs": json.dumps([{"epoch": 2}])}
    ),
}


@pytest.mark.parametrize("damage", STATES.values(), ids=STATES)
def test_a_state_that_is_another_thing_starts_the_training_anew_and_is_replaced(
    damage: Callable[[pathlib.Path], object], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is in the variables."""
    variable, unfinished = keras.Variable([1.0, 2.0]), Unfinished(tmp_path, "a")
    assert unfinished.path is not None
    unfinished.keep([variable], [{"epoch": 1}])
    damage(unfinished.path)
    assert unfinished.resume([variable]) == []
    np.testing.assert_array_equal(variable, [1, 2])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{unfinished.path}: cannot be read") and line.endswith("starts at its first epoch")
    unfinished.keep([variable], [{"epoch": 1}])
    assert unfinished.resume([variable]) == [{"epoch": 1}]


def test_where_no_state_can_be_the_training_starts_and_goes_on(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unfinished").write_text("")
    variable, unfinished = keras.Variable([1.0]), Unfinished(tmp_path / "unfinished", "a")
    assert unfinished.resume([variable]) == []
    unfinished.keep([variable], [{"epoch": 1}])
    unfinished.discard()
    assert f"{tmp_path}/unfinished: Not a directory; the training goes on" in capsys.readouterr().err


# Where the store lies

PLACES: dict[str, tuple[str, str]] = {
    "a file is no store": ("file", "file: File exists"),
    "below a file is no store": ("file/store", "file/store: Not a directory"),
    "a name may be too long": ("a" * 300, f"{'a' * 300}: File name too long"),
    "a device is no store": ("/dev/null", "/dev/null: File exists"),
}


@pytest.mark.parametrize("named, reason", PLACES.values(), ids=PLACES)
def test_a_place_where_no_store_can_be_is_one_clear_line(
    named: str, reason: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THAW_STORE", named)
    with pytest.raises(InputError) as raised:
        place.make_store()
    assert str(raised.value) == f"THAW_STORE: must be a folder that can be written (got {reason})"


def test_a_store_at_the_home_of_nobody_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_STORE", "~no-such-user/store")
    with pytest.raises(InputError, match="^THAW_STORE: must be .* a user that exists .got ~no-such-user/store.$"):
        place.find_store()


@pytest.mark.parametrize(
    "named, expected",
    [("~/st", "HOME/st"), ("~", "HOME"), ("st", "st"), ("none", None), ("", ".thaw/activations")],
)
def test_a_store_is_where_the_variable_says(
    named: str, expected: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("THAW_STORE", named)
    assert place.find_store() == (expected and pathlib.Path(expected.replace("HOME", str(tmp_path))))


def test_a_store_in_a_folder_of_another_user_is_one_clear_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_STORE", str(tmp_path / "store"))
    with as_another_user(tmp_path), pytest.raises(InputError, match="^THAW_STORE: must be .*: Permission denied.$"):
        place.make_store()


def test_a_disk_without_room_for_a_store_ends_no_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_up(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("THAW_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(pathlib.Path, "mkdir", fill_up)
    assert place.make_store() is None and place.find_unfinished() is None
    assert f"{tmp_path}/store cannot be made (No space left on device); nothing is stored" in capsys.readouterr().err
