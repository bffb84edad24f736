"""Harder conditions as options of the data, with trainings on the digits."""

import json
from collections import Counter

import pytest
from helpers.tools import refused, tool
from mmengine.config import Config

from mmdpt.datasets import DigitsDataset, Split, share_dataset
from mmdpt.datasets.data_protocol import CORRUPTIONS, DataProtocol, read_protocol
from mmdpt.engine.options import check_options
from mmdpt.results import all_tables, collect, find_runs
from mmdpt.results.render import markdown

DIGITS = 'coop/coop_tiny_digits_4shot'
SHORT = ('train_cfg.max_epochs=1', 'test_dataloader.dataset.indices=20')


class Unopened(list):
    """A list that fails the test when anybody looks into it."""

    def _fail(self, *_):
        raise AssertionError('the val list was opened')

    __iter__ = __len__ = __getitem__ = __contains__ = __bool__ = _fail


class NoValDigits(DigitsDataset):
    """The digits, whose val list nobody may open."""

    def load_split(self):
        train, _, test = super().load_split()
        return Split(train, Unopened(), test)


def digits(**protocol):
    return DigitsDataset(shots=16, seed=1, protocol=protocol)


def labels(dataset):
    return [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]


def command(*options, config=DIGITS, work_dir='run'):
    return ['train', config, '--work-dir', work_dir, '--cfg-options', *SHORT, *options]


def train(*options, **where):
    """A short training; its results."""
    tool(*command(*options, **where))
    return json.load(open(f'{where.get("work_dir", "run")}/results.json'))


def test_the_benchmarks_draw_is_what_it_was():
    assert DigitsDataset(shots=16, seed=1).draw_hash == digits().draw_hash
    assert digits().metainfo['data_protocol'] is None


def test_no_validation_set_leaves_the_list_closed():
    closed = NoValDigits(shots=16, seed=1, protocol=dict(validation=False))
    assert labels(closed) == labels(digits()) and closed.draw_hash != digits().draw_hash
    with pytest.raises(AssertionError, match='val list was opened'):
        NoValDigits(shots=16, seed=1)
    with pytest.raises(ValueError, match='take search out of train_cfg'):
        NoValDigits(split='val', protocol=dict(validation=False))


def test_imbalance_follows_its_formula():
    found = Counter(labels(digits(imbalance=16)))
    assert [found[c] for c in range(10)] == [
        max(1, int(16 * 16 ** (-c / 9) + 1e-9)) for c in range(10)
    ]
    assert (found[0], found[9]) == (16, 1)
    kept = {i['img_path'] for i in digits(imbalance=16).load_data_list()}
    assert kept < {i['img_path'] for i in digits().load_data_list()}  # a part of the same draw


def test_base_classes_are_counted_from_their_own_first():
    base = DigitsDataset(shots=8, subset='base', protocol=dict(imbalance=8))
    assert Counter(labels(base)) == {0: 8, 1: 4, 2: 2, 3: 1, 4: 1}


def test_noise_flips_that_many_and_says_which():
    noisy, clean = digits(label_noise=0.4), digits()
    flipped = {path: (true, given) for path, true, given in noisy.metainfo['flipped']}
    assert len(flipped) == 64
    for i in range(160):
        here, there = noisy.get_data_info(i), clean.get_data_info(i)
        pair = flipped.get(here['img_path'], (there['gt_label'], there['gt_label']))
        assert pair == (there['gt_label'], here['gt_label'])
    assert all(true != given for true, given in flipped.values())
    assert {given for _, given in flipped.values()} == set(range(10))
    again, other = digits(label_noise=0.4), DigitsDataset(shots=16, protocol=noisy.protocol, seed=2)
    assert again.draw_hash == noisy.draw_hash
    assert again.metainfo['flipped'] != other.metainfo['flipped']
    val = DigitsDataset(split='val', shots=4, protocol=dict(label_noise=0.4))
    assert labels(val) == labels(DigitsDataset(split='val', shots=4))


def test_hashes_differ():
    kinds = [{}, dict(validation=False), dict(imbalance=2), dict(imbalance=3)]
    kinds += [dict(label_noise=0.1), dict(label_noise=0.2), dict(imbalance=2, label_noise=0.1)]
    assert len({digits(**kind).draw_hash for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ('protocol', 'told'),
    [
        (dict(noise=0.4), 'any of validation, .*noise'),
        (dict(imbalance=0.5), 'imbalance.*greater than 1'),
        (dict(label_noise='much'), 'label_noise.*number'),
        (dict(label_noise=float('nan')), 'label_noise'),
        (dict(corruption='fog'), 'belong together'),
        (dict(corruption='rain', severity=1), 'corruption'),
        (dict(corruption='fog', severity=6), 'severity'),
        ('fog', 'is a dict with'),
    ],
)
def test_wrong_settings_are_refused(protocol, told):
    with pytest.raises(ValueError, match=told):
        read_protocol(protocol)


def test_a_protocol_that_is_no_dict_is_refused_by_a_training(tmp_path, capsys):
    place = ('train', 'coop/coop_tiny_digits_4shot', '--work-dir', tmp_path, '--cfg-options')
    assert 'is a dict with' in refused(capsys, *place, 'dataset.protocol=0.4')


def test_what_has_no_labels_has_no_wrong_ones():
    with pytest.raises(ValueError, match='reads none'):
        DigitsDataset(unlabelled=True, protocol=dict(label_noise=0.1))
    with pytest.raises(ValueError, match='needs a number of shots'):
        DigitsDataset(protocol=dict(imbalance=2))


def test_one_option_moves_all_datasets_and_no_model():
    cfg = Config(
        dict(
            dataset=dict(name='Digits', protocol=dict(label_noise=0.2)),
            model=dict(classes='Digits'),
            **{
                f'{n}_dataloader': dict(dataset=dict(type='DigitsDataset'))
                for n in ('train', 'test')
            },
        )
    )
    share_dataset(cfg)
    assert cfg.train_dataloader.dataset.protocol == cfg.test_dataloader.dataset.protocol
    assert cfg.train_dataloader.dataset.protocol == dict(label_noise=0.2)
    assert 'protocol' not in cfg.model.classes
    share_dataset(cfg)
    assert 'protocol' not in cfg.model.classes


def test_the_command_line_knows_the_options():
    cfg = Config(dict(dataset=dict(name='Digits')))
    check_options(cfg, {'dataset.protocol.label_noise': 0.4})
    with pytest.raises(ValueError, match='did you mean dataset.protocol.label_noise'):
        check_options(cfg, {'dataset.protocol.label_nose': 0.4})


def test_trainings_do_not_mix(tmp_path, monkeypatch):
    """Imbalanced, noisy and ordinary runs of one method, dataset, shots and seed."""
    monkeypatch.chdir(tmp_path)
    train(work_dir='runs/plain')
    noisy = train('dataset.protocol.label_noise=0.4', work_dir='runs/noisy')
    few = train('dataset.protocol.imbalance=4', work_dir='runs/few')
    assert noisy['data_protocol'] == dict(label_noise=0.4, name='40 % noisy labels')
    assert len(noisy['flipped']) == 16 and len(noisy['flipped'][0]) == 3
    assert few['flipped'] is None and few['data_protocol']['name'] == 'imbalance 4'
    rows, warnings = collect(find_runs(['runs']))
    tables, more = all_tables(rows)
    assert not warnings + more
    text = markdown(tables, rows, [])
    titles = [table.title for table in tables]
    assert {'4 shots', '4 shots, 40 % noisy labels', '4 shots, imbalance 4'} <= set(titles)
    assert '| 4, 40 % noisy labels |' in text and '| 4, imbalance 4 |' in text


def test_a_cache_of_images_has_room_for_an_imbalanced_draw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ('dataset.protocol.imbalance=16', 'default_hooks.report.baselines=[]')
    results = train(*options, config='tip_adapter/tip_adapter_tiny_digits_16shot')
    assert results['data_protocol']['imbalance'] == 16


def test_a_search_without_a_validation_set_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ('dataset.protocol.validation=False', 'default_hooks.report.baselines=[]')
    leaf = 'linear_probe/linear_probe_tiny_digits_16shot'
    assert 'val list stays closed' in refused(capsys, *command(*options, config=leaf))
    results = train(*options, work_dir='closed')
    assert results['data_protocol']['name'] == 'no validation set'


def test_corrupted_test_images_need_the_library(tmp_path, monkeypatch):
    """And with it, each is corrupted in the same way every time."""
    with pytest.raises(ValueError, match='corruption'):
        DigitsDataset(split='test', protocol=dict(corruption='rust', severity=1))
    pytest.importorskip('imagecorruptions', reason="pip install 'mmdpt[corrupt]'")
    steps = [
        dict(type='LoadPILImage'),
        dict(type='ResizeEdge', scale=32, interpolation='bicubic', backend='pillow'),
        dict(type='PackInputs'),
    ]
    clean = DigitsDataset(split='test', pipeline=steps)[3]['inputs']
    for name in CORRUPTIONS:
        made = [
            DigitsDataset(
                split='test', pipeline=steps, protocol=dict(corruption=name, severity=5), seed=1
            )
            for _ in range(2)
        ]
        first, second = (dataset[3]['inputs'] for dataset in made)
        assert first.shape == clean.shape and not (first == clean).all(), name
        assert (first == second).all(), name
        assert name in repr(made[0].pipeline)  # so in the key of kept features
    monkeypatch.chdir(tmp_path)
    results = train('dataset.protocol.corruption=fog', 'dataset.protocol.severity=5')
    assert results['data_protocol']['name'] == 'fog 5'
    rows, _ = collect(find_runs(['run']))
    assert {row.data for row in rows} == {'fog 5'}


def test_names():
    whole = DataProtocol(
        validation=False, imbalance=10, label_noise=0.25, corruption='fog', severity=2
    )
    assert whole.name == 'no validation set, imbalance 10, 25 % noisy labels, fog 2'
    assert DataProtocol().name == '' and DataProtocol().noted() is None
