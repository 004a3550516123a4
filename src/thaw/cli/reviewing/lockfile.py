"""dvc.lock against the files that git tracks: what must run again, and what no stage has written."""

import os
import pathlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from thaw.base.errors import InputError
from thaw.base.paths import PARAMS
from thaw.config.loading import load, read_yaml

LOCK = "dvc.lock"


CONFLICT = re.compile("(<{7}|={7}|>{7})( |$)")  # begins a line where git left a conflict


class Audit(NamedTuple):
    """Where dvc.lock and the files differ; everything is empty where it vouches for them."""

    stale: dict[tuple[str, str], list[str]]  # (an input, what became of it) -> the stages that must run again for it
    edited: dict[str, str]  # an output in git -> the stage that wrote it otherwise


def audit(folder: pathlib.Path) -> Audit:
    """Return the Audit of a project's files laid out at `folder` without data and without a DVC cache.

    Works as ``dvc status`` does, and therefore on a clone that has pulled nothing. Data that is absent is judged by
    the hashes of dvc.lock alone: what a stage read must be what the stage before it wrote. A stage that dvc.lock does
    not know has not been run yet, which the report says of its run and which is no fault; but nobody has written its
    outputs then. Raises InputError, naming the file and where it can the line, where DVC cannot read one of its files.
    """
    _check_files(folder)
    # Here, because it takes a second.
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.utils.strictyaml import YAMLValidationError

    # A copy that is about to go: git does not know it, and DVC should keep no notes on it.
    (folder / ".dvc").mkdir(exist_ok=True)
    notes = folder / ".dvc" / "tmp" / "site"
    (folder / ".dvc" / "config.local").write_text(f'[core]\nno_scm = true\nsite_cache_dir = "{notes}"\n')
    try:
        with Repo(str(folder)) as repo:
            stages, status = list(repo.index.stages), repo.status()
    except YAMLValidationError as error:
        fault = error.exc.errors[0]
        place = f"{_name_files(error.path, folder)}: {'.'.join(map(str, fault.path)) or 'the document'}"
        raise InputError(f"{place}: {fault.error_message}") from None
    except ConfigError as error:
        raise InputError(_name_files(f".dvc/config: {error}", folder)) from None
    except DvcException as error:
        for name in ("dvc.yaml", LOCK):
            if (folder / name).exists():
                read_yaml(folder / name)  # which knows the line
        load(folder / PARAMS)  # and this the key: DVC fills in dvc.yaml from it
        raise InputError(_name_files(f"DVC: {error}", folder)) from None
    if not stages:
        raise InputError("dvc.yaml: must have the stages of the pipeline (got none)")
    written = {str(out): out for stage in stages for out in stage.outs}
    ran = {stage.name for stage in stages if any(out.hash_info for out in stage.outs)}
    stale: dict[tuple[str, str], list[str]] = defaultdict(list)
    edited: dict[str, str] = {}
    for stage in stages:
        for path, state in _find_changed(status.get(stage.addressing, []), "changed outs").items():
            # Of an output that git tracks "deleted" means just that.
            if state == "modified" or (stage.name in ran and state == "deleted" and not written[path].use_cache):
                edited[path] = stage.name
    for stage in stages:
        if stage.name in ran:
            for reason in _find_reasons(stage, status.get(stage.addressing, []), written, edited):
                stale[reason].append(stage.name)
    return Audit(dict(stale), edited)


def _check_files(folder: pathlib.Path) -> None:
    """Raise InputError where dvc.yaml is missing, or one of the files that DVC reads is no text or half merged."""
    if not (folder / "dvc.yaml").is_file():
        raise InputError("dvc.yaml: no such file")
    names = "dvc.yaml", LOCK, PARAMS, ".dvc/config"
    for path in [*(folder / name for name in names), *folder.rglob(".dvcignore")]:
        name = path.relative_to(folder).as_posix()
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: must be UTF-8 text (byte {error.start} is not)") from None
        for number, line in enumerate(lines, 1):
            if CONFLICT.match(line):
                raise InputError(f"{name}: line {number}: a merge left a conflict here ({line[:40]})")


def _name_files(text: str, folder: pathlib.Path) -> str:
    """Return what DVC says in one line, its paths starting at `folder` and not at the working directory."""
    return " ".join(text.replace(f"{os.path.relpath(folder)}/", "").replace("'./", "'").split())


def _find_reasons(
    stage: Any, entries: Sequence[Any], written: Mapping[str, Any], edited: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield (an input, what became of it) for each reason why `stage` must run again, `entries` its status in DVC."""
    for path, state in _find_changed(entries, "changed deps").items():
        if isinstance(state, dict):
            yield from ((f"{path}: {key}", "is gone" if how == "deleted" else "changed") for key, how in state.items())
        elif state == "modified":
            if not any(other == path or other.startswith(f"{path}/") for other in edited):  # which is told by itself
                yield path, "changed"
        elif path not in written:
            yield path, "is gone"
    for dep in stage.deps:
        out = written.get(str(dep))
        if out and out.use_cache and dep.hash_info != out.hash_info:
            yield str(out), "was made again"
    if "changed command" in entries:
        yield "dvc.yaml", "has another command"


def _find_changed(entries: Sequence[Any], key: str) -> dict[str, Any]:
    """Return {path: state} of what DVC's status of a stage has under `key`."""
    return {path: state for entry in entries if key in entry for path, state in entry[key].items()}
