"""Image classification datasets of TensorFlow Datasets (TFDS), with the bytes that their authors encoded."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from thaw.base.errors import InputError
from thaw.base.files import digest_of
from thaw.base.progress import say
from thaw.photos.archive import read_archive
from thaw.photos.canonical import Credit, Photo
from thaw.photos.fetching import DOWNLOADS, download_file, find_in_mirror, own
from thaw.photos.folder import read_class_folders
from thaw.photos.places import show_name
from thaw.photos.sections import Tfds

# What TFDS prepares differs in its bytes from run to run: kept for the next time, never an output.
CACHE = ".thaw/tfds"
# The name of the folder in THAW_MIRROR, where it is not that of the dataset: what the official archive unpacks to.
MIRRORS = {"tf_flowers": "flower_photos"}
# The datasets whose archive names who made the photos; TFDS keeps neither that nor the names of the files.
CREDITED = ("tf_flowers",)
# Features that hold the name of the file which a photo was, in the datasets of TFDS 4.9 that have one.
FILE_NAMES = ("file_name", "filename", "image/filename", "image/file_name")
TRIES = 4  # of a download by TFDS itself that gets no connection; its ten take over three minutes
# What a process that was killed leaves in CACHE: what TFDS was downloading, unpacking, writing and preparing.
REMAINS = ("downloads/*.tmp.*", "downloads/*/*.tmp.*", "*/incomplete.*", "*/*/incomplete.*")


def read_photos(dataset: Tfds) -> Iterator[Photo]:
    """Yield a Photo for each example of `dataset`, from THAW_MIRROR where that has the dataset's class folders.

    Raises InputError where TFDS has no such dataset, cannot download it, or it is none of classified images.
    """
    name = re.split(r"\W", dataset.name, maxsplit=1)[0]
    mirrored = find_in_mirror(MIRRORS.get(name, name))
    if mirrored is not None:
        for photo in read_class_folders(mirrored, f"THAW_MIRROR: {mirrored.name}"):
            yield photo._replace(file=None)  # what TFDS delivers of most datasets has no names
        return
    # Slow to import, and no other source needs them. TFDS loads TensorFlow, which must come with its own settings.
    import tensorflow_datasets as tfds

    import thaw.base.quiet  # noqa: F401

    pathlib.Path(CACHE).mkdir(parents=True, exist_ok=True)
    with own(pathlib.Path(f"{CACHE}.lock")):
        for pattern in REMAINS:
            for path in pathlib.Path(CACHE).glob(pattern):
                _remove(path)
        builder = _open_cache(tfds, dataset.name)
        _prepare(tfds, builder, dataset.name)
    yield from _read_prepared(tfds, builder, dataset.name)


def _read_prepared(tfds: Any, builder: Any, name: str) -> Iterator[Photo]:
    """Yield the Photos of a dataset that is prepared; what is damaged goes, so that the next start makes it again."""
    from thaw.base.quiet import tf

    named = next((feature for feature in FILE_NAMES if feature in builder.info.features), None)
    taken = {"image": True, "label": True} | ({named: True} if named else {})
    decoders = tfds.decode.PartialDecoding(taken, decoders={"image": tfds.decode.SkipDecoding()})
    try:
        credits = _find_credits(builder.name)
        names = builder.info.features["label"]
        for split in sorted(builder.info.splits):
            examples = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False))
            for position, example in enumerate(examples):
                # TFDS marks an example without a label by -1.
                label = names.int2str(int(example["label"])) if example["label"] >= 0 else None
                credit = credits.get(hashlib.sha256(example["image"]).digest())
                file = show_name(os.fsdecode(example[named])) if named else None
                yield Photo(label, example["image"], f"{split}[{position}]", credit, file)
    except (tf.errors.OpError, InputError, IndexError) as error:  # the last: of a label that has no name
        _remove(pathlib.Path(builder.data_dir))
        _drop_damaged(builder)
        raise InputError(
            f"{CACHE}: {name} cannot be read: {_shorten(error)}; what is damaged was removed and is made again by the "
            f"next run"
        ) from None


def _open_cache(tfds: Any, name: str) -> Any:
    """Return TFDS's builder of the dataset `name`, which may be prepared; raises InputError as `_find_builder` does."""
    try:
        return _find_builder(tfds, name)
    except Exception as error:  # TFDS has no one kind for what it prepared and cannot read
        dataset, version = name.split(":")
        prepared = [path for path in pathlib.Path(CACHE, dataset).glob(f"**/{version}") if path.is_dir()]
        if not prepared:
            raise
        say(f"{CACHE}: {name} cannot be read ({_shorten(error)}); it is made again")
        for path in prepared:
            _remove(path)
        return _find_builder(tfds, name)


def _find_builder(tfds: Any, name: str) -> Any:
    """Return TFDS's builder of the dataset `name`; raises InputError unless it has an image and a class label."""
    try:
        builder = tfds.builder(name, data_dir=CACHE)
    except (ValueError, AssertionError, ImportError) as error:
        reason = str(error).strip().split("\n")[0].split('}": ')[-1]
        raise InputError(f"params.yaml: dataset.name: must be a dataset of TFDS: {reason} (got '{name}')") from None
    features = builder.info.features
    features = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    needed = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    for feature, kind in needed.items():
        if not isinstance(features.get(feature), kind):
            raise InputError(
                f"params.yaml: dataset.name: must be a dataset with the features image (Image) and label (ClassLabel) "
                f"(got '{name}' with {', '.join(sorted(features)) or 'none'})"
            )
    return builder


def _find_credits(name: str) -> dict[bytes, Credit | None]:
    """Return {sha256 of a photo: Credit} from the archive that TFDS downloaded for dataset `name`, if it names any."""
    if name not in CREDITED:
        return {}
    credits: dict[bytes, Credit | None] = {}
    # TFDS writes FILE.INFO beside a FILE that came whole.
    for info in sorted(pathlib.Path(CACHE, "downloads", name).rglob("*.INFO")):
        path = info.with_suffix("")
        if path.is_file() and tarfile.is_tarfile(path):
            for photo in read_archive(path, f"{CACHE}: {path.name}"):
                credits[hashlib.sha256(photo.content).digest()] = photo.credit
    return credits


def _prepare(tfds: Any, builder: Any, name: str) -> None:
    """Have TFDS download the dataset and prepare it in CACHE, unless it is there."""
    import requests
    from tensorflow_datasets.core.download import download_manager, downloader

    from thaw.base.quiet import tf

    downloader.MAX_RETRIES = TRIES
    download_manager.get_downloader = _make_downloader(downloader, builder.url_infos or {})
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    hint = f"THAW_MIRROR may name a folder that holds its class folders in {MIRRORS.get(builder.name, builder.name)}/"
    causes = tfds.download.DownloadError, download_manager.NonMatchingChecksumError, tf.errors.OpError
    try:
        # From the authors' own server: TFDS's copy on Google Cloud would be one more address that has to be reached.
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except InputError as error:  # of `download_file`
        raise InputError(f"params.yaml: dataset.name: {name} could not be downloaded: {error}; {hint}") from None
    except requests.ConnectionError:
        raise InputError(
            f"params.yaml: dataset.name: {name} could not be downloaded: no connection to the server; {hint}"
        ) from None
    except (*causes, OSError, AssertionError, ImportError) as error:
        # Also: files that must be fetched by hand, a package that this dataset alone needs, a wrong checksum.
        _drop_damaged(builder)
        raise InputError(f"params.yaml: dataset.name: {name} could not be prepared: {_shorten(error)}") from None


def _make_downloader(downloader: Any, known: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what makes TFDS's downloader, with `download_file` for the files whose checksums are `known`.

    TFDS's own requests have no time limit and begin anew each time.
    """

    class Downloader(downloader._Downloader):
        def _sync_download(self, url: str, destination_path: Any, verify: bool = True) -> Any:
            info = known.get(url)
            if info is None or not info.filename or not url.startswith("http") or downloader._DRIVE_URL.match(url):
                return super()._sync_download(url, destination_path, verify)
            path = destination_path / info.filename
            download_file(url, f"sha256:{info.checksum}", info.filename, DOWNLOADS).rename(path)
            self._pbar_url.update(1)
            return downloader.DownloadResult(path=path, url_info=info)

    return Downloader


def _drop_damaged(builder: Any) -> None:
    """Remove what was downloaded for the dataset and is not known to be right: TFDS would take it again."""
    known = {info.checksum for info in (builder.url_infos or {}).values()}
    for info in pathlib.Path(CACHE, "downloads", builder.name).rglob("*.INFO"):
        path = info.with_suffix("")
        if not path.is_file() or digest_of(path) not in known:
            _remove(path)
            _remove(info)


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _remove(path: pathlib.Path) -> None:
    """Remove the file or folder at `path`, if there is one and it can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
