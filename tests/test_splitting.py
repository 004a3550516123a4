import io
import random
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from thaw.params import InputError, validate
from thaw.publishing import write_table
from thaw.splitting import Split, group_near_duplicates, hash_photos, read_manifest, read_split, split

SHARES = {"train": 0.75, "validation": 0.15, "test": 0.1}


def section(seed=0, bits=6, **shares):
    return Split(seed=seed, near_duplicate_bits=bits, **{**SHARES, **shares})


def paint(seed):
    """Return a picture of random boxes: two of them are far apart in their perceptual hashes."""
    rng = random.Random(seed)
    image = Image.new("RGB", (64, 48))
    pen = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = rng.randrange(64), rng.randrange(48)
        pen.rectangle((x, y, x + rng.randrange(4, 30), y + rng.randrange(4, 30)), tuple(rng.choices(range(256), k=3)))
    return image


def encode(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


class Manifest:
    """Collects photos in a folder, and the manifest's rows about them."""

    def __init__(self, folder):
        self.folder, self.rows = folder, []

    def add(self, name, content, sha256=None):
        id = f"{len(self.rows):016x}" if sha256 is None else sha256[:16]
        file = f"{name}-{id}"
        (self.folder / file).write_bytes(content)
        self.rows.append({"class": name, "id": id, "sha256": sha256 or id * 4, "file": file})
        return id

    def table(self):
        return pd.DataFrame(self.rows)


@pytest.fixture
def manifest(tmp_path):
    """Forty roses and twenty tulips, no two alike."""
    collected = Manifest(tmp_path)
    for seed in range(60):
        collected.add("rose" if seed < 40 else "tulip", encode(paint(seed)))
    return collected


def count(table):
    return table.groupby(["part", "class"]).size().to_dict()


def test_parts_have_their_shares_of_every_class(manifest):
    table, metrics = split(manifest.table(), manifest.folder, section())
    # 60 photos at 75, 15 and 10 %, of 40 and 20 each.
    assert count(table) == {
        ("train", "rose"): 30, ("train", "tulip"): 15, ("validation", "rose"): 6, ("validation", "tulip"): 3,
        ("test", "rose"): 4, ("test", "tulip"): 2,
    }
    assert metrics["split"]["train"] == {"photos": 45, "classes": {"rose": 30, "tulip": 15}}
    assert metrics["split"]["test"] == {"photos": 6, "classes": {"rose": 4, "tulip": 2}}
    assert [metrics["split"][key] for key in ("left_out_two_labels", "near_duplicate_groups", "photos_in_them")] == [
        0, 0, 0,
    ]


def test_the_table_has_every_photo_once_by_id_with_the_index_of_its_class(manifest):
    table, _ = split(manifest.table(), manifest.folder, section())
    assert list(table.columns) == ["id", "class", "label", "file", "part", "group"]
    assert table["id"].tolist() == [f"{number:016x}" for number in range(60)]
    assert table["label"].tolist() == [0] * 40 + [1] * 20
    assert (table["group"] == table["id"]).all()


def test_a_seed_gives_one_split_and_another_seed_another(manifest):
    tables = [split(manifest.table(), manifest.folder, section(seed))[0] for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_the_order_of_the_manifest_changes_nothing(manifest):
    manifest.add("rose", encode(paint(3), "JPEG"))
    table, metrics = split(manifest.table(), manifest.folder, section())
    again = split(manifest.table().sample(frac=1, random_state=5), manifest.folder, section())
    assert table.equals(again[0])
    assert metrics == again[1]


def test_a_part_of_nothing_stays_empty(manifest):
    table, metrics = split(manifest.table(), manifest.folder, section(train=0.8, validation=0.2, test=0))
    assert set(table["part"]) == {"train", "validation"}
    assert metrics["split"]["test"] == {"photos": 0, "classes": {"rose": 0, "tulip": 0}}
    assert metrics["split"]["validation"]["photos"] == 12


def test_a_photo_under_two_labels_is_left_out(manifest):
    for name in ("rose", "tulip"):
        manifest.add(name, encode(paint(99)), sha256="f" * 64)
    table, metrics = split(manifest.table(), manifest.folder, section())
    assert "f" * 16 not in set(table["id"])
    assert len(table) == 60
    assert metrics["split"]["left_out_two_labels"] == 2


def test_near_duplicates_stay_in_one_part_whatever_the_seed(manifest):
    for seed in range(12):
        picture = paint(seed)
        manifest.add("rose", encode(picture.resize((96, 72)), "JPEG", quality=70))
        manifest.add("rose", encode(ImageEnhance.Brightness(picture).enhance(0.9)))
    for seed in range(3):
        table, metrics = split(manifest.table(), manifest.folder, section(seed, bits=10))
        assert (table.groupby("group")["part"].nunique() == 1).all()
        assert metrics["split"]["near_duplicate_groups"] == 12
        assert metrics["split"]["photos_in_them"] == 36
    # Each copy stands with the picture that it was made from.
    assert table["group"].tolist()[60:] == [f"{seed:016x}" for seed in range(12) for _ in range(2)]


def test_near_duplicates_of_two_classes_stay_in_one_part(manifest):
    twin = manifest.add("tulip", encode(paint(0), "JPEG"))
    for seed in range(6):
        table = split(manifest.table(), manifest.folder, section(seed))[0].set_index("id")
        assert table.loc[twin, "group"] == "0" * 16
        assert table.loc[twin, "part"] == table.loc["0" * 16, "part"]


def test_an_unreadable_photo_stays_as_a_group_of_its_own(manifest):
    broken = [manifest.add("rose", content) for content in (b"\xff\xd8\xffbroken", encode(paint(0))[:200])]
    table = split(manifest.table(), manifest.folder, section())[0].set_index("id")
    assert [table.loc[id, "group"] for id in broken] == broken


@pytest.mark.parametrize("shares, needed", [({}, 10), ({"train": 0.5, "validation": 0.5, "test": 0}, 2)])
def test_a_class_too_small_for_every_part_is_a_fault(manifest, shares, needed):
    for seed in range(100, 100 + needed - 1):
        manifest.add("aster", encode(paint(seed)))
    with pytest.raises(InputError, match=f"at least {needed} photos.* .got {needed - 1} of 'aster'"):
        split(manifest.table(), manifest.folder, section(**shares))
    manifest.add("aster", encode(paint(999)))
    table, _ = split(manifest.table(), manifest.folder, section(**shares))
    assert {part for part, name in count(table) if name == "aster"} == {
        part for part in SHARES if {**SHARES, **shares}[part]
    }


def test_copies_of_one_picture_do_not_fill_a_class(manifest):
    for quality in range(70, 90):
        manifest.add("aster", encode(paint(77), "JPEG", quality=quality))
    with pytest.raises(InputError, match="at least 10 photos, near duplicates counted once.* .got 1 of 'aster'"):
        split(manifest.table(), manifest.folder, section(bits=10))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.05), (0.05, 0.05, 0.9), (0.34, 0.33, 0.33), (0.05, 0.9, 0.05)])
def test_every_part_has_every_class_or_the_fault_says_how_many_it_takes(tmp_path, seed, shares):
    def split_classes(sizes):
        rows = [
            {"class": name, "id": f"{name}{number:015x}", "sha256": f"{name}{number}", "file": "none"}
            for name, size in sizes.items()
            for number in range(size)
        ]
        return split(pd.DataFrame(rows), tmp_path, section(seed, **dict(zip(SHARES, shares, strict=True))))[0]

    rng = random.Random(seed)
    sizes = {name: rng.randrange(3, 26) for name in "abcdef"}
    try:
        table = split_classes(sizes)
    except InputError as error:
        needed, got, name = re.search(r"at least (\d+) photos.* .got (\d+) of '(.)'", str(error)).groups()
        assert sizes[name] == int(got) < int(needed)
        table = split_classes({name: max(size, int(needed)) for name, size in sizes.items()})
    assert len(count(table)) == 3 * len(sizes)


# Near duplicates


def test_hashes_within_the_bits_are_one_group_and_others_are_not():
    base = 0xF0F0_1234_5678_9ABC
    hashes = [base, base ^ 0b111, base ^ 0b1111 << 20, ~base & 2**64 - 1]
    assert partition(group_near_duplicates(hashes, 3)) == [0, 0, 2, 3]
    assert partition(group_near_duplicates(hashes, 4)) == [0, 0, 0, 3]


def test_a_chain_of_near_duplicates_is_one_group():
    assert partition(group_near_duplicates([0, 0b1111, 0b11111111], 4)) == [0, 0, 0]


def test_a_missing_hash_is_near_to_nothing():
    assert partition(group_near_duplicates([None, 5, None, 5], 16)) == [0, 1, 2, 1]
    assert partition(group_near_duplicates([None, None], 16)) == [0, 1]


def test_groups_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    hashes = [int(value) for value in rng.integers(0, 2**12, 300)]
    whole = partition(group_near_duplicates(hashes, 1))
    monkeypatch.setattr("thaw.splitting.BLOCK", 1)
    assert partition(group_near_duplicates(hashes, 1)) == whole
    # Against the definition: flood from each hash over those within one bit.
    expected = [None] * 300
    for start in range(300):
        todo = [start]
        while todo:
            position = todo.pop()
            if expected[position] is None:
                expected[position] = start
                todo += [other for other in range(300) if (hashes[other] ^ hashes[position]).bit_count() <= 1]
    assert whole == expected


def partition(groups):
    """Name each group after the position of its first member."""
    groups = list(groups)
    return [groups.index(group) for group in groups]


def test_a_hash_survives_size_and_encoding(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "other.png", "broken.jpg")]
    picture = paint(1).resize((1000, 750), Image.Resampling.BICUBIC)
    contents = encode(picture), encode(picture.resize((600, 450)), "JPEG"), encode(paint(2)), b"\xff\xd8\xff"
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    first, second, other, broken = hash_photos(paths)
    assert (first ^ second).bit_count() <= 4
    assert (first ^ other).bit_count() > 16
    assert broken is None


def test_a_hash_is_that_of_the_photo_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    (tmp_path / "a.jpg").write_bytes(encode(paint(1), "JPEG", quality=95))
    turned = paint(1).transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "b.jpg").write_bytes(encode(turned, "JPEG", quality=95, exif=exif))
    first, second = hash_photos([tmp_path / "a.jpg", tmp_path / "b.jpg"])
    assert (first ^ second).bit_count() <= 4


# The section and the files


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"test": 0.05}, "split.test: must add up to 1 with train and validation, which makes 0.95 in all (got 0.05)"),
        ({"train": 0.0, "test": 0.85}, "split.train: must be greater than 0"),
        ({"validation": 0, "test": 0.25}, "split.validation: must be greater than 0"),
        ({"validation": 0.35, "test": -0.1}, "split.test: must be at least 0"),
        ({"near_duplicate_bits": 17}, "split.near_duplicate_bits: must be at most 16"),
    ],
)
def test_a_fault_of_the_section_names_its_key(change, fault):
    _, faults = validate(Split, {"seed": 0, "near_duplicate_bits": 6, **SHARES, **change}, "split")
    assert len(faults) == 1 and faults[0].startswith(fault)


@pytest.mark.parametrize("shares", [(0.75, 0.15, 0.1), (0.7, 0.2, 0.1), (0.8, 0.2, 0), (0.6, 0.3, 0.1)])
def test_shares_that_add_up_but_for_rounding_are_accepted(shares):
    section(**dict(zip(SHARES, shares, strict=True)))


def test_tables_come_back_from_their_files_as_they_were(tmp_path, manifest):
    rows = manifest.table()
    rows["class"] = rows["class"].replace("tulip", "NA")
    table, _ = split(rows, manifest.folder, section())
    write_table(tmp_path / "split.csv", table)
    assert read_split(tmp_path / "split.csv").astype(object).equals(table.astype(object))
    width, height = pd.array([3] * 59 + [None], "Int64"), pd.array([4] * 60, "Int64")
    rows = rows.assign(bytes=1, width=width, height=height, copies=1)
    write_table(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path).astype(object).equals(rows.astype(object))
