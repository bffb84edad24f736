"""Suggested photos on one page, which needs no other file and no network."""

import os.path as osp
from collections.abc import Sequence

from jinja2 import Environment
from PIL import Image

from mmdpt.utils.data_uri import data_uri

from .inferencer import PromptInferencer
from .suggest import Suggestion

SIDE = 192  # pixels of a thumbnail, at most
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
ol { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
     list-style: none; padding: 0; }
li { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem;
     padding: .75rem; overflow-wrap: anywhere; }
img { display: block; margin: 0 auto .5rem; min-height: 6rem; object-fit: contain;
      max-width: 100%; }
small { opacity: .8; }
</style>
<h1>{{ title }}</h1>
<p>{{ lead }}</p>
<ol>
{% for photo, picture in photos %}
<li><img src="{{ picture }}" alt="photo {{ loop.index }}: {{ photo.name }}?">
<strong>{{ loop.index }}. {{ photo.why }}</strong><br><small>{{ photo.path }}</small></li>
{% endfor %}
</ol>
</html>
"""


def contact_sheet(
    photos: Sequence[Suggestion], inferencer: PromptInferencer, checkpoint: str, pool: int
) -> str:
    """The page, as HTML.

    Args:
        photos (Sequence[Suggestion]): In their order.
        inferencer (PromptInferencer): Reads them as the model sees them: upright.
        checkpoint (str): What chose them.
        pool (int): From how many photos.
    """
    page = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return page.render(
        title='Photos to label next',
        lead=f'{osp.basename(checkpoint)} is unsure of these {len(photos)} of {pool} photos, the '
        'most uncertain first; each stands for others that look like it.',
        photos=[(photo, thumbnail(inferencer, photo.path)) for photo in photos],
    )


def thumbnail(inferencer: PromptInferencer, path: str) -> str:
    """A small JPEG of a photo, as a data URI."""
    picture = Image.fromarray(inferencer.load(path)['img'][..., ::-1])
    picture.thumbnail((SIDE, SIDE))
    return data_uri(picture, 'JPEG')
