"""Which photos train, which validate and which test: near duplicates on one side, every class in every part."""

import collections
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from thaw.base.errors import InputError
from thaw.base.names import PARTS
from thaw.split.near_duplicates import group_near_duplicates, hash_photos
from thaw.split.sections import Split


def split_photos(
    manifest: pd.DataFrame, folder: str | pathlib.Path, section: Split
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return `(table, metrics)`: the part of each photo of the `manifest` whose files stand in `folder`.

    The table has a row for each photo, by id: id, class, label (the index of the class in the sorted names), file,
    part ("train", "validation" or "test") and group (the first id among its near duplicates). Photos whose bytes stand
    under two classes or more are left out; the metrics count their files. An unreadable photo is a group of its own.
    The order of the manifest's rows changes nothing.

    Raises InputError where a class has too few photos to be in every part.
    """
    classes = sorted(set(manifest["class"]))
    manifest = manifest.sort_values(["id", "class"], ignore_index=True)
    ambiguous = manifest.groupby("sha256")["class"].transform("nunique") > 1
    table = manifest.loc[~ambiguous, ["id", "class", "file"]].reset_index(drop=True)
    hashes = hash_photos([pathlib.Path(folder) / file for file in table["file"]])
    groups = pd.Series(group_near_duplicates(hashes, section.near_duplicate_bits))
    # Rows are sorted by id, so the first of a group is the same whatever number the group has.
    table["group"] = table["id"].groupby(groups).transform("first")
    table["label"] = table["class"].map({name: index for index, name in enumerate(classes)})
    representatives = table.drop_duplicates("group")
    table["part"] = table["group"].map(_assign(representatives["group"], representatives["class"], classes, section))
    _check_every_part(table, classes, section)
    sizes = table["group"].value_counts()
    metrics: dict[str, Any] = {part: _count(table[table["part"] == part], classes) for part in PARTS}
    metrics["left_out_two_labels"] = int(ambiguous.sum())
    metrics["near_duplicate_groups"] = int((sizes > 1).sum())
    metrics["photos_in_them"] = int(sizes[sizes > 1].sum())
    return table[["id", "class", "label", "file", "part", "group"]], {"split": metrics}


def read_manifest(folder: str | pathlib.Path) -> pd.DataFrame:
    """Return the manifest of a canonical `folder`; a class named NA or an id of digits is still text."""
    return pd.read_csv(
        pathlib.Path(folder) / "manifest.csv",
        dtype={"class": str, "id": str, "sha256": str, "file": str, "width": "Int64", "height": "Int64"},
        keep_default_na=False,
        na_values={"width": [""], "height": [""]},
    )


def _assign(groups: pd.Series, names: pd.Series, classes: Sequence[str], section: Split) -> dict[str, str]:
    """Return {group: part}, stratified by `names`, the class of each of `groups`."""
    # Here, because it takes more than a second to load, and every import of this module would wait for it.
    from sklearn.model_selection import train_test_split

    shares = {part: getattr(section, part) for part in PARTS}
    needed = math.ceil(1 / min(share for share in shares.values() if share) - 1e-9)
    counts = collections.Counter(names)
    few = [name for name in classes if counts[name] < needed]
    if few:
        raise _too_few(few[0], counts[few[0]], needed, section)
    frame = pd.DataFrame({"group": groups.to_numpy(), "class": names.to_numpy()})
    parts: dict[str, str] = {}
    for part in ("test", "validation"):
        size = round(shares[part] * len(groups))
        if not size:
            continue
        try:
            frame, taken = train_test_split(frame, test_size=size, stratify=frame["class"], random_state=section.seed)
        except ValueError:  # the part before took all but one of a class
            name, count = min(collections.Counter(frame["class"]).items(), key=lambda item: item[::-1])
            raise _too_few(name, counts[name], counts[name] + 1, section) from None
        parts |= dict.fromkeys(taken["group"], part)
    return parts | dict.fromkeys(frame["group"], "train")


def _check_every_part(table: pd.DataFrame, classes: Sequence[str], section: Split) -> None:
    """Raise InputError unless every part that has a share has a photo of every class."""
    present = set(zip(table["part"], table["class"], strict=True))
    for part in PARTS:
        for name in classes:
            if getattr(section, part) and (part, name) not in present:
                count = table.loc[table["class"] == name, "group"].nunique()
                raise _too_few(name, count, count + 1, section)


def _too_few(name: str, count: int, needed: int, section: Split) -> InputError:
    """Return the error of a class `name` that has `count` photos and not the `needed` ones."""
    shares = ", ".join(f"{getattr(section, part):g}" for part in PARTS)
    return InputError(
        f"params.yaml: split: a class must have at least {needed} photos, near duplicates counted once, to be in every "
        f"part at shares of {shares} (got {count} of '{name}')"
    )


def _count(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Return how many photos `table` has, in all and of each class."""
    return {"photos": len(table), "classes": {name: int((table["class"] == name).sum()) for name in classes}}
