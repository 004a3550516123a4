"""Groups of photos dealt into parts of given shares, each group whole: for the split and for cross-validation.

scikit-learn's StratifiedGroupKFold knows equal folds alone, and may leave one of them empty (its issue 34828).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TOLERANCE = 0.02  # of the photos: a share further from what was asked misses it
MOST_TOLD = 10  # misses that are described one by one
ORDERS, STEPS = 300, 30_000  # most orders in which the groups of a class are dealt, and groups dealt in all of them


class Miss(NamedTuple):
    """A part whose share of a class, or of all photos, lies further from what was asked than it may."""

    part: int
    label: int | None  # of the class; None: of all photos
    asked: float  # share
    photos: int  # of the class in the part
    total: int  # of the class


def find_misses(labels: np.ndarray, parts: np.ndarray, shares: Sequence[float]) -> list[Miss]:
    """Return where a share misses by more than TOLERANCE, and by more than a photo, the largest misses first.

    `labels` (n,) and `parts` (n,) int are the class and the part of each photo, `shares` the share of each part. What
    misses by a photo or less is rounding.
    """
    counts = _count(labels, parts, len(shares))
    totals = counts.sum(axis=1, keepdims=True)
    distances = np.abs(counts - totals * np.array(shares))
    found = [
        Miss(part, None if row == len(counts) - 1 else row, shares[part], int(counts[row, part]), int(totals[row, 0]))
        for row, part in np.argwhere(distances > np.maximum(TOLERANCE * totals, 1) + 1e-9).tolist()
    ]
    # All photos before a class, then by the distance in points.
    return sorted(found, key=lambda miss: (miss.label is not None, -abs(miss.photos / miss.total - miss.asked)))


def describe_misses(misses: Sequence[Miss], parts: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return a line for each of the first `misses`; `parts` and `classes` are the names of both."""
    lines = []
    for miss in misses[:MOST_TOLD]:
        of = "all photos" if miss.label is None else f"'{classes[miss.label]}'"
        lines.append(
            f"{parts[miss.part]} has {100 * miss.photos / miss.total:.1f} % of {of} ({miss.photos:,} of "
            f"{miss.total:,}), asked for were {100 * miss.asked:.4g} %"
        )
    if len(misses) > MOST_TOLD:
        lines.append(f"{len(misses) - MOST_TOLD:,} more shares miss by more than {100 * TOLERANCE:g} points")
    return lines


def deal_groups(
    labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int, drawn: np.ndarray | None
) -> np.ndarray:
    """Return the part (n,) int of each photo: `drawn`, or where its shares miss, a deal of the groups by their size.

    `labels` (n,) and `groups` (n,) int, from 0 on, are the class and the group of each photo; `drawn` (n,) int is a
    draw in which each group counts as one photo, None where there is none. Groups are large where such a draw misses a
    share (`find_misses`): where none is large, it stays as it is. Else the one of the two counts whose shares, of all
    photos and of each class, are nearer to what was asked (sum of squares). Where every photo is a group of its own the
    draw counts: its misses are rounding.
    """
    if drawn is not None and (len(np.unique(groups)) == len(groups) or not find_misses(labels, drawn, shares)):
        return drawn
    dealt = deal_by_size(labels, groups, shares, seed)
    if drawn is None or _measure(labels, dealt, shares) < _measure(labels, drawn, shares):
        return dealt
    return drawn


def deal_by_size(labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Return the part (n,) int of each photo: whole groups, the largest first, each to the part that lacks most.

    `labels` (n,) and `groups` (n,) int, from 0 on, are the class and the group of each photo; a group is dealt with the
    class of its first photo. What a part lacks are photos of that class, and at most one more of those that the classes
    before left it without, so that rounding does not add up. `seed` decides among groups of one size. Where a class
    comes out less near than its largest group allows, but for a photo in each part, other orders of its groups are
    tried, and the nearest deal is taken. A class that has a group for each part is in every part.
    """
    first = np.unique(groups, return_index=True)[1]
    own, sizes, classes = labels[first], np.bincount(groups), int(labels.max()) + 1
    held, counts = np.unique(groups * classes + labels, return_counts=True)  # what each group holds of each class
    bounds = np.searchsorted(held, np.arange(len(first) + 1) * classes)
    contents = [(held[low:high] % classes, counts[low:high]) for low, high in zip(bounds, bounds[1:], strict=False)]
    lack = np.outer(np.bincount(labels, minlength=classes), shares)
    dealt, behind = np.empty(len(first), int), np.zeros(len(shares))
    generator = np.random.default_rng(seed)
    for label in range(classes):
        inside, nudge = np.flatnonzero(own == label), np.clip(behind, -1, 1)
        lack[label] += nudge
        dealt[inside], lack = _deal_class(label, sizes[inside], [contents[group] for group in inside], lack, generator)
        lack[label] -= nudge
        behind += lack[label]
    return dealt[groups]


def _deal_class(
    label: int,
    sizes: np.ndarray,
    contents: Sequence[tuple[np.ndarray, np.ndarray]],
    lack: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (part (m,) int of each group of class `label`, what then lacks).

    `sizes` (m,) int are the photos of each group and `contents` (classes, photos of each) the same in detail; `lack`
    (classes, parts) says how many photos each part lacks of each class.
    """
    found, nearest = (np.empty(0, int), lack), np.inf
    # No deal is nearer than one in which the largest group is all that is too much, and the other parts share the loss.
    over = max(0.0, float(sizes.max(initial=0) - lack[label].max()))
    least = over**2 * (1 + 1 / (lack.shape[1] - 1))
    for attempt in range(max(1, min(ORDERS, STEPS // max(1, len(sizes))))):
        weights = sizes * generator.uniform(0.3, 1, len(sizes)) if attempt else sizes
        left, empty = lack.copy(), np.ones(lack.shape[1], bool)
        dealt = np.empty(len(sizes), int)
        for done, group in enumerate(np.lexsort((generator.permutation(len(sizes)), -weights))):
            classes, counts = contents[group]
            wanted = counts @ left[classes]
            if len(sizes) - done <= empty.sum():
                wanted[~empty] = -np.inf
            dealt[group] = part = int(wanted.argmax())
            left[classes, part] -= counts
            empty[part] = False
        distance = float((left[label] ** 2).sum())
        if distance < nearest - 1e-9:
            found, nearest = (dealt, left), distance
        if nearest <= least + lack.shape[1]:  # but for a photo in each part
            break
    return found


def _count(labels: np.ndarray, parts: np.ndarray, number: int) -> np.ndarray:
    """Return (classes + 1, number) float: the photos of each class in each of so many parts, and in the end of all."""
    counts = np.zeros((int(labels.max()) + 2, number))
    np.add.at(counts, (labels, parts), 1)
    counts[-1] = counts.sum(axis=0)
    return counts


def _measure(labels: np.ndarray, parts: np.ndarray, shares: Sequence[float]) -> float:
    """Return the sum of squares of the distances from what was asked, over the shares of all photos and of classes."""
    counts = _count(labels, parts, len(shares))
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return float(((counts / totals - np.array(shares)) ** 2).sum())
