"""`unfreeze: {auto: …}`: the race over cuts."""

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

import steps
from small import SIZE, WIDTH
from steps import make_repeated, make_setting
from test_repeating import FOLDER, TUNED, params, train_as_the_table_does  # noqa: F401
from test_training import pretrain
from thaw.architectures.table import ARCHITECTURES
from thaw.base.files import digest_of, read_json
from thaw.config.checking import Params
from thaw.config.openings import list_openings
from thaw.networks import backbones, costs, plan
from thaw.networks.sections import Auto, Unfreeze
from thaw.networks.unfreezing import list_candidates
from thaw.records import reading
from thaw.training import folds, racing, repeating
from thaw.training.folds import crossvalidate
from thaw.training.racing import Epochs, Price, Tried, choose, describe
from thaw.training.repeating import place_parts, train_again
from thaw.training.sections import FinetuneRun

AUTO = {**TUNED, "unfreeze": {"auto": {"blocks": [0, 2], "all": False}}}


@pytest.fixture
def raced(project: pathlib.Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> Params:  # noqa: F811
    """The table with a race of an epoch, and the trained head that it starts from."""
    monkeypatch.setattr(racing, "STEPS", 1)
    pretrain()
    train_as_the_table_does(steps.train_frozen, "small", params.frozen["small"], params)
    return params._replace(finetune={"tuned": FinetuneRun.model_validate(AUTO)})


def run_race(params: Params) -> dict[str, Any]:  # noqa: F811
    """Train the run with the race as its stage does; return what its metrics say."""
    train_as_the_table_does(steps.finetune, "tuned", params.finetune["tuned"], params)
    return dict(read_json("metrics/train/tuned.json")["tuned"])


@pytest.mark.parametrize(
    ("store", "least", "epochs"),
    [
        (".thaw/activations", 1, 1),
        pytest.param(".thaw/activations", 99, 2, marks=pytest.mark.long),
        pytest.param("none", 1, 1, marks=pytest.mark.long),
    ],
)
def test_the_winner_of_a_race_ends_as_a_run_that_names_its_cut(
    store: str, least: int, epochs: int, raced: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on from the race, which may have taken all of its two epochs."""
    monkeypatch.setenv("THAW_STORE", store)
    monkeypatch.setattr(racing, "STEPS", least)
    race = run_race(raced)["race"]
    assert race["epochs"] == epochs
    found = [digest_of(f"models/tuned.{end}") for end in ("weights.h5", "json")]
    history = pd.read_csv("plots/history/tuned.csv")
    named = {"head": None, "blocks-2": {"blocks": 2}}[race["chosen"]]
    run = FinetuneRun.model_validate({**TUNED, "unfreeze": named})
    train_as_the_table_does(steps.finetune, "tuned", run, raced)
    assert found == [digest_of(f"models/tuned.{end}") for end in ("weights.h5", "json")]
    pd.testing.assert_frame_equal(history, pd.read_csv("plots/history/tuned.csv"))


@pytest.mark.parametrize(
    ("photos", "epochs"),
    [(2752, 1), (609, 1), (608, 2), (300, 2), (150, 4), (10, 15)],
)
def test_candidates_train_for_twenty_steps_of_32_photos_in_whole_epochs(photos: int, epochs: int) -> None:
    """19 full batches and one of a single photo are 20 steps; a race takes no more than the 15 epochs of its run."""
    run = FinetuneRun.model_validate({**AUTO, "epochs": 15})
    assert racing.count_epochs(run, photos, 32) == epochs


@pytest.mark.long
def test_a_candidate_is_judged_by_the_first_epoch_of_a_training_of_its_own(raced: Params) -> None:
    race = run_race(raced)["race"]
    for name, unfreeze in (("head", None), ("blocks-2", {"blocks": 2})):
        run = FinetuneRun.model_validate({**TUNED, "unfreeze": unfreeze})
        train_as_the_table_does(steps.finetune, "tuned", run, raced)
        assert "race" not in read_json("metrics/train/tuned.json")["tuned"]
        first = pd.read_csv("plots/history/tuned.csv").iloc[0]
        assert race["candidates"][name]["validation_loss"] == first.validation_loss
        assert race["candidates"][name]["validation_accuracy"] == first.validation_accuracy
    right = {name: found["validation_accuracy"] for name, found in race["candidates"].items()}
    assert race["chosen"] == max(right, key=lambda name: right[name])


@pytest.mark.long
def test_a_race_that_was_stopped_trains_no_candidate_twice(raced: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, kept = repeating.Unfinished.keep, []

    def keep_and_stop(unfinished: Any, variables: Any, rows: Any) -> None:
        keep(unfinished, variables, rows)
        kept.append(len(rows))
        if len(kept) in (1, 3):  # after the first candidate, and in the winner's last epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(repeating.Unfinished, "keep", keep_and_stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_race(raced)
    run_race(raced)
    assert kept == [1, 1, 2]  # epochs: of two candidates one each, of the winner one more
    assert not list(pathlib.Path(".thaw/activations/unfinished").glob("*"))


def test_the_best_candidate_has_the_highest_accuracy_and_of_equals_it_is_the_cheapest() -> None:
    scores = [(0.2, 0.6), (float("nan"), 0.9), (0.5, 0.7), (0.3, 0.7)]
    assert choose({str(number): Tried(*score) for number, score in enumerate(scores)}) == "2"
    assert choose({"first": Tried(float("nan"), 0.9), "second": Tried(9.0, 0.1)}) == "second"


@pytest.mark.parametrize("architecture", ["MobileNet", "ResNet50"])
def test_candidates_are_every_number_of_blocks_from_the_head_alone_to_the_whole_backbone(architecture: str) -> None:
    blocks = ARCHITECTURES[architecture].blocks
    found = list_candidates(Auto(), architecture)
    assert list(found) == ["head", *(f"blocks-{count}" for count in range(1, blocks + 1)), "all"]
    assert found["head"] is None and found["blocks-2"] == Unfreeze(blocks=2) and found["all"] == Unfreeze(all=True)


def test_candidates_run_from_the_cheapest_on_in_whatever_order_they_are_asked() -> None:
    assert list(list_candidates(Auto(blocks=[4, 0, 2], all=False), "MobileNet")) == ["head", "blocks-2", "blocks-4"]


def test_the_store_is_filled_for_every_candidate_of_a_race(raced: Params) -> None:
    """In one pass over the photos: what runs ask of a backbone lists what candidates ask."""
    params = raced._replace(backbones={"small": type("Row", (), {"architecture": "MobileNet"})})  # noqa: F811
    asked = [opening.unfreeze for opening in list_openings(params, "small")]
    assert asked == [None, None, Unfreeze(blocks=2)]


def test_the_share_of_a_race_counts_the_stored_activations_once() -> None:
    """Two candidates of 10 epochs: 100 + 300 FLOPs an epoch, at most 50 to fill the store."""
    prices = {"head": Price(100, 50, 1.0, 2.0), "all": Price(300, 0, 3.0, 1.0)}
    tried = {"head": Tried(0.5, 0.5), "all": Tried(0.4, 0.6)}
    race = describe(tried, "all", prices, Epochs(1, 10))
    assert race["share"] == round((50 + 400) / (50 + 4000), 4)
    assert race["share_trained"] == round((50 + 400 + 9 * 300) / (50 + 4000), 4)


@pytest.mark.long
@pytest.mark.parametrize("stored", [True, False])
def test_an_epoch_of_a_candidate_costs_its_steps_and_the_prefix_where_nothing_is_stored(
    stored: bool, raced: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by hand for the head alone: a multiplication is two FLOPs, the features need no gradient."""
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: stored)
    found = run_race(raced)["race"]["candidates"]["head"]["epoch_flops"]
    backbone, counts = backbones.build("MobileNet", WIDTH, SIZE), reading.read_index(FOLDER)["counts"]
    hidden, classifier = 2 * backbone.output.shape[-1] * 8, 2 * 8 * 3
    step, forward = 2 * hidden + 3 * classifier, hidden + classifier
    prefix = 0 if stored else costs.count_flops(backbone.operations)
    assert found == counts["train"] * (step + prefix) + counts["validation"] * (forward + prefix)


def test_a_race_of_a_fold_sees_no_photo_that_it_is_scored_on(raced: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains on four fifths of the others and chooses on one fifth; near duplicates stay together."""
    ids = np.concatenate([reading.read_labels(FOLDER, part)[1] for part in place_parts(FOLDER)])
    groups = pd.Series(ids, index=ids)
    asked = []

    def note(repeated: Any, setting: Any, trained: Any, scored: Any, held_out: Any) -> Any:
        asked.append((trained, scored[0], held_out))
        logits = [np.zeros((len(rows), 3), np.float32) for rows in scored]
        return repeating.Again(logits, pd.DataFrame(), [], "blocks-1")

    monkeypatch.setattr(folds, "train_again", note)
    document, _, _ = crossvalidate(make_repeated("tuned", raced), groups, 1, make_setting(raced))
    assert document["chosen"] == {"1": "blocks-1", "2": "blocks-1"}
    for trained, scored, (inner, chosen_on) in asked:
        assert not set(scored) & (set(inner) | set(chosen_on))
        assert sorted([*inner, *chosen_on]) == sorted(trained)
        assert 0 < len(chosen_on) < len(inner)


@pytest.mark.long
def test_with_the_seed_and_photos_of_the_table_a_race_again_ends_with_the_run_of_the_table(raced: Params) -> None:
    run_race(raced)
    steps.score("tuned", raced)
    rows = place_parts(FOLDER)
    made = train_again(
        make_repeated("tuned", raced),
        make_setting(raced),
        rows["train"],
        [rows["validation"]],
        (rows["train"], rows["validation"]),
    )
    pd.testing.assert_frame_equal(made.history, pd.read_csv("plots/history/tuned.csv"))
    assert made.chosen == read_json("metrics/train/tuned.json")["tuned"]["race"]["chosen"]
    predictions = pd.read_csv("plots/predictions/tuned.csv")
    predicted = predictions[predictions.part == "validation"].predicted
    assert [f"class{label}" for label in made.logits[0].argmax(axis=1)] == list(predicted)
