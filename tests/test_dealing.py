"""Groups dealt into parts of given shares."""

import itertools
import random
import time
from collections.abc import Sequence

import numpy as np
import pytest

from thaw.base.dealing import MOST_TOLD, deal_by_size, deal_groups, describe_misses, find_misses

SHARES = (0.75, 0.15, 0.1)


def spell(sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the groups of the photos of one class whose groups have these sizes."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return np.zeros(len(groups), int), groups


def share(parts: np.ndarray, number: int = 3) -> np.ndarray:
    return np.bincount(parts, minlength=number) / len(parts)


def test_a_group_is_never_divided() -> None:
    labels, groups = spell([40, 30, 7, 7, 5, 3, 2, *[1] * 30])
    parts = deal_by_size(labels, groups, SHARES, 0)
    assert all(len(set(parts[groups == group])) == 1 for group in range(37))


@pytest.mark.parametrize("shares", [SHARES, (0.6, 0.2, 0.2), (0.34, 0.33, 0.33)])
def test_a_deal_is_within_two_points_wherever_one_is(shares: tuple[float, ...]) -> None:
    """Against all the deals that there are of ten groups."""
    draw, all_deals = random.Random(5), np.array(list(itertools.product(range(3), repeat=10)))
    complete = np.all([(all_deals == part).any(axis=1) for part in range(3)], axis=0)
    for _ in range(20):
        sizes = np.array([draw.choice([6, 7, 11, 18, draw.randrange(1, 40)]) for _ in range(10)])
        reached = np.stack([(all_deals == part) @ sizes for part in range(3)], axis=1) / sizes.sum()
        best = np.abs(reached - shares).max(axis=1)[complete].min()
        found = np.abs(share(deal_by_size(*spell(sizes), shares, 1)) - shares).max()
        assert found <= max(0.02, best) + 1e-9, sorted(sizes)


def test_each_class_has_its_shares_and_all_photos_have_them_too() -> None:
    """A hundred classes of eleven photos: each is rounded, and nearest would be 8, 2 and 1 in every one."""
    labels = np.repeat(np.arange(100), 11)
    parts = deal_by_size(labels, np.arange(1100), SHARES, 0)
    np.testing.assert_allclose(share(parts), SHARES, atol=0.001)
    for label in range(100):
        assert np.abs(np.bincount(parts[labels == label], minlength=3) - 11 * np.array(SHARES)).max() < 2


@pytest.mark.parametrize("sizes", [[50, 1, 1], [9, 9, 9, 1], [1, 1, 1], [30, 30, 30, 30]])
def test_a_class_with_a_group_for_each_part_is_in_every_part(sizes: list[int]) -> None:
    for seed in range(5):
        assert set(deal_by_size(*spell(sizes), SHARES, seed)) == {0, 1, 2}


def test_a_group_of_two_classes_counts_for_both() -> None:
    """Sixty of 100 photos of each class are one group; what train then lacks of both is fifteen."""
    labels = np.repeat([0, 1], 100)
    groups = np.concatenate([np.zeros(60, int), np.arange(1, 41), np.zeros(60, int), np.arange(41, 81)])
    parts = deal_by_size(labels, groups, SHARES, 0)
    for label in (0, 1):
        assert list(np.bincount(parts[labels == label])) == [75, 15, 10]


def test_the_seed_decides_among_groups_of_one_size() -> None:
    labels, groups = spell([30, *[1] * 70])
    deals = [deal_by_size(labels, groups, SHARES, seed).tolist() for seed in (1, 1, 2)]
    assert deals[0] == deals[1] != deals[2]


def test_a_draw_stays_where_its_shares_are_near_to_what_was_asked() -> None:
    labels, groups = spell([2, 2, *[1] * 96])
    drawn = np.repeat([0, 1, 2], [76, 15, 9])
    assert deal_groups(labels, groups, SHARES, 0, drawn) is drawn


def test_a_draw_of_photos_without_near_duplicates_stays_whatever_it_came_to() -> None:
    drawn = np.repeat([0, 1, 2], [7, 3, 1])
    assert deal_groups(np.zeros(11, int), np.arange(11), SHARES, 0, drawn) is drawn


def test_a_draw_that_is_bent_gives_way_to_a_deal_by_size() -> None:
    labels, groups = spell([30, *[1] * 70])
    drawn = np.where(groups == 0, 2, np.where(groups < 10, 1, 0))
    assert list(np.bincount(deal_groups(labels, groups, SHARES, 0, drawn))) == [75, 15, 10]


def test_where_there_is_no_draw_groups_are_dealt_by_size() -> None:
    assert list(np.bincount(deal_groups(*spell([1] * 20), SHARES, 0, None))) == [15, 3, 2]


def test_a_miss_is_more_than_two_points_and_more_than_a_photo() -> None:
    labels = np.zeros(100, int)
    assert not find_misses(labels, np.repeat([0, 1, 2], [77, 13, 10]), SHARES)
    of_all, of_class = find_misses(labels, np.repeat([0, 1, 2], [78, 13, 9]), SHARES)
    assert of_all == (0, None, 0.75, 78, 100) and of_class == (0, 0, 0.75, 78, 100)
    # A photo of eleven is nine points.
    assert not find_misses(np.zeros(11, int), np.repeat([0, 1, 2], [8, 2, 1]), SHARES)


def test_the_first_misses_are_described_and_the_others_counted() -> None:
    labels, parts = np.repeat(np.arange(8), 100), np.tile(np.repeat([0, 1], [60, 40]), 8)
    lines = describe_misses(find_misses(labels, parts, (0.5, 0.5)), ("train", "validation"), list("abcdefgh"))
    assert lines[0] == "train has 60.0 % of all photos (480 of 800), asked for were 50 %"
    assert "train has 60.0 % of 'a' (60 of 100), asked for were 50 %" in lines
    assert len(lines) == MOST_TOLD + 1 and lines[-1] == "8 more shares miss by more than 2 points"


def test_a_hundred_thousand_photos_are_dealt_in_seconds() -> None:
    draw = np.random.default_rng(0)
    groups = np.unique(draw.integers(0, 60_000, 100_000), return_inverse=True)[1]
    labels = groups % 100
    start = time.process_time()
    parts = deal_by_size(labels, groups, SHARES, 0)
    assert time.process_time() - start < 20
    assert not find_misses(labels, parts, SHARES)
