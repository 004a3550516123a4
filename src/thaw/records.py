"""TFRecords: photos decoded and resized once, and the pipelines that read them.

A record holds `image` (raw uint8, h * w * 3 bytes, row by row), `label` int64 and `id` (16 hex digits, bytes). A table
beside them has labels and ids once more, so that they are read without the images, and a checksum of each image.
"""

import concurrent.futures
import os
import pathlib
import queue
import zlib
from typing import Annotated

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageOps
import pydantic
import tensorflow as tf

from thaw.compute import UNTUNED
from thaw.names import PARTS
from thaw.params import Section
from thaw.progress import track
from thaw.publishing import digest_of, publish, read_json, sync_to_disk, write_json, write_table
from thaw.views import cut_out

INDEX, LABELS = "index.json", "labels.csv"
SHUFFLED_TOGETHER = 4096  # images held while shuffling, 600 MiB at 224 px: all of TF-Flowers' train part


class Image(Section):
    """Section `image`."""

    size: Annotated[int, pydantic.Field(ge=32, le=1024)]  # pixels; photos are resized to a square of it
    shards: Annotated[int, pydantic.Field(ge=1, le=1000)]  # files for each part


def prepare(path, size):
    """Return (pixels, note): the photo at `path` as (size, size, 3) uint8, and what had to be converted, or None.

    Upright by its EXIF orientation, RGB, resized to a square by Pillow's antialiased bilinear filter. Raises OSError,
    with the reason, for a file that cannot be read whole.
    """
    try:
        with PIL.Image.open(path) as opened:
            mode, photo = opened.mode, opened
            PIL.ImageOps.exif_transpose(photo, in_place=True)
            if mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion would cut off all above 255
                photo = PIL.Image.fromarray((np.asarray(photo) >> 8).clip(0, 255).astype(np.uint8))
            photo = photo if photo.mode == "RGB" else photo.convert("RGB")
            photo = photo.resize((size, size), PIL.Image.Resampling.BILINEAR)
    except Exception as error:  # Pillow's readers of damaged files raise errors of many kinds
        raise OSError(" ".join(str(error).replace(str(path), path.name).split())) from None
    return np.asarray(photo), None if mode == "RGB" else f"converted from {mode}"


def write_records(rows, photos, image, folder):
    """Write the photos of `rows` below the folder `photos` as TFRecord shards, a table and an index, at `folder`.

    `rows` is a DataFrame with columns id, class, label, file and part, sorted by id; within a part the records keep
    that order, dealt out to the shards in runs. A thread writes a shard; there is one more of them than cores, because
    one waits for the disk now and then. An unreadable photo is set aside. Returns the stage's metrics: counts, bytes,
    digest, and what was converted or set aside and why.
    """
    photos, classes, done = pathlib.Path(photos), sorted(rows["class"].unique()), queue.SimpleQueue()
    with publish(folder) as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        scratch.mkdir()
        shards = []
        for part in PARTS:
            of_part = rows[rows.part == part].to_dict("records")
            for shard in range(image.shards if of_part else 0):
                path = scratch / f"{part}-{shard:05d}-of-{image.shards:05d}.tfrecord"
                start, stop = (-(-len(of_part) * bound // image.shards) for bound in (shard, shard + 1))
                chosen = of_part[start:stop]
                shards.append(pool.submit(_write_shard, path, chosen, photos, image.size, done))
        for shard in shards:
            shard.add_done_callback(lambda shard: shard.exception() and done.put(shard.exception()))
        for error in track((done.get() for _ in range(len(rows))), "preprocess", len(rows), "photos"):
            if error:
                pool.shutdown(cancel_futures=True)
                raise error
        written, converted, set_aside = (sum(lists, []) for lists in zip(*(shard.result() for shard in shards), strict=True))
        size = sum(path.stat().st_size for path in scratch.iterdir())
        write_table(scratch / LABELS, pd.DataFrame(written, columns=["part", "id", "label", "crc32"]))
        digest = digest_of(scratch / LABELS)
        counts = {part: sum(row["part"] == part for row in written) for part in PARTS}
        write_json(scratch / INDEX, {"size": image.size, "classes": classes, "counts": counts, "digest": digest})
    return {
        "preprocess": {"photos": counts, "bytes": size, "digest": digest, "converted": converted, "set_aside": set_aside}
    }


def _write_shard(path, rows, photos, size, done):
    """Write the photos of `rows`, mappings, as one shard; put None on the queue `done` after each.

    Returns lists of mappings: the rows of the table that were written, what was converted, what was set aside.
    """
    written, converted, set_aside = [], [], []
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            told = {"id": row["id"], "class": row["class"]}
            try:
                pixels, note = prepare(photos / row["file"], size)
            except OSError as error:
                set_aside.append({**told, "reason": str(error)})
            else:
                if note:
                    converted.append({**told, "reason": note})
                writer.write(_encode(row, pixels))
                checksum = zlib.crc32(pixels)
                written.append({"part": row["part"], "id": row["id"], "label": row["label"], "crc32": checksum})
            done.put(None)
    sync_to_disk(path)  # here, where others go on decoding, and not of all shards at the end
    return written, converted, set_aside


def read_index(folder):
    """Return the index of the records at `folder`: `size`, `classes`, `counts` by part, and `digest`.

    The digest is the sha256 of the table of photos, which has the parts, ids, labels and checksums of all images.
    """
    return read_json(pathlib.Path(folder) / INDEX)


def read_labels(folder, part):
    """Return (labels (n,) int64, ids (n,) str) of a part, in the order of its records."""
    rows = pd.read_csv(pathlib.Path(folder) / LABELS, dtype={"label": np.int64, "id": str})
    rows = rows[rows.part == part]
    return rows.label.to_numpy(), rows["id"].to_numpy(dtype=str)


def read_batches(folder, part, batch_size, order=None, boxes=None):
    """Return batches (images (b, h, w, 3) float32 in [0, 255], labels (b,) int64) of a part, the last one smaller.

    `order` seeds the shuffling; None keeps the order of the records. `boxes` (n, 4), by record, is the view of them
    (see `thaw.views`); None shows them as they are.
    """
    index, files = read_index(folder), sorted(pathlib.Path(folder).glob(f"{part}-*.tfrecord"))
    count, size = index["counts"][part], index["size"]
    records = tf.data.TFRecordDataset([str(path) for path in files])
    records = records.apply(tf.data.experimental.assert_cardinality(count))
    if boxes is not None:
        records = tf.data.Dataset.zip(records, tf.data.Dataset.from_tensor_slices(boxes))
    if order is not None:
        records = records.shuffle(min(count, SHUFFLED_TOGETHER), seed=order)

    def decode(record, *box):
        row = tf.io.parse_single_example(
            record, {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        )
        pixels = tf.reshape(tf.io.decode_raw(row["image"], tf.uint8), (size, size, 3))
        return tf.cast(pixels, tf.float32), row["label"], *box

    batches = records.map(decode, num_parallel_calls=2).batch(batch_size)
    if boxes is not None:
        batches = batches.map(lambda images, labels, drawn: (cut_out(images, drawn), labels))
    return batches.prefetch(2).with_options(UNTUNED)


def _encode(row, pixels):
    example = tf.train.Example()
    features = example.features.feature  # filled in place: built on their own, features would be copied twice
    features["image"].bytes_list.value.append(pixels.tobytes())
    features["label"].int64_list.value.append(row["label"])
    features["id"].bytes_list.value.append(row["id"].encode())
    # Without deterministic=True the bytes differ from process to process.
    return example.SerializeToString(deterministic=True)
