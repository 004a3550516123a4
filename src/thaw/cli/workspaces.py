"""Workspaces: folders of their own in which DVC runs a table, as the demo and presets do."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thaw.base import paths
from thaw.base.files import write_text
from thaw.cli.holding import hold_file
from thaw.cli.plots import find_page
from thaw.config.inputs import DATASET, name_listing, write_listings
from thaw.config.loading import load, write_yaml
from thaw.config.presets import ROOT
from thaw.config.unseen import list_unseen
from thaw.reporting.tables import render_table

CODE = ("dvc.yaml", ".dvcignore", "stages", "src")  # what a workspace needs of the project


@contextlib.contextmanager
def hold_workspace(folder: pathlib.Path, command: str) -> Iterator[None]:
    """Keep other processes from the workspace `folder` until `command`, which is what they are told, has ended.

    DVC holds it too (`run_dvc`): where this process is killed and DVC runs on, the workspace stays held. Raises
    InputError where another process holds it.
    """
    # Beside the folder, which may be removed meanwhile.
    with hold_file(folder.with_name(f"{folder.name}.lock"), command, folder) as lock:
        os.set_inheritable(lock, True)
        yield


def make_workspace(
    folder: pathlib.Path, document: dict[str, Any], root: pathlib.Path = ROOT, cache: pathlib.Path | None = None
) -> None:
    """Make or renew at `folder` a DVC workspace with the project's code and `document` as its params.yaml.

    What the stages made there before stays, so that DVC runs only what changed. `cache` is the folder of a DVC cache
    that the workspace shares with others; without it the workspace has its own. Relative paths in `document` start at
    `root`, where they were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        source, target = root / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    write_text(folder / paths.PARAMS, write_yaml(start_paths_at(root, document)))
    # DVC asks for them; what they list is looked at when a command needs it.
    sections = {DATASET: document["dataset"]}
    sections |= {name_listing(name): backbone for name, backbone in document["backbones"].items()}
    write_listings({file: list_unseen(section) or None for file, section in sections.items()}, folder)
    if not (folder / ".dvc").is_dir():
        run_dvc(folder, "init", "--quiet", "--no-scm")
    if cache is not None:
        run_dvc(folder, "cache", "dir", "--local", str(cache))


def run_table(
    folder: pathlib.Path, arguments: Sequence[str] = ("repro",), environment: Mapping[str, str] | None = None
) -> bool:
    """Run a dvc command in the workspace `folder`; after a `repro` of all print its comparison and how long it took.

    Where `arguments` begin with ``thaw``, the command is one of thaw's (`./run thaw repro`, with stages side by side).
    First the workspace is prepared as `./run` prepares it. Nothing is printed after a `repro` of a few stages, which
    makes no report. Where the command fails, or before it a check, the program ends with its status. Return whether it
    was printed.
    """
    start, report = time.monotonic(), folder / paths.REPORT / "report.md"
    try:
        if arguments[0] == "thaw":
            _run_module(folder, "thaw", *arguments[1:], env=environment)  # it prepares by itself
        else:
            if {"repro", "run", "status"} & set(arguments):
                # In a process of its own: relative paths start at the workspace, the mirror is that of `environment`.
                variables = {**(environment or os.environ), "PYTHONPATH": str(ROOT / "src")}
                program = [sys.executable, "-m", "thaw.config.starting", *arguments]
                subprocess.run(program, cwd=folder, env=variables, check=True)
            page = find_page(arguments, folder)
            run_dvc(folder, *arguments, *(["--html-template", str(page)] if page else []), env=environment)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    if not _is_whole(arguments) or not report.exists():
        return False
    print(f"\n{render_table(load(folder / paths.PARAMS), folder)}\n\nMade in {time.monotonic() - start:.0f} s.")
    return True


def say_report(folder: pathlib.Path) -> str:
    """Return the line that tells where the report of the workspace `folder` is, a page for a browser."""
    return f"The report: {folder / paths.REPORT / 'report.html'}"


def run_dvc(folder: pathlib.Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a dvc command in `folder`; raises subprocess.CalledProcessError where it fails."""
    return _run_module(folder, "dvc", *arguments, **options)


def _run_module(folder: pathlib.Path, module: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    # With the lock of `hold_workspace` open; all else that Python opens is closed there.
    program = [sys.executable, "-m", module, *arguments]
    return subprocess.run(program, cwd=folder, check=True, close_fds=False, **options)


def _is_whole(arguments: Sequence[str]) -> bool:
    """Return whether the words of a command ask for a `repro` of all stages: they name none."""
    values = ("--jobs", "--cluster")  # options of `thaw repro` whose values follow them
    before = ["", *arguments[:-1]]
    named = [
        word
        for word, previous in zip(arguments, before, strict=True)
        if not word.startswith("-") and previous not in values
    ]
    return named in (["repro"], ["thaw", "repro"])


def start_paths_at(root: pathlib.Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with the paths in it that start at the folder of params.yaml made to start at `root`.

    What is absolute or starts with ``~`` stays as it is, and so does everything that names no file of this machine.
    """

    def start(path: str) -> str:
        return path if path.startswith("~") else str(root / path)

    dataset: dict[str, Any] = dict(document["dataset"])
    backbones = {}
    if dataset["source"] == "folder":
        dataset["path"] = start(dataset["path"])
    if dataset.get("csv"):
        dataset["csv"] = start(dataset["csv"])
    for name, backbone in document["backbones"].items():
        weights = backbone["weights"]
        backbones[name] = {**backbone, "weights": start(weights) if weights.endswith(".h5") else weights}
    return {**document, "dataset": dataset, "backbones": backbones}
