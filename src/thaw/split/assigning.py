"""Which part each photo is in: what stays together, the draw, and whether a class can be in every part at all."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from thaw.base.dealing import deal_groups
from thaw.base.errors import InputError
from thaw.base.names import PARTS
from thaw.split.sections import Split

NEAR, GROUPED = "near duplicates", "given groups and near duplicates"  # what is together
SMALL = 3  # photos: the middle one of so many in a chain is near to both others


def list_shares(section: Split) -> dict[str, float]:
    """Return {part: its share}, the parts that have one, in the order of PARTS."""
    return {part: getattr(section, part) for part in PARTS if getattr(section, part)}


def find_large(groups: np.ndarray, labels: np.ndarray, least: float) -> np.ndarray:
    """Return (n,) bool: whether the group of each photo, of `groups` (n,) int, is large; `labels` (n,) are the classes.

    A group is large where more than three of its photos are of one class, and more than a tenth of what the smallest
    part has of that class; `least` is the share of that part.
    """
    held, counts = np.unique(np.stack([groups, labels]), axis=1, return_counts=True)
    limits = np.maximum(SMALL, np.bincount(labels) * least / 10)
    return np.isin(groups, held[0, counts > limits[held[1]]])


def assign_parts(
    table: pd.DataFrame, groups: np.ndarray, left_out: Mapping[str, int], section: Split, kept: str = NEAR
) -> np.ndarray:
    """Return the part (n,) int of each photo of `table` (class, label), as a position in `list_shares`.

    Groups stay whole. Each counts as one photo, of its first one's class, in a draw stratified by class. Where a share
    of the draw misses, they are dealt by their size instead (`thaw.base.dealing`).

    `groups` (n,) numbers those of each photo; `left_out` counts by class what the table lacks, for the error, and
    `kept` names there what is together. Raises InputError where a class has fewer groups than it takes to be in every
    part.
    """
    labels, shares = table["label"].to_numpy(int), list(list_shares(section).values())
    which, names = pd.factorize(groups)  # numbers in the order of the rows
    first = np.unique(which, return_index=True)[1]
    _check_sizes(table.assign(group=which), left_out, section, kept)
    drawn = _draw(labels[first], section)
    if drawn is not None and not _is_complete(labels, drawn[which], len(shares)):
        drawn = None
    return deal_groups(labels, which, shares, section.seed, None if drawn is None else drawn[which])


def _draw(labels: np.ndarray, section: Split) -> np.ndarray | None:
    """Return the part (m,) int of each of as many photos as `labels` (m,), or None where a class does not go around."""
    # Here, because it takes more than a second to load, and every import of this module would wait for it.
    from sklearn.model_selection import train_test_split

    shares = list_shares(section)
    left, parts = np.arange(len(labels)), np.zeros(len(labels), int)
    for part in ("test", "validation"):
        size = round(shares.get(part, 0) * len(labels))
        if not size:
            continue
        try:
            left, taken = train_test_split(left, test_size=size, stratify=labels[left], random_state=section.seed)
        except ValueError:  # the part before took all but one of a class
            return None
        parts[taken] = list(shares).index(part)
    return parts


def _is_complete(labels: np.ndarray, parts: np.ndarray, number: int) -> bool:
    """Return whether each of `number` parts has a photo of every class; `labels` and `parts` (n,) are of photos."""
    return len(set(zip(labels, parts, strict=True))) == number * len(set(labels))


def _check_sizes(table: pd.DataFrame, left_out: Mapping[str, int], section: Split, kept: str) -> None:
    """Raise InputError for the first class that has fewer groups than it takes; a group has its first photo's class.

    `table` has the class and the group of each photo.
    """
    needed = math.ceil(1 / min(list_shares(section).values()) - 1e-9)
    counts = table.drop_duplicates("group")["class"].value_counts()
    for name in sorted({*table["class"], *left_out}):
        if counts.get(name, 0) < needed:
            raise _too_few(name, int(counts.get(name, 0)), needed, table, left_out.get(name, 0), section, kept)


def _too_few(
    name: str, count: int, needed: int, table: pd.DataFrame, left_out: int, section: Split, kept: str
) -> InputError:
    """Return the error of class `name`, which has `count` of the `needed` groups in the `table`."""
    shares, bits = list_shares(section), section.near_duplicate_bits
    groups = table.loc[table["class"] == name, "group"]
    facts, help_ = [], ["add photos of it"]
    if len(groups) > 1 and groups.nunique() == 1:
        facts.append(f"its {len(groups):,} photos are in one group of {kept}, which stays in one part")
    elif len(groups) > count:
        facts.append(f"{len(groups):,} photos, {kept} counted once: {count:,}")
    if groups.nunique() > count:
        facts.append(f"groups of {kept} count for the class of their first photo")
    if left_out:
        facts.append(f"{left_out:,} left out because they come under another class, too")
    if count >= len(shares):
        help_.append(f"raise {' and '.join(f'split.{part}' for part in shares if shares[part] * count < 1 - 1e-9)}")
    if len(groups) >= needed and bits:
        help_.append(f"lower split.near_duplicate_bits ({bits})")
    return InputError(
        f"params.yaml: split: a class must have at least {needed} photos, {kept} counted once, to be in every "
        f"part at shares of {', '.join(f'{getattr(section, part):g}' for part in PARTS)} "
        f"(got {count} of '{name}'{': ' * bool(facts)}{', '.join(facts)}): {' or '.join(help_)}"
    )
