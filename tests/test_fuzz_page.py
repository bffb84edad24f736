"""What reaches the demo page: photos, names of models and classes, and the heads of requests.

An answer is what predicting the same file says; a request is refused if a rule that is written
down here a second time says so.
"""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers.checkpoints import saved
from helpers.fuzz import fuzz, outcome
from helpers.mutate import TEXTS, other_bytes
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.demo import Limits, Models, checkpoint_choice, classify
from mmdpt.demo.guard import SameOrigin

HOST = '127.0.0.1:7860'
FORMATS = ('PNG', 'JPEG', 'GIF', 'BMP', 'WEBP', 'TIFF', 'PPM')


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """Models as the page offers them, photos, and a plain predictor."""
    folder, before = tmp_path_factory.mktemp('page'), os.getcwd()
    os.chdir(folder)
    try:
        saved('dpt', 'dpt.pth')
        saved('csc', 'csc.pth')
        pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
        photos = []
        for form in FORMATS:
            Image.fromarray(pixels).save('photo', form)
            photos.append(Path('photo').read_bytes())
        os.makedirs('uploads')
        models = Models({n: checkpoint_choice(f'{n}.pth', device='cpu') for n in ('dpt', 'csc')}, 9)
        yield models, photos, PromptInferencer('dpt.pth', device='cpu')
    finally:
        os.chdir(before)


@fuzz
def test_photos_and_names(page, rnd):
    models, photos, plain = page
    data = rnd.choice(photos)
    if rnd.random() < 0.7:
        data = other_bytes(data, rnd)
    Path('uploads/secret.png').write_bytes(data)
    own = '\n'.join(models.choice('dpt').classes)
    name = rnd.choice(['dpt', 'dpt', 'csc', *TEXTS])
    text = rnd.choice([own, own, 'a\nb', *TEXTS, '\n'.join(TEXTS), 'a\n' * 5000, None])
    photo = rnd.choice(['uploads/secret.png'] * 5 + [None, 'uploads', 'nowhere.png'])
    limits = Limits(megapixels=1, classes=10)
    found, line = outcome(lambda: classify(models, limits, photo, name, text))
    if line is not None:
        assert 'secret' not in line and os.getcwd() not in line
        return
    assert all(0 <= value <= 1 for value in found.values()) and sum(found.values()) < 1.001
    if name == 'dpt' and text == own:
        (wanted,) = plain([photo])
        best = np.sort(wanted['pred_scores'])[::-1]
        np.testing.assert_array_equal(list(found.values()), best[: len(found)].astype(float))


ORIGINS = [None] * 4 + [f'http://{HOST}', f'https://{HOST}', 'http://web.site', 'null', '']
ORIGINS += ['http://127.0.0.1', f'http://{HOST}.web.site', f'http://{HOST}@web.site', 'http://[']
ORIGINS += [f'http://web.site/{HOST}', f'file://{HOST}', f'http://{HOST}:1', f'HTTP://{HOST}', ' ']
SITES = [None] * 4 + ['same-origin', 'none', 'same-site', 'cross-site', 'Same-Origin', '', 'x']


def is_own(origin):
    """Whether the page itself may have that origin."""
    try:
        found = urlsplit(origin.strip())
    except ValueError:
        return False
    return found.scheme in ('http', 'https') and found.netloc.lower() == HOST


@fuzz
def test_heads_of_requests(page, rnd):
    method = rnd.choice(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'X'])
    path = rnd.choice(['/', '/gradio_api/upload', '/gradio_api/upload/', '/gradio_api/queue/join'])
    sent = [('host', HOST)]
    origins = [
        o for o in (rnd.choice(ORIGINS) for _ in range(rnd.choice((1, 1, 2)))) if o is not None
    ]
    sites = [s for s in (rnd.choice(SITES) for _ in range(rnd.choice((1, 1, 2)))) if s is not None]
    sent += [(rnd.choice(['origin', 'Origin']), o) for o in origins]
    sent += [('sec-fetch-site', s) for s in sites]
    mode = rnd.choice([None, None, 'navigate', 'cors', 'no-cors'])
    sent += [('sec-fetch-mode', mode)] if mode else []
    length = rnd.choice([None, None, '0', '1', '9' * 9, '9' * 30, '-1', 'x', '1e3', '+1', '1_0'])
    sent += [('content-length', length)] if length is not None else []
    chunked = rnd.random() < 0.1
    sent += [('transfer-encoding', 'chunked')] if chunked else []
    reached, answers = [], []

    async def app(scope, receive, send):
        reached.append(True)
        await send(dict(type='http.response.start', status=200, headers=[]))

    async def send(message):
        answers.append(message)

    head = [(k.encode(), v.encode('latin-1')) for k, v in sent]
    scope = dict(type='http', method=method, path=path, headers=head)
    guard = SameOrigin(app, 'uploads', Limits(megabytes=1, total_megabytes=6))
    _, line = outcome(lambda: asyncio.run(guard(scope, None, send)), writes='uploads')
    assert line is None and guard.coming == 0
    status = answers[0]['status']
    shows = method in ('GET', 'HEAD') and mode == 'navigate'
    foreign = any(not is_own(o) for o in origins)
    foreign |= not shows and any(s not in ('same-origin', 'none') for s in sites)
    vast = length in ('9' * 9, '9' * 30)
    if foreign:
        assert status == 403
    elif chunked:
        assert status == 411
    elif vast:
        assert status == 413
    else:
        assert status == 200
    assert bool(reached) == (status == 200)
