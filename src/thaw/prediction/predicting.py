"""Photos scored as they are read: threads decode the next ones while the network scores."""

import concurrent.futures
import contextlib
import os
import pathlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from thaw.base.errors import InputError
from thaw.photos.folder import LARGEST
from thaw.pictures.decoding import UnreadablePicture
from thaw.pictures.preparing import prepare
from thaw.prediction.models import Predictor

BATCH = 32
PATIENCE = 0.2  # seconds without a further path after which a batch that is not full is scored

Source = str | pathlib.Path


class Prediction(NamedTuple):
    """What a network says of a photo."""

    source: Source  # the path, as it was given
    probabilities: np.ndarray | None  # (classes,) float32; None where the photo cannot be read
    reason: str | None  # why it cannot be read


class Guess(NamedTuple):
    """A class, and how sure the network is of it."""

    label: str
    probability: float  # in [0, 1]


def predict(predictor: Predictor, sources: Iterable[Source], batch: int = BATCH) -> Iterator[Prediction]:
    """Yield a Prediction of each photo of `sources` (paths), in their order, scored by so many at once.

    `sources` is read by a thread, and a photo is scored at the latest PATIENCE seconds after its path came, whether or
    not another one comes: it may be a stream. At most three batches are held. What `sources` raises is raised here.
    Raises InputError where the network gives no numbers.
    """
    waiting: queue.Queue[_Waiting] = queue.Queue(2 * batch)
    stop = threading.Event()
    # A photo takes far less to decode than to score: half the cores keep up, and the network waits less for the others.
    with concurrent.futures.ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        reader = threading.Thread(target=_read_ahead, args=(sources, predictor.size, pool, waiting, stop), daemon=True)
        reader.start()
        try:
            ended = False
            while not ended:
                taken, ended = _take(waiting, batch)
                yield from _score(predictor, taken)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def rank(probabilities: np.ndarray, classes: list[str], top: int = 1) -> list[Guess]:
    """Return the `top` likeliest classes of `probabilities` (classes,), the likeliest first; of equals the first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [Guess(classes[i], float(probabilities[i])) for i in order]


class _Waiting(NamedTuple):
    """A photo that is being decoded, or how `sources` ended."""

    source: Source | None  # None at the end
    pixels: "concurrent.futures.Future[np.ndarray] | None"
    error: BaseException | None = None  # that ended `sources`


def _read_ahead(
    sources: Iterable[Source],
    size: int,
    pool: concurrent.futures.Executor,
    waiting: queue.Queue[_Waiting],
    stop: threading.Event,
) -> None:
    """Have `pool` decode the photos of `sources` and put them on the queue, until `stop`."""

    def put(item: _Waiting) -> None:
        while not stop.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                pass

    try:
        for source in sources:
            if stop.is_set():
                return
            put(_Waiting(source, pool.submit(_decode, source, size)))
    except BaseException as error:  # it is raised where it is waited for
        put(_Waiting(None, None, error))
    else:
        put(_Waiting(None, None))


def _decode(source: Source, size: int) -> np.ndarray:
    path = pathlib.Path(source)
    if path.stat().st_size > LARGEST:
        raise UnreadablePicture(f"has more than {LARGEST:,} bytes")
    return prepare(path, size)[0]


def _take(waiting: queue.Queue[_Waiting], batch: int) -> tuple[list[_Waiting], bool]:
    """Return up to `batch` photos of the queue, and whether they are the last ones."""
    taken = [_wait(waiting)]
    while len(taken) < batch and taken[-1].source is not None:
        try:
            taken.append(waiting.get(timeout=PATIENCE))
        except queue.Empty:
            break
    if taken[-1].source is not None:
        return taken, False
    end = taken.pop()
    if end.error:
        raise end.error
    return taken, True


def _wait(waiting: queue.Queue[_Waiting]) -> _Waiting:
    """Return the next photo of the queue, whenever it comes."""
    while True:
        # Not without a limit: Python would keep an interrupt that comes just before until there is a photo.
        with contextlib.suppress(queue.Empty):
            return waiting.get(timeout=PATIENCE)


def _score(predictor: Predictor, taken: list[_Waiting]) -> Iterator[Prediction]:
    """Yield a Prediction of each photo."""
    reasons: list[str | None] = []
    pixels = []
    for photo in taken:
        assert photo.pixels
        try:
            pixels.append(photo.pixels.result())
            reasons.append(None)
        except UnreadablePicture as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(error.strerror or str(error))
    scores = iter(score_all(predictor, np.stack(pixels)) if pixels else ())
    for photo, reason in zip(taken, reasons, strict=True):
        assert photo.source is not None
        yield Prediction(photo.source, next(scores) if reason is None else None, reason)


def score_all(predictor: Predictor, pixels: np.ndarray) -> np.ndarray:
    """Return the probabilities (b, classes) float32 of pixels (b, size, size, 3) in [0, 255].

    Raises InputError where one is no number, as of a run whose loss went to infinity.
    """
    probabilities = predictor.score(pixels)
    if not np.isfinite(probabilities).all():
        raise InputError(f"{predictor.name}: must give probabilities (got NaN): its training went to infinity")
    return probabilities
