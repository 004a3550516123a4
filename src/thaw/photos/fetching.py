"""Files from the web, or from the mirror that the environment variable THAW_MIRROR names."""

import hashlib
import os
import pathlib
import sys
from typing import Any

import pooch
import requests

from thaw.base.errors import InputError

DOWNLOADS = ".thaw/downloads"  # where files are kept for the next time
RETRIES = 2  # after a connection that failed or broke off; pooch waits a second longer before each
CHUNK = 2**16  # bytes

pooch.get_logger().setLevel("WARNING")


def fetch(url: str, digest: str | None, mirror: str, folder: str | pathlib.Path) -> tuple[pathlib.Path, bool]:
    """Return `(path, official)` of the file at `url`: from the mirror, else from `folder`, else downloaded into it.

    `digest` is ``sha256:HEX``, ``md5:HEX``, or None where nobody publishes one; `mirror` is the file's path in
    THAW_MIRROR. What is downloaded always matches the digest and is official. What a mirror holds is official when it
    matches; where it does not, or there is no digest to compare with, the caller decides what it is good for.

    Raises InputError where THAW_MIRROR names no folder, the file cannot be downloaded or does not match the digest.
    """
    found = find_in_mirror(mirror)
    if found is not None:
        return found, digest is not None and _hash_as(found, digest) == digest.lower()
    # Two addresses may end in the same file name.
    name = hashlib.sha256(url.encode()).hexdigest()[:16] + "-" + pathlib.PurePosixPath(mirror).name
    hint = f"without a network, THAW_MIRROR may name a folder that holds {mirror}"

    def download(url: str, file: str, cache: Any) -> None:
        print(f"download: {url}", file=sys.stderr, flush=True)
        try:
            pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=CHUNK)(url, file, cache)
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code >= 500:
                raise  # the server's fault, perhaps for a moment only: pooch tries again
            raise InputError(f"{url}: {_explain(error)}; {hint}") from None
        if digest is not None and _hash_as(file, digest) != digest.lower():
            raise InputError(f"{url}: must be the file of digest {digest} (got {_hash_as(file, digest)})")

    cache = pooch.create(
        folder, base_url="", registry={name: digest and digest.lower()}, urls={name: url}, retry_if_failed=RETRIES
    )
    try:
        return pathlib.Path(cache.fetch(name, downloader=download)), True
    except requests.RequestException as error:
        raise InputError(f"{url}: cannot be downloaded: {_explain(error)}; {hint}") from None


def find_in_mirror(path: str) -> pathlib.Path | None:
    """Return where THAW_MIRROR holds `path`, or None; raises InputError where the variable names no folder."""
    mirror = os.environ.get("THAW_MIRROR")
    if not mirror:
        return None
    folder = pathlib.Path(mirror).expanduser()
    if not folder.is_dir():
        raise InputError(f"THAW_MIRROR: must name a folder (got '{mirror}')")
    return folder / path if (folder / path).exists() else None


def _hash_as(path: str | pathlib.Path, digest: str) -> str:
    """Return the digest of the file at `path`, of the kind that `digest` is."""
    algorithm = digest.split(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def _explain(error: requests.RequestException) -> str:
    """Return in a few words why a request failed; its own text describes objects in memory."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return " ".join(str(error).split())
