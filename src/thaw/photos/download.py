"""Where photos come from: one interface, and one canonical layout out."""

import collections
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from thaw.base.errors import InputError
from thaw.base.files import publish, write_table
from thaw.base.progress import say, track
from thaw.photos import archive, folder, sample, tfds
from thaw.photos.canonical import Credit, Photo, find_ending, name_folder
from thaw.photos.given import check_copies
from thaw.photos.sections import Dataset
from thaw.pictures.decoding import read_size
from thaw.pictures.formats import NAMES, explain_unread

# `source` of a Dataset -> what yields the Photos of that Dataset.
SOURCES: dict[str, Callable[[Any], Iterator[Photo]]] = {
    "tfds": tfds.read_photos,
    "archive": archive.read_photos,
    "folder": folder.read_photos,
    "sample": sample.read_photos,
}
COLUMNS = ["class", "id", "sha256", "file", "bytes", "width", "height", "copies"]
MOST_SAID = 20  # classes with rejected files, a line for each


class Rejected(NamedTuple):
    """A file that is not taken in."""

    label: str | None  # its class
    file: str  # what the source calls it
    got: str  # the format that is not read, or another word for what it is


def download(
    dataset: Dataset, raw: str | pathlib.Path, credits: str | pathlib.Path, names: str | pathlib.Path
) -> dict[str, Any]:
    """Write the photos of `dataset` to the folder `raw`, who made them to the file `credits`; return the metrics.

    What they were called goes to the file `names`.

    The folder holds ``photos/CLASS/ID.jpg``, ``.png``, ``.webp``, ``.avif`` or ``.heic``, the original bytes, ID being
    the first 16 hex digits of their sha256; and ``manifest.csv``, a row for each of these files, by class and id:
    class, id, sha256, file, bytes, width and height in pixels (empty where no header can be read), and copies, how
    often the same bytes came under this class. The same photos give the same folder from whatever source, in whatever
    order they come.

    `credits` has a row for each photo whose author the source names, in the order of the manifest: file (as in the
    manifest), author, licence and url, the fields of a Credit. It is apart because sources differ in what they name,
    and no training depends on it. So is `names`, a row for each file that the source names, copies included, by id and
    name: id, name (the path below the folder of the photos), and where the source gives them part and group.

    What is not read is rejected and said on stderr. Raises InputError for a source that delivers no photos of two
    classes, a class of which nothing can be read or that cannot name a folder, or a digest other than the one that
    `dataset.digest` pins, or the same photo in two parts; all places are then as they were.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}  # by class and sha256
    credited: dict[tuple[str, str], Credit] = {}
    files: list[tuple[tuple[str, str], Photo]] = []  # by class and sha256, without the content
    delivered: collections.Counter[str | None] = collections.Counter()
    rejected: list[Rejected] = []
    with publish(raw) as scratch:
        for photo in track(SOURCES[dataset.source](dataset), "download", None, "photos"):
            label = None if photo.label is None else name_folder(photo.label)
            delivered[label] += 1
            ending = find_ending(photo.content)
            if ending is None or label is None:
                got = explain_unread(photo.content) if ending is None else "no label"
                rejected.append(Rejected(label, photo.name, got))
                continue
            sha256 = hashlib.sha256(photo.content).hexdigest()
            if photo.credit is not None and any(photo.credit):
                # Copies may come with other names, in any order: the first in the alphabet counts.
                credited[label, sha256] = min(photo.credit, credited.get((label, sha256), photo.credit))
            if photo.file is not None:
                files.append(((label, sha256), photo._replace(content=b"")))
            if (label, sha256) in rows:
                rows[label, sha256]["copies"] += 1
                continue
            file = f"photos/{label}/{sha256[:16]}{ending}"
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            (scratch / file).write_bytes(photo.content)
            width, height = read_size(photo.content)
            values = (label, sha256[:16], sha256, file, len(photo.content), width, height, 1)
            rows[label, sha256] = dict(zip(COLUMNS, values, strict=True))
        manifest = pd.DataFrame([rows[key] for key in sorted(rows)], columns=COLUMNS)
        manifest = manifest.astype({"width": "Int64", "height": "Int64"})
        _check_rejected(rejected, delivered)
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
        check_copies(files, "params.yaml: dataset")
        write_table(scratch / "manifest.csv", manifest)
    write_table(names, _tabulate_names(files))
    listed = [(rows[key]["file"], *credited[key]) for key in sorted(credited)]
    write_table(credits, pd.DataFrame(listed, columns=["file", *Credit._fields]))
    classes = manifest.groupby("class")["copies"].sum()
    return {
        "download": {
            "photos": int(classes.sum()),  # as they came, copies included
            "classes": {name: int(count) for name, count in sorted(classes.items())},
            "digest": digest,
            "credited": len(credited),  # distinct photos whose author is known
            "duplicates": {
                # deliveries beyond the first of the same bytes under the same class
                "within_a_class": int((manifest["copies"] - 1).sum()),
                # different bytes that came under two classes or more
                "across_classes": int((manifest.groupby("sha256")["class"].nunique() > 1).sum()),
            },
            "rejected": [_describe(fault) for fault in sorted(rejected, key=lambda fault: fault.file)],
        }
    }


def digest_photos(manifest: pd.DataFrame) -> str:
    """Return the identity of a dataset: the sha256 of the sorted lines ``CLASS/SHA256/COPIES`` of its manifest."""
    lines = sorted(
        f"{name}/{sha256}/{copies}\n"
        for name, sha256, copies in zip(manifest["class"], manifest["sha256"], manifest["copies"], strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _tabulate_names(files: Sequence[tuple[tuple[str, str], Photo]]) -> pd.DataFrame:
    """Return the table of names of `files` ((class, sha256), its Photo)."""
    rows = sorted((sha256[:16], str(photo.file), photo.part or "", photo.group or "") for (_, sha256), photo in files)
    table = pd.DataFrame(rows, columns=["id", "name", "part", "group"])
    return table.drop(columns=[name for name in ("part", "group") if not table[name].any()])


def _describe(fault: Rejected) -> dict[str, str]:
    """Return the entry of metrics/download.json for a rejected file."""
    return {"file": fault.file, "reason": f"must be {NAMES} (got {fault.got})" if fault.label else "has no label"}


def _check_rejected(rejected: Sequence[Rejected], delivered: Mapping[str | None, int]) -> None:
    """Say on stderr what was rejected, of `delivered` files by class.

    Raises InputError for a class of which every file was.
    """
    by_class: dict[str | None, list[Rejected]] = {}
    for fault in rejected:
        by_class.setdefault(fault.label, []).append(fault)
    for number, (label, faults) in enumerate(by_class.items()):
        counts = collections.Counter(fault.got for fault in faults)
        got = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        if label is not None and len(faults) == delivered[label]:
            raise InputError(
                f"params.yaml: dataset: must have a photo in {NAMES} for each class "
                f"(got {got} for '{label}', the first of them {faults[0].file})"
            )
        if number < MOST_SAID:
            place = "without a class" if label is None else label
            line = f"{len(faults)} of {delivered[label]} files rejected: {got}; the first is {faults[0].file}"
            say(f"download: {place}: {line}")
    if len(by_class) > MOST_SAID:
        say(f"download: files of {len(by_class) - MOST_SAID} more classes rejected")
