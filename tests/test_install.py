"""The project as a Python package, and which code a stage runs."""

import pathlib
import re
import sys
import tomllib

import pytest

from thaw.cli import main
from thaw.config.presets import ROOT
from tiny import attempt, dvc, find_stages_run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def decoy(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a package thaw that no stage should import."""
    package = tmp_path / "decoy" / "thaw"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('the decoy was imported')\n")
    return package.parent


def test_a_stage_runs_the_code_of_its_own_workspace_whatever_is_installed(
    decoy: pathlib.Path, workspace: pathlib.Path
) -> None:
    """So do experiments in folders of their own and presets, which have a copy of the code."""
    assert "the decoy was imported" in attempt(workspace, sys.executable, "-c", "import thaw", PYTHONPATH=decoy).stderr
    printed = dvc(workspace, "repro", "--single-item", "--force", "--no-run-cache", "split", PYTHONPATH=str(decoy))
    assert find_stages_run(printed) == ["split"]


def test_the_command_that_an_installation_gives_is_there() -> None:
    assert PROJECT["scripts"] == {"thaw": f"{main.__name__}:{main.main.__name__}"}


def test_every_dependency_is_pinned_with_its_hashes() -> None:
    text = (ROOT / "requirements.txt").read_text()
    pinned = re.findall(r"^([\w.-]+)==\S+ .*\n    --hash=sha256:", text, re.MULTILINE)
    listed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    names = [re.match(r"[\w.-]+", entry)[0] for entry in listed]
    assert {normalise(name) for name in names} <= {normalise(name) for name in pinned}


def normalise(name: str) -> str:
    """Return the one spelling of a package's name that pip compares."""
    return re.sub(r"[-_.]+", "-", name).lower()
