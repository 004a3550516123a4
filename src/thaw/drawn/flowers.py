"""Flowers drawn by the project itself: a dataset for the demo and the tests, with no network and no photo.

Two domains come out of the same drawing code and share no species. FLOWERS are the five classes of the dataset itself;
PRETRAINING are the classes on which small backbones are pretrained, so that there is something to transfer.

A picture follows from (seed, domain, species, index) alone. All that is random comes from `random.Random`, coordinates
are rounded to whole pixels of a canvas four times as large, and Pillow works in whole numbers, so that machines agree.
"""

import io
import math
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

SUPERSAMPLING = 4
POINTS_PER_PETAL = 22
GARDEN = ("#f3eff4", "#f0d468", "#d9486e", "#7c6bd0", "#e58fc0", "#f0a03c")  # colours that many species share
LEAVES = ("#2f5f2c", "#477a34", "#5f8f3f", "#6f8f4a", "#3a5a3a", "#8a9a52", "#6b6a3a")
BLOBS = ("#efe6ee", "#e0a53c", "#cf4a63", "#8a6fd0", "#e79abf", "#f0dc86", "#ffffff", "#9fc4e6")
SCENES = (
    ("#20301f", "#42602f"), ("#4f7438", "#9db56a"), ("#5b4a36", "#8f7a55"), ("#8fb2cf", "#dfe8e6"),
    ("#2a2f3a", "#566070"), ("#b9a98a", "#e2d8c2"), ("#3a4f2a", "#c2b768"), ("#6f5a70", "#c2a9b5"),
)  # fmt: skip

Domain = Literal["flowers", "pretraining"]
Colour = tuple[int, ...]  # its three channels, 0 to 255
Point = tuple[float, float]
Frame = tuple[float, float, float, float, float, float]  # an affine map, as `_place` applies it


class Species(NamedTuple):
    """What the pictures of a class have in common; lengths are shares of a petal's length."""

    petals: tuple[int, int]  # the fewest and the most in a row
    width: float  # of a petal, where it is widest
    colours: tuple[str, ...]  # of the petals; a flower has one of them
    centre: str  # a key of CENTRES
    centre_size: float  # its radius
    centre_colours: tuple[str, ...]
    widest: float = 1.3  # 1: the petal is widest half way; above: nearer its tip
    bluntness: float = 0.6  # 0.3: nearly a rectangle, 1: an almond, above: ever sharper ends
    notch: float = 0.0  # how deep the tip is cut in
    teeth: int = 1  # how many such cuts
    skew: float = 0.0  # how far the petal bends sideways
    rows: int = 1  # of petals, each shorter and drawn over the one before
    spread: int = 360  # degrees that the petals fan out over; below 360 the flower is seen from its side


FLOWERS = {
    "anemone": Species(
        (6, 8), 0.66, ("#f3eff4", "#7c6bd0", "#d9486e", "#b98ae0", "#f2b6cf"), "stamens", 0.20,
        ("#2a2138", "#3a2a24", "#2c3320"), widest=1.25, bluntness=0.52,
    ),
    "aster": Species(
        (15, 21), 0.22, ("#f3eff4", "#b98ae0", "#7c6bd0", "#e58fc0", "#f0d468"), "disc", 0.24,
        ("#e8b528", "#d99a22", "#c98b2b"), widest=1.3, bluntness=0.5,
    ),
    "cosmos": Species(
        (8, 9), 0.50, ("#f3eff4", "#d9486e", "#e58fc0", "#b98ae0", "#f0a03c"), "disc", 0.19,
        ("#e8b528", "#d99a22", "#c7a02c"), widest=1.9, bluntness=0.55, notch=0.10, teeth=3,
    ),
    "lily": Species(
        (6, 6), 0.40, ("#f3eff4", "#f0a03c", "#f2b6cf", "#d9486e", "#f0d468"), "anthers", 0.36,
        ("#8a4a22", "#a8622a", "#6b3a24"), widest=0.9, bluntness=0.95,
    ),
    "primrose": Species(
        (5, 5), 0.76, ("#f0d468", "#f3eff4", "#d9486e", "#7c6bd0", "#e58fc0"), "eye", 0.24,
        ("#e8b528", "#e2c33a", "#d99a22"), widest=1.7, bluntness=0.55, notch=0.20,
    ),
}  # fmt: skip

PRETRAINING = {
    "buttercup": Species(
        (5, 5), 0.84, ("#f5d020", "#efc22c", "#f4e6a0"), "stamens", 0.26, ("#d9b51e", "#b9a52a"), widest=1.35,
        bluntness=0.45,
    ),
    "clematis": Species(
        (4, 4), 0.56, ("#5c4bb5", "#a94fa0", "#e9e2f3", "#d98ac0"), "anthers", 0.24, ("#e9e3b0", "#c9c07a", "#6d3a5e"),
        widest=0.95, bluntness=0.8,
    ),
    "clover": Species(
        (3, 4), 0.82, ("#4f9440", "#6dab4a", "#3f7d4a"), "none", 0.0, ("#a9cc80",), widest=1.6, bluntness=0.55,
        notch=0.16,
    ),
    "cornflower": Species(
        (9, 12), 0.42, ("#3f5fd0", "#6a7fe0", "#c05fb0", "#eef0f6"), "disc", 0.30, ("#4a2f86", "#6f3f9c", "#3a2f70"),
        widest=2.8, bluntness=0.9, notch=0.26, teeth=4,
    ),
    "daffodil": Species(
        (6, 6), 0.52, ("#f6e04a", "#f6f0dc", "#f3d23a"), "trumpet", 0.40, ("#ef9a1f", "#e97d1c", "#f2c230"),
        widest=1.1, bluntness=0.7,
    ),
    "dahlia": Species(
        (13, 16), 0.36, ("#c22f4f", "#e07a3a", "#e9d7e6", "#8c3f9f"), "none", 0.0, ("#8c2f3a",), widest=1.2,
        bluntness=0.75, rows=4,
    ),
    "marigold": Species(
        (10, 13), 0.48, ("#ef8f1c", "#f2b51f", "#d9611c"), "disc", 0.16, ("#8f3a18", "#c7701c"), widest=2.2,
        bluntness=0.6, notch=0.12, teeth=2, rows=3,
    ),
    "periwinkle": Species(
        (5, 5), 0.60, ("#6f7fe0", "#8f6fd8", "#e6e6f8"), "eye", 0.16, ("#f4f4fb", "#d8d0f0"), widest=2.1,
        bluntness=0.6, skew=0.34,
    ),
    "poppy": Species(
        (4, 4), 1.16, ("#d9301f", "#e8622a", "#f2d9cf", "#efb23a"), "stamens", 0.24, ("#1f1a22", "#2c2a1c"), widest=1.4,
        bluntness=0.42, notch=0.05, teeth=4,
    ),
    "rose": Species(
        (5, 7), 0.98, ("#c9203f", "#ef9fb0", "#f6e6d2", "#f2c04a"), "none", 0.0, ("#a01f36",), widest=1.5,
        bluntness=0.4, skew=0.1, rows=5,
    ),
    "sunflower": Species(
        (20, 28), 0.24, ("#f4bf1c", "#f2a41c", "#c9641c"), "disc", 0.52, ("#4a2a18", "#62401c", "#33261c"), widest=0.9,
        bluntness=0.95,
    ),
    "tulip": Species(
        (4, 5), 0.58, ("#d92f4a", "#f0c22c", "#b95fc0", "#f3ece6"), "none", 0.0, ("#a9cc80",), widest=0.95,
        bluntness=0.7, spread=62,
    ),
    "bellflower": Species(
        (5, 6), 0.40, ("#6a5fd0", "#9a8fe6", "#e9e6f6"), "none", 0.0, ("#a9cc80",), widest=1.4, bluntness=0.75,
        notch=0.08, skew=0.12, spread=130,
    ),
    "waterlily": Species(
        (9, 11), 0.36, ("#f6eef2", "#efa9c9", "#f3e6a4", "#d9608f"), "stamens", 0.18, ("#f0b81f", "#e8c840"),
        widest=0.95, bluntness=0.8, rows=3,
    ),
    "chicory": Species(
        (13, 17), 0.26, GARDEN, "anthers", 0.30, ("#3a2f70", "#6b3a24"), widest=2.0, bluntness=0.5, notch=0.10, teeth=3,
    ),
    "coreopsis": Species(
        (7, 8), 0.62, GARDEN, "disc", 0.34, ("#4a2a18", "#7a3f1c"), widest=2.2, bluntness=0.5, notch=0.16, teeth=2,
    ),
    "crocus": Species(
        (6, 6), 0.54, GARDEN, "anthers", 0.20, ("#ef9a1f", "#e8b528"), widest=1.2, bluntness=0.55,
    ),
    "dogwood": Species(
        (4, 4), 0.80, GARDEN, "disc", 0.16, ("#8f9a3a", "#b9a52a"), widest=1.5, bluntness=0.55, notch=0.14,
    ),
    "gerbera": Species(
        (22, 28), 0.17, GARDEN, "stamens", 0.20, ("#2c2320", "#4a3a1c"), widest=1.4, bluntness=0.45, rows=2,
    ),
    "hellebore": Species(
        (5, 5), 0.66, GARDEN, "stamens", 0.20, ("#b9b53a", "#d8d07a"), widest=1.05, bluntness=0.75,
    ),
    "hibiscus": Species(
        (5, 5), 0.92, GARDEN, "trumpet", 0.28, ("#8c1f3a", "#6b2a4a"), widest=1.6, bluntness=0.5, notch=0.06, teeth=3,
    ),
    "jasmine": Species(
        (7, 8), 0.30, GARDEN, "eye", 0.18, ("#e9e3b0", "#e8b528"), widest=1.0, bluntness=0.85,
    ),
    "magnolia": Species(
        (9, 11), 0.44, GARDEN, "stamens", 0.18, ("#8f9a3a", "#c9a07a"), widest=1.4, bluntness=0.5,
    ),
    "trillium": Species(
        (3, 3), 0.78, GARDEN, "anthers", 0.26, ("#e8c840", "#b9a52a"), widest=0.95, bluntness=0.75,
    ),
}  # fmt: skip

DOMAINS: dict[Domain, dict[str, Species]] = {"flowers": FLOWERS, "pretraining": PRETRAINING}


def draw(seed: int, domain: Domain, name: str, index: int, size: int) -> bytes:
    """Return picture `index` of the species `name` of `domain` (a key of DOMAINS) as JPEG bytes, `size` pixels square.

    It does not depend on which other pictures are drawn.
    """
    rng = random.Random(f"{seed}/{domain}/{name}/{index}")
    side = size * SUPERSAMPLING
    species = DOMAINS[domain][name]
    canvas = _background(rng, side)
    radius = side * rng.uniform(0.31, 0.48)
    x, y = (side * rng.uniform(0.39, 0.61) for _ in range(2))
    colour = rng.choice(species.colours)
    others = rng.choice((0, 0, 0, 1, 1, 2))  # of its kind, further away
    for _ in range(others):
        _flower(rng, canvas, species, colour, side * rng.random(), side * rng.random(), radius * rng.uniform(0.3, 0.5))
    if others:
        canvas = canvas.filter(ImageFilter.BoxBlur(side // 80))
    canvas = _cast_shadow(rng, canvas, x, y, radius)
    _stem(rng, canvas, x, y, radius * 0.07)
    _flower(rng, canvas, species, colour, x, y, radius)
    _occlude(rng, canvas, x, y, radius)
    return _encode(_expose(rng, canvas.reduce(SUPERSAMPLING)))


def _background(rng: random.Random, side: int) -> Image.Image:
    """Return a canvas with a gradient, blobs of light, leaves and grass, as a lens out of focus shows them."""
    small = side // SUPERSAMPLING
    first, second = (_vary(rng, colour, 18) for colour in rng.sample(rng.choice(SCENES), 2))
    image = Image.composite(
        Image.new("RGB", (small, small), first), Image.new("RGB", (small, small), second), _ramp(rng, small)
    )
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randrange(0, 7)):
        x, y, r = small * rng.random(), small * rng.random(), small * rng.uniform(0.03, 0.16)
        pen.ellipse(_box(x, y, r, r), fill=_vary(rng, rng.choice(rng.choice((LEAVES, BLOBS))), 30))
    for _ in range(rng.randrange(0, 7)):
        _leaf(rng, pen, small * rng.random(), small * rng.random(), small * rng.uniform(0.2, 0.6))
    if rng.random() < 0.5:
        for _ in range(rng.randrange(8, 26)):
            x, lean = small * rng.random(), small * rng.uniform(-0.2, 0.2)
            tip = (round(x + lean), round(small * rng.uniform(0.1, 0.8)))
            pen.line([(round(x), small), tip], fill=_vary(rng, rng.choice(LEAVES), 34), width=max(1, small // 48))
    image = image.filter(ImageFilter.GaussianBlur(small * rng.uniform(0.015, 0.05)))
    return image.resize((side, side), Image.Resampling.BILINEAR)


def _leaf(rng: random.Random, pen: ImageDraw.ImageDraw, x: float, y: float, length: float) -> None:
    """Draw a leaf with its midrib, from (x, y) in some direction."""
    frame = _frame(x, y, length, rng.uniform(0, 2 * math.pi), 1.0, 0.0)
    colour = _vary(rng, rng.choice(LEAVES), 26)
    width, widest, skew = rng.uniform(0.22, 0.5), rng.uniform(0.8, 1.2), rng.uniform(-0.2, 0.2)
    pen.polygon(_place(frame, _outline(width, widest, 0.9, 0, 1, skew)), colour)
    pen.line(_place(frame, [(0.0, 0.0), (0.95, 0.0)]), fill=_shade(colour, 1.25), width=max(1, round(length / 40)))


def _cast_shadow(rng: random.Random, canvas: Image.Image, x: float, y: float, radius: float) -> Image.Image:
    """Return the canvas darkened softly beside and below the flower, which lifts it off its background."""
    side, depth = canvas.width, rng.uniform(0.0, 0.55)
    small = side // SUPERSAMPLING
    mask = Image.new("L", (small, small), 0)
    x, y, r = (value / SUPERSAMPLING for value in (x + radius * rng.uniform(-0.3, 0.3), y + radius * 0.25, radius))
    ImageDraw.Draw(mask).ellipse(_box(x, y, r * 0.9, r * 0.75), fill=round(255 * depth))
    mask = mask.filter(ImageFilter.GaussianBlur(r * 0.25)).resize((side, side), Image.Resampling.BILINEAR)
    canvas.paste((14, 20, 16), (0, 0), mask)
    return canvas


def _stem(rng: random.Random, canvas: Image.Image, x: float, y: float, width: float) -> None:
    """Draw a bent stem from (x, y) down past the lower border."""
    bend, foot = canvas.width * rng.uniform(-0.25, 0.25), canvas.height * 1.05 - y
    points = [(round(x + bend * (i / 8) ** 2), round(y + foot * i / 8)) for i in range(9)]
    colour = _vary(rng, rng.choice(LEAVES), 20)
    pen = ImageDraw.Draw(canvas)
    pen.line(points, fill=_shade(colour, 0.7), width=round(width * 1.6), joint="curve")
    pen.line(points, fill=colour, width=round(width), joint="curve")


def _flower(
    rng: random.Random, canvas: Image.Image, species: Species, hexadecimal: str, x: float, y: float, radius: float
) -> None:
    """Draw one flower round (x, y), seen a little from the side, each petal a little out of line."""
    pen = ImageDraw.Draw(canvas)
    colour = _vary(rng, hexadecimal, 24)
    tip, base = _shade(colour, rng.uniform(0.98, 1.2)), _shade(colour, rng.uniform(0.62, 0.95))
    edge = _shade(colour, rng.uniform(0.55, 0.8))
    # A disc seen at an angle is an ellipse: squeezed along the direction in which the flower leans.
    squeeze, lean = rng.uniform(0.82, 1.0), rng.uniform(0, math.pi)
    turn = rng.uniform(0, 2 * math.pi)
    width = species.width * rng.uniform(0.86, 1.16)
    count = rng.randint(*species.petals)
    outline = _outline(width, species.widest, species.bluntness, species.notch, species.teeth, species.skew)
    inner = [(0.06 + 0.86 * u, 0.8 * v) for u, v in outline]
    throat = [(0.55 * u, 0.62 * v) for u, v in outline]
    slack = math.radians(species.spread) / count * 0.16
    for row in range(species.rows):
        length = radius * (1 - 0.72 * row / species.rows)
        tone = 1 - 0.10 * (row % 2) - 0.04 * row
        for petal in rng.sample(range(count), count):
            if species.spread == 360:
                angle = turn + 2 * math.pi * (petal + 0.5 * row) / count
            else:
                upwards = -math.pi / 2 + (turn - math.pi) * 0.16
                angle = upwards + math.radians(species.spread) * (petal / (count - 1) - 0.5)
            angle += rng.uniform(-slack, slack)
            long = length * rng.uniform(0.86, 1.06)
            frame = _frame(x, y, long, angle, squeeze, lean)
            light = tone * rng.uniform(0.9, 1.08)
            pen.polygon(_place(frame, outline), _shade(edge, light))
            pen.polygon(_place(frame, inner), _shade(tip, light))
            pen.polygon(_place(frame, throat), _shade(base, light))
            for vein in (-0.22, 0.0, 0.22):
                ends = _place(frame, [(0.2, vein * width * 0.5), (0.8, vein * width)])
                pen.line(ends, fill=_shade(base, light * 0.95), width=max(1, round(radius / 70)))
    if species.centre != "none":
        centre = radius * species.centre_size * rng.uniform(0.85, 1.15)
        frame = _frame(x, y, centre, turn, squeeze, lean)
        CENTRES[species.centre](rng, pen, frame, _vary(rng, rng.choice(species.centre_colours), 18), centre)


def _draw_disc(rng: random.Random, pen: ImageDraw.ImageDraw, frame: Frame, colour: Colour, radius: float) -> None:
    """A dome of florets set in a spiral, darker at its rim."""
    pen.polygon(_place(frame, _ring(1.0)), _shade(colour, 0.62))
    pen.polygon(_place(frame, _ring(0.88)), colour)
    for i in range(46):
        angle, distance = 2.39996 * i, 0.92 * math.sqrt((i + 0.5) / 46)
        dot = (distance * math.cos(angle), distance * math.sin(angle))
        _dot(pen, frame, dot, radius * 0.08, _shade(colour, rng.uniform(0.6, 1.35)))


def _draw_stamens(rng: random.Random, pen: ImageDraw.ImageDraw, frame: Frame, colour: Colour, radius: float) -> None:
    """A round pistil within a loose ring of stamens."""
    for i in range(26):
        angle, distance = 2 * math.pi * i / 26 + rng.uniform(-0.1, 0.1), rng.uniform(1.15, 1.7)
        dot = (distance * math.cos(angle), distance * math.sin(angle))
        pen.line(_place(frame, [(0.0, 0.0), dot]), fill=_shade(colour, 1.5), width=max(1, round(radius * 0.06)))
        _dot(pen, frame, dot, radius * 0.12, _shade(colour, rng.uniform(0.7, 1.3)))
    pen.polygon(_place(frame, _ring(0.75)), _shade(colour, 0.8))
    pen.polygon(_place(frame, _ring(0.45)), _shade(colour, 1.25))


def _draw_anthers(rng: random.Random, pen: ImageDraw.ImageDraw, frame: Frame, colour: Colour, radius: float) -> None:
    """Six long stamens with heavy anthers, over a green throat."""
    pen.polygon(_place(frame, _ring(0.42)), _vary(rng, "#a8b858", 14))
    for i in range(6):
        angle, distance = 2 * math.pi * i / 6 + rng.uniform(-0.25, 0.25), rng.uniform(0.9, 1.3)
        dot = (distance * math.cos(angle), distance * math.sin(angle))
        pen.line(_place(frame, [(0.0, 0.0), dot]), fill=(226, 226, 170), width=max(1, round(radius * 0.08)))
        _dot(pen, frame, dot, radius * 0.15, _shade(colour, rng.uniform(0.8, 1.2)))


def _draw_eye(rng: random.Random, pen: ImageDraw.ImageDraw, frame: Frame, colour: Colour, radius: float) -> None:
    """A star-shaped patch round a narrow throat."""
    star = [((1.25 if i % 2 else 0.8) * u, (1.25 if i % 2 else 0.8) * v) for i, (u, v) in enumerate(_ring(1.0, 10))]
    pen.polygon(_place(frame, star), colour)
    pen.polygon(_place(frame, _ring(0.5)), _shade(colour, 0.75))
    _dot(pen, frame, (0.0, 0.0), radius * 0.24, _shade(colour, rng.uniform(0.4, 0.6)))


def _draw_trumpet(rng: random.Random, pen: ImageDraw.ImageDraw, frame: Frame, colour: Colour, radius: float) -> None:
    """A frilled tube that opens towards the viewer."""
    frill = [(r * u, r * v) for u, v in _ring(1.0, 28) for r in [rng.uniform(0.9, 1.12)]]
    pen.polygon(_place(frame, frill), colour)
    pen.polygon(_place(frame, _ring(0.78)), _shade(colour, 0.82))
    pen.polygon(_place(frame, _ring(0.5)), _shade(colour, 0.6))
    for i in range(5):
        angle = 2 * math.pi * i / 5
        _dot(pen, frame, (0.24 * math.cos(angle), 0.24 * math.sin(angle)), radius * 0.1, (240, 222, 120))


def _occlude(rng: random.Random, canvas: Image.Image, x: float, y: float, radius: float) -> None:
    """Draw, on every other picture, a leaf or a blade of grass that crosses the flower's edge."""
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.choice((0, 0, 1, 1))):
        angle, distance = rng.uniform(0, 2 * math.pi), radius * rng.uniform(0.9, 1.5)
        from_x, from_y = x + distance * math.cos(angle), y + distance * math.sin(angle)
        if rng.random() < 0.6:
            _leaf(rng, pen, from_x, from_y, radius * rng.uniform(0.6, 1.2))
        else:
            top = (round(from_x + radius * rng.uniform(-0.5, 0.5)), round(from_y - radius * rng.uniform(0.4, 1.6)))
            foot = (round(from_x + radius * rng.uniform(-0.4, 0.4)), canvas.height)
            colour = _vary(rng, rng.choice(LEAVES), 26)
            width = round(radius * rng.uniform(0.04, 0.12))
            pen.line([foot, (round(from_x), round(from_y)), top], colour, width, "curve")


def _expose(rng: random.Random, image: Image.Image) -> Image.Image:
    """Return the picture as a camera takes it: uneven light, exposure, white balance, focus and noise."""
    size = image.width
    if rng.random() < 0.6:
        strength = rng.uniform(0.2, 0.6)
        shade = _ramp(rng, size).point([round(255 - strength * (255 - value)) for value in range(256)])
        image = ImageChops.multiply(image, Image.merge("RGB", (shade,) * 3))
    image = image.filter(ImageFilter.GaussianBlur(size * rng.choice((0.0, 0.003, 0.006))))
    brightness, contrast, warmth = rng.uniform(0.85, 1.18), rng.uniform(0.9, 1.2), rng.uniform(-0.08, 0.08)
    curves = []
    for gain in (1 + warmth, 1.0, 1 - warmth):
        curves += [_clip((128 + (value * brightness - 128) * contrast) * gain) for value in range(256)]
    image = image.point(curves)
    grain = Image.frombytes("RGB", (size, size), rng.randbytes(size * size * 3))
    return Image.blend(image, grain, rng.uniform(0.01, 0.04))


def _ramp(rng: random.Random, size: int) -> Image.Image:
    """Return a grey picture (mode L) that brightens evenly in some direction."""
    turned = Image.linear_gradient("L").reduce(4).rotate(rng.randrange(360), Image.Resampling.BILINEAR)
    return turned.crop((10, 10, 54, 54)).resize((size, size), Image.Resampling.BILINEAR)  # no turn leaves a gap there


def _encode(image: Image.Image) -> bytes:
    """Return the picture as a JPEG file, with settings of its own, for Pillow's defaults may change."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, subsampling=0, optimize=False, progressive=False)
    return file.getvalue()


def _outline(width: float, widest: float, bluntness: float, notch: float, teeth: int, skew: float) -> list[Point]:
    """Return the outline of a petal as points (along, across) from its base at (0, 0) to its tip near (1, 0)."""
    points = []
    for i in range(POINTS_PER_PETAL):
        angle = math.pi * (2 * i / POINTS_PER_PETAL - 1)  # 0 at the tip, a half turn to either side at the base
        along = (1 + math.cos(angle)) / 2
        across = width / 2 * math.sin(math.pi * along**widest) ** bluntness if 0 < along < 1 else 0.0
        if abs(angle) < 1.1:
            along -= notch * math.cos(math.pi * teeth * angle / 2.2) ** 2 * (1 - abs(angle) / 1.1) ** 0.5
        points.append((along, math.copysign(across, angle) + skew * along * along))
    return points


def _ring(radius: float, count: int = 20) -> list[Point]:
    """Return the corners of a polygon round (0, 0)."""
    return [
        (radius * math.cos(2 * math.pi * i / count), radius * math.sin(2 * math.pi * i / count)) for i in range(count)
    ]


def _frame(x: float, y: float, scale: float, angle: float, squeeze: float, lean: float) -> Frame:
    """Return the map that scales and turns a shape, squeezes it across the direction `lean` and moves it to (x, y)."""
    cos, sin, c, s = math.cos(angle) * scale, math.sin(angle) * scale, math.cos(lean), math.sin(lean)
    a, b, d = c * c + squeeze * s * s, (1 - squeeze) * c * s, s * s + squeeze * c * c
    return a * cos + b * sin, b * cos - a * sin, b * cos + d * sin, d * cos - b * sin, x, y


def _place(frame: Frame, points: Sequence[Point]) -> list[tuple[int, int]]:
    """Return `points` in whole pixels of the canvas."""
    a, b, c, d, x, y = frame
    return [(round(a * u + b * v + x), round(c * u + d * v + y)) for u, v in points]


def _dot(pen: ImageDraw.ImageDraw, frame: Frame, at: Point, radius: float, colour: Colour) -> None:
    """Draw a round dot of `radius` pixels of the canvas at the point `at` of `frame`."""
    (x, y), r = _place(frame, [at])[0], max(1, round(radius))
    pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _box(x: float, y: float, width: float, height: float) -> tuple[int, int, int, int]:
    """Return the corners, in whole pixels, of a box round (x, y); `width` and `height` are half of its sides."""
    return round(x - width), round(y - height), round(x + width), round(y + height)


def _vary(rng: random.Random, colour: str, amount: int) -> Colour:
    """Return a colour near `colour` (hex): its three channels (0 to 255) moved together and each a little by itself."""
    step = rng.randint(-amount, amount)
    return tuple(_clip(value + step + rng.randint(-amount // 2, amount // 2)) for value in ImageColor.getrgb(colour))


def _shade(colour: Colour, light: float) -> Colour:
    """Return a colour (three channels, 0 to 255) made darker (`light` below 1) or lighter (above)."""
    return tuple(_clip(value * light) for value in colour)


def _clip(value: float) -> int:
    """Return `value` as a channel of a colour: whole, from 0 to 255."""
    return max(0, min(255, round(value)))


# Behind the functions that it names.
CENTRES: dict[str, Callable[[random.Random, ImageDraw.ImageDraw, Frame, Colour, float], None]] = {
    "disc": _draw_disc, "stamens": _draw_stamens, "anthers": _draw_anthers, "eye": _draw_eye, "trumpet": _draw_trumpet,
}  # fmt: skip
