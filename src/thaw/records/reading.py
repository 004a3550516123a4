"""TFRecords: photos decoded and resized once, and the pipelines that read them.

A record holds `image` (raw uint8, h * w * 3 bytes, row by row), `label` int64 and `id` (16 hex digits, bytes). A table
beside them has labels and ids once more, so that they are read without the images, and a checksum of each image.
"""

import pathlib
from typing import Any

import numpy as np

from thaw.base.determinism import UNTUNED
from thaw.base.quiet import tf
from thaw.records.verifying import read_records, verify_part
from thaw.records.views import show

SHUFFLED_TOGETHER = 4096  # images held while shuffling, 600 MiB at 224 px: all of TF-Flowers' train part


def read_index(folder: str | pathlib.Path) -> dict[str, Any]:
    """Return the index of the records at `folder`: `size`, `classes`, `counts` by part, and `digest`.

    The digest is the sha256 of the table of photos, which has the parts, ids, labels and checksums of all images.
    Raises InputError where index, table and records do not agree.
    """
    return read_records(folder).described.model_dump()


def read_labels(folder: str | pathlib.Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (labels (n,) int64, ids (n,) str) of a part, in the order of its records.

    Raises InputError as `read_index` does.
    """
    rows = read_records(folder).table
    rows = rows[rows.part == part]
    return rows.label.to_numpy(), rows["id"].to_numpy(dtype=str)


def read_batches(
    folder: str | pathlib.Path,
    part: str,
    batch_size: int,
    order: int | None = None,
    view: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Return batches (images (b, h, w, 3) float32 in [0, 255], labels (b,) int64) of a part, the last one smaller.

    `order` seeds the shuffling; None keeps the order of the records. `view` (n, 4 or 7), by record, is what is
    shown of them (see `thaw.records.views`); None shows them as they are. Raises InputError for records that are not as
    they were written: the first call reads them all, the next ones, of an epoch each, do not.
    """
    index, files = read_index(folder), verify_part(folder, part)
    count, size = index["counts"][part], index["size"]
    records = tf.data.TFRecordDataset([str(path) for path in files])
    records = records.apply(tf.data.experimental.assert_cardinality(count))
    if view is not None:
        records = tf.data.Dataset.zip(records, tf.data.Dataset.from_tensor_slices(view))
    if order is not None:
        records = records.shuffle(min(count, SHUFFLED_TOGETHER), seed=order)

    def decode(record: tf.Tensor, *drawn: tf.Tensor) -> tuple[tf.Tensor, ...]:
        row = tf.io.parse_single_example(
            record, {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        )
        pixels = tf.reshape(tf.io.decode_raw(row["image"], tf.uint8), (size, size, 3))
        return tf.cast(pixels, tf.float32), row["label"], *drawn

    batches = records.map(decode, num_parallel_calls=2).batch(batch_size)
    if view is not None:
        batches = batches.map(lambda images, labels, drawn: (show(images, drawn), labels))
    return batches.prefetch(2).with_options(UNTUNED)
