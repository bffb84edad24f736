"""Every command that takes a checkpoint takes a published folder, with the same result."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.short_runs import leaf, short_config, train
from helpers.tools import refused, tool
from PIL import Image

from mmdpt.demo import Limits, Models, checkpoint_choice, classify, find_checkpoints
from mmdpt.export.files import load_torch

OPTIONS = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.shots=2']
OPTIONS += ['val_dataloader.dataset.indices=60', 'test_dataloader.dataset.indices=60']


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a picture, a short training of DPT, and what was published of it."""
    folder, before = tmp_path_factory.mktemp('trained'), os.getcwd()
    os.chdir(folder)
    try:
        train(short_config('dpt', folder / 'run', epochs=1))
        tool('publish', 'run/epoch_1.pth', 'shared')
        pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save('a.png')
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def here(trained, tmp_path, monkeypatch):
    for name in ('run', 'shared'):
        shutil.copytree(trained / name, tmp_path / name)
    shutil.copy(trained / 'a.png', tmp_path)
    monkeypatch.chdir(tmp_path)


def test_predict_and_words():
    for name, more in (('predict', ['a.png', '--top-k', 10]), ('nearest_words', [])):
        for place, out in (('shared', 'folder.json'), ('run/epoch_1.pth', 'file.json')):
            tool(name, place, *more, '--json', out, '--overwrite')
        assert Path('folder.json').read_bytes() == Path('file.json').read_bytes()


def test_attention():
    for place, out in (('shared', 'folder.png'), ('run/epoch_1.pth', 'file.png')):
        tool('visualize_attention', place, 'a.png', '--out', out)
    assert Path('folder.png').read_bytes() == Path('file.png').read_bytes()


def test_export():
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    found = []
    for place, out in (('shared', 'folder.pt2'), ('run/epoch_1.pth', 'file.pt2')):
        tool('export', place, '--format', 'torch', '--out', out)
        found.append(load_torch(out)(images))
    assert torch.equal(*found)
    tool('export', 'shared/', '--format', 'torch')
    assert Path('shared.pt2').exists() and sorted(os.listdir('shared')) == [
        'README.md',
        'config.json',
        'model.safetensors',
    ]


def test_test_and_protocol():
    (config,) = Path('run').glob('*.py')
    for place, out in (('shared', 'folder'), ('run/epoch_1.pth', 'file')):
        tool('test', config, place, '--work-dir', out, '--out', f'{out}.json')
    folder, file = (json.loads(Path(f'{out}.json').read_text()) for out in ('folder', 'file'))
    assert folder['accuracy/top1'] == file['accuracy/top1']


def test_page():
    choices = {
        name: checkpoint_choice(name, device='cpu') for name in ('shared', 'run/epoch_1.pth')
    }
    models, names = Models(choices), '\n'.join(choices['shared'].classes)
    folder, file = (classify(models, Limits(), 'a.png', name, names) for name in choices)
    assert folder == file
    assert find_checkpoints('.') == ['run/epoch_1.pth', 'shared']


def test_training_goes_on_from_it(capsys):
    ends = []
    for place, out in (('shared', 'folder'), ('run/epoch_1.pth', 'file')):
        tool(
            'train', leaf('dpt'), '--work-dir', out, '--cfg-options', *OPTIONS, f'load_from={place}'
        )
        ends.append(torch.load(f'{out}/epoch_1.pth', weights_only=True)['state_dict'])
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    line = refused(capsys, 'train', leaf('dpt'), '--work-dir', 'new', '--resume', 'shared')
    assert 'cannot resume' in line


def test_a_changed_folder_is_refused_by_all(capsys):
    (config,) = Path('run').glob('*.py')
    path = Path('shared/model.safetensors')
    path.write_bytes(path.read_bytes()[:-1] + b'\x7f')
    for arguments in (
        ('predict', 'shared', 'a.png'),
        ('nearest_words', 'shared'),
        ('visualize_attention', 'shared', 'a.png'),
        ('export', 'shared', '--format', 'torch'),
        ('test', config, 'shared', '--work-dir', 'tested'),
        ('train', leaf('dpt'), '--work-dir', 'new', '--cfg-options', 'load_from=shared'),
        ('publish', 'shared', 'again'),
    ):
        assert 'its checksum is wrong' in refused(capsys, *arguments), arguments
