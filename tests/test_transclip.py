"""TransCLIP: the authors' numbers, an obvious slow twin, and the commands that use it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tools import ROOT, refused, tool
from mmengine.config import Config
from parity import check_folder
from parity.golden import read_npz
from sklearn.datasets import load_digits
from torch.utils._python_dispatch import TorchDispatchMode

from mmdpt.evaluation import transclip
from mmdpt.evaluation.transclip import GAMMAS, TransCLIP
from mmdpt.results import all_tables, collect, find_runs

GOLDEN = Path(ROOT, 'tests/data/golden')
ZERO_SHOT = 'zeroshot/zeroshot_tiny_digits'
COOP = 'coop/coop_tiny_digits_16shot'


@pytest.mark.parametrize('dtype, limit', [('float64', 1e-9), ('float32', 1e-5)])
@pytest.mark.parametrize('case', ['transclip_zero_shot', 'transclip_few_shot'])
def test_reference_numbers(case, dtype, limit):
    config = Config.fromfile(Path(ROOT, 'configs/_base_/few_shot.py'))
    result = check_folder(GOLDEN, config, [case], dtype)[case]
    wrong = {k: t for k, t in result['tensors'].items() if not t.get('passed', True)}
    assert result['status'] == 'passed', (result.get('reason'), wrong)
    assert result['max_rel_error'] < limit
    _, arrays = read_npz(GOLDEN / f'{case}.npz')
    assert set(result['tensors']) == set(arrays)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def twin(q, y, s, labels, gammas, as_published, k=3, rounds=10, inner=5, t=50.0):
    """As in the paper's formulas, with all arrays whole; yields assignments, means, variances."""
    count, extra, power = len(q), len(s), 0.5 if len(s) else 1.0
    cosines = np.concatenate([s, q]) @ q.T
    affinity = np.zeros_like(cosines)
    for row, line in enumerate(cosines):
        for column in np.argsort(-line)[1 : k + 1]:
            affinity[row, column] = line[column]
    hot = np.eye(y.shape[1])[labels]
    if extra:
        mean = unit(hot.T @ s)
    else:
        best = np.argsort(-y, axis=0)[:8]
        mean = unit(np.stack([y[b, c] @ q[b] for c, b in enumerate(best.T)]))
    variance, z = np.full(q.shape[1], 1 / q.shape[1]), y
    for gamma in gammas:
        for step in range(rounds + 1):
            log = -0.5 * ((q[:, None] - mean) ** 2 / variance).sum(axis=2)
            for _ in range(inner):
                if as_published:
                    pull = affinity.T @ np.concatenate([z, hot]) + (affinity @ z)[:count]
                else:
                    pull = affinity.T @ np.concatenate([hot, z]) + affinity[extra:] @ z
                u = log + t / (2 * k) * pull
                z = y**power * np.exp((u - u.max(axis=1, keepdims=True)) / t)
                z = z / z.sum(axis=1, keepdims=True)
            yield z, mean, variance
            if step == rounds:
                break
            weight = gamma * t / extra if extra else 0
            members = z.sum(axis=0) / count + weight * hot.sum(axis=0)
            mean = unit((z.T @ q / count + weight * hot.T @ s) / members[:, None])
            away = (z[:, :, None] * (q[:, None] - mean) ** 2).sum(axis=(0, 1)) / count
            away = away + weight * ((s - mean[labels]) ** 2).sum(axis=0)
            variance = away / members.sum()


def inputs(count=37, classes=4, size=12, shots=0):
    rng = np.random.default_rng(0)
    text = unit(rng.normal(size=(classes, size)))
    labels = np.repeat(np.arange(classes), shots)

    def make(of):
        return unit(text[of] + 0.5 * rng.normal(size=(len(of), size)) + 1.0)

    q, s = make(rng.integers(classes, size=count)), make(labels)
    y = np.exp(10 * q @ text.T)
    return q, y / y.sum(axis=1, keepdims=True), s, labels


def ours(q, y, s, labels, **options):
    support = (torch.from_numpy(s), torch.from_numpy(labels)) if len(s) else ()
    return TransCLIP(torch.from_numpy(q), torch.from_numpy(y), *support, **options)


@pytest.mark.parametrize('shots, as_published', [(0, True), (2, True), (2, False)])
@pytest.mark.parametrize('at_once', [2**24, 8])
def test_equals_the_twin(shots, as_published, at_once, monkeypatch):
    monkeypatch.setattr(transclip, 'AT_ONCE', at_once)  # 8: two rows at a time
    given, gammas = inputs(shots=shots), GAMMAS if shots else (0.0,)
    fast = ours(*given, as_published=as_published)
    assert len(fast.links) == (1 if at_once > 8 else 19)
    slow = list(twin(*given, gammas, as_published))
    assert len(slow) == 11 * len(gammas)
    for step, (assignments, means, variances) in enumerate(slow):
        np.testing.assert_allclose(fast.means, means, rtol=1e-9)
        np.testing.assert_allclose(fast.variances, variances, rtol=1e-9)
        fast.assign()
        np.testing.assert_allclose(fast.assignments, assignments, rtol=1e-8, atol=1e-12)
        if step % 11 < 10:
            fast.estimate(gammas[step // 11])


def test_no_array_of_images_by_images():
    largest = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            for one in found if isinstance(found, (tuple, list)) else [found]:
                if isinstance(one, torch.Tensor) and one.layout is torch.strided:
                    largest.append(one.numel())
            return found

    count = 6000
    q = torch.nn.functional.normalize(torch.randn(count, 4), dim=1)
    with Sizes():
        TransCLIP(q, torch.full((count, 3), 1 / 3), rounds=1).run()
    assert max(largest) <= transclip.AT_ONCE < count**2


def test_the_first_best_weight_is_kept():
    q, y, s, labels = inputs(count=80, shots=1)
    labels, gammas = labels[::-1].copy(), (0.002, 10.0, 0.01)  # wrong ones, which pull
    val = torch.from_numpy(q[:30])
    slow = [z for z, _, _ in twin(q, y, s, labels, gammas, True)][10::11]
    # labels as the second weight has them, so that it wins
    truth = slow[1].argmax(axis=1)
    shares = [(z.argmax(axis=1)[:30] == truth[:30]).mean() for z in slow]
    assert shares[0] < shares[1] == 1.0
    kept, share = ours(q, y, s, labels).search(val, torch.from_numpy(truth[:30]), gammas)
    np.testing.assert_allclose(kept, slow[1], rtol=1e-8, atol=1e-12)
    assert share == 1.0


def test_an_empty_class_and_a_constant_feature_stay_finite():
    q, y, *_ = inputs()
    q, y = torch.from_numpy(q).float(), torch.from_numpy(y).float()
    q[:, 3], y[:, 2] = 0, 0
    ours = TransCLIP(q, y / y.sum(dim=1, keepdim=True))
    found = ours.run()
    assert torch.isfinite(found).all() and torch.isfinite(ours.means).all()
    assert found[:, 2].max() < 1e-6
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(q)))


def test_too_few_images():
    with pytest.raises(ValueError, match='3 nearest, but there are 3 images'):
        ours(*inputs(count=3))


def test_command_has_a_figure_and_a_table_of_its_own(tmp_path, capsys):
    for more in ((), ('--with-training-images',)):
        work = tmp_path / f'w{len(more)}'
        out = work.with_suffix('.json')
        tool('test', ZERO_SHOT, '--work-dir', work, '--transductive', '--out', out, *more)
        assert 'zero_shot + TransCLIP' in capsys.readouterr().out
        metrics = json.loads(out.read_text())
        assert list(metrics) == ['transductive/accuracy/top1']
        (row,) = find_runs([str(work)])
        assert row.accuracy == metrics['transductive/accuracy/top1']
        assert (row.shots, row.seed, bool(row.draw_hash)) == (
            (16, 1, True) if more else (0, None, False)
        )
    tables, warnings = all_tables(collect(find_runs([str(tmp_path)]))[0])
    assert not warnings
    assert [table.title for table in tables] == [
        f'transductive (sees the test images without labels), Digits, {shots}'
        for shots in ('0 shots', '16 shots')
    ]


def test_both_figures_of_a_checkpoint_stay(tmp_path):
    short = ['train_cfg.max_epochs=1', 'default_hooks.report.enable=False']
    few = ['test_dataloader.dataset.indices=50']
    tool('train', COOP, '--work-dir', tmp_path, '--cfg-options', *short)
    for more in ((), ('--with-training-images',)):
        test = ['test', COOP, tmp_path / 'epoch_1.pth', '--work-dir', tmp_path / 'test']
        tool(*test, '--transductive', *more, '--cfg-options', *few)
    found = [row.method for row in find_runs([str(tmp_path)]) if row.protocol == 'transductive']
    alone = 'coop + TransCLIP'
    assert sorted(found) == [alone, f'{alone}, with the training images']


def test_two_processes_find_what_one_finds(tmp_path):
    short = ['train_cfg.max_epochs=1', 'default_hooks.report.enable=False']
    tool('train', COOP, '--work-dir', tmp_path, '--cfg-options', *short)
    found = []
    for processes in (1, 2):
        launch = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
        command = [f'{ROOT}/tools/test.py', COOP, str(tmp_path / 'epoch_1.pth'), '--transductive']
        command += ['--launcher', 'pytorch', '--work-dir', str(tmp_path / 'test')]
        done = subprocess.run([sys.executable, *launch, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads((tmp_path / 'protocol_transductive.json').read_text()))
    assert found[0]['accuracy'] == found[1]['accuracy']
    named = {key: found[0][key] for key in ('method', 'shots', 'seed', 'subset', 'benchmark')}
    assert named == dict(
        method='coop + TransCLIP', shots=16, seed=1, subset='all', benchmark='Digits'
    )


def test_it_takes_the_place_of_another_test_loop(tmp_path):
    config = tmp_path / 'kept.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/{ZERO_SHOT}.py'\n"
        "test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir='cache')\n"
        'test_dataloader = dict(dataset=dict(indices=50))\n'
    )
    out = tmp_path / 'm.json'
    tool('test', config, '--work-dir', tmp_path / 'w', '--transductive', '--amp', '--out', out)
    assert list(json.loads(out.read_text())) == ['transductive/accuracy/top1']


@pytest.mark.parametrize('options', [('--tta',), ('--show-dir', 'x'), ('--show',)])
def test_what_looks_at_one_image_is_refused(options, capsys):
    assert 'all images together' in refused(capsys, 'test', ZERO_SHOT, '--transductive', *options)


def test_training_images_alone_are_refused(capsys):
    assert '--transductive sees' in refused(capsys, 'test', ZERO_SHOT, '--with-training-images')


def test_photos_are_classified_together(tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    names = 'zero,one,two,three,four,five,six,seven,eight,nine'
    Path('photos').mkdir()
    for i, image in enumerate(load_digits().images[:80]):
        picture = Image.fromarray((image * 15.9).astype('uint8'))
        picture.convert('RGB').resize((64, 64)).save(f'photos/{i:03}.png')
    Path('photos/torn.png').write_bytes(b'no image')
    options = ['--arch', 'mmdpt-tiny', '--pretrained', 'mmdpt-tiny', '--classes', names]
    options += ['--template', 'the digit {}.', '--quiet', '--device', 'cpu']
    found = {}
    for images in ('photos', 'photos/*0.png'):
        for more in ((), ('--transductive',)):
            paths = sorted(map(str, Path().glob(images)))
            tool(
                'predict', 'zero-shot', *paths, *options, '--json', 'all.json', '--overwrite', *more
            )
            rows = json.loads(Path('all.json').read_text())
            if images == 'photos':
                assert 'error' in rows.pop() and len(rows) == 80
            assert all(row.get('transductive', False) == bool(more) for row in rows)
            found[images, len(more)] = {r['image']: r['classes'][0]['probability'] for r in rows}
    assert 'classified together (TransCLIP)' in capsys.readouterr().err
    alone, few = found['photos', 0], found['photos/*0.png', 0]
    assert few == pytest.approx({image: alone[image] for image in few})
    alone, few = found['photos', 1], found['photos/*0.png', 1]  # others had a say
    assert max(abs(few[image] - alone[image]) for image in few) > 0.01
