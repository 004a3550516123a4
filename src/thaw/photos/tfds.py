"""Image classification datasets of TensorFlow Datasets (TFDS), with the bytes that their authors encoded."""

import hashlib
import pathlib
import re
import sys
import tarfile
from collections.abc import Iterator
from typing import Any

from thaw.base.errors import InputError
from thaw.photos.archive import read_archive
from thaw.photos.canonical import Credit, Photo
from thaw.photos.fetching import find_in_mirror
from thaw.photos.folder import read_class_folders
from thaw.photos.sections import Tfds

# What TFDS prepares differs in its bytes from run to run: kept for the next time, never an output.
CACHE = ".thaw/tfds"
# The name of the folder in THAW_MIRROR, where it is not that of the dataset: what the official archive unpacks to.
MIRRORS = {"tf_flowers": "flower_photos"}
# The datasets whose archive names who made the photos; TFDS keeps neither that nor the names of the files.
CREDITED = ("tf_flowers",)
TRIES = 4  # of a download that gets no connection; TFDS's ten take over three minutes


def read_photos(dataset: Tfds) -> Iterator[Photo]:
    """Yield a Photo for each example of `dataset`, from THAW_MIRROR where that has the dataset's class folders.

    Raises InputError where TFDS has no such dataset, cannot download it, or it is none of classified images.
    """
    name = re.split(r"\W", dataset.name, maxsplit=1)[0]
    mirrored = find_in_mirror(MIRRORS.get(name, name))
    if mirrored is not None:
        yield from read_class_folders(mirrored, f"THAW_MIRROR: {mirrored.name}")
        return
    # Slow to import, and no other source needs it.
    import tensorflow_datasets as tfds

    builder = _find_builder(tfds, dataset.name)
    _prepare(tfds, builder, dataset.name)
    decoders = tfds.decode.PartialDecoding(
        {"image": True, "label": True}, decoders={"image": tfds.decode.SkipDecoding()}
    )
    credits = _find_credits(builder.name)
    names = builder.info.features["label"]
    for split in sorted(builder.info.splits):
        examples = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False))
        for position, example in enumerate(examples):
            # TFDS marks an example without a label by -1.
            label = names.int2str(int(example["label"])) if example["label"] >= 0 else None
            credit = credits.get(hashlib.sha256(example["image"]).digest())
            yield Photo(label, example["image"], f"{split}[{position}]", credit)


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

    downloader.MAX_RETRIES = TRIES
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    causes = tfds.download.DownloadError, download_manager.NonMatchingChecksumError
    try:
        # From the authors' own server: TFDS's copy on Google Cloud would be one more address that has to be reached.
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except requests.ConnectionError:
        raise InputError(
            f"params.yaml: dataset.name: {name} could not be downloaded: no connection to the server; THAW_MIRROR may "
            f"name a folder that holds its class folders in {MIRRORS.get(builder.name, builder.name)}/"
        ) from None
    except (*causes, OSError, AssertionError, ImportError) as error:
        # Also: files that must be fetched by hand, a package that this dataset alone needs, a wrong checksum.
        raise InputError(
            f"params.yaml: dataset.name: {name} could not be prepared: {' '.join(str(error).split())[:300]}"
        ) from None
