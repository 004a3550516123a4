"""Parts and groups that came with the photos, as data/names.csv has them."""

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.base.names import PARTS
from thaw.split.neighbours import join


def find_parts(ids: pd.Series, names: pd.DataFrame) -> np.ndarray | None:
    """Return the part (n,) str of each photo of `ids`, None where `names` (id, name) has no column `part`.

    Raises InputError where a photo has none: the table is of other photos.
    """
    if "part" not in names:
        return None
    parts = _look_up(ids, names, "part")
    if not parts.isin(PARTS).all():
        photo = ids[~parts.isin(PARTS)].iloc[0]
        raise InputError(f"{paths.NAMES}: must have the part of each photo (got none of {photo}); {MADE_AGAIN}")
    return parts.to_numpy(str)


def join_groups(groups: np.ndarray, ids: pd.Series, names: pd.DataFrame) -> np.ndarray:
    """Return the group (n,) int64 of each photo of `ids`: the position of its first one.

    `groups` (n,) int, from 0 to n - 1, are those of near duplicates. Two photos are in one group where steps lead from
    the first to the second, each to a near duplicate or to a photo of the same group in `names` (id, name, group).
    Where that has no column `group`, `groups` come back.
    """
    if "group" not in names:
        return groups
    position = pd.Series(np.arange(len(ids)), ids.to_numpy())
    rows = names[names["id"].isin(ids) & (names["group"] != "")]
    numbers, known = pd.factorize(rows["group"])
    # A graph whose nodes are the photos and, behind them, the groups that came.
    links = [
        np.stack([np.arange(len(ids)), groups]),
        np.stack([position.loc[rows["id"]].to_numpy(int), len(ids) + numbers]),
    ]
    labels = join(np.arange(len(ids) + len(known)), links)[: len(ids)]
    first, which = np.unique(labels, return_index=True, return_inverse=True)[1:]
    return np.asarray(first[which])


def count_groups(table: pd.DataFrame, names: pd.DataFrame) -> dict[str, int]:
    """Return {part: groups of `names` (id, name, group) with photos in it}, and how many there are `in_all`.

    `table` has the id and the part of each photo.
    """
    rows = names[["id", "group"]].merge(table[["id", "part"]], on="id")
    rows = rows[rows["group"] != ""]
    counts = rows.groupby("part")["group"].nunique()
    return {"in_all": int(rows["group"].nunique()), **{part: int(counts[part]) for part in PARTS if part in counts}}


def name_photos(ids: pd.Series, names: pd.DataFrame) -> list[str]:
    """Return what each photo of `ids` was called: the first of its names."""
    return list(_look_up(ids, names, "name"))


def _look_up(ids: pd.Series, names: pd.DataFrame, column: str) -> pd.Series:
    """Return what the first row of each photo of `ids` in `names` has in `column`."""
    return ids.map(names.drop_duplicates("id").set_index("id")[column])
