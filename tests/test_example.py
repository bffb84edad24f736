"""The built-in example, shortened, through all tools."""

import json
import os
import os.path as osp
import subprocess
import sys

import numpy as np
import pytest
from helpers.tools import ROOT, refused, tool
from PIL import Image

CONFIG = osp.join(ROOT, 'configs', 'dpt', 'dpt_tiny_digits_16shot.py')
FEWER = [f'{name}_dataloader.dataset.indices=150' for name in ('val', 'test')]
SHORT = ['--cfg-options', 'train_dataloader.dataset.shots=2', 'train_cfg.max_epochs=2', *FEWER]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The work directory of a short training with baselines."""
    work_dir = tmp_path_factory.mktemp('example')
    tool(
        'train',
        CONFIG,
        '--work-dir',
        work_dir,
        '--seed',
        2,
        *SHORT,
        'default_hooks.report.baselines=[linear_probe,raw_pixels]',
    )
    return work_dir


def test_results(trained):
    results = json.loads((trained / 'results.json').read_text())
    assert (results['benchmark'], results['shots'], results['seed']) == ('Digits', 2, 2)
    assert 45 <= results['zero_shot']['accuracy/top1'] <= 80
    assert set(results['baselines']) == {'linear_probe', 'raw_pixels'}
    assert all(20 < accuracy < 100 for accuracy in results['baselines'].values())
    assert results['checkpoint']['bytes'] < 5_000_000 and len(results['draw_hash']) == 64


def test_the_printed_commands(trained, capsys):
    log = next(trained.glob('*/*.log')).read_text()
    line = next(x for x in log.splitlines() if 'python tools/test.py' in x)
    out = trained / 'metrics.json'
    tool('test', *line.split()[4:], '--out', out)
    results = json.loads((trained / 'results.json').read_text())
    assert json.loads(out.read_text()) == pytest.approx(results['few_shot'], abs=1e-4)

    image = trained / 'white.png'
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(image)
    capsys.readouterr()
    tool('predict', trained / 'epoch_2.pth', image, '--top-k', 3, '--json', trained / 'p.json')
    (found,) = json.loads((trained / 'p.json').read_text())
    chances = [c['probability'] for c in found['classes']]
    assert len(chances) == 3 and chances == sorted(chances, reverse=True) and sum(chances) <= 1
    shown = capsys.readouterr().out.strip().splitlines()[-1]
    assert shown.split()[:3] == [str(image), found['classes'][0]['name'], f'{chances[0]:.1%}']


def test_test_time_augmentation(trained):
    out = trained / 'tta.json'
    tool(
        'test',
        CONFIG,
        trained / 'epoch_2.pth',
        '--tta',
        '--work-dir',
        trained / 'tta',
        '--out',
        out,
        '--cfg-options',
        *FEWER,
    )
    assert 0 < json.loads(out.read_text())['accuracy/top1'] < 100


@pytest.mark.slow
def test_two_processes(trained, tmp_path):
    """They end, count each image once, and write one set of files."""
    script = osp.join(ROOT, 'tools', 'dist_train.sh')
    path = osp.dirname(sys.executable) + os.pathsep + os.environ['PATH']
    done = subprocess.run(
        [
            script,
            CONFIG,
            '2',
            '--work-dir',
            tmp_path,
            '--seed',
            '2',
            *SHORT,
            'train_dataloader.batch_size=10',
        ],
        env=dict(os.environ, PATH=path, OMP_NUM_THREADS='1', PORT='29613'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'results.json').read_text())
    single = json.loads((trained / 'results.json').read_text())
    for key in ('zero_shot', 'draw_hash', 'epochs', 'shots'):
        assert results[key] == single[key]
    assert len(list(tmp_path.glob('*/*.log'))) == 1
    assert done.stdout.count('Few-shot result') == 1


def test_zero_shot_needs_no_checkpoint(trained, tmp_path):
    """And gives what the training printed first."""
    config = tmp_path / 'zero_shot_digits.py'
    config.write_text(
        f'_base_ = {CONFIG!r}\nmodel = dict(text_prompt=None, visual_prompt=None, '
        "head=dict(_delete_=True, type='SimilarityHead'))\n"
    )
    tool(
        'test',
        config,
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'metrics.json',
        '--cfg-options',
        *FEWER,
    )
    results = json.loads((trained / 'results.json').read_text())
    found = json.loads((tmp_path / 'metrics.json').read_text())
    assert found == pytest.approx(results['zero_shot'], abs=1e-4)


@pytest.mark.parametrize(
    'options, words',
    [
        (['model.visual_prompt.num_tokens=3'], 'visual_prompt'),
        (['model.text_prompt.num_tokens=3'], 'text_prompt.context'),
        (['model.classes=[a,b]', 'model.visual_prompt.top_k=2'], 'trained for 10 classes'),
        (['model.pretrained=None'], 'was trained on CLIP'),
    ],
)
def test_checkpoint_that_does_not_fit(trained, capsys, options, words):
    line = refused(
        capsys,
        'test',
        CONFIG,
        trained / 'epoch_2.pth',
        '--work-dir',
        trained / 'no',
        '--cfg-options',
        *options,
    )
    assert words in line


@pytest.mark.parametrize(
    'options, words',
    [
        (['train_dataloader.dataset.shots=1000'], 'shots=1000'),
        (['train_dataloader.dataset.shot=1'], 'did you mean train_dataloader.dataset.shots'),
        (['model.visual_prompt.top_k=11'], 'top_k'),
        (['model.visual_prompt.num_layers=0'], 'num_layers'),
        (['model.arch=ViT-B-17'], 'ViT-B-17'),
    ],
)
def test_bad_input_before_training(tmp_path, capsys, options, words):
    assert words in refused(
        capsys, 'train', CONFIG, '--work-dir', tmp_path, '--cfg-options', *options
    )
    assert not list(tmp_path.glob('*.pth'))
