"""What a stage made on another machine becomes part of this workspace: its entry in dvc.lock, and what git tracks.

What DVC caches comes from the remote when it is needed.
"""

import pathlib
import shutil
import tempfile

from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from thaw.base.errors import InputError
from thaw.base.files import publish, write_text
from thaw.engine.errand import unpack
from thaw.engine.order import LOCK
from thaw.engine.pipeline import Pipeline, Step


def take_over(pipeline: Pipeline, step: Step, lock: str, files: bytes) -> None:
    """Take over what `step` made elsewhere: `lock` is the text of dvc.lock there, `files` a .tar of its outputs.

    Outputs in DVC's cache that are here from an earlier run are removed, as DVC does before it runs a stage. Raises
    InputError where other dvc commands keep their lock for long.
    """
    with pipeline.hold():
        _publish(step, files)
        _enter(step.name, lock)
        pipeline.settle_outputs(step.name)


def _publish(step: Step, files: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        unpack(files, pathlib.Path(folder))
        for path in step.outs:
            source = pathlib.Path(folder, path)
            if path not in step.cached and source.exists():
                pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                with publish(path) as made:
                    if source.is_dir():
                        shutil.copytree(source, made)
                    else:
                        shutil.copyfile(source, made)


def _enter(name: str, lock: str) -> None:
    """Give `name` the entry in dvc.lock that it has in `lock`, as DVC writes the file."""
    found = parse_yaml_for_update(lock, LOCK).get("stages", {}) if lock else {}
    if name not in found:
        raise InputError(f"{name}: the worker that ran it has no entry for it in dvc.lock")
    text = LOCK.read_text(encoding="utf-8") if LOCK.exists() else "schema: '2.0'\nstages: {}\n"
    document = parse_yaml_for_update(text, LOCK)
    if document.setdefault("stages", {}).get(name) != found[name]:
        document["stages"][name] = found[name]
        write_text(LOCK, dumps_yaml(document))
