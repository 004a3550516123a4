"""The project as a clone and as a Python package, and which code a stage runs."""

import importlib.metadata
import itertools
import pathlib
import re
import shutil
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from thaw.cli import main
from thaw.config.presets import ROOT
from tiny import attempt, dvc, find_stages_run, git

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


def read_pins(name: str) -> dict[str, tuple[str, list[str]]]:
    """Return {package: (version, its hashes)} of a requirements file."""
    text = (ROOT / name).read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+) .*\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE)), "an entry without a hash"
    return {normalise(package): (version, re.findall(r"sha256:\w+", hashes)) for package, version, hashes in entries}


def test_every_dependency_is_pinned_with_its_hashes() -> None:
    listed = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
    names = [re.match(r"[\w.-]+", entry)[0] for entry in listed]
    assert {normalise(name) for name in names} <= set(read_pins("requirements.txt"))


def test_the_libraries_for_a_gpu_are_those_that_tensorflow_asks_for() -> None:
    pins = read_pins("requirements-gpu.txt")
    asked = [Requirement(line) for line in importlib.metadata.requires("tensorflow") or () if "and-cuda" in line]
    assert len(asked) > 5
    for requirement in asked:
        assert requirement.specifier.contains(pins[normalise(requirement.name)][0]), requirement
    shared = pins.keys() & read_pins("requirements.txt").keys()
    assert {name: pins[name][0] for name in shared} == {name: read_pins("requirements.txt")[name][0] for name in shared}
    assert "://" not in (ROOT / "requirements-gpu.txt").read_text()


def test_what_is_built_from_source_is_named_and_built_with_what_is_pinned_too() -> None:
    """Of a package without a wheel, its source is the one file that there are hashes of."""
    script, pins = (ROOT / "run").read_text(), read_pins("requirements.txt")
    sources = re.search(r"^sources=(\S+)", script, re.MULTILINE)
    assert sources and all(len(pins[name][1]) == 1 for name in sources[1].split(","))
    assert '--only-binary=:all: --no-binary="$sources"' in script and "--no-build-isolation" in script
    build = read_pins("requirements-build.txt")
    assert list(build) == ["setuptools"] and build["setuptools"] == pins["setuptools"]


def test_a_clone_that_converts_line_ends_has_the_bytes_of_the_project(tmp_path: pathlib.Path) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    project.mkdir()
    files = (".gitattributes", "run", "dvc.lock", "dvc.yaml", "params.yaml", "plots/accuracy.csv", "stages/split.py")
    for name in files:
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Files")
    git(tmp_path, "clone", "--quiet", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", project, clone)
    for name in files:
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes(), name
    assert git(clone, "status", "--porcelain") == ""


def normalise(name: str) -> str:
    """Return the one spelling of a package's name that pip compares."""
    return re.sub(r"[-_.]+", "-", name).lower()
