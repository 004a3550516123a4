"""What options of the commands share."""

from thaw.base.errors import InputError, kind


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
