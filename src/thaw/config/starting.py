"""What is checked and written before DVC starts.

    ./run python -m thaw.config.starting DVC-ARGUMENTS

`./run`, the demo and presets do so before `dvc repro`, `dvc exp run` and `dvc status`; before other commands it does
nothing. Where an experiment with other values runs elsewhere (`--queue`, `--temp`), the workspace has the listings of
those values until the same command without arguments follows.

DVC deletes the outputs of a stage before it runs it, so a fault that a stage would find costs them: here it costs
nothing.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import ruamel.yaml

from thaw.base import paths
from thaw.base.engines import check_engine
from thaw.base.errors import InputError, run_program
from thaw.base.names import PRETRAINED
from thaw.config import overrides
from thaw.config.checking import examine
from thaw.config.inputs import (
    DATASET,
    FOLDER,
    Digests,
    Listing,
    find_listings,
    put_back,
    read_listing,
    set_aside,
    write_listings,
)
from thaw.config.loading import read_yaml
from thaw.config.lockfile import mend_lock
from thaw.config.outputs import check_environment, check_input, sweep_outputs
from thaw.config.unseen import list_unseen

COMMANDS = ("repro", "status", "exp run")
NO_RUN = {"--pull", "--allow-missing"}  # options with which results may come from elsewhere and nothing need run


def prepare(arguments: Sequence[str]) -> None:
    """Check params.yaml and what it names, and renew data/inputs, as the dvc command `arguments` needs it.

    What killed stages left is removed, and a dvc.lock that a kill cut off is put together again. With overrides all
    that is checked is what the experiments will have. Raises InputError with every fault of the parameters and all that
    a glance at the inputs shows, a line each.
    """
    command, words = _find_command(arguments)
    if command not in COMMANDS:
        return
    put_back()
    mend_lock()
    documents: Iterable[dict[Any, Any]] = [read_yaml(paths.PARAMS)]
    overridden = command == "exp run" and overrides.may_override(words)
    if overridden:
        documents = overrides.read_overridden(arguments)
    listings: dict[str, Listing] | None = None
    with Digests() as digests:
        for document in documents:
            before, listings = listings, _list_inputs(document, command, words, digests)
            if before not in (None, listings):
                raise InputError(f"-S: values that change what {FOLDER} lists must be queued one by one")
    if command != "status":
        sweep_outputs()
    if listings is not None:
        if overridden and {"--queue", "--temp"} & set(words):
            set_aside()
        write_listings(listings)
        if command == "exp run":
            _have_git_track(list(listings))


def _find_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return (the dvc command without its options, the words behind it); enter the folder that --cd names."""
    words = list(arguments)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--cd" and words:
            os.chdir(words.pop(0))
        elif option.startswith("--cd="):
            os.chdir(option.removeprefix("--cd="))
    command = words.pop(0) if words else ""
    if command in ("exp", "experiments") and words:
        command = f"exp {words.pop(0)}"
    return command, words


def _list_inputs(
    document: dict[Any, Any], command: str, words: Collection[str], digests: Digests
) -> dict[str, Listing]:
    """Return {listing file: listing} for a dvc command, once params.yaml is right and all inputs are where they may be.

    What this machine has is listed as it is. A listing of what it has not stays where DVC need not run the stage: its
    results are here, or come from elsewhere. Else a path is a fault, and of weights what Keras publishes is taken.
    """
    values, faults = examine(document, paths.PARAMS)
    reads: dict[str, Callable[[Digests], Listing]] = {}
    try:
        check_environment()
    except InputError as error:
        faults.append(str(error))
    compute = values.get("compute")
    if compute and command != "status" and not NO_RUN & set(words):
        try:
            check_engine(compute.forward)
        except InputError as error:
            faults.append(str(error))
    for file, find in find_listings(values.get("dataset"), values["backbones"]).items():
        try:
            found, kept = find(), read_listing(file)
            if found is None:
                reads[file] = functools.partial(_keep, list_unseen(_find_section(file, document)))
            elif kept and not (found.path and found.path.exists()) and _needs_no_run(file, document, command, words):
                reads[file] = functools.partial(_keep, kept)
            else:
                check_input(found)
                found.check()
                reads[file] = found.read
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    return {file: read(digests) for file, read in reads.items()}


def _keep(listing: Listing, _digests: Digests) -> Listing:
    return listing


def _needs_no_run(file: str, document: dict[Any, Any], command: str, words: Collection[str]) -> bool:
    """Tell whether the command can do without what `file` lists: dvc.lock has results of it, and they can be had.

    `dvc status` runs nothing and can do without in any case.
    """
    if command == "status":
        return True
    value = _find_section(file, document)
    if file == DATASET:
        stage, key, output = "download", "dataset", paths.RAW
    else:
        name = pathlib.PurePath(file).stem
        stage, key = f"weights@{name}", f"backbones.{name}"
        output = paths.find_weights(PRETRAINED + name)
    if not (NO_RUN & set(words) or pathlib.Path(output).exists()):
        return False
    try:
        entry = ruamel.yaml.YAML(typ="safe").load(pathlib.Path("dvc.lock"))["stages"][stage]
        made_of = {dependency["path"]: dependency["md5"] for dependency in entry["deps"]}
        params = entry["params"][paths.PARAMS]
    except (OSError, ruamel.yaml.error.YAMLError, KeyError, TypeError):
        return False  # the stage has never run, or the file is damaged, which DVC reports
    content = pathlib.Path(file).read_bytes()
    return bool(params.get(key) == value and made_of.get(file) == hashlib.md5(content).hexdigest())


def _find_section(file: str, document: dict[Any, Any]) -> Any:
    """Return what params.yaml says of what a listing file lists: the dataset, or a backbone."""
    return document["dataset"] if file == DATASET else document["backbones"][pathlib.PurePath(file).stem]


def _have_git_track(files: list[str]) -> None:
    """Add new listings to git, as DVC does with a params.yaml that git does not know: an experiment takes no others."""
    listing = ["git", "ls-files", "--others", "--exclude-standard", "--", *files]
    new = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.splitlines()
    if new:
        subprocess.run(["git", "add", "--", *new], capture_output=True, check=False)


def main() -> None:
    """Prepare the dvc command that the words of the command line are; without words, put back what one set aside."""
    if len(sys.argv) > 1:
        prepare(sys.argv[1:])
    else:
        put_back()


if __name__ == "__main__":
    run_program(main)
