"""MMPretrain's own classifiers on the few-shot data, through the tools."""

import json
import os.path as osp

import pytest
import torch
from helpers.stock_models import DEEP, RESNET, VIT, plain_vit, write
from helpers.tools import refused, tool
from mmpretrain.registry import MODELS

from mmdpt.engine import read_checkpoint
from mmdpt.engine.measure import check_baselines

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))


def results(work_dir):
    """What the report says of a model that has no zero-shot prediction."""
    with open(work_dir / 'results.json') as file:
        found = json.load(file)
    assert found['zero_shot'] is None and found['baselines'] == {}
    assert (found['benchmark'], found['shots']) == ('Digits', 2)
    (log,) = work_dir.glob('*/*.log')
    told = log.read_text().split('Few-shot result')[1]
    assert 'learnt: accuracy/top1' in told and 'zero-shot' not in told
    return found['few_shot']


def accuracy_again(config, checkpoint, folder):
    """Test again, from the checkpoint."""
    tool(
        'test', config, checkpoint, '--work-dir', folder / 'test', '--out', folder / 'metrics.json'
    )
    return pytest.approx(json.loads((folder / 'metrics.json').read_text()), abs=1e-4)


@pytest.fixture(scope='module')
def prompted(tmp_path_factory):
    """A trained ViT with prompts, on weights from a file."""
    folder = tmp_path_factory.mktemp('prompted')
    torch.save(plain_vit(img_size=32).state_dict(), folder / 'weights.pth')
    backbone = dict(
        VIT['backbone'],
        type='PromptedVisionTransformer',
        prompt=DEEP,
        init_cfg=dict(type='Pretrained', checkpoint=str(folder / 'weights.pth')),
    )
    config = write(dict(VIT, backbone=backbone), folder)
    tool('train', config, '--work-dir', folder / 'run')
    return folder


def test_prompted(prompted, tmp_path):
    config, last = prompted / 'few.py', prompted / 'run/epoch_2.pth'
    state = read_checkpoint(last)['state_dict']
    assert set(state) == {'backbone.prompt.tokens', 'head.fc.weight', 'head.fc.bias'}
    assert results(prompted / 'run') == accuracy_again(config, last, tmp_path)
    tool('train', config, '--work-dir', tmp_path, '--resume', prompted / 'run/epoch_1.pth')
    again = read_checkpoint(tmp_path / 'epoch_2.pth')['state_dict']
    assert all(torch.equal(state[n], again[n]) for n in state)


def test_resnet(tmp_path):
    config = write(RESNET, tmp_path)
    tool('train', config, '--work-dir', tmp_path / 'run')
    assert results(tmp_path / 'run') == accuracy_again(
        config, tmp_path / 'run/epoch_2.pth', tmp_path
    )


def test_plain_vit(tmp_path):
    tool('train', write(VIT, tmp_path), '--work-dir', tmp_path / 'run')
    learnt = read_checkpoint(tmp_path / 'run/epoch_2.pth')['state_dict']
    assert 'backbone.cls_token' in learnt and results(tmp_path / 'run')


def test_number_of_classes(prompted, tmp_path, capsys):
    assert (
        'The head has 7 classes and the images have 10 (zero, ...): set '
        'model.head.num_classes=10'
        in refused(
            capsys,
            'train',
            prompted / 'few.py',
            '--work-dir',
            tmp_path,
            '--cfg-options',
            'model.head.num_classes=7',
        )
    )


@pytest.fixture
def changed(prompted, tmp_path):
    """Saves the checkpoint with other parts, and the command to use it."""

    def change(**parts):
        learnt = torch.load(prompted / 'run/epoch_2.pth', weights_only=True)
        torch.save({**learnt, **parts}, tmp_path / 'changed.pth')
        return tmp_path / 'changed.pth'

    return change


def test_missing_tensors(prompted, changed, tmp_path, capsys):
    state = read_checkpoint(prompted / 'run/epoch_2.pth')['state_dict']
    state.pop('head.fc.bias')
    assert 'lacks learnt tensors: head.fc.bias' in refused(
        capsys, 'test', prompted / 'few.py', changed(state_dict=state), '--work-dir', tmp_path
    )


def test_other_classes(prompted, changed, tmp_path, capsys):
    """A test refuses them; for a training they are a start (load_from)."""
    meta = torch.load(prompted / 'run/epoch_2.pth')['meta']
    assert meta['dataset_meta']['classes'][0] == 'zero'
    meta['dataset_meta']['classes'] = ('nil', 'one')
    file = changed(meta=meta)
    assert "class 0 is 'nil' in the checkpoint and 'zero' in the images" in refused(
        capsys, 'test', prompted / 'few.py', file, '--work-dir', tmp_path / 'test'
    )
    tool(
        'train',
        prompted / 'few.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        f'load_from={file}',
        'train_cfg.max_epochs=1',
    )
    assert (tmp_path / 'run/epoch_1.pth').is_file()


def test_no_features_for_a_baseline():
    model = MODELS.build(dict(VIT))
    check_baselines(['raw_pixels'], model)
    with pytest.raises(
        ValueError,
        match="'linear_probe' needs a model with clip_features, which ImageClassifier does not",
    ):
        check_baselines(['linear_probe'], model)
