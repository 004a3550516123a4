"""./run preset NAME: the table of a preset, in a workspace of its own that shares what the project has computed.

`./run preset NAME keep` copies its results to presets/NAME; `./run preset` lists the names.
"""

import os
import pathlib
import shutil
from collections.abc import Sequence

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import publish, read_json
from thaw.base.progress import say
from thaw.cli.workspaces import hold_workspace, make_workspace, run_dvc, run_table, say_report, start_paths_at
from thaw.comparison.documents import Best
from thaw.comparison.leftovers import list_leftovers
from thaw.comparison.results import read_metrics, read_plot
from thaw.config.checking import check
from thaw.config.loading import read_yaml
from thaw.config.presets import ROOT, find_preset, list_presets, read_preset
from thaw.photos.places import find_path
from thaw.store.place import find_store

KEPT = ("dvc.lock", "metrics", "plots")  # of a table's results


def run_preset(name: str, arguments: Sequence[str] = ("repro",), root: pathlib.Path = ROOT) -> None:
    """Run `arguments`, a dvc command or ``thaw repro``, on the table of preset `name`, in `root`/.thaw/presets/NAME.

    The workspace shares the project's DVC cache, with the outputs of every stage that ran on the same inputs, and its
    store of activations. Nothing else of the project is touched. Raises InputError as `read_preset` does, and where the
    preset is running already.
    """
    document = read_preset(name, root)
    folder = find_workspace(name, root)
    with hold_workspace(folder, f"./run preset {name} {' '.join(arguments)}"):
        make_workspace(folder, document, root, find_cache(root))
        if run_table(folder, arguments, find_environment(root)):
            print(say_report(folder))


def keep_results(name: str, root: pathlib.Path = ROOT) -> None:
    """Copy the results of preset `name` from its workspace to `root`/presets/NAME, for git: KEPT, as stages made them.

    A table that has a report is kept with the runs that it has, and without files of others; how many are missing is
    said. Raises InputError where there is none, where it is that of other parameters, or where it is running.
    """
    with hold_workspace(find_workspace(name, root), f"./run preset {name} keep"):
        _keep(name, root)


def _keep(name: str, root: pathlib.Path) -> None:
    asked = read_preset(name, root)
    workspace = find_workspace(name, root)
    missing = [path for path in (*KEPT, paths.SUMMARY) if not (workspace / path).exists()]
    if missing:
        raise InputError(f"presets: {name} has no {missing[0]} to keep: ./run preset {name} makes its table first")
    document = read_yaml(workspace / paths.PARAMS)
    if document != start_paths_at(root, asked):
        raise InputError(f"presets: {name} has changed since its table was made: ./run preset {name} renews it")
    params = check(asked, f"presets/{name}.yaml")
    listed, left = len(params.runs), list_leftovers(params, workspace)
    done = read_metrics(workspace / paths.SUMMARY, "summary", shape=Best).get("runs") or 0
    if done < listed:
        say(f"presets: {name} has {done} of its {listed} runs; the pages say which have not run yet")
    for file in sorted(workspace.glob("metrics/**/*.json")):
        if file.stem not in left:
            read_json(file)  # what is damaged is not kept
    for file in sorted(workspace.glob("plots/**/*.csv")):
        if file.stem not in left:
            read_plot(file)
    unkept = shutil.ignore_patterns(".*", *(f"{run}.*" for run in left))
    with publish(root / "presets" / name) as folder:
        for path in KEPT:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if (workspace / path).is_dir():
                shutil.copytree(workspace / path, target, ignore=unkept)
            else:
                shutil.copyfile(workspace / path, target)


def find_workspace(name: str, root: pathlib.Path) -> pathlib.Path:
    """Return the folder of the workspace of preset `name`; raises InputError where there is no such preset."""
    return root / ".thaw" / "presets" / find_preset(name, root).stem


def find_cache(root: pathlib.Path) -> pathlib.Path:
    """Return the folder of the DVC cache of the project at `root`."""
    printed = run_dvc(root, "cache", "dir", capture_output=True, text=True).stdout.strip()
    return (root / printed).resolve()


def find_environment(root: pathlib.Path) -> dict[str, str]:
    """Return the environment of a workspace's stages: this process's, its relative paths starting at `root`."""
    store, mirror = find_store(), os.environ.get("THAW_MIRROR")
    environment = {**os.environ, "THAW_STORE": str(root / store) if store else "none"}
    if mirror:
        environment["THAW_MIRROR"] = str(root / find_path(mirror, "THAW_MIRROR"))
    return environment


def use_preset(arguments: Sequence[str]) -> None:
    """List the presets, run one, or keep the results of one, as the words after `preset` ask."""
    if not arguments:
        print("\n".join(list_presets()))
        return
    name, *rest = arguments
    if rest == ["keep"]:
        keep_results(name)
    else:
        run_preset(name, rest or ("repro",))
