"""Probabilities that can be believed, "not sure", and nothing at all where neither is asked for."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import NAMES, saved
from helpers.short_runs import leaf, short_config, train
from helpers.tools import refused, tool
from helpers.trees import write_photos
from mmengine.config import Config
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.apis.calibrate import held_out, write_calibrated
from mmdpt.apis.suggest import suggest
from mmdpt.engine import CheckpointError, read_checkpoint
from mmdpt.evaluation.calibration import (
    LEAST,
    MOST,
    Calibration,
    calibration,
    fit_temperature,
    reject_threshold,
    tempered,
)
from mmdpt.export import export, load_for_export
from mmdpt.export.files import load_torch

FOUND = Calibration(temperature=3.0, threshold=0.425, keep=0.9, images=12, source='made up')


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos():
    """Six photos in a folder."""
    rng = np.random.default_rng(0)
    Path('photos').mkdir()
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(f'photos/{i}.png')
    return [f'photos/{i}.png' for i in range(6)]


def drawn(count, classes=5, seed=0):
    """Logits (N, C) that tell the truth about their labels (N,)."""
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=draw)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=draw)[:, 0]


@pytest.mark.parametrize('factor', [0.2, 1.0, 8.0])
def test_a_temperature_is_found_again(factor):
    logits, labels = drawn(4000)
    found = fit_temperature(factor * logits, labels)
    assert found == pytest.approx(factor, rel=0.06)
    loss = [
        float(F.cross_entropy(factor * logits.double() / t, labels))
        for t in (0.99 * found, found, 1.01 * found)
    ]
    assert loss[1] < min(loss[0], loss[2])


def test_temperatures_of_little_evidence():
    logits, labels = drawn(60)
    assert fit_temperature(logits, logits.argmax(1)) == 1  # all right
    assert fit_temperature(logits, logits.argmin(1)) == MOST  # the wrongest
    assert fit_temperature(torch.zeros(3, 4), torch.tensor([0, 1, 2])) == 1  # tells nothing
    assert fit_temperature(torch.zeros(2, 1), torch.tensor([0, 0])) == 1  # one class in all
    assert LEAST < fit_temperature(logits, torch.zeros_like(labels)) <= MOST  # one class shown
    almost = torch.tensor([[1e-4, 0.0]] * 99 + [[0.0, 1e-9]])
    assert fit_temperature(almost, torch.zeros(100, dtype=torch.long)) == LEAST
    assert LEAST <= fit_temperature(logits[:1], labels[:1]) <= MOST


@pytest.mark.parametrize(
    ('logits', 'labels', 'words'),
    [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 'at least one image'),
        (torch.zeros(2, 3), torch.tensor([0]), r'\(2, 3\) and \(1,\)'),
        (torch.tensor([[0.0, torch.nan]]), torch.tensor([0]), 'not finite'),
        (torch.zeros(2, 3), torch.tensor([0, 3]), 'from 0 to 2, but these are from 0 to 3'),
        (torch.zeros(2, 3), torch.tensor([0, -1]), 'leave unlabelled images out'),
    ],
)
def test_what_cannot_be_calibrated_on(logits, labels, words):
    for function in (fit_temperature, reject_threshold):
        with pytest.raises(ValueError, match=words):
            function(logits, labels)


@pytest.mark.parametrize('keep', [1.0, 0.95, 0.5, 0.01])
@pytest.mark.parametrize('count', [1, 20, 37])
def test_a_threshold_keeps_its_share_and_no_more(count, keep):
    sure = torch.linspace(0.51, 0.99, count)
    probabilities = torch.stack([sure, 1 - sure], 1).repeat(2, 1)
    labels = torch.tensor([0] * count + [1] * count)  # the second half is wrong
    found = reject_threshold(probabilities, labels, keep)
    kept = int((sure >= found).sum())
    assert kept >= keep * count - 1e-6 and kept >= 1
    assert kept == 1 or kept - 1 < keep * count - 1e-6  # one less would be too few


def test_a_threshold_needs_right_answers_and_a_share():
    probabilities = torch.tensor([[0.9, 0.1]])
    with pytest.raises(ValueError, match='none of the 1 held-out images is classified rightly'):
        reject_threshold(probabilities, torch.tensor([1]))
    for keep in (0, -1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='keep is a share'):
            reject_threshold(probabilities, torch.tensor([0]), keep)


def test_what_a_temperature_divides():
    logits, labels = drawn(50)
    assert torch.equal(tempered(logits, 1), logits.softmax(1))
    torch.testing.assert_close(tempered(logits, 2.5), (logits / 2.5).softmax(1))
    # the second class of these has no probability left in single precision
    far = tempered(torch.tensor([400.0, 0.0]), 100.0)
    torch.testing.assert_close(far, torch.tensor([4.0, 0.0]).softmax(0))
    found = calibration(9 * logits, labels, 'made up', keep=0.9)
    sure, answers = tempered(9 * logits, found.temperature).max(1)
    right = answers == labels
    assert 0.9 <= float((sure[right] >= found.threshold).double().mean()) < 0.95


def test_logits_that_differ_by_hundreds(photos):
    """As GDA's do: their probabilities are 0 and 1."""
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND.model_copy(update=dict(temperature=100.0)))
    plain, new = (PromptInferencer(f'{name}.pth', device='cpu') for name in ('method', 'new'))
    for inferencer in (plain, new):
        inferencer.model.scale.fill_(20_000)
    batch = next(plain.preprocess(photos))
    inputs = plain.model.data_preprocessor(batch)['inputs']
    with torch.no_grad():
        logits = plain.model(inputs, mode='tensor')
    assert (logits.softmax(1) == 0).any()
    wanted = (logits / 100).softmax(1).numpy()
    found = new(photos)
    np.testing.assert_allclose([r['pred_scores'] for r in found], wanted, rtol=1e-4)
    (photo,) = suggest(new, photos[:1]).photos
    assert photo.probability == pytest.approx(float(wanted[0].max()), rel=1e-3)


def test_a_temperature_needs_evidence():
    logits, labels = drawn(400)
    assert abs(fit_temperature(logits, labels) - 1) > 1e-3
    assert calibration(logits, labels, 'made up').temperature == 1
    wrong = calibration(3 * logits, labels, 'made up')
    assert wrong.temperature == fit_temperature(3 * logits, labels) > 2
    few = calibration(1.5 * logits[:8], labels[:8], 'made up')
    assert few.temperature == 1 and (few.images, few.keep) == (8, 0.95)


def test_a_checkpoint_says_not_sure(photos):
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND)
    plain = PromptInferencer('method.pth', device='cpu')
    new = PromptInferencer('new.pth', device='cpu')
    assert plain.calibration is None and new.calibration == FOUND
    before, after = plain(photos), new(photos)
    rejected = 0
    for old, result in zip(before, after):
        logits = torch.from_numpy(old['pred_scores']).log()
        wanted = (logits / 3).softmax(0).numpy()
        np.testing.assert_allclose(result['pred_scores'], wanted, rtol=1e-5)
        assert result['pred_label'] == old['pred_label']
        assert result['rejected'] is (float(wanted.max()) < 0.425)
        assert (result['temperature'], result['threshold']) == (3.0, 0.425)
        rejected += result['rejected']
    assert 0 < rejected < 6  # so both answers were seen
    streamed = list(new.stream(photos))
    assert [r['rejected'] for r in streamed] == [r['rejected'] for r in after]
    sample = new(photos, return_datasamples=True)[0]
    np.testing.assert_array_equal(sample.pred_score.numpy(), after[0]['pred_scores'])


def test_switched_off_it_changes_no_bit(photos):
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND)
    write_calibrated('method.pth', 'one.pth', FOUND.model_copy(update=dict(temperature=1.0)))
    wanted = PromptInferencer('method.pth', device='cpu')(photos)
    off, one = (PromptInferencer(name, device='cpu') for name in ('new.pth', 'one.pth'))
    off.calibration = None
    for inferencer in (off, one):
        for old, result in zip(wanted, inferencer(photos)):
            np.testing.assert_array_equal(result['pred_scores'], old['pred_scores'])
            assert result['pred_score'] == old['pred_score']
    keys = {'pred_scores', 'pred_label', 'pred_score', 'pred_class'}
    assert wanted[0].keys() == off(photos)[0].keys() == keys
    old, new = read_checkpoint('method.pth'), read_checkpoint('new.pth')
    assert all(torch.equal(t, new['state_dict'][n]) for n, t in old['state_dict'].items())
    assert new['meta']['mmdpt'].pop('calibration') == FOUND.model_dump()
    assert new['meta'] == old['meta']


def test_it_holds_for_its_own_classes_and_prompts(photos, capsys):
    saved('adapter')
    write_calibrated('method.pth', 'new.pth', FOUND)
    assert PromptInferencer('new.pth', NAMES, device='cpu').calibration == FOUND
    for given in (dict(classes=['cat', 'dog']), dict(templates=['a photo of {}.'])):
        inferencer = PromptInferencer('new.pth', device='cpu', **given)
        assert inferencer.calibration is None
        assert 'rejected' not in inferencer(photos[0])[0]
    line = refused(capsys, 'predict', 'new.pth', 'photos', '--reject', '--classes', 'cat,dog')
    assert 'holds for its own classes and prompts' in line


DAMAGE = [
    dict(temperature=float('nan')),
    dict(temperature=0.0),
    dict(temperature='3'),
    dict(threshold=1.5),
    dict(images=0),
    dict(source='x' * 2000),
    dict(more=1),
]


@pytest.mark.parametrize('change', DAMAGE)
def test_a_damaged_calibration_is_refused(change):
    saved('coop')
    checkpoint = torch.load('method.pth', weights_only=True)
    checkpoint['meta']['mmdpt']['calibration'] = dict(FOUND.model_dump(), **change)
    torch.save(checkpoint, 'method.pth')
    with pytest.raises(CheckpointError, match='calibration'):
        PromptInferencer('method.pth', device='cpu')


def test_predict_writes_it_everywhere(photos, capsys):
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND)
    wanted = [r['rejected'] for r in PromptInferencer('new.pth', device='cpu')(photos)]
    capsys.readouterr()  # the bar of the call above
    outputs = ('--json', 'all.json', '--csv', 'all.csv')
    tool('predict', 'new.pth', 'photos', '--reject', *outputs)
    shown = capsys.readouterr()
    rows = json.loads(Path('all.json').read_text())
    assert [row['rejected'] for row in rows] == wanted and rows[0]['threshold'] == 0.425
    with open('all.csv', newline='') as file:
        cells = [row['rejected'] for row in csv.DictReader(file)]
    assert cells == [str(rejected).lower() for rejected in wanted]
    lines = [line for line in shown.out.splitlines() if line.startswith('photos/')]
    assert ['not sure' in line for line in lines] == wanted
    assert f'not sure of {sum(wanted)}' in shown.err
    tool('predict', 'new.pth', 'photos', *outputs, '--overwrite')
    assert 'rejected' not in Path('all.json').read_text() + Path('all.csv').read_text()
    assert 'not sure' not in capsys.readouterr().out


def test_predict_refuses_without_a_threshold(photos, capsys):
    saved('coop')
    assert 'mmdpt calibrate method.pth' in refused(
        capsys, 'predict', 'method.pth', 'photos', '--reject'
    )
    line = refused(capsys, 'predict', 'zero-shot', 'photos', '--reject', '--classes', 'a,b')
    assert 'zero-shot has none' in line
    line = refused(capsys, 'predict', 'method.pth', 'photos', '--reject', '--transductive')
    assert 'leave --transductive out' in line


def test_published_folders_carry_it(photos):
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND)
    tool('publish', 'method.pth', 'plain')
    tool('publish', 'new.pth', 'shared')
    assert 'calibration' not in json.loads(Path('plain/config.json').read_text())
    assert PromptInferencer('shared', device='cpu').calibration == FOUND
    write_calibrated('shared', 'back.pth', FOUND.model_copy(update=dict(threshold=0.5)))
    assert PromptInferencer('back.pth', device='cpu')(photos)[0]['threshold'] == 0.5


def test_exported_files_hold_it(photos):
    saved('coop')
    write_calibrated('method.pth', 'new.pth', FOUND)
    loaded = load_for_export('new.pth')
    export(loaded.model, 'out', ['torch'], pipeline=loaded.pipeline, calibration=loaded.calibration)
    extra = {'about.json': ''}
    torch.export.load('out.pt2', extra_files=extra)
    assert json.loads(extra['about.json'])['calibration'] == FOUND.model_dump()
    inferencer = PromptInferencer('new.pth', device='cpu')
    batch = next(inferencer.preprocess(photos))
    images = torch.stack(list(batch['inputs'])).flip(1)
    wanted = np.stack([result['pred_scores'] for result in inferencer(photos)])
    np.testing.assert_allclose(load_torch('out.pt2')(images).numpy(), wanted, atol=1e-5)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A short training of the digits, with its folder."""
    folder = tmp_path_factory.mktemp('run')
    train(short_config('gda', folder, epochs=1, train_cfg__views=2, train_cfg__search=None))
    return folder


def test_calibrate_on_the_validation_images(run, capsys):
    tool('calibrate', run / 'epoch_1.pth', '--out', 'new.pth', '--json', 'found.json')
    told, found = capsys.readouterr().out, json.loads(Path('found.json').read_text())
    assert found['images'] == 20 and found['keep'] == 0.95
    assert found['source'] == '20 validation images of Digits (2 shots, seed 1)'
    assert found['source'] in told and 'new.pth' in told
    assert found['nll_after'] <= found['nll_before']
    assert PromptInferencer('new.pth', device='cpu').calibration == Calibration(
        **{name: found[name] for name in Calibration.model_fields}
    )
    before = Path('new.pth').read_bytes()
    assert 'is there already' in refused(
        capsys, 'calibrate', run / 'epoch_1.pth', '--out', 'new.pth'
    )
    assert Path('new.pth').read_bytes() == before


def test_calibrate_on_named_test_images_says_so(run, capsys):
    tool('calibrate', run / 'epoch_1.pth', '--out', 'new.pth', '--on', 'test')
    assert 'test images of Digits, as was asked for' in capsys.readouterr().out
    assert 'test images' in PromptInferencer('new.pth', device='cpu').calibration.source


def test_calibrate_by_cross_validation(run, capsys):
    (config,) = run.glob('*.py')
    line = refused(capsys, 'calibrate', run / 'epoch_1.pth', '--on', 'train')
    assert 'needs the config' in line
    tool(
        *('calibrate', run / 'epoch_1.pth', '--on', 'train'),
        *('--config', config, '--out', 'new.pth'),
    )
    found = PromptInferencer('new.pth', device='cpu').calibration
    assert found.images == 20  # each once
    assert found.source.endswith(
        'training images of Digits (2 shots, seed 1), 2-fold cross-validation'
    )
    line = refused(
        *(capsys, 'calibrate', run / 'epoch_1.pth', '--on', 'train', '--out', 'other.pth'),
        *('--config', leaf('gda')),
    )
    assert 'chooses settings on validation images' in line


def test_calibrate_refuses_other_draws_and_shares(run, capsys):
    line = refused(
        capsys, 'calibrate', run / 'epoch_1.pth', '--config', leaf('gda'), '--out', 'new.pth'
    )
    assert 'draws other images' in line and not Path('new.pth').exists()
    line = refused(capsys, 'calibrate', run / 'epoch_1.pth', '--keep', '95', '--out', 'new.pth')
    assert '--keep is a share' in line
    saved('coop')
    assert '--config FILE' in refused(capsys, 'calibrate', 'method.pth')


def own_photos(*parts):
    """The config of a training on own photos that lie in folders of these names."""
    for part in parts:
        write_photos(Path('mine') / part, NAMES, 2)
    data = dict(type='FewShotDataset', benchmark=dict(name='Mine'), data_root='mine')
    return Config(dict(train_dataloader=dict(dataset=data)))


def test_own_photos_with_and_without_validation_images():
    saved('coop')
    held = held_out('method.pth', own_photos('train', 'val', 'test'))
    assert held.logits.shape == (6, 3) and held.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert held.source == '6 validation images of Mine'
    cfg = own_photos('train', 'test')
    cfg.train_dataloader.dataset.data_root = shutil.copytree('mine', 'other')
    shutil.rmtree('other/val')
    with pytest.raises(ValueError, match='no validation images .*, and --on train trains again'):
        held_out('method.pth', cfg, may_train=False)
    with pytest.raises(ValueError, match='no validation images .*: --on train'):
        held_out('method.pth', cfg, 'val')


def test_a_config_of_other_data_is_refused():
    saved('coop', classes=['eight', 'four', 'two'])
    with pytest.raises(ValueError, match='trained for other classes'):
        held_out('method.pth', own_photos('train', 'val', 'test'))
    cfg = own_photos()
    cfg.train_dataloader.dataset.type = 'subprocess.Popen'
    with pytest.raises(ValueError, match='of type subprocess.Popen'):
        held_out('method.pth', cfg)
