"""Publishing: whole or not there."""

import pandas as pd
import pytest

from thaw.publishing import publish, read_json, write_json, write_table


def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyError):
        with publish(tmp_path / "a.txt") as scratch:
            scratch.write_text("half")
            raise KeyError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("")
    with publish(tmp_path / "out") as scratch:
        scratch.mkdir()
        (scratch / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_path_in_a_new_folder_is_made(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"é": 1})
    assert read_json(tmp_path / "a" / "b.json") == {"é": 1}


def test_what_is_not_a_number_becomes_null_in_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": [float("nan"), {"b": float("inf")}], "c": 1.5})
    assert read_json(tmp_path / "a.json") == {"a": [None, {"b": None}], "c": 1.5}


def test_a_table_keeps_every_digit(tmp_path):
    write_table(tmp_path / "a.csv", pd.DataFrame({"x": [0.1 + 0.2, 1 / 3]}))
    assert list(pd.read_csv(tmp_path / "a.csv", float_precision="round_trip").x) == [0.1 + 0.2, 1 / 3]
