"""The picture of ./run thaw predict --explain: each photo, and what the network looks at in it."""

import pathlib

import numpy as np

from thaw.base.errors import InputError, kind
from thaw.base.files import publish
from thaw.base.progress import say
from thaw.photos.places import show_name
from thaw.pictures.decoding import read_picture
from thaw.pictures.preparing import prepare
from thaw.prediction.models import Predictor

MOST = 100  # photos in a picture: more are some 12,000 pixels high


def check_sheet(path: str, model: str | None) -> None:
    """Raise InputError where no picture can be made at `path`, or of the export `model`."""
    if model is not None:
        raise InputError("--explain: must be of a run: an export has no feature maps to look into (got --model)")
    if not path.lower().endswith(".png"):
        raise InputError(f"--explain: must be a file that ends in .png (got {kind(path)})")
    if not pathlib.Path(path).absolute().parent.is_dir():
        raise InputError(f"--explain: {show_name(path)}: there is no such folder")


class Sheet:
    """The photos of one picture."""

    def __init__(self, path: str, predictor: Predictor, total: int | None) -> None:
        """Begin the picture at `path` of so many photos, None where their number is not known.

        Raises InputError where they are too many.
        """
        if total is not None and total > MOST:
            raise InputError(f"--explain: must be of at most {MOST} photos (got {total:,})")
        from thaw.explanation.gradcam import halve
        from thaw.explanation.sheets import Shown

        assert predictor.network
        self.path, self.predictor, self.halves = path, predictor, halve(predictor.network)
        self.shown: list[Shown] = []
        self.left_out = 0

    def add(self, path: str, probabilities: np.ndarray) -> None:
        """Add the photo at `path`, of which the network says `probabilities` (classes,)."""
        if len(self.shown) == MOST:
            self.left_out += 1
            return
        from thaw.explanation.gradcam import look, scale
        from thaw.explanation.sheets import Shown, fit

        file = pathlib.Path(path)
        pixels = prepare(file, self.predictor.size)[0][np.newaxis].astype(np.float32)
        heat = scale(look(self.halves, pixels).maps)[0]
        best = int(probabilities.argmax())
        lines = [show_name(file.name), f"{show_name(self.predictor.classes[best])} {100 * probabilities[best]:.1f} %"]
        self.shown.append(Shown(fit(read_picture(file).image), heat, lines))

    def save(self) -> None:
        """Write the picture, and say what is not in it; without a photo there is none."""
        from thaw.explanation.sheets import draw_sheet

        if self.shown:
            with publish(self.path) as scratch:
                scratch.write_bytes(draw_sheet(self.shown))
        if self.left_out:
            say(f"--explain: {show_name(self.path)} has the first {MOST} photos; {self.left_out:,} are left out")
