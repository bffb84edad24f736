"""The linear probe as a method: equal to scikit-learn's, through all tools."""

import hashlib
import json
import os.path as osp

import numpy as np
import pytest
import torch
from helpers.classifier import build
from helpers.kept import space
from helpers.tools import ROOT, tool
from mmengine.config import Config
from PIL import Image

from mmdpt.engine import read_checkpoint
from mmdpt.evaluation import search_linear_probe
from mmdpt.evaluation.baselines import fit_logistic

CONFIG = osp.join(ROOT, 'configs', 'linear_probe', 'linear_probe_tiny_digits_16shot.py')
HEAD = dict(head=dict(type='LinearProbeHead'))


def data(classes, seed=0, count=60, size=32):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(9).normal(size=(classes, size))
    return centres[labels] + rng.normal(size=(count, size)), labels


@pytest.mark.parametrize('classes', [2, 4])
@pytest.mark.parametrize('c', [1e-3, 1.0, 1e4])
def test_equals_scikit_learn(classes, c):
    """Probabilities, two classes (one row there) included."""
    model = build('zeroshot', classes=['a', 'b', 'c', 'd'][:classes], **HEAD)
    fitted = fit_logistic(*data(classes), c)
    model.head.take_over(fitted)
    features, _ = data(classes, seed=1)
    samples = model.predict_features(torch.from_numpy(features))
    scores = torch.stack([s.pred_score for s in samples]).numpy()
    np.testing.assert_allclose(scores, fitted.predict_proba(features), rtol=1e-9, atol=1e-12)
    found = np.array([int(s.pred_label) for s in samples])
    np.testing.assert_array_equal(found, fitted.predict(features))


def test_single_precision_decides_alike():
    model = build('zeroshot', precision='fp32', **HEAD)
    fitted = search_linear_probe(data(4), data(4, seed=1)).classifier
    model.head.take_over(fitted)
    features, _ = data(4, seed=2, count=2000)
    found = model.predict_features(torch.from_numpy(features))
    np.testing.assert_array_equal([int(s.pred_label) for s in found], fitted.predict(features))


def test_what_does_not_fit():
    model = build('zeroshot', **HEAD)
    with pytest.raises(ValueError, match='seen 3 of 4 classes; class 3 is not among them'):
        model.head.take_over(fit_logistic(*data(3), 1.0))
    with pytest.raises(ValueError, match='rounds must be at least 1'):
        model.head.fit(space(model), rounds=0)
    other = build('zeroshot', classes=['a', 'b', 'c', 'e'], transfer=True, **HEAD)
    with pytest.raises(ValueError, match='cannot carry a linear probe'):
        other.load_state_dict(model.state_dict())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A short run; beside it the report's own baseline."""
    folder = tmp_path_factory.mktemp('probe')
    tool(
        'train',
        CONFIG,
        '--work-dir',
        folder / 'run',
        '--seed',
        2,
        '--cfg-options',
        'train_dataloader.dataset.shots=4',
        'test_dataloader.dataset.indices=150',
        f'test_cfg.cache_dir={folder / "features"}',
        'default_hooks.report.baselines=[linear_probe]',
    )
    return folder


def test_trained(trained):
    """The result is the protocol's, to the last digit, so that tables of both do not contradict
    each other; the classifier is what is saved."""
    results = json.loads((trained / 'run/results.json').read_text())
    assert results['few_shot']['accuracy/top1'] == results['baselines']['linear_probe']
    assert (
        results['shots'] == 4 and results['zero_shot'] and results['checkpoint']['bytes'] < 100_000
    )
    state = read_checkpoint(str(trained / 'run/epoch_1.pth'))['state_dict']
    assert set(state) == {'head.weight', 'head.bias'}
    assert state['head.weight'].abs().max() > 0
    log = next(trained.glob('run/*/*.log')).read_text()
    assert 'LinearProbeHead: C ' in log
    # train, val, test: each computed once
    assert len(list((trained / 'features').iterdir())) == 3


def test_tested_and_predicts(trained, tmp_path):
    run = trained / 'run'
    config = next(run.glob('*.py'))
    tool('test', config, run / 'epoch_1.pth', '--work-dir', tmp_path, '--out', tmp_path / 'm.json')
    results = json.loads((run / 'results.json').read_text())
    assert json.loads((tmp_path / 'm.json').read_text()) == pytest.approx(
        results['few_shot'], abs=1e-4
    )
    image = tmp_path / 'white.png'
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(image)
    tool('predict', run / 'epoch_1.pth', image, '--top-k', 10, '--json', tmp_path / 'p.json')
    (found,) = json.loads((tmp_path / 'p.json').read_text())
    assert sum(c['probability'] for c in found['classes']) == pytest.approx(1)


def test_80_templates():
    """The list that open_clip holds."""
    import open_clip

    wanted = [fill('{}') for fill in open_clip.OPENAI_IMAGENET_TEMPLATES]
    # as it was when the methods' numbers were measured: another open_clip must not change them
    assert hashlib.sha256('\n'.join(wanted).encode()).hexdigest()[:16] == '4f976686fb651bb5'
    for leaf in ('tiny_digits', 'vitb16_eurosat', 'vitb16_imagenet'):
        cfg = Config.fromfile(osp.join(ROOT, f'configs/zeroshot/zeroshot_ensemble80_{leaf}.py'))
        assert cfg.model.templates == wanted and len(wanted) == 80


def test_60_templates():
    """PromptSRC's, in its authors' order."""
    cfg = Config.fromfile(osp.join(ROOT, 'configs/_base_/methods/promptsrc.py'))
    assert cfg.templates == cfg.model.templates and len(set(cfg.templates)) == 60
    assert cfg.templates[:2] == ['a photo of a {}.', 'a bad photo of a {}.']
    digest = hashlib.sha256('\n'.join(cfg.templates).encode()).hexdigest()
    assert digest[:16] == 'dc3398ed3ffc7c25'
