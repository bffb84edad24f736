"""Augmentation is a function of seed, epoch and index; incomplete batches."""

import random

import numpy as np
import pytest
import torch
from helpers.tiny_benchmark import RANDOM_CROP, TINY, write_tiny_benchmark

from mmdpt.datasets import FewShotBatchSampler, FewShotDataset


@pytest.fixture
def data_root(tmp_path):
    return write_tiny_benchmark(tmp_path)


def epochs_of(dataset, num_workers, epochs):
    loader = torch.utils.data.DataLoader(
        dataset,
        2,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=lambda batch: torch.stack([b['inputs'] for b in batch]),
    )
    for epoch in epochs:
        dataset.set_epoch(epoch)
        yield torch.cat(list(loader))


def test_augmentation_depends_on_seed_epoch_and_index_only(data_root):
    make = lambda seed=1: FewShotDataset(  # noqa: E731
        TINY, data_root=str(data_root), shots=2, seed=seed, pipeline=RANDOM_CROP
    )
    one, two = epochs_of(make(), 0, (0, 1))
    assert not torch.equal(one, two)
    for workers in (1, 2):
        again = list(epochs_of(make(), workers, (0, 1)))
        assert torch.equal(again[0], one) and torch.equal(again[1], two)
    (resumed,) = epochs_of(make(), 2, (1,))
    assert torch.equal(resumed, two)
    assert not torch.equal(next(epochs_of(make(2), 0, (0,))), one)


def test_global_generators_are_left_alone(data_root):
    dataset = FewShotDataset(TINY, data_root=str(data_root), shots=2, pipeline=RANDOM_CROP)
    assert len(list(dataset)) == 6  # ends by IndexError
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    dataset[-1]
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert before == after


@pytest.mark.parametrize('length, sizes', [(10, [4, 4]), (8, [4, 4]), (3, [3]), (4, [4])])
def test_incomplete_batches(length, sizes):
    sampler = FewShotBatchSampler(range(length), 4)
    assert [len(batch) for batch in sampler] == sizes
    assert len(sampler) == len(sizes)
