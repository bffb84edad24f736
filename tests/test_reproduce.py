"""Experiments of papers: plans of all, and some to the end."""

import json
from statistics import fmean
from types import SimpleNamespace

import pytest
from helpers.tools import refused, tool
from helpers.trees import write_tree

from mmdpt.cli.arguments.reproduce import NAMES
from mmdpt.results.beside import beside, table
from mmdpt.results.row import Row
from mmdpt.sweep.estimate import SPEED, cost, estimate
from mmdpt.sweep.kits import KITS, plan_kit
from mmdpt.sweep.published.figures import AVERAGE, DATASETS, figures

SHORT = ('train_cfg.max_epochs=1', 'test_dataloader.dataset.indices=60')


def published(method, target):
    found = [f for f in figures(method, 'base') if f.target == target]
    single = {f.dataset: f.accuracy for f in found if f.dataset != AVERAGE}
    (average,) = (f.accuracy for f in found if f.dataset == AVERAGE)
    return single, average


@pytest.mark.parametrize('name', NAMES)
def test_every_experiment_is_planned(name, tmp_path, capsys):
    kit, place = KITS[name], str(tmp_path / 'runs')
    runs = plan_kit(kit, place)
    assert len(runs) == len(kit.datasets) * len(kit.shots) * 3
    assert len({run.hash for run in runs}) == len(runs)
    for run in runs:
        assert run.content['dataset']['subset'] == kit.subset
        assert run.content['train_dataloader']['dataset']['shots'] in kit.shots
    tool('reproduce', name, '--plan', '--work-dir', place)
    told = capsys.readouterr().out
    assert f'{len(runs)} runs' in told and 'hours on one GPU' in told and 'GB of disk' in told
    assert 'assumed, not measured' in told and 'published figures: ' in told


def test_the_options_are_named_by_the_same_names():
    assert set(NAMES) == set(KITS)


def test_base_to_new_has_the_authors_own_settings(tmp_path):
    def content(name, dataset):
        (run,) = plan_kit(KITS[name], str(tmp_path), [dataset], [], [1])
        return run.content

    source = content('promptsrc', 'dtd')
    assert source['train_cfg']['max_epochs'] == 20
    aggregation = source['default_hooks']['aggregation']
    assert (aggregation['mean'], aggregation['deviation']) == (15, 1)
    shared = content('mmrl', 'dtd')
    assert (shared['train_cfg']['max_epochs'], shared['train_dataloader']['batch_size']) == (10, 4)
    assert shared['model']['head']['fusion'] == 'trained'
    large = content('mmrl', 'imagenet')
    assert large['train_cfg']['max_epochs'] == 5
    # 300 x 16 steps of 32 images of the 24 base classes: 12 steps per epoch
    assert content('twosfs', 'dtd')['train_cfg']['max_epochs'] == 400


def test_what_is_not_in_an_experiment_is_refused(tmp_path, capsys):
    given = ('--work-dir', tmp_path, '--plan')
    assert 'no dataset' in refused(capsys, 'reproduce', 'maple', '--datasets', 'mnist', *given)
    assert 'not 4' in refused(capsys, 'reproduce', 'maple', '--shots', '4', *given)
    missing = ('--datasets', 'dtd', '--data-root', tmp_path / 'nowhere', '--work-dir', tmp_path)
    with pytest.raises(SystemExit):
        tool('reproduce', 'maple', *missing)
    assert 'DTD' in capsys.readouterr().err
    assert not list(tmp_path.glob('maple*'))


@pytest.mark.parametrize('method', ['coop', 'maple', 'promptsrc', 'tcp'])
def test_published_figures_have_the_published_average(method):
    for target in ('base', 'new'):
        single, average = published(method, target)
        assert set(single) == set(DATASETS)
        assert fmean(single.values()) == pytest.approx(average, abs=0.011)


def test_every_published_figure_names_its_source():
    for name, kit in KITS.items():
        for one in figures(kit.method, kit.subset):
            assert 0 < one.accuracy < 100 and one.source, name
    assert {f.dataset for f in figures('dpt', 'all')} == {'digits'}  # of DPT none was found


def test_the_estimate_counts_images(tmp_path):
    runs = plan_kit(KITS['coop'], str(tmp_path), ['dtd'], [], [1])
    assert cost(runs[0], 4).train_images == 16 * 24 * 200
    assert cost(runs[0], 4).test_images == 4 * 1692
    told = estimate(runs, str(tmp_path), 4)
    assert told.hours == pytest.approx((16 * 24 * 200 + 4 * 1692 / 3) / SPEED / 3600)
    assert estimate(runs, str(tmp_path), 4, 2 * SPEED).hours == pytest.approx(told.hours / 2)


def row(accuracy, seed, target='base', dataset='DTD'):
    kind = dict(protocol='base-to-new', method='maple', dataset=dataset, subset='base', shots=16)
    return Row(**kind, seed=seed, target=target, accuracy=accuracy, draw_hash=f'{dataset}{seed}')


def test_differences_outside_the_interval_are_marked():
    known = {
        ('DTD', target, 16): SimpleNamespace(
            target=target, shots=16, accuracy=value, source='a paper'
        )
        for target, value in dict(base=80.0, new=50.0).items()
    }
    rows = [row(a, s) for s, a in enumerate((79.0, 80.0, 81.5), 1)]
    rows += [row(a, s, 'new') for s, a in enumerate((59.0, 60.0, 61.0), 1)]
    rows += [row(70.0, 1, dataset='EuroSAT')]
    places = [('DTD', 'base', 16), ('DTD', 'new', 16), ('EuroSAT', 'base', 16)]
    lines = beside(rows, places, known)
    assert [line.verdict for line in lines[:3]] == [
        'inside',
        'OUTSIDE',
        'no published figure found',
    ]
    assert lines[0].ours == pytest.approx(80.1667, abs=1e-3) and lines[0].seeds == 3
    assert lines[0].half == pytest.approx(3.1255, abs=1e-3)  # t(2) = 4.3027, s = 1.2583
    averages = {line.target: line for line in lines if line.dataset == AVERAGE}
    assert averages['base'].ours == pytest.approx((80.1667 + 70) / 2, abs=1e-3)
    assert averages['new'].ours is None  # EuroSAT is not there
    text = table(lines)
    assert '80.17 ± 3.13' in text and '80 [1]' in text and '[1] a paper' in text


def test_the_digits_to_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ('--shots', '1', '2', '--seeds', '1', '2', '--slots', '2', '--work-dir', 'runs')
    command = ('reproduce', 'digits', *given, '--cfg-options', *SHORT)
    tool(*command)
    found = json.load(open('runs/reproduced.json'))['lines']
    assert [(line['dataset'], line['shots'], line['seeds']) for line in found] == [
        ('Digits', 1, 2),
        ('Digits', 2, 2),
    ]
    assert [line['published'] for line in found] == [81.5, 85.0]
    assert all(line['verdict'] in ('inside', 'OUTSIDE') for line in found)
    accuracy = [
        json.load(open(f'runs/dpt_tiny_digits_1shot_seed{seed}/results.json'))['few_shot']
        for seed in (1, 2)
    ]
    assert found[0]['ours'] == pytest.approx(fmean(one['accuracy/top1'] for one in accuracy))
    capsys.readouterr()
    tool(*command)  # nothing runs twice, and the finished runs say how fast this machine is
    assert 'measured in 4 finished runs here' in capsys.readouterr().out


def test_base_to_new_on_a_stand_in_tree(tmp_path, monkeypatch, capsys):
    """EuroSAT as a small tree, and the built-in CLIP in the place of ViT-B/16."""
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / 'data', 'EuroSAT')
    sizes = [f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')]
    sizes += [f'{part}_dataloader.persistent_workers=False' for part in ('train', 'val', 'test')]
    sizes += ['train_dataloader.dataset.pipeline.1.scale=32']
    for part in ('val', 'test'):
        sizes += [f'{part}_dataloader.dataset.pipeline.1.scale=32']
        sizes += [f'{part}_dataloader.dataset.pipeline.2.crop_size=32']
    options = ('model.arch=mmdpt-tiny', 'model.pretrained=mmdpt-tiny', 'train_cfg.max_epochs=1')
    options += ('train_dataloader.dataset.shots=2', *sizes)
    given = ('--datasets', 'eurosat', '--seeds', '1', '--data-root', tmp_path / 'data')
    command = ('reproduce', 'coop', *given, '--work-dir', 'runs', '--slots', '1')
    with pytest.raises(SystemExit):
        tool(*command, '--cfg-options', *options)
    assert '--other-data' in capsys.readouterr().err
    tool(*command, '--other-data', '--cfg-options', *options)
    lines = json.load(open('runs/reproduced.json'))['lines']
    assert [(line['dataset'], line['target'], line['shots']) for line in lines] == [
        ('EuroSAT', 'base', 2),
        ('EuroSAT', 'new', 2),
    ]
    (tested,) = (tmp_path / 'runs').glob('*/protocol_base-to-new.json')
    accuracy = json.load(open(tested))['accuracy']
    assert [line['ours'] for line in lines] == [accuracy['base'], accuracy['new']]
    assert all(line['half'] is None for line in lines)
