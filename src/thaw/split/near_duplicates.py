"""Near duplicates: perceptual hashes, and the groups that they make."""

import concurrent.futures
import os
import pathlib
from collections.abc import Sequence

import imagehash
import numpy as np
from PIL import Image, ImageOps

from thaw.base.progress import track

DRAFT = 256  # pixels: a JPEG larger than this is decoded at a smaller scale before it is hashed
BLOCK = 2**22  # distances at a time: 32 MiB


def hash_photos(paths: Sequence[pathlib.Path]) -> list[int | None]:
    """Return the 64-bit perceptual hash of each photo as an int, None for one that cannot be read.

    The hash is the signs of the 8 by 8 lowest frequencies of the grey picture (`imagehash.phash`).
    """
    # Pillow releases the interpreter's lock while it decodes.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(track(pool.map(_hash_photo, paths), "split: perceptual hashes", len(paths), "photos"))


def group_near_duplicates(hashes: Sequence[int | None], bits: int) -> np.ndarray:
    """Return the groups (n,) int64 of `hashes` (64 bits or None): the same where a chain of near duplicates joins two.

    Two hashes are near when they differ in at most `bits` bits; None is near to nothing.
    """
    # Here, because they take a third of a second to load, and every import of thaw.split would wait for them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = [position for position, value in enumerate(hashes) if value is not None]
    distinct, which = np.unique(np.array([hashes[position] for position in known], np.uint64), return_inverse=True)
    count = len(distinct)
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    step = max(1, BLOCK // max(1, count))
    for start in range(0, count, step):
        distances = np.bitwise_count(distinct[start : start + step, None] ^ distinct[None, start:])
        near = np.nonzero(distances <= bits)  # both indices count from start
        rows.append(near[0] + start)
        columns.append(near[1] + start)
    groups = count + np.arange(len(hashes))
    if count:
        ends = np.concatenate(rows), np.concatenate(columns)
        links = coo_array((np.ones(len(ends[0]), bool), ends), shape=(count, count))
        groups[known] = connected_components(links, directed=False)[1][which]
    return groups


def _hash_photo(path: pathlib.Path) -> int | None:
    """Return the perceptual hash of the photo at `path`, or None."""
    try:
        with Image.open(path) as image:
            image.draft("L", (DRAFT, DRAFT))
            return int(str(imagehash.phash(ImageOps.exif_transpose(image), hash_size=8)), 16)
    except Exception:  # Pillow's readers of damaged files raise errors of many kinds
        return None
