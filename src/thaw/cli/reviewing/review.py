"""./run thaw review BASE [HEAD]: what changed in metrics, params and plots, and whether dvc.lock vouches for it."""

import contextlib
import pathlib
from collections.abc import Iterator

from thaw.base.errors import InputError
from thaw.cli.reviewing.differences import read_side
from thaw.cli.reviewing.lockfile import audit
from thaw.cli.reviewing.revisions import check_out, describe
from thaw.cli.reviewing.summary import code, write_faults, write_review


def print_review(base: str, head: str | None) -> bool:
    """Print the review of `head` (None: the work tree) against `base` as Markdown; return whether dvc.lock is sound.

    What dvc.lock does not vouch for comes first. Raises InputError where a side cannot be read.
    """
    with check_out(base) as before, check_out(head) as after:
        old, new = base, head or "work tree"
        with _say_whose(new, after):
            faults = write_faults(audit(after))
        print(f"# {code(describe(head))} against {code(describe(base))}\n", flush=True)
        if faults:
            print(f"{faults}\n", flush=True)
        with _say_whose(old, before):
            first = read_side(before)
        with _say_whose(new, after):
            second = read_side(after)
        print(write_review(first, second))
    return not faults


@contextlib.contextmanager
def _say_whose(name: str, folder: pathlib.Path) -> Iterator[None]:
    """Have faults be those of revision `name`, and not of its files in a `folder` that goes."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {str(error).replace(f'{folder}/', '').replace(str(folder), 'it')}") from None
