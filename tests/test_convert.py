"""Checkpoints of the public code give the reference's logits, and go back."""

import os
from pathlib import Path

import pytest
import torch
from parity.golden import Golden, build_model, read_npz
from parity.parts import METHODS

from mmdpt.engine import CheckpointError
from mmdpt.engine.convert import from_model, into_model, read_reference

GOLDEN = Path(__file__).parent / 'data/golden'
CASES = (
    'coop_end',
    'cocoop',
    'vpt_deep',
    'dpt_two_topk',
    'maple',
    'promptsrc',
    'clip_adapter',
    'tip_adapter_f',
    'clip_lora',
)


def case(name):
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    golden = Golden(GOLDEN, meta, arrays, 'float64')
    return golden, lambda: build_model(
        golden, start_values=False, **METHODS[meta['method']](golden)
    )


def dassl_file(path, tensors):
    """As Dassl.pytorch writes it: schedulers refer to each other."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optim = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    successor = torch.optim.lr_scheduler.CosineAnnealingLR(optim, 5)
    torch.save(
        dict(
            state_dict=tensors,
            epoch=5,
            optimizer=optim.state_dict(),
            scheduler=dict(successor=successor, last_epoch=5),
            val_result=None,
        ),
        path,
    )
    return str(path)


@pytest.mark.parametrize('name', CASES)
def test_logits_are_the_reference_s(name, tmp_path):
    golden, build = case(name)
    method = golden.meta['method']
    start = {k: torch.from_numpy(v) for k, v in golden.starts('param/').items()}
    whole = dict(start, **{'image_encoder.conv1.weight': torch.zeros(1)})
    file = dassl_file(tmp_path / 'model.pth.tar-5', whole)
    model = build()
    into_model(model, read_reference(file), method)
    if 'cache/labels' in golden.arrays:
        model.head.labels.copy_(torch.from_numpy(golden.arrays['cache/labels']))
    with torch.no_grad():
        logits = model.eval()(golden.images())
    torch.testing.assert_close(
        logits, torch.from_numpy(golden.arrays['out/logits']), rtol=1e-9, atol=1e-9
    )
    back = from_model(model, method)
    assert set(back) == set(start)
    assert all(torch.equal(back[n].float(), start[n]) for n in start)


def test_bare_prompt_learner(tmp_path):
    golden, build = case('coop_end')
    ctx = torch.from_numpy(golden.arrays['param/prompt_learner.ctx'])
    file = dassl_file(
        tmp_path / 'model.pth.tar-5',
        dict(ctx=ctx, token_prefix=torch.zeros(1), token_suffix=torch.zeros(1)),
    )
    model = build()
    into_model(model, read_reference(file))
    assert torch.equal(model.text_prompt.context.float(), ctx)


def test_unknown_layouts(tmp_path):
    _, build = case('coop_end')
    with pytest.raises(CheckpointError, match='other is neither learnt by DPT'):
        into_model(build(), dict(other=torch.zeros(1)))
    with pytest.raises(ValueError, match='lacks learnt tensors: text_prompt'):
        into_model(build(), {'image_encoder.x': torch.zeros(1)})
    torch.save([1], tmp_path / 'list')
    with pytest.raises(CheckpointError, match='unknown layout: expected tens'):
        read_reference(str(tmp_path / 'list'))


class Hostile:
    def __reduce__(self):
        return os.system, ('true',)


def test_code_is_refused(tmp_path):
    torch.save(dict(state_dict={}, evil=Hostile()), tmp_path / 'evil')
    with pytest.raises(CheckpointError, match='is refused'):
        read_reference(str(tmp_path / 'evil'))
