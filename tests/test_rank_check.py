"""Processes that would not train the same stop before the first step, and the odd one is named."""

import json
import os

import pytest
import torch
from helpers import odd_process
from helpers.plain import small_clip
from helpers.processes import run_processes

from mmdpt.engine import rank_check
from mmdpt.models.clip.load import load_clip

SAID = dict(
    lr='optim_wrapper.optimizer.lr is 0.01 on rank 0 and 0.5 on rank 1',
    num_tokens='model.text_prompt.num_tokens is ',
    test_images='test_dataloader.dataset.indices is 201 on rank 0 and 7 on rank 1',
    shots='train_dataloader.dataset.shots is 3 on rank 0 and 2 on rank 1',
    class_order='classes is ',
    clip_weights='clip is ',
    resumed='epoch is 0 on rank 0 and 1 on rank 1',
    image='train images.contents is ',
    draw="draw_hash is '",
    class_names='train classes is ',
    learnt='learnt weights is ',
    version="version of torch is '",
)


def spawn(world, folder):
    run_processes(odd_process.process, world, folder)
    return [json.loads((folder / f'said_{world}_{rank}.json').read_text()) for rank in range(world)]


@pytest.fixture(scope='module')
def said(tmp_path_factory):
    """What both processes said of each case."""
    folder = tmp_path_factory.mktemp('odd')
    (folder / 'small.json').write_text(json.dumps(small_clip()))
    for seed, name in enumerate(('clip.pt', 'other.pt')):
        torch.manual_seed(seed)
        torch.save(load_clip(small_clip(), None).model.state_dict(), folder / name)
    found = spawn(2, folder)
    assert (folder / 'equal' / 'epoch_2.pth').exists()
    left = [f for _, _, files in os.walk(folder / 'odd_0') for f in files if f.endswith('.pth')]
    assert left == []  # no step was taken
    return found


def test_equal_processes_train(said):
    assert [part['equal'] for part in said] == [None, None]


@pytest.mark.parametrize('case', SAID)
def test_a_process_that_differs_is_named(case, said):
    for part in said:
        assert part[case].startswith('rank 1 of 2 would not train what the others do (rank 1 runs ')
        assert SAID[case] in part[case] and '\n' not in part[case]
        assert part[case].endswith('Give all processes the same config, data, weights and software')


def test_the_odd_one_of_three(tmp_path):
    for text in spawn(3, tmp_path):
        assert text.startswith('rank 1 of 3 ') and 'rate is 0.2 on rank 0 and 0.1 on rank 1' in text


def test_several_odd_ones(monkeypatch):
    """The majority is right; all others are named."""
    ranks = [dict(a=2), dict(a=1), dict(a=1), dict(a=1), dict(a=3)]
    monkeypatch.setattr(
        rank_check,
        'all_gather_object',
        lambda mine: [
            rank_check.settings_hash(r) if isinstance(mine, str) else ('host', r) for r in ranks
        ],
    )
    with pytest.raises(ValueError, match='ranks 0, 4 of 5 .*a is 1 on rank 1 and 2 on rank 0'):
        rank_check.check_processes(dict(a=2))
