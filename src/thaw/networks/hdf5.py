"""Weights as HDF5 files, in the layouts of Keras: written as other files are, and checked when they are read."""

import pathlib
import warnings
from typing import Any

import h5py

from thaw.base.errors import DamagedFile
from thaw.base.files import MADE_AGAIN
from thaw.base.quiet import keras

BLOCK = 2**20  # bytes by which the file grows in memory


class _Memory(keras.src.saving.saving_lib.H5IOStore):
    """Keras's writer of HDF5 files, on a file that lies in memory alone."""

    def _get_h5_file(self, path_or_io: Any, mode: str | None = None) -> h5py.File:
        return h5py.File(path_or_io, mode or self.mode, driver="core", backing_store=False, block_size=BLOCK)

    def get_bytes(self) -> bytes:
        """Return what the file would hold on a disk."""
        self.h5_file.flush()  # which also gives back what was set aside for more
        image: bytes = self.h5_file.id.get_file_image()
        return image


def write_weights(model: keras.Model, path: pathlib.Path | str) -> None:
    """Write the weights of `model` at `path`, the bytes that ``model.save_weights`` writes at a path in .weights.h5.

    They are made in memory first: where a disk is full, HDF5 ends the process with a segmentation fault. Raises OSError
    where they cannot be written.
    """
    store = _Memory(pathlib.Path(path).name, mode="w")
    try:
        keras.src.saving.saving_lib._save_state(
            model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
        )
        content = store.get_bytes()
    finally:
        store.close()
    pathlib.Path(path).write_bytes(content)


def load_weights(model: keras.Model, path: pathlib.Path | str) -> None:
    """Give `model` the weights in a file that a stage wrote; raises DamagedFile where they are not those of it."""
    try:
        fit_weights(model, path)
    except ValueError as error:
        raise DamagedFile(f"{path}: must hold the weights of this network ({error}); {MADE_AGAIN}") from None


def fit_weights(model: keras.Model, path: pathlib.Path | str) -> None:
    """Give `model` the weights in the file at `path`; raises ValueError, in one line, where they are not those of it.

    The ending .weights.h5 tells the layout of Keras 3 from the older one, which the files of keras.applications have.
    Raises OSError where the file cannot be opened at all.
    """
    with open(path, "rb"):  # HDF5 would not tell a file that may not be read from a damaged one
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of each layer that is missing, before Keras raises an error
            model.load_weights(path)
    except MemoryError:
        raise
    except Exception as error:  # what h5py and Keras raise on damaged files is of many kinds
        raise ValueError(_shorten(error)) from None


def find_fault(path: pathlib.Path) -> str | None:
    """Return why the file at `path` is no whole HDF5 file, or None."""
    try:
        with h5py.File(path):
            return None
    except OSError as error:
        return f"must be an HDF5 file ({_shorten(error)})"


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
