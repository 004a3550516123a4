"""Records that are damaged or were edited by hand: one line that names the file and the row, and what mends them."""

import json
import os
import pathlib
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from small import SIZE, write_photos
from thaw.base.errors import InputError
from thaw.base.quiet import tf
from thaw.records import reading, writing
from thaw.records.sections import Image
from thaw.records.verifying import MENDED
from thaw.training.repeating import place_parts
from tiny import attempt, dvc, follow

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

Damage = Callable[[pathlib.Path], Any]
FIRST, SECOND = "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Records of 24 photos of three classes: twelve to train on, six in each file."""
    rows = write_photos(tmp_path / "photos", 24, 3)
    writing.write_records(rows, tmp_path / "photos", Image(size=SIZE, shards=2), tmp_path / "records")
    return tmp_path / "records"


def edit_table(line: int, change: Callable[[list[str]], list[str]]) -> Damage:
    """Return what changes the fields (part, id, label, crc32) of a line of the table, counted from 1."""

    def damage(folder: pathlib.Path) -> None:
        lines = (folder / "labels.csv").read_text().splitlines()
        lines[line - 1] = ",".join(change(lines[line - 1].split(",")))
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")

    return damage


def edit_index(**values: Any) -> Damage:
    def damage(folder: pathlib.Path) -> None:
        document = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps({**document, **values}))

    return damage


def edit_records(change: Callable[[list[bytes]], list[bytes]], file: str = FIRST) -> Damage:
    """Return what changes the records of a file; the checksums of the format are right again."""

    def damage(folder: pathlib.Path) -> None:
        records = change(list(tf.data.TFRecordDataset(str(folder / file)).as_numpy_iterator()))
        with tf.io.TFRecordWriter(str(folder / file)) as writer:
            for record in records:
                writer.write(record)

    return damage


def edit_record(number: int, change: Callable[[Any], Any]) -> Damage:
    """Return what changes the features of one record of the first file, counted from 1."""

    def damage(records: list[bytes]) -> list[bytes]:
        example = tf.train.Example.FromString(records[number - 1])
        change(example.features.feature)
        return [*records[: number - 1], example.SerializeToString(), *records[number:]]

    return edit_records(damage)


def set_label(feature: Any) -> None:
    feature["label"].int64_list.value[0] = 0


def set_id(feature: Any) -> None:
    feature["id"].bytes_list.value[0] = b"\xff" * 16


def flip_pixel(feature: Any) -> None:
    pixels = bytearray(feature["image"].bytes_list.value[0])
    pixels[1000] ^= 1
    feature["image"].bytes_list.value[0] = bytes(pixels)


def flip(place: int, file: str = FIRST) -> Damage:
    """Return what flips a bit of a file."""

    def damage(folder: pathlib.Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[place] ^= 1
        (folder / file).write_bytes(content)

    return damage


def swap_files(folder: pathlib.Path) -> None:
    (folder / FIRST).rename(folder / "aside")
    (folder / SECOND).rename(folder / FIRST)
    (folder / "aside").rename(folder / SECOND)


def cut_file(folder: pathlib.Path) -> None:
    (folder / FIRST).write_bytes((folder / FIRST).read_bytes()[:-1000])


def write_split(folder: pathlib.Path) -> None:
    """Write the split that the records come from, as it stands beside them in a project, and rename a class."""
    names = json.loads((folder / "index.json").read_text())["classes"]
    rows = "".join(f"{name},{label}\n" for label, name in enumerate(names))
    (folder.parent / "split.csv").write_text("class,label\n" + rows)
    edit_index(classes=["class0", "class1", "class3"])(folder)


# What happens to records, and the line that any reading of their table ends with.
TABLE: dict[str, tuple[Damage, str]] = {
    "a label is changed in the table": (
        edit_table(4, lambda row: [*row[:2], "0", row[3]]),
        f"labels.csv: line 4: label: must be 2, as in {{folder}}/{FIRST}: record 3 (got 0)",
    ),
    "an id is changed in the table": (
        edit_table(4, lambda row: [row[0], "f" * 16, *row[2:]]),
        f"labels.csv: line 4: id: must be 0000000000000002, as in {{folder}}/{FIRST}: record 3 (got {'f' * 16})",
    ),
    "a checksum is changed in the table": (
        edit_table(9, lambda row: [*row[:3], "1"]),
        r"labels.csv: line 9: crc32 of the picture: must be \d+, as in {folder}/" + SECOND + r": record 2 \(got 1\)",
    ),
    "a photo is moved to another part in the table": (
        edit_table(2, lambda row: ["test", *row[1:]]),
        f"labels.csv: line 3: id: must be 0000000000000000, as in {{folder}}/{FIRST}: record 1",
    ),
    "a line is taken out of the table": (
        edit_table(25, lambda row: []),
        "labels.csv: must have a row for each record (got none for {folder}/test-00001-of-00002.tfrecord: record 3)",
    ),
    "a line stands twice in the table": (
        edit_table(25, lambda row: [*row[:3], f"{row[3]}\n{','.join(row)}"]),
        "labels.csv: line 26: must be a row with a record (got one of test more than there are)",
    ),
    "a label in the table is no number": (
        edit_table(4, lambda row: [*row[:2], "rose", row[3]]),
        r"labels.csv: must be the table whose sha256 is \w+, as index.json has it \(got \w+\)",
    ),
    "the table is gone": (lambda folder: (folder / "labels.csv").unlink(), "labels.csv: there is no such file"),
    "the index is gone": (lambda folder: (folder / "index.json").unlink(), "index.json: there is no such file"),
    "the index is cut short": (
        lambda folder: (folder / "index.json").write_text('{"size": 72,'), "index.json: must be JSON",
    ),
    "the index has a digest of its own": (
        edit_index(digest="0" * 64), r"index.json: digest: must be \w+, the sha256 of labels.csv \(got 0{64}\)",
    ),
    "the index has another size": (edit_index(size=71), "index.json: size: must be 72, that of the pictures (got 71)"),
    "the index has other counts": (
        edit_index(counts={"train": 11, "validation": 6, "test": 6}),
        "index.json: counts: must be {{'train': 12, 'validation': 6, 'test': 6}} (got {{'train': 11, ",
    ),
    "the index lacks the counts of a part": (
        edit_index(counts={"train": 12, "validation": 6}), "index.json: counts: must be {{'train': 12, ",
    ),
    "the index has counts that are no numbers": (edit_index(counts=3), "index.json: index.counts: must be a mapping"),
    "the index has its classes in another order": (
        edit_index(classes=["class0", "class2", "class1"]),
        "index.json: classes: the 2. must be 'class1' (got 'class2')",
    ),
    "the index has a class too few": (
        edit_index(classes=["class0", "class1"]),
        "index.json: classes: must be 3, one for each label in labels.csv (got 2)",
    ),
    "the index has a class too many": (
        edit_index(classes=["class0", "class1", "class2", "class3"]),
        "index.json: classes: must be 3, one for each label in labels.csv (got 4)",
    ),
    "the index has another name for a class than the split": (
        write_split, "index.json: classes: the 3. must be 'class2', as in {folder.parent}/split.csv (got 'class3')",
    ),
}  # fmt: skip

# And that the first reading of their pictures ends with.
PICTURES: dict[str, tuple[Damage, str]] = {
    "a label is changed in a record": (
        edit_record(3, set_label), f"{FIRST}: record 3: label: must be 2, as in line 4 of labels.csv (got 0)",
    ),
    "an id is changed in a record": (
        edit_record(3, set_id), f"{FIRST}: record 3: id: must be 0000000000000002, as in line 4 of labels.csv (got ",
    ),
    "a bit of a picture is flipped, and the checksum is right": (
        edit_record(3, flip_pixel),
        rf"{FIRST}: record 3: crc32 of the picture: must be \d+, as in line 4 of labels.csv",
    ),
    "a bit of a picture is flipped": (flip(40_000), f"{FIRST}: record 3: is damaged"),
    "a bit of a record's length is flipped": (flip(0, SECOND), f"{SECOND}: record 1: is damaged"),
    "the file ends within a record": (cut_file, f"{FIRST}: record 6: is damaged"),
    "a record is no example": (
        edit_records(lambda records: [*records[:2], b"\xff\xff", *records[3:]]),
        f"{FIRST}: record 3: holds no picture with label and id",
    ),
    "a record has no label": (
        edit_record(3, lambda feature: feature.pop("label")), f"{FIRST}: record 3: holds no picture with label and id",
    ),
    "two records have changed places": (
        edit_records(lambda records: [records[1], records[0], *records[2:]]),
        f"{FIRST}: record 1: id: must be 0000000000000000, as in line 2 of labels.csv (got 0000000000000001)",
    ),
    "a record stands twice": (
        edit_records(lambda records: [records[0], *records]),
        f"{FIRST}: record 2: id: must be 0000000000000001, as in line 3 of labels.csv (got 0000000000000000)",
    ),
    "the last record is gone": (
        edit_records(lambda records: records[:-1], SECOND),
        "train-*.tfrecord: must hold a record for each row of labels.csv (got none for line 13 and what follows)",
    ),
    "there is a record more": (
        edit_records(lambda records: [*records, records[0]], SECOND),
        f"{SECOND}: record 7: must have a row of labels.csv (got one more than the 12 of train)",
    ),
    "two files have changed places": (swap_files, f"{FIRST}: record 1: id: must be 0000000000000000, as in line 2 of "),
    "a file is gone": (
        lambda folder: (folder / SECOND).unlink(),
        "train-*.tfrecord: must hold a record for each row of labels.csv (got none for line 8 and what follows)",
    ),
    "a file of another part lies there under its name": (
        lambda folder: (folder / "test-00000-of-00002.tfrecord").replace(folder / SECOND),
        f"{SECOND}: record 1: id: must be ",
    ),
}  # fmt: skip


def check_line(line: str, words: str, folder: pathlib.Path) -> None:
    """Check that `line` names a file in `folder`, says `words` (with a backslash, a pattern), and what mends it."""
    if "\\" in words:
        assert re.search(words.replace("{folder}", str(folder)), line), line
    else:
        assert words.format(folder=folder) in line
    assert line.startswith(f"{folder}/") and line.endswith(f"; {MENDED}") and "\n" not in line


@pytest.mark.parametrize("case", TABLE)
def test_no_run_rests_on_a_table_that_is_not_as_it_was_written(case: str, folder: pathlib.Path) -> None:
    damage, words = TABLE[case]
    reading.read_index(folder)  # and what was read before is not believed
    damage(folder)
    for read in (
        lambda: reading.read_index(folder),
        lambda: reading.read_labels(folder, "validation"),
        lambda: reading.read_batches(folder, "test", 4),
        lambda: place_parts(folder),
    ):
        with pytest.raises(InputError) as caught:
            read()
        check_line(str(caught.value), words, folder)


@pytest.mark.parametrize("case", PICTURES)
def test_no_run_reads_a_picture_or_label_that_is_not_as_it_was_written(case: str, folder: pathlib.Path) -> None:
    damage, words = PICTURES[case]
    for _ in reading.read_batches(folder, "train", 4):
        pass
    damage(folder)
    with pytest.raises(InputError) as caught:
        reading.read_batches(folder, "train", 4)
    check_line(str(caught.value), words, folder)


def test_damage_of_one_part_does_not_stop_what_reads_another(folder: pathlib.Path) -> None:
    edit_record(3, set_label)(folder)
    assert sum(len(labels) for _, labels in reading.read_batches(folder, "validation", 4)) == 6


def test_pictures_are_read_through_once_and_not_in_every_epoch(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, checksum = [], zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda content: checked.append(len(content)) or checksum(content))
    for epoch in range(3):
        assert sum(len(labels) for _, labels in reading.read_batches(folder, "train", 4, epoch)) == 12
    assert len(checked) == 12 + 1  # one for the size of the pictures


def test_the_command_that_the_line_names_mends_what_dvc_cannot_see(workspace: pathlib.Path) -> None:
    """A bit flips on the disk, without a new date: to DVC the file is unchanged."""
    file = workspace / "data/records" / FIRST
    content, date = file.read_bytes(), file.stat().st_mtime_ns
    flip(len(content) // 2)(file.parent)
    os.utime(file, ns=(date, date))
    done = attempt(workspace, sys.executable, "stages/baseline_cnn.py", PYTHONPATH="src")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.fullmatch(rf"data/records/{FIRST}: record \d+: .*; {re.escape(MENDED)}", done.stderr.splitlines()[-1])
    follow(workspace, MENDED.partition(" writes")[0])
    assert file.read_bytes() == content
    assert "up to date" in dvc(workspace, "status")
