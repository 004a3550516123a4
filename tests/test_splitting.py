import io
import itertools
import pathlib
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from thaw.base.errors import InputError
from thaw.base.files import read_table, write_table
from thaw.base.sections import validate
from thaw.split.near_duplicates import (
    chain_near_duplicates,
    count_near_pairs_apart,
    group_near_duplicates,
    hash_photos,
)
from thaw.split.neighbours import list_masks
from thaw.split.parts import read_manifest, split_photos
from thaw.split.sections import Split

SHARES = {"train": 0.75, "validation": 0.15, "test": 0.1}


def make_section(seed: int = 0, bits: int = 6, **shares: float) -> Split:
    return Split(seed=seed, near_duplicate_bits=bits, **{**SHARES, **shares})


def paint(seed: int) -> Image.Image:
    """Return a picture of random boxes: two of them are far apart in their perceptual hashes."""
    rng = random.Random(seed)
    image = Image.new("RGB", (64, 48))
    pen = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = rng.randrange(64), rng.randrange(48)
        pen.rectangle((x, y, x + rng.randrange(4, 30), y + rng.randrange(4, 30)), tuple(rng.choices(range(256), k=3)))
    return image


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


class Manifest:
    """Photos in a folder, and the manifest's rows about them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, str]] = []

    def add(self, name: str, content: bytes, sha256: str | None = None) -> str:
        identity = f"{len(self.rows):016x}" if sha256 is None else sha256[:16]
        file = f"{name}-{identity}"
        (self.folder / file).write_bytes(content)
        self.rows.append({"class": name, "id": identity, "sha256": sha256 or identity * 4, "file": file})
        return identity

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> Manifest:
    """Forty roses and twenty tulips, no two alike."""
    collected = Manifest(tmp_path)
    for seed in range(60):
        collected.add("rose" if seed < 40 else "tulip", encode(paint(seed)))
    return collected


def count(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    return table.groupby(["part", "class"]).size().to_dict()


def test_parts_have_their_shares_of_every_class(manifest: Manifest) -> None:
    table, metrics = split_photos(manifest.table(), manifest.folder, make_section())
    # 60 photos at 75, 15 and 10 %, of 40 and 20 each.
    assert count(table) == {
        ("train", "rose"): 30,
        ("train", "tulip"): 15,
        ("validation", "rose"): 6,
        ("validation", "tulip"): 3,
        ("test", "rose"): 4,
        ("test", "tulip"): 2,
    }
    assert metrics["split"]["train"] == {"photos": 45, "classes": {"rose": 30, "tulip": 15}}
    assert metrics["split"]["test"] == {"photos": 6, "classes": {"rose": 4, "tulip": 2}}
    keys = ("left_out_two_labels", "near_duplicate_groups", "photos_in_them")
    assert [metrics["split"][key] for key in keys] == [0, 0, 0]


def test_the_table_has_every_photo_once_by_id_with_the_index_of_its_class(manifest: Manifest) -> None:
    table, _ = split_photos(manifest.table(), manifest.folder, make_section())
    assert list(table.columns) == ["id", "class", "label", "file", "part", "group"]
    assert table["id"].tolist() == [f"{number:016x}" for number in range(60)]
    assert table["label"].tolist() == [0] * 40 + [1] * 20
    assert (table["group"] == table["id"]).all()


def test_a_seed_gives_one_split_and_another_seed_another(manifest: Manifest) -> None:
    tables = [split_photos(manifest.table(), manifest.folder, make_section(seed))[0] for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_the_order_of_the_manifest_changes_nothing(manifest: Manifest) -> None:
    manifest.add("rose", encode(paint(3), "JPEG"))
    table, metrics = split_photos(manifest.table(), manifest.folder, make_section())
    again = split_photos(manifest.table().sample(frac=1, random_state=5), manifest.folder, make_section())
    assert table.equals(again[0])
    assert metrics == again[1]


def test_a_part_of_nothing_stays_empty(manifest: Manifest) -> None:
    table, metrics = split_photos(manifest.table(), manifest.folder, make_section(train=0.8, validation=0.2, test=0))
    assert set(table["part"]) == {"train", "validation"}
    assert metrics["split"]["test"] == {"photos": 0, "classes": {"rose": 0, "tulip": 0}}
    assert metrics["split"]["validation"]["photos"] == 12


def test_a_photo_under_two_labels_is_left_out(manifest: Manifest) -> None:
    for name in ("rose", "tulip"):
        manifest.add(name, encode(paint(99)), sha256="f" * 64)
    table, metrics = split_photos(manifest.table(), manifest.folder, make_section())
    assert "f" * 16 not in set(table["id"])
    assert len(table) == 60
    assert metrics["split"]["left_out_two_labels"] == 2


def test_near_duplicates_stay_in_one_part_whatever_the_seed(manifest: Manifest) -> None:
    for seed in range(12):
        picture = paint(seed)
        manifest.add("rose", encode(picture.resize((96, 72)), "JPEG", quality=70))
        manifest.add("rose", encode(ImageEnhance.Brightness(picture).enhance(0.9)))
    for seed in range(3):
        table, metrics = split_photos(manifest.table(), manifest.folder, make_section(seed, bits=10))
        assert (table.groupby("group")["part"].nunique() == 1).all()
        assert metrics["split"]["near_duplicate_groups"] == 12
        assert metrics["split"]["photos_in_them"] == 36
    # Each copy stands with the picture that it was made from.
    assert table["group"].tolist()[60:] == [f"{seed:016x}" for seed in range(12) for _ in range(2)]


def test_near_duplicates_of_two_classes_stay_in_one_part(manifest: Manifest) -> None:
    twin = manifest.add("tulip", encode(paint(0), "JPEG"))
    for seed in range(6):
        table = split_photos(manifest.table(), manifest.folder, make_section(seed))[0].set_index("id")
        assert table.loc[twin, "group"] == "0" * 16
        assert table.loc[twin, "part"] == table.loc["0" * 16, "part"]


def test_an_unreadable_photo_stays_as_a_group_of_its_own(manifest: Manifest) -> None:
    broken = [manifest.add("rose", content) for content in (b"\xff\xd8\xffbroken", encode(paint(0))[:200])]
    table = split_photos(manifest.table(), manifest.folder, make_section())[0].set_index("id")
    assert [table.loc[identity, "group"] for identity in broken] == broken


@pytest.mark.parametrize("shares, needed", [({}, 10), ({"train": 0.5, "validation": 0.5, "test": 0}, 2)])
def test_a_class_too_small_for_every_part_is_a_fault(manifest: Manifest, shares: dict[str, Any], needed: int) -> None:
    for seed in range(100, 100 + needed - 1):
        manifest.add("aster", encode(paint(seed)))
    with pytest.raises(InputError, match=f"at least {needed} photos.* .got {needed - 1} of 'aster'"):
        split_photos(manifest.table(), manifest.folder, make_section(**shares))
    manifest.add("aster", encode(paint(999)))
    table, _ = split_photos(manifest.table(), manifest.folder, make_section(**shares))
    assert {part for part, name in count(table) if name == "aster"} == {
        part for part in SHARES if {**SHARES, **shares}[part]
    }


def test_copies_of_one_picture_do_not_fill_a_class(manifest: Manifest) -> None:
    for quality in range(70, 90):
        manifest.add("aster", encode(paint(77), "JPEG", quality=quality))
    with pytest.raises(InputError, match="at least 10 photos, near duplicates counted once.* .got 1 of 'aster'"):
        split_photos(manifest.table(), manifest.folder, make_section(bits=10))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.05), (0.05, 0.05, 0.9), (0.34, 0.33, 0.33), (0.05, 0.9, 0.05)])
def test_every_part_has_every_class_or_the_fault_names_how_many_it_takes(
    tmp_path: pathlib.Path, seed: int, shares: tuple[float, float, float]
) -> None:
    def split_classes(sizes: Mapping[str, int]) -> pd.DataFrame:
        (tmp_path / "none").touch()
        rows = [
            {"class": name, "id": f"{name}{number:015x}", "sha256": f"{name}{number}", "file": "none"}
            for name, size in sizes.items()
            for number in range(size)
        ]
        return split_photos(pd.DataFrame(rows), tmp_path, make_section(seed, **dict(zip(SHARES, shares, strict=True))))[
            0
        ]

    rng = random.Random(seed)
    sizes = {name: rng.randrange(3, 26) for name in "abcdef"}
    try:
        table = split_classes(sizes)
    except InputError as error:
        found = re.search(r"at least (\d+) photos.* .got (\d+) of '(.)'", str(error))
        assert found, error
        needed, got, name = found.groups()
        assert sizes[name] == int(got) < int(needed)
        table = split_classes({label: max(size, int(needed)) for label, size in sizes.items()})
    assert len(count(table)) == 3 * len(sizes)


def take_frames(seed: int, count: int) -> Iterator[bytes]:
    """Yield so many pictures as a camera takes them in a burst: the same scene, other noise."""
    scene = np.asarray(paint(seed)).astype(int)
    for number in range(count):
        noise = np.random.default_rng([seed, number]).integers(-12, 13, scene.shape)
        yield encode(Image.fromarray((scene + noise).clip(0, 255).astype(np.uint8)))


def fade(first: int, last: int, count: int) -> Iterator[bytes]:
    """Yield so many pictures from one to another: each looks like those beside it, and the ends are different."""
    for number in range(count):
        yield encode(Image.blend(paint(first), paint(last), number / (count - 1)))


def test_a_burst_goes_whole_to_the_part_that_has_room_and_others_fill_the_rest(tmp_path: pathlib.Path) -> None:
    """120 of 150 photos are one group, 80 %, so that train has five points too many and the others share the loss."""
    manifest = Manifest(tmp_path)
    for number, name in enumerate(("rose", "tulip")):
        for content in take_frames(900 + number, 120):
            manifest.add(name, content)
        for seed in range(30):
            manifest.add(name, encode(paint(100 * number + seed)))
    for seed in range(3):
        counts = count(split_photos(manifest.table(), tmp_path, make_section(seed))[0])
        for name in ("rose", "tulip"):
            found = [counts[part, name] for part in SHARES]
            assert found[0] == 120 and abs(found[1] - 18.75) < 1 and abs(found[2] - 11.25) < 1


def test_where_no_share_misses_groups_are_drawn_as_if_each_were_one_photo(manifest: Manifest) -> None:
    alone = split_photos(manifest.table(), manifest.folder, make_section())[0].set_index("id")["part"]
    for seed in (1, 2, 41):
        manifest.add("rose" if seed < 40 else "tulip", encode(paint(seed), "JPEG"))
    table = split_photos(manifest.table(), manifest.folder, make_section())[0].set_index("id")
    assert (table["group"] == table.index).sum() == 60
    assert (table.loc[alone.index, "part"] == alone).all()


def split_chain(size: int, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Split 200 photos of two classes in halves, so many of the first in a chain with steps of four bits."""
    hashes = [(1 << 4 * position) - 1 for position in range(size)]
    hashes += [random.Random(position).getrandbits(64) for position in range(size, 200)]
    monkeypatch.setattr("thaw.split.parts.hash_photos", lambda paths: hashes)
    rows = [{"class": "rose" if number < 100 else "tulip", "id": f"{number:016x}"} for number in range(200)]
    table = pd.DataFrame(rows).assign(sha256=lambda table: table["id"], file=lambda table: table["id"])
    return split_photos(table, folder, make_section(3, 4, train=0.5, validation=0.5, test=0))[0]


def test_a_chain_of_a_tenth_of_the_smallest_part_is_one_group(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts have fifty roses each."""
    assert set(split_chain(5, tmp_path, monkeypatch)["group"][:5]) == {"0" * 16}


def test_a_longer_chain_is_cut_into_groups_of_what_is_near_one_of_them(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second is near to the first and third, the fourth to the fifth; what is near to the last is taken.
    assert partition(split_chain(6, tmp_path, monkeypatch)["group"][:6]) == [0, 0, 0, 3, 3, 5]


def test_the_pictures_of_a_fade_are_in_groups_of_what_looks_alike(tmp_path: pathlib.Path) -> None:
    manifest = Manifest(tmp_path)
    for content in fade(901, 902, 60):
        manifest.add("rose", content)
    for seed in range(120):
        manifest.add("rose" if seed < 40 else "tulip", encode(paint(seed)))
    hashes = hash_photos([tmp_path / row["file"] for row in manifest.rows])
    assert len(set(chain_near_duplicates(hashes, 6)[:60])) == 1
    table, metrics = split_photos(manifest.table(), tmp_path, make_section())
    found = dict(zip(table["id"], hashes, strict=True))
    for _, group in table.groupby("group")["id"]:
        # One of them is near to all others.
        assert any(all((found[one] ^ found[other]).bit_count() <= 6 for other in group) for one in group)
    pairs = itertools.combinations(zip(hashes, table["part"], strict=True), 2)
    apart = sum((one[0] ^ other[0]).bit_count() <= 6 and one[1] != other[1] for one, other in pairs)
    assert metrics["split"]["near_pairs_apart"] == apart > 0


def test_the_metrics_have_no_more_keys_where_there_is_nothing_to_tell(manifest: Manifest) -> None:
    manifest.add("rose", encode(paint(3), "JPEG"))
    _, metrics = split_photos(manifest.table(), manifest.folder, make_section())
    assert list(metrics["split"]) == [*SHARES, "left_out_two_labels", "near_duplicate_groups", "photos_in_them"]


def test_the_metrics_tell_the_largest_group_and_the_shares_that_miss(tmp_path: pathlib.Path) -> None:
    manifest = Manifest(tmp_path)
    for content in take_frames(900, 40):
        manifest.add("rose", content)
    for seed in range(110):
        manifest.add("rose" if seed < 10 else "tulip", encode(paint(seed)))
    split = split_photos(manifest.table(), tmp_path, make_section())[1]["split"]
    # 40 of 50 roses: 80 % in train, and a part of the others for each of the rest. All 150 are as they were asked.
    assert split["largest_group"] == 40
    assert split["missed"]["train"] == {"asked": 0.75, "classes": {"rose": 0.8}}


# Near duplicates


def test_hashes_within_the_bits_are_one_group_and_others_are_not() -> None:
    base = 0xF0F0_1234_5678_9ABC
    hashes = [base, base ^ 0b111, base ^ 0b1111 << 20, ~base & 2**64 - 1]
    assert partition(group_near_duplicates(hashes, 3)) == [0, 0, 2, 3]
    assert partition(group_near_duplicates(hashes, 4)) == [0, 0, 0, 3]


def test_a_group_is_what_is_near_its_representative_and_not_a_chain() -> None:
    # Steps of four bits. The second has two neighbours, as all but the ends have: it takes them, the fourth the last.
    chain = [0, 0xF, 0xFF, 0xFFF, 0xFFFF]
    assert partition(chain_near_duplicates(chain, 4)) == [0, 0, 0, 0, 0]
    assert partition(group_near_duplicates(chain, 4)) == [0, 0, 0, 3, 3]


def test_the_hash_with_the_most_photos_near_it_is_the_first_representative() -> None:
    # The fourth has two neighbours, as the second, but one of them is the hash of two photos.
    assert partition(group_near_duplicates([0, 0xF, 0xFF, 0xFFF, 0xFFFF, 0xFFFF], 4)) == [0, 0, 2, 2, 2, 2]


def test_three_photos_in_a_chain_are_one_group() -> None:
    assert partition(group_near_duplicates([0, 0xFF, 0xF], 4)) == [0, 0, 0]


def test_near_pairs_in_two_parts_are_counted_photo_by_photo() -> None:
    hashes, parts = [0, 0xF, 0xFF, 0xFF, None], np.array([0, 0, 1, 1, 1])
    assert count_near_pairs_apart(hashes, parts, 4) == 2
    assert count_near_pairs_apart(hashes, parts, 3) == 0


def test_a_missing_hash_is_near_to_nothing() -> None:
    assert partition(group_near_duplicates([None, 5, None, 5], 16)) == [0, 1, 2, 1]
    assert partition(group_near_duplicates([None, None], 16)) == [0, 1]


@pytest.fixture
def close() -> list[int]:
    """Three hundred hashes in a corner, where chains of all lengths are."""
    return [int(value) for value in np.random.default_rng(1).integers(0, 2**12, 300)]


def find_near(hashes: Sequence[int], position: int) -> list[int]:
    return [other for other, value in enumerate(hashes) if (value ^ hashes[position]).bit_count() <= 1]


def flood(hashes: Sequence[int], bits: int) -> list[int | None]:
    """Return the first member of the chain of each hash, as the definition has it."""
    chains: list[int | None] = [None] * len(hashes)
    for start in range(len(hashes)):
        todo = [start]
        while todo:
            position = todo.pop()
            if chains[position] is None:
                chains[position] = start
                todo += [other for other, value in enumerate(hashes) if (value ^ hashes[position]).bit_count() <= bits]
    return chains


def draw_sets() -> dict[str, list[int]]:
    """Return some 150 hashes each: at random, all alike, in a chain, in two clusters, and in a corner."""
    rng = random.Random(7)

    def blur(value: int, most: int) -> int:
        return value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randrange(most + 1)))

    centres = [rng.getrandbits(64) for _ in range(2)]
    chain = [0]
    for _ in range(149):
        chain.append(blur(chain[-1], 6))
    return {
        "random": [rng.getrandbits(64) for _ in range(75)] * 2,
        "alike": [blur(centres[0], 3) for _ in range(150)],
        "chain": rng.sample(chain, 150),
        "clusters": [blur(rng.choice(centres), 9) for _ in range(150)],
        "corner": [rng.getrandbits(9) for _ in range(150)],
    }


@pytest.mark.parametrize("bits", [0, 1, 6, 8, 16])
@pytest.mark.parametrize("limits", [{}, {"BLOCK": 1, "LINKS": 1, "LARGE": 3}, {"BLOCK": 1000, "LARGE": 0}])
@pytest.mark.parametrize("costly", [False, True], ids=["one table", "many tables"])
def test_chains_are_what_a_flood_reaches_however_hashes_are_compared(
    costly: bool, limits: dict[str, int], bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if costly:  # to compare in a row
        monkeypatch.setattr("thaw.split.neighbours.PER_COMPARISON", 1e6)
        if bits < 16:  # 17 tables of 3 or 4 bits each are the least there can be
            assert len(list_masks(150, bits)) > bits
    for name, value in limits.items():
        monkeypatch.setattr(f"thaw.split.neighbours.{name}", value)
    for hashes in draw_sets().values():
        assert chain_near_duplicates(hashes, bits).tolist() == flood(hashes, bits)


@pytest.mark.parametrize("bits", [0, 3, 8, 12])
@pytest.mark.parametrize("count", [1_000, 100_000, 10_000_000])
def test_near_hashes_are_equal_in_the_bits_of_a_table(bits: int, count: int) -> None:
    masks = list_masks(count, bits)
    rng = random.Random(bits)
    for _ in range(200):
        apart = sum(1 << bit for bit in rng.sample(range(64), bits))
        assert any(not apart & int(mask) for mask in masks)


@pytest.mark.parametrize("block", [1, 1000, 2**20])
def test_groups_are_those_of_their_definition_whatever_the_size_of_the_blocks(
    close: list[int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thaw.split.neighbours.BLOCK", block)
    near = {position: find_near(close, position) for position in range(300)}
    groups: dict[int, int] = {}
    for position in sorted(near, key=lambda position: -len(near[position])):
        if position not in groups:
            groups |= {other: position for other in near[position] if other not in groups}
    assert partition(group_near_duplicates(close, 1)) == partition([groups[position] for position in range(300)])


def test_thousands_of_alike_photos_take_little_memory() -> None:
    """All eight million pairs are near: kept, they would take 128 MiB. tracemalloc sees numpy's memory."""
    alike = [sum(1 << bit for bit in bits) for bits in itertools.combinations(range(30), 3)][:4_000]
    tracemalloc.start()
    groups = group_near_duplicates(alike, 6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(groups) == {0}
    assert peak < 100 * 2**20


def partition(groups: Iterable[int]) -> list[int]:
    """Name each group after the position of its first member."""
    groups = list(groups)
    return [groups.index(group) for group in groups]


def test_a_hash_survives_size_and_encoding(tmp_path: pathlib.Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "other.png", "broken.jpg")]
    picture = paint(1).resize((1000, 750), Image.Resampling.BICUBIC)
    contents = encode(picture), encode(picture.resize((600, 450)), "JPEG"), encode(paint(2)), b"\xff\xd8\xff"
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    first, second, other, broken = hash_photos(paths)
    assert (first ^ second).bit_count() <= 4
    assert (first ^ other).bit_count() > 16
    assert broken is None


def test_a_hash_is_that_of_the_photo_turned_upright(tmp_path: pathlib.Path) -> None:
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
def test_a_fault_of_the_section_names_its_key(change: dict[str, Any], fault: str) -> None:
    _, faults = validate(Split, {"seed": 0, "near_duplicate_bits": 6, **SHARES, **change}, "split")
    assert len(faults) == 1 and faults[0].startswith(fault)


@pytest.mark.parametrize("shares", [(0.75, 0.15, 0.1), (0.7, 0.2, 0.1), (0.8, 0.2, 0), (0.6, 0.3, 0.1)])
def test_shares_that_add_up_but_for_rounding_are_accepted(shares: tuple[Any, ...]) -> None:
    make_section(**dict(zip(SHARES, shares, strict=True)))


def test_the_table_of_parts_comes_back_from_its_file_as_it_was(tmp_path: pathlib.Path, manifest: Manifest) -> None:
    rows = manifest.table()
    rows["class"] = rows["class"].replace("tulip", "NA")
    table, _ = split_photos(rows, manifest.folder, make_section())
    write_table(tmp_path / "split.csv", table)
    assert read_table(tmp_path / "split.csv", numbers=("label",)).astype(object).equals(table.astype(object))


def test_the_manifest_comes_back_from_its_file_as_it_was(tmp_path: pathlib.Path, manifest: Manifest) -> None:
    rows = manifest.table()
    rows["class"] = rows["class"].replace("tulip", "NA")
    width, height = pd.array([3] * 59 + [None], "Int64"), pd.array([4] * 60, "Int64")
    rows = rows.assign(bytes=1, width=width, height=height, copies=1)
    write_table(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path).astype(object).equals(rows.astype(object))


def test_the_import_of_the_split_loads_none_of_the_slow_libraries() -> None:
    code = "import sys, thaw.split.parts; print(*{name.split('.')[0] for name in sys.modules})"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    loaded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not {"keras", "scipy", "sklearn", "tensorflow"} & set(loaded.stdout.split())
