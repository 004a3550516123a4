"""The tiny table with scripts in place of its stages that write in no time, and `thaw repro` there."""

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

from thaw.base.files import write_json
from thaw.config.presets import ROOT
from tiny import attempt, git, make_project

# In place of every stage: writes its outputs, which tell its name and its parameters, and says when it starts and ends.
# What it does besides is in .thaw/told.json, of which DVC knows nothing.
SCRIPT = """
import hashlib, json, os, pathlib, sys, time

name = os.environ["DVC_STAGE"]
told = pathlib.Path(".thaw/told.json")  # not on a worker of a cluster
told = json.loads(told.read_text()).get(name, {}) if told.exists() else {}
events = pathlib.Path(".thaw/events")


def note(what):
    with open(events, "a") as file:
        file.write(f"{what} {name} {os.getpid()}\\n")


note("start")
print("working on", name, flush=True)
if "CUDA_VISIBLE_DEVICES" in os.environ:
    print("sees", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
deadline = time.monotonic() + 300
while "after" in told and told["after"] not in events.read_text():
    assert time.monotonic() < deadline, "waits in vain"
    time.sleep(0.05)
time.sleep(told.get("sleep", 0))
if "fault" in told:
    sys.exit(told["fault"])
text = name + hashlib.sha256(pathlib.Path("params.yaml").read_bytes()).hexdigest()
for path in map(pathlib.Path, json.loads(pathlib.Path("outs.json").read_text())[name]):
    file = path if path.suffix else path / "file.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({name: {"seconds": 2, "text": text}}))
note("end")
"""


def make_quick(folder: pathlib.Path) -> pathlib.Path:
    """Make the project of `make_project` with SCRIPT in place of every stage."""
    make_project(folder)
    for script in (folder / "stages").glob("*.py"):
        script.write_text(SCRIPT)
    from dvc.repo import Repo  # here: loaded before TensorFlow, it would take over its messages

    with Repo(str(folder)) as repo:
        outs = {stage.name: [str(out.def_path) for out in stage.outs] for stage in repo.index.stages}
    write_json(folder / "outs.json", outs)
    tell(folder, {})
    (folder / ".gitignore").write_text("/.thaw/\n__pycache__/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Before the first run")
    return folder


def tell(folder: pathlib.Path, told: dict[str, Any]) -> None:
    """Have stages in `folder` do what `told` says by their names, and forget what they have done."""
    write_json(folder / ".thaw" / "told.json", told)
    (folder / ".thaw" / "events").write_text("")


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def list_command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "thaw", "repro", *arguments]


def thaw_repro(folder: pathlib.Path, *arguments: str) -> Any:
    return attempt(folder, *list_command(*arguments), PYTHONPATH=str(ROOT / "src"))


def start(folder: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `thaw repro` in `folder` and do not wait for it."""
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.Popen(
        list_command(*arguments),
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_events(folder: pathlib.Path) -> list[list[str]]:
    return [line.split() for line in (folder / ".thaw" / "events").read_text().splitlines()]


def read_tracked(folder: pathlib.Path) -> dict[str, bytes]:
    """Return the files that git has or would take, apart from code."""
    listed = git(folder, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name: (folder / name).read_bytes() for name in listed if not name.startswith(("src/", "stages/"))}


def expect_one_line(done: Any, *words: str) -> None:
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def read_lock(folder: pathlib.Path) -> list[str]:
    """Return the lines of dvc.lock, measured times and the sizes of what shows them left out."""
    lines = (folder / "dvc.lock").read_text().splitlines()
    path, kept = "", []
    for line in lines:
        if "path: " in line:
            path = line.partition("path: ")[2]
        timed = path.startswith(("metrics/timing/", "report/cost", "report/report.html"))
        kept.append(line.partition(":")[0] if timed and "path: " not in line else line)
    return kept
