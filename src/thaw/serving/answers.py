"""What a network says of one photo."""

import base64
import io
import threading
from typing import NamedTuple

import numpy as np
import PIL.Image

from thaw.pictures.decoding import read_picture
from thaw.pictures.preparing import prepare
from thaw.prediction.models import Predictor
from thaw.prediction.predicting import Guess, rank, score_all

SIDE, QUALITY = 480, 80  # pixels, the longer side of what the page shows, and its JPEG quality


class Answer(NamedTuple):
    """What the page shows of a photo."""

    guesses: list[Guess]  # of every class, the likeliest first
    photo: str  # an address of the form data:, of a JPEG file that carries nothing but the picture
    overlay: str | None  # the same, under the map of the likeliest class; None for an export
    note: str | None  # what had to be converted


class Answering:
    """A network that answers one photo at a time, whatever the thread."""

    def __init__(self, predictor: Predictor) -> None:
        """Have `predictor` answer; raises InputError where it gives no numbers, as after a training that diverged."""
        self.predictor = predictor
        self._held = threading.Lock()  # photos of 100 megapixels each would take the memory
        self._halves = None
        if predictor.network is not None:
            from thaw.explanation.gradcam import halve  # loads TensorFlow, which an export may do without

            self._halves = halve(predictor.network)
        score_all(predictor, np.zeros((1, predictor.size, predictor.size, 3), np.float32))

    def answer(self, content: bytes) -> Answer:
        """Return the Answer to the picture file `content`; raises UnreadablePicture, with the reason."""
        with self._held:
            pixels, note = prepare(content, self.predictor.size)
            photo = read_picture(content, least=2 * SIDE).image
            photo.thumbnail((SIDE, SIDE))
            guesses = rank(
                score_all(self.predictor, pixels[np.newaxis])[0], self.predictor.classes, len(self.predictor.classes)
            )
            return Answer(guesses, _pack(photo), self._draw_overlay(photo, pixels), note)

    def _draw_overlay(self, photo: PIL.Image.Image, pixels: np.ndarray) -> str | None:
        if self._halves is None:
            return None
        from thaw.explanation.gradcam import look, scale
        from thaw.explanation.overlays import lay_over

        heat = scale(look(self._halves, pixels[np.newaxis].astype(np.float32)).maps)[0]
        return _pack(lay_over(photo, heat))


def _pack(photo: PIL.Image.Image) -> str:
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=QUALITY, comment=b"")
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
