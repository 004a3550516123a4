"""The script `run`: what is missing on a machine is named in one line with the command that installs it."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import Any

import pytest

from tiny import attempt, change_params, git, make_project, run

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = ("bash", "dirname", "uname", "awk", "df", "mkdir", "rm", "cat", "env", "git", "sleep")


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Any:
    """A clone with `run` and the requirements alone, at a path with a space, and a PATH of few tools."""
    clone, tools = tmp_path / "a clone", tmp_path / "tools"
    clone.mkdir()
    tools.mkdir()
    for name in ("run", "requirements.txt", "requirements-build.txt", "requirements-gpu.txt"):
        shutil.copy(ROOT / name, clone / name)
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    return clone, tools


def write_tool(tools: Any, name: str, script: Any) -> None:
    (tools / name).unlink(missing_ok=True)
    (tools / name).write_text(f"#!/bin/bash\n{script}\n")
    (tools / name).chmod(0o755)


def start(machine: Any, *arguments: Any, **variables: Any) -> Any:
    process = begin(machine, *arguments, **variables)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def begin(machine: Any, *arguments: Any, **variables: Any) -> Any:
    clone, tools = machine
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {"PATH": str(tools), **variables}
    return subprocess.Popen([clone / "run", *arguments], env=environment, text=True, start_new_session=True, **pipes)


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


def simulate_making(machine: Any, seconds: float = 0) -> pathlib.Path:
    """Let tools stand for Python's venv and pip, of which pip takes `seconds`; return the file of what they did."""
    clone, tools = machine
    done, pip = clone.parent / "done.txt", clone.parent / "pip"
    record = f"echo \"pip $(env | {shutil.which('grep')} ^PIP_ | {shutil.which('tr')} '\\n' ' ')\" >>'{done}'"
    pip.write_text(f"#!/bin/bash\n{record}\n{shutil.which('sleep')} {seconds}\necho installed >>'{done}'\n")
    pip.chmod(0o755)
    make = f"echo venv >>'{done}'; mkdir -p \"$4/bin\"; {shutil.which('cp')} '{pip}' \"$4/bin/python\""
    write_tool(tools, "python3", f'if [[ "$1 $2" == "-m venv" ]]; then {make}; else exec "{sys.executable}" "$@"; fi')
    return done


def count(done: pathlib.Path, word: str) -> int:
    return sum(line.split()[:1] == [word] for line in done.read_text().splitlines()) if done.exists() else 0


def wait_for(done: pathlib.Path, word: str) -> None:
    deadline = time.monotonic() + 30
    while not count(done, word):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_eight(machine: Any) -> None:
    processes = [begin(machine, "bash", "-c", "echo ran") for _ in range(8)]
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0 and output == "ran\n", errors


def test_eight_at_once_make_the_environment_once(machine: Any) -> None:
    done = simulate_making(machine, seconds=0.2)
    run_eight(machine)
    assert (count(done, "venv"), count(done, "installed")) == (1, 2)


def test_thaw_runs_where_the_table_is_and_is_told_where_it_was_called(machine: Any) -> None:
    clone, tools = machine
    simulate_making(machine)
    start(machine, "bash", "-c", "")
    write_tool(clone / ".venv" / "bin", "python", 'echo "$PWD:$THAW_CALLED_FROM"')
    (clone / "dvc.yaml").touch()
    (clone / "photos").mkdir()
    command = [clone / "run", "thaw", "predict", "a.jpg"]
    done = subprocess.run(command, cwd=clone / "photos", env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.stdout == f"{clone}:{clone / 'photos'}\n", done.stderr


def test_one_that_waits_says_so(machine: Any) -> None:
    done = simulate_making(machine, seconds=1)
    first = begin(machine, "bash", "-c", "")
    wait_for(done, "pip")
    assert start(machine, "bash", "-c", "").stderr == "run: another ./run is making the environment; waiting for it\n"
    assert first.communicate() and first.returncode == 0


def test_what_a_dead_process_left_is_no_lock(machine: Any) -> None:
    done = simulate_making(machine)
    held = machine[0] / ".thaw" / "environment.lock"
    held.mkdir(parents=True)
    (held / "pid").write_text("999999999\n")
    (held.parent / "environment.flock").write_text("")
    run_eight(machine)
    assert count(done, "venv") == 1


def test_a_half_made_environment_is_made_again_by_one_of_those_that_follow_the_kill(machine: Any) -> None:
    done = simulate_making(machine, seconds=60)
    first = begin(machine, "bash", "-c", "")
    wait_for(done, "pip")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    simulate_making(machine)
    run_eight(machine)
    assert (count(done, "venv"), count(done, "installed")) == (2, 2)


def test_a_signal_to_run_alone_ends_what_it_is_making(machine: Any) -> None:
    done = simulate_making(machine, seconds=1)
    first = begin(machine, "bash", "-c", "")
    wait_for(done, "pip")
    first.terminate()
    assert first.wait(10) != 0
    simulate_making(machine)
    assert start(machine, "bash", "-c", "").returncode == 0
    time.sleep(1)
    assert (count(done, "venv"), count(done, "installed")) == (2, 2)


def test_an_environment_whose_python_is_gone_is_made_again(machine: Any) -> None:
    done = simulate_making(machine)
    assert start(machine, "bash", "-c", "").returncode == 0
    (machine[0] / ".venv" / "bin" / "python").unlink()
    assert start(machine, "bash", "-c", "").returncode == 0
    assert count(done, "venv") == 2


def test_the_libraries_for_a_gpu_are_installed_where_a_driver_answers(machine: Any) -> None:
    """Once there they do no harm where it does not; THAW_GPU decides in place of the driver."""
    done = simulate_making(machine)

    def make(**variables: str) -> tuple[int, int]:
        assert start(machine, "bash", "-c", "", **variables).returncode == 0
        return count(done, "venv"), count(done, "installed")

    assert make() == (1, 2)
    write_tool(machine[1], "nvidia-smi", "exit 9")
    assert make() == (1, 2)
    write_tool(machine[1], "nvidia-smi", "exit 0")
    assert make() == make() == (2, 5)
    (machine[1] / "nvidia-smi").unlink()
    assert make() == (2, 5)
    assert make(THAW_GPU="0") == make() == (3, 7)
    assert make(THAW_GPU="1") == make() == (4, 10)
    expect_one_line(start(machine, "test", THAW_GPU="yes"), "THAW_GPU: must be 1, 0 or left out (got yes)")


def test_of_the_settings_for_pip_those_that_say_where_packages_come_from_count(machine: Any) -> None:
    done = simulate_making(machine)
    kept = {"PIP_INDEX_URL": "a", "PIP_FIND_LINKS": "b", "PIP_CERT": "c", "PIP_CONFIG_FILE": "d", "PIP_CONSTRAINT": "e"}
    others = (
        "PIP_USER",
        "PIP_user",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_NO_BINARY",
        "PIP_DRY_RUN",
        "PIP_PYTHON",
    )
    assert start(machine, "bash", "-c", "", **kept, **dict.fromkeys(others, "1")).returncode == 0
    told = [line.split()[1:] for line in done.read_text().splitlines() if line.startswith("pip")]
    assert told and all(sorted(words) == sorted(f"{key}={value}" for key, value in kept.items()) for words in told)


def write_wheel(folder: pathlib.Path) -> str:
    """Write a package that holds nothing to `folder`; return its line of a requirements file."""
    wheel, information = folder / "nothing-1-py3-none-any.whl", "nothing-1.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("nothing.py", "")
        file.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
        file.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{information}/RECORD", f"nothing.py,,\n{information}/RECORD,,\n")
    return f"nothing==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def test_packages_come_into_the_environment_whatever_the_users_files_tell_pip_and_python(
    machine: Any, tmp_path: pathlib.Path
) -> None:
    """Through the real venv and pip: each of these settings, alone, sends packages elsewhere or stops the making."""
    write_tool(machine[1], "python3", f'exec "{sys.executable}" "$@"')
    (machine[0] / "requirements.txt").write_text(write_wheel(tmp_path))
    (machine[0] / "requirements-build.txt").unlink()
    told = {
        "user": "1",
        "target": tmp_path / "t",
        "prefix": tmp_path / "p",
        "root": tmp_path / "r",
        "no-binary": ":all:",
    }
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    lines = "".join(f"{key} = {value}\n" for key, value in told.items())
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(f"[global]\nfind-links = {tmp_path}\n[install]\n{lines}")
    variables = {"PYTHONHOME": "/nowhere", "PYTHONPATH": str(tmp_path / "nothing-1-py3-none-any.whl")}
    code = "import nothing; print(nothing.__file__)"
    done = start(machine, "python", "-c", code, PIP_NO_INDEX="1", HOME=str(tmp_path), **variables)
    assert done.stdout.startswith(str(machine[0] / ".venv" / "lib")), done.stderr
    assert not [name for name in "tpr" if (tmp_path / name).exists()]


made_by_run = pytest.mark.skipif(
    not (ROOT / ".venv" / "thaw-stamp").exists(), reason="the environment was not made by ./run"
)


@made_by_run
@pytest.mark.parametrize(
    "command", [["repro"], ["exp", "run"], ["experiments", "run", "--queue"], ["status"], ["--cd", ".", "repro"]]
)
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


@made_by_run
def test_what_is_queued_with_other_values_leaves_the_listing_of_the_workspace(tmp_path: pathlib.Path) -> None:
    """The experiment has the listing of its own values: tests/test_inputs.py."""
    project = make_project(tmp_path / "project")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "First")
    weights = tmp_path / "mine.h5"
    weights.write_bytes(b"\x89HDF\r\n\x1a\n")
    values = [f"backbones.tiny.weights={weights}", "~backbones.tiny.seed", "~backbones.tiny.pretraining"]
    words = [word for value in values for word in ("-S", value)]
    run(project, ROOT / "run", "dvc", "exp", "run", "--queue", "--name", "other", *words)
    listing = "data/inputs/weights/tiny.json"
    before = git(project, "show", f"HEAD:{listing}")
    assert "mine.h5" in git(project, "show", f"refs/exps/celery/stash:{listing}")
    assert (project / listing).read_text() == before


@made_by_run
def test_an_input_in_an_output_is_told_before_dvc_starts(tmp_path: pathlib.Path) -> None:
    project = make_project(tmp_path / "project")
    photo = project / "data" / "raw" / "a" / "1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"mine")
    dataset = {"source": "folder", "path": "data/raw"}
    change_params(project, lambda document: document.update(dataset=dataset))
    done = attempt(project, ROOT / "run", "dvc", "repro")
    assert done.returncode == 1 and "Running stage" not in done.stdout and photo.read_bytes() == b"mine"
    assert done.stderr.count("\n") == 1 and "must lie apart" in done.stderr
