"""A trained run as an object that predicts."""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import PIL.Image

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.quiet import keras
from thaw.comparison.results import rank_runs, read_results
from thaw.config.loading import load
from thaw.prediction.listing import list_files
from thaw.prediction.models import Predictor, load_run
from thaw.prediction.predicting import BATCH, predict, score_all

Photo = str | pathlib.Path | np.ndarray


class Model:
    """A trained run: `predict` takes photos, `keras` is the network itself."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def __repr__(self) -> str:
        return f"<thaw.Model {self.name}: {self.size} px, {', '.join(self.classes)}>"

    @property
    def name(self) -> str:
        """The name of the run."""
        return self._predictor.name

    @property
    def size(self) -> int:
        """Pixels, a side, of what the network takes."""
        return self._predictor.size

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the network's outputs."""
        return list(self._predictor.classes)

    @property
    def keras(self) -> keras.Model:
        """The Keras model: pixels (b, size, size, 3) float32 in [0, 255] -> logits (b, classes) float32.

        Of a run with `flip_test` it answers for the photo as it is; `predict` averages both mirror images.
        """
        assert self._predictor.network
        return self._predictor.network.model

    def predict(self, photos: Photo | Sequence[Photo]) -> pd.DataFrame:
        """Return a row for each photo: `file`, `class`, `probability`, and `p_CLASS`, the probability of each class.

        `photos` are paths of files or of folders (searched as `thaw predict` does), or arrays (h, w, 3) or
        (b, h, w, 3) in [0, 255]. Arrays of uint8 may have any size and are resized as photos are; others must be `size`
        pixels a side. `file` is None for an array. Raises InputError, with its name, for a photo that cannot be read,
        and for an array that is none of these.
        """
        given: list[Photo] = [photos] if isinstance(photos, Photo) else list(photos)
        arrays = [photo for photo in given if isinstance(photo, np.ndarray)]
        named = [str(photo) for photo in given if not isinstance(photo, np.ndarray)]
        if arrays and named:
            raise InputError("predict: must have paths or arrays (got both)")
        files: list[str | None] = []
        scores: list[np.ndarray] = []
        for array in arrays:
            pixels = self._fit(array)
            files += [None] * len(pixels)
            for start in range(0, len(pixels), BATCH):
                scores.extend(score_all(self._predictor, pixels[start : start + BATCH]))
        for found in predict(self._predictor, list_files(named, _refuse)):
            if found.probabilities is None:
                _refuse(str(found.source), str(found.reason))
            else:
                files.append(str(found.source))
                scores.append(found.probabilities)
        return self._tabulate(files, np.array(scores, np.float32).reshape(len(files), len(self.classes)))

    def _tabulate(self, files: list[str | None], scores: np.ndarray) -> pd.DataFrame:
        likeliest = [self.classes[i] for i in scores.argmax(axis=1)]
        table = {"file": pd.Series(files, dtype=object), "class": likeliest, "probability": scores.max(axis=1)}
        return pd.DataFrame({**table, **{f"p_{name}": scores[:, i] for i, name in enumerate(self.classes)}})

    def _fit(self, array: np.ndarray) -> np.ndarray:
        """Return `array` as pixels (b, size, size, 3); raises InputError where that cannot be done."""
        side, pixels = self.size, array[None] if array.ndim == 3 else array
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
            raise InputError(f"predict: an array must be (h, w, 3) or (b, h, w, 3) (got {array.shape})")
        if pixels.dtype == np.uint8:
            images = [PIL.Image.fromarray(image) for image in pixels]
            return np.stack([np.asarray(image.resize((side, side), PIL.Image.Resampling.BILINEAR)) for image in images])
        if pixels.shape[1:3] != (side, side):
            raise InputError(f"predict: an array must be uint8, or {side} pixels a side (got {array.shape})")
        if not (pixels.min() >= 0 and pixels.max() <= 255):
            raise InputError(f"predict: an array must lie in [0, 255] (got {pixels.min():g} to {pixels.max():g})")
        return pixels


def load_model(run: str | None = None, folder: str | pathlib.Path = ".") -> Model:
    """Return a trained run of the table at `folder`, the one of dvc.yaml; without a name the best on validation.

    Raises InputError where the table has no such run, where its weights are not here, with the command that brings
    them, and where they are damaged.
    """
    folder = pathlib.Path(folder)
    if run is None:
        run = rank_runs(read_results(load(folder / paths.PARAMS), folder))[0]
    return Model(load_run(run, folder))


def _refuse(path: str, reason: str) -> None:
    raise InputError(f"{path}: {reason}")
