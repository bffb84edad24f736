"""All four protocols, end to end, on small trees and a small random CLIP."""

import json
from pathlib import Path

import pytest
import torch
from helpers.plain import small_clip
from helpers.tools import tool
from helpers.trees import VARIANTS, write_tree
from mmengine.config import Config

from mmdpt.engine import read_checkpoint
from mmdpt.evaluation.protocols import FEW_SHOT, summary, targets
from mmdpt.models.clip.load import load_clip

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def write_config(folder, data, dataset, method='dpt', **model):
    """A training of two epochs on a small tree, as a file."""
    cfg = Config.fromstring(
        f"""
_base_ = ['{CONFIGS}/_base_/methods/{method}.py',
          '{CONFIGS}/_base_/datasets/{dataset}.py']
model = dict(arch={small_clip()!r}, pretrained={str(folder / 'clip.pt')!r},
             classes=_base_.dataset.name)
train_cfg = dict(max_epochs=2)
train_dataloader = dict(batch_size=4, dataset=dict(shots=2))
""",
        '.py',
    )
    cfg.merge_from_dict(
        {
            'dataset.data_root': str(data),
            'image_size': 32,
            'default_hooks.report.enable': False,
            **{f'model.{k}': v for k, v in model.items()},
        }
    )
    if method == 'dpt':
        cfg.model.visual_prompt.update(num_tokens=2, top_k=2)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            for key in ('scale', 'crop_size'):
                if key in step:
                    step[key] = 32
    path = folder / f'{method}_{dataset}.py'
    cfg.dump(path)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with weights of a small CLIP and a data folder."""
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    torch.save(load_clip(small_clip(), None).model.state_dict(), 'clip.pt')
    return tmp_path


def figures(config, checkpoint, protocol, *args):
    tool(
        'test_protocol',
        config,
        checkpoint,
        '--protocol',
        protocol,
        '--json',
        'figures.json',
        '--overwrite',
        '--work-dir',
        'tested',
        *args,
    )
    return json.load(open('figures.json'))


def test_few_shot_and_base_to_new(place, capsys):
    write_tree(place / 'data', 'EuroSAT')
    config = write_config(place, place / 'data', 'eurosat')
    tool('train', config, '--work-dir', 'base', '--cfg-options', 'dataset.subset=base')
    trained = read_checkpoint('base/epoch_2.pth')['meta']['mmdpt']['classes']
    assert len(trained) == 5 and trained[0] == 'Annual Crop Land'
    found = figures(config, 'base/epoch_2.pth', 'base-to-new')
    base, new = found['accuracy']['base'], found['accuracy']['new']
    assert found['harmonic_mean'] == pytest.approx(
        2 * base * new / (base + new) if base + new else 0
    )
    assert [found[key] for key in ('benchmark', 'subset', 'shots', 'seed')] == [
        'EuroSAT',
        'base',
        2,
        1,
    ] and len(found['draw_hash']) == 64
    assert 'Not transferred: visual_prompt.layers.0.evidence.weight' in capsys.readouterr().out
    # one part alone
    tool(
        'test',
        config,
        'base/epoch_2.pth',
        '--work-dir',
        'tested',
        '--out',
        'new.json',
        '--cfg-options',
        'dataset.subset=new',
        'model.transfer=True',
    )
    assert json.load(open('new.json'))['accuracy/top1'] == pytest.approx(new)
    capsys.readouterr()

    # on all classes; then "new" would mean nothing
    tool('train', config, '--work-dir', 'all')
    with pytest.raises(SystemExit):
        figures(config, 'all/epoch_2.pth', 'base-to-new')
    assert 'Train with --cfg-options dataset.subset=base' in capsys.readouterr().err
    # without the option a checkpoint of other classes is refused
    with pytest.raises(SystemExit):
        tool('test', config, 'base/epoch_2.pth', '--work-dir', 'tested')
    assert 'set model.transfer=True' in capsys.readouterr().err


def test_cross_dataset_and_domain_generalisation(place, capsys):
    for name in ('ImageNet', 'DTD', 'FGVCAircraft', *VARIANTS):
        write_tree(place / 'data', name)
    config = write_config(place, place / 'data', 'imagenet', 'coop')
    tool('train', config, '--work-dir', 'source')
    found = figures(
        config, 'source/epoch_2.pth', 'cross-dataset', '--datasets', 'DTD', 'fgvc_aircraft'
    )
    assert set(found['accuracy']) == {'DTD', 'FGVCAircraft'}
    assert found['mean'] == pytest.approx(sum(found['accuracy'].values()) / 2)
    log = capsys.readouterr().out
    assert 'Transferred: text_prompt.context. Not transferred: nothing' in log
    assert 'several classes the same name: sunglasses' in log
    found = figures(config, 'source/epoch_2.pth', 'domain-generalisation')
    assert list(found['accuracy']) == VARIANTS
    with pytest.raises(SystemExit):  # Caltech101 is not there
        figures(config, 'source/epoch_2.pth', 'cross-dataset')
    assert 'Caltech101: the folder' in capsys.readouterr().err


def test_class_specific_context_cannot_transfer(place, capsys):
    write_tree(place / 'data', 'EuroSAT')
    config = write_config(place, place / 'data', 'eurosat', 'coop')
    specific = ['--cfg-options', 'model.text_prompt.class_specific=True']
    tool('train', config, '--work-dir', 'base', *specific, 'dataset.subset=base')
    with pytest.raises(SystemExit):
        figures(config, 'base/epoch_2.pth', 'base-to-new', *specific)
    assert 'cannot carry class-specific context to other classes' in capsys.readouterr().err


def test_too_few_classes_for_top_k(place, capsys):
    write_tree(place / 'data', 'EuroSAT')
    config = write_config(place, place / 'data', 'eurosat')
    with pytest.raises(SystemExit):
        tool(
            'train',
            config,
            '--work-dir',
            'base',
            '--cfg-options',
            'dataset.subset=base',
            'model.visual_prompt.top_k=10',
        )
    assert 'there are 5 classes; lower top_k' in capsys.readouterr().err


def test_targets():
    assert len(FEW_SHOT) == 11 and len(VARIANTS) == 4
    names = list(targets('cross-dataset', dict(name='ImageNet')))
    assert len(names) == 10 and 'ImageNet' not in names
    assert summary('base-to-new', dict(base=50.0, new=100.0)) == dict(
        harmonic_mean=pytest.approx(200 / 3)
    )
    with pytest.raises(ValueError, match='Unknown protocol'):
        targets('nothing', {})
    with pytest.raises(ValueError, match="Unknown benchmark 'DTDD'"):
        targets('cross-dataset', dict(name='ImageNet'), ['DTDD'])
    with pytest.raises(ValueError, match='leave --datasets out'):
        targets('base-to-new', dict(name='ImageNet'), ['DTD'])
