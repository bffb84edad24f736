"""The gradient rule, alone, in training, and in two processes."""

import pytest
import torch
from helpers.classifier import build
from helpers.processes import run_processes
from mmengine.optim import build_optim_wrapper
from mmpretrain.structures import DataSample
from torch.nn.parallel import DistributedDataParallel

from mmdpt.engine.prograd import align


def test_align():
    general = torch.tensor([0.0, 2.0])
    against, along = torch.tensor([3.0, -1.0]), torch.tensor([3.0, 1.0])
    assert torch.equal(align(along, general, 1.0), along)
    assert torch.equal(align(against, general, 1.0), torch.tensor([3.0, 0.0]))
    assert torch.equal(align(against, general, 0.5), torch.tensor([3.0, -0.5]))
    assert torch.equal(align(against, torch.zeros(2), 1.0), against)


def step(model, rank=0, world=1, accumulate=1):
    """The context after one step."""
    inner = getattr(model, 'module', model)
    torch.manual_seed(1)
    with torch.no_grad():
        inner.text_prompt.context.mul_(50)
    images = torch.randn(4, 3, 32, 32)
    samples = [DataSample().set_gt_label(i) for i in (3, 1, 0, 2)]
    optim = build_optim_wrapper(
        model,
        dict(
            type='ProGradOptimWrapper',
            accumulative_counts=accumulate,
            optimizer=dict(type='SGD', lr=1.0),
        ),
    )
    for part in range(accumulate):
        share = slice(rank + part, None, world * accumulate)
        losses = model(images[share], samples[share], mode='loss')
        pair, logs = inner.parse_losses(losses)
        assert {'loss', 'loss_logits', 'kl'} == set(logs)
        optim.update_params(pair)
    return inner.text_prompt.context.detach()


def process(rank, world, folder):
    model = DistributedDataParallel(build('prograd').train())
    torch.save(step(model, rank, world), f'{folder}/{rank}.pt')


def test_two_processes_equal_one(tmp_path):
    run_processes(process, 2, tmp_path)
    one = step(build('prograd').train())
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f'{rank}.pt'), one, rtol=1e-9, atol=1e-11)


def test_accumulated_gradients():
    torch.testing.assert_close(
        step(build('prograd').train(), accumulate=2),
        step(build('prograd').train()),
        rtol=1e-9,
        atol=1e-11,
    )


def test_only_pairs_and_their_wrapper_go_together():
    model = build('coop').train()
    optim = build_optim_wrapper(
        model, dict(type='ProGradOptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    )
    with pytest.raises(ValueError, match='needs a pair of losses'):
        optim.update_params(model.text_prompt.context.sum())
