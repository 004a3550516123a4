"""Flowers as sources hold them, and what reading them gives, for the tests."""

import io
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import pytest

from thaw.base.errors import InputError
from thaw.photos.canonical import Photo


def encode(level: int) -> bytes:
    """Return a small photo, another for each level from 0 to 255."""
    stream = io.BytesIO()
    PIL.Image.new("RGB", (12, 8), (level, level, level)).save(stream, "JPEG")
    return stream.getvalue()


FILES = {"rose/a.jpg": encode(1), "rose/b.jpg": encode(2), "tulip/c.jpg": encode(3)}
ALL = {"rose": 2, "tulip": 1}  # photos of each class
MORE = {"rose": 3, "tulip": 1}


def count(photos: Iterator[Photo]) -> dict[str, int]:
    """Return {class: photos} of those that are read."""
    counts: dict[str, int] = {}
    for photo in photos:
        assert photo.label is not None
        counts[photo.label] = counts.get(photo.label, 0) + 1
    return counts


def check(read: Callable[[], Any], expected: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that `read` returns `expected`, or that it fails in one line that has this text; and what it says."""
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            read()
        assert re.search(expected, str(caught.value)) and "\n" not in str(caught.value), str(caught.value)
    else:
        assert read() == expected
    printed = capsys.readouterr().err
    assert re.search(said, printed) if said else printed.replace("\n", "") == "", printed


def write(folder: pathlib.Path) -> pathlib.Path:
    """Write FILES below `folder`; return it."""
    for file, content in FILES.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return folder
