"""Runs: what trains, what is written, and how an epoch is scored."""

import pathlib
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

import steps
from small import SIZE, WIDTH, plain_head, scatter, spread_logits, write_photos
from thaw.base.files import read_json
from thaw.base.sections import Compute
from thaw.config.checking import Params
from thaw.networks import backbones, classifiers, plan, unfreezing
from thaw.networks.classifiers import Network, average_flips
from thaw.networks.files import load_network
from thaw.prediction.models import load_run
from thaw.records import reading, views, writing
from thaw.records.sections import Augmentation, Image
from thaw.store import sources
from thaw.training import runs, scores
from thaw.training.sections import BaselineRun, FinetuneRun, FrozenRun, Training
from thaw.weights import pretrained

HEAD = {"dense": [], "dropout": 0.0, "batch_norm": False}
ADAM = {"name": "adam", "learning_rate": 0.01}


@pytest.fixture
def params(threads: Compute) -> Params:
    settings = Training(seed=1, batch_size=8)
    return Params(
        *[None] * 3,
        compute=threads,
        training=settings,
        backbones={},
        baseline_cnn=None,
        frozen={},
        finetune={},
        report=None,
    )


def pretrain(name: str = "small", architecture: str = "MobileNet") -> None:
    model = backbones.build(architecture, WIDTH, SIZE)
    scatter(model)
    pretrained.save_pretrained(model, {"name": name, "architecture": architecture, "width": WIDTH, "weights": "random"})


def test_a_layer_that_the_tail_does_not_hold_stops_the_run(
    project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain()
    train_frozen(params)
    monkeypatch.setattr(unfreezing, "find_cut", lambda model, _: model.operations[-1])
    with pytest.raises(RuntimeError, match="what is left behind the cut"):
        finetune(params)


def train_frozen(params: Params, **changes: Any) -> None:
    run = {"backbone": "small", "head": HEAD, "optimizer": ADAM, "epochs": 2, **changes}
    steps.train_frozen("small", FrozenRun.model_validate(run), params)


def finetune(params: Params, **changes: Any) -> None:
    run = {"from": "small", "unfreeze": {"blocks": 2}, "batch_norm": "inference", "optimizer": ADAM, "epochs": 2}
    steps.finetune("tuned", FinetuneRun.model_validate({**run, **changes}), params)


def train_baseline(params: Params, **changes: Any) -> None:
    run = {"network": {"filters": [8, 8], "dense": 8, "dropout": 0.0}, "optimizer": ADAM, "epochs": 2, **changes}
    steps.train_baseline(BaselineRun.model_validate(run), params)


def read_weights(name: str) -> dict[str, Any]:
    """Return {name of the variable in the network: value}."""
    network, _ = load_network(name)
    return {weight.path: weight.numpy() for weight in network.model.weights}


def test_a_frozen_run_trains_the_head_alone(project: pathlib.Path, params: Params) -> None:
    pretrain()
    train_frozen(params)
    network, description = load_network("small")
    with h5py.File("models/pretrained/small.weights.h5") as file:
        kernel = file["layers/conv2d/vars/0"][:]
    np.testing.assert_array_equal(network.backbone.get_layer("conv1").weights[0].numpy(), kernel)
    assert description["trainable_parameters"] == 128 * 3 + 3


@pytest.mark.long
def test_a_fine_tuned_run_goes_on_from_its_frozen_run_and_trains_what_it_opens(
    project: pathlib.Path, params: Params
) -> None:
    pretrain()
    train_frozen(params)
    finetune(params)
    before, after = read_weights("small"), read_weights("tuned")
    changed = {name for name in before if (before[name] != after[name]).any()}
    opened = {name for name in before if "_12" in name or "_13" in name or "logits" in name}
    assert changed == {name for name in opened if "moving" not in name}


def test_a_run_may_start_from_pretrained_weights_with_a_new_head(project: pathlib.Path, params: Params) -> None:
    pretrain()
    finetune(params, **{"from": "pretrained/small", "head": {**HEAD, "dense": [4]}})
    _, description = load_network("tuned")
    assert description["head"]["dense"] == [4]


@pytest.mark.parametrize(
    "optimizer",
    [ADAM, pytest.param({"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}, marks=pytest.mark.long)],
)
def test_training_lowers_the_loss(optimizer: Any, project: pathlib.Path, params: Params) -> None:
    keras.utils.set_random_seed(1)
    train_baseline(params, optimizer=optimizer, epochs=20)
    history = pd.read_csv("plots/history/baseline_cnn.csv")
    assert list(history.epoch) == list(range(1, 21))
    assert history.train_loss.iloc[-1] < 0.8 * history.train_loss.iloc[0]


@pytest.mark.long
def test_a_weights_file_holds_the_networks_numbers_and_no_optimizers(project: pathlib.Path, params: Params) -> None:
    train_baseline(params)
    pretrain()
    train_frozen(params)
    finetune(params)
    for name in ("baseline_cnn", "small", "tuned"):
        sizes: list[int] = []

        def note(_: str, item: Any, sizes: list[int] = sizes) -> None:
            if isinstance(item, h5py.Dataset):
                sizes.append(item.size)

        with h5py.File(f"models/{name}.weights.h5") as file:
            file.visititems(note)
        assert sum(sizes) == load_network(name)[1]["total_parameters"]


def test_the_baseline_trains_all_its_parameters(project: pathlib.Path, params: Params) -> None:
    train_baseline(params, epochs=1)
    _, description = load_network("baseline_cnn")
    assert description["trainable_parameters"] == description["total_parameters"]


@pytest.mark.long
def test_the_seed_decides_the_weights(project: pathlib.Path, params: Params) -> None:
    pretrain()
    results = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        train_frozen(params._replace(training=Training(seed=seed, batch_size=8)))
        results.append(read_weights("small")["head/logits/kernel"])
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


@pytest.mark.parametrize("score", ["accuracy", "precision", "recall", "f1"])
def test_a_score_over_batches_is_that_of_scikit_learn(score: str) -> None:
    generator = np.random.default_rng(2)
    labels, logits = generator.integers(0, 4, 60), generator.normal(size=(60, 5)).astype(np.float32)
    metric = scores.Scores(5)
    for start in range(0, 60, 16):
        metric.update_state(labels[start : start + 16], logits[start : start + 16])
    function = getattr(sklearn.metrics, f"{score}_score")
    options = {} if score == "accuracy" else {"labels": range(5), "average": "macro", "zero_division": 0}
    expected = function(labels, logits.argmax(axis=1), **options)
    assert float(metric.result()[score]) == pytest.approx(expected, abs=1e-6)


def test_validation_scores_of_the_last_epoch_are_those_of_the_evaluation(project: pathlib.Path, params: Params) -> None:
    """The tail on stored activations and the saved weights agree about the same network."""
    pretrain()
    train_frozen(params, epochs=5)
    steps.score("small", params)
    last = pd.read_csv("plots/history/small.csv").iloc[-1]
    found = read_json("metrics/evaluate/small.json")["small"]["validation"]
    for score in ("loss", "accuracy", "precision", "recall", "f1"):
        assert found[score] == pytest.approx(last[f"validation_{score}"], abs=1e-5)


@pytest.mark.long
def test_the_evaluation_agrees_with_the_whole_network_run_on_the_photos(project: pathlib.Path, params: Params) -> None:
    pretrain()
    train_frozen(params)
    finetune(params)
    steps.score("tuned", params)
    network, _ = load_network("tuned")
    images, labels = next(iter(reading.read_batches("data/records", "test", 100)))
    predicted = network.model(images, training=False).numpy().argmax(axis=1)
    table = pd.read_csv("plots/predictions/tuned.csv", dtype={"id": str})
    table = table[table.part == "test"]
    assert list(table.predicted) == [f"class{label}" for label in predicted]
    assert list(table.actual) == [f"class{label}" for label in labels.numpy()]


def test_the_evaluation_reads_what_the_training_stored(
    project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: True)
    monkeypatch.delenv("THAW_STORE", raising=False)
    pretrain()
    train_frozen(params)
    monkeypatch.delattr(sources.Pixels, "read_batches")
    steps.score("small", params)
    assert pathlib.Path("metrics/evaluate/small.json").exists()


def test_without_a_test_part_validation_is_what_counts(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_STORE", raising=False)
    rows = write_photos(tmp_path / "photos", 24, 3).replace({"part": {"test": "validation"}})
    writing.write_records(rows, "photos", Image(size=SIZE, shards=2), "data/records")
    pretrain()
    train_frozen(params)
    steps.score("small", params)
    assert set(read_json("metrics/evaluate/small.json")["small"]) >= {"train", "validation"}
    assert "test" not in read_json("metrics/evaluate/small.json")["small"]
    assert set(pd.read_csv("plots/predictions/small.csv").part) == {"validation"}


@pytest.mark.long
def test_a_run_that_diverges_writes_null_for_its_loss(project: pathlib.Path, params: Params) -> None:
    pretrain()
    train_frozen(params, optimizer={"name": "sgd", "learning_rate": 10, "momentum": 0.99}, epochs=1)
    with h5py.File("models/small.weights.h5", "a") as file:
        file["layers/sequential/layers/dense/vars/0"][...] = np.nan
    steps.score("small", params)
    assert read_json("metrics/evaluate/small.json")["small"]["validation"]["loss"] is None


# From the store and from the records: the same run

PLAIN, STORED = "none", ".thaw/activations"
ON_DISK = "./.thaw/activations"  # the same store, read in every batch as entries too large for memory are
WAYS = [pytest.param(STORED, id="store"), pytest.param(ON_DISK, id="disk"), pytest.param(PLAIN, id="records")]
# Rounding grows in proportion with SGD; Adam would make a whole step of a gradient that is rounding alone.
SGD = {"name": "sgd", "learning_rate": 0.005, "momentum": 0.9}
TUNED = {"from": "pretrained/small", "head": HEAD, "optimizer": SGD, "epochs": 3}


def tune(params: Params, monkeypatch: pytest.MonkeyPatch, store: str, **changes: Any) -> Any:
    """Fine-tune from the same weights with the store at `store`; return the weights {name: value} before and after."""
    monkeypatch.setenv("THAW_STORE", store)
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: True)
    if store == ON_DISK:
        monkeypatch.setattr(sources, "IN_MEMORY", 0)
    before = {}
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    started, fit, open_run = [], runs.fit, runs.open_run

    def note(tail: Any, train: Any, *others: Any) -> Any:
        started.append(type(train[0]))
        return fit(tail, train, *others)

    def watch(network: Network, *others: Any) -> Any:
        before.update({weight.path: weight.numpy() for weight in network.model.weights})
        return open_run(network, *others)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "fit", note)
        patch.setattr(runs, "open_run", watch)
        finetune(params, **{**TUNED, **changes})
    assert started == [sources.Pixels if store == PLAIN else sources.Source]
    return before, read_weights("tuned")


@pytest.fixture(scope="module")
def tuned_both_ways(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give a function (batch_norm) -> {way: (weights before, weights after)} of one run; each is run once."""
    folder, found = tmp_path_factory.mktemp("both"), {}
    settings = Training(seed=1, batch_size=8)
    compute = Compute(threads=2, onednn_isa="AVX2")
    empty = dict.fromkeys(("backbones", "frozen", "finetune"), {})
    params = Params(*[None] * 3, compute, settings, baseline_cnn=None, report=None, **empty)

    def tune_both(batch_norm: str) -> Any:
        if batch_norm not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                if not found:
                    rows = write_photos(folder / "photos", 24, 3)
                    writing.write_records(rows, "photos", Image(size=SIZE, shards=2), "data/records")
                    pretrain()
                found[batch_norm] = {
                    store: tune(params, patch, store, batch_norm=batch_norm) for store in (STORED, ON_DISK, PLAIN)
                }
        return found[batch_norm]

    return tune_both


def assert_same_run(one: Any, other: Any) -> None:
    """Check that two runs, (weights before, weights after) each, ended alike.

    What may differ is measured by how far training moved the weight: by its value, a run that trained nothing would
    pass. Three epochs carry the rounding of one (about 1e-6) on and sum it up.
    """
    (before, after), (before_other, after_other) = one, other
    moved = 0
    for name in before:
        np.testing.assert_array_equal(before[name], before_other[name])
        distance = abs(after[name] - before[name]).max()
        moved += distance > 0
        assert abs(after[name] - after_other[name]).max() <= 1e-3 * distance, name
    assert moved > 5


@pytest.mark.parametrize(
    "mode", ["inference", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("frozen", "batch"))]
)
def test_a_run_from_the_store_ends_with_the_weights_of_one_from_the_records(mode: str, tuned_both_ways: Any) -> None:
    ways = tuned_both_ways(mode)
    assert_same_run(ways[STORED], ways[PLAIN])
    for in_memory, on_disk in zip(ways[STORED][1].values(), ways[ON_DISK][1].values(), strict=True):
        np.testing.assert_array_equal(in_memory, on_disk)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["inference", pytest.param("frozen", marks=pytest.mark.long)])
def test_a_run_leaves_the_statistics_of_batch_norm(mode: str, way: Any, tuned_both_ways: Any) -> None:
    before, after = tuned_both_ways(mode)[way]
    statistics = [name for name in before if "moving" in name]
    assert statistics
    for name in statistics:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_a_run_in_batch_mode_moves_the_statistics_of_open_layers_alone(way: Any, tuned_both_ways: Any) -> None:
    before, after = tuned_both_ways("batch")[way]
    moved = {name for name in before if "moving" in name and (before[name] != after[name]).any()}
    opened = {f"{layer}_bn" for layer in ("conv_dw_12", "conv_pw_12", "conv_dw_13", "conv_pw_13")}
    assert {name.split("/")[-2] for name in moved} == opened


@pytest.mark.parametrize(
    "mode, trains",
    [
        ("inference", True),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("frozen", False), ("batch", True))),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_run_trains_gamma_and_beta_unless_they_are_frozen(
    mode: str, trains: bool, way: Any, tuned_both_ways: Any
) -> None:
    before, after = tuned_both_ways(mode)[way]
    for name in before:
        if name.endswith(("conv_pw_13_bn/gamma", "conv_pw_13_bn/beta")):
            assert (before[name] != after[name]).any() == trains


AUGMENTATION = {"views": 3, "flip": True, "crop": 0.7, "seed": 2}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray | None]:
    """The view of the train part in each epoch of what the test trains from the records."""
    views, read = [], sources.Pixels.read_batches

    def note(source: Any, batch_size: int, order: int | None = None) -> Any:
        if source.part == "train":
            views.append(source.view)
        else:
            assert source.view is None
        return read(source, batch_size, order)

    monkeypatch.setattr(sources.Pixels, "read_batches", note)
    return views


@pytest.mark.long
def test_epochs_take_the_views_in_turn(
    project: pathlib.Path, params: Params, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain()
    tune(params, monkeypatch, PLAIN, epochs=4, augmentation=AUGMENTATION)
    drawn = views.draw_views(Augmentation(**AUGMENTATION), 4, 1, 12)
    assert len(seen) == 4 and seen[0] is None and seen[3] is None
    np.testing.assert_array_equal(seen[1:3], drawn[1:3])


FRESH = {"views": "fresh", "flip": True, "crop": 0.7, "seed": 2, "colour": {"brightness": 0.2, "saturation": 0.3}}


@pytest.mark.parametrize("train", ["train_baseline", pytest.param("train_frozen", marks=pytest.mark.long), "finetune"])
def test_every_epoch_sees_a_fresh_view_of_each_photo_and_validates_the_photos_as_they_are(
    train: str, project: pathlib.Path, params: Params, seen: list[Any]
) -> None:
    pretrain()
    more = {"from": "pretrained/small", "head": HEAD} if train == "finetune" else {}
    globals()[train](params, epochs=3, augmentation=FRESH, **more)
    np.testing.assert_array_equal(seen, views.draw_views(Augmentation.model_validate(FRESH), 3, 1, 12))


@pytest.mark.long
def test_nothing_is_stored_of_a_run_with_fresh_views(project: pathlib.Path, params: Params) -> None:
    """It trains behind the same cut as the same run without them, of which all is stored."""
    pretrain()
    for stored, changes in ((True, {}), (False, {"augmentation": FRESH})):
        train_frozen(params, epochs=10, **changes)
        _, description = load_network("small")
        assert (description["cut"], description["stored"]) == ("pooling", stored)
        assert read_json("metrics/train/small.json")["small"]["cut"] == "pooling"
        timing = read_json("metrics/timing/train/small.json")["small"]
        assert timing["batches_from"] == ("store" if stored else "records")


@pytest.mark.long
def test_an_augmented_run_from_the_store_ends_with_the_weights_of_one_from_the_records(
    project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain()
    stored, plain = (tune(params, monkeypatch, store, epochs=4, augmentation=AUGMENTATION) for store in (STORED, PLAIN))
    assert_same_run(stored, plain)


def test_an_average_of_mirror_images_is_that_of_their_probabilities() -> None:
    network = classifiers.build_classifier("MobileNet", WIDTH, SIZE, plain_head(), 3)
    scatter(network.model)
    pixels = np.random.default_rng(2).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    spread_logits(network, pixels)
    one, other = (keras.ops.softmax(network.model(images)).numpy() for images in (pixels, pixels[:, :, ::-1]))
    assert abs(one - other).max() > 0.01
    found = keras.ops.exp(average_flips(network.model)(pixels)).numpy()
    np.testing.assert_allclose(found, (one + other) / 2, atol=1e-6)


@pytest.mark.long
def test_a_run_that_sees_mirror_images_is_scored_and_used_by_the_same_probabilities(
    project: pathlib.Path, params: Params
) -> None:
    keras.utils.set_random_seed(1)  # what is drawn at random decides how much mirror images differ
    pretrain()
    train_frozen(params, flip_test=True)
    steps.score("small", params)
    table = pd.read_csv("plots/predictions/small.csv")
    rows, network = table[table.part == "test"], load_network("small")[0]
    images = np.concatenate([images for images, _ in reading.read_batches("data/records", "test", 32)])
    one, other = (keras.ops.softmax(network.model(each)).numpy() for each in (images, images[:, :, ::-1]))
    assert abs(one - other).max() > 1e-4
    for found in (rows.filter(like="p_").to_numpy(), load_run("small").score(images)):
        np.testing.assert_allclose(found, (one + other) / 2, atol=1e-5)


@pytest.mark.long
def test_the_description_of_a_run_says_whether_it_sees_mirror_images_only_where_it_does(
    project: pathlib.Path, params: Params
) -> None:
    pretrain()
    train_frozen(params, epochs=1, flip_test=True)
    finetune(params, epochs=1)
    assert load_network("small")[1]["flip_test"] is True
    assert "flip_test" not in load_network("tuned")[1]
