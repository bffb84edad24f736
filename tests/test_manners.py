"""What users of MMPretrain try: plain runners, wrappers, parts that do not fit."""

import os.path as osp
import shlex
import time

import pytest
from helpers.short_runs import ROOT, short_config, train
from helpers.stock_models import HEAD, RESNET, VIT, write
from helpers.tools import refused, tool
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from mmdpt.datasets import innermost, share_dataset
from mmdpt.datasets.shared import check_shared
from mmdpt.engine import read_checkpoint
from mmdpt.engine.cli import build_runner, set_seed
from mmdpt.engine.config_check import check_config
from mmdpt.engine.fit_check import check_fit

TINY = osp.join(ROOT, 'configs', 'coop', 'coop_tiny_digits_16shot.py')


@pytest.mark.parametrize('subset', ['all', 'base'])
def test_plain_runner_refuses(tmp_path, subset):
    """It would train all classes, whatever the subset."""
    cfg = short_config('coop', tmp_path, epochs=1, dataset__subset=subset)
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match="runner_type='FewShotRunner'.*dataset.subset"):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


def test_plain_runner_refuses_stages(tmp_path):
    """It would train the first one alone; ``dataset`` is handed on, as in a dumped config."""
    cfg = share_dataset(short_config('twosfs', tmp_path, epochs=2))
    with pytest.raises(ValueError, match="stages.*runner_type='FewShotRunner'"):
        Runner.from_cfg(cfg).train()
    assert not list(tmp_path.glob('*.pth'))


def test_runs_of_one_second_share_nothing(tmp_path, monkeypatch):
    """Neither log nor message hub, which names the checkpoints."""
    monkeypatch.setattr(time, 'strftime', lambda *a: '20260101_000000')
    found = [build_runner(short_config('coop', tmp_path / name)) for name in ('one', 'two')]
    assert found[0].experiment_name != found[1].experiment_name
    assert found[0].message_hub is not found[1].message_hub
    assert [len(list((tmp_path / name).glob('*/*.log'))) for name in ('one', 'two')] == [1, 1]


def test_plain_runner_names_the_missing_benchmark(tmp_path):
    cfg = Config.fromfile(osp.join(ROOT, 'configs/mmpretrain/resnet18_eurosat_16shot.py'))
    cfg.work_dir, cfg.model.backbone.init_cfg = str(tmp_path), None
    with pytest.raises(ValueError, match="needs a benchmark.*runner_type='FewShotRunner'"):
        Runner.from_cfg(cfg).train()


def test_shared_dataset_may_change_after_it_was_handed_on():
    """A dumped config runs anywhere, until its ``dataset`` is changed again."""
    cfg = share_dataset(Config.fromfile(TINY))
    check_shared(cfg)
    cfg.dataset.subset = 'new'
    with pytest.raises(ValueError, match='FewShotRunner'):
        check_shared(cfg)
    check_shared(share_dataset(cfg))
    assert cfg.train_dataloader.dataset.subset == 'new'


def wrapped(kind, dataset):
    """Config of a wrapper."""
    if kind == 'RepeatDataset':
        return dict(type=kind, times=2, dataset=dataset)
    return dict(type=kind, datasets=[dataset, dict(type='RepeatDataset', times=1, dataset=dataset)])


@pytest.mark.parametrize('kind', ['RepeatDataset', 'ConcatDataset'])
def test_wrapped_dataset(tmp_path, kind):
    cfg = short_config('coop', tmp_path, epochs=1, dataset__subset='base')
    inner = cfg.train_dataloader.dataset.to_dict()
    cfg.train_dataloader.dataset = wrapped(kind, inner)
    cfg.test_dataloader.dataset = wrapped(kind, cfg.test_dataloader.dataset.to_dict())
    set_seed(cfg, 3)
    runner = train(cfg)
    dataset = runner.train_dataloader.dataset
    parts = list(innermost(cfg.train_dataloader.dataset))
    assert len(parts) == (1 if kind == 'RepeatDataset' else 2)
    assert all((p['subset'], p['seed'], p['benchmark']) == ('base', 3, 'Digits') for p in parts)
    assert len(dataset) == 20 and len(dataset.metainfo['classes']) == 5
    about = read_checkpoint(tmp_path / 'epoch_1.pth')['meta']['mmdpt']
    assert about['draw_hash'] == dataset.metainfo['draw_hash']
    assert about['recipe']['pipeline'][0]['type'] == 'LoadPILImage'


@pytest.mark.parametrize(
    'pair, reason',
    [
        ('train_pipeline=[[[1,2],[3]],{"x":[1,2]}]', 'dicts cannot be given'),
        ("model.head=dict(type='X',a=[1,2])", 'dicts cannot be given'),
        ('optim_wrapper.clip_grad=(1),(2)', 'dicts cannot be given'),
        ('image_size=[1,[2,3', 'brackets do not match'),
        ('image_size', 'no "="'),
    ],
)
def test_unreadable_option(capsys, pair, reason):
    with pytest.raises(SystemExit) as end:
        tool('train', TINY, '--cfg-options', 'train_cfg.max_epochs=1', pair)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 1 and reason in line and pair in line


def test_predict_as_printed(tmp_path, monkeypatch, capsys):
    """The command after the training of an MMPretrain ResNet."""
    monkeypatch.chdir(tmp_path)
    tool(
        'train',
        write(RESNET, tmp_path),
        '--work-dir',
        'run',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    (log,) = (tmp_path / 'run').glob('*/*.log')
    printed = [
        line.split('predict:')[1] for line in log.read_text().splitlines() if 'predict:' in line
    ]
    words = shlex.split(printed[-1])
    assert words[:2] == ['python', 'tools/predict.py'] and '--config' in words
    from PIL import Image

    Image.new('RGB', (40, 32)).save('black.png')
    capsys.readouterr()
    tool('predict', *['black.png' if word == 'IMAGE...' else word for word in words[2:]])
    assert 'black.png' in capsys.readouterr().out


def test_predict_with_a_recipe_needs_no_config(tmp_path):
    train(short_config('coop', tmp_path, epochs=1, default_hooks__report__enable=True))
    (log,) = tmp_path.glob('*/*.log')
    (line,) = [line for line in log.read_text().splitlines() if 'predict:' in line]
    assert line.endswith('epoch_1.pth IMAGE...')


def test_our_head_in_their_classifier(tmp_path, capsys):
    config = write(dict(RESNET, head=dict(type='SimilarityHead')), tmp_path)
    line = refused(capsys, 'train', config, '--work-dir', tmp_path / 'run')
    assert 'SimilarityHead compares images with text' in line and 'PromptedCLIP' in line
    with pytest.raises(ValueError, match='KgCoOpHead compares'):
        check_fit(dict(RESNET, head=dict(type='mmpretrain.KgCoOpHead')))


def test_their_head_in_our_classifier():
    cfg = share_dataset(Config.fromfile(TINY)).model
    cfg.head = HEAD
    with pytest.raises(ValueError, match='LinearClsHead learns a classifier of its own'):
        MODELS.build(cfg)


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='PromptedCLIPBackbone', arch='ViT-B-16', pretrained=None),
        VIT['backbone'],
        dict(VIT['backbone'], type='PromptedVisionTransformer'),
        dict(VIT['backbone'], out_type='avg_featmap'),
    ],
)
def test_pooling_after_a_vector(backbone):
    pooling = dict(type='GlobalAveragePooling')
    with pytest.raises(ValueError, match='GlobalAveragePooling pools.*model.neck=None'):
        check_config(
            Config(
                dict(model=dict(type='ImageClassifier', backbone=backbone, neck=pooling, head=HEAD))
            )
        )


def test_what_fits_passes():
    for model in (
        RESNET,
        VIT,
        None,
        dict(RESNET, backbone=dict(VIT['backbone'], out_type='featmap')),
    ):
        assert check_fit(model) is None
