"""The one function from a picture file to 8 bits a channel: for training, hashes, thumbnails and predictions alike.

- **Depth.** PNG files of 16 bits a channel, grey or colour, count as of the smallest of DEPTHS (8, 10, 12, 14, 16
  bits) that holds the largest value of the file, and of these the upper eight bits are kept: cameras and scanners write
  12 bits into 16, where the upper eight of all sixteen would be black. The chunk `sBIT` is not asked, since writers
  differ in whether it counts from the top, as the specification has it, or from the bottom. AVIF and HEIC files state
  their depth.
- **Transparency** of every kind (an alpha channel, a palette with one, a colour that counts as transparent) is laid
  over white. Where nothing would be visible at all, the transparency is left out instead: it tells nothing then.
- **Palette, grey and 1 bit** become RGB, **CMYK and YCCK** too: values inverted as Adobe writes them, and by Pillow's
  plain formula. Colour profiles are not applied.
- **Frames.** Of an animation or a burst the first is read, of a HEIC file with several pictures the primary one.
- **Turned upright** by the orientation in its EXIF data; in AVIF and HEIC by that of the container.
"""

import io
import pathlib
import warnings
from typing import Literal, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps
import pillow_heif

from thaw.pictures.formats import NAMES, explain_unread, find_format

DEPTHS = (8, 10, 12, 14, 16)  # bits a channel that sensors give
BACKGROUND = "white"
# From where on Pillow takes a picture for a decompression bomb; at half of that it already warns, on the screen.
MOST_PIXELS = 2 * (PIL.Image.MAX_IMAGE_PIXELS or 0)

pillow_heif.register_heif_opener()
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)


class UnreadablePicture(OSError):
    """A file that is no picture, or is damaged; the text has the reason and no path."""


class Picture(NamedTuple):
    """A picture as networks and readers see it."""

    image: PIL.Image.Image  # RGB, or L where that was asked for; 8 bits a channel, upright
    note: str | None  # what it was converted from; None for 8-bit RGB without transparency


def read_picture(source: pathlib.Path | bytes, mode: Literal["RGB", "L"] = "RGB", least: int | None = None) -> Picture:
    """Return the picture in the file `source` (its path, or its bytes) as 8-bit RGB, or as grey ("L").

    `least` lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its sides, as long as both keep so many pixels; that is fast.
    Grey of a colour JPEG is the brightness that the file holds. Raises UnreadablePicture for a file that cannot be read
    whole, is of another format than JPEG, PNG, WebP, AVIF and HEIC, or has more than MOST_PIXELS pixels; OSError where
    there is no such file.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    found = find_format(content)
    if found is None:
        raise UnreadablePicture(f"must be {NAMES} (got {explain_unread(content)})")
    try:
        with PIL.Image.open(io.BytesIO(content), formats=(found,)) as opened:
            kept = opened.mode  # in the file
            if least and found == "JPEG":  # HEIC would give a thumbnail that it holds, which may be of anything
                opened.draft(mode, (least, least))
            opened.load()
            photo: PIL.Image.Image = opened
            note = None if kept == "RGB" else f"converted from {kept}"
            if kept.startswith("I") or (found == "PNG" and content[24] == 16):  # bits a channel, in the chunk IHDR
                photo, bits = _cut_to_8_bits(opened, content)
                note = f"converted from {kept}, {bits} of 16 bits"
            PIL.ImageOps.exif_transpose(photo, in_place=True)
            if photo.has_transparency_data:
                photo, note = _lay_over_background(photo), note or "converted from RGB with transparency"
            return Picture(photo.convert(mode), note)
    except PIL.Image.DecompressionBombError:
        raise UnreadablePicture(f"has more than {MOST_PIXELS:,} pixels") from None
    except PIL.UnidentifiedImageError:
        raise UnreadablePicture(f"its {found} header cannot be read") from None
    except MemoryError:  # of this machine now, and not of the file
        raise
    except Exception as error:  # Pillow's readers of damaged files raise errors of many kinds
        raise UnreadablePicture(" ".join(str(error).split()) or type(error).__name__) from None


def read_size(content: bytes) -> tuple[int, int] | tuple[None, None]:
    """Return width and height of a picture file in pixels, as its header has them, or twice None without a whole one.

    The header is that of a file which `find_format` knows, and the sides those before it is turned upright.
    """
    try:
        with PIL.Image.open(io.BytesIO(content), formats=(find_format(content) or "",)) as opened:
            return opened.size
    except Exception:  # as above
        return None, None


def _cut_to_8_bits(opened: PIL.Image.Image, content: bytes) -> tuple[PIL.Image.Image, int]:
    """Return a picture of 16 bits a channel, whose file is `content`, in 8 bits (L, LA or RGBA), and its depth in bits.

    The mode of the result holds what is transparent; its metadata are those of `opened`.
    """
    alpha = None
    if opened.mode.startswith("I"):
        levels = np.asarray(opened)
        clear = opened.info.get("transparency")  # the level that counts as transparent
        if clear is not None:
            alpha = np.where(levels == clear, 0, 255).astype(np.uint8)
    else:  # Pillow has kept the upper eight bits alone
        from thaw.base.quiet import tf  # takes seconds to load, and hardly any file needs it

        channels = tf.io.decode_png(content, channels=4, dtype=tf.uint16).numpy()
        levels, alpha = channels[..., :3], _scale(channels[..., 3], _find_depth(channels[..., 3]))
    # HEIC states its depth, and its values come scaled by it.
    depth = 16 if opened.format == "HEIF" else _find_depth(levels)
    photo = PIL.Image.fromarray(_scale(levels, depth))
    if alpha is not None:
        photo.putalpha(PIL.Image.fromarray(alpha))
    photo.info.update({key: value for key, value in opened.info.items() if key != "transparency"})
    return photo, depth


def _find_depth(levels: np.ndarray) -> int:
    """Return the smallest of DEPTHS that holds every value of `levels`, whole numbers from 0 on."""
    largest = int(levels.max()).bit_length()
    return next((depth for depth in DEPTHS if largest <= depth), largest)


def _scale(levels: np.ndarray, depth: int) -> np.ndarray:
    """Return the upper eight of the `depth` bits of `levels`, whole numbers from 0 on, as uint8."""
    return (levels >> (depth - 8)).astype(np.uint8)


def _lay_over_background(photo: PIL.Image.Image) -> PIL.Image.Image:
    """Return `photo`, which has transparency, over BACKGROUND as RGB; without the former if it hides everything."""
    layer = photo.convert("RGBA")
    if layer.getchannel("A").getextrema() == (0, 0):
        return layer.convert("RGB")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")
