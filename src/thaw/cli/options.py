"""What options of the commands share."""

import os
import pathlib

from thaw.base.errors import InputError, kind
from thaw.photos.places import find_path, is_utf8, show_name

CALLED_FROM = "THAW_CALLED_FROM"  # ./run goes to the folder of dvc.yaml, and names there where it was called


def read_number(option: str, text: str | None, default: int, most: int | None = None) -> int:
    """Return the number of an option, `default` where `text` is None; raises InputError where it is none from 1 on.

    `most` is the largest that is allowed, None where there is no such limit.
    """
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= (most or int(text))):
        upper = f"to {most}" if most else "on"
        raise InputError(f"{option}: must be a whole number from 1 {upper} (got {kind(text)})")
    return int(text)


def find_folder(photos: str, place: str) -> pathlib.Path:
    """Return the whole path of `photos`, which starts where the command was typed.

    Raises InputError, which begins with `place`, for what params.yaml cannot name.
    """
    folder = pathlib.Path(os.environ.get(CALLED_FROM, "")) / find_path(photos, place)
    if not is_utf8(str(folder)):
        raise InputError(f"{place}: params.yaml can name a folder in UTF-8 alone (got {show_name(str(folder))})")
    return folder.absolute()
