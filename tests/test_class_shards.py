"""Data-parallel training with gloo on CPU: two processes equal one."""

import pytest
import torch
from helpers.plain import small_clip
from helpers.processes import run_processes
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn.parallel import DistributedDataParallel

import mmdpt.models  # noqa: F401

CLASSES = ['cat', 'Egyptian Mau', 'american_bulldog', 'ox', 'a b c d e']


def build(shard=False, **text_prompt):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='PromptedCLIP',
            arch=small_clip(layers=2),
            pretrained=None,
            precision='fp64',
            classes=CLASSES,
            shard_classes=shard,
            text_prompt=dict(type='CoOp', num_tokens=4, **text_prompt),
            visual_prompt=dict(type='CAVPT', num_tokens=2, top_k=2),
            head=dict(type='DPTHead', guided_epochs=1),
        )
    )


def labels(model, images):
    """One image has its label among the selected classes, three have not."""
    with torch.no_grad():
        ids = model.match(images).class_ids
    missed = [next(c for c in range(5) if c not in row) for row in ids.tolist()]
    return [int(ids[0, 1]), *missed[1:]]


def step(model, rank=0, world=1):
    """Gradients of one step with the batch dealt out to the processes."""
    inner = getattr(model, 'module', model)
    inner.head.set_epoch(0)
    torch.manual_seed(1)
    images = torch.randn(4, 3, 32, 32)
    samples = [DataSample().set_gt_label(i) for i in labels(inner, images)]
    losses = model(images[rank::world], samples[rank::world], mode='loss')
    total, _ = inner.parse_losses(losses)
    total.backward()
    return total.detach(), {n: p.grad for n, p in inner.named_parameters() if p.requires_grad}


SETTINGS = [(shard, specific) for shard in (True, False) for specific in (True, False)]


def process(rank, world, folder):
    results = []
    for shard, specific in SETTINGS:
        model = DistributedDataParallel(build(shard, class_specific=specific).train())
        count = []
        model.module.text_tower.register_forward_hook(
            lambda m, args, out: count.append(out.shape[1])
        )
        results.append((*step(model, rank, world), count[-1]))
    torch.save(results, f'{folder}/{rank}.pt')


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """Results of both processes for each setting."""
    folder = tmp_path_factory.mktemp('gloo')
    run_processes(process, 2, folder)
    both = [torch.load(folder / f'{rank}.pt') for rank in range(2)]
    return dict(zip(SETTINGS, zip(*both)))


@pytest.mark.parametrize('shard, specific', SETTINGS)
def test_two_processes_equal_one(shard, specific, two_processes):
    """Same loss and gradients, though only one process has an image whose
    label is among the selected classes."""
    results = two_processes[shard, specific]
    loss, grads = step(build(class_specific=specific).train())
    torch.testing.assert_close((results[0][0] + results[1][0]) / 2, loss, rtol=1e-9, atol=1e-12)
    assert sorted(r[2] for r in results) == ([2, 3] if shard else [5, 5])
    for _, found, _ in results:
        assert found.keys() == grads.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-11)


def test_bad_setting():
    with pytest.raises(ValueError, match="True, False or 'auto', but is 'x'"):
        build('x')
