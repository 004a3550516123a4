"""The published tables: what was open, what the digits allow, and our runs beside them."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from thaw.architectures.table import ARCHITECTURES
from thaw.comparison import published
from thaw.comparison.results import Results, Run, describe_unfreeze
from thaw.networks import classifiers, unfreezing
from thaw.networks.sections import Head, Unfreeze

HEAD = Head(dense=[], dropout=0.0, batch_norm=False)
TABLE = published.read_published()
ASKS = [{"layers": n} for n in range(1, 60)] + [{"blocks": n} for n in range(1, 20)]
ASKS += [{"from_layer": n} for n in range(171)] + [{"stages": ["conv5"]}, {"stages": ["conv4", "conv5"]}]
WORDS = {describe_unfreeze(ask): ask for ask in ASKS} | {describe_unfreeze(None): None}


@pytest.fixture(scope="module")
def count_trainable() -> Callable[[str, dict[str, Any] | None], int]:
    """Counts the trainable parameters, a head of five classes included, of an architecture at full width."""
    built = {name: classifiers.build_classifier(name, 1, 64, HEAD, 5) for name in ("ResNet50", "MobileNet")}

    def count(name: str, ask: dict[str, Any] | None) -> int:
        network = built[name]
        opened = unfreezing.find_open_layers(network.backbone, name, ask and Unfreeze(**ask))
        unfreezing.open_up(network.backbone, opened, "inference")
        return sum(w.numpy().size for w in network.model.trainable_weights)

    return count


def find(report: str, row: int | str) -> pd.Series:
    return TABLE[(TABLE["report"] == report) & (TABLE["row"] == str(row))].iloc[0]


COUNTED = TABLE[TABLE["backbone"].isin(["ResNet50", "MobileNet"]) & (TABLE["trainable_parameters"] != "")]
LARGER_HEAD = ("mobilenet-vs-resnet50", "1")


@pytest.mark.parametrize("row", [row for row in COUNTED.itertuples() if (row.report, row.row) != LARGER_HEAD])
def test_what_was_open_has_the_published_number_of_parameters(
    row: Any, count_trainable: Callable[[str, dict[str, Any] | None], int]
) -> None:
    assert count_trainable(row.backbone, WORDS[row.unfrozen]) == int(row.trainable_parameters)


def test_the_row_with_a_larger_head_trains_more_than_the_head_that_it_names(
    count_trainable: Callable[[str, dict[str, Any] | None], int],
) -> None:
    row = find(*LARGER_HEAD)
    plain = count_trainable("ResNet50", None)
    assert int(row.trainable_parameters) > plain and f"{plain:,}" in row.note and "2.6 M" in row.note


def test_the_last_20_layers_do_not_have_the_parameters_that_the_row_with_that_label_has(
    count_trainable: Callable[[str, dict[str, Any] | None], int],
) -> None:
    row = find("mobilenet-vs-resnet50", 2)
    count = count_trainable("ResNet50", {"stages": ["conv4", "conv5"]})
    assert f"{count:,} trainable" in row.note
    assert count_trainable("ResNet50", {"layers": 20}) != int(row.trainable_parameters) == count


def test_the_final_block_of_mobilenet_has_more_parameters_than_the_row_with_that_label(
    count_trainable: Callable[[str, dict[str, Any] | None], int],
) -> None:
    row = find("mobilenet-vs-resnet50", 8)
    assert f"{count_trainable('MobileNet', None):,} trainable" in row.note
    assert count_trainable("MobileNet", {"blocks": 1}) > int(row.trainable_parameters)


def test_more_blocks_than_there_are_is_noted_and_nothing_else_is() -> None:
    for row in TABLE.itertuples():
        asked = re.fullmatch(r"last (\d+) blocks", row.unfreeze)
        if asked:
            blocks = ARCHITECTURES[row.backbone].blocks
            noted = row.note == f"{row.backbone} has {blocks} blocks: no more can have been open"
            assert noted == (int(asked[1]) > blocks)
            assert row.unfrozen == describe_unfreeze({"blocks": min(int(asked[1]), blocks)})


def test_every_opening_is_in_the_words_of_the_table_of_runs() -> None:
    assert set(TABLE["unfrozen"]) <= {*WORDS, "all (from scratch)"}


def test_where_nothing_is_noted_the_opening_is_the_one_that_the_report_names() -> None:
    for row in TABLE[TABLE["note"] == ""].itertuples():
        named = row.unfreeze.replace("last 1 blocks", "last block").replace(" and ", ", ")
        assert row.unfrozen == ("nothing (head only)" if named == "none" else named)


@pytest.mark.parametrize("report", ["resnet50-and-mobilenet-analysis", "resnet50-and-mobilenetv3"])
def test_the_test_accuracies_fit_367_photos_and_no_other_number_below_734(report: str) -> None:
    printed = TABLE.loc[TABLE["report"] == report, "test_accuracy"]
    assert [n for n in published.find_sizes(printed) if n < 734] == [367]


def test_so_do_those_of_mobilenet_in_the_other_report() -> None:
    rows = TABLE[(TABLE["report"] == "mobilenet-vs-resnet50") & (TABLE["backbone"] == "MobileNet")]
    assert [n for n in published.find_sizes(rows["test_accuracy"]) if n < 734] == [367]


@pytest.mark.parametrize("row, size, other", [(1, 551, 367), (2, 367, 551), (4, 551, 367)])
def test_two_of_three_test_accuracies_fit_the_validation_part(row: int, size: int, other: int) -> None:
    figure = find("mobilenet-vs-resnet50", row).test_accuracy
    fitting = published.find_sizes([figure])
    assert size in fitting and other not in fitting
    assert published.find_photos()["mobilenet-vs-resnet50", str(row), "test"] == size


@pytest.mark.parametrize("report", ["mobilenet-vs-resnet50", "resnet50-and-mobilenetv3"])
def test_the_validation_accuracies_fit_551_photos_and_not_550(report: str) -> None:
    printed = [figure for figure in TABLE.loc[TABLE["report"] == report, "validation_accuracy"] if figure]
    fitting = published.find_sizes(printed)
    assert fitting[0] == 551 and 550 not in fitting


def test_some_validation_accuracies_fit_no_number_of_photos() -> None:
    rows = TABLE[TABLE["report"] == "resnet50-and-mobilenet-analysis"]
    assert published.find_sizes(rows["validation_accuracy"]) == []
    sentences = published.describe_digits("resnet50-and-mobilenet-analysis")
    assert [s for s in sentences if s.startswith("Validation, 14 figures: no number of photos up to 3,670 fits")]


def test_figures_of_two_digits_do_not_determine_their_photos() -> None:
    known = {report for report, *_ in published.find_photos()}
    assert not known & {"mobilenetv2-and-resnet50", "frozen-vs-fine-tuning"}


@pytest.mark.parametrize("architecture, signed, tuned", [("ResNet50", 6.56, 8.05), ("MobileNetV3Large", 4.32, 5.73)])
def test_the_mean_gap_that_a_report_states_is_that_of_its_rows_with_the_frozen_one(
    architecture: str, signed: float, tuned: float
) -> None:
    assert round(100 * published.find_mean_gap(architecture, True), 2) == signed
    assert round(100 * published.find_mean_gap(architecture, False), 2) == tuned


def make_results(right: int = 342, part: str = "test", **weights: Any) -> Results:
    """Return Results of one run, the last 10 blocks of ResNet50, with so many of 368 photos right."""
    run = Run("deep", "finetuned", "resnet50", None, "last 10 blocks", (15,), {"blocks": 10})
    scores = {"validation": {"accuracy": 500 / 550, "photos": 550}, "trainable_parameters": 1}
    if part == "test":
        scores["test"] = {"accuracy": right / 368, "photos": 368}
    weights = {"resnet50": {"architecture": "ResNet50", "width": 1, "official": True, **weights}}
    download = {"digest": published.DIGEST}
    return Results(
        "tf_flowers:3.0.1", download, {}, {}, [run], [run], weights, {"deep": ""}, [], {"deep": scores}, part
    )


def find_lines(results: Results, row: int) -> list[list[str]]:
    """Return the cells of the lines beside row `row` of resnet50-and-mobilenet-analysis."""
    section = published.describe_published(results).partition("### resnet50-and-mobilenet-analysis")[2]
    name = published.name_row(find("resnet50-and-mobilenet-analysis", row))
    lines = [line for line in section.partition("###")[0].splitlines() if line.startswith(f"| {name} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_published_row_stands_beside_the_run_that_opens_the_same() -> None:
    # Wilson, by hand: 342 of 367 has its centre at (0.93188 + 0.00523) / 1.01047 = 0.9274, half 0.0260.
    assert find_lines(make_results(), 7) == [
        ["ResNet50, last 10 blocks", "last 10 blocks", "93.19", "367", "90.1 – 95.3", "deep", "92.93", "89.8 – 95.1",
         "agree at this size", ""]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "right, verdict", [(368, "measured higher"), (310, "measured lower"), (335, "agree at this size")]
)
def test_the_verdict_follows_the_interval_of_the_difference(right: int, verdict: str) -> None:
    assert find_lines(make_results(right), 7)[0][8] == verdict


def test_a_row_without_a_run_says_so() -> None:
    assert find_lines(make_results(), 5)[0][5:9] == ["–", "–", "–", "not run"]


@pytest.mark.parametrize("change", [{"width": 0.5}, {"preprocessing": "rescaled"}])
def test_another_network_is_not_the_published_one(change: dict[str, Any]) -> None:
    assert find_lines(make_results(**change), 7)[0][8] == "not run"


def test_without_a_test_part_validation_stands_beside_it_and_says_so() -> None:
    assert find_lines(make_results(part="validation"), 7)[0][6] == "90.91 (validation)"


KAGGLE = {"daisy": 764, "dandelion": 1052, "rose": 784, "sunflower": 733, "tulip": 984}


@pytest.mark.parametrize(
    "download, reports",
    [
        pytest.param({"digest": published.DIGEST}, [*TABLE["report"].unique()], id="TF-Flowers, whatever its source"),
        pytest.param({}, [], id="other photos under the name of TF-Flowers"),
        pytest.param({"classes": KAGGLE, "photos": 4317}, ["frozen-vs-fine-tuning"], id="Kaggle's photos"),
        pytest.param(
            {"classes": KAGGLE, "photos": 4316, "rejected": ["rose/a.jpg"]},
            ["frozen-vs-fine-tuning"],
            id="Kaggle's photos, one of which cannot be read",
        ),
        pytest.param({"classes": KAGGLE, "photos": 4242}, [], id="Kaggle's classes with another number of photos"),
        pytest.param({"classes": {"rose": 4317}, "photos": 4317}, [], id="as many photos of other classes"),
    ],
)  # fmt: skip
def test_published_rows_stand_beside_the_photos_that_they_are_about(
    download: dict[str, Any], reports: list[str]
) -> None:
    about = {"digest": "00", "classes": {}, "photos": 3670, "rejected": [], **download}
    assert published.list_reports(make_results()._replace(download=about)) == reports
