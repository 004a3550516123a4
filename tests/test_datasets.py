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

import pydantic
import pytest
from PIL import Image

from thaw.datasets import sources
from thaw.datasets.archive import Archive
from thaw.datasets.canonical import Photo, find_ending, name_folder
from thaw.datasets.folder import Folder
from thaw.datasets.sample import Sample
from thaw.datasets.tfds import Tfds
from thaw.params import InputError, validate
from thaw.splitting import read_manifest

TESTS = pathlib.Path(__file__).parent


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Every test works in an empty folder, without a mirror."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    return tmp_path


def encode(level, kind="JPEG", size=(12, 8)):
    stream = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(stream, kind)
    return stream.getvalue()


ROSES = {"a.jpg": encode(1), "b.png": encode(2, "PNG", (5, 7))}
TULIPS = {"c.jpg": encode(3), "d.JPEG": encode(4), "e.jpg": encode(5)}
FLOWERS = {"rose": ROSES, "tulip": TULIPS}


def write(folder, classes):
    for name, files in classes.items():
        (folder / name).mkdir(parents=True)
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    return folder


def download_folder(classes, **pins):
    """Write `classes` to a folder and download it; return the metrics of the stage."""
    number = len(os.listdir())
    return sources.download(Folder(source="folder", path=str(write(pathlib.Path(f"in{number}"), classes)), **pins))[
        "download"
    ]


def read_tree(folder="data/raw"):
    return {str(path.relative_to(folder)): path.read_bytes() for path in pathlib.Path(folder).rglob("*.*")}


def deliver(monkeypatch, photos):
    """Have the source `folder` deliver these photos; return the metrics of the stage."""
    monkeypatch.setattr(sources.folder, "photos", lambda section: iter(photos))
    return sources.download(Folder(source="folder", path="any"))["download"]


# The canonical layout


def test_photos_keep_their_bytes_under_their_class_and_digest():
    download_folder(FLOWERS)
    expected = {
        f"photos/{name}/{hashlib.sha256(content).hexdigest()[:16]}.{'png' if file == 'b.png' else 'jpg'}": content
        for name, files in FLOWERS.items()
        for file, content in files.items()
    }
    tree = read_tree()
    del tree["manifest.csv"]
    assert tree == expected


def test_the_manifest_describes_every_photo_in_the_order_of_class_and_id():
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


def test_the_metrics_count_what_was_delivered():
    metrics = download_folder(FLOWERS)
    assert metrics["photos"] == 5
    assert metrics["classes"] == {"rose": 2, "tulip": 3}
    assert metrics["duplicates"] == {"within_a_class": 0, "across_classes": 0}
    assert metrics["rejected"] == []


def test_the_digest_is_of_the_sorted_classes_contents_and_copies():
    # As lines these two stand in another order than as names: a blank comes before a slash.
    metrics = download_folder({"rose": {"a.jpg": encode(1), "b.jpg": encode(1)}, "rose bush": {"c.jpg": encode(9)}})
    first, second = (hashlib.sha256(encode(level)).hexdigest() for level in (1, 9))
    assert metrics["digest"] == hashlib.sha256(f"rose bush/{second}/1\nrose/{first}/2\n".encode()).hexdigest()


def test_order_and_names_of_the_delivery_change_nothing(monkeypatch):
    photos = [Photo(name, content, file) for name, files in FLOWERS.items() for file, content in files.items()]
    first, tree = deliver(monkeypatch, photos), read_tree()
    second = deliver(monkeypatch, [photo._replace(name="x") for photo in reversed(photos)])
    assert first == second
    assert read_tree() == tree


def test_exact_copies_within_and_across_classes_are_counted():
    rose = {"a.jpg": encode(1), "b.jpg": encode(1), "c.jpg": encode(1), "d.jpg": encode(2)}
    metrics = download_folder({"rose": rose, "tulip": {"e.jpg": encode(2), "f.jpg": encode(3)}})
    assert metrics["duplicates"] == {"within_a_class": 2, "across_classes": 1}
    assert metrics["photos"] == 6
    assert read_manifest("data/raw")["copies"].tolist().count(3) == 1


def test_a_photo_under_two_classes_is_kept_under_both():
    download_folder({"rose": {"a.jpg": encode(1)}, "tulip": {"b.jpg": encode(1)}})
    assert sorted(path.split("/")[1] for path in read_tree() if path.startswith("photos")) == ["rose", "tulip"]


def test_files_that_are_neither_jpeg_nor_png_are_rejected_whatever_their_ending():
    rose = {"text.jpg": b"no picture", "empty.jpg": b"", "photo.txt": encode(1), "anim.png": b"GIF89a"}
    metrics = download_folder({"rose": rose, "tulip": TULIPS})
    assert [fault["file"] for fault in metrics["rejected"]] == ["rose/anim.png", "rose/empty.jpg", "rose/text.jpg"]
    assert {fault["reason"] for fault in metrics["rejected"]} == {"is neither JPEG nor PNG"}
    assert metrics["classes"] == {"rose": 1, "tulip": 3}


def test_a_photo_whose_header_cannot_be_read_has_an_empty_size():
    download_folder({"rose": {"cut.jpg": b"\xff\xd8\xff\xe0cut"}, "tulip": TULIPS})
    line = next(line for line in pathlib.Path("data/raw/manifest.csv").read_text().splitlines() if "rose" in line)
    assert line.endswith(",7,,,1")


def test_a_pinned_digest_that_came_is_accepted():
    digest = download_folder(FLOWERS)["digest"]
    assert download_folder(FLOWERS, digest=digest)["digest"] == digest


def test_another_digest_than_the_pinned_one_leaves_the_last_photos_in_place():
    digest = download_folder(FLOWERS)["digest"]
    before = read_tree()
    with pytest.raises(InputError) as caught:
        download_folder({"rose": ROSES, "tulip": {"other.jpg": encode(77)}}, digest=digest)
    assert str(caught.value).startswith("params.yaml: dataset.digest: must be the digest of the photos that came, ")
    assert str(caught.value).endswith(f" (got {digest})")
    assert read_tree() == before
    assert os.listdir("data") == ["raw"]


@pytest.mark.parametrize("label", ["a/b", "a\0b", "", ".", "..", "line\nbreak", "x" * 256, "\udcff"])
def test_a_class_that_cannot_name_a_folder_is_a_fault(monkeypatch, label):
    with pytest.raises(InputError, match="name of a folder"):
        deliver(monkeypatch, [Photo(label, encode(1), "a"), Photo("rose", encode(2), "b")])


def test_a_class_has_one_name_however_its_letters_are_composed():
    assert name_folder(unicodedata.normalize("NFD", "Gänseblümchen")) == unicodedata.normalize("NFC", "Gänseblümchen")


def test_class_names_may_hold_spaces_commas_and_letters_of_any_script():
    metrics = download_folder({"Gänse blümchen, weiß": ROSES, "タンポポ": TULIPS})
    assert metrics["classes"] == {"Gänse blümchen, weiß": 2, "タンポポ": 3}
    assert set(read_manifest("data/raw")["class"]) == {"Gänse blümchen, weiß", "タンポポ"}


def test_photos_of_fewer_than_two_classes_are_a_fault(monkeypatch):
    with pytest.raises(InputError, match="two classes at least .got 1 photos of 1, 1 files rejected"):
        deliver(monkeypatch, [Photo("rose", encode(1), "a"), Photo("tulip", b"text", "b")])


def test_only_the_first_bytes_tell_what_a_file_is():
    assert [find_ending(content) for content in (encode(1), encode(1, "PNG"), encode(1, "BMP"), b"")] == [
        ".jpg", ".png", None, None,
    ]


@pytest.mark.parametrize(
    "section",
    [
        {"source": "tfds", "name": "tf_flowers:3.0.1"},
        {"source": "archive", "url": "https://example.org/flowers.zip", "sha256": "0" * 64},
        {"source": "folder", "path": "~/flowers", "digest": "f" * 64},
        {"source": "sample", "seed": 1, "photos_per_class": 4, "size": 64},
    ],
)
def test_the_key_source_tells_the_kind_of_dataset(section):
    dataset = pydantic.TypeAdapter(sources.Dataset).validate_python(section)
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
def test_a_fault_of_the_section_names_its_key(section, fault):
    _, faults = validate(sources.Dataset, section, "params.yaml: dataset")
    assert len(faults) == 1 and faults[0].startswith(fault)


def test_the_sample_arrives_in_the_same_layout():
    metrics = sources.download(Sample(source="sample", seed=3, photos_per_class=2, size=32))["download"]
    assert metrics["photos"] == 10 and len(metrics["classes"]) == 5
    assert len(read_manifest("data/raw")) == 10


# Folders


def test_hidden_files_and_files_beside_the_class_folders_are_passed_over():
    folder = write(pathlib.Path("flowers"), {**FLOWERS, ".cache": {"x.jpg": encode(8)}, "empty": {}})
    (folder / "LICENSE.txt").write_text("CC-BY")
    (folder / "rose/.DS_Store").write_bytes(b"finder")
    metrics = sources.download(Folder(source="folder", path="flowers"))["download"]
    assert metrics["classes"] == {"rose": 2, "tulip": 3}
    assert metrics["rejected"] == []


def test_a_path_may_start_at_the_home_folder(monkeypatch, place):
    monkeypatch.setenv("HOME", str(place))
    write(place / "flowers", FLOWERS)
    assert sources.download(Folder(source="folder", path="~/flowers"))["download"]["photos"] == 5


def test_a_missing_folder_is_a_fault():
    with pytest.raises(InputError, match="^params.yaml: dataset.path: 'none': must be a folder .there is none.$"):
        sources.download(Folder(source="folder", path="none"))


@pytest.mark.parametrize("classes, got", [({}, "none"), ({"rose": ROSES}, "rose"), ({"rose": ROSES, "x": {}}, "rose")])
def test_a_folder_of_fewer_than_two_classes_is_a_fault(classes, got):
    pathlib.Path("flowers").mkdir()
    for name, files in classes.items():
        write(pathlib.Path("flowers"), {name: files})
    with pytest.raises(InputError, match=f"two at least .got {got}.$"):
        sources.download(Folder(source="folder", path="flowers"))


def test_a_folder_one_level_too_high_is_a_fault():
    write(pathlib.Path("flowers/train"), FLOWERS)
    write(pathlib.Path("flowers/test"), FLOWERS)
    with pytest.raises(InputError, match="hold photos alone .got the folder test/rose."):
        sources.download(Folder(source="folder", path="flowers"))


# Archives


@pytest.fixture
def server(place):
    """Serve the folder `web` on this machine."""
    (place / "web").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(place / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def pack(file, classes, around=""):
    """Write an archive of class folders in the folder `web`, as zip or tar by its ending; return its sha256."""
    path = pathlib.Path("web") / file
    files = {f"{around}{name}/{inner}": content for name, inner_files in classes.items()
             for inner, content in inner_files.items()}
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


def download_archive(url, sha256):
    return sources.download(Archive(source="archive", url=url, sha256=sha256))["download"]


@pytest.mark.parametrize("file", ["flowers.zip", "flowers.tar", "flowers.tar.gz", "flowers.tgz"])
@pytest.mark.parametrize("around", ["", "flower_photos/"])
def test_an_archive_delivers_the_same_photos_as_a_folder(server, file, around):
    metrics = download_archive(f"{server}/{file}", pack(file, FLOWERS, around))
    tree = read_tree()
    assert download_folder(FLOWERS) == metrics
    assert read_tree() == tree


def test_an_archive_leaves_nothing_unpacked_behind(server):
    download_archive(f"{server}/flowers.zip", pack("flowers.zip", FLOWERS))
    assert os.listdir(".thaw") == ["downloads"]


def test_an_archive_of_another_sha256_is_a_fault(server):
    pack("flowers.zip", FLOWERS)
    with pytest.raises(InputError, match=f"flowers.zip: must be the file of digest sha256:{'0' * 64} .got sha256:"):
        download_archive(f"{server}/flowers.zip", "0" * 64)


def test_an_archive_in_the_mirror_needs_no_server(server, place, monkeypatch):
    sha256 = pack("flowers.zip", FLOWERS)
    monkeypatch.setenv("THAW_MIRROR", str(place / "web"))
    assert download_archive("http://127.0.0.1:9/flowers.zip", sha256)["photos"] == 5
    with pytest.raises(InputError, match=f"params.yaml: dataset.sha256: must be that of .* {sha256}"):
        download_archive("http://127.0.0.1:9/flowers.zip", "0" * 64)


@pytest.mark.parametrize("file", ["evil.zip", "evil.tar"])
@pytest.mark.parametrize("around", ["../../out/", "/out/"])
def test_an_archive_cannot_write_outside_its_folder(server, place, file, around):
    sha256 = pack(file, FLOWERS, around.replace("/out/", f"{place}/out/") if around[0] == "/" else around)
    try:
        download_archive(f"{server}/{file}", sha256)
    except InputError:
        pass
    assert not list(place.rglob("out"))


@pytest.mark.parametrize("content", [b"no archive at all", b"", b"\x1f\x8b" + b"x" * 50])
def test_a_file_that_is_no_archive_is_a_fault(server, content):
    pathlib.Path("web/flowers.tgz").write_bytes(content)
    with pytest.raises(InputError, match="dataset.url: flowers.tgz: must be a zip or tar file"):
        download_archive(f"{server}/flowers.tgz", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("file", ["flowers.zip", "flowers.tgz"])
def test_a_damaged_archive_is_a_fault(server, file):
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
def tiny_flowers(monkeypatch):
    """Register the dataset of the tests with TFDS, and return the module that builds it."""
    monkeypatch.syspath_prepend(str(TESTS))
    import tiny_flowers.tiny_flowers_dataset_builder as builder

    return builder


def test_tfds_delivers_the_original_bytes_of_all_splits(tiny_flowers):
    metrics = sources.download(Tfds(source="tfds", name="tiny_flowers:1.0.0"))["download"]
    contents = {content for path, content in read_tree().items() if path != "manifest.csv"}
    levels = (10, 20, 30, 40, 50, 60, 70)
    assert contents == {tiny_flowers.encode(level) for level in levels}
    assert metrics["classes"] == {"rose": 3, "tulip": 4}
    assert [fault["reason"] for fault in metrics["rejected"]] == ["has no label"]


def test_tfds_keeps_what_it_prepares_out_of_the_output(tiny_flowers):
    sources.download(Tfds(source="tfds", name="tiny_flowers:1.0.0"))
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
def test_a_dataset_that_tfds_cannot_give_is_a_fault_in_one_line(name, reason):
    with pytest.raises(InputError, match=reason.replace(" got", " .got")) as caught:
        sources.download(Tfds(source="tfds", name=name))
    assert str(caught.value).startswith("params.yaml: dataset.name: must be ")
    assert "\n" not in str(caught.value)


def test_tfds_without_a_network_is_a_fault_that_names_the_mirror(monkeypatch):
    import requests

    def fail(*_, **__):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests.Session, "get", fail)
    with pytest.raises(InputError, match="tf_flowers:3.0.1 could not be downloaded: .* THAW_MIRROR .* flower_photos/"):
        sources.download(Tfds(source="tfds", name="tf_flowers:3.0.1"))


@pytest.mark.parametrize(
    "name, folder", [("tf_flowers:3.0.1", "flower_photos"), ("some_birds/small:1.0.0", "some_birds")]
)
def test_class_folders_in_the_mirror_stand_for_a_tfds_dataset(monkeypatch, place, name, folder):
    metrics = download_folder(FLOWERS)
    tree = read_tree()
    write(place / "mirror" / folder, FLOWERS)
    monkeypatch.setenv("THAW_MIRROR", str(place / "mirror"))
    assert sources.download(Tfds(source="tfds", name=name))["download"] == metrics
    assert read_tree() == tree
