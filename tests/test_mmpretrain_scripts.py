"""MMPretrain's own scripts, through tools/mmpretrain_tool.py."""

import json
import os.path as osp

import matplotlib
import mmcv
import mmengine
import numpy as np
import pytest
import torch
from helpers.short_runs import leaf, short_config, train
from helpers.tools import tool
from mmpretrain_compat import run, scripts, token_hooks, with_gradients

from mmdpt.datasets.digits import digit_images, load_digits
from mmdpt.engine import read_checkpoint

LAYER = 'backbone.visual.transformer.resblocks.3.ln_1'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The work directory of a short DPT training, with predictions."""
    matplotlib.use('Agg')
    folder = tmp_path_factory.mktemp('scripts')
    train(short_config('dpt', folder, default_hooks__logger__interval=1))
    tool(
        'test',
        leaf('dpt'),
        folder / 'epoch_2.pth',
        '--work-dir',
        folder / 'test',
        '--out',
        folder / 'predictions.pkl',
        '--cfg-options',
        'test_dataloader.dataset.indices=60',
    )
    return folder


def test_unknown_script():
    with pytest.raises(ValueError, match="no script 'vis_tnse': choose among .*vis_tsne"):
        run('vis_tnse', [])
    assert {'vis_cam', 'vis_tsne', 'browse_dataset', 'get_flops'} <= set(scripts())


def test_hooks_take_the_image_in_the_pass_with_gradients():
    """A layer sees the image frozen, then prompted, then the prompts."""
    kept = token_hooks(Recording)(torch.nn.Identity())
    kept.model = lambda x: [
        kept.save_activation('layer', None, t)
        for t in (
            torch.zeros(1, 5, 2),
            torch.ones(1, 5, 2, requires_grad=True),
            torch.ones(1, 3, 2),
        )
    ]
    kept(None)
    assert len(kept.activations) == 1 and torch.equal(kept.activations[0], torch.ones(1, 5, 2))


class Recording:
    """The part of grad-cam's ActivationsAndGradients that is built upon."""

    def __init__(self, model):
        self.model, self.reshape_transform = model, lambda tokens: tokens

    def __call__(self, x):
        return self.model(x)


def test_no_gradient_no_map():

    class GradCAM:
        uses_gradients = True
        activations_and_grads = type('Kept', (), dict(gradients=[]))

    with pytest.raises(ValueError, match='GradCAM needs a gradient .*--method EigenCAM'):
        with_gradients(None)(GradCAM(), 'images')


def test_print_config(capsys):
    run('print_config', [leaf('dpt'), '--cfg-options', 'train_cfg.max_epochs=7'])
    shown = capsys.readouterr().out
    assert 'max_epochs=7' in shown and "benchmark='Digits'" in shown  # handed on


def test_get_flops(capsys):
    run('get_flops', [leaf('dpt'), '--shape', '32'])
    assert 'Input shape: (3, 32, 32)\nFlops: ' in capsys.readouterr().out


def test_confusion_matrix(trained, tmp_path):
    for source in ('epoch_2.pth', 'predictions.pkl'):
        run(
            'confusion_matrix',
            [
                leaf('dpt'),
                str(trained / source),
                '--out',
                str(tmp_path / 'matrix.pkl'),
                '--show-path',
                str(tmp_path / 'matrix.png'),
                '--cfg-options',
                'test_dataloader.dataset.indices=60',
            ],
        )
        matrix = mmengine.load(tmp_path / 'matrix.pkl')
        assert matrix.shape == (10, 10) and matrix.sum() == 60
        (tmp_path / 'matrix.png').unlink()


def test_eval_metric(trained, capsys):
    run('eval_metric', [str(trained / 'predictions.pkl'), '--metric', 'type=Accuracy', 'topk=1,5'])
    assert 'accuracy/top5' in capsys.readouterr().out


def test_analyze_logs(trained, tmp_path, capsys):
    log = str(next(trained.glob('*/vis_data/scalars.json')))
    run(
        'analyze_logs',
        ['plot_curve', log, '--keys', 'loss_logits', 'lr', '--out', str(tmp_path / 'curve.png')],
    )
    assert osp.getsize(tmp_path / 'curve.png') > 1000
    run('analyze_logs', ['cal_train_time', log])
    assert 'average iter time' in capsys.readouterr().out


def test_browse_dataset(tmp_path):
    run(
        'browse_dataset',
        [leaf('dpt'), '-o', str(tmp_path), '--not-show', '-n', '2', '-m', 'concat'],
    )
    assert len(list(tmp_path.glob('*.png'))) == 2


def test_vis_scheduler(tmp_path):
    run(
        'vis_scheduler',
        [
            leaf('dpt'),
            '--not-show',
            '-s',
            str(tmp_path / 'rate.png'),
            '--cfg-options',
            f'work_dir={tmp_path}',
        ],
    )
    assert osp.getsize(tmp_path / 'rate.png') > 1000


def test_vis_tsne(trained, tmp_path):
    run(
        'vis_tsne',
        [
            leaf('dpt'),
            '--checkpoint',
            str(trained / 'epoch_2.pth'),
            '--work-dir',
            str(tmp_path),
            '--max-num-samples',
            '5',
            '--device',
            'cpu',
            '--n-iter',
            '250',
        ],
    )
    folder = next(tmp_path.glob('tsne_*'))
    (features,) = folder.glob('feat_*.npy')
    assert len(np.load(features)) == 50 and features.with_suffix('.png').is_file()


@pytest.mark.parametrize(
    'method, cam',
    [('dpt', 'GradCAM'), ('dpt', 'LayerCAM'), ('dpt', 'EigenCAM'), ('coop', 'EigenCAM')],
)
def test_vis_cam(trained, tmp_path, method, cam):
    pytest.importorskip('pytorch_grad_cam', reason='pip install --no-deps grad-cam ttach')
    checkpoint = trained / 'epoch_2.pth'
    if method == 'coop':
        train(short_config('coop', tmp_path, epochs=1))
        checkpoint = tmp_path / 'epoch_1.pth'
    photo, out = tmp_path / 'photo.png', tmp_path / 'cam.png'
    mmcv.imwrite(digit_images()[900].repeat(4, 0).repeat(4, 1), str(photo))
    arguments = [
        str(photo),
        leaf(method),
        str(checkpoint),
        '--vit-like',
        '--target-layers',
        LAYER,
        '--save-path',
        str(out),
        '--method',
        cam,
    ]
    run('vis_cam', arguments)
    first = mmcv.imread(str(out))
    assert first.shape == (32, 32, 3)
    if cam == 'GradCAM':  # another class, another map
        run('vis_cam', [*arguments, '--target-category', '1'])
        second = mmcv.imread(str(out))
        run('vis_cam', [*arguments, '--target-category', '8'])
        assert (mmcv.imread(str(out)) != second).any()


def test_gradient_maps_of_a_frozen_tower_are_refused(tmp_path):
    pytest.importorskip('pytorch_grad_cam', reason='pip install --no-deps grad-cam ttach')
    train(short_config('coop', tmp_path, epochs=1))
    photo = tmp_path / 'photo.png'
    mmcv.imwrite(digit_images()[900].repeat(4, 0).repeat(4, 1), str(photo))
    with pytest.raises(ValueError, match='GradCAM needs a gradient'):
        run(
            'vis_cam',
            [
                str(photo),
                leaf('coop'),
                str(tmp_path / 'epoch_1.pth'),
                '--vit-like',
                '--target-layers',
                LAYER,
                '--save-path',
                str(tmp_path / 'x.png'),
            ],
        )


def test_analyze_results_on_files(tmp_path):
    """Photos in folders; the digits themselves are not files."""
    for i in range(60):
        name = 'zero' if load_digits().target[i] == 0 else 'other'
        mmcv.imwrite(
            digit_images()[i].repeat(4, 0).repeat(4, 1),
            str(tmp_path / 'photos' / name / f'{i}.png'),
        )
    cfg = short_config('zeroshot', tmp_path / 'run')
    data = dict(name='Own', own=True, data_root=str(tmp_path / 'photos'))
    cfg.merge_from_dict(dict(dataset=data, model=dict(classes='Own')))
    for name in ('train', 'val', 'test'):
        pipeline = cfg[f'{name}_dataloader'].dataset.pipeline
        cfg[f'{name}_dataloader'].dataset = dict(
            type='FewShotDataset', split=name, pipeline=pipeline
        )
    cfg.dump(tmp_path / 'own.py')
    out = tmp_path / 'predictions.pkl'
    tool('test', tmp_path / 'own.py', '--work-dir', tmp_path / 'run', '--out', out)
    run(
        'analyze_results',
        [str(tmp_path / 'own.py'), str(out), '--out-dir', str(tmp_path / 'a'), '--topk', '3'],
    )
    found = [path for kind in ('success', 'fail') for path in (tmp_path / 'a' / kind).glob('*.png')]
    assert 3 <= len(found) <= 6
    run(
        'confusion_matrix',
        [str(tmp_path / 'own.py'), str(out), '--show-path', str(tmp_path / 'matrix.png')],
    )
    assert (tmp_path / 'matrix.png').is_file()


def test_publish_model(trained, tmp_path):
    """The published file is safe to load, without the optimizer, and tests the same."""
    run('publish_model', [str(trained / 'epoch_2.pth'), str(tmp_path / 'dpt.pth')])
    file = next(tmp_path.glob('dpt_*.pth'))
    ours, theirs = read_checkpoint(file), read_checkpoint(trained / 'epoch_2.pth')
    assert 'optimizer' not in ours
    assert all(torch.equal(ours['state_dict'][k], v) for k, v in theirs['state_dict'].items())
    for checkpoint in (file, trained / 'epoch_2.pth'):
        tool(
            'test',
            leaf('dpt'),
            checkpoint,
            '--work-dir',
            tmp_path / 't',
            '--out',
            tmp_path / f'{checkpoint.stem}.json',
            '--cfg-options',
            'test_dataloader.dataset.indices=60',
        )
    one, other = (json.loads(p.read_text()) for p in tmp_path.glob('*.json'))
    assert one == other


def test_kfold(tmp_path):
    run(
        'kfold-cross-valid',
        [
            leaf('coop'),
            '--num-splits',
            '2',
            '--fold',
            '0',
            '--work-dir',
            str(tmp_path),
            '--no-pin-memory',
            '--no-persistent-workers',
            '--cfg-options',
            'train_cfg.max_epochs=1',
            'test_dataloader.dataset.indices=60',
        ],
    )
    log = next(tmp_path.glob('fold0/*/*.log')).read_text()
    assert 'Cross-validation: [1/2]' in log and (tmp_path / 'fold0' / 'epoch_1.pth').is_file()


def test_verify_dataset_cannot(tmp_path):
    """It looks for LoadImageFromFile only; tools/check_dataset.py is for ours."""
    with pytest.raises(AssertionError, match='load image from files'):
        run('verify_dataset', [leaf('dpt'), '--out-path', str(tmp_path / 'broken.log')])
