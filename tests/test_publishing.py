"""Files: whole or not there, and read as they were written."""

import pathlib

import pandas as pd
import pytest

from thaw.base.files import publish, read_json, read_table, write_json, write_table


def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyError), publish(tmp_path / "a.txt") as scratch:
        scratch.write_text("half")
        raise KeyError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("")
    with publish(tmp_path / "out") as scratch:
        scratch.mkdir()
        (scratch / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_path_in_a_new_folder_is_made(tmp_path: pathlib.Path) -> None:
    write_json(tmp_path / "a" / "b.json", {"é": 1})
    assert read_json(tmp_path / "a" / "b.json") == {"é": 1}


def test_what_is_not_a_number_becomes_null_in_json(tmp_path: pathlib.Path) -> None:
    write_json(tmp_path / "a.json", {"a": [float("nan"), {"b": float("inf")}], "c": 1.5})
    assert read_json(tmp_path / "a.json") == {"a": [None, {"b": None}], "c": 1.5}


def test_a_table_keeps_every_digit(tmp_path: pathlib.Path) -> None:
    write_table(tmp_path / "a.csv", pd.DataFrame({"x": [0.1 + 0.2, 1 / 3]}))
    assert list(pd.read_csv(tmp_path / "a.csv").x) == [0.1 + 0.2, 1 / 3]


def test_columns_of_a_table_are_text_but_for_the_numbers(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("id,label,file\n0012,3,1e5\n7,-1,a.jpg\n")
    table = read_table(tmp_path / "a.csv", numbers=("label",))
    assert table.to_dict("list") == {"id": ["0012", "7"], "label": [3, -1], "file": ["1e5", "a.jpg"]}
    assert table["label"].dtype == "int64"


@pytest.mark.parametrize("text", ["NA", "nan", "None", ""])
def test_no_text_of_a_table_stands_for_a_missing_value(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(f"class,file\n{text},a\n")
    assert read_table(tmp_path / "a.csv")["class"].tolist() == [text]


def test_a_number_of_a_table_that_is_none_is_a_fault(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("label\nrose\n")
    with pytest.raises(ValueError, match="rose"):
        read_table(tmp_path / "a.csv", numbers=("label",))
