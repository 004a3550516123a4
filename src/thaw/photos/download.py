"""Where photos come from: one interface, and one canonical layout out."""

import hashlib
import io
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from PIL import Image

from thaw.base.errors import InputError
from thaw.base.files import publish, write_table
from thaw.base.progress import track
from thaw.photos import archive, folder, sample, tfds
from thaw.photos.canonical import Credit, Photo, find_ending, name_folder
from thaw.photos.sections import Dataset

# `source` of a Dataset -> what yields the Photos of that Dataset.
SOURCES: dict[str, Callable[[Any], Iterator[Photo]]] = {
    "tfds": tfds.read_photos,
    "archive": archive.read_photos,
    "folder": folder.read_photos,
    "sample": sample.read_photos,
}
COLUMNS = ["class", "id", "sha256", "file", "bytes", "width", "height", "copies"]


def download(dataset: Dataset, raw: str | pathlib.Path, credits: str | pathlib.Path) -> dict[str, Any]:
    """Write the photos of `dataset` to the folder `raw`, who made them to the file `credits`; return the metrics.

    The folder holds ``photos/CLASS/ID.jpg`` or ``.png``, the original bytes, ID being the first 16 hex digits of their
    sha256; and ``manifest.csv``, a row for each of these files, by class and id: class, id, sha256, file, bytes, width
    and height in pixels (empty where no header can be read), and copies, how often the same bytes came under this
    class. The same photos give the same folder from whatever source, in whatever order they come.

    The file has a row for each photo whose author the source names, in the order of the manifest: file (as in the
    manifest), author, licence and url, the fields of a Credit. It is apart because sources differ in what they name,
    and no training depends on it.

    Raises InputError for a source that delivers no photos of two classes, a class that cannot name a folder, or a
    digest other than the one that `dataset.digest` pins; both places are then as they were.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}  # by class and sha256
    named: dict[tuple[str, str], Credit] = {}
    rejected: list[dict[str, str]] = []
    with publish(raw) as scratch:
        for photo in track(SOURCES[dataset.source](dataset), "download", None, "photos"):
            ending = find_ending(photo.content)
            if ending is None or photo.label is None:
                reason = "has no label" if photo.label is None else "is neither JPEG nor PNG"
                rejected.append({"file": photo.name, "reason": reason})
                continue
            label, sha256 = name_folder(photo.label), hashlib.sha256(photo.content).hexdigest()
            if photo.credit is not None and any(photo.credit):
                # Copies may come with other names, in any order: the first in the alphabet counts.
                named[label, sha256] = min(photo.credit, named.get((label, sha256), photo.credit))
            if (label, sha256) in rows:
                rows[label, sha256]["copies"] += 1
                continue
            file = f"photos/{label}/{sha256[:16]}{ending}"
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            (scratch / file).write_bytes(photo.content)
            width, height = _read_size(photo.content)
            values = (label, sha256[:16], sha256, file, len(photo.content), width, height, 1)
            rows[label, sha256] = dict(zip(COLUMNS, values, strict=True))
        manifest = pd.DataFrame([rows[key] for key in sorted(rows)], columns=COLUMNS)
        manifest = manifest.astype({"width": "Int64", "height": "Int64"})
        if manifest["class"].nunique() < 2:
            raise InputError(
                f"params.yaml: dataset: must have photos of two classes at least "
                f"(got {len(manifest)} photos of {manifest['class'].nunique()}, {len(rejected)} files rejected)"
            )
        digest = digest_photos(manifest)
        if dataset.digest not in (None, digest):
            raise InputError(
                f"params.yaml: dataset.digest: must be the digest of the photos that came, {digest} "
                f"(got {dataset.digest})"
            )
        write_table(scratch / "manifest.csv", manifest)
    listed = [(rows[key]["file"], *named[key]) for key in sorted(named)]
    write_table(credits, pd.DataFrame(listed, columns=["file", *Credit._fields]))
    classes = manifest.groupby("class")["copies"].sum()
    return {
        "download": {
            "photos": int(classes.sum()),  # as they came, copies included
            "classes": {name: int(count) for name, count in sorted(classes.items())},
            "digest": digest,
            "credited": len(named),  # distinct photos whose author is known
            "duplicates": {
                # deliveries beyond the first of the same bytes under the same class
                "within_a_class": int((manifest["copies"] - 1).sum()),
                # different bytes that came under two classes or more
                "across_classes": int((manifest.groupby("sha256")["class"].nunique() > 1).sum()),
            },
            "rejected": sorted(rejected, key=lambda fault: fault["file"]),
        }
    }


def digest_photos(manifest: pd.DataFrame) -> str:
    """Return the identity of a dataset: the sha256 of the sorted lines ``CLASS/SHA256/COPIES`` of its manifest."""
    lines = sorted(
        f"{name}/{sha256}/{copies}\n"
        for name, sha256, copies in zip(manifest["class"], manifest["sha256"], manifest["copies"], strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read_size(content: bytes) -> tuple[int, int] | tuple[None, None]:
    """Return width and height in pixels, from the header alone, or twice None where it cannot be read."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except Exception:  # Pillow's readers of damaged files raise errors of many kinds
        return None, None
