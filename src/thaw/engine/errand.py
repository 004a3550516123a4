"""What is done inside a worker of a cluster. Dask sends the functions of this module to it.

A worker's own process needs Python and Dask and nothing else: the code of the stages, and of `thaw.engine.staging`,
comes with the commit that is worked on. So this module imports nothing of thaw.
"""

import io
import itertools
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
from typing import Any

import distributed

# What oneDNN tells apart, the widest first, by flags of Linux's /proc/cpuinfo: the names of ONEDNN_MAX_CPU_ISA.
ISAS = {
    "AVX512_CORE": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
    "AVX2": {"avx2"},
    "AVX": {"avx"},
    "SSE41": {"sse4_1"},
}


def find_isa() -> str:
    """Return the widest of ISAS that this machine's processor has; what kind of processor it is where none is told."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    return next((name for name, needed in ISAS.items() if needed <= flags), platform.machine())


def receive(commit: str, archive: bytes, dask_worker: Any) -> None:
    """Keep the archive of `commit`, from which workspaces are made."""
    path = _find_home(dask_worker) / f"{commit}.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive)


def stop(run: str, dask_worker: Any) -> None:
    """End what runs for `run`, and let nothing of it start any more."""
    state = _find_state(dask_worker)
    with state["guard"]:
        state["stopped"].add(run)
        for process in state["running"].get(run, ()):
            process.stdin.close()  # which the process takes for the end of its worker


def do(
    run: str, name: str, commit: str, arguments: list[str], cleared: list[str], files: bytes, made: list[str]
) -> tuple[int, list[str], str, bytes]:
    """Run `thaw.engine.staging` with `arguments` in a workspace of `commit`.

    First the paths `cleared` are removed from the workspace, and the tar archive `files` is unpacked there. Returns
    (exit status, lines of output, the text of dvc.lock, a tar archive of the paths `made`); each line is sent to the
    topic `run` as well, as (name, line). Raises LookupError where this worker has no archive of the commit: it is
    another worker by the same name.
    """
    worker = distributed.get_worker()
    state = _find_state(worker)
    with state["guard"]:
        number = next(number for number in itertools.count() if (commit, number) not in state["taken"])
        state["taken"].add((commit, number))
    try:
        folder = _make_workspace(_find_home(worker), commit, number)
        for path in cleared:
            _remove(folder / path)
        if files:
            unpack(files, folder)
        status, lines = _follow(worker, run, name, folder, arguments)
        lock = folder / "dvc.lock"
        return status, lines, lock.read_text(encoding="utf-8") if lock.exists() else "", _pack(folder, made)
    finally:
        with state["guard"]:
            state["taken"].discard((commit, number))


def _find_home(worker: Any) -> pathlib.Path:
    """Return the folder in which a worker keeps what it needs; it goes with the worker."""
    return pathlib.Path(worker.local_directory, "thaw")


def _find_state(worker: Any) -> dict[str, Any]:
    """Return what the calls in one worker share: functions that are sent have no module to keep it in."""
    fresh = {"guard": threading.Lock(), "taken": set(), "running": {}, "stopped": set()}
    found: dict[str, Any] = vars(worker).setdefault("thaw", fresh)
    return found


def _make_workspace(home: pathlib.Path, commit: str, number: int) -> pathlib.Path:
    """Return a workspace of `commit`, made where there is none by that number; all share a cache of DVC."""
    folder, archive = home / f"{commit}-{number}", home / f"{commit}.tar.gz"
    made = folder / ".thaw" / "made"
    if made.exists():
        return folder
    if not archive.exists():
        raise LookupError(f"no archive of {commit}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    unpack(archive.read_bytes(), folder)
    local = folder / ".dvc" / "config.local"
    local.write_text(f"[core]\n    no_scm = true\n[cache]\n    dir = {home / 'cache'}\n", encoding="utf-8")
    made.parent.mkdir(exist_ok=True)
    made.touch()
    return folder


def _follow(worker: Any, run: str, name: str, folder: pathlib.Path, arguments: list[str]) -> tuple[int, list[str]]:
    """Run `thaw.engine.staging` in `folder`; return (exit status, lines of output). It ends when this process does."""
    state = _find_state(worker)
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "THAW_MIRROR")}
    variables |= {"PYTHONPATH": str(folder / "src"), "PYTHONUTF8": "1", "DVC_NO_ANALYTICS": "1"}
    variables["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), variables.get("PATH", os.defpath)])
    variables["THAW_STORE"] = str(folder.parent / "activations")
    with state["guard"]:
        if run in state["stopped"]:
            return 1, []
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "thaw.engine.staging", *arguments],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        state["running"].setdefault(run, set()).add(process)
    lines = []
    try:
        with process:
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip())
                worker.log_event(run, (name, lines[-1]))
    finally:
        with state["guard"]:
            state["running"][run].discard(process)
    return process.returncode, lines


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unpack(archive: bytes, folder: pathlib.Path) -> None:
    """Unpack a tar archive into `folder`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)


def _pack(folder: pathlib.Path, paths: list[str]) -> bytes:
    """Return a tar archive of those of `paths` below `folder` that are there."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path in paths:
            if (folder / path).exists():
                tar.add(folder / path, path)
    return stream.getvalue()
