"""Photos and what a network looks at in them, side by side in one picture."""

import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from thaw.base.environment import load_matplotlib
from thaw.explanation.overlays import lay_over

SIDE, GAP, LINE, LETTERS = 240, 12, 18, 13  # pixels: of a photo, between photos, of a line, of letters
ACROSS = 4  # photos with their maps in a row


class Shown(NamedTuple):
    """A photo in the sheet."""

    photo: PIL.Image.Image  # RGB, SIDE pixels at most
    heat: np.ndarray  # (h, w) float32 in [0, 1]
    lines: Sequence[str]  # below it


def draw_sheet(shown: Sequence[Shown]) -> bytes:
    """Return a PNG file of the photos (at least one), each with its map beside it and its lines below."""
    load_matplotlib()
    import matplotlib

    font = PIL.ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), LETTERS)
    width, height = 2 * SIDE + 2 * GAP, SIDE + GAP + LINE * max(len(item.lines) for item in shown) + GAP
    columns = min(ACROSS, len(shown))
    size = columns * width + GAP, -(-len(shown) // columns) * height + GAP
    sheet = PIL.Image.new("RGB", size, "white")
    pen = PIL.ImageDraw.Draw(sheet)
    for number, (photo, heat, lines) in enumerate(shown):
        row, column = divmod(number, columns)
        x, y = GAP + column * width, GAP + row * height
        for place, picture in ((x, photo), (x + SIDE + GAP // 2, lay_over(photo, heat))):
            sheet.paste(picture, (place + (SIDE - picture.width) // 2, y + (SIDE - picture.height) // 2))
        for i, line in enumerate(lines):
            while line and pen.textlength(line, font) > 2 * SIDE + GAP // 2:
                line = line[:-2] + "…" if len(line) > 1 else ""
            pen.text((x, y + SIDE + GAP // 2 + i * LINE), line, "black", font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def fit(photo: PIL.Image.Image) -> PIL.Image.Image:
    """Return `photo` with a longer side of SIDE pixels."""
    return PIL.ImageOps.contain(photo, (SIDE, SIDE))
