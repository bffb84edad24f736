"""What protocols keep of each image, and the groups in their tables."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.made_up_runs import write_run
from helpers.tools import refused, tool
from PIL import Image

from mmdpt.cli import test_protocol
from mmdpt.evaluation import metrics
from mmdpt.evaluation.predictions import TESTED, Predictions
from mmdpt.evaluation.protocols import predictions_file
from mmdpt.results import all_tables, collect, find_runs
from mmdpt.results.groups import add_groups
from mmdpt.sweep.job import Job
from mmdpt.utils.files import sha256_of, write_json
from mmdpt.utils.seal import read_sealed, sealed

LEAF = 'coop/coop_tiny_digits_4shot'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A training on the base half of the digits."""
    folder = tmp_path_factory.mktemp('base')
    short = ('train_cfg.max_epochs=1', 'default_hooks.report.baselines=[]', 'dataset.subset=base')
    tool('train', LEAF, '--work-dir', folder, '--cfg-options', *short)
    return folder


def measured(folder, protocol, *options):
    """The results of a protocol, and its predictions by list."""
    given = (folder / 'epoch_1.pth', '--protocol', protocol, '--work-dir', folder / 'tested')
    tool('test_protocol', LEAF, *given, *options)
    path = folder / f'protocol_{protocol}.json'
    results = read_sealed(str(path))
    for name, digest in results['files'].items():
        assert sha256_of(str(folder / name)).hexdigest() == digest
    begin = f'{path.stem}_'
    return results, {
        Path(name).stem.removeprefix(begin): Predictions.read(str(folder / name))
        for name in results['files']
    }


def top1(found):
    return 100 * found.correct().double().mean().item()


def test_base_to_new_keeps_both_halves(trained, capsys):
    results, found = measured(trained, 'base-to-new')
    assert set(found) == {'base', 'new'}
    assert 'protocol_base-to-new_new.npz in ' in capsys.readouterr().out
    for part, one in found.items():
        assert top1(one) == pytest.approx(results['accuracy'][part], abs=1e-3)
        assert metrics.summary(one.logits, one.labels)['ece'] >= 0
        data, model = one.identity['data'], one.identity['model']
        assert (data['subset'], data['digest'], data['split']) == (part, one.digest, 'test')
        assert model['checkpoint']['sha256'] == results['checkpoint']['sha256']
        assert one.identity['used_for']['training']['subset'] == 'base'
        assert len(one.classes) == 5
    assert not set(found['base'].images) & set(found['new'].images)
    off = ('--cfg-options', 'default_hooks.report.predictions=False')
    assert not measured(trained, 'base-to-new', *off)[1]


def test_other_classes_come_first(trained, monkeypatch):
    """A method that refuses them says so before the own ones are tested."""
    seen = []
    monkeypatch.setattr(test_protocol, 'test', lambda c, title, *a: seen.append(title) or 50.0)
    results = measured(trained, 'base-to-new')[0]
    assert seen == ['new', 'base'] and list(results['accuracy']) == ['base', 'new']


def test_the_config_of_the_training_stays(trained):
    """Taken from its folder and tested on all classes; `verify` and `report` read it later."""
    config = trained / f'{LEAF.split("/")[-1]}.py'
    before = config.read_text()
    place = (config, trained / 'epoch_1.pth', '--protocol', 'open-world')
    tool('test_protocol', *place, '--json', trained / 'again.json')
    assert config.read_text() == before
    (trained / 'again.json').unlink()


def test_open_world_and_its_letters(trained):
    results, found = measured(trained, 'open-world')
    assert set(found) == {'all'} and len(found['all'].classes) == 10
    assert top1(found['all']) == pytest.approx(results['accuracy']['overall'], abs=1e-3)
    rows, _ = collect(find_runs([str(trained)]))
    tables, warnings = all_tables([*rows, *(_renamed(row) for row in rows)])
    add_groups(tables, warnings)
    (table,) = [t for t in tables if t.title.startswith('open-world')]
    letters = {c: {row[i].letters for _, row in table.rows} for i, c in enumerate(table.columns)}
    for column in ('overall', 'base', 'new'):  # one method under two names
        assert letters.pop(column) == {'a'}, (column, warnings)
    assert set().union(*letters.values()) == {''}


def _renamed(row):
    from dataclasses import replace

    return replace(row, method=f'{row.method}_again')


def test_other_images_are_named_and_have_no_label(trained, tmp_path):
    (tmp_path / 'noise' / 'deep').mkdir(parents=True)
    for i in range(5):
        noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / 'noise' / ('deep' if i else '') / f'{i}.png')
    folder = str(tmp_path / 'noise')
    half = ('--cfg-options', 'dataset.subset=base')
    _, found = measured(trained, 'ood', '--datasets', folder, 'digits', *half)
    inside, noise, digits = found['all'], *(one for name, one in found.items() if name != 'all')
    assert noise.labels.tolist() == [-1] * 5 and (digits.labels == -1).all()
    assert noise.images == ['0.png', *(f'deep/{i}.png' for i in range(1, 5))]
    assert [one.identity['data']['benchmark'] for one in (noise, digits)] == ['noise', 'digits']
    assert noise.identity['data']['split'] == 'all'
    assert str(tmp_path) not in json.dumps(noise.identity)
    assert noise.classes == inside.classes and len(inside.classes) == 5
    place = {name: i for i, name in enumerate(digits.images)}
    rows = [place[name] for name in inside.images]  # the same images, seen as others
    torch.testing.assert_close(digits.logits[rows], inside.logits)
    assert found.keys() == {'all', 'digits', predictions_file('x', folder)[2:-4]}


def test_nobody_s_file_is_overwritten(trained, tmp_path, capsys):
    place = ('test_protocol', LEAF, trained / 'epoch_1.pth', '--protocol', 'base-to-new')
    out = tmp_path / 'figures.json'
    (tmp_path / 'figures_new.npz').write_bytes(b'mine')
    for more in ((), ('--overwrite',)):
        assert 'figures_new.npz' in refused(capsys, *place, '--json', out, *more)
    assert (tmp_path / 'figures_new.npz').read_bytes() == b'mine' and not out.exists()
    place = (*place[:-1], 'ood', '--datasets', 'a/b', 'a b')
    assert 'would share a file' in refused(capsys, *place)


@pytest.mark.parametrize('protocol', ['cross-dataset', 'base-to-new', 'corruption', 'transductive'])
def test_tables_of_protocols_have_groups(tmp_path, protocol, capsys):
    """Made-up runs: two methods that hardly differ, and a worse one."""
    target = dict(corruption='fog').get(protocol, 'new' if protocol == 'base-to-new' else 'DTD')
    for method, accuracy in (('good', 0.85), ('alike', 0.848), ('worse', 0.7)):
        for seed in (1, 2, 3):
            make_protocol(tmp_path / f'{method}_{seed}', method, seed, accuracy, protocol, target)
    warnings = []
    rows, _ = collect(find_runs([str(tmp_path)]))
    tables, _ = all_tables([row for row in rows if row.protocol == protocol])
    add_groups(tables, warnings)
    (table,) = tables
    place = table.columns.index('New' if protocol == 'base-to-new' else target)
    cells = {labels[-1]: row[place] for labels, row in table.rows}
    assert {name: cell.letters for name, cell in cells.items()} == dict(
        good='a', alike='a', worse='b'
    )
    assert not warnings
    (tmp_path / 'good_1' / first_file(protocol, target)).unlink()
    for cell in cells.values():
        cell.letters = ''
    add_groups(tables, warnings)
    assert cells['good'].letters == '' and cells['worse'].letters == 'b'
    assert any('is not there' in text for text in warnings)


def first_file(protocol, target):
    part = f'{target}_1' if protocol == 'corruption' else target
    return predictions_file(f'protocol_{protocol}.json', part)


def make_protocol(folder, method, seed, accuracy, protocol, target):
    """Writes the results of a protocol; a corruption has two severities, the second one harder."""
    write_run(folder, method, seed, accuracy)
    results = read_sealed(str(folder / 'results.json'))
    files, figures = {}, []
    levels = (1, 2) if protocol == 'corruption' else (None,)
    for level in levels:
        part = f'{target}_{level}' if level else target
        name = predictions_file(f'protocol_{protocol}.json', part)
        found = Predictions.read(str(folder / 'predictions.npz'))
        if level == 2:
            found.logits[::10] = found.logits[::10].roll(1, dims=1)
        found.write(str(folder / name))
        files[name] = sha256_of(str(folder / name)).hexdigest()
        figures.append(top1(found))
    told = dict(results, protocol=protocol, accuracy={target: np.mean(figures)}, files=files)
    told = {k: v for k, v in told.items() if k not in ('checksum', 'few_shot', 'zero_shot')}
    write_json(sealed(told), str(folder / f'protocol_{protocol}.json'))


def test_a_sweep_s_evaluation_names_its_predictions(tmp_path):
    """So that zero-shot CLIP has a letter beside trainings."""
    write_run(tmp_path / 'dpt_1', 'dpt', 1, 0.9)
    folder = tmp_path / 'zeroshot'
    results = read_sealed(str(tmp_path / 'dpt_1' / 'results.json'))
    code = (
        'import json, shutil;'
        f'shutil.copy({str(tmp_path / "dpt_1/zero_shot.npz")!r}, {str(folder / TESTED)!r});'
        f'json.dump({results["zero_shot"]!r}, open({str(folder / "metrics.json")!r}, "w"))'
    )
    said = dict(
        config='zeroshot_tiny_digits.py',
        evaluation_only=True,
        benchmark='Digits',
        shots=None,
        seed=None,
        few_shot=None,
    )
    job = Job([sys.executable, '-c', code], str(folder), metrics=str(folder / 'metrics.json'))
    job.results = said
    assert job()['state'] == 'finished'
    written = read_sealed(str(folder / 'results.json'))['files']
    assert written == {TESTED: sha256_of(str(folder / TESTED)).hexdigest()}
    (row,) = find_runs([str(folder)])
    tables, warnings = all_tables(
        [r for r in find_runs([str(tmp_path)]) if r.method == 'dpt'] + [row]
    )
    add_groups(tables, warnings)
    (table,) = [t for t in tables if t.title == '4 shots']
    letters = {labels[0]: row[0].letters for labels, row in table.rows}
    assert (letters, warnings) == (dict(dpt='a', zero_shot='b'), [])


def test_each_corruption_and_severity_is_kept(trained):
    pytest.importorskip('imagecorruptions', reason="pip install 'mmdpt[corrupt]'")
    half = ('--cfg-options', 'dataset.subset=base')
    asked = ('--corruptions', 'contrast', '--severities', '1', '5')
    results, found = measured(trained, 'corruption', *asked, *half)
    assert set(found) == {'contrast_1', 'contrast_5'}
    mean = np.mean([top1(one) for one in found.values()])
    assert results['accuracy']['contrast'] == pytest.approx(mean, abs=1e-3)
    noted = found['contrast_5'].identity['data']['data_protocol']
    assert (noted['corruption'], noted['severity']) == ('contrast', 5)
    assert found['contrast_1'].digest == found['contrast_5'].digest
