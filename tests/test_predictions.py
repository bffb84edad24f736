"""Stored predictions: what is written by every test, and what is read."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.engine_toy import toy_config
from helpers.processes import run_processes
from helpers.short_runs import short_config
from helpers.tools import tool
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

from mmdpt.engine.cli import build_runner
from mmdpt.engine.collect_predictions import PredictionCollector
from mmdpt.evaluation.predictions import Predictions
from mmdpt.utils.files import sha256_of


def made_up(images=7, classes=3):
    torch.manual_seed(0)
    labels = torch.arange(images) % classes
    labels[-1] = -1
    keys = [f'folder/ä {i}.jpg' for i in range(images)]
    names = [f'class {i}' for i in range(classes)]
    identity = dict(model=dict(seed=1), used_for=dict(training=None))
    return Predictions(torch.randn(images, classes), labels, keys, names, identity)


def same(one, other):
    assert torch.equal(one.logits, other.logits) and torch.equal(one.labels, other.labels)
    assert one.logits.dtype == torch.float32 and one.labels.dtype == torch.int64
    assert (one.images, one.classes, one.identity) == (other.images, other.classes, other.identity)


def test_there_and_back(tmp_path):
    path = str(tmp_path / 'predictions.npz')
    made_up().write(path)
    same(Predictions.read(path), made_up())
    assert [file.name for file in tmp_path.iterdir()] == ['predictions.npz']
    first = sha256_of(path).hexdigest()
    made_up().write(path)
    assert sha256_of(path).hexdigest() == first  # the same bytes


def test_anyone_can_read_it(tmp_path):
    """As docs/trust.md says, with NumPy alone."""
    made_up().write(str(tmp_path / 'p.npz'))
    with np.load(tmp_path / 'p.npz') as file:
        about = json.loads(bytes(file['about']))
        assert np.array_equal(file['logits'], made_up().logits)
    assert about['images'] == made_up().images and about['format'] == 1


def test_probabilities_and_frame():
    found = made_up()
    expected = torch.softmax(found.logits.double() / 2, 1)
    assert torch.equal(found.probabilities(2.0), expected)
    frame = found.frame()
    assert list(frame.columns) == ['image', 'label', 'predicted', 'confidence', 'correct']
    assert frame.image.tolist() == found.images and frame.label.isna().tolist() == [False] * 6 + [
        True
    ]
    right = (found.logits.argmax(1) == found.labels)[:-1].tolist()
    assert frame.correct.tolist()[:-1] == right and frame.correct.isna().tolist()[-1]
    with pytest.raises(ValueError, match='unknown'):
        found.correct()


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(logits=torch.zeros(7, 4)), 'logits are'),
        (dict(logits=torch.full((7, 3), torch.nan)), 'finite'),
        (dict(labels=torch.full((7,), 3)), 'from 0 to 2'),
        (dict(labels=torch.zeros(6, dtype=torch.int64)), 'labels are'),
        (dict(images=['a'] * 7), 'one key'),
    ],
)
def test_refuses_what_does_not_belong_together(change, message):
    with pytest.raises(ValueError, match=message):
        replace(made_up(), **change)


def parts(about=None, **arrays):
    found = made_up()
    whole = dict(format=1, images=found.images, classes=found.classes, identity={})
    text = json.dumps({**whole, **(about or {})}).encode()
    own = dict(logits=found.logits.numpy(), labels=found.labels.numpy())
    return {**own, 'about': np.frombuffer(text, np.uint8), **arrays}


def rename(path):
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('more.npy', b'')


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def flip(path):
    data = bytearray(path.read_bytes())
    data[200] ^= 1  # among the logits
    path.write_bytes(data)


@pytest.mark.parametrize(
    'content, damage, message',
    [
        (dict(), cut, 'not a zip'),
        (dict(), flip, 'CRC'),
        (dict(), rename, 'parts are not'),
        (dict(logits=np.zeros((7, 3))), None, 'logits.npy is float64'),
        (dict(logits=np.zeros((7, 3), object)), None, 'logits.npy is object'),
        (dict(logits=np.zeros((3, 7), np.float32).T), None, 'shape'),
        (dict(about=dict(format=2)), None, 'about: format'),
        (dict(about=dict(images=['a', 2])), None, 'about: images.1'),
        (dict(about=dict(more=1)), None, 'about: more'),
        (dict(about=dict(images=[])), None, 'about: images'),
    ],
)
def test_damaged_files_are_named(tmp_path, content, damage, message):
    path = tmp_path / 'p.npz'
    np.savez(path, **parts(**content))
    if damage:
        damage(path)
    with pytest.raises(ValueError, match=message) as told:
        Predictions.read(str(path))
    assert str(path) in str(told.value)


def test_no_bombs(tmp_path):
    path = tmp_path / 'p.npz'
    np.savez_compressed(path, **parts(logits=np.zeros((100_000, 3), np.float32)))
    with pytest.raises(ValueError, match='compressed'):
        Predictions.read(str(path))
    header = (
        np.lib.format.magic(1, 0)
        + b'\x76\x00'
        + repr(dict(descr='<f4', fortran_order=False, shape=(10**12, 10**6))).ljust(117).encode()
        + b'\n'
    )
    np.savez(path, **{k: v for k, v in parts().items() if k != 'logits'})
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('logits.npy', header)
    with pytest.raises(ValueError, match='its shape'):
        Predictions.read(str(path))


def written(folder):
    """The results of a training and its two files."""
    results = json.loads((folder / 'results.json').read_text())
    files = {name: str(folder / name) for name in ('predictions.npz', 'zero_shot.npz')}
    assert results['files'] == {n: sha256_of(p).hexdigest() for n, p in files.items()}
    return results, *map(Predictions.read, files.values())


def accuracy(found):
    return 100 * found.correct().float().mean().item()


METHODS = {  # the loops: usual, kept features, fitted with a search, stages
    'vpt': {},
    'coop': dict(test_cfg=dict(type='FrozenFeatureTestLoop', cache_dir='cache')),
    'tip_adapter': dict(
        model__head__num_keys=20, train_cfg__search=dict(_delete_=True, scale=[7, 3], steps=[4, 3])
    ),
    'twosfs': {},
}
CHOICE = dict(tip_adapter=dict(what='settings', split='val', shots=2))


@pytest.mark.parametrize('method', METHODS)
def test_training_writes_both(tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    options = dict(METHODS[method], default_hooks__report__enable=True)
    build_runner(short_config(method, tmp_path, **options)).train()
    results, learnt, frozen = written(tmp_path)
    for found, figures in ((learnt, results['few_shot']), (frozen, results['zero_shot'])):
        assert accuracy(found) == pytest.approx(figures['accuracy/top1'], abs=1e-4)
        assert found.identity['scores'] == 'logits'
        data = found.identity['data']
        assert (data['split'], data['images'], data['digest']) == ('test', 60, found.digest)
    assert learnt.images == frozen.images and len(set(learnt.images)) == 60
    assert len(learnt.classes) == 10 and not torch.allclose(learnt.logits, frozen.logits)
    model, used = learnt.identity['model'], learnt.identity['used_for']
    assert model['checkpoint']['sha256'] == sha256_of(results['checkpoint']['path']).hexdigest()
    assert (model['shots'], model['seed'], used['calibration']) == (2, 1, None)
    assert used['training']['draw_hash'] == results['draw_hash']
    assert used['selection'] == results['used_for']['selection'] == CHOICE.get(method)
    model, used = frozen.identity['model'], frozen.identity['used_for']
    assert (model['checkpoint'], model['shots'], used['training']) == (None, 0, None)


def test_best_on_val_is_what_is_kept(tmp_path):
    options = dict(default_hooks__report=dict(enable=True, best_on_val=True))
    cfg = short_config('coop', tmp_path, **options)
    build_runner(cfg).train()
    results, learnt, _ = written(tmp_path)
    assert accuracy(learnt) == pytest.approx(results['few_shot']['accuracy/top1'], abs=1e-4)
    chosen = results['selected']['path']
    assert learnt.identity['model']['checkpoint']['sha256'] == sha256_of(chosen).hexdigest()
    assert learnt.identity['used_for']['selection'] == dict(what='epoch', split='val', shots=2)


def test_the_test_command_writes_the_same(tmp_path, monkeypatch):
    """Also of averaged views, of all images together, and without a checkpoint."""
    monkeypatch.chdir(tmp_path)
    cfg = short_config('vpt', tmp_path / 'run', default_hooks__report__enable=True)
    cfg.dump('vpt.py')
    build_runner(cfg).train()
    _, learnt, frozen = written(tmp_path / 'run')
    tool('test', 'vpt.py', 'run/epoch_2.pth')
    kept = tmp_path / 'run/test/test_predictions.npz'
    found = Predictions.read(str(kept))
    same(replace(found, identity={}), replace(learnt, identity={}))
    assert found.identity['model']['checkpoint'] == learnt.identity['model']['checkpoint']
    assert found.identity['used_for'] == learnt.identity['used_for']
    for option in ('--tta', '--transductive'):
        tool('test', 'vpt.py', 'run/epoch_2.pth', option, '--out', 'm.json', '--overwrite')
        (figure,) = json.loads((tmp_path / 'm.json').read_text()).values()
        found = Predictions.read(str(kept))
        assert accuracy(found) == pytest.approx(figure, abs=1e-4)
        assert found.identity['scores'] == 'log-probabilities'
        assert found.images == learnt.images and not torch.equal(found.logits, learnt.logits)
    plain = short_config('zeroshot', tmp_path / 'plain')
    plain.dump('zeroshot_tiny_digits.py')
    tool('test', 'zeroshot_tiny_digits.py')
    found = Predictions.read(str(tmp_path / 'plain/test/test_predictions.npz'))
    assert torch.allclose(found.logits, frozen.logits, atol=1e-4)
    assert found.identity['used_for']['training'] is None


def test_several_processes_do_not_repeat_images(tmp_path):
    """7 images on 3 processes: MMEngine tests two of them twice."""
    run_processes(collect_share, 3, tmp_path)
    found = Predictions.read(str(tmp_path / 'predictions.npz'))
    assert found.images == [f'{i}.jpg' for i in range(7)]
    assert found.labels.tolist() == [i % 2 for i in range(7)]
    assert found.logits[:, 0].tolist() == [float(i) for i in range(7)]


class Listed:
    """A list of 7 images."""

    metainfo = dict(classes=['even', 'odd'])

    def __len__(self):
        return 7

    def get_data_info(self, index):
        return dict(img_path=f'{index}.jpg')


def collect_share(rank, world, folder):
    """One process's part of a test."""
    evaluator, dataset = Evaluator([]), Listed()
    collector = PredictionCollector(evaluator, dataset, torch.nn.Identity())
    evaluator.metrics.append(collector)
    for index in DefaultSampler(dataset, shuffle=False):
        sample = DataSample(metainfo=dict(img_path=f'{index}.jpg')).set_gt_label(index % 2)
        sample.set_pred_score(torch.tensor([0.5, 0.5]))
        sample.set_field(torch.tensor([float(index), 0.0]), 'pred_logits')
        evaluator.process([sample])
    assert evaluator.evaluate(len(dataset)) == {}
    found = collector.take().found
    assert (found is not None) == (rank == 0) and evaluator.metrics == []
    if found is not None:
        found.write(f'{folder}/predictions.npz')


def test_other_models(tmp_path):
    """Without logits, image names, or a list."""
    cfg = toy_config(tmp_path, report=True)
    cfg.experiment_name = str(tmp_path)
    Runner.from_cfg(cfg).train()
    results, learnt, frozen = written(tmp_path)
    assert accuracy(learnt) == pytest.approx(results['few_shot']['accuracy/top1'], abs=1e-4)
    assert learnt.identity['scores'] == 'log-probabilities'
    assert learnt.images[:2] == ['0', '1'] and learnt.classes == ['a', 'b', 'c']
    assert torch.allclose(learnt.logits.exp().sum(1), torch.ones(30))


def test_validation_that_is_the_test(tmp_path):
    cfg = toy_config(tmp_path, report=True)
    cfg.experiment_name = str(tmp_path)
    cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    cfg.val_cfg, cfg.train_cfg.val_interval = dict(), 1
    Runner.from_cfg(cfg).train()
    results, learnt, _ = written(tmp_path)
    assert accuracy(learnt) == pytest.approx(results['few_shot']['accuracy/top1'], abs=1e-4)


def test_can_be_left_out(tmp_path):
    cfg = toy_config(tmp_path, report=True)
    cfg.experiment_name, cfg.default_hooks.report.predictions = str(tmp_path), False
    Runner.from_cfg(cfg).train()
    assert json.loads((tmp_path / 'results.json').read_text())['files'] == {}
    assert not list(tmp_path.glob('*.npz'))
