"""Open world, other images, and corrupted ones: protocols whose figures come from logits."""

import json

import numpy as np
import pytest
from helpers.tools import refused, tool
from PIL import Image

from mmdpt.evaluation.open_world import open_world, openworld_auc
from mmdpt.evaluation.protocols import PROTOCOLS, summary
from mmdpt.results import all_tables, collect, find_runs
from mmdpt.results.render import markdown

LEAF = 'coop/coop_tiny_digits_4shot'
SHORT = ('train_cfg.max_epochs=1', 'default_hooks.report.baselines=[]')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with trainings on all digits, and on the base half."""
    folder = tmp_path_factory.mktemp('runs')
    for subset in ('all', 'base'):
        options = (*SHORT, f'dataset.subset={subset}')
        tool('train', LEAF, '--work-dir', folder / subset, '--cfg-options', *options)
    return folder


def measured(folder, protocol, *options):
    """The figures of a protocol."""
    given = (folder / 'epoch_1.pth', '--protocol', protocol, '--work-dir', folder / 'tested')
    tool('test_protocol', LEAF, *given, *options)
    return json.load(open(folder / f'protocol_{protocol}.json'))['accuracy']


def test_openworld_auc_counts_pairs():
    generator = np.random.default_rng(0)
    base, new = generator.integers(0, 5, 30), generator.integers(0, 5, 40)  # with ties
    right, also = generator.random(30) < 0.7, generator.random(40) < 0.6
    pairs = [
        right[i] and also[j] and base[i] > new[j] for i in range(len(base)) for j in range(len(new))
    ]
    assert openworld_auc(base, new, right, also) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert openworld_auc([1, 1], [0], [True, True], [True]) == 1
    assert openworld_auc([0], [0], [True], [True]) == 0  # equal scores


def test_open_world_of_a_perfect_and_of_a_blind_model():
    labels = np.arange(6)
    sure = open_world(50 * np.eye(6), labels, 3)
    assert all(value == pytest.approx(100) for value in sure.values())
    blind = open_world(np.zeros((6, 6)), labels, 3)
    assert blind['OpenworldAUC (max)'] == 0 and blind['AUROC (sum)'] == 50
    assert (blind['base'], blind['new']) == (pytest.approx(100 / 3), 0)
    with pytest.raises(ValueError, match='of base and of new'):
        open_world(np.eye(6)[:3], labels[:3], 3)


def test_open_world_end_to_end(trained, capsys):
    found = measured(trained / 'base', 'open-world')
    assert set(found) == {
        'overall',
        'base',
        'new',
        *(f'{kind} ({score})' for kind in ('AUROC', 'OpenworldAUC') for score in ('max', 'sum')),
    }
    low, high = sorted((found['base'], found['new']))
    assert low <= found['overall'] <= high
    assert found['OpenworldAUC (max)'] <= found['AUROC (max)']
    # among its own half an image is right more often than among all
    parts = measured(trained / 'base', 'base-to-new')
    assert parts['base'] >= found['base'] and parts['new'] >= found['new']
    capsys.readouterr()
    place = ('test_protocol', LEAF, trained / 'all' / 'epoch_1.pth', '--protocol', 'open-world')
    assert 'dataset.subset=base' in refused(capsys, *place)


def test_digits_against_other_images(trained, tmp_path, capsys):
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f'{i}.png')
    found = measured(trained / 'all', 'ood', '--datasets', str(tmp_path))
    kinds = [f'{k} ({s})' for k in ('AUROC', 'FPR95', 'AUPR') for s in ('msp', 'mcm', 'energy')]
    assert set(found) == {'accuracy', *(f'{tmp_path} {kind}' for kind in kinds)}
    results = json.load(open(trained / 'all' / 'results.json'))
    assert found['accuracy'] == pytest.approx(results['few_shot']['accuracy/top1'], abs=1e-3)
    same = measured(trained / 'all', 'ood', '--datasets', 'digits', '--overwrite')
    assert same['digits AUROC (mcm)'] == pytest.approx(50)
    capsys.readouterr()
    place = ('test_protocol', LEAF, trained / 'all' / 'epoch_1.pth', '--protocol', 'ood')
    assert '--datasets' in refused(capsys, *place)


def test_tables_have_no_mean_of_several_kinds(trained):
    # here, too: the tests above may have run in another process
    measured(trained / 'base', 'open-world', '--overwrite')
    measured(trained / 'all', 'ood', '--datasets', 'digits', '--overwrite')
    rows, _ = collect(find_runs([str(trained)]))
    tables, _ = all_tables(rows)
    columns = {table.title.split(' ')[0]: table.columns for table in tables}
    assert 'Average' not in columns['open-world'] and 'Average' not in columns['ood']
    assert 'OpenworldAUC: in per cent' in markdown(tables, rows, [])
    assert not any(summary(name, dict(a=1.0)) for name in ('open-world', 'ood'))
    assert {'open-world', 'ood', 'corruption'} < set(PROTOCOLS)


def test_corruptions_are_averaged_over_severities(trained, capsys):
    place = ('test_protocol', LEAF, trained / 'all' / 'epoch_1.pth', '--protocol')
    assert 'corruption' in refused(capsys, *place, 'corruption', '--corruptions', 'rust')
    assert 'go with' in refused(capsys, *place, 'ood', '--severities', '3')
    for name in ('corruption', 'open-world'):
        assert 'leave --datasets out' in refused(capsys, *place, name, '--datasets', 'DTD')
    pytest.importorskip('imagecorruptions', reason="pip install 'mmdpt[corrupt]'")
    names = ('--corruptions', 'contrast', 'fog')
    both = measured(trained / 'all', 'corruption', *names, '--severities', '1', '5')
    assert set(both) == {'contrast', 'fog'}
    hard = measured(trained / 'all', 'corruption', *names, '--severities', '5', '--overwrite')
    mild = measured(trained / 'all', 'corruption', *names, '--severities', '1', '--overwrite')
    for name in both:
        assert both[name] == pytest.approx((hard[name] + mild[name]) / 2)
    assert hard['contrast'] != mild['contrast']
