"""The report's section on seeds and folds, on made-up scores."""

import json
import pathlib
from collections.abc import Collection, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from thaw.comparison import inference
from thaw.comparison.repeats import compare_folds, describe_repeats, read_repeats
from thaw.comparison.words import say_points

PHOTOS = 100


@pytest.fixture
def results() -> SimpleNamespace:
    scores = {"validation": {"accuracy": 0.5, "photos": 200}, "test": {"accuracy": 0.87, "photos": PHOTOS}}
    classes = {"NA": PHOTOS, "rose": 0}
    return SimpleNamespace(
        download={"classes": classes},
        part="test",
        marks={"wide": "¹", "deep": ""},
        scores={"wide": scores, "deep": scores},
    )


def list_params(replicates: Iterable[str] = (), folds: Iterable[str] = ()) -> SimpleNamespace:
    return SimpleNamespace(replicates=dict.fromkeys(replicates), folds=dict.fromkeys(folds))


def spread(mean: float, sd: float, values: list[float], **others: float) -> dict[str, Any]:
    return {"mean": mean, "sd": sd, "values": values, **others}


def write(folder: pathlib.Path, section: str, name: str, document: dict[str, Any]) -> None:
    path = folder / f"metrics/evaluate/{section}/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({section: {name: document}}))


def write_replicates(folder: pathlib.Path, name: str = "wide", sd: float = 0.01) -> None:
    accuracy = {"test": spread(0.9, sd, [0.89, 0.9, 0.91]), "validation": spread(0.8, 0.02, [0.78, 0.8, 0.82])}
    accuracy["train"] = spread(0.99, 0.0, [0.99, 0.99, 0.99])
    write(folder, "replicates", name, {"seeds": [1, 2, 3], "accuracy": accuracy})


def write_folds(folder: pathlib.Path, name: str, right: Collection[int], folds: int = 2, photos: int = PHOTOS) -> None:
    """Write a cross-validation of so many photos, those whose numbers are in `right` right."""
    scores = {"accuracy": spread(0.9, 0.03, [0.88, 0.92], pooled=len(right) / photos), "f1": {"pooled": 0.8765}}
    write(folder, "folds", name, {"photos": photos, **scores})
    table = pd.DataFrame({"id": [f"{i:04}" for i in range(photos)], "fold": [1 + i % folds for i in range(photos)]})
    table["actual"] = "NA"
    table["predicted"] = ["NA" if i in right else "rose" for i in range(photos)]
    path = folder / f"plots/predictions/folds/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def read(folder: pathlib.Path, name: str) -> pd.DataFrame:
    return read_repeats(list_params(folds=[name]), folder).predictions[name]


def describe(folder: pathlib.Path, results: SimpleNamespace, **sections: Iterable[str]) -> str:
    return describe_repeats(read_repeats(list_params(**sections), folder), results)


def test_where_nothing_is_repeated_the_section_says_so(tmp_path: pathlib.Path, results: SimpleNamespace) -> None:
    assert describe(tmp_path, results).startswith("Each run was trained once")


def test_replicates_are_printed_as_mean_and_standard_deviation(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    write_replicates(tmp_path)
    text = describe(tmp_path, results, replicates=["wide"])
    # the standard error of 0.9 on 100 photos is the root of 0.9 * 0.1 / 100
    assert "| wide¹ | 3 | 80.00 ± 2.00 | 90.00 ± 1.00 | 89.00 – 91.00 | 3.00 |" in text


# The error of the sample is 3 points. The 95 % interval of a standard deviation of 3 values is 0.5207 to 6.2847 times
# it, by the tables of the chi-squared distribution (2 degrees of freedom: 7.3778 and 0.050636).
@pytest.mark.parametrize(
    "sd, verdict",
    [
        (0.0047, "(0.24 – 2.95), 100 other photos would by 3.00: the photos weigh more"),
        (0.0048, "(0.25 – 3.02), 100 other photos would by 3.00: so few seeds do not show which weighs more"),
        (0.0576, "(3.00 – 36.20), 100 other photos would by 3.00: so few seeds do not show which weighs more"),
        (0.0577, "(3.00 – 36.26), 100 other photos would by 3.00: the seed weighs more"),
    ],
)
def test_the_spread_over_seeds_is_compared_with_the_error_of_the_sample(
    sd: float, verdict: str, tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    write_replicates(tmp_path, sd=sd)
    assert f" points {verdict}." in describe(tmp_path, results, replicates=["wide"])


def test_what_has_not_been_repeated_yet_says_so(tmp_path: pathlib.Path, results: SimpleNamespace) -> None:
    write_replicates(tmp_path)
    text = describe(tmp_path, results, replicates=["wide", "deep"], folds=["deep"])
    assert text.count("| deep | not run yet |") == 2 and "| wide¹ | 3 |" in text


def test_a_table_has_as_many_cells_in_every_row(tmp_path: pathlib.Path, results: SimpleNamespace) -> None:
    write_replicates(tmp_path)
    write_folds(tmp_path, "wide", range(90))
    text = describe(tmp_path, results, replicates=["wide", "deep"], folds=["wide", "deep"])
    for table in (block.split("\n") for block in text.split("\n\n") if block.startswith("|")):
        assert len({line.count("|") for line in table}) == 1 and len(table) == 4


def test_a_cross_validation_is_printed_with_its_interval_over_all_photos(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    write_folds(tmp_path, "wide", range(90))
    text = describe(tmp_path, results, folds=["wide"])
    # Wilson's interval of 90 right of 100, as published tables have it: 0.826 to 0.945
    assert "| wide¹ | 2 | 100 | 90.00 | 82.6 – 94.5 | 3.00 | 0.8765 | 87.00 |" in text
    assert "Fold by fold" not in text


def spread_over_folds(*counts: int) -> set[int]:
    """Return the numbers of the photos that are right: so many of each of as many folds as there are counts."""
    folds = len(counts)
    return {fold + folds * i for fold, count in enumerate(counts) for i in range(count)}


@pytest.mark.parametrize(
    "better, sentence",
    # Differences over 4 folds of 25 photos. 3, 1, 2 and 0: mean 1.5 photos, sd 1.291, error 1.291 * sqrt(1/4 + 1/3),
    # t = 1.521 with 3 degrees of freedom, half the interval 3.182 errors.
    # 3, 3, 2 and 3: mean 2.75, sd 0.5, error 0.382, t = 7.201.
    [((19, 17, 18, 16), "deep cannot be told apart from wide: +6.0 points (-6.6 to +18.6), p = 0.23."),
     ((19, 19, 18, 19), "deep is better than wide: +11.0 points (+6.1 to +15.9), p = 0.006.")],
)  # fmt: skip
def test_two_cross_validated_runs_are_compared_fold_by_fold(
    better: Sequence[int], sentence: str, tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    write_folds(tmp_path, "deep", spread_over_folds(*better), folds=4)
    write_folds(tmp_path, "wide", spread_over_folds(16, 16, 16, 16), folds=4)
    assert f"- {sentence}" in describe(tmp_path, results, folds=["deep", "wide"])


@pytest.mark.parametrize("difference, words", [(0.0408, "+4.1"), (-0.0408, "-4.1"), (-0.0004, "+0.0"), (0.0, "+0.0")])
def test_a_difference_that_rounds_to_none_has_no_minus(difference: float, words: str) -> None:
    assert say_points(difference) == words


def test_the_p_values_of_all_pairs_are_corrected_together(tmp_path: pathlib.Path) -> None:
    for name, counts in (("a", (16, 16, 17, 16)), ("b", (19, 17, 18, 16)), ("c", (23, 20, 21, 19))):
        write_folds(tmp_path, name, spread_over_folds(*counts), folds=4)
    pairs = compare_folds(read_repeats(list_params(folds="abc"), tmp_path).predictions)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = [compare_folds({name: read(tmp_path, name) for name in pair[:2]})[0].p for pair in pairs]
    assert [pair.p for pair in pairs] == pytest.approx(inference.holm(alone).tolist())
    assert pairs[0].p >= alone[0] and pairs[1].p > alone[1]


def test_of_pairs_that_are_given_the_p_values_of_these_alone_are_corrected(tmp_path: pathlib.Path) -> None:
    for name, counts in (("a", (16, 16, 17, 16)), ("b", (19, 17, 18, 16)), ("c", (23, 20, 21, 19))):
        write_folds(tmp_path, name, spread_over_folds(*counts), folds=4)
    predictions = read_repeats(list_params(folds="abc"), tmp_path).predictions
    ((first, second, interval, p),) = compare_folds(predictions, [("c", "a")])
    (alone,) = compare_folds({name: predictions[name] for name in ("a", "c")})
    assert (first, second, p) == ("c", "a", alone.p)
    assert interval == pytest.approx([-alone.interval.difference, -alone.interval.high, -alone.interval.low])


def test_of_many_pairs_over_folds_those_that_can_be_told_apart_have_a_sentence_and_the_others_are_counted(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    counts = {name: (10, 10, 10, 11) for name in "abcde"} | {"f": (24, 24, 24, 25)}
    results.marks = dict.fromkeys(counts, "")
    results.scores = dict.fromkeys(counts, results.scores["wide"])
    for name, right in counts.items():
        write_folds(tmp_path, name, spread_over_folds(*right), folds=4)
    lines = [line for line in describe(tmp_path, results, folds=counts).splitlines() if line.startswith("- ")]
    assert [line.partition(":")[0] for line in lines[:-1]] == [f"- {name} is worse than f" for name in "abcde"]
    assert lines[-1] == "- The runs of each of the other 10 pairs cannot be told apart."


def test_where_none_of_many_pairs_can_be_told_apart_all_are_counted(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    names = "abcdef"
    results.marks, results.scores = dict.fromkeys(names, ""), dict.fromkeys(names, results.scores["wide"])
    for name in names:
        write_folds(tmp_path, name, spread_over_folds(16, 16, 16, 16), folds=4)
    text = describe(tmp_path, results, folds=names)
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- The runs of each of the 15 pairs cannot be told apart."
    ]


def test_runs_on_different_folds_are_not_compared(tmp_path: pathlib.Path) -> None:
    write_folds(tmp_path, "a", range(80))
    write_folds(tmp_path, "b", range(90), folds=3)
    assert compare_folds(read_repeats(list_params(folds="ab"), tmp_path).predictions) == []


def test_an_accuracy_over_seeds_is_printed_from_counts_and_not_rounded_twice(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    """118 of 123 are 0.9593496: with the six digits of the metrics, 0.95935, it would be 95.94 %."""
    results.scores["wide"]["test"]["photos"] = 123
    write_replicates(tmp_path)
    path = tmp_path / "metrics/evaluate/replicates/wide.json"
    document = json.loads(path.read_text())
    document["replicates"]["wide"]["accuracy"]["test"] = spread(0.95935, 0.0, [0.95935] * 3)
    path.write_text(json.dumps(document))
    assert "| 95.93 – 95.93 |" in describe(tmp_path, results, replicates=["wide"])


def test_macro_f1_over_folds_is_printed_from_the_predictions_and_not_rounded_twice(
    tmp_path: pathlib.Path, results: SimpleNamespace
) -> None:
    """90 of 113 right, all of one class: F1 is 180 / 203 and 0, their mean 0.4433498, with six digits 0.44335."""
    write_folds(tmp_path, "deep", range(90), photos=113)
    path = tmp_path / "metrics/evaluate/folds/deep.json"
    path.write_text(path.read_text().replace("0.8765", "0.44335"))
    assert "| 0.4433 |" in describe(tmp_path, results, folds=["deep"])
