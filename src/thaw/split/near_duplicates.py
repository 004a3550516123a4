"""Near duplicates: perceptual hashes, and the groups that they make."""

import concurrent.futures
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

import imagehash
import numpy as np

from thaw.base.progress import track
from thaw.pictures.decoding import UnreadablePicture, read_picture
from thaw.split.neighbours import compare, find_chains

DRAFT = 256  # pixels: a JPEG larger than this is decoded at a smaller scale before it is hashed
WAITING = 4096  # photos at a time that threads are given: a future for each takes memory


def hash_photos(paths: Sequence[pathlib.Path]) -> list[int | None]:
    """Return the 64-bit perceptual hash of each photo as an int, None for one that cannot be read.

    The hash is the signs of the 8 by 8 lowest frequencies of the grey picture (`imagehash.phash`).
    """
    # Pillow releases the interpreter's lock while it decodes.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = (pool.map(_hash_photo, paths[start : start + WAITING]) for start in range(0, len(paths), WAITING))
        hashes = itertools.chain.from_iterable(runs)
        return list(track(hashes, "split: perceptual hashes", len(paths), "photos"))


def chain_near_duplicates(hashes: Sequence[int | None], bits: int) -> np.ndarray:
    """Return the chain (n,) int64 of each of `hashes` (64 bits or None): the position of its first one.

    Two hashes are in one chain where steps from one to a near one lead from the first to the second. Near are hashes
    that differ in at most `bits` bits; None is near to nothing. Memory grows with n alone.
    """
    chains = np.arange(len(hashes))
    known, first, which, values = _find_distinct(hashes)
    labels = find_chains(values, bits)
    chains[known] = first[np.unique(labels, return_index=True)[1]][labels[which]]
    return chains


def group_near_duplicates(hashes: Sequence[int | None], bits: int, chains: np.ndarray | None = None) -> np.ndarray:
    """Return the group (n,) int64 of each of `hashes` (64 bits or None): the position of its representative.

    Near are hashes that differ in at most `bits` bits; None is near to nothing. Of the hashes that are in no group yet,
    the one with the most photos near it, of equals the first, is the next representative, and those near it that are
    in no group yet join it: the greedy cover of a graph by stars. So nothing in a group is further than `bits` from its
    representative, however long the chain of near duplicates is. `chains` are those of `chain_near_duplicates`, where
    they are known.
    """
    chains = chain_near_duplicates(hashes, bits) if chains is None else chains
    groups = np.arange(len(hashes))
    known, first, which, values = _find_distinct(hashes)
    photos, chosen = np.bincount(which, minlength=len(values)), np.arange(len(values))
    for inside in _gather(chains[first]):
        chosen[inside] = inside[_choose_representatives(values[inside], photos[inside], bits)]
    groups[known] = first[chosen[which]]
    return groups


def count_near_pairs_apart(hashes: Sequence[int | None], parts: np.ndarray, bits: int) -> int:
    """Return how many pairs of near duplicates are in two of the `parts` (n,) int, from 0 on.

    Near are hashes that differ in at most `bits` bits; None is near to nothing.
    """
    known, _, which, values = _find_distinct(hashes)
    held = np.zeros((len(values), int(parts.max(initial=0)) + 1))  # photos of each value in each part
    np.add.at(held, (which, parts[known]), 1)
    alike = (held.sum(axis=1) ** 2 - (held**2).sum(axis=1)).sum() / 2  # pairs of one value
    pairs = np.zeros((held.shape[1], held.shape[1]))
    for rows, columns, near in compare(values, bits):
        pairs += held[rows].T @ near @ held[columns]
    return int(alike + pairs.sum() - pairs.trace())


def list_near_pairs_apart(hashes: Sequence[int | None], parts: np.ndarray, bits: int) -> Iterator[tuple[int, int]]:
    """Yield positions of near duplicates in two of the `parts` (n,) int: of two hashes one pair for each two parts.

    Near are hashes that differ in at most `bits` bits; None is near to nothing.
    """
    known, _, which, values = _find_distinct(hashes)
    firsts: list[dict[int, int]] = [{} for _ in values]  # of each value, the first photo in each part
    for value, position in zip(which.tolist(), known.tolist(), strict=True):
        firsts[value].setdefault(int(parts[position]), position)
    for first in firsts:
        yield from itertools.combinations(first.values(), 2)
    for rows, columns, near in compare(values, bits):
        ones, others = near.nonzero()
        for one, other in zip((ones + rows.start).tolist(), (others + columns.start).tolist(), strict=True):
            for pair in itertools.product(firsts[one].values(), firsts[other].values()):
                if parts[pair[0]] != parts[pair[1]]:
                    yield pair


def _find_distinct(hashes: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (known, first, which, values) of `hashes`: each value once, by the first position at which it stands.

    `known` (k,) int are the positions of those that are not None, `first` (m,) int that of each value, `which` (k,) int
    the value of each known one and `values` (m,) uint64.
    """
    known = np.array([position for position, value in enumerate(hashes) if value is not None], int)
    read = np.array([value for value in hashes if value is not None], np.uint64)
    values, first, which = np.unique(read, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return known, known[first[order]], np.argsort(order)[which], values[order]


def _gather(chains: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions, ascending, of each number that stands more than once in `chains` (m,) int."""
    order = np.argsort(chains, kind="stable")
    for inside in np.split(order, np.flatnonzero(np.diff(chains[order])) + 1):
        if len(inside) > 1:
            yield inside


def _choose_representatives(values: np.ndarray, photos: np.ndarray, bits: int) -> np.ndarray:
    """Return the position (m,) int of the representative of each of `values` (m,) uint64, one chain.

    `photos` (m,) int says how many photos have each value.
    """
    counted = photos.astype(float)
    for rows, columns, block in compare(values, bits):
        counted[rows] += block @ photos[columns]
        counted[columns] += photos[rows] @ block
    chosen, free = np.empty(len(values), int), np.ones(len(values), bool)
    for position in np.argsort(-counted, kind="stable"):
        if free[position]:
            joins = free & (np.bitwise_count(values ^ values[position]) <= bits)
            chosen[joins] = position
            free &= ~joins
    return chosen


def _hash_photo(path: pathlib.Path) -> int | None:
    """Return the perceptual hash of the photo at `path`, or None."""
    try:
        return int(str(imagehash.phash(read_picture(path, "L", DRAFT).image, hash_size=8)), 16)
    except UnreadablePicture:
        return None
