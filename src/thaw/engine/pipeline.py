"""DVC's own view of the pipeline: what a target needs, in which order, and what of it is unchanged."""

import contextlib
import functools
import os
import pathlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dvc.config import ConfigError
from dvc.dependency import param
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.utils.strictyaml import YAMLValidationError

from thaw.base.errors import InputError

SECONDS_FOR_LOCK = 60.0  # in which another dvc command should be done with a step of its own


class Step(NamedTuple):
    """A stage, as far as a scheduler needs it. Paths start at the folder of dvc.yaml."""

    name: str  # as `dvc repro` takes it
    upstream: frozenset[str]  # the steps whose outputs it reads
    unchanged: bool  # `dvc repro` would not run it, unless a step before it changes what it reads
    outs: tuple[str, ...]
    cached: tuple[str, ...]  # of these, what DVC keeps in its cache and lists in a .gitignore; git tracks the others
    reads: tuple[str, ...] = ()  # its dependencies, parameters apart
    runs: bool = True  # it has a command
    computes: bool = False  # it has a section `compute` among its parameters


class Pipeline:
    """The DVC project of the working directory, open."""

    def __init__(self, repo: Any) -> None:
        self.repo = repo  # dvc.repo.Repo
        self._threads = threading.RLock()  # DVC's lock keeps processes apart, and no threads

    @contextlib.contextmanager
    def hold(self, seconds: float = SECONDS_FOR_LOCK) -> Iterator[None]:
        """Hold DVC's lock of the project; no other dvc command looks at or writes its files meanwhile.

        Raises InputError where other commands hold it for `seconds`.
        """
        end = time.monotonic() + seconds
        with contextlib.ExitStack() as stack:
            if not self._threads.acquire(timeout=seconds):
                raise InputError(f"DVC: its lock has been held for {seconds:.0f} s")
            stack.callback(self._threads.release)
            while True:
                try:
                    stack.enter_context(lock_repo(self.repo))
                    break
                except LockError:  # it waits for some seconds itself
                    if time.monotonic() >= end:
                        raise InputError(f"DVC: another dvc command has held its lock for {seconds:.0f} s") from None
            yield

    def read_steps(self, targets: Sequence[str], force: bool, missing: bool = False) -> list[Step]:
        """Return the Step of each stage that `dvc repro` of `targets` visits, in the order in which it visits them.

        With `force` none is unchanged; with `missing` a stage is unchanged though outputs of it are not here, as with
        `dvc repro --allow-missing`. Raises InputError where there is no such target or DVC cannot read the project.
        """
        with name_faults(), self.hold(), _read_params_once():
            chosen = collect_stages(self.repo, targets or ["dvc.yaml"])
            graph = get_active_graph(self.repo.index.graph)
            stages = plan_repro(graph, chosen)
            return [
                Step(
                    stage.addressing,
                    frozenset(before.addressing for before in graph.successors(stage)),
                    not force and _is_unchanged(stage, missing, list(graph.successors(stage))),
                    tuple(os.path.relpath(out.fs_path) for out in stage.outs),
                    tuple(os.path.relpath(out.fs_path) for out in stage.outs if out.use_scm_ignore),
                    tuple(os.path.relpath(dep.fs_path) for dep in stage.deps if not _is_params(dep)),
                    bool(stage.cmd),
                    any(_is_params(dep) and "compute" in dep.params for dep in stage.deps),
                )
                for stage in stages
            ]

    def settle_outputs(self, name: str) -> None:
        """Remove outputs of a stage that are not those of dvc.lock, and have .gitignore list all that DVC caches."""
        with name_faults(), self.repo.scm_context(quiet=True):
            stage = self.repo.stage.load_one(name=name)
            for out in stage.outs:
                if out.use_scm_ignore and out.exists and out.changed_checksum():
                    out.remove()
            stage.ignore_outs()


def _is_params(dependency: Any) -> bool:
    return isinstance(dependency, param.ParamsDependency)


def _is_unchanged(stage: Any, missing: bool, upstream: Sequence[Any]) -> bool:
    """Tell whether `dvc repro` would not run the stage; False where another dvc command is writing what that asks."""
    try:
        return not stage.changed(missing, upstream)
    except LockError:
        return False


@contextlib.contextmanager
def _read_params_once() -> Iterator[None]:
    """Have DVC parse params.yaml once for all stages that it compares with it; alone it does so for each of them."""
    parse = param.load_path  # of DVC 3.67; nothing public leads there
    param.load_path = functools.cache(parse)
    try:
        yield
    finally:
        param.load_path = parse


@contextlib.contextmanager
def open_pipeline() -> Iterator[Pipeline]:
    """Open the DVC project of the working directory; raises InputError where there is none."""
    with contextlib.ExitStack() as stack:
        with name_faults():
            repo = stack.enter_context(Repo(str(pathlib.Path.cwd())))
        yield Pipeline(repo)


@contextlib.contextmanager
def name_faults() -> Iterator[None]:
    """Have what DVC cannot read raise an InputError in one line."""
    try:
        yield
    except YAMLValidationError as error:
        fault = error.exc.errors[0]
        place = ".".join(map(str, fault.path)) or "the document"
        raise InputError(f"{error.path}: {place}: {fault.error_message}") from None
    except (ConfigError, DvcException) as error:
        causes = [str(error)]
        while error.__cause__:
            error = error.__cause__
            causes.append(str(error))
        raise InputError(" ".join(f"DVC: {': '.join(causes)}".split())) from None
