"""What every source delivers, and the one layout in which it is kept."""

import unicodedata
from typing import NamedTuple

from thaw.base.errors import InputError, kind

ENDINGS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}


class Credit(NamedTuple):
    """Who made a photo, and on which terms others may show it; empty where that is unknown."""

    author: str
    licence: str  # the address of its text where that is known, else its name
    url: str  # of the photo, else of its author


class Photo(NamedTuple):
    """One picture as a source delivers it."""

    label: str | None  # the name of its class; None where the source has none for it
    content: bytes  # the JPEG or PNG file, untouched
    name: str  # what the source calls it, for messages
    credit: Credit | None = None  # None where the source names no author


def find_ending(content: bytes) -> str | None:
    """Return ".jpg" or ".png", by the first bytes of a file, or None where it is neither."""
    return next((ending for magic, ending in ENDINGS.items() if content.startswith(magic)), None)


def name_folder(label: str) -> str:
    """Return the name of the folder that keeps the class `label`: the label in Unicode's composed form (NFC).

    File systems differ in the form that they give back, and the same class must have one name.
    Raises InputError where the label cannot name a folder.
    """
    name = unicodedata.normalize("NFC", label)
    unfit = not name or name in (".", "..") or "/" in name
    # Category C: control characters, NUL among them, and the surrogates that stand for bytes that are not UTF-8.
    if unfit or any(unicodedata.category(letter)[0] == "C" for letter in name) or len(name.encode()) > 255:
        raise InputError(
            f"params.yaml: dataset: a class must have the name of a folder, without / and control characters, "
            f"at most 255 bytes long (got {kind(label)})"
        )
    return name
