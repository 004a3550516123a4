"""The one function from a picture file to the pixels that a network takes: for training and predictions alike."""

import pathlib

import numpy as np
import PIL.Image

from thaw.pictures.decoding import read_picture


def prepare(source: pathlib.Path | bytes, size: int) -> tuple[np.ndarray, str | None]:
    """Return (pixels, note): a photo as (size, size, 3) uint8, and what had to be converted, or None.

    The file at the path `source`, or of those bytes, as `thaw.pictures.decoding` reads it, resized to a square by
    Pillow's antialiased bilinear filter. Raises UnreadablePicture, with the reason, for a file that cannot be read
    whole.
    """
    picture = read_picture(source)
    return np.asarray(picture.image.resize((size, size), PIL.Image.Resampling.BILINEAR)), picture.note
