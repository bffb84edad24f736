"""Fifty own photos: the documented command, from the folder to a prediction."""

import json
import os
from pathlib import Path

import pytest
import torch
from helpers.plain import small_clip
from helpers.tools import refused, tool
from helpers.trees import write_photos

from mmdpt.engine import read_checkpoint
from mmdpt.models.clip.load import load_clip

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/dpt/dpt_vitb16_custom.py'
MUGS = ('blue mug', 'glass', 'red_mug', 'tea cup', 'thermos')


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A folder of 50 photos, and options for a small CLIP of 32 pixels."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / 'photos', MUGS, 10)
    torch.manual_seed(0)
    torch.save(load_clip(small_clip(), None).model.state_dict(), 'clip.pt')
    Path('small.json').write_text(json.dumps(small_clip()))
    loaders = [
        f'{name}_dataloader.{option}'
        for name in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False', 'dataset.pipeline.1.scale=32')
    ]
    return [
        '--cfg-options',
        'model.arch=small.json',
        'model.pretrained=clip.pt',
        'train_cfg.max_epochs=1',
        'train_dataloader.batch_size=5',
        'val_dataloader.dataset.pipeline.2.crop_size=32',
        'test_dataloader.dataset.pipeline.2.crop_size=32',
        *loaders,
    ]


def test_fifty_photos(options, tmp_path, capsys):
    own = ['dataset.data_root=photos', 'dataset.templates=a_photo_of_my_{}.']
    tool('train', CONFIG, '--work-dir', 'run', *options, *own)
    log = capsys.readouterr().out
    assert '50 images are divided into 35/0/15' in log
    results = json.load(open('run/results.json'))
    assert results['benchmark'] == 'Custom' and len(results['draw_hash']) == 64
    meta = read_checkpoint('run/epoch_1.pth')['meta']['mmdpt']
    assert meta['classes'] == list(MUGS)
    assert meta['draw_hash'] == results['draw_hash']
    tool(
        'test',
        CONFIG,
        'run/epoch_1.pth',
        '--work-dir',
        'tested',
        '--out',
        'metrics.json',
        *options,
        *own,
    )
    assert json.load(open('metrics.json'))['accuracy/top1'] == pytest.approx(
        results['few_shot']['accuracy/top1']
    )
    # the dumped config goes on from the same data, and follows new options
    os.rename('photos', 'moved')
    tool(
        'test',
        'run/dpt_vitb16_custom.py',
        'run/epoch_1.pth',
        '--work-dir',
        'tested',
        '--out',
        'again.json',
        '--cfg-options',
        'dataset.data_root=moved',
    )
    assert json.load(open('again.json')) == json.load(open('metrics.json'))


@pytest.mark.parametrize(
    'own, words',
    [
        (['dataset.data_root=nowhere'], "'nowhere' does not exist"),
        (
            ['dataset.data_root=photos', 'dataset.classes=[glass,mug]'],
            'which classes does not name',
        ),
        (
            ['dataset.data_root=photos', 'dataset.templates=a photo of a mug.'],
            "'a photo of a mug.' must be words with one {}",
        ),
        (['dataset.data_root=photos', 'dataset.template=x'], 'did you mean dataset.templates'),
        (
            ['dataset.data_root=photos', 'train_dataloader.dataset.shots=8'],
            "8 train images per class, but 'blue mug' has 7",
        ),
        (
            [
                'dataset.data_root=photos',
                'test_dataloader.dataset.subset=base',
                'default_hooks.report.enable=False',
            ],
            "The model has 5 classes and the images have 3: class 3 is 'tea cup' in "
            "the model and 'none' in the images",
        ),
        (['dataset.data_root=photos', 'train_dataloader.dataset.benchmark=DTD'], 'DTD: the folder'),
    ],
)
def test_refused(options, capsys, own, words):
    assert words in refused(capsys, 'train', CONFIG, '--work-dir', 'run', *options, *own)
    assert not list(Path('run').glob('*.pth'))


def test_config_of_ones_own(options):
    """The example of docs/own_data.md: a config on top of the custom one."""
    text = (ROOT / 'docs/own_data.md').read_text()
    example = (
        text.split('```python\n')[1]
        .split('```')[0]
        .replace("['dpt_vitb16_custom.py']", f"['{os.path.relpath(CONFIG)}']")
    )
    os.rename('photos/red_mug', 'photos/red mug')
    Path('mugs.py').write_text(example)
    tool('train', 'mugs.py', '--work-dir', 'run', *options)
    meta = read_checkpoint('run/epoch_1.pth')['meta']['mmdpt']
    assert meta['classes'] == ['glass', 'tea cup', 'red mug', 'blue mug', 'thermos']
