"""The split as a table, and what it came to: counts, and what is not as it was asked."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from thaw.base.dealing import Miss, describe_misses, find_misses
from thaw.base.names import PARTS
from thaw.base.progress import say
from thaw.base.spreadsheets import release
from thaw.split.assigning import assign_parts, find_large, list_shares
from thaw.split.near_duplicates import (
    chain_near_duplicates,
    count_near_pairs_apart,
    group_near_duplicates,
    hash_photos,
)
from thaw.split.sections import Split


def split_photos(
    manifest: pd.DataFrame, folder: str | pathlib.Path, section: Split
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return `(table, metrics)`: the part of each photo of the `manifest` whose files stand in `folder`.

    The table has a row for each photo, by id: id, class, label (the index of the class in the sorted names), file,
    part ("train", "validation" or "test") and group (the first id among its near duplicates). Photos whose bytes stand
    under two classes or more are left out; the metrics count their files. A chain of near duplicates is a group, and
    where it is large (`find_large`: it would bend the shares, and its ends need not look alike) it is cut into what is
    near a representative each. An unreadable photo is a group of its own. The order of the manifest's rows changes
    nothing.

    Only where there is something to tell, the metrics have keys, and stderr lines, for the photos of the largest group
    that is large, for pairs of near duplicates in two parts, and for the shares that miss what was asked.

    Raises InputError where a class has too few photos to be in every part.
    """
    classes = sorted(set(manifest["class"]))
    manifest = manifest.sort_values(["id", "class"], ignore_index=True)
    ambiguous = manifest.groupby("sha256")["class"].transform("nunique") > 1
    table = manifest.loc[~ambiguous, ["id", "class", "file"]].reset_index(drop=True)
    table["label"] = table["class"].map({name: index for index, name in enumerate(classes)})
    hashes = hash_photos([pathlib.Path(folder) / file for file in table["file"]])
    labels, bits = table["label"].to_numpy(int), section.near_duplicate_bits
    chains = chain_near_duplicates(hashes, bits)
    groups = np.where(find_large(chains, labels, section), group_near_duplicates(hashes, bits, chains), chains)
    # Rows are sorted by id, so the first of a group is the same whatever number the group has.
    table["group"] = table["id"].groupby(groups).transform("first")
    left_out = manifest.loc[ambiguous, "class"].value_counts().to_dict()
    parts = assign_parts(table, groups, left_out, section)
    table["part"] = np.array(list(list_shares(section)), object)[parts]
    sizes = table["group"].value_counts()
    metrics: dict[str, Any] = {part: _count(table[table["part"] == part], classes) for part in PARTS}
    metrics["left_out_two_labels"] = int(ambiguous.sum())
    metrics["near_duplicate_groups"] = int((sizes > 1).sum())
    metrics["photos_in_them"] = int(sizes[sizes > 1].sum())
    if (large := find_large(groups, labels, section)).any():
        metrics["largest_group"] = int(sizes[table.loc[large, "group"]].max())
    if apart := _count_pairs_apart(hashes, chains, parts, bits):
        metrics["near_pairs_apart"] = apart
    if misses := find_misses(labels, parts, list(list_shares(section).values())):
        metrics["missed"] = _tabulate_misses(misses, list(list_shares(section)), classes)
    _warn(misses, metrics, classes, section)
    return table[["id", "class", "label", "file", "part", "group"]], {"split": metrics}


def read_manifest(folder: str | pathlib.Path) -> pd.DataFrame:
    """Return the manifest of a canonical `folder`; a class named NA or an id of digits is still text."""
    table = pd.read_csv(
        pathlib.Path(folder) / "manifest.csv",
        dtype={"class": str, "id": str, "sha256": str, "file": str, "width": "Int64", "height": "Int64"},
        keep_default_na=False,
        na_values={"width": [""], "height": [""]},
    )
    return release(table)


def _count(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Return how many photos `table` has, in all and of each class."""
    counts = table["class"].value_counts()
    return {"photos": len(table), "classes": {name: int(counts.get(name, 0)) for name in classes}}


def _count_pairs_apart(hashes: Sequence[int | None], chains: np.ndarray, parts: np.ndarray, bits: int) -> int:
    """Return how many pairs of near duplicates lie in two parts."""
    divided = pd.Series(parts).groupby(chains).transform("nunique").to_numpy() > 1
    return count_near_pairs_apart([hashes[int(row)] for row in np.flatnonzero(divided)], parts[divided], bits)


def _tabulate_misses(misses: Sequence[Miss], parts: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Return by part what was asked and, where that misses, the share of all photos and of classes that it reached."""
    missed: dict[str, Any] = {}
    for miss in sorted(misses, key=lambda miss: miss.part):
        entry, reached = missed.setdefault(parts[miss.part], {"asked": miss.asked}), round(miss.photos / miss.total, 6)
        if miss.label is None:
            entry["reached"] = reached
        else:
            entry.setdefault("classes", {})[classes[miss.label]] = reached
    return missed


def _warn(misses: Sequence[Miss], metrics: dict[str, Any], classes: Sequence[str], section: Split) -> None:
    """Say on stderr which shares miss what was asked, and how many near duplicates are apart."""
    for line in describe_misses(misses, list(list_shares(section)), classes):
        say(f"split: {line}")
    if misses and metrics["near_duplicate_groups"]:
        groups = metrics["near_duplicate_groups"]
        smaller = f"; a lower split.near_duplicate_bits ({section.near_duplicate_bits}) makes smaller groups"
        say(
            f"split: near duplicates stay together, {metrics['photos_in_them']:,} photos in "
            f"{groups:,} group{'s' * (groups > 1)}{smaller * bool(section.near_duplicate_bits)}"
        )
    if apart := metrics.get("near_pairs_apart"):
        pairs = f"{apart:,} pair{'s' * (apart > 1)} of near duplicates in two parts"
        say(f"split: {pairs}: a chain of them that is large is cut into groups of photos near one of them")
