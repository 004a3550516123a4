"""Near duplicates: perceptual hashes, and the groups that they make."""

import concurrent.futures
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import imagehash
import numpy as np

from thaw.base.progress import track
from thaw.pictures.decoding import UnreadablePicture, read_picture

DRAFT = 256  # pixels: a JPEG larger than this is decoded at a smaller scale before it is hashed
BLOCK = 2**18  # distances at a time: 2 MiB, what stays in a processor's cache
LINKS = 2**18  # pairs of near duplicates that are kept before they are joined into chains: 4 MiB
SOON = 50_000  # hashes that are compared within some seconds: progress is told of more


def hash_photos(paths: Sequence[pathlib.Path]) -> list[int | None]:
    """Return the 64-bit perceptual hash of each photo as an int, None for one that cannot be read.

    The hash is the signs of the 8 by 8 lowest frequencies of the grey picture (`imagehash.phash`).
    """
    # Pillow releases the interpreter's lock while it decodes.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(track(pool.map(_hash_photo, paths), "split: perceptual hashes", len(paths), "photos"))


def chain_near_duplicates(hashes: Sequence[int | None], bits: int) -> np.ndarray:
    """Return the chain (n,) int64 of each of `hashes` (64 bits or None): the position of its first one.

    Two hashes are in one chain where steps from one to a near one lead from the first to the second. Near are hashes
    that differ in at most `bits` bits; None is near to nothing. Every pair is compared; memory grows with n alone.
    """
    chains = np.arange(len(hashes))
    known, first, which, values = _find_distinct(hashes)
    labels, links, waiting = np.arange(len(values)), [np.empty((2, 0), int)], 0

    for pairs in _find_near(values, bits):
        ends = labels[np.stack(pairs)]
        links.append(ends[:, ends[0] != ends[1]])
        waiting += links[-1].shape[1]
        if waiting >= LINKS:
            labels, links, waiting = _join(labels, links), links[:1], 0
    if len(values):
        labels = _join(labels, links)
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
    held = np.zeros((len(values), int(parts.max(initial=0)) + 1), int)  # photos of each value in each part
    np.add.at(held, (which, parts[known]), 1)
    photos = held.sum(axis=1)
    pairs = int((photos**2 - (held**2).sum(axis=1)).sum()) // 2
    for one, other in _find_near(values, bits):
        pairs += int((photos[one] * photos[other] - (held[one] * held[other]).sum(axis=1)).sum())
    return pairs


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
    for ones, others in _find_near(values, bits):
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
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


def _find_near(values: np.ndarray, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (one, other), the positions of near pairs in `values` (m,) uint64: each pair once, `one` before `other`.

    All pairs are compared, BLOCK at a time. An index would not help: at 16 of 64 bits none leaves out much.
    """
    rows = max(1, math.isqrt(BLOCK) // 8)
    columns = max(1, BLOCK // rows)
    starts: Iterable[int] = range(0, len(values), rows)
    if len(values) > SOON:
        starts = track(starts, "split: near duplicates", len(range(0, len(values), rows)), "blocks")
    for top in starts:
        for left in range(top, len(values), columns):
            distances = np.bitwise_count(values[top : top + rows, None] ^ values[None, left : left + columns])
            # Several times as fast as nonzero() of the block.
            one, other = np.divmod(np.flatnonzero(distances <= bits), distances.shape[1])
            one, other = one + top, other + left
            if left < top + rows:  # the block holds the diagonal
                one, other = one[one < other], other[one < other]
            if len(one):
                yield one, other


def _join(labels: np.ndarray, links: Sequence[np.ndarray]) -> np.ndarray:
    """Return `labels` (m,) int, the same number where arrays (2, k) int of `links` join two; they number from 0 on."""
    # Here, because they take a third of a second to load, and every import of thaw.split would wait for them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(labels), len(labels)))
    return np.asarray(connected_components(graph, directed=False)[1][labels])


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
    near = photos.copy()
    for one, other in _find_near(values, bits):
        np.add.at(near, one, photos[other])
        np.add.at(near, other, photos[one])
    chosen, free = np.empty(len(values), int), np.ones(len(values), bool)
    for position in np.argsort(-near, kind="stable"):
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
