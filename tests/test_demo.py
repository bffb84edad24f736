"""tools/demo.py and mmdpt.demo: what the page accepts, answers and refuses."""

import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import servers
from helpers.checkpoints import NAMES, saved
from helpers.short_runs import short_config, train
from helpers.tools import ROOT, refused, tool
from PIL import Image
from sklearn.datasets import load_digits

from mmdpt.apis import PromptInferencer
from mmdpt.demo import (
    Limits,
    Models,
    attend,
    build_page,
    checkpoint_choice,
    classify,
    find_checkpoints,
    is_loopback,
    launch,
    parse_names,
    read_photo,
    zero_shot_choice,
)

DIGITS = 'zero one two three four five six seven eight nine'.split()
TINY = dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny', templates=['the digit {}.'], device='cpu')
LIMITS = Limits(megapixels=1)


def write_digit(path, index=0, size=160):
    """A handwritten digit, enlarged, as a file; index is its label for 0 to 9."""
    image = Image.fromarray((load_digits().images[index] * 15.9).astype(np.uint8))
    image.resize((size, size), Image.Resampling.BICUBIC).save(path)
    return str(path)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Zero-shot on the digits, an untrained DPT, and class-specific contexts."""
    monkeypatch.chdir(tmp_path)
    saved('dpt', 'dpt.pth')
    saved('csc', 'csc.pth')
    choices = dict(zero=zero_shot_choice(DIGITS, **TINY))
    return Models(
        dict(
            choices,
            **{name: checkpoint_choice(f'{name}.pth', device='cpu') for name in ('dpt', 'csc')},
        ),
        kept=3,
    )


def test_names():
    assert parse_names(' one\n\n four \n', ['one', 'four']) is None
    assert parse_names('four\none', ['one', 'four']) == ['four', 'one']
    assert parse_names('a\na', ['a', 'a']) is None  # benchmarks have such classes
    few = Limits(classes=3, name_length=5)
    for text, words in (
        ('', '0 class names'),
        (None, 'at least 2'),
        ('one', 'at least 2'),
        ('a\nb\nc\nd', '3 are the most'),
        ('a\nlonger', 'has 6 letters'),
        ('a\nb\na', "'a' appears more than once"),
        ('a\nb\x00', 'cannot be shown'),
    ):
        with pytest.raises(ValueError, match=words):
            parse_names(text, NAMES, few)


def test_photo(tmp_path):
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / 'lying.png', exif=exif)
    np.testing.assert_array_equal(
        read_photo(str(tmp_path / 'lying.png'))[..., ::-1], np.asarray(image)
    )


@pytest.mark.parametrize(
    'name, content, words',
    [
        ('a.png', b'no image', 'not a photo that can be read'),
        ('b.jpg', b'', 'not a photo'),
        ('c.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'not a photo'),
    ],
)
def test_no_photo(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        read_photo(str(tmp_path / name))
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(ValueError, match='no photo yet'):
        read_photo(None)


def test_torn_and_huge_photos(tmp_path, monkeypatch):
    write_digit(tmp_path / 'a.jpg')
    (tmp_path / 'torn.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes()[:900])
    with pytest.raises(ValueError, match='The photo does not decode') as error:
        read_photo(str(tmp_path / 'torn.jpg'))
    assert str(tmp_path) not in str(error.value)
    for size, words in ((1001, '1001 x 1001 pixels, above 1 million'), (14000, 'too large')):
        Image.new('1', (size, size)).save(tmp_path / 'huge.png')
        with monkeypatch.context() as patch:  # refused before it is unpacked
            patch.setattr('mmdpt.demo.inputs.read_image', lambda *_, **__: pytest.fail('decoded'))
            with pytest.raises(ValueError, match=words):
                read_photo(str(tmp_path / 'huge.png'), LIMITS)


def test_right_class(models, tmp_path):
    found = classify(models, LIMITS, write_digit(tmp_path / 'a.png', 0), 'zero', '\n'.join(DIGITS))
    assert next(iter(found)) == 'zero' and sum(found.values()) == pytest.approx(1, abs=1e-5)
    found = classify(models, LIMITS, str(tmp_path / 'a.png'), 'zero', 'round\nseven')
    assert set(found) == {'round', 'seven'}


def test_same_as_predicting(models, tmp_path):
    photo = write_digit(tmp_path / 'a.png', 4)
    for names, given in (('\n'.join(NAMES), None), ('four\none', ['four', 'one'])):
        wanted = PromptInferencer('dpt.pth', classes=given, device='cpu')
        scores = wanted(photo)[0]['pred_scores']
        found = classify(models, LIMITS, photo, 'dpt', names)
        assert found == pytest.approx(dict(zip(wanted.classes, scores.tolist())), abs=1e-6)


def test_refused_choices(models, tmp_path):
    photo = write_digit(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='cannot carry class-specific context') as error:
        classify(models, LIMITS, photo, 'csc', 'one\ntwo')
    assert str(tmp_path) not in str(error.value)
    for name in ('dpt.pth', '../dpt', str(tmp_path / 'dpt.pth')):
        with pytest.raises(ValueError, match='choose one from the list'):
            classify(models, LIMITS, photo, name, '\n'.join(NAMES))


def test_attention(models, tmp_path):
    photo = write_digit(tmp_path / 'a.png')
    figure, note = attend(models, LIMITS, photo, 'dpt', '\n'.join(NAMES))
    assert figure.dtype == np.uint8 and figure.ndim == 3 and 'class-aware prompts of' in note
    plain, note = attend(models, LIMITS, photo, 'zero', '\n'.join(DIGITS))
    assert plain.shape[0] < figure.shape[0] and 'there is no class-aware attention' in note


def test_no_attention_in_a_convolution(models, monkeypatch):
    def refuse(*_, **__):
        raise ValueError('There is no attention over patches')

    monkeypatch.setattr('mmdpt.demo.answers.attention_maps', refuse)
    photo = write_digit('a.png')
    assert attend(models, LIMITS, photo, 'zero', '\n'.join(DIGITS)) == (
        None,
        'There is no attention over patches',
    )


def test_text_once_and_few_in_memory(models):
    photo = write_digit('a.png')
    ask = [classify(models, LIMITS, photo, 'zero', text) for text in ('a\nb', 'a\nc', 'a\nb')]
    assert ask[0] == ask[2] and len(models.ready) == 2
    first, other = models.get('zero', ['a', 'b']), models.get('zero', ['a', 'c'])
    encoded = []
    first.model.text_tower.register_forward_hook(lambda *_: encoded.append(1))
    classify(models, LIMITS, photo, 'zero', 'a\nb')
    assert not encoded
    mine, theirs = (m.model.backbone.visual.conv1.weight for m in (first, other))
    assert mine.data_ptr() == theirs.data_ptr()
    for text in ('a\nd', 'a\ne'):
        classify(models, LIMITS, photo, 'zero', text)
    assert list(models.ready) == [('zero', ('a', end)) for end in 'bde']


def test_find_checkpoints(tmp_path):
    for name in ('run/b.pth', 'a.pth', '.trash/c.pth', 'a.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_checkpoints(str(tmp_path)) == [str(tmp_path / n) for n in ('a.pth', 'run/b.pth')]
    for folder in ('.trash/none', 'empty'):
        with pytest.raises(FileNotFoundError, match='no folder'):
            find_checkpoints(str(tmp_path / folder))


def test_loopback():
    assert all(map(is_loopback, ('127.0.0.1', '127.1.2.3', '::1', 'localhost')))
    assert not any(map(is_loopback, ('0.0.0.0', '192.168.0.2', '::', 'example.org', '')))


# ---- the page itself


@pytest.fixture
def gradio():
    return pytest.importorskip('gradio', reason="gradio is not installed: pip install '.[demo]'")


def free_port():
    """int: One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def test_without_gradio(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == 'gradio':
            raise ModuleNotFoundError("No module named 'gradio'", name='gradio')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', missing)
    assert "pip install 'mmdpt[demo]'" in refused(capsys, 'demo')


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['nowhere.pth'], 'nowhere.pth'),
        (['--checkpoint-dir', 'nowhere'], 'no folder nowhere'),
        (['csc.pth', '--arch', 'RN50'], '--arch belongs to zero-shot'),
        (['--port', 0], '--port must be'),
        (['--max-megapixels', 0], '--max-megapixels must be above 0'),
        (['--config', 'a.py'], 'exactly one checkpoint'),
        (['--classes', 'one'], 'at least 2'),
        (['torn.pth'], 'torn.pth'),
    ],
)
def test_tool_refuses(gradio, models, capsys, arguments, words):
    Path('torn.pth').write_bytes(b'PK')
    assert words in refused(capsys, 'demo', *arguments)


def test_tool(gradio, models, monkeypatch, capsys):
    """Served to this machine alone; a bad file of a folder is left out, loudly."""
    httpx = pytest.importorskip('httpx')
    Path('torn.pth').write_bytes(b'PK')
    port, seen = free_port(), {}
    url = f'http://127.0.0.1:{port}'
    photo = Path(write_digit('a.png')).read_bytes()

    def visit(page):
        try:
            seen.update(
                page=httpx.get(url),
                config=httpx.get(f'{url}/config').json(),
                file=httpx.get(f'{url}/gradio_api/file={os.path.abspath("dpt.pth")}'),
                vast=upload(url, b'0' * 2**20),
                rebound=httpx.get(url, headers=dict(host='web.site')),
            )
            (good,) = upload(url, photo).json()
            for path, name in (
                (good, 'dpt'),
                (good, 'dpt.pth'),
                (os.path.abspath('a.png'), 'dpt'),
                ('a.png', 'dpt'),
                (f'{url}/favicon.ico', 'dpt'),
            ):
                seen[path, name] = answered(url, path, name)
            seen['good'] = seen.pop((good, 'dpt'))
        finally:
            page.close()

    monkeypatch.setattr(gradio.Blocks, 'block_thread', visit)
    tool('demo', '--checkpoint-dir', '.', '--port', port, '--device', 'cpu', '--max-megabytes', 0.5)
    told = capsys.readouterr()
    assert f'2 model(s) on http://127.0.0.1:{port}' in told.out
    assert 'warning: left out:' in told.err and 'torn.pth' in told.err
    assert 'everybody' not in told.err
    assert "default-src 'self'" in seen['page'].headers['content-security-policy']
    assert 'fonts.googleapis' not in seen['page'].text
    assert (seen['file'].status_code, seen['vast'].status_code) == (403, 413)
    assert seen['rebound'].status_code == 400
    assert seen['good'] and not any(ok for key, ok in seen.items() if isinstance(key, tuple))
    assert seen['config']['analytics_enabled'] is False
    choices = [
        c['props']['choices'] for c in seen['config']['components'] if c['type'] == 'dropdown'
    ]
    assert choices == [[['csc'] * 2, ['dpt'] * 2]]


def upload(url, content):
    """Response: To a file that a browser sends."""
    import httpx

    return httpx.post(f'{url}/gradio_api/upload', files=dict(files=('a.png', content)))


def answered(url, path, name):
    """bool: Whether the page classifies what is sent to it past its fields."""
    import httpx

    photo = dict(path=path, meta=dict(_type='gradio.FileData'))
    visit = dict(session_hash=f'{path}{name}')
    asked = httpx.post(
        f'{url}/gradio_api/queue/join',
        json=dict(
            visit, data=[photo, name, 'one\nfour'], fn_index=2, event_data=None, trigger_id=None
        ),
    )
    assert asked.status_code == 200
    with httpx.stream('GET', f'{url}/gradio_api/queue/data', params=visit, timeout=60) as events:
        done = next(line for line in events.iter_lines() if 'process_completed' in line)
    return json.loads(done.removeprefix('data:'))['success']


@pytest.mark.slow
def test_cost(tmp_path):
    """The answer to a page costs at most 1.5 times a prediction, ViT-B/16."""
    models = Models(
        dict(b16=zero_shot_choice(DIGITS, arch='ViT-B-16-quickgelu', pretrained=None, device='cpu'))
    )
    photo, names = write_digit(tmp_path / 'a.png', size=640), '\n'.join(DIGITS)
    plain, page = [], []
    inferencer = models.get('b16')
    classify(models, Limits(), photo, 'b16', names)
    for _ in range(5):
        for times, ask in (
            (plain, lambda: inferencer(photo)),
            (page, lambda: classify(models, Limits(), photo, 'b16', names)),
        ):
            start = time.process_time()
            ask()
            times.append(time.process_time() - start)
    print(f'plain {min(plain):.3f} s, page {min(page):.3f} s')
    assert min(page) <= 1.5 * min(plain)


# ---- a click-through in a real browser

SCREENSHOT = Path(ROOT, 'docs/img/demo.png')


class Visitor:
    """Somebody at the page.

    Args:
        driver (WebDriver): The browser.
        url (str): The page.
    """

    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)
        self.until(lambda: self.find('#classify'))

    def find(self, css):
        """list[WebElement]."""
        return self.driver.find_elements('css selector', css)

    def until(self, condition, seconds=120):
        """What the condition gives, once it is true."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, seconds, 0.2, [StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def drop(self, path):
        """Put a photo into the field, in place of the one that is there."""
        for old in self.find('#photo button[aria-label="Remove Image"]'):
            old.click()
        (field,) = self.until(lambda: self.find('#photo input[type=file]'))
        field.send_keys(str(path))
        self.until(lambda: self.find('#photo img'))

    def name(self, *names):
        """Edit the class names."""
        from selenium.webdriver.common.keys import Keys

        (field,) = self.find('#names textarea')
        field.send_keys(Keys.CONTROL, 'a')
        field.send_keys('\n'.join(names))

    def press(self, what='classify'):
        """Press a button, which may be the element itself or be inside it."""
        self.find(f'button#{what}, #{what} button')[0].click()

    def best(self):
        """str: The class on top, once the old answer has gone."""
        return self.until(lambda: self.find('#label h2'))[0].text.strip()

    def message(self):
        """str: What the page complains about; it is put away."""
        text = self.until(lambda: [t.text for t in self.find('.toast-body') if t.text])[0]
        self.find('.toast-close')[0].click()
        self.until(lambda: not self.find('.toast-body'))
        return text


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of DPT after some seconds of training."""
    train(short_config('dpt', tmp_path / 'dpt', 4, train_dataloader__dataset__shots=4))
    return tmp_path / 'dpt' / 'epoch_4.pth'


@pytest.mark.browser
def test_click_through(gradio, browser, trained, tmp_path, monkeypatch):
    write_digit(tmp_path / 'three.png', 3)
    (tmp_path / 'letter.png').write_text('Dear model, this is no photo.')
    (tmp_path / 'vast.png').write_bytes(b'\0' * 2**21)
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path / 'uploads'))
    limits = Limits(megabytes=1)
    models = Models(
        {
            'dpt/epoch_4': checkpoint_choice(str(trained), device='cpu'),
            'zero-shot': zero_shot_choice(DIGITS, **TINY),
        }
    )
    page = build_page(models, limits)
    try:
        visitor = Visitor(browser, launch(page, port=free_port(), limits=limits))
        click_through(visitor, tmp_path)
        assert servers(browser) == {'127.0.0.1'}
    finally:
        page.close()


def click_through(visitor, folder):
    """Everything that a visitor may do, in one visit."""
    visitor.press()
    assert 'There is no photo yet' in visitor.message()

    visitor.drop(folder / 'three.png')
    visitor.press()
    assert visitor.best() == 'three'
    visitor.find('#attention button')[0].click()  # the figure is folded away
    visitor.until(
        lambda: visitor.find('#figure img') and 'class-aware' in visitor.find('#note')[0].text
    )
    visitor.until(
        lambda: visitor.driver.execute_script(  # the figure is there in full
            'const image = document.querySelector("#figure img");'
            'return image.complete && image.naturalWidth > 500'
        )
    )
    SCREENSHOT.parent.mkdir(exist_ok=True)
    visitor.driver.save_screenshot(str(SCREENSHOT))
    Image.open(SCREENSHOT).convert('RGB').quantize(128).save(SCREENSHOT, optimize=True)
    assert SCREENSHOT.stat().st_size <= 250_000

    visitor.name('nought', '3', 'letter')
    visitor.until(lambda: not visitor.find('#label h2'))  # the old answer has gone
    visitor.press()
    assert visitor.best() == '3'
    visitor.name('alone')
    visitor.press()
    assert 'at least 2 are needed' in visitor.message() and not visitor.find('#label h2')
    visitor.press('restore')
    visitor.until(
        lambda: visitor.find('#names textarea')[0].get_attribute('value').split() == DIGITS
    )

    visitor.drop(folder / 'letter.png')
    visitor.press()
    assert 'not a photo that can be read' in visitor.message()


def test_screenshot_is_there():
    """Of the docs; the click-through draws it anew."""
    with Image.open(SCREENSHOT) as image:
        assert image.width >= 1000 and SCREENSHOT.stat().st_size <= 250_000
