"""Photos decoded and resized once, written as TFRecords."""

import concurrent.futures
import functools
import os
import pathlib
import queue
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.base.errors import InputError
from thaw.base.files import digest_of, publish, sync_to_disk, write_json, write_table
from thaw.base.names import PARTS
from thaw.base.progress import say, track
from thaw.base.quiet import tf
from thaw.pictures.decoding import UnreadablePicture
from thaw.pictures.preparing import prepare
from thaw.records.sections import Image
from thaw.records.verifying import INDEX, LABELS


class Shard(NamedTuple):
    """What became of the photos of one shard, a mapping for each."""

    written: list[dict[str, Any]]  # the rows of the table: part, id, label, crc32
    converted: list[dict[str, str]]  # id, class and reason
    set_aside: list[dict[str, str]]  # id, class, part and reason


def write_records(
    rows: pd.DataFrame, photos: str | pathlib.Path, image: Image, folder: str | pathlib.Path
) -> dict[str, Any]:
    """Write the photos of `rows` below the folder `photos` as TFRecord shards, a table and an index, at `folder`.

    `rows` has the columns id, class, label, file and part, sorted by id; within a part the records keep that order,
    dealt out to the shards in runs. A thread writes a shard; there is one more of them than cores, because one waits
    for the disk now and then. An unreadable photo is set aside and said on stderr. Returns the stage's metrics: counts,
    bytes, digest, and what was converted or set aside and why. Raises InputError where that leaves a part without a
    photo of a class that `rows` has there, OSError where the disk cannot take the records.
    """
    photos, classes = pathlib.Path(photos), sorted(rows["class"].unique())
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    with publish(folder) as scratch, concurrent.futures.ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        scratch.mkdir()
        shards: list[concurrent.futures.Future[Shard]] = []
        for part in PARTS:
            of_part = rows[rows.part == part].to_dict("records")
            for number in range(image.shards if of_part else 0):
                path = scratch / f"{part}-{number:05d}-of-{image.shards:05d}.tfrecord"
                start, stop = (-(-len(of_part) * bound // image.shards) for bound in (number, number + 1))
                chosen = of_part[start:stop]
                shards.append(pool.submit(_write_shard, path, chosen, photos, image.size, done))
        for shard in shards:
            shard.add_done_callback(functools.partial(_pass_on, done))
        for error in track((done.get() for _ in range(len(rows))), "preprocess", len(rows), "photos"):
            if error:
                pool.shutdown(cancel_futures=True)
                raise error
        results = [shard.result() for shard in shards]
        written = [row for result in results for row in result.written]
        set_aside = [note for result in results for note in result.set_aside]
        _check_set_aside(rows, set_aside)
        size = sum(path.stat().st_size for path in scratch.iterdir())
        write_table(scratch / LABELS, pd.DataFrame(written, columns=["part", "id", "label", "crc32"]))
        digest = digest_of(scratch / LABELS)
        counts = {part: sum(row["part"] == part for row in written) for part in PARTS}
        write_json(scratch / INDEX, {"size": image.size, "classes": classes, "counts": counts, "digest": digest})
    return {
        "preprocess": {
            "photos": counts,
            "bytes": size,
            "digest": digest,
            "converted": [note for result in results for note in result.converted],
            "set_aside": set_aside,
        }
    }


def _check_set_aside(rows: pd.DataFrame, set_aside: Sequence[Mapping[str, str]]) -> None:
    """Say on stderr how many of the photos of `rows` are `set_aside`.

    Raises InputError where all of a class in a part are: its accuracy would be of no photo, or it would not be trained.
    """
    lost = pd.DataFrame(set_aside, columns=["id", "class", "part", "reason"])
    counts = rows.groupby(["part", "class"]).size()
    for (part, name), faults in lost.groupby(["part", "class"], sort=False):
        if len(faults) == counts[part, name]:
            first = faults.iloc[0]
            raise InputError(
                f"data/split.csv: must have a photo of '{name}' in {part} that can be read "
                f"(got {len(faults)}, all set aside, the first, {first['id']}: {first['reason']})"
            )
    if set_aside:
        first = set_aside[0]
        say(
            f"preprocess: {len(set_aside)} of {len(rows)} photos cannot be read and are set aside, "
            f"the first of '{first['class']}', {first['id']}: {first['reason']}"
        )


def _write_shard(
    path: pathlib.Path,
    rows: Sequence[Mapping[str, Any]],
    photos: pathlib.Path,
    size: int,
    done: queue.SimpleQueue[BaseException | None],
) -> Shard:
    """Write the photos of `rows` as one shard at `path`; put None on the queue `done` after each."""
    result = Shard([], [], [])
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            photo = {"id": row["id"], "class": row["class"]}
            try:
                pixels, note = prepare(photos / row["file"], size)
            except UnreadablePicture as error:
                result.set_aside.append({**photo, "part": row["part"], "reason": str(error)})
            else:
                if note:
                    result.converted.append({**photo, "reason": note})
                writer.write(_encode(row, pixels))
                checksum = zlib.crc32(pixels.data)
                result.written.append({"part": row["part"], "id": row["id"], "label": row["label"], "crc32": checksum})
            done.put(None)
    sync_to_disk(path)  # here, where others go on decoding, and not of all shards at the end
    return result


def _pass_on(done: queue.SimpleQueue[BaseException | None], shard: concurrent.futures.Future[Shard]) -> None:
    """Put on the queue `done` the error that ended `shard`, if one did."""
    if not shard.cancelled() and (error := shard.exception()):
        done.put(error)


def _encode(row: Mapping[str, Any], pixels: np.ndarray) -> bytes:
    """Return the record of a photo: its `pixels` (size, size, 3) uint8, and the label and id of its row."""
    example = tf.train.Example()
    features = example.features.feature  # filled in place: built on their own, features would be copied twice
    features["image"].bytes_list.value.append(pixels.tobytes())
    features["label"].int64_list.value.append(row["label"])
    features["id"].bytes_list.value.append(row["id"].encode())
    # Without deterministic=True the bytes differ from process to process.
    return example.SerializeToString(deterministic=True)
