"""Photos that look alike, classes of few photos: how they are split and dealt into folds, and what is said of it."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from test_splitting import SHARES, Manifest, count, encode, fade, make_section, paint, take_frames
from thaw.base.errors import InputError
from thaw.split.parts import split_photos
from thaw.training.folds import deal_folds

HALVES = {"train": 0.5, "validation": 0.5, "test": 0.0}


class Burst(NamedTuple):
    """So many pictures that a camera takes in a row; bursts of the same `scene` look alike."""

    size: int
    scene: int | None = None


class Fade(NamedTuple):
    """So many pictures from one scene to the next, and on to a third and a fourth."""

    size: int


class Shared(NamedTuple):
    """So many pictures whose very bytes stand under every class that has them."""

    size: int


Kind = int | Burst | Fade | Shared  # a number: so many pictures of which no two look alike


def draw(kind: Kind, fresh: Iterator[int]) -> Iterator[bytes]:
    """Yield the pictures; the scenes of those that look like no other have the seeds in `fresh`."""
    if isinstance(kind, Burst):
        yield from take_frames(next(fresh) if kind.scene is None else kind.scene, kind.size)
    elif isinstance(kind, Fade):
        for first, last in itertools.pairwise(itertools.islice(fresh, 4)):
            yield from fade(first, last, kind.size // 3)
    elif isinstance(kind, Shared):
        yield from (encode(paint(seed)) for seed in range(kind.size))
    else:
        yield from (encode(paint(next(fresh))) for _ in range(kind))


def collect(folder: pathlib.Path, classes: Mapping[str, Sequence[Kind]]) -> Manifest:
    manifest, fresh = Manifest(folder), itertools.count(1000)
    for name, kinds in classes.items():
        for kind in kinds:
            for number, content in enumerate(draw(kind, fresh)):
                manifest.add(name, content, sha256=f"{number:064x}" if isinstance(kind, Shared) else None)
    return manifest


class Case(NamedTuple):
    """Photos by class, shares and bits; what each part then has of the classes, and the lines that tell of it."""

    classes: Mapping[str, Sequence[Kind]]
    counts: Mapping[str, Mapping[str, int]]  # part -> class -> photos
    lines: Sequence[str] = ()
    shares: Mapping[str, float] = SHARES
    bits: int = 8


SPLITS = {
    "photos of which no two look alike have the shares that were asked, and nothing is said": Case(
        {"rose": [40], "tulip": [20]},
        {
            "train": {"rose": 30, "tulip": 15},
            "validation": {"rose": 6, "tulip": 3},
            "test": {"rose": 4, "tulip": 2},
        },
    ),
    "a class of eleven photos is rounded, and nothing is said of it": Case(
        {"rose": [40], "tulip": [11]},
        {"train": {"rose": 30, "tulip": 8}, "validation": {"rose": 6, "tulip": 2}, "test": {"rose": 4, "tulip": 1}},
    ),
    "bursts for which train has room leave every share as it was asked": Case(
        {"rose": [Burst(30), Burst(20), 50], "tulip": [Burst(25), 75]},
        {
            "train": {"rose": 75, "tulip": 75},
            "validation": {"rose": 15, "tulip": 15},
            "test": {"rose": 10, "tulip": 10},
        },
    ),
    "bursts of ten fill every part, and the shares are as near as tens allow": Case(
        {"rose": [Burst(10)] * 12, "tulip": [40]},
        {
            "train": {"rose": 90, "tulip": 30},
            "validation": {"rose": 20, "tulip": 6},
            "test": {"rose": 10, "tulip": 4},
        },
    ),
    "a burst of four fifths of a class is train, and each share that misses is told": Case(
        {"rose": [Burst(80), 20], "tulip": [Burst(80), 20]},
        {
            "train": {"rose": 80, "tulip": 80},
            "validation": {"rose": 12, "tulip": 12},
            "test": {"rose": 8, "tulip": 8},
        },
        [
            "train has 80.0 % of all photos (160 of 200), asked for were 75 %",
            "train has 80.0 % of 'rose' (80 of 100), asked for were 75 %",
            "train has 80.0 % of 'tulip' (80 of 100), asked for were 75 %",
            "near duplicates stay together, 160 photos in 2 groups; a lower split.near_duplicate_bits (8) makes",
        ],
    ),
    "a burst under two classes stays in one part and counts for both": Case(
        {"rose": [Burst(30, scene=7), 70], "tulip": [Burst(30, scene=7), 70]},
        {
            "train": {"rose": 75, "tulip": 75},
            "validation": {"rose": 15, "tulip": 15},
            "test": {"rose": 10, "tulip": 10},
        },
    ),
    "without a test part a burst larger than its part is told of the two that there are": Case(
        {"rose": [Burst(30), 10], "tulip": [40]},
        {"train": {"rose": 30, "tulip": 20}, "validation": {"rose": 10, "tulip": 20}},
        ["train has 75.0 % of 'rose' (30 of 40), asked for were 50 %"],
        HALVES,
    ),
    "copies that differ in nothing that a hash sees are a group at 0 bits too, and no lower number is advised": Case(
        {"rose": [Burst(1, scene=3)] * 30 + [10], "tulip": [40]},
        {"train": {"rose": 30, "tulip": 20}, "validation": {"rose": 10, "tulip": 20}},
        ["near duplicates stay together, 30 photos in 1 group\n"],
        HALVES,
        bits=0,
    ),
    "a long fade is no group, and the near duplicates that it leaves in two parts are counted": Case(
        {"rose": [Fade(90), 10], "tulip": [100]},
        {
            "train": {"rose": 75, "tulip": 75},
            "validation": {"rose": 15, "tulip": 15},
            "test": {"rose": 10, "tulip": 10},
        },
        ["pairs of near duplicates in two parts: a chain of them that is large is cut into groups"],
    ),
}


@pytest.mark.parametrize("case", SPLITS.values(), ids=SPLITS)
def test_photos_are_split(case: Case, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = collect(tmp_path, case.classes)
    table, _ = split_photos(manifest.table(), tmp_path, make_section(2, case.bits, **case.shares))
    found, said = count(table), capsys.readouterr().err
    for part, counts in case.counts.items():
        for name, expected in counts.items():
            assert abs(found[part, name] - expected) <= 2, found
    assert (table.groupby("group")["part"].nunique() == 1).all()
    assert all(line in said for line in case.lines), said
    # Beside the progress.
    assert bool(case.lines) == (len(said.splitlines()) > 1), said


TOO_FEW = {
    "a class of too few photos is told how many it has, and which share could be larger": (
        {"rose": [20], "tulip": [7]},
        "must have at least 10 photos, near duplicates counted once, to be in every part at shares of 0.75, 0.15, 0.1 "
        "(got 7 of 'tulip'): add photos of it or raise split.test",
    ),
    "a class of enough photos in too few groups is told both numbers, and that fewer bits make more groups": (
        {"rose": [20], "tulip": [Burst(30), 8]},
        "(got 9 of 'tulip': 38 photos, near duplicates counted once: 9): add photos of it or raise split.test or lower "
        "split.near_duplicate_bits (8)",
    ),
    "a class that is one group cannot be in every part": (
        {"rose": [20], "tulip": [Burst(30)]},
        "(got 1 of 'tulip': its 30 photos are in one group of near duplicates, which stays in one part): add photos of "
        "it or lower split.near_duplicate_bits (8)",
    ),
    "a class of few photos that look alike is not told that fewer bits would do": (
        {"rose": [20], "tulip": [Burst(4), 3]},
        "(got 4 of 'tulip': 7 photos, near duplicates counted once: 4): add photos of it or raise split.validation and "
        "split.test",
    ),
    "a class whose photos look like those of another is told whose group they are in": (
        {"rose": [*(Burst(2, scene) for scene in range(12)), 8], "tulip": [Burst(2, scene) for scene in range(12)]},
        "(got 0 of 'tulip': 24 photos, near duplicates counted once: 0, groups of near duplicates count for the class "
        "of their first photo): add photos of it or lower split.near_duplicate_bits (8)",
    ),
    "a class whose photos all come under another one, too, is told so": (
        {"rose": [Shared(12), 20], "tulip": [Shared(12)]},
        "(got 0 of 'tulip': 12 left out because they come under another class, too): add photos of it",
    ),
}


@pytest.mark.parametrize(("classes", "fault"), TOO_FEW.values(), ids=TOO_FEW)
def test_too_few_photos_are_an_error(classes: Mapping[str, Sequence[Kind]], fault: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError) as error:
        split_photos(collect(tmp_path, classes).table(), tmp_path, make_section(2, 8))
    assert str(error.value).startswith("params.yaml: split: a class must have at least 10 photos")
    assert str(error.value).endswith(fault)
    assert len(str(error.value).splitlines()) == 1


FOLDS = {
    "groups for which a fold has room leave the folds even": ([20, 15, 15, *[1] * 50], [20] * 5, []),
    "a burst larger than a fold is a fold of its own, but for a photo of its class": (
        [60, *[1] * 40],
        [60, 10, 10, 10, 10],
        ["fold 1 has 60.0 % of 'rose' (60 of 100), asked for were 20 %"],
    ),
    "bursts as large as two folds have are one in each": ([10] * 10, [20] * 5, []),
}


@pytest.mark.parametrize(("sizes", "photos", "lines"), FOLDS.values(), ids=FOLDS)
def test_groups_are_dealt_into_folds(
    sizes: Sequence[int], photos: Sequence[int], lines: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes).astype(str)
    folds = deal_folds(np.zeros(len(groups), int), groups, 5, 1, ["rose"], "params.yaml: folds.plain.count")
    np.testing.assert_allclose(np.sort(np.bincount(folds))[::-1], photos, atol=2)
    said = capsys.readouterr().err
    assert all(f"params.yaml: folds.plain.count: {line}" in said for line in lines) and bool(lines) == bool(said)


def test_a_class_that_is_one_group_cannot_be_cross_validated() -> None:
    labels, groups = np.repeat([0, 1], 20), np.array([*map(str, range(20)), *["burst"] * 20])
    with pytest.raises(InputError) as error:
        deal_folds(labels, groups, 5, 1, ["rose", "tulip"], "params.yaml: folds.plain.count")
    assert str(error.value) == (
        "params.yaml: folds.plain.count: must be at most 1, the photos of 'tulip', near duplicates and groups "
        "counted once (got 5): its 20 photos are one group, which stays in one fold, so that no cross-validation is "
        "possible"
    )
