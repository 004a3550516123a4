"""Parts and groups that came with the photos, as data/names.csv has them."""

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.base.names import PARTS


def find_parts(ids: pd.Series, names: pd.DataFrame) -> np.ndarray | None:
    """Return the part (n,) str of each photo of `ids`, None where `names` (id, name) has no column `part`.

    Raises InputError where a photo has none: the table is of other photos.
    """
    if "part" not in names:
        return None
    parts = ids.map(names.drop_duplicates("id").set_index("id")["part"])
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
    # Here, because they take a third of a second to load, and every import of thaw.split would wait for them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    position = pd.Series(np.arange(len(ids)), ids.to_numpy())
    rows = names[names["id"].isin(ids) & (names["group"] != "")]
    numbers, known = pd.factorize(rows["group"])
    # A graph whose nodes are the photos and, behind them, the groups that came.
    one = np.concatenate([np.arange(len(ids)), position.loc[rows["id"]].to_numpy(int)])
    other = np.concatenate([groups, len(ids) + numbers])
    size = len(ids) + len(known)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(ids)]
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
    return list(ids.map(names.drop_duplicates("id").set_index("id")["name"]))
