"""./run preset NAME: the table of a preset, in a workspace of its own that shares what the project has computed.

`./run preset NAME keep` copies its results to presets/NAME; `./run preset` lists the names.
"""

import os
import pathlib
import shutil
import sys

from thaw.params import FILE, InputError, read_yaml, run
from thaw.presets import ROOT, list_presets, make_workspace, read_preset, run_dvc, run_table, start_paths_at
from thaw.publishing import publish, read_json

KEPT = ("dvc.lock", "metrics", "plots")  # of a table's results
SUMMARY = "metrics/summary.json"  # which the last stage writes


def run_preset(name, arguments=("repro",), root=ROOT):
    """Run the dvc command `arguments` on the table of preset `name`, in `root`/.thaw/presets/NAME.

    The workspace shares the project's DVC cache, with the outputs of every stage that ran on the same inputs, and its
    store of activations. Nothing else of the project is touched. Raises InputError as `read_preset` does.
    """
    document = read_preset(name, root)
    folder = root / ".thaw" / "presets" / name
    make_workspace(folder, document, root, find_cache(root))
    run_table(folder, arguments, find_environment(root))


def keep_results(name, root=ROOT):
    """Copy the results of preset `name` from its workspace to `root`/presets/NAME, for git: KEPT, as the stages made them.

    Raises InputError where the workspace has no finished table, or that of other parameters.
    """
    made_of = start_paths_at(root, read_preset(name, root))
    workspace = root / ".thaw" / "presets" / name
    missing = [path for path in (*KEPT, SUMMARY) if not (workspace / path).exists()]
    if missing:
        raise InputError(f"presets: {name} has no {missing[0]} to keep: ./run preset {name} makes its table first")
    document = read_yaml(workspace / FILE)
    if document != made_of:
        raise InputError(f"presets: {name} has changed since its table was made: ./run preset {name} renews it")
    listed = 1 + len(document["frozen"]) + len(document["finetune"])
    done = read_json(workspace / SUMMARY)["summary"]["runs"]
    if done < listed:
        raise InputError(f"presets: {name} has {done} of its {listed} runs to keep: ./run preset {name} runs the others")
    with publish(root / "presets" / name) as folder:
        for path in KEPT:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if (workspace / path).is_dir():
                shutil.copytree(workspace / path, target, ignore=shutil.ignore_patterns(".*"))
            else:
                shutil.copyfile(workspace / path, target)


def find_cache(root):
    """Return the folder of the DVC cache of the project at `root`."""
    told = run_dvc(root, "cache", "dir", capture_output=True, text=True).stdout.strip()
    return (root / told).resolve()


def find_environment(root):
    """Return the environment of a workspace's stages: this process's, its relative paths starting at `root`."""
    # Here, because it loads TensorFlow; see thaw.presets.read_preset.
    from thaw.activations import find_store

    store, mirror = find_store(), os.environ.get("THAW_MIRROR")
    environment = {**os.environ, "THAW_STORE": str(root / store) if store else "none"}
    if mirror:
        environment["THAW_MIRROR"] = str(root / pathlib.Path(mirror).expanduser())
    return environment


def main():
    if len(sys.argv) == 1:
        print("\n".join(list_presets()))
        return
    name, *arguments = sys.argv[1:]
    if arguments == ["keep"]:
        keep_results(name)
    else:
        run_preset(name, arguments or ("repro",))


if __name__ == "__main__":
    run(main)
