"""Pictures to try the page with: handwritten digits, which scikit-learn brings along."""

from io import BytesIO

import numpy as np

NAMES = dict(zero=0, three=3, four=4, six=6, nine=9)  # label: index, in the data set
SIZE = 160  # pixels per side
LICENCE = (
    'Examples: handwritten digits by E. Alpaydin and C. Kaynak (UCI, CC BY 4.0), from scikit-learn.'
)


def fits(classes: list[str]) -> bool:
    """Whether a model's classes are names of digits, so that the examples say something."""
    digits = 'zero one two three four five six seven eight nine'.split()
    return set(classes) <= set(digits) and bool(set(classes) & set(NAMES))


def example(name: str) -> bytes:
    """A handwritten digit, enlarged, as a PNG file of 160 x 160 pixels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    image = Image.fromarray((load_digits().images[NAMES[name]] * 15.9).astype(np.uint8))
    file = BytesIO()
    image.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(file, 'PNG')
    return file.getvalue()
