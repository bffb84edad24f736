"""Pictures that are part of a page."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 80


def data_uri(picture: 'Image', form: str) -> str:
    """A picture as the address of an ``img``.

    Args:
        picture (Image): Small.
        form (str): 'JPEG' or 'PNG'.
    """
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=QUALITY, optimize=True)
    return f'data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}'
