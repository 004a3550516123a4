"""Where batches come from: stored activations, or the records."""

import concurrent.futures
import contextlib
import mmap
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from thaw.base.determinism import UNTUNED
from thaw.base.quiet import tf
from thaw.records import reading

IN_MEMORY = 64 << 20  # bytes of a part up to which an epoch is read at once: pooled features


class Inputs(Protocol):
    """What a Source reads its rows from: an array, or what is read like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def nbytes(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


class Batches(Protocol):
    """Where the batches of one part come from: a Source, or Pixels."""

    @property
    def labels(self) -> np.ndarray:
        """The labels of the part, (n,) int64."""

    def read_batches(self, batch_size: int, order: int | None = None) -> tf.data.Dataset:
        """Return the batches (inputs, labels); `order` seeds the shuffling."""


class Source(NamedTuple):
    """The batches of one part from stored activations."""

    inputs: Inputs  # (n, ...) float32: activations at the cut, memory-mapped
    labels: np.ndarray  # (n,) int64
    hold: Any = None  # keeps the entry from being evicted

    def read_batches(self, batch_size: int, order: int | None = None) -> tf.data.Dataset:
        """Return a tf.data.Dataset of (inputs (b, ...) float32, labels (b,) int64); `order` seeds the shuffling."""
        count = len(self.labels)
        indices = np.arange(count) if order is None else _shuffle(count, order)
        if self.inputs.nbytes <= IN_MEMORY:
            rows = (self.inputs[indices], self.labels[indices])
            return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).prefetch(2).with_options(UNTUNED)

        batches = np.split(indices, range(batch_size, count, batch_size))

        def gather(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return read_rows(self.inputs, rows), self.labels[rows]

        def read_ahead() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            """Yield the batches; while one is in use a thread reads the next, as prefetch would not: op determinism."""
            with concurrent.futures.ThreadPoolExecutor(1) as reader:
                coming = reader.submit(gather, batches[0])
                for rows in batches[1:]:
                    batch, coming = coming.result(), reader.submit(gather, rows)
                    yield batch
                yield coming.result()

        signature = (tf.TensorSpec((None, *self.inputs.shape[1:]), tf.float32), tf.TensorSpec((None,), tf.int64))
        read = tf.data.Dataset.from_generator(read_ahead, output_signature=signature)
        return read.apply(tf.data.experimental.assert_cardinality(len(batches))).with_options(UNTUNED)


class Pixels(NamedTuple):
    """The batches of one part where nothing is stored: from the records themselves."""

    folder: pathlib.Path | str
    part: str
    view: np.ndarray | None = None  # (n, 4 or 7), see thaw.records.views

    @property
    def labels(self) -> np.ndarray:
        """The labels of the part, (n,) int64."""
        return reading.read_labels(self.folder, self.part)[0]

    def read_batches(self, batch_size: int, order: int | None = None) -> tf.data.Dataset:
        """Return a tf.data.Dataset of (images (b, h, w, 3) float32 in [0, 255], labels (b,) int64)."""
        return reading.read_batches(self.folder, self.part, batch_size, order, self.view)


def _shuffle(count: int, order: int) -> np.ndarray:
    """Return the indices (n,) int64 of a part in the order in which `records.read_batches` would read it."""
    shuffled = tf.data.Dataset.range(count).shuffle(min(count, reading.SHUFFLED_TOGETHER), seed=order)
    return next(shuffled.batch(count).with_options(UNTUNED).as_numpy_iterator())


def read_rows(values: Inputs, rows: np.ndarray) -> np.ndarray:
    """Return `values[rows]`, (b, ...), for `rows` (b,) int; a memory map of a named file is read from that file.

    Through the map each page fault would read what lies around it, megabytes on some disks, and pages that are given
    back stop the other threads. Raises OSError where the file has become shorter.
    """
    pages = getattr(values, "base", None)
    if not isinstance(pages, mmap.mmap):
        return values[rows]
    if isinstance(values, np.memmap) and values.filename is not None:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile: the map still holds it
            return _read_from_file(values, pages, rows)
    found = values[rows]
    # Pages that were read count as this process's memory until they are given back; the disk cache keeps them.
    pages.madvise(mmap.MADV_DONTNEED)
    return found


def _read_from_file(values: np.memmap, pages: mmap.mmap, rows: np.ndarray) -> np.ndarray:
    found = np.empty((len(rows), *values.shape[1:]), values.dtype)
    size = found[:1].nbytes
    starts = [values.offset + int(row) * size for row in rows]
    with open(str(values.filename), "rb") as file:
        for start in starts:  # of all before the first is read, so that the disk has them in its queue together
            before = start % mmap.PAGESIZE
            pages.madvise(mmap.MADV_WILLNEED, start - before, before + size)
        for place, start in zip(found, starts, strict=True):
            file.seek(start)
            if file.readinto(place.data) != size:
                raise OSError(f"{values.filename}: shorter than it was when it was opened")
    return found
