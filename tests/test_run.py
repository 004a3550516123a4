"""The script `run`: what is missing on a machine is named in one line with the command that installs it."""

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = ("bash", "dirname", "uname", "awk", "df", "mkdir", "rm", "cat", "env", "git", "sleep")


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Any:
    """A clone with `run` and the requirements alone, at a path with a space, and a PATH of few tools."""
    clone, tools = tmp_path / "a clone", tmp_path / "tools"
    clone.mkdir()
    tools.mkdir()
    for name in ("run", "requirements.txt"):
        shutil.copy(ROOT / name, clone / name)
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    return clone, tools


def write_tool(tools: Any, name: str, script: Any) -> None:
    (tools / name).unlink(missing_ok=True)
    (tools / name).write_text(f"#!/bin/bash\n{script}\n")
    (tools / name).chmod(0o755)


def start(machine: Any, *arguments: Any) -> Any:
    clone, tools = machine
    return subprocess.run([clone / "run", *arguments], env={"PATH": str(tools)}, capture_output=True, text=True)


def expect_one_line(done: Any, *words: Any) -> None:
    assert done.returncode != 0
    lines = done.stderr.strip().split("\n")
    assert len(lines) == 1 and lines[0].startswith("run: ")
    for word in words:
        assert word in lines[0]


def test_a_missing_git_is_named(machine: Any) -> None:
    (machine[1] / "git").unlink()
    expect_one_line(start(machine, "test"), "git is missing", "install git")


def test_a_missing_python_is_named(machine: Any) -> None:
    expect_one_line(start(machine, "test"), "no Python 3.11, 3.12 or 3.13", "install python3")


def test_a_python_that_is_too_old_is_passed_over(machine: Any) -> None:
    write_tool(machine[1], "python3", "exit 1")
    expect_one_line(start(machine, "test"), "no Python 3.11, 3.12 or 3.13")


def test_a_missing_venv_module_is_named(machine: Any) -> None:
    write_tool(machine[1], "python3", f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"')
    version = "python{}.{}-venv".format(*sys.version_info[:2])
    expect_one_line(start(machine, "test"), "no venv module", f"install {version}")


def test_a_full_disk_is_named_before_anything_is_made(machine: Any) -> None:
    write_tool(machine[1], "python3", f'exec "{sys.executable}" "$@"')
    write_tool(machine[1], "df", "echo header\necho disk 10000000 9900000 100000 99% /")
    expect_one_line(start(machine, "test"), "disk", "100 MB are free")
    assert not (machine[0] / ".venv").exists()


def test_nothing_to_run_is_a_fault(machine: Any) -> None:
    expect_one_line(start(machine), "what should run?")


made_by_run = pytest.mark.skipif(
    not (ROOT / ".venv" / "thaw-stamp").exists(), reason="the environment was not made by ./run"
)


@made_by_run
@pytest.mark.parametrize("command", [["repro"], ["exp", "run"]])
def test_a_fault_in_params_is_told_before_dvc_starts(command: list[str], tmp_path: pathlib.Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text("finetune: {mine: {epochs: 1}}\n")
    done = subprocess.run([ROOT / "run", "dvc", *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "params.yaml: finetune.mine.from: must be given" in done.stderr.splitlines()
    assert "ERROR" not in done.stdout + done.stderr  # DVC's own words


@made_by_run
@pytest.mark.parametrize("folder", [".", "src/thaw", "tests"])
def test_dvc_and_python_work_from_any_folder_of_the_project(folder: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = "import thaw.config.loading; print(thaw.config.loading.__file__)"
    commands = {("python", "-c", code): str(ROOT / "src/thaw/config/loading.py"), ("dvc", "root"): "."}
    for command, expected in commands.items():
        done = subprocess.run(
            [ROOT / "run", *command], cwd=ROOT / folder, env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr


@made_by_run
def test_without_a_name_the_presets_are_listed() -> None:
    done = subprocess.run([ROOT / "run", "preset"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.split() == sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@made_by_run
def test_a_preset_that_is_not_there_is_told_in_one_line_with_those_there_are(tmp_path: pathlib.Path) -> None:
    done = subprocess.run([ROOT / "run", "preset", "other"], cwd=tmp_path, capture_output=True, text=True)
    lines = done.stderr.strip().split("\n")
    assert done.returncode == 1 and not done.stdout and len(lines) == 1
    assert "no preset 'other'" in lines[0]
    assert all(path.stem in lines[0] for path in (ROOT / "presets").glob("*.yaml"))
