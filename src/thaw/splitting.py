"""Which photos train, which validate and which test: near duplicates on one side, every class in every part."""

import collections
import concurrent.futures
import math
import os
import pathlib
from typing import Annotated

import imagehash
import numpy as np
import pandas as pd
import pydantic
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from thaw.params import InputError, Section, Seed
from thaw.names import PARTS
from thaw.progress import track

DRAFT = 256  # pixels: a JPEG larger than this is decoded at a smaller scale before it is hashed
BLOCK = 2**22  # distances at a time: 32 MiB


class Split(Section):
    """Section `split`: the share of the photos that each part gets. `test: 0` makes no test part."""

    seed: Seed
    train: Annotated[float, pydantic.Field(gt=0, lt=1)]
    validation: Annotated[float, pydantic.Field(gt=0, lt=1)]
    test: Annotated[float, pydantic.Field(ge=0, lt=1)]
    # Photos are near duplicates when at most so many bits of their 64-bit perceptual hashes differ.
    near_duplicate_bits: Annotated[int, pydantic.Field(ge=0, le=16)]

    @pydantic.field_validator("test")
    @classmethod
    def _check_sum(cls, test, info):
        if "train" in info.data and "validation" in info.data:
            total = info.data["train"] + info.data["validation"] + test
            if abs(total - 1) > 1e-9:
                raise ValueError(f"must add up to 1 with train and validation, which makes {total:.10g} in all")
        return test


def split(manifest, folder, split):
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
    groups = pd.Series(group_near_duplicates(hashes, split.near_duplicate_bits))
    # Rows are sorted by id, so the first of a group is the same whatever number the group has.
    table["group"] = table["id"].groupby(groups).transform("first")
    table["label"] = table["class"].map({name: index for index, name in enumerate(classes)})
    representatives = table.drop_duplicates("group")
    table["part"] = table["group"].map(_assign(representatives["group"], representatives["class"], classes, split))
    _check_every_part(table, classes, split)
    sizes = table["group"].value_counts()
    metrics = {part: _count(table[table["part"] == part], classes) for part in PARTS}
    metrics["left_out_two_labels"] = int(ambiguous.sum())
    metrics["near_duplicate_groups"] = int((sizes > 1).sum())
    metrics["photos_in_them"] = int(sizes[sizes > 1].sum())
    return table[["id", "class", "label", "file", "part", "group"]], {"split": metrics}


def read_manifest(folder):
    """Return the manifest of a canonical `folder` as a DataFrame; a class named NA or an id of digits is still text."""
    return pd.read_csv(
        pathlib.Path(folder) / "manifest.csv",
        dtype={"class": str, "id": str, "sha256": str, "file": str, "width": "Int64", "height": "Int64"},
        keep_default_na=False,
        na_values={"width": [""], "height": [""]},
    )


def read_split(path):
    """Return the table that `split` made, as it was written to the CSV file at `path`."""
    text = ["id", "class", "file", "part", "group"]
    return pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False)


def hash_photos(paths):
    """Return the 64-bit perceptual hash of each photo as an int, None for one that cannot be read.

    The hash is the signs of the 8 by 8 lowest frequencies of the grey picture (`imagehash.phash`).
    """
    # Pillow releases the interpreter's lock while it decodes.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(track(pool.map(_hash_photo, paths), "split: perceptual hashes", len(paths), "photos"))


def group_near_duplicates(hashes, bits):
    """Return an int for each of `hashes` (64-bit ints or None), equal where a chain of near duplicates joins them.

    Two hashes are near when they differ in at most `bits` bits; None is near to nothing.
    """
    known = [position for position, value in enumerate(hashes) if value is not None]
    distinct, which = np.unique(np.array([hashes[position] for position in known], np.uint64), return_inverse=True)
    count = len(distinct)
    rows, columns = [], []
    step = max(1, BLOCK // max(1, count))
    for start in range(0, count, step):
        distances = np.bitwise_count(distinct[start : start + step, None] ^ distinct[None, start:])
        near = np.nonzero(distances <= bits)  # both indices count from start
        rows.append(near[0] + start)
        columns.append(near[1] + start)
    groups = count + np.arange(len(hashes))
    if count:
        rows, columns = np.concatenate(rows), np.concatenate(columns)
        links = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
        groups[known] = connected_components(links, directed=False)[1][which]
    return groups


def _hash_photo(path):
    """Return the perceptual hash of the photo at `path`, or None."""
    try:
        with Image.open(path) as image:
            image.draft("L", (DRAFT, DRAFT))
            return int(str(imagehash.phash(ImageOps.exif_transpose(image), hash_size=8)), 16)
    except Exception:  # Pillow's readers of damaged files raise errors of many kinds
        return None


def _assign(groups, names, classes, split):
    """Return a dict from group to part, stratified by `names`, the class of each group."""
    shares = {part: getattr(split, part) for part in PARTS}
    needed = math.ceil(1 / min(share for share in shares.values() if share) - 1e-9)
    counts = collections.Counter(names)
    few = [name for name in classes if counts[name] < needed]
    if few:
        raise _too_few(few[0], counts[few[0]], needed, split)
    frame = pd.DataFrame({"group": groups.to_numpy(), "class": names.to_numpy()})
    parts = {}
    for part in ("test", "validation"):
        size = round(shares[part] * len(groups))
        if not size:
            continue
        try:
            frame, taken = train_test_split(frame, test_size=size, stratify=frame["class"], random_state=split.seed)
        except ValueError:  # the part before took all but one of a class
            name, count = min(collections.Counter(frame["class"]).items(), key=lambda item: item[::-1])
            raise _too_few(name, counts[name], counts[name] + 1, split) from None
        parts |= dict.fromkeys(taken["group"], part)
    return parts | dict.fromkeys(frame["group"], "train")


def _check_every_part(table, classes, split):
    """Raise InputError unless every part that has a share has a photo of every class."""
    present = set(zip(table["part"], table["class"], strict=True))
    for part in PARTS:
        for name in classes:
            if getattr(split, part) and (part, name) not in present:
                count = table.loc[table["class"] == name, "group"].nunique()
                raise _too_few(name, count, count + 1, split)


def _too_few(name, count, needed, split):
    shares = ", ".join(f"{getattr(split, part):g}" for part in PARTS)
    return InputError(
        f"params.yaml: split: a class must have at least {needed} photos, near duplicates counted once, to be in every "
        f"part at shares of {shares} (got {count} of '{name}')"
    )


def _count(table, classes):
    return {"photos": len(table), "classes": {name: int((table["class"] == name).sum()) for name in classes}}
