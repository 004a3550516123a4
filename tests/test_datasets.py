import contextlib
import functools
import hashlib
import http.server
import io
import os
import pathlib
import tarfile
import threading
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pandas as pd
import pydantic
import pytest
from PIL import Image

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import read_table
from thaw.base.sections import validate
from thaw.photos import download
from thaw.photos.canonical import Credit, Photo, find_ending, name_folder
from thaw.photos.places import find_kind, scan
from thaw.photos.sections import Archive, Dataset, Folder, Sample, Tfds
from thaw.split.parts import read_manifest

TESTS = pathlib.Path(__file__).parent


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Every test works in an empty folder, without a mirror."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    return tmp_path


def encode(level: int, kind: str = "JPEG", size: tuple[int, int] = (12, 8)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(stream, kind)
    return stream.getvalue()


ROSES = {"a.jpg": encode(1), "b.png": encode(2, "PNG", (5, 7))}
TULIPS = {"c.jpg": encode(3), "d.JPEG": encode(4), "e.jpg": encode(5)}
FLOWERS = {"rose": ROSES, "tulip": TULIPS}


def write(folder: pathlib.Path, classes: Mapping[str, Mapping[str, bytes]]) -> pathlib.Path:
    for name, files in classes.items():
        (folder / name).mkdir(parents=True)
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    return folder


def fetch_photos(dataset: Dataset) -> dict[str, Any]:
    """Download `dataset` to the places of the stage; return its metrics."""
    return download.download(dataset, paths.RAW, paths.CREDITS, paths.NAMES)["download"]


def download_folder(classes: Mapping[str, Mapping[str, bytes]], **pins: str) -> dict[str, Any]:
    """Write `classes` to a folder and download it; return the metrics of the stage."""
    number = len(os.listdir())
    path = str(write(pathlib.Path(f"in{number}"), classes))
    return fetch_photos(Folder(source="folder", path=path, **pins))


def read_tree(folder: str = "data/raw") -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in pathlib.Path(folder).rglob("*.*")}


def deliver(monkeypatch: pytest.MonkeyPatch, photos: Sequence[Photo]) -> dict[str, Any]:
    """Have the source `folder` deliver these photos; return the metrics of the stage."""
    monkeypatch.setitem(download.SOURCES, "folder", lambda dataset: iter(photos))
    return fetch_photos(Folder(source="folder", path="any"))


# The canonical layout


def test_photos_keep_their_bytes_under_their_class_and_digest() -> None:
    download_folder(FLOWERS)
    expected = {
        f"photos/{name}/{hashlib.sha256(content).hexdigest()[:16]}.{'png' if file == 'b.png' else 'jpg'}": content
        for name, files in FLOWERS.items()
        for file, content in files.items()
    }
    tree = read_tree()
    del tree["manifest.csv"]
    assert tree == expected


def test_the_manifest_describes_every_photo_in_the_order_of_class_and_id() -> None:
    download_folder(FLOWERS)
    lines = pathlib.Path("data/raw/manifest.csv").read_text().splitlines()
    expected = []
    for name, files in FLOWERS.items():
        for file, content in files.items():
            sha, size, ending = hashlib.sha256(content).hexdigest(), "12,8", "jpg"
            if file == "b.png":
                size, ending = "5,7", "png"
            path = f"photos/{name}/{sha[:16]}.{ending}"
            expected.append(f"{name},{sha[:16]},{sha},{path},{len(content)},{size},1")
    assert lines[0] == "class,id,sha256,file,bytes,width,height,copies"
    assert lines[1:] == sorted(expected)


def test_the_metrics_count_what_was_delivered() -> None:
    metrics = download_folder(FLOWERS)
    assert metrics["photos"] == 5
    assert metrics["classes"] == {"rose": 2, "tulip": 3}
    assert metrics["duplicates"] == {"within_a_class": 0, "across_classes": 0}
    assert metrics["rejected"] == []


def test_the_digest_is_of_the_sorted_classes_contents_and_copies() -> None:
    # As lines these two stand in another order than as names: a blank comes before a slash.
    metrics = download_folder({"rose": {"a.jpg": encode(1), "b.jpg": encode(1)}, "rose bush": {"c.jpg": encode(9)}})
    first, second = (hashlib.sha256(encode(level)).hexdigest() for level in (1, 9))
    assert metrics["digest"] == hashlib.sha256(f"rose bush/{second}/1\nrose/{first}/2\n".encode()).hexdigest()


def test_order_and_names_of_the_delivery_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [Photo(name, content, file) for name, files in FLOWERS.items() for file, content in files.items()]
    first, tree = deliver(monkeypatch, photos), read_tree()
    second = deliver(monkeypatch, [photo._replace(name="x") for photo in reversed(photos)])
    assert first == second
    assert read_tree() == tree


def test_exact_copies_within_and_across_classes_are_counted() -> None:
    rose = {"a.jpg": encode(1), "b.jpg": encode(1), "c.jpg": encode(1), "d.jpg": encode(2)}
    metrics = download_folder({"rose": rose, "tulip": {"e.jpg": encode(2), "f.jpg": encode(3)}})
    assert metrics["duplicates"] == {"within_a_class": 2, "across_classes": 1}
    assert metrics["photos"] == 6
    assert read_manifest("data/raw")["copies"].tolist().count(3) == 1


def test_a_photo_under_two_classes_is_kept_under_both() -> None:
    download_folder({"rose": {"a.jpg": encode(1)}, "tulip": {"b.jpg": encode(1)}})
    assert sorted(path.split("/")[1] for path in read_tree() if path.startswith("photos")) == ["rose", "tulip"]


def test_files_of_other_formats_are_rejected_whatever_their_ending() -> None:
    rose = {"text.jpg": b"no picture", "empty.jpg": b"", "photo.txt": encode(1), "anim.png": b"GIF89a"}
    metrics = download_folder({"rose": rose, "tulip": TULIPS})
    assert [fault["file"] for fault in metrics["rejected"]] == ["rose/anim.png", "rose/empty.jpg", "rose/text.jpg"]
    got = ["no picture", "empty", "no picture"]  # of the GIF there is no more than the first bytes
    reasons = [f"must be JPEG, PNG, WebP, AVIF or HEIC (got {word})" for word in got]
    assert [fault["reason"] for fault in metrics["rejected"]] == reasons
    assert metrics["classes"] == {"rose": 1, "tulip": 3}


def test_a_photo_whose_header_cannot_be_read_has_an_empty_size() -> None:
    download_folder({"rose": {"cut.jpg": b"\xff\xd8\xff\xe0cut"}, "tulip": TULIPS})
    line = next(line for line in pathlib.Path("data/raw/manifest.csv").read_text().splitlines() if "rose" in line)
    assert line.endswith(",7,,,1")


def test_a_pinned_digest_that_came_is_accepted() -> None:
    digest = download_folder(FLOWERS)["digest"]
    assert download_folder(FLOWERS, digest=digest)["digest"] == digest


def test_another_digest_than_the_pinned_one_leaves_the_last_photos_in_place() -> None:
    digest = download_folder(FLOWERS)["digest"]
    before = read_tree()
    with pytest.raises(InputError) as caught:
        download_folder({"rose": ROSES, "tulip": {"other.jpg": encode(77)}}, digest=digest)
    assert str(caught.value).startswith("params.yaml: dataset.digest: must be the digest of the photos that came, ")
    assert str(caught.value).endswith(f" (got {digest})")
    assert read_tree() == before
    assert sorted(os.listdir("data")) == ["credits.csv", "names.csv", "raw"]


@pytest.mark.parametrize("label", ["a/b", "a\0b", "", ".", "..", "line\nbreak", "x" * 256, "\udcff"])
def test_a_class_that_cannot_name_a_folder_is_a_fault(monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    with pytest.raises(InputError, match="name of a folder"):
        deliver(monkeypatch, [Photo(label, encode(1), "a"), Photo("rose", encode(2), "b")])


def test_a_class_has_one_name_however_its_letters_are_composed() -> None:
    assert name_folder(unicodedata.normalize("NFD", "Gänseblümchen")) == unicodedata.normalize("NFC", "Gänseblümchen")


def test_class_names_may_hold_spaces_commas_and_letters_of_any_script() -> None:
    metrics = download_folder({"Gänse blümchen, weiß": ROSES, "タンポポ": TULIPS})
    assert metrics["classes"] == {"Gänse blümchen, weiß": 2, "タンポポ": 3}
    assert set(read_manifest("data/raw")["class"]) == {"Gänse blümchen, weiß", "タンポポ"}


def test_photos_of_fewer_than_two_classes_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="two classes at least .got 1 photos of 1, 1 files rejected"):
        deliver(monkeypatch, [Photo("rose", encode(1), "a"), Photo(None, encode(2), "b")])


def test_photos_without_a_class_are_counted_on_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [Photo("rose", encode(1), "a"), Photo("tulip", encode(2), "b"), Photo(None, encode(3), "test[0]")]
    assert deliver(monkeypatch, photos)["rejected"] == [{"file": "test[0]", "reason": "has no label"}]
    line = "download: without a class: 1 of 1 files rejected: 1 no label; the first is test[0]"
    assert line in capsys.readouterr().err.splitlines()


def test_of_many_classes_with_rejected_files_the_first_are_said_one_by_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"class {number:02}" for number in range(25)]
    deliver(monkeypatch, [Photo(name, content, "a") for name in names for content in (encode(1), b"")])
    said = [line for line in capsys.readouterr().err.splitlines() if "rejected" in line]
    assert len(said) == 21 and said[-1] == "download: files of 5 more classes rejected"


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("JPEG", ".jpg"), ("MPO", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("AVIF", ".avif"), ("HEIF", ".heic")]
    + [(kind, None) for kind in ("BMP", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "PDF")],
)
def test_the_first_bytes_decide_what_a_file_is(kind: str, ending: str | None) -> None:
    content = encode(1, kind, (32, 32))
    assert find_ending(content) == find_ending(content[:40]) == ending


def test_photos_of_every_format_keep_their_bytes_and_have_their_size_in_the_manifest() -> None:
    files = {f"photo of {kind}": encode(7, kind, (30, 20)) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")}
    download_folder({"rose": files, "tulip": TULIPS})
    manifest = read_manifest("data/raw").query("`class` == 'rose'")
    assert sorted(pathlib.Path(file).suffix for file in manifest.file) == [".avif", ".heic", ".jpg", ".png", ".webp"]
    assert set(manifest.width) == {30} and set(manifest.height) == {20}
    assert sorted(pathlib.Path("data/raw", file).read_bytes() for file in manifest.file) == sorted(files.values())


@pytest.mark.parametrize(
    "section",
    [
        {"source": "tfds", "name": "tf_flowers:3.0.1"},
        {"source": "archive", "url": "https://example.org/flowers.zip", "sha256": "0" * 64},
        {"source": "folder", "path": "~/flowers", "digest": "f" * 64},
        {"source": "sample", "seed": 1, "photos_per_class": 4, "size": 64},
    ],
)
def test_the_key_source_chooses_the_kind_of_dataset(section: dict[str, Any]) -> None:
    dataset = pydantic.TypeAdapter(Dataset).validate_python(section)
    assert type(dataset).__name__.lower() == section["source"]


@pytest.mark.parametrize(
    "section, fault",
    [
        ({"source": "tfds", "name": "tf_flowers"}, "params.yaml: dataset.name: must be a TFDS dataset and its version"),
        ({"source": "archive", "url": "file:///x.zip", "sha256": "0" * 64}, "params.yaml: dataset.url: must match"),
        ({"source": "folder", "path": "x", "digest": "abc"}, "params.yaml: dataset.digest: must match"),
        ({"source": "disc"}, "params.yaml: dataset.source: must be 'tfds', 'archive', 'folder', 'sample' (got 'disc')"),
    ],
)
def test_a_fault_of_the_section_names_its_key(section: dict[str, Any], fault: str) -> None:
    _, faults = validate(Dataset, section, "params.yaml: dataset")
    assert len(faults) == 1 and faults[0].startswith(fault)


def test_the_sample_arrives_in_the_same_layout() -> None:
    metrics = fetch_photos(Sample(source="sample", seed=3, photos_per_class=2, size=32))
    assert metrics["photos"] == 10 and len(metrics["classes"]) == 5
    assert len(read_manifest("data/raw")) == 10


# Folders


def test_hidden_files_and_files_beside_the_class_folders_are_passed_over() -> None:
    folder = write(pathlib.Path("flowers"), {**FLOWERS, ".cache": {"x.jpg": encode(8)}})
    (folder / "LICENSE.txt").write_text("CC-BY")
    (folder / "rose/.DS_Store").write_bytes(b"finder")
    metrics = fetch_photos(Folder(source="folder", path="flowers"))
    assert metrics["classes"] == {"rose": 2, "tulip": 3}
    assert metrics["rejected"] == []


def test_a_path_may_start_at_the_home_folder(monkeypatch: pytest.MonkeyPatch, place: pathlib.Path) -> None:
    monkeypatch.setenv("HOME", str(place))
    write(place / "flowers", FLOWERS)
    assert fetch_photos(Folder(source="folder", path="~/flowers"))["photos"] == 5


def test_a_missing_folder_is_a_fault() -> None:
    with pytest.raises(InputError, match="^params.yaml: dataset.path: 'none': must be a folder .there is none.$"):
        fetch_photos(Folder(source="folder", path="none"))


@pytest.mark.parametrize("classes, got", [({}, "none"), ({"rose": ROSES}, "rose"), ({"rose": ROSES, "x": {}}, "rose")])
def test_a_folder_of_fewer_than_two_classes_is_a_fault(classes: Mapping[str, Mapping[str, bytes]], got: str) -> None:
    pathlib.Path("flowers").mkdir()
    for name, files in classes.items():
        write(pathlib.Path("flowers"), {name: files})
    with pytest.raises(InputError, match=f"two at least .got {got}.$"):
        fetch_photos(Folder(source="folder", path="flowers"))


def test_a_folder_one_level_too_high_is_a_fault() -> None:
    write(pathlib.Path("flowers/train"), FLOWERS)
    write(pathlib.Path("flowers/test"), FLOWERS)
    with pytest.raises(InputError, match="hold photos alone .got the folder test/rose."):
        fetch_photos(Folder(source="folder", path="flowers"))


# Archives


@pytest.fixture
def server(place: pathlib.Path) -> Iterator[str]:
    """Serve the folder `web` on this machine."""
    (place / "web").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(place / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=functools.partial(running.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def pack(file: str, classes: Mapping[str, Mapping[str, bytes]], around: str = "") -> str:
    """Write an archive of class folders in the folder `web`, as zip or tar by its ending; return its sha256."""
    path = pathlib.Path("web") / file
    files = {
        f"{around}{name}/{inner}": content
        for name, inner_files in classes.items()
        for inner, content in inner_files.items()
    }
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for name, content in files.items():
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def download_archive(url: str, sha256: str) -> dict[str, Any]:
    return fetch_photos(Archive(source="archive", url=url, sha256=sha256))


@pytest.mark.parametrize("file", ["flowers.zip", "flowers.tar", "flowers.tar.gz", "flowers.tgz"])
@pytest.mark.parametrize("around", ["", "flower_photos/"])
def test_an_archive_delivers_the_same_photos_as_a_folder(server: str, file: str, around: str) -> None:
    metrics = download_archive(f"{server}/{file}", pack(file, FLOWERS, around))
    tree = read_tree()
    assert download_folder(FLOWERS) == metrics
    assert read_tree() == tree


def test_an_archive_is_never_unpacked_and_what_was_once_is_removed(server: str, place: pathlib.Path) -> None:
    write(place / ".thaw/archive.k1ll3d", FLOWERS)  # of an earlier version, killed
    download_archive(f"{server}/flowers.zip", pack("flowers.zip", FLOWERS))
    assert os.listdir(".thaw") == ["downloads"]


def test_an_archive_of_another_sha256_is_a_fault(server: str) -> None:
    pack("flowers.zip", FLOWERS)
    with pytest.raises(InputError, match=f"flowers.zip: must be the file of digest sha256:{'0' * 64} .got sha256:"):
        download_archive(f"{server}/flowers.zip", "0" * 64)


def test_an_archive_in_the_mirror_needs_no_server(
    server: str, place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = pack("flowers.zip", FLOWERS)
    monkeypatch.setenv("THAW_MIRROR", str(place / "web"))
    assert download_archive("http://127.0.0.1:9/flowers.zip", sha256)["photos"] == 5
    with pytest.raises(InputError, match=f"params.yaml: dataset.sha256: must be that of .* {sha256}"):
        download_archive("http://127.0.0.1:9/flowers.zip", "0" * 64)


@pytest.mark.parametrize("file", ["evil.zip", "evil.tar"])
@pytest.mark.parametrize("around", ["../../out/", "/out/"])
def test_an_archive_cannot_write_outside_its_folder(server: str, place: pathlib.Path, file: str, around: str) -> None:
    sha256 = pack(file, FLOWERS, around.replace("/out/", f"{place}/out/") if around[0] == "/" else around)
    with contextlib.suppress(InputError):
        download_archive(f"{server}/{file}", sha256)
    assert not list(place.rglob("out"))


@pytest.mark.parametrize("content", [b"no archive at all", b"\x1f\x8b" + b"x" * 50])
def test_a_file_that_is_no_archive_is_a_fault(server: str, content: bytes) -> None:
    pathlib.Path("web/flowers.tgz").write_bytes(content)
    with pytest.raises(InputError, match="dataset.url: flowers.tgz: must be a zip or tar file"):
        download_archive(f"{server}/flowers.tgz", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("file", ["flowers.zip", "flowers.tgz"])
def test_a_damaged_archive_is_a_fault(server: str, file: str) -> None:
    noise = {"a.png": os.urandom(40_000)}
    pack(file, {"rose": noise, "tulip": noise})
    path = pathlib.Path("web") / file
    content = path.read_bytes()
    # A zip file without its end would not be known for one; a tar file has no checksum over what it holds.
    content = content[:30_000] if file == "flowers.tgz" else content[:30_000] + bytes(50) + content[30_050:]
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"dataset.url: {file}: cannot be unpacked"):
        download_archive(f"{server}/{file}", hashlib.sha256(content).hexdigest())


# TFDS


@pytest.fixture
def tiny_flowers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Register the dataset of the tests with TFDS, and return the module that builds it."""
    monkeypatch.syspath_prepend(str(TESTS))
    import tiny_flowers.tiny_flowers_dataset_builder as builder

    return builder


def test_tfds_delivers_the_original_bytes_of_all_splits(tiny_flowers: ModuleType) -> None:
    metrics = fetch_photos(Tfds(source="tfds", name="tiny_flowers:1.0.0"))
    contents = {content for path, content in read_tree().items() if path != "manifest.csv"}
    levels = (10, 20, 30, 40, 50, 60, 70)
    assert contents == {tiny_flowers.encode(level) for level in levels}
    assert metrics["classes"] == {"rose": 3, "tulip": 4}
    assert [fault["reason"] for fault in metrics["rejected"]] == ["has no label"]


def test_of_tfds_the_names_are_those_that_the_dataset_holds_and_a_mirror_adds_none(
    tiny_flowers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Tfds(source="tfds", name="tiny_flowers:1.0.0")
    fetch_photos(dataset)
    names = read_table("data/names.csv").set_index("name")["id"]
    expected = {f"{level}.jpg": tiny_flowers.encode(level) for level in (10, 20, 30, 40, 50, 60, 70)}
    assert dict(names) == {name: hashlib.sha256(content).hexdigest()[:16] for name, content in expected.items()}
    monkeypatch.setenv("THAW_MIRROR", "mirror")
    write(pathlib.Path("mirror/tiny_flowers"), FLOWERS)
    fetch_photos(dataset)
    assert pathlib.Path("data/names.csv").read_text() == "id,name\n"


def test_tfds_keeps_what_it_prepares_out_of_the_output(tiny_flowers: ModuleType) -> None:
    fetch_photos(Tfds(source="tfds", name="tiny_flowers:1.0.0"))
    assert sorted(os.listdir("data/raw")) == ["manifest.csv", "photos"]
    assert os.path.isdir(".thaw/tfds/tiny_flowers/1.0.0")


@pytest.mark.parametrize(
    "name, reason",
    [
        ("no_such_dataset:1.0.0", "no_such_dataset not found"),
        ("tf_flowers:9.9.9", "cannot be loaded at version 9.9.9, only: 3.0.1"),
        ("tf_flowers/big:3.0.1", "BuilderConfig big not found"),
        ("imdb_reviews/plain_text:1.0.0", "image .* got 'imdb_reviews/plain_text:1.0.0' with label, text"),
    ],
)
def test_a_dataset_that_tfds_cannot_give_is_a_fault_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason.replace(" got", " .got")) as caught:
        fetch_photos(Tfds(source="tfds", name=name))
    assert str(caught.value).startswith("params.yaml: dataset.name: must be ")
    assert "\n" not in str(caught.value)


def test_tfds_without_a_network_is_a_fault_that_names_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def fail(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests.Session, "get", fail)
    with pytest.raises(InputError, match="tf_flowers:3.0.1 could not be downloaded: .* THAW_MIRROR .* flower_photos/"):
        fetch_photos(Tfds(source="tfds", name="tf_flowers:3.0.1"))


@pytest.mark.parametrize(
    "name, folder", [("tf_flowers:3.0.1", "flower_photos"), ("some_birds/small:1.0.0", "some_birds")]
)
def test_class_folders_in_the_mirror_stand_for_a_tfds_dataset(
    monkeypatch: pytest.MonkeyPatch, place: pathlib.Path, name: str, folder: str
) -> None:
    metrics = download_folder(FLOWERS)
    tree = read_tree()
    write(place / "mirror" / folder, FLOWERS)
    monkeypatch.setenv("THAW_MIRROR", str(place / "mirror"))
    assert fetch_photos(Tfds(source="tfds", name=name)) == metrics
    assert read_tree() == tree


def test_what_a_killed_process_of_tfds_leaves_is_removed_by_the_next(tiny_flowers: ModuleType) -> None:
    cache = pathlib.Path(".thaw/tfds")
    left = [
        cache / "downloads/tiny_flowers/x.tgz.tmp.0123456789abcdef",
        cache / "downloads/extracted/incomplete.0123_ZIP.x",
        cache / "tiny_flowers/incomplete.ABCDEF_1.0.0",
    ]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "a.part").write_bytes(b"a beginning")
    fetch_photos(Tfds(source="tfds", name="tiny_flowers:1.0.0"))
    assert not any(folder.exists() for folder in left)


@pytest.mark.parametrize("file", ["dataset_info.json", "tiny_flowers-train.tfrecord-00000-of-00001"])
def test_what_tfds_prepared_and_cannot_be_read_is_made_again(tiny_flowers: ModuleType, file: str) -> None:
    dataset = Tfds(source="tfds", name="tiny_flowers:1.0.0")
    metrics = fetch_photos(dataset)
    path = pathlib.Path(".thaw/tfds/tiny_flowers/1.0.0", file)
    path.write_bytes(path.read_bytes()[:-100])
    with contextlib.suppress(InputError):
        fetch_photos(dataset)
    assert fetch_photos(dataset) == metrics


# Credits

LICENCE = """All images in this archive are licensed under the Creative Commons By-Attribution License, available at:
https://creativecommons.org/licenses/by/2.0/
The photographers are listed below, thanks to all of them.

rose/a.jpg CC-BY by Ada - of the hills - https://photos.example/ada/1/
rose/b.png CC-BY https://photos.example/bo/ - by Bo  Lind, sorry
tulip/c.jpg CC-BY by Cé | https://ce.example/ - https://photos.example/ce/2/
tulip/gone.jpg CC-BY by Nobody - https://photos.example/nobody/
"""
BY = "https://creativecommons.org/licenses/by/2.0/"
CREDITS = {
    ("rose", "a.jpg"): ("Ada - of the hills", BY, "https://photos.example/ada/1/"),
    ("rose", "b.png"): ("Bo Lind, sorry", BY, "https://photos.example/bo/"),
    ("tulip", "c.jpg"): ("Cé | https://ce.example/", BY, "https://photos.example/ce/2/"),
}


def read_credits() -> dict[bytes, tuple[str, ...]]:
    """Return the rows of data/credits.csv, as {content of the photo: (author, licence, url)}."""
    table = pd.read_csv("data/credits.csv", keep_default_na=False)
    assert list(table) == ["file", "author", "licence", "url"]
    return {(pathlib.Path("data/raw") / file).read_bytes(): tuple(credit) for file, *credit in table.values.tolist()}


def expect(credits: Mapping[tuple[str, str], tuple[str, str, str]]) -> dict[bytes, tuple[str, str, str]]:
    """Return `credits`, which is by class and file, by the content of the photo."""
    return {FLOWERS[name][file]: credit for (name, file), credit in credits.items()}


def write_credited(folder: str = "flowers", list_name: str = "LICENSE.txt", text: str = LICENCE) -> Folder:
    write(pathlib.Path(folder), FLOWERS)
    (pathlib.Path(folder) / list_name).write_text(text)
    return Folder(source="folder", path=folder)


def test_the_licence_file_of_tf_flowers_credits_each_photo_that_it_names() -> None:
    metrics = fetch_photos(write_credited())
    assert read_credits() == expect(CREDITS)
    assert metrics["credited"] == 3


def test_a_licence_without_an_address_keeps_its_name() -> None:
    fetch_photos(write_credited(text=LICENCE.replace("CC-BY", "CC0").replace("by/2.0", "by-nc/4.0")))
    assert {licence for _, licence, _ in read_credits().values()} == {"CC0"}


def test_a_table_of_credits_is_read_before_a_licence_file() -> None:
    folder = write_credited()
    row = 'tulip/e.jpg,"Eva, ""E""",own work,\n'
    (pathlib.Path(folder.path) / "credits.csv").write_text(f"\ufefffile,author,licence,url\n{row}", encoding="utf-8")
    fetch_photos(folder)
    assert read_credits() == expect({("tulip", "e.jpg"): ('Eva, "E"', "own work", "")})


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"file;author\na;b\n", "columns file, author, licence, url .got file;author."),
        (b"", "must be a CSV table in UTF-8"),
        (b"file,author,licence,url\n\xff,,,\n", "must be a CSV table in UTF-8"),
    ],
)
def test_a_table_of_credits_that_cannot_be_read_is_a_fault(content: bytes, fault: str) -> None:
    folder = write_credited()
    (pathlib.Path(folder.path) / "credits.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"^params.yaml: dataset.path: 'flowers': credits.csv: .*{fault}"):
        fetch_photos(folder)


def test_credits_change_neither_photos_nor_manifest_nor_digest() -> None:
    digest = fetch_photos(write_credited())["digest"]
    tree = read_tree()
    assert download_folder(FLOWERS)["digest"] == digest
    assert read_tree() == tree and read_credits() == {}


def test_a_name_matches_however_its_letters_are_composed() -> None:
    write(pathlib.Path("flowers"), {"rose": {unicodedata.normalize("NFD", "ä.jpg"): encode(1)}, "tulip": TULIPS})
    list_of_one = f"rose/{unicodedata.normalize('NFC', 'ä.jpg')} CC-BY by Ada - https://photos.example/"
    pathlib.Path("flowers/LICENSE.txt").write_text(list_of_one)
    fetch_photos(Folder(source="folder", path="flowers"))
    assert read_credits() == {encode(1): ("Ada", "CC-BY", "https://photos.example/")}


def test_of_copies_under_two_names_one_is_credited_in_whatever_order_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [Photo("rose", encode(1), "x", Credit(author, "", "")) for author in ("Bo", "Ada")]
    photos += [Photo("rose", encode(1), "x"), Photo("tulip", encode(2), "x")]
    for order in (photos, photos[::-1]):
        deliver(monkeypatch, order)
        assert read_credits() == {encode(1): ("Ada", "", "")}


def test_the_credit_of_drawn_photos_is_the_project() -> None:
    fetch_photos(Sample(source="sample", seed=3, photos_per_class=2, size=32))
    assert set(read_credits().values()) == {("drawn by thaw", "", "")} and len(read_credits()) == 10


@pytest.mark.parametrize("around", [".", "flower_photos"])
def test_an_archive_brings_its_credits(server: str, around: str) -> None:
    sha256 = pack_credited("flowers.tgz", FLOWERS, LICENCE, around)
    download_archive(f"{server}/flowers.tgz", sha256)
    assert read_credits() == expect(CREDITS)


def pack_credited(file: str, classes: Mapping[str, Mapping[str, bytes]], text: str, around: str) -> str:
    """Write a tar archive of class folders and a licence file, in the folder `web`; return its sha256."""
    write(pathlib.Path("packed"), classes)
    pathlib.Path("packed/LICENSE.txt").write_text(text)
    with tarfile.open(f"web/{file}", "w:gz") as archive:
        archive.add("packed", around)
    return hashlib.sha256((pathlib.Path("web") / file).read_bytes()).hexdigest()


def serve_flowers(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have TFDS's own builder of tf_flowers find a small archive in the place of the official one."""
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo

    classes = {"roses": {"a.jpg": encode(1)}, "tulips": {"c.jpg": encode(3)}}
    text = LICENCE.replace("rose/", "roses/").replace("tulip/", "tulips/")
    sha256 = pack_credited("flower_photos.tgz", classes, text, "flower_photos")
    size = pathlib.Path("web/flower_photos.tgz").stat().st_size
    builder = tfds.builder_cls("tf_flowers")
    address = next(iter(builder.url_infos))
    monkeypatch.setattr(builder, "url_infos", {address: UrlInfo(size, sha256, "flower_photos.tgz")})
    get = requests.Session.get
    monkeypatch.setattr(requests.Session, "get", lambda self, url, **options: get(
        self, url.replace(address, f"{server}/flower_photos.tgz"), **options
    ))  # fmt: skip


def test_tf_flowers_is_credited_from_the_archive_that_tfds_downloads(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_flowers(server, monkeypatch)
    # What a download that was killed leaves.
    rest = pathlib.Path(".thaw/tfds/downloads/tf_flowers/x.tgz.tmp.1/x.tgz")
    rest.parent.mkdir(parents=True)
    rest.write_bytes(pathlib.Path("web/flower_photos.tgz").read_bytes()[:-100])
    fetch_photos(Tfds(source="tfds", name="tf_flowers:3.0.1"))
    assert read_credits() == {encode(1): CREDITS["rose", "a.jpg"], encode(3): CREDITS["tulip", "c.jpg"]}


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>Log in</html>", b"", None])
def test_another_file_for_tfds_is_one_line_and_the_next_run_has_the_right_one(
    server: str, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    serve_flowers(server, monkeypatch)
    path = pathlib.Path("web/flower_photos.tgz")
    right = path.read_bytes()
    path.write_bytes(right[:-100] if content is None else content)
    with pytest.raises(InputError, match="tf_flowers:3.0.1 could not be downloaded: .* THAW_MIRROR") as caught:
        fetch_photos(Tfds(source="tfds", name="tf_flowers:3.0.1"))
    assert "\n" not in str(caught.value)
    assert os.listdir(".thaw/downloads") == []
    path.write_bytes(right)
    assert fetch_photos(Tfds(source="tfds", name="tf_flowers:3.0.1"))["classes"] == {"roses": 1, "tulips": 1}


def test_a_folder_tells_the_kinds_that_a_look_at_each_tells(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "mixed"
    write(folder, {"inside": ROSES})
    (folder / "photo.jpg").write_bytes(encode(1))
    os.mkfifo(folder / "pipe")
    for name, target in {"to-file": "photo.jpg", "to-folder": "inside", "to-nothing": "gone", "loop": "loop"}.items():
        (folder / name).symlink_to(target)
    assert scan(folder) == sorted((path.name, find_kind(path)) for path in folder.iterdir())


def test_photos_and_folders_are_not_asked_for_their_kind(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("thaw.photos.places.find_kind", lambda path: asked.append(path.name))
    folder = write(tmp_path / "mixed", FLOWERS)
    (folder / "link").symlink_to("rose")
    scan(folder)
    scan(folder / "rose")
    assert asked == ["link"]
