"""Names, parts and groups that come with the photos: what becomes of them on the way to the split and the folds."""

import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources import encode as encode_level
from test_splitting import Manifest, encode, make_section, paint, take_frames
from thaw.base.errors import InputError
from thaw.base.files import read_table
from thaw.config.checking import check
from thaw.config.inputs import DATASET, Digests, find_listings
from thaw.photos.download import download
from thaw.photos.sections import Archive, Folder
from thaw.split.parts import split_photos
from thaw.split.sections import Split
from thaw.training.folds import deal_folds
from tiny import DOCUMENT

BITS = 6


def write(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with open(os.path.join(os.fsencode(folder), os.fsencode(file)), "wb") as opened:
            opened.write(content)


def test_each_file_keeps_its_name_copies_and_strange_ones_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = encode_level(1), encode_level(2)
    foreign = os.fsdecode(b"tulip/r\xf6slein.jpg")
    write(tmp_path / "in", {"=rose/b, c.jpg": one, "=rose/a\n.jpg": one, foreign: other, "tulip/x.txt": b"none"})
    download(Folder(source="folder", path="in"), "data/raw", "data/credits.csv", "data/names.csv")
    table, manifest = read_table("data/names.csv"), read_table("data/raw/manifest.csv")
    names = table.groupby("id")["name"].apply(list)
    assert list(table) == ["id", "name"] and len(table) == 3
    assert [names[photo] for photo in manifest["id"]] == [
        ["=rose/a\\n.jpg", "=rose/b, c.jpg"],
        ["tulip/r\\xf6slein.jpg"],
    ]
    assert pathlib.Path("data/names.csv").read_text().count(",'=rose/a\\n.jpg") == 1


# The split


def name(manifest: Manifest, **columns: Any) -> pd.DataFrame:
    """Return data/names.csv for the photos of a manifest, with these columns beside id and name."""
    ids = [row["id"] for row in manifest.rows]
    return pd.DataFrame({"id": ids, "name": [f"photo {photo}" for photo in ids], **columns})


def deal(photos: int, parts: tuple[str, ...] = ("train", "validation", "test")) -> list[str]:
    return [parts[number % len(parts)] for number in range(photos)]


@pytest.fixture
def alike(tmp_path: pathlib.Path) -> Manifest:
    """Twelve roses, the first three of one burst, and twelve tulips."""
    manifest = Manifest(tmp_path)
    for content in [*take_frames(5, 3), *(encode(paint(seed)) for seed in range(100, 109))]:
        manifest.add("rose", content)
    for seed in range(200, 212):
        manifest.add("tulip", encode(paint(seed)))
    return manifest


GIVEN = Split(seed=0, near_duplicate_bits=BITS)


def test_parts_that_came_with_the_photos_stay_as_they_are_and_near_duplicates_in_two_are_named(
    alike: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    given = deal(24)
    table, metrics = split_photos(alike.table(), alike.folder, GIVEN, name(alike, part=given))
    assert table["part"].tolist() == given
    split = metrics["split"]
    assert split["near_pairs_apart"] == 3 and split["given_parts"] and "missed" not in split
    pairs = {frozenset(pair) for pair in split["pairs_apart"].items()}
    burst = [f"photo {number:016x}" for number in range(3)]
    assert pairs <= {frozenset(pair) for pair in ((burst[0], burst[1]), (burst[0], burst[2]), (burst[1], burst[2]))}
    assert "3 pairs of near duplicates in two parts, as they were given: scores flatter" in capsys.readouterr().err
    # In the folds they are together all the same.
    assert table["group"].nunique() == 22


def test_the_very_same_picture_in_two_parts_is_a_pair_apart(alike: Manifest) -> None:
    alike.add("rose", encode(paint(300)))
    alike.add("rose", encode(paint(300), compress_level=1))
    _, metrics = split_photos(alike.table(), alike.folder, GIVEN, name(alike, part=["train"] * 8 + deal(18)))
    assert metrics["split"]["near_pairs_apart"] == 1


def test_a_part_that_has_no_photo_of_a_class_left_is_one_line(alike: Manifest) -> None:
    given = ["validation", "train"] * 6 + ["train"] * 12
    with pytest.raises(InputError, match=r"^params.yaml: dataset.parts: .*\(got none of 'tulip' in validation\)$"):
        split_photos(alike.table(), alike.folder, GIVEN, name(alike, part=given))


def collect(folder: pathlib.Path) -> tuple[Manifest, list[str]]:
    """Return 120 photos of two classes, and their groups of three; the last of a group is of a burst with the next."""
    manifest, groups = Manifest(folder), []
    for group in range(40):
        for number in range(3):
            content = encode(paint(1000 + 3 * group + number))
            if group < 8 and number == 2:
                content = list(take_frames(group // 2, 2))[group % 2]
            manifest.add("rose" if group % 2 else "tulip", content)
            groups.append(f"plant {group}")
    return manifest, groups


def test_a_group_and_what_is_near_to_any_of_it_are_in_one_part_and_in_one_fold(tmp_path: pathlib.Path) -> None:
    manifest, groups = collect(tmp_path)
    for seed in range(3):
        table, metrics = split_photos(
            manifest.table(), tmp_path, make_section(seed, BITS), name(manifest, group=groups)
        )
        plants = np.array(groups)
        joined = {f"plant {number}": f"plants {number // 2 if number < 8 else number}" for number in range(40)}
        units = pd.Series([joined[plant] + "x" * (int(plant.split()[1]) < 8) for plant in groups])
        folds = deal_folds(table["label"].to_numpy(), table["group"].to_numpy(str), 5, seed, ["rose", "tulip"], "folds")
        for kept in (table["part"].to_numpy(), folds):
            assert pd.Series(kept).groupby(plants).nunique().max() == 1
            assert pd.Series(kept).groupby(units).nunique().max() == 1
        assert table["group"].groupby(units).nunique().max() == 1 and table["group"].nunique() == 36
        split = metrics["split"]
        assert split["groups"]["in_all"] == 40 == sum(split["groups"][part] for part in ("train", "validation", "test"))
        assert split["near_duplicate_groups"] == 4 and split["photos_in_them"] == 8


def test_copies_of_a_photo_in_two_groups_make_one_of_them(tmp_path: pathlib.Path) -> None:
    manifest, groups = collect(tmp_path)
    names = name(manifest, group=groups)
    names = pd.concat([names, names.iloc[[119]].assign(group="plant 30", name="a copy")])
    table, _ = split_photos(manifest.table(), tmp_path, make_section(0, BITS), names)
    assert table["group"].iloc[90:93].nunique() == 1 and set(table["group"].iloc[90:93]) == set(
        table["group"].iloc[117:]
    )


def test_the_error_of_too_few_groups_says_that_groups_count(tmp_path: pathlib.Path) -> None:
    manifest, groups = collect(tmp_path)
    few = [group if int(group.split()[1]) % 2 else "one plant" for group in groups]
    with pytest.raises(InputError, match="at least 10 photos, given groups and near duplicates counted once"):
        split_photos(manifest.table(), tmp_path, make_section(0, BITS), name(manifest, group=few))


def test_names_alone_change_nothing_of_the_split(alike: Manifest) -> None:
    section = make_section(1, BITS, train=0.5, validation=0.25, test=0.25)
    first, second = (split_photos(alike.table(), alike.folder, section, *more) for more in ((), (name(alike),)))
    assert first[0].equals(second[0]) and first[1] == second[1]


# params.yaml and data/inputs


def find_faults(dataset: dict[str, Any], split: dict[str, Any]) -> list[str]:
    try:
        check({**DOCUMENT, "dataset": dataset, "split": split}, "params.yaml")
    except InputError as error:
        return str(error).splitlines()
    return []


FOLDER = {"source": "folder", "path": "in"}
NO_SHARES = {"seed": 1, "near_duplicate_bits": 0}
SHARES = {**NO_SHARES, "train": 0.5, "validation": 0.5, "test": 0.0}


def test_shares_are_given_where_parts_are_not_and_only_there() -> None:
    given = {**FOLDER, "parts": "folders"}
    assert find_faults(given, NO_SHARES) == find_faults(FOLDER, SHARES) == []
    places = [f"params.yaml: split.{part}" for part in ("train", "validation", "test")]
    assert find_faults(FOLDER, NO_SHARES) == [f"{place}: must be given" for place in places]
    left_out = "must be left out with dataset.parts: folders"
    assert find_faults(given, SHARES) == [
        f"{place}: {left_out} (got {share})" for place, share in zip(places, (0.5, 0.5, 0.0), strict=True)
    ]


@pytest.mark.parametrize("source", ["folder", "archive"])
def test_the_csv_file_is_listed_so_that_a_change_is_seen(
    source: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    files = {
        f"{name}/{number}.jpg": encode_level(number + 10 * len(name)) for name in ("rose", "tulip") for number in (1, 2)
    }
    write(tmp_path / "in", files)
    url = "https://a.example/in.zip"
    dataset: Any = Folder(**FOLDER, csv="in.csv")
    if source == "archive":
        dataset = Archive(source="archive", url=url, sha256="0" * 64, csv="in.csv")
    listed = []
    for groups in ("ab", "cd"):
        (tmp_path / "in.csv").write_text(
            "file,group\n" + "".join(f"{file},{groups[int(file[-5]) - 1]}\n" for file in files)
        )
        with Digests() as digests:
            found = find_listings(dataset, {})[DATASET]()
            assert found is not None
            listed.append(found.read(digests))
    assert listed[0] != listed[1] and {**listed[0], "csv": ""} == {**listed[1], "csv": ""}
