"""The published configuration, from a folder of photos to a prediction.

Real architecture (ViT-B/16), real config, real tools; the weights are random
and the photos few, so only that it works is shown, not how well.
"""

import json
import os

import numpy as np
import pytest
import torch
from helpers.tools import ROOT, tool
from PIL import Image
from safetensors.torch import save_file

from mmdpt.datasets.benchmarks import get_benchmark

CONFIG = os.path.join(ROOT, 'configs/dpt/dpt_vitb16_eurosat_16shot.py')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """ViT-B/16 with random weights, as a file of 300 MB."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model('ViT-B-16-quickgelu', pretrained=None)
    path = tmp_path_factory.mktemp('clip') / 'vitb16.safetensors'
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, str(path))
    yield str(path)
    path.unlink()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A EuroSAT folder with a split file: 2 train, 1 val, 1 test a class."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    split = dict(train=[], val=[], test=[])
    for label, name in enumerate(get_benchmark('EuroSAT').classes):
        folder = name.replace(' ', '')
        (root / 'eurosat/2750' / folder).mkdir(parents=True)
        for i, part in enumerate(['train', 'train', 'val', 'test']):
            file = f'{folder}/{folder}_{i}.jpg'
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / 'eurosat/2750' / file)
            split[part].append([file, label, name])
    (root / 'eurosat/split_zhou_EuroSAT.json').write_text(json.dumps(split))
    return root


def test_train_test_predict(weights, data, tmp_path):
    options = [
        '--cfg-options',
        f'model.pretrained={weights}',
        'train_dataloader.dataset.shots=1',
        'train_dataloader.batch_size=5',
        *(
            f'{split}_dataloader.{key}'
            for split in ('train', 'val', 'test')
            for key in (f'dataset.data_root={data}', 'num_workers=0', 'persistent_workers=False')
        ),
        *(f'{split}_dataloader.dataset.indices=4' for split in ('val', 'test')),
        'train_cfg.max_epochs=1',
    ]
    tool('train', CONFIG, '--work-dir', tmp_path, *options)
    (log,) = tmp_path.glob('*/*.log')
    assert f'--pretrained {weights}' in log.read_text()  # in the command that it prints
    results = json.loads((tmp_path / 'results.json').read_text())
    assert 0 <= results['few_shot']['accuracy/top1'] <= 100
    assert results['shots'] == 1 and results['benchmark'] == 'EuroSAT'

    file = tmp_path / 'epoch_1.pth'
    checkpoint = torch.load(file, weights_only=True)
    learnt = checkpoint['state_dict']
    assert 1.0e6 < sum(v.numel() for v in learnt.values()) < 1.2e6
    assert sum(v.numel() * v.itemsize for v in learnt.values()) < 5e6
    assert checkpoint['meta']['mmdpt']['clip']['arch'] == 'ViT-B-16-quickgelu'

    tool(
        'test',
        CONFIG,
        file,
        '--work-dir',
        tmp_path / 'test',
        '--out',
        tmp_path / 'metrics.json',
        *options[:2],
        *options[4:],
    )
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['accuracy/top1'] == pytest.approx(results['few_shot']['accuracy/top1'])

    photo = next((data / 'eurosat/2750/River').glob('*.jpg'))
    options = ['--pretrained', weights, '--top-k', 3, '--json', tmp_path / 'prediction.json']
    tool('predict', file, photo, *options)
    (prediction,) = json.loads((tmp_path / 'prediction.json').read_text())
    scores = [c['probability'] for c in prediction['classes']]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)


def test_without_the_data(weights, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        tool(
            'train',
            CONFIG,
            '--work-dir',
            tmp_path,
            '--cfg-options',
            f'model.pretrained={weights}',
            f'train_dataloader.dataset.data_root={tmp_path}/nothing',
        )
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert 'eurosat' in said and 'split_zhou_EuroSAT.json' in said
    assert 'Traceback' not in said
