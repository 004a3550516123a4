"""Cross-validation of a run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from thaw.base.dealing import deal_groups, describe_misses, find_misses
from thaw.base.errors import InputError
from thaw.base.progress import say, track
from thaw.evaluation import scoring
from thaw.records import reading
from thaw.training.repeating import SCORES, Repeated, place_parts, summarize_spread, train_again
from thaw.training.resuming import Unfinished
from thaw.training.runs import Setting

CHOSEN_ON = 5  # parts that what a fold trains on is dealt into; a race chooses on one of them


def crossvalidate(
    repeated: Repeated, groups: pd.Series, seed: int, setting: Setting
) -> tuple[dict[str, Any], pd.DataFrame, list[Unfinished]]:
    """Cross-validate a run over all the records: each photo is scored by a training without it.

    `groups` names what stays together with each photo, by its id; `seed` deals the folds. Returns (scores, a
    row with the prediction for each photo, the states of the trainings). Raises InputError where a class has too few
    photos.
    """
    classes, parts = reading.read_index(setting.records)["classes"], place_parts(setting.records)
    read = [reading.read_labels(setting.records, part) for part in parts]
    labels, ids = (np.concatenate(both) for both in zip(*read, strict=True))
    count, place = repeated.times, f"params.yaml: folds.{repeated.name}.count"
    of_groups = groups.loc[ids].to_numpy()
    folds = deal_folds(labels, of_groups, count, seed, classes, place)
    training = [np.flatnonzero(folds != fold) for fold in range(count)]
    held_out: list[tuple[np.ndarray, np.ndarray] | None] = [None] * count
    if repeated.races:
        held_out = [_hold_out(rows, labels, of_groups, seed, classes, repeated.name) for rows in training]
    logits, states, chosen = np.empty((len(labels), len(classes)), np.float32), [], {}
    for fold in track(range(count), f"{repeated.name}: folds", count, "trainings"):
        held = np.flatnonzero(folds == fold)
        made = train_again(repeated, setting, training[fold], [held], held_out[fold])
        logits[held] = made.logits[0]
        states += made.states
        if made.chosen:
            chosen[str(fold + 1)] = made.chosen
    pooled = scoring.score(labels, logits)
    by_fold = [scoring.score(labels[folds == fold], logits[folds == fold]) for fold in range(count)]
    document: dict[str, Any] = {"photos": len(labels)} | ({"chosen": chosen} if chosen else {})
    for score in SCORES:
        spread = summarize_spread([scores[score] for scores in by_fold])
        document[score] = {"pooled": round(pooled[score], 6), **spread}
    table = scoring.tabulate_predictions(ids, {"fold": folds + 1}, labels, logits, classes)
    return document, table.sort_values("id"), states


def _hold_out(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int, classes: Sequence[str], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows for a race to train on, rows for it to choose on) of `rows`, the photos that a fold trains on.

    The second are a fifth, or more where a class has fewer than five photos, near duplicates and groups counted once.
    Raises InputError where it has one.
    """
    sizes = _count_groups(labels[rows], groups[rows], classes)[2]
    if sizes.min() < 2:
        raise InputError(
            f"params.yaml: folds.{name}: a race needs two photos of each class beside those of the fold, near "
            f"duplicates and groups counted once (got {sizes.min()} of '{classes[int(sizes.argmin())]}')"
        )
    parts = min(CHOSEN_ON, int(sizes.min()))
    dealt = deal_folds(labels[rows], groups[rows], parts, seed, classes, f"params.yaml: folds.{name}")
    return rows[dealt != 0], rows[dealt == 0]


def deal_folds(
    labels: np.ndarray, groups: np.ndarray, count: int, seed: int, classes: Sequence[str], place: str
) -> np.ndarray:
    """Return (n,) int, the fold of each photo from 0 on: every class spread evenly, each group in one fold.

    `labels` (n,) int and `groups` (n,) str are those of each photo. As for the split, a group counts as one photo, of
    its first one's class; where groups make folds uneven by more than two points, they are dealt by their size
    instead (`thaw.base.dealing`), and a line on stderr tells each fold that stays so. Raises InputError at `place`, the
    key of `count`, where a class has fewer groups than folds.
    """
    first, inverse, sizes = _count_groups(labels, groups, classes)
    if sizes.min() < count:
        raise _too_many(count, int(sizes.argmin()), labels, sizes, classes, place)
    folds, shares = np.empty(len(first), int), [1 / count] * count
    dealt = StratifiedKFold(count, shuffle=True, random_state=seed).split(first, labels[first])
    for fold, (_, held) in enumerate(dealt):
        folds[held] = fold
    found = deal_groups(labels, inverse, shares, seed, folds[inverse])
    for line in describe_misses(
        find_misses(labels, found, shares), [f"fold {fold + 1}" for fold in range(count)], classes
    ):
        say(f"{place}: {line}: near duplicates and groups stay together")
    return found


def _count_groups(
    labels: np.ndarray, groups: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (the first photo of each group, the group of each photo, groups of each class by their first photo)."""
    first, inverse = np.unique(groups, return_index=True, return_inverse=True)[1:]
    return first, inverse, np.bincount(labels[first], minlength=len(classes))


def _too_many(
    count: int, label: int, labels: np.ndarray, sizes: np.ndarray, classes: Sequence[str], place: str
) -> InputError:
    """Return the error of more folds than class `label` has of the groups, `sizes` by class, of its `labels`."""
    name, photos, most = classes[label], int((labels == label).sum()), int(sizes[label])
    known = f"must be at most {most}, the photos of '{name}', near duplicates and groups counted once (got {count})"
    if photos > most == 1:
        why = f"its {photos:,} photos are one group, which stays in one fold, so that no cross-validation is possible"
    elif photos > most:
        why = f"it has {photos:,} photos; a lower split.near_duplicate_bits makes smaller groups, and more of them"
    else:
        return InputError(f"{place}: {known}")
    return InputError(f"{place}: {known}: {why}")
