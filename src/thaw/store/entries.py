"""Entries: a folder with an array and a document that says what it is."""

import contextlib
import hashlib
import json
import os
import pathlib
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from thaw.base.errors import InputError
from thaw.base.files import publish, read_json, write_json
from thaw.base.progress import say
from thaw.store.prefixes import Images, Prefix

DOCUMENT, VALUES = "entry.json", "values.npy"


def find_entry(store: pathlib.Path, prefix: Prefix, images: Images) -> pathlib.Path:
    """Return the folder of the store that holds, or will, what `prefix` makes of `images`."""
    key = json.dumps({**prefix.description, **images.describe()}, sort_keys=True)
    return store / hashlib.sha256(key.encode()).hexdigest()[:32]


def is_whole(entry: pathlib.Path) -> bool:
    """Tell whether the entry is there and holds what was written.

    Raises PermissionError where it is another user's and may not be read.
    """
    if not os.path.lexists(entry):
        return False
    try:
        document = read_json(entry / DOCUMENT)
        if checksum(entry / VALUES) == document["crc32"]:
            return True
    except PermissionError:
        raise
    except (OSError, InputError, KeyError, TypeError):
        pass
    say(f"activations: {entry} is damaged and will be computed again")
    return False


def checksum(path: pathlib.Path) -> int:
    """Return the CRC-32 of the file at `path`."""
    value = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 24):
            value = zlib.crc32(chunk, value)
    return value


def list_entries(store: pathlib.Path) -> list[tuple[int, int, pathlib.Path]]:
    """Return [(when last used, bytes, entry)], the least recently used first."""
    found = []
    for document in store.glob(f"*/{DOCUMENT}"):
        with contextlib.suppress(OSError):  # evicted by another process meanwhile, or not to be read
            entry = document.parent
            found.append((document.stat().st_mtime_ns, (entry / VALUES).stat().st_size, entry))
    return sorted(found)


@contextlib.contextmanager
def write_entry(prefix: Prefix, entry: pathlib.Path, images: Images) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that appends activations (b, ...) float32 to a new entry; it is published when all are in.

    Its file has its full size from the start, so that others see what it will take.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (images.count_photos(), *prefix.model.output_shape[1:])}
    with publish(entry, sync=False) as scratch:
        scratch.mkdir()
        with open(scratch / VALUES, "w+b") as file:
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            file.truncate(start + prefix.bytes_per_image * images.count_photos())
            file.seek(0)
            checksum = zlib.crc32(file.read(start))

            def write(values: np.ndarray) -> None:
                nonlocal checksum
                content = memoryview(np.ascontiguousarray(values).data).cast("B")
                checksum = zlib.crc32(content, checksum)
                file.write(content)

            yield write
        write_json(scratch / DOCUMENT, {**prefix.description, **images.describe(), "crc32": checksum})
