"""One file over HTTP: within limits of time, and going on where it broke off if the server can do that."""

import io
import math
import os
import pathlib
import re
import time
from collections.abc import Iterator

import requests
import urllib3

from thaw.base.progress import track

WAITS = 10, 30  # seconds without an answer: to the request for a connection, and between two arrivals of bytes
# The time that a file may take: GRACE seconds, and one more for each SLOWEST bytes that have come. A file of 229 MB at
# that rate takes four hours.
GRACE, SLOWEST = 60, 2**14
LONGER = 1  # second, by which each try waits longer
BUSY = (408, 425, 429)  # and 500 and above: the server's state, perhaps for a moment only
STEP = 2**20  # bytes, of the progress that is shown


class TransferError(Exception):
    """A file could not be transferred; the text says why, and does not name the address."""


class _Broken(TransferError):
    """Another try may be worth it."""


class Transfer:
    """The transfer of the file at `url` to `path`, where its beginning may be.

    `checked` tells that the caller compares the whole file with a digest: its beginning may then be of an earlier
    process, and need not be of the same version. A connection that fails or breaks off and brings nothing new is tried
    `retries` times again.
    """

    def __init__(self, url: str, path: pathlib.Path, checked: bool, retries: int) -> None:
        self.url, self.path, self.checked, self.retries = url, path, checked, retries
        self.has_ranges = False  # whether the server has said that it sends parts of the file
        self.went_on = False  # whether what was there before was used
        self._version: str | None = None  # the server's name for the version that the beginning is of
        self._begin, self._received = time.monotonic(), 0

    def run(self) -> None:
        """Write the file; raises TransferError where that fails or takes too long. What came is in the file then."""
        failures, most = 0, 0
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        with requests.Session() as session, io.FileIO(descriptor, "r+") as file:
            while True:
                try:
                    return self._try(session, file)
                except _Broken as error:
                    size = _measure(file)
                    failures, most = 1 if size > most else failures + 1, max(most, size)
                    if failures > self.retries:
                        raise TransferError(str(error)) from None
                    time.sleep(failures * LONGER)

    def _try(self, session: requests.Session, file: io.FileIO) -> None:
        """Go on with the file, or begin it anew."""
        start = _measure(file) if self.checked or self._version else 0
        # A compressed answer would have another length, and parts of it would be no parts of the file.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": self._version} if self._version else {})
        try:
            with session.get(self.url, stream=True, timeout=WAITS, headers=headers) as response:
                if response.status_code != 206:
                    start = 0
                self._check_status(response, start, file)
                file.seek(start)
                file.truncate()
                self.went_on = self.went_on or start > 0
                length = response.headers.get("Content-Length", "")
                expected = start + int(length) if length.isdecimal() else None
                _check_room(file, expected)
                total = None if expected is None else math.ceil((expected - start) / STEP)
                for _ in track(self._receive(response, file), "download", total, "MiB"):
                    pass
        except requests.RequestException as error:
            kind = _Broken if isinstance(error, requests.ConnectionError | requests.Timeout) else TransferError
            raise kind(_explain(error)) from None
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            raise _Broken(_explain(error)) from None
        except ValueError as error:  # an address that is none
            raise TransferError(_explain(error)) from None
        if _measure(file) == 0 and not self.checked:
            raise TransferError("the server sent an empty file")

    def _check_status(self, response: requests.Response, start: int, file: io.FileIO) -> None:
        """Raise a TransferError unless the response has the file, or its part from `start` on."""
        status = response.status_code
        if status == 206:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
            whole = match is not None and match[3] in ("*", str(int(match[2]) + 1))
            if match is None or int(match[1]) != start or start == 0 or not whole:
                self._forget(file)
                raise _Broken("the server sent another part of the file than it was asked for")
        elif status != 200:
            if status == 416:  # the file has no such part: what is here is of another
                self._forget(file)
            kind = _Broken if status >= 500 or status in BUSY or status == 416 else TransferError
            raise kind(f"the server answered {status} {response.reason}")
        self.has_ranges = status == 206 or response.headers.get("Accept-Ranges", "").lower() == "bytes"
        version = response.headers.get("ETag", "")
        # A weak one may stay the same when bytes change.
        self._version = version if version and not version.startswith("W/") else None

    def _receive(self, response: requests.Response, file: io.FileIO) -> Iterator[None]:
        """Write the body of the response as it arrives; yield for each STEP bytes, and for the rest."""
        shown = 0
        while True:
            # Not `iter_content`, which waits for a full block, however slowly it fills.
            block = response.raw.read1(STEP, decode_content=False)
            if not block:
                break
            left = memoryview(block)
            while left:
                left = left[file.write(left) or 0 :]
            self._received += len(block)
            shown += len(block)
            while shown >= STEP:
                shown -= STEP
                yield
            if time.monotonic() - self._begin > GRACE + self._received / SLOWEST:
                raise TransferError(f"slower than {SLOWEST:,} bytes a second")
        if shown:
            yield

    def _forget(self, file: io.FileIO) -> None:
        file.truncate(0)
        self._version = None


def _measure(file: io.FileIO) -> int:
    return file.seek(0, io.SEEK_END)


def _check_room(file: io.FileIO, expected: int | None) -> None:
    """Raise a TransferError where the disk cannot hold what is still to come of so many bytes."""
    disk = os.fstatvfs(file.fileno())
    missing, room = (expected or 0) - _measure(file), disk.f_bavail * disk.f_frsize
    if missing > room:
        raise TransferError(f"it takes {missing:,} bytes more, and the disk has room for {room:,}")


def _explain(error: Exception) -> str:
    """Return in a few words why a request failed; its own text describes objects in memory."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError | urllib3.exceptions.ProtocolError | ConnectionError):
        return "the connection broke off before the end"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate cannot be verified"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return " ".join(str(error).split())
