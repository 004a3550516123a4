"""What every source delivers, and the one layout in which it is kept."""

import unicodedata
from typing import NamedTuple

from thaw.base.errors import InputError, kind

ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "HEIF": ".heic"}


class Credit(NamedTuple):
    """Who made a photo, and on which terms others may show it; empty where that is unknown."""

    author: str
    licence: str  # the address of its text where that is known, else its name
    url: str  # of the photo, else of its author


class Photo(NamedTuple):
    """One picture as a source delivers it."""

    label: str | None  # the name of its class; None where the source has none for it
    content: bytes  # the file, untouched
    name: str  # what the source calls it, for messages
    credit: Credit | None = None  # None where the source names no author
    file: str | None = None  # its path below the folder of the photos, as one line; None where the source has no files
    part: str | None = None  # of PARTS, where the source gives it
    group: str | None = None  # of those that stay together, where the source gives it


def find_ending(content: bytes) -> str | None:
    """Return the ending of a picture file by its first bytes, ".jpg" say, or None where its format is not read."""
    # Here, because it loads Pillow, and what `./run` imports before DVC starts reads no picture.
    from thaw.pictures.formats import find_format

    return ENDINGS.get(find_format(content) or "")


def name_folder(label: str) -> str:
    """Return the name of the folder that keeps the class `label`: the label in Unicode's composed form (NFC).

    File systems differ in the form that they give back, and the same class must have one name.
    Raises InputError where the label cannot name a folder, or holds what does not show and could make it look like
    another: a mark of direction, or a joiner that joins nothing.
    """
    name = unicodedata.normalize("NFC", label)
    unfit = not name.strip() or name in (".", "..") or "/" in name
    # Category C: control characters, NUL among them, marks of direction, and the surrogates that stand for bytes that
    # are not UTF-8.
    hidden = [place for place, letter in enumerate(name) if unicodedata.category(letter)[0] == "C"]
    if unfit or not all(_joins(name, place) for place in hidden) or len(name.encode()) > 255:
        raise InputError(
            f"params.yaml: dataset: a class must have the name of a folder, without / and control characters or others "
            f"that do not show, at most 255 bytes long (got {kind(label)})"
        )
    return name


def _joins(name: str, place: int) -> bool:
    """Return whether at `place` in `name` is one of Unicode's joiners, which stand between the letters of a word in
    Persian, Hindi, Sinhala and others, and between the parts of an emoji.
    """
    sides = name[max(0, place - 1) : place] + name[place + 1 : place + 2]
    joined = all(unicodedata.category(side)[0] in ("LM" if side.isascii() else "LMS") for side in sides)
    return name[place] in ("\u200c", "\u200d") and len(sides) == 2 and joined
