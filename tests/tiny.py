"""A table of tiny networks in scratch projects, and the commands of a user there, through real DVC and git."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
from typing import Any

from thaw.base.files import read_json, write_json
from thaw.cli.workspaces import make_workspace
from thaw.config.loading import read_yaml, write_yaml
from thaw.config.presets import ROOT

HEAD = {"dense": [8], "dropout": 0.2, "batch_norm": True}
ADAM = {"name": "adam", "learning_rate": 0.001}
TUNED = {"from": "tiny", "unfreeze": {"blocks": 1}, "batch_norm": "inference", "optimizer": ADAM, "epochs": 1}
DOCUMENT = {
    "dataset": {"source": "sample", "seed": 1, "photos_per_class": 8, "size": 32, "digest": None},
    "split": {"seed": 1, "train": 0.5, "validation": 0.25, "test": 0.25, "near_duplicate_bits": 0},
    "image": {"size": 32, "shards": 2},
    "compute": {"threads": 2, "onednn_isa": "AVX2"},
    "training": {"seed": 1, "batch_size": 8},
    "backbones": {
        "tiny": {
            "architecture": "MobileNet",
            "width": 0.125,
            "weights": "sample",
            "seed": 1,
            "pretraining": {"photos_per_class": 2, "size": 32, "batch_size": 16, "learning_rate": 0.001, "epochs": 1},
        }
    },
    "baseline_cnn": {"network": {"filters": [4], "dense": 4, "dropout": 0.1}, "optimizer": ADAM, "epochs": 1},
    "frozen": {"tiny": {"backbone": "tiny", "head": HEAD, "optimizer": ADAM, "epochs": 1}},
    "finetune": {"tiny-blocks-1": TUNED, "tiny-all": {**TUNED, "unfreeze": {"all": True}}},
    "report": {"margin": 2.0},
    "replicates": {},
    "folds": {},
    "export": {},
    "explain": {},
}


def attempt(folder: pathlib.Path, *command: Any, **variables: Any) -> Any:
    """Run a program of the environment in `folder`; return the subprocess.CompletedProcess.

    The store of activations is the project's own; `variables` are further ones of the environment.
    """
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    # What Python compiles stays beside the code, as it does for users.
    fixed = {"PATH": path, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "", "THAW_STORE": ".thaw/activations"}
    environment = {**os.environ, **fixed, **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def run(folder: pathlib.Path, *command: Any, **variables: Any) -> Any:
    """Run a program as `attempt` does, and see that it succeeds; return what it printed."""
    done = attempt(folder, *command, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder: pathlib.Path, *arguments: Any, **variables: Any) -> Any:
    """Run a dvc command as `run` does."""
    return run(folder, sys.executable, "-m", "dvc", *arguments, **variables)


def prepare(folder: pathlib.Path, *arguments: Any, **variables: Any) -> Any:
    """Check and list what a dvc command needs in `folder`, as `./run` does before it; return the CompletedProcess."""
    return attempt(
        folder, sys.executable, "-m", "thaw.config.starting", *arguments, PYTHONPATH=str(ROOT / "src"), **variables
    )


def git(folder: pathlib.Path, *arguments: Any) -> Any:
    """Run a git command as `run` does."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    return run(folder, "git", *identity, *arguments)


def find_stages_run(output: Any) -> Any:
    """Return the names of the stages that a dvc command ran, in that order."""
    return re.findall(r"Running stage '(.*)'", output)


def make_project(folder: pathlib.Path) -> pathlib.Path:
    """Make at `folder` a project under git and DVC with DOCUMENT as its params.yaml; nothing has run in it."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for key, value in (("user.name", "a"), ("user.email", "a@b.example")):  # which `dvc exp` asks for
        git(folder, "config", key, value)
    dvc(folder, "init", "--quiet")
    make_workspace(folder, DOCUMENT)
    return folder


def change_params(folder: pathlib.Path, change: Any) -> None:
    """Let the function `change` edit the params.yaml in `folder`, read as a mapping."""
    document = read_yaml(folder / "params.yaml")
    change(document)
    (folder / "params.yaml").write_text(write_yaml(document))


def make_best(folder: pathlib.Path, name: str) -> None:
    """Have run `name` know every photo of validation."""
    path = folder / f"metrics/evaluate/{name}.json"
    scores = read_json(path)
    scores[name]["validation"]["accuracy"] = 1.0
    write_json(path, scores)


def add_experiment(folder: pathlib.Path, name: str) -> None:
    """Make the work tree an experiment on the last commit, as DVC keeps one, and put the work tree back."""
    head = git(folder, "rev-parse", "HEAD").strip()
    git(folder, "add", "--all")
    tree = git(folder, "write-tree").strip()
    experiment = git(folder, "commit-tree", tree, "-p", head, "-m", name).strip()
    git(folder, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", experiment)
    git(folder, "reset", "--quiet", "--hard")


def read_commands(page: Any, section: Any = None) -> Any:
    """Return the commands of the page docs/`page`, or of one section of it, in their order: its indented lines."""
    text = (ROOT / "docs" / page).read_text()
    if section is not None:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^    (\./run .*|git .*)$", text, re.MULTILINE)


def follow(folder: pathlib.Path, command: str, **variables: Any) -> Any:
    """Do what a command of a page says, in `folder`; return what it printed."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "git":
        return git(folder, *arguments)
    return run(folder, sys.executable, "-m", *arguments, **variables)
