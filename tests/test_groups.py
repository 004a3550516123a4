"""What the report says of near duplicates."""

from typing import Any

import pytest

from thaw.reporting.groups import MOST_CLASSES, describe_groups

COUNTS = {"near_duplicate_groups": 25, "photos_in_them": 52}


@pytest.mark.parametrize(
    ("found", "facts"),
    [
        ({}, ["25 groups of near duplicates, 52 photos in all, each kept in one part."]),
        (
            {"largest_group": 1200},
            ["25 groups of near duplicates, 52 photos in all, each kept in one part; the largest has 1,200."],
        ),
        (
            {"near_pairs_apart": 1},
            ["1 pair of near duplicates is in two parts: a chain of them that was large was cut into groups."],
        ),
        (
            {"groups": {"in_all": 40, "train": 30, "validation": 10}, "largest_group": 12},
            [
                "40 groups came with the photos, 30 in train, 10 in validation, each kept in one part with its near "
                "duplicates; the largest has 12. Tests and intervals of this report take photos as independent: those "
                "of a group are not, so that the intervals are narrower than the number of groups allows.",
                "25 groups of near duplicates, 52 photos in all, each kept in one part.",
            ],
        ),
        (
            {"given_parts": True, "near_pairs_apart": 5, "pairs_apart": dict.fromkeys(["a`.jpg", "b", "c", "d"], "e")},
            [
                "The parts came with the photos; they were not drawn.",
                "25 groups of near duplicates, 52 photos in all.",
                "**5 pairs of near duplicates are in two parts**, as they were given: scores flatter where one of a "
                "pair trains. `metrics/split.json` names some, for example ``a`.jpg`` and `e`; `b` and `e`; `c` and "
                "`e`.",
            ],
        ),
        (
            {"missed": {"train": {"asked": 0.75, "reached": 0.8, "classes": {"a|b": 0.79, "rose": 0.812}}}},
            ["Train was asked to have 75 % and has 80.0 % of all photos, 81.2 % of rose, 79.0 % of `a|b`."],
        ),
        (
            {"missed": {"test": {"asked": 0.125, "classes": {"rose": 0.1}}, "train": {"asked": 0.5, "reached": 0.6}}},
            [
                "Train was asked to have 50 % and has 60.0 % of all photos.",
                "Test was asked to have 12.5 % and has 10.0 % of rose.",
            ],
        ),
    ],
)
def test_the_report_tells_what_near_duplicates_did_and_nothing_where_they_did_nothing(
    found: dict[str, Any], facts: list[str]
) -> None:
    told = describe_groups({**COUNTS, **found})
    assert told[-len(facts) :] == facts
    assert len(told) == len(facts) + (not any(fact.startswith("25 groups") for fact in facts))


def test_of_many_classes_the_worst_are_named_and_the_others_counted() -> None:
    classes = {f"class{number:02}": 0.5 + number / 100 for number in range(10, 30)}
    (_, fact) = describe_groups({**COUNTS, "missed": {"train": {"asked": 0.5, "classes": classes}}})
    assert "79.0 % of class29" in fact and "class19" not in fact
    assert fact.endswith(f"and misses it in {20 - MOST_CLASSES} more classes (`metrics/split.json`).")
