"""A published folder is the checkpoint without pickles, and is believed only as written."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers.checkpoints import METHODS, NAMES, saved
from helpers.tools import refused, tool
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.engine import read_checkpoint
from mmdpt.evaluation.intervals import wilson
from mmdpt.utils.seal import sealed

FILES = ['README.md', 'config.json', 'model.safetensors']


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3)).save('a.png')


def published(method='dpt', **model):
    saved(method, **model)
    tool('publish', 'method.pth', 'shared')
    return Path('shared')


@pytest.mark.parametrize('method', METHODS)
def test_the_same_answers(method, monkeypatch):
    folder = published(method)
    assert sorted(os.listdir(folder)) == FILES
    (wanted,) = PromptInferencer('method.pth', device='cpu')('a.png')
    with monkeypatch.context() as patch:  # reading it never touches a pickle
        patch.setattr('torch.load', lambda *_, **__: pytest.fail('a pickle was read'))
        patch.setattr('pickle.Unpickler', None)
        (found,) = PromptInferencer('shared', device='cpu')('a.png')
    np.testing.assert_array_equal(found['pred_scores'], wanted['pred_scores'])
    before, after = read_checkpoint('method.pth'), read_checkpoint('shared')
    assert before['state_dict'].keys() == after['state_dict'].keys()
    assert all(torch.equal(t, after['state_dict'][n]) for n, t in before['state_dict'].items())


def test_two_publishes_are_equal():
    first = published()
    tool('publish', 'method.pth', 'again', '--license', 'mit')
    tool('publish', 'method.pth', 'third')
    for name in FILES:
        assert (first / name).read_bytes() == Path('third', name).read_bytes()
        same = (first / name).read_bytes() == Path('again', name).read_bytes()
        assert same is (name != 'README.md')
    assert 'license: "mit"' in Path('again/README.md').read_text()


def test_commands_take_it(capsys):
    published()
    tool('predict', 'shared', 'a.png', '--json', 'shared.json')
    tool('predict', 'method.pth', 'a.png', '--json', 'file.json')
    assert Path('shared.json').read_bytes() == Path('file.json').read_bytes()
    assert 'which this command reads' in refused(
        capsys, 'predict', 'shared', 'a.png', '--json', 'shared/config.json', '--overwrite'
    )


def test_test_and_a_card_with_figures(capsys, tmp_path):
    from helpers.short_runs import short_config, train

    train(short_config('coop', tmp_path / 'run', epochs=1, default_hooks__report__enable=True))
    run = tmp_path / 'run'
    (config,) = run.glob('*.py')
    tool('publish', run / 'epoch_1.pth', 'shared')
    results = json.loads((run / 'results.json').read_text())
    accuracy = results['few_shot']['accuracy/top1']
    count = results['test_images']
    low, high = (100 * share for share in wilson(round(accuracy * count / 100), count))
    card = Path('shared/README.md').read_text()
    assert f'| learnt | {accuracy:.2f} % | {low:.2f} to {high:.2f} %, 60 images |' in card
    for fact in (results['draw_hash'], results['clip']['fingerprint'], 'Digits', 'not stated'):
        assert fact in card
    tool('test', config, 'shared', '--work-dir', 'tested', '--out', 'metrics.json')
    assert json.loads(Path('metrics.json').read_text())['accuracy/top1'] == accuracy
    (run / 'results.json').write_text(
        (run / 'results.json').read_text().replace('"seed"', '"Seed"')
    )
    assert 'it was edited' in refused(capsys, 'publish', run / 'epoch_1.pth', 'other')


def test_folders_of_others_stay(capsys):
    published()
    before = {name: Path('shared', name).read_bytes() for name in FILES}
    assert 'is there already' in refused(capsys, 'publish', 'method.pth', 'shared')
    tool('publish', 'method.pth', 'shared', '--overwrite')
    assert before == {name: Path('shared', name).read_bytes() for name in FILES}
    Path('shared/notes.txt').write_text('mine')
    for folder in ('shared', '.', 'a.png'):
        line = refused(capsys, 'publish', 'method.pth', folder, '--overwrite')
        assert 'holds other files' in line or 'it is a file' in line
    saved('coop')
    content = torch.load('method.pth', weights_only=True)
    del content['meta']['mmdpt']['recipe']
    torch.save(content, 'old.pth')
    assert 'does not carry the config' in refused(capsys, 'publish', 'old.pth', 'new')
    assert not os.path.exists('new')


def edits(folder):
    """What may have become of a folder, by name: changes of files in place."""
    config = json.loads((folder / 'config.json').read_text())
    weights = (folder / 'model.safetensors').read_bytes()
    tensors = safetensors.torch.load(weights)

    def with_config(**change):
        return lambda: (folder / 'config.json').write_text(json.dumps({**config, **change}))

    def resealed(**change):
        text = json.dumps(sealed({**config, **change}))
        return lambda: (folder / 'config.json').write_text(text)

    def with_weights(data):
        def write():
            (folder / 'model.safetensors').write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            (folder / 'config.json').write_text(json.dumps(sealed({**config, 'weights': digest})))

        return write

    flipped = bytearray(weights)
    flipped[-3] ^= 1
    yield 'a flipped bit', lambda: (folder / 'model.safetensors').write_bytes(flipped)
    yield 'cut', lambda: (folder / 'model.safetensors').write_bytes(weights[:-4])
    yield 'no weights', lambda: (folder / 'model.safetensors').unlink()
    yield 'classes swapped', with_config(classes=NAMES[::-1])
    for name, value in dict(
        classes=[1, {}, [], [1], 'abc'],
        clip=[None, [], dict(arch='x'), dict(config['clip'], more=1), dict(config['clip'], arch=1)],
        recipe=[None, [], {}, dict(config['recipe'], more=[]), dict(config['recipe'], model=3)],
        weights=['', 'x' * 64, None, 1],
        format=['other', None],
        format_version=[2, '1', True],
        seed=[-1, '1', True, 1.5],
        epoch=[-1, 'x'],
        more=[1],
        draw_hash=[1, 'x' * 2000],
    ).items():
        for number, one in enumerate(value):
            yield f'{name} {number}', resealed(**{name: one})
    for text in ('', '[]', '{', '[' * 10**5, 'null', '\ud800'):
        data = text.encode('utf-8', 'surrogatepass')
        yield f'config {text[:3]!r}', lambda d=data: (folder / 'config.json').write_bytes(d)
    yield 'no tensors', with_weights(safetensors.torch.save({}))
    yield 'no safetensors', with_weights(b'PK\x03\x04')
    yield 'header', with_weights(b'\xff' * 8)
    first = sorted(tensors)[0]
    for name, change in dict(
        nan=lambda t: t * float('nan'),
        integers=lambda t: t.int(),
        complex=lambda t: t.to(torch.complex64),
        narrow=lambda t: t[..., :1].contiguous(),
    ).items():
        other = {**tensors, first: change(tensors[first])}
        yield f'weights {name}', with_weights(safetensors.torch.save(other))


def test_a_changed_folder_is_never_believed():
    folder = published()
    whole = {name: (folder / name).read_bytes() for name in FILES}
    tried = 0
    for name, change in list(edits(folder)):
        change()
        with pytest.raises(ValueError) as error:
            pytest.fail(f'{name}: {PromptInferencer("shared", device="cpu")}')
        assert str(error.value).count('\n') == 0, name
        for file, content in whole.items():
            (folder / file).write_bytes(content)
        tried += 1
    assert tried > 40
    assert PromptInferencer('shared', device='cpu')('a.png')
