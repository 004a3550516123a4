"""Presets: whole tables as overlays on params.yaml, each run in a workspace of its own."""

import pathlib
import shutil
import subprocess
import sys
import time

from thaw.params import FILE, InputError, load, read_yaml, write_yaml
from thaw.publishing import write_text
from thaw.reporting.tables import render_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("dvc.yaml", "stages", "src")  # what a workspace needs of the project


def list_presets(root=ROOT):
    """Return the names of the presets, sorted."""
    return sorted(path.stem for path in (root / "presets").glob("*.yaml"))


def find_preset(name, root=ROOT):
    """Return the path of preset `name`; raises InputError, with those there are, where there is none of that name."""
    known = list_presets(root)
    if name not in known:
        raise InputError(f"presets: no preset {name!r}; there are {', '.join(known)}")
    return root / "presets" / f"{name}.yaml"


def read_preset(name, root=ROOT):
    """Return the parameters of preset `name`: params.yaml, whose sections those of `presets/NAME.yaml` replace.

    Its runs are not those of params.yaml: what is not to be repeated by its own file is not repeated.

    Raises InputError where there is no such preset, or with every fault of the result.
    """
    path = find_preset(name, root)
    # Here, because it loads TensorFlow, which takes seconds and prints: a wrong name is told without that.
    from thaw.schema import check

    document = {**read_yaml(root / FILE), "replicates": {}, "folds": {}, **read_yaml(path)}
    check(document, f"presets/{path.name}")
    return document


def make_workspace(folder, document, root=ROOT, cache=None):
    """Make or renew at `folder` a DVC workspace with the project's code and `document` as its params.yaml.

    What the stages made there before stays, so that DVC runs only what changed. `cache` is the folder of a DVC cache
    that the workspace shares with others; without it the workspace has its own. Relative paths in `document` start at
    `root`, where they were written.
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
    write_text(folder / FILE, write_yaml(start_paths_at(root, document)))
    if not (folder / ".dvc").is_dir():
        run_dvc(folder, "init", "--quiet", "--no-scm")
    if cache is not None:
        run_dvc(folder, "cache", "dir", "--local", str(cache))


def run_table(folder, arguments=("repro",), environment=None):
    """Run a dvc command in the workspace `folder`; after a `repro` of all print its comparison and where its report is.

    Nothing is printed after a `repro` of a few stages, which makes no report. Where DVC fails, the program ends with its
    status.
    """
    start, report = time.monotonic(), pathlib.Path(folder) / "report" / "report.md"
    try:
        run_dvc(folder, *arguments, env=environment)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    named = [argument for argument in arguments if not argument.startswith("-")]
    if named == ["repro"] and report.exists():
        print(f"\n{render_table(load(folder / FILE), folder)}\n")
        print(f"The report: {report} ({time.monotonic() - start:.0f} s)")


def run_dvc(folder, *arguments, **options):
    """Run a dvc command in `folder`; raises subprocess.CalledProcessError where it fails."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, **options)


def start_paths_at(root, document):
    """Return `document` with the paths in it that start at the folder of params.yaml made to start at `root`.

    What is absolute or starts with ``~`` stays as it is, and so does everything that names no file of this machine.
    """

    def start(path):
        return path if path.startswith("~") else str(root / path)

    dataset, backbones = dict(document["dataset"]), {}
    if dataset["source"] == "folder":
        dataset["path"] = start(dataset["path"])
    for name, backbone in document["backbones"].items():
        weights = backbone["weights"]
        backbones[name] = {**backbone, "weights": start(weights) if weights.endswith(".h5") else weights}
    return {**document, "dataset": dataset, "backbones": backbones}
