"""./run thaw review BASE [HEAD]: what changed in metrics, params and plots, and whether dvc.lock vouches for it."""

import pathlib

from thaw.base.errors import InputError
from thaw.cli.reviewing.differences import Side, read_side
from thaw.cli.reviewing.lockfile import audit
from thaw.cli.reviewing.revisions import check_out, describe
from thaw.cli.reviewing.summary import code, write_faults, write_review


def print_review(base: str, head: str | None) -> bool:
    """Print the review of `head` (None: the work tree) against `base` as Markdown; return whether dvc.lock is sound.

    What dvc.lock does not vouch for comes first. Raises InputError where a side cannot be read.
    """
    with check_out(base) as before, check_out(head) as after:
        print(f"# {code(describe(head))} against {code(describe(base))}\n", flush=True)
        faults = write_faults(audit(after))
        if faults:
            print(f"{faults}\n", flush=True)
        print(write_review(_read(before, base), _read(after, head or "work tree")))
    return not faults


def _read(folder: pathlib.Path, name: str) -> Side:
    """Return the Side of the files at `folder`; faults are those of revision `name`, and not of a folder that goes."""
    try:
        return read_side(folder)
    except InputError as error:
        raise InputError(f"{name}: {str(error).replace(f'{folder}/', '').replace(str(folder), 'it')}") from None
