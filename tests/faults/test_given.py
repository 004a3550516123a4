"""Parts and groups that come with the photos, in folders or a CSV file: what is taken, and what is one clear line."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from sources import check, encode
from thaw.base.sections import validate
from thaw.photos.download import download
from thaw.photos.folder import read_photos
from thaw.photos.sections import Folder

LEVELS = iter(range(1, 200))
PARTED = {  # file -> content: two classes in three parts
    f"{part}/{name}/{number}.jpg": encode(next(LEVELS))
    for part in ("train", "val", "test")
    for name in ("rose", "tulip")
    for number in (1, 2)
}
FLAT = {f"{name}/{number}.jpg": encode(next(LEVELS)) for name in ("rose", "tulip") for number in (1, 2, 3)}
ROWS = [f"{file},{part}" for file, part in zip(FLAT, ["train", "val", "test"] * 2, strict=True)]
CSV = "params.yaml: dataset.csv: 'in.csv'"


def write(files: dict[str, bytes]) -> pathlib.Path:
    for file, content in files.items():
        pathlib.Path("in", file).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path("in", file).write_bytes(content)
    return pathlib.Path("in")


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Every test works in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rename(old: str, new: str) -> Callable[[pathlib.Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


def add(file: str, content: bytes = b"") -> Callable[[pathlib.Path], object]:
    def change(folder: pathlib.Path) -> None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content or encode(250))

    return change


ALONE = "must hold, with parts: folders, the folders train and val .or valid, validation., and test or no other"
TWO_EACH = {"train": 4, "validation": 4, "test": 4}
# What is done to the folder -> photos by part, or the error; and what is said of it.
HIDDEN = r"'in': val: passed over: tulip \(1 hidden\)$"
FOLDERS: dict[str, tuple[Callable[[pathlib.Path], object], Any, str]] = {
    "train, val and test are the three parts": (lambda _: None, TWO_EACH, ""),
    "valid, in capitals, is validation": (rename("val", "Valid"), TWO_EACH, ""),
    "no test part is none": (rename("test", ".test"), {"train": 4, "validation": 4}, ""),
    "files beside the parts and the classes are passed over": (
        lambda folder: (add("notes.txt")(folder), add("train/notes.txt")(folder)), TWO_EACH, ""),
    "no validation part": (rename("val", ".val"), rf"{ALONE} \(got test, train\)$", ""),
    "a folder that is no part": (rename("test", "tets"), rf"{ALONE} \(got tets, train, val\)$", ""),
    "two folders of one part": (add("valid/rose/1.jpg"), rf"{ALONE} \(got test, train, val, valid\)$", ""),
    "a part that is a link to nowhere": (
        lambda folder: (folder / "valid").symlink_to("gone"), r"valid \(a link that leads nowhere\)\)$", ""),
    "a class that one part lacks": (
        rename("val/tulip", "val/lily"), r"part must have photos of every class \(got none in train of lily\)$", ""),
    "a hidden photo": (rename("val/tulip/1.jpg", "val/tulip/.1.jpg"), {**TWO_EACH, "validation": 3}, HIDDEN),
    "a folder too many": (add("test/rose/more/1.jpg"), r"'in': test: .*photos alone \(got the folder rose/more\)$", ""),
}  # fmt: skip


@pytest.mark.parametrize("change, expected, said", FOLDERS.values(), ids=FOLDERS)
def test_parts_in_folders(change: Callable[[pathlib.Path], object], expected: Any, said: str, capsys: Any) -> None:
    change(write(PARTED))
    check(lambda: count(parts="folders"), expected, said, capsys)


def count(**given: str) -> dict[str, int]:
    """Return {part: photos} of the folder."""
    counts: dict[str, int] = {}
    for photo in read_photos(Folder(source="folder", path="in", **given)):
        counts[str(photo.part)] = counts.get(str(photo.part), 0) + 1
    return counts


HALF = {"train": 2, "validation": 2, "test": 2}
# What stands in the CSV file, its header apart -> photos by part, or the error.
TABLES: dict[str, tuple[list[str] | str, Any]] = {
    "a row for each photo": (ROWS, HALF),
    "semicolons and backslashes": ([row.replace("/", "\\").replace(",", ";") for row in ROWS], HALF),
    "parts in capitals": ([row.upper().replace("ROSE", "rose").replace("TULIP", "tulip").replace("JPG", "jpg")
                           for row in ROWS], HALF),
    "a row twice": ([*ROWS, ROWS[0]], HALF),
    "a file in two parts": (
        [*ROWS, "rose/1.jpg,test"],
        r"line 8: a file must have one part and one group \(rose/1.jpg has another in line 2\)$"),
    "a file in two parts, its name written in two ways": (
        [*ROWS, ".\\rose\\1.jpg,test"], "line 8: a file must have one part and one group"),
    "an unknown part": (
        [*ROWS[1:], "rose/1.jpg,dev"], r"line 7: part: must be train, val, valid, validation, test \(got 'dev'\)$"),
    "no part": ([*ROWS[1:], "rose/1.jpg,"], r"line 7: part: must be .* \(got ''\)$"),
    "a file that is not there": (
        [*ROWS, "rose/9.jpg,train", "x,test"],
        r"each row must name a file of the photos \(got 'rose/9.jpg' in line 8, 'x' in line 9\)$"),
    "a photo without a row": (ROWS[2:], r"must have a row for each photo \(got none for rose/1.jpg, rose/2.jpg\)$"),
    "a class that test lacks": (
        [row.replace("test", "val") if "tulip" in row else row for row in ROWS],
        r"each part must have photos of every class \(got none in test of tulip\)$"),
    "no validation part": (
        [row.replace("val", "train") for row in ROWS], r"every class \(got none in validation of rose, tulip\)$"),
    "a formula for a name": ([*ROWS, "=cmd(),test"], "got '=cmd\\(\\)' in line 8"),
    "nothing": ("", "must be a CSV table in UTF-8 .it is empty"),
    "no such columns": ("photo,set\na,b\n", r"must have the columns file, part, group \(got photo,set\)$"),
    "neither part nor group": ("file\nrose/1.jpg\n", r"the column part or group beside file \(got neither\)$"),
    "a group alone": ("file,group\nrose/1.jpg,a\n", r"the column part with parts: csv \(got file, group\)$"),
}  # fmt: skip


def write_csv(rows: list[str] | str, header: str = "file,part") -> None:
    delimiter = ";" if rows and ";" in rows[0] else ","
    text = rows if isinstance(rows, str) else "\n".join([header.replace(",", delimiter), *rows]) + "\n"
    pathlib.Path("in.csv").write_text(text)


@pytest.mark.parametrize("rows, expected", TABLES.values(), ids=TABLES)
def test_parts_in_a_csv_file(rows: list[str] | str, expected: Any, capsys: Any) -> None:
    write(FLAT)
    write_csv(rows)
    if isinstance(expected, str):
        expected = f"^{CSV}: .*{expected}" if not expected.startswith("must") else f"^{CSV}: {expected}"
    check(lambda: count(parts="csv", csv="in.csv"), expected, "", capsys)


# Rows of file and group, with the parts in folders -> the groups, or the error.
GROUPS: dict[str, tuple[Callable[[str], str], Any]] = {
    "each photo has its group": (lambda file: file.split("/")[0] + " 1", ["test 1", "train 1", "val 1"]),
    "blanks around a group are none of it": (lambda file: f" {file.split('/')[0]}  1 ", ["test 1", "train 1", "val 1"]),
    "a group in two parts": (
        lambda file: "p7" if file[-5] == "1" else file,
        "a group must be in one part .got 'p7' in test, test/rose/1.jpg, and in train, train/rose/1.jpg.$"),
    "no group": (
        lambda file: "" if file == "val/rose/1.jpg" else file, "line 10: group: must be given, one of its own to a"),
}  # fmt: skip


@pytest.mark.parametrize("name, expected", GROUPS.values(), ids=GROUPS)
def test_groups_in_a_csv_file(name: Callable[[str], str], expected: Any, capsys: Any) -> None:
    write(PARTED)
    write_csv([f"{file},{name(file)}" for file in sorted(PARTED)], "file,group")
    folder = Folder(source="folder", path="in", parts="folders", csv="in.csv")
    check(lambda: sorted({str(photo.group) for photo in read_photos(folder)}), expected, "", capsys)


def test_a_column_of_parts_that_nobody_asked_for_is_not_passed_over(capsys: Any) -> None:
    write(FLAT)
    write_csv(ROWS)
    check(lambda: count(csv="in.csv"), r"^params.yaml: dataset.parts: must be csv, .*\(got null\)$", "", capsys)


def test_a_file_that_is_no_photo_needs_no_row_and_may_have_one() -> None:
    write({**FLAT, "rose/Thumbs.db": b"no picture", "rose/notes.txt": b"none"})
    write_csv([*ROWS, "rose/notes.txt,train"])
    metrics = download(Folder(source="folder", path="in", parts="csv", csv="in.csv"), "raw", "credits.csv", "names.csv")
    assert len(metrics["download"]["rejected"]) == 2 and metrics["download"]["photos"] == 6


def test_the_same_photo_in_two_parts_is_one_line_that_names_both(capsys: Any) -> None:
    copies = {"test/rose/7.jpg": PARTED["train/rose/1.jpg"], "train/rose/8.jpg": PARTED["train/rose/2.jpg"]}
    folder = Folder(source="folder", path=str(write({**PARTED, **copies})), parts="folders")
    expected = (
        "^params.yaml: dataset: a photo must be in one part .got the same bytes twice: "
        "test/rose/7.jpg in test is train/rose/1.jpg in train.$"
    )
    check(lambda: download(folder, "raw", "credits.csv", "names.csv"), expected, "download: 14 photos", capsys)
    assert not pathlib.Path("raw").exists() and not pathlib.Path("names.csv").exists()


def test_parts_from_a_csv_file_need_one() -> None:
    faults = validate(Folder, {"source": "folder", "path": "in", "parts": "csv"}, "params.yaml: dataset")[1]
    assert faults == ["params.yaml: dataset: must have csv, the path of the file, with parts: csv (got a mapping)"]
