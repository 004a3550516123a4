"""Runs trained again: other seeds, and cross-validation."""

import json
import pathlib
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import steps
from steps import make_repeated, make_setting
from test_training import pretrain
from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.base.sections import Compute
from thaw.config.checking import Params
from thaw.evaluation import scoring
from thaw.networks import plan
from thaw.records import reading
from thaw.store import sources
from thaw.training import folds, seeds
from thaw.training.folds import deal_folds
from thaw.training.repeating import Again, Rows, place_parts, summarize_spread, train_again
from thaw.training.resuming import Unfinished
from thaw.training.sections import FinetuneRun, Folds, FrozenRun, Replicates, Training

HEAD = {"dense": [8], "dropout": 0.3, "batch_norm": True}
ADAM = {"name": "adam", "learning_rate": 0.01}
FROZEN = {"backbone": "small", "head": HEAD, "optimizer": ADAM, "epochs": 2}
TUNED = {"from": "small", "unfreeze": {"blocks": 1}, "batch_norm": "inference", "optimizer": ADAM, "epochs": 2}
VIEWS = {"views": 2, "flip": True, "crop": 0.7, "seed": 2}
AUGMENTED = {**TUNED, "from": "pretrained/small", "head": HEAD, "augmentation": VIEWS}
FRESH = {**VIEWS, "views": "fresh", "colour": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}}
RENEWED = {**AUGMENTED, "augmentation": FRESH}
FLIPPED = {**AUGMENTED, "augmentation": None, "flip_test": True}
FOLDER = "data/records"


@pytest.fixture
def params(threads: Compute) -> Params:
    settings, twice = Training(seed=3, batch_size=5), Folds(backbone="small", count=2)
    return Params(
        None,
        SimpleNamespace(seed=1),
        None,
        compute=threads,
        training=settings,
        backbones={},
        baseline_cnn=None,
        frozen={"small": FrozenRun.model_validate(FROZEN)},
        finetune={"tuned": FinetuneRun.model_validate(TUNED)},
        report=None,
        replicates={"small": Replicates(backbone="small", count=3)},
        folds={"small": twice, "tuned": twice},
    )


def train_as_the_table_does(train: Any, name: str, run: str, params: Params) -> None:
    """Train a run as its stage does, in a process of its own."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(params.training.seed)
    train(name, run, params)


@pytest.mark.parametrize(
    "run, store",
    [
        (TUNED, ".thaw/activations"),
        pytest.param(AUGMENTED, "none", marks=pytest.mark.long),
        pytest.param(RENEWED, "none", marks=pytest.mark.long),
        pytest.param(FLIPPED, "none", marks=pytest.mark.long),
    ],
    ids=["stored", "views", "fresh views", "mirror images"],
)
def test_with_the_seed_and_photos_of_the_table_a_training_again_ends_with_the_run_of_the_table(
    run: Any, store: str, project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the store after its frozen run, and from views of the photos themselves, with a head of its own."""
    monkeypatch.setenv("THAW_STORE", store)
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: True)
    params = params._replace(finetune={"tuned": FinetuneRun.model_validate(run)})
    pretrain()
    if run is TUNED:
        train_as_the_table_does(steps.train_frozen, "small", params.frozen["small"], params)
    train_as_the_table_does(steps.finetune, "tuned", params.finetune["tuned"], params)
    steps.score("tuned", params)
    assert pathlib.Path(".thaw").exists() == (run is TUNED)
    keras.utils.set_random_seed(99)
    rows = place_parts(FOLDER)
    made = train_again(
        make_repeated("tuned", params), make_setting(params), rows["train"], [rows["validation"], rows["test"]]
    )
    own = read_json("metrics/evaluate/tuned.json")["tuned"]
    for part, logits in zip(("validation", "test"), made.logits, strict=True):
        labels, _ = reading.read_labels(FOLDER, part)
        scores = scoring.score(labels, logits)
        assert {key: round(value, 6) for key, value in scores.items()} == own[part]
    predicted = pd.read_csv("plots/predictions/tuned.csv").predicted
    assert [f"class{label}" for label in np.concatenate(made.logits).argmax(axis=1)] == list(predicted)
    pd.testing.assert_frame_equal(made.history, pd.read_csv("plots/history/tuned.csv"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand in for train_again: every photo's class is taken for 0. Returns the list of what was asked of it:
    (seed, rows to train on, rows to score)."""
    asked = []

    def note(repeated: Any, setting: Any, trained: Any, scored: Any, held_out: Any) -> Any:
        asked.append((setting.training.seed, trained, scored))
        logits = [np.eye(3, dtype=np.float32)[[0] * len(rows)] for rows in scored]
        return Again(logits, pd.DataFrame({"epoch": [1, 2], "validation_loss": [0.1, 0.2]}), [], None)

    monkeypatch.setattr(seeds, "train_again", note)
    monkeypatch.setattr(folds, "train_again", note)
    return asked


def replicate(params: Params, validation: Any, test: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train run `small` with three seeds, its own scores those accuracies; return document and histories."""
    pretrain()
    accuracies = {"train": 1.0, "validation": validation, "test": test}
    own = {part: {"accuracy": accuracy, "f1": 0.5} for part, accuracy in accuracies.items()}
    document, histories, _ = seeds.replicate(make_repeated("small", params, 3), own, make_setting(params))
    return document, histories


def test_a_replicate_is_a_training_on_the_same_photos_with_the_seeds_that_follow(
    project: pathlib.Path, params: Params, trainings: Any
) -> None:
    replicate(params, 1.0, 1.0)
    assert [seed for seed, *_ in trainings] == [4, 5]
    for _, trained, (validation, test, again) in trainings:
        np.testing.assert_array_equal(trained, np.arange(12))
        np.testing.assert_array_equal(again, trained)
        np.testing.assert_array_equal(np.concatenate([validation, test]), np.arange(12, 24))


def test_the_run_of_the_table_is_one_of_its_replicates(project: pathlib.Path, params: Params, trainings: Any) -> None:
    found, _ = replicate(params, 0.5, 1.0)
    third = 0.333333  # of the photos are of class 0
    assert found["seeds"] == [3, 4, 5]
    assert found["accuracy"]["validation"]["values"] == [0.5, third, third]
    assert found["accuracy"]["test"]["values"] == [1.0, third, third]
    assert found["accuracy"]["test"]["mean"] == pytest.approx(5 / 9, abs=1e-6)


def test_the_histories_of_other_seeds_are_one_table_with_the_seed_of_each_row(
    project: pathlib.Path, params: Params, trainings: Any
) -> None:
    _, histories = replicate(params, 0.5, 1.0)
    assert histories.to_dict("list") == {
        "seed": [4, 4, 5, 5], "epoch": [1, 2, 1, 2], "validation_loss": [0.1, 0.2, 0.1, 0.2],
    }  # fmt: skip


def crossvalidate(name: str, params: Params, near: Any = ()) -> Any:
    """Cross-validate a run over the 24 photos, `near` (pairs of their numbers) being near duplicates.

    Returns the document and the predictions.
    """
    pretrain()
    ids = [f"{number:016x}" for number in range(24)]
    groups = dict(zip(ids, ids, strict=True)) | {ids[other]: ids[one] for one, other in near}
    document, predictions, states = folds.crossvalidate(
        make_repeated(name, params), pd.Series(groups), params.split.seed, make_setting(params)
    )
    for state in states:
        state.discard()
    return document, predictions


def test_every_photo_is_scored_once_by_a_training_on_all_others(
    project: pathlib.Path, params: Params, trainings: Any
) -> None:
    crossvalidate("tuned", params)
    assert sorted(np.concatenate([held for *_, (held,) in trainings])) == list(range(24))
    for _, trained, (held,) in trainings:
        assert sorted([*trained, *held]) == list(range(24))
    assert {seed for seed, *_ in trainings} == {3}


def test_near_duplicates_are_in_one_fold_whatever_part_of_the_split_they_are_in(
    project: pathlib.Path, params: Params, trainings: Any
) -> None:
    near = [(0, 9), (1, 4), (2, 23)]
    _, predictions = crossvalidate("small", params, near)
    dealt = predictions.set_index("id").fold
    assert all(dealt[f"{one:016x}"] == dealt[f"{other:016x}"] for one, other in near)


def test_a_cross_validation_gives_the_prediction_for_each_photo_and_the_accuracy_over_all(
    project: pathlib.Path, params: Params, trainings: Any
) -> None:
    found, table = crossvalidate("small", params)
    assert list(table.id) == [f"{number:016x}" for number in range(24)]
    assert list(table.actual) == [f"class{number % 3}" for number in range(24)]
    assert set(table.predicted) == {"class0"} and set(table.fold) == {1, 2}
    assert found["photos"] == 24
    assert found["accuracy"] == {"pooled": 0.333333, "mean": 0.333333, "sd": 0.0, "values": [0.333333, 0.333333]}


@pytest.mark.long
def test_a_cross_validation_that_was_stopped_trains_only_what_is_left(
    project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = Unfinished.keep, []

    def keep_and_stop(unfinished: Any, variables: Any, rows: np.ndarray) -> None:
        keep(unfinished, variables, rows)
        kept.append(len(rows))
        if kept == [1, 2, 1]:  # two epochs of the first fold, one of the second
            raise KeyboardInterrupt

    monkeypatch.setattr(Unfinished, "keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        crossvalidate("small", params)
    crossvalidate("small", params)
    assert kept == [1, 2, 1, 2]
    assert not list(pathlib.Path(".thaw/activations/unfinished").glob("*"))


@pytest.mark.long
def test_a_training_that_was_stopped_is_not_gone_on_with_from_another_preprocessing(
    project: pathlib.Path, params: Params
) -> None:
    """The backbone's weights are the same, and so are all the run's settings."""
    rows, kept = place_parts(FOLDER), []
    for preprocessing in ("own", "rescaled"):
        pretrain()
        path = pathlib.Path("models/pretrained/small.json")
        document = read_json(path)
        document["backbone"]["preprocessing"] = preprocessing
        path.write_text(json.dumps(document))
        (state,) = train_again(
            make_repeated("small", params), make_setting(params), rows["train"], [rows["test"]]
        ).states
        kept.append(state.path)
    assert kept[0] != kept[1]


# What they are made of


def test_rows_of_several_arrays_are_read_in_the_order_in_which_they_were_chosen(tmp_path: pathlib.Path) -> None:
    arrays = [np.arange(start, start + 2 * count).reshape(count, 2) for start, count in ((0, 3), (6, 1), (8, 4))]
    chosen = np.array([7, 0, 3, 4, 2])
    rows = Rows(arrays, chosen)
    np.testing.assert_array_equal(rows[np.arange(5)], np.concatenate(arrays)[chosen])
    np.testing.assert_array_equal(rows[np.array([4, 0])], [[4, 5], [14, 15]])
    assert rows.shape == (5, 2) and rows.nbytes == 5 * 2 * 4 and rows[np.arange(1)].dtype == np.float32


def test_rows_are_a_source_like_any_other_array(tmp_path: pathlib.Path) -> None:
    """Shuffled and in batches, small enough for memory and not."""
    np.save(tmp_path / "a.npy", np.arange(30, dtype=np.float32).reshape(15, 2))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    labels, chosen = np.arange(15), np.array([14, 1, 5, 3, 9, 12, 0])
    for limit in (sources.IN_MEMORY, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sources, "IN_MEMORY", limit)
            found = list(sources.Source(Rows([array], chosen), labels[chosen]).read_batches(4, 7))
        inputs, read = (np.concatenate([batch[i] for batch in found]) for i in range(2))
        np.testing.assert_array_equal(inputs, array[read])
        assert sorted(read) == sorted(chosen) and list(read) != list(chosen)


def deal(labels: np.ndarray, groups: Any = None, count: int = 3, seed: int = 1, classes: str = "abc") -> Any:
    groups = np.arange(len(labels)).astype(str) if groups is None else groups
    return deal_folds(np.asarray(labels), np.asarray(groups), count, seed, list(classes), "folds")


def test_folds_spread_every_class_evenly() -> None:
    labels = np.repeat([0, 1, 2], [9, 6, 30])
    folds = deal(labels)
    for label, each in ((0, 3), (1, 2), (2, 10)):
        assert list(np.bincount(folds[labels == label])) == [each] * 3


def test_the_seed_decides_the_folds() -> None:
    labels = np.arange(30) % 3
    assert (deal(labels) == deal(labels)).all() and (deal(labels) != deal(labels, seed=2)).any()


def test_more_folds_than_a_class_has_photos_are_refused_near_duplicates_counted_once() -> None:
    labels, groups = [0, 0, 0, 1, 1, 1, 2, 2, 2], list("abcdeefgh")
    with pytest.raises(
        InputError, match="^folds: must be at most 2, the photos of 'b', near duplicates and groups counted once"
    ):
        deal(labels, groups)


def test_a_spread_is_the_standard_deviation_of_a_sample() -> None:
    # distances from 0.3: 0.2, 0.1 and 0.3, whose squares add up to 0.14
    assert summarize_spread([0.1, 0.2, 0.6]) == {
        "mean": 0.3,
        "sd": round((0.14 / 2) ** 0.5, 6),
        "values": [0.1, 0.2, 0.6],
    }
