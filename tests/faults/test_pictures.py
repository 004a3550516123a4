"""Picture files that are not plain 8-bit JPEG or PNG: what is read of them, and what is said where nothing can be."""

import io
import pathlib
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pillow_heif
import pytest

from small import SIZE, write_photos
from thaw.base.errors import InputError
from thaw.base.quiet import tf
from thaw.photos import download
from thaw.photos.canonical import find_ending
from thaw.photos.sections import Folder
from thaw.pictures.decoding import MOST_PIXELS, UnreadablePicture, read_picture
from thaw.records import reading, writing
from thaw.records.sections import Image
from thaw.reporting.photos import shrink
from thaw.split.near_duplicates import hash_photos

WIDE, HIGH = 64, 48
WHITE = (255, 255, 255)
IMAGE = Image(size=SIZE, shards=2)

Colour = tuple[int, ...]


def halve(left: int | Colour, right: int | Colour, kind: type = np.uint8) -> np.ndarray:
    """Return a picture (HIGH, WIDE, ...) whose halves have these values."""
    halves = [np.full((HIGH, WIDE // 2, *np.shape(value)), value, kind) for value in (left, right)]
    return np.concatenate(halves, axis=1)


def save(picture: PIL.Image.Image | np.ndarray, name: str = "PNG", **options: Any) -> bytes:
    """Return the file of a picture in a format of Pillow's."""
    stream = io.BytesIO()
    image = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    image.save(stream, name, **options)
    return stream.getvalue()


def deepen(left: Any, right: Any) -> bytes:
    """Return a PNG file of 16 bits a channel, which Pillow alone cannot write in colour."""
    pixels = halve(left, right, np.uint16)
    return bytes(tf.io.encode_png(pixels.reshape(HIGH, WIDE, -1)).numpy())


def index(transparency: int | bytes) -> bytes:
    """Return a PNG file with a palette of two colours, the first of them transparent."""
    picture = PIL.Image.fromarray(halve(0, 1), "P")
    picture.putpalette([200, 0, 0, 0, 0, 200])
    return save(picture, transparency=transparency)


def move(**options: Any) -> dict[str, Any]:
    """Return the options of an animation that goes on with a black frame."""
    return {"save_all": True, "append_images": [PIL.Image.new("RGB", (WIDE, HIGH))], "duration": 100, **options}


def save_ycck() -> bytes:
    """Return a JPEG file of Adobe's kind in YCCK, without chroma and without black."""
    cmyk = PIL.Image.fromarray(
        np.dstack([255 - halve(55, 205), *[np.full((HIGH, WIDE), 127, np.uint8)] * 2, halve(0, 0)]), "CMYK"
    )
    content = save(cmyk, "JPEG", quality=100)
    mark = content.index(b"Adobe") + 11  # the byte that says what the channels are
    return content[:mark] + b"\2" + content[mark + 1 :]


def turn(name: str, left: Any = (0, 0, 0), right: Any = WHITE) -> bytes:
    """Return a picture that its metadata turn upside down."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    return save(halve(left, right), name, exif=exif.tobytes())


def save_deep_heic() -> bytes:
    levels = halve(100 << 6, 900 << 6, np.uint16).astype("<u2")  # the upper 10 of 16 bits
    stream = io.BytesIO()
    pillow_heif.from_bytes("L;16", (WIDE, HIGH), levels.tobytes()).save(stream, quality=-1)
    return stream.getvalue()


def rebrand(content: bytes, brand: bytes) -> bytes:
    """Return an ISO media file with another major brand."""
    return content[:8] + brand + content[12:]


RED, BLUE = (200, 0, 0), (0, 0, 200)
TWO = halve(RED, BLUE)
CLEAR = halve((*RED, 0), (*BLUE, 255))  # the left half is transparent
# What is given, and of what is read the colours of the left and the right half, and the note.
READ: dict[str, tuple[Callable[[], bytes], int | Colour, int | Colour, str | None]] = {
    "an 8-bit RGB PNG is read as it is": (lambda: save(TWO), RED, BLUE, None),
    "a 16-bit PNG keeps its contrast": (lambda: deepen(0x1234, 0xFEDC), 0x12, 0xFE, "I;16, 16 of 16 bits"),
    "a 14-bit picture in a 16-bit PNG is not dark": (lambda: deepen(0x123, 0x3FFF), 4, 0xFF, "I;16, 14 of 16 bits"),
    "a 12-bit picture in a 16-bit PNG is not black": (lambda: deepen(0x123, 0xFED), 0x12, 0xFE, "I;16, 12 of 16 bits"),
    "a 10-bit picture in a 16-bit PNG is not black": (lambda: deepen(0x100, 0x3FF), 64, 0xFF, "I;16, 10 of 16 bits"),
    "an 8-bit picture in a 16-bit PNG is not black": (lambda: deepen(0x12, 0xFE), 0x12, 0xFE, "I;16, 8 of 16 bits"),
    "a 16-bit PNG of zeros is black": (lambda: deepen(0, 0), 0, 0, "I;16, 8 of 16 bits"),
    "a 16-bit colour PNG keeps its colours": (
        lambda: deepen((0x1234, 0, 0xFFFF), (0xFEDC, 0x8000, 0)), (0x12, 0, 0xFF), (0xFE, 0x80, 0),
        "RGB, 16 of 16 bits",
    ),
    "a 12-bit picture in a 16-bit colour PNG is not black": (
        lambda: deepen((0x123, 0, 0xFED), (0xFED, 0x800, 0)), (0x12, 0, 0xFE), (0xFE, 0x80, 0), "RGB, 12 of 16 bits",
    ),
    "a 16-bit PNG with transparent pixels shows white there": (
        lambda: deepen((0x1234, 0, 0, 0), (0xFEDC, 0, 0, 0xFFFF)), WHITE, (0xFE, 0, 0), "RGBA, 16 of 16 bits",
    ),
    "a 16-bit grey PNG with transparent pixels shows white there": (
        lambda: deepen((0x123, 0), (0xFED, 0xFFFF)), WHITE, 0xFE, "RGBA, 12 of 16 bits",
    ),
    "a 16-bit level that counts as transparent is white": (
        lambda: save(halve(0x123, 0xFED, np.uint16), transparency=0x123), WHITE, 0xFE, "I;16, 12 of 16 bits",
    ),
    "transparent pixels are white, whatever colour they hide": (lambda: save(CLEAR), WHITE, BLUE, "RGBA"),
    "half transparent pixels are half white": (
        lambda: save(halve((0, 0, 0, 128), (0, 0, 0, 255))), 127, 0, "RGBA",
    ),
    "grey with transparent pixels is white there": (lambda: save(halve((9, 0), (90, 255))), WHITE, 90, "LA"),
    "a palette with a transparent colour is white there": (lambda: index(0), WHITE, BLUE, "P"),
    "a palette with an alpha channel is white where that is 0": (lambda: index(b"\0\xff"), WHITE, BLUE, "P"),
    "a colour that counts as transparent is white": (
        lambda: save(TWO, transparency=RED), WHITE, BLUE, "RGB with transparency",
    ),
    "a picture that is transparent throughout keeps its colours": (
        lambda: save(halve((*RED, 0), (*BLUE, 0))), RED, BLUE, "RGBA",
    ),
    "a palette keeps its colours": (lambda: save(PIL.Image.fromarray(TWO).quantize()), RED, BLUE, "P"),
    "grey stays grey": (lambda: save(halve(9, 90)), 9, 90, "L"),
    "1 bit is black and white": (lambda: save(PIL.Image.fromarray(halve(0, 255)).convert("1")), 0, 255, "1"),
    "CMYK is read as Adobe writes it, inverted": (
        lambda: save(PIL.Image.fromarray(TWO).convert("CMYK"), "JPEG", quality=100), RED, BLUE, "CMYK",
    ),
    "YCCK is read as Adobe writes it, inverted": (save_ycck, 200, 50, "CMYK"),
    "WebP is read": (lambda: save(TWO, "WEBP", lossless=True), RED, BLUE, None),
    "WebP with transparent pixels is white there": (
        lambda: save(CLEAR, "WEBP", lossless=True, exact=True), WHITE, BLUE, "RGBA",
    ),
    "AVIF is read": (lambda: save(TWO, "AVIF", quality=100), RED, BLUE, None),
    "AVIF under the brand of its container alone is read": (
        lambda: rebrand(save(TWO, "AVIF", quality=100), b"mif1"), RED, BLUE, None,
    ),
    "HEIC is read": (lambda: save(TWO, "HEIF", quality=100, chroma=444), RED, BLUE, None),
    "HEIC under the brand of its container alone is read": (
        lambda: rebrand(save(TWO, "HEIF", quality=100, chroma=444), b"mif1"), RED, BLUE, None,
    ),
    "a 10-bit grey HEIC keeps its levels": (save_deep_heic, 25, 225, "I;16, 16 of 16 bits"),
    "of an animated PNG the first frame is read": (lambda: save(TWO, **move()), RED, BLUE, None),
    "of an animated WebP the first frame is read": (lambda: save(TWO, "WEBP", **move(lossless=True)), RED, BLUE, None),
    "of an AVIF sequence the first frame is read": (lambda: save(TWO, "AVIF", **move(quality=100)), RED, BLUE, None),
    "of a phone's JPEG with a second picture the first is read": (
        lambda: save(TWO, "MPO", **move(quality=100, subsampling=0)), RED, BLUE, None,
    ),
    "a JPEG is turned upright": (lambda: turn("JPEG"), 255, 0, None),
    "a PNG is turned upright": (lambda: turn("PNG"), 255, 0, None),
    "a 16-bit PNG is turned upright": (
        lambda: save(halve(0, 0xFFFF, np.uint16), exif=PIL.Image.open(io.BytesIO(turn("PNG"))).getexif()), 255, 0,
        "I;16, 16 of 16 bits",
    ),
    "a transparent PNG is turned upright": (lambda: turn("PNG", (*RED, 0), (*BLUE, 255)), BLUE, WHITE, "RGBA"),
    "a WebP is turned upright": (lambda: turn("WEBP"), 255, 0, None),
    "an AVIF is turned upright": (lambda: turn("AVIF"), 255, 0, None),
    "a HEIC is turned upright": (lambda: turn("HEIF"), 255, 0, None),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_every_picture_comes_as_8_bit_rgb(case: str) -> None:
    make, left, right, note = READ[case]
    content = make()
    picture = read_picture(content)
    assert find_ending(content) and picture.image.mode == "RGB" and picture.image.size == (WIDE, HIGH)
    for place, expected in ((WIDE // 4, left), (3 * WIDE // 4, right)):
        found = np.array(picture.image.getpixel((place, HIGH // 2)), int)
        assert abs(found - expected).max() <= (0 if content.startswith(b"\x89PNG") else 4), found
    assert picture.note == (note and f"converted from {note}")
    grey = read_picture(content, "L").image
    assert abs(np.asarray(grey, int) - np.asarray(picture.image.convert("L"), int)).max() <= 2


def cut(content: bytes, share: float = 0.6) -> bytes:
    return content[: int(share * len(content))]


def claim(wide: int, high: int) -> bytes:
    """Return a PNG file whose header claims another size."""
    content = save(TWO)
    header = b"IHDR" + struct.pack(">II", wide, high) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def spoil(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


NOISE = np.random.default_rng(1).integers(0, 255, (HIGH, WIDE, 3), np.uint8)
NOT_READ = "must be JPEG, PNG, WebP, AVIF or HEIC"
UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a GIF is not read": (lambda: save(TWO, "GIF"), f"{NOT_READ} (got GIF)"),
    "a BMP is not read": (lambda: save(TWO, "BMP"), f"{NOT_READ} (got BMP)"),
    "a TIFF is not read": (lambda: save(TWO, "TIFF"), f"{NOT_READ} (got TIFF)"),
    "a TIFF of floats is not read": (lambda: save(halve(0, 1, np.float32), "TIFF"), f"{NOT_READ} (got TIFF)"),
    "a JPEG 2000 is not read": (lambda: save(TWO, "JPEG2000"), f"{NOT_READ} (got JPEG2000)"),
    "a text is no picture": (lambda: b"rose\n", f"{NOT_READ} (got no picture)"),
    "a film is no picture": (lambda: b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", f"{NOT_READ} (got no picture)"),
    "an empty file is no picture": (lambda: b"", f"{NOT_READ} (got empty)"),
    "a JPEG that is cut short": (lambda: cut(save(NOISE, "JPEG")), "image file is truncated"),
    "a JPEG of three bytes": (lambda: b"\xff\xd8\xff", "JPEG"),
    "a PNG that is cut short": (lambda: cut(save(NOISE)), "image file is truncated"),
    "a PNG of a header alone": (lambda: save(NOISE)[:8], "PNG"),
    "a 16-bit colour PNG that is cut short": (lambda: cut(deepen(RED, BLUE), 0.8), "truncated"),
    "a PNG with a wrong checksum": (lambda: spoil(save(TWO), 18), "its PNG header cannot be read"),
    "a WebP that is cut short": (lambda: cut(save(NOISE, "WEBP")), "could not create decoder object"),
    "an AVIF that is cut short": (lambda: cut(save(NOISE, "AVIF"), 0.9), "Truncated data"),
    "an AVIF of a header alone": (lambda: save(NOISE, "AVIF")[:40], "AVIF"),
    "a HEIC that is cut short": (lambda: cut(save(NOISE, "HEIF")), "end of file"),
    "a PNG that claims a hundred gigapixels": (lambda: claim(10**6, 10**5), f"has more than {MOST_PIXELS:,} pixels"),
    "a PNG that claims a few more pixels than are read": (
        lambda: claim(MOST_PIXELS // 10_000, 10_001), f"has more than {MOST_PIXELS:,} pixels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_has_a_reason_and_stops_nothing(case: str, tmp_path: pathlib.Path) -> None:
    make, reason = UNREADABLE[case]
    rows = write_photos(tmp_path, 24, 3)
    path = tmp_path / rows.file[0]
    path.write_bytes(make())
    with pytest.raises(UnreadablePicture) as caught:
        read_picture(path)
    assert reason in str(caught.value) and "\n" not in str(caught.value) and "0x" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert hash_photos([path]) == [None] and shrink(path) is None
    metrics = writing.write_records(rows, tmp_path, IMAGE, tmp_path / "records")["preprocess"]
    assert [fault["reason"] for fault in metrics["set_aside"]] == [str(caught.value)]


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
def test_sixty_deep_pictures_have_hashes_thumbnails_and_records_of_their_own(
    depth: int, tmp_path: pathlib.Path
) -> None:
    rows = write_photos(tmp_path, 60, 3)
    generator = np.random.default_rng(depth)
    for file in rows.file:
        coarse = PIL.Image.fromarray(generator.uniform(0, 2**depth - 1, (8, 8)).astype(np.float32))
        levels = np.asarray(coarse.resize((96, 80), PIL.Image.Resampling.BICUBIC)).clip(0, 2**depth - 1)
        levels = levels * (2**depth - 1) / levels.max()
        PIL.Image.fromarray(levels.astype(np.uint16)).save(tmp_path / file)
    hashes = hash_photos([tmp_path / file for file in rows.file])
    assert len(set(hashes)) == 60 and None not in hashes
    for file in rows.file[:5]:
        thumbnail = shrink(tmp_path / file)
        assert thumbnail and np.asarray(PIL.Image.open(io.BytesIO(thumbnail))).std() > 30
    writing.write_records(rows, tmp_path, IMAGE, tmp_path / "records")
    for images, _ in reading.read_batches(tmp_path / "records", "train", 60):
        assert images.numpy().std(axis=(1, 2, 3)).min() > 30 and images.numpy().max() > 250


def test_files_that_differ_in_their_last_four_bits_alone_look_the_same() -> None:
    """The rule looks at one file alone, and cuts: twelve bits into sixteen shift, they do not stretch."""
    upper = read_picture(deepen(0x1230, 0xFED0)).image
    assert upper.tobytes() == read_picture(deepen(0x123F, 0xFEDF)).image.tobytes()
    assert upper.tobytes() == read_picture(deepen(0x123, 0xFED)).image.tobytes()


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name in ("JPEG", "PNG") for mode in ("RGB", "L")])
def test_plain_pictures_have_the_pixels_that_pillow_gives(name: str, mode: str) -> None:
    content = save(PIL.Image.fromarray(NOISE).convert(mode), name)
    plain = PIL.Image.open(io.BytesIO(content))
    assert read_picture(content).image.tobytes() == plain.convert("RGB").tobytes()
    assert read_picture(content).note == (None if mode == "RGB" else "converted from L")


# What is delivered

JPEGS = {f"{number}.jpg": save(np.full((9, 9, 3), number, np.uint8), "JPEG") for number in range(3)}
GIF, BMP = save(TWO, "GIF"), save(TWO, "BMP")
DELIVERED: dict[str, tuple[Mapping[str, bytes], str]] = {
    "photos of a phone and of the web are taken in": (
        {"a.heic": save(TWO, "HEIF"), "b.webp": save(TWO, "WEBP"), "c.avif": save(TWO, "AVIF")},
        "",
    ),
    "the ending of a name says nothing": ({"a.gif": save(TWO, "WEBP"), "b": save(TWO), "c.txt": JPEGS["0.jpg"]}, ""),
    "what is rejected of a class is said with its count": (
        {**JPEGS, "a.gif": GIF, "b.gif": GIF, "c.txt": b"text", "d.jpg": b""},
        "download: tulip: 4 of 7 files rejected: 2 GIF, 1 no picture, 1 empty; the first is tulip/a.gif",
    ),
    "a class of a format that is not read stops": (
        {"a.gif": GIF, "b.bmp": BMP, "c.gif": GIF},
        "params.yaml: dataset: must have a photo in JPEG, PNG, WebP, AVIF or HEIC for each class "
        "(got 2 GIF, 1 BMP for 'tulip', the first of them tulip/a.gif)",
    ),
    "a class of empty files stops": ({"a.jpg": b"", "b.jpg": b""}, "(got 2 empty for 'tulip', the first of them"),
    "a class of texts stops": ({"a.jpg": b"404 not found"}, "(got 1 no picture for 'tulip', the first of them"),
    "a class of hidden files stops": ({f".{name}": content for name, content in JPEGS.items()}, "hidden"),
}


@pytest.mark.parametrize("case", DELIVERED)
def test_no_class_loses_its_photos_without_a_word(
    case: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, words = DELIVERED[case]
    monkeypatch.chdir(tmp_path)
    for label, contents in {"rose": JPEGS, "tulip": files}.items():
        pathlib.Path("photos", label).mkdir(parents=True)
        for name, content in contents.items():
            pathlib.Path("photos", label, name).write_bytes(content)
    dataset = Folder(source="folder", path="photos")
    if case.endswith("stops"):
        with pytest.raises(InputError) as caught:
            download.download(dataset, "raw", "credits.csv", "names.csv")
        assert words in str(caught.value) and "tulip" in str(caught.value) and not pathlib.Path("raw").exists()
    else:
        metrics = download.download(dataset, "raw", "credits.csv", "names.csv")["download"]
        said = [line for line in capsys.readouterr().err.splitlines() if "rejected" in line]
        assert metrics["classes"] == {"rose": 3, "tulip": 3} and said == ([words] if words else [])


# What is set aside

SET_ASIDE: dict[str, tuple[Callable[[pd.DataFrame], Any], str | None]] = {
    "every photo of a class": (lambda rows: rows["class"] == "class1", "a photo of 'class1' in train"),
    "every photo of a class to train on": (
        lambda rows: (rows["class"] == "class1") & (rows.part == "train"),
        "must have a photo of 'class1' in train that can be read (got 4, all set aside, the first, 0000000000000001: "
        "image file is truncated",
    ),
    "every photo of a class for validation": (
        lambda rows: (rows["class"] == "class2") & (rows.part == "validation"),
        "must have a photo of 'class2' in validation that can be read (got 2, all set aside",
    ),
    "every photo of a class for test": (
        lambda rows: (rows["class"] == "class0") & (rows.part == "test"),
        "must have a photo of 'class0' in test that can be read (got 2, all set aside",
    ),
    "all but one of a class in each part": (
        lambda rows: (rows["class"] == "class0") & rows.duplicated(["class", "part"]),
        None,
    ),
}


@pytest.mark.parametrize("case", SET_ASIDE)
def test_a_class_whose_photos_of_a_part_are_all_cut_short_stops_preprocess(
    case: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choose, words = SET_ASIDE[case]
    rows = write_photos(tmp_path, 24, 3)
    short = rows[choose(rows)]
    for file in short.file:
        (tmp_path / file).write_bytes(cut((tmp_path / file).read_bytes()))
    if words:
        with pytest.raises(InputError) as caught:
            writing.write_records(rows, tmp_path, IMAGE, tmp_path / "records")
        assert words in str(caught.value) and not (tmp_path / "records").exists()
    else:
        metrics = writing.write_records(rows, tmp_path, IMAGE, tmp_path / "records")["preprocess"]
        assert sorted(fault["id"] for fault in metrics["set_aside"]) == list(short.id)
        assert f"preprocess: {len(short)} of 24 photos cannot be read and are set aside" in capsys.readouterr().err
