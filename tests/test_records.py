"""TFRecords: what they hold, in which order, and what happens to photos that are not plain."""

import hashlib
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from small import SIZE, write_photos
from thaw.records import reading, writing
from thaw.records.sections import Image

IMAGE = Image(size=SIZE, shards=2)


def write_one(
    folder: pathlib.Path, photo: PIL.Image.Image, ending: str = "png", **options: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Write records of plain photos and of `photo`, which takes the place of the first; return the metrics."""
    rows = write_photos(folder / "photos", 24, 3)
    first = folder / "photos" / rows.file[0]
    rows.loc[0, "file"] = f"{first.parent.name}/odd.{ending}"
    photo.save(first.parent / f"odd.{ending}", **options)
    return rows, writing.write_records(rows, folder / "photos", IMAGE, folder / "records")["preprocess"]


def read_first(folder: pathlib.Path, part: str) -> np.ndarray:
    """Return the first photo of a part, (SIZE, SIZE, 3) float32."""
    images, _ = next(iter(reading.read_batches(folder, part, 1)))
    return images[0].numpy()


def read_images(order: int | None = None, view: np.ndarray | None = None) -> np.ndarray:
    """Return the photos (n, SIZE, SIZE, 3) of the train part of the project."""
    batches = reading.read_batches("data/records", "train", 5, order, view)
    return np.concatenate([images for images, _ in batches])


def test_a_part_holds_its_photos_in_the_order_of_their_ids(tmp_path: pathlib.Path) -> None:
    rows = write_photos(tmp_path / "photos", 24, 3)
    writing.write_records(rows, tmp_path / "photos", IMAGE, tmp_path / "records")
    for part in ("train", "validation", "test"):
        labels, ids = reading.read_labels(tmp_path / "records", part)
        expected = rows[rows.part == part]
        assert list(ids) == list(expected.id)
        assert list(labels) == list(expected.label)


def test_the_table_of_labels_has_those_of_the_records(project: pathlib.Path) -> None:
    for part in ("train", "validation", "test"):
        inside = np.concatenate([labels for _, labels in reading.read_batches("data/records", part, 5)])
        np.testing.assert_array_equal(reading.read_labels("data/records", part)[0], inside)


def test_a_record_holds_the_resized_pixels(tmp_path: pathlib.Path) -> None:
    photo = PIL.Image.new("RGB", (40, 200), (10, 200, 30))
    rows, _ = write_one(tmp_path, photo)
    first = read_first(tmp_path / "records", rows.part[0])
    np.testing.assert_array_equal(first, np.broadcast_to(np.uint8([10, 200, 30]), (SIZE, SIZE, 3)))


def test_a_photo_is_turned_upright(tmp_path: pathlib.Path) -> None:
    photo = PIL.Image.new("RGB", (60, 60), "black")
    photo.paste("white", (0, 0, 60, 30))
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    rows, _ = write_one(tmp_path, photo, "jpg", exif=exif)
    first = read_first(tmp_path / "records", rows.part[0])
    assert first[-5:].mean() > 250 > 5 > first[:5].mean()


def test_a_photo_of_16_bits_keeps_its_levels(tmp_path: pathlib.Path) -> None:
    rows, metrics = write_one(tmp_path, PIL.Image.fromarray(np.full((50, 50), 0x8000, np.uint16)))
    first = read_first(tmp_path / "records", rows.part[0])
    assert (first == 0x80).all()
    assert metrics["converted"][0]["reason"] == "converted from I;16, 16 of 16 bits"


def test_a_photo_with_damaged_metadata_does_not_stop_the_others(tmp_path: pathlib.Path) -> None:
    rows = write_photos(tmp_path / "photos", 24, 3)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x1a\0\x05\xff\xff\xff\xff\0\0"
    target = tmp_path / "photos" / rows["class"][0] / "odd.jpg"
    PIL.Image.new("RGB", (50, 50)).save(target, exif=exif)
    rows.loc[0, "file"] = f"{rows['class'][0]}/odd.jpg"
    metrics = writing.write_records(rows, tmp_path / "photos", IMAGE, tmp_path / "records")["preprocess"]
    assert sum(metrics["photos"].values()) + len(metrics["set_aside"]) == 24


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_a_photo_of_another_mode_is_converted_and_listed(mode: str, tmp_path: pathlib.Path) -> None:
    rows, metrics = write_one(tmp_path, PIL.Image.new(mode, (50, 50)))
    assert metrics["converted"] == [{"id": rows.id[0], "class": rows["class"][0], "reason": f"converted from {mode}"}]
    assert sum(metrics["photos"].values()) == 24


def test_an_unreadable_photo_is_set_aside_with_the_reason(tmp_path: pathlib.Path) -> None:
    rows = write_photos(tmp_path / "photos", 24, 3)
    broken = tmp_path / "photos" / rows.file[0]
    broken.write_bytes(broken.read_bytes()[:200])
    metrics = writing.write_records(rows, tmp_path / "photos", IMAGE, tmp_path / "records")["preprocess"]
    assert [(fault["id"], fault["part"]) for fault in metrics["set_aside"]] == [(rows.id[0], rows.part[0])]
    assert metrics["set_aside"][0]["reason"] and str(tmp_path) not in metrics["set_aside"][0]["reason"]
    assert metrics["photos"]["train"] == (rows.part == "train").sum() - 1
    assert rows.id[0] not in reading.read_labels(tmp_path / "records", rows.part[0])[1]


@pytest.mark.long
def test_another_process_writes_the_same_bytes(tmp_path: pathlib.Path) -> None:
    code = (
        "import pathlib, sys; from small import SIZE, write_photos\n"
        "from thaw.records.sections import Image; from thaw.records.writing import write_records\n"
        "folder = pathlib.Path(sys.argv[1]); rows = write_photos(folder / 'photos', 24, 3)\n"
        "write_records(rows, folder / 'photos', Image(size=SIZE, shards=2), folder / 'records')"
    )
    digests = []
    for name in ("a", "b"):
        paths = ":".join(path for path in sys.path if path)
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True, env={"PYTHONPATH": paths})
        files = sorted((tmp_path / name / "records").iterdir())
        digests.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
    assert digests[0] == digests[1]


def test_a_part_without_photos_has_no_shards(tmp_path: pathlib.Path) -> None:
    rows = write_photos(tmp_path / "photos", 24, 3)
    rows.loc[rows.part == "test", "part"] = "train"
    writing.write_records(rows, tmp_path / "photos", IMAGE, tmp_path / "records")
    assert not list((tmp_path / "records").glob("test-*"))
    assert reading.read_index(tmp_path / "records")["counts"]["test"] == 0


def test_shuffled_batches_hold_every_photo_once(project: pathlib.Path) -> None:
    def read(order: int | None) -> np.ndarray:
        batches = list(reading.read_batches("data/records", "train", 5, order))
        return np.concatenate([images.numpy().mean(axis=(1, 2, 3)) for images, _ in batches])

    plain, shuffled = read(None), read(3)
    np.testing.assert_array_equal(np.sort(plain), np.sort(shuffled))
    assert (plain != shuffled).any()
    np.testing.assert_array_equal(shuffled, read(3))
    assert (shuffled != read(4)).any()


def test_the_last_batch_is_not_dropped(project: pathlib.Path) -> None:
    sizes = [len(labels) for _, labels in reading.read_batches("data/records", "train", 5)]
    assert sizes == [5, 5, 2]


def test_pixels_come_as_float32_from_0_to_255(project: pathlib.Path) -> None:
    images, _ = next(iter(reading.read_batches("data/records", "train", 5)))
    assert images.dtype == np.float32 and images.shape == (5, SIZE, SIZE, 3)
    assert images.numpy().max() > 100


def test_a_view_that_shows_everything_is_the_photo(project: pathlib.Path) -> None:
    everything = np.tile(np.float32([0, 0, 1, 1]), (12, 1))
    np.testing.assert_array_equal(read_images(view=everything), read_images())


def test_a_box_from_right_to_left_mirrors(project: pathlib.Path) -> None:
    mirrored = np.tile(np.float32([0, 1, 1, 0]), (12, 1))
    np.testing.assert_array_equal(read_images(view=mirrored), read_images()[:, :, ::-1])


def test_a_box_shows_its_part_of_the_photo(project: pathlib.Path) -> None:
    """The corners of what is shown lie on pixels of the photo."""
    last = SIZE - 1
    boxes = np.tile(np.float32([10 / last, 20 / last, 45 / last, 55 / last]), (12, 1))
    shown = read_images(view=boxes)
    assert shown.shape == (12, SIZE, SIZE, 3)
    corners = read_images()[:, [10, 10, 45, 45], [20, 55, 20, 55]]
    np.testing.assert_allclose(shown[:, [0, 0, -1, -1], [0, -1, 0, -1]], corners, atol=0.01)


def test_boxes_stay_with_their_photos_when_shuffled(project: pathlib.Path) -> None:
    """Every second photo is mirrored; the others are not, in whatever order they come."""
    photos = read_images()
    boxes = np.float32([[0, 0, 1, 1], [0, 1, 1, 0]] * 6)
    expected = [photo if i % 2 == 0 else photo[:, ::-1] for i, photo in enumerate(photos)]
    shuffled = read_images(order=3, view=boxes)
    assert sorted(photo.tobytes() for photo in shuffled) == sorted(photo.tobytes() for photo in expected)
    assert [photo.tobytes() for photo in shuffled] != [photo.tobytes() for photo in expected]
