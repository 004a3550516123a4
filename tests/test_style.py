"""The code as linters and the type checker see it."""

import subprocess
import sys

import pytest

from thaw.config.presets import ROOT

CODE = ("src", "stages", "tests", "benchmarks", "docs/site.py")


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=["lint", "format"])
def test_ruff_finds_nothing(check: tuple[str, ...]) -> None:
    done = run_tool("ruff", *check, "--no-cache", *CODE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_finds_nothing_in_the_package_and_the_stages() -> None:
    done = run_tool("mypy", "--cache-dir", ".thaw/mypy", "src", "stages")
    assert done.returncode == 0, done.stdout + done.stderr
