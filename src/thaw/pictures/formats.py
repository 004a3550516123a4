"""Formats of picture files, told apart by their first bytes."""

import io

import PIL.Image

NAMES = "JPEG, PNG, WebP, AVIF or HEIC"  # the formats that are read, as messages have them

# Brands of ISO base media files that hold HEVC, as libheif knows them; mif1 and msf1 name a container alone.
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
MOST_BRANDS = 64  # looked at: more are no list of brands


def find_format(content: bytes) -> str | None:
    """Return Pillow's name of the format of a picture file that is read, by its first bytes, or None for any other.

    The names are JPEG, PNG, WEBP, AVIF and HEIF (HEIC among it). What follows the first bytes may be damaged.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        # The box `ftyp`: its length, "ftyp", the major brand, a version, and the other brands that the file meets.
        end = min(int.from_bytes(content[:4]), 16 + 4 * MOST_BRANDS)
        brands = {content[8:12], *(content[start : start + 4] for start in range(16, end, 4))}
        if brands & AVIF_BRANDS:
            return "AVIF"
        if brands & HEIF_BRANDS:
            return "HEIF"
    return None


def explain_unread(content: bytes) -> str:
    """Return in a few words why the file `content`, which `find_format` does not know, is not read: ``GIF``, say."""
    if not content:
        return "empty"
    try:
        with PIL.Image.open(io.BytesIO(content)) as opened:
            return str(opened.format)
    except Exception:  # Pillow's readers of damaged files raise errors of many kinds
        return "no picture"
