"""A training that was stopped goes on from its last finished epoch, and ends as if it had not been."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import keras
import numpy as np
import pytest

import steps
import tiny
from small import write_photos
from thaw.base.sections import Compute
from thaw.config.checking import Params
from thaw.config.loading import write_yaml
from thaw.networks import backbones, plan
from thaw.records import writing
from thaw.records.sections import Image
from thaw.store.sources import Source
from thaw.training import loop, resuming, runs
from thaw.training.resuming import Unfinished
from thaw.training.sections import BaselineRun, FinetuneRun, FrozenRun, Phase, Training
from thaw.weights import pretrained

ADAM = {"name": "adam", "learning_rate": 0.01}
HEAD = {"dense": [8], "dropout": 0.3, "batch_norm": True}
VIEWS = {"views": 2, "flip": True, "crop": 0.7, "seed": 2}
STAGES = pathlib.Path(runs.__file__).parents[3] / "stages"
EPOCHS = 40


class Stopped(Exception):
    pass


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function after which the training stops, its state kept, at the end of that epoch, once."""
    keep, stops = Unfinished.keep, []

    def keep_and_stop(unfinished: Any, variables: Any, rows: np.ndarray) -> None:
        keep(unfinished, variables, rows)
        if len(rows) in stops:
            stops.clear()
            raise Stopped

    monkeypatch.setattr(Unfinished, "keep", keep_and_stop)
    return stops.append


# Epochs alone, in this process


def fit(unfinished: Any, epochs: int = 5) -> Any:
    """Train a small network with dropout and Adam on numbers; return (weights, history)."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    generator = np.random.default_rng(4)
    source = Source(generator.normal(size=(30, 6)).astype(np.float32), np.arange(30) % 3)
    phase = Phase.model_validate({"optimizer": ADAM, "epochs": epochs})
    settings = Training(seed=1, batch_size=8)
    history = loop.fit(model, [source], source, phase, settings, unfinished)
    return model.get_weights(), history.drop(columns=["seconds", "waiting"])


def test_epochs_that_were_stopped_and_go_on_end_with_the_same_weights(tmp_path: pathlib.Path, stop_after: Any) -> None:
    stop_after(2)
    with pytest.raises(Stopped):
        fit(Unfinished(tmp_path, "a"))
    weights, history = fit(Unfinished(tmp_path, "a"))
    undisturbed, its_history = fit(Unfinished(None, None))
    for weight, expected in zip(weights, undisturbed, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert history.to_csv() == its_history.to_csv()


def test_epochs_that_are_done_are_not_trained_again(
    tmp_path: pathlib.Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(3)
    with pytest.raises(Stopped):
        fit(Unfinished(tmp_path, "a"))
    orders, read = [], Source.read_batches

    def note(source: Any, batch_size: int, order: int | None = None) -> Any:
        orders.append(order)
        return read(source, batch_size, order)

    monkeypatch.setattr(Source, "read_batches", note)
    _, history = fit(Unfinished(tmp_path, "a"))
    assert [order for order in orders if order is not None] == [100_003 + epoch for epoch in (3, 4)]
    assert list(history.epoch) == [1, 2, 3, 4, 5]


def test_without_a_folder_nothing_is_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variable = keras.Variable([1.0, 2.0])
    unfinished = Unfinished(None, "a")
    unfinished.keep([variable], [{"epoch": 1}])
    assert unfinished.resume([variable]) == []
    unfinished.discard()
    assert not list(tmp_path.iterdir())


def test_what_is_kept_comes_back(tmp_path: pathlib.Path) -> None:
    variables = [keras.Variable([1.0, 2.0]), keras.Variable(np.int32([[3, 4]]), dtype="int32")]
    Unfinished(tmp_path, "a").keep(variables, [{"epoch": 1}])
    others = [keras.Variable([0.0, 0.0]), keras.Variable(np.int32([[0, 0]]), dtype="int32")]
    assert Unfinished(tmp_path, "a").resume(others) == [{"epoch": 1}]
    for variable, other in zip(variables, others, strict=True):
        np.testing.assert_array_equal(variable.numpy(), other.numpy())


@pytest.mark.parametrize("name", ["_digest_code", "tf.__version__", "keras.__version__", "np.__version__"])
def test_a_state_is_not_taken_up_by_other_code_or_versions(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = keras.Variable([1.0])
    Unfinished(tmp_path, "a").keep([variable], [{"epoch": 1}])
    monkeypatch.setattr(f"thaw.training.resuming.{name}", "0" if "version" in name else lambda: "other code")
    assert Unfinished(tmp_path, "a").resume([variable]) == []


def test_while_a_state_is_replaced_there_always_is_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No moment in which the earlier one is gone and the next not there yet: a kill would lose all finished epochs."""
    unfinished, variable, rename, seen = Unfinished(tmp_path, "a"), keras.Variable([1.0]), pathlib.Path.rename, []

    def look(path: pathlib.Path, target: Any) -> Any:
        moved = rename(path, target)
        seen.append(Unfinished(tmp_path, "a").resume([keras.Variable([0.0])]))
        return moved

    monkeypatch.setattr(pathlib.Path, "rename", look)
    unfinished.keep([variable], [{"epoch": 1}])
    unfinished.keep([variable], [{"epoch": 1}, {"epoch": 2}])
    assert seen == [[{"epoch": 1}], [{"epoch": 1}, {"epoch": 2}]]


def test_a_loss_that_is_no_number_comes_back(tmp_path: pathlib.Path) -> None:
    variable = keras.Variable([1.0])
    Unfinished(tmp_path, "a").keep([variable], [{"epoch": 1, "train_loss": float("nan")}])
    assert np.isnan(Unfinished(tmp_path, "a").resume([variable])[0]["train_loss"])


def flip(path: pathlib.Path, content: bytes, place: int, bits: int) -> None:
    """Write `content` to `path` with some bits of one byte changed."""
    path.write_bytes(content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :])


@pytest.mark.parametrize("bits", [0x01, 0x20, 0xFF])
def test_every_byte_of_a_state_that_is_changed_starts_the_training_anew_or_changes_nothing(
    bits: int, tmp_path: pathlib.Path
) -> None:
    """In the headers of the archive are bytes that nothing reads, as the dates of its members."""
    unfinished, kept = Unfinished(tmp_path, "a"), np.float32([1, 2, 3])
    unfinished.keep([keras.Variable(kept)], [{"epoch": 1, "train_loss": 0.25}])
    content, found = unfinished.path.read_bytes(), []
    variable = keras.Variable([0.0, 0.0, 0.0])
    for place in range(len(content)):
        flip(unfinished.path, content, place, bits)
        rows = unfinished.resume([variable])
        assert rows in ([], [{"epoch": 1, "train_loss": 0.25}])
        np.testing.assert_array_equal(variable, kept if rows else [0, 0, 0])
        variable.assign([0.0, 0.0, 0.0])
        found.append(bool(rows))
    assert not all(found) and sum(found) < len(found) / 3


def test_a_state_that_cannot_be_read_is_replaced(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    unfinished, variable = Unfinished(tmp_path, "a"), keras.Variable([1.0])
    unfinished.keep([variable], [{"epoch": 1}])
    unfinished.path.write_bytes(unfinished.path.read_bytes()[:-40])
    assert unfinished.resume([variable]) == []
    assert f"{unfinished.path}: cannot be read" in capsys.readouterr().err
    unfinished.keep([variable], [{"epoch": 1}])
    assert unfinished.resume([variable]) == [{"epoch": 1}]


def test_a_training_whose_state_cannot_be_kept_goes_on_and_says_so_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_up(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    undisturbed, _ = fit(Unfinished(None, None))
    capsys.readouterr()
    monkeypatch.setattr(np, "savez", fill_up)
    unfinished = Unfinished(tmp_path, "a")
    weights, _ = fit(unfinished)
    for weight, expected in zip(weights, undisturbed, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert capsys.readouterr().err.count(f"{unfinished.path}: no space left on the disk") == 1


def test_what_nothing_went_on_from_for_a_month_goes_when_a_training_ends(tmp_path: pathlib.Path) -> None:
    variable, left = keras.Variable([1.0]), tmp_path / ".publishing-a"
    for inputs in ("old", "young", "ended"):
        Unfinished(tmp_path, inputs).keep([variable], [{"epoch": 1}])
    left.mkdir()
    long_ago = time.time() - resuming.KEPT_FOR - 60
    for path in (Unfinished(tmp_path, "old").path, left):
        os.utime(path, (long_ago, long_ago))
    Unfinished(tmp_path, "ended").discard()
    assert list(tmp_path.iterdir()) == [Unfinished(tmp_path, "young").path]


def test_an_edit_of_the_code_changes_its_digest(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resuming._digest_code()
    copy = tmp_path / "training.py"
    copy.write_bytes(pathlib.Path(runs.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(runs, "__file__", str(copy))
    assert resuming._digest_code() != before


# Runs, in this process


def write_backbone() -> None:
    keras.utils.set_random_seed(3)
    model = backbones.build("MobileNet", 0.125, 32)
    pretrained.save_pretrained(
        model, {"name": "tiny", "architecture": "MobileNet", "width": 0.125, "weights": "random"}
    )


def train(
    threads: Compute,
    kind: str = "frozen",
    seed: int = 1,
    batch_size: int = 8,
    rate: float = 0.01,
    epochs: int = 4,
    **more: Any,
) -> Any:
    keras.utils.clear_session()  # names of layers count from one again, as in a process of its own
    keras.utils.set_random_seed(seed)
    settings = Training(seed=seed, batch_size=batch_size)
    params = Params(
        *[None] * 3, threads, settings, backbones={}, baseline_cnn=None, frozen={}, finetune={}, report=None
    )
    phase = {"optimizer": {"name": "adam", "learning_rate": rate}, "epochs": epochs, **more}
    if kind == "baseline":
        network = {"filters": [4], "dense": 4, "dropout": 0.3}
        run = BaselineRun.model_validate({"network": network, **phase})
        return steps.train_baseline(run, params)
    if kind == "finetune":
        opened = {"from": "pretrained/tiny", "head": HEAD, "unfreeze": {"blocks": 2}, "batch_norm": "batch"}
        run = FinetuneRun.model_validate({**opened, "augmentation": VIEWS, **phase})
        return steps.finetune("tuned", run, params)
    run = FrozenRun.model_validate({"backbone": "tiny", "head": HEAD, **phase})
    return steps.train_frozen("tiny", run, params)


@pytest.fixture
def tiny_project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder with records of 32 pixels and a pretrained backbone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_STORE", raising=False)
    rows = write_photos(tmp_path / "photos", 24, 3)
    writing.write_records(rows, "photos", Image(size=32, shards=2), "data/records")
    write_backbone()
    return tmp_path


@pytest.mark.long
def test_a_run_from_the_records_goes_on_with_the_same_order_of_photos(
    tiny_project: pathlib.Path, threads: Compute, stop_after: Any
) -> None:
    """The baseline CNN: what it reads is shuffled by tf.data."""
    train(threads, "baseline")
    undisturbed = pathlib.Path("plots/history/baseline_cnn.csv").read_text()
    stop_after(2)
    with pytest.raises(Stopped):
        train(threads, "baseline")
    train(threads, "baseline")
    assert pathlib.Path("plots/history/baseline_cnn.csv").read_text() == undisturbed


@pytest.mark.long
def test_a_run_goes_on_with_the_fresh_views_of_the_epochs_that_are_left(
    tiny_project: pathlib.Path, threads: Compute, stop_after: Any
) -> None:
    colour = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
    augmentation = {"views": "fresh", "flip": True, "crop": 0.5, "seed": 2, "colour": colour}
    train(threads, "baseline", augmentation=augmentation)
    outputs = [pathlib.Path(path) for path in ("models/baseline_cnn.weights.h5", "plots/history/baseline_cnn.csv")]
    undisturbed = [path.read_bytes() for path in outputs]
    stop_after(2)
    with pytest.raises(Stopped):
        train(threads, "baseline", augmentation=augmentation)
    train(threads, "baseline", augmentation=augmentation)
    assert [path.read_bytes() for path in outputs] == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("stored", [True, False])
def test_a_fine_tuned_run_goes_on_with_its_statistics_and_views(
    stored: bool, tiny_project: pathlib.Path, threads: Compute, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open backbone whose BatchNorm statistics move, and two views of each photo, in turns."""
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: stored)
    train(threads, "finetune")
    outputs = [pathlib.Path(path) for path in ("models/tuned.weights.h5", "plots/history/tuned.csv")]
    undisturbed = [path.read_bytes() for path in outputs]
    stop_after(1)
    with pytest.raises(Stopped):
        train(threads, "finetune")
    train(threads, "finetune")
    assert [path.read_bytes() for path in outputs] == undisturbed


@pytest.mark.parametrize(
    "change, goes_on",
    [
        ({}, True),
        ({"rate": 0.02}, False),
        pytest.param({"seed": 2}, False, marks=pytest.mark.long),
        pytest.param({"batch_size": 6}, False, marks=pytest.mark.long),
    ],
)
def test_only_the_same_run_goes_on(
    change: dict[str, Any],
    goes_on: bool,
    tiny_project: pathlib.Path,
    threads: Compute,
    stop_after: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop_after(2)
    with pytest.raises(Stopped):
        train(threads)
    train(threads, **change)
    assert ("going on after epoch 2" in capsys.readouterr().err) == goes_on


def test_a_finished_run_leaves_no_state(tiny_project: pathlib.Path, threads: Compute) -> None:
    train(threads)
    assert not list(pathlib.Path(".thaw/activations/unfinished").glob("*"))


# A stage that is killed


def start_stage(folder: pathlib.Path) -> Any:
    return subprocess.Popen(
        [sys.executable, STAGES / "train_frozen.py"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(STAGES.parent / "src"),
            "THAW_STORE": "store",
            "DVC_STAGE": "train_frozen@tiny",
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def wait_for_epochs(stage: Any, folder: pathlib.Path, count: int) -> None:
    """Wait until so many epochs of the running stage are kept."""
    while stage.poll() is None:
        for path in folder.glob("store/unfinished/*.npz"):
            with np.load(path) as kept:
                if len(json.loads(kept["epochs"].item())) >= count:
                    return
        time.sleep(0.002)
    pytest.fail("the stage ended before it could be killed: " + stage.stderr.read())


@pytest.mark.long
def test_a_killed_stage_goes_on_and_leaves_the_same_bytes(tiny_project: pathlib.Path) -> None:
    document = tiny.DOCUMENT
    run = {**document["frozen"]["tiny"], "head": HEAD, "optimizer": ADAM, "epochs": EPOCHS}
    pathlib.Path("params.yaml").write_text(write_yaml({**document, "frozen": {"tiny": run}}))
    shutil.copytree(".", "killed", ignore=lambda *_: ["killed"])
    killed = tiny_project / "killed"
    undisturbed, stage = start_stage("."), start_stage(killed)
    wait_for_epochs(stage, killed, 2)
    stage.send_signal(signal.SIGKILL)
    stage.communicate()
    assert not (killed / "models/tiny.weights.h5").exists()
    again = start_stage(killed)
    assert "going on after epoch" in again.communicate()[1]
    assert "going on" not in undisturbed.communicate()[1]
    assert again.returncode == undisturbed.returncode == 0
    for name in ("models/tiny.weights.h5", "models/tiny.json", "plots/history/tiny.csv"):
        assert (killed / name).read_bytes() == pathlib.Path(name).read_bytes()
    assert not list(killed.glob("store/unfinished/[0-9a-f]*"))
