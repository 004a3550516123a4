"""Presets: whole tables as overlays on params.yaml, each run in a workspace of its own."""

import pathlib
import shutil
import subprocess
import sys

from thaw.params import FILE, InputError, read_yaml, write_yaml
from thaw.publishing import write_text
from thaw.schema import check

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("dvc.yaml", "stages", "src")  # what a workspace needs of the project


def read_preset(name, root=ROOT):
    """Return the parameters of preset `name`: params.yaml, whose sections those of `presets/NAME.yaml` replace.

    Raises InputError where there is no such preset, or with every fault of the result.
    """
    path = root / "presets" / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(preset.stem for preset in path.parent.glob("*.yaml")))
        raise InputError(f"presets: no preset {name!r}; there are {known}")
    document = {**read_yaml(root / FILE), **read_yaml(path)}
    check(document, f"presets/{path.name}")
    return document


def make_workspace(folder, document, root=ROOT):
    """Make or renew at `folder` a DVC workspace with the project's code and `document` as its params.yaml.

    What the stages made there before stays, so that DVC runs only what changed.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        source, target = root / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    write_text(folder / FILE, write_yaml(document))
    if not (folder / ".dvc").is_dir():
        run_dvc(folder, "init", "--quiet", "--no-scm")


def run_dvc(folder, *arguments, **options):
    """Run a dvc command in `folder`; raises subprocess.CalledProcessError where it fails."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, **options)
