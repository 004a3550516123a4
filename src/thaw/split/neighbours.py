"""Which of many 64-bit hashes are near to each other: those that differ in few bits.

A hash is cut into bands. Where two hashes differ in at most `bits` bits, these lie in at most so many bands, and all
other bands are equal. So a table for each choice of the bands that are left has every near pair among the hashes that
are equal in them, and only these are compared (Manku, Jain and Das Sarma 2007, Detecting near-duplicates for web
crawling, section 3). More bands make more tables of fewer comparisons. Where no number of bands is worth it, because
hashes are few or `bits` many, one table with all of them is left.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from thaw.base.progress import track

BITS = 64
BLOCK = 2**18  # comparisons at a time: 2 MiB, what stays in a processor's cache
LINKS = 2**18  # near pairs that are kept before they are joined into chains: 4 MiB
LARGE = 1024  # equal hashes of a table: of more, those that are reached are not compared again
SOON = 50_000  # hashes that are compared within some seconds: progress is told of more
# Nanoseconds, roughly: what a hash takes in a table, and what a comparison takes, of a pair and in a row.
# How tables are chosen rests on them, and no result.
PER_HASH, PER_PAIR, PER_COMPARISON = 150.0, 12.0, 1.2


def find_chains(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the chain (m,) int of each of `values` (m,) uint64, which are distinct; they number from 0 on.

    Two values are in one chain where steps from one to a near one lead from the first to the second. Memory grows with
    m alone, however many pairs are near.
    """
    chains = np.arange(len(values))
    if not len(values):
        return chains
    masks = list_masks(len(values), bits)
    told = len(values) > SOON and len(masks) > 1
    for mask in track(masks, "split: near duplicates", len(masks), "tables") if told else masks:
        links, waiting = [np.empty((2, 0), int)], 0
        for pairs in _find_links(values, mask, bits, chains):
            links.append(pairs)
            waiting += pairs.shape[1]
            if waiting >= LINKS:
                links, waiting = [_thin(links, len(values))], 0
        chains = join(chains, links)
    return chains


def list_masks(count: int, bits: int) -> list[np.uint64]:
    """Return the tables in which `count` hashes are compared: for each the bits in which hashes must be equal.

    Two hashes that differ in at most `bits` bits are equal in those of one table at least.
    """

    def estimate(bands: int) -> float:
        key = BITS * (bands - bits) / bands  # bits in which hashes must be equal, each 0 or 1 by chance
        return math.comb(bands, bits) * (PER_HASH * count + PER_PAIR * count**2 / 2 ** (key + 1))

    bands = min(range(bits + 1, BITS + 1), key=estimate, default=0)
    if not bands or estimate(bands) > PER_COMPARISON * count**2 / 2:
        return [np.uint64(0)]
    # Neighbouring bits, frequencies that are almost the same, are alike: each goes to another band.
    parts = [sum(1 << bit for bit in range(band, BITS, bands)) for band in range(bands)]
    return [np.uint64(sum(chosen)) for chosen in itertools.combinations(parts, bands - bits)]


def compare(values: np.ndarray, bits: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield (rows, columns, near) of blocks of all pairs of `values` (m,) uint64, where they hold a near pair.

    `near` (rows, columns) float64 is 1 for near pairs and 0 for others; a pair stands in one block, once, and no value
    is near itself. At most BLOCK pairs are in a block.
    """
    height = max(1, math.isqrt(BLOCK) // 8)
    width = max(1, BLOCK // height)
    starts: Iterable[int] = range(0, len(values), height)
    if len(values) > SOON:
        starts = track(starts, "split: near duplicates", len(range(0, len(values), height)), "blocks")
    for top in starts:
        rows = slice(top, top + height)
        for left in range(top, len(values), width):
            columns = slice(left, left + width)
            near = np.bitwise_count(values[rows, None] ^ values[columns]) <= bits
            if left < top + height:  # the block holds part of the diagonal
                near = np.triu(near, top - left + 1)
            if near.any():
                yield rows, columns, near.astype(float)


def join(labels: np.ndarray, links: Sequence[np.ndarray]) -> np.ndarray:
    """Return `labels` (m,) int, the same number where arrays (2, k) int of `links` join two; they number from 0 on."""
    # Here, because they take a third of a second to load, and every import of thaw.split would wait for them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(labels), len(labels)))
    return np.asarray(connected_components(graph, directed=False)[1][labels])


def _find_links(values: np.ndarray, mask: np.uint64, bits: int, chains: np.ndarray) -> Iterator[np.ndarray]:
    """Yield arrays (2, k) of chains between which are near pairs of `values` that are equal in the bits of `mask`.

    Not of all near pairs, but of so many that they join what belongs together. `chains` (m,) int are what is known;
    what is in one chain is not compared.
    """
    order = np.argsort(values & mask)
    ordered, known = values[order], chains[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered & mask) != 0]))
    sizes = np.diff(starts, append=len(values))
    mixed = np.minimum.reduceat(known, starts) != np.maximum.reduceat(known, starts)
    for start, size in zip(starts[mixed & (sizes > LARGE)], sizes[mixed & (sizes > LARGE)], strict=True):
        own = known[start : start + size]
        yield np.stack([own, own[_flood(ordered[start : start + size], bits)]])
    compared = np.repeat(mixed & (sizes <= LARGE), sizes)
    behind = np.where(compared, np.repeat(starts + sizes, sizes) - np.arange(len(values)) - 1, 0)
    for one, other in _pair(behind):
        near = np.bitwise_count(ordered[one] ^ ordered[other]) <= bits
        ends = np.stack([known[one[near]], known[other[near]]])
        yield ends[:, ends[0] != ends[1]]


def _pair(behind: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (one, other), arrays of positions: each position with as many that follow it as `behind` (m,) int says."""
    bounds = np.cumsum(behind)
    low, done = 0, 0
    while low < len(behind):
        high = max(low + 1, int(np.searchsorted(bounds, done + BLOCK, "right")))
        counts = behind[low:high]
        one = np.repeat(np.arange(low, high), counts)
        step = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield one, one + step + 1
        low, done = high, int(bounds[high - 1])


def _flood(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the chain (m,) int of each of `values` (m,) uint64: the position of its first one.

    What a chain has reached is not compared with more of it, so that many near pairs make it faster.
    """
    chains = np.full(len(values), -1)
    left, others = np.arange(len(values)), values  # not reached
    positions: Iterable[int] = range(len(values))
    if len(values) > SOON:
        positions = track(positions, "split: near duplicates", len(values), "hashes")
    for first in positions:
        if chains[first] >= 0:
            continue
        chains[first] = first
        queue, left, others = left[:1], left[1:], others[1:]  # what is left is in order
        while len(queue) and len(left):
            rows = max(1, BLOCK // len(left))
            now, queue = values[queue[:rows]], queue[rows:]
            near = (np.bitwise_count(now[:, None] ^ others) <= bits).any(axis=0)
            if near.any():
                chains[left[near]] = first
                queue = np.concatenate([queue, left[near]])
                left, others = left[~near], others[~near]
    return chains


def _thin(links: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return links (2, k) that join what arrays of them do, of numbers below `count`: fewer than these."""
    labels = join(np.arange(count), links)
    first = np.unique(labels, return_index=True)[1][labels]
    return np.stack([np.arange(count), first])[:, np.arange(count) != first]
