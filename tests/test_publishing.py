"""Files: whole or not there, and read as they were written."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pandas as pd
import pytest

from disks import SOURCE, run_code
from thaw.base.errors import DamagedFile, run_program
from thaw.base.files import SCRATCH, publish, read_json, read_table, write_json, write_table, write_text
from thaw.base.scratch import make_scratch
from thaw.config.loading import write_yaml
from thaw.config.starting import prepare
from tiny import DOCUMENT

# Publishes the file or folder of the command line, and waits inside until it is killed.
WRITER = """
import pathlib, sys, time
from thaw.base.files import publish
with publish(sys.argv[1]) as made:
    made.mkdir()
    (made / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""
# Makes scratches until the time is over; each must stay while it is held. The last word is whether it is to be killed.
MAKER = """
import os, pathlib, sys, time
from thaw.base.scratch import make_scratch
end = time.monotonic() + 1.5
while time.monotonic() < end:
    with make_scratch(sys.argv[1], "scratch-") as folder:
        (folder / "a").write_text("a")
        assert (folder / "a").read_text() == "a"
        os.rename(folder / "a", pathlib.Path(sys.argv[1], f"made-by-{os.getpid()}"))
        if sys.argv[2] == "killed" and time.monotonic() > end - 1:
            os.kill(os.getpid(), 9)
"""


def start_writer(path: pathlib.Path) -> subprocess.Popen[str]:
    """Return a process that is in the middle of publishing `path`."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", WRITER, str(path)]
    writer = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert writer.stdout and writer.stdout.readline() == "writing\n"
    return writer


def list_scratches(folder: pathlib.Path) -> list[pathlib.Path]:
    return list(folder.glob(".publishing-*"))


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


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one has been moved away by then."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    rename = pathlib.Path.rename

    def fail_at_last(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if pathlib.Path(target) == tmp_path / "out" and (path / "new").exists():
            raise OSError
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", fail_at_last)
    with pytest.raises(OSError), publish(tmp_path / "out") as scratch:
        scratch.mkdir()
        (scratch / "new").write_text("")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_a_folder_takes_the_place_of_whatever_is_there(tmp_path: pathlib.Path, there: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    {
        "file": lambda path: path.write_text("old"),
        "folder": lambda path: path.mkdir(),
        "link": lambda path: path.symlink_to(tmp_path / "elsewhere"),
    }[there](tmp_path / "out")
    with publish(tmp_path / "out") as scratch:
        scratch.mkdir()
        (scratch / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert not list((tmp_path / "elsewhere").iterdir())


# What killed processes leave


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_left_goes_when_the_next_one_publishes_beside_it(
    tmp_path: pathlib.Path, kill: signal.Signals
) -> None:
    writer = start_writer(tmp_path / "out")
    writer.send_signal(kill)
    writer.communicate()
    assert len(list_scratches(tmp_path)) == 1
    write_text(tmp_path / "another.txt", "")
    assert [path.name for path in tmp_path.iterdir()] == ["another.txt"]


def test_what_a_living_process_is_writing_stays(tmp_path: pathlib.Path) -> None:
    writer = start_writer(tmp_path / "out")
    try:
        write_text(tmp_path / "another.txt", "")
        (scratch,) = list_scratches(tmp_path)
        assert [path.read_text() for path in scratch.rglob("half")] == ["half"]
    finally:
        writer.kill()
        writer.communicate()


def test_what_another_user_left_stays(tmp_path: pathlib.Path) -> None:
    """In a folder for all, a folder whose name begins so may be anything."""
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    (tmp_path / ".publishing-a").mkdir()
    os.chown(tmp_path / ".publishing-a", 65_534, -1)
    write_text(tmp_path / "a.txt", "")
    assert len(list_scratches(tmp_path)) == 1


def test_a_link_to_another_folder_is_no_remains_of_a_process(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo").write_text("")
    (tmp_path / ".publishing-a").symlink_to(tmp_path / "mine")
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "mine" / "photo").exists()


def test_of_processes_that_start_at_once_none_takes_what_another_has_just_made(tmp_path: pathlib.Path) -> None:
    """Six at one place, two of which are killed in between: what those leave goes, and nothing else."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path), ends], env=environment)
        for ends in ("well", "killed", "well", "well", "killed", "well")
    ]
    assert [maker.wait() for maker in makers] == [0, -9, 0, 0, -9, 0]
    with make_scratch(tmp_path, "scratch-"):
        assert len(list(tmp_path.glob("scratch-*"))) == 1
    assert not list(tmp_path.glob("scratch-*"))


def test_temporary_files_of_a_program_that_was_killed_go_when_the_next_one_starts(tmp_path: pathlib.Path) -> None:
    code = """
import os, tempfile
from thaw.base.errors import run_program
run_program(lambda: (tempfile.mkdtemp(), tempfile.mkstemp(), os.kill(os.getpid(), 9)))
"""
    run_code(code, TMPDIR=str(tmp_path))
    assert len(list(tmp_path.rglob("tmp*"))) == 2
    run_code("from thaw.base.errors import run_program; run_program(lambda: None)", TMPDIR=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_after_a_program_temporary_files_lie_where_they_did() -> None:
    before, inside = tempfile.gettempdir(), []
    run_program(lambda: inside.append(tempfile.gettempdir()))
    assert tempfile.gettempdir() == before != inside[0] and not os.path.exists(inside[0])


# What is read


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


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": 1,}', b"\xff\xfe", b"[" * 100_000, b"<<<<<<< HEAD\n{}"], ids=lambda text: text[:9]
)
def test_a_document_that_is_damaged_is_one_clear_line(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DamagedFile, match="^.*/a.json: must be JSON .*; ./run dvc repro makes it$"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content", [b"", b"label\n99999999999999999999\n", b"label\n\n1.5\n", b"la\xffbel\n", b"id\n1\n"]
)
def test_a_table_that_is_damaged_is_one_clear_line(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DamagedFile, match="^.*/a.csv: must .*; ./run dvc repro makes it$"):
        read_table(tmp_path / "a.csv", numbers=("label",))


@pytest.mark.parametrize("command", [["repro"], ["repro", "report"], ["exp", "run"]])
def test_what_killed_stages_left_beside_any_output_is_gone_before_dvc_starts(
    command: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC may restore an output from its cache: then no stage runs that would remove it. What is in use stays."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("params.yaml").write_text(write_yaml(DOCUMENT))
    monkeypatch.delenv("THAW_STORE", raising=False)
    places = ["data", "data/inputs", "models", "models/export", "metrics/evaluate/folds", "plots/history", "report"]
    places += [".thaw/activations", ".thaw/activations/unfinished"]
    left = [pathlib.Path(place, f"{SCRATCH}killed") for place in places]
    for folder in left:
        (folder / "made").mkdir(parents=True)
        (folder / "made" / "half").write_text("half")
    with make_scratch("models/export", SCRATCH) as used:
        left[3].mkdir(parents=True, exist_ok=True)  # swept when the one in use was made
        prepare(command)
        assert not [folder for folder in left if folder.exists()]
        assert used.exists()
