"""Training on images without labels: which they are, and that no label is read."""

import json
import os
import random
from types import SimpleNamespace

import pytest
import torch
from helpers.promptkd_runs import runner, trained
from helpers.trees import write_photos
from mmpretrain.registry import DATASETS
from PIL import Image

from mmdpt.datasets.digits import DigitsDataset
from mmdpt.engine.class_check import check_labelled
from mmdpt.results import all_tables, collect, find_runs


def test_no_label_enters(tmp_path, monkeypatch):
    """Shuffled labels, none at all, or no draw: the same training, bit for bit."""
    wanted = trained(tmp_path / 'none')
    assert (wanted['head.projector.1.running_mean'] != 0).any()
    labelled = {'train_dataloader.dataset.unlabelled': False}
    with_labels = trained(tmp_path / 'labels', **labelled)
    load = DigitsDataset.load_split

    def shuffled(self):
        split, rng = load(self), random.Random(5)
        labels = [item.label for item in split.train]
        rng.shuffle(labels)
        train = [item._replace(label=label) for item, label in zip(split.train, labels)]
        assert train != split.train
        return split._replace(train=train)

    monkeypatch.setattr(DigitsDataset, 'load_split', shuffled)
    for state in (with_labels, trained(tmp_path / 'shuffled', **labelled)):
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[n], wanted[n]) for n in wanted)


def test_a_method_that_learns_from_labels_is_refused():
    model = SimpleNamespace(head=SimpleNamespace())
    taught = SimpleNamespace(head=SimpleNamespace(reads_labels=False))
    check_labelled(taught, DigitsDataset(unlabelled=True))
    with pytest.raises(ValueError, match='learns from labels, and unlabelled leaves them out'):
        check_labelled(model, DigitsDataset(unlabelled=True))
    check_labelled(model, DigitsDataset(split='train'))


def test_no_label_is_even_loaded():
    dataset = DigitsDataset(unlabelled=True)
    assert len(dataset) == len(DigitsDataset(split='train')) > 400
    assert all('gt_label' not in dataset.get_data_info(i) for i in range(len(dataset)))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(shots=4), 'needs shots=None, got 4'),
        (dict(split='val'), "needs split='train', got 'val'"),
        (dict(subset='base'), "needs subset='all', got 'base'"),
        (dict(unlabelled=3), 'unlabelled must be True, False or a folder, got 3'),
        (dict(unlabelled='nowhere'), "folder of unlabelled images 'nowhere' does not exist"),
        (dict(unlabelled='.'), 'no image in the folder .: give another'),
    ],
)
def test_what_needs_labels(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        DigitsDataset(**{'unlabelled': True, **options})


def test_a_folder_of_images(tmp_path):
    """All images below it, hidden ones left out; the results name it; a table of its own."""
    for i, name in enumerate(('b.png', 'a/c.png', 'a/d/e.png', '.h/f.png', 'a/.g.png', 'x.txt')):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8), (40 * i, 10, 99)).save(path, 'png')
    folder = str(tmp_path / 'images')
    found = runner(
        tmp_path / 'work',
        **{
            'train_dataloader.dataset.unlabelled': folder,
            'train_dataloader.dataset.indices': None,
            'train_cfg.max_epochs': 1,
        },
    )
    dataset = found.train_dataloader.dataset
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    assert [os.path.relpath(p, folder) for p in paths] == ['a/c.png', 'a/d/e.png', 'b.png']
    found.train()
    results = json.loads((tmp_path / 'work/results.json').read_text())
    assert results['unlabelled_images'] == dict(images=3, source=f'the folder {folder}')

    rows, _ = collect(find_runs([str(tmp_path / 'work')]))
    tables, _ = all_tables(rows)
    rows = {t.title: [labels[0] for labels, _ in t.rows] for t in tables}
    assert rows['Digits by shots, unlabelled images'] == ['zero_shot', 'promptkd']
    assert rows['Digits by shots'] == ['zero_shot']


def test_baselines_need_labels(tmp_path):
    found = runner(tmp_path, **{'default_hooks.report.baselines': ['raw_pixels']})
    with pytest.raises(ValueError, match='raw_pixels learn from labels, and the training images'):
        found.train()


def test_own_dataset_reads_no_label(tmp_path):
    write_photos(tmp_path / 'photos')
    options = dict(
        type='FewShotDataset',
        benchmark=dict(name='Own'),
        data_root=str(tmp_path / 'photos'),
        split='train',
    )
    labelled, without = (DATASETS.build(dict(options, unlabelled=u)) for u in (False, True))
    paths = [[d.get_data_info(i)['img_path'] for i in range(len(d))] for d in (labelled, without)]
    assert paths[0] == paths[1] and len(without) > 3
    assert 'gt_label' not in without.get_data_info(0)
