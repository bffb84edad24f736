"""Checkpoints and published folders that were changed: refused with a line, or as good as before.

Where a changed file is accepted, its answers are compared bit by bit: with those of the unchanged
file if what is read of it is equal, and else with a twin that builds the model from what the file
says, without any of the checks. So a change of a valid value to another valid value, which makes
another model, is told from one that is misread.
"""

import hashlib
import io
import json
import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers.checkpoints import NAMES, PIPELINE, saved
from helpers.fuzz import Quiet, fuzz, outcome
from helpers.mutate import any_junk, changed, other_bytes
from helpers.tools import tool
from mmengine.dataset import Compose, default_collate
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.datasets import Benchmark
from mmdpt.utils.seal import sealed

TRIED = ('dpt', 'coop', 'tip')


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A folder with checkpoints, published ones and pictures, and what is predicted with each."""
    folder = tmp_path_factory.mktemp('good')
    before = os.getcwd()
    os.chdir(folder)
    try:
        pixels = np.random.default_rng(0).integers(0, 255, (2, 40, 30, 3), np.uint8)
        for name, picture in zip('ab', pixels):
            Image.fromarray(picture).save(f'{name}.png')
        for method in TRIED:
            saved(method, f'{method}.pth')
            tool('publish', f'{method}.pth', method)
        Path('evil.py').write_text("open('ran', 'w')")
        yield Quiet({method: scores(f'{method}.pth') for method in TRIED})
    finally:
        os.chdir(before)


def scores(path):
    """Probabilities of both pictures."""
    infer = PromptInferencer(str(path), device='cpu')
    found = np.stack([r['pred_scores'] for r in infer(['a.png', 'b.png'])])
    assert found.shape[1] == len(infer.classes)
    return found


@torch.no_grad()
def twin(content):
    """The same from what a checkpoint says, which is trusted."""
    entry = content['meta']['mmdpt']
    model = dict(entry['recipe']['model'])
    classes = dict(benchmark=Benchmark('It', tuple(entry['classes']), ()))
    model['tuning'] = model.pop('lora', model.get('tuning'))
    model.pop('teacher', None)
    built = MODELS.build(dict(model, classes=classes)).eval()
    built.load_state_dict(content['state_dict'])
    steps = Compose([TRANSFORMS.build(step) for step in entry['recipe']['pipeline']])
    steps.transforms[0].upright = True  # as predicting reads photos
    images = default_collate([steps(dict(img_path=name)) for name in ('a.png', 'b.png')])
    samples = built(**built.data_preprocessor(images, False), mode='predict')
    return np.stack([sample.pred_score.numpy() for sample in samples])


def said(content):
    """What of a checkpoint is read for predicting, as one text."""
    out = io.StringIO()
    state, entry = content['state_dict'], content['meta'].get('mmdpt')
    for name, value in (*sorted(state.items()), *getattr(state, '_metadata', {}).items()):
        values = value.tolist() if isinstance(value, torch.Tensor) else value
        print(name, getattr(value, 'dtype', None), values, file=out)
    read = {name: entry.get(name) for name in ('classes', 'recipe')}
    print(read, file=out)
    return out.getvalue()


def judge(found, wanted, content, original):
    """Compare what an accepted file gives."""
    assert np.isfinite(found).all() and np.allclose(found.sum(1), 1, atol=1e-4)
    same = said(content) == said(original)
    np.testing.assert_array_equal(found, wanted if same else twin(content))


@fuzz
def test_checkpoints_that_say_other_things(good, rnd):
    method = rnd.choice(TRIED)
    original = torch.load(f'{method}.pth', weights_only=True)
    content = changed(original, rnd, any_junk)
    state = content.get('state_dict')
    if isinstance(state, dict) and rnd.random() < 0.2:
        state = content['state_dict'] = OrderedDict(state)
        state._metadata = changed(dict(original['state_dict']._metadata), rnd, any_junk)
    try:
        torch.save(content, 'evil.pth')
    except (TypeError, ValueError, RuntimeError, OverflowError, NotImplementedError):
        return  # nobody can write such a file
    found, line = outcome(lambda: scores('evil.pth'))
    if line is None:
        judge(found, good[method], torch.load('evil.pth', 'cpu', weights_only=True), original)


@fuzz
def test_checkpoints_of_other_bytes(good, rnd):
    method = rnd.choice(TRIED)
    data = Path(f'{method}.pth').read_bytes()
    Path('evil.pth').write_bytes(other_bytes(data, rnd))
    found, line = outcome(lambda: scores('evil.pth'))
    if line is None:
        np.testing.assert_array_equal(found, good[method])


@fuzz
def test_checkpoints_with_other_pickles(good, rnd):
    """Intact archives, whose checksums are right."""
    method = rnd.choice(TRIED)
    with zipfile.ZipFile(f'{method}.pth') as old, zipfile.ZipFile('evil.pth', 'w') as new:
        for part in old.namelist():
            data = old.read(part)
            changes = part.endswith('data.pkl') or rnd.random() < 0.02
            new.writestr(part, other_bytes(data, rnd) if changes else data)
    found, line = outcome(lambda: scores('evil.pth'))
    if line is None:
        content = torch.load('evil.pth', 'cpu', weights_only=True)
        judge(found, good[method], content, torch.load(f'{method}.pth', weights_only=True))


@fuzz
def test_published_folders(good, rnd):
    method = rnd.choice(TRIED)
    whole = {path.name: path.read_bytes() for path in Path(method).iterdir()}
    config, weights = json.loads(whole['config.json']), whole['model.safetensors']
    kind, resealed = rnd.randrange(5), None
    if kind == 0:
        name = rnd.choice(sorted(whole))
        whole[name] = other_bytes(whole[name], rnd)
    elif kind == 1:
        del whole[rnd.choice(sorted(whole))]
    elif kind == 2:
        whole['config.json'] = json.dumps(changed(config, rnd)).encode()
    else:  # by somebody who makes the checksums anew
        if kind == 3:
            tensors = changed(safetensors.torch.load(weights), rnd, any_junk)
            try:
                weights = safetensors.torch.save(tensors)
            except Exception:
                return
            config['weights'] = hashlib.sha256(weights).hexdigest()
        else:
            config = changed(config, rnd)
        if not isinstance(config, dict):
            return
        resealed = dict(whole, **{'model.safetensors': weights})
        resealed['config.json'] = json.dumps(sealed(config)).encode()
    os.makedirs('evil', exist_ok=True)
    for name in ('README.md', 'config.json', 'model.safetensors'):
        Path('evil', name).unlink(missing_ok=True)
        if name in (resealed or whole):
            Path('evil', name).write_bytes((resealed or whole)[name])
    found, line = outcome(lambda: scores('evil'))
    if line is not None:
        return
    if resealed is None:
        np.testing.assert_array_equal(found, good[method])
    else:
        state = OrderedDict(safetensors.torch.load(weights))
        about = dict(classes=config['classes'], recipe=config['recipe'])
        found_twin = twin(dict(state_dict=state, meta=dict(mmdpt=about)))
        np.testing.assert_array_equal(found, found_twin)


@pytest.mark.fuzz
def test_the_twin_agrees(good):
    for method in TRIED:
        content = torch.load(f'{method}.pth', weights_only=True)
        np.testing.assert_array_equal(good[method], twin(content))
        assert content['meta']['mmdpt']['classes'] == NAMES and PIPELINE
