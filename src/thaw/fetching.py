"""Files from the web, or from the mirror that the environment variable THAW_MIRROR names."""

import hashlib
import os
import pathlib
import sys

import pooch
import requests

from thaw.params import InputError

RETRIES = 2  # after a connection that failed or broke off; pooch waits a second longer before each
CHUNK = 2**16  # bytes

pooch.get_logger().setLevel("WARNING")


def fetch(url, digest, mirror, folder):
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

    def download(url, file, cache):
        print(f"download: {url}", file=sys.stderr, flush=True)
        try:
            pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=CHUNK)(url, file, cache)
        except requests.HTTPError as error:
            status = error.response.status_code
            if status >= 500:
                raise  # the server's trouble, perhaps a passing one: pooch tries again
            raise InputError(f"{url}: the server answered {status} {error.response.reason}; {hint}") from None
        if digest is not None and _hash_as(file, digest) != digest.lower():
            raise InputError(f"{url}: must be the file of digest {digest} (got {_hash_as(file, digest)})")

    cache = pooch.create(
        folder, base_url="", registry={name: digest and digest.lower()}, urls={name: url}, retry_if_failed=RETRIES
    )
    try:
        return pathlib.Path(cache.fetch(name, downloader=download)), True
    except requests.RequestException as error:
        raise InputError(f"{url}: cannot be downloaded: {_explain(error)}; {hint}") from None


def find_in_mirror(path):
    """Return where THAW_MIRROR holds `path`, or None; raises InputError where the variable names no folder."""
    mirror = os.environ.get("THAW_MIRROR")
    if not mirror:
        return None
    folder = pathlib.Path(mirror).expanduser()
    if not folder.is_dir():
        raise InputError(f"THAW_MIRROR: must name a folder (got '{mirror}')")
    return folder / path if (folder / path).exists() else None


def _hash_as(path, digest):
    """Return the digest of the file at `path`, of the kind that `digest` is."""
    algorithm = digest.split(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def _explain(error):
    """Return in a few words what a failed request met; its own text goes on about objects in memory."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return " ".join(str(error).split())
