"""The split as a table, and what it came to: counts, and what is not as it was asked."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.dealing import Miss, describe_misses, find_misses
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.base.names import PARTS
from thaw.base.progress import say
from thaw.base.spreadsheets import release
from thaw.split.assigning import GROUPED, NEAR, assign_parts, find_large, list_shares
from thaw.split.given import count_groups, find_parts, join_groups, name_photos
from thaw.split.near_duplicates import (
    chain_near_duplicates,
    count_near_pairs_apart,
    group_near_duplicates,
    hash_photos,
    list_near_pairs_apart,
)
from thaw.split.sections import Split

UNNAMED = pd.DataFrame(columns=["id", "name"], dtype=str)
MOST_PAIRS = 50  # of near duplicates in two parts that are named
SAID = 3  # of them on stderr


def split_photos(
    manifest: pd.DataFrame, folder: str | pathlib.Path, section: Split, names: pd.DataFrame = UNNAMED
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return `(table, metrics)`: the part of each photo of the `manifest` whose files stand in `folder`.

    The table has a row for each photo, by id: id, class, label (the index of the class in the sorted names), file,
    part ("train", "validation" or "test") and group (the first id among those that stay together). Photos whose bytes
    stand under two classes or more are left out; the metrics count their files. A chain of near duplicates is a group,
    and where it is large (`find_large`: it would bend the shares, and its ends need not look alike) it is cut into what
    is near a representative each. An unreadable photo is a group of its own. The order of the manifest's rows changes
    nothing.

    `names` is the table of data/names.csv. Where it has the column `group`, the photos of a group stay together, too,
    and groups that share near duplicates are one. Where it has the column `part`, the photos are in these parts,
    whatever near duplicates that divides.

    Only where there is something to tell, the metrics have keys, and stderr lines, for the photos of the largest group
    that is large, for pairs of near duplicates in two parts, and for the shares that miss what was asked. Of parts and
    groups that came with the photos, they have the groups in each part, that the parts were given, and the names of
    some near duplicates in two of them.

    Raises InputError where a class has too few photos to be in every part.
    """
    classes = sorted(set(manifest["class"]))
    manifest = manifest.sort_values(["id", "class"], ignore_index=True)
    ambiguous = manifest.groupby("sha256")["class"].transform("nunique") > 1
    table = manifest.loc[~ambiguous, ["id", "class", "file"]].reset_index(drop=True)
    table["label"] = table["class"].map({name: index for index, name in enumerate(classes)})
    given = find_parts(table["id"], names)
    shares = _find_shares(given, section)
    hashes = hash_photos([pathlib.Path(folder) / file for file in table["file"]])
    labels, bits, least = table["label"].to_numpy(int), section.near_duplicate_bits, min(shares.values())
    chains = chain_near_duplicates(hashes, bits)
    near = np.where(find_large(chains, labels, least), group_near_duplicates(hashes, bits, chains), chains)
    groups = join_groups(near, table["id"], names)
    # Rows are sorted by id, so the first of a group is the same whatever number the group has.
    table["group"] = table["id"].groupby(groups).transform("first")
    left_out = manifest.loc[ambiguous, "class"].value_counts().to_dict()
    if given is None:
        parts = assign_parts(table, groups, left_out, section, GROUPED if "group" in names else NEAR)
    else:
        parts = np.array([list(shares).index(part) for part in given])
        _check_given(table, given, classes, left_out)
    table["part"] = np.array(list(shares), object)[parts]
    sizes, alike = table["group"].value_counts(), np.bincount(near)
    metrics: dict[str, Any] = {part: _count(table[table["part"] == part], classes) for part in PARTS}
    metrics["left_out_two_labels"] = int(ambiguous.sum())
    metrics["near_duplicate_groups"] = int((alike > 1).sum())
    metrics["photos_in_them"] = int(alike[alike > 1].sum())
    if (large := find_large(groups, labels, least)).any():
        metrics["largest_group"] = int(sizes[table.loc[large, "group"]].max())
    if "group" in names:
        metrics["groups"] = count_groups(table, names)
    if given is not None:
        metrics["given_parts"] = True
    rows = _find_divided(chains, parts)
    divided = [hashes[row] for row in rows]
    if apart := count_near_pairs_apart(divided, parts[rows], bits):
        metrics["near_pairs_apart"] = apart
        if given is not None:
            pairs = itertools.islice(list_near_pairs_apart(divided, parts[rows], bits), MOST_PAIRS)
            called = name_photos(table["id"].iloc[rows], names)
            metrics["pairs_apart"] = {called[one]: called[other] for one, other in pairs}
    misses = find_misses(labels, parts, list(shares.values())) if given is None else []
    if misses:
        metrics["missed"] = _tabulate_misses(misses, list(shares), classes)
    _warn(misses, metrics, classes, section)
    return table[["id", "class", "label", "file", "part", "group"]], {"split": metrics}


def _find_shares(given: np.ndarray | None, section: Split) -> dict[str, float]:
    """Return {part: its share}: that was asked or, where the part (n,) str of each photo was `given`, that it has."""
    if given is not None:
        return {part: float((given == part).mean()) for part in PARTS if part in given}
    if shares := list_shares(section):
        return shares
    raise InputError(f"{paths.NAMES}: must have the column part, for split has no shares (got none); {MADE_AGAIN}")


def _check_given(table: pd.DataFrame, given: np.ndarray, classes: Sequence[str], left_out: Mapping[str, int]) -> None:
    """Raise InputError unless each part that was `given` (n,) str has a photo of each class."""
    held = set(zip(given, table["class"], strict=True))
    for part in PARTS:
        for name in classes:
            if (part in given or part != "test") and (part, name) not in held:
                lost = f"; {left_out.get(name, 0):,} left out because they come under another class, too"
                raise InputError(
                    f"params.yaml: dataset.parts: each part must have a photo of every class (got none of '{name}' in "
                    f"{part}{lost * (name in left_out)})"
                )


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


def _find_divided(chains: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the positions of the photos whose chain lies in two parts or more; `chains` and `parts` are (n,) int."""
    return np.flatnonzero(pd.Series(parts).groupby(chains).transform("nunique") > 1)


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
    if misses and "groups" in metrics:
        say("split: the photos of a group and near duplicates stay together")
    elif misses and metrics["near_duplicate_groups"]:
        groups = metrics["near_duplicate_groups"]
        smaller = f"; a lower split.near_duplicate_bits ({section.near_duplicate_bits}) makes smaller groups"
        say(
            f"split: near duplicates stay together, {metrics['photos_in_them']:,} photos in "
            f"{groups:,} group{'s' * (groups > 1)}{smaller * bool(section.near_duplicate_bits)}"
        )
    if apart := metrics.get("near_pairs_apart"):
        pairs = f"{apart:,} pair{'s' * (apart > 1)} of near duplicates in two parts"
        if metrics.get("given_parts"):
            named = "; ".join(f"{one} and {other}" for one, other in list(metrics["pairs_apart"].items())[:SAID])
            say(f"split: {pairs}, as they were given: scores flatter where one trains ({named})")
        else:
            say(f"split: {pairs}: a chain of them that is large is cut into groups of photos near one of them")
