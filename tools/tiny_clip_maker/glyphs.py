"""Single characters of matplotlib's fonts as signed distance maps.

A distance map can be warped, thickened, thinned and softened by arithmetic alone, so
every character is drawn once per font (PIL) and never again.
"""

import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

CANVAS = 64  # pixels per side
INSET = 44  # the longer side of a drawing
REACH = 12  # distances are cut off there, in pixels

DIGITS = '0123456789'
LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
OTHERS = (
    'αβγδεζηθκλμξπρσφχψωΓΔΘΛΞΠΣΦΨΩ'
    + 'бвгджзийлптфцчшщыэюяБДЖИЛЦЯ'
    + '!?&%#@$€£+=<>~/*§¶{}[]()'
    + '←↑→↓↔∀∂∃∅∇∈∏∑√∞∫≈≠≤≥⊂⊕♠♥♦♣★☎☺☀♪'
)
# First and last code points: Armenian capitals, Armenian, Hebrew, N'Ko, Georgian, Tifinagh.
SCRIPTS = (
    (0x531, 0x556),
    (0x561, 0x586),
    (0x5D0, 0x5EA),
    (0x7CA, 0x7EA),
    (0x10D0, 0x10F0),
    (0x2D30, 0x2D65),
)
OTHERS += ''.join(chr(i) for first, last in SCRIPTS for i in range(first, last + 1))
# Other shapes of the ten digits: bold, double-struck, sans serif, bold sans, typewriter.
DIGIT_STYLES = (0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)


class Master(NamedTuple):
    """One drawing: what it shows and its distance map."""

    concept: str  # the character, or the word
    font: str
    distance: np.ndarray  # (CANVAS, CANVAS) int8, ten units per pixel, positive inside


def font_paths() -> list[Path]:
    """Text fonts among those that matplotlib ships, in a fixed order."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
    wanted = ('DejaVuSans', 'DejaVuSerif', 'STIXGeneral', 'cm')
    skipped = ('Display', 'cmex', 'cmsy')
    return [
        path
        for path in sorted(folder.glob('*.ttf'))
        if path.name.startswith(wanted) and not any(part in path.name for part in skipped)
    ]


def drawable(path: Path) -> set:
    """Code points that a font draws as Unicode means them."""
    from matplotlib.ft2font import FT2Font

    points = set(FT2Font(str(path)).get_charmap())
    if path.name.startswith('cm'):  # TeX encodings: only digits and letters agree
        points &= {ord(c) for c in DIGITS + LETTERS}
    return points


def name_of(character: str) -> str:
    """Its name in words: 'seven', 'a', 'greek small letter alpha', 'plus sign'."""
    name = unicodedata.name(character).lower()
    for start in ('digit ', 'latin small letter ', 'latin capital letter '):
        if name.startswith(start):
            return name[len(start) :]
    return name


def distance_map(lines: list[str], font) -> np.ndarray:
    """Draw lines of text as large as fits and measure the distance to the outline.

    Args:
        lines: One or more lines, drawn below each other, centred.
        font: A PIL font, large (48 or more) for smooth outlines.

    Returns:
        (CANVAS, CANVAS) int8, ten units per pixel, positive inside.
    """
    from PIL import Image, ImageDraw
    from scipy.ndimage import distance_transform_edt

    text = '\n'.join(lines)
    pen = ImageDraw.Draw(Image.new('L', (1, 1)))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font, align='center', spacing=4)
    page = Image.new('L', (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(page).text((1 - left, 1 - top), text, 255, font, align='center', spacing=4)
    page = page.crop(page.getbbox() or (0, 0, 1, 1))
    side = INSET if len(text) == 1 else CANVAS - 8  # words need the room
    ratio = side / max(page.size)
    size = [max(1, round(length * ratio)) for length in page.size]
    canvas = Image.new('L', (CANVAS, CANVAS))
    canvas.paste(
        page.resize(size, Image.Resampling.LANCZOS),
        ((CANVAS - size[0]) // 2, (CANVAS - size[1]) // 2),
    )
    ink = np.asarray(canvas) > 127
    signed = distance_transform_edt(ink) - distance_transform_edt(~ink)
    signed -= 0.5 * np.sign(signed)
    return np.round(10 * signed.clip(-REACH, REACH)).astype(np.int8)


def draw_characters() -> list[Master]:
    """Every character in every font that has it; digits in five more styles."""
    from PIL import ImageFont

    masters = []
    for path in font_paths():
        font, points = ImageFont.truetype(str(path), 64), drawable(path)
        shapes = [(c, c) for c in DIGITS + LETTERS + OTHERS]
        shapes += [(chr(start + i), c) for start in DIGIT_STYLES for i, c in enumerate(DIGITS)]
        for shape, concept in shapes:
            if ord(shape) in points:
                masters.append(Master(concept, path.stem, distance_map([shape], font)))
    return masters
